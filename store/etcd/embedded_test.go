package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	var last store.Revision
	for i := range 3 {
		s, err := Open(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		rev := mustApply(t, s, store.Put(fmt.Sprint(i), []byte("v")))
		if rev <= last {
			t.Errorf("revision %d after %d", rev, last)
		}
		last = rev
		if got := count(t, s, ""); got != i+1 {
			t.Errorf("%d keys after start %d", got, i)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "member")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data is open to others: %v, %v", info.Mode(), err)
	}
}

func TestOpenLocked(t *testing.T) {
	dir := t.TempDir()
	c := start(t, "writer", dir)
	if c.line() == "" {
		t.Fatal("the other process did not start")
	}
	wantOpenFails(t, Options{Dir: dir}, "store_locked")
	if err := Restore(t.Context(), strings.NewReader(""), dir, nil); fault.Code(err) != "store_locked" {
		t.Errorf("Restore = %v, want store_locked", err)
	}
	c.kill()
	if count(t, open(t, Options{Dir: dir}), "a/") == 0 {
		t.Error("nothing there after the other process ended")
	}
}

func TestOpenLockedByEtcd(t *testing.T) {
	dir := t.TempDir()
	startServer(t, dir, "http://127.0.0.1:0")
	wantOpenFails(t, Options{Dir: dir}, "store_locked")
}

func TestOpenUnusable(t *testing.T) {
	t.Run("not a directory", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		wantOpenFails(t, Options{Dir: filepath.Join(file, "data")}, "store_dir")
	})
	t.Run("not writable", func(t *testing.T) {
		wantOpenFails(t, Options{Dir: "/proc/self"}, "store_dir") // not for root either
	})
	t.Run("of a newer version", func(t *testing.T) {
		dir := used(t)
		db, err := bolt.Open(dbPath(dir), 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("cluster")).Put([]byte("clusterVersion"), []byte("3.99.0"))
		}); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		wantOpenFails(t, Options{Dir: dir}, "store_too_new")
	})
	t.Run("not a database", func(t *testing.T) {
		dir := used(t)
		if err := os.WriteFile(dbPath(dir), bytes.Repeat([]byte("x"), 1<<16), 0o600); err != nil {
			t.Fatal(err)
		}
		wantOpenFails(t, Options{Dir: dir}, "store_corrupt")
	})
}

// A start that nobody waits for any more leaves the directory as soon as etcd does.
func TestOpenCanceled(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v, want the context's error", err)
	}
	for {
		s, err := Open(t.Context(), Options{Dir: dir})
		if err == nil {
			mustApply(t, s, store.Put("k", nil))
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			return
		}
		if fault.Code(err) != "store_locked" {
			t.Fatalf("Open after a start that was given up = %v", err)
		}
	}
}

// A server that cannot stream is asked for pages, from then on. The client in this
// process answers as a server before 3.7 does.
func TestStreamUnimplemented(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), NoFsync: true})
	rev := mustApply(t, s, store.Put("a", nil), store.Put("b", nil))
	var got []string
	err := s.stream(t.Context(), s.o.Prefix, int64(rev), func(kvs []*mvccpb.KeyValue) error {
		for _, kv := range kvs {
			got = append(got, s.record(kv).Key)
		}
		return nil
	})
	if fmt.Sprint(got, err) != "[a b] <nil>" || !s.paged.Load() {
		t.Errorf("stream yields %v, %v; pages from now on: %v", got, err, s.paged.Load())
	}
}

// Close does not wait for those who do not read on.
func TestCloseWithReaders(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), NoFsync: true})
	first := mustApply(t, s, store.Put("a", nil), store.Put("b", nil))
	started, closed, done := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for _, err := range s.Watch(context.WithoutCancel(t.Context()), "", first-1) {
			if err != nil {
				return
			}
			started <- struct{}{}
			<-closed
		}
	}()
	<-started
	if err := s.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	close(closed)
	<-done
}

func TestRun(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), NoFsync: true})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// used returns the directory of a store that was used and closed.
func used(t *testing.T) string {
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, store.Put("k", nil))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// By default nothing listens: not on TCP, not on a Unix socket.
func TestNoListener(t *testing.T) {
	before := listeners(t)
	open(t, Options{Dir: t.TempDir()})
	if after := listeners(t); after != before {
		t.Errorf("%d listening sockets with a store, %d without", after, before)
	}
}

// listeners counts the listening sockets of this process.
func listeners(t *testing.T) int {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]bool{}
	for _, fd := range fds {
		if link, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(link, "socket:[") {
			ours[strings.Trim(link, "socket:[]")] = true
		}
	}
	n := 0
	for _, table := range []struct {
		file                string
		state, want, socket int
	}{{"tcp", 3, 0x0A, 9}, {"tcp6", 3, 0x0A, 9}, {"unix", 5, 1, 6}} {
		b, err := os.ReadFile("/proc/self/net/" + table.file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			var state int
			if len(f) <= table.socket {
				continue
			}
			if _, err := fmt.Sscanf(f[table.state], "%x", &state); err == nil && state == table.want && ours[f[table.socket]] {
				// Connected Unix sockets have state 3, listening ones the flag 10000.
				if table.file != "unix" || f[3] == "00010000" {
					n++
				}
			}
		}
	}
	return n
}

func TestDebugSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "private")
	s := open(t, Options{Dir: t.TempDir(), DebugSocket: filepath.Join(dir, "etcd.sock")})
	mustApply(t, s, store.Put("k", []byte("v")))
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + filepath.Join(dir, "etcd.sock")}, DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	resp, err := c.Get(t.Context(), DefaultPrefix+"k")
	if err != nil || len(resp.Kvs) != 1 {
		t.Errorf("Get through the socket = %v, %v", resp, err)
	}

	public := t.TempDir()
	if err := os.Chmod(public, 0o755); err != nil {
		t.Fatal(err)
	}
	wantOpenFails(t, Options{Dir: t.TempDir(), DebugSocket: filepath.Join(public, "etcd.sock")}, "debug_socket_open")
}

// At the quota writes say so; after deletion, compaction and upkeep they go on.
func TestQuota(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Quota: 16 << 20, NoFsync: true})
	value := make([]byte, 512<<10)
	var err error
	for i := 0; err == nil && i < 100; i++ {
		_, err = s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put(fmt.Sprintf("big/%d", i), value)}})
	}
	if fault.Code(err) != "store_full" {
		t.Fatalf("Apply beyond the quota = %v, want store_full", err)
	}
	rev := mustApply(t, s, store.DeletePrefix("big/"))
	if _, err := s.client.Compact(t.Context(), int64(rev), clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	if err := s.maintain(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, store.Put("small", nil))
	st, err := s.Status(t.Context())
	if err != nil || st.Size > 8<<20 || st.InUse > st.Size || st.Quota != 16<<20 || st.FreeDisk <= 0 || !st.Embedded {
		t.Errorf("Status = %+v, %v", st, err)
	}
}

// Defragmentation is safe while others write.
func TestDefragmentWhileWriting(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), NoFsync: true})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			mustApply(t, s, store.Put(fmt.Sprint(i%10), make([]byte, 10<<10)))
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		if err := s.maintain(t.Context(), -1<<62); err != nil {
			t.Error(err)
		}
	}
	if got := count(t, s, ""); got != 10 {
		t.Errorf("%d keys, want 10", got)
	}
}

// A start and a stop say one thing each to those who do not debug.
func TestLog(t *testing.T) {
	var buf bytes.Buffer
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&buf, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(buf.String(), "\n"); lines != 1 || !strings.Contains(buf.String(), `msg="store opened"`) {
		t.Errorf("the log of a start and a stop:\n%s", &buf)
	}
}

func TestLogLevels(t *testing.T) {
	var buf bytes.Buffer
	var quiet atomic.Bool
	z := newZap(slog.New(slog.NewTextHandler(&buf, nil)), &quiet, nil).Sugar()
	z.Infow("not told")
	z.Warnw("told", "b", 2, "a", 1)
	z.With("c", 3).Errorw("told louder")
	quiet.Store(true)
	z.Errorw("not told")
	var got []string
	for line := range strings.Lines(buf.String()) {
		_, rest, _ := strings.Cut(line, " ")
		got = append(got, strings.TrimSpace(rest))
	}
	want := []string{"level=WARN msg=told component=etcd a=1 b=2", `level=ERROR msg="told louder" component=etcd c=3`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("log is %q, want %q", got, want)
	}
}

// die has etcd's logger meet the end.
func die() {
	var quiet atomic.Bool
	newZap(slog.New(slog.DiscardHandler), &quiet, func() { fmt.Println("last words") }).Fatal("disk full")
	fmt.Println("went on")
}

func TestFatal(t *testing.T) {
	c := start(t, "fatal")
	if got := c.line() + c.line(); got != "last words" {
		t.Errorf("a process that cannot go on prints %q", got)
	}
	_ = c.cmd.Wait()
	if code := c.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("it ends with status %d, want 1", code)
	}
}

func mustApply(t testing.TB, s *Store, ops ...store.Op) store.Revision {
	t.Helper()
	rev, err := s.Apply(t.Context(), store.Txn{Then: ops})
	if err != nil {
		t.Errorf("Apply = %v", err)
	}
	return rev
}

func count(t testing.TB, s *Store, prefix string) (n int) {
	t.Helper()
	seq, _, err := s.List(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// A lease that runs out ends the term, as the suite's deleted key does.
func TestLeaseLost(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), NoFsync: true})
	leading, err := s.Lead(t.Context(), "sync", "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Revoke(t.Context(), leading.(*term).session.Lease()); err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), store.Txn{If: []store.Cond{leading.Fence()}, Then: []store.Op{store.Put("k", nil)}})
	if !errors.Is(err, fault.Stale) {
		t.Errorf("Apply without the lease = %v, want Stale", err)
	}
	<-leading.Done()
	if _, err := s.Lead(t.Context(), "sync", "b"); err != nil {
		t.Errorf("Lead after the lease was lost = %v", err)
	}
}
