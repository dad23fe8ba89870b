package admin_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// mixed fills a roll in which every kind of answer occurs, and returns its people.
func mixed(w *world) []string {
	w.known("corp")
	w.known("okta")
	ann, bob, carl, dora := w.person("corp", "ann"), w.person("corp", "bob"), w.person("corp", "carl"), w.person("corp", "dora")
	w.person("okta", "eve")
	inner := w.group("corp", "inner", identity.UserMember(bob), identity.UserMember(carl))
	outer := w.group("corp", "outer", identity.GroupMember(inner), identity.UserMember(dora))
	w.commit(state.ChangeMembers{Group: inner, Origin: "corp", Add: []identity.Member{identity.GroupMember(outer)}})
	gone := w.group("corp", "gone", identity.UserMember(ann))
	w.grant(identity.UserMember(ann), permissions.Audit, time.Time{})
	w.grant(identity.UserMember(bob), permissions.Audit, start.Add(-time.Hour))
	w.grant(identity.GroupMember(outer), permissions.Governance, time.Time{})
	w.grant(identity.GroupMember(gone), permissions.CreateFilter, time.Time{})
	w.commit(state.Deactivate{Member: identity.GroupMember(gone), Source: "corp"})
	w.commit(state.Disable{User: carl, Reason: "left"})
	return []string{"ann", "bob", "carl", "dora", "eve"}
}

// The four ways of asking agree.
func TestAnswersAgree(t *testing.T) {
	w := newWorld(t)
	people := mixed(w)
	_, key := w.caller("root", permissions.UserAdmin)
	for _, p := range []permissions.Permission{permissions.Audit, permissions.Governance, permissions.CreateFilter} {
		page := wantPage[admin.HolderPage](w, key, "/v1/permissions/"+string(p)+"/holders")
		holds := map[string]admin.Holder{}
		for _, h := range page.Holders {
			holds[h.UserName] = h
		}
		for _, u := range people {
			check := want[admin.CheckAnswer](t, w.call(http.MethodPost, "/v1/check", key, map[string]string{"user": u, "permission": string(p)}), http.StatusOK)
			why := wantPage[admin.Explanation](w, key, fmt.Sprintf("/v1/users/%s/permissions/%s/explanation", u, p))
			has := wantPage[admin.UserPermissions](w, key, "/v1/users/"+u+"/permissions")
			listed := slices.ContainsFunc(has.Permissions, func(h admin.HeldPermission) bool { return h.Permission == p && len(h.Grants) > 0 })
			h, holder := holds[u]
			if check.Allowed != why.Allowed || check.Allowed != listed || check.Allowed != holder || string(check.Reason) != string(why.Why) {
				t.Errorf("%s %s: check %+v, explain %v %q, what-can %v, who-can %v: must agree", u, p, check, why.Allowed, why.Why, listed, holder)
			}
			if holder && h.Grant.Permission != p {
				t.Errorf("%s %s: holder by %+v", u, p, h.Grant)
			}
		}
	}
	bob := wantPage[admin.HolderPage](w, key, "/v1/permissions/GOVERNANCE/holders").Holders[0]
	if bob.UserName != "bob" || bob.Through == nil || bob.Through.Name != "inner" || bob.Grant.Subject.Name != "outer" {
		t.Errorf("first holder = %+v, want bob through inner by a grant to outer", bob)
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/permissions/NOPE/holders", key, nil), http.StatusNotFound, "permission_not_found")
}

func TestCheckFailsClosed(t *testing.T) {
	w := newWorld(t)
	mixed(w)
	w.person("okta", "ann")
	_, key := w.caller("app", permissions.FetchPolicyInfo)
	for _, tt := range []struct {
		user, permission string
		want             admin.CheckAnswer
	}{
		{"corp/ann", "AUDIT", admin.CheckAnswer{Allowed: true}},
		{"bob", "AUDIT", admin.CheckAnswer{Reason: "expired"}},
		{"carl", "GOVERNANCE", admin.CheckAnswer{Reason: "inactive", Status: identity.ReasonLocal}},
		{"eve", "GOVERNANCE", admin.CheckAnswer{Reason: "not_granted"}},
		{"nobody", "GOVERNANCE", admin.CheckAnswer{Reason: "unknown_user"}},
		{"eve", "NO_SUCH_THING", admin.CheckAnswer{Reason: "unknown_permission"}},
		{"eve", "no name at all", admin.CheckAnswer{Reason: "unknown_permission"}},
	} {
		got := want[admin.CheckAnswer](t, w.call(http.MethodPost, "/v1/check", key, map[string]string{"user": tt.user, "permission": tt.permission}), http.StatusOK)
		got.Revision = 0
		if got != tt.want {
			t.Errorf("check(%s, %s) = %+v, want %+v", tt.user, tt.permission, got, tt.want)
		}
	}
	wantProblem(t, w.call(http.MethodPost, "/v1/check", key, map[string]string{"user": "ann", "permission": "AUDIT"}), http.StatusConflict, "ambiguous_name")
}

// A machine that reads decisions sees no grants of others.
func TestFetchPolicyInfoSeesNoGrants(t *testing.T) {
	w := newWorld(t)
	mixed(w)
	_, key := w.caller("app", permissions.FetchPolicyInfo)
	got := wantPage[admin.UserPermissions](w, key, "/v1/users/ann/permissions")
	if len(got.Permissions) != 1 || got.Permissions[0].Permission != permissions.Audit || len(got.Permissions[0].Grants) != 0 {
		t.Errorf("permissions = %+v, want AUDIT without its grants", got.Permissions)
	}
	own := wantPage[admin.UserPermissions](w, key, "/v1/users/app/permissions")
	if len(own.Permissions) != 1 || len(own.Permissions[0].Grants) != 1 {
		t.Errorf("own permissions = %+v, want one with its grant", own.Permissions)
	}
}

func TestExplainUnknownPermission(t *testing.T) {
	w := newWorld(t)
	mixed(w)
	_, key := w.caller("root", permissions.Audit)
	got := wantPage[admin.Explanation](w, key, "/v1/users/eve/permissions/NO_SUCH_THING/explanation")
	if got.Allowed || got.Sentence != "no   there is no permission NO_SUCH_THING\n" {
		t.Errorf("explanation = %+v", got)
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/users/eve/permissions/audit/explanation", key, nil), http.StatusBadRequest, "bad_permission")
	wantProblem(t, w.call(http.MethodGet, "/v1/users/nobody/permissions/AUDIT/explanation", key, nil), http.StatusNotFound, "user_not_found")
}

func TestCatalogue(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("nobody")
	if got := wantPage[admin.Catalogue](w, key, "/v1/permissions"); len(got.Permissions) != 11 || got.Permissions[0].Name != "APPLICATION_ADMIN" || !got.Permissions[0].BuiltIn {
		t.Errorf("catalogue = %+v", got)
	}
	if got := wantPage[permissions.Entry](w, key, "/v1/permissions/GOVERNANCE"); got.Name != "GOVERNANCE" || got.Description == "" {
		t.Errorf("GOVERNANCE = %+v", got)
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/permissions/NOPE", key, nil), http.StatusNotFound, "permission_not_found")
	if got := wantPage[admin.PersonaList](w, key, "/v1/personas"); len(got.Personas) != 8 {
		t.Errorf("personas = %+v", got)
	}
}
