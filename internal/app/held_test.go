package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// keyOf makes a local user with some permissions and returns his API key.
func (d *running) keyOf(name string, ps ...permissions.Permission) string {
	d.t.Helper()
	out := d.call("POST", "/v1/users", fmt.Sprintf(`{"userName":%q}`, name), 201)
	id, err := identity.ParseUserID(fmt.Sprint(out["id"]))
	if err != nil {
		d.t.Fatalf("%v: %v", out, err)
	}
	for _, p := range ps {
		d.call("PUT", "/v1/users/"+name+"/grants/"+string(p), `{"reason":"test"}`, 201)
	}
	c := access.New(access.KindKey)
	_, err = d.db.Decide(d.t.Context(), audit.Actor{Kind: audit.ActorSystem, ID: "test"}, func(*state.Snapshot) ([]state.Change, error) {
		return []state.Change{state.PutToken{Token: state.Token{ID: c.ID(), Hash: c.Hash(), User: id, By: "test"}}}, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return c.Reveal()
}

// as is the daemon as somebody else sees it.
func (d *running) as(key string) *running {
	other := *d
	other.key = key
	return &other
}

// metric returns the value of a metric, as it is written.
func (d *running) metric(name string) string {
	d.t.Helper()
	for line := range strings.SplitSeq(get(d.t, d.HealthURL()+"/metrics", 200), "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return value
		}
	}
	return ""
}

// until waits for the roll to be as a test wants it.
func (d *running) until(what string, holds func(*state.Snapshot) bool) {
	d.t.Helper()
	for {
		changed := d.db.View().Changed()
		if holds(d.db.View().Now()) {
			return
		}
		select {
		case <-changed:
		case <-d.t.Context().Done():
			d.t.Fatalf("the test ended before %s\nlog:\n%s", what, d.log)
		}
	}
}

// TestAHeldPlanWaitsForAUserAdmin lets twelve of sixty people vanish at once: the
// plan is kept and shown, and nothing of it happens before a user administrator has
// approved its digest.
func TestAHeldPlanWaitsForAUserAdmin(t *testing.T) {
	t.Parallel()
	s := scripted(t, 60)
	d := daemonOf(t, s.source(t))
	d.good()
	setup, nobody := d.keyOf("installer", permissions.ApplicationAdmin), d.keyOf("visitor")
	for i := range 12 {
		if err := s.Delete("uid=" + pupil(i) + "," + people); err != nil {
			t.Fatal(err)
		}
	}
	s.person(t, 70)
	rows := d.stored("v/u/", "v/g/", "v/m/", "v/p/", "v/l/")
	run := d.run()
	again := d.run()
	if run.State != state.RunHeld || again.State != state.RunHeld || run.Digest == "" || run.Digest != again.Digest {
		t.Fatalf("runs %s %q and %s %q, want both held with one digest", run.State, run.Digest, again.State, again.Digest)
	}
	d.sameBytes(rows, "v/u/", "v/g/", "v/m/", "v/p/", "v/l/")
	d.showsHeld(run)

	// Who may not approve is told what he lacks, and what he quotes changes nothing.
	approve := fmt.Sprintf(`{"digest":%q}`, run.Digest)
	const path = "/v1/sources/corp/approval"
	d.as("").call("POST", path, approve, 401)
	for _, key := range []string{setup, nobody} {
		out := d.as(key).call("POST", path, approve, 403)
		if out["code"] != "permission_missing" || !strings.Contains(fmt.Sprint(out["detail"]), "USER_ADMIN") {
			t.Errorf("refused with %v, want that USER_ADMIN is named", out)
		}
	}
	if out := d.as(setup).call("GET", "/v1/sources/corp/held", "", 200); out["digest"] != run.Digest {
		t.Errorf("an application administrator sees the plan %v", out["digest"])
	}
	d.call("POST", path, `{"digest":"sha256:another"}`, 409)
	if run := d.run(); run.State != state.RunHeld {
		t.Errorf("a run ended as %s without approval", run.State)
	}
	d.sameBytes(rows, "v/u/", "v/g/", "v/m/", "v/p/", "v/l/")

	d.call("POST", path, approve, 200)
	d.until("the approved plan was applied", func(snap *state.Snapshot) bool { return snap.Source("corp").Held == nil })
	if _, err := d.runner.Wait(t.Context(), "corp", d.db.View().Now().Source("corp").LastRun); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		if got := d.status(pupil(i)); got != "missing_from_source" {
			t.Errorf("%s is %q after the approval, want missing", pupil(i), got)
		}
	}
	if d.status(pupil(12)) != "active" || d.status(pupil(70)) != "active" {
		t.Error("others are not as the directory has them")
	}
	if got := d.metric(`rollcall_sync_plan_held{source="corp"}`); got != "0" {
		t.Errorf("rollcall_sync_plan_held is %q after the approval, want 0", got)
	}
	out := d.call("GET", "/v1/sources/corp", "", 200)
	last := d.call("GET", fmt.Sprint("/v1/sources/corp/runs/", out["lastRun"]), "", 200)
	if out["state"] != "idle" || out["held"] != nil || last["trigger"] != "approval" || last["state"] != "succeeded" {
		t.Errorf("the source is %v, its last run %v by %v", out["state"], last["state"], last["trigger"])
	}
	d.call("GET", "/v1/sources/corp/held", "", 404)
	d.call("POST", path, approve, 404)
	if events := d.audited(); !slices.Contains(events, "SyncRunHeld") || !slices.Contains(events, "SyncRunApproved") || !slices.Contains(events, "SyncRunCompleted") {
		t.Errorf("the audit log has %v", events)
	}
}

// showsHeld fails unless the API, a metric and a warning say that a plan waits.
func (d *running) showsHeld(run state.Run) {
	d.t.Helper()
	out := d.call("GET", "/v1/sources/corp", "", 200)
	held, _ := out["held"].(map[string]any)
	if out["state"] != "held" || held["digest"] != run.Digest || !strings.Contains(fmt.Sprint(held["reasons"]), "12 of 60 users deactivated") {
		d.t.Errorf("the source is %v and shows %v", out["state"], held)
	}
	kept := d.call("GET", "/v1/sources/corp/held", "", 200)
	steps, _ := kept["plan"].(map[string]any)["steps"].([]any)
	gone, added := 0, 0
	for _, x := range steps {
		switch fmt.Sprint(x.(map[string]any)["op"]) {
		case "deactivate_user":
			gone++
		case "create_user":
			added++
		}
	}
	if gone != 12 || added != 1 {
		d.t.Errorf("the kept plan deactivates %d and creates %d: %v", gone, added, steps)
	}
	if got := d.metric(`rollcall_sync_plan_held{source="corp"}`); got != "1" {
		d.t.Errorf("rollcall_sync_plan_held is %q, want 1", got)
	}
	warned := false
	for line := range strings.SplitSeq(d.log.String(), "\n") {
		warned = warned || strings.Contains(line, `"WARN"`) && strings.Contains(line, "plan held") && strings.Contains(line, run.Digest)
	}
	if !warned {
		d.t.Errorf("the log does not warn of the held plan:\n%s", d.log)
	}
	get(d.t, d.HealthURL()+"/readyz", 200) // a plan that waits is no reason not to serve
}

// audited returns the actions in the audit log.
func (d *running) audited() []string {
	d.t.Helper()
	var actions []string
	for _, r := range d.stored("w/a/") {
		for part := range strings.SplitSeq(string(r.Value), `"`) {
			if strings.HasPrefix(part, "SyncRun") {
				actions = append(actions, part)
			}
		}
	}
	return actions
}
