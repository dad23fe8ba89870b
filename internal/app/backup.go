package app

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/etcd"
)

// A backup is a tar file of two members: the manifest, then the snapshot that the
// manifest describes.
const (
	manifestName = "manifest.json"
	snapshotName = "snapshot.db"
	maxManifest  = 1 << 20
)

// Manifest says what a backup holds.
type Manifest struct {
	Format  int            `json:"format"`
	Version string         `json:"version"` // of Rollcall, when it was made
	Created time.Time      `json:"created"`
	Rev     store.Revision `json:"revision"` // the snapshot is of this or a later one
	Users   int            `json:"users"`
	Groups  int            `json:"groups"`
	Grants  int            `json:"grants"`
	Size    int64          `json:"size"` // of the snapshot, in bytes
	SHA256  string         `json:"sha256"`
	// Audit is where the audit log ended when the snapshot was begun: the log in it goes
	// through there. Nothing: the backup was made before heads were kept in them.
	Audit *audit.Head `json:"audit,omitzero"`
}

const backupFormat = 1

// writeBackup takes a snapshot of the running store and writes the backup to w. The
// snapshot is put into a temporary file first, as the manifest that precedes it names
// its digest.
func writeBackup(ctx context.Context, s store.Snapshotter, db *state.DB, version string, now time.Time, w io.Writer) error {
	file, err := os.CreateTemp("", "rollcall-backup-*")
	if err != nil {
		return fmt.Errorf("make room for the snapshot: %w", err)
	}
	defer func() {
		_ = file.Close() // it is thrown away
		_ = os.Remove(file.Name())
	}()
	m := describe(db.View().Now(), version, now)
	head, err := db.AuditHead(ctx)
	if err != nil {
		return err
	}
	m.Audit = &head
	sum := sha256.New()
	if err := s.Snapshot(ctx, io.MultiWriter(file, sum)); err != nil {
		return err
	}
	m.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if m.Size, err = file.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return pack(w, m, file)
}

func describe(snap *state.Snapshot, version string, now time.Time) Manifest {
	m := Manifest{Format: backupFormat, Version: version, Created: now.UTC(), Rev: snap.Rev(), Grants: snap.Book().Len()}
	for range snap.Users(identity.UserID{}, now) {
		m.Users++
	}
	for range snap.Groups(identity.GroupID{}) {
		m.Groups++
	}
	return m
}

func pack(w io.Writer, m Manifest, snapshot io.Reader) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	header := func(name string, size int64) *tar.Header {
		return &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: m.Created, Format: tar.FormatPAX}
	}
	if err := t.WriteHeader(header(manifestName, int64(len(b)))); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	if _, err := t.Write(b); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	if err := t.WriteHeader(header(snapshotName, m.Size)); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	if _, err := io.Copy(t, snapshot); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return t.Close()
}

// ReadManifest reads the first member of a backup and returns it with a reader of the
// snapshot, whose last read fails when the bytes are not those of the manifest.
func ReadManifest(backup io.Reader) (Manifest, io.Reader, error) {
	var m Manifest
	t := tar.NewReader(backup)
	h, err := t.Next()
	if err != nil || h.Name != manifestName {
		return m, nil, notABackup(err)
	}
	b, err := io.ReadAll(io.LimitReader(t, maxManifest))
	if err != nil {
		return m, nil, notABackup(err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, nil, notABackup(err)
	}
	if m.Format > backupFormat {
		return m, nil, fault.New(fault.Invalid, "newer_backup",
			"the backup has format %d and was made by Rollcall %s: restore it with that version or a newer one", m.Format, m.Version)
	}
	if h, err = t.Next(); err != nil || h.Name != snapshotName || h.Size != m.Size {
		return m, nil, notABackup(err)
	}
	return m, &verified{r: t, sum: sha256.New(), want: m.SHA256}, nil
}

func notABackup(err error) error {
	if err == nil {
		err = errors.New("its members are not those of a backup")
	}
	return fault.New(fault.Invalid, "not_a_backup", "this is not a backup made by rollcall backup, or it was cut short: %w", err)
}

// verified reads on and compares the digest at the end.
type verified struct {
	r   io.Reader
	sum interface {
		io.Writer
		Sum([]byte) []byte
	}
	want string
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	_, _ = v.sum.Write(p[:n]) // a hash does not fail
	if errors.Is(err, io.EOF) && hex.EncodeToString(v.sum.Sum(nil)) != v.want {
		return n, fault.New(fault.Invalid, "corrupt_backup", "the backup is damaged: its snapshot does not have the digest that its manifest names")
	}
	return n, err
}

// Restore puts a backup into an empty or missing directory, which an embedded store
// can then be started on, and returns what it holds. The audit log in it has to be as it
// was written, and to go through the head that the manifest names. When anything fails
// the directory is as it was.
func Restore(ctx context.Context, file, dir string, log *slog.Logger) (Manifest, error) {
	f, err := os.Open(file)
	if err != nil {
		return Manifest{}, fmt.Errorf("open the backup: %w", err)
	}
	defer func() { _ = f.Close() }()
	m, snapshot, err := ReadManifest(f)
	if err != nil {
		return m, err
	}
	_, missing := os.Stat(dir)
	if err := etcd.Restore(ctx, snapshot, dir, log); err != nil {
		return m, err
	}
	if err := verifyRestored(ctx, &m, dir, log); err != nil {
		gone := os.RemoveAll(filepath.Join(dir, "member")) // all that was put there
		if errors.Is(missing, fs.ErrNotExist) {
			gone = errors.Join(gone, os.Remove(dir))
		}
		return m, errors.Join(err, gone)
	}
	return m, nil
}

// verifyRestored checks the audit log of a store that was just restored.
func verifyRestored(ctx context.Context, m *Manifest, dir string, log *slog.Logger) (err error) {
	s, err := etcd.Open(ctx, etcd.Options{Dir: dir, Log: log})
	if err != nil {
		return fmt.Errorf("open what was restored: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	db, err := state.Open(ctx, state.Options{Store: s, Log: log})
	if err != nil {
		return fmt.Errorf("open what was restored: %w", err)
	}
	var known []audit.Head
	if m.Audit != nil && m.Audit.Seq > 0 {
		known = append(known, *m.Audit)
	}
	r, err := db.VerifyAudit(ctx, known...)
	if err != nil {
		return fmt.Errorf("verify the audit log that was restored: %w", err)
	}
	if r.Bad != nil {
		return fault.New(fault.Invalid, "audit_not_intact", "nothing was restored, as the audit log in the backup is not as it was written: %s", r.Summary())
	}
	return nil
}
