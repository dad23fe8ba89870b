package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// An administrator has looked: the newcomer with the leaver's name is another
// person. The leaver, should he return, then waits in his turn.
func TestAdmittedNewcomersTakeTheName(t *testing.T) {
	r := drawnRoll(t, "user old name=ann missing\n")
	o := drawnObservation(t, "complete", "user new name=ann\n")
	p := mustCompute(t, r, o)
	if !p.IsEmpty() || len(p.Conflicts) != 1 || p.Conflicts[0].Code != plan.Recreated || p.Conflicts[0].Holder != "old" {
		t.Fatalf("without being admitted: steps %v, conflicts %v", p.Steps, p.Conflicts)
	}
	p, err := plan.Compute(r, o, plan.Policy{Admit: map[identity.Key]bool{"new": true}})
	if err != nil || len(p.Steps) != 1 || p.Steps[0].Op != plan.CreateUser || len(p.Conflicts) != 0 {
		t.Fatalf("admitted: steps %v, conflicts %v, %v", p.Steps, p.Conflicts, err)
	}
	if err := r.apply(p.Steps); err != nil {
		t.Fatal(err)
	}
	p = mustCompute(t, r, drawnObservation(t, "complete", "user new name=ann\nuser old name=ann\n"))
	want := []plan.Conflict{{
		Code: plan.DuplicateName, Key: "old", Name: "ann", Holder: "new",
		Detail: "left as it was: entry new has this login name; give one of them another in the directory",
	}}
	if diff := cmp.Diff(want, p.Conflicts); diff != "" || !p.IsEmpty() {
		t.Errorf("the leaver is back (-want +got):\n%s\nsteps %v", diff, p.Steps)
	}
}

// Two users whom an earlier release let have one name both keep it: no run takes a
// name from anybody.
func TestNamesThatClashAlreadyStay(t *testing.T) {
	r := drawnRoll(t, "user u1 name=ann\nuser u2 name=ANN\n")
	o := drawnObservation(t, "complete", "user u1 name=ann email=a@x\nuser u2 name=ANN email=b@x\nuser u3 name=ann\n")
	p := mustCompute(t, r, o)
	if p.Counts.Users.Updated != 2 || len(p.Conflicts) != 1 || p.Conflicts[0].Holder != "u1" {
		t.Errorf("steps %v, conflicts %v", p.Steps, p.Conflicts)
	}
}
