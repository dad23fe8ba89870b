package state

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// Push writes what a source pushes, and returns the revision once the View shows it.
// decide is called with a snapshot and returns the changes; when somebody else changed
// the same thing meanwhile it is called again with a newer one, up to five times. The
// first time it is called at once, and not in its turn, so that what is refused, or
// changes nothing, keeps nobody waiting who writes.
// Pushes that come together share a transaction, each with an audit entry of its own:
// they never rest on what another of them writes, but for members of groups, which are
// added and removed whatever others add and remove at the same time.
//
// It does not ask permissions.Judge: what a source says of people and groups confers
// nothing by itself, as with a sync.
func (d *DB) Push(ctx context.Context, by audit.Actor, decide func(*Snapshot) ([]Change, error)) (store.Revision, error) {
	snap := d.view.Now()
	cs, err := decide(snap)
	if err != nil || len(cs) == 0 {
		return snap.rev, err
	}
	p := &push{ctx: ctx, by: by, decide: decide, made: newTxn(snap, by, d.now()), rests: restsOn(snap, cs), done: make(chan struct{})}
	switch err := p.made.build(cs); {
	case errors.Is(err, errTurn): // it will be alone in its transaction
		p.made = nil
	case err != nil:
		return 0, err
	}
	d.pushes.add(p)
	<-p.done
	if p.panicked != nil {
		panic(p.panicked) // where decide came from, and not in the goroutine of all
	}
	return p.rev, p.err
}

// pushes joins writes that come at the same time into one transaction, so that they
// share one write to disk and none finds its ground shifted by the others. One
// transaction is under way at a time; who comes meanwhile is in the next one. What was
// decided before that is written as it is, unless one of the last transactions wrote what
// it rests on: then it is decided anew. That only spares tries; what makes a decision hold
// are its conditions.
type pushes struct {
	db   *DB
	past []written // by the last transactions, the newest last; of whoever runs

	mu      sync.Mutex
	queue   []*push // in order; guarded by mu
	running bool    // guarded by mu
}

// written is what a transaction wrote, and rested on besides.
type written struct {
	rev store.Revision
	footprint
}

// footprint is what the members of a transaction write, by key, and what they rest on
// without a condition: who is put into a group has to be there, and who leaves his source
// leaves his groups. Another replica that does the one while this one does the other is
// not waited for.
type footprint struct {
	at    map[string]int // key to the part that last writes it
	rests map[string]struct{}
}

func newFootprint() footprint { return footprint{map[string]int{}, map[string]struct{}{}} }

// shifts reports whether this is in the way of a transaction, or may be.
func (f *footprint) shifts(t *txn, rests []string) bool {
	return t.meets(f.at) ||
		slices.ContainsFunc(rests, func(key string) bool { _, ok := f.at[key]; return ok }) ||
		len(f.rests) > 0 && slices.ContainsFunc(t.ops, func(op store.Op) bool { _, ok := f.rests[op.Key]; return ok })
}

// restsOn returns the keys of those who are put into groups: of a user whom another source
// owns, that of the record that the source of the group has.
func restsOn(s *Snapshot, cs []Change) (keys []string) {
	for _, c := range cs {
		if m, ok := c.(ChangeMembers); ok {
			for _, who := range m.Add {
				keys = append(keys, s.recordKey(who, m.Origin))
			}
		}
	}
	return keys
}

// pastKept is how many transactions are remembered. A decision that is older than all of
// them is made anew.
const pastKept = 16

// fresh reports whether no transaction was in the way of what a push decided since.
func (q *pushes) fresh(p *push) bool {
	for _, w := range slices.Backward(q.past) {
		if w.rev <= p.made.snap.rev {
			return true
		}
		if w.shifts(p.made, p.rests) {
			return false
		}
	}
	return len(q.past) < pastKept
}

func (q *pushes) remember(w written) {
	if len(q.past) == pastKept {
		q.past = slices.Delete(q.past, 0, 1)
	}
	q.past = append(q.past, w)
}

// push is a write that waits for its transaction.
type push struct {
	ctx    context.Context //nolint:containedctx // of who waits, in a queue
	by     audit.Actor
	decide func(*Snapshot) ([]Change, error)
	made   *txn     // by the first decision; nil: it has to be made anew
	rests  []string // keys that it rests on besides
	tries  int
	alone  bool // one of those that it came with cannot be: none joins it any more

	done     chan struct{} // closed when the rest is set
	rev      store.Revision
	err      error
	panicked any
}

func (p *push) finish(rev store.Revision, err error) {
	p.rev, p.err = rev, err
	close(p.done)
}

// pushTime is how long a joined transaction may take before it counts as lost.
const pushTime = 30 * time.Second

func (q *pushes) add(p *push) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, p)
	if !q.running {
		q.running = true
		go q.run()
	}
}

// run writes until nobody waits.
func (q *pushes) run() {
	for {
		q.mu.Lock()
		waiting := q.queue
		q.queue = nil
		q.running = len(waiting) > 0
		q.mu.Unlock()
		if len(waiting) == 0 {
			return
		}
		left := q.round(waiting)
		q.mu.Lock()
		q.queue = append(left, q.queue...)
		q.mu.Unlock()
	}
}

// round writes one transaction of those who wait and returns who has to wait on.
func (q *pushes) round(waiting []*push) (left []*push) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(waiting[0].ctx), pushTime)
	defer cancel()
	j := &joined{db: q.db, snap: q.db.view.Now(), footprint: newFootprint(), fresh: q.fresh}
	for i, p := range waiting {
		if j.full {
			left = append(left, waiting[i:]...)
			break
		}
		if !j.take(p) {
			left = append(left, p)
		}
	}
	if len(j.members) == 0 {
		return left
	}
	rev, err := j.send(ctx)
	if errors.Is(err, fault.Stale) {
		return append(j.again(ctx, err), left...)
	}
	if errors.Is(err, errUnwritten) || errors.Is(err, fault.Invalid) {
		if apart := j.part(); apart != nil {
			return append(apart, left...)
		}
	}
	if err == nil {
		q.remember(written{rev, j.footprint})
	}
	for _, p := range j.members {
		p.finish(rev, err)
	}
	return left
}
