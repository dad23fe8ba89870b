package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

func TestSourceStates(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.ApplicationAdmin)
	get := func() admin.SourceDetail { return wantPage[admin.SourceDetail](w, key, "/v1/sources/corp") }

	s := get()
	if s.State != "never_run" || s.Kind != "ldap" || s.TimeZone != "Europe/Vienna" || !s.NextRun.Equal(start.Add(15*time.Minute)) {
		t.Errorf("source = %+v", s)
	}
	if d := cmp.Diff(any(map[string]any{"template": "openldap", "base": "dc=example,dc=com"}), s.Config); d != "" {
		t.Errorf("config (-want +got):\n%s", d)
	}
	w.commit(state.PutSource{Source: "corp", State: state.SourceState{LastRun: "run-1", LastProven: start, Unchanged: 3}})
	ann := w.person("corp", "ann")
	w.group("corp", "team", identity.UserMember(ann))
	w.commit(state.Disable{User: ann})
	if s = get(); s.State != "idle" || s.LastRun != "run-1" || s.Unchanged != 3 || !s.LastProven.Equal(start) ||
		s.Counts != (admin.SourceCounts{Users: 1, UsersInactive: 1, Groups: 1, Memberships: 1}) {
		t.Errorf("source = %+v", s)
	}
	st := w.db.View().Now().Source("corp")
	st.Held = &state.HeldPlan{Digest: "sha256:1", Run: "run-2", At: start, Reasons: []string{"too many"}}
	st.Approval = &state.Approval{Digest: "sha256:1", By: "user:root", At: start, Expires: start.Add(24 * time.Hour)}
	w.commit(state.PutSource{Source: "corp", State: st})
	if s = get(); s.State != "held" || s.Held == nil || s.Held.Digest != "sha256:1" || s.Approval == nil || s.Approval.By != "user:root" {
		t.Errorf("source = %+v, want it held and approved", s)
	}
	w.sync.set(func(f *fakeSync) {
		f.live["corp"] = admin.Live{Run: state.Run{ID: "run-3", Source: "corp", State: state.RunReading}, Progress: admin.Progress{Stage: "users", Users: 17}}
	})
	if s = get(); s.State != "running" || s.Running == nil || s.Running.Progress.Users != 17 {
		t.Errorf("source = %+v, want it running", s)
	}
	if l := wantPage[admin.SourceList](w, key, "/v1/sources"); len(l.Sources) != 1 || l.Sources[0].State != "running" {
		t.Errorf("sources = %+v", l)
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/sources/nope", key, nil), http.StatusNotFound, "source_not_found")
}

func TestRuns(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.ApplicationAdmin)
	r := w.call(http.MethodPost, "/v1/sources/corp/runs", key, nil)
	started := want[admin.StartedRun](t, r, http.StatusAccepted)
	if started.Run != "run-7" || r.header.Get("Location") != "/v1/sources/corp/runs/run-7" || w.sync.by[0].Name != "root" || w.sync.by[0].Request == "" {
		t.Errorf("started %+v at %s by %+v", started, r.header.Get("Location"), w.sync.by)
	}
	w.sync.set(func(f *fakeSync) { f.err = errBusy })
	wantProblem(t, w.call(http.MethodPost, "/v1/sources/corp/runs", key, nil), http.StatusConflict, "run_in_progress")

	for _, id := range []string{"run-1", "run-2", "run-3"} {
		w.commit(state.PutRun{Run: state.Run{
			ID: id, Source: "corp", State: state.RunSucceeded, Started: start, Summary: "all well",
			Proof: identity.Proof{Users: true, Why: "paged to the end"}, Skipped: []identity.Skipped{{DN: "cn=x", Reason: "no key"}}, SkippedAll: 1,
			Stages: []state.Stage{{Name: "read", Ms: 12.5}},
		}})
	}
	w.sync.set(func(f *fakeSync) {
		f.live["corp"] = admin.Live{Run: state.Run{ID: "run-4", Source: "corp", State: state.RunApplying}, Progress: admin.Progress{Stage: "apply", Applied: 5, Steps: 9}}
	})
	var got []string
	for token, first := "", true; first || token != ""; first = false {
		p := wantPage[admin.RunPage](w, key, "/v1/sources/corp/runs?pageSize=2&pageToken="+token)
		for _, r := range p.Runs {
			got = append(got, r.ID)
		}
		token = p.NextPageToken
	}
	if d := cmp.Diff([]string{"run-4", "run-3", "run-2", "run-1"}, got); d != "" {
		t.Errorf("runs, the newest first (-want +got):\n%s", d)
	}
	if r := wantPage[admin.Run](w, key, "/v1/sources/corp/runs/run-4"); r.Progress == nil || r.Progress.Applied != 5 || r.State != state.RunApplying {
		t.Errorf("run-4 = %+v, want its progress", r)
	}
	if r := wantPage[admin.Run](w, key, "/v1/sources/corp/runs/run-2"); !r.Proof.Users || r.Skipped[0].DN != "cn=x" || r.Stages[0].Ms != 12.5 || r.Progress != nil {
		t.Errorf("run-2 = %+v", r)
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/sources/corp/runs/run-9", key, nil), http.StatusNotFound, "run_not_found")
	wantProblem(t, w.call(http.MethodPost, "/v1/sources/nope/runs", key, nil), http.StatusNotFound, "source_not_found")
}

func TestPlanHeldAndApproval(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin)
	p := &plan.Plan{
		Source: "corp", Server: "ldap1", Steps: []plan.Step{{Op: plan.DeactivateUser, Key: "k1", Name: "ann"}},
		Counts: plan.Counts{Users: plan.Tally{Removed: 1}, UsersKnown: 1}, Withheld: []string{"no proof of groups"},
		Conflicts: []plan.Conflict{{Code: plan.Recreated, Key: "k2", Name: "bob"}}, Skipped: []identity.Skipped{{Key: "k3", Reason: "twice"}},
	}
	held := &plan.Held{Reasons: []plan.Reason{{Kind: plan.Deactivations, Count: 1, Of: 1, Text: "everybody"}}, Digest: "sha256:1", Leavers: 1}
	w.sync.set(func(f *fakeSync) { f.plan, f.held = p, held })
	want[admin.SourceList](t, w.call(http.MethodGet, "/v1/sources", key, nil), http.StatusOK) // the use of the key is noted
	rev := w.db.View().Now().Rev()
	got := want[admin.Plan](t, w.call(http.MethodPost, "/v1/sources/corp/plan", key, nil), http.StatusOK)
	if d := cmp.Diff(p.Steps, got.Steps, cmpopts.IgnoreFields(plan.Step{}, "After")); d != "" || got.Held == nil || got.Held.Digest != "sha256:1" || got.Skipped[0].Key != "k3" || got.Counts != p.Counts {
		t.Errorf("plan = %+v\n%s", got, d)
	}
	if w.db.View().Now().Rev() != rev {
		t.Error("planning stored something")
	}

	wantProblem(t, w.call(http.MethodGet, "/v1/sources/corp/held", key, nil), http.StatusNotFound, "no_held_plan")
	w.keep(p, "sha256:1")
	kept := wantPage[admin.KeptPlan](w, key, "/v1/sources/corp/held")
	if kept.Digest != "sha256:1" || len(kept.Plan.Steps) != 1 || kept.Plan.Steps[0].Name != "ann" {
		t.Errorf("held = %+v", kept)
	}

	const approval = "/v1/sources/corp/approval"
	dry := want[admin.Approval](t, w.call(http.MethodPost, approval+"?dryRun=true", key, map[string]string{"digest": "sha256:1"}), http.StatusOK)
	if dry.Digest != "sha256:1" || w.db.View().Now().Source("corp").Approval != nil {
		t.Errorf("a dry run approved: %+v", dry)
	}
	ok := want[admin.Approval](t, w.call(http.MethodPost, approval, key, map[string]string{"digest": "sha256:1"}), http.StatusOK)
	if ok.Digest != "sha256:1" || ok.By != "user:root" {
		t.Errorf("approval = %+v", ok)
	}
	if st := w.db.View().Now().Source("corp"); st.Approval == nil || st.Approval.By != "user:root" {
		t.Errorf("the stored approval is %+v", st.Approval)
	}
	wantProblem(t, w.call(http.MethodPost, approval, key, map[string]string{"digest": "sha256:2"}), http.StatusConflict, "plan_changed")
}

// A plan that raises somebody is approved by who may confer that, and by a key that may.
func TestAPlanThatRaisesIsApprovedByWhoMayConfer(t *testing.T) {
	w := newWorld(t)
	_, root := w.caller("root", permissions.UserAdmin)
	_, governor := w.caller("governor", permissions.UserAdmin, permissions.Governance)
	settings := permissions.DefaultSettings()
	settings.GrantRule = permissions.GrantRuleHeld
	w.commit(state.PutSettings{Settings: settings})
	person := plan.Person{Name: "ann", Through: "finance"}
	p := &plan.Plan{
		Source: "corp", Marked: true, Consequences: []plan.Consequence{{Permission: "GOVERNANCE", Gain: 1, People: []plan.Person{person}}},
		Raised: []plan.Raised{{Permission: "GOVERNANCE", Key: "k1", Person: person}},
	}
	w.keep(p, "sha256:1")
	kept := wantPage[admin.KeptPlan](w, root, "/v1/sources/corp/held")
	if d := cmp.Diff(p.Raised, kept.Plan.Raised); d != "" || !kept.Plan.Marked || len(kept.Plan.Consequences) != 1 {
		t.Errorf("held = %+v\n%s", kept.Plan, d)
	}
	digest := map[string]string{"digest": "sha256:1"}
	for _, path := range []string{"/v1/sources/corp/approval?dryRun=true", "/v1/sources/corp/approval"} {
		refused := wantProblem(t, w.call(http.MethodPost, path, root, digest), http.StatusForbidden, "grant_not_allowed")
		if !strings.Contains(refused.Detail, "GOVERNANCE") {
			t.Errorf("refused with %q, want that the permission is named", refused.Detail)
		}
	}
	if w.db.View().Now().Source("corp").Approval != nil {
		t.Error("a refused approval is stored")
	}
	want[admin.Approval](t, w.call(http.MethodPost, "/v1/sources/corp/approval", governor, digest), http.StatusOK)
}

func TestARunThatIsOnlyTried(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.ApplicationAdmin)
	r := w.call(http.MethodPost, "/v1/sources/corp/runs?dryRun=true", key, nil)
	if got := want[admin.StartedRun](t, r, http.StatusAccepted); got.Run != "" || got.Source != "corp" || len(w.sync.by) != 0 || r.header.Get("Location") != "" {
		t.Errorf("a dry run answered %+v and started %v", got, w.sync.by)
	}
	w.sync.set(func(f *fakeSync) { f.err = errBusy })
	wantProblem(t, w.call(http.MethodPost, "/v1/sources/corp/runs?dryRun=true", key, nil), http.StatusConflict, "run_in_progress")
}

func TestTestSource(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.ApplicationAdmin)
	got := want[admin.TestReport](t, w.call(http.MethodPost, "/v1/sources/corp/test", key, nil), http.StatusOK)
	if got.OK || len(got.Steps) != 2 || !got.Steps[0].OK || got.Steps[1].Fix == "" {
		t.Errorf("test = %+v, want a good and a bad step", got)
	}
}

func TestBackup(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.ApplicationAdmin)
	if r := w.call(http.MethodGet, "/v1/backup", key, nil); r.status != http.StatusOK || string(r.body) != "a copy of everything" {
		t.Errorf("backup: status %d, %q", r.status, r.body)
	}
}
