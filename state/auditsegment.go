package state

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// A segment is one line of JSON, its head, and then, compressed, one line for each
// entry: the first 8 bytes of the entry's link in hexadecimal digits, a space, and the
// line that is hashed. The whole links stand in the heads; the 8 bytes only show which
// entry of a segment is the one that was changed.

// segmentBytes is how many bytes of lines fill a segment.
const segmentBytes = 256 << 10

// linkDigits are the digits of a link that stand before a line.
const linkDigits = 16

// segmentHead is what a segment says of itself.
type segmentHead struct {
	V        int            `json:"v"`
	N        uint64         `json:"n"`
	First    uint64         `json:"first"` // the numbers of its entries
	Last     uint64         `json:"last"`
	FirstRev store.Revision `json:"firstRev"`
	LastRev  store.Revision `json:"lastRev"`
	From     time.Time      `json:"from"` // the earliest and the latest instant of its entries
	To       time.Time      `json:"to"`
	Prev     audit.Hash     `json:"prev"` // the link before its first entry, and that of its last
	Hash     audit.Hash     `json:"hash"`
	Bytes    int            `json:"bytes"` // of lines
}

// storedHead is the value of w/s/head.
type storedHead struct {
	V     int        `json:"v"`
	First uint64     `json:"first"` // number of the oldest segment that is kept
	Last  uint64     `json:"last"`  // of the newest; 0: there is none yet
	Base  audit.Head `json:"base"`  // the last entry that retention removed
	End   audit.Head `json:"end"`   // the last entry that was folded
	Bytes int64      `json:"bytes"` // of all segments, as they are stored

	Unknown jsontext.Value `json:",embed"`
}

func segmentKey(n uint64) string { return fmt.Sprintf("%s%012d", keySegment, n) }

// segments returns the stored head, and at which revision it was written: 0 when
// nothing was folded yet.
func (d *DB) segments(ctx context.Context) (storedHead, store.Revision, error) {
	h := storedHead{V: format, First: 1}
	r, err := d.store.Get(ctx, keyAuditHead)
	if errors.Is(err, fault.NotFound) {
		return h, 0, nil
	}
	if err != nil {
		return h, 0, fmt.Errorf("read the audit log: %w", err)
	}
	return h, r.Rev, decode(r.Key, r.Value, &h)
}

// segment is a stored segment whose lines are still compressed.
type segment struct {
	segmentHead
	size   int // as it is stored
	packed []byte
}

// segment reads one segment; fault.NotFound when it is not there.
func (d *DB) segment(ctx context.Context, n uint64) (*segment, error) {
	r, err := d.store.Get(ctx, segmentKey(n))
	if err != nil {
		return nil, err
	}
	head, packed, ok := bytes.Cut(r.Value, []byte{'\n'})
	s := &segment{size: len(r.Value), packed: packed}
	if !ok || json.Unmarshal(head, &s.segmentHead) != nil {
		return nil, errBadSegment(n)
	}
	return s, nil
}

func errBadSegment(n uint64) error {
	return fault.New(fault.Invalid, "bad_audit_segment", "segment %d of the audit log cannot be read: verify the log", n)
}

// lines calls each for every line, with the digits of its link, until each returns
// false. It returns an error when the segment is cut or spoiled, after what could be
// read.
func (s *segment) lines(each func(link, line []byte) bool) error {
	z, err := gzip.NewReader(bytes.NewReader(s.packed))
	if err != nil {
		return errBadSegment(s.N)
	}
	all, err := io.ReadAll(io.LimitReader(z, maxSegment))
	for len(all) > 0 {
		line, rest, whole := bytes.Cut(all, []byte{'\n'})
		if !whole || len(line) < linkDigits+1 || line[linkDigits] != ' ' {
			return errBadSegment(s.N)
		}
		if !each(line[:linkDigits], line[linkDigits+1:]) {
			return nil
		}
		all = rest
	}
	if err != nil {
		return errBadSegment(s.N)
	}
	return nil
}

// maxSegment is far more than a segment unpacks to.
const maxSegment = 16 << 20

// parsedLine is a line of a segment, taken apart.
type parsedLine struct {
	Seq   uint64         `json:"seq"`
	Rev   store.Revision `json:"rev"`
	ID    string         `json:"id"`
	Wrote store.Revision `json:"rewritten"` // 0: never again
	Entry jsontext.Value `json:"entry"`
	Raw   []byte         `json:"raw"`
}

func parseLine(line []byte) (parsedLine, error) {
	var p parsedLine
	if err := json.Unmarshal(line, &p); err != nil {
		return p, errors.New("its line cannot be read")
	}
	if p.Entry == nil {
		p.Entry = p.Raw
	}
	return p, nil
}

// packer makes a segment.
type packer struct {
	head  segmentHead
	lines bytes.Buffer
}

// newPacker begins a segment behind an entry.
func newPacker(n uint64, end audit.Head) *packer {
	return &packer{head: segmentHead{V: format, N: n, First: end.Seq + 1, Last: end.Seq, Prev: end.Hash, Hash: end.Hash}}
}

// unpacked goes on with a segment that has room.
func (s *segment) unpacked() (*packer, error) {
	p := &packer{head: s.segmentHead}
	err := s.lines(func(link, line []byte) bool {
		p.write(link, line)
		return true
	})
	if err == nil && p.lines.Len() != s.Bytes {
		err = errBadSegment(s.N)
	}
	return p, err
}

func (p *packer) write(link, line []byte) {
	p.lines.Write(link)
	p.lines.WriteByte(' ')
	p.lines.Write(line)
	p.lines.WriteByte('\n')
}

func (p *packer) full() bool { return p.head.Bytes >= segmentBytes }

// add appends an entry.
func (p *packer) add(id string, rev, wrote store.Revision, at time.Time, stored []byte) {
	h := &p.head
	line := audit.Line(h.Last+1, rev, wrote, id, stored)
	h.Hash = h.Hash.Next(line)
	p.write(hex.AppendEncode(nil, h.Hash[:linkDigits/2]), line)
	h.extend(h.Last+1, rev, at)
	h.Bytes = p.lines.Len()
}

// extend makes the head cover one more entry.
func (h *segmentHead) extend(seq uint64, rev store.Revision, at time.Time) {
	if h.FirstRev == 0 {
		h.First, h.FirstRev, h.From, h.To = seq, rev, at, at
	}
	h.Last, h.LastRev = seq, rev
	if at.Before(h.From) {
		h.From = at
	}
	if at.After(h.To) {
		h.To = at
	}
}

// same compares heads; instants do not compare with ==.
func (h *segmentHead) same(o *segmentHead) bool {
	a, b := *h, *o
	a.From, a.To, b.From, b.To = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return a == b && h.From.Equal(o.From) && h.To.Equal(o.To)
}

// pack returns the segment as it is stored.
func (p *packer) pack() ([]byte, error) {
	head, err := json.Marshal(p.head)
	if err != nil {
		return nil, fmt.Errorf("encode a segment of the audit log: %w", err)
	}
	out := bytes.NewBuffer(append(head, '\n'))
	z := gzip.NewWriter(out)
	_, err = z.Write(p.lines.Bytes())
	if err = errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("pack a segment of the audit log: %w", err)
	}
	return out.Bytes(), nil
}
