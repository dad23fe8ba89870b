package plan_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// raising is a plan as package state leaves it after it was weighed.
func raising() *plan.Plan {
	person := func(name, through string) plan.Person { return plan.Person{Name: name, Through: through} }
	r := func(permission, key, name, through string) plan.Raised {
		return plan.Raised{Permission: permission, Key: identity.Key(key), Person: person(name, through)}
	}
	p := &plan.Plan{
		Source: corp, Server: "ldap://dc1", Config: "c2", Marked: true,
		Steps: []plan.Step{{Op: plan.ChangeMembers, Key: "g1", Name: "finance", Add: []plan.MemberKey{{Key: "u1"}, {Key: "u2"}}}},
		Consequences: []plan.Consequence{
			{Permission: "AUDIT", Lose: 1200},
			{Permission: "CREATE_FILTER", Gain: 1, People: []plan.Person{person("dora", "default:corp")}},
			{Permission: "GOVERNANCE", Gain: 7, Lose: 1, People: []plan.Person{
				person("ann", "finance"), person("ben", "finance"), person("cora", "risk"), person("dan, jr", "finance"), person("eve", ""),
			}},
		},
		Raised: []plan.Raised{
			r("GOVERNANCE", "u1", "ann", "finance"), r("GOVERNANCE", "u2", "ben", "finance"), r("GOVERNANCE", "u3", "cora", "risk"),
			r("GOVERNANCE", "u4", "dan, jr", "finance"), r("GOVERNANCE", "u5", "eve", ""), r("GOVERNANCE", "u6", "fay", "risk"),
			r("GOVERNANCE", "u7", "gus", "risk"), r("USER_ADMIN", "u1", "ann", "board"),
		},
	}
	p.Counts.Members.Created, p.Counts.UsersSeen, p.Counts.GroupsSeen = 2, 7, 1
	p.Counts.UsersKnown = 7
	return p
}

func TestConsequencesAreShownAndHeld(t *testing.T) {
	limits := plan.DefaultLimits()
	var b strings.Builder
	if err := raising().Text(&b, plan.View{Limits: &limits}); err != nil {
		t.Fatal(err)
	}
	want := `Source corp  ldap://dc1  7 users, 1 group read
  memberships  +2
  may do       AUDIT  -1,200
               CREATE_FILTER  +1 dora by default of corp
               GOVERNANCE  +7 ann, ben, "dan, jr" through group finance; cora through group risk; eve by a grant of their own; and 2 more  -1
  guard        7 people gain GOVERNANCE: ann, ben, "dan, jr" through group finance; cora through group risk; eve by a grant of their own; and 2 more: HELD
               1 person gains USER_ADMIN: ann through group board: HELD
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("the text (-want +got):\n%s", diff)
	}
	held := raising().Guard(limits)
	if held == nil || len(held.Reasons) != 2 || held.Reasons[0].Kind != plan.Raises || held.Reasons[0].Count != 7 || raising().RaisedPeople() != 7 {
		t.Fatalf("held: %+v, %d people", held, raising().RaisedPeople())
	}
	unmarked := raising()
	unmarked.Marked = false
	if held := unmarked.Guard(limits); held != nil {
		t.Errorf("a plan of a source that was not changed is held: %v", held)
	}
}

func TestAnApprovalOfRaisingCoversWhomItNamed(t *testing.T) {
	limits := plan.DefaultLimits()
	kept, err := json.Marshal(raising())
	if err != nil {
		t.Fatal(err)
	}
	var read plan.Plan
	if err := json.Unmarshal(kept, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(raising().Raised, read.Raised); diff != "" {
		t.Errorf("read back:\n%s", diff)
	}
	a := read.Approval(limits)
	if a.Digest != raising().Guard(limits).Digest {
		t.Error("the digest moved while the plan was put away")
	}
	for name, c := range map[string]struct {
		edit func(*plan.Plan)
		want bool
	}{
		"the same":             {func(*plan.Plan) {}, true},
		"another name":         {func(p *plan.Plan) { p.Raised[0].Name = "anna" }, true},
		"fewer":                {func(p *plan.Plan) { p.Raised = p.Raised[2:] }, true},
		"nobody":               {func(p *plan.Plan) { p.Raised = nil }, true},
		"another person":       {func(p *plan.Plan) { p.Raised[0].Key = "u9" }, false},
		"another permission":   {func(p *plan.Plan) { p.Raised[0].Permission = "AUDIT" }, false},
		"an id for a key":      {func(p *plan.Plan) { p.Raised[0].Key = ""; p.Raised[0].ID = plan.Ref{1} }, false},
		"under another config": {func(p *plan.Plan) { p.Config = "c3" }, false},
	} {
		p := raising()
		c.edit(p)
		if got := p.Covered(a, limits); got != c.want {
			t.Errorf("%s: Covered = %v, want %v", name, got, c.want)
		}
	}
}
