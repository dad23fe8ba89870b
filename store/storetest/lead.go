package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// leader is a store that elects.
type leader interface {
	store.Store
	store.Leader
}

func testLead(t *testing.T, open func(*testing.T) store.Store, _ Options) {
	openLeader := func(t *testing.T) leader {
		s, ok := open(t).(leader)
		if !ok {
			t.Skip("this store elects nobody")
		}
		return s
	}
	t.Run("one leads, the next after it", func(t *testing.T) { testHandOver(t, openLeader(t)) })
	t.Run("elections do not mix", func(t *testing.T) {
		s := openLeader(t)
		one := lead(t, s, "one", "a")
		two := lead(t, s, "one/two", "b") // not an election within the other
		apply(t, s, []store.Cond{one.Fence(), two.Fence()}, store.Put("both", nil))
		wantLeading(t, s, "one", "a")
		wantLeading(t, s, "one/two", "b")
		wantLeading(t, s, "two", "")
	})
	t.Run("who waits can give up", func(t *testing.T) {
		s := openLeader(t)
		term := lead(t, s, "e", "a")
		ctx, cancel := context.WithCancel(t.Context())
		waiting := make(chan error, 1)
		go func() {
			_, err := s.Lead(ctx, "e", "b")
			waiting <- err
		}()
		cancel()
		if err := receive(t, waiting, "the end of Lead"); !errors.Is(err, context.Canceled) {
			t.Errorf("Lead = %v, want the context's error", err)
		}
		resign(t, term)
		wantLeading(t, s, "e", "")
		lead(t, s, "e", "c")
		wantLeading(t, s, "e", "c")
	})
	t.Run("who is deposed cannot write", func(t *testing.T) {
		s := openLeader(t)
		term := lead(t, s, "e", "a")
		// What the end of a lease does to a leader that does not know.
		apply(t, s, nil, store.Delete(term.Fence().Key))
		wantFenced(t, s, term)
		receive(t, term.Done(), "the end of the term")
		next := lead(t, s, "e", "b")
		apply(t, s, []store.Cond{next.Fence()}, store.Put("by", []byte("b")))
		wantFenced(t, s, term)
		resign(t, term) // of a term that is over: no error, and no harm to the next
		apply(t, s, []store.Cond{next.Fence()}, store.Put("by", []byte("b")))
	})
	t.Run("closing ends the term", func(t *testing.T) {
		s := openLeader(t)
		term := lead(t, s, "e", "a")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		receive(t, term.Done(), "the end of the term")
		_, err := s.Lead(t.Context(), "e", "b")
		wantKind(t, err, fault.Unavailable, "Lead after Close")
	})
}

func testHandOver(t *testing.T, s leader) {
	wantLeading(t, s, "e", "")
	first := lead(t, s, "e", "a")
	wantLeading(t, s, "e", "a")
	second := make(chan store.Term, 1)
	go func() {
		term, err := s.Lead(t.Context(), "e", "b")
		if err != nil {
			t.Errorf("Lead = %v", err)
		}
		second <- term
	}()
	var last store.Revision
	for range 50 {
		last = apply(t, s, []store.Cond{first.Fence()}, store.Put("by", []byte("a")))
	}
	select {
	case <-second:
		t.Fatal("two lead at once")
	case <-first.Done():
		t.Fatal("the term ended by itself")
	default:
	}
	wantLeading(t, s, "e", "a")
	resign(t, first)
	receive(t, first.Done(), "the end of the term")
	resign(t, first)

	term := receive(t, second, "the next term")
	wantLeading(t, s, "e", "b")
	wantFenced(t, s, first)
	if term.Rev() < last {
		t.Errorf("the term begins at %d, the leader before wrote at %d", term.Rev(), last)
	}
	apply(t, s, []store.Cond{term.Fence()}, store.Put("by", []byte("b")))
	resign(t, term)
	wantFenced(t, s, term)
	wantLeading(t, s, "e", "")
}

func lead(t *testing.T, s leader, name, id string) store.Term {
	t.Helper()
	term, err := s.Lead(t.Context(), name, id)
	if err != nil {
		t.Fatalf("Lead(%q, %q) = %v", name, id, err)
	}
	return term
}

func resign(t *testing.T, term store.Term) {
	t.Helper()
	if err := term.Resign(t.Context()); err != nil {
		t.Errorf("Resign = %v", err)
	}
}

// wantLeading checks who leads; "" is nobody.
func wantLeading(t *testing.T, s leader, name, id string) {
	t.Helper()
	got, err := s.Leading(t.Context(), name)
	if id == "" {
		wantKind(t, err, fault.NotFound, "Leading(%q)", name)
		return
	}
	if err != nil || got != id {
		t.Errorf("Leading(%q) = %q, %v, want %q", name, got, err, id)
	}
}

// wantFenced checks that term cannot write any more.
func wantFenced(t *testing.T, s leader, term store.Term) {
	t.Helper()
	_, err := s.Apply(t.Context(), store.Txn{If: []store.Cond{term.Fence()}, Then: []store.Op{store.Put("by", []byte("ghost"))}})
	wantKind(t, err, fault.Stale, "Apply after the term")
}
