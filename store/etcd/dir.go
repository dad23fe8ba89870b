package etcd

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/coreos/go-semver/semver"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.uber.org/zap"

	"github.com/rollcall-id/rollcall/fault"
)

// lockWait is how long a lock is tried for that another process holds for ever.
const lockWait = 200 * time.Millisecond

// dirLock holds a data directory for one process. etcd locks its files, too, but
// waits without end for a lock that another process holds.
type dirLock struct{ dir *os.File }

// prepareDir creates and locks dir, and finds out what would make etcd hang or
// panic: another process, no right to write, files of a newer version.
func prepareDir(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.New(fault.Invalid, "store_dir", "the store's directory cannot be created: %w", err)
	}
	l, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(checkWritable(dir), discardUnborn(dir), checkDB(dir)); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// discardUnborn removes what a first start left that was killed within its first
// milliseconds, before etcd wrote down that it has a member: such files stay without
// a leader for ever. Nothing was ever acknowledged from them.
func discardUnborn(dir string) error {
	walDir := filepath.Join(dir, "member", "wal")
	if !wal.Exist(walDir) {
		return discardStub(dbPath(dir))
	}
	if hasMembers(dbPath(dir)) {
		return nil
	}
	w, err := wal.OpenForRead(zap.NewNop(), walDir, &walpb.Snapshot{})
	if err != nil {
		return nil //nolint:nilerr // It does not begin at the beginning: these files have a history.
	}
	_, state, entries, err := w.ReadAll()
	_ = w.Close()
	if err != nil || len(entries) > 0 || state.GetCommit() > 0 {
		return nil //nolint:nilerr // Whatever this is, it is for etcd to judge.
	}
	return os.RemoveAll(filepath.Join(dir, "member"))
}

// discardStub removes a database that ends before its first write did. bbolt makes
// the file first and fills it then, and etcd makes its log after both: without a log
// nothing was ever stored.
func discardStub(path string) error {
	const firstWrite = 4 * 4096 // two heads, a list of free pages and an empty leaf, at the smallest page size
	info, err := os.Stat(path)
	if err != nil || info.Size() >= firstWrite {
		return nil //nolint:nilerr // Not there, or not to be looked at: for checkDB to say.
	}
	return os.Remove(path)
}

// hasMembers reports whether etcd noted a member in its database. It may have noted
// one in its log only.
func hasMembers(path string) bool {
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: lockWait})
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) // another process, or damage: for checkDB to say
	}
	defer func() { _ = db.Close() }()
	found := false
	err = db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("members"))
		found = b != nil && b.Stats().KeyN > 0
		return nil
	})
	return err != nil || found
}

func checkWritable(dir string) error {
	f, err := os.CreateTemp(dir, ".writable-")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return fault.New(fault.Invalid, "store_dir", "the store's directory %s cannot be written to, give it to the user who runs the daemon: %w", dir, err)
	}
	return nil
}

func dbPath(dir string) string { return filepath.Join(dir, "member", "snap", "db") }

func lockDir(dir string) (*dirLock, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fault.New(fault.Invalid, "store_dir", "the store's directory cannot be read: %w", err)
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		_ = f.Close()
		return nil, errLocked(dir)
	case err != nil:
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return &dirLock{f}, nil
}

func (l *dirLock) release() error { return l.dir.Close() }

func errLocked(dir string) error {
	return fault.New(fault.Conflict, "store_locked",
		"another process uses the store in %s: stop it first, or give each its own directory", dir)
}

// checkDB looks into the database before etcd does. There is none before the first
// start.
func checkDB(dir string) error {
	path := dbPath(dir)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: lockWait})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return errLocked(dir)
	case err != nil:
		return fault.New(fault.Conflict, "store_corrupt", "%s cannot be read, restore a backup into an empty directory: %w", path, err)
	}
	defer func() { _ = db.Close() }()
	return db.View(func(tx *bolt.Tx) error {
		for _, at := range []struct{ bucket, key string }{{"meta", "storageVersion"}, {"cluster", "clusterVersion"}} {
			if b := tx.Bucket([]byte(at.bucket)); b != nil {
				if err := checkVersion(string(b.Get([]byte(at.key)))); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// checkVersion refuses files of a newer minor version than the etcd linked in.
func checkVersion(found string) error {
	v, err := semver.NewVersion(found)
	if err != nil {
		return nil //nolint:nilerr // Not there, as in files of before 3.6: etcd looks for itself.
	}
	ours := semver.New(version.Version)
	if v.Major > ours.Major || v.Major == ours.Major && v.Minor > ours.Minor {
		return fault.New(fault.Conflict, "store_too_new",
			"the store was written by etcd %d.%d, and this program has %d.%d: use the newer program, or restore a backup of the older",
			v.Major, v.Minor, ours.Major, ours.Minor)
	}
	return nil
}
