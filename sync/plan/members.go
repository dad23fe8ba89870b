package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// members compares the members of every group that was seen, and counts those of
// the groups that were not.
func (p *planner) members() {
	m := &roster{planner: p, haveUsers: newKeySet(), haveGroups: newKeySet(), cut: map[string][]string{}}
	for _, c := range p.groups.groups {
		m.compare(c)
	}
	if !p.partial() {
		for _, k := range slices.Concat(p.groups.absent, p.groups.kept) {
			p.plan.Counts.MembersKnown += m.load(k)
		}
	}
	if m.withheld > 0 {
		p.withhold(m.withheld, "membership")
	}
	for _, why := range slices.Sorted(maps.Keys(m.cut)) {
		names := m.cut[why]
		slices.Sort(names)
		p.plan.Withheld = append(p.plan.Withheld, fmt.Sprintf(
			"the members of %s could not be read whole, so none were removed (%s): %s",
			count(len(names), "group", "groups"), some(names), why))
	}
}

// roster compares the members of one group after the other in the same memory.
type roster struct {
	*planner
	haveUsers, haveGroups *keySet             // the members that the roll has
	matched               []bool              // which of them were named: users first, then groups
	cut                   map[string][]string // names of groups not read whole, by the reason
	withheld              int
}

// load fills the sets with the members that the roll has of a group.
func (m *roster) load(k Known) int {
	m.haveUsers.reset(0)
	m.haveGroups.reset(0)
	for x := range m.have.Members(k) {
		if x.Group {
			m.haveGroups.add(x.Key)
		} else {
			m.haveUsers.add(x.Key)
		}
	}
	return len(m.haveUsers.keys) + len(m.haveGroups.keys)
}

// compare makes the step for one group, if it needs one.
func (m *roster) compare(c candidate) {
	e, k := m.groups.entry(int(c.key)), m.groups.knownOf(c)
	if e.Edges == identity.EdgesSame {
		return
	}
	known := 0
	if m.groups.fates[c.key] == unknown {
		m.haveUsers.reset(0)
		m.haveGroups.reset(0)
	} else {
		known = m.load(k)
	}
	if !m.partial() {
		m.plan.Counts.MembersKnown += known
	}
	m.matched = slices.Grow(m.matched[:0], known)[:known]
	clear(m.matched)
	step := Step{Op: ChangeMembers, Key: e.Key, Ref: k.Ref, Name: k.Name}
	if m.groups.fates[c.key] == present {
		step.MembersKnown = known
	}
	if e.Record != nil {
		step.Name = e.Record.Name
	}
	matchedUsers, matchedGroups := m.matched[:len(m.haveUsers.keys)], m.matched[len(m.haveUsers.keys):]
	step.Add = m.added(step.Add, m.haveUsers, matchedUsers, e.Users, User)
	step.Add = m.added(step.Add, m.haveGroups, matchedGroups, e.Groups, Group)
	if e.Edges == identity.EdgesPatch {
		step.Remove = takenOut(step.Remove, m.haveUsers, e.LostUsers, User)
		step.Remove = takenOut(step.Remove, m.haveGroups, e.LostGroups, Group)
	} else {
		step.Remove = m.removed(step.Remove, m.haveUsers, matchedUsers, User)
		step.Remove = m.removed(step.Remove, m.haveGroups, matchedGroups, Group)
	}
	switch {
	case e.MembersUnknown != "":
		m.cut[e.MembersUnknown] = append(m.cut[e.MembersUnknown], quote(step.Name))
		step.Remove = nil
	case !m.plan.Proof.Groups || m.seen.Withhold != "":
		m.withheld += len(step.Remove)
		step.Remove = nil
	}
	if len(step.Add)+len(step.Remove) == 0 {
		return
	}
	slices.SortFunc(step.Add, MemberKey.compare)
	slices.SortFunc(step.Remove, MemberKey.compare)
	step.Add = slices.Compact(step.Add)
	m.plan.Counts.Members.Created += len(step.Add)
	m.plan.Counts.Members.Removed += len(step.Remove)
	m.plan.Steps = append(m.plan.Steps, step)
}

// added marks those members that the roll has, and appends those it lacks.
func (m *roster) added(to []MemberKey, have *keySet, matched []bool, seen []identity.Key, kind Kind) []MemberKey {
	if room := len(seen) - len(matched); room > 0 && to == nil {
		to = make([]MemberKey, 0, room)
	}
	for _, k := range seen {
		switch at := have.find(k); {
		case at >= 0:
			matched[at] = true
		case m.answers(kind, k):
			to = append(to, MemberKey{Group: kind == Group, Key: k})
		default:
			m.plan.Counts.Unresolved++
		}
	}
	return to
}

// takenOut appends the members that a patch takes out and that the roll has.
func takenOut(to []MemberKey, have *keySet, lost []identity.Key, kind Kind) []MemberKey {
	for _, k := range lost {
		if have.find(k) >= 0 {
			to = append(to, MemberKey{Group: kind == Group, Key: k})
		}
	}
	return to
}

// removed appends the members that the roll has, that were not named, and that
// were themselves seen in this read, or count as seen.
func (m *roster) removed(to []MemberKey, have *keySet, matched []bool, kind Kind) []MemberKey {
	s := m.side(kind)
	for i, k := range have.keys {
		if matched[i] {
			continue
		}
		if at := s.keys.find(k); at >= 0 && s.fates[at] != unusable || at < 0 && m.partial() && m.answers(kind, k) {
			to = append(to, MemberKey{Group: kind == Group, Key: k})
		}
	}
	return to
}

// answers reports whether the key is that of a user or group who will be present
// after the run.
func (m *roster) answers(kind Kind, k identity.Key) bool {
	s := m.side(kind)
	if at := s.keys.find(k); at >= 0 && s.fates[at] != unusable {
		return s.fates[at] != refused
	}
	known := m.have.User
	if kind == Group {
		known = m.have.Group
	}
	x, found := known(k)
	return found && !x.Missing && (!m.lost(s, k) || !m.partial() && !m.proven(kind))
}

func (p *planner) side(kind Kind) *side {
	if kind == Group {
		return p.groups
	}
	return p.users
}

// some joins the first few of a list.
func some(names []string) string {
	const few = 5
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
