package admin

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// reasonNotAllowed says why something local does not count: the source of the user or
// group that it was put on does not allow it. It is the code of the refusal of new ones,
// too.
const reasonNotAllowed = "local_not_allowed"

// InactiveGroup is a group that somebody was put into here and is not in.
type InactiveGroup struct {
	Subject
	Reason string `json:"reason" enum:"local_not_allowed" doc:"Why the membership does not count"`
}

// barring returns the change that the switches of a configuration ask for; nothing where
// they stand so. It is judged with the rest: who turns one on may not raise anybody by it
// whom he could not raise otherwise.
func barring(s *state.Snapshot, id identity.SourceID, cfg jsontext.Value) []state.Change {
	keys := configOf(cfg)
	bar := state.Bar{Attributes: keys["allow_local_attributes"] == false, Memberships: keys["allow_local_memberships"] == false}
	if bar == s.Bar(id) {
		return nil
	}
	return []state.Change{state.PutBar{Source: id, Bar: bar}}
}

// inactiveAttributes says why the local attributes of a layer do not count; nothing where
// they do, or where there are none.
func inactiveAttributes(l *identity.LocalLayer) string {
	if l.Barred && len(l.Attributes) > 0 {
		return reasonNotAllowed
	}
	return ""
}

// inactiveGroups lists the memberships that were made here and do not count, by name.
func inactiveGroups(s *state.Snapshot, m identity.Member) (out []InactiveGroup) {
	for g := range s.BarredGroupsOf(m) {
		out = append(out, InactiveGroup{subjectOf(s, identity.GroupMember(g)), reasonNotAllowed})
	}
	slices.SortFunc(out, func(a, b InactiveGroup) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return out
}

// statedMembers yields all direct members of a group: those that count, and those whose
// membership is kept and does not.
func statedMembers(s *state.Snapshot, id identity.GroupID) iter.Seq[state.Membership] {
	return func(yield func(state.Membership) bool) {
		for m := range s.Members(id) {
			if !yield(m) {
				return
			}
		}
		for m := range s.BarredMembers(id) {
			if !yield(state.Membership{Member: m, Origins: []identity.SourceID{identity.Local}}) {
				return
			}
		}
	}
}

// groupMember shows a membership. One without origins is nested, and counts.
func groupMember(s *state.Snapshot, id identity.GroupID, m state.Membership) GroupMember {
	out := GroupMember{Subject: subjectOf(s, m.Member), Origins: m.Origins}
	if len(m.Origins) == 1 && m.Origins[0] == identity.Local && s.Barred(m.Member, id) {
		out.Inactive = reasonNotAllowed
	}
	return out
}

// barred yields the groups that the member is not in because what was put into one of
// them here does not count: that one, and those above it. With each comes the chain of
// memberships up to it.
func barred(s *state.Snapshot, m identity.Member, above []reached) iter.Seq2[identity.GroupID, []ValueStep] {
	return func(yield func(identity.GroupID, []ValueStep) bool) {
		in := map[identity.GroupID]bool{}
		for _, r := range above {
			in[r.id] = true
		}
		if self, ok := m.Group(); ok {
			in[self] = true
		}
		for _, from := range slices.Concat([]reached{{}}, above) {
			last, way := m, steps(s, m, from.chain)
			if len(from.chain) > 0 {
				last = identity.GroupMember(from.id)
			}
			for g := range s.BarredGroupsOf(last) {
				hop := ValueStep{subjectOf(s, identity.GroupMember(g)), []identity.SourceID{identity.Local}, reasonNotAllowed}
				for _, r := range slices.Concat([]reached{{id: g}}, groupsAbove(s, identity.GroupMember(g))) {
					if in[r.id] {
						continue
					}
					in[r.id] = true
					if !yield(r.id, slices.Concat(way, []ValueStep{hop}, steps(s, identity.GroupMember(g), r.chain))) {
						return
					}
				}
			}
		}
	}
}
