package state

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// Change is one thing to be changed, as a value. The changes of one Commit happen
// together or not at all.
type Change interface {
	build(t *txn) error
}

// txn collects what a few changes do: conditions, writes and audit events. A later
// change sees what an earlier one of the same transaction wrote.
type txn struct {
	snap  *Snapshot
	now   time.Time
	by    audit.Actor
	conds []store.Cond
	ops   []store.Op
	at    map[string]int // key to its place in ops
	log   []audit.Event
	limit []permissions.Permission // of the key that by acts with, if it has one
	lets  []plan.Raised            // that somebody else will do, whom and what by confers by this
	told  int                      // bytes that log takes at most
	// spread lets members stay in chunks that are too few or too many for them, where
	// a new generation would take more than this transaction.
	spread bool
	// under are the writes that this one joins, if any.
	under *joined
}

func newTxn(s *Snapshot, by audit.Actor, now time.Time) *txn {
	return &txn{snap: s, by: by, now: now.UTC().Truncate(time.Millisecond), at: map[string]int{}}
}

func (t *txn) build(cs []Change) error {
	for _, c := range cs {
		if err := c.build(t); err != nil {
			return err
		}
	}
	return nil
}

// meets reports whether the transaction writes, or rests on, one of some keys, or may:
// what is under a prefix is not looked at.
func (t *txn) meets(keys map[string]int) bool {
	for _, op := range t.ops {
		if _, ok := keys[op.Key]; ok || op.Kind == store.OpDeletePrefix {
			return true
		}
	}
	for _, c := range t.conds {
		if _, ok := keys[c.Key]; ok || c.Kind == store.CondUnchangedPrefix {
			return true
		}
	}
	return false
}

// base records that the transaction rests on key being as last written at rev.
func (t *txn) base(key string, rev store.Revision) {
	if _, written := t.at[key]; written {
		return
	}
	c := store.At(key, rev)
	if !slices.Contains(t.conds, c) {
		t.conds = append(t.conds, c)
	}
}

func (t *txn) write(op store.Op) {
	if i, ok := t.at[op.Key]; ok {
		t.ops[i] = op
		return
	}
	t.at[op.Key] = len(t.ops)
	t.ops = append(t.ops, op)
}

func (t *txn) put(key string, v any) error {
	b, err := encode(v)
	if err == nil {
		t.write(store.Put(key, b))
	}
	return err
}

// pending returns what the transaction already writes under key.
func (t *txn) pending(key string) ([]byte, bool) {
	i, ok := t.at[key]
	switch {
	case ok && t.ops[i].Kind == store.OpPut:
		return t.ops[i].Value, true
	case !ok && t.under != nil:
		return t.under.chunk(key)
	}
	return nil, false
}

func (t *txn) event(e audit.Event) {
	e, n := shortened(e)
	t.log = append(t.log, e)
	t.told += n
}

// object reads a user or group to be rewritten, and makes the transaction rest on
// what was read.
func (t *txn) object(key string, m identity.Member) (*storedObject, error) {
	raw, rev := t.snap.raw(m)
	if b, ok := t.pending(key); ok {
		raw = string(b)
	}
	if raw == "" {
		return nil, fault.New(fault.NotFound, "not_found", "there is no %s", m)
	}
	var o storedObject
	if err := decode(key, []byte(raw), &o); err != nil {
		return nil, err
	}
	t.base(key, rev)
	return &o, nil
}

// layer reads the local layer of a user or group, as object does. There always is
// one; it may say nothing.
func (t *txn) layer(m identity.Member) (*storedLocal, error) {
	key := localKey(m)
	v, _ := t.snap.locals.Get(m)
	if b, ok := t.pending(key); ok {
		v.raw = string(b)
	}
	l := storedLocal{V: format}
	if v.raw != "" {
		if err := decode(key, []byte(v.raw), &l); err != nil {
			return nil, err
		}
	}
	t.base(key, v.rev)
	return &l, nil
}

// raw returns the stored bytes of a user or group and their revision.
func (s *Snapshot) raw(m identity.Member) (string, store.Revision) {
	r, ok := s.ref(m)
	switch {
	case !ok:
		return "", 0
	case r.isGroup():
		g := s.groups.Ref(int(r.handle()))
		return g.raw, g.rev
	}
	u := s.users.Ref(int(r.handle()))
	return u.raw, u.rev
}

// Bounds of one event of an audit entry. Objects may be large, and an update tells of
// what was before and what is after.
const (
	maxAuditedText  = 1 << 10 // of one value
	maxAuditedEvent = 24 << 10
)

// shortened returns the event within its bounds, and how many bytes it takes at most.
// What is left out is said.
func shortened(e audit.Event) (audit.Event, int) {
	e.Name, e.Reason = shortText(e.Name), shortText(e.Reason)
	n := 64 + jsonBytes(e.Action) + jsonBytes(e.Target) + jsonBytes(e.Name) + jsonBytes(e.Reason)
	changes := make([]audit.Change, 0, len(e.Changes))
	for i, c := range e.Changes {
		full := n > maxAuditedEvent
		if full {
			c = audit.Change{Field: fmt.Sprintf("... (%d more)", len(e.Changes)-i)}
		}
		c.Field = shortText(c.Field)
		n += 24 + jsonBytes(c.Field)
		c.Before, n = shortList(c.Before, n)
		c.After, n = shortList(c.After, n)
		changes = append(changes, c)
		if full {
			break
		}
	}
	e.Changes = changes
	return e, n
}

// shortList returns the values for which there is room when n bytes are taken, and how
// many are taken then.
func shortList(values []string, n int) ([]string, int) {
	out := make([]string, 0, len(values))
	for i, v := range values {
		v = shortText(v)
		full := n+jsonBytes(v) > maxAuditedEvent
		if full {
			v = fmt.Sprintf("... (%d more)", len(values)-i)
		}
		out, n = append(out, v), n+jsonBytes(v)
		if full {
			break
		}
	}
	return out, n
}

func shortText(s string) string {
	if len(s) <= maxAuditedText {
		return s
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(s[:maxAuditedText], ""), len(s))
}

// jsonBytes is how many bytes a text takes at most in a list of texts.
func jsonBytes(s string) int {
	n := len(s) + 3
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '"' || s[i] == '\\' {
			n += 5
		}
	}
	return n
}

// storedEntry is an audit entry as it is stored.
type storedEntry struct {
	V       int             `json:"v"`
	ID      string          `json:"id,omitzero"` // that of its key, so that no copy passes for another
	At      time.Time       `json:"at"`
	Kind    audit.ActorKind `json:"kind"`
	Actor   string          `json:"actor"`
	Name    string          `json:"name,omitzero"`
	Key     string          `json:"key,omitzero"`
	Request string          `json:"req,omitzero"`
	Events  []storedEvent   `json:"do"`
}

type storedEvent struct {
	Action  string         `json:"act"`
	Target  string         `json:"on"`
	Name    string         `json:"name,omitzero"`
	Reason  string         `json:"why,omitzero"`
	Changes []storedChange `json:"chg,omitempty"`
}

type storedChange struct {
	Field  string   `json:"f"`
	Before []string `json:"b,omitempty"`
	After  []string `json:"a,omitempty"`
}

// visible reports whether the view is sure to show the transaction: it follows only
// what changes under v/, and deleting what is not there changes nothing.
func (t *txn) visible() bool {
	return slices.ContainsFunc(t.ops, func(op store.Op) bool {
		return strings.HasPrefix(op.Key, viewPrefix) && (op.Kind == store.OpPut || slices.ContainsFunc(t.conds, func(c store.Cond) bool {
			return c.Kind == store.CondRev && c.Key == op.Key && c.Rev > 0
		}))
	})
}

// finish returns the transaction with its audit entry, and the key of the entry: to
// find out whether a transaction whose answer was lost was committed.
func (t *txn) finish() (store.Txn, string, error) {
	entry, err := t.entry()
	if err != nil {
		return store.Txn{}, "", err
	}
	done := store.Txn{If: t.conds, Then: t.ops}
	if entry.Key != "" {
		done.Then = append(slices.Clip(t.ops), entry)
	}
	return done, entry.Key, nil
}

// entry returns the write of the audit entry, or one without a key when there is
// nothing to tell.
func (t *txn) entry() (store.Op, error) {
	if len(t.log) == 0 {
		return store.Op{}, nil
	}
	id := uuid.Must(uuid.NewV7()).String()
	e := storedEntry{
		V: format, ID: id, At: t.now, Kind: t.by.Kind, Actor: t.by.ID, Name: t.by.Name, Key: t.by.Key, Request: t.by.Request,
		Events: make([]storedEvent, len(t.log)),
	}
	for i, ev := range t.log {
		se := storedEvent{Action: ev.Action, Target: ev.Target, Name: ev.Name, Reason: ev.Reason}
		for _, c := range ev.Changes {
			se.Changes = append(se.Changes, storedChange(c))
		}
		e.Events[i] = se
	}
	b, err := encode(e)
	if err != nil {
		return store.Op{}, err
	}
	return store.Put(keyAudit+id, b), nil
}
