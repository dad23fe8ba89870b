package mem

import (
	"context"
	"errors"
	"fmt"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// term is a period of leadership. It lasts as long as its key.
type term struct {
	s    *Store
	key  string
	rev  store.Revision
	done chan struct{}
}

func electionKey(name string) string { return "leader/" + name + "/" }

// Lead implements [store.Leader]. Whoever deletes the key of the term's fence ends
// the term, as an expired lease does: tests of a deposed leader do just that.
func (s *Store) Lead(ctx context.Context, name, id string) (store.Term, error) {
	for {
		t, changed, err := s.tryLead(ctx, name, id)
		if err != nil {
			return nil, err
		}
		if t != nil {
			return t, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (s *Store) tryLead(ctx context.Context, name, id string) (*term, <-chan struct{}, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, errClosed()
	}
	if _, held := s.leaderLocked(name); held {
		return nil, s.grown, nil
	}
	t := &term{s: s, key: fmt.Sprintf("%s%x", electionKey(name), int64(s.rev)+1), done: make(chan struct{})}
	rev, err := s.commitLocked(store.Txn{Then: []store.Op{store.Put(t.key, []byte(id))}})
	if err != nil {
		return nil, nil, err
	}
	t.rev = rev
	s.terms[t.key] = t
	return t, nil, nil
}

// Leading implements [store.Leader].
func (s *Store) Leading(ctx context.Context, name string) (string, error) {
	if err := s.usable(ctx); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, ok := s.leaderLocked(name)
	if !ok {
		return "", fault.New(fault.NotFound, "no_leader", "nobody leads %q now", name)
	}
	return string(rec.Value), nil
}

func (s *Store) leaderLocked(name string) (first store.Record, ok bool) {
	s.root.ascend(electionKey(name), func(rec store.Record) bool {
		first, ok = rec, true
		return false
	})
	return first, ok
}

// endTermsLocked ends the terms whose keys were deleted.
func (s *Store) endTermsLocked(events []store.Event) {
	for _, e := range events {
		if t, ok := s.terms[e.Record.Key]; ok && e.Deleted {
			delete(s.terms, t.key)
			close(t.done)
		}
	}
}

// Fence implements [store.Term].
func (t *term) Fence() store.Cond { return store.CreatedAt(t.key, t.rev) }

// Rev implements [store.Term].
func (t *term) Rev() store.Revision { return t.rev }

// Done implements [store.Term].
func (t *term) Done() <-chan struct{} { return t.done }

// Resign implements [store.Term]. To resign twice, or after the end, is no error.
func (t *term) Resign(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := t.s.commit(store.Txn{If: []store.Cond{t.Fence()}, Then: []store.Op{store.Delete(t.key)}})
	if errors.Is(err, fault.Stale) {
		return nil
	}
	return err
}
