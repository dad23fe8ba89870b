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

func TestOwnKeys(t *testing.T) {
	w := newWorld(t)
	ann, first := w.caller("ann", permissions.Audit)
	_, ua := w.caller("ua", permissions.UserAdmin)
	_, eve := w.caller("eve")
	made := want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/me/keys", first, map[string]string{"name": "laptop"}), http.StatusCreated)
	if !strings.HasPrefix(made.Secret, "rcl_pat_"+made.ID+"_") || !made.ExpireTime.Equal(start.AddDate(0, 0, 90)) || made.State != "ACTIVE" {
		t.Fatalf("key = %+v, want one for 90 days", made.Key)
	}
	if me := want[admin.Me](t, w.call(http.MethodGet, "/v1/me", made.Secret, nil), http.StatusOK); me.User.ID != ann.String() || me.Key != made.ID {
		t.Errorf("the key stands for %+v", me)
	}
	r := w.call(http.MethodGet, "/v1/users/ann/keys", made.Secret, nil)
	list := want[admin.KeyList](t, r, http.StatusOK)
	if len(list.Keys) != 2 || strings.Contains(string(r.body), made.Secret) || strings.Contains(string(r.body), "hash") {
		t.Errorf("keys = %s, want two without secrets", r.body)
	}
	// Nobody but the person and a user administrator.
	wantProblem(t, w.call(http.MethodGet, "/v1/users/ann/keys", eve, nil), http.StatusForbidden, "permission_missing")
	wantProblem(t, w.call(http.MethodDelete, "/v1/users/ann/keys/"+made.ID, eve, nil), http.StatusForbidden, "permission_missing")
	wantProblem(t, w.call(http.MethodDelete, "/v1/users/eve/keys/"+made.ID, eve, nil), http.StatusNotFound, "key_not_found")
	want[struct{}](t, w.call(http.MethodDelete, "/v1/users/ann/keys/"+made.ID, ua, nil), http.StatusNoContent)
	wantProblem(t, w.call(http.MethodGet, "/v1/me", made.Secret, nil), http.StatusUnauthorized, "unauthenticated")
	own := want[admin.KeyList](t, w.call(http.MethodGet, "/v1/users/ann/keys", first, nil), http.StatusOK)
	want[struct{}](t, w.call(http.MethodDelete, "/v1/users/ann/keys/"+own.Keys[0].ID, first, nil), http.StatusNoContent)
}

func TestKeyTerms(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("ann")
	create := func(body map[string]any) reply { return w.call(http.MethodPost, "/v1/me/keys", key, body) }
	year := start.AddDate(0, 0, 365)
	want[admin.CreatedKey](t, create(map[string]any{"name": "x", "expireTime": year}), http.StatusCreated)
	wantProblem(t, create(map[string]any{"name": "x", "expireTime": year.Add(time.Second)}), http.StatusUnprocessableEntity, "expires_too_late")
	wantProblem(t, create(map[string]any{"name": "x", "expireTime": start}), http.StatusUnprocessableEntity, "expired_already")
	wantProblem(t, create(map[string]any{"name": ""}), http.StatusUnprocessableEntity, "invalid_request")
	wantProblem(t, create(map[string]any{"name": "x", "permissions": []string{}}), http.StatusUnprocessableEntity, "invalid_request")
	wantProblem(t, create(map[string]any{"name": "x", "permissions": []string{"NOPE"}}), http.StatusNotFound, "permission_not_found")
	short := want[admin.CreatedKey](t, create(map[string]any{"name": "x", "expireTime": start.Add(time.Minute)}), http.StatusCreated)
	if dry := want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/me/keys?dryRun=true", key, map[string]string{"name": "x"}), http.StatusCreated); dry.Secret != "" {
		t.Error("a dry run shows a secret")
	}
	for i := range 17 { // with the first one and the two above: twenty
		want[admin.CreatedKey](t, create(map[string]any{"name": fmt.Sprint("key ", i)}), http.StatusCreated)
	}
	wantProblem(t, create(map[string]any{"name": "one too many"}), http.StatusConflict, "too_many_keys")
	w.pass(time.Minute)
	wantProblem(t, w.call(http.MethodGet, "/v1/me", short.Secret, nil), http.StatusUnauthorized, "unauthenticated")
	want[admin.CreatedKey](t, create(map[string]any{"name": "in the place of one that ended"}), http.StatusCreated)
}

// A restricted key does what its user and its list both allow, here and in what it makes.
func TestRestrictedKeys(t *testing.T) {
	w := newWorld(t)
	ann, key := w.caller("ann", permissions.UserAdmin, permissions.Audit)
	w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	create := func(with string, ps ...string) reply {
		body := map[string]any{"name": "narrow"}
		if len(ps) > 0 {
			body["permissions"] = ps
		}
		return w.call(http.MethodPost, "/v1/me/keys", with, body)
	}
	narrow := want[admin.CreatedKey](t, create(key, "AUDIT", "GOVERNANCE"), http.StatusCreated).Secret
	want[admin.UserPage](t, w.call(http.MethodGet, "/v1/users", narrow, nil), http.StatusOK)
	wantProblem(t, w.call(http.MethodPut, "/v1/users/ann/grants/AUDIT", narrow, nil), http.StatusForbidden, "permission_missing")
	me := want[admin.Me](t, w.call(http.MethodGet, "/v1/me", narrow, nil), http.StatusOK)
	if d := cmp.Diff([]permissions.Permission{permissions.Audit}, me.Permissions); d != "" {
		t.Errorf("permissions of the key (-want +got):\n%s", d)
	}
	wantProblem(t, create(narrow, "USER_ADMIN"), http.StatusForbidden, "beyond_key")
	made := want[admin.CreatedKey](t, create(narrow), http.StatusCreated)
	if d := cmp.Diff([]permissions.Permission{permissions.Audit, permissions.Governance}, made.Permissions); d != "" {
		t.Errorf("a restricted key made a wider one (-want +got):\n%s", d)
	}
	// Under the stricter rule the key confers nothing that it may not be used for.
	w.commit(state.PutSettings{Settings: permissions.Settings{AdminsMaySubscribe: true, GovernorsMaySubscribe: true, GrantRule: permissions.GrantRuleHeld}})
	admins := want[admin.CreatedKey](t, create(key, "USER_ADMIN"), http.StatusCreated).Secret
	w.person(identity.Local, "bob")
	want[admin.Grant](t, w.call(http.MethodPut, "/v1/users/bob/grants/USER_ADMIN", admins, nil), http.StatusCreated)
	wantProblem(t, w.call(http.MethodPut, "/v1/users/bob/grants/AUDIT", admins, nil), http.StatusForbidden, "grant_not_allowed")
	want[admin.Grant](t, w.call(http.MethodPut, "/v1/users/bob/grants/AUDIT", key, nil), http.StatusCreated)
	// A key dies with the activity of its user.
	w.commit(state.Disable{User: ann, Reason: "left"})
	wantProblem(t, w.call(http.MethodGet, "/v1/me", narrow, nil), http.StatusUnauthorized, "unauthenticated")
}

// The use of a key is written down at most once an hour.
func TestLastUse(t *testing.T) {
	w := newWorld(t)
	ann, key := w.caller("ann")
	used := func() time.Time { return w.db.View().Now().Tokens(ann)[0].Used }
	if !used().IsZero() {
		t.Fatal("a new key was used")
	}
	for range 3 {
		want[admin.Me](t, w.call(http.MethodGet, "/v1/me", key, nil), http.StatusOK)
	}
	if rev := w.db.View().Now().Rev(); !used().Equal(start) {
		t.Errorf("last use %s at revision %d, want %s", used(), rev, start)
	}
	rev := w.db.View().Now().Rev()
	w.pass(59 * time.Minute)
	want[admin.Me](t, w.call(http.MethodGet, "/v1/me", key, nil), http.StatusOK)
	if w.db.View().Now().Rev() != rev {
		t.Error("the use of a key was written twice within an hour")
	}
	w.pass(time.Minute)
	list := want[admin.KeyList](t, w.call(http.MethodGet, "/v1/users/ann/keys", key, nil), http.StatusOK)
	if !used().Equal(start.Add(time.Hour)) || !list.Keys[0].LastUseTime.Equal(start.Add(time.Hour)) {
		t.Errorf("last use %s, shown %s, want an hour after %s", used(), list.Keys[0].LastUseTime, start)
	}
	// A store that does not answer is no reason to refuse, nor to try.
	w.lose(w.clock(), false)
	w.pass(2 * time.Hour)
	want[admin.Me](t, w.call(http.MethodGet, "/v1/me", key, nil), http.StatusOK)
}

func TestServices(t *testing.T) {
	w := newWorld(t)
	_, app := w.caller("app", permissions.ApplicationAdmin)
	_, ua := w.caller("ua", permissions.UserAdmin)
	w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	r := w.call(http.MethodPost, "/v1/services", app, map[string]string{"name": "billing", "description": "Sends invoices."})
	s := want[admin.Service](t, r, http.StatusCreated)
	if s.Name != "billing" || s.Description != "Sends invoices." || len(s.Permissions)+len(s.Keys) != 0 || r.header.Get("Location") != "/v1/services/"+s.ID {
		t.Errorf("service = %+v", s)
	}
	wantProblem(t, w.call(http.MethodPost, "/v1/services", app, map[string]string{"name": "APP"}), http.StatusConflict, "name_taken")
	wantProblem(t, w.call(http.MethodGet, "/v1/services/app", app, nil), http.StatusNotFound, "service_not_found") // a person
	wantProblem(t, w.call(http.MethodDelete, "/v1/services/ua", app, nil), http.StatusNotFound, "service_not_found")

	// What it may do is granted like anything else, by who may grant it.
	wantProblem(t, w.call(http.MethodPut, "/v1/users/billing/grants/FETCH_POLICY_INFO", app, nil), http.StatusForbidden, "permission_missing")
	want[admin.Grant](t, w.call(http.MethodPut, "/v1/users/billing/grants/FETCH_POLICY_INFO", ua, nil), http.StatusCreated)
	k := want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/services/billing/keys", app, map[string]string{"name": "primary"}), http.StatusCreated)
	if !strings.HasPrefix(k.Secret, "rcl_app_"+k.ID+"_") {
		t.Fatalf("key = %+v, want one of a service", k.Key)
	}
	check := map[string]string{"user": "ua", "permission": "USER_ADMIN"}
	if a := want[admin.CheckAnswer](t, w.call(http.MethodPost, "/v1/check", k.Secret, check), http.StatusOK); !a.Allowed {
		t.Errorf("check by the service = %+v", a)
	}
	wantProblem(t, w.call(http.MethodPost, "/v1/me/keys", k.Secret, map[string]string{"name": "more"}), http.StatusForbidden, "service_keys")

	// Rotation: both keys work until the grace is over.
	next := want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/services/billing/keys/"+k.ID+"/rotation", app, map[string]int{"graceHours": 2}), http.StatusCreated)
	for _, key := range []string{k.Secret, next.Secret} {
		want[admin.Me](t, w.call(http.MethodGet, "/v1/me", key, nil), http.StatusOK)
	}
	w.pass(2 * time.Hour)
	wantProblem(t, w.call(http.MethodGet, "/v1/me", k.Secret, nil), http.StatusUnauthorized, "unauthenticated")
	now := want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/services/billing/keys/"+next.ID+"/rotation", app, map[string]int{"graceHours": 0}), http.StatusCreated)
	wantProblem(t, w.call(http.MethodGet, "/v1/me", next.Secret, nil), http.StatusUnauthorized, "unauthenticated")
	wantProblem(t, w.call(http.MethodPost, "/v1/services/billing/keys/"+k.ID+"/rotation", app, nil), http.StatusConflict, "key_expired")
	list := want[admin.ServiceList](t, w.call(http.MethodGet, "/v1/services", ua, nil), http.StatusOK)
	if len(list.Services) != 1 || len(list.Services[0].Keys) != 2 || list.Services[0].Permissions[0] != permissions.FetchPolicyInfo {
		t.Errorf("services = %+v", list.Services)
	}
	want[struct{}](t, w.call(http.MethodDelete, "/v1/services/billing/keys/"+now.ID, app, nil), http.StatusNoContent)
	wantProblem(t, w.call(http.MethodGet, "/v1/me", now.Secret, nil), http.StatusUnauthorized, "unauthenticated")
	want[struct{}](t, w.call(http.MethodDelete, "/v1/services/billing", app, nil), http.StatusNoContent)
	wantProblem(t, w.call(http.MethodGet, "/v1/services/billing", app, nil), http.StatusNotFound, "service_not_found")
}

// A key of a service is no way to what its maker may not do himself.
func TestServicesAreNoLadder(t *testing.T) {
	w := newWorld(t)
	_, app := w.caller("app", permissions.ApplicationAdmin)
	_, ua := w.caller("ua", permissions.UserAdmin)
	_, root := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	want[admin.Service](t, w.call(http.MethodPost, "/v1/services", app, map[string]string{"name": "hr"}), http.StatusCreated)
	early := want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/services/hr/keys", app, map[string]string{"name": "early"}), http.StatusCreated)
	want[admin.Grant](t, w.call(http.MethodPut, "/v1/users/hr/grants/USER_ADMIN", ua, nil), http.StatusCreated)
	// It must not be all that can administer Rollcall.
	wantProblem(t, w.call(http.MethodPut, "/v1/users/hr/grants/APPLICATION_ADMIN", ua, nil), http.StatusConflict, "service_no_administrator")
	wantProblem(t, w.call(http.MethodPost, "/v1/services/hr/keys", app, map[string]string{"name": "ladder"}), http.StatusForbidden, "grant_not_allowed")
	wantProblem(t, w.call(http.MethodPost, "/v1/services/hr/keys/"+early.ID+"/rotation", app, nil), http.StatusForbidden, "grant_not_allowed")
	want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/services/hr/keys", app, map[string]any{"name": "narrow", "permissions": []string{"FETCH_POLICY_INFO"}}), http.StatusCreated)
	want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/services/hr/keys", root, map[string]string{"name": "full"}), http.StatusCreated)
}

// TestAKeyFollowsItsOwnerUnlessItIsRestricted makes a key of each sort before a grant:
// one gains it and says so, the other does not, of a service and of a person alike.
func TestAKeyFollowsItsOwnerUnlessItIsRestricted(t *testing.T) {
	w := newWorld(t)
	_, root := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	_, own := w.caller("ann", permissions.CreateProject)
	want[admin.Service](t, w.call(http.MethodPost, "/v1/services", root, map[string]string{"name": "hr"}), http.StatusCreated)
	for owner, at := range map[string]struct{ path, by string }{"hr": {"/v1/services/hr/keys", root}, "ann": {"/v1/me/keys", own}} {
		makes := func(body map[string]any) admin.CreatedKey {
			return want[admin.CreatedKey](t, w.call(http.MethodPost, at.path, at.by, body), http.StatusCreated)
		}
		open := makes(map[string]any{"name": "open"})
		narrow := makes(map[string]any{"name": "narrow", "permissions": []string{"FETCH_POLICY_INFO"}})
		if !open.Follows || narrow.Follows {
			t.Errorf("%s: the open key follows: %v, the restricted one: %v", owner, open.Follows, narrow.Follows)
		}
		for _, p := range []string{"FETCH_POLICY_INFO", "USER_ADMIN"} {
			want[admin.Grant](t, w.call(http.MethodPut, "/v1/users/"+owner+"/grants/"+p, root, nil), http.StatusCreated)
		}
		want[admin.UserPage](t, w.call(http.MethodGet, "/v1/users", open.Secret, nil), http.StatusOK)
		wantProblem(t, w.call(http.MethodGet, "/v1/users", narrow.Secret, nil), http.StatusForbidden, "permission_missing")
		check := map[string]string{"user": "root", "permission": "USER_ADMIN"}
		want[admin.CheckAnswer](t, w.call(http.MethodPost, "/v1/check", narrow.Secret, check), http.StatusOK)
		want[struct{}](t, w.call(http.MethodDelete, "/v1/users/"+owner+"/grants/USER_ADMIN", root, nil), http.StatusNoContent)
		wantProblem(t, w.call(http.MethodGet, "/v1/users?pageSize=1", open.Secret, nil), http.StatusForbidden, "permission_missing")
	}
}
