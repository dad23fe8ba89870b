package scim

import (
	"context"
	"errors"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// retryEvery is how often a leader looks whether records that are nobody's have become
// somebody's.
const retryEvery = 3 * time.Second

// FollowRules tries, as leader, the rules of the sources again on what was pushed: a user
// may have come to whom a record belongs, a rule been changed, or somebody agreed to one.
// It ends with ctx.
func (s *Server) FollowRules(ctx context.Context, term store.Cond) error {
	last := map[*endpoint]tried{}
	for {
		now := map[*endpoint]tried{} // without those that were replaced
		for _, e := range *s.sources.Load() {
			if e.joins == nil || e.disabled {
				continue
			}
			var err error
			if now[e], err = e.retry(ctx, term, last[e]); err != nil {
				return err
			}
		}
		last = now
		select {
		case <-time.After(retryEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tried is what there was when the rule of a source was last tried on all.
type tried struct {
	rev     store.Revision
	heard   int // of joins; 0: it was not
	settled int
}

// retry tries the rule on every record of the source to which it may say something else
// than what is stored: on those to whom nobody answers only when somebody has come.
func (e *endpoint) retry(ctx context.Context, term store.Cond, last tried) (tried, error) {
	s, j := e.server.db.View().Now(), e.joins
	st := s.Source(e.id)
	switch {
	case last.rev == s.Rev():
		return last, nil
	case !st.Paused.IsZero() || !st.Leaving.IsZero():
		return tried{rev: s.Rev()}, nil
	case !j.holds(s): // what it says holds for all below once it does
		_, err := e.rule(ctx, term, func(s *state.Snapshot) []state.Change {
			return j.takeOver(placed{takes: !j.holds(s) && len(s.CarriedBy(e.id)) == 0})
		})
		return tried{rev: s.Rev()}, err
	}
	now := tried{s.Rev(), j.heard(s, e.server.db.View()), len(s.Settlements(e.id))}
	all, err := e.retryAll(ctx, term, s, now.heard != last.heard || now.settled != last.settled)
	if !all {
		now.heard = 0
	}
	return now, err
}

// retryAll tries the rule on each record. It reports false when somebody else wrote too much
// at the same time.
func (e *endpoint) retryAll(ctx context.Context, term store.Cond, s *state.Snapshot, unanswered bool) (all bool, err error) {
	all = true
	try := func(decide func(*state.Snapshot) []state.Change) bool {
		var ok bool
		ok, err = e.rule(ctx, term, decide)
		all = all && ok
		return err == nil
	}
	for key, why := range s.ApartKeys(e.id) {
		if why == state.ApartNoUser && !unanswered {
			continue
		}
		if !try(func(s *state.Snapshot) []state.Change { return e.tryAgain(s, key) }) {
			return all, err
		}
	}
	for u := range s.LinkedUnlike(e.id, e.joins.rule.Bars()) {
		if !try(func(s *state.Snapshot) []state.Change { return e.refresh(s, u) }) {
			return all, err
		}
	}
	return all, nil
}

// rule writes what the rule says, as the source. It reports false when somebody else wrote
// too much at the same time.
func (e *endpoint) rule(ctx context.Context, term store.Cond, decide func(*state.Snapshot) []state.Change) (written bool, err error) {
	by := audit.Actor{Kind: audit.ActorPush, ID: string(e.id) + "/rule", Name: string(e.id) + "/rule"}
	_, err = e.server.db.Push(ctx, by, func(s *state.Snapshot) ([]state.Change, error) {
		cs := decide(s)
		if len(cs) == 0 {
			return nil, nil
		}
		return append([]state.Change{state.Fenced{Term: term}, state.Standing{Source: e.id}}, cs...), nil
	})
	switch {
	case errors.Is(err, fault.Stale):
		return false, nil
	case errors.Is(err, fault.Conflict), errors.Is(err, fault.Invalid), errors.Is(err, fault.NotFound):
		e.server.log.WarnContext(ctx, "a record was not joined by the rule", "source", e.id, "err", err)
		err = nil
	}
	return true, err
}

// tryAgain returns the changes that the rule makes to a record that is nobody's.
func (e *endpoint) tryAgain(s *state.Snapshot, key identity.Key) []state.Change {
	r, ok := s.ApartRecord(e.id, key)
	if !ok || r.Gone {
		return nil
	}
	rec := r.Record()
	at := e.joins.place(s, e.server.db.View(), rec)
	switch {
	case at.apart == r.Why || at.apart == state.ApartIgnored || manyGroups(s, e.id, r.Pushed):
		return nil
	case at.apart != "":
		return []state.Change{state.Update{Member: r.Member, Record: rec, Apart: at.apart}}
	case !at.user.IsZero():
		return []state.Change{state.JoinApart{Holder: r.Holder, Source: e.id, User: at.user, Bars: e.joins.rule.Bars(), Rule: e.joins.rule.String()}}
	}
	return []state.Change{state.OwnApart{Holder: r.Holder, Source: e.id}}
}

// refresh returns the change that gives a linked record what the rule says of whether it
// may keep its user out.
func (e *endpoint) refresh(s *state.Snapshot, u identity.UserID) []state.Change {
	l, ok := s.Linked(u, e.id)
	if !ok || !e.joins.holds(s) || l.Bars == e.joins.rule.Bars() {
		return nil
	}
	return []state.Change{state.Update{Member: identity.UserMember(u), Record: &l.Record, Disable: e.joins.disable(s)}}
}
