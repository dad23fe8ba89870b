package mem_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/store/storetest"
)

func TestSuite(t *testing.T) {
	open := func(t *testing.T) store.Store {
		s := mem.New()
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	storetest.Run(t, open, storetest.Options{Compact: func(_ context.Context, s store.Store, rev store.Revision) error {
		s.(*mem.Store).Compact(rev)
		return nil
	}})
}

var errInjected = errors.New("injected")

// A transaction that fails before its commit leaves nothing; one whose answer is
// lost is there.
func TestFail(t *testing.T) {
	s := mem.New()
	txn := store.Txn{Then: []store.Op{store.Put("k", []byte("v"))}}
	s.Fail(func(store.Txn) error { return errInjected })
	if _, err := s.Apply(t.Context(), txn); !errors.Is(err, errInjected) {
		t.Errorf("Apply = %v, want the injected error", err)
	}
	if _, err := s.Get(t.Context(), "k"); !errors.Is(err, fault.NotFound) {
		t.Errorf("Get after a failed transaction = %v", err)
	}
	s.Fail(func(store.Txn) error { return mem.AnswerLost })
	if _, err := s.Apply(t.Context(), txn); !errors.Is(err, fault.Unavailable) || !errors.Is(err, mem.AnswerLost) {
		t.Errorf("Apply = %v, want Unavailable", err)
	}
	if rec, err := s.Get(t.Context(), "k"); err != nil || rec.Rev != s.Revision() {
		t.Errorf("Get after a lost answer = %v, %v", rec, err)
	}
	// A condition that does not hold is still a plain answer.
	if _, err := s.Apply(t.Context(), store.Txn{If: []store.Cond{store.Absent("k")}, Then: txn.Then}); !errors.Is(err, fault.Stale) {
		t.Errorf("Apply = %v, want Stale", err)
	}
	s.Fail(nil)
	if _, err := s.Apply(t.Context(), txn); err != nil {
		t.Errorf("Apply = %v", err)
	}
}

// The hook may write by itself: this is how a test makes a write come too late.
func TestFailRaces(t *testing.T) {
	s := mem.New()
	rev, err := s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put("k", []byte("mine"))}})
	if err != nil {
		t.Fatal(err)
	}
	s.Fail(func(store.Txn) error {
		s.Fail(nil)
		_, err := s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put("k", []byte("theirs"))}})
		return err
	})
	_, err = s.Apply(t.Context(), store.Txn{If: []store.Cond{store.At("k", rev)}, Then: []store.Op{store.Put("k", []byte("mine again"))}})
	if !errors.Is(err, fault.Stale) {
		t.Errorf("Apply = %v, want Stale", err)
	}
}

// What one write costs does not depend on how much there is.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := mem.New()
			for i := range n {
				if _, err := s.Apply(b.Context(), store.Txn{Then: []store.Op{store.Put(fmt.Sprint(i), nil)}}); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if _, err := s.Apply(b.Context(), store.Txn{Then: []store.Op{store.Put(fmt.Sprint(b.N%n), nil)}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
