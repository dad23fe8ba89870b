package identity

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// Provenance says where a value comes from.
type Provenance struct {
	// Origin is who put the value there: a source's id, or "local".
	Origin Origin `json:"origin"`
	// Group carries the value; zero when it is the user's own.
	Group GroupID `json:"group,omitzero"`
	// Via is the chain of groups from one that the user is in to Group, both
	// included.
	Via []GroupID `json:"via,omitempty"`
}

// Layer is a set of attributes that share a provenance.
type Layer struct {
	From       Provenance
	Attributes Attributes
}

// EffectiveValue is one value that holds, with everything that makes it hold: as
// long as one of From is left, so is the value.
type EffectiveValue struct {
	Value string       `json:"value"`
	From  []Provenance `json:"from"`
}

// Effective returns what holds when all layers are put together, by key, the values
// sorted. The user's own provenances come first, then those of groups, by id. A
// layer that should not count, such as that of a missing group, is not among those
// given.
func Effective(layers iter.Seq[Layer]) map[string][]EffectiveValue {
	all := map[string][]EffectiveValue{}
	for l := range layers {
		for key, values := range l.Attributes {
			for _, v := range values {
				all[key] = addValue(all[key], v, l.From)
			}
		}
	}
	for _, values := range all {
		for i := range values {
			slices.SortFunc(values[i].From, Provenance.Compare)
			values[i].From = slices.CompactFunc(values[i].From, func(a, b Provenance) bool { return a.Compare(b) == 0 })
		}
	}
	return all
}

// addValue puts a value with its provenance into a sorted list.
func addValue(to []EffectiveValue, value string, from Provenance) []EffectiveValue {
	at, found := slices.BinarySearchFunc(to, value, func(e EffectiveValue, v string) int {
		return strings.Compare(e.Value, v)
	})
	if found {
		to[at].From = append(to[at].From, from)
		return to
	}
	return slices.Insert(to, at, EffectiveValue{Value: value, From: []Provenance{from}})
}

// Compare orders provenances: the user's own first, then by group, the shortest
// chain first, then by origin.
func (p Provenance) Compare(q Provenance) int {
	return cmp.Or(
		p.Group.Compare(q.Group),
		cmp.Compare(len(p.Via), len(q.Via)),
		slices.CompareFunc(p.Via, q.Via, GroupID.Compare),
		strings.Compare(string(p.Origin), string(q.Origin)),
	)
}

// Layers returns what the group gives to a member who is in it along the given
// chain, or nothing if the group is missing.
func (g *Group) Layers(via []GroupID) []Layer {
	if !g.Missing.IsZero() {
		return nil
	}
	return layers(&g.Record, &g.Local, Provenance{Group: g.ID, Via: via})
}

func layers(r *Record, l *LocalLayer, from Provenance) []Layer {
	var all []Layer
	if len(r.Attributes) > 0 {
		from.Origin = Origin(r.Source)
		all = append(all, Layer{from, r.Attributes})
	}
	if here := l.Counting(); len(here) > 0 {
		from.Origin = Origin(Local)
		all = append(all, Layer{from, here})
	}
	return all
}
