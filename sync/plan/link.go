package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// Decision is what a person settled about an entry that a run left alone.
type Decision string

// The decisions.
const (
	// JoinUser links the entry to a user that the person named.
	JoinUser Decision = "join"
	// StandAlone makes a user of the entry, whatever a rule says and whoever had its name.
	StandAlone Decision = "replace"
	// Ignore leaves the entry out and does not list it any more.
	Ignore Decision = "ignore"
)

// The codes of conflicts over links.
const (
	// AmbiguousLink: several users, or several entries, answer to the rule.
	AmbiguousLink = "ambiguous_link"
	// LinkTaken: the only user who answers to it has a record of this source already.
	LinkTaken = "link_taken"
)

// Target is a user to whom a record may be joined.
type Target struct {
	Ref  Ref
	Name string
	// Taken says that the source has a record of this user.
	Taken bool
}

// People are those to whom records may be joined.
type People interface {
	// Matching returns, by value, the present users of the rule's source whose owning
	// record has one of the wanted values for the rule's attribute.
	Matching(r Rule, wanted map[string]bool) map[string][]Target
	// Target returns the user with an id, if he exists.
	Target(Ref) (Target, bool)
	Linkage
	// Joined yields the linked records of the source.
	Joined(yield func(Known, Link) bool)
	// Record returns a stored record, as that of a Directory does.
	Record(Known) *identity.Record
}

// Linkage tells which records of a source are linked ones.
type Linkage interface {
	// Linked reports whether the record that the source has of a user, by its key, is a
	// linked one.
	Linked(identity.Key) bool
	// JoinedGroups returns the groups in which the source has the user that it knows by a
	// key, those that it has lost among them: they may return.
	JoinedGroups(identity.Key) []Known
}

// Link is how a record was joined to its user.
type Link struct{ Bars bool }

// Links is how the entries of a source join users.
type Links struct {
	Rule   Rule
	Use    string
	People People
	// Others are new entries that the plan leaves out, as for their names. They join
	// nobody, and keep others from joining whom they answer to.
	Others []*identity.Record
	// Settled is what was decided about single entries.
	Settled func(identity.Key) (do Decision, user Ref, ok bool)
}

// Join turns the creation of an entry that has a user into a link to him, and takes the
// entries that are to make no user out of the plan, with their memberships. What a
// source has lost of a linked user leaves the source's groups.
//
// An entry joins a user who is the only one to answer to the rule, whom no other entry
// answers to, and of whom the source has no record. Else nobody is linked, and no user
// is made either: who is meant is for a person to say.
func (p *Plan) Join(l Links) {
	j := &joining{Plan: p, Links: l, out: map[identity.Key]bool{}}
	j.settle()
	j.match()
	j.refresh()
	j.leave(j.People)
	j.drop()
	slices.SortFunc(p.Steps, func(a, b Step) int { return a.compare(&b) })
	slices.SortFunc(p.Skipped, compareSkipped)
	slices.SortFunc(p.Conflicts, func(a, b Conflict) int {
		return cmp.Or(strings.Compare(string(a.Key), string(b.Key)), strings.Compare(a.Code, b.Code))
	})
}

// joining is one joining under way.
type joining struct {
	*Plan
	Links

	open []*Step               // creations that are not settled
	out  map[identity.Key]bool // entries that make no user
}

// settle carries out what was decided about single entries.
func (j *joining) settle() {
	for i := range j.Steps {
		step := &j.Steps[i]
		if step.Op != CreateUser {
			continue
		}
		do, user, ok := j.Settled(step.Key)
		switch {
		case !ok:
			j.open = append(j.open, step)
		case do == JoinUser:
			if t, found := j.People.Target(user); !found {
				j.conflict(step, AmbiguousLink, "", "not linked: the user whom somebody chose for it is not there any more; settle it again")
			} else if t.Taken {
				j.taken(step, t)
			} else {
				j.link(step, t)
			}
		case do == Ignore || j.Use == UseAttributes:
			j.out[step.Key] = true
		}
	}
	j.Conflicts = slices.DeleteFunc(j.Conflicts, func(c Conflict) bool {
		do, _, ok := j.Settled(c.Key)
		return ok && do == Ignore && c.Code == Recreated
	})
}

// match finds the users of all other creations by the rule.
func (j *joining) match() {
	if j.Rule.IsZero() || len(j.open) == 0 {
		return
	}
	by := identity.FoldKey(j.Rule.By)
	wanted := map[string]bool{}
	for _, step := range j.open {
		for _, v := range j.Rule.Values(step.After, by) {
			wanted[v] = true
		}
	}
	found := j.People.Matching(j.Rule, wanted)
	claims := map[Ref][]identity.Key{}
	of := make([]map[Ref]Target, len(j.open))
	for i, step := range j.open {
		of[i] = answering(found, j.Rule.Values(step.After, by))
		for ref := range of[i] {
			claims[ref] = append(claims[ref], step.Key)
		}
	}
	for _, r := range j.Others {
		for ref := range answering(found, j.Rule.Values(r, by)) {
			claims[ref] = append(claims[ref], r.Key)
		}
	}
	for i, step := range j.open {
		j.decide(step, of[i], claims)
	}
}

// answering returns who has one of the values.
func answering(found map[string][]Target, values []string) map[Ref]Target {
	out := map[Ref]Target{}
	for _, v := range values {
		for _, t := range found[v] {
			out[t.Ref] = t
		}
	}
	return out
}

// decide says what becomes of an entry, given who answers to it.
func (j *joining) decide(step *Step, of map[Ref]Target, claims map[Ref][]identity.Key) {
	switch len(of) {
	case 0:
		if j.Use == UseAttributes {
			j.unlinked(step)
		}
		return
	case 1:
	default:
		names := make([]string, 0, len(of))
		for _, t := range of {
			names = append(names, t.Name)
		}
		slices.Sort(names)
		j.conflict(step, AmbiguousLink, "", fmt.Sprintf("not linked: %s of source %s all answer to the rule %s; "+
			"settle which of them it is", some(names), j.Rule.To, j.Rule))
		return
	}
	for ref, t := range of {
		switch {
		case len(claims[ref]) > 1:
			other := claims[ref][0]
			if other == step.Key {
				other = claims[ref][1]
			}
			j.conflict(step, AmbiguousLink, other, fmt.Sprintf("not linked: entry %s answers to the rule %s for user %s as well; "+
				"settle which of them it is", other, j.Rule, t.Name))
		case t.Taken:
			j.taken(step, t)
		default:
			j.link(step, t)
		}
	}
}

func (j *joining) taken(step *Step, t Target) {
	j.conflict(step, LinkTaken, "", fmt.Sprintf("not linked: this source has another record of user %s; unlink that one, or settle this one", t.Name))
}

func (j *joining) link(step *Step, t Target) {
	step.Op, step.Ref, step.Disable, step.Rule = LinkUser, t.Ref, j.Rule.disable(), j.Rule.String()
	step.Changes = append([]Change{{Field: "linked", After: []string{t.Name}}}, step.Changes...)
	j.Counts.Users.Created--
	j.Counts.Linked++
}

// conflict lists an entry that makes no user before a person has settled it.
func (j *joining) conflict(step *Step, code string, holder identity.Key, detail string) {
	j.out[step.Key] = true
	j.Conflicts = append(j.Conflicts, Conflict{Code: code, Key: step.Key, Name: step.Name, DN: step.After.DN, Holder: holder, Detail: detail})
}

// unlinked lists an entry of an attribute-only source that nobody answers to.
func (j *joining) unlinked(step *Step) {
	j.out[step.Key] = true
	j.Counts.Unlinked++
	j.Skipped = append(j.Skipped, identity.Skipped{
		Key: step.Key, DN: step.After.DN,
		Reason: fmt.Sprintf("not linked: no user of source %s answers to the rule %s", j.Rule.To, j.Rule),
	})
}

// refresh gives the linked records what the rule says now of whether they may keep their
// users out. Without a rule they are as they were.
func (j *joining) refresh() {
	if j.Rule.IsZero() {
		return
	}
	at := map[identity.Key]int{}
	for i := range j.Steps {
		if s := &j.Steps[i]; s.Op == UpdateUser || s.Op == ReturnUser {
			s.Disable, at[s.Key] = j.Rule.disable(), i
		}
	}
	word := map[bool][]string{true: {DisableAny}, false: {DisableOwner}}
	for k, link := range j.People.Joined {
		if link.Bars == j.Rule.Bars() || k.Missing {
			continue
		}
		change := Change{Field: "link.disable", Before: word[link.Bars], After: word[j.Rule.Bars()]}
		if i, ok := at[k.Key]; ok {
			j.Steps[i].Changes = append(j.Steps[i].Changes, change)
		} else if r := j.People.Record(k); r != nil {
			j.Steps = append(j.Steps, Step{Op: UpdateUser, Key: k.Key, Ref: k.Ref, Name: k.Name, Changes: []Change{change}, After: r, Disable: j.Rule.disable()})
			j.Counts.Users.Updated++
		}
	}
}

// leave takes whom the source has lost out of its groups, where his record is a linked
// one: he may well stay active, and what those groups give must not.
func (j *joining) leave(links Linkage) {
	gone := map[identity.Key][]MemberKey{}
	groups := map[identity.Key]Known{}
	for i := range j.Steps {
		if s := &j.Steps[i]; s.Op == DeactivateUser && links.Linked(s.Key) {
			for _, g := range links.JoinedGroups(s.Key) {
				gone[g.Key], groups[g.Key] = append(gone[g.Key], MemberKey{Key: s.Key}), g
			}
		}
	}
	for i := range j.Steps {
		s := &j.Steps[i]
		if members := gone[s.Key]; s.Op == ChangeMembers && len(members) > 0 {
			j.takeOut(s, members)
			delete(gone, s.Key)
		}
	}
	for _, g := range slices.Sorted(maps.Keys(gone)) {
		step := Step{Op: ChangeMembers, Key: g, Ref: groups[g].Ref, Name: groups[g].Name}
		j.takeOut(&step, gone[g])
		j.Steps = append(j.Steps, step)
	}
}

func (j *joining) takeOut(s *Step, members []MemberKey) {
	before := len(s.Remove)
	s.Remove = append(slices.Clip(s.Remove), members...)
	slices.SortFunc(s.Remove, MemberKey.compare)
	s.Remove = slices.Compact(s.Remove)
	j.Counts.Members.Removed += len(s.Remove) - before
	s.Add = slices.DeleteFunc(s.Add, func(m MemberKey) bool { return slices.Contains(members, m) })
}

// drop takes the entries that make no user out of the plan.
func (j *joining) drop() {
	if len(j.out) == 0 {
		return
	}
	out := func(m MemberKey) bool { return !m.Group && j.out[m.Key] }
	steps := j.Steps[:0]
	for _, s := range j.Steps {
		if s.Op == CreateUser && j.out[s.Key] {
			j.Counts.Users.Created--
			continue
		}
		if s.Op == ChangeMembers && slices.ContainsFunc(s.Add, out) {
			before := len(s.Add)
			s.Add = slices.DeleteFunc(slices.Clone(s.Add), out)
			j.Counts.Members.Created -= before - len(s.Add)
			j.Counts.Unresolved += before - len(s.Add)
			if len(s.Add)+len(s.Remove) == 0 {
				continue
			}
		}
		steps = append(steps, s)
	}
	clear(j.Steps[len(steps):])
	j.Steps = steps
}
