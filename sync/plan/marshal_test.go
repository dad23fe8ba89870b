package plan_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/sync/plan"
)

// A plan that was put away is shown and approved as the one that was computed.
func TestAPlanSurvivesBeingPutAway(t *testing.T) {
	limits := plan.DefaultLimits()
	limits.Deactivations = plan.Limit{}
	limits.MembersRemoved = plan.Limit{}
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		p := mustCompute(t, r, drawObservation(t, r))
		b, err := json.Marshal(p, json.Deterministic(true))
		if err != nil {
			t.Fatalf("Marshal: %v", err)
		}
		var back plan.Plan
		if err := json.Unmarshal(b, &back, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("Unmarshal: %v\n%s", err, b)
		}
		view := plan.View{Limits: &limits, Steps: true}
		var text, again strings.Builder
		if err := p.Text(&text, view); err != nil {
			t.Fatalf("Text: %v", err)
		}
		if err := back.Text(&again, view); err != nil {
			t.Fatalf("Text: %v", err)
		}
		if diff := cmp.Diff(text.String(), again.String()); diff != "" {
			t.Fatalf("put away and taken out (-before +after):\n%s", diff)
		}
		if !reflect.DeepEqual(p.Guard(limits), back.Guard(limits)) || !back.Covered(p.Approval(limits), limits) {
			t.Fatalf("held as %v, after being put away as %v", p.Guard(limits), back.Guard(limits))
		}
	})
}

func TestUnknownOperationsAreRefused(t *testing.T) {
	var s plan.Step
	if err := json.Unmarshal([]byte(`{"op":"grant_permission"}`), &s); err == nil {
		t.Errorf("a step that no plan has was read as %v", s.Op)
	}
	var k plan.Kind
	if err := json.Unmarshal([]byte(`"person"`), &k); err == nil {
		t.Errorf("an unknown kind was read as %v", k)
	}
}

func TestSummary(t *testing.T) {
	r := company(30, 3)
	o := r.read()
	if got := mustCompute(t, r, o).Summary(); got != "nothing to change" {
		t.Errorf("Summary of an empty plan = %q", got)
	}
	o.Users = o.Users[2:]
	create(o, 3)
	o.Groups[0].Users = append(o.Groups[0].Users, "new00000", "nobody")
	if got, want := mustCompute(t, r, o).Summary(), "users +3  -2, memberships +1"; got != want {
		t.Errorf("Summary = %q, want %q", got, want)
	}
}
