package admin_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

func TestAPurgeRemovesWhatWasShown(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, root := w.caller("root", permissions.UserAdmin, permissions.ApplicationAdmin)
	_, setup := w.caller("setup", permissions.ApplicationAdmin)
	const path = "/v1/sources/corp/purge"
	wantProblem(t, w.call(http.MethodGet, path, root, nil), http.StatusConflict, "no_purge")
	w.sync.set(func(f *fakeSync) { f.sources[0].PurgeAfter, f.sources[0].PurgeAtMost = 48*time.Hour, 2 })

	people := map[string]identity.UserID{}
	leave := func(name string) {
		w.commit(state.Deactivate{Member: identity.UserMember(people[name]), Source: "corp"})
		w.pass(time.Hour)
	}
	for _, name := range []string{"ann", "bob", "carl", "dora", "eve"} {
		people[name] = w.person("corp", name)
		w.grant(identity.UserMember(people[name]), permissions.Governance, time.Time{})
	}
	for _, name := range []string{"ann", "bob", "carl"} {
		leave(name)
	}
	w.pass(72 * time.Hour)
	leave("dora") // not for long

	p := want[admin.PurgePlan](t, w.call(http.MethodGet, path, root, nil), http.StatusOK)
	if len(p.Gone) != 2 || p.Gone[0].Name != "ann" || p.Gone[1].Name != "bob" || p.More != 1 || p.Grants != 2 {
		t.Fatalf("the plan is %+v", p)
	}
	body := map[string]string{"digest": p.Digest}
	wantProblem(t, w.call(http.MethodPost, path, root, map[string]string{"digest": "sha256:0"}), http.StatusConflict, "plan_changed")
	wantProblem(t, w.call(http.MethodPost, path, setup, body), http.StatusForbidden, "permission_missing")
	want[admin.PurgeDone](t, w.call(http.MethodPost, path+"?dryRun=true", root, body), http.StatusOK)

	// One who is back meanwhile is not removed by what was shown before.
	w.commit(state.Update{Member: identity.UserMember(people["bob"]), Record: record("corp", "bob")})
	wantProblem(t, w.call(http.MethodPost, path, root, body), http.StatusConflict, "plan_changed")
	p = want[admin.PurgePlan](t, w.call(http.MethodGet, path, root, nil), http.StatusOK)
	done := want[admin.PurgeDone](t, w.call(http.MethodPost, path, root, map[string]string{"digest": p.Digest}), http.StatusOK)
	if done.Gone != 2 {
		t.Errorf("%d are gone, want 2", done.Gone)
	}
	snap := w.db.View().Now()
	for name, there := range map[string]bool{"ann": false, "bob": true, "carl": false, "dora": true, "eve": true} {
		if _, _, ok := snap.User(people[name]); ok != there {
			t.Errorf("%s in the roll: %t, want %t", name, ok, there)
		}
	}
}
