package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// Protected is the code of the conflict of a protected user whom a run would have
// deactivated or renamed.
const Protected = "protected"

// Protect takes the steps out of the plan that would deactivate or rename one of the
// protected users, who are given as login names and as keys of the source. Each becomes a
// conflict: a person has to say what is meant. Whoever would take the login name of one
// who keeps it stays out, too.
//
// What the source itself says of an account, that it is disabled or has expired, is no
// absence and no accident, and is applied.
func (p *Plan) Protect(names []string) {
	if len(names) == 0 {
		return
	}
	g := &guardian{plan: p, names: map[string]bool{}, kept: map[string]identity.Key{}, out: map[identity.Key]bool{}}
	for _, n := range names {
		g.names[identity.FoldName(n)] = true
	}
	g.each(g.withhold)
	for again := true; again; { // one who does not get a name keeps his own, which may be another's
		again = g.each(g.bar)
	}
	g.each(g.forget)
	slices.SortFunc(p.Conflicts, func(a, b Conflict) int {
		return cmp.Or(strings.Compare(string(a.Key), string(b.Key)), strings.Compare(a.Code, b.Code))
	})
}

// guardian is one Protect.
type guardian struct {
	plan  *Plan
	names map[string]bool
	kept  map[string]identity.Key // folded names that stay with those who have them
	out   map[identity.Key]bool   // who was to come and does not
}

// each lets f change every step, or take it out by returning false, and reports whether
// any was taken out.
func (g *guardian) each(f func(*Step) bool) bool {
	steps := g.plan.Steps
	left := steps[:0]
	for i := range steps {
		if s := steps[i]; f(&s) {
			left = append(left, s)
		}
	}
	g.plan.Steps = left
	return len(left) < len(steps)
}

func (g *guardian) protects(key identity.Key, name string) bool {
	return g.names[identity.FoldName(string(key))] || g.names[identity.FoldName(name)]
}

func (g *guardian) conflict(code string, s *Step, holder identity.Key, format string, args ...any) {
	c := Conflict{Code: code, Key: s.Key, Name: s.Name, Holder: holder, Detail: fmt.Sprintf(format, args...)}
	if s.After != nil {
		c.DN = s.After.DN
	}
	g.plan.Conflicts = append(g.plan.Conflicts, c)
}

// withhold leaves protected users as they are.
func (g *guardian) withhold(s *Step) bool {
	switch s.Op {
	case DeactivateUser:
		if !g.protects(s.Key, s.Name) {
			return true
		}
		g.kept[identity.FoldName(s.Name)] = s.Key
		g.conflict(Protected, s, "", "the source has him no more; he is protected, and stays")
		g.plan.Counts.Users.Removed--
		return false
	case UpdateUser:
		c := s.change("name")
		if c == nil || !g.protects(s.Key, first(c.Before)) {
			return true
		}
		g.kept[identity.FoldName(first(c.Before))] = s.Key
		g.conflict(Protected, s, "", "the source calls him %s; he is protected, and keeps his name", quote(first(c.After)))
		return g.unname(s, first(c.Before))
	}
	return true
}

// unname takes a new name out of a step, and reports whether anything else is in it. What
// is left has no hash, so that the next read brings the entry again.
func (g *guardian) unname(s *Step, name string) bool {
	n := &g.plan.Counts
	n.Renamed--
	s.Changes = slices.DeleteFunc(slices.Clone(s.Changes), func(c Change) bool { return c.Field == "name" })
	s.Name = name
	if s.After != nil {
		after := *s.After
		after.Name, after.Hash = name, 0
		s.After = &after
	}
	if len(s.Changes) > 0 {
		return true
	}
	n.Users.Updated--
	n.Unchanged++
	return false
}

// bar gives nobody a name that another one keeps.
func (g *guardian) bar(s *Step) bool {
	switch s.Op {
	case CreateUser, ReturnUser, UpdateUser, LinkUser:
	default:
		return true
	}
	c := s.change("name")
	holder, taken := g.kept[identity.FoldName(s.Name)]
	if !taken || holder == s.Key || s.Op == UpdateUser && c == nil {
		return true
	}
	g.conflict(DuplicateName, s, holder, "the login name is that of %s, who keeps it", quote(string(holder)))
	n := &g.plan.Counts.Users
	switch s.Op {
	case CreateUser:
		n.Created--
		g.out[s.Key] = true
	case LinkUser:
		g.plan.Counts.Linked--
		g.out[s.Key] = true
	case ReturnUser:
		n.Returned--
		g.out[s.Key] = true
	default:
		n.Updated--
		g.plan.Counts.Renamed--
		g.plan.Counts.Unchanged++
		g.kept[identity.FoldName(first(c.Before))] = s.Key
	}
	return false
}

// forget takes those who do not come out of the new members of groups.
func (g *guardian) forget(s *Step) bool {
	if s.Op != ChangeMembers || len(g.out) == 0 {
		return true
	}
	before := len(s.Add)
	s.Add = slices.DeleteFunc(slices.Clone(s.Add), func(m MemberKey) bool { return !m.Group && g.out[m.Key] })
	g.plan.Counts.Members.Created -= before - len(s.Add)
	return len(s.Add)+len(s.Remove) > 0
}
