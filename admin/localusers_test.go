package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

func TestUpdateUser(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	w.person("corp", "synced")
	r := w.call(http.MethodPost, "/v1/users", key, map[string]string{"userName": "zoe", "email": "zoe@example.com"})
	zoe := want[admin.User](t, r, http.StatusCreated)
	r = w.call(http.MethodPut, "/v1/users/zoe", key, map[string]string{"userName": "Zoë", "displayName": "Zoë B."}, "If-Match", r.header.Get("ETag"))
	u := want[admin.User](t, r, http.StatusOK)
	if d := cmp.Diff(map[string]string{"displayName": "Zoë B."}, u.External.Profile); d != "" || u.ID != zoe.ID || u.UserName != "Zoë" {
		t.Errorf("changed user %q (-want +got):\n%s", u.UserName, d)
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/users/zoe", key, nil), http.StatusNotFound, "user_not_found")
	wantProblem(t, w.call(http.MethodPut, "/v1/users/Zo%C3%AB", key, map[string]string{"userName": "x"}, "If-Match", `"1-0"`), http.StatusPreconditionFailed, "stale")
	wantProblem(t, w.call(http.MethodPut, "/v1/users/Zo%C3%AB", key, map[string]string{"userName": "ROOT"}), http.StatusConflict, "name_taken")
	wantProblem(t, w.call(http.MethodPut, "/v1/users/Zo%C3%AB", key, map[string]string{"userName": "a/b"}), http.StatusUnprocessableEntity, "invalid_user_name")
	if p := wantProblem(t, w.call(http.MethodPut, "/v1/users/synced", key, map[string]string{"userName": "mine"}), http.StatusConflict, "managed_by_source"); !strings.Contains(p.Detail, "corp") {
		t.Errorf("the refusal does not name the source: %s", p.Detail)
	}
	// The old name is free again.
	want[admin.User](t, w.call(http.MethodPost, "/v1/users", key, map[string]string{"userName": "zoe"}), http.StatusCreated)
}

func TestDeleteUser(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	zoe, zoeKey := w.caller("Zoe", permissions.Governance)
	live, gone := w.person("corp", "live"), w.person("corp", "gone")
	w.directory(state.Deactivate{Member: identity.UserMember(gone), Source: "corp"})
	team := w.group("corp", "team")
	want[admin.GroupMember](t, w.call(http.MethodPut, "/v1/groups/team/members/users/zoe", key, nil), http.StatusCreated)
	want[admin.LocalAttribute](t, w.call(http.MethodPut, "/v1/users/zoe/attributes/desk", key, map[string][]string{"values": {"7"}}), http.StatusOK)

	wantProblem(t, w.call(http.MethodDelete, "/v1/users/zoe", key, nil), http.StatusUnprocessableEntity, "not_confirmed")
	wantProblem(t, w.call(http.MethodDelete, "/v1/users/zoe?confirm=zoe", key, nil), http.StatusUnprocessableEntity, "not_confirmed")
	if p := wantProblem(t, w.call(http.MethodDelete, "/v1/users/"+live.String()+"?confirm=live", key, nil), http.StatusConflict, "managed_by_source"); !strings.Contains(p.Detail, "corp") {
		t.Errorf("the refusal does not name the source: %s", p.Detail)
	}
	wantProblem(t, w.call(http.MethodDelete, "/v1/users/root?confirm=root", key, nil), http.StatusConflict, "last_administrator")
	want[struct{}](t, w.call(http.MethodDelete, "/v1/users/zoe?confirm=Zoe&dryRun=true", key, nil), http.StatusNoContent)
	want[admin.Me](t, w.call(http.MethodGet, "/v1/me", zoeKey, nil), http.StatusOK)
	want[struct{}](t, w.call(http.MethodDelete, "/v1/users/zoe?confirm=Zoe", key, nil), http.StatusNoContent)
	want[struct{}](t, w.call(http.MethodDelete, "/v1/users/"+gone.String()+"?confirm=gone", key, nil), http.StatusNoContent)
	wantProblem(t, w.call(http.MethodGet, "/v1/me", zoeKey, nil), http.StatusUnauthorized, "unauthenticated")
	wantProblem(t, w.call(http.MethodGet, "/v1/users/"+zoe.String(), key, nil), http.StatusNotFound, "user_not_found")
	snap := w.db.View().Now()
	if n := snap.MemberCount(team); n != 0 || len(snap.Book().Of(identity.UserMember(zoe))) != 0 || len(snap.Tokens(zoe)) != 0 {
		t.Errorf("left of a deleted user: %d memberships, grants %v, keys %v", n, snap.Book().Of(identity.UserMember(zoe)), snap.Tokens(zoe))
	}
	if again := want[admin.User](t, w.call(http.MethodPost, "/v1/users", key, map[string]string{"userName": "Zoe"}), http.StatusCreated); again.ID == zoe.String() || len(again.Effective.Permissions) != 0 {
		t.Errorf("a new user of the name is %+v, want another id and no permissions", again)
	}
}

func TestLocalGroups(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	w.group("corp", "synced")
	r := w.call(http.MethodPost, "/v1/groups", key, map[string]string{"name": "Board", "description": "Who decides."})
	g := want[admin.Group](t, r, http.StatusCreated)
	if g.Source != "local" || g.Name != "Board" || r.header.Get("Location") != "/v1/groups/"+g.ID || g.External.Profile["description"] != "Who decides." {
		t.Errorf("created %+v at %s", g, r.header.Get("Location"))
	}
	wantProblem(t, w.call(http.MethodPost, "/v1/groups", key, map[string]string{"name": "BOARD"}), http.StatusConflict, "name_taken")
	wantProblem(t, w.call(http.MethodPost, "/v1/groups", key, map[string]string{"name": "a/b"}), http.StatusUnprocessableEntity, "invalid_group_name")
	wantProblem(t, w.call(http.MethodPut, "/v1/groups/synced", key, map[string]string{"name": "mine"}), http.StatusConflict, "managed_by_source")
	want[admin.Group](t, w.call(http.MethodPost, "/v1/groups", key, map[string]string{"name": "synced"}), http.StatusCreated)
	wantProblem(t, w.call(http.MethodPut, "/v1/groups/local%2Fsynced", key, map[string]string{"name": "board"}), http.StatusConflict, "name_taken")
	up := want[admin.Group](t, w.call(http.MethodPut, "/v1/groups/board", key, map[string]string{"name": "board", "displayName": "The board"}, "If-Match", r.header.Get("ETag")), http.StatusOK)
	if d := cmp.Diff(map[string]string{"displayName": "The board"}, up.External.Profile); d != "" || up.ID != g.ID {
		t.Errorf("changed group (-want +got):\n%s", d)
	}
	want[admin.Grant](t, w.call(http.MethodPut, "/v1/groups/board/grants/AUDIT", key, nil), http.StatusCreated)
	wantProblem(t, w.call(http.MethodDelete, "/v1/groups/corp%2Fsynced", key, nil), http.StatusConflict, "managed_by_source")
	want[struct{}](t, w.call(http.MethodDelete, "/v1/groups/board", key, nil), http.StatusNoContent)
	wantProblem(t, w.call(http.MethodGet, "/v1/groups/board", key, nil), http.StatusNotFound, "group_not_found")
	if w.db.View().Now().Book().Held(permissions.Audit) {
		t.Error("a grant of a deleted group is left")
	}
}

func TestMemberships(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	ann := w.person("corp", "ann")
	w.person("corp", "bob")
	w.group("corp", "team", identity.UserMember(ann))
	w.group("corp", "inner")
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
	}{
		{http.MethodPut, "/v1/groups/team/members/users/bob", http.StatusCreated, ""},
		{http.MethodPut, "/v1/groups/team/members/users/bob", http.StatusOK, ""},
		{http.MethodPut, "/v1/groups/team/members/users/ann", http.StatusCreated, ""}, // beside what corp says
		{http.MethodPut, "/v1/groups/team/members/groups/inner", http.StatusCreated, ""},
		{http.MethodPut, "/v1/groups/team/members/groups/team", http.StatusUnprocessableEntity, "member_of_itself"},
		{http.MethodPut, "/v1/groups/team/members/users/nobody", http.StatusNotFound, "user_not_found"},
		{http.MethodPut, "/v1/groups/none/members/users/ann", http.StatusNotFound, "group_not_found"},
		{http.MethodDelete, "/v1/groups/team/members/users/bob", http.StatusNoContent, ""},
		{http.MethodDelete, "/v1/groups/team/members/users/bob", http.StatusNotFound, "membership_not_found"},
		{http.MethodDelete, "/v1/groups/team/members/users/ann", http.StatusNoContent, ""},
		{http.MethodDelete, "/v1/groups/team/members/users/ann", http.StatusConflict, "managed_by_source"},
		{http.MethodDelete, "/v1/groups/team/members/groups/inner", http.StatusNoContent, ""},
	} {
		r := w.call(tt.method, tt.path, key, nil)
		if tt.code != "" {
			wantProblem(t, r, tt.status, tt.code)
		} else if r.status != tt.status {
			t.Errorf("%s %s: status %d, want %d: %s", tt.method, tt.path, r.status, tt.status, r.body)
		}
	}
	got := want[admin.MemberPage](t, w.call(http.MethodGet, "/v1/groups/team/members", key, nil), http.StatusOK)
	if len(got.Members) != 1 || len(got.Members[0].Origins) != 1 || got.Members[0].Origins[0] != "corp" {
		t.Errorf("members = %+v, want what corp says", got.Members)
	}
}

// Who puts somebody into a group gives him what the group carries.
func TestMembershipsConfer(t *testing.T) {
	w := newWorld(t)
	_, app := w.caller("app", permissions.ApplicationAdmin)
	_, ua := w.caller("ua", permissions.UserAdmin)
	w.person(identity.Local, "ann")
	w.grant(identity.GroupMember(w.group(identity.Local, "powerful")), permissions.Governance, time.Time{})
	w.group(identity.Local, "inner")
	want[admin.Settings](t, w.set(app, func(s *admin.Settings) { s.GrantRule = permissions.GrantRuleHeld }), http.StatusOK)
	want[admin.GroupMember](t, w.call(http.MethodPut, "/v1/groups/inner/members/users/ann", ua, nil), http.StatusCreated)
	for _, path := range []string{"/v1/groups/powerful/members/users/ann", "/v1/groups/powerful/members/groups/inner"} {
		wantProblem(t, w.call(http.MethodPut, path, ua, nil), http.StatusForbidden, "grant_not_allowed")
	}
	wantProblem(t, w.call(http.MethodPost, "/v1/groups/powerful/members", ua, map[string]any{"add": []map[string]string{{"user": "ann"}}}), http.StatusForbidden, "grant_not_allowed")
}

func TestChangeMembers(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	w.group("corp", "team")
	w.group("corp", "inner")
	refs := func(n int) (out []map[string]string) {
		for i := range n {
			out = append(out, map[string]string{"user": fmt.Sprint("u", i)})
		}
		return out
	}
	for i := range 1000 {
		w.person("corp", fmt.Sprint("u", i))
	}
	change := func(body any, query string) reply {
		return w.call(http.MethodPost, "/v1/groups/team/members"+query, key, body)
	}
	if got := want[admin.MembersChanged](t, change(map[string]any{"add": refs(1000)}, "?dryRun=true"), http.StatusOK); got.Added != 1000 {
		t.Errorf("dry run = %+v, want 1,000 added", got)
	}
	if n := w.db.View().Now().MemberCount(w.team()); n != 0 {
		t.Errorf("a dry run put %d members in", n)
	}
	if got := want[admin.MembersChanged](t, change(map[string]any{"add": refs(1000)}, ""), http.StatusOK); got.Added != 1000 || got.Removed != 0 {
		t.Errorf("changed = %+v, want 1,000 added", got)
	}
	wantProblem(t, change(map[string]any{"add": append(refs(1000), map[string]string{"group": "inner"})}, ""), http.StatusUnprocessableEntity, "invalid_request")
	got := want[admin.MembersChanged](t, change(map[string]any{"add": []map[string]string{{"group": "inner"}, {"user": "u0"}}, "remove": refs(1000)[1:]}, ""), http.StatusOK)
	if got.Added != 1 || got.Removed != 999 || w.db.View().Now().MemberCount(w.team()) != 2 {
		t.Errorf("changed = %+v with %d members, want the nested group and u0", got, w.db.View().Now().MemberCount(w.team()))
	}
	p := wantProblem(t, change(map[string]any{"add": []map[string]string{{"user": "u1"}, {"user": "nobody"}}}, ""), http.StatusNotFound, "user_not_found")
	if len(p.Errors) != 1 || p.Errors[0].Location != "body.add[1]" {
		t.Errorf("the refusal does not say which: %+v", p.Errors)
	}
	wantProblem(t, change(map[string]any{"add": []map[string]string{{"user": "u1", "group": "inner"}}}, ""), http.StatusUnprocessableEntity, "user_or_group")
	wantProblem(t, change(map[string]any{"add": refs(2), "remove": refs(2)}, ""), http.StatusUnprocessableEntity, "added_and_removed")
	if w.db.View().Now().MemberCount(w.team()) != 2 {
		t.Error("a refused change was made in part")
	}
}

func (w *world) team() identity.GroupID {
	w.t.Helper()
	id, err := w.db.View().Now().OneGroup("team")
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// A source can be kept free of what is put on top; what is there can be removed.
func TestLocalNotAllowed(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	w.person("corp", "ann")
	w.group("corp", "team")
	values := map[string][]string{"values": {"x"}}
	want[admin.LocalAttribute](t, w.call(http.MethodPut, "/v1/users/ann/attributes/a", key, values), http.StatusOK)
	want[admin.GroupMember](t, w.call(http.MethodPut, "/v1/groups/team/members/users/ann", key, nil), http.StatusCreated)
	w.sync.set(func(f *fakeSync) {
		f.sources[0].AllowLocalAttributes, f.sources[0].AllowLocalMemberships = false, false
	})
	wantProblem(t, w.call(http.MethodPut, "/v1/users/ann/attributes/b", key, values), http.StatusConflict, "local_not_allowed")
	wantProblem(t, w.call(http.MethodPut, "/v1/groups/team/attributes/b", key, values), http.StatusConflict, "local_not_allowed")
	wantProblem(t, w.call(http.MethodPut, "/v1/groups/team/members/users/root", key, nil), http.StatusConflict, "local_not_allowed")
	want[struct{}](t, w.call(http.MethodDelete, "/v1/users/ann/attributes/a", key, nil), http.StatusNoContent)
	want[struct{}](t, w.call(http.MethodDelete, "/v1/groups/team/members/users/ann", key, nil), http.StatusNoContent)
	want[admin.LocalAttribute](t, w.call(http.MethodPut, "/v1/users/root/attributes/b", key, values), http.StatusOK)
}
