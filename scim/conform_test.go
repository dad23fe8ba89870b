package scim

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/store/mem"
)

// clause is a requirement of an RFC that a server can break, and what shows that it is
// kept. Each has a world of its own.
type clause struct {
	section string
	shows   string
	preset  string // default: "rfc", which repairs nothing
	holds   func(w *world)
}

// check runs clauses as subtests that are named after their sections.
func check(t *testing.T, clauses []clause) {
	t.Helper()
	for _, c := range clauses {
		t.Run(c.section+"/"+c.shows, func(t *testing.T) {
			t.Parallel()
			if c.preset == "" {
				c.preset = "rfc"
			}
			c.holds(newWorld(t, mem.New(), presetOf("okta", c.preset)))
		})
	}
}

func presetOf(id identity.SourceID, preset string) Source {
	c := DefaultConfig()
	c.Preset = preset
	return Source{id, c}
}

const (
	userURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	patchURN      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// userBody is a user with these further members, as JSON.
func userBody(name, more string) string {
	b := `{"schemas":["` + userURN + `"],"userName":"` + name + `"`
	if more != "" {
		b += "," + more
	}
	return b + "}"
}

// user creates one and returns his path.
func (w *world) user(name, more string) string {
	w.t.Helper()
	return "/Users/" + w.call("POST", "/Users", userBody(name, more)).want(201).id()
}

// group creates one and returns its path.
func (w *world) group(name string, members ...string) string {
	w.t.Helper()
	return "/Groups/" + w.call("POST", "/Groups", groupBody(name, members...)).want(201).id()
}

func groupBody(name string, members ...string) string {
	for i, m := range members {
		members[i] = `{"value":"` + idOf(m) + `"}`
	}
	return `{"schemas":["` + groupURN + `"],"displayName":"` + name + `","members":[` + strings.Join(members, ",") + `]}`
}

// idOf is the id at the end of a path.
func idOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// patch sends operations.
func (w *world) patch(path, ops string, header ...string) *answer {
	w.t.Helper()
	return w.call("PATCH", path, `{"schemas":["`+patchURN+`"],"Operations":[`+ops+`]}`, header...)
}

// find lists what a filter selects.
func (w *world) find(endpoint, filter string) *answer {
	w.t.Helper()
	return w.call("GET", endpoint+"?filter="+url.QueryEscape(filter), "")
}

// refuses is an error of the form of RFC 7644, section 3.12.
func (a *answer) refuses(status int, kind string) *answer {
	a.t.Helper()
	a.want(status).is("status", itoa(status)).is("schemas/0", errorURN)
	if kind != "" {
		a.is("scimType", kind)
	}
	if at(a.json, "detail") == nil || a.header.Get("Content-Type") != mediaType {
		a.t.Errorf("an error without detail, or of type %q: %s", a.header.Get("Content-Type"), a.body)
	}
	return a
}

// names lists one attribute of the resources of a list, with a space between.
func (a *answer) names(attribute string) string {
	a.t.Helper()
	list, _ := a.json["Resources"].([]any)
	var all []string
	for _, r := range list {
		s, _ := at(r, attribute).(string)
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

// has fails unless a member is there, whatever its value.
func (a *answer) has(paths ...string) *answer {
	a.t.Helper()
	for _, p := range paths {
		if at(a.json, p) == nil {
			a.t.Errorf("no %s: %s", p, a.body)
		}
	}
	return a
}

// lacks fails if a member is there.
func (a *answer) lacks(paths ...string) *answer {
	a.t.Helper()
	for _, p := range paths {
		a.is(p, nil)
	}
	return a
}

// size compares the length of a list.
func (a *answer) size(path string, want int) *answer {
	a.t.Helper()
	list, _ := at(a.json, path).([]any)
	if len(list) != want {
		a.t.Errorf("%s has %d values, want %d: %s", path, len(list), want, a.body)
	}
	return a
}

func searchBody(filter string) string {
	return string(schema.AppendString([]byte(`{"schemas":["`+searchURN+`"],"filter":`), filter)) + "}"
}

// sortedNames orders names without regard to case.
func sortedNames(list string) string {
	names := strings.Fields(list)
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return strings.Join(names, " ")
}
