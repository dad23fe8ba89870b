package admin_test

import (
	"fmt"
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

func TestBatchGrants(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	ann := w.person("corp", "ann")
	w.group("corp", "team", identity.UserMember(ann))
	item := func(who, name, p string) map[string]any { return map[string]any{who: name, "permission": p} }
	batch := func(atomic any, items ...map[string]any) reply {
		body := map[string]any{"grants": items}
		if atomic != nil {
			body["atomic"] = atomic
		}
		return w.call(http.MethodPost, "/v1/grants/batch", key, body)
	}
	good, known := item("user", "ann", "AUDIT"), item("group", "team", "GOVERNANCE")
	known["acknowledgeDirectory"] = true
	// All or none: the second one is refused.
	p := wantProblem(t, batch(nil, good, item("group", "team", "GOVERNANCE")), http.StatusConflict, "acknowledge_directory")
	if len(p.Errors) != 1 || p.Errors[0].Location != "body.grants[1]" || w.db.View().Now().Book().Held(permissions.Audit) {
		t.Errorf("refused batch: %+v; or its first grant was given", p.Errors)
	}
	wantProblem(t, batch(nil, good, good), http.StatusUnprocessableEntity, "given_twice")
	got := want[admin.GrantOutcomes](t, batch(true, good, known), http.StatusOK)
	if len(got.Results) != 2 || got.Results[0].Status != http.StatusCreated || !got.Results[1].Grant.AcknowledgedDirectory {
		t.Errorf("outcomes = %+v, want two new grants", got.Results)
	}
	// Each by itself, in order.
	got = want[admin.GrantOutcomes](t, batch(false, good, item("user", "nobody", "AUDIT"), item("user", "ann", "CREATE_FILTER")), http.StatusOK)
	var statuses []int
	for _, r := range got.Results {
		statuses = append(statuses, r.Status)
	}
	if d := cmp.Diff([]int{http.StatusOK, http.StatusNotFound, http.StatusCreated}, statuses); d != "" || got.Results[1].Problem.Code != "user_not_found" {
		t.Errorf("outcomes (-want +got):\n%s", d)
	}
	// At the limit and beyond it.
	many := make([]map[string]any, 101)
	for i := range many {
		name := fmt.Sprint("u", i)
		w.person("corp", name)
		many[i] = item("user", name, "CREATE_PROJECT")
	}
	wantProblem(t, batch(nil, many...), http.StatusUnprocessableEntity, "invalid_request")
	wantProblem(t, batch(nil), http.StatusUnprocessableEntity, "invalid_request")
	if got := want[admin.GrantOutcomes](t, batch(nil, many[:100]...), http.StatusOK); len(got.Results) != 100 {
		t.Errorf("%d outcomes, want 100", len(got.Results))
	}
}

// TestBatchGivesAndTakes replaces one steward by another in one step, which no state in
// between is visible of.
func TestBatchGivesAndTakes(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	ann, bob := w.person(identity.Local, "ann"), w.person(identity.Local, "bob")
	w.grant(identity.UserMember(ann), permissions.Governance, time.Time{})
	item := func(op, who, p string) map[string]any { return map[string]any{"op": op, "user": who, "permission": p} }
	batch := func(query string, body map[string]any) reply {
		return w.call(http.MethodPost, "/v1/grants/batch"+query, key, body)
	}
	held := func(want ...identity.UserID) {
		t.Helper()
		var got []identity.UserID
		for g := range w.db.View().Now().Book().With(permissions.Governance) {
			id, _ := g.Subject.User()
			got = append(got, id)
		}
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b identity.UserID) bool { return a == b })); d != "" {
			t.Fatalf("holders of GOVERNANCE (-want +got):\n%s", d)
		}
	}
	swap := []map[string]any{item("revoke", "ann", "GOVERNANCE"), item("grant", "bob", "GOVERNANCE")}
	swap[0]["reason"] = "CHG-9"
	// None of it when one part is refused, whichever it is.
	for code, bad := range map[string]map[string]any{
		"grant_not_found":    item("revoke", "bob", "AUDIT"),
		"given_twice":        item("grant", "ann", "GOVERNANCE"),
		"terms_of_nothing":   {"op": "revoke", "user": "root", "permission": "USER_ADMIN", "expireTime": "2030-01-01T00:00:00Z"},
		"invalid_request":    item("take", "ann", "AUDIT"),
		"last_administrator": item("revoke", "root", "USER_ADMIN"),
	} {
		r := batch("", map[string]any{"grants": append(swap[:2:2], bad)})
		if p := want[admin.Problem](t, r, r.status); p.Code != code {
			t.Errorf("with %v: %d %s, want %s", bad, r.status, p.Code, code)
		}
		held(ann)
	}
	want[admin.GrantOutcomes](t, batch("?dryRun=true", map[string]any{"grants": swap}), http.StatusOK)
	held(ann)
	got := want[admin.GrantOutcomes](t, batch("", map[string]any{"grants": swap}), http.StatusOK).Results
	if got[0].Status != http.StatusNoContent || got[0].Grant != nil || got[1].Status != http.StatusCreated || got[1].Grant == nil {
		t.Errorf("outcomes = %+v, want one taken and one given", got)
	}
	held(bob)
	page, err := w.db.AuditEntries(t.Context(), state.AuditQuery{Filter: audit.Filter{Action: "PermissionRevoked"}, Order: state.NewestFirst, Limit: 1})
	if err != nil || len(page.Entries) != 1 {
		t.Fatal(page, err)
	}
	if e := page.Entries[0].Events; len(e) != 2 || e[0].Reason != "CHG-9" || e[1].Action != "PermissionGranted" {
		t.Errorf("the entry says %+v, want both in one", e)
	}
	// Each by itself: a second time it is there no more.
	got = want[admin.GrantOutcomes](t, batch("", map[string]any{"atomic": false, "grants": swap}), http.StatusOK).Results
	if got[0].Status != http.StatusNotFound || got[0].Problem.Code != "grant_not_found" || got[1].Status != http.StatusOK {
		t.Errorf("outcomes the second time = %+v", got)
	}
	// At the limit and beyond it.
	many := make([]map[string]any, 101)
	for i := range many {
		name := fmt.Sprint("u", i)
		w.grant(identity.UserMember(w.person(identity.Local, name)), permissions.CreateProject, time.Time{})
		many[i] = item("revoke", name, "CREATE_PROJECT")
	}
	wantProblem(t, batch("", map[string]any{"grants": many}), http.StatusUnprocessableEntity, "invalid_request")
	want[admin.GrantOutcomes](t, batch("", map[string]any{"grants": many[:100]}), http.StatusOK)
	if left := w.db.View().Now().Book().Of(identity.UserMember(one(t, w, "u0"))); len(left) != 0 {
		t.Errorf("u0 still has %v", left)
	}
}

func one(t *testing.T, w *world, name string) identity.UserID {
	t.Helper()
	id, err := w.db.View().Now().OneUser(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestReplaceUserGrants(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	ann := w.person(identity.Local, "ann")
	old := w.grant(identity.UserMember(ann), permissions.Audit, time.Time{})
	w.grant(identity.UserMember(ann), permissions.Governance, time.Time{})
	const path = "/v1/users/ann/grants"
	r := w.call(http.MethodGet, path, key, nil)
	if got := want[admin.UserGrants](t, r, http.StatusOK); len(got.Grants) != 2 {
		t.Errorf("grants = %+v, want two", got.Grants)
	}
	tag := r.header.Get("ETag")
	if r := w.call(http.MethodGet, path, key, nil, "If-None-Match", tag); r.status != http.StatusNotModified {
		t.Errorf("unchanged grants: status %d, want 304", r.status)
	}
	set := map[string]any{"grants": []map[string]any{{"permission": "AUDIT", "reason": "test"}, {"permission": "CREATE_FILTER"}}}
	wantProblem(t, w.call(http.MethodPut, path, key, set), http.StatusPreconditionRequired, "precondition_required")
	r = w.call(http.MethodPut, path+"?dryRun=true", key, set, "If-Match", tag)
	if got := want[admin.UserGrants](t, r, http.StatusOK); len(got.Grants) != 2 || got.Grants[1].Permission != permissions.CreateFilter {
		t.Errorf("dry run = %+v", got.Grants)
	}
	if r := w.call(http.MethodGet, path, key, nil, "If-None-Match", tag); r.status != http.StatusNotModified {
		t.Fatal("a dry run changed the grants")
	}
	got := want[admin.UserGrants](t, w.call(http.MethodPut, path, key, set, "If-Match", tag), http.StatusOK)
	if len(got.Grants) != 2 || got.Grants[0].ID != old || got.Grants[1].Permission != permissions.CreateFilter {
		t.Errorf("grants = %+v, want the old AUDIT and a new CREATE_FILTER", got.Grants)
	}
	wantProblem(t, w.call(http.MethodPut, path, key, set, "If-Match", tag), http.StatusPreconditionFailed, "stale")
	// An attribute elsewhere does not make the set stale, and the floor holds.
	r = w.call(http.MethodGet, "/v1/users/root/grants", key, nil)
	want[admin.LocalAttribute](t, w.call(http.MethodPut, "/v1/users/root/attributes/x", key, map[string][]string{"values": {"y"}}), http.StatusOK)
	wantProblem(t, w.call(http.MethodPut, "/v1/users/root/grants", key, map[string]any{"grants": []any{}}, "If-Match", r.header.Get("ETag")), http.StatusConflict, "last_administrator")
	twice := map[string]any{"grants": []map[string]any{{"permission": "AUDIT"}, {"permission": "AUDIT"}}}
	wantProblem(t, w.call(http.MethodPut, path, key, twice, "If-Match", "*"), http.StatusUnprocessableEntity, "given_twice")
}

// The whole set of a group is replaced like that of a user; what its directory decides
// takes the consent that any such grant takes.
func TestReplaceGroupGrants(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	_, none := w.caller("nobody")
	g := w.group("corp", "staff", identity.UserMember(w.person("corp", "ann")))
	w.grant(identity.GroupMember(g), permissions.Governance, time.Time{})
	const path = "/v1/groups/staff/grants"
	wantProblem(t, w.call(http.MethodGet, path, none, nil), http.StatusForbidden, "permission_missing")
	r := w.call(http.MethodGet, path, key, nil)
	if got := want[admin.GroupGrants](t, r, http.StatusOK); len(got.Grants) != 1 {
		t.Errorf("grants = %+v, want one", got.Grants)
	}
	tag := r.header.Get("ETag")
	set := func(known bool) any {
		return map[string]any{"grants": []map[string]any{{"permission": "AUDIT", "acknowledgeDirectory": known}}}
	}
	wantProblem(t, w.call(http.MethodPut, path, key, set(true)), http.StatusPreconditionRequired, "precondition_required")
	wantProblem(t, w.call(http.MethodPut, path, key, set(false), "If-Match", tag), http.StatusConflict, "acknowledge_directory")
	got := want[admin.GroupGrants](t, w.call(http.MethodPut, path, key, set(true), "If-Match", tag), http.StatusOK)
	if len(got.Grants) != 1 || got.Grants[0].Permission != permissions.Audit {
		t.Errorf("grants = %+v, want AUDIT alone", got.Grants)
	}
	wantProblem(t, w.call(http.MethodPut, path, key, set(true), "If-Match", tag), http.StatusPreconditionFailed, "stale")
}

// A grant to a group of a source is given only by who says that he knows whose it is.
func TestAcknowledgeDirectory(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	w.group("corp", "team")
	w.group(identity.Local, "ours")
	w.person("corp", "ann")
	const path = "/v1/groups/team/grants/GOVERNANCE"
	wantProblem(t, w.call(http.MethodPut, path, key, nil), http.StatusConflict, "acknowledge_directory")
	if g := want[admin.Grant](t, w.call(http.MethodPut, path, key, map[string]any{"acknowledgeDirectory": true}), http.StatusCreated); !g.AcknowledgedDirectory {
		t.Errorf("grant = %+v, want it to show that the directory was acknowledged", g)
	}
	// It stays said when the terms change.
	if g := want[admin.Grant](t, w.call(http.MethodPut, path, key, map[string]any{"reason": "CHG-1"}), http.StatusOK); !g.AcknowledgedDirectory || g.Reason != "CHG-1" {
		t.Errorf("changed grant = %+v", g)
	}
	// Nesting is another way to the same, from either side.
	want[admin.Group](t, w.call(http.MethodPost, "/v1/groups", key, map[string]string{"name": "outer"}), http.StatusCreated)
	want[admin.Group](t, w.call(http.MethodPost, "/v1/groups", key, map[string]string{"name": "middle"}), http.StatusCreated)
	want[admin.GroupMember](t, w.call(http.MethodPut, "/v1/groups/middle/members/groups/team", key, nil), http.StatusCreated)
	want[admin.GroupMember](t, w.call(http.MethodPut, "/v1/groups/outer/members/groups/middle", key, nil), http.StatusCreated)
	if p := wantProblem(t, w.call(http.MethodPut, "/v1/groups/outer/grants/AUDIT", key, nil), http.StatusConflict, "acknowledge_directory"); !strings.Contains(p.Detail, "corp") {
		t.Errorf("the refusal does not say whose directory decides: %s", p.Detail)
	}
	want[admin.Grant](t, w.call(http.MethodPut, "/v1/groups/outer/grants/AUDIT", key, map[string]any{"acknowledgeDirectory": true}), http.StatusCreated)
	want[struct{}](t, w.call(http.MethodDelete, "/v1/groups/outer/members/groups/middle", key, nil), http.StatusNoContent)
	const nest = "/v1/groups/outer/members/groups/middle"
	wantProblem(t, w.call(http.MethodPut, nest, key, nil), http.StatusConflict, "acknowledge_directory")
	body := map[string]any{"add": []map[string]string{{"group": "middle"}}}
	wantProblem(t, w.call(http.MethodPost, "/v1/groups/outer/members", key, body), http.StatusConflict, "acknowledge_directory")
	want[admin.GroupMember](t, w.call(http.MethodPut, nest+"?acknowledgeDirectory=true", key, nil), http.StatusCreated)
	want[admin.GroupMember](t, w.call(http.MethodPut, nest, key, nil), http.StatusOK)
	want[struct{}](t, w.call(http.MethodDelete, nest, key, nil), http.StatusNoContent)
	body["acknowledgeDirectory"] = true
	want[admin.MembersChanged](t, w.call(http.MethodPost, "/v1/groups/outer/members", key, body), http.StatusOK)
	// Both are in the audit log, with whose directory it is.
	page, err := w.db.AuditEntries(t.Context(), state.AuditQuery{Filter: audit.Filter{Action: "GroupMemberAdded"}})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, e := range page.Entries {
		for _, c := range e.Events[0].Changes {
			if c.Field == "acknowledgedDirectory" {
				said = append(said, c.After...)
			}
		}
	}
	if d := cmp.Diff([]string{"corp", "corp"}, said); d != "" {
		t.Errorf("directories that were acknowledged, in the audit log (-want +got):\n%s", d)
	}
	for _, path := range []string{"/v1/groups/ours/grants/GOVERNANCE", "/v1/users/ann/grants/GOVERNANCE"} {
		if g := want[admin.Grant](t, w.call(http.MethodPut, path, key, nil), http.StatusCreated); g.AcknowledgedDirectory {
			t.Errorf("%s: %+v acknowledges a directory that decides nothing", path, g)
		}
	}
}
