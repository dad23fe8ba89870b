package state

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// storedFirst is whose values hold where several sources have some.
type storedFirst struct {
	V       int                 `json:"v"`
	Order   identity.Precedence `json:"order,omitempty"`
	Unknown jsontext.Value      `json:",embed"`
}

// precedence is what the view keeps of it.
type precedence struct {
	of  identity.Precedence // never changed
	rev store.Revision
}

func (e *editor) precedence(key string, v rawValue) error {
	var f storedFirst
	if v.raw != "" {
		if err := decode(key, []byte(v.raw), &f); err != nil {
			return err
		}
	}
	e.first = precedence{f.Order, v.rev}
	return nil
}

// Precedence returns whose values hold where several sources have some, and the revision
// at which that was last written.
func (s *Snapshot) Precedence() (identity.Precedence, store.Revision) { return s.first.of, s.first.rev }

// PutPrecedence replaces the order of the sources. Rev is the revision of the one that it
// replaces. It bears on attributes and profiles, and on no permission.
type PutPrecedence struct {
	Order identity.Precedence
	Rev   store.Revision
}

func (c PutPrecedence) build(t *txn) error {
	if t.snap.first.rev != c.Rev {
		return fault.New(fault.Stale, "stale", "the order of the sources was changed since it was read: read it again and decide anew")
	}
	t.base(keyFirst, c.Rev)
	e := audit.Event{Action: "ConfigurationUpdated", Target: "precedence"}
	keys := slices.Sorted(maps.Keys(c.Order))
	for key := range t.snap.first.of {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if was, is := t.snap.first.of[key], c.Order[key]; !slices.Equal(was, is) {
			e.Changes = append(e.Changes, audit.Change{Field: "precedence." + key, Before: plainTexts(was), After: plainTexts(is)})
		}
	}
	t.event(e)
	return t.put(keyFirst, &storedFirst{V: format, Order: c.Order})
}

func plainTexts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}
