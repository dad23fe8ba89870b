package admin_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/permissions"
)

// document is the part of the OpenAPI document that the tests read.
type document struct {
	OpenAPI string `json:"openapi"`
	Info    struct {
		Version string `json:"version"`
	} `json:"info"`
	Paths      map[string]map[string]documented `json:"paths"`
	Components struct {
		Schemas map[string]any `json:"schemas"`
	} `json:"components"`
}

type documented struct {
	OperationID string                    `json:"operationId"`
	Summary     string                    `json:"summary"`
	Description string                    `json:"description"`
	Tags        []string                  `json:"tags"`
	Required    *[]permissions.Permission `json:"x-required-permission"`
	Self        bool                      `json:"x-self"`
	ReadsOnly   bool                      `json:"x-reads-only"`
	Security    []map[string][]string     `json:"security"`
	Parameters  []parameter               `json:"parameters"`
	Responses   map[string]any            `json:"responses"`
	RequestBody *struct {
		Required bool `json:"required"`
	} `json:"requestBody"`
}

type parameter struct {
	Name string `json:"name"`
	In   string `json:"in"`
}

// op is an operation with a request that its form allows.
type op struct {
	documented
	method, path string
	body         any
}

// operations returns the operations of the admin API.
func operations(t *testing.T, w *world) []op {
	t.Helper()
	return slices.DeleteFunc(everyOperation(t, w), func(o op) bool { return !strings.HasPrefix(o.path, "/v1/") })
}

// everyOperation returns those whose form others have laid down, too.
func everyOperation(t *testing.T, w *world) []op {
	t.Helper()
	doc := want[document](t, w.call(http.MethodGet, "/openapi.json", "", nil), http.StatusOK)
	var ops []op
	for path, methods := range doc.Paths {
		for method, d := range methods {
			ops = append(ops, op{documented: d, method: strings.ToUpper(method), path: path, body: bodies[d.OperationID]})
		}
	}
	slices.SortFunc(ops, func(a, b op) int { return strings.Compare(a.OperationID, b.OperationID) })
	return ops
}

// bodies are what the operations with a body are sent.
var bodies = map[string]any{
	"bootstrap":         map[string]string{"token": "rcl_boot_x", "userName": "eve"},
	"createUser":        map[string]string{"userName": "newcomer"},
	"putUserAttribute":  map[string][]string{"values": {"x"}},
	"putGroupAttribute": map[string][]string{"values": {"x"}},
	"disableUser":       map[string]string{"reason": "left"},
	"putUserGrant":      map[string]string{"reason": "test"},
	"putGroupGrant":     map[string]any{"reason": "test", "acknowledgeDirectory": true},

	"putSettings":           map[string]any{"adminGovernorExclusive": false, "adminsMaySubscribe": true, "governorsMaySubscribe": true, "forbidSelfGrant": false, "grantRule": "user_admin"},
	"putDefaultPermissions": map[string][]string{"permissions": {"CREATE_FILTER"}},
	"createPermission":      map[string]string{"name": "FINANCE_APPROVER"},
	"updateUser":            map[string]string{"userName": "target"},
	"createGroup":           map[string]string{"name": "newgroup"},
	"updateGroup":           map[string]string{"name": "team"},
	"changeMembers":         map[string]any{"add": []map[string]string{{"user": "target"}}},
	"batchGrants":           map[string]any{"grants": []map[string]string{{"user": "target", "permission": "CREATE_FILTER"}}},
	"putUserGrants":         map[string]any{"grants": []map[string]string{{"permission": "CREATE_FILTER"}}},
	"putGroupGrants":        map[string]any{"grants": []map[string]any{{"permission": "CREATE_FILTER", "acknowledgeDirectory": true}}},
	"createKey":             map[string]string{"name": "laptop"},
	"createService":         map[string]string{"name": "billing"},
	"createServiceKey":      map[string]string{"name": "primary"},
	"createSource":          map[string]any{"id": "hr", "config": map[string]any{"template": "openldap"}},
	"changeSource":          map[string]any{"config": map[string]any{"template": "openldap"}},
	"tryConfiguration":      map[string]any{"id": "hr", "config": map[string]any{"template": "openldap"}},
	"createSourceToken":     map[string]string{"name": "okta"},
	"undoSource":            map[string]any{"since": "2026-01-01T00:00:00Z", "digest": "sha256:1"},
	"pauseSource":           map[string]string{"reason": "test"},
	"rotateServiceKey":      map[string]int{"graceHours": 1},
	"check":                 map[string]string{"user": "target", "permission": "GOVERNANCE"},
	"approvePlan":           map[string]string{"digest": "sha256:1"},
	"purgeSource":           map[string]string{"digest": "sha256:1"},
	"undoRun":               map[string]string{"run": "run-1", "digest": "sha256:1"},
	"trySourceUser":         map[string]string{"user": "ann"},
	"linkUsers":             map[string]string{"user": "team-mate"},
	"settleEntry":           map[string]string{"entry": "k-1", "decision": "ignore"},
	"putPrecedence":         map[string]any{"order": map[string][]string{"department": {"hr", "corp"}}},
	"migrateUsers":          map[string]string{"from": "local", "to": "corp", "by": "employeeNumber"},
	"reportTouches":         map[string][]string{"names": {"cli:grant"}},
}

// at fills the parameters of the path.
func (o *op) at(user string) string {
	return strings.NewReplacer(
		"{user}", url.PathEscape(user), "{group}", "team", "{permission}", "GOVERNANCE", "{key}", "clearance", "{field}", "email",
		"{grant}", "nobody-has-this-id", "{source}", "corp", "{run}", "run-1",
		"{member}", "nobody-has-this-id", "{service}", "nobody-has-this-id", "{apiKey}", "nobody-has-this-id", "{token}", "nobody-has-this-id",
	).Replace(o.path)
}

func TestDocument(t *testing.T) {
	w := newWorld(t)
	doc := want[document](t, w.call(http.MethodGet, "/openapi.json", "", nil), http.StatusOK)
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Info.Version != "test" || len(doc.Components.Schemas) == 0 {
		t.Errorf("document is OpenAPI %q of version %q with %d schemas", doc.OpenAPI, doc.Info.Version, len(doc.Components.Schemas))
	}
	ids := map[string]bool{}
	for _, o := range operations(t, w) {
		if o.OperationID == "" || ids[o.OperationID] || o.Summary == "" || o.Required == nil {
			t.Errorf("%s %s: operation id %q (unique and not empty), summary %q, x-required-permission %v: all must be there",
				o.method, o.path, o.OperationID, o.Summary, o.Required)
			continue
		}
		ids[o.OperationID] = true
		needed := []string{"401"}
		if len(*o.Required) > 0 {
			needed = append(needed, "403")
		}
		for _, status := range needed {
			if _, ok := o.Responses[status]; !ok {
				t.Errorf("%s: the document has no answer %s", o.OperationID, status)
			}
		}
		if open := o.OperationID == "bootstrap"; open != (len(o.Security) == 0) {
			t.Errorf("%s: security %v", o.OperationID, o.Security)
		}
		if _, ok := bodies[o.OperationID]; ok != (o.RequestBody != nil) {
			t.Errorf("%s: has a body %v; this test knows one %v", o.OperationID, o.RequestBody != nil, ok)
		}
	}
	if len(ids) < 30 {
		t.Errorf("the document has %d operations", len(ids))
	}
	for name := range doc.Components.Schemas {
		if strings.Contains(name, "ErrorModel") {
			t.Errorf("the document describes errors as %s, not as Problem", name)
		}
	}
	yaml := w.call(http.MethodGet, "/openapi.yaml", "", nil)
	if yaml.status != http.StatusOK || !strings.Contains(string(yaml.body), "openapi: 3.1.0") {
		t.Errorf("openapi.yaml: status %d, %.80s", yaml.status, yaml.body)
	}
	page := w.call(http.MethodGet, "/docs", "", nil)
	if page.status != http.StatusOK || strings.Contains(string(page.body), "http://") || strings.Contains(string(page.body), "https://") ||
		!strings.Contains(string(page.body), "/v1/users/{user}/permissions/{permission}/explanation") {
		t.Errorf("docs: status %d; it lists every path and loads nothing from elsewhere", page.status)
	}
}

// The matrix of who may do what, made from the document: what it says is what happens.
func TestMatrix(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	target := w.person("corp", "target")
	w.group("corp", "team")
	// So that the permissions of the callers below are never the last ones.
	w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	keys := map[permissions.Permission]string{}
	for e := range permissions.BuiltIns() {
		_, keys[e.Name] = w.caller("only-"+strings.ToLower(string(e.Name)), e.Name)
	}
	nobody, none := w.caller("nobody")

	for _, o := range operations(t, w) {
		if o.OperationID == "bootstrap" {
			continue
		}
		t.Run(o.OperationID, func(t *testing.T) {
			path := o.at(target.String())
			r := w.call(o.method, path, "", o.body)
			wantProblem(t, r, http.StatusUnauthorized, "no_credential")
			if r.header.Get("WWW-Authenticate") == "" {
				t.Error("a 401 without WWW-Authenticate")
			}
			if len(*o.Required) == 0 {
				if r := w.call(o.method, path, none, o.body); r.status >= 400 && r.status != http.StatusNotFound {
					t.Errorf("without any permission: status %d, want success: %s", r.status, r.body)
				}
				return
			}
			p := wantProblem(t, w.call(o.method, path, none, o.body), http.StatusForbidden, "permission_missing")
			if d := cmp.Diff(*o.Required, p.Required); d != "" || !strings.Contains(p.Detail, string((*o.Required)[0])) {
				t.Errorf("the refusal %q names other permissions than the document (-document +refusal):\n%s", p.Detail, d)
			}
			for _, held := range slices.Sorted(maps.Keys(keys)) {
				r := w.call(o.method, path, keys[held], o.body)
				switch may := slices.Contains(*o.Required, held); {
				case may && (r.status == http.StatusForbidden || r.status == http.StatusUnauthorized || r.status >= 500 || r.status == 422):
					t.Errorf("with %s: status %d, want it allowed: %s", held, r.status, r.body)
				case !may && r.status != http.StatusForbidden:
					t.Errorf("with %s: status %d, want 403", held, r.status)
				}
			}
			if o.Self {
				body := o.body
				if o.OperationID == "check" {
					body = map[string]string{"user": "nobody", "permission": "GOVERNANCE"}
				}
				for _, me := range []string{nobody.String(), "nobody", "local/nobody", "NOBODY"} {
					if r := w.call(o.method, o.at(me), none, body); r.status != http.StatusOK && (r.status != http.StatusNotFound || o.method != http.MethodDelete) {
						t.Errorf("asked about himself as %s: status %d, want 200: %s", me, r.status, r.body)
					}
				}
			}
		})
	}
}

// Who may ask only about himself does not learn who else exists.
func TestForbiddenIsTheSameForWhoDoesNotExist(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	w.person("corp", "ann")
	_, none := w.caller("nobody")
	for _, path := range []string{"/v1/users/%s", "/v1/users/%s/permissions", "/v1/users/%s/permissions/AUDIT/explanation"} {
		a := wantProblem(t, w.call(http.MethodGet, fmt.Sprintf(path, "ann"), none, nil), http.StatusForbidden, "permission_missing")
		b := wantProblem(t, w.call(http.MethodGet, fmt.Sprintf(path, "xyz"), none, nil), http.StatusForbidden, "permission_missing")
		if d := cmp.Diff(a.Detail, b.Detail); d != "" {
			t.Errorf("%s: the refusals differ:\n%s", path, d)
		}
	}
	for _, user := range []string{"ann", "xyz"} {
		wantProblem(t, w.call(http.MethodPost, "/v1/check", none, map[string]string{"user": user, "permission": "AUDIT"}), http.StatusForbidden, "permission_missing")
	}
}
