package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// Compute compares what the roll has of a source with what a read of it saw.
//
// Entries are matched by key and by nothing else: same key, same user, whatever he
// is called now. An entry whose record is nil is unchanged; an entry that was
// skipped is left as it was and counts as seen. Login names are unique within the
// source, case folded, as they will be after the run; group names need not be,
// since directories have the same name in several branches and keys tell them
// apart.
//
// Removals need the proof for their kind, memberships that for groups; without it
// they are left out and a line of Withheld says so. A membership ends only when the
// group was read whole and the member itself was seen: the rows of users and groups
// that are missing, or are lost in this run, stay where they are, and when such a
// one returns, the group that he returns to is compared as any other. So a user who
// is lost costs one step and not one for each of his groups, and a read that lost
// sight of some people does not empty their groups.
//
// The error is for an observation that contradicts itself and that no administrator
// can mend: a bug in the reader.
func Compute(have Directory, seen *identity.Observation, policy Policy) (*Plan, error) {
	p := &planner{have: have, seen: seen, policy: policy, plan: &Plan{
		Source: seen.Source, Server: seen.Server, Config: policy.Config,
		Proof: seen.Proof, Skipped: slices.Clone(seen.Skipped), Steps: []Step{},
	}}
	p.distrust()
	var err error
	if p.users, err = p.index(User, seen.Users); err != nil {
		return nil, err
	}
	if p.groups, err = p.index(Group, seen.Groups); err != nil {
		return nil, err
	}
	p.compare(p.users, have.Users())
	p.settleNames()
	p.emit(p.users)
	p.compare(p.groups, have.Groups())
	p.emit(p.groups)
	p.members()
	p.deactivate(p.users, p.plan.Proof.Users)
	p.deactivate(p.groups, p.plan.Proof.Groups)
	p.sort()
	return p.plan, nil
}

// planner holds one computation.
type planner struct {
	have          Directory
	seen          *identity.Observation
	policy        Policy
	users, groups *side
	plan          *Plan
}

// side is all entries of one kind, and what became of them.
type side struct {
	kind     Kind
	entries  []identity.Seen
	keys     *keySet // of the entries
	at       []int32 // by position in keys: position in entries
	fates    []fate  // by position in keys
	skipped  *keySet // entries that were seen, but say nothing
	known    []Known // those of the candidates that the roll has
	changes  []candidate
	absent   []Known     // present, not seen, not skipped
	kept     []Known     // present, left as they were
	groups   []candidate // present or to be created: their members are compared
	rejected map[int32]bool
}

// fate is what a run makes of an entry that was seen.
type fate uint8

const (
	unknown fate = iota // the roll has none with this key: to be created
	present
	missing // it was: to be returned
	unusable
	refused // not created or not returned, because of its name
)

// candidate is an entry that may need a step. It is small because a first run
// sorts a hundred thousand of them.
type candidate struct {
	key   int32 // position in side.keys
	known int32 // position in side.known, or none
}

// none is the position of what the roll does not have.
const none = -1

// distrust takes the proof away where an entry could not even be identified: it
// might be any of those that seem to be gone.
func (p *planner) distrust() {
	slices.SortFunc(p.plan.Skipped, compareSkipped)
	proof := &p.plan.Proof
	for _, s := range p.plan.Skipped {
		if s.Key != "" {
			continue
		}
		trusted := &proof.Users
		if s.Group {
			trusted = &proof.Groups
		}
		if *trusted {
			*trusted = false
			proof.Why = fmt.Sprintf("the key of %s could not be read (%s)", quote(s.DN), s.Reason)
		}
	}
}

// index numbers the entries of one kind and sorts out those that say nothing.
func (p *planner) index(kind Kind, entries []identity.Seen) (*side, error) {
	s := &side{kind: kind, entries: entries, keys: newKeySet(), skipped: newKeySet(), rejected: map[int32]bool{}}
	s.keys.reset(len(entries))
	s.at = make([]int32, 0, len(entries))
	twice := map[int]bool{}
	for i := range entries {
		e := &entries[i]
		if r := e.Record; r != nil && (r.Source != p.seen.Source || r.Key != e.Key) {
			return nil, fmt.Errorf("observation of source %s: the entry %q holds a record of %s with the key %q",
				p.seen.Source, e.Key, r.Source, r.Key)
		}
		at, isNew := s.keys.add(e.Key)
		if isNew {
			s.at = append(s.at, int32(i))
		} else if !sameEntry(e, &entries[s.at[at]]) {
			twice[at] = true
		}
	}
	s.fates = make([]fate, len(s.at))
	for _, x := range p.seen.Skipped {
		if x.Key != "" && x.Group == (kind == Group) {
			s.skipped.add(x.Key)
		}
	}
	for at := range s.at {
		switch e := s.entry(at); {
		case twice[at]:
			p.skip(s, at, "it was read twice, with different content")
		case e.Record != nil && kind == User && e.Record.Name == "":
			p.skip(s, at, "it has no login name")
		case s.skipped.find(e.Key) >= 0:
			s.fates[at] = unusable
		}
	}
	p.count(s)
	return s, nil
}

func (s *side) entry(at int) *identity.Seen { return &s.entries[s.at[at]] }

// sameEntry reports whether an entry that was read twice was the same both times.
// Groups that come twice are never trusted: their members may come in halves.
func sameEntry(a, b *identity.Seen) bool {
	if a.Record == nil || b.Record == nil {
		return a.Record == b.Record && len(a.Users)+len(a.Groups)+len(b.Users)+len(b.Groups) == 0
	}
	return a.Record.Equal(b.Record) && len(a.Users)+len(a.Groups)+len(b.Users)+len(b.Groups) == 0
}

// skip lists an entry that is left as it was.
func (p *planner) skip(s *side, at int, reason string) {
	e := s.entry(at)
	x := identity.Skipped{Key: e.Key, Group: s.kind == Group, Reason: reason}
	p.plan.Skipped = append(p.plan.Skipped, x)
	s.skipped.add(e.Key)
	s.fates[at] = unusable
}

func (p *planner) count(s *side) {
	n := &p.plan.Counts.UsersSeen
	if s.kind == Group {
		n = &p.plan.Counts.GroupsSeen
	}
	*n = len(s.at)
	for _, x := range p.seen.Skipped {
		if x.Group == (s.kind == Group) && (x.Key == "" || s.keys.find(x.Key) < 0) {
			*n++
		}
	}
}

// compare walks what the roll has of one kind, and finds the changed, the absent
// and the new.
func (p *planner) compare(s *side, have func(yield func(Known) bool)) {
	known, gone := 0, 0
	if s.kind == Group {
		s.groups = make([]candidate, 0, len(s.at))
		s.known = make([]Known, 0, len(s.at))
	}
	for k := range have {
		at := s.keys.find(k.Key)
		if k.Missing {
			gone++
		} else {
			known++
		}
		switch seen := at >= 0 && s.fates[at] != unusable; {
		case !seen && k.Missing:
			continue
		case !seen && s.skipped.find(k.Key) < 0:
			s.absent = append(s.absent, k)
			continue
		case !seen:
			s.kept = append(s.kept, k)
			continue
		case k.Missing:
			s.fates[at] = missing
		default:
			s.fates[at] = present
			p.plan.Counts.Unchanged++ // until a step says otherwise
		}
		r := s.entry(at).Record
		changes := k.Missing || r != nil && !r.Equal(p.have.Record(k))
		if !changes && s.kind == User {
			continue
		}
		c := candidate{key: int32(at), known: int32(len(s.known))}
		s.known = append(s.known, k)
		if changes {
			s.changes = append(s.changes, c)
		}
		if s.kind == Group {
			s.groups = append(s.groups, c)
		}
	}
	if s.kind == User {
		p.plan.Counts.UsersKnown, p.plan.Counts.UsersMissing = known, gone
	} else {
		p.plan.Counts.GroupsKnown = known
	}
	p.addNew(s)
}

// addNew finds the entries whose key the roll does not have.
func (p *planner) addNew(s *side) {
	s.changes = slices.Grow(s.changes, s.count(unknown))
	for at, f := range s.fates {
		switch {
		case f != unknown:
		case s.entry(at).Record == nil:
			p.skip(s, at, "it was read as unchanged, but is not in the roll; the next read brings it whole")
		default:
			c := candidate{key: int32(at), known: none}
			s.changes = append(s.changes, c)
			if s.kind == Group {
				s.groups = append(s.groups, c)
			}
		}
	}
	for _, cs := range [][]candidate{s.changes, s.groups} {
		slices.SortFunc(cs, func(a, b candidate) int {
			return strings.Compare(string(s.keys.keys[a.key]), string(s.keys.keys[b.key]))
		})
	}
}

// knownOf returns what the roll has of a candidate, or the zero value.
func (s *side) knownOf(c candidate) Known {
	if c.known == none {
		return Known{}
	}
	return s.known[c.known]
}

func (s *side) count(f fate) (n int) {
	for _, x := range s.fates {
		if x == f {
			n++
		}
	}
	return n
}

// settleNames finds the users who claim a login name that they did not have, and
// refuses those claims that lose.
func (p *planner) settleNames() {
	claims := make([]claim, 0, len(p.users.changes))
	for _, c := range p.users.changes {
		r := p.record(p.users, c)
		x := claim{at: c.key, record: r, name: identity.FoldName(r.Name), rank: created}
		if c.known != none {
			x.known = &p.users.known[c.known]
			x.rank = renamed
			if identity.FoldName(x.known.Name) == x.name {
				x.rank = returning
			}
		}
		if x.rank != returning || x.known.Missing {
			claims = append(claims, x)
		}
	}
	if len(claims) == 0 {
		return
	}
	n := newNames(claims, p.policy.Admit)
	p.holders(n)
	n.settle()
	for _, at := range n.losers {
		p.users.rejected[at] = true
		if p.users.fates[at] != present {
			p.users.fates[at] = refused
		}
	}
	p.plan.Conflicts = n.lost
}

// holders tells the contest who keeps which name, and who left one behind.
func (p *planner) holders(n *names) {
	s := p.users
	for k := range p.have.Users() {
		name := identity.FoldName(k.Name)
		at := s.keys.find(k.Key)
		switch {
		case at < 0 && (k.Missing || s.skipped.find(k.Key) < 0):
			n.leave(name, k.Key)
		case at < 0 || s.fates[at] == unusable && !k.Missing:
			n.keep(name, k.Key)
		case s.fates[at] == unusable:
			n.leave(name, k.Key)
		case k.Missing: // on its way back: it claims
		case s.entry(at).Record == nil || identity.FoldName(s.entry(at).Record.Name) == name:
			n.keep(name, k.Key)
		}
	}
}

// record returns what is to be stored for a candidate.
func (p *planner) record(s *side, c candidate) *identity.Record {
	if r := s.entry(int(c.key)).Record; r != nil {
		return r
	}
	return p.have.Record(s.knownOf(c))
}

// emit makes the steps of the changed entries of one kind.
func (p *planner) emit(s *side) {
	counts, ops := &p.plan.Counts.Users, [...]Op{CreateUser, UpdateUser, ReturnUser}
	if s.kind == Group {
		counts, ops = &p.plan.Counts.Groups, [...]Op{CreateGroup, UpdateGroup, ReturnGroup}
	}
	p.plan.Steps = slices.Grow(p.plan.Steps, len(s.changes))
	for _, c := range s.changes {
		r, known := p.record(s, c), s.knownOf(c)
		step := Step{Key: r.Key, Ref: known.Ref, Name: r.Name, After: r}
		switch s.fates[c.key] {
		case unknown:
			step.Op, step.Changes = ops[0], diff(&nothing, r)
			counts.Created++
		case missing:
			step.Op, step.Changes = ops[2], diff(p.have.Record(known), r)
			counts.Returned++
		case present:
			before := p.have.Record(known)
			if s.rejected[c.key] {
				r = onlyBlocked(before, r)
				step.Name, step.After = r.Name, r
			}
			step.Op, step.Changes = ops[1], diff(before, r)
			if len(step.Changes) == 0 {
				continue
			}
			counts.Updated++
			p.plan.Counts.Unchanged--
			p.tell(s.kind, before, r)
		default:
			continue
		}
		p.plan.Steps = append(p.plan.Steps, step)
	}
}

// onlyBlocked returns the stored record of an entry that is left as it was, except
// that its source may have ceased to let the person in: a dispute over a name is no
// reason to keep a leaver's access open. The hash stays the old one, so the next
// read brings the entry whole again.
func onlyBlocked(before, after *identity.Record) *identity.Record {
	r := *before
	if after.Disabled != identity.Active {
		r.Disabled = after.Disabled
	}
	if !after.Expires.IsZero() && (r.Expires.IsZero() || after.Expires.Before(r.Expires)) {
		r.Expires = after.Expires
	}
	return &r
}

// tell counts what an administrator wants to see of updates to users.
func (p *planner) tell(kind Kind, before, after *identity.Record) {
	if kind != User {
		return
	}
	if before.Name != after.Name {
		p.plan.Counts.Renamed++
	}
	if before.Disabled == identity.Active && after.Disabled != identity.Active {
		p.plan.Counts.Disabled++
	}
}

// deactivate makes the steps for those who were not seen, or says why it does not.
func (p *planner) deactivate(s *side, proven bool) {
	if len(s.absent) == 0 {
		return
	}
	if !proven {
		p.withhold(len(s.absent), s.kind.String())
		return
	}
	op, counts := DeactivateUser, &p.plan.Counts.Users
	if s.kind == Group {
		op, counts = DeactivateGroup, &p.plan.Counts.Groups
	}
	for _, k := range s.absent {
		p.plan.Steps = append(p.plan.Steps, Step{Op: op, Key: k.Key, Ref: k.Ref, Name: k.Name})
	}
	counts.Removed += len(s.absent)
}

func (p *planner) withhold(n int, what string) {
	why := cmp.Or(p.plan.Proof.Why, "the read gave no proof that it saw everything")
	p.plan.Withheld = append(p.plan.Withheld,
		fmt.Sprintf("%s not seen in this read, left unchanged: %s", count(n, what, what+"s"), why))
}

func (p *planner) sort() {
	slices.SortFunc(p.plan.Steps, func(a, b Step) int { return a.compare(&b) })
	slices.SortFunc(p.plan.Skipped, compareSkipped)
	slices.SortFunc(p.plan.Conflicts, func(a, b Conflict) int {
		return cmp.Or(strings.Compare(string(a.Key), string(b.Key)), strings.Compare(a.Code, b.Code))
	})
}

func compareSkipped(a, b identity.Skipped) int {
	switch {
	case a.Group && !b.Group:
		return 1
	case b.Group && !a.Group:
		return -1
	}
	return cmp.Or(strings.Compare(string(a.Key), string(b.Key)), strings.Compare(a.DN, b.DN),
		strings.Compare(a.Reason, b.Reason))
}
