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

func TestAPurgeIsOrderedAsItWasShown(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, root := w.caller("root", permissions.UserAdmin, permissions.ApplicationAdmin)
	_, setup := w.caller("setup", permissions.ApplicationAdmin)
	const path = "/v1/sources/corp/purge"
	wantProblem(t, w.call(http.MethodGet, path, root, nil), http.StatusConflict, "no_purge")

	for _, name := range []string{"ann", "bob", "carl", "dora"} {
		m := identity.UserMember(w.person("corp", name))
		w.grant(m, permissions.Governance, time.Time{})
		if name != "dora" {
			w.commit(state.Deactivate{Member: m, Source: "corp"})
			w.pass(time.Hour)
		}
	}
	shown := w.db.View().Now().PlanPurge("corp", time.Now().Add(1000*time.Hour), []string{"CARL"}, 1)
	w.sync.set(func(f *fakeSync) { f.purge = &shown })
	p := want[admin.PurgePlan](t, w.call(http.MethodGet, path, root, nil), http.StatusOK)
	if len(p.Gone) != 1 || p.Gone[0].Name != "ann" || p.More != 1 || p.Grants != 1 {
		t.Fatalf("the plan is %+v", p)
	}
	body := map[string]string{"digest": p.Digest}
	wantProblem(t, w.call(http.MethodPost, path, root, map[string]string{"digest": "sha256:0"}), http.StatusConflict, "plan_changed")
	wantProblem(t, w.call(http.MethodPost, path, setup, body), http.StatusForbidden, "permission_missing")
	want[admin.StartedRun](t, w.call(http.MethodPost, path+"?dryRun=true", root, body), http.StatusAccepted)
	if o := w.db.View().Now().Source("corp").Purge; o != nil {
		t.Fatalf("a dry run ordered %+v", o)
	}
	run := want[admin.StartedRun](t, w.call(http.MethodPost, path, root, body), http.StatusAccepted)
	if o := w.db.View().Now().Source("corp").Purge; o == nil || o.Run != run.Run || o.Digest != p.Digest || o.By == "" {
		t.Errorf("run %q is ordered as %+v", run.Run, o)
	}
	wantProblem(t, w.call(http.MethodPost, path, root, body), http.StatusConflict, "run_in_progress")
}
