package admin_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// The scenario is that of the "AuthZEN Authorization API 1.0 - Certification Scenario"
// by Alex Olivier (Cerbos), in the repository openid/authzen of the OpenID AuthZEN
// working group: its subjects, resources, actions, the four decisions and three
// searches of the levels "core", and its errors. Permissions here are names that hold
// in every application, so its "read" on "record-1" is the custom permission
// READ_RECORD_1, and its records are applications. Its other four decisions and three
// searches need conditions over properties, which no grant has: they are below, to show
// that properties decide nothing.

type certified struct {
	rule                      int
	subject, action, resource string
	decision                  bool
}

var certifiedCore = []certified{
	{1, "alice", "read", "record-1", true},
	{2, "alice", "write", "record-1", true},
	{3, "bob", "read", "record-1", true},
	{4, "bob", "write", "record-1", false},
}

// certifiedProperties are given with the properties that decide in the scenario. Those
// that it allows by a property alone are a denial here: it fails closed.
var certifiedProperties = []struct {
	certified
	subjectProperties, actionProperties, resourceProperties string
}{
	{certified{5, "alice", "write", "record-2", false}, `{}`, `{}`, `{"status":"archived"}`},
	{certified{6, "bob", "write", "record-2", true}, `{"role":"admin"}`, `{}`, `{"status":"archived"}`},
	{certified{7, "alice", "delete", "record-1", true}, `{}`, `{"soft":true}`, `{}`},
	{certified{8, "alice", "delete", "record-1", false}, `{}`, `{"soft":false}`, `{}`},
}

// permissionOf is how the scenario's action on a resource is called here.
func permissionOf(action, resource string) permissions.Permission {
	return permissions.Permission(strings.ToUpper(action + "_" + strings.ReplaceAll(resource, "-", "_")))
}

func newScenario(t *testing.T) (*world, string) {
	w := newWorld(t)
	_, setup := w.caller("setup", permissions.ApplicationAdmin)
	for _, resource := range []string{"record-1", "record-2"} {
		want[admin.Service](t, w.call(http.MethodPost, "/v1/services", setup, map[string]string{"name": resource}), http.StatusCreated)
		for _, action := range []string{"read", "write", "delete"} {
			w.commit(state.PutCustom{Name: permissionOf(action, resource)})
		}
	}
	users := map[string]identity.Member{}
	for _, name := range []string{"alice", "bob"} {
		users[name] = identity.UserMember(w.person(identity.Local, name))
	}
	for _, c := range certifiedCore {
		if c.decision {
			w.grant(users[c.subject], permissionOf(c.action, c.resource), time.Time{})
		}
	}
	return w, w.app()
}

func (c certified) subjectJSON() string { return fmt.Sprintf(`{"type":"user","id":%q}`, c.subject) }
func (c certified) actionJSON() string {
	return fmt.Sprintf(`{"name":%q}`, permissionOf(c.action, c.resource))
}

func (c certified) resourceJSON() string {
	return fmt.Sprintf(`{"type":"application","id":%q}`, c.resource)
}

func (c certified) body(more string) string {
	return fmt.Sprintf(`{"subject":%s,"action":%s,"resource":%s%s}`, c.subjectJSON(), c.actionJSON(), c.resourceJSON(), more)
}

func TestCertificationBasicCore(t *testing.T) {
	w, key := newScenario(t)
	for _, c := range certifiedCore {
		for what, more := range map[string]string{
			"as it is":       ``,
			"with a context": `,"context":{"time":"2025-06-27T18:03-07:00","ip":"192.168.1.1"}`,
			"unknown fields": `,"foo":"bar","futureField":{"nested":true}`,
		} {
			for range 3 { // the same answer each time
				r := w.call(http.MethodPost, evaluation, key, c.body(more), "X-Request-ID", "bfe9eb29-ab87-4ca3-be83-a1d5d8305716")
				if got := want[decided](t, r, http.StatusOK); got.Decision != c.decision || r.header.Get("X-Request-ID") != "bfe9eb29-ab87-4ca3-be83-a1d5d8305716" {
					t.Errorf("rule %d, %s: %+v with id %q, want %v", c.rule, what, got, r.header.Get("X-Request-ID"), c.decision)
				}
			}
		}
	}
	c := certifiedCore[0]
	for name, body := range map[string]string{
		"no subject":       fmt.Sprintf(`{"action":%s,"resource":%s}`, c.actionJSON(), c.resourceJSON()),
		"no action":        fmt.Sprintf(`{"subject":%s,"resource":%s}`, c.subjectJSON(), c.resourceJSON()),
		"no resource":      fmt.Sprintf(`{"subject":%s,"action":%s}`, c.subjectJSON(), c.actionJSON()),
		"no subject type":  strings.Replace(c.body(""), `"type":"user",`, ``, 1),
		"no subject id":    strings.Replace(c.body(""), `,"id":"alice"`, ``, 1),
		"no action name":   strings.Replace(c.body(""), c.actionJSON(), `{}`, 1),
		"no resource type": strings.Replace(c.body(""), `"type":"application",`, ``, 1),
		"no resource id":   strings.Replace(c.body(""), `,"id":"record-1"`, ``, 1),
		"malformed":        c.body("")[1:], "empty": "",
		"subject is a string":     strings.Replace(c.body(""), c.subjectJSON(), `"alice"`, 1),
		"action name is a number": strings.Replace(c.body(""), c.actionJSON(), `{"name":123}`, 1),
	} {
		wantStatus(t, name, w.call(http.MethodPost, evaluation, key, body), http.StatusBadRequest)
	}
	wantStatus(t, "text/plain", w.call(http.MethodPost, evaluation, key, c.body(""), "Content-Type", "text/plain"), http.StatusBadRequest)
}

func wantStatus(t *testing.T, what string, r reply, status int) {
	t.Helper()
	if r.status != status {
		t.Errorf("%s: %d %s, want %d", what, r.status, r.body, status)
	}
}

func TestCertificationBatchCore(t *testing.T) {
	w, key := newScenario(t)
	var full []string
	var wanted []bool
	for _, c := range certifiedCore {
		full = append(full, c.body(""))
		wanted = append(wanted, c.decision)
	}
	bobs := fmt.Sprintf(`{"subject":%s,"resource":%s,"evaluations":[{"action":%s},{"action":%s}]}`,
		certifiedCore[2].subjectJSON(), certifiedCore[2].resourceJSON(), certifiedCore[2].actionJSON(), certifiedCore[3].actionJSON())
	lacking := fmt.Sprintf(`{"subject":%s,"action":%s,"context":{"time":"2025-06-27T18:03-07:00"},"evaluations":[{"resource":%s},{}]}`,
		certifiedCore[0].subjectJSON(), certifiedCore[0].actionJSON(), certifiedCore[0].resourceJSON())
	for _, tt := range []struct {
		name, body string
		want       []bool
	}{
		{"fully specified", `{"evaluations":[` + strings.Join(full, ",") + `]}`, wanted},
		{"fixture decisions, in order", bobs, []bool{true, false}},
		{"the second lacks its resource", lacking, []bool{true, false}},
	} {
		var got []bool
		for _, d := range want[decidedAll](t, w.call(http.MethodPost, evaluations, key, tt.body), http.StatusOK).Evaluations {
			got = append(got, d.Decision)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, more := range []string{``, `,"evaluations":[]`} {
		if got := want[decided](t, w.call(http.MethodPost, evaluations, key, certifiedCore[0].body(more)), http.StatusOK); !got.Decision {
			t.Errorf("without evaluations: %+v, want the single decision", got)
		}
	}
}

func TestCertificationSearchCore(t *testing.T) {
	w, key := newScenario(t)
	c := certifiedCore[0]
	ids := map[string]string{}
	for _, name := range []string{"alice", "bob"} {
		ids[name] = w.db.View().Now().FindUsers(name)[0].String()
	}
	includes := func(what string, got []string, wanted ...string) {
		t.Helper()
		for _, x := range wanted {
			if !slices.Contains(got, x) {
				t.Errorf("%s = %v, which lacks %s", what, got, x)
			}
		}
	}
	includes("subjects who read record-1", w.search("subject", key, fmt.Sprintf(`{"subject":{"type":"user"},"action":%s,"resource":%s}`, c.actionJSON(), c.resourceJSON()), 1), ids["alice"], ids["bob"])
	includes("resources that alice reads", w.search("resource", key, fmt.Sprintf(`{"subject":%s,"action":%s,"resource":{"type":"application"}}`, c.subjectJSON(), c.actionJSON()), 1), "record-1")
	includes("what alice does", w.search("action", key, fmt.Sprintf(`{"subject":%s,"resource":%s,"context":{"x":1}}`, c.subjectJSON(), c.resourceJSON()), 1), "READ_RECORD_1", "WRITE_RECORD_1")
	for name, got := range map[string][]string{
		"unknown user": w.search("action", key, fmt.Sprintf(`{"subject":{"type":"user","id":"nonexistent-user"},"resource":%s}`, c.resourceJSON()), 9),
		"unknown type": w.search("subject", key, fmt.Sprintf(`{"subject":{"type":"spaceship"},"action":%s,"resource":%s}`, c.actionJSON(), c.resourceJSON()), 9),
	} {
		if len(got) != 0 {
			t.Errorf("%s: %v, want nothing", name, got)
		}
	}
}

func TestPropertiesDecideNothing(t *testing.T) {
	w, key := newScenario(t)
	for _, c := range certifiedProperties {
		body := fmt.Sprintf(`{"subject":{"type":"user","id":%q,"properties":%s},"action":{"name":%q,"properties":%s},"resource":{"type":"application","id":%q,"properties":%s}}`,
			c.subject, c.subjectProperties, permissionOf(c.action, c.resource), c.actionProperties, c.resource, c.resourceProperties)
		if got := want[decided](t, w.call(http.MethodPost, evaluation, key, body), http.StatusOK); got.Decision || got.Context.Reason != "not_granted" {
			t.Errorf("rule %d: %+v, want a denial: nobody was granted it", c.rule, got)
		}
	}
}

// A service asks about itself and others, and is found as what it is.
func TestServicesAreNoPersons(t *testing.T) {
	w, key := newScenario(t)
	id := w.db.View().Now().FindUsers("record-1")[0]
	w.grant(identity.UserMember(id), permissions.FetchPolicyInfo, time.Time{})
	as := func(kind string) string {
		return strings.Replace(question("record-1", "FETCH_POLICY_INFO"), `"user"`, `"`+kind+`"`, 1)
	}
	for kind, allowed := range map[string]bool{"service": true, "user": false} {
		for _, body := range []string{as(kind), strings.Replace(as(kind), `"record-1"`, `"`+id.String()+`"`, 1)} {
			if got := want[decided](t, w.call(http.MethodPost, evaluation, key, body), http.StatusOK); got.Decision != allowed {
				t.Errorf("%s: %+v, want %v", body, got, allowed)
			}
		}
		found := w.search("subject", key, strings.Replace(as(kind), `,"id":"record-1"`, ``, 1), 9)
		if slices.Contains(found, id.String()) != allowed {
			t.Errorf("%ss who fetch: %v; the service is among them: %v", kind, found, !allowed)
		}
	}
}
