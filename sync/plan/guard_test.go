package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// company is a roll with so many users u0000.., each in one of so many groups
// g000..
func company(users, groups int) *roll {
	r := newRoll()
	for i := range groups {
		k := identity.Key(fmt.Sprintf("g%03d", i))
		r.groups[k] = &object{
			kind: plan.Group, members: map[plan.MemberKey]bool{},
			record: &identity.Record{Source: corp, Key: k, Name: "Group " + string(k)},
		}
	}
	for i := range users {
		k := identity.Key(fmt.Sprintf("u%04d", i))
		r.users[k] = &object{record: &identity.Record{Source: corp, Key: k, Name: "name-" + string(k)}}
		if groups > 0 {
			g := identity.Key(fmt.Sprintf("g%03d", i%groups))
			r.groups[g].members[plan.MemberKey{Key: k}] = true
		}
	}
	return r
}

// read returns a proven observation that equals the roll.
func (r *roll) read() *identity.Observation {
	o := &identity.Observation{Source: corp, Proof: identity.Proof{Users: true, Groups: true}}
	for k := range r.users {
		o.Users = append(o.Users, identity.Seen{Key: k})
	}
	for k, g := range r.groups {
		s := identity.Seen{Key: k}
		for m := range g.members {
			if m.Group {
				s.Groups = append(s.Groups, m.Key)
			} else {
				s.Users = append(s.Users, m.Key)
			}
		}
		o.Groups = append(o.Groups, s)
	}
	for _, of := range [][]identity.Seen{o.Users, o.Groups} {
		slices.SortFunc(of, func(a, b identity.Seen) int { return strings.Compare(string(a.Key), string(b.Key)) })
	}
	return o
}

// rename gives the first n users another login name.
func rename(o *identity.Observation, n int) {
	for i := range n {
		k := o.Users[i].Key
		o.Users[i].Record = &identity.Record{Source: corp, Key: k, Name: "new-" + string(k)}
	}
}

func create(o *identity.Observation, n int) {
	for i := range n {
		k := identity.Key(fmt.Sprintf("new%05d", i))
		o.Users = append(o.Users, identity.Seen{Key: k, Record: &identity.Record{Source: corp, Key: k, Name: string(k)}})
	}
}

// TestGuard goes through what really happened to people, and through both sides of
// each limit.
func TestGuard(t *testing.T) {
	for _, tt := range []struct {
		name          string
		users, groups int
		read          func(*identity.Observation)
		want          []string
	}{
		{"nothing changed", 100, 10, func(*identity.Observation) {}, nil},
		{"the bind account lost its rights: success without entries", 100, 10, func(o *identity.Observation) {
			o.Users, o.Groups = nil, nil
		}, []string{plan.EmptyAnswer, plan.EmptyAnswer, plan.Deactivations, plan.GroupsRemoved}},
		{
			"the same in a company of three", 3, 1, func(o *identity.Observation) { o.Users = nil },
			[]string{plan.EmptyAnswer},
		},
		{"the server stopped at 500 entries and said success", 2000, 10, func(o *identity.Observation) {
			o.Users = o.Users[:500]
		}, []string{plan.Deactivations}},
		{"ten leavers in a hundred", 100, 0, func(o *identity.Observation) { o.Users = o.Users[10:] }, nil},
		{
			"eleven leavers in a hundred", 100, 0, func(o *identity.Observation) { o.Users = o.Users[11:] },
			[]string{plan.Deactivations},
		},
		{"nine leavers in twenty are too few to ask", 20, 0, func(o *identity.Observation) { o.Users = o.Users[9:] }, nil},
		{
			"501 leavers in 9,000", 9000, 0, func(o *identity.Observation) { o.Users = o.Users[501:] },
			[]string{plan.Deactivations},
		},
		{"500 leavers in 9,000", 9000, 0, func(o *identity.Observation) { o.Users = o.Users[500:] }, nil},
		{
			"a group base went out of scope", 100, 20, func(o *identity.Observation) { o.Groups = o.Groups[5:] },
			[]string{plan.GroupsRemoved},
		},
		{"members over 1,500 came in ranges and the group looked empty", 1000, 5, func(o *identity.Observation) {
			o.Groups[0].Users = nil
		}, []string{plan.MembersRemoved, plan.OneGroup}},
		{"one group loses half of its forty", 1000, 25, func(o *identity.Observation) {
			o.Groups[0].Users = o.Groups[0].Users[20:]
		}, nil},
		{"one group loses more than half of its forty", 1000, 25, func(o *identity.Observation) {
			o.Groups[0].Users = o.Groups[0].Users[21:]
		}, []string{plan.OneGroup}},
		{"a group of twenty may be emptied", 500, 25, func(o *identity.Observation) {
			o.Groups[0].Users = nil
		}, nil},
		{"the member attribute cannot be read any more", 500, 25, func(o *identity.Observation) {
			for i := range o.Groups {
				o.Groups[i].Users = nil
			}
		}, []string{plan.MembersRemoved}},
		{
			"the filter was removed and the forest came", 100, 0, func(o *identity.Observation) { create(o, 1001) },
			[]string{plan.Creations},
		},
		{"a thousand joiners", 100, 0, func(o *identity.Observation) { create(o, 1000) }, nil},
		{"a merger doubles a large company by less than half", 9000, 0, func(o *identity.Observation) { create(o, 4500) }, nil},
		{"a first run may fill an empty source", 0, 0, func(o *identity.Observation) { create(o, 5000) }, nil},
		{"the name mapping was changed", 100, 0, func(o *identity.Observation) { rename(o, 31) }, []string{plan.NamesChanged}},
		{"thirty of a hundred are renamed", 100, 0, func(o *identity.Observation) { rename(o, 30) }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := company(tt.users, tt.groups)
			o := r.read()
			tt.read(o)
			h := mustCompute(t, r, o).Guard(plan.DefaultLimits())
			var got []string
			if h != nil {
				for _, reason := range h.Reasons {
					got = append(got, reason.Kind)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Guard (-want +got):\n%s\n%v", diff, h)
			}
		})
	}
}

func TestFirstRunCanAsk(t *testing.T) {
	r := newRoll()
	o := r.read()
	create(o, 2)
	l := plan.DefaultLimits()
	l.FirstRun = plan.FirstRunAsk
	p := mustCompute(t, r, o)
	h := p.Guard(l)
	if h == nil || h.Reasons[0].Kind != plan.FirstRun {
		t.Fatalf("Guard = %v, want it held as the first run", h)
	}
	if !p.Covered(p.Approval(l), l) {
		t.Errorf("the plan is not covered by its own approval")
	}
	mustRun(t, r, o)
	create(o, 3)
	if h := mustCompute(t, r, o).Guard(l); h != nil {
		t.Errorf("the second run is held: %v", h)
	}
}

func TestHeldSaysWhatToDo(t *testing.T) {
	r := company(1000, 5)
	o := r.read()
	o.Users = o.Users[200:]
	text := mustCompute(t, r, o).Guard(plan.DefaultLimits()).String()
	for _, want := range []string{
		"200 of 1,000 users deactivated (20 %), limit 10 % and at least 10, or 500",
		"approve this digest: sha256:",
		"200 people who left the directory stay active here",
		"a local disable wins",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("Held.String lacks %q:\n%s", want, text)
		}
	}
}

// An approval is for these steps, under this configuration, or for fewer of them.
func TestApproval(t *testing.T) {
	l := plan.DefaultLimits()
	compute := func(config string, read func(*identity.Observation)) *plan.Plan {
		r := company(100, 2)
		o := r.read()
		read(o)
		p, err := plan.Compute(r, o, plan.Policy{Config: config})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	without := func(from, to int) func(*identity.Observation) {
		return func(o *identity.Observation) { o.Users = slices.Delete(o.Users, from, to) }
	}
	p := compute("c1", without(0, 20))
	a := p.Approval(l)
	if h := p.Guard(l); h.Digest != a.Digest {
		t.Errorf("held as %s, approved as %s", h.Digest, a.Digest)
	}
	for _, tt := range []struct {
		name   string
		plan   *plan.Plan
		covers bool
		digest bool // the same digest
	}{
		{"the same set, read again", compute("c1", without(0, 20)), true, true},
		{"a subset", compute("c1", without(0, 15)), true, false},
		{"a subset below the limits", compute("c1", without(0, 5)), true, false},
		{"another set of the same size", compute("c1", without(1, 21)), false, false},
		{"a superset", compute("c1", without(0, 21)), false, false},
		{"another configuration", compute("c2", without(0, 20)), false, false},
		{"the same set beside steps of kinds that are within limits", compute("c1", func(o *identity.Observation) {
			without(0, 20)(o)
			create(o, 7)
			rename(o, 5)
		}), true, true},
		{"a further kind crosses its limit", compute("c1", func(o *identity.Observation) {
			without(0, 20)(o)
			o.Groups[0].Users = nil
		}), false, false},
		{"nothing to hold", compute("c2", func(*identity.Observation) {}), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.plan.Covered(a, l); got != tt.covers {
				t.Errorf("Covered = %t, want %t", got, tt.covers)
			}
			h := tt.plan.Guard(l)
			if same := h != nil && h.Digest == a.Digest; same != tt.digest {
				t.Errorf("the same digest: %t, want %t", same, tt.digest)
			}
		})
	}
	if compute("c1", without(0, 20)).Covered(plan.Approval{Config: "c1", Steps: []byte{1}}, l) {
		t.Errorf("a damaged approval covers a plan")
	}
}

// Of memberships each single one is approved.
func TestApprovalOfMembers(t *testing.T) {
	l := plan.DefaultLimits()
	r := company(100, 2)
	loses := func(from, to int) *plan.Plan {
		o := r.read()
		slices.Sort(o.Groups[0].Users)
		o.Groups[0].Users = slices.Delete(o.Groups[0].Users, from, to)
		return mustCompute(t, r, o)
	}
	a := loses(0, 30).Approval(l)
	if !loses(0, 30).Covered(a, l) || !loses(2, 28).Covered(a, l) {
		t.Errorf("the approved members, or fewer, are not covered")
	}
	if loses(1, 31).Covered(a, l) {
		t.Errorf("another member is covered")
	}
}

func TestValidateLimits(t *testing.T) {
	problems := func(l plan.Limits) (got []string) {
		l.Validate(func(path, format string, args ...any) {
			got = append(got, path+": "+fmt.Sprintf(format, args...))
		})
		return got
	}
	if got := problems(plan.DefaultLimits()); got != nil {
		t.Errorf("the defaults are wrong: %q", got)
	}
	l := plan.DefaultLimits()
	l.Deactivations.Share = -1
	l.MembersRemoved.AtLeast = -2
	l.Creations.Count = -3
	l.OneGroup = plan.GroupLimit{Share: 1e9, LargerThan: -1}
	l.FirstRun = "yes"
	want := []string{
		"deactivations.share", "members_removed.at_least", "creations.count",
		"members_of_one_group.share", "members_of_one_group.larger_than", "first_run",
	}
	got := problems(l)
	for i := range got {
		got[i], _, _ = strings.Cut(got[i], ":")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Validate (-want +got):\n%s", diff)
	}
}
