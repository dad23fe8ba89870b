package permissions

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
)

type townNames struct{}

func (townNames) UserName(u identity.UserID) string {
	return map[identity.UserID]string{userID(0): "ann", userID(1): "bob", userID(3): "dan\x1b[2J"}[u]
}

func (townNames) GroupName(g identity.GroupID) (string, identity.SourceID) {
	switch g {
	case groupID(0):
		return "Data Stewards", "corp-ad"
	case groupID(1):
		return "EMEA", "corp-ad"
	}
	return "World", identity.Local
}

// townBook has for GOVERNANCE one path that counts and one that has expired.
func townBook() *Book {
	e := NewBook().Edit()
	emea := grant("77", Governance, group(1))
	emea.Reason, emea.Expires = "CHG-1423", at(48) // 18 December
	e.Put(emea)
	past := grant("12", Governance, user(0))
	past.Expires = at(5)
	e.Put(past)
	e.Put(grant("13", CreateFilter, group(2)))
	last := grant("14", Audit, user(0))
	last.At, last.Expires = at(-400), at(9)
	e.Put(last)
	e.Put(grant("15", "GONE", user(0)))
	e.Put(grant("16", Audit, user(3)))
	return e.Book()
}

func TestSentence(t *testing.T) {
	for _, c := range []struct {
		name string
		user int
		p    Permission
		want string
	}{
		{
			"one way that counts and one that no longer does", 0, Governance,
			"yes  ann -> group Data Stewards (corp-ad, nested in EMEA) -> grant by root, 2 Nov, CHG-1423, expires in 38d -> GOVERNANCE\n" +
				"no   ann -> direct grant by root, 2 Nov: expired 5 Nov\n",
		},
		{
			"the source is named where it changes", 0, CreateFilter,
			"yes  ann -> group Data Stewards (corp-ad, nested in EMEA, nested in World of local) -> grant by root, 2 Nov -> CREATE_FILTER\n",
		},
		{"only what has expired", 0, Audit, "no   ann -> direct grant by root, 26 Sep 2025: expired 9 Nov\n"},
		{"nothing", 0, CreateProject, "no   ann -> nothing leads to CREATE_PROJECT\n"},
		{
			"an inactive user", 1, CreateFilter,
			"no   bob is inactive (disabled locally)\n" +
				"no   bob -> group Data Stewards (corp-ad, nested in EMEA, nested in World of local) -> grant by root, 2 Nov: not while the user is inactive\n",
		},
		{
			"a permission that is gone", 0, "GONE",
			"no   there is no permission GONE\nno   ann -> direct grant by root, 2 Nov: not in the catalogue\n",
		},
		{"an unknown user", 9, Audit, "no   there is no user users/" + userID(9).String() + "\n"},
		{"a name that would clear the screen", 3, Audit, "yes  dan\uFFFD[2J -> direct grant by root, 2 Nov -> AUDIT\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := townBook().Explain(town(), Request{User: userID(c.user), Permission: c.p, Now: at(10)})
			if diff := cmp.Diff(strings.Split(c.want, "\n"), strings.Split(x.Sentence(townNames{}), "\n")); diff != "" {
				t.Errorf("Sentence (-want +got):\n%s", diff)
			}
		})
	}
}

const wantJSON = `{
	"user": "users/61000000-0000-0000-0000-000000000000",
	"userName": "ann",
	"permission": "GOVERNANCE",
	"time": "2026-11-10T09:00:00Z",
	"allowed": true,
	"paths": [
		{
			"effective": true,
			"steps": [
				{
					"kind": "MEMBERSHIP",
					"member": "users/61000000-0000-0000-0000-000000000000",
					"group": "groups/62000000-0000-0000-0000-000000000000",
					"groupName": "Data Stewards",
					"source": "corp-ad"
				},
				{
					"kind": "MEMBERSHIP",
					"member": "groups/62000000-0000-0000-0000-000000000000",
					"group": "groups/62000000-0000-0000-0000-000000000001",
					"groupName": "EMEA",
					"source": "corp-ad"
				},
				{
					"kind": "GRANT",
					"grant": "grants/77",
					"subject": "groups/62000000-0000-0000-0000-000000000001",
					"grantedBy": "user:root",
					"time": "2026-11-02T09:00:00Z",
					"reason": "CHG-1423",
					"expireTime": "2026-12-18T09:00:00Z",
					"origin": "local"
				}
			]
		}
	],
	"blockedPaths": [
		{
			"effective": false,
			"blockedBy": [
				"expired"
			],
			"steps": [
				{
					"kind": "GRANT",
					"grant": "grants/12",
					"subject": "users/61000000-0000-0000-0000-000000000000",
					"grantedBy": "user:root",
					"time": "2026-11-02T09:00:00Z",
					"expireTime": "2026-11-05T09:00:00Z",
					"origin": "local",
					"state": "EXPIRED"
				}
			]
		}
	]
}`

func TestExplanationAsJSON(t *testing.T) {
	x := townBook().Explain(town(), Request{User: userID(0), Permission: Governance, Now: at(10)}).Named(townNames{})
	got, err := json.Marshal(x, jsontext.WithIndent("\t"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(wantJSON, "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	var back Explanation
	if err := json.Unmarshal(got, &back, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	if back.Sentence(nil) != x.Sentence(nil) {
		t.Errorf("read back, it says:\n%swant:\n%s", back.Sentence(nil), x.Sentence(nil))
	}
}

func TestNamedLeavesTheOriginalAlone(t *testing.T) {
	x := townBook().Explain(town(), Request{User: userID(0), Permission: Governance, Now: at(10)})
	x.Named(townNames{})
	if x.UserName != "" || x.Paths[0].Steps[0].GroupName != "" {
		t.Errorf("Named changed the explanation that it was called on: %+v", x)
	}
}
