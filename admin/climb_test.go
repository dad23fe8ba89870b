package admin_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

// Whatever somebody without USER_ADMIN sends, nobody ends with more than he had. All
// routes that write are tried, in any order; the seed stands in the name of the test.
func TestNobodyClimbsOverHTTP(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { climb(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func climb(t *testing.T, random *rand.Rand) {
	w := newWorld(t)
	w.known("corp")
	w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	_, app := w.caller("app", permissions.ApplicationAdmin, permissions.Audit)
	_, plain := w.caller("plain", permissions.Governance, permissions.FetchPolicyInfo, permissions.ImpersonateUser)
	ann := w.person("corp", "ann")
	team := w.group(identity.Local, "team", identity.UserMember(ann))
	w.grant(identity.GroupMember(team), permissions.CreateProject, time.Time{})
	want[admin.Service](t, w.call(http.MethodPost, "/v1/services", app, map[string]string{"name": "svc"}), http.StatusCreated)
	before := w.powers()
	ops := slices.DeleteFunc(operations(t, w), func(o op) bool { return o.method == http.MethodGet || o.OperationID == "bootstrap" })
	for range 30 {
		o := ops[random.IntN(len(ops))]
		who := []string{"app", "plain", "ann", "team", "svc", "root"}[random.IntN(6)]
		key := []string{app, plain}[random.IntN(2)]
		o.path = replaceTargets(o.path, who)
		if r := w.call(o.method, o.at(who), key, o.body, "If-Match", "*"); r.status >= http.StatusInternalServerError {
			t.Errorf("%s of %s: status %d: %s", o.OperationID, who, r.status, r.body)
		}
	}
	for user, now := range w.powers() {
		for _, p := range now {
			if !slices.Contains(before[user], p) {
				t.Errorf("%s has %s, which nobody who may confer it gave him", user, p)
			}
		}
	}
}

func replaceTargets(path, who string) string {
	for _, name := range []string{"{service}", "{member}"} {
		if i := len(path) - len(name); i >= 0 && path[i:] == name {
			return path[:i] + who
		}
	}
	return path
}

// powers returns what everybody may do.
func (w *world) powers() map[string][]permissions.Permission {
	snap, out := w.db.View().Now(), map[string][]permissions.Permission{}
	for row := range snap.Users(identity.UserID{}, w.clock()) {
		id, _ := row.Member.User()
		e := snap.Book().Effective(snap, id, w.clock())
		out[fmt.Sprint(row.Source, "/", row.Name)] = e.Permissions()
	}
	return out
}
