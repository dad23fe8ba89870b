package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

func testGet(t *testing.T, open func(*testing.T) store.Store, _ Options) {
	s := open(t)

	t.Run("an unknown key is not found", func(t *testing.T) {
		_, err := s.Get(t.Context(), "nobody")
		wantKind(t, err, fault.NotFound, "Get(nobody)")
	})
	t.Run("a record tells when it was created and written", func(t *testing.T) {
		created := put(t, s, "a", "1")
		rev := put(t, s, "a", "2")
		rec, err := s.Get(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, rec, store.Record{Key: "a", Value: []byte("2"), Created: created, Rev: rev}, "Get(a)")
	})
	t.Run("a key is created anew after its deletion", func(t *testing.T) {
		put(t, s, "b", "1")
		apply(t, s, nil, store.Delete("b"))
		wantEqual(t, get(t, s, "b"), "<none>", "after Delete")
		rev := put(t, s, "b", "2")
		rec, err := s.Get(t.Context(), "b")
		if err != nil || rec.Created != rev || rec.Rev != rev {
			t.Errorf("Get(b) = %+v, %v, want it created at %d", rec, err, rev)
		}
	})
	t.Run("values are any bytes, also none", func(t *testing.T) {
		for _, v := range []string{"", "\x00\xff\n", string(make([]byte, 256<<10))} {
			put(t, s, "bytes", v)
			if got := get(t, s, "bytes"); got != v {
				t.Errorf("Get returns %d bytes, want the %d put", len(got), len(v))
			}
		}
	})
	t.Run("nobody shares memory", func(t *testing.T) { testAliasing(t, s) })
	t.Run("a context that ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("Get = %v, want the context's error", err)
		}
		if _, _, err := s.List(ctx, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("List = %v, want the context's error", err)
		}
	})
}

// testAliasing changes every slice that went in or came out, and looks again.
func testAliasing(t *testing.T, s store.Store) {
	value := []byte("mine")
	rev := apply(t, s, nil, store.Put("alias", value))
	one, two := follow(t, s, "alias", rev-1), follow(t, s, "alias", rev-1)
	value[0] = 'X'
	for range 2 {
		rec, err := s.Get(t.Context(), "alias")
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, string(rec.Value), "mine", "Get")
		rec.Value[0] = 'Y'

		recs, _ := list(t, s, "alias")
		wantEqual(t, string(recs[0].Value), "mine", "List")
		recs[0].Value[0] = 'Z'
	}
	for _, f := range []*feed{one, two} {
		v := f.next(t).Events[0].Record.Value
		wantEqual(t, string(v), "mine", "Watch")
		v[0] = 'W'
	}
	wantEqual(t, get(t, s, "alias"), "mine", "Get in the end")
}

func testList(t *testing.T, open func(*testing.T) store.Store, _ Options) {
	t.Run("key order within the prefix", func(t *testing.T) {
		s := open(t)
		for _, k := range []string{"b/2", "b/10", "a", "b0", "b/", "b.", "b", "c/1", "b/1", "b/\xff", "b/ü"} {
			put(t, s, k, k)
		}
		wantEqual(t, keys(t, s, "b/"), []string{"b/", "b/1", "b/10", "b/2", "b/ü", "b/\xff"}, "List(b/)")
		wantEqual(t, keys(t, s, "b/1"), []string{"b/1", "b/10"}, "List(b/1)")
		wantEqual(t, keys(t, s, ""), []string{"a", "b", "b.", "b/", "b/1", "b/10", "b/2", "b/ü", "b/\xff", "b0", "c/1"}, `List("")`)
		wantEqual(t, keys(t, s, "x"), []string{}, "List(x)")
	})
	t.Run("the revision covers what was acknowledged", func(t *testing.T) {
		s := open(t)
		rev := put(t, s, "a", "1")
		recs, at := list(t, s, "")
		if at < rev {
			t.Errorf("List is as of %d, after a write at %d", at, rev)
		}
		wantEqual(t, recs, []store.Record{{Key: "a", Value: []byte("1"), Created: rev, Rev: rev}}, "List")
	})
	t.Run("stopping early is fine", func(t *testing.T) {
		s := open(t)
		fill(t, s, "k/", 500)
		seq, _, err := s.List(t.Context(), "k/")
		if err != nil {
			t.Fatal(err)
		}
		for rec, err := range seq {
			if err != nil || rec.Key != "k/000000" {
				t.Errorf("first = %v, %v", rec, err)
			}
			break
		}
	})
	t.Run("more than fits into a page", func(t *testing.T) {
		s := open(t)
		const n = 25_000
		fill(t, s, "k/", n)
		got := keys(t, s, "k/")
		if len(got) != n || !slices.IsSorted(got) {
			t.Errorf("List yields %d keys, sorted: %v, want %d", len(got), slices.IsSorted(got), n)
		}
	})
	t.Run("writing while ranging", func(t *testing.T) {
		s := open(t)
		fill(t, s, "k/", 300)
		seq, rev, err := s.List(t.Context(), "k/")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rec, err := range seq {
			if err != nil {
				t.Fatal(err)
			}
			if rec.Rev > rev {
				t.Errorf("%q is of %d in a list of %d", rec.Key, rec.Rev, rev)
			}
			if n++; n%30 == 0 {
				apply(t, s, nil, store.Put(rec.Key, []byte("again")), store.Put(rec.Key+"+", nil), store.Delete("k/000298"))
			}
		}
		wantEqual(t, n, 300, "records as of the revision")
	})
	t.Run("one revision while others write", func(t *testing.T) { testListConsistent(t, open(t)) })
}

// fill puts n keys in as few transactions as it takes.
func fill(t testing.TB, s store.Store, prefix string, n int) {
	t.Helper()
	var ops []store.Op
	for i := range n {
		ops = append(ops, store.Put(fmt.Sprintf("%s%06d", prefix, i), []byte(strconv.Itoa(i))))
		if len(ops) == store.MaxOps || i == n-1 {
			apply(t, s, nil, ops...)
			ops = nil
		}
	}
}

// testListConsistent rewrites all keys in each transaction, so that a list of one
// revision finds the same value everywhere.
func testListConsistent(t *testing.T, s store.Store) {
	write := func(i int) {
		var ops []store.Op
		for k := range store.MaxOps {
			ops = append(ops, store.Put(fmt.Sprintf("k/%03d", k), []byte(strconv.Itoa(i))))
		}
		apply(t, s, nil, ops...)
	}
	write(0)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
				write(i)
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	for range 30 {
		recs, rev := list(t, s, "k/")
		if len(recs) != store.MaxOps {
			t.Fatalf("List yields %d records, want %d", len(recs), store.MaxOps)
		}
		for _, r := range recs {
			if string(r.Value) != string(recs[0].Value) || r.Rev != recs[0].Rev || r.Rev > rev {
				t.Fatalf("List at %d yields %q of %d beside %q of %d", rev, r.Value, r.Rev, recs[0].Value, recs[0].Rev)
			}
		}
	}
}
