package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// basic asks with HTTP Basic authentication.
func (w *world) basic(path, user, password string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.server.URL+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth(user, password)
	return w.do(req)
}

func TestUserInfo(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	w.known("okta")
	ann := w.person("corp", "ann")
	off := w.person("corp", "off")
	w.person("corp", "both")
	w.person("okta", "both")
	w.commit(state.SetLocalAttribute{Member: identity.UserMember(ann), Key: "clearance", Values: []string{"b", "a"}})
	w.commit(state.Disable{User: off, Reason: "left"})
	team := w.group("corp", "team", identity.UserMember(ann))
	w.group("corp", "above", identity.GroupMember(team))
	key := w.app()
	const shape = `{"groups":[{"name":"team"},{"name":"above"}],"authorizations":{"clearance":["a","b"],"department":["R&D"],"site":["Graz"]}}`
	for name, r := range map[string]reply{
		"bearer":           w.call(http.MethodGet, "/user-info?userid=ann", key, nil),
		"basic":            w.basic("/user-info?userid=ANN", "whoever", key),
		"basic, no name":   w.basic("/user-info?userid=corp/ann", "", key),
		"by id":            w.basic("/user-info?userid="+ann.String(), "x", key),
		"scheme in a case": w.call(http.MethodGet, "/user-info?userid=ann", key, nil, "Authorization", "bearer "+key),
	} {
		if r.status != http.StatusOK || string(r.body) != shape || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s, want %s", name, r.status, r.body, shape)
		}
	}
	if r := w.basic("/user-info?userid=app", "x", key); string(r.body) != `{"groups":[],"authorizations":{"department":["R&D"]}}` {
		t.Errorf("without groups: %s", r.body)
	}
	for _, user := range []string{"nobody", "off", "both"} {
		wantProblem(t, w.basic("/user-info?userid="+user, "x", key), http.StatusNotFound, "user_not_found")
	}
	for _, path := range []string{"/user-info", "/user-info?userid=", "/user-info?userid=a&userid=b"} {
		wantProblem(t, w.basic(path, "x", key), http.StatusBadRequest, "bad_userid")
	}
	_, none := w.caller("none", permissions.UserAdmin, permissions.Audit)
	for _, user := range []string{"ann", "nobody"} {
		wantProblem(t, w.basic("/user-info?userid="+user, "x", none), http.StatusForbidden, "permission_missing")
	}
	for _, password := range []string{"", "x", key + "x", strings.Repeat("x", 1<<15)} {
		r := w.basic("/user-info?userid=ann", "x", password)
		wantProblem(t, r, http.StatusUnauthorized, "bad_credential")
		if got := r.header.Values("WWW-Authenticate"); len(got) != 2 || !strings.HasPrefix(got[1], "Basic ") {
			t.Errorf("WWW-Authenticate %q, want Bearer and Basic", got)
		}
	}
	wantProblem(t, w.call(http.MethodGet, "/user-info?userid=ann", "", nil), http.StatusUnauthorized, "no_credential")
	w.lose(start, true)
	wantProblem(t, w.basic("/user-info?userid=ann", "x", key), http.StatusServiceUnavailable, "stale")
}
