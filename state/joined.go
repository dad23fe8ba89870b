package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/store"
)

// joined is a transaction of several pushes.
type joined struct {
	db      *DB
	snap    *Snapshot
	members []*push
	parts   []*txn // what each of them writes, on top of those before it
	footprint
	conds int
	ops   int
	bytes int
	full  bool
	fresh func(*push) bool // see pushes
	alone *decision        // what the only member writes, when it takes more than a transaction
}

// errJoined says that another member of a joined transaction writes the same thing.
var errJoined = errors.New("written by another member of the transaction")

// errUnwritten says that an audit entry cannot be written, and so nothing was.
var errUnwritten = errors.New("not written")

// part makes everybody of a transaction that cannot be try alone, so that it is only
// refused to whom that is owed; nil: there is only one.
func (j *joined) part() []*push {
	if len(j.members) < 2 {
		return nil
	}
	for _, p := range j.members {
		p.alone, p.made = true, nil
	}
	return j.members
}

// take lets a push join, or settles it when there is nothing to write. It reports
// false when the push has to wait for the next transaction.
func (j *joined) take(p *push) (settled bool) {
	if p.alone && len(j.members) > 0 {
		return false
	}
	if err := p.ctx.Err(); err != nil {
		p.finish(0, err)
		return true
	}
	if p.made != nil && j.fresh(p) && !j.shifts(p.made, p.rests) {
		return j.add(p, p.made)
	}
	p.made = nil
	return j.takeAnew(p)
}

// takeAnew decides what a push writes, on the newest snapshot and on top of the members
// so far. Otherwise it does as take.
func (j *joined) takeAnew(p *push) (settled bool) {
	defer func() {
		if v := recover(); v != nil {
			p.panicked, settled = v, true
			p.finish(0, nil)
		}
	}()
	cs, err := p.decide(j.snap)
	if err != nil || len(cs) == 0 {
		p.finish(j.snap.rev, err)
		return true
	}
	p.rests = restsOn(j.snap, cs)
	t, err := j.build(p, cs)
	switch {
	case errors.Is(err, errTurn):
		return j.takeAlone(p, cs)
	case errors.Is(err, errJoined):
		return false
	case err != nil:
		p.finish(0, err)
		return true
	}
	return j.add(p, t)
}

func (j *joined) build(p *push, cs []Change) (*txn, error) {
	t := newTxn(j.snap, p.by, j.db.now())
	t.under = j
	if err := t.build(cs); err != nil {
		return nil, err
	}
	for key := range t.at {
		if _, rests := j.rests[key]; rests || j.writes(key) {
			return nil, errJoined
		}
	}
	if slices.ContainsFunc(p.rests, j.writes) {
		return nil, errJoined
	}
	for _, c := range t.conds {
		if c.Kind == store.CondUnchangedPrefix && len(j.members) > 0 || j.writes(c.Key) {
			return nil, errJoined
		}
	}
	return t, nil
}

// writes reports whether a member writes a key that no other may touch then: any but
// those of chunks of members, which are changed on top of one another.
func (j *joined) writes(key string) bool {
	_, ok := j.at[key]
	return ok && !strings.HasPrefix(key, keyMembers)
}

// chunk returns what the members so far write under the key of a chunk.
func (j *joined) chunk(key string) ([]byte, bool) {
	i, ok := j.at[key]
	if !ok || !strings.HasPrefix(key, keyMembers) {
		return nil, false
	}
	return j.parts[i].pending(key)
}

// touches reports whether a member writes anything under a prefix.
func (j *joined) touches(prefix string) bool {
	for key := range j.at {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// takeAlone takes a push of more members than fit in one transaction, if it is the
// first to come.
func (j *joined) takeAlone(p *push, cs []Change) bool {
	if len(j.members) > 0 {
		return false
	}
	d := &decision{txn: newTxn(j.snap, p.by, j.db.now())}
	for _, c := range cs {
		if err := d.take(c); err != nil {
			p.finish(0, tooManyMembers(err))
			return true
		}
	}
	j.alone, j.full = d, true
	j.join(p, d.txn)
	return true
}

// add adds a part if there is room for it.
func (j *joined) add(p *push, t *txn) bool {
	ops, conds, bytes := j.ops+len(t.ops)+1, j.conds+len(t.conds), j.bytes+t.bytes()+t.told
	if len(j.members) > 0 && (ops > bulkOps || conds > bulkOps || bytes > bulkBytes) {
		j.full = true
		return false
	}
	j.ops, j.conds, j.bytes = ops, conds, bytes
	j.join(p, t)
	j.full = p.alone
	return true
}

func (j *joined) join(p *push, t *txn) {
	for key := range t.at {
		j.at[key] = len(j.parts)
	}
	for _, key := range p.rests {
		j.rests[key] = struct{}{}
	}
	j.members, j.parts = append(j.members, p), append(j.parts, t)
}

// send commits and waits until the view shows it.
func (j *joined) send(ctx context.Context) (store.Revision, error) {
	if j.alone != nil {
		return j.db.sendTurned(ctx, j.alone)
	}
	all := j.together()
	key := "" // of an entry: any of them tells whether all was written
	for _, t := range j.parts {
		entry, err := t.entry()
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errUnwritten, err)
		}
		if entry.Key != "" {
			all.write(entry)
			key = entry.Key
		}
	}
	rev, err := j.db.write(ctx, store.Txn{If: all.conds, Then: all.ops}, key)
	if err != nil || !all.visible() {
		return rev, err
	}
	_, err = j.db.view.AtLeast(ctx, rev)
	return rev, err
}

// together returns what all parts write, and rest on, as one that is as old as the oldest
// of them.
func (j *joined) together() *txn {
	all := newTxn(j.snap, audit.Actor{}, j.db.now())
	for _, t := range j.parts {
		if t.snap.rev < all.snap.rev {
			all.snap = t.snap
		}
		for _, c := range t.conds {
			if !slices.Contains(all.conds, c) {
				all.conds = append(all.conds, c)
			}
		}
		for _, op := range t.ops {
			all.write(op)
		}
	}
	return all
}

// again waits for what came between and returns those who try once more; the others
// are settled.
func (j *joined) again(ctx context.Context, stale error) (left []*push) {
	all := j.parts[0]
	if j.alone == nil {
		all = j.together()
	}
	next, err := j.db.newer(ctx, all)
	if next == nil && err == nil && len(j.members) > 1 {
		return j.part()
	}
	for _, p := range j.members {
		p.made = nil
		if p.tries++; next == nil || p.tries == tries {
			p.finish(0, cmp.Or(err, stale))
			continue
		}
		left = append(left, p)
	}
	return left
}
