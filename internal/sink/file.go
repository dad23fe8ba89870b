package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/audit"
)

// lines writes entries as JSON Lines: the same lines as an export over the API.
func lines(to io.Writer, entries []audit.Envelope) error {
	var b bytes.Buffer
	for i := range entries {
		if err := json.MarshalWrite(&b, &entries[i], json.Deterministic(true)); err != nil {
			return fmt.Errorf("encode the entry: %w", err)
		}
		b.WriteByte('\n')
	}
	_, err := to.Write(b.Bytes())
	return err
}

// stdout writes to a stream that nobody reads back.
type stdout struct{ to io.Writer }

// take implements target.
func (s stdout) take(_ context.Context, entries []audit.Envelope) (int, error) {
	if err := lines(s.to, entries); err != nil {
		return 0, err
	}
	return len(entries), nil
}

func (stdout) close() error { return nil }

// file appends to a file that only its owner reads, and begins a new one when it is
// full. It is opened anew after each failure.
type file struct {
	sink *Sink
	now  func() time.Time
	f    *os.File
	size int64
	last int64 // the revision of its last line: what it has is not written again
}

func newFile(s *Sink, now func() time.Time) *file { return &file{sink: s, now: now} }

// take implements target: all entries are on the disk, or none counts.
func (w *file) take(_ context.Context, entries []audit.Envelope) (int, error) {
	if err := w.write(entries); err != nil {
		return 0, errors.Join(err, w.close())
	}
	return len(entries), nil
}

func (w *file) write(entries []audit.Envelope) error {
	if w.f == nil {
		if err := w.open(); err != nil {
			return err
		}
	}
	fresh := slices.DeleteFunc(slices.Clone(entries), func(e audit.Envelope) bool { return e.Revision <= w.last })
	if len(fresh) == 0 {
		return nil
	}
	if w.size >= w.limit() {
		if err := w.rotate(); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := lines(&b, fresh); err != nil {
		return err
	}
	n, err := w.f.Write(b.Bytes())
	if w.size += int64(n); err != nil {
		return fmt.Errorf("write the audit log: %w", err)
	}
	if err := w.f.Sync(); err != nil {
		return fmt.Errorf("write the audit log: %w", err)
	}
	w.last = fresh[len(fresh)-1].Revision
	return nil
}

func (w *file) limit() int64 {
	if w.sink.MaxSize == 0 {
		return int64(DefaultMaxSize)
	}
	return int64(w.sink.MaxSize)
}

// open opens the file, finds its last line, and removes what stands behind it: a line
// that was cut off is written again.
func (w *file) open() error {
	f, err := os.OpenFile(w.sink.Path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the audit file: %w", err)
	}
	size, last, err := tail(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("read the end of the audit file: %w", err), f.Close())
	}
	w.f, w.size, w.last = f, size, last
	return nil
}

// tailBytes hold more than two of the longest lines.
const tailBytes = 4 << 20

// tail returns the size of the whole lines of a file, and the revision of the last one.
func tail(f *os.File) (size, last int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	from := max(info.Size()-tailBytes, 0)
	b := make([]byte, info.Size()-from)
	if _, err := f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, err
	}
	end := bytes.LastIndexByte(b, '\n')
	if end < 0 {
		if from > 0 {
			return 0, 0, errors.New("it does not end in an entry: is it the right file?")
		}
		return 0, 0, nil
	}
	var e struct {
		Revision int64 `json:"revision"`
	}
	line := b[bytes.LastIndexByte(b[:end], '\n')+1 : end]
	if err := json.Unmarshal(line, &e); err != nil || e.Revision == 0 {
		return 0, 0, errors.New("it does not end in an entry: is it the right file?")
	}
	return from + int64(end) + 1, e.Revision, nil
}

// rotate puts the file aside under the instant at which it became full, and removes
// the oldest of those that are not kept.
func (w *file) rotate() error {
	last := w.last
	aside := w.sink.Path + "." + w.now().UTC().Format("20060102T150405.000000000Z")
	if err := errors.Join(w.close(), os.Rename(w.sink.Path, aside)); err != nil {
		return fmt.Errorf("begin a new audit file: %w", err)
	}
	if err := w.open(); err != nil {
		return err
	}
	w.last = last
	if w.sink.Keep == 0 {
		return nil
	}
	old, err := filepath.Glob(globQuote(w.sink.Path) + ".[0-9]*Z")
	if err != nil {
		return fmt.Errorf("look for old audit files: %w", err)
	}
	slices.Sort(old)
	for _, name := range old[:max(len(old)-w.sink.Keep, 0)] {
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("remove an old audit file: %w", err)
		}
	}
	return nil
}

// globQuote makes a path stand for itself in a pattern.
func globQuote(path string) string {
	var b []byte
	for i := range len(path) {
		if bytes.IndexByte([]byte(`*?[\`), path[i]) >= 0 {
			b = append(b, '\\')
		}
		b = append(b, path[i])
	}
	return string(b)
}

func (w *file) close() error {
	if w.f == nil {
		return nil
	}
	f := w.f
	w.f = nil
	return f.Close()
}
