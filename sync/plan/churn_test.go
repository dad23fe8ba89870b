package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// churn changes a field of the first n of a hundred users.
func churn(n int, field string, before, after []string) *plan.Plan {
	p := &plan.Plan{Source: corp, Config: "c1", Counts: plan.Counts{UsersKnown: 100, UsersSeen: 100, Users: plan.Tally{Updated: n}}}
	for i := range n {
		p.Steps = append(p.Steps, plan.Step{
			Op: plan.UpdateUser, Key: identity.Key(fmt.Sprintf("u%03d", i)), Changes: []plan.Change{{Field: field, Before: before, After: after}},
		})
	}
	return p
}

func TestAFieldOfTooManyUsersHolds(t *testing.T) {
	red, blue := []string{"red"}, []string{"blue"}
	for _, c := range []struct {
		name          string
		n             int
		field         string
		before, after []string
		held          bool
	}{
		{"replaced", 51, "attribute.team", red, blue, true},
		{"emptied", 51, "email", red, nil, true},
		{"at the limit", 50, "email", red, blue, false},
		{"mapped anew", 100, "attribute.team", nil, blue, false},
		{"shut out", 51, "disabled", nil, []string{"disabled"}, true},
		{"let in", 100, "disabled", []string{"disabled"}, nil, false},
		{"moved", 100, "dn", red, blue, false},
	} {
		p := churn(c.n, c.field, c.before, c.after)
		held := p.Guard(plan.DefaultLimits())
		if (held != nil) != c.held {
			t.Errorf("%s: Guard = %v, want held %t", c.name, held, c.held)
		}
		if held != nil && (held.Reasons[0].Kind != plan.FieldChanged || !strings.Contains(held.Reasons[0].Text, c.field)) {
			t.Errorf("%s: the reason does not name %s: %+v", c.name, c.field, held.Reasons)
		}
	}
}

func TestAnApprovalOfChurnIsOfItsFieldAndValues(t *testing.T) {
	limits := plan.DefaultLimits()
	red, blue := []string{"red"}, []string{"blue"}
	approval := churn(60, "email", red, blue).Approval(limits)
	for name, c := range map[string]struct {
		p    *plan.Plan
		want bool
	}{
		"the same":      {churn(60, "email", red, blue), true},
		"fewer":         {churn(55, "email", red, blue), true},
		"more":          {churn(61, "email", red, blue), false},
		"another value": {churn(60, "email", red, red), false},
		"another field": {churn(60, "phone", red, blue), false},
	} {
		if got := c.p.Covered(approval, limits); got != c.want {
			t.Errorf("%s: Covered = %t, want %t", name, got, c.want)
		}
	}
}

func TestGrowthHolds(t *testing.T) {
	limits := plan.DefaultLimits()
	limits.GroupsCreated, limits.MembersAdded = plan.Limit{Share: 50, AtLeast: 2}, plan.Limit{Share: 50, AtLeast: 2}
	grow := func(groups, members, known int) *plan.Plan {
		p := &plan.Plan{Source: corp, Config: "c1", Counts: plan.Counts{UsersKnown: 10, UsersSeen: 10, GroupsSeen: 4, GroupsKnown: known, MembersKnown: 4}}
		p.Counts.Groups.Created, p.Counts.Members.Created = groups, members
		for i := range groups {
			p.Steps = append(p.Steps, plan.Step{Op: plan.CreateGroup, Key: identity.Key(fmt.Sprintf("g%d", i))})
		}
		step := plan.Step{Op: plan.ChangeMembers, Key: "g0"}
		for i := range members {
			step.Add = append(step.Add, plan.MemberKey{Key: identity.Key(fmt.Sprintf("u%d", i))})
		}
		p.Steps = append(p.Steps, step)
		return p
	}
	for name, c := range map[string]struct {
		p    *plan.Plan
		want string
	}{
		"few":              {grow(1, 2, 4), ""},
		"groups":           {grow(3, 0, 4), plan.GroupsCreated},
		"memberships":      {grow(0, 3, 4), plan.MembersAdded},
		"the first groups": {grow(3, 3, 0), ""},
	} {
		got := ""
		if held := c.p.Guard(limits); held != nil {
			got = held.Reasons[0].Kind
		}
		if got != c.want {
			t.Errorf("%s: held for %q, want %q", name, got, c.want)
		}
	}
	approval := grow(3, 3, 4).Approval(limits)
	if !grow(3, 3, 4).Covered(approval, limits) || grow(4, 3, 4).Covered(approval, limits) || grow(3, 4, 4).Covered(approval, limits) {
		t.Error("an approval of growth covers another one than it was of")
	}
}
