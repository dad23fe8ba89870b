package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// snapshotted returns a store, a snapshot of it, and what was in it then.
func snapshotted(t *testing.T) (*Store, []byte, []store.Record) {
	s := open(t, Options{Dir: t.TempDir(), NoFsync: true})
	for i := range 20 {
		var ops []store.Op
		for k := range 50 {
			ops = append(ops, store.Put(fmt.Sprintf("k/%02d/%02d", i, k), fmt.Append(nil, i)))
		}
		mustApply(t, s, ops...)
	}
	mustApply(t, s, store.Delete("k/00/00"), store.Put("k/00/01", []byte("changed")))
	var buf bytes.Buffer
	if err := s.Snapshot(t.Context(), &buf); err != nil {
		t.Fatal(err)
	}
	return s, buf.Bytes(), records(t, s)
}

func records(t *testing.T, s *Store) (out []store.Record) {
	seq, _, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rec)
	}
	return out
}

func TestRestore(t *testing.T) {
	old, snap, want := snapshotted(t)
	last := mustApply(t, old, store.Put("later", nil)) // a revision that somebody has seen
	for name, dir := range map[string]string{
		"into a missing directory": filepath.Join(t.TempDir(), "data"),
		"into an empty directory":  t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) {
			if err := Restore(t.Context(), bytes.NewReader(snap), dir, nil); err != nil {
				t.Fatalf("Restore = %v", err)
			}
			wantEntries(t, dir, "member")
			s := open(t, Options{Dir: dir})
			if diff := cmp.Diff(want, records(t, s)); diff != "" {
				t.Errorf("restored (-want +got):\n%s", diff)
			}
			if rev := mustApply(t, s, store.Put("new", nil)); rev <= last+revisionBump/2 {
				t.Errorf("the first revision is %d, those handed out before went to %d", rev, last)
			}
			for b, err := range s.Watch(t.Context(), "", last-1) {
				if !errors.Is(err, store.ErrCompacted) {
					t.Errorf("Watch from before = %v, %v, want ErrCompacted", b, err)
				}
				break
			}
		})
	}
}

func TestRestoreRefused(t *testing.T) {
	_, snap, _ := snapshotted(t)
	flipped := bytes.Clone(snap)
	flipped[len(flipped)/2] ^= 1
	for name, c := range map[string]struct {
		in   io.Reader
		code string
	}{
		"one bit changed": {bytes.NewReader(flipped), "snapshot_corrupt"},
		"cut short":       {bytes.NewReader(snap[:len(snap)-512]), "snapshot_corrupt"},
		"without its sum": {bytes.NewReader(snap[:len(snap)-32]), "snapshot_corrupt"},
		"empty":           {bytes.NewReader(nil), "snapshot_corrupt"},
		"something else":  {bytes.NewReader([]byte("hello")), "snapshot_corrupt"},
		"read error":      {io.MultiReader(bytes.NewReader(snap[:1000]), failing{}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			missing, empty := filepath.Join(t.TempDir(), "data"), t.TempDir()
			var b []byte
			if c.code != "" {
				b, _ = io.ReadAll(c.in)
			}
			for _, dir := range []string{missing, empty} {
				in := c.in
				if c.code != "" {
					in = bytes.NewReader(b)
				}
				err := Restore(t.Context(), in, dir, nil)
				if err == nil || fault.Code(err) != c.code {
					t.Errorf("Restore = %v (code %q), want the code %q", err, fault.Code(err), c.code)
				}
			}
			if _, err := os.Stat(missing); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the directory was made and left: %v", err)
			}
			wantEntries(t, empty)
		})
	}
	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		dir := t.TempDir()
		if err := Restore(ctx, bytes.NewReader(snap), dir, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("Restore = %v, want the context's error", err)
		}
		wantEntries(t, dir)
	})
}

// What is in the directory is left alone, unless a killed restore left it.
func TestRestoreNotEmpty(t *testing.T) {
	_, snap, _ := snapshotted(t)
	dir := used(t)
	if err := Restore(t.Context(), bytes.NewReader(snap), dir, nil); fault.Code(err) != "restore_not_empty" {
		t.Errorf("Restore = %v, want restore_not_empty", err)
	}
	if _, err := open(t, Options{Dir: dir}).Get(t.Context(), "k"); err != nil {
		t.Errorf("Get(k) from the store that was there = %v", err)
	}

	dir = t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, partial+"123", "data", "member"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Restore(t.Context(), bytes.NewReader(snap), dir, nil); err != nil {
		t.Errorf("Restore over the remains of another = %v", err)
	}
	wantEntries(t, dir, "member")
}

// A writer that fails is not the store's failure.
func TestSnapshotWriterFails(t *testing.T) {
	s, _, _ := snapshotted(t)
	err := s.Snapshot(t.Context(), failing{})
	if !errors.Is(err, errFailing) || fault.Kind(err) != nil {
		t.Errorf("Snapshot = %v, want the writer's error", err)
	}
}

var errFailing = errors.New("failing")

type failing struct{}

func (failing) Read([]byte) (int, error)  { return 0, errFailing }
func (failing) Write([]byte) (int, error) { return 0, errFailing }

func wantEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("in %s (-want +got):\n%s", dir, diff)
	}
}
