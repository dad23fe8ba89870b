package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

// Done is what a run has applied, as much of it as it takes to undo it: before and
// after of each row, and of what was created only the keys.
type Done struct {
	Source        identity.SourceID `json:"source"`
	Run           string            `json:"run"`
	CreatedUsers  []identity.Key    `json:"createdUsers,omitempty"`
	CreatedGroups []identity.Key    `json:"createdGroups,omitempty"`
	Steps         []Step            `json:"steps,omitempty"`
}

// Done returns what there is to undo once a run has applied the plan. The members of a
// group that the plan creates are not in it: they count for nothing once the group does.
func (p *Plan) Done(run string) *Done {
	d := &Done{Source: p.Source, Run: run}
	fresh := map[identity.Key]bool{}
	for i := range p.Steps {
		switch s := &p.Steps[i]; {
		case s.Op == CreateUser:
			d.CreatedUsers = append(d.CreatedUsers, s.Key)
		case s.Op == CreateGroup:
			fresh[s.Key] = true
			d.CreatedGroups = append(d.CreatedGroups, s.Key)
		case s.Op == ChangeMembers && fresh[s.Key]:
		default:
			d.Steps = append(d.Steps, *s)
		}
	}
	return d
}

// Undo returns the plan that takes back what a run has done, row by row, as far as
// nothing has touched a row since: a value goes back only where the one that the run
// wrote still stands, a membership only where it is as the run left it. What is left as
// it is, a line of Withheld says. No step of it can express a permission.
//
// Whom the run created is deactivated, and whom it deactivated returns. A record that it
// linked counts as lost, and its memberships end. Names stay unique: who would get back a
// name that another has by now keeps his, as a conflict. Nobody is linked where links is
// nil.
func Undo(have Directory, links Linkage, done *Done) *Plan {
	u := &undoing{have: have, links: links, plan: &Plan{Source: done.Source, Steps: []Step{}}, users: map[identity.Key]*undone{}}
	n := have.Total()
	c := &u.plan.Counts
	c.UsersKnown, c.UsersMissing, c.GroupsKnown, c.MembersKnown = n.Users, n.UsersMissing, n.Groups, n.Members
	for _, key := range done.CreatedUsers {
		u.lose(DeactivateUser, key)
	}
	for _, key := range done.CreatedGroups {
		u.lose(DeactivateGroup, key)
	}
	for i := range done.Steps {
		u.step(&done.Steps[i])
	}
	u.settle()
	u.emit()
	if links != nil {
		j := joining{Plan: u.plan}
		j.leave(links)
	}
	p := planner{plan: u.plan}
	p.sort()
	slices.Sort(u.plan.Withheld)
	return u.plan
}

// undoing is one Undo.
type undoing struct {
	have  Directory
	links Linkage
	plan  *Plan
	users map[identity.Key]*undone // of whom the record or the presence changes
	keys  []identity.Key           // of users, in the order of what was done
}

// undone is what becomes of one user.
type undone struct {
	known  Known
	before *identity.Record // as it stands
	after  *identity.Record
	gone   bool // he is deactivated
	back   bool // he returns
}

func (u *undoing) leave(format string, args ...any) {
	u.plan.Withheld = append(u.plan.Withheld, fmt.Sprintf(format, args...))
}

// find returns what the roll has of a step's object, if it has it at all.
func (u *undoing) find(op Op, key identity.Key) (Known, bool) {
	of, kind := u.have.User, User
	if op.OfGroup() {
		of, kind = u.have.Group, Group
	}
	k, ok := of(key)
	if !ok {
		u.leave("%s %s is not in the roll any more", kind, quote(string(key)))
	}
	return k, ok
}

// user returns what becomes of a user, to be changed.
func (u *undoing) user(k Known) *undone {
	x := u.users[k.Key]
	if x == nil {
		r := u.stored(k)
		x = &undone{known: k, before: r, after: r}
		u.users[k.Key], u.keys = x, append(u.keys, k.Key)
	}
	return x
}

func (u *undoing) stored(k Known) *identity.Record {
	if r := u.have.Record(k); r != nil {
		return r
	}
	return &identity.Record{Source: u.plan.Source, Key: k.Key, Name: k.Name}
}

// lose takes back that somebody came.
func (u *undoing) lose(op Op, key identity.Key) {
	k, ok := u.find(op, key)
	switch {
	case !ok:
	case k.Missing:
		u.leave("%s %s has left since", k.Kind, quote(k.Name))
	case op == DeactivateUser:
		u.user(k).gone = true
	default:
		u.plan.Counts.Groups.Removed++
		u.add(Step{Op: op, Key: key, Ref: k.Ref, Name: k.Name})
	}
}

func (u *undoing) add(s Step) { u.plan.Steps = append(u.plan.Steps, s) }

// step takes back one step.
func (u *undoing) step(s *Step) {
	if s.Op == LinkUser {
		if u.links == nil || !u.links.Linked(s.Key) {
			u.leave("user %s and entry %s were parted since", quote(s.Name), quote(string(s.Key)))
			return
		}
		u.lose(DeactivateUser, s.Key)
		return
	}
	k, ok := u.find(s.Op, s.Key)
	if !ok {
		return
	}
	switch s.Op {
	case UpdateUser, UpdateGroup:
		u.restore(s, k)
	case ReturnUser:
		u.restore(s, k)
		u.lose(DeactivateUser, s.Key)
	case ReturnGroup:
		u.restore(s, k)
		u.lose(DeactivateGroup, s.Key)
	case ChangeMembers:
		u.members(s, k)
	case DeactivateUser:
		if !k.Missing {
			u.leave("user %s is back already", quote(k.Name))
			return
		}
		u.user(k).back = true
	case DeactivateGroup:
		if !k.Missing {
			u.leave("group %s is back already", quote(k.Name))
			return
		}
		u.plan.Counts.Groups.Returned++
		u.add(Step{Op: ReturnGroup, Key: s.Key, Ref: k.Ref, Name: k.Name, After: u.stored(k)})
	}
}

// restore takes back the values of a record.
func (u *undoing) restore(s *Step, k Known) {
	if k.Missing {
		u.leave("%s %s has left since", k.Kind, quote(k.Name))
		return
	}
	var x *undone
	now := u.stored(k)
	if k.Kind == User {
		x = u.user(k)
		now = x.after
	}
	after := *now
	after.Hash = 0 // what the directory has is another thing: the next read brings it whole
	changed := false
	for _, c := range s.Changes {
		if !slices.Equal(fieldOf(now, c.Field), c.After) {
			u.leave("%s of %s %s was changed since", quote(c.Field), k.Kind, quote(k.Name))
			continue
		}
		setField(&after, c.Field, c.Before)
		changed = true
	}
	switch {
	case !changed:
	case x != nil:
		x.after = &after
	default:
		u.plan.Counts.Groups.Updated++
		u.add(Step{Op: UpdateGroup, Key: s.Key, Ref: k.Ref, Name: after.Name, Changes: diff(now, &after), After: &after})
	}
}

// members takes back what a group gained and lost.
func (u *undoing) members(s *Step, k Known) {
	if k.Missing {
		u.leave("group %s has left since", quote(k.Name))
		return
	}
	has := map[MemberKey]bool{}
	for m := range u.have.Members(k) {
		has[m] = true
	}
	step := Step{Op: ChangeMembers, Key: s.Key, Ref: k.Ref, Name: k.Name, MembersKnown: len(has)}
	for _, m := range s.Add {
		if has[m] {
			step.Remove = append(step.Remove, m)
		}
	}
	for _, m := range s.Remove {
		of := u.have.User
		if m.Group {
			of = u.have.Group
		}
		if _, ok := of(m.Key); ok && !has[m] {
			step.Add = append(step.Add, m)
		}
	}
	if touched := len(s.Add) + len(s.Remove) - len(step.Add) - len(step.Remove); touched > 0 {
		u.leave("%s of group %s changed since", count(touched, "membership", "memberships"), quote(k.Name))
	}
	if len(step.Add)+len(step.Remove) == 0 {
		return
	}
	u.plan.Counts.Members.Created += len(step.Add)
	u.plan.Counts.Members.Removed += len(step.Remove)
	u.add(step)
}

// settle lets nobody get back a name that another will have. Who loses keeps the name
// that he has, or stays away; that may take another's way free, or stand in it, so it is
// asked again until nothing moves.
func (u *undoing) settle() {
	for again := true; again; {
		again = false
		for _, key := range u.keys {
			x := u.users[key]
			name := identity.FoldName(x.after.Name)
			claims := x.back || !x.gone && name != identity.FoldName(x.before.Name)
			holder, taken := u.holder(name, key)
			if !claims || !taken {
				continue
			}
			again = true
			u.plan.Conflicts = append(u.plan.Conflicts, Conflict{
				Code: DuplicateName, Key: key, Name: x.after.Name, DN: x.after.DN, Holder: holder,
				Detail: fmt.Sprintf("the login name is now that of %s", quote(string(holder))),
			})
			after := *x.after
			after.Name = x.before.Name
			x.after, x.back = &after, false
		}
	}
}

// holder returns who else will be present with a name.
func (u *undoing) holder(name string, but identity.Key) (identity.Key, bool) {
	for k := range u.have.Named(name) {
		x := u.users[k.Key]
		stays := !k.Missing
		if x != nil {
			stays = (stays || x.back) && !x.gone && identity.FoldName(x.after.Name) == name
		}
		if k.Key != but && stays {
			return k.Key, true
		}
	}
	for _, key := range u.keys {
		x := u.users[key]
		if key != but && !x.gone && (x.back || !x.known.Missing) && identity.FoldName(x.after.Name) == name {
			return key, true
		}
	}
	return "", false
}

// emit makes the steps of users.
func (u *undoing) emit() {
	n := &u.plan.Counts.Users
	for _, key := range u.keys {
		x := u.users[key]
		changes := diff(x.before, x.after)
		step := Step{Key: key, Ref: x.known.Ref, Name: x.after.Name, Changes: changes, After: x.after}
		switch {
		case x.back:
			n.Returned++
			step.Op = ReturnUser
			u.add(step)
		case len(changes) > 0:
			n.Updated++
			step.Op = UpdateUser
			u.add(step)
			if x.before.Name != x.after.Name {
				u.plan.Counts.Renamed++
			}
		}
		if x.gone {
			n.Removed++
			u.add(Step{Op: DeactivateUser, Key: key, Ref: x.known.Ref, Name: x.after.Name})
		}
	}
}

const attributeField = "attribute."

// fieldOf returns the values of a field as a [Change] names it.
func fieldOf(r *identity.Record, field string) []string {
	one := func(v string) []string {
		if v == "" {
			return nil
		}
		return []string{v}
	}
	switch field {
	case "name":
		return one(r.Name)
	case "dn":
		return one(r.DN)
	case "disabled":
		return one(string(r.Disabled))
	case "expires":
		return one(instant(r.Expires))
	case "unresolved":
		return r.Unresolved
	}
	if key, ok := strings.CutPrefix(field, attributeField); ok {
		return r.Attributes[key]
	}
	return one(r.Profile[field])
}

// setField gives a field of a record other values. It changes no map that another
// record has.
func setField(r *identity.Record, field string, values []string) {
	switch field {
	case "name":
		r.Name = first(values)
		return
	case "dn":
		r.DN = first(values)
		return
	case "disabled":
		r.Disabled = identity.Reason(first(values))
		return
	case "expires":
		r.Expires, _ = time.Parse(time.RFC3339Nano, cmp.Or(first(values), "none"))
		return
	case "unresolved":
		r.Unresolved = values
		return
	}
	if key, ok := strings.CutPrefix(field, attributeField); ok {
		r.Attributes = with(r.Attributes, key, values, len(values) == 0)
		return
	}
	r.Profile = with(r.Profile, field, first(values), len(values) == 0)
}

// with returns a copy of m in which a key has a value, or is not there.
func with[M ~map[string]V, V any](m M, key string, value V, none bool) M {
	next := maps.Clone(m)
	if none {
		delete(next, key)
		return next
	}
	if next == nil {
		next = M{}
	}
	next[key] = value
	return next
}

// Fingerprint names exactly the steps of the plan: two plans have one fingerprint only
// when they do the same.
func (p *Plan) Fingerprint() string {
	h := sha256.New()
	h.Write(spell("steps 1", string(p.Source)))
	for i := range p.Steps {
		s := &p.Steps[i]
		h.Write(spell(s.Op.String(), string(s.Key), s.Ref.String()))
		for _, c := range s.Changes {
			h.Write(spell(append([]string{"change", c.Field}, c.Before...)...))
			h.Write(spell(append([]string{"to"}, c.After...)...))
		}
		for sign, list := range [][]MemberKey{s.Add, s.Remove} {
			for _, m := range list {
				h.Write(spell("member", []string{"+", "-"}[sign], m.String()))
			}
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
