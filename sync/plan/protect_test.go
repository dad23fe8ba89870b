package plan_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// TestProtectedUsersAreNeitherDeactivatedNorRenamed is the law of protection; and names
// stay unique whatever stays.
func TestProtectedUsersAreNeitherDeactivatedNorRenamed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		var names []string
		for _, k := range subset(t, userKeys, "protected by key") {
			names = append(names, string(k))
		}
		if rapid.Bool().Draw(t, "by name") {
			names = append(names, "ANN")
		}
		before := r.clone()
		p := mustCompute(t, r, drawObservation(t, r))
		p.Protect(names)
		if err := r.apply(p.Steps); err != nil {
			t.Fatalf("apply: %v\n%+v", err, p.Steps)
		}
		holders := map[string]identity.Key{}
		for k, o := range r.users {
			was := before.users[k]
			if was != nil && !was.missing && isProtected(names, k, was.record.Name) &&
				(o.missing || identity.FoldName(o.record.Name) != identity.FoldName(was.record.Name)) {
				t.Fatalf("protected %s (%s) became %s, missing %t", k, was.record.Name, o.record.Name, o.missing)
			}
			name := identity.FoldName(o.record.Name)
			if other, taken := holders[name]; taken && !o.missing {
				t.Fatalf("%s and %s are both called %q", k, other, name)
			}
			if !o.missing {
				holders[name] = k
			}
		}
		counts := plan.Counts{}
		for _, s := range p.Steps {
			switch s.Op {
			case plan.CreateUser:
				counts.Users.Created++
			case plan.UpdateUser:
				counts.Users.Updated++
			case plan.ReturnUser:
				counts.Users.Returned++
			case plan.DeactivateUser:
				counts.Users.Removed++
			case plan.ChangeMembers:
				counts.Members.Created += len(s.Add)
			}
		}
		if counts.Users != p.Counts.Users || counts.Members.Created != p.Counts.Members.Created {
			t.Fatalf("the counts say %+v, the steps %+v", p.Counts, counts)
		}
	})
}

func isProtected(names []string, key identity.Key, name string) bool {
	for _, n := range names {
		if n == string(key) || identity.FoldName(n) == identity.FoldName(name) {
			return true
		}
	}
	return false
}

func TestProtectionText(t *testing.T) {
	have := drawnRoll(t, `user u1 name=root attr.team=red
user u2 name=ann
user u3 name=bob
group g1 name=staff members=u1|u2
`)
	p := mustCompute(t, have, drawnObservation(t, "complete: of the test", `user u1 name=root2 attr.team=blue
user u3 name=bob
user u4 name=root
group g1 name=staff members=u1|u4
`))
	p.Protect([]string{"ROOT", "u2"})
	var b strings.Builder
	if err := p.Text(&b, plan.View{Steps: true}); err != nil {
		t.Fatal(err)
	}
	golden(t, "protected", b.String())
}
