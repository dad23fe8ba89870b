package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// TestAFilterThatRaisesSomebodyWaitsForWhoMayConferIt widens the filter of a directory so
// that it brings a person in who is a member of a group with a grant. Whoever may write
// the configuration is not thereby one who may confer.
func TestAFilterThatRaisesSomebodyWaitsForWhoMayConferIt(t *testing.T) {
	t.Parallel()
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: 30, Groups: 6, Members: 8}
	slapd := dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: org.WriteLDIF})
	s := &server{t, slapd.LDAPS, slapd.CA, slapd.Root}
	who := org.Login(1)
	s.modify("dn: " + org.UserDN(1) + "\nchangetype: modify\nadd: employeeType\nemployeeType: left\n-")

	dir := t.TempDir()
	narrow := openLDAPSource(slapd)
	wide := strings.Replace(narrow, "(!(employeeType=left))", "", 1)
	d := start(t, configOf(t, dir, narrow))
	d.bootstrapped()
	d.good()
	d.call("PUT", "/v1/groups/group00000/grants/GOVERNANCE", `{"reason":"they are stewards","acknowledgeDirectory":true}`, 201)
	setup := d.keyOf("installer", permissions.ApplicationAdmin)
	clerk := d.keyOf("clerk", permissions.UserAdmin)
	reload := func(source string) {
		t.Helper()
		next, err := LoadConfig(configOf(t, dir, source), nil)
		if err == nil {
			_, err = d.Reload(t.Context(), next)
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	reload(wide)
	rows := d.stored("v/u/", "v/g/", "v/m/", "v/p/", "v/l/")
	run := d.run()
	if want := "1 person gains GOVERNANCE: " + who + " through group group00000"; run.State != state.RunHeld || fmt.Sprint(run.Held) != "["+want+"]" {
		t.Fatalf("the run ended as %s, held %v, want %q", run.State, run.Held, want)
	}
	d.sameBytes(rows, "v/u/", "v/g/", "v/m/", "v/p/", "v/l/")
	if got := d.metric(`rollcall_sync_plan_raises{source="corp"}`); got != "1" {
		t.Errorf("rollcall_sync_plan_raises is %q, want 1", got)
	}
	kept := d.call("GET", "/v1/sources/corp/held", "", 200)
	if p, _ := kept["plan"].(map[string]any); p["marked"] != true || !strings.Contains(fmt.Sprint(p["raised"]), who) || kept["raises"] != 1.0 {
		t.Errorf("the kept plan says %v, %v, %v", p["marked"], p["raised"], kept["raises"])
	}

	const path = "/v1/sources/corp/approval"
	approve := fmt.Sprintf(`{"digest":%q}`, run.Digest)
	d.as(setup).call("POST", path, approve, 403)
	d.rule(permissions.GrantRuleHeld)
	if out := d.as(clerk).call("POST", path, approve, 403); out["code"] != "grant_not_allowed" || !strings.Contains(fmt.Sprint(out["detail"]), "GOVERNANCE") {
		t.Errorf("one who does not govern was refused with %v", out)
	}
	d.rule(permissions.GrantRuleUserAdmin)

	// Taken back, there is nothing to approve; made again, it waits again.
	reload(narrow)
	if back := d.good(); back.Marked || d.db.View().Now().Source("corp").Held != nil {
		t.Errorf("the change was taken back, and the run is marked: %v", back.Marked)
	}
	reload(wide)
	run = d.run()
	d.as(clerk).call("POST", path, fmt.Sprintf(`{"digest":%q}`, run.Digest), 200)
	d.until("the approved plan was applied", func(snap *state.Snapshot) bool { return snap.Source("corp").Held == nil })
	if !d.may(who, "GOVERNANCE") {
		t.Errorf("%s may not govern after the approval", who)
	}

	// From now on the directory acts alone.
	s.modify("dn: " + org.UserDN(20) + "\nchangetype: modify\nreplace: sn\nsn: Renamed\n-")
	if run := d.good(); run.Marked {
		t.Error("the run after the marked one is marked")
	}
}

// rule sets the rule of granting.
func (d *running) rule(r permissions.GrantRule) {
	d.t.Helper()
	set := permissions.DefaultSettings()
	set.GrantRule = r
	_, err := d.db.Decide(d.t.Context(), audit.Actor{Kind: audit.ActorSystem, ID: "test"}, func(*state.Snapshot) ([]state.Change, error) {
		return []state.Change{state.PutSettings{Settings: set}}, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}
