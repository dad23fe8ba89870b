package app

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// joined is a daemon with a directory, and a provider whose people are those of the
// directory.
type joined struct {
	*running
	org   dirtest.Org
	slapd *dirtest.Slapd
	dir   string
	token string
}

func startJoined(t *testing.T) *joined {
	t.Helper()
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: 12, Groups: 2, Members: 3}
	j := &joined{org: org, slapd: dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: org.WriteLDIF}), dir: t.TempDir()}
	j.running = start(t, j.config(t, "exact"))
	j.bootstrapped()
	j.good()
	j.token, _ = j.call("POST", "/v1/sources/okta/tokens", `{"name":"okta"}`, 201)["secret"].(string)
	return j
}

func (j *joined) config(t *testing.T, compare string) string {
	t.Helper()
	path := configOf(t, j.dir, openLDAPSource(j.slapd))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return dirtest.WriteFile(t, "rollcall.yaml", string(text)+fmt.Sprintf(`
  - name: okta
    type: scim
    link: {to: corp, by: employeeNumber, equals: employee, compare: %s}
`, compare))
}

// person pushes a person of the directory, or of a number that nobody has.
func (j *joined) person(i int) (id string) {
	j.t.Helper()
	id, _ = j.scim("POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
		"userName":"okta%d","externalId":"x%d","active":true,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"%d"}}`, i, i, 100000+i), 201)["id"].(string)
	return id
}

func (j *joined) scim(method, path, body string, want int) map[string]any {
	j.t.Helper()
	return j.pushed(j.token, method, path, body, want)
}

// planned does what is shown before it is done.
func (j *joined) planned(method, path, body string) map[string]any {
	j.t.Helper()
	mark := "?"
	if strings.Contains(path, "?") {
		mark = "&"
	}
	plan := j.call(method, path+mark+"dryRun=true", body, 200)
	return j.call(method, path+mark+"digest="+url.QueryEscape(fmt.Sprint(plan["digest"])), body, 200)
}

func (j *joined) allowed(name, permission string) bool {
	j.t.Helper()
	out, _ := j.call("POST", "/v1/check", fmt.Sprintf(`{"user":%q,"permission":%q}`, name, permission), 200)["allowed"].(bool)
	return out
}

func (j *joined) idOf(name string) string {
	j.t.Helper()
	id, err := j.db.View().Now().OneUser(name)
	if err != nil {
		j.t.Fatal(err)
	}
	return id.String()
}

// TestPushedRecordsAreLinkedAndMovedByHand links a person of a provider to one of a
// directory, by the rule and by hand, takes it back, and lets the one source own the
// users of the other, and back. The provider finds all its people under the ids that it
// was told, and the directory's records, ids and grants stay.
func TestPushedRecordsAreLinkedAndMovedByHand(t *testing.T) {
	t.Parallel()
	j := startJoined(t)
	ann, ben := j.org.Login(3), j.org.Login(4)
	annID, benID := j.idOf("corp/"+ann), j.idOf("corp/"+ben)
	j.call("PUT", "/v1/users/"+ben+"/grants/CREATE_FILTER", `{"reason":"she asked"}`, 201)
	rows := j.stored("v/u/")

	byRule, alone := j.person(3), j.person(404)
	group, _ := j.scim("POST", "/Groups", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Stewards","members":[{"value":%q},{"value":%q}]}`, byRule, alone), 201)["id"].(string)
	j.call("PUT", "/v1/groups/Stewards/grants/GOVERNANCE", `{"reason":"stewards","acknowledgeDirectory":true}`, 201)
	for key, was := range rows {
		if is := j.stored(key)[key]; string(is.Value) != string(was.Value) || is.Rev != was.Rev {
			t.Errorf("a push changed %s", key)
		}
	}
	if j.idOf("okta/okta3") != annID || !j.allowed("corp/"+ann, "GOVERNANCE") {
		t.Error("the rule has not joined the record to the person")
	}
	found := func() {
		t.Helper()
		for id, name := range map[string]string{byRule: "okta3", alone: "okta404"} {
			if u := j.scim("GET", "/Users/"+id, "", 200); u["userName"] != name || !strings.Contains(fmt.Sprint(u["groups"]), group) {
				t.Errorf("under %s there is %v", id, u)
			}
		}
		if g := fmt.Sprint(j.scim("GET", "/Groups/"+group, "", 200)["members"]); !strings.Contains(g, byRule) || !strings.Contains(g, alone) {
			t.Errorf("the group has %s", g)
		}
		if j.idOf("corp/"+ann) != annID || j.idOf("corp/"+ben) != benID || !j.allowed("corp/"+ben, "CREATE_FILTER") {
			t.Error("ids or grants of people of the directory have changed")
		}
	}
	found()

	// By hand: the record of the rule goes, another one comes.
	j.planned("DELETE", "/v1/users/"+annID+"/links/okta", "")
	if j.allowed("corp/"+ann, "GOVERNANCE") || !j.allowed("okta/okta3", "GOVERNANCE") || j.idOf("okta/okta3") == annID {
		t.Error("the memberships have not gone with the record")
	}
	found()
	stranger := j.idOf("okta/okta404")
	j.planned("POST", "/v1/users/"+benID+"/links", `{"user":"okta/okta404"}`)
	if j.idOf("okta/okta404") != benID || !j.allowed("corp/"+ben, "GOVERNANCE") {
		t.Error("the record is not that of the person whom it was linked to")
	}
	found()
	j.planned("DELETE", "/v1/users/"+benID+"/links/okta", "")
	if j.idOf("okta/okta404") != stranger || j.allowed("corp/"+ben, "GOVERNANCE") {
		t.Error("who was linked by hand is not back")
	}
	found()
	j.planned("POST", "/v1/users/"+annID+"/links", `{"user":"okta/okta3"}`)

	// The provider owns the users, and the directory again.
	out := j.planned("POST", "/v1/migrations", `{"from":"corp","to":"okta","by":"employee","equals":"employeeNumber"}`)
	if out["done"] != 1.0 || j.db.View().Now().Source("okta").Config == "" {
		t.Errorf("migrated: %v", out)
	}
	found()
	j.scim("PATCH", "/Users/"+byRule, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`, 200)
	if j.allowed("corp/"+ann, "GOVERNANCE") {
		t.Error("the provider owns her, and does not keep her out")
	}
	rows = j.stored("v/u/", "v/r/")
	j.good()
	j.sameBytes(rows, "v/u/", "v/r/")
	j.planned("POST", "/v1/migrations", `{"from":"okta","to":"corp","by":"employeeNumber","equals":"employee"}`)
	found()
	if !j.allowed("corp/"+ann, "GOVERNANCE") {
		t.Error("the directory owns her again, and the provider still keeps her out")
	}
	rows = j.stored("v/u/", "v/r/")
	j.good()
	j.sameBytes(rows, "v/u/", "v/r/")
}

// TestARuleThatWasChangedWaitsForWhoMayConfer changes the rule of a provider whose groups
// carry a grant. Whoever may write the configuration is not thereby one who may say to
// whom it comes.
func TestARuleThatWasChangedWaitsForWhoMayConfer(t *testing.T) {
	t.Parallel()
	j := startJoined(t)
	j.person(1)
	setup := j.keyOf("installer", permissions.ApplicationAdmin)
	j.scim("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Stewards"}`, 201)
	j.call("PUT", "/v1/groups/Stewards/grants/GOVERNANCE", `{"reason":"stewards","acknowledgeDirectory":true}`, 201)
	next, err := LoadConfig(j.config(t, "folded"), nil)
	if err == nil {
		_, err = j.Reload(t.Context(), next)
	}
	if err != nil {
		t.Fatal(err)
	}
	id := j.person(2)
	j.scim("GET", "/Users/"+id, "", 200)
	list, _ := j.call("GET", "/v1/sources/okta/unassigned", "", 200)["records"].([]any)
	if len(list) != 1 || !strings.Contains(fmt.Sprint(list[0]), "link_held") || !strings.Contains(fmt.Sprint(list[0]), id) {
		t.Errorf("nobody's are %v", list)
	}
	for state, want := range map[string]string{"linked": "1", "nobodys": "1"} {
		if got := j.metric(`rollcall_linked_records{source="okta",state="` + state + `"}`); got != want {
			t.Errorf("%s records are %q, want %s", state, got, want)
		}
	}
	src := j.call("GET", "/v1/sources/okta", "", 200)
	held, _ := src["held"].(map[string]any)
	if src["state"] != "held" || held["raises"] != 1.0 || !strings.Contains(fmt.Sprint(held["reasons"]), "GOVERNANCE") {
		t.Errorf("the source says %v, %v", src["state"], held)
	}
	const path = "/v1/sources/okta/approval"
	approve := fmt.Sprintf(`{"digest":%q}`, held["digest"])
	j.as(setup).call("POST", path, approve, 403)
	j.call("POST", path, `{"digest":"sha256:other"}`, 409)
	j.call("POST", path, approve, 200)
	j.until("the record was joined", func(s *state.Snapshot) bool {
		p, ok := s.PushedUser("okta", identity.Key(id))
		return ok && p.Place == state.Joined
	})
	if j.idOf("okta/okta2") != j.idOf("corp/"+j.org.Login(2)) {
		t.Error("it was joined to another")
	}
	j.call("POST", path, approve, 404)
}

// TestRecordsThatAreNobodysAreSettled settles what the rule leaves open, each way.
func TestRecordsThatAreNobodysAreSettled(t *testing.T) {
	t.Parallel()
	j := startJoined(t)
	j.person(5)
	same := func(name string) string {
		t.Helper()
		id, _ := j.scim("POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
			"userName":%q,"active":true,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"100005"}}`, name), 201)["id"].(string)
		return id
	}
	join, own, ignore := same("join"), same("own"), same("ignore")
	const path = "/v1/sources/okta/settlements"
	settle := func(id, decision, more string, want int) map[string]any {
		t.Helper()
		return j.call("POST", path, fmt.Sprintf(`{"entry":%q,"decision":%q%s}`, id, decision, more), want)
	}
	six := j.idOf("corp/" + j.org.Login(6))
	// What a record is in comes to whom it joins: that is for one who may confer it.
	seven := j.idOf("corp/" + j.org.Login(7))
	group, _ := j.scim("POST", "/Groups", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Stewards","members":[{"value":%q}]}`, join), 201)["id"].(string)
	j.call("PUT", "/v1/groups/Stewards/grants/GOVERNANCE", `{"reason":"stewards","acknowledgeDirectory":true}`, 201)
	clerk := j.keyOf("clerk", permissions.UserAdmin)
	j.rule(permissions.GrantRuleHeld)
	j.as(clerk).call("POST", path, fmt.Sprintf(`{"entry":%q,"decision":"join","user":%q}`, join, seven), 403)
	j.as(clerk).call("POST", "/v1/users/"+seven+"/links?dryRun=true", `{"user":"okta/join"}`, 403)
	j.rule(permissions.GrantRuleUserAdmin)
	j.scim("PATCH", "/Groups/"+group, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members"}]}`, 200)

	settle(join, "merge", `,"user":"`+six+`"`, 404)
	settle("nothing", "replace", "", 404)
	settle(join, "join", `,"user":"okta/okta5"`, 409)
	settle(join, "join", `,"user":"`+six+`"`, 200)
	settle(own, "replace", `,"reason":"another one"`, 200)
	settle(ignore, "ignore", "", 200)
	if j.idOf("okta/join") != six || j.call("GET", "/v1/users/okta%2Fown", "", 200)["userName"] != "own" {
		t.Error("what was settled was not done")
	}
	list, _ := j.call("GET", "/v1/sources/okta/unassigned", "", 200)["records"].([]any)
	if len(list) != 1 || !strings.Contains(fmt.Sprint(list[0]), "ignored") {
		t.Errorf("nobody's are %v", list)
	}
	for _, id := range []string{join, own, ignore} {
		j.scim("GET", "/Users/"+id, "", 200)
	}

	// The directory goes, and with it its users: what was pushed stays.
	j.call("DELETE", "/v1/users/corp%2Fnobody", "", 404)
	j.decides(state.Delete{Member: identity.UserMember(mustUser(t, six)), Source: "corp"})
	if u := j.scim("GET", "/Users/"+join, "", 200); u["userName"] != "join" {
		t.Errorf("the record of a user who was deleted is %v", u)
	}
}

// TestARecreatedAccountIsThePerson settles that an account which a provider made anew,
// under another id of his own, is the person whom it took away: of a user that the provider
// owns, and of a linked record.
func TestARecreatedAccountIsThePerson(t *testing.T) {
	t.Parallel()
	j := startJoined(t)
	const path = "/v1/sources/okta/settlements"
	merge := func(entry, user string, want int) map[string]any {
		t.Helper()
		return j.call("POST", path, fmt.Sprintf(`{"entry":%q,"decision":"merge","user":%q}`, entry, user), want)
	}
	again := func(i int) string {
		t.Helper()
		id, _ := j.scim("POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
			"userName":"okta%d","externalId":"other%d","active":true,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"%d"}}`, i, i, 100000+i), 201)["id"].(string)
		return id
	}
	group, _ := j.scim("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Stewards"}`, 201)["id"].(string)
	j.call("PUT", "/v1/groups/Stewards/grants/GOVERNANCE", `{"reason":"stewards","acknowledgeDirectory":true}`, 201)
	for name, i := range map[string]int{"corp/" + j.org.Login(3): 3, "okta/okta404": 404} {
		old := j.person(i)
		id := j.idOf(name)
		j.call("PUT", "/v1/users/"+id+"/grants/CREATE_FILTER", `{"reason":"asked"}`, 201)
		merge(old, id, 409) // it is there
		j.scim("DELETE", "/Users/"+old, "", 204)
		entry := again(i)
		j.scim("PATCH", "/Groups/"+group, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"`+entry+`"}]}]}`, 200)
		if j.ownerOf(entry) == id || j.allowed(id, "GOVERNANCE") {
			t.Errorf("%s is the person already", entry)
		}
		merge(entry, j.idOf("corp/"+j.org.Login(5)), 404)
		clerk := j.keyOf("clerk-"+fmt.Sprint(i), permissions.UserAdmin)
		j.rule(permissions.GrantRuleHeld)
		j.as(clerk).call("POST", path, fmt.Sprintf(`{"entry":%q,"decision":"merge","user":%q}`, entry, id), 403)
		j.rule(permissions.GrantRuleUserAdmin)
		merge(entry, id, 200)
		if j.ownerOf(entry) != id || !j.allowed(id, "GOVERNANCE") || !j.allowed(id, "CREATE_FILTER") {
			t.Errorf("after the merge %s is not the person, or may not what he may", entry)
		}
		if u := j.scim("GET", "/Users/"+entry, "", 200); !strings.Contains(fmt.Sprint(u["groups"]), group) {
			t.Errorf("its provider finds %v", u)
		}
		j.scim("GET", "/Users/"+old, "", 404)
	}
}

// ownerOf returns the user of a record.
func (j *joined) ownerOf(record string) string {
	j.t.Helper()
	p, ok := j.db.View().Now().PushedUser("okta", identity.Key(record))
	if !ok {
		j.t.Fatalf("okta has no record %s", record)
	}
	u, _ := p.Member.User()
	return u.String()
}

func mustUser(t *testing.T, text string) identity.UserID {
	t.Helper()
	id, err := identity.ParseUserID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
