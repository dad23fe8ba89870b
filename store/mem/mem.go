package mem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"sync"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// AnswerLost is what the function given to [Store.Fail] returns to have the
// transaction committed and its answer lost: Apply then returns fault.Unavailable.
var AnswerLost = errors.New("the answer was lost after the commit")

// Store is a store in memory. Make it with [New].
type Store struct {
	seed maphash.Seed

	mu      sync.Mutex // guards all below
	closed  bool
	root    *node
	rev     store.Revision
	history []store.Batch // consecutive revisions up to rev
	grown   chan struct{} // closed and replaced at each commit and at Close
	fail    func(store.Txn) error
	terms   map[string]*term // by their key
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Leader = (*Store)(nil)
)

// New returns an empty store.
func New() *Store {
	return &Store{seed: maphash.MakeSeed(), rev: 1, grown: make(chan struct{}), terms: map[string]*term{}}
}

// Fail has f called before each transaction commits, after its conditions were
// found well formed and before they are checked. An error of f is returned by
// Apply, and nothing is committed, except for [AnswerLost]. f may use the store,
// for example to write just before another. Fail(nil) ends it.
func (s *Store) Fail(f func(store.Txn) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// Revision returns that of the last transaction.
func (s *Store) Revision() store.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rev
}

// Compact forgets the history before rev. A watch that needs it ends with
// store.ErrCompacted.
func (s *Store) Compact(rev store.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.firstLocked(); rev > first {
		n := min(int(rev-first), len(s.history))
		s.history = append([]store.Batch(nil), s.history[n:]...)
	}
}

// firstLocked is the revision of history[0], or that of the next one to come.
func (s *Store) firstLocked() store.Revision {
	return s.rev - store.Revision(len(s.history)) + 1
}

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	root, _, err := s.snapshot(ctx)
	if err != nil {
		return store.Record{}, err
	}
	rec, ok := root.get(key)
	if !ok {
		return store.Record{}, fault.New(fault.NotFound, "key_not_found", "there is no %q", key)
	}
	return own(rec), nil
}

// List implements [store.Store].
func (s *Store) List(ctx context.Context, prefix string) (iter.Seq2[store.Record, error], store.Revision, error) {
	root, rev, err := s.snapshot(ctx)
	if err != nil {
		return nil, 0, err
	}
	seq := func(yield func(store.Record, error) bool) {
		root.ascend(prefix, func(rec store.Record) bool {
			if err := s.usable(ctx); err != nil {
				yield(store.Record{}, err)
				return false
			}
			return yield(own(rec), nil)
		})
	}
	return seq, rev, nil
}

// Apply implements [store.Store].
func (s *Store) Apply(ctx context.Context, t store.Txn) (store.Revision, error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	if err := t.Validate(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	fail := s.fail
	s.mu.Unlock()
	lost := false
	if fail != nil {
		if err := fail(t); errors.Is(err, AnswerLost) {
			lost = true
		} else if err != nil {
			return 0, err
		}
	}
	rev, err := s.commit(t)
	if err == nil && lost {
		return 0, fault.New(fault.Unavailable, "store_unknown_outcome", "no answer from the store: %w", AnswerLost)
	}
	return rev, err
}

func (s *Store) commit(t store.Txn) (store.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, errClosed()
	}
	return s.commitLocked(t)
}

func (s *Store) commitLocked(t store.Txn) (store.Revision, error) {
	for _, c := range t.If {
		if !s.holdsLocked(c) {
			return 0, fault.New(fault.Stale, "stale", "%q changed meanwhile: read it again", c.Key)
		}
	}
	next, root := s.rev+1, s.root
	var events []store.Event
	for _, op := range t.Then {
		var evs []store.Event
		root, evs = s.do(root, op, next)
		events = append(events, evs...)
	}
	if len(events) == 0 {
		return s.rev, nil
	}
	s.root, s.rev = root, next
	s.history = append(s.history, store.Batch{Rev: next, Events: events})
	s.endTermsLocked(events)
	close(s.grown)
	s.grown = make(chan struct{})
	return next, nil
}

func (s *Store) do(root *node, op store.Op, rev store.Revision) (*node, []store.Event) {
	switch op.Kind {
	case store.OpPut:
		rec := store.Record{Key: op.Key, Value: append([]byte{}, op.Value...), Created: rev, Rev: rev}
		if old, ok := root.get(op.Key); ok {
			rec.Created = old.Created
		}
		return root.put(s.seed, rec), []store.Event{{Record: rec}}
	case store.OpDelete:
		if _, ok := root.get(op.Key); !ok {
			return root, nil
		}
		return root.without(op.Key), []store.Event{deleted(op.Key, rev)}
	case store.OpDeletePrefix:
		var events []store.Event
		root.ascend(op.Key, func(rec store.Record) bool {
			events = append(events, deleted(rec.Key, rev))
			return true
		})
		for _, e := range events {
			root = root.without(e.Record.Key)
		}
		return root, events
	}
	panic(fmt.Sprintf("mem: operation kind %d passed Validate", op.Kind))
}

func (s *Store) holdsLocked(c store.Cond) bool {
	rec, _ := s.root.get(c.Key)
	switch c.Kind {
	case store.CondRev:
		return rec.Rev == c.Rev
	case store.CondCreated:
		return rec.Created == c.Rev
	case store.CondUnchangedPrefix:
		return !s.root.changed(c.Key, c.Rev)
	}
	panic(fmt.Sprintf("mem: condition kind %d passed Validate", c.Kind))
}

// Close implements [store.Store]. Watches end and terms are over.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for key, t := range s.terms {
		delete(s.terms, key)
		close(t.done)
	}
	close(s.grown)
	return nil
}

func (s *Store) snapshot(ctx context.Context) (*node, store.Revision, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, 0, errClosed()
	}
	return s.root, s.rev, nil
}

func (s *Store) usable(ctx context.Context) error {
	_, _, err := s.snapshot(ctx)
	return err
}

func errClosed() error {
	return fault.New(fault.Unavailable, "store_closed", "the store is closed")
}

func deleted(key string, rev store.Revision) store.Event {
	return store.Event{Deleted: true, Record: store.Record{Key: key, Rev: rev}}
}

// own returns rec with a value that belongs to the caller.
func own(rec store.Record) store.Record {
	rec.Value = bytes.Clone(rec.Value)
	return rec
}
