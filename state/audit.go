package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store"
)

// An audit entry is written under w/a/ in the transaction of its change, by any
// replica, in no order. Its place in the log is that of its revision, so the number
// and the link of every entry are settled the moment it is committed, and folding
// (auditfold.go) only moves it. Readers see folded and unfolded entries as one log.

// Note is a change that changes nothing: it only leaves an audit entry.
type Note struct{ Event audit.Event }

func (c Note) build(t *txn) error {
	t.event(c.Event)
	return nil
}

// entry decodes what was stored, under the names that readers know.
func decodeEntry(id string, seq uint64, rev store.Revision, stored []byte) audit.Entry {
	var e storedEntry
	if err := checkEntry(id, stored, &e); err != nil {
		return audit.Entry{
			ID: id, Seq: seq, Rev: rev, Actor: audit.Actor{Kind: audit.ActorSystem},
			Events: []audit.Event{{Action: audit.Unreadable, Reason: err.Error()}},
		}
	}
	events := make([]audit.Event, len(e.Events))
	for i, v := range e.Events {
		events[i] = audit.Event{Action: v.Action, Target: v.Target, Name: v.Name, Reason: v.Reason}
		for _, c := range v.Changes {
			events[i].Changes = append(events[i].Changes, audit.Change(c))
		}
	}
	return audit.Entry{
		ID: id, Seq: seq, Rev: rev, At: e.At, Events: audit.Named(events),
		Actor: audit.Actor{Kind: e.Kind, ID: e.Actor, Name: e.Name, Key: e.Key, Request: e.Request},
	}
}

// checkEntry decodes a stored entry and reports what no writer of ours would store.
func checkEntry(id string, stored []byte, e *storedEntry) error {
	if err := decode(keyAudit+id, stored, e); err != nil {
		return errors.New("it cannot be decoded")
	}
	if e.ID != "" && e.ID != id {
		return fmt.Errorf("it is a copy of %s", e.ID)
	}
	return nil
}

// pendingEntry is an entry that is not folded yet.
type pendingEntry struct {
	id    string
	rev   store.Revision // at which it was made, and which orders it
	wrote store.Revision // of its last writing: rev, unless it was tampered with
	value []byte         // nil: read it when needed
}

func (p *pendingEntry) compare(q pendingEntry) int {
	if p.rev != q.rev {
		return int(p.rev - q.rev)
	}
	return strings.Compare(p.id, q.id)
}

// heldBytes is how much of what is not folded one reader keeps in memory. The rest is
// read again, one by one.
const heldBytes = 8 << 20

// pendingEntries returns what is not folded yet and written after a revision, in order.
func (d *DB) pendingEntries(ctx context.Context, after store.Revision) ([]pendingEntry, error) {
	records, _, err := d.store.List(ctx, keyAudit)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	var list []pendingEntry
	held := 0
	for r, err := range records {
		if err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		if r.Created <= after {
			continue
		}
		p := pendingEntry{id: strings.TrimPrefix(r.Key, keyAudit), rev: r.Created, wrote: r.Rev}
		if held += len(r.Value); held <= heldBytes {
			p.value = r.Value
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(p, q pendingEntry) int { return p.compare(q) })
	return list, nil
}

// errMoved says that what was being read has been folded or removed meanwhile.
var errMoved = errors.New("the audit log moved while it was read")

// stored returns the bytes of an entry that is not folded, or errMoved.
func (d *DB) storedEntry(ctx context.Context, p *pendingEntry) ([]byte, error) {
	if p.value != nil {
		return p.value, nil
	}
	r, err := d.store.Get(ctx, keyAudit+p.id)
	switch {
	case errors.Is(err, fault.NotFound), err == nil && r.Rev != p.wrote:
		return nil, errMoved
	case err != nil:
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return r.Value, nil
}

// retried calls read again while the log moves under it.
func retried(read func() error) error {
	for try := 1; ; try++ {
		err := read()
		if !errors.Is(err, errMoved) {
			return err
		}
		if try == movedTries {
			return fault.New(fault.Unavailable, "audit_moved", "the audit log moved each time it was read: try again")
		}
	}
}

const movedTries = 10

// AuditHead returns where the log ends now: the number and the link of its newest
// entry. Whoever keeps it elsewhere can prove later, with [DB.VerifyAudit], that
// nothing up to there was changed or cut off.
func (d *DB) AuditHead(ctx context.Context) (audit.Head, error) {
	var head audit.Head
	return head, retried(func() error {
		pending, err := d.pendingEntries(ctx, 0)
		if err != nil {
			return err
		}
		stored, _, err := d.segments(ctx)
		if err != nil {
			return err
		}
		head = stored.End
		for i := range pending {
			p := &pending[i]
			if p.rev <= stored.End.Rev {
				continue
			}
			b, err := d.storedEntry(ctx, p)
			if err != nil {
				return err
			}
			head = head.Add(p.rev, audit.Line(head.Seq+1, p.rev, p.wrote, p.id, b))
		}
		return nil
	})
}

// AuditCursor says up to which entry somebody has the log.
type AuditCursor struct {
	Rev store.Revision
	Seq uint64 // 0: not known
}

// SinkCursor returns up to where a sink has the log; nothing: it is new.
func (d *DB) SinkCursor(ctx context.Context, sink string) (AuditCursor, error) {
	var c storedSink
	r, err := d.store.Get(ctx, keySink+sink)
	if errors.Is(err, fault.NotFound) {
		return AuditCursor{}, nil
	}
	if err == nil {
		err = decode(r.Key, r.Value, &c)
	}
	if err != nil {
		return AuditCursor{}, fmt.Errorf("read how far the sink %q is: %w", sink, err)
	}
	return AuditCursor{Rev: c.Rev, Seq: c.Seq}, nil
}

// KeepSinkCursor stores up to where a sink has the log. Only a leader does so.
func (d *DB) KeepSinkCursor(ctx context.Context, term store.Cond, sink string, at AuditCursor) error {
	b, err := encode(storedSink{V: format, Rev: at.Rev, Seq: at.Seq, At: d.now().UTC()})
	if err != nil {
		return err
	}
	_, err = d.store.Apply(ctx, store.Txn{If: []store.Cond{term}, Then: []store.Op{store.Put(keySink+sink, b)}})
	return err
}

type storedSink struct {
	V   int            `json:"v"`
	Rev store.Revision `json:"rev"`
	Seq uint64         `json:"seq"`
	At  time.Time      `json:"at"`
}
