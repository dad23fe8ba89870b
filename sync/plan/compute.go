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
// An observation of changes is compared by what it names: the rest of the roll counts
// as seen and unchanged, and who is gone is removed on the evidence that the
// observation has for each.
//
// The error is for an observation that contradicts itself and that no administrator
// can mend: a bug in the reader.
func Compute(have Directory, seen *identity.Observation, policy Policy) (*Plan, error) {
	p := &planner{have: have, seen: seen, policy: policy, plan: &Plan{
		Source: seen.Source, Server: seen.Server, Config: policy.Config, Reach: seen.Reach,
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
	if p.partial() {
		p.total()
	}
	p.compare(p.users, have.Users())
	p.settleNames()
	p.emit(p.users)
	p.compare(p.groups, have.Groups())
	p.emit(p.groups)
	p.members()
	p.deactivate(p.users)
	p.deactivate(p.groups)
	p.sort()
	p.plan.CountMissed(p.seen)
	return p.plan, nil
}

// CountMissed counts what a sweep found that is not as the roll has it.
func (p *Plan) CountMissed(seen *identity.Observation) {
	found := make(map[identity.Gone]bool, len(seen.Found))
	for _, x := range seen.Found {
		found[x] = true
	}
	p.Missed = 0
	for i := range p.Steps {
		s := &p.Steps[i]
		if x := (identity.Gone{Key: s.Key, Group: s.Op.OfGroup()}); found[x] {
			delete(found, x)
			p.Missed++
		}
	}
}

// planner holds one computation.
type planner struct {
	have          Directory
	seen          *identity.Observation
	policy        Policy
	users, groups *side
	plan          *Plan
}

// partial reports whether the observation is of changes only.
func (p *planner) partial() bool { return p.seen.Reach != identity.ReachFull }

// total takes from the roll what a full read would have counted.
func (p *planner) total() {
	if len(p.seen.Users)+len(p.seen.Groups)+len(p.seen.Gone)+len(p.seen.Skipped) == 0 {
		return // nothing is compared with it
	}
	n := p.have.Total()
	c := &p.plan.Counts
	c.UsersKnown, c.UsersMissing, c.GroupsKnown, c.MembersKnown = n.Users, n.UsersMissing, n.Groups, n.Members
}

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
			proof.Why = fmt.Sprintf("the key of %s could not be read (%s)", quote(cmp.Or(s.DN, "an entry")), s.Reason)
		}
	}
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
	if !p.partial() {
		for k := range p.have.Users() {
			p.holder(n, k)
		}
		return
	}
	for name := range n.states {
		for k := range p.have.Named(name) {
			p.holder(n, k)
		}
	}
}

func (p *planner) holder(n *names, k Known) {
	s, name := p.users, identity.FoldName(k.Name)
	at := s.keys.find(k.Key)
	switch {
	case at < 0 && (k.Missing || p.lost(s, k.Key)):
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

// lost reports whether one who is present and was not seen is not there any more.
func (p *planner) lost(s *side, key identity.Key) bool {
	if p.partial() {
		return s.gone.find(key) >= 0
	}
	return s.skipped.find(key) < 0
}

// record returns what is to be stored for a candidate.
func (p *planner) record(s *side, c candidate) *identity.Record {
	if r := s.entry(int(c.key)).Record; r != nil {
		return r
	}
	return p.stored(s.knownOf(c))
}

// stored returns the stored record of what the roll has, or as much of it as is
// known when it cannot be read.
func (p *planner) stored(k Known) *identity.Record {
	if r := p.have.Record(k); r != nil {
		return r
	}
	return &identity.Record{Source: p.seen.Source, Key: k.Key, Name: k.Name}
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
			step.Op, step.Changes = ops[2], diff(p.stored(known), r)
			counts.Returned++
		case present:
			before := p.stored(known)
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
func (p *planner) deactivate(s *side) {
	if len(s.absent) == 0 {
		return
	}
	if p.seen.Withhold != "" || !p.partial() && !p.proven(s.kind) {
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

// proven reports whether everything of the kind was seen.
func (p *planner) proven(kind Kind) bool {
	if kind == Group {
		return p.plan.Proof.Groups
	}
	return p.plan.Proof.Users
}

func (p *planner) withhold(n int, what string) {
	why := cmp.Or(p.seen.Withhold, p.plan.Proof.Why, "the read gave no proof that it saw everything")
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
