package plan_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/sync/plan"
)

// TestComparedWithItselfAPlanIsTheSame, and turned round what came is what went.
func TestComparedWithItselfAPlanIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		a, b := mustCompute(t, r, drawObservation(t, r)), mustCompute(t, r, drawObservation(t, r))
		if d := plan.Compare(a, a); !d.IsEmpty() || d.Same != len(a.Steps) {
			t.Fatalf("a plan differs from itself: %+v", d)
		}
		there, back := plan.Compare(a, b), plan.Compare(b, a)
		var x, y strings.Builder
		_ = there.Text(&x)
		back.Came, back.Went = back.Went, back.Came
		back.ConflictsCame, back.ConflictsWent = back.ConflictsWent, back.ConflictsCame
		_ = back.Text(&y)
		if x.String() != y.String() {
			t.Fatalf("turned round:\n%s\n%s", x.String(), y.String())
		}
		if there.IsEmpty() != (a.Fingerprint() == b.Fingerprint() && len(a.Conflicts) == len(b.Conflicts)) && there.IsEmpty() {
			t.Fatalf("two plans that differ compare as the same:\n%+v\n%+v", a.Steps, b.Steps)
		}
	})
}

func TestDifferenceText(t *testing.T) {
	have := `user u1 name=ann attr.team=red
user u2 name=bob
user u3 name=cid
user u4 name=dora missing
group g1 name=staff members=u1|u2
`
	first := mustCompute(t, drawnRoll(t, have), drawnObservation(t, "complete: of the test", `user u1 name=ann.lee attr.team=blue
user u2 name=bob
user u5 name=dora
group g1 name=staff members=u1
`))
	second := mustCompute(t, drawnRoll(t, have), drawnObservation(t, "complete: of the test", `user u1 name=ann.lee attr.team=green
user u3 name=cid
user u6 name=eve
group g1 name=staff members=u1|u3|u6
`))
	var b strings.Builder
	if err := plan.Compare(first, second).Text(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "difference", b.String())
}
