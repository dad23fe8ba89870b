package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// settled is how old an entry is when it is folded: until then, whoever wrote it and
// lost the answer finds it under its key. An entry from the future is old enough, so
// that one wrong clock does not hold up all others.
const settled = time.Minute

// foldOps is how many entries one transaction folds at most: each is a deletion, beside
// the segment and the head.
const foldOps = store.MaxOps - 4

// FoldAudit moves the entries that are not folded yet into segments, in the order of
// their revisions, and returns how many. Each transaction writes a segment, deletes
// what went into it and moves the head, so that an entry is at every moment in exactly
// one of the two places. It is fault.Stale when the term is over. What it left, for
// whatever reason, the next call does.
func (d *DB) FoldAudit(ctx context.Context, term store.Cond) (int, error) {
	head, rev, err := d.segments(ctx)
	if err != nil {
		return 0, err
	}
	pending, err := d.pendingEntries(ctx, head.End.Rev)
	if err != nil || len(pending) == 0 {
		return 0, err
	}
	f := &folder{db: d, term: term, head: head, rev: rev, before: d.now().Add(-settled), until: d.now()}
	if err := f.open(ctx); err != nil {
		return 0, err
	}
	folded := 0
	for len(pending) > 0 {
		n, err := f.fold(ctx, pending)
		folded += n
		if err != nil || n == 0 {
			return folded, err
		}
		pending = pending[n:]
	}
	return folded, nil
}

// folder folds entries behind one another.
type folder struct {
	db     *DB
	term   store.Cond
	head   storedHead
	rev    store.Revision // of the head
	before time.Time      // entries made since then are left, up to until
	until  time.Time

	pack *packer
	size int // of the open segment, as it is stored; 0: it is new
}

// open goes on with the newest segment when it has room.
func (f *folder) open(ctx context.Context) error {
	if f.head.Last == 0 {
		return f.next()
	}
	s, err := f.db.segment(ctx, f.head.Last)
	if errors.Is(err, fault.NotFound) {
		return errBadSegment(f.head.Last)
	}
	if err != nil {
		return err
	}
	if s.Last != f.head.End.Seq || s.Hash != f.head.End.Hash || s.Bytes >= segmentBytes {
		return f.next() // what is wrong with it stays as it is, for verify to name
	}
	f.size = s.size
	f.pack, err = s.unpacked()
	if err != nil {
		return f.next()
	}
	return nil
}

func (f *folder) next() error {
	f.head.Last++
	f.pack, f.size = newPacker(f.head.Last, f.head.End), 0
	return nil
}

// fold commits one transaction and returns how many entries went into it.
func (f *folder) fold(ctx context.Context, pending []pendingEntry) (int, error) {
	if f.pack.full() {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	t := store.Txn{If: []store.Cond{f.term, store.At(keyAuditHead, f.rev)}}
	if f.size == 0 {
		t.If = append(t.If, store.Absent(segmentKey(f.head.Last)))
	}
	for i := range pending[:min(len(pending), foldOps)] {
		p := &pending[i]
		stored, err := f.db.storedEntry(ctx, p)
		if err != nil {
			return 0, err
		}
		var e storedEntry
		_ = decode(keyAudit+p.id, stored, &e) // what cannot be decoded is kept as well
		if e.At.After(f.before) && !e.At.After(f.until) {
			break
		}
		t.Then = append(t.Then, store.Delete(keyAudit+p.id))
		f.pack.add(p.id, p.rev, p.wrote, e.At, stored)
		if f.pack.full() {
			break
		}
	}
	n := len(t.Then)
	if n == 0 {
		return 0, nil
	}
	return n, f.commit(ctx, t)
}

func (f *folder) commit(ctx context.Context, t store.Txn) error {
	packed, err := f.pack.pack()
	if err != nil {
		return err
	}
	h := f.pack.head
	f.head.Bytes += int64(len(packed) - f.size)
	f.head.End.Seq, f.head.End.Rev, f.head.End.Hash = h.Last, h.LastRev, h.Hash
	f.size = len(packed)
	b, err := encode(f.head)
	if err != nil {
		return err
	}
	t.Then = append(t.Then, store.Put(segmentKey(h.N), packed), store.Put(keyAuditHead, b))
	if f.rev, err = f.db.store.Apply(ctx, t); err != nil {
		return fmt.Errorf("fold the audit log: %w", err)
	}
	return nil
}
