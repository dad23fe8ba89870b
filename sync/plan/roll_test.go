package plan_test

import (
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"slices"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

const corp identity.SourceID = "corp"

// roll is a small real directory: what package state keeps, without the store.
type roll struct {
	users, groups map[identity.Key]*object
}

type object struct {
	kind    plan.Kind
	record  *identity.Record
	missing bool
	members map[plan.MemberKey]bool
}

func newRoll() *roll {
	return &roll{users: map[identity.Key]*object{}, groups: map[identity.Key]*object{}}
}

func (r *roll) clone() *roll {
	c := newRoll()
	for k, o := range r.users {
		x := *o
		c.users[k] = &x
	}
	for k, o := range r.groups {
		x := *o
		x.members = maps.Clone(o.members)
		c.groups[k] = &x
	}
	return c
}

func (o *object) known() plan.Known {
	return plan.Known{
		Kind: o.kind, Ref: refOf(o.kind, o.record.Key), Key: o.record.Key, Name: o.record.Name,
		Hash: o.record.Hash, Missing: o.missing,
	}
}

func refOf(kind plan.Kind, key identity.Key) (r plan.Ref) {
	h := fnv.New128a()
	fmt.Fprintf(h, "%v/%s", kind, key)
	h.Sum(r[:0])
	return r
}

func (r *roll) get(from map[identity.Key]*object, k identity.Key) (plan.Known, bool) {
	o, ok := from[k]
	if !ok {
		return plan.Known{}, false
	}
	return o.known(), true
}

func (r *roll) User(k identity.Key) (plan.Known, bool)  { return r.get(r.users, k) }
func (r *roll) Group(k identity.Key) (plan.Known, bool) { return r.get(r.groups, k) }
func (r *roll) Users() iter.Seq[plan.Known]             { return all(r.users) }
func (r *roll) Groups() iter.Seq[plan.Known]            { return all(r.groups) }

// all walks a map, so that no test can come to rely on an order.
func all(from map[identity.Key]*object) iter.Seq[plan.Known] {
	return func(yield func(plan.Known) bool) {
		for _, o := range from {
			if !yield(o.known()) {
				return
			}
		}
	}
}

func (r *roll) Named(folded string) iter.Seq[plan.Known] {
	return func(yield func(plan.Known) bool) {
		for _, o := range r.users {
			if identity.FoldName(o.record.Name) == folded && !yield(o.known()) {
				return
			}
		}
	}
}

func (r *roll) Total() (n plan.Total) {
	for _, o := range r.users {
		if o.missing {
			n.UsersMissing++
		} else {
			n.Users++
		}
	}
	for _, o := range r.groups {
		if !o.missing {
			n.Groups++
			n.Members += len(o.members)
		}
	}
	return n
}

func (r *roll) Record(k plan.Known) *identity.Record {
	if k.Kind == plan.Group {
		return r.groups[k.Key].record
	}
	return r.users[k.Key].record
}

func (r *roll) Members(k plan.Known) iter.Seq[plan.MemberKey] {
	return maps.Keys(r.groups[k.Key].members)
}

// apply does what the steps say, and fails on a step that does not fit the roll.
func (r *roll) apply(steps []plan.Step) error {
	for _, s := range steps {
		if err := r.applyOne(s); err != nil {
			return fmt.Errorf("%v %s: %w", s.Op, s.Key, err)
		}
	}
	return nil
}

func (r *roll) applyOne(s plan.Step) error {
	of, kind := r.users, plan.User
	if s.Op.OfGroup() {
		of, kind = r.groups, plan.Group
	}
	o, ok := of[s.Key]
	creates := s.Op == plan.CreateUser || s.Op == plan.CreateGroup
	switch {
	case ok == creates:
		return fmt.Errorf("in the roll: %t", ok)
	case ok && !s.Ref.IsZero() && s.Ref != refOf(kind, s.Key):
		return fmt.Errorf("wrong id %v", s.Ref)
	}
	switch s.Op {
	case plan.CreateUser, plan.CreateGroup:
		of[s.Key] = &object{kind: kind, record: s.After, members: map[plan.MemberKey]bool{}}
	case plan.UpdateUser, plan.UpdateGroup:
		if o.missing || len(s.Changes) == 0 {
			return fmt.Errorf("missing: %t, changes: %d", o.missing, len(s.Changes))
		}
		o.record = s.After
	case plan.ReturnUser, plan.ReturnGroup:
		if !o.missing {
			return fmt.Errorf("not missing")
		}
		o.missing, o.record = false, s.After
	case plan.DeactivateUser, plan.DeactivateGroup:
		if o.missing {
			return fmt.Errorf("missing already")
		}
		o.missing = true
	case plan.ChangeMembers:
		return r.changeMembers(o, s)
	}
	return nil
}

func (r *roll) changeMembers(o *object, s plan.Step) error {
	if o.missing {
		return fmt.Errorf("members of a missing group")
	}
	for _, m := range s.Add {
		of := r.users
		if m.Group {
			of = r.groups
		}
		if x, ok := of[m.Key]; !ok || x.missing || o.members[m] {
			return fmt.Errorf("cannot add %v", m)
		}
		o.members[m] = true
	}
	for _, m := range s.Remove {
		if !o.members[m] {
			return fmt.Errorf("cannot remove %v", m)
		}
		delete(o.members, m)
	}
	return nil
}

// String draws the roll, sorted.
func (r *roll) String() string {
	var lines []string
	for _, of := range []map[identity.Key]*object{r.users, r.groups} {
		for k, o := range of {
			var members []string
			for m := range o.members {
				members = append(members, fmt.Sprintf("%t:%s", m.Group, m.Key))
			}
			slices.Sort(members)
			lines = append(lines, fmt.Sprintf("%v %s missing=%t %+v members=%v\n", o.kind, k, o.missing, *o.record, members))
		}
	}
	slices.Sort(lines)
	return fmt.Sprint(lines)
}
