package etcd

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/store"
)

// user is as large as a stored user.
var user = make([]byte, 700)

// BenchmarkBulkLoad is the floor of a first sync: the same bytes in the same
// transactions, four in flight. One iteration is one transaction.
func BenchmarkBulkLoad(b *testing.B) {
	s := open(b, Options{Dir: b.TempDir()})
	var n atomic.Int64
	b.SetBytes(int64(store.MaxOps * len(user)))
	b.ResetTimer()
	inFlight(4, b.N, func(int) {
		first := n.Add(store.MaxOps)
		ops := make([]store.Op, store.MaxOps)
		for i := range ops {
			ops[i] = store.Put(fmt.Sprintf("u/%09d", first+int64(i)), user)
		}
		mustApply(b, s, ops...)
	})
	b.ReportMetric(float64(b.N)*store.MaxOps/b.Elapsed().Seconds(), "users/s")
}

// BenchmarkPut writes single records from some writers at once.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := open(b, Options{Dir: b.TempDir()})
			b.ResetTimer()
			inFlight(writers, b.N, func(i int) { mustApply(b, s, store.Put(fmt.Sprintf("u/%09d", i), user)) })
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}

// inFlight calls f n times, from some goroutines.
func inFlight(workers, n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				f(i)
			}
		})
	}
	wg.Wait()
}

// BenchmarkList reads 100,000 records by each way of reading.
func BenchmarkList(b *testing.B) {
	const n = 100_000
	_, u := startServer(b, b.TempDir(), "http://127.0.0.1:0")
	for _, way := range []struct {
		name string
		o    Options
	}{
		{"embedded", Options{Dir: b.TempDir()}},
		{"external", Options{Endpoints: []string{u}, Prefix: "/stream/"}},
		{"external paged", Options{Endpoints: []string{u}, Prefix: "/paged/", Paged: true}},
	} {
		b.Run(way.name, func(b *testing.B) {
			s := open(b, way.o)
			if count(b, s, "") == 0 {
				load(b, s, n)
			}
			b.SetBytes(int64(n * len(user)))
			for b.Loop() {
				if got := count(b, s, ""); got != n {
					b.Fatalf("%d records", got)
				}
			}
		})
	}
}

func load(b *testing.B, s *Store, n int) {
	inFlight(4, n/100, func(t int) {
		ops := make([]store.Op, 100)
		for i := range ops {
			ops[i] = store.Put(fmt.Sprintf("u/%09d", t*100+i), user)
		}
		mustApply(b, s, ops...)
	})
}

// BenchmarkOpen starts a store: new, used, and with 100,000 records.
func BenchmarkOpen(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			reopen(b, b.TempDir())
		}
	})
	for _, n := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			dir := b.TempDir()
			s, err := Open(b.Context(), Options{Dir: dir})
			if err != nil {
				b.Fatal(err)
			}
			load(b, s, n)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				reopen(b, dir)
			}
		})
	}
}

func reopen(b *testing.B, dir string) {
	s, err := Open(b.Context(), Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkVisible is the time from a write to its sight in a watch.
func BenchmarkVisible(b *testing.B) {
	s := open(b, Options{Dir: b.TempDir()})
	first := mustApply(b, s, store.Put("k", nil))
	ctx, cancel := context.WithCancel(b.Context())
	seen, done := make(chan store.Revision), make(chan struct{})
	go func() {
		defer close(done)
		for batch, err := range s.Watch(ctx, "", first) {
			if err != nil {
				return
			}
			seen <- batch.Rev
		}
	}()
	var extra time.Duration
	for b.Loop() {
		rev := mustApply(b, s, store.Put("k", user))
		acked := time.Now()
		for <-seen < rev {
			continue
		}
		extra += time.Since(acked)
	}
	b.ReportMetric(float64(extra.Microseconds())/float64(b.N), "µs-after-ack/op")
	cancel()
	<-done
}
