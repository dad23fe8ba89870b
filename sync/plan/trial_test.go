package plan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/sync/plan"
)

// golden compares a text with a file of testdata/text, or writes it there with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "text", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), rewrite with -update:\n%s", file, diff)
	}
}

// trials are one person in different situations.
func trials() map[string]*plan.Trial {
	entry := plan.TrialEntry{
		DN: "uid=ann,ou=people,dc=example,dc=org", Key: "k1", By: "login name",
		Raw: []plan.TrialRaw{
			{Attribute: "departmentNumber", Values: []string{"R&D", "Sales, EMEA"}},
			{Attribute: "memberOf", Values: []string{"cn=a", "cn=b"}, More: 1800},
			{Attribute: "uid", Values: []string{"ann\x1b[31m"}},
		},
		Scope: plan.TrialScope{In: true, Base: "ou=people,dc=example,dc=org", Why: "below ou=people,dc=example,dc=org, and the filter (uid=*) lets it through"},
		Mapped: []plan.TrialMapped{
			{Field: "name", From: []string{"uid"}, Values: []string{"ann"}},
			{Field: "email", From: []string{"mail"}},
			{Field: "attribute.department", From: []string{"departmentNumber"}, Values: []string{"R&D", "Sales, EMEA"}},
		},
		Groups: []plan.TrialGroup{
			{Key: "g1", Name: "staff", DN: "cn=staff", By: "member"},
			{Key: "g2", Name: "all", DN: "cn=all", By: "member", Through: "staff"},
		},
	}
	outside := plan.TrialEntry{
		DN: "uid=bob,ou=partners", Key: "k2", By: "the key in the roll",
		Scope: plan.TrialScope{Why: "no base reaches it (ou=people, scope subtree)"}, Problem: "it has no name", GroupsUnknown: "the server is busy",
	}
	known := &plan.TrialKnown{Key: "k1", Name: "ann"}
	return map[string]*plan.Trial{
		"trial_changes": {
			Source: corp, User: "ann", Server: "ldap://dc1", Known: known, Entries: []plan.TrialEntry{entry},
			Steps: []plan.Step{
				{Op: plan.UpdateUser, Key: "k1", Name: "ann", Changes: []plan.Change{{Field: "attribute.department", Before: []string{"R&D"}, After: []string{"R&D", "Sales, EMEA"}}}},
				{Op: plan.ChangeMembers, Key: "g1", Name: "staff", Add: []plan.MemberKey{{Key: "k1"}}},
				{Op: plan.ChangeMembers, Key: "g3", Name: "old", Remove: []plan.MemberKey{{Key: "k1"}}},
			},
			Consequences: []plan.Consequence{{Permission: "AUDIT", Gain: 1, People: []plan.Person{{Name: "ann", Through: "staff"}}}},
			Conflicts:    []plan.Conflict{{Code: plan.Recreated, Key: "k1", Name: "ann", Holder: "k0", Detail: "the name belonged to somebody else"}},
			Notes:        []string{"the source is disabled in the configuration: no run takes place"},
		},
		"trial_outside": {
			Source: corp, User: "bob", Known: &plan.TrialKnown{Key: "k2", Name: "bob", Missing: true}, Entries: []plan.TrialEntry{outside},
		},
		"trial_nobody": {Source: corp, User: "no\nbody", Server: "ldap://dc1", Entries: []plan.TrialEntry{}},
	}
}

func TestTrialText(t *testing.T) {
	for name, trial := range trials() {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := trial.Text(&b); err != nil {
				t.Fatal(err)
			}
			if strings.ContainsAny(b.String(), "\x1b") {
				t.Error("what a directory holds reaches the terminal as it is")
			}
			golden(t, name, b.String())
		})
	}
}
