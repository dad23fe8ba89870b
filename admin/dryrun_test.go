package admin_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
)

// undryable are the operations that change something and cannot be tried, and why.
var undryable = map[string]string{
	"reportTouches": "It stores no thing that anybody could see before or after: it adds to counts that are kept for the day.",
}

// Every operation that changes something can be tried, says the document: it is answered
// like a real one and nothing is stored.
func TestDryRun(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	target := w.person(identity.Local, "target")
	w.group(identity.Local, "team", identity.UserMember(target))
	w.grant(identity.UserMember(target), permissions.Governance, time.Time{})
	want[admin.Service](t, w.call(http.MethodPost, "/v1/services", key, map[string]string{"name": "svc"}), http.StatusCreated)
	k := want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/services/svc/keys", key, map[string]string{"name": "k"}), http.StatusCreated)
	was, excused := w.everything(), maps.Clone(undryable)
	for _, o := range everyOperation(t, w) {
		if o.method == http.MethodGet || o.ReadsOnly {
			continue
		}
		if _, ok := excused[o.OperationID]; ok {
			delete(excused, o.OperationID)
			continue
		}
		if !o.takes("dryRun") {
			t.Errorf("%s changes something and has no dryRun; undryable is for those that cannot have it", o.OperationID)
			continue
		}
		path := strings.NewReplacer("{service}", "svc", "{apiKey}", k.ID, "{member}", "target").Replace(o.path)
		o.path = path
		r := w.call(o.method, o.at("target")+"?dryRun=true", key, o.body, "If-Match", "*")
		if r.status >= 500 || r.status == http.StatusUnprocessableEntity && !strings.Contains(string(r.body), "not_confirmed") {
			t.Errorf("%s: dry run: status %d: %s", o.OperationID, r.status, r.body)
		}
		if wrong := w.call(o.method, o.at("target")+"?dryRun=maybe", key, o.body, "If-Match", "*"); wrong.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: dryRun=maybe: status %d, want 422: it must not be done", o.OperationID, wrong.status)
		}
		now := w.everything()
		if d := cmp.Diff(was, now); d != "" {
			t.Errorf("%s: a dry run stored something (-before +after):\n%s", o.OperationID, d)
		}
		was = now
	}
	for id := range excused {
		t.Errorf("undryable names %s, which is no operation that changes something", id)
	}
	// What the real one refuses is refused.
	wantProblem(t, w.call(http.MethodDelete, "/v1/users/root/grants/USER_ADMIN?dryRun=true", key, nil), http.StatusConflict, "last_administrator")
	wantProblem(t, w.call(http.MethodPost, "/v1/bootstrap?dryRun=true", "", bodies["bootstrap"]), http.StatusUnauthorized, "bad_bootstrap_token")
	made := want[admin.User](t, w.call(http.MethodPost, "/v1/users?dryRun=true", key, map[string]string{"userName": "dry"}), http.StatusCreated)
	wantProblem(t, w.call(http.MethodGet, "/v1/users/"+made.ID, key, nil), http.StatusNotFound, "user_not_found")
	g := want[admin.Grant](t, w.call(http.MethodPut, "/v1/users/target/grants/AUDIT?dryRun=true", key, map[string]string{"reason": "try"}), http.StatusCreated)
	wantProblem(t, w.call(http.MethodGet, "/v1/grants/"+string(g.ID), key, nil), http.StatusNotFound, "grant_not_found")
}

// The first administrator can be tried, too: the token works afterwards, and no key is
// shown that does not exist.
func TestDryRunOfTheFirstAdministrator(t *testing.T) {
	w := newWorld(t)
	body := map[string]string{"token": bootstrapToken(t, w), "userName": "root"}
	was := w.everything()
	tried := want[admin.Bootstrapped](t, w.call(http.MethodPost, "/v1/bootstrap?dryRun=true", "", body), http.StatusCreated)
	if d := cmp.Diff(was, w.everything()); d != "" || tried.APIKey != "" || tried.User.UserName != "root" || len(tried.Permissions) != 2 {
		t.Errorf("a dry run answered %+v, want root with two permissions and no key, and stored (-before +after):\n%s", tried, d)
	}
	if done := want[admin.Bootstrapped](t, w.call(http.MethodPost, "/v1/bootstrap", "", body), http.StatusCreated); done.APIKey == "" {
		t.Error("the real one shows no key")
	}
}

// takes reports whether the document gives an operation a parameter of the query.
func (d *documented) takes(name string) bool {
	return slices.ContainsFunc(d.Parameters, func(p parameter) bool { return p.Name == name && p.In == "query" })
}

// stored is all that a store holds, at a revision.
type stored struct {
	Rev   store.Revision
	Bytes map[string]string
}

func (w *world) everything() stored {
	w.t.Helper()
	records, rev, err := w.store.List(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	all := stored{Rev: rev, Bytes: map[string]string{}}
	for r, err := range records {
		if err != nil {
			w.t.Fatal(err)
		}
		all.Bytes[r.Key] = string(r.Value)
	}
	return all
}
