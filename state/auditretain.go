package state

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// AuditRetention says how much of the audit log is kept.
type AuditRetention struct {
	Age  time.Duration // entries that are older go; 0: none does
	Size int64         // bytes of segments, beyond which the oldest go; 0: any
	// Keep is what not everybody has who wants it: entries after this revision stay,
	// whatever their age, until there are too many. Negative: nobody wants any.
	Keep store.Revision
}

var retention = audit.Actor{Kind: audit.ActorSystem, ID: "retention"}

// trimAtOnce is how many segments one transaction removes.
const trimAtOnce = 50

// TrimAudit removes the oldest segments that need not be kept, and returns how many
// entries they held. The newest segment stays. Each transaction leaves an entry that
// says up to where the log was removed, by whose rule, and the link at which it goes
// on, so that what is left can still be verified. It is fault.Stale when the term is
// over.
func (d *DB) TrimAudit(ctx context.Context, term store.Cond, r AuditRetention) (uint64, error) {
	removed := uint64(0)
	for {
		n, err := d.trimSome(ctx, term, &r)
		removed += n
		if err != nil || n == 0 {
			return removed, err
		}
	}
}

func (d *DB) trimSome(ctx context.Context, term store.Cond, r *AuditRetention) (uint64, error) {
	head, rev, err := d.segments(ctx)
	if err != nil || head.Last == 0 {
		return 0, err
	}
	now := d.now()
	before, why := head.Base, ""
	t := newTxn(d.view.Now(), retention, now)
	for head.First < head.Last && len(t.ops) < trimAtOnce {
		s, err := d.segment(ctx, head.First)
		if errors.Is(err, fault.NotFound) {
			return 0, errBadSegment(head.First)
		}
		if err != nil {
			return 0, err
		}
		rule := r.rule(&head, s, now)
		if rule == "" {
			break
		}
		why = rule
		head.First++
		head.Bytes -= int64(s.size)
		head.Base = audit.Head{Seq: s.Last, Rev: s.LastRev, Hash: s.Hash}
		t.write(store.Delete(segmentKey(s.N)))
	}
	if len(t.ops) == 0 {
		return 0, nil
	}
	if err := t.put(keyAuditHead, head); err != nil {
		return 0, err
	}
	t.event(trimmed(before.Seq+1, head.Base, why))
	t.conds = append(t.conds, term, store.At(keyAuditHead, rev))
	st, _, err := t.finish()
	if err != nil {
		return 0, err
	}
	if _, err := d.store.Apply(ctx, st); err != nil {
		return 0, fmt.Errorf("remove the oldest of the audit log: %w", err)
	}
	return head.Base.Seq - before.Seq, nil
}

// rule returns by which rule the oldest segment goes, or "".
func (r *AuditRetention) rule(head *storedHead, s *segment, now time.Time) string {
	switch {
	case r.Size > 0 && head.Bytes > r.Size:
		return "size"
	case r.Age > 0 && now.Sub(s.To) > r.Age && (r.Keep < 0 || s.LastRev <= r.Keep):
		return "age"
	}
	return ""
}

// The fields of a marker.
const (
	fieldRemoved = "removed"
	fieldBase    = "hash"
)

func trimmed(first uint64, base audit.Head, why string) audit.Event {
	return audit.Event{
		Action: audit.Trimmed, Target: "audit/" + strconv.FormatUint(base.Seq, 10), Reason: why,
		Changes: []audit.Change{
			{Field: fieldRemoved, Before: []string{fmt.Sprintf("%d-%d", first, base.Seq)}},
			{Field: fieldBase, After: []string{base.Hash.String()}},
		},
	}
}

// markedBase returns the base that a marker names.
func markedBase(e *audit.Entry) (base audit.Head, ok bool) {
	for _, v := range e.Events {
		if v.Action != audit.Trimmed || e.Actor != retention {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimPrefix(v.Target, "audit/"), 10, 64)
		for _, c := range v.Changes {
			if c.Field == fieldBase && len(c.After) == 1 && err == nil && base.Hash.UnmarshalText([]byte(c.After[0])) == nil {
				base.Seq, ok = n, true
			}
		}
	}
	return base, ok
}
