package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

// undryable are the operations that change something and cannot be tried, and those that
// only count.
var undryable = []string{"bootstrap", "backup", "check", "reportTouches"}

// Every operation that changes something can be tried: it is answered like a real one
// and nothing is stored.
func TestDryRun(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	target := w.person(identity.Local, "target")
	w.group(identity.Local, "team", identity.UserMember(target))
	w.grant(identity.UserMember(target), permissions.Governance, time.Time{})
	want[admin.Service](t, w.call(http.MethodPost, "/v1/services", key, map[string]string{"name": "svc"}), http.StatusCreated)
	k := want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/services/svc/keys", key, map[string]string{"name": "k"}), http.StatusCreated)
	rev := w.db.View().Now().Rev()
	tried := 0
	for _, o := range operations(t, w) {
		if o.method == http.MethodGet || slices.Contains(undryable, o.OperationID) || strings.HasPrefix(o.path, "/access/") {
			continue
		}
		path := strings.NewReplacer("{service}", "svc", "{apiKey}", k.ID, "{member}", "target").Replace(o.path)
		o.path = path
		r := w.call(o.method, o.at("target")+"?dryRun=true", key, o.body, "If-Match", "*")
		if r.status >= 500 || r.status == http.StatusUnprocessableEntity && !strings.Contains(string(r.body), "not_confirmed") {
			t.Errorf("%s: dry run: status %d: %s", o.OperationID, r.status, r.body)
		}
		if now := w.db.View().Now().Rev(); now != rev {
			t.Errorf("%s: a dry run stored something", o.OperationID)
			rev = now
		}
		if wrong := w.call(o.method, o.at("target")+"?dryRun=maybe", key, o.body, "If-Match", "*"); wrong.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: dryRun=maybe: status %d, want 422: it must not be done", o.OperationID, wrong.status)
		}
		tried++
	}
	if tried < 25 {
		t.Errorf("%d operations can be tried", tried)
	}
	// What the real one refuses is refused.
	wantProblem(t, w.call(http.MethodDelete, "/v1/users/root/grants/USER_ADMIN?dryRun=true", key, nil), http.StatusConflict, "last_administrator")
	made := want[admin.User](t, w.call(http.MethodPost, "/v1/users?dryRun=true", key, map[string]string{"userName": "dry"}), http.StatusCreated)
	wantProblem(t, w.call(http.MethodGet, "/v1/users/"+made.ID, key, nil), http.StatusNotFound, "user_not_found")
	g := want[admin.Grant](t, w.call(http.MethodPut, "/v1/users/target/grants/AUDIT?dryRun=true", key, map[string]string{"reason": "try"}), http.StatusCreated)
	wantProblem(t, w.call(http.MethodGet, "/v1/grants/"+string(g.ID), key, nil), http.StatusNotFound, "grant_not_found")
}
