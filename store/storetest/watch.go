package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rollcall-id/rollcall/store"
)

// feed is a watch in a goroutine of its own, which ends with the test.
type feed struct {
	batches chan store.Batch
	err     chan error // what the watch ended with
	cancel  context.CancelFunc
}

func follow(t testing.TB, s store.Store, prefix string, after store.Revision) *feed {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &feed{batches: make(chan store.Batch), err: make(chan error, 1), cancel: cancel}
	var wg sync.WaitGroup
	wg.Go(func() {
		for b, err := range s.Watch(ctx, prefix, after) {
			if err != nil {
				f.err <- err
				continue // it must have been the last
			}
			select {
			case f.batches <- b:
			case <-ctx.Done():
			}
		}
		close(f.err)
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return f
}

func (f *feed) next(t testing.TB) store.Batch {
	t.Helper()
	select {
	case err := <-f.err:
		t.Fatalf("Watch ended with %v", err)
	default:
	}
	return receive(t, f.batches, "a batch")
}

// until returns the events up to and with revision rev, and checks what holds for
// every watch: batches in order, at the revision of their last event, none split.
func (f *feed) until(t testing.TB, rev store.Revision) (all []store.Event) {
	t.Helper()
	for last := store.Revision(0); last < rev; {
		b := f.next(t)
		if len(b.Events) == 0 {
			t.Fatalf("a batch at %d without events", b.Rev)
		}
		before := last
		for _, e := range b.Events {
			if e.Record.Rev <= before || e.Record.Rev < last {
				t.Fatalf("an event of %d in a batch after %d: split or out of order", e.Record.Rev, before)
			}
			last = e.Record.Rev
		}
		if b.Rev != last {
			t.Fatalf("a batch is of %d, its last event of %d", b.Rev, last)
		}
		all = append(all, b.Events...)
	}
	return all
}

// tell prints events as text: "+key=value" and "-key".
func tell(events []store.Event) string {
	var out []string
	for _, e := range events {
		if e.Deleted {
			out = append(out, "-"+e.Record.Key)
		} else {
			out = append(out, fmt.Sprintf("+%s=%s", e.Record.Key, e.Record.Value))
		}
	}
	return strings.Join(out, " ")
}

func testWatch(t *testing.T, open func(*testing.T) store.Store, o Options) {
	t.Run("in order, of the prefix only", func(t *testing.T) {
		s := open(t)
		start := put(t, s, "w/0", "before")
		f := follow(t, s, "w/", start)
		put(t, s, "w/a", "1")
		put(t, s, "v/a", "not")
		put(t, s, "w", "not")
		put(t, s, "w0", "not")
		apply(t, s, nil, store.Put("w/b", []byte("2")), store.Put("x", []byte("not")), store.Delete("w/none"))
		put(t, s, "w/a", "3")
		rev := apply(t, s, nil, store.Delete("w/a"), store.Put("w/c", nil))
		wantEqual(t, tell(f.until(t, rev)), "+w/a=1 +w/b=2 +w/a=3 -w/a +w/c=", "events")
	})
	t.Run("records of puts and deletions", func(t *testing.T) {
		s := open(t)
		created := put(t, s, "a", "1")
		f := follow(t, s, "", created)
		changed := put(t, s, "a", "2")
		wantEqual(t, f.next(t), store.Batch{Rev: changed, Events: []store.Event{{Record: store.Record{Key: "a", Value: []byte("2"), Created: created, Rev: changed}}}}, "a put")
		deleted := apply(t, s, nil, store.Delete("a"))
		wantEqual(t, f.next(t), store.Batch{Rev: deleted, Events: []store.Event{{Deleted: true, Record: store.Record{Key: "a", Rev: deleted}}}}, "a deletion")
	})
	t.Run("a deleted prefix tells each key", func(t *testing.T) {
		s := open(t)
		fill(t, s, "d/", 200)
		start := put(t, s, "d", "")
		f := follow(t, s, "d/", start)
		rev := apply(t, s, nil, store.DeletePrefix("d/"))
		if b := f.next(t); len(b.Events) != 200 || b.Rev != rev {
			t.Errorf("a batch of %d events at %d, want 200 at %d", len(b.Events), b.Rev, rev)
		}
	})
	t.Run("from the past", func(t *testing.T) { testCatchUp(t, open(t)) })
	t.Run("from the future", func(t *testing.T) {
		s := open(t)
		rev := put(t, s, "a", "1")
		f := follow(t, s, "", rev+1) // what comes next is not wanted
		put(t, s, "a", "2")
		third := put(t, s, "a", "3")
		put(t, s, "a", "4")
		// A batch may hold several transactions: where it starts is what counts.
		if b := f.next(t); b.Events[0].Record.Rev != third {
			t.Errorf("the first batch is %s from %d, want it from %d", tell(b.Events), b.Events[0].Record.Rev, third)
		}
	})
	t.Run("whole transactions of many writers", func(t *testing.T) { testWholeTransactions(t, open(t)) })
	t.Run("ends with its context", func(t *testing.T) {
		s := open(t)
		f := follow(t, s, "", put(t, s, "a", "1"))
		put(t, s, "a", "2")
		f.next(t)
		f.cancel()
		if err := receive(t, f.err, "the end of the watch"); !errors.Is(err, context.Canceled) {
			t.Errorf("Watch ends with %v, want the context's error", err)
		}
	})
	t.Run("stopping early is fine", func(t *testing.T) {
		s := open(t)
		start := put(t, s, "a", "1")
		put(t, s, "a", "2")
		for b, err := range s.Watch(t.Context(), "", start) {
			wantEqual(t, tell(b.Events), "+a=2", "first batch, with %v", err)
			break
		}
	})
	t.Run("compacted", func(t *testing.T) { testCompacted(t, open(t), o) })
}

func testCatchUp(t *testing.T, s store.Store) {
	start := put(t, s, "a", "start")
	const n = 300
	var last store.Revision
	var want []string
	for i := range n {
		ops := make([]store.Op, 20)
		for k := range ops {
			ops[k] = store.Put(fmt.Sprintf("k/%02d", k), fmt.Append(nil, i))
			want = append(want, fmt.Sprintf("+k/%02d=%d", k, i))
		}
		last = apply(t, s, nil, ops...)
	}
	wantEqual(t, tell(follow(t, s, "k/", start).until(t, last)), strings.Join(want, " "), "events from the past")
	// From the middle: exactly what comes after.
	middle := put(t, s, "k/00", "middle")
	last = put(t, s, "k/00", "end")
	wantEqual(t, tell(follow(t, s, "k/", middle).until(t, last)), "+k/00=end", "events after the middle")
}

// testWholeTransactions has writers that put the same tag under five keys at once.
func testWholeTransactions(t *testing.T, s store.Store) {
	start := put(t, s, "start", "")
	f := follow(t, s, "k/", start)
	const writers, each, puts = 8, 40, 5
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				ops := make([]store.Op, puts)
				for k := range ops {
					ops[k] = store.Put(fmt.Sprintf("k/%d/%d", w, k), fmt.Appendf(nil, "%d-%d", w, i))
				}
				apply(t, s, nil, ops...)
			}
		})
	}
	wg.Wait()
	events := f.until(t, put(t, s, "k/end", ""))
	if want := writers*each*puts + 1; len(events) != want {
		t.Fatalf("%d events, want %d", len(events), want)
	}
	for i := 0; i+puts <= len(events)-1; i += puts {
		for _, e := range events[i : i+puts] {
			first := events[i].Record
			if e.Record.Rev != first.Rev || string(e.Record.Value) != string(first.Value) {
				t.Fatalf("the transaction %q of %d is mixed with %q of %d", first.Value, first.Rev, e.Record.Value, e.Record.Rev)
			}
		}
	}
}

func testCompacted(t *testing.T, s store.Store, o Options) {
	start := put(t, s, "a", "0")
	live := follow(t, s, "", start)
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	last := put(t, s, "a", "3")
	live.until(t, last)
	if err := o.Compact(t.Context(), s, last); err != nil {
		t.Fatalf("compact: %v", err)
	}
	f := follow(t, s, "", start)
	if err := receive(t, f.err, "the end of the watch"); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("Watch from before the compaction ends with %v, want ErrCompacted", err)
	}
	// Those who were up to date go on, and so do lists.
	next := follow(t, s, "", last)
	rev := put(t, s, "a", "4")
	wantEqual(t, tell(live.until(t, rev)), "+a=4", "the watch that was running")
	wantEqual(t, tell(next.until(t, rev)), "+a=4", "a watch from the compaction on")
	wantEqual(t, keys(t, s, ""), []string{"a"}, "List")
}
