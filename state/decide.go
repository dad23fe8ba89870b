package state

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
)

// Decide is how everything is written that is decided here and not by a source: it is
// the one place that asks what a write would let anybody do.
//
// decide is called with a snapshot and returns the changes. The snapshot that they
// would make is computed, and permissions.Judge compares the two: a write that raises
// somebody beyond what its actor may confer, that makes somebody an administrator and
// a governor against the settings, or that takes the last administrator away, is
// refused, whichever route and whichever path caused it. When another such write came
// between, decide is called again with a newer snapshot, up to five times: two of them
// cannot each be right alone and wrong together.
func (d *DB) Decide(ctx context.Context, by audit.Actor, decide func(*Snapshot) ([]Change, error)) (store.Revision, error) {
	snap := d.view.Now()
	for try := 1; ; try++ {
		t, err := d.judged(snap, by, decide)
		if err != nil || t == nil {
			return snap.rev, err
		}
		rev, stale := d.sendTurned(ctx, t)
		if !errors.Is(stale, fault.Stale) || try == tries {
			return rev, stale
		}
		next, err := d.newer(ctx, t.txn)
		if err != nil || next == nil {
			return 0, cmp.Or(err, stale)
		}
		snap = next
	}
}

// Preview does all that Decide does but write, and returns the snapshot that the
// changes would make: an error here is the error there.
func (d *DB) Preview(by audit.Actor, decide func(*Snapshot) ([]Change, error)) (*Snapshot, error) {
	snap := d.view.Now()
	t, err := d.judged(snap, by, decide)
	if err != nil || t == nil {
		return snap, err
	}
	return t.after, nil
}

// decision is a transaction that was judged, with what has to be written before it.
type decision struct {
	*txn
	first []store.Op // chunks of generations that the transaction turns to
	after *Snapshot
}

// judged builds what was decided and asks whether it may be; nil: there is nothing to
// write.
func (d *DB) judged(snap *Snapshot, by audit.Actor, decide func(*Snapshot) ([]Change, error)) (*decision, error) {
	cs, err := decide(snap)
	if err != nil || len(cs) == 0 {
		return nil, err
	}
	t := &decision{txn: newTxn(snap, by, d.now())}
	for _, c := range append(slices.Clip(cs), epoch{}) {
		if err := t.take(c); err != nil {
			return nil, err
		}
	}
	if t.after, err = snap.with(append(slices.Clip(t.first), t.ops...)); err != nil {
		return nil, err
	}
	reach, before, after, w := affected(snap, t.after, t.ops), snap.roll(), t.after.roll(), writerOf(by)
	w.Limit = t.limit
	if err := permissions.Judge(before, after, maps.Keys(reach.users), w, t.now); err != nil {
		return nil, err
	}
	if err := permissions.MayRaise(before, w, t.now, raisedUsers(t.lets)); err != nil {
		return nil, err
	}
	return t, permissions.JudgeGroups(before, after, maps.Keys(reach.groups), w, t.now)
}

// take builds a change, and one of more members than fit in one transaction as a turn
// to a new generation.
func (t *decision) take(c Change) error {
	err := c.build(t.txn)
	m, ok := c.(ChangeMembers)
	if !ok || !errors.Is(err, errTurn) {
		return err
	}
	// Two administrators at once write their chunks side by side: one of them turns.
	plan, err := t.planTurn(m, uint32(t.snap.rev)+rand.Uint32N(1<<20)) //nolint:gosec // it keeps two apart, not anybody out
	if err != nil {
		return err
	}
	ops := plan.chunkOps()
	t.first = append(t.first, ops...)
	return plan.build(t.txn)
}

// roll is a snapshot as permissions judge it.
func (s *Snapshot) roll() permissions.View {
	return permissions.View{Members: s, Book: s.book, Names: called{s}}
}

// writerOf returns on whose word something is written: a person's, or the system's.
func writerOf(by audit.Actor) permissions.Writer {
	if by.Kind == audit.ActorSystem {
		return permissions.Writer{System: true}
	}
	id, _ := identity.ParseUserID(by.ID) // nobody, who may confer nothing, when it is none
	return permissions.Writer{User: id}
}

// sendTurned writes the chunks that nobody looks at yet, and then the transaction.
func (d *DB) sendTurned(ctx context.Context, t *decision) (store.Revision, error) {
	for ops := t.first; len(ops) > 0; {
		n := min(len(ops), bulkOps)
		w := store.Txn{Then: ops[:n]}
		for w.Bytes() > bulkBytes {
			n /= 2
			w.Then = ops[:n]
		}
		if _, err := d.store.Apply(ctx, w); err != nil {
			return 0, err
		}
		ops = ops[n:]
	}
	return d.send(ctx, t.txn)
}
