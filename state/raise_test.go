package state

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// TestAPlanIsWeighedByWhenAccountsEnd moves the end of an account over the instant at
// which a plan is weighed. Random runs know no clock, so this is apart from them.
func TestAPlanIsWeighedByWhenAccountsEnd(t *testing.T) {
	c := newCourt(t)
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	ann := identity.NewUserID()
	r := record("k-ann", "ann")
	r.Expires = noon.Add(-time.Hour)
	c.must(admin, Create{Member: identity.UserMember(ann), Record: r}, give(identity.UserMember(ann), permissions.Audit))
	weigh := func(expires time.Time, now time.Time) *plan.Plan {
		after := *r
		after.Expires = expires
		p := &plan.Plan{Source: "corp", Marked: true, Steps: []plan.Step{{Op: plan.UpdateUser, Key: "k-ann", Name: "ann", After: &after}}}
		c.View().Now().Weigh(p, now)
		return p
	}
	gains := []plan.Consequence{{Permission: "AUDIT", Gain: 1, People: []plan.Person{{Name: "ann"}}}}
	for name, x := range map[string]struct {
		expires, now time.Time
		want         []plan.Consequence
	}{
		"it never ends":          {time.Time{}, noon, gains},
		"it ends later":          {noon.Add(time.Second), noon, gains},
		"it has ended":           {noon, noon, nil},
		"it had not ended yet":   {noon, noon.Add(-2 * time.Hour), nil},
		"it is brought forward":  {noon.Add(-3 * time.Hour), noon.Add(-2 * time.Hour), []plan.Consequence{{Permission: "AUDIT", Lose: 1}}},
		"it ends where it ended": {r.Expires, noon, nil},
	} {
		p := weigh(x.expires, x.now)
		if diff := cmp.Diff(x.want, p.Consequences); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if raised := len(x.want) > 0 && x.want[0].Gain > 0; raised != (len(p.Raised) > 0) {
			t.Errorf("%s: raised %+v", name, p.Raised)
		}
	}
}

// TestAPlanIsApprovedWhileItIsHeld decides twice on one plan: what the second rests on is
// gone.
func TestAPlanIsApprovedWhileItIsHeld(t *testing.T) {
	c := newCourt(t)
	clerk := c.user("clerk", permissions.ApplicationAdmin)
	boss := c.user("boss", permissions.UserAdmin)
	term := lead(t, c.mem)
	p := &plan.Plan{Source: "corp", Marked: true, Raised: []plan.Raised{{Permission: "GOVERNANCE", Key: "k", Person: plan.Person{Name: "ann"}}}}
	parts, err := c.KeepPlan(t.Context(), term.Fence(), p, "sha256:1")
	if err != nil {
		t.Fatal(err)
	}
	c.must(admin, PutSource{Source: "corp", State: SourceState{Held: &HeldPlan{Digest: "sha256:1", Parts: parts, Raises: 1}}})
	approve, err := c.Approve(t.Context(), "corp", "sha256:1")
	if err != nil {
		t.Fatal(err)
	}
	c.refused("grant_not_allowed", actor(clerk), approve)
	c.refused("grant_not_allowed", actor(boss), approve, Within{Permissions: []permissions.Permission{permissions.Audit}})
	c.must(actor(boss), approve)
	if ok := c.View().Now().Source("corp").Approval; ok == nil || ok.Digest != "sha256:1" || ok.By != actor(boss).String() {
		t.Errorf("the approval is %+v", ok)
	}

	st := c.View().Now().Source("corp")
	st.Held = &HeldPlan{Digest: "sha256:2"}
	c.must(admin, PutSource{Source: "corp", State: st})
	c.refused("plan_changed", actor(boss), approve)
	if _, err := c.Approve(t.Context(), "corp", "sha256:1"); fault.Code(err) != "plan_changed" {
		t.Errorf("Approve of a plan that is held no more = %v", err)
	}
}
