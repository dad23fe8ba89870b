package admin_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

// form is what the document says of a request: enough to send one that is too long.
type form struct {
	Parameters []struct {
		Name   string `json:"name"`
		In     string `json:"in"`
		Schema schema `json:"schema"`
	} `json:"parameters"`
	RequestBody struct {
		Content map[string]struct {
			Schema schema `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"`
	Format     string            `json:"format"`
	MaxLength  int               `json:"maxLength"`
	MaxItems   int               `json:"maxItems"`
	Enum       []any             `json:"enum"`
	Properties map[string]schema `json:"properties"`
}

// forms returns what the document says of each request, by operation.
func forms(t *testing.T, w *world) map[string]form {
	t.Helper()
	doc := want[struct {
		Paths      map[string]map[string]form `json:"paths"`
		Components struct {
			Schemas map[string]schema `json:"schemas"`
		} `json:"components"`
	}](t, w.call(http.MethodGet, "/openapi.json", "", nil), http.StatusOK)
	out := map[string]form{}
	for path, methods := range doc.Paths {
		for method, f := range methods {
			for kind, c := range f.RequestBody.Content {
				if name, ok := strings.CutPrefix(c.Schema.Ref, "#/components/schemas/"); ok {
					c.Schema = doc.Components.Schemas[name]
					f.RequestBody.Content[kind] = c
				}
			}
			out[strings.ToUpper(method)+" "+path] = f
		}
	}
	return out
}

// Everything that has a limit in the document is taken at the limit and refused beyond,
// and a body that is not JSON is refused as such. Made from the document: what is added
// is tested.
func TestLimitsOfEveryRequest(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	target := w.person(identity.Local, "target")
	w.group(identity.Local, "team")
	var all []permissions.Permission
	for e := range permissions.BuiltIns() {
		all = append(all, e.Name)
	}
	_, key := w.caller("root", all...)
	known, limits := forms(t, w), 0
	for _, o := range operations(t, w) {
		if o.OperationID == "bootstrap" {
			continue // anybody may call it; its tests have its limits
		}
		t.Run(o.OperationID, func(t *testing.T) {
			f, path := known[o.method+" "+o.path], o.at(target.String())
			if o.RequestBody != nil {
				wantProblem(t, w.call(o.method, path, key, `{"`), http.StatusBadRequest, "bad_body")
			}
			body := f.RequestBody.Content["application/json"].Schema
			for _, name := range slices.Sorted(maps.Keys(body.Properties)) {
				if over, at, ok := beyond(t, o.body, name, body.Properties[name]); ok {
					limits++
					w.limit(t, "body."+name, func(b any) reply { return w.call(o.method, path, key, b, "If-Match", "*") }, at, over)
				}
			}
			for _, p := range f.Parameters {
				if n := p.Schema.MaxLength; p.In == "query" && n > 0 && len(p.Schema.Enum) == 0 {
					limits++
					ask := func(v any) reply {
						return w.call(o.method, path+"?"+p.Name+"="+url.QueryEscape(v.(string)), key, o.body, "If-Match", "*")
					}
					w.limit(t, "query."+p.Name, ask, strings.Repeat("A", n), strings.Repeat("A", n+1))
				}
			}
		})
	}
	if limits < 40 {
		t.Errorf("%d limits in the document", limits)
	}
}

// limit checks that a request is refused for its form beyond a limit, and not at it.
func (w *world) limit(t *testing.T, place string, ask func(any) reply, at, over any) {
	t.Helper()
	p := wantProblem(t, ask(over), http.StatusUnprocessableEntity, "invalid_request")
	if len(p.Errors) == 0 || p.Errors[0].Location != place {
		t.Errorf("%s: beyond the limit: %+v", place, p.Errors)
	}
	if r := ask(at); r.status == http.StatusUnprocessableEntity && strings.Contains(string(r.body), `"`+place+`"`) {
		t.Errorf("%s: at the limit: %s", place, r.body)
	}
}

// beyond returns a body that is over a limit of one of its members, and one at it.
func beyond(t *testing.T, body any, name string, s schema) (over, at any, ok bool) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	with := func(v any) any {
		m := map[string]any{}
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		m[name] = v
		return m
	}
	switch {
	case s.MaxLength > 0 && s.Format == "" && len(s.Enum) == 0:
		return with(strings.Repeat("A", s.MaxLength+1)), with(strings.Repeat("A", s.MaxLength)), true
	case s.MaxItems > 0:
		m, _ := with(nil).(map[string]any)
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		list, _ := m[name].([]any)
		if len(list) == 0 {
			return nil, nil, false
		}
		return with(slices.Repeat(list[:1], s.MaxItems+1)), with(slices.Repeat(list[:1], s.MaxItems)), true
	}
	return nil, nil, false
}

const matrixPage = "../docs/api-permissions.md"

// The page about who may call what is made from the document that the matrix test holds
// the API to.
func TestTheTreeHasThePageAboutTheAPI(t *testing.T) {
	w := newWorld(t)
	wanted := pageOf(everyOperation(t, w))
	golden(t, matrixPage, []byte(wanted))
}

func pageOf(ops []op) string {
	var b strings.Builder
	b.WriteString(`# Who may call what

<!-- Generated from the OpenAPI document: go test ./admin -run TheTree -update -->

One of the permissions suffices. *self* means that everybody may ask about himself
without any; *everybody* is every caller with a key that counts. A key that is restricted
to some permissions may be used for no others, whatever its user has.

With the header Rollcall-Impersonate, who has IMPERSONATE_USER is answered as the user whom
it names: an id, a login name, or <source>/<login name>. What that user may decides, and a
restriction of the key holds on top of it. Only what reads is answered, also where it is a
POST that asks for a decision; all else is refused (impersonation_read_only). Who is unknown
or not active is refused alike (impersonation_refused). The limits count who really asks. The
audit log has it, with both: see [the audit log](audit.md).

What a permission lets somebody confer is another question, decided for each write: see
[permissions](permissions.md).

| operation | | needs |
|---|---|---|
`)
	slices.SortFunc(ops, func(x, y op) int { return strings.Compare(x.path+" "+x.method, y.path+" "+y.method) })
	for _, o := range ops {
		fmt.Fprintf(&b, "| `%s %s` | %s | %s |\n", o.method, o.path, o.Summary, needs(o))
	}
	return b.String()
}

func needs(o op) string {
	var who []string
	for _, p := range *o.Required {
		who = append(who, string(p))
	}
	switch {
	case len(o.Security) == 0:
		return "nobody in particular"
	case len(who) == 0:
		return "everybody"
	case o.Self:
		who = append(who, "*self*")
	}
	return strings.Join(who, ", ")
}
