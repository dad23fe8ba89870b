package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// fresh are the settings of a fresh store.
var fresh = admin.Settings{AdminsMaySubscribe: true, GovernorsMaySubscribe: true, GrantRule: permissions.GrantRuleUserAdmin}

// set changes the settings as an administrator does: he reads them first.
func (w *world) set(key string, change func(*admin.Settings)) reply {
	w.t.Helper()
	r := w.call(http.MethodGet, "/v1/settings", key, nil)
	s := want[admin.Settings](w.t, r, http.StatusOK)
	change(&s)
	return w.call(http.MethodPut, "/v1/settings", key, s, "If-Match", r.header.Get("ETag"))
}

func TestSettings(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.ApplicationAdmin)
	r := w.call(http.MethodGet, "/v1/settings", key, nil)
	if d := cmp.Diff(fresh, want[admin.Settings](t, r, http.StatusOK)); d != "" {
		t.Errorf("settings of a fresh store (-want +got):\n%s", d)
	}
	old := r.header.Get("ETag")
	wantProblem(t, w.call(http.MethodPut, "/v1/settings", key, fresh), http.StatusPreconditionRequired, "precondition_required")
	next := admin.Settings{AdminsMaySubscribe: true, ForbidSelfGrant: true, GrantRule: permissions.GrantRuleHeld}
	r = w.call(http.MethodPut, "/v1/settings", key, next, "If-Match", old)
	if d := cmp.Diff(next, want[admin.Settings](t, r, http.StatusOK)); d != "" || r.header.Get("ETag") == old {
		t.Errorf("changed settings (-want +got):\n%s", d)
	}
	wantProblem(t, w.call(http.MethodPut, "/v1/settings", key, fresh, "If-Match", old), http.StatusPreconditionFailed, "stale")
	bad := next
	bad.GrantRule = "anything"
	wantProblem(t, w.call(http.MethodPut, "/v1/settings", key, bad, "If-Match", r.header.Get("ETag")), http.StatusUnprocessableEntity, "invalid_request")
	wantProblem(t, w.call(http.MethodPut, "/v1/settings", key, map[string]any{"grantRule": "held"}, "If-Match", "*"), http.StatusUnprocessableEntity, "invalid_request")
	if r := w.call(http.MethodGet, "/v1/settings", key, nil, "If-None-Match", r.header.Get("ETag")); r.status != http.StatusNotModified {
		t.Errorf("unchanged settings: status %d, want 304", r.status)
	}
}

// Exclusivity is not switched on while somebody is both, and keeps everybody from it then.
func TestExclusiveRoles(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, app := w.caller("app", permissions.ApplicationAdmin)
	_, root := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	both := w.person("corp", "both")
	w.grant(identity.UserMember(both), permissions.UserAdmin, time.Time{})
	w.grant(identity.UserMember(both), permissions.Governance, time.Time{})
	on := func(s *admin.Settings) { s.AdminGovernorExclusive = true }
	if p := wantProblem(t, w.set(app, on), http.StatusConflict, "exclusive_roles"); !strings.Contains(p.Detail, "both") {
		t.Errorf("the refusal does not name who is both: %s", p.Detail)
	}
	want[struct{}](t, w.call(http.MethodDelete, "/v1/users/both/grants/GOVERNANCE", root, nil), http.StatusNoContent)
	want[admin.Settings](t, w.set(app, on), http.StatusOK)

	// Every local path to both is refused.
	wantProblem(t, w.call(http.MethodPut, "/v1/users/both/grants/GOVERNANCE", root, nil), http.StatusConflict, "exclusive_roles")
	want[admin.Group](t, w.call(http.MethodPost, "/v1/groups", root, map[string]string{"name": "stewards"}), http.StatusCreated)
	want[admin.Group](t, w.call(http.MethodPost, "/v1/groups", root, map[string]string{"name": "inner"}), http.StatusCreated)
	want[admin.Grant](t, w.call(http.MethodPut, "/v1/groups/stewards/grants/GOVERNANCE", root, nil), http.StatusCreated)
	wantProblem(t, w.call(http.MethodPut, "/v1/groups/stewards/members/users/both", root, nil), http.StatusConflict, "exclusive_roles")
	want[admin.GroupMember](t, w.call(http.MethodPut, "/v1/groups/inner/members/users/both", root, nil), http.StatusCreated)
	wantProblem(t, w.call(http.MethodPut, "/v1/groups/stewards/members/groups/inner", root, nil), http.StatusConflict, "exclusive_roles")

	// What a directory causes is suppressed; who switches that off raises somebody.
	synced := w.group("corp", "governors")
	w.grant(identity.GroupMember(synced), permissions.Governance, time.Time{})
	w.directory(state.ChangeMembers{Group: synced, Origin: "corp", Add: []identity.Member{identity.UserMember(both)}})
	off := func(s *admin.Settings) { s.AdminGovernorExclusive = false }
	wantProblem(t, w.set(app, off), http.StatusForbidden, "grant_not_allowed")
	want[admin.Settings](t, w.set(root, off), http.StatusOK)
}

// directory writes as a sync does: nobody judges it.
func (w *world) directory(cs ...state.Change) {
	w.t.Helper()
	if _, err := w.db.Commit(w.t.Context(), audit.Actor{Kind: audit.ActorSync, ID: "corp", Name: "corp"}, cs...); err != nil {
		w.t.Fatal(err)
	}
}

func TestGrantRules(t *testing.T) {
	w := newWorld(t)
	_, app := w.caller("app", permissions.ApplicationAdmin)
	_, ua := w.caller("ua", permissions.UserAdmin, permissions.Audit)
	w.person(identity.Local, "ann")
	want[admin.Settings](t, w.set(app, func(s *admin.Settings) { s.GrantRule = permissions.GrantRuleHeld; s.ForbidSelfGrant = true }), http.StatusOK)
	want[admin.Grant](t, w.call(http.MethodPut, "/v1/users/ann/grants/AUDIT", ua, nil), http.StatusCreated)
	if p := wantProblem(t, w.call(http.MethodPut, "/v1/users/ann/grants/GOVERNANCE", ua, nil), http.StatusForbidden, "grant_not_allowed"); !strings.Contains(p.Detail, "grant_rule") || !strings.Contains(p.Detail, "ann") {
		t.Errorf("the refusal names neither the setting nor whom: %s", p.Detail)
	}
	want[admin.Settings](t, w.set(app, func(s *admin.Settings) { s.GrantRule = permissions.GrantRuleUserAdmin }), http.StatusOK)
	wantProblem(t, w.call(http.MethodPut, "/v1/users/ua/grants/GOVERNANCE", ua, nil), http.StatusForbidden, "grant_not_allowed")
	want[admin.Grant](t, w.call(http.MethodPut, "/v1/users/ann/grants/GOVERNANCE", ua, nil), http.StatusCreated)
}

func TestDefaultPermissions(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, app := w.caller("app", permissions.ApplicationAdmin)
	_, ua := w.caller("ua", permissions.UserAdmin)
	const path = "/v1/sources/corp/defaultPermissions"
	w.person("corp", "before")
	r := w.call(http.MethodGet, path, app, nil)
	if d := want[admin.DefaultPermissions](t, r, http.StatusOK); len(d.Permissions) != 0 {
		t.Errorf("defaults = %+v, want none", d)
	}
	list := map[string][]string{"permissions": {"CREATE_PROJECT", "CREATE_FILTER"}}
	wantProblem(t, w.call(http.MethodPut, path, ua, list), http.StatusPreconditionRequired, "precondition_required")
	wantProblem(t, w.call(http.MethodPut, path, ua, map[string][]string{"permissions": {"USER_ADMIN"}}, "If-Match", "*"), http.StatusUnprocessableEntity, "admin_by_default")
	wantProblem(t, w.call(http.MethodPut, path, ua, map[string][]string{"permissions": {"NOPE"}}, "If-Match", "*"), http.StatusNotFound, "permission_not_found")
	wantProblem(t, w.call(http.MethodPut, path, ua, map[string][]string{"permissions": {"nope"}}, "If-Match", "*"), http.StatusBadRequest, "bad_permission")
	wantProblem(t, w.call(http.MethodPut, "/v1/sources/none/defaultPermissions", ua, list, "If-Match", "*"), http.StatusNotFound, "source_not_found")
	d := want[admin.DefaultPermissions](t, w.call(http.MethodPut, path, ua, list, "If-Match", r.header.Get("ETag")), http.StatusOK)
	if d.SetBy != "user:ua" || len(d.Permissions) != 2 || d.Time.IsZero() {
		t.Errorf("defaults = %+v, want two set by ua", d)
	}
	id := identity.NewUserID()
	w.directory(state.Create{Member: identity.UserMember(id), Record: record("corp", "after")})
	got := want[admin.UserGrants](t, w.call(http.MethodGet, "/v1/users/after/grants", ua, nil), http.StatusOK)
	if len(got.Grants) != 2 || got.Grants[0].Origin != "default:corp" || got.Grants[0].GrantedBy != "user:ua" {
		t.Errorf("grants of who came after = %+v, want the two defaults", got.Grants)
	}
	if got := want[admin.UserGrants](t, w.call(http.MethodGet, "/v1/users/before/grants", ua, nil), http.StatusOK); len(got.Grants) != 0 {
		t.Errorf("grants of who was there before = %+v, want none", got.Grants)
	}
	// Under the stricter rule the list confers no more than its author could.
	want[admin.Settings](t, w.set(app, func(s *admin.Settings) { s.GrantRule = permissions.GrantRuleHeld }), http.StatusOK)
	wantProblem(t, w.call(http.MethodPut, path, ua, map[string][]string{"permissions": {"GOVERNANCE"}}, "If-Match", "*"), http.StatusForbidden, "grant_not_allowed")
}
