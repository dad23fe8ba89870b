package identity

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Linked is what another source than the owning one says of a user.
type Linked struct {
	Record Record
	// Missing is when the source was first proven to have lost it; zero while it is there.
	Missing time.Time
	// Bars says that whom this source keeps out, or has lost, is inactive.
	Bars bool
	// By is who linked it, the run of a source or a person, and Rule by which rule.
	By    string
	Rule  string
	Since time.Time
}

// kept returns why the linked record keeps its user out, the clock left out.
func (l *Linked) kept() Reason {
	switch {
	case !l.Bars:
		return Active
	case !l.Missing.IsZero():
		return ReasonMissing
	}
	return l.Record.Disabled
}

// Expires returns the instant after which the user is not let in any more, by the
// owning record or by a linked one that may keep him out; zero: never.
func (u *User) Expires() time.Time {
	end := u.Record.Expires
	for i := range u.Linked {
		if l := &u.Linked[i]; l.Bars {
			end = Earliest(end, l.Record.Expires)
		}
	}
	return end
}

// Earliest returns the earlier of two ends, of which a zero one is never.
func Earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Precedence is, by folded key of an attribute or a field of the profile, the order in
// which sources are asked. [EveryKey] is for those that are not named.
type Precedence map[string][]SourceID

// EveryKey stands in a Precedence for all keys that are not named.
const EveryKey = "*"

// Of returns the declared order for a folded key.
func (p Precedence) Of(key string) []SourceID {
	if order, ok := p[key]; ok {
		return order
	}
	return p[EveryKey]
}

// Said is what one source says of a key.
type Said struct {
	Source SourceID
	Values []string
}

// records returns what sources say of the user and counts: the owning record, then the
// linked ones that their sources still have, by source.
func (u *User) records() []*Record {
	all := make([]*Record, 1, 1+len(u.Linked))
	all[0] = &u.Record
	for i := range u.Linked {
		if l := &u.Linked[i]; l.Missing.IsZero() {
			all = append(all, &l.Record)
		}
	}
	slices.SortStableFunc(all[1:], func(a, b *Record) int { return strings.Compare(string(a.Source), string(b.Source)) })
	return all
}

// Says returns what is said of an attribute of the user himself, in order: the first
// one wins and the others are shadowed. What was put on him here is among it only where
// "local" stands in the declared order; else it adds to what wins.
func (u *User) Says(key string) []Said {
	key = FoldKey(key)
	said := make([]Said, 0, 2)
	for _, r := range u.records() {
		if values := r.Attributes[key]; len(values) > 0 {
			said = append(said, Said{r.Source, values})
		}
	}
	order := u.First.Of(key)
	if slices.Contains(order, Local) {
		if values := u.Local.Counting()[key]; len(values) > 0 {
			said = addSaid(said, values)
		}
	}
	return ranked(said, order)
}

// addSaid adds what was put on a user here. A local user's record and layer speak as one.
func addSaid(said []Said, values []string) []Said {
	if i := slices.IndexFunc(said, func(s Said) bool { return s.Source == Local }); i >= 0 {
		said[i].Values = union(said[i].Values, values)
		return said
	}
	return append(said, Said{Local, values})
}

// SaysField returns what sources say of a field of the profile, as Says does.
func (u *User) SaysField(field string) []Said {
	said := make([]Said, 0, 2)
	for _, r := range u.records() {
		if v := r.Profile[field]; v != "" {
			said = append(said, Said{r.Source, []string{v}})
		}
	}
	return ranked(said, u.First.Of(FoldKey(field)))
}

// ranked puts those that stand in an order before the others.
func ranked(said []Said, order []SourceID) []Said {
	rank := func(s Said) int {
		if i := slices.Index(order, s.Source); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(said, func(a, b Said) int { return rank(a) - rank(b) })
	return said
}

// Profile returns the fields that hold, each by the source that wins it.
func (u *User) Profile() map[string]string {
	if len(u.Linked) == 0 {
		return u.Record.Profile
	}
	all := map[string]string{}
	for _, r := range u.records() {
		for field := range r.Profile {
			if said := u.SaysField(field); len(said) > 0 {
				all[field] = said[0].Values[0]
			}
		}
	}
	return all
}

// Attributes returns the values of the user's own that hold, without where they come
// from.
func (u *User) Attributes() Attributes {
	var all Attributes
	for _, l := range u.Layers() {
		all = all.Merge(l.Attributes)
	}
	return all
}

// Layers returns what the user has of his own: of each attribute what the source that
// wins it says, and what was put on him here, unless that is barred or shadowed.
func (u *User) Layers() []Layer {
	if len(u.Linked) == 0 && len(u.First) == 0 {
		return layers(&u.Record, &u.Local, Provenance{})
	}
	keys := map[string]struct{}{}
	for _, r := range u.records() {
		for key := range r.Attributes {
			keys[key] = struct{}{}
		}
	}
	here := u.Local.Counting()
	for key := range here {
		keys[key] = struct{}{}
	}
	won := map[SourceID]Attributes{}
	win := func(source SourceID, key string, values []string) {
		if len(values) == 0 {
			return
		}
		if won[source] == nil {
			won[source] = Attributes{}
		}
		won[source][key] = union(won[source][key], values)
	}
	for key := range keys {
		if said := u.Says(key); len(said) > 0 {
			win(said[0].Source, key, said[0].Values)
		}
		if !slices.Contains(u.First.Of(key), Local) {
			win(Local, key, here[key])
		}
	}
	var all []Layer
	for _, source := range slices.Sorted(maps.Keys(won)) {
		all = append(all, Layer{Provenance{Origin: Origin(source)}, won[source]})
	}
	return all
}
