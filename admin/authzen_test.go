package admin_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

const (
	evaluation  = "/access/v1/evaluation"
	evaluations = "/access/v1/evaluations"
)

type decided struct {
	Decision bool `json:"decision"`
	Context  struct {
		Reason     string              `json:"reason"`
		Status     string              `json:"status"`
		Grant      permissions.GrantID `json:"grant"`
		Through    string              `json:"through"`
		Revision   int64               `json:"revision"`
		StaleSince time.Time           `json:"stale_since"`
		Error      struct {
			Status  int    `json:"status"`
			Message string `json:"message"`
		} `json:"error"`
	} `json:"context"`
}

type decidedAll struct {
	Evaluations []decided `json:"evaluations"`
}

type searched struct {
	Page struct {
		Next  *string `json:"next_token"`
		Count int     `json:"count"`
		Total int     `json:"total"`
	} `json:"page"`
	Context struct {
		Revision int64 `json:"revision"`
	} `json:"context"`
	Results []struct {
		Type string `json:"type"`
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"results"`
}

// question is the body of an evaluation.
func question(user, action string) string {
	return fmt.Sprintf(`{"subject":{"type":"user","id":%q},"action":{"name":%q},"resource":{"type":"application","id":"warehouse"}}`, user, action)
}

// app makes a caller that may ask about everybody, as an application is.
func (w *world) app() string {
	w.t.Helper()
	_, key := w.caller("app", permissions.FetchPolicyInfo)
	return key
}

func TestEvaluationSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	w.known("okta")
	ann := w.person("corp", "ann")
	w.person("corp", "both")
	w.person("okta", "both")
	team := w.group("corp", "team", identity.UserMember(ann))
	w.grant(identity.GroupMember(team), permissions.CreateProject, time.Time{})
	w.grant(identity.UserMember(ann), permissions.Governance, start.Add(time.Hour))
	off := w.person(identity.Local, "off")
	w.grant(identity.UserMember(off), permissions.Audit, time.Time{})
	w.commit(state.Disable{User: off, Reason: "test"})
	key := w.app()
	ask := func(body string) decided {
		t.Helper()
		return want[decided](t, w.call(http.MethodPost, evaluation, key, body), http.StatusOK)
	}
	for _, tt := range []struct {
		name, body, reason string
	}{
		{"by a group", question("ann", "CREATE_PROJECT"), ""},
		{"in any case and with the source", question("corp/ANN", "CREATE_PROJECT"), ""},
		{"by id", question(ann.String(), "GOVERNANCE"), ""},
		{"everybody active may subscribe", question("ann", "subscribe"), ""},
		{"not granted", question("ann", "AUDIT"), "not_granted"},
		{"permissions have one spelling", question("ann", "governance"), "unknown_permission"},
		{"unknown permission", question("ann", "FLY"), "unknown_permission"},
		{"unknown user", question("nobody", "AUDIT"), "unknown_user"},
		{"an id of nobody", question("00000000-0000-0000-0000-000000000000", "AUDIT"), "unknown_user"},
		{"empty id", question("", "AUDIT"), "unknown_user"},
		{"a name that two sources have", question("both", "AUDIT"), "ambiguous_user"},
		{"inactive", question("off", "AUDIT"), "inactive"},
		{"the inactive do not subscribe", question("off", "subscribe"), "inactive"},
		{"nobody subscribes", question("nobody", "subscribe"), "unknown_user"},
		{"group", strings.Replace(question(team.String(), "CREATE_PROJECT"), `"user"`, `"group"`, 1), "not_granted"},
		{"unknown kind of subject", strings.Replace(question("ann", "CREATE_PROJECT"), `"user"`, `"robot"`, 1), "unknown_subject_type"},
		{"unknown kind of resource", strings.Replace(question("ann", "CREATE_PROJECT"), `"application"`, `"planet"`, 1), "unknown_resource_type"},
		{"members of any name are ignored", strings.Replace(question("ann", "CREATE_PROJECT"), `"type"`, `"x":[{"y":null}],"properties":{"role":"admin"},"type"`, 1), ""},
		{"what a caller says about somebody gives him nothing", strings.Replace(question("ann", "AUDIT"), `"type"`, `"properties":{"permissions":["AUDIT"]},"type"`, 1), "not_granted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(tt.body)
			if got.Decision != (tt.reason == "") || got.Context.Reason != tt.reason || got.Context.Revision != int64(w.db.View().Now().Rev()) {
				t.Errorf("decision %+v, want reason %q at revision %d", got, tt.reason, w.db.View().Now().Rev())
			}
			if got.Context.Grant != "" || got.Context.Through != "" {
				t.Errorf("an application is told of a grant: %+v", got)
			}
		})
	}
	if got := ask(question("off", "AUDIT")); got.Context.Status != string(identity.ReasonLocal) {
		t.Errorf("status %q, want %q", got.Context.Status, identity.ReasonLocal)
	}
	w.pass(time.Hour)
	if got := ask(question("ann", "GOVERNANCE")); got.Decision || got.Context.Reason != "expired" {
		t.Errorf("at its end: %+v, want expired", got)
	}
}

func TestEvaluationShowsGrantsToAuditors(t *testing.T) {
	w := newWorld(t)
	ann := w.person(identity.Local, "ann")
	team := w.group(identity.Local, "team", identity.UserMember(ann))
	id := w.grant(identity.GroupMember(team), permissions.CreateProject, time.Time{})
	_, key := w.caller("auditor", permissions.FetchPolicyInfo, permissions.Audit)
	got := want[decided](t, w.call(http.MethodPost, evaluation, key, question("ann", "CREATE_PROJECT")), http.StatusOK)
	if !got.Decision || got.Context.Grant != id || got.Context.Through != team.String() {
		t.Errorf("decision %+v, want grant %s through %s", got, id, team)
	}
}

// The request itself can be wrong; a denial is not that.
func TestEvaluationRefuses(t *testing.T) {
	w := newWorld(t)
	w.person(identity.Local, "ann")
	key := w.app()
	good := question("ann", "AUDIT")
	for _, tt := range []struct {
		name, body, message string
	}{
		{"empty", "", "the body is empty"},
		{"only space", " \n", "valid JSON"},
		{"no JSON", "subject=ann", "valid JSON"},
		{"cut off", good[:len(good)-1], "valid JSON"},
		{"more than one value", good + "{}", "something follows"},
		{"an array", "[" + good + "]", "must be a JSON object"},
		{"null", "null", "must be a JSON object"},
		{"a trailing comma", strings.Replace(good, "}}", "},}", 1), "valid JSON"},
		{"no subject", `{"action":{"name":"AUDIT"},"resource":{"type":"application","id":"x"}}`, "subject is required"},
		{"no action", `{"subject":{"type":"user","id":"ann"},"resource":{"type":"application","id":"x"}}`, "action is required"},
		{"no resource", `{"subject":{"type":"user","id":"ann"},"action":{"name":"AUDIT"}}`, "resource is required"},
		{"no subject type", strings.Replace(good, `"type":"user",`, "", 1), "subject.type is required"},
		{"no subject id", strings.Replace(good, `,"id":"ann"`, "", 1), "subject.id is required"},
		{"no action name", strings.Replace(good, `"name":"AUDIT"`, "", 1), "action.name is required"},
		{"no resource type", strings.Replace(good, `"type":"application",`, "", 1), "resource.type is required"},
		{"no resource id", strings.Replace(good, `,"id":"warehouse"`, "", 1), "resource.id is required"},
		{"names are compared exactly", strings.Replace(good, `"subject"`, `"Subject"`, 1), "subject is required"},
		{"subject is a string", strings.Replace(good, `{"type":"user","id":"ann"}`, `"ann"`, 1), "subject must be an object"},
		{"subject is null", strings.Replace(good, `{"type":"user","id":"ann"}`, `null`, 1), "subject must be an object"},
		{"subject type is a number", strings.Replace(good, `"user"`, `7`, 1), "subject.type must be a string"},
		{"subject id is a number", strings.Replace(good, `"ann"`, `7`, 1), "subject.id must be a string"},
		{"subject properties are a list", strings.Replace(good, `"id":"ann"`, `"id":"ann","properties":[]`, 1), "subject.properties must be an object"},
		{"action is a string", strings.Replace(good, `{"name":"AUDIT"}`, `"AUDIT"`, 1), "action must be an object"},
		{"action name is a list", strings.Replace(good, `"AUDIT"`, `["AUDIT"]`, 1), "action.name must be a string"},
		{"resource is a list", strings.Replace(good, `{"type":"application","id":"warehouse"}`, `[]`, 1), "resource must be an object"},
		{"resource id is an object", strings.Replace(good, `"warehouse"`, `{}`, 1), "resource.id must be a string"},
		{"context is a string", strings.Replace(good, `{"subject"`, `{"context":"x","subject"`, 1), "context must be an object"},
		{"revision is a string", strings.Replace(good, `{"subject"`, `{"context":{"min_revision":"7"},"subject"`, 1), "context.min_revision must be"},
		{"revision is negative", strings.Replace(good, `{"subject"`, `{"context":{"min_revision":-7},"subject"`, 1), "context.min_revision must be"},
		{"revision is a fraction", strings.Replace(good, `{"subject"`, `{"context":{"min_revision":7.5},"subject"`, 1), "context.min_revision must be"},
		{"revision is no number of 64 bits", strings.Replace(good, `{"subject"`, `{"context":{"min_revision":9223372036854775808},"subject"`, 1), "context.min_revision must be"},
		{"the same name twice", strings.Replace(good, `"id":"ann"`, `"id":"root","id":"ann"`, 1), "same name twice"},
		{"the same name twice, once escaped", strings.Replace(good, `"id":"ann"`, `"id":"root","\u0069d":"ann"`, 1), "same name twice"},
		{"the same name twice in what is ignored", strings.Replace(good, `"id":"ann"`, `"id":"ann","x":{"a":1,"a":2}`, 1), "same name twice"},
		{"half a surrogate pair", strings.Replace(good, `"ann"`, `"\ud800"`, 1), "escape"},
		{"not UTF-8", strings.Replace(good, `"ann"`, "\"a\xff\"", 1), "valid UTF-8"},
		{"endless depth", strings.Replace(good, `"ann"`, `"ann","x":`+strings.Repeat("[", 100_000), 1), "nests too deeply"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantPlain(t, w.call(http.MethodPost, evaluation, key, tt.body), http.StatusBadRequest, tt.message)
		})
	}
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json, text/plain", "", "json"} {
		wantPlain(t, w.call(http.MethodPost, evaluation, key, good, "Content-Type", media), http.StatusBadRequest, "application/json")
	}
	want[decided](t, w.call(http.MethodPost, evaluation, key, good, "Content-Type", `Application/JSON; charset="utf-8"`), http.StatusOK)
	wantProblem(t, w.call(http.MethodGet, evaluation, key, nil), http.StatusMethodNotAllowed, "method_not_allowed")
}

// wantPlain checks an error in the form of the specification.
func wantPlain(t *testing.T, r reply, status int, message string) {
	t.Helper()
	if r.status != status || !strings.Contains(string(r.body), message) || strings.HasPrefix(string(r.body), "{") ||
		r.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("answer %d %q (%s), want %d and a sentence with %q", r.status, r.body, r.header.Get("Content-Type"), status, message)
	}
	if (status == http.StatusUnauthorized) != (r.header.Get("WWW-Authenticate") != "") {
		t.Errorf("status %d with WWW-Authenticate %q", status, r.header.Get("WWW-Authenticate"))
	}
}

func TestAccessBodyLimit(t *testing.T) {
	w := newWorld(t)
	key := w.app()
	pad := func(n int) string { q := question("ann", "AUDIT"); return q + strings.Repeat(" ", n-len(q)) }
	want[decided](t, w.call(http.MethodPost, evaluation, key, pad(1<<20)), http.StatusOK)
	wantPlain(t, w.call(http.MethodPost, evaluation, key, pad(1<<20+1)), http.StatusRequestEntityTooLarge, "1048576 bytes")
}

func TestWhoMayAskForDecisions(t *testing.T) {
	w := newWorld(t)
	w.person(identity.Local, "ann")
	me, none := w.caller("me", permissions.CreateFilter)
	group := w.group(identity.Local, "team", identity.UserMember(me))
	paths := []string{evaluation, evaluations, "/access/v1/search/action", "/access/v1/search/resource"}
	for _, path := range append(slices.Clone(paths), "/access/v1/search/subject") {
		wantPlain(t, w.call(http.MethodPost, path, "", question("ann", "AUDIT")), http.StatusUnauthorized, "API key")
		wantPlain(t, w.call(http.MethodPost, path, "rcl_pat_x", question("ann", "AUDIT")), http.StatusUnauthorized, "")
		refused := w.call(http.MethodPost, path, none, question("ann", "AUDIT"))
		wantPlain(t, refused, http.StatusForbidden, "FETCH_POLICY_INFO")
		if other := w.call(http.MethodPost, path, none, question("nobody", "AUDIT")); string(other.body) != string(refused.body) {
			t.Errorf("%s: the refusal for who does not exist is another one: %s", path, other.body)
		}
	}
	for _, path := range paths {
		for _, name := range []string{"me", "ME", "local/me", me.String()} {
			if r := w.call(http.MethodPost, path, none, question(name, "AUDIT")); r.status != http.StatusOK {
				t.Errorf("%s about himself as %q: %d %s", path, name, r.status, r.body)
			}
		}
	}
	wantPlain(t, w.call(http.MethodPost, "/access/v1/search/subject", none, question("me", "AUDIT")), http.StatusForbidden, "FETCH_POLICY_INFO")
	wantPlain(t, w.call(http.MethodPost, evaluation, none, strings.Replace(question(group.String(), "AUDIT"), `"user"`, `"group"`, 1)), http.StatusForbidden, "")
	// One question about somebody else is enough.
	both := `{"action":{"name":"AUDIT"},"resource":{"type":"application","id":"x"},"evaluations":[{"subject":{"type":"user","id":"me"}},{"subject":{"type":"user","id":"ann"}}]}`
	wantPlain(t, w.call(http.MethodPost, evaluations, none, both), http.StatusForbidden, "FETCH_POLICY_INFO")
	for e := range permissions.BuiltIns() {
		_, key := w.caller("only-"+strings.ToLower(string(e.Name)), e.Name)
		status := http.StatusForbidden
		if e.Name == permissions.FetchPolicyInfo {
			status = http.StatusOK
		}
		if r := w.call(http.MethodPost, evaluation, key, question("ann", "AUDIT")); r.status != status {
			t.Errorf("with %s: %d, want %d", e.Name, r.status, status)
		}
	}
}

func TestEvaluationsSemantics(t *testing.T) {
	w := newWorld(t)
	w.caller("ann", permissions.Audit, permissions.CreateFilter)
	key := w.app()
	const frame = `{"subject":{"type":"user","id":"ann"},"resource":{"type":"application","id":"x"},%s"evaluations":[%s]}`
	act := func(names ...string) string {
		var all []string
		for _, n := range names {
			all = append(all, `{"action":{"name":"`+n+`"}}`)
		}
		return strings.Join(all, ",")
	}
	semantics := func(s string) string { return `"options":{"x":1,"evaluations_semantic":"` + s + `"},` }
	for _, tt := range []struct {
		name, body string
		want       string // one letter a decision
	}{
		{"all in order", fmt.Sprintf(frame, "", act("AUDIT", "GOVERNANCE", "CREATE_FILTER")), "tft"},
		{"all when told so", fmt.Sprintf(frame, semantics("execute_all"), act("GOVERNANCE", "AUDIT")), "ft"},
		{"until a denial", fmt.Sprintf(frame, semantics("deny_on_first_deny"), act("AUDIT", "GOVERNANCE", "CREATE_FILTER")), "tf"},
		{"until a permit", fmt.Sprintf(frame, semantics("permit_on_first_permit"), act("GOVERNANCE", "AUDIT", "FLY")), "ft"},
		{"no denial at all", fmt.Sprintf(frame, semantics("deny_on_first_deny"), act("AUDIT", "AUDIT")), "tt"},
		{"an item that lacks something", fmt.Sprintf(frame, "", act("AUDIT")+`,{},{"action":{"name":7}},7,`+act("AUDIT")), "teeet"},
		{"an item that lacks something is a denial", fmt.Sprintf(frame, semantics("deny_on_first_deny"), act("AUDIT")+`,{},`+act("AUDIT")), "te"},
		{"options after the evaluations", `{"evaluations":[` + act("AUDIT", "FLY", "AUDIT") + `],"options":{"evaluations_semantic":"deny_on_first_deny"},"resource":{"type":"application","id":"x"},"subject":{"type":"user","id":"ann"}}`, "tf"},
		{"an entity is taken whole", fmt.Sprintf(frame, "", `{"subject":{"id":"ann"},"action":{"name":"AUDIT"}},{"subject":{"type":"user","id":"nobody"},"action":{"name":"AUDIT"}}`), "ef"},
		{"defaults that every item replaces may be missing", `{"evaluations":[` + strings.TrimSuffix(question("ann", "AUDIT"), "}") + `}]}`, "t"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got string
			for _, d := range want[decidedAll](t, w.call(http.MethodPost, evaluations, key, tt.body), http.StatusOK).Evaluations {
				switch {
				case d.Context.Error.Status != 0:
					if d.Decision || d.Context.Error.Status != http.StatusBadRequest || d.Context.Error.Message == "" {
						t.Errorf("item %+v, want a denial with an error of status 400", d)
					}
					got += "e"
				case d.Decision:
					got += "t"
				default:
					got += "f"
				}
				if d.Context.Revision == 0 {
					t.Error("an item without a revision")
				}
			}
			if got != tt.want {
				t.Errorf("decisions %q, want %q", got, tt.want)
			}
		})
	}
	for _, body := range []string{question("ann", "AUDIT"), strings.Replace(question("ann", "AUDIT"), "{", `{"evaluations":[],`, 1)} {
		if got := want[decided](t, w.call(http.MethodPost, evaluations, key, body), http.StatusOK); !got.Decision {
			t.Errorf("without evaluations: %+v, want the answer to a single one", got)
		}
	}
	for _, bad := range []string{
		fmt.Sprintf(frame, semantics("whatever"), act("AUDIT")), `{"evaluations":{}}`, fmt.Sprintf(frame, `"options":7,`, act("AUDIT")),
		fmt.Sprintf(frame, `"context":7,`, act("AUDIT")), `{"evaluations":[]}`, `{}`,
		fmt.Sprintf(frame, `"action":7,`, act("AUDIT")),
	} {
		wantPlain(t, w.call(http.MethodPost, evaluations, key, bad), http.StatusBadRequest, "")
	}
	many := func(n int) string {
		return fmt.Sprintf(frame, "", strings.TrimSuffix(strings.Repeat(act("AUDIT")+",", n), ","))
	}
	if got := want[decidedAll](t, w.call(http.MethodPost, evaluations, key, many(1000)), http.StatusOK); len(got.Evaluations) != 1000 {
		t.Errorf("%d decisions, want 1000", len(got.Evaluations))
	}
	wantPlain(t, w.call(http.MethodPost, evaluations, key, many(1001)), http.StatusBadRequest, "1000 evaluations")
}

func TestDecisionsWaitForARevision(t *testing.T) {
	t.Parallel() // it waits
	w := newWorld(t)
	w.caller("ann", permissions.Audit)
	key := w.app()
	at := func(rev int64) string {
		return strings.Replace(question("ann", "AUDIT"), "{", fmt.Sprintf(`{"context":{"min_revision":%d,"ip":"::1"},`, rev), 1)
	}
	rev := int64(w.db.View().Now().Rev())
	if got := want[decided](t, w.call(http.MethodPost, evaluation, key, at(rev)), http.StatusOK); got.Context.Revision < rev {
		t.Errorf("revision %d, want %d or later", got.Context.Revision, rev)
	}
	r := w.call(http.MethodPost, evaluations, key, strings.Replace(question("ann", "AUDIT"), "{", fmt.Sprintf(`{"evaluations":[{},{"context":{"min_revision":%d}}],`, rev+1000), 1))
	wantPlain(t, r, http.StatusServiceUnavailable, "not visible yet")
	if r.header.Get("Retry-After") == "" {
		t.Error("a 503 without Retry-After")
	}
}

func TestDecisionsWithoutTheStore(t *testing.T) {
	w := newWorld(t)
	w.caller("ann", permissions.Audit)
	key := w.app()
	w.lose(start.Add(-time.Minute), false)
	r := w.call(http.MethodPost, evaluation, key, question("ann", "AUDIT"))
	if got := want[decided](t, r, http.StatusOK); !got.Decision || !got.Context.StaleSince.Equal(start.Add(-time.Minute)) || r.header.Get("Rollcall-Stale-Since") == "" {
		t.Errorf("decision %+v, want it with stale_since", got)
	}
	w.lose(start.Add(-time.Hour), true)
	for _, path := range []string{evaluation, evaluations, "/access/v1/search/action", "/access/v1/search/resource", "/access/v1/search/subject"} {
		r := w.call(http.MethodPost, path, key, question("ann", "AUDIT"))
		wantPlain(t, r, http.StatusServiceUnavailable, "max_staleness")
	}
}

func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	r := w.call(http.MethodGet, "/.well-known/authzen-configuration", "", nil)
	got := want[map[string]string](t, r, http.StatusOK)
	base := w.server.URL
	if d := cmp.Diff(map[string]string{
		"policy_decision_point": base, "access_evaluation_endpoint": base + evaluation, "access_evaluations_endpoint": base + evaluations,
		"search_subject_endpoint": base + "/access/v1/search/subject", "search_resource_endpoint": base + "/access/v1/search/resource",
		"search_action_endpoint": base + "/access/v1/search/action",
	}, got); d != "" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("content type %q, discovery (-want +got):\n%s", r.header.Get("Content-Type"), d)
	}
	for host, point := range map[string]string{"roll.example.com": "https://roll.example.com", "roll.example.com:8443": "https://roll.example.com:8443", "[::1]": "http://[::1]"} {
		if got := want[map[string]string](t, w.callHost(host), http.StatusOK); got["policy_decision_point"] != point {
			t.Errorf("asked as %s: %s, want %s", host, got["policy_decision_point"], point)
		}
	}
	wantPlain(t, w.callHost(`a"b`), http.StatusBadRequest, "")
}

// TestThePublicURLCountsAndNotTheHost tells everybody the same, whatever host he claims
// to have asked.
func TestThePublicURLCountsAndNotTheHost(t *testing.T) {
	w := newWorld(t)
	const public = "https://roll.example.com/iam"
	api, err := admin.New(admin.Options{DB: w.db, Sync: w.sync, PublicURL: public})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path string) []byte {
		t.Helper()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		req.Host = "evil.example.net"
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, req)
		if rec.Code != http.StatusOK || bytes.Contains(rec.Body.Bytes(), []byte("evil")) {
			t.Errorf("GET %s: %d %s", path, rec.Code, rec.Body)
		}
		return rec.Body.Bytes()
	}
	var found map[string]string
	if err := json.Unmarshal(ask("/.well-known/authzen-configuration"), &found); err != nil {
		t.Fatal(err)
	}
	for name, at := range found {
		if at != public && !strings.HasPrefix(at, public+"/access/v1/") {
			t.Errorf("%s is at %s, want it at %s", name, at, public)
		}
	}
	var doc struct {
		Servers []struct {
			URL string `json:"url"`
		} `json:"servers"`
	}
	if err := json.Unmarshal(ask("/openapi.json"), &doc); err != nil || len(doc.Servers) != 1 || doc.Servers[0].URL != public {
		t.Errorf("servers of the OpenAPI document: %+v, %v; want %s", doc.Servers, err, public)
	}
}

func (w *world) callHost(host string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.server.URL+"/.well-known/authzen-configuration", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Host = host
	return w.do(req)
}
