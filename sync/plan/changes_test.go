package plan_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// changes returns of a full and proven observation what differs from the roll, as a
// read of changes brings it.
func changes(t *rapid.T, r *roll, full *identity.Observation) *identity.Observation {
	o := &identity.Observation{Source: full.Source, Reach: identity.ReachChanges, Proof: full.Proof}
	seen := map[identity.Gone]bool{}
	for _, e := range full.Users {
		seen[identity.Gone{Key: e.Key}] = true
		if x, ok := r.users[e.Key]; !ok || x.missing || e.Record != nil && !e.Record.Equal(x.record) {
			o.Users = append(o.Users, e)
		}
	}
	for _, e := range full.Groups {
		seen[identity.Gone{Key: e.Key, Group: true}] = true
		x, ok := r.groups[e.Key]
		switch {
		case !ok || x.missing:
			o.Groups = append(o.Groups, e)
		case e.Record != nil && !e.Record.Equal(x.record) || !maps.Equal(x.members, listed(e)):
			o.Groups = append(o.Groups, partly(t, x, e))
		}
	}
	for k, x := range r.users {
		if g := (identity.Gone{Key: k}); !x.missing && !seen[g] {
			o.Gone = append(o.Gone, g)
		}
	}
	for k, x := range r.groups {
		if g := (identity.Gone{Key: k, Group: true}); !x.missing && !seen[g] {
			o.Gone = append(o.Gone, g)
		}
	}
	return o
}

func listed(e identity.Seen) map[plan.MemberKey]bool {
	all := map[plan.MemberKey]bool{}
	for _, k := range e.Users {
		all[plan.MemberKey{Key: k}] = true
	}
	for _, k := range e.Groups {
		all[plan.MemberKey{Group: true, Key: k}] = true
	}
	return all
}

// partly says the members of a group in one of the ways that a source may.
func partly(t *rapid.T, have *object, e identity.Seen) identity.Seen {
	want := listed(e)
	if maps.Equal(have.members, want) {
		e.Edges, e.Users, e.Groups = identity.EdgesSame, nil, nil
		return e
	}
	if !rapid.Bool().Draw(t, "as a patch") {
		return e
	}
	e.Edges = identity.EdgesPatch
	known := func(group bool) func(identity.Key) bool {
		return func(k identity.Key) bool { return have.members[plan.MemberKey{Group: group, Key: k}] }
	}
	e.Users = slices.DeleteFunc(slices.Clone(e.Users), known(false))
	e.Groups = slices.DeleteFunc(slices.Clone(e.Groups), known(true))
	for m := range have.members {
		switch {
		case want[m]:
		case m.Group:
			e.LostGroups = append(e.LostGroups, m.Key)
		default:
			e.LostUsers = append(e.LostUsers, m.Key)
		}
	}
	return e
}

// drawWhole draws an observation that is proven and skips nothing.
func drawWhole(t *rapid.T, r *roll) *identity.Observation {
	o := drawObservation(t, r)
	o.Proof.Users, o.Proof.Groups, o.Skipped = true, true, nil
	for i := range o.Groups {
		o.Groups[i].MembersUnknown = ""
	}
	return o
}

func TestChangesLeadWhereAFullReadLeads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := drawRoll(t)
		mustRun(t, whole, drawWhole(t, whole))
		little := whole.clone()
		full := drawWhole(t, whole)
		// Who is lost keeps his rows, and a patch must not speak of them.
		part := changes(t, little, full)
		for i := range part.Groups {
			e := &part.Groups[i]
			e.LostUsers = slices.DeleteFunc(e.LostUsers, func(k identity.Key) bool { return absent(little.users, part, k, false) })
			e.LostGroups = slices.DeleteFunc(e.LostGroups, func(k identity.Key) bool { return absent(little.groups, part, k, true) })
		}
		mustRun(t, whole, full)
		mustRun(t, little, part)
		if diff := cmp.Diff(whole.String(), little.String()); diff != "" {
			t.Fatalf("changes lead elsewhere (-full +changes):\n%s\nthey were %+v", diff, part)
		}
	})
}

func absent(of map[identity.Key]*object, o *identity.Observation, k identity.Key, group bool) bool {
	back := slices.ContainsFunc(o.Users, func(e identity.Seen) bool { return !group && e.Key == k }) ||
		slices.ContainsFunc(o.Groups, func(e identity.Seen) bool { return group && e.Key == k })
	return of[k].missing && !back || slices.Contains(o.Gone, identity.Gone{Key: k, Group: group})
}

func TestAReadThatIsWithheldRemovesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		o := drawWhole(t, r)
		o.Withhold = "the server may lag"
		if rapid.Bool().Draw(t, "of changes") {
			o = changes(t, r, o)
			o.Withhold = "the server may lag"
		}
		p := mustCompute(t, r, o)
		for _, s := range p.Steps {
			if s.Op == plan.DeactivateUser || s.Op == plan.DeactivateGroup || len(s.Remove) > 0 {
				t.Fatalf("removed although it is withheld: %+v", s)
			}
		}
	})
}

func TestChangesCountWhatTheRollHas(t *testing.T) {
	r := newRoll()
	mustRun(t, r, &identity.Observation{
		Source: corp, Proof: identity.Proof{Users: true, Groups: true},
		Users: []identity.Seen{
			{Key: "u1", Record: &identity.Record{Source: corp, Key: "u1", Name: "ann", Hash: 1}},
			{Key: "u2", Record: &identity.Record{Source: corp, Key: "u2", Name: "bob", Hash: 1}},
		},
		Groups: []identity.Seen{{Key: "g1", Record: &identity.Record{Source: corp, Key: "g1", Name: "all", Hash: 1}, Users: []identity.Key{"u1", "u2"}}},
	})
	p := mustCompute(t, r, &identity.Observation{
		Source: corp, Reach: identity.ReachChanges, Proof: identity.Proof{Users: true, Groups: true},
		Gone: []identity.Gone{{Key: "u1"}, {Key: "stranger"}, {Key: "g1", Group: true}},
	})
	c := p.Counts
	if c.UsersKnown != 2 || c.GroupsKnown != 1 || c.MembersKnown != 2 || c.Users.Removed != 1 || c.Groups.Removed != 1 {
		t.Errorf("counts %+v", c)
	}
	if h := p.Guard(plan.DefaultLimits()); h != nil {
		t.Errorf("one leaver is held: %v", h)
	}
}

func TestAPatchOfAGroupThatIsNotThereIsLeftAlone(t *testing.T) {
	r := newRoll()
	p := mustCompute(t, r, &identity.Observation{
		Source: corp, Reach: identity.ReachChanges, Proof: identity.Proof{Users: true, Groups: true},
		Groups: []identity.Seen{{Key: "g1", Record: &identity.Record{Source: corp, Key: "g1", Name: "all", Hash: 1}, Edges: identity.EdgesPatch}},
	})
	if !p.IsEmpty() || len(p.Skipped) != 1 {
		t.Errorf("steps %v, skipped %v", p.Steps, p.Skipped)
	}
}
