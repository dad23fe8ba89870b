package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"

	"github.com/rollcall-id/rollcall/fault"
)

// revisionBump is added to the revision on restore, so that a revision handed out
// after the snapshot was taken is never handed out again. It is that of etcd's own
// instructions for restoring: more than anybody writes between two backups.
const revisionBump = 1_000_000_000

// partial begins the names of directories in which a restore was at work.
const partial = ".restore-"

// Snapshot implements [store.Snapshotter]. The copy ends with its SHA-256, without
// which Restore refuses it. It holds everything in etcd, of a cluster also what
// stands under other prefixes.
func (s *Store) Snapshot(ctx context.Context, w io.Writer) error {
	call, leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	r, err := s.client.Snapshot(call)
	if err != nil {
		return s.readFailed(ctx, "take a snapshot", err)
	}
	defer func() { _ = r.Close() }()
	toldApart := &writeErr{w: w}
	if _, err := io.Copy(toldApart, r); err != nil {
		if toldApart.err != nil {
			return fmt.Errorf("write the snapshot: %w", toldApart.err)
		}
		return s.readFailed(ctx, "take a snapshot", err)
	}
	return nil
}

// writeErr remembers whether it was the writer that failed.
type writeErr struct {
	w   io.Writer
	err error
}

func (e *writeErr) Write(p []byte) (int, error) {
	n, err := e.w.Write(p)
	e.err = err
	return n, err
}

// Restore makes dir, which must be empty or missing, an embedded store with the
// content of the snapshot. It refuses a snapshot that is cut short or changed.
// After any error dir is as it was. Revisions go on far above those of the
// snapshot, and its history counts as compacted, so that followers read all again.
func Restore(ctx context.Context, snapshot io.Reader, dir string, log *slog.Logger) error {
	_, err := os.Stat(dir)
	fresh := errors.Is(err, os.ErrNotExist)
	lock, err := prepareDir(dir)
	if err != nil {
		return err
	}
	err = restoreInto(ctx, snapshot, dir, log)
	err = errors.Join(err, lock.release())
	if err != nil && fresh {
		err = errors.Join(err, os.Remove(dir))
	}
	return err
}

func restoreInto(ctx context.Context, r io.Reader, dir string, log *slog.Logger) (err error) {
	if err := emptyDir(dir); err != nil {
		return err
	}
	// Beside the target, in the same file system, also when dir is a mount point.
	work, err := os.MkdirTemp(dir, partial)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	file := filepath.Join(work, "snapshot.db")
	if err := copyFile(ctx, file, r); err != nil {
		return err
	}
	made := filepath.Join(work, "data")
	if err := rebuild(file, made, log); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(made, "member"), filepath.Join(dir, "member")); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return syncDir(dir)
}

// emptyDir refuses a directory with anything in it but the remains of restores that
// were killed, which it removes.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), partial) {
			return fault.New(fault.Conflict, "restore_not_empty", "%s is not empty: restore into an empty directory, and keep the old one until you have seen the result", dir)
		}
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	return nil
}

func copyFile(ctx context.Context, path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { _ = f.Close() }()
	if _, err := io.Copy(f, readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})); err != nil {
		return fmt.Errorf("read the snapshot: %w", err)
	}
	return f.Close()
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// rebuild has etcd verify the snapshot and make a data directory of it.
func rebuild(file, dir string, log *slog.Logger) (err error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if r := recover(); r != nil {
			err = errors.New(fmt.Sprint(r))
		}
		if err != nil {
			err = fault.New(fault.Invalid, "snapshot_corrupt", "this is not a whole snapshot, use another one: %w", err)
		}
	}()
	var quiet atomic.Bool
	m := snapshot.NewV3(newZap(log, &quiet, nil))
	return m.Restore(snapshot.RestoreConfig{
		SnapshotPath:        file,
		Name:                memberName,
		OutputDataDir:       dir,
		PeerURLs:            []string{memberURL},
		InitialCluster:      memberName + "=" + memberURL,
		InitialClusterToken: memberName,
		RevisionBump:        revisionBump,
		MarkCompacted:       true,
	})
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
