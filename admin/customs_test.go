package admin_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

func TestCustomPermissions(t *testing.T) {
	w := newWorld(t)
	_, app := w.caller("app", permissions.ApplicationAdmin)
	_, ua := w.caller("ua", permissions.UserAdmin)
	_, root := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	for i := range 25 {
		w.person(identity.Local, fmt.Sprintf("u%02d", i))
	}
	create := func(name string) reply {
		return w.call(http.MethodPost, "/v1/permissions", app, map[string]string{"name": name, "description": "Approve invoices."})
	}
	r := create("FINANCE_APPROVER")
	if e := want[permissions.Entry](t, r, http.StatusCreated); e.BuiltIn || e.Description != "Approve invoices." || r.header.Get("Location") != "/v1/permissions/FINANCE_APPROVER" {
		t.Errorf("created %+v at %s", e, r.header.Get("Location"))
	}
	wantProblem(t, create("FINANCE_APPROVER"), http.StatusConflict, "permission_exists")
	for _, name := range []string{"AUDIT", "audit", "User_Admin"} {
		wantProblem(t, create(name), http.StatusConflict, "builtin_permission")
	}
	wantProblem(t, create("finance"), http.StatusBadRequest, "bad_permission")
	r = w.call(http.MethodDelete, "/v1/permissions/AUDIT", app, nil)
	if wantProblem(t, r, http.StatusMethodNotAllowed, "builtin_permission"); r.header.Get("Allow") != http.MethodGet {
		t.Errorf("Allow: %q, want GET", r.header.Get("Allow"))
	}
	wantProblem(t, w.call(http.MethodDelete, "/v1/permissions/NOBODY", app, nil), http.StatusNotFound, "permission_not_found")

	for i := range 25 {
		want[admin.Grant](t, w.call(http.MethodPut, fmt.Sprintf("/v1/users/u%02d/grants/FINANCE_APPROVER", i), ua, nil), http.StatusCreated)
	}
	p := wantProblem(t, w.call(http.MethodDelete, "/v1/permissions/FINANCE_APPROVER", app, nil), http.StatusConflict, "permission_held")
	if len(p.Holders) != permissions.MaxNamed || p.Holders[0].Kind != "user" {
		t.Errorf("holders = %+v, want the first %d", p.Holders, permissions.MaxNamed)
	}
	const cascade = "/v1/permissions/FINANCE_APPROVER?cascade=true"
	wantProblem(t, w.call(http.MethodDelete, cascade, app, nil), http.StatusForbidden, "permission_missing")
	want[struct{}](t, w.call(http.MethodDelete, cascade+"&dryRun=true", root, nil), http.StatusNoContent)
	if !w.db.View().Now().Book().Held("FINANCE_APPROVER") {
		t.Fatal("a dry run took the permission away")
	}
	want[struct{}](t, w.call(http.MethodDelete, cascade, root, nil), http.StatusNoContent)
	if w.db.View().Now().Book().Held("FINANCE_APPROVER") {
		t.Error("grants of a removed permission are left")
	}
	// One of that name begins without holders.
	want[permissions.Entry](t, create("FINANCE_APPROVER"), http.StatusCreated)
	want[struct{}](t, w.call(http.MethodDelete, "/v1/permissions/FINANCE_APPROVER", app, nil), http.StatusNoContent)
}

// More grants than fit in one transaction go in several, after the permission itself.
func TestCascadeOverManyGrants(t *testing.T) {
	for _, n := range []int{100, 101, 250} {
		w := newWorld(t)
		_, root := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
		w.commit(state.PutCustom{Name: "WIDE"})
		for i := range n {
			w.grant(identity.UserMember(w.person(identity.Local, fmt.Sprint("u", i))), "WIDE", time.Time{})
		}
		want[struct{}](t, w.call(http.MethodDelete, "/v1/permissions/WIDE?cascade=true", root, nil), http.StatusNoContent)
		if w.db.View().Now().Book().Held("WIDE") {
			t.Errorf("of %d grants some are left", n)
		}
	}
}

// The application's search finds exactly the active approvers whose grant counts.
func TestFromCustomPermissionToSearch(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, app := w.caller("app", permissions.ApplicationAdmin)
	_, ua := w.caller("ua", permissions.UserAdmin)
	_, service := w.caller("service", permissions.FetchPolicyInfo)
	ann, bob, cy, dan := w.person("corp", "ann"), w.person("corp", "bob"), w.person("corp", "cy"), w.person("corp", "dan")
	w.group("corp", "finance", identity.UserMember(ann), identity.UserMember(bob))
	w.commit(state.Disable{User: bob, Reason: "left"})
	want[permissions.Entry](t, w.call(http.MethodPost, "/v1/permissions", app, map[string]string{"name": "FINANCE_APPROVER"}), http.StatusCreated)
	wantProblem(t, w.call(http.MethodPut, "/v1/groups/finance/grants/FINANCE_APPROVER", app, map[string]any{"acknowledgeDirectory": true}), http.StatusForbidden, "permission_missing")
	want[admin.Grant](t, w.call(http.MethodPut, "/v1/groups/finance/grants/FINANCE_APPROVER", ua, map[string]any{"acknowledgeDirectory": true}), http.StatusCreated)
	w.grant(identity.UserMember(cy), "FINANCE_APPROVER", start.Add(time.Hour))
	w.grant(identity.UserMember(dan), "FINANCE_APPROVER", start.Add(2*time.Hour))
	w.pass(time.Hour)
	r := w.call(http.MethodPost, "/access/v1/search/subject", service, map[string]any{
		"subject": map[string]any{"type": "user"}, "action": map[string]any{"name": "FINANCE_APPROVER"}, "resource": map[string]any{"type": "application", "id": "invoices"},
	})
	found := want[struct {
		Results []struct {
			ID string `json:"id"`
		} `json:"results"`
	}](t, r, http.StatusOK)
	got := map[string]bool{}
	for _, s := range found.Results {
		got[s.ID] = true
	}
	if len(got) != 2 || !got[ann.String()] || !got[dan.String()] {
		t.Errorf("approvers = %s, want ann and dan", r.body)
	}
	// A holder of nothing else is refused on every guarded route.
	approver := w.key(ann)
	for _, o := range operations(t, w) {
		if len(*o.Required) > 0 {
			wantProblem(t, w.call(o.method, o.at(dan.String()), approver, o.body), http.StatusForbidden, "permission_missing")
		}
	}
}

// A user administrator alone gives and takes everything; all others together do not.
func TestOnlyUserAdministratorsConfer(t *testing.T) {
	w := newWorld(t)
	w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	w.commit(state.PutCustom{Name: "FINANCE_APPROVER"})
	_, ua := w.caller("ua", permissions.UserAdmin)
	var rest []permissions.Permission
	for e := range permissions.BuiltIns() {
		if e.Name != permissions.UserAdmin {
			rest = append(rest, e.Name)
		}
	}
	_, others := w.caller("others", append(rest, "FINANCE_APPROVER")...)
	w.person(identity.Local, "target")
	for _, to := range []string{"target", "ua", "others"} {
		for _, p := range append(rest, permissions.UserAdmin, "FINANCE_APPROVER") {
			path := "/v1/users/" + to + "/grants/" + string(p)
			wantProblem(t, w.call(http.MethodPut, path, others, map[string]string{"reason": "climb"}), http.StatusForbidden, "permission_missing")
			if to == "ua" && p == permissions.UserAdmin {
				continue // he would saw off his own branch
			}
			had := w.call(http.MethodPut, path, ua, nil).status
			if had != http.StatusCreated && had != http.StatusOK {
				t.Errorf("give %s to %s: status %d", p, to, had)
			}
			if to != "others" || p != permissions.UserAdmin { // he has just become one
				wantProblem(t, w.call(http.MethodDelete, path, others, nil), http.StatusForbidden, "permission_missing")
			}
			want[struct{}](t, w.call(http.MethodDelete, path, ua, nil), http.StatusNoContent)
			if had == http.StatusOK {
				want[admin.Grant](t, w.call(http.MethodPut, path, ua, nil), http.StatusCreated)
			}
		}
	}
}
