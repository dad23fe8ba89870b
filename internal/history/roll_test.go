package history

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// roll is what a store has of one source: what a plan says, step by step, and no more.
type roll struct {
	users, groups map[identity.Key]*object
	// in holds the groups of each member.
	in map[plan.MemberKey]map[identity.Key]bool
	// named holds users by folded login name.
	named map[string]map[identity.Key]bool
}

type object struct {
	kind    plan.Kind
	record  *identity.Record
	missing bool
	members map[plan.MemberKey]bool
}

var (
	_ plan.Directory = (*roll)(nil)
	_ sync.Known     = (*roll)(nil)
)

func newRoll() *roll {
	return &roll{
		users: map[identity.Key]*object{}, groups: map[identity.Key]*object{},
		in: map[plan.MemberKey]map[identity.Key]bool{}, named: map[string]map[identity.Key]bool{},
	}
}

func (r *roll) side(group bool) map[identity.Key]*object {
	if group {
		return r.groups
	}
	return r.users
}

func (o *object) known() plan.Known {
	return plan.Known{
		Kind: o.kind, Ref: refOf(o.kind, o.record.Key), Key: o.record.Key, Name: o.record.Name,
		Hash: o.record.Hash, Missing: o.missing,
	}
}

func refOf(kind plan.Kind, key identity.Key) (r plan.Ref) {
	h := xxhash.Sum64String(fmt.Sprintf("%v/%s", kind, key))
	for i := range r {
		r[i] = byte(h >> (8 * (i % 8)))
	}
	return r
}

func (r *roll) get(group bool, k identity.Key) (plan.Known, bool) {
	o, ok := r.side(group)[k]
	if !ok {
		return plan.Known{}, false
	}
	return o.known(), true
}

func (r *roll) User(k identity.Key) (plan.Known, bool)  { return r.get(false, k) }
func (r *roll) Group(k identity.Key) (plan.Known, bool) { return r.get(true, k) }
func (r *roll) Users() iter.Seq[plan.Known]             { return all(r.users) }
func (r *roll) Groups() iter.Seq[plan.Known]            { return all(r.groups) }

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
		for k := range r.named[folded] {
			if !yield(r.users[k].known()) {
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
	return r.side(k.Kind == plan.Group)[k.Key].record
}

func (r *roll) Members(k plan.Known) iter.Seq[plan.MemberKey] {
	return maps.Keys(r.groups[k.Key].members)
}

// Hash, Present, Stored and GroupsWith are what a read may ask.
func (r *roll) Hash(group bool, key identity.Key) (uint64, bool) {
	if o, ok := r.side(group)[key]; ok && !o.missing {
		return o.record.Hash, true
	}
	return 0, false
}

func (r *roll) Present(group bool) iter.Seq[identity.Key] {
	return func(yield func(identity.Key) bool) {
		for k, o := range r.side(group) {
			if !o.missing && !yield(k) {
				return
			}
		}
	}
}

func (r *roll) Stored(group bool, key identity.Key) *identity.Record {
	if o, ok := r.side(group)[key]; ok && !o.missing {
		return o.record
	}
	return nil
}

func (r *roll) GroupsWith(group bool, key identity.Key) iter.Seq[identity.Key] {
	return func(yield func(identity.Key) bool) {
		for g := range r.in[plan.MemberKey{Group: group, Key: key}] {
			if !r.groups[g].missing && !yield(g) {
				return
			}
		}
	}
}

// apply does what the steps say, and fails on one that does not fit.
func (r *roll) apply(steps []plan.Step) error {
	for i := range steps {
		if err := r.applyOne(&steps[i]); err != nil {
			return fmt.Errorf("%v %s (%s): %w", steps[i].Op, steps[i].Name, steps[i].Key, err)
		}
	}
	return nil
}

func (r *roll) applyOne(s *plan.Step) error {
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
		return errors.New("of somebody else")
	}
	switch s.Op {
	case plan.CreateUser, plan.CreateGroup:
		o = &object{kind: kind, members: map[plan.MemberKey]bool{}}
		of[s.Key] = o
		r.write(o, s.After)
	case plan.UpdateUser, plan.UpdateGroup:
		if o.missing || len(s.Changes) == 0 {
			return fmt.Errorf("missing: %t, changes: %d", o.missing, len(s.Changes))
		}
		r.write(o, s.After)
	case plan.ReturnUser, plan.ReturnGroup:
		if !o.missing {
			return errors.New("it is not missing")
		}
		o.missing = false
		r.write(o, s.After)
	case plan.DeactivateUser, plan.DeactivateGroup:
		if o.missing {
			return errors.New("it is missing already")
		}
		o.missing = true
	case plan.ChangeMembers:
		return r.changeMembers(o, s)
	default:
		return errors.New("no such step was expected")
	}
	return nil
}

func (r *roll) write(o *object, record *identity.Record) {
	if o.kind == plan.User {
		if o.record != nil {
			delete(r.named[identity.FoldName(o.record.Name)], o.record.Key)
		}
		name := identity.FoldName(record.Name)
		if r.named[name] == nil {
			r.named[name] = map[identity.Key]bool{}
		}
		r.named[name][record.Key] = true
	}
	o.record = record
}

func (r *roll) changeMembers(o *object, s *plan.Step) error {
	if o.missing {
		return errors.New("members of a missing group")
	}
	for _, m := range s.Add {
		if x, ok := r.side(m.Group)[m.Key]; !ok || x.missing || o.members[m] {
			return fmt.Errorf("cannot add %v: there %t, a member %t", m, ok, o.members[m])
		}
		o.members[m] = true
		if r.in[m] == nil {
			r.in[m] = map[identity.Key]bool{}
		}
		r.in[m][s.Key] = true
	}
	for _, m := range s.Remove {
		if !o.members[m] {
			return fmt.Errorf("cannot remove %v", m)
		}
		delete(o.members, m)
		delete(r.in[m], s.Key)
	}
	return nil
}

// picture draws those who are present.
func (r *roll) picture() picture {
	p := picture{Users: map[identity.Key]entry{}, Groups: map[identity.Key]entry{}}
	for k, o := range r.users {
		if !o.missing {
			p.Users[k] = entryOf(o.record)
		}
	}
	for k, o := range r.groups {
		if o.missing {
			continue
		}
		e := entryOf(o.record)
		for m := range o.members {
			if r.side(m.Group)[m.Key].missing {
				continue
			}
			if m.Group {
				e.Nested = append(e.Nested, m.Key)
			} else {
				e.Members = append(e.Members, m.Key)
			}
		}
		slices.Sort(e.Nested)
		slices.Sort(e.Members)
		p.Groups[k] = e
	}
	return p
}
