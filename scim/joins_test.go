package scim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// joining is a source of which the records join users of corp by their number.
func joining(use string, edit ...func(*Config)) Source {
	c := DefaultConfig()
	c.Use, c.Link = use, plan.Rule{To: "corp", By: "employeeNumber"}
	for _, e := range edit {
		e(&c)
	}
	return Source{"okta", c}
}

var syncing = audit.Actor{Kind: audit.ActorSync, ID: "corp"}

// pulled makes a user of corp with a number.
func (w *world) pulled(name, number string) identity.UserID {
	w.t.Helper()
	id := identity.NewUserID()
	w.commit(state.Create{Member: identity.UserMember(id), Record: numbered(name, number)})
	return id
}

func numbered(name, number string) *identity.Record {
	return &identity.Record{
		Source: "corp", Key: identity.Key("key-" + name), Name: name, Hash: 1,
		Attributes: identity.Attributes{"employeenumber": {number}, "department": {"of corp"}},
	}
}

func (w *world) commit(cs ...state.Change) {
	w.t.Helper()
	if _, err := w.db.Commit(w.t.Context(), syncing, cs...); err != nil {
		w.t.Fatal(err)
	}
}

// person is what a provider pushes of somebody.
func person(name, external, number string, more ...string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
	"userName":%q,"externalId":%q,"active":true,"displayName":"Pushed %s"%s,
	"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":%q,"department":"of okta"}}`, name, external, name, strings.Join(more, ""), number)
}

func patchOf(ops string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + ops + `]}`
}

// record returns the record that okta has under an id, and its user if he exists.
func (w *world) record(id string) (state.Pushed, *identity.User) {
	w.t.Helper()
	s := w.db.View().Now()
	p, ok := s.PushedUser("okta", identity.Key(id))
	if !ok {
		w.t.Fatalf("okta has no record %s", id)
	}
	m, _ := p.Member.User()
	u, _, _ := s.User(m)
	return p, u
}

func (w *world) may(u identity.UserID) []permissions.Permission {
	s := w.db.View().Now()
	e := s.Book().Effective(s, u, time.Now())
	return e.Permissions()
}

func (w *world) grantedGroup(id string, p permissions.Permission) {
	w.t.Helper()
	g, ok := w.db.View().Now().PushedGroup("okta", identity.Key(id))
	if !ok {
		w.t.Fatalf("okta has no group %s", id)
	}
	w.commit(state.PutGrant{Grant: permissions.Grant{ID: "g", Permission: p, Subject: g.Member, By: "root", At: time.Now(), Origin: "local", Acknowledged: true}})
}

// TestLifeOfALinkedRecord is the whole way of a record that joins a user of a directory:
// it is made, shown, put into a group that carries a grant, changed, disabled, deleted,
// and pushed again. The directory's own record never changes.
func TestLifeOfALinkedRecord(t *testing.T) {
	w := newWorld(t, mem.New(), joining(plan.UseUsers))
	ann := w.pulled("ann", "7")
	raw := func() string {
		u, _, _ := w.db.View().Now().User(ann)
		return fmt.Sprintf("%+v %v", u.Record, u.Missing)
	}
	before := raw()
	made := w.call("POST", "/Users", person("ann@okta", "00u1", "7")).want(201).is("userName", "ann@okta").is("displayName", "Pushed ann@okta")
	id := made.id()
	p, u := w.record(id)
	if u == nil || u.ID != ann || p.Place != state.Joined || id == ann.String() || len(u.Linked) != 1 || u.Linked[0].Rule == "" {
		t.Fatalf("the record is %+v of %+v", p, u)
	}
	if got := w.call("GET", "/Users/"+id, "").want(200); got.body != made.body {
		t.Errorf("GET\n%s\nis not POST\n%s", got.body, made.body)
	}
	w.call("GET", "/Users/"+ann.String(), "").want(404)
	for _, filter := range []string{`userName%20eq%20%22ann@okta%22`, `externalId%20eq%20%2200u1%22`, `displayName%20co%20%22shed%22`, `id%20eq%20%22` + id + `%22`} {
		w.call("GET", "/Users?filter="+filter, "").want(200).is("totalResults", 1.0).is("Resources/0/id", id)
	}
	w.call("GET", "/Users?filter=userName%20eq%20%22ann%22", "").want(200).is("totalResults", 0.0)
	w.call("GET", "/Users", "").want(200).is("totalResults", 1.0).is("Resources/0/id", id)
	w.call("POST", "/Users", person("ann@okta", "00u9", "8")).want(409).is("scimType", "uniqueness")
	w.call("POST", "/Users", person("other", "00u1", "8")).want(409).is("scimType", "uniqueness")

	g := w.call("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Stewards","members":[{"value":"`+id+`"}]}`).want(201).is("members/0/value", id).id()
	w.grantedGroup(g, permissions.Governance)
	if got := w.may(ann); !slices.Equal(got, []permissions.Permission{permissions.Governance}) {
		t.Errorf("in the group she may %v", got)
	}
	w.call("GET", "/Users/"+id, "").want(200).is("groups/0/value", g)
	w.call("GET", "/Groups/"+g+"?attributes=members.display", "").want(200).is("members/0/display", "ann@okta")
	w.call("GET", "/Groups?filter=members.value%20eq%20%22"+id+"%22", "").want(200).is("totalResults", 1.0)

	tag := w.call("GET", "/Users/"+id, "").header.Get("Etag")
	w.call("PATCH", "/Users/"+id, patchOf(`{"op":"replace","path":"title","value":"Boss"}`), "If-Match", tag).want(200).is("title", "Boss")
	w.call("PUT", "/Users/"+id, person("ann2@okta", "00u1", "7"), "If-Match", tag).want(412)
	tag = w.call("GET", "/Users/"+id, "").header.Get("Etag")
	if after := raw(); after != before {
		t.Errorf("the directory's record was\n%s\nand is\n%s", before, after)
	}
	w.commit(state.Update{Member: identity.UserMember(ann), Record: numbered("ann", "7")}, state.SetLocalAttribute{Member: identity.UserMember(ann), Key: "floor", Values: []string{"3"}})
	w.call("GET", "/Users/"+id, "", "If-None-Match", tag).want(304) // what others say of her is not his
	before = raw()
	w.call("PUT", "/Users/"+id, person("ann2@okta", "00u1", "9")).want(200).is("userName", "ann2@okta")
	w.call("PATCH", "/Users/"+id, patchOf(`{"op":"replace","path":"active","value":false}`)).want(200).is("active", false)
	if len(w.may(ann)) != 1 {
		t.Error("a linked record that is not active keeps its user out")
	}
	w.call("DELETE", "/Users/"+id, "").want(204)
	w.call("GET", "/Users/"+id, "").want(404)
	w.call("GET", "/Groups/"+g, "").want(200).is("members", nil)
	if u, _, _ := w.db.View().Now().User(ann); !u.Missing.IsZero() || len(w.may(ann)) != 0 {
		t.Errorf("after DELETE she may %v, missing %v", w.may(ann), u.Missing)
	}
	w.call("POST", "/Users", person("ann@okta", "00u1", "7")).want(201).is("id", id)
	if p, u := w.record(id); u.ID != ann || p.Place != state.Joined || p.Gone {
		t.Errorf("pushed again it is %+v", p)
	}
	w.call("GET", "/Users?filter=userName%20eq%20%22ann@okta%22", "").want(200).is("totalResults", 1.0)
	if after := raw(); after != before {
		t.Errorf("the directory's record was\n%s\nand is\n%s", before, after)
	}
}

// Where it is not clear whose a record is, the provider sees no difference, and the roll
// has no user.
func TestARecordThatIsNobodys(t *testing.T) {
	for _, use := range []string{plan.UseUsers, plan.UseAttributes} {
		t.Run(use, func(t *testing.T) {
			w := newWorld(t, mem.New(), joining(use))
			w.pulled("two", "2")
			w.pulled("zwei", "2")
			one := w.pulled("one", "1")
			w.call("POST", "/Users", person("first", "x1", "1")).want(201)
			g := w.call("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Stewards"}`).want(201).id()
			for why, number := range map[state.Apart]string{state.ApartAmbiguous: "2", state.ApartTaken: "1", state.ApartNoUser: "404"} {
				made := w.call("POST", "/Users", person("n"+number, "n"+number, number)).want(201)
				id := made.id()
				if use == plan.UseUsers && why == state.ApartNoUser {
					if p, u := w.record(id); p.Place != state.Owning || u == nil {
						t.Errorf("to whom nobody answers makes no user: %+v", p)
					}
					continue
				}
				p, u := w.record(id)
				r, ok := w.db.View().Now().ApartRecord("okta", p.Key)
				if u != nil || p.Place != state.Nobodys || !ok || r.Why != why || r.By == "" {
					t.Errorf("%s: the record is %+v of %+v, %+v", why, p, u, r)
				}
				if got := w.call("GET", "/Users/"+id, "").want(200); got.body != made.body {
					t.Errorf("GET\n%s\nis not POST\n%s", got.body, made.body)
				}
				w.call("PATCH", "/Groups/"+g, patchOf(`{"op":"add","path":"members","value":[{"value":"`+id+`"}]}`)).want(200).is("members/0/value", id)
				w.call("GET", "/Users/"+id, "").want(200).is("groups/0/value", g)
				w.call("GET", "/Users?filter=userName%20eq%20%22n"+number+"%22", "").want(200).is("Resources/0/id", id)
				w.call("PUT", "/Users/"+id, person("n"+number, "n"+number, number, `,"title":"T"`)).want(200).is("title", "T")
				w.call("DELETE", "/Users/"+id, "").want(204)
				w.call("GET", "/Users/"+id, "").want(404)
				w.call("GET", "/Groups/"+g, "").want(200).is("members", nil)
				w.call("POST", "/Users", person("n"+number, "n"+number, number)).want(201).is("id", id)
			}
			if got := w.db.View().Now().FindUsers("okta/n2"); len(got) != 0 {
				t.Errorf("a record that is nobody's is found as %v", got)
			}
			if u, _, _ := w.db.View().Now().User(one); len(u.Linked) != 1 {
				t.Errorf("one has %d linked records", len(u.Linked))
			}
		})
	}
}

// A record that was nobody's joins its user when it says who that is, with the
// memberships that it has.
func TestARecordJoinsWhenItSaysWhoItIs(t *testing.T) {
	w := newWorld(t, mem.New(), joining(plan.UseAttributes))
	ann := w.pulled("ann", "7")
	id := w.call("POST", "/Users", person("ann@okta", "00u1", "")).want(201).id()
	g := w.call("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Stewards","members":[{"value":"`+id+`"}]}`).want(201).id()
	w.grantedGroup(g, permissions.Governance)
	if len(w.may(ann)) != 0 {
		t.Error("she may something already")
	}
	w.call("PATCH", "/Users/"+id, patchOf(`{"op":"add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber","value":"7"}`)).want(200).is("id", id).is("groups/0/value", g)
	if p, u := w.record(id); u == nil || u.ID != ann || p.Place != state.Joined {
		t.Fatalf("the record is %+v", p)
	}
	if got := w.may(ann); !slices.Equal(got, []permissions.Permission{permissions.Governance}) {
		t.Errorf("she may %v", got)
	}
	w.call("GET", "/Groups/"+g, "").want(200).is("members/0/value", id).is("members/1/value", nil)
	for _, m := range slices.Collect(w.db.View().Now().Members(w.groupID(g))) {
		if u, _ := m.Member.User(); u != ann {
			t.Errorf("%s is in the group", m.Member)
		}
	}
}

func (w *world) groupID(id string) identity.GroupID {
	g, _ := w.db.View().Now().PushedGroup("okta", identity.Key(id))
	gid, _ := g.Member.Group()
	return gid
}

// A rule that was changed joins nobody to what the source's groups give, until somebody
// agrees who may confer that. Where they give nothing, it holds at once.
func TestAChangedRuleIsHeld(t *testing.T) {
	w := newWorld(t, mem.New(), joining(plan.UseUsers))
	ann, ben := w.pulled("ann", "7"), w.pulled("ben", "8")
	id := w.call("POST", "/Users", person("ann@okta", "00u1", "7")).want(201).id()
	if p, u := w.record(id); u == nil || u.ID != ann {
		t.Fatalf("the first rule joins nobody: %+v", p)
	}
	g := w.call("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Stewards"}`).want(201).id()
	w.grantedGroup(g, permissions.Governance)
	next := joining(plan.UseUsers, func(c *Config) { c.Link.Compare = plan.CompareFolded })
	if err := w.server.Reload([]Source{next}); err != nil {
		t.Fatal(err)
	}
	id = w.call("POST", "/Users", person("ben@okta", "00u2", "8")).want(201).id()
	if p, _ := w.record(id); p.Place != state.Nobodys {
		t.Fatalf("a changed rule joins a record: %+v", p)
	}
	w.commit(state.AcceptRule{Source: "okta", Hash: next.Config.LinkHash()})
	w.call("PUT", "/Users/"+id, person("ben@okta", "00u2", "8")).want(200).is("id", id)
	if p, u := w.record(id); u == nil || u.ID != ben {
		t.Errorf("an accepted rule leaves the record %+v", p)
	}
	if other := joining(plan.UseAttributes); next.Config.LinkHash() == other.Config.LinkHash() {
		t.Error("two rules have one hash")
	}
}

// disable: any lets a linked record keep its user out, and its rails and its undo count it.
func TestALinkedRecordThatDecides(t *testing.T) {
	w := newWorld(t, mem.New(), joining(plan.UseUsers, func(c *Config) {
		c.Link.Disable = plan.DisableAny
		c.Rails = RailsConfig{Share: 0.5, Count: 1, Block: true}
	}))
	var ids []string
	for n := range 4 {
		number := fmt.Sprint(n)
		w.pulled("user"+number, number)
		ids = append(ids, w.call("POST", "/Users", person("p"+number, "x"+number, number)).want(201).id())
	}
	began := time.Now().Add(-time.Minute)
	off := patchOf(`{"op":"replace","path":"active","value":false}`)
	w.call("PATCH", "/Users/"+ids[0], off).want(200)
	w.call("DELETE", "/Users/"+ids[1], "").want(204)
	w.call("DELETE", "/Users/"+ids[2], "").want(403)
	if _, u := w.record(ids[0]); u.Status(time.Now()) != identity.ReasonDisabled {
		t.Errorf("whom the linked record keeps out is %q", u.Status(time.Now()))
	}
	if _, u := w.record(ids[1]); u.Status(time.Now()) != identity.ReasonMissing {
		t.Errorf("whom the source has lost is %q", u.Status(time.Now()))
	}
	undo, err := w.server.PlanUndo("okta", began)
	if err != nil || len(undo.Users) != 2 {
		t.Fatalf("the undo has %+v, %v", undo, err)
	}
	steps, err := w.server.StepsUndo("okta", began, undo.Digest)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if _, err := w.db.Decide(t.Context(), audit.Actor{Kind: audit.ActorSystem, ID: "test"}, step); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		if p, u := w.record(id); u.Status(time.Now()) != identity.Active || p.Place != state.Barring {
			t.Errorf("after the undo %s is %q, %+v", u.Record.Name, u.Status(time.Now()), p)
		}
		w.call("GET", "/Users/"+id, "").want(200).is("active", true)
	}
}

// hard_delete removes the record, and never a user whom another source has too.
func TestHardDeleteLeavesWhatIsNotThere(t *testing.T) {
	hard := true
	w := newWorld(t, mem.New(), joining(plan.UseUsers, func(c *Config) { c.Knobs.HardDelete = &hard }))
	ann := w.pulled("ann", "7")
	id := w.call("POST", "/Users", person("ann@okta", "00u1", "7")).want(201).id()
	w.call("DELETE", "/Users/"+id, "").want(204)
	if u, _, ok := w.db.View().Now().User(ann); !ok || len(u.Linked) != 0 {
		t.Errorf("she is %+v, %v", u, ok)
	}
	if again := w.call("POST", "/Users", person("ann@okta", "00u1", "7")).want(201).id(); again == id {
		t.Error("what was removed for good is back under its id")
	}
	own := w.call("POST", "/Users", person("own", "00u2", "404")).want(201).id()
	_, u := w.record(own)
	w.commit(state.LinkRecord{User: u.ID, Record: numbered("own", "1")})
	w.call("DELETE", "/Users/"+own, "").want(204)
	if u, _, ok := w.db.View().Now().User(u.ID); !ok || u.Missing.IsZero() || len(u.Linked) != 1 {
		t.Errorf("the user of two sources is %+v, %v", u, ok)
	}
}

// Of many who come at the same time and answer to one user, one is linked, and of those
// who answer to users of their own, all.
func TestManyJoinAtOnce(t *testing.T) {
	w := newWorld(t, mem.New(), joining(plan.UseAttributes))
	const many = 24
	same := w.pulled("same", "same")
	users := map[identity.UserID]bool{}
	for n := range many {
		users[w.pulled(fmt.Sprint("own", n), fmt.Sprint("own", n))] = true
	}
	var wg sync.WaitGroup
	ids := make([]string, 2*many)
	for n := range ids {
		number := "same"
		if n%2 == 1 {
			number = fmt.Sprint("own", n/2)
		}
		wg.Go(func() {
			r := httptest.NewRequest(http.MethodPost, Prefix+"okta/Users", strings.NewReader(person(fmt.Sprint("p", n), fmt.Sprint("x", n), number)))
			r.Header.Set("Authorization", "Bearer "+w.tokens["okta"])
			r.Header.Set("Content-Type", mediaType)
			rec := httptest.NewRecorder()
			w.server.ServeHTTP(rec, r)
			var out struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &out); rec.Code != http.StatusCreated || err != nil {
				t.Errorf("POST: %d %s", rec.Code, rec.Body)
			}
			ids[n] = out.ID
		})
	}
	wg.Wait()
	linked := 0
	for n, id := range ids {
		p, u := w.record(id)
		switch {
		case n%2 == 1 && (u == nil || p.Place != state.Joined || !users[u.ID]):
			t.Errorf("record %d is %+v", n, p)
		case n%2 == 0 && p.Place == state.Joined && u.ID == same:
			linked++
		case n%2 == 0 && p.Place != state.Nobodys:
			t.Errorf("record %d is %+v", n, p)
		}
	}
	if linked != 1 {
		t.Errorf("%d records are linked to one user", linked)
	}
}

// The leader joins what has become somebody's: a user has come, a rule was changed, or what
// it says of whom it keeps out.
func TestRulesAreTriedAgain(t *testing.T) {
	w := newWorld(t, mem.New(), joining(plan.UseAttributes))
	id := w.call("POST", "/Users", person("ann@okta", "00u1", "7")).want(201).id()
	var last tried
	try := func() {
		t.Helper()
		for range 2 { // a rule that nobody has agreed to yet comes first
			var err error
			if last, err = (*w.server.sources.Load())["okta"].retry(t.Context(), store.At("lead", 0), last); err != nil {
				t.Fatal(err)
			}
		}
	}
	again := func(src Source) {
		t.Helper()
		if err := w.server.Reload([]Source{src}); err != nil {
			t.Fatal(err)
		}
		last = tried{}
		try()
	}
	again(joining(plan.UseAttributes))
	rev := w.db.View().Now().Rev()
	again(joining(plan.UseAttributes))
	if p, _ := w.record(id); p.Place != state.Nobodys || w.db.View().Now().Rev() != rev {
		t.Errorf("trying changes something, although nobody has come: %+v", p)
	}
	ann := w.pulled("ann", "7")
	try()
	if p, u := w.record(id); u == nil || u.ID != ann || p.Place != state.Joined {
		t.Fatalf("she has come, and the record is %+v", p)
	}
	ben := w.pulled("ben", "8")
	w.commit(state.Deactivate{Member: identity.UserMember(ben), Source: "corp"})
	late := w.call("POST", "/Users", person("ben@okta", "00u2", "8")).want(201).id()
	try()
	w.commit(state.Update{Member: identity.UserMember(ben), Record: numbered("ben", "8")})
	try()
	if p, u := w.record(late); u == nil || u.ID != ben {
		t.Errorf("he has returned, and the record is %+v", p)
	}
	body := w.call("GET", "/Users/"+id, "").want(200).is("userName", "ann@okta").json["meta"]
	again(joining(plan.UseAttributes, func(c *Config) { c.Link.Disable = plan.DisableAny }))
	if p, _ := w.record(id); p.Place != state.Barring {
		t.Errorf("the rule says any, and the record is %+v", p)
	}
	now := w.call("GET", "/Users/"+id, "").want(200).json["meta"]
	if at(body, "lastModified") != at(now, "lastModified") || at(body, "created") != at(now, "created") {
		t.Errorf("its provider has not changed it, and it was %v and is %v", body, now)
	}
	other := w.call("POST", "/Users", person("x", "x", "404")).want(201).id()
	again(joining(plan.UseUsers))
	if p, u := w.record(other); p.Place != state.Owning || u == nil {
		t.Errorf("what makes users now leaves the record %+v", p)
	}
}

// What was pushed goes with its source: linked records, and those that are nobody's.
func TestALinkedSourceLeaves(t *testing.T) {
	w := newWorld(t, mem.New(), joining(plan.UseAttributes))
	ann := w.pulled("ann", "7")
	id := w.call("POST", "/Users", person("ann@okta", "00u1", "7")).want(201).id()
	other := w.call("POST", "/Users", person("x", "x", "404")).want(201).id()
	g := w.call("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Stewards","members":[{"value":"`+id+`"},{"value":"`+other+`"}]}`).want(201).id()
	w.grantedGroup(g, permissions.Governance)
	if n := w.db.View().Now().Counts()["okta"]; n.Linked != 1 || n.Apart != 1 {
		t.Errorf("counted are %+v", n)
	}
	w.commit(state.LeaveSource{Source: "okta"})
	if len(w.may(ann)) != 0 {
		t.Errorf("the source leaves, and she may %v", w.may(ann))
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.db.FollowLeaving(ctx, store.At("lead", 0)) }()
	for len(w.db.View().Now().Leaving()) > 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s := w.db.View().Now()
	if u, _, ok := s.User(ann); !ok || len(u.Linked) != 0 {
		t.Errorf("she is %+v, %v", u, ok)
	}
	for u := range s.LinkedBy("okta") {
		t.Errorf("a record of %s is left", u)
	}
	if n := s.Counts()["okta"]; n != (state.Counts{}) {
		t.Errorf("left are %+v", n)
	}
}

// A group that returns has the members that it is said to have then, and nobody whose
// record went while it was gone.
func TestAGroupThatReturnsHasNobodyLeftInIt(t *testing.T) {
	w := newWorld(t, mem.New(), joining(plan.UseUsers))
	ann, ben := w.pulled("ann", "7"), w.pulled("ben", "8")
	a := w.call("POST", "/Users", person("ann@okta", "00u1", "7")).want(201).id()
	b := w.call("POST", "/Users", person("ben@okta", "00u2", "8")).want(201).id()
	own := w.call("POST", "/Users", person("own", "00u3", "404")).want(201).id()
	g := w.call("POST", "/Groups", groupOf("Stewards", a, b, own)).want(201).id()
	w.grantedGroup(g, permissions.Governance)
	w.call("DELETE", "/Groups/"+g, "").want(204)
	w.call("DELETE", "/Users/"+a, "").want(204)
	back := w.call("POST", "/Groups", groupOf("Stewards", b, own)).want(201).is("id", g)
	if got := idsIn(back.json["members"]); len(got) != 2 || len(w.may(ann)) != 0 || len(w.may(ben)) != 1 {
		t.Errorf("in the group are %v; she may %v, he may %v", got, w.may(ann), w.may(ben))
	}
	w.call("POST", "/Users", person("ann@okta", "00u1", "7")).want(201).is("id", a).is("groups", nil)
	if len(w.may(ann)) != 0 {
		t.Errorf("she is back, and may %v", w.may(ann))
	}
}
