package scim

import (
	"context"
	"fmt"
	"net/http/httptest"
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
	// Two instants are told apart by milliseconds.
	time.Sleep(2 * time.Millisecond)
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

// Neither who deletes for good nor who reloads the configuration goes around the rails.
func TestNothingGoesAroundTheRails(t *testing.T) {
	c := DefaultConfig()
	hard := true
	c.Knobs.HardDelete = &hard
	c.Rails = RailsConfig{Share: 0.2, Count: 2, Block: true}
	w := newWorld(t, mem.New(), Source{"okta", c})
	ids := w.people(8)
	w.call("DELETE", "/Users/"+ids[0], "").want(204)
	w.call("DELETE", "/Users/"+ids[1], "").want(204)
	if err := w.server.Reload([]Source{{"okta", c}}); err != nil {
		t.Fatal(err)
	}
	w.call("DELETE", "/Users/"+ids[2], "").want(403)
	w.call("PATCH", "/Users/"+ids[2], lockOut).want(403)
}

// A user of many groups goes in several steps: the version that the request names is
// held against the first of them only.
func TestAVersionedDeletionOfManySteps(t *testing.T) {
	w := newWorld(t, mem.New())
	id := w.people(1)[0]
	for i := range groupsAtOnce + 5 {
		w.call("POST", "/Groups", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"g%d","members":[{"value":%q}]}`, i, id)).want(201)
	}
	tag := w.call("GET", "/Users/"+id, "").want(200).header.Get("ETag")
	w.call("DELETE", "/Users/"+id, "", "If-Match", `W/"0"`).want(412)
	w.call("DELETE", "/Users/"+id, "", "If-Match", tag).want(204)
}

// What is decided on the word of a token that was revoked, or of a source that was
// deleted or paused while the request was under way, is not written.
func TestARequestUnderWayIsHeldToWhatIsNow(t *testing.T) {
	for name, change := range map[string]func(*call) state.Change{
		"revoked": func(c *call) state.Change { return state.RemoveToken{ID: c.token.ID} },
		"deleted": func(*call) state.Change { return state.LeaveSource{Source: "okta"} },
		"paused":  func(*call) state.Change { return state.Pause{Source: "okta", On: true, Reason: "x"} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, mem.New())
			snap := w.db.View().Now()
			r := httptest.NewRequestWithContext(t.Context(), "POST", Prefix+"okta/Users", nil)
			c := &call{server: w.server, endpoint: (*w.server.sources.Load())["okta"], r: r, method: "POST", token: snap.PushTokens("okta")[0]}
			tries := 0
			_, err := c.push(func(*state.Snapshot) ([]state.Change, error) {
				if tries++; tries == 1 {
					if _, err := w.db.Commit(t.Context(), audit.Actor{Kind: audit.ActorSystem, ID: "test"}, change(c)); err != nil {
						t.Error(err)
					}
				}
				u := identity.NewUserID()
				return []state.Change{state.Create{Member: identity.UserMember(u), Record: &identity.Record{
					Source: "okta", Key: identity.Key(u.String()), Name: "late", Pushed: &identity.Pushed{Body: []byte(`{"userName":"late"}`)},
				}}}, nil
			})
			if _, there := w.db.View().Now().UserNamed("okta", "late"); err == nil && name != "revoked" || there && name != "revoked" {
				t.Errorf("written: %v, %v", there, err)
			}
			if _, err := c.push(func(*state.Snapshot) ([]state.Change, error) { t.Error("decided"); return nil, nil }); err == nil {
				t.Error("pushed afterwards")
			}
		})
	}
}
