package scim

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
)

func (w *world) people(n int) (ids []string) {
	w.t.Helper()
	for i := range n {
		ids = append(ids, w.call("POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"user%d","active":true}`, i)).want(201).id())
	}
	return ids
}

const lockOut = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`

// Pushes that lock many people out are told once, and taken back as one thing: all of
// whom nothing has touched since, and the source waits until somebody resumes it.
func TestMassDeactivationIsToldAndUndone(t *testing.T) {
	c := DefaultConfig()
	c.Rails = RailsConfig{Share: 0.2, Count: 3}
	w := newWorld(t, mem.New(), Source{"okta", c})
	ids := w.people(10)
	w.call("PATCH", "/Users/"+ids[9], lockOut).want(200) // before: not to be undone
	time.Sleep(2 * time.Millisecond)
	since := time.Now().UTC().Truncate(time.Millisecond)
	for i := range 6 {
		if i%2 == 0 {
			w.call("PATCH", "/Users/"+ids[i], lockOut).want(200)
		} else {
			w.call("DELETE", "/Users/"+ids[i], "").want(204)
		}
	}
	w.call("PATCH", "/Users/"+ids[0], `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"x"}]}`).want(200) // touched since
	told := 0
	entries, err := w.db.AuditEntries(t.Context(), state.AuditQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries.Entries {
		for _, x := range e.Events {
			if x.Action == "MassDeactivation" {
				told++
			}
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	plan, err := w.server.PlanUndo("okta", since)
	if err != nil || len(plan.Users) != 5 {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	if _, err := w.server.StepsUndo("okta", since, "sha256:0"); err == nil {
		t.Error("a plan that nobody saw was carried out")
	}
	steps, err := w.server.StepsUndo("okta", since, plan.Digest)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if _, err := w.db.Decide(context.Background(), audit.Actor{Kind: audit.ActorSystem, ID: "root"}, step); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []any{false, true, true, true, true, true, true} {
		w.call("GET", "/Users/"+ids[i], "").want(200).is("active", want)
	}
	w.call("PATCH", "/Users/"+ids[1], lockOut).want(503)
	if _, err := w.db.Decide(context.Background(), audit.Actor{Kind: audit.ActorSystem, ID: "root"}, func(*state.Snapshot) ([]state.Change, error) {
		return []state.Change{state.Pause{Source: "okta"}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	w.call("PATCH", "/Users/"+ids[1], lockOut).want(200)
	u, _ := w.db.View().Now().UserNamed("okta", "user1")
	if user, _, _ := w.db.View().Now().User(u); user.Record.Disabled != identity.ReasonDisabled {
		t.Error("the source cannot lock out after it was resumed")
	}
}

// Where rails block, what goes beyond is refused.
func TestRailsBlock(t *testing.T) {
	c := DefaultConfig()
	c.Rails = RailsConfig{Share: 0.2, Count: 2, Block: true}
	w := newWorld(t, mem.New(), Source{"okta", c})
	ids := w.people(8)
	w.call("PATCH", "/Users/"+ids[0], lockOut).want(200)
	w.call("DELETE", "/Users/"+ids[1], "").want(204)
	w.call("PATCH", "/Users/"+ids[2], lockOut).want(403)
	w.call("DELETE", "/Users/"+ids[2], "").want(403)
	w.call("GET", "/Users/"+ids[2], "").want(200).is("active", true)
}
