package admin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

func TestLocalAttributes(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	ann := w.person("corp", "ann")
	w.group("corp", "team", identity.UserMember(ann))
	for _, object := range []string{"/v1/users/ann", "/v1/groups/team"} {
		path := object + "/attributes/" + url.PathEscape("Höhe/Stufe ä?#")
		before := w.call(http.MethodGet, object, key, nil).header.Get("ETag")

		r := w.call(http.MethodPut, path, key, map[string][]string{"values": {"b", "a", "b"}}, "If-Match", before)
		got := want[admin.LocalAttribute](t, r, http.StatusOK)
		if d := cmp.Diff(admin.LocalAttribute{Key: "höhe/stufe ä?#", Values: []string{"a", "b"}}, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
		now := w.call(http.MethodGet, object, key, nil).header.Get("ETag")
		if r.header.Get("ETag") != now || now == before {
			t.Errorf("%s: ETag %q before, %q of the write, %q of reading after it", object, before, r.header.Get("ETag"), now)
		}

		wantProblem(t, w.call(http.MethodPut, path, key, map[string][]string{"values": {"c"}}, "If-Match", before), http.StatusPreconditionFailed, "stale")
		wantProblem(t, w.call(http.MethodDelete, path, key, nil, "If-Match", before), http.StatusPreconditionFailed, "stale")
		wantProblem(t, w.call(http.MethodDelete, path, key, nil, "If-Match", `"nonsense"`), http.StatusPreconditionFailed, "stale")
		want[struct{}](t, w.call(http.MethodPut, path, key, map[string][]string{"values": {"c"}}, "If-Match", `"x", `+now), http.StatusOK)
		want[struct{}](t, w.call(http.MethodDelete, path, key, nil, "If-Match", "*"), http.StatusNoContent)
		wantProblem(t, w.call(http.MethodDelete, path, key, nil), http.StatusNotFound, "attribute_not_found")

		for _, tt := range []struct {
			values []string
			code   string
		}{
			{nil, "invalid_request"},
			{[]string{}, "invalid_request"},
			{[]string{""}, "invalid_attribute"},
			{[]string{strings.Repeat("x", 4097)}, "invalid_attribute"},
			{[]string{"a\x00b"}, "invalid_attribute"},
			{make([]string, 1001), "invalid_request"},
		} {
			wantProblem(t, w.call(http.MethodPut, path, key, map[string][]string{"values": tt.values}), http.StatusUnprocessableEntity, tt.code)
		}
		wantProblem(t, w.call(http.MethodPut, object+"/attributes/%20", key, map[string][]string{"values": {"x"}}), http.StatusUnprocessableEntity, "invalid_attribute")
		wantProblem(t, w.call(http.MethodPut, object+"x/attributes/a", key, map[string][]string{"values": {"x"}}), http.StatusNotFound,
			map[string]string{"/v1/users/ann": "user_not_found", "/v1/groups/team": "group_not_found"}[object])
	}
}

// What somebody else wrote between reading and writing is not lost.
func TestIfMatchSeesEveryWriteOfTheObject(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	ann := w.person("corp", "ann")
	tag := w.call(http.MethodGet, "/v1/users/ann", key, nil).header.Get("ETag")
	w.grant(identity.UserMember(ann), permissions.Audit, start.AddDate(1, 0, 0))
	want[struct{}](t, w.call(http.MethodPut, "/v1/users/ann/attributes/a", key, map[string][]string{"values": {"1"}}, "If-Match", tag), http.StatusOK)

	tag = w.call(http.MethodGet, "/v1/users/ann", key, nil).header.Get("ETag")
	next := record("corp", "ann")
	next.Name = "ann.lee"
	w.commit(state.Update{Member: identity.UserMember(ann), Record: next})
	wantProblem(t, w.call(http.MethodPut, "/v1/users/"+ann.String()+"/attributes/a", key, map[string][]string{"values": {"2"}}, "If-Match", tag),
		http.StatusPreconditionFailed, "stale")
	wantProblem(t, w.call(http.MethodPut, "/v1/users/"+ann.String()+"/disabled", key, map[string]string{}, "If-Match", tag),
		http.StatusPreconditionFailed, "stale")
}

func TestDisableAndEnable(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	root, key := w.caller("root", permissions.UserAdmin)
	ann := w.person("corp", "ann")
	annsKey := w.key(ann)
	want[admin.Me](t, w.call(http.MethodGet, "/v1/me", annsKey, nil), http.StatusOK)

	d := want[admin.Disabled](t, w.call(http.MethodPut, "/v1/users/ann/disabled", key, map[string]string{"reason": "left on Friday"}), http.StatusCreated)
	if d.Reason != "left on Friday" || d.By != "user:root" || !d.Time.Equal(start) {
		t.Errorf("disabled = %+v", d)
	}
	// His key is dead at once, whatever his source says.
	wantProblem(t, w.call(http.MethodGet, "/v1/me", annsKey, nil), http.StatusUnauthorized, "unauthenticated")
	want[admin.Disabled](t, w.call(http.MethodPut, "/v1/users/ann/disabled", key, map[string]string{"reason": "left on Friday"}), http.StatusOK)
	want[admin.Disabled](t, w.call(http.MethodPut, "/v1/users/ann/disabled", key, nil), http.StatusOK)

	want[struct{}](t, w.call(http.MethodDelete, "/v1/users/ann/disabled", key, nil), http.StatusNoContent)
	wantProblem(t, w.call(http.MethodDelete, "/v1/users/ann/disabled", key, nil), http.StatusNotFound, "not_disabled")
	want[admin.Me](t, w.call(http.MethodGet, "/v1/me", annsKey, nil), http.StatusOK)
	wantProblem(t, w.call(http.MethodPut, "/v1/users/ann/disabled", key, map[string]string{"reason": strings.Repeat("x", 501)}), http.StatusUnprocessableEntity, "invalid_request")
	_ = root
}
