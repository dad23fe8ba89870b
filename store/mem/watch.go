package mem

import (
	"context"
	"iter"
	"strings"

	"github.com/rollcall-id/rollcall/store"
)

// Watch implements [store.Store]. It yields one batch for each transaction.
func (s *Store) Watch(ctx context.Context, prefix string, after store.Revision) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		next := after + 1
		for {
			batches, grown, err := s.since(ctx, next)
			if err != nil {
				yield(store.Batch{}, err)
				return
			}
			for _, b := range batches {
				next = b.Rev + 1
				b.Events = under(prefix, b.Events)
				if len(b.Events) > 0 && !yield(b, nil) {
					return
				}
			}
			if len(batches) > 0 {
				continue
			}
			select {
			case <-grown:
			case <-ctx.Done():
			}
		}
	}
}

// since returns the transactions from next on, and a channel that is closed when
// there are more.
func (s *Store) since(ctx context.Context, next store.Revision) ([]store.Batch, <-chan struct{}, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, errClosed()
	}
	first := s.firstLocked()
	if next < first && first > 2 { // 2 is the first revision of all
		return nil, nil, store.ErrCompacted
	}
	if skip := max(next-first, 0); skip < store.Revision(len(s.history)) {
		return s.history[skip:], s.grown, nil
	}
	return nil, s.grown, nil
}

// under returns the caller's own copy of the events whose key starts with prefix.
func under(prefix string, events []store.Event) []store.Event {
	var out []store.Event
	for _, e := range events {
		if strings.HasPrefix(e.Record.Key, prefix) {
			e.Record = own(e.Record)
			out = append(out, e)
		}
	}
	return out
}
