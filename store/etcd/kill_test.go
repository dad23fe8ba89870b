package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

const (
	writers    = 16
	killRounds = 25
)

// write leads, and then writes from many goroutines until it is killed. Each
// transaction puts two keys and the writer's count; what is acknowledged is printed.
func write() {
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: os.Args[1], Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		fail(err)
	}
	term, err := s.Lead(ctx, "sync", "writer")
	if err != nil {
		fail(err)
	}
	for w := range writers {
		go func() {
			last := fmt.Sprintf("last/%d", w)
			n, rev := 0, store.Revision(0)
			if rec, err := s.Get(ctx, last); err == nil {
				rev = rec.Rev
				n, _ = strconv.Atoi(string(rec.Value))
			}
			for {
				n++
				v := strconv.AppendInt(nil, int64(n), 10)
				var err error
				rev, err = s.Apply(ctx, store.Txn{
					If:   []store.Cond{term.Fence(), store.At(last, rev)},
					Then: []store.Op{store.Put(fmt.Sprintf("a/%d/%d", w, n), v), store.Put(last, v), store.Put(fmt.Sprintf("b/%d/%d", w, n), v)},
				})
				if err != nil {
					fail(err)
				}
				fmt.Fprintf(os.Stdout, "%d %d\n", w, n)
			}
		}()
	}
	untilOrphaned()
	os.Exit(0)
}

// A store killed at any moment has everything that it acknowledged, at most one
// more write of each writer, and nothing half done; and nobody leads any more.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := make([]int, writers)
	for round := range killRounds {
		c := start(t, "writer", dir)
		switch round % 3 {
		case 0: // at any time after the process began, also while etcd starts
			time.AfterFunc(rand.N(200*time.Millisecond), func() { _ = c.cmd.Process.Kill() })
		default: // after some writes
			for range rand.N(600) + 1 {
				acknowledge(t, acked, c.line())
			}
			_ = c.cmd.Process.Kill()
		}
		for c.lines.Scan() {
			acknowledge(t, acked, c.lines.Text())
		}
		c.kill()
		checkKilled(t, dir, acked)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	total := 0
	for _, n := range acked {
		total += n
	}
	t.Logf("%d rounds, %d writes acknowledged", killRounds, total)
}

// acknowledge notes a line of a writer. The last line may be cut off.
func acknowledge(t *testing.T, acked []int, line string) {
	if line == "" {
		return
	}
	var w, n int
	if _, err := fmt.Sscanf(line, "%d %d", &w, &n); err != nil {
		t.Fatalf("a writer prints %q", line)
	}
	if n <= acked[w] {
		t.Errorf("writer %d counts %d after %d", w, n, acked[w])
	}
	acked[w] = n
}

func checkKilled(t *testing.T, dir string, acked []int) {
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatalf("Open after a kill = %v", err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if id, err := s.Leading(t.Context(), "sync"); !errors.Is(err, fault.NotFound) {
		t.Errorf("Leading = %q, %v, want nobody", id, err)
	}
	seq, _, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	last, found := make([]int, writers), map[string]int{}
	for rec, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		kind, rest, _ := strings.Cut(rec.Key, "/")
		w, _, _ := strings.Cut(rest, "/")
		if kind == "last" {
			n, _ := strconv.Atoi(w)
			last[n], _ = strconv.Atoi(string(rec.Value))
			continue
		}
		found[kind+w]++
	}
	for w := range writers {
		if last[w] < acked[w] || last[w] > acked[w]+1 {
			t.Errorf("writer %d: %d acknowledged, %d there", w, acked[w], last[w])
		}
		if a, b := found["a"+strconv.Itoa(w)], found["b"+strconv.Itoa(w)]; a != last[w] || b != last[w] {
			t.Errorf("writer %d: %d transactions, %d and %d of their keys", w, last[w], a, b)
		}
		acked[w] = last[w] // what was open is settled
	}
}

// A first start killed at any moment leaves a directory that the next can use.
func TestKillFirstStart(t *testing.T) {
	for range 12 {
		dir := t.TempDir()
		c := start(t, "writer", dir)
		time.AfterFunc(rand.N(120*time.Millisecond), func() { _ = c.cmd.Process.Kill() })
		for c.lines.Scan() {
			continue
		}
		c.kill()
		reopenSoon(t, dir)
	}
}

// The moment that the test above seldom meets: etcd has made its log and noted
// nothing in it. Left to itself it would wait for a leader for ever.
func TestOpenUnborn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "member", "wal")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := wal.Create(zap.NewNop(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	reopenSoon(t, dir)
}

// The moment before that: the database is there, and nothing or only a part of its
// first write is in it.
func TestOpenStub(t *testing.T) {
	for _, size := range []int64{0, 4096, 4*4096 - 1} {
		dir := t.TempDir()
		path := dbPath(dir)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		reopenSoon(t, dir)
	}
}

func reopenSoon(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		t.Fatalf("Open after a start that was killed = %v", err)
	}
	mustApply(t, s, store.Put("k", nil))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
