package state

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sort"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// AuditOrder says which entries come first.
type AuditOrder uint8

// The orders.
const (
	OldestFirst AuditOrder = iota
	NewestFirst
)

// AuditQuery asks for a page of the audit log.
type AuditQuery struct {
	audit.Filter
	Order AuditOrder
	// After is the cursor: Next of the page before. 0 begins at the end that Order
	// names.
	After store.Revision
	Limit int // 0: as many as a page may look through
}

// AuditPage is a page of the audit log.
type AuditPage struct {
	Entries []audit.Entry
	// Next is the cursor for the page behind this one. Where the log goes on to grow
	// it is good for later, too.
	Next store.Revision
	// More says that there may be entries behind this page. A page may hold few or
	// none and have more behind it, when little of what it looked through was asked for.
	More bool
}

// pageSegments is how many segments one page looks through at most: about 16 MiB of
// entries.
const pageSegments = 64

// AuditEntries returns a page of the audit log. Entries stand in the order of their
// revisions, which never changes, so that pages neither leave out nor repeat one while
// others are written, folded or removed.
func (d *DB) AuditEntries(ctx context.Context, q AuditQuery) (AuditPage, error) {
	var page AuditPage
	return page, retried(func() error {
		r := &auditReader{db: d, q: &q, page: AuditPage{Next: q.After}}
		err := r.read(ctx)
		page = r.page
		return err
	})
}

// auditReader fills a page. What is not folded is read before the head, so that an
// entry that is folded in between is found in both places, never in none; then it
// counts where it was folded.
type auditReader struct {
	db      *DB
	q       *AuditQuery
	page    AuditPage
	head    storedHead
	pending []pendingEntry // behind the segments
	looked  int            // segments
}

func (r *auditReader) read(ctx context.Context) error {
	pending, err := r.db.pendingEntries(ctx, 0) // all of them: their places are their numbers
	if err != nil {
		return err
	}
	if r.head, _, err = r.db.segments(ctx); err != nil {
		return err
	}
	for len(pending) > 0 && pending[0].rev <= r.head.End.Rev {
		pending = pending[1:]
	}
	r.pending = pending
	if r.q.Order == NewestFirst {
		return r.backward(ctx)
	}
	return r.forward(ctx)
}

// wants reports whether an entry lies behind the cursor.
func (r *auditReader) wants(rev store.Revision) bool {
	if r.q.Order == NewestFirst {
		return r.q.After == 0 || rev < r.q.After
	}
	return rev > r.q.After
}

// take looks at an entry and reports whether there is room for another.
func (r *auditReader) take(e audit.Entry) bool {
	if r.q.Limit > 0 && len(r.page.Entries) == r.q.Limit {
		r.page.More = true
		return false
	}
	r.page.Next = e.Rev
	if e, ok := r.q.Apply(e); ok {
		r.page.Entries = append(r.page.Entries, e)
	}
	return true
}

func (r *auditReader) forward(ctx context.Context) error {
	if r.head.End.Rev > r.q.After {
		n, err := r.find(ctx, func(s *segment) bool { return s.LastRev > r.q.After })
		if err != nil {
			return err
		}
		for ; n <= r.head.Last && !r.page.More; n++ {
			if err := r.segment(ctx, n); err != nil {
				return err
			}
		}
	}
	return r.unfolded(ctx, func(i int) int { return i })
}

func (r *auditReader) backward(ctx context.Context) error {
	last := len(r.pending) - 1
	if err := r.unfolded(ctx, func(i int) int { return last - i }); err != nil || r.page.More || r.head.Last == 0 {
		return err
	}
	n := r.head.Last
	if r.q.After > 0 && r.q.After <= r.head.End.Rev {
		var err error
		if n, err = r.find(ctx, func(s *segment) bool { return s.LastRev >= r.q.After }); err != nil {
			return err
		}
	}
	for ; n >= r.head.First && !r.page.More; n-- {
		if err := r.segment(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// unfolded takes what is not folded, in the order that at gives.
func (r *auditReader) unfolded(ctx context.Context, at func(int) int) error {
	for i := range r.pending {
		if r.page.More {
			return nil
		}
		n := at(i)
		p := &r.pending[n]
		if !r.wants(p.rev) {
			continue
		}
		stored, err := r.db.storedEntry(ctx, p)
		if err != nil {
			return err
		}
		if !r.take(decodeEntry(p.id, r.head.End.Seq+uint64(n)+1, p.rev, stored)) {
			return nil
		}
	}
	return nil
}

// find returns the number of the first segment for which it holds, or one behind the
// last: segments lie in the order of revisions.
func (r *auditReader) find(ctx context.Context, holds func(*segment) bool) (uint64, error) {
	var failed error
	i := sort.Search(int(r.head.Last-r.head.First+1), func(i int) bool {
		s, err := r.db.segment(ctx, r.head.First+uint64(i))
		switch {
		case errors.Is(err, fault.NotFound): // removed meanwhile: so were all before it
			return false
		case err != nil:
			failed = err
			return true
		}
		return holds(s)
	})
	return r.head.First + uint64(i), failed
}

// segment takes the entries of a segment.
func (r *auditReader) segment(ctx context.Context, n uint64) error {
	if r.looked == pageSegments {
		r.page.More = true
		return nil
	}
	s, err := r.db.segment(ctx, n)
	if errors.Is(err, fault.NotFound) {
		return nil // retention has removed it
	}
	if err != nil {
		return err
	}
	r.looked++
	if !r.q.From.IsZero() && s.To.Before(r.q.From) || !r.q.Until.IsZero() && !s.From.Before(r.q.Until) {
		r.page.Next = s.LastRev
		if r.q.Order == NewestFirst {
			r.page.Next = s.FirstRev
		}
		return nil
	}
	entries, err := r.entries(s)
	if err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		if r.q.Order == NewestFirst {
			e = &entries[len(entries)-1-i]
		}
		if !r.take(decodeEntry(e.ID, e.Seq, e.Rev, e.Entry)) {
			return nil
		}
	}
	return nil
}

// entries returns the lines of a segment that lie behind the cursor, and not behind
// the head that was read before it.
func (r *auditReader) entries(s *segment) ([]parsedLine, error) {
	var list []parsedLine
	var bad error
	err := s.lines(func(_, line []byte) bool {
		var p parsedLine
		if p, bad = parseLine(line); bad != nil {
			bad = errBadSegment(s.N)
			return false
		}
		if r.wants(p.Rev) && p.Rev <= r.head.End.Rev {
			list = append(list, p)
		}
		return true
	})
	return list, errors.Join(err, bad)
}

// How a follower of the log looks for what is new.
const (
	followPause = 200 * time.Millisecond // between two looks at least
	followTick  = time.Second            // not everything that is audited changes the view
	followShare = 4                      // times as long as a look took: much is written
)

// FollowAudit yields pages of the audit log after a cursor, the oldest entry first,
// without end. When nothing happens it yields a page without entries every beat, whose
// cursor may have moved on. It ends with ctx, and after an error that it yields.
func (d *DB) FollowAudit(ctx context.Context, q AuditQuery, beat time.Duration) iter.Seq2[AuditPage, error] {
	q.Order = OldestFirst
	return func(yield func(AuditPage, error) bool) {
		said := time.Now()
		for {
			changed := d.view.Changed()
			began := time.Now()
			page, err := d.AuditEntries(ctx, q)
			took := time.Since(began)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(page, fmt.Errorf("follow the audit log: %w", err))
				return
			}
			q.After = page.Next
			if len(page.Entries) > 0 || time.Since(said) >= beat {
				if !yield(page, nil) {
					return
				}
				said = time.Now()
			}
			if !page.More {
				wait(ctx, max(followPause, followShare*took))
				waitFor(ctx, changed, min(beat, followTick))
			}
		}
	}
}

func waitFor(ctx context.Context, changed <-chan struct{}, most time.Duration) {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-ctx.Done():
	}
}
