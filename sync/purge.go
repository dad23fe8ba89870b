package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// PlanPurge returns whom a purge of a source would remove now. It is fault.Conflict when
// the source keeps everybody.
func (r *Runner) PlanPurge(source identity.SourceID) (state.PurgePlan, error) {
	r.mu.Lock()
	l, err := r.lane(source)
	var spec SourceSpec
	if err == nil {
		spec = l.spec
	}
	r.mu.Unlock()
	if err != nil {
		return state.PurgePlan{}, err
	}
	if spec.PurgeAfter <= 0 {
		return state.PurgePlan{}, fault.New(fault.Conflict, "no_purge", "whom source %s has no more stays: set purge_after in its configuration to change that", source)
	}
	return spec.planPurge(r.db.View().Now(), r.graceOver(&spec)), nil
}

// OrderPurge returns the change that orders what PlanPurge has shown, and with it the id
// that the run will have; it is fault.Conflict when that has changed, or nobody was
// shown. The change is to be decided with [state.DB.Decide]; the leader takes it up at
// once, also while the source is paused.
func (r *Runner) OrderPurge(source identity.SourceID, digest string) (state.OrderPurge, error) {
	p, err := r.PlanPurge(source)
	if err != nil {
		return state.OrderPurge{}, err
	}
	if len(p.Gone) == 0 || p.Digest != digest {
		return state.OrderPurge{}, purgeChanged()
	}
	r.mu.Lock()
	id := r.newID()
	r.mu.Unlock()
	return state.OrderPurge{Source: source, Order: state.PurgeOrder{Run: id, Before: p.Before, Digest: digest}}, nil
}

func purgeChanged() error {
	return fault.New(fault.Conflict, "plan_changed", "what a purge would remove has changed since you saw it: look at the plan again")
}

// graceOver returns since before when somebody has to be missing to be purged now.
func (r *Runner) graceOver(s *SourceSpec) time.Time {
	return r.now().Add(-s.PurgeAfter).UTC().Truncate(time.Second)
}

func (s *SourceSpec) planPurge(snap *state.Snapshot, before time.Time) state.PurgePlan {
	return snap.PlanPurge(s.ID, before, s.Protected, s.PurgeAtMost)
}

// purge is the run that removes for good whom the source has not had for long: what was
// ordered, or by schedule all whose grace is over, unless they are more than one purge
// may remove. Each goes in a transaction of his own that rests on nothing having touched
// him, so who is back, or was changed, stays. One that was stopped is not continued: what
// is left is for the next.
func (x *execution) purge(ctx context.Context) error {
	snap, err := x.r.db.CatchUp(ctx, x.fence)
	if err != nil {
		return err
	}
	var p state.PurgePlan
	err = x.stage("plan", state.RunPlanning, func() (err error) {
		p, err = x.purging(snap)
		return err
	})
	switch {
	case err != nil:
		return err
	case len(p.Gone) == 0: // by schedule: nothing that a record should tell
		x.note(func(run *state.Run, _ *Progress) { run.State, run.Ended = state.RunSucceeded, x.r.now().UTC() })
		return nil
	case p.More > 0 && x.job.run.By == "":
		return x.holdPurge(ctx, &p)
	}
	var done state.PurgePlan
	err = x.stage("remove", state.RunApplying, func() error { return x.remove(ctx, &p, &done) })
	x.note(func(run *state.Run, _ *Progress) {
		run.Digest, run.Summary = p.Digest, purgeSummary(&done)
		if left := len(p.Gone) - len(done.Gone); left > 0 {
			run.Withheld = []string{fmt.Sprintf("%d users and groups were changed or came back meanwhile, and stay", left)}
		}
	})
	if err != nil {
		return err
	}
	x.note(func(run *state.Run, _ *Progress) { run.State = state.RunSucceeded })
	if err := x.settle(ctx, "SyncPurgeCompleted", func(*state.SourceState) {}); err != nil {
		return err
	}
	x.log.InfoContext(ctx, "source purged", "summary", x.run().Summary)
	return nil
}

// purging plans the purge that was ordered, or the one that is due.
func (x *execution) purging(snap *state.Snapshot) (state.PurgePlan, error) {
	if x.job.run.By == "" {
		return x.spec.planPurge(snap, x.r.graceOver(&x.spec)), nil
	}
	order := snap.Source(x.spec.ID).Purge
	if order == nil || order.Run != x.job.run.ID {
		return state.PurgePlan{}, fault.New(fault.Stale, "plan_changed", "the order to purge was taken back")
	}
	p := x.spec.planPurge(snap, order.Before)
	if p.Digest != order.Digest {
		return state.PurgePlan{}, purgeChanged()
	}
	return p, nil
}

// remove removes one after the other, and notes in done who is gone.
func (x *execution) remove(ctx context.Context, p, done *state.PurgePlan) error {
	x.note(func(_ *state.Run, to *Progress) { to.Stage, to.Steps = string(state.RunApplying), len(p.Gone) })
	for i := range p.Gone {
		_, err := x.r.db.Commit(ctx, x.actor, state.Fenced{Term: x.fence}, state.Purge{What: p.Gone[i]})
		if errors.Is(err, fault.Stale) { // he was touched, unless another replica leads
			_, err = x.r.db.CatchUp(ctx, x.fence)
		} else if err == nil {
			done.Gone = append(done.Gone, p.Gone[i])
		}
		if err != nil {
			return err
		}
		x.note(func(_ *state.Run, to *Progress) { to.Applied = i + 1 })
	}
	return nil
}

// holdPurge keeps a purge by schedule from removing more than one may: a person looks.
func (x *execution) holdPurge(ctx context.Context, p *state.PurgePlan) error {
	why := fmt.Sprintf("%d users and groups would be removed for good, more than purge_at_most (%d): rollcall sync purge %s",
		len(p.Gone)+p.More, len(p.Gone), x.spec.ID)
	x.note(func(run *state.Run, _ *Progress) {
		run.State, run.Held, run.Digest = state.RunHeld, []string{why}, p.Digest
		run.Summary = "held, nobody was removed: " + why
	})
	x.log.WarnContext(ctx, "purge held", "reason", why)
	return x.settle(ctx, "SyncPurgeHeld", func(*state.SourceState) {})
}

func purgeSummary(done *state.PurgePlan) string {
	groups := 0
	for i := range done.Gone {
		if done.Gone[i].Member.IsGroup() {
			groups++
		}
	}
	return fmt.Sprintf("removed for good: %d users, %d groups, with %d grants", len(done.Gone)-groups, groups, done.Grants())
}

// purgeOrdered reports whether a purge was ordered that this term has not taken up.
func (l *lane) purgeOrdered(st *state.SourceState) bool {
	return st.Purge != nil && st.Purge.Run != l.purged && l.busy == nil
}

// purgeDue returns the purge to be begun now by schedule, if any. An instant that passed
// while nobody led is not made up for: who has waited for months can wait for the next.
func (r *Runner) purgeDue(l *lane, now time.Time) *job {
	s := &l.spec
	if s.Purge == nil || s.PurgeAfter <= 0 {
		l.purgeAt = time.Time{}
		return nil
	}
	if l.purgeAt.IsZero() {
		l.purgeAt = s.Purge.Next(now)
	}
	if l.purgeAt.IsZero() || now.Before(l.purgeAt) || l.busy != nil {
		return nil
	}
	l.purgeAt = s.Purge.Next(now)
	j := r.newJob(l, triggerPurge, "", "")
	j.purge = true
	return j
}
