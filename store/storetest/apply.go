package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

func testApply(t *testing.T, open func(*testing.T) store.Store, _ Options) {
	s := open(t)
	first := put(t, s, "a", "1")
	second := put(t, s, "a", "2")
	other := put(t, s, "dir/x", "1")
	later := put(t, s, "dir/y", "1")

	for _, c := range []struct {
		name  string
		conds []store.Cond
		holds bool
	}{
		{"written at", []store.Cond{store.At("a", second)}, true},
		{"written since", []store.Cond{store.At("a", first)}, false},
		{"written at, of an absent key", []store.Cond{store.At("none", first)}, false},
		{"at zero, of an absent key", []store.Cond{store.At("none", 0)}, true},
		{"at zero, of a key", []store.Cond{store.At("a", 0)}, false},
		{"absent", []store.Cond{store.Absent("none")}, true},
		{"absent, of a key", []store.Cond{store.Absent("a")}, false},
		{"created at", []store.Cond{store.CreatedAt("a", first)}, true},
		{"created earlier", []store.Cond{store.CreatedAt("a", second)}, false},
		{"created at, of an absent key", []store.Cond{store.CreatedAt("none", first)}, false},
		{"created at zero, of an absent key", []store.Cond{store.CreatedAt("none", 0)}, true},
		{"created at zero, of a key", []store.Cond{store.CreatedAt("a", 0)}, false},
		{"prefix unchanged", []store.Cond{store.UnchangedSince("dir/", later)}, true},
		{"one key under the prefix changed", []store.Cond{store.UnchangedSince("dir/", other)}, false},
		{"prefix without keys", []store.Cond{store.UnchangedSince("empty/", 0)}, true},
		{"all of several", []store.Cond{store.At("a", second), store.Absent("none"), store.UnchangedSince("dir/", later)}, true},
		{"all but one", []store.Cond{store.At("a", second), store.Absent("none"), store.UnchangedSince("dir/", other)}, false},
		{"twice the same", []store.Cond{store.Absent("none"), store.Absent("none")}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := len(keys(t, s, "out/"))
			key := "out/" + c.name
			_, err := s.Apply(t.Context(), store.Txn{If: c.conds, Then: []store.Op{store.Put(key, []byte("x")), store.Put(key+"2", nil)}})
			switch {
			case c.holds && err != nil:
				t.Errorf("Apply = %v", err)
			case !c.holds:
				wantKind(t, err, fault.Stale, "Apply")
				wantEqual(t, len(keys(t, s, "out/")), n, "keys after a stale transaction")
			}
		})
	}
	t.Run("a deleted key escapes its prefix", func(t *testing.T) {
		rev := put(t, s, "esc/1", "1")
		apply(t, s, nil, store.Delete("esc/1"))
		apply(t, s, []store.Cond{store.UnchangedSince("esc/", rev)}, store.Put("esc/2", nil))
	})
	t.Run("many operations at one revision", func(t *testing.T) { testManyOps(t, open(t)) })
	t.Run("revisions grow", func(t *testing.T) { testRevisions(t, s) })
}

func testManyOps(t *testing.T, s store.Store) {
	fill(t, s, "old/", 1000)
	put(t, s, "old", "stays")
	put(t, s, "old0", "stays")
	put(t, s, "gone", "")
	rev := apply(t, s, []store.Cond{store.Absent("new")},
		store.DeletePrefix("old/"), store.DeletePrefix("nothing/"), store.Delete("gone"), store.Delete("never"), store.Put("new", []byte("1")), store.Put("new2", []byte("2")))
	recs, _ := list(t, s, "")
	var got []string
	for _, r := range recs {
		got = append(got, r.Key)
		if strings.HasPrefix(r.Key, "new") && r.Rev != rev {
			t.Errorf("%q is of %d, want %d", r.Key, r.Rev, rev)
		}
	}
	wantEqual(t, got, []string{"new", "new2", "old", "old0"}, "List")
}

func testRevisions(t *testing.T, s store.Store) {
	last := put(t, s, "r", "0")
	for i := range 20 {
		rev := put(t, s, "r", strconv.Itoa(i))
		if rev <= last {
			t.Errorf("Apply = %d after %d", rev, last)
		}
		last = rev
	}
	// What changes nothing is no step in the history.
	if rev := apply(t, s, nil, store.Delete("never there")); rev < last {
		t.Errorf("Apply of nothing = %d after %d", rev, last)
	}
	rec, err := s.Get(t.Context(), "r")
	if err != nil || rec.Rev != last {
		t.Errorf("Get = %d, %v, want what Apply returned, %d", rec.Rev, err, last)
	}
}

// testRefused tries what no store takes. Nothing of it may be seen afterwards.
func testRefused(t *testing.T, open func(*testing.T) store.Store, _ Options) {
	s := open(t)
	put(t, s, "p/1", "kept")
	many := func(n int) (ops []store.Op) {
		for i := range n {
			ops = append(ops, store.Put(fmt.Sprintf("m/%d", i), nil))
		}
		return ops
	}
	conds := func(n int) (out []store.Cond) {
		for i := range n {
			out = append(out, store.Absent(fmt.Sprintf("none/%d", i)))
		}
		return out
	}
	for name, txn := range map[string]store.Txn{
		"empty":                       {},
		"conditions only":             {If: conds(1)},
		"too many operations":         {Then: many(store.MaxOps + 1)},
		"too many conditions":         {If: conds(store.MaxOps + 1), Then: many(1)},
		"too many bytes":              {Then: []store.Op{store.Put("big", make([]byte, store.MaxBytes))}},
		"too many bytes in keys":      {Then: []store.Op{store.Delete(strings.Repeat("k", store.MaxBytes+1))}},
		"put twice":                   {Then: append(many(2), store.Put("m/1", nil))},
		"put and deleted":             {Then: []store.Op{store.Put("m/1", nil), store.Delete("m/1")}},
		"deleted twice":               {Then: []store.Op{store.Delete("p/1"), store.Delete("p/1")}},
		"put under a deleted prefix":  {Then: []store.Op{store.Put("p/2", nil), store.DeletePrefix("p/")}},
		"put at a deleted prefix":     {Then: []store.Op{store.Put("p/", nil), store.DeletePrefix("p/")}},
		"deleted prefix in another":   {Then: []store.Op{store.DeletePrefix("p/1"), store.DeletePrefix("p/")}},
		"everything":                  {Then: []store.Op{store.DeletePrefix("")}},
		"no key":                      {Then: []store.Op{store.Put("", nil)}},
		"a condition without a key":   {If: []store.Cond{store.Absent("")}, Then: many(1)},
		"a condition before all time": {If: []store.Cond{store.At("p/1", -1)}, Then: many(1)},
		"unknown operation":           {Then: []store.Op{{Kind: 99, Key: "m/1"}}},
		"unknown condition":           {If: []store.Cond{{Kind: 99, Key: "m/1"}}, Then: many(1)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Apply(t.Context(), txn)
			wantKind(t, err, fault.Invalid, "Apply")
		})
	}
	t.Run("a context that ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Apply(ctx, store.Txn{Then: many(1)}); !errors.Is(err, context.Canceled) {
			t.Errorf("Apply = %v, want the context's error", err)
		}
	})
	wantEqual(t, keys(t, s, ""), []string{"p/1"}, "keys in the end")

	t.Run("what is just within the limits is taken", func(t *testing.T) {
		apply(t, s, conds(store.MaxOps), many(store.MaxOps)...)
		apply(t, s, nil, store.Put("big", make([]byte, store.MaxBytes-len("big"))))
		apply(t, s, nil, store.DeletePrefix("m/1"), store.Put("m/20", nil), store.Put("m/", nil))
	})
}

func testConcurrent(t *testing.T, open func(*testing.T) store.Store, _ Options) {
	t.Run("no update of a counter is lost", func(t *testing.T) {
		s := open(t)
		put(t, s, "n", "0")
		const workers, each = 8, 25
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range each {
					increment(t, s)
				}
			})
		}
		wg.Wait()
		wantEqual(t, get(t, s, "n"), strconv.Itoa(workers*each), "the counter")
	})
	t.Run("one of many creates", func(t *testing.T) {
		s := open(t)
		won := make(chan int, 100)
		var wg sync.WaitGroup
		for i := range cap(won) {
			wg.Go(func() {
				_, err := s.Apply(t.Context(), store.Txn{If: []store.Cond{store.Absent("name")}, Then: []store.Op{store.Put("name", []byte(strconv.Itoa(i)))}})
				if err == nil {
					won <- i
				} else {
					wantKind(t, err, fault.Stale, "Apply")
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d created the key, want 1", len(won))
		}
		wantEqual(t, get(t, s, "name"), strconv.Itoa(<-won), "the winner's value")
	})
	t.Run("acknowledged is visible at once", func(t *testing.T) {
		s := open(t)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				key := strconv.Itoa(i)
				put(t, s, key, key)
				wantEqual(t, get(t, s, key), key, "Get after Apply")
			})
		}
		wg.Wait()
	})
}

// increment adds one to the counter, however often others are faster.
func increment(t *testing.T, s store.Store) {
	for {
		rec, err := s.Get(t.Context(), "n")
		if err != nil {
			t.Errorf("Get = %v", err)
			return
		}
		n, err := strconv.Atoi(string(rec.Value))
		if err != nil {
			t.Errorf("the counter is %q", rec.Value)
			return
		}
		_, err = s.Apply(t.Context(), store.Txn{If: []store.Cond{store.At("n", rec.Rev)}, Then: []store.Op{store.Put("n", []byte(strconv.Itoa(n+1)))}})
		switch {
		case err == nil:
			return
		case !errors.Is(err, fault.Stale):
			t.Errorf("Apply = %v", err)
			return
		}
	}
}
