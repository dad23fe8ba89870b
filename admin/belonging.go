package admin

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// reached is a group that somebody is in, with a shortest chain of groups up to it,
// itself included.
type reached struct {
	id      identity.GroupID
	chain   []identity.GroupID
	origins []identity.SourceID // of a direct membership
}

// groupsAbove returns every group that a user or a group is in, the direct ones
// first, then by distance. Cycles are data: a group is not above itself here.
func groupsAbove(s *state.Snapshot, m identity.Member) []reached {
	self, _ := m.Group()
	seen := map[identity.GroupID]bool{}
	if m.IsGroup() {
		seen[self] = true
	}
	var out []reached
	for g, origins := range s.GroupsOf(m) {
		if !seen[g] {
			seen[g] = true
			out = append(out, reached{g, []identity.GroupID{g}, origins})
		}
	}
	slices.SortFunc(out, func(a, b reached) int { return a.id.Compare(b.id) })
	for at := 0; at < len(out); at++ {
		below := out[at]
		for g := range s.GroupsOf(identity.GroupMember(below.id)) {
			if !seen[g] {
				seen[g] = true
				out = append(out, reached{id: g, chain: append(slices.Clip(below.chain), g)})
			}
		}
	}
	return out
}

func belongings(s *state.Snapshot, groups []reached) []Belonging {
	out := make([]Belonging, len(groups))
	for i, r := range groups {
		out[i] = Belonging{
			Subject: subjectOf(s, identity.GroupMember(r.id)), Direct: len(r.chain) == 1,
			Origins: r.origins, Via: subjectsOf(s, r.chain[:len(r.chain)-1]),
		}
	}
	return out
}

func subjectsOf(s *state.Snapshot, ids []identity.GroupID) []Subject {
	var out []Subject
	for _, id := range ids {
		out = append(out, subjectOf(s, identity.GroupMember(id)))
	}
	return out
}

// put lists what one origin put the object into, by name.
func put(s *state.Snapshot, groups []reached, wanted func(identity.SourceID) bool) []Subject {
	out := []Subject{}
	for _, r := range groups {
		if slices.ContainsFunc(r.origins, wanted) {
			out = append(out, subjectOf(s, identity.GroupMember(r.id)))
		}
	}
	slices.SortFunc(out, func(a, b Subject) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return out
}

func isLocal(o identity.SourceID) bool { return o == identity.Local }

// isOf wants what one source states; of what was made here that is nothing, as it stands
// among what was put on top.
func isOf(source identity.SourceID) func(identity.SourceID) bool {
	return func(o identity.SourceID) bool { return o == source && o != identity.Local }
}

// effectiveValues puts the object's own layers and those of its groups together.
func effectiveValues(s *state.Snapshot, own []identity.Layer, groups []reached) map[string][]Value {
	all := identity.Effective(func(yield func(identity.Layer) bool) {
		for _, l := range own {
			if !yield(l) {
				return
			}
		}
		for _, r := range groups {
			g, _, ok := s.Group(r.id)
			if !ok {
				continue
			}
			for _, l := range g.Layers(r.chain) {
				if !yield(l) {
					return
				}
			}
		}
	})
	out := make(map[string][]Value, len(all))
	for key, values := range all {
		for _, v := range values {
			out[key] = append(out[key], valueOf(s, v))
		}
	}
	return out
}

func valueOf(s *state.Snapshot, v identity.EffectiveValue) Value {
	out := Value{Value: v.Value, From: make([]Provenance, len(v.From))}
	for i, p := range v.From {
		out.From[i].Origin = p.Origin
		if p.Group.IsZero() {
			continue
		}
		g := subjectOf(s, identity.GroupMember(p.Group))
		out.From[i].Group = &g
		if len(p.Via) > 1 {
			out.From[i].Via = subjectsOf(s, p.Via)
		}
	}
	return out
}
