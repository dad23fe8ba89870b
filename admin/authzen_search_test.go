package admin_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

// results returns what a search found: names of actions, ids of others.
func (s searched) results() []string {
	out := []string{}
	for _, r := range s.Results {
		out = append(out, r.Name+r.ID)
	}
	return out
}

// search asks for all pages and checks each.
func (w *world) search(kind, key, body string, limit int) []string {
	w.t.Helper()
	out, token := []string{}, ""
	for range 1000 {
		page := fmt.Sprintf(`{"page":{"limit":%d,"token":%q},`, limit, token)
		got := want[searched](w.t, w.call(http.MethodPost, "/access/v1/search/"+kind, key, strings.Replace(body, "{", page, 1)), http.StatusOK)
		out = append(out, got.results()...)
		if got.Page.Next == nil || got.Page.Count != len(got.Results) || got.Page.Count > limit || got.Context.Revision == 0 {
			w.t.Fatalf("search %s: page %+v with %d results, limit %d", kind, got.Page, len(got.Results), limit)
		}
		if token = *got.Page.Next; token == "" {
			if got.Page.Total != len(out) {
				w.t.Errorf("search %s: total %d, want %d", kind, got.Page.Total, len(out))
			}
			return out
		}
		if len(got.Results) != limit {
			w.t.Errorf("search %s: a page that is not the last has %d results, want %d", kind, len(got.Results), limit)
		}
	}
	w.t.Fatalf("search %s has no last page", kind)
	return nil
}

func TestSearchPages(t *testing.T) {
	w := newWorld(t)
	var users []string
	var members []identity.Member
	for i := range 7 {
		id := w.person(identity.Local, fmt.Sprint("user", i))
		users = append(users, id.String())
		members = append(members, identity.UserMember(id))
	}
	team := w.group(identity.Local, "team", members[:4]...)
	above := w.group(identity.Local, "above", identity.GroupMember(team))
	w.grant(identity.GroupMember(above), permissions.CreateProject, time.Time{})
	for _, m := range members[3:] {
		w.grant(m, permissions.CreateProject, time.Time{})
	}
	w.grant(members[0], permissions.Audit, time.Time{})
	w.grant(members[0], permissions.CreateFilter, time.Time{})
	key := w.app()
	for limit := 1; limit <= 8; limit++ {
		got := w.search("subject", key, `{"subject":{"type":"user"},"action":{"name":"CREATE_PROJECT"},"resource":{"type":"application","id":"x"}}`, limit)
		if d := cmp.Diff(users, got); d != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, d)
		}
		got = w.search("action", key, `{"subject":{"type":"user","id":"user0"},"resource":{"type":"application","id":"x"}}`, limit)
		if d := cmp.Diff([]string{"AUDIT", "CREATE_FILTER", "CREATE_PROJECT", "subscribe"}, got); d != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, d)
		}
	}
	subscribers := w.search("subject", key, `{"subject":{"type":"user"},"action":{"name":"subscribe"},"resource":{"type":"application","id":"x"}}`, 3)
	if len(subscribers) != 8 || !slices.IsSorted(subscribers) {
		t.Errorf("%d subscribers, want everybody active", len(subscribers))
	}
}

func TestSearchFailsClosed(t *testing.T) {
	w := newWorld(t)
	w.caller("ann", permissions.Audit)
	key := w.app()
	const user, unknown, app, planet = `{"type":"user","id":"ann"}`, `{"type":"user","id":"nobody"}`, `{"type":"application","id":"x"}`, `{"type":"planet","id":"x"}`
	for _, tt := range []struct{ kind, subject, action, resource string }{
		{"subject", `{"type":"robot"}`, `{"name":"AUDIT"}`, app},
		{"subject", `{"type":"group"}`, `{"name":"AUDIT"}`, app},
		{"subject", `{"type":"user"}`, `{"name":"FLY"}`, app},
		{"subject", `{"type":"user"}`, `{"name":"AUDIT"}`, planet},
		{"action", unknown, `{"name":"AUDIT"}`, app},
		{"action", `{"type":"robot","id":"ann"}`, `{"name":"AUDIT"}`, app},
		{"action", user, `{"name":"AUDIT"}`, planet},
		{"resource", unknown, `{"name":"AUDIT"}`, `{"type":"application"}`},
		{"resource", user, `{"name":"FLY"}`, `{"type":"application"}`},
		{"resource", user, `{"name":"AUDIT"}`, `{"type":"planet"}`},
	} {
		body := fmt.Sprintf(`{"subject":%s,"action":%s,"resource":%s}`, tt.subject, tt.action, tt.resource)
		if got := w.search(tt.kind, key, body, 10); len(got) != 0 {
			t.Errorf("search %s %s = %v, want nothing", tt.kind, body, got)
		}
	}
}

func TestSearchRefuses(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.caller(fmt.Sprint("user", i), permissions.Audit)
	}
	key := w.app()
	const user, act, app = `"subject":{"type":"user","id":"user0"}`, `"action":{"name":"AUDIT"}`, `"resource":{"type":"application","id":"x"}`
	for _, tt := range []struct{ kind, body, message string }{
		{"subject", `{` + act + `,` + app + `}`, "subject is required"},
		{"subject", `{"subject":{"id":"x"},` + act + `,` + app + `}`, "subject.type is required"},
		{"subject", `{` + user + `,` + app + `}`, "action is required"},
		{"subject", `{` + user + `,` + act + `}`, "resource is required"},
		{"subject", `{` + user + `,` + act + `,"resource":{"type":"application"}}`, "resource.id is required"},
		{"action", `{` + app + `}`, "subject is required"},
		{"action", `{"subject":{"type":"user"},` + app + `}`, "subject.id is required"},
		{"action", `{` + user + `}`, "resource is required"},
		{"resource", `{` + user + `,` + act + `}`, "resource is required"},
		{"resource", `{` + user + `,"resource":{"type":"application"}}`, "action is required"},
		{"resource", `{` + user + `,` + act + `,"resource":{"id":"x"}}`, "resource.type is required"},
		{"subject", `{` + user + `,` + act + `,` + app + `,"page":7}`, "page must be an object"},
		{"subject", `{` + user + `,` + act + `,` + app + `,"page":{"limit":0}}`, "page.limit"},
		{"subject", `{` + user + `,` + act + `,` + app + `,"page":{"limit":-1}}`, "page.limit"},
		{"subject", `{` + user + `,` + act + `,` + app + `,"page":{"limit":"1"}}`, "page.limit"},
		{"subject", `{` + user + `,` + act + `,` + app + `,"page":{"token":7}}`, "page.token"},
		{"subject", `{` + user + `,` + act + `,` + app + `,"page":{"token":"x"}}`, "page token"},
	} {
		wantPlain(t, w.call(http.MethodPost, "/access/v1/search/"+tt.kind, key, tt.body), http.StatusBadRequest, tt.message)
	}
	// A token is good for the search that gave it, and for no other.
	body := `{` + user + `,` + act + `,` + app + `,"page":{"limit":1%s}}`
	first := want[searched](t, w.call(http.MethodPost, "/access/v1/search/subject", key, fmt.Sprintf(body, "")), http.StatusOK)
	token := fmt.Sprintf(`,"token":%q`, *first.Page.Next)
	second := want[searched](t, w.call(http.MethodPost, "/access/v1/search/subject", key, " "+fmt.Sprintf(body, token)), http.StatusOK)
	if slices.Equal(first.results(), second.results()) || len(second.Results) != 1 {
		t.Errorf("second page %v after %v", second.results(), first.results())
	}
	for _, other := range []string{
		strings.Replace(body, "AUDIT", "GOVERNANCE", 1), strings.Replace(body, `"id":"x"`, `"id":"y"`, 1), strings.Replace(body, `{"name"`, `{"properties":{"x":1},"name"`, 1),
		strings.Replace(body, `{`, `{"context":{},`, 1),
	} {
		wantPlain(t, w.call(http.MethodPost, "/access/v1/search/subject", key, fmt.Sprintf(other, token)), http.StatusBadRequest, "page token")
	}
	wantPlain(t, w.call(http.MethodPost, "/access/v1/search/action", key, fmt.Sprintf(body, token)), http.StatusBadRequest, "page token")
}
