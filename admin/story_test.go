package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
)

// The first hour: the token of the first start makes an administrator, who gives a
// synced group a permission; an application asks, and somebody asks why.
func TestFromBootstrapToWhy(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	ann := w.person("corp", "ann")
	team := w.group("corp", "platform", identity.UserMember(ann))
	w.group("corp", "eng", identity.GroupMember(team))

	token, created, err := w.api.EnsureBootstrap(t.Context())
	if err != nil || !created {
		t.Fatalf("EnsureBootstrap = %v, %v, want a token", created, err)
	}
	root := want[admin.Bootstrapped](t, w.call(http.MethodPost, "/v1/bootstrap", "", map[string]string{
		"token": token.Reveal(), "userName": "root", "displayName": "Root",
	}), http.StatusCreated)
	if !strings.HasPrefix(root.APIKey, "rcl_pat_") || len(root.Permissions) != 2 {
		t.Fatalf("bootstrap = %+v, want a key and two permissions", root)
	}

	me := want[admin.Me](t, w.call(http.MethodGet, "/v1/me", root.APIKey, nil), http.StatusOK)
	if me.User.UserName != "root" || me.User.Source != "local" {
		t.Errorf("me = %+v, want root", me)
	}
	list := want[admin.UserPage](t, w.call(http.MethodGet, "/v1/users", root.APIKey, nil), http.StatusOK)
	if len(list.Users) != 2 || list.NextPageToken != "" {
		t.Errorf("users = %+v, want two of them on one page", list)
	}

	check := map[string]string{"user": "corp/ann", "permission": "GOVERNANCE"}
	if a := want[admin.CheckAnswer](t, w.call(http.MethodPost, "/v1/check", root.APIKey, check), http.StatusOK); a.Allowed || a.Reason != "not_granted" {
		t.Errorf("check before the grant = %+v, want not_granted", a)
	}
	g := want[admin.Grant](t, w.call(http.MethodPut, "/v1/groups/eng/grants/GOVERNANCE", root.APIKey, map[string]any{"reason": "CHG-1423", "acknowledgeDirectory": true}), http.StatusCreated)
	if g.GrantedBy != "user:root" || g.Subject.Name != "eng" || g.State != "ACTIVE" {
		t.Errorf("grant = %+v, want one by root to eng", g)
	}
	if a := want[admin.CheckAnswer](t, w.call(http.MethodPost, "/v1/check", root.APIKey, check), http.StatusOK); !a.Allowed || a.Reason != "" {
		t.Errorf("check after the grant = %+v, want allowed", a)
	}
	why := want[admin.Explanation](t, w.call(http.MethodGet, "/v1/users/corp%2Fann/permissions/GOVERNANCE/explanation", root.APIKey, nil), http.StatusOK)
	wantLine := "yes  ann -> group platform (corp, nested in eng) -> grant by root, 25 Nov, CHG-1423 -> GOVERNANCE\n"
	if !why.Allowed || why.Sentence != wantLine {
		t.Errorf("why = %q, want %q", why.Sentence, wantLine)
	}
}
