package state

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// AuditReport is what a verification of the audit log found.
type AuditReport struct {
	First    uint64 // the number of the oldest entry that is kept
	Head     audit.Head
	Segments int
	Folded   int // entries that were checked, in segments and beside them
	Unfolded int
	// Bad is the first entry that is not as it was written; nil: there is none.
	Bad *BadRecord
}

// BadRecord names an entry that is not as it was written.
type BadRecord struct {
	Seq     uint64 // 0: not known
	ID      string // "" when it is gone
	Rev     store.Revision
	Segment uint64 // 0: it is not folded yet
	Why     string
}

// Summary says it in one line.
func (r *AuditReport) Summary() string {
	b := r.Bad
	switch {
	case b == nil:
		return fmt.Sprintf("%d entries are as they were written, up to number %d", r.Folded+r.Unfolded, r.Head.Seq)
	case b.Seq == 0:
		return b.Why
	case b.ID == "":
		return fmt.Sprintf("entry %d: %s", b.Seq, b.Why)
	}
	return fmt.Sprintf("entry %d (%s): %s", b.Seq, b.ID, b.Why)
}

// VerifyAudit reads the whole audit log and checks the chain, every entry, and that the
// log passes through the given heads, which were exported before. Without such a head a
// log that was cut off at its end cannot be told from one that ended there; nor can an
// entry that somebody with access to the store removed before it was folded. The error
// is for a log that could not be read; one that is not in order is a report.
func (d *DB) VerifyAudit(ctx context.Context, known ...audit.Head) (AuditReport, error) {
	v := &verifier{db: d, known: known}
	head, _, err := d.segments(ctx)
	if fault.Code(err) == "bad_stored_value" {
		v.bad(BadRecord{Why: "the head of the log cannot be read"})
		return v.report, nil
	}
	if err != nil {
		return v.report, err
	}
	if err := v.begin(ctx, &head); err != nil {
		return v.report, err
	}
	err = retried(func() error { return v.run(ctx) })
	if err == nil {
		v.finish()
	}
	v.report.Head = v.at
	return v.report, err
}

// verifier walks along the chain. Where it stands it has checked everything before.
type verifier struct {
	db     *DB
	known  []audit.Head
	report AuditReport
	at     audit.Head
	base   audit.Head
	marker audit.Head // the base that the last marker of retention names
	next   uint64     // the segment to read next
}

func (v *verifier) bad(b BadRecord) {
	if v.report.Bad == nil {
		v.report.Bad = &b
	}
}

func (v *verifier) begin(ctx context.Context, head *storedHead) error {
	v.at, v.base, v.next = head.Base, head.Base, head.First
	v.report.First = head.Base.Seq + 1
	records, _, err := v.db.store.List(ctx, keySegment)
	if err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	for r, err := range records {
		if err != nil {
			return fmt.Errorf("read the audit log: %w", err)
		}
		if r.Key != keyAuditHead && (r.Key < segmentKey(head.First) || head.Last == 0) {
			v.bad(BadRecord{Seq: head.Base.Seq + 1, Why: "there is a segment (" + strings.TrimPrefix(r.Key, keySegment) +
				") that the head of the log does not know: the head was changed or removed"})
		}
		if r.Key > segmentKey(head.First) {
			break // what is new since the head was read is in order
		}
	}
	return nil
}

// run checks what is folded and then what is not. When something was folded in between
// it goes on where it stands.
func (v *verifier) run(ctx context.Context) error {
	for v.report.Bad == nil {
		before, _, err := v.db.segments(ctx)
		if err != nil {
			return err
		}
		pending, err := v.db.pendingEntries(ctx, 0)
		if err != nil {
			return err
		}
		head, _, err := v.db.segments(ctx)
		if err != nil {
			return err
		}
		if head.Base != before.Base { // the marker of what was removed is newer than what we have
			return errMoved
		}
		if head.Base.Seq > v.at.Seq { // retention has overtaken us
			v.at, v.next = head.Base, head.First
		}
		if v.base = head.Base; v.at.Seq < head.End.Seq {
			if err := v.folded(ctx, &head); err != nil {
				return err
			}
			continue
		}
		if v.at != head.End {
			v.bad(BadRecord{Seq: head.End.Seq, Rev: head.End.Rev, Why: "the head of the log is not that of its last segment"})
			return nil
		}
		return v.unfolded(ctx, pending)
	}
	return nil
}

// folded checks the segments up to the head.
func (v *verifier) folded(ctx context.Context, head *storedHead) error {
	for ; v.next <= head.Last && v.at.Seq < head.End.Seq && v.report.Bad == nil; v.next++ {
		s, err := v.db.segment(ctx, v.next)
		switch {
		case errors.Is(err, fault.NotFound):
			if now, _, err := v.db.segments(ctx); err != nil || now.First > v.next {
				return cmp.Or(err, errMoved)
			}
			v.bad(BadRecord{Seq: v.at.Seq + 1, Segment: v.next, Why: "its segment is missing"})
		case fault.Code(err) == "bad_audit_segment":
			v.bad(BadRecord{Seq: v.at.Seq + 1, Segment: v.next, Why: "the head of its segment cannot be read"})
		case err != nil:
			return err
		default:
			v.segment(s)
		}
	}
	if v.report.Bad == nil && v.at.Seq < head.End.Seq {
		v.bad(BadRecord{Seq: v.at.Seq + 1, Why: fmt.Sprintf("it is missing: the segments end before the head, which is at %d", head.End.Seq)})
	}
	v.next = max(v.next-1, head.First) // the newest segment may grow
	return nil
}

// segment checks one segment, from where we stand.
func (v *verifier) segment(s *segment) {
	again := s.First <= v.at.Seq // it was checked up to there, and has grown
	switch {
	case s.N != v.next:
		v.bad(BadRecord{Seq: v.at.Seq + 1, Segment: v.next, Why: fmt.Sprintf("in its place is segment %d", s.N)})
	case !again && (s.First != v.at.Seq+1 || s.Prev != v.at.Hash):
		v.bad(BadRecord{Seq: v.at.Seq + 1, Segment: s.N, Why: "its segment does not follow the one before"})
	default:
		v.content(s)
		if v.report.Bad == nil && !again {
			v.report.Segments++
		}
	}
}

// content checks the lines of a segment, and that its head says what they are.
func (v *verifier) content(s *segment) {
	checked := v.at.Seq
	if s.First > checked {
		checked = 0 // none of this segment: look at each line, whatever its number
	}
	is := segmentHead{V: s.V, N: s.N, Prev: s.Prev}
	err := s.lines(func(link, line []byte) bool {
		p, err := parseLine(line)
		var e storedEntry
		odd := checkEntry(p.ID, p.Entry, &e)
		is.extend(p.Seq, p.Rev, e.At)
		is.Bytes += len(link) + len(line) + len(" \n")
		if p.Seq > checked || err != nil {
			v.line(s, link, line, &p, cmp.Or(err, odd))
		}
		return v.report.Bad == nil
	})
	is.Hash = v.at.Hash
	switch {
	case v.report.Bad != nil:
	case err != nil:
		v.bad(BadRecord{Seq: v.at.Seq + 1, Segment: s.N, Why: "its segment cannot be unpacked from here on"})
	case v.at.Seq != s.Last:
		v.bad(BadRecord{Seq: v.at.Seq + 1, Segment: s.N, Why: fmt.Sprintf("it is missing: its segment says that it goes up to %d", s.Last)})
	case !is.same(&s.segmentHead):
		v.bad(BadRecord{Seq: s.Last, Segment: s.N, Rev: s.LastRev, Why: "what its segment says of itself is not so"})
	}
}

// line checks one line; err says what is odd about the entry in it.
func (v *verifier) line(s *segment, link, line []byte, p *parsedLine, err error) {
	want := v.at.Seq + 1
	b := BadRecord{Seq: want, ID: p.ID, Rev: p.Rev, Segment: s.N}
	next := v.at.Add(p.Rev, line)
	switch {
	case p.Seq != want:
		b.ID, b.Rev = "", 0
		b.Why = fmt.Sprintf("in its place is number %d: it was removed or moved, or another was put before it", p.Seq)
	case !bytes.Equal(link, hex.AppendEncode(nil, next.Hash[:linkDigits/2])):
		b.Why = "it is not what was written: its link in the chain is another"
	case p.Rev <= v.at.Rev:
		b.Why = "its revision is not after that of the entry before"
	case p.Wrote != 0:
		b.Why = rewritten(p.Wrote)
	case err != nil:
		b.Why = err.Error()
	default:
		v.report.Folded++
		v.pass(next, p.ID, p.Rev, p.Entry)
		return
	}
	v.bad(b)
}

func rewritten(at store.Revision) string {
	return fmt.Sprintf("it was written again, at revision %d, after it was made", at)
}

// pass stands behind an entry that is in order.
func (v *verifier) pass(next audit.Head, id string, rev store.Revision, stored []byte) {
	v.at = next
	for _, k := range v.known {
		if k.Seq == next.Seq && k.Hash != next.Hash {
			v.bad(BadRecord{Seq: next.Seq, ID: id, Rev: rev, Why: "the log does not pass through the head that was exported: this entry or one before it was changed"})
		}
	}
	if bytes.Contains(stored, []byte(audit.Trimmed)) {
		e := decodeEntry(id, next.Seq, rev, stored)
		if base, ok := markedBase(&e); ok {
			v.marker = base
		}
	}
}

// unfolded checks what is not in a segment yet.
func (v *verifier) unfolded(ctx context.Context, pending []pendingEntry) error {
	at, report, marker := v.at, v.report, v.marker
	for i := range pending {
		p := &pending[i]
		stored, err := v.db.storedEntry(ctx, p)
		if err != nil {
			v.at, v.report, v.marker = at, report, marker // look again from where we stood
			return err
		}
		b := BadRecord{Seq: v.at.Seq + 1, ID: p.id, Rev: p.rev}
		var e storedEntry
		switch err := checkEntry(p.id, stored, &e); {
		case p.rev <= v.at.Rev:
			b.Seq, b.Why = 0, "it lies before entries that are folded: it was not there then"
		case p.wrote != p.rev:
			b.Why = rewritten(p.wrote)
		case err != nil:
			b.Why = err.Error()
		default:
			v.report.Unfolded++
			v.pass(v.at.Add(p.rev, audit.Line(v.at.Seq+1, p.rev, p.wrote, p.id, stored)), p.id, p.rev, stored)
			continue
		}
		v.bad(b)
		return nil
	}
	return nil
}

// finish checks what can only be said at the end.
func (v *verifier) finish() {
	if v.report.Bad != nil {
		return
	}
	if v.base.Seq > 0 && (v.marker.Seq != v.base.Seq || v.marker.Hash != v.base.Hash) {
		v.bad(BadRecord{Seq: v.base.Seq, Why: "the log begins behind it, and no entry says that retention removed it"})
	}
	for _, k := range slices.SortedFunc(slices.Values(v.known), func(a, b audit.Head) int { return cmp.Compare(a.Seq, b.Seq) }) {
		if k.Seq == v.base.Seq && k.Hash != v.base.Hash {
			v.bad(BadRecord{Seq: k.Seq, Why: "the log does not begin behind the head that was exported"})
		}
		if k.Seq > v.at.Seq {
			v.bad(BadRecord{Seq: v.at.Seq + 1, Why: fmt.Sprintf("it is gone: a head that was exported is at %d", k.Seq)})
		}
	}
}
