package state

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// Bulk carries out many independent changes as leader, in as few transactions as
// the limits of the store allow, four of them in flight. Each transaction holds only
// whole changes and its own audit entry. It returns after all of them are committed,
// or after the first failure, with everything acknowledged so far in place: a run
// is a diff that converges, so what is missing is found by planning again.
type Bulk struct {
	db   *DB
	by   audit.Actor
	term store.Cond
	done func(changes int)
}

// inFlight is the number of transactions that one bulk has under way.
const inFlight = 4

// Limits of a bulk transaction: room is left for the audit entry, whose events are
// smaller than the changes they tell of.
const (
	bulkOps   = store.MaxOps - 2
	bulkBytes = store.MaxBytes * 3 / 4
	bulkTold  = maxObject * 3 / 4 // of the audit entry, which is one stored object
)

// Bulk returns a Bulk that writes for an actor while a term lasts. done, when not
// nil, is told how many changes each committed transaction held.
func (d *DB) Bulk(by audit.Actor, term store.Cond, done func(changes int)) *Bulk {
	if done == nil {
		done = func(int) {}
	}
	return &Bulk{db: d, by: by, term: term, done: done}
}

// Apply carries changes out, all of them based on one snapshot, and returns a
// snapshot that shows them.
func (b *Bulk) Apply(ctx context.Context, snap *Snapshot, changes iter.Seq[Change]) (*Snapshot, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &pipeline{bulk: b, todo: make(chan piece, inFlight), cancel: cancel, rev: snap.rev}
	for range inFlight {
		p.workers.Go(func() { p.work(ctx) })
	}
	err := b.produce(ctx, snap, changes, p)
	close(p.todo)
	p.workers.Wait()
	if p.err != nil {
		err = p.err
	}
	if err != nil {
		return nil, err
	}
	return b.db.view.AtLeast(ctx, p.rev)
}

// piece is a transaction on its way, and how many changes it holds.
type piece struct {
	t *txn
	n int
}

type pipeline struct {
	bulk    *Bulk
	todo    chan piece
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu  sync.Mutex
	rev store.Revision // the largest acknowledged; guarded by mu
	err error          // the first; guarded by mu
}

func (p *pipeline) work(ctx context.Context) {
	for w := range p.todo {
		if ctx.Err() != nil {
			continue // drain
		}
		rev, err := p.bulk.db.apply(ctx, w.t)
		p.mu.Lock()
		switch {
		case err == nil:
			if w.t.visible() {
				p.rev = max(p.rev, rev)
			}
			p.bulk.done(w.n)
		case p.err == nil:
			p.err = err
			p.cancel()
		}
		p.mu.Unlock()
	}
}

func (p *pipeline) send(ctx context.Context, w piece) error {
	select {
	case p.todo <- w:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Bulk) produce(ctx context.Context, snap *Snapshot, changes iter.Seq[Change], p *pipeline) error {
	cur := piece{t: b.begin(snap)}
	for c := range changes {
		one := newTxn(snap, b.by, b.db.now())
		err := c.build(one)
		if m, ok := c.(ChangeMembers); ok && errors.Is(err, errTurn) {
			if err := b.turn(ctx, snap, m, p); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if !cur.t.fits(one) {
			if err := p.send(ctx, cur); err != nil {
				return err
			}
			cur = piece{t: b.begin(snap)}
		}
		cur.t.merge(one)
		cur.n++
	}
	if cur.n == 0 {
		return nil
	}
	return p.send(ctx, cur)
}

func (b *Bulk) begin(snap *Snapshot) *txn {
	t := newTxn(snap, b.by, b.db.now())
	t.conds = append(t.conds, b.term)
	return t
}

// fits reports whether the writes of o can join those of t. They cannot when both
// write the same key: each was decided without the other, so the second is to fail.
func (t *txn) fits(o *txn) bool {
	if len(t.ops) == 0 && len(t.log) == 0 {
		return true
	}
	for key := range o.at {
		if _, ok := t.at[key]; ok {
			return false
		}
	}
	return len(t.ops)+len(o.ops) <= bulkOps && len(t.conds)+len(o.conds) <= bulkOps &&
		t.bytes()+o.bytes() <= bulkBytes && t.told+o.told <= bulkTold
}

func (t *txn) bytes() int { return store.Txn{Then: t.ops}.Bytes() }

func (t *txn) merge(o *txn) {
	t.conds = append(t.conds, o.conds...)
	for _, op := range o.ops {
		t.write(op)
	}
	t.log = append(t.log, o.log...)
	t.told += o.told
}

// turn replaces the members of one group by a new generation: its chunks are written
// and acknowledged first, then one transaction turns to them.
func (b *Bulk) turn(ctx context.Context, snap *Snapshot, c ChangeMembers, p *pipeline) error {
	t := newTxn(snap, b.by, b.db.now())
	plan, err := t.planTurn(c, uint32(snap.rev))
	if err != nil {
		return err
	}
	ops := plan.chunkOps()
	for len(ops) > 0 {
		n := min(len(ops), bulkOps)
		w := store.Txn{If: []store.Cond{b.term}, Then: ops[:n]}
		for w.Bytes() > bulkBytes {
			n /= 2
			w.Then = ops[:n]
		}
		if _, err := b.db.store.Apply(ctx, w); err != nil {
			return err
		}
		ops = ops[n:]
	}
	t = b.begin(snap)
	if err := plan.build(t); err != nil {
		return err
	}
	return p.send(ctx, piece{t, 1})
}

// RemoveAbandoned deletes the chunks of generations that no group turned to: what a
// run that was killed left behind. Only a leader that has no run under way calls it.
func (b *Bulk) RemoveAbandoned(ctx context.Context) error {
	prefixes := map[string]bool{}
	records, _, err := b.db.store.List(ctx, keyMembers)
	if err != nil {
		return err
	}
	snap := b.db.view.Now()
	for r, err := range records {
		if err != nil {
			return err
		}
		// A local change may be between its chunks and its turn at this very moment; what
		// one leaves behind is a few chunks that nobody looks at.
		if name, err := parseChunkKey(r.Key); err == nil && name.origin != identity.Local && r.Rev <= snap.rev && !snap.uses(name) {
			prefixes[generationPrefix(name.group, name.origin, name.gen)] = true
		}
	}
	for prefix := range prefixes {
		t := store.Txn{If: []store.Cond{b.term}, Then: []store.Op{store.DeletePrefix(prefix)}}
		if _, err := b.db.store.Apply(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// uses reports whether a chunk belongs to the generation that its group names.
func (s *Snapshot) uses(name chunkName) bool {
	h, ok := s.groupByID.Get(name.group)
	if !ok {
		return false
	}
	g := s.groups.Ref(int(h))
	if g.source == name.origin {
		return g.own.Gen == name.gen && name.bucket < g.own.Buckets
	}
	return name.origin == identity.Local && g.local.Gen == name.gen && name.bucket < g.local.Buckets
}
