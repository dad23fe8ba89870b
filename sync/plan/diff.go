package plan

import (
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

// nothing is what a creation is compared with.
var nothing identity.Record

// diff returns what differs between two records, in the order that Step.Changes
// promises. A field that is empty counts as one that is not set. It allocates
// nothing when the records are equal.
func diff(before, after *identity.Record) []Change {
	if before.Equal(after) {
		return nil
	}
	d := differ{room: 2, singles: 4}
	if before == &nothing {
		d.singles = 2 + len(after.Profile)
		d.room = d.singles + len(after.Attributes)
	}
	d.text("name", before.Name, after.Name)
	d.text("dn", before.DN, after.DN)
	d.profile(before.Profile, after.Profile)
	d.text("disabled", string(before.Disabled), string(after.Disabled))
	d.text("expires", instant(before.Expires), instant(after.Expires))
	for _, k := range keysOfBoth(before.Attributes, after.Attributes) {
		d.values("attribute."+k, before.Attributes[k], after.Attributes[k])
	}
	d.values("unresolved", before.Unresolved, after.Unresolved)
	return d.changes
}

// differ collects changes. The single values share one array, and both arrays have the
// size that most creations need, because a first run makes a hundred thousand of them
// and the plan holds them all.
type differ struct {
	changes       []Change
	single        []string
	room, singles int
}

func (d *differ) text(field, before, after string) {
	if before != after {
		d.add(Change{Field: field, Before: d.one(before), After: d.one(after)})
	}
}

func (d *differ) values(field string, before, after []string) {
	if !slices.Equal(before, after) {
		d.add(Change{Field: field, Before: before, After: after})
	}
}

func (d *differ) add(c Change) {
	if d.changes == nil {
		d.changes = make([]Change, 0, d.room)
	}
	d.changes = append(d.changes, c)
}

// one returns the value as a list of its own, or nil for none.
func (d *differ) one(value string) []string {
	if value == "" {
		return nil
	}
	if len(d.single) == cap(d.single) {
		d.single = make([]string, 0, d.singles)
	}
	d.single = append(d.single, value)
	n := len(d.single)
	return d.single[n-1 : n : n]
}

// profileFields is in the order in which fields are shown.
var profileFields = identity.ProfileFields()

func (d *differ) profile(before, after map[string]string) {
	found := 0
	for _, f := range profileFields {
		b, hadIt := before[f]
		a, hasIt := after[f]
		if hadIt {
			found++
		}
		if hasIt {
			found++
		}
		d.text(f, b, a)
	}
	if found == len(before)+len(after) {
		return
	}
	for _, f := range keysOfBoth(before, after) {
		if !slices.Contains(profileFields, f) {
			d.text(f, before[f], after[f])
		}
	}
}

// keysOfBoth returns the keys of two maps, sorted, each once.
func keysOfBoth[M ~map[string]V, V any](a, b M) []string {
	if len(a) == 0 && len(b) == 0 {
		return nil
	}
	keys := make([]string, 0, len(a)+len(b))
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
