// Package storetest is the suite that every store.Store passes, whole: what the
// contract says in words is here in tests, one file for each theme.
//
// A test opens its own store, which is empty but need not be alone: other stores
// may share its history, so revisions grow but need not be consecutive. The suite
// never sleeps to wait; what should come is awaited, at most for a minute.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// patience is when a test gives up waiting: never reached by a store that works.
const patience = time.Minute

// Options tell the suite what the contract leaves to each store.
type Options struct {
	// Compact makes s forget the history before rev.
	Compact func(ctx context.Context, s store.Store, rev store.Revision) error
}

// Run runs the suite. open returns an empty store and closes it with the test.
func Run(t *testing.T, open func(t *testing.T) store.Store, o Options) {
	for _, theme := range []struct {
		name string
		run  func(*testing.T, func(*testing.T) store.Store, Options)
	}{
		{"Get", testGet},
		{"List", testList},
		{"Apply", testApply},
		{"Refused", testRefused},
		{"Concurrent", testConcurrent},
		{"Watch", testWatch},
		{"Close", testClose},
		{"Lead", testLead},
		{"Model", testModel},
	} {
		t.Run(theme.name, func(t *testing.T) { theme.run(t, open, o) })
	}
}

// apply commits a transaction that must succeed.
func apply(t testing.TB, s store.Store, conds []store.Cond, ops ...store.Op) store.Revision {
	t.Helper()
	rev, err := s.Apply(t.Context(), store.Txn{If: conds, Then: ops})
	if err != nil {
		t.Fatalf("Apply(if %v, then %s) = %v", conds, show(ops), err)
	}
	return rev
}

// put writes one key unconditionally.
func put(t testing.TB, s store.Store, key, value string) store.Revision {
	t.Helper()
	return apply(t, s, nil, store.Put(key, []byte(value)))
}

// get returns the value of key, or "<none>".
func get(t testing.TB, s store.Store, key string) string {
	t.Helper()
	rec, err := s.Get(t.Context(), key)
	if errors.Is(err, fault.NotFound) {
		return "<none>"
	}
	if err != nil {
		t.Fatalf("Get(%q) = %v", key, err)
	}
	return string(rec.Value)
}

// list returns what is under prefix, and the revision.
func list(t testing.TB, s store.Store, prefix string) ([]store.Record, store.Revision) {
	t.Helper()
	seq, rev, err := s.List(t.Context(), prefix)
	if err != nil {
		t.Fatalf("List(%q) = %v", prefix, err)
	}
	var out []store.Record
	for rec, err := range seq {
		if err != nil {
			t.Fatalf("List(%q) yields %v after %d records", prefix, err, len(out))
		}
		out = append(out, rec)
	}
	return out, rev
}

// keys returns the keys under prefix, in the order in which they are listed.
func keys(t testing.TB, s store.Store, prefix string) []string {
	t.Helper()
	recs, _ := list(t, s, prefix)
	out := make([]string, len(recs))
	for i, r := range recs {
		out[i] = r.Key
	}
	return out
}

// wantKind fails unless err is of the kind.
func wantKind(t testing.TB, err, kind error, format string, args ...any) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s = %v, want the kind %q", fmt.Sprintf(format, args...), err, kind)
	}
}

func wantEqual[T any](t testing.TB, got, want T, format string, args ...any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", fmt.Sprintf(format, args...), diff)
	}
}

// receive returns what comes out of ch, in time.
func receive[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not happen", what)
		panic("unreachable")
	}
}

// show prints operations without their values.
func show(ops []store.Op) string {
	var b strings.Builder
	for _, op := range ops {
		fmt.Fprintf(&b, "[%d %q]", op.Kind, op.Key)
	}
	return b.String()
}
