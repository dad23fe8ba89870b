package state

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// Settlement is what a person decided about an entry of a source that a run had left
// alone, or would join to a user by a rule.
type Settlement struct {
	V      int             `json:"v"`
	Do     plan.Decision   `json:"do"`
	User   identity.UserID `json:"user,omitzero"` // to whom it is joined, of plan.JoinUser
	Name   string          `json:"name,omitzero"` // of the entry, as it was when it was settled
	By     string          `json:"by"`
	At     time.Time       `json:"at"`
	Reason string          `json:"why,omitzero"`

	Unknown jsontext.Value `json:",embed"`

	Source identity.SourceID `json:"-"`
	Key    identity.Key      `json:"-"`
	rev    store.Revision
}

// settlements is all of them by source, replaced when one changes.
type settlements map[identity.SourceID]map[identity.Key]Settlement

func settledKey(source identity.SourceID, key identity.Key) string {
	return keySettled + string(source) + "/" + url.PathEscape(string(key))
}

func (e *editor) settled(key string, v rawValue) error {
	source, escaped, ok := strings.Cut(key[len(keySettled):], "/")
	text, err := url.PathUnescape(escaped)
	if !ok || err != nil || text == "" {
		return badKey(key)
	}
	id, of := intern(e.names, identity.SourceID(source)), identity.Key(text)
	all, mine := maps.Clone(e.settles), maps.Clone(e.settles[id])
	if all == nil {
		all = settlements{}
	}
	if mine == nil {
		mine = map[identity.Key]Settlement{}
	}
	if v.raw == "" {
		delete(mine, of)
	} else {
		var st Settlement
		if err := decode(key, []byte(v.raw), &st); err != nil {
			return err
		}
		st.Source, st.Key, st.rev = id, of, v.rev
		mine[of] = st
	}
	all[id] = mine
	e.settles = all
	return nil
}

// Settled returns what was decided about an entry of a source.
func (s *Snapshot) Settled(source identity.SourceID, key identity.Key) (Settlement, bool) {
	st, ok := s.settles[source][key]
	return st, ok
}

// Settlements returns all that was decided about entries of a source, the newest first.
func (s *Snapshot) Settlements(source identity.SourceID) []Settlement {
	return slices.SortedFunc(maps.Values(s.settles[source]), func(a, b Settlement) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Key, b.Key))
	})
}

// Settle decides about an entry of a source, and marks the source: its next run waits for
// approval if it raises anybody. A settlement without a decision takes one back.
type Settle struct {
	Source identity.SourceID
	Key    identity.Key
	Do     plan.Decision
	User   identity.UserID
	Name   string
	Reason string
}

func (c Settle) build(t *txn) error {
	key := settledKey(c.Source, c.Key)
	before, known := t.snap.Settled(c.Source, c.Key)
	st := t.snap.Source(c.Source)
	if !st.Leaving.IsZero() {
		return fault.New(fault.Conflict, "source_leaving", "source %s is being deleted", c.Source)
	}
	if c.Do == "" && !known {
		return fault.New(fault.NotFound, "settlement_not_found", "nothing was settled about this entry of source %s", c.Source)
	}
	t.base(key, before.rev)
	e := audit.Event{
		Action: "ConflictSettled", Target: "source/" + string(c.Source), Name: cmp.Or(c.Name, before.Name), Reason: c.Reason,
		Changes: []audit.Change{{Field: "entry", After: []string{string(c.Key)}}, {Field: "decision", Before: decided(before.Do), After: decided(c.Do)}},
	}
	if !c.User.IsZero() {
		e.Changes = append(e.Changes, audit.Change{Field: "user", After: []string{c.User.String()}})
	}
	t.event(e)
	if err := t.mark(c.Source); err != nil {
		return err
	}
	if c.Do == "" {
		t.write(store.Delete(key))
		return nil
	}
	return t.put(key, &Settlement{V: format, Do: c.Do, User: c.User, Name: c.Name, By: t.by.String(), At: t.now, Reason: c.Reason})
}

func decided(d plan.Decision) []string {
	if d == "" {
		return nil
	}
	return []string{string(d)}
}

// mark notes that how a source is read was changed here.
func (t *txn) mark(source identity.SourceID) error {
	key := keySource + string(source)
	st := t.snap.Source(source)
	if b, ok := t.pending(key); ok {
		if err := decode(key, b, &st); err != nil {
			return err
		}
	}
	t.base(key, t.snap.Source(source).rev)
	st.V, st.Marked = format, t.now
	return t.put(key, &st)
}
