package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync/plan"
)

var (
	admin = audit.Actor{Kind: audit.ActorSystem, ID: "admin", Name: "admin"}
	run   = audit.Actor{Kind: audit.ActorSync, ID: "corp/run1"}
)

// fataler is what a helper needs of a test or of a property's run.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// opened is a DB that follows its store.
type opened struct {
	*DB
	store store.Store
	stop  func()
}

func open(t fataler, s store.Store) opened {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d, err := Open(ctx, Options{Store: s})
	if err != nil {
		cancel()
		t.Fatalf("Open: %v", err)
	}
	d.view.pause = time.Millisecond
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	return opened{d, s, func() {
		cancel()
		if err := <-done; err != nil {
			t.Fatalf("Run: %v", err)
		}
	}}
}

func (o opened) commit(t fataler, by audit.Actor, cs ...Change) store.Revision {
	t.Helper()
	rev, err := o.Commit(context.Background(), by, cs...)
	if err != nil {
		t.Fatalf("Commit(%+v): %v", cs, err)
	}
	return rev
}

func lead(t fataler, s store.Leader) store.Term {
	t.Helper()
	term, err := s.Lead(context.Background(), "test", "me")
	if err != nil {
		t.Fatalf("Lead: %v", err)
	}
	return term
}

func record(key, name string) *identity.Record {
	return &identity.Record{
		Source: "corp", Key: identity.Key(key), Name: name, DN: "uid=" + name, Hash: 7,
		Profile:    map[string]string{identity.DisplayName: "Mr " + name},
		Attributes: identity.Attributes{"dept": {"it", "qa"}},
	}
}

func TestCommitIsSeenByTheViewAndBySomeoneWhoOpensTheStoreAnew(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	u, g := identity.NewUserID(), identity.NewGroupID()
	d.commit(t, run, Create{Member: identity.UserMember(u), Record: record("k1", "ann")})
	d.commit(t, run, Create{Member: identity.GroupMember(g), Record: record("k2", "staff"), Members: 1})
	d.commit(t, run, ChangeMembers{Group: g, Origin: "corp", Add: []identity.Member{identity.UserMember(u)}})
	d.commit(t, admin, Disable{User: u, Reason: "leaver"})
	d.commit(t, admin, SetLocalAttribute{identity.UserMember(u), "Clearance", []string{"top", "top"}})

	got := d.View().Now()
	user, _, ok := got.User(u)
	if !ok || user.Status(time.Now()) != identity.ReasonLocal || user.Local.Disabled.Reason != "leaver" {
		t.Fatalf("User = %+v, %v; want one who is disabled locally", user, ok)
	}
	if diff := cmp.Diff([]string{"top"}, user.Local.Attributes["clearance"]); diff != "" {
		t.Errorf("local attribute (-want +got):\n%s", diff)
	}
	if found := got.FindUsers("ANN"); !slices.Contains(found, u) {
		t.Errorf("FindUsers(ANN) = %v, want %v", found, u)
	}
	fresh := open(t, s)
	defer fresh.stop()
	if diff := cmp.Diff(dump(fresh.View().Now()), dump(got)); diff != "" {
		t.Errorf("view differs from a fresh read (-fresh +view):\n%s", diff)
	}
}

func TestEachCommitCarriesItsAuditEntryInTheSameTransaction(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	rev := d.commit(t, run, Create{Member: identity.UserMember(identity.NewUserID()), Record: record("k1", "ann")})
	entries, _, err := s.List(t.Context(), keyAudit)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for r, err := range entries {
		if n++; err != nil || r.Rev != rev {
			t.Errorf("audit entry at %d (%v), want %d", r.Rev, err, rev)
		}
	}
	if n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
}

func TestALocalNameIsClaimedOnce(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	r := record("", "Ann")
	r.Source = identity.Local
	d.commit(t, admin, Create{Member: identity.UserMember(identity.NewUserID()), Record: r})
	again := *r
	again.Name = "aNN"
	_, err := d.Commit(t.Context(), admin, Create{Member: identity.UserMember(identity.NewUserID()), Record: &again})
	if !errors.Is(err, fault.Exists) {
		t.Errorf("second user of the name: %v, want fault.Exists", err)
	}
}

func TestAnUpdateBasedOnAnOldVersionIsStale(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	u := identity.NewUserID()
	d.commit(t, run, Create{Member: identity.UserMember(u), Record: record("k1", "ann")})
	_, rev, _ := d.View().Now().User(u)
	d.commit(t, admin, Disable{User: u})
	_, err := d.Commit(t.Context(), admin, IfRev{identity.UserMember(u), rev}, Enable{User: u})
	if !errors.Is(err, fault.Stale) {
		t.Errorf("Commit on an old version: %v, want fault.Stale", err)
	}
}

func TestTwoDecisionsCannotBothRestOnTheSameState(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	u := identity.NewUserID()
	m := identity.UserMember(u)
	d.commit(t, run, Create{Member: m, Record: record("k1", "ann")})
	grant := func(p permissions.Permission) Change {
		return PutGrant{permissions.Grant{ID: permissions.GrantID(identity.NewUserID().String()), Permission: p, Subject: m, By: "admin"}}
	}
	interrupted := false
	calls := 0
	_, err := d.Decide(t.Context(), admin, func(s *Snapshot) ([]Change, error) {
		if calls++; !interrupted {
			interrupted = true
			if _, err := d.Decide(t.Context(), admin, func(*Snapshot) ([]Change, error) {
				return []Change{grant(permissions.Audit)}, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.Book().Of(m)) > 0 {
			return nil, fault.New(fault.Conflict, "enough", "one grant is enough")
		}
		return []Change{grant(permissions.Governance)}, nil
	})
	if fault.Code(err) != "enough" || calls != 2 {
		t.Errorf("Decide = %v after %d calls, want the second call to see the other decision and refuse", err, calls)
	}
}

func TestALostAnswerIsLookedUpNotRepeated(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	lost := lossy{Store: s}
	d.DB.store = &lost
	u := identity.NewUserID()
	rev, err := d.Commit(t.Context(), run, Create{Member: identity.UserMember(u), Record: record("k1", "ann")})
	if err != nil || lost.applied != 1 {
		t.Fatalf("Commit = %v after %d writes, want success after one", err, lost.applied)
	}
	if _, got, ok := d.View().Now().User(u); !ok || got != rev {
		t.Errorf("user at %d (%v), want %d", got, ok, rev)
	}
}

// lossy commits every transaction and loses the answer.
type lossy struct {
	store.Store
	applied int
}

func (l *lossy) Apply(ctx context.Context, t store.Txn) (store.Revision, error) {
	l.applied++
	if _, err := l.Store.Apply(ctx, t); err != nil {
		return 0, err
	}
	return 0, fault.New(fault.Unavailable, "lost", "the answer was lost")
}

func TestANewerStoreIsRefusedWithTheVersionItNeeds(t *testing.T) {
	s := mem.New()
	if _, err := s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put(keyFormat, []byte(`{"format":99,"needs":"7.1"}`))}}); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Options{Store: s})
	if fault.Code(err) != "newer_format" {
		t.Errorf("Open = %v, want newer_format", err)
	}
}

func TestFieldsOfANewerVersionSurviveARewrite(t *testing.T) {
	s := mem.New()
	u := identity.NewUserID()
	raw := `{"v":1,"src":"corp","key":"k1","name":"ann","shoe":{"size":43}}`
	if _, err := s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put(userKey(u), []byte(raw))}}); err != nil {
		t.Fatal(err)
	}
	d := open(t, s)
	defer d.stop()
	d.commit(t, run, Update{Member: identity.UserMember(u), Record: record("k1", "ann.lee")})
	r, err := s.Get(t.Context(), userKey(u))
	if err != nil {
		t.Fatal(err)
	}
	var o storedObject
	if err := decode("", r.Value, &o); err != nil || string(o.Unknown) != `{"shoe":{"size":43}}` {
		t.Errorf("unknown fields = %s (%v), want the shoe size", o.Unknown, err)
	}
}

// TestTheViewEqualsAFreshRead is the law of the view: after any history of local
// writes, bulks, turned generations, departures, returns and lost histories, it says
// what somebody says who reads the store for the first time.
func TestTheViewEqualsAFreshRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := mem.New()
		checkHistory(rt, s, s, func() { s.Compact(s.Revision()) })
	})
}

// checkHistory draws a history on an empty store.
func checkHistory(rt *rapid.T, s store.Store, l store.Leader, fallBehind func()) {
	d := open(rt, s)
	defer d.stop()
	h := history{t: rt, d: d, term: lead(rt, l).Fence()}
	h.check(rt) // of nothing
	d.commit(rt, run, PutSource{Source: "hr", State: SourceState{LastRun: "1"}})
	d.commit(rt, run, PutSource{Source: "okta", State: SourceState{LastRun: "1"}})
	h.createUser(rt)
	h.createGroup(rt)
	rt.Repeat(map[string]func(*rapid.T){
		"create user":   h.createUser,
		"create group":  h.createGroup,
		"members":       h.members,
		"many members":  h.manyMembers,
		"local members": h.localMembers,
		"update":        h.update,
		"depart":        h.depart,
		"layer":         h.layer,
		"grant":         h.grant,
		"bar":           h.bar,
		"link":          h.link,
		"shove":         h.shove,
		"order":         h.order,
		"settle":        h.settle,
		"fall behind":   func(*rapid.T) { fallBehind() },
		"open midway":   h.check,
	})
	h.check(rt)
}

type history struct {
	t      *rapid.T
	d      opened
	term   store.Cond
	users  []identity.UserID
	groups []identity.GroupID
	n      int
}

func (h *history) key() string { h.n++; return fmt.Sprintf("k%d", h.n) }

func (h *history) member(t *rapid.T) identity.Member {
	if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
		return identity.GroupMember(rapid.SampledFrom(h.groups).Draw(t, "group"))
	}
	return identity.UserMember(rapid.SampledFrom(h.users).Draw(t, "user"))
}

func (h *history) createUser(t *rapid.T) {
	u := identity.NewUserID()
	h.users = append(h.users, u)
	r := record(h.key(), rapid.SampledFrom([]string{"ann", "bob", "Ünal", `quo"te`}).Draw(t, "name"))
	r.Expires = time.Unix(int64(rapid.IntRange(0, 2).Draw(t, "expires")), 0).UTC()
	h.d.commit(t, run, Create{Member: identity.UserMember(u), Record: r})
}

func (h *history) createGroup(t *rapid.T) {
	g := identity.NewGroupID()
	h.groups = append(h.groups, g)
	n := rapid.SampledFrom([]int{0, 1, 300, 1000}).Draw(t, "room")
	h.d.commit(t, run, Create{Member: identity.GroupMember(g), Record: record(h.key(), "staff"), Members: n})
}

func (h *history) members(t *rapid.T) { h.change(t, "corp") }

func (h *history) localMembers(t *rapid.T) { h.change(t, identity.Local) }

func (h *history) change(t *rapid.T, origin identity.SourceID) {
	c := ChangeMembers{Group: rapid.SampledFrom(h.groups).Draw(t, "to"), Origin: origin}
	for range rapid.IntRange(1, 4).Draw(t, "n") {
		if m := h.member(t); rapid.Bool().Draw(t, "add") {
			c.Add = append(c.Add, m)
		} else {
			c.Remove = append(c.Remove, m)
		}
	}
	if _, err := h.d.Commit(context.Background(), run, c); err != nil && fault.Code(err) != "too_many_members" {
		t.Fatalf("Commit(%+v): %v", c, err)
	}
}

// manyMembers crosses the borders of chunks: the group turns to a new generation.
func (h *history) manyMembers(t *rapid.T) {
	g := rapid.SampledFrom(h.groups).Draw(t, "to")
	var changes []Change
	c := ChangeMembers{Group: g, Origin: "corp"}
	for range rapid.SampledFrom([]int{1, 130, 300}).Draw(t, "n") {
		u := identity.NewUserID()
		c.Add = append(c.Add, identity.UserMember(u))
		changes = append(changes, Create{Member: identity.UserMember(u), Record: record(h.key(), "many")})
	}
	for m := range h.d.View().Now().Members(g) {
		if slices.Contains(m.Origins, "corp") && rapid.Bool().Draw(t, "leave") {
			c.Remove = append(c.Remove, m.Member)
		}
	}
	b := h.d.Bulk(run, h.term, nil)
	snap, err := b.Apply(context.Background(), h.d.View().Now(), slices.Values(changes))
	if err != nil {
		t.Fatalf("Bulk: %v", err)
	}
	snap, err = b.Apply(context.Background(), snap, slices.Values([]Change{c}))
	if err != nil {
		t.Fatalf("Bulk members: %v", err)
	}
	if got := len(snap.corpMembers(g)); got < len(c.Add) {
		t.Fatalf("%d members after adding %d", got, len(c.Add))
	}
}

func (s *Snapshot) corpMembers(g identity.GroupID) []identity.Member {
	var ms []identity.Member
	for m := range s.Members(g) {
		if slices.Contains(m.Origins, "corp") {
			ms = append(ms, m.Member)
		}
	}
	return ms
}

func (h *history) update(t *rapid.T) {
	m := h.member(t)
	r := record("", rapid.SampledFrom([]string{"ann", "eve", "renamed"}).Draw(t, "name"))
	if g, ok := m.Group(); ok {
		old, _, _ := h.d.View().Now().Group(g)
		r.Key = old.Record.Key
	} else {
		u, _ := m.User()
		old, _, _ := h.d.View().Now().User(u)
		r.Key = old.Record.Key
	}
	h.d.commit(t, run, Update{Member: m, Record: r})
}

func (h *history) depart(t *rapid.T) {
	h.d.View().Now().closure() // which the next snapshots go on using, if they may
	h.d.commit(t, run, Deactivate{h.member(t), "corp"})
}

func (h *history) layer(t *rapid.T) {
	m := h.member(t)
	h.d.commit(t, admin, SetLocalAttribute{m, "Floor", rapid.SliceOfN(rapid.StringMatching("[a-c]"), 0, 2).Draw(t, "values")})
	if u, ok := m.User(); ok && rapid.Bool().Draw(t, "disable") {
		h.d.commit(t, admin, Disable{User: u})
	} else if ok {
		h.d.commit(t, admin, Enable{User: u})
	}
}

func (h *history) grant(t *rapid.T) {
	m := h.member(t)
	p := rapid.SampledFrom([]permissions.Permission{permissions.Audit, permissions.UserAdmin}).Draw(t, "permission")
	c := Change(RemoveGrant{Subject: m, Permission: p})
	if rapid.Bool().Draw(t, "give") {
		c = PutGrant{permissions.Grant{ID: permissions.GrantID(identity.NewUserID().String()), Permission: p, Subject: m, By: "admin"}}
	}
	if _, err := h.d.Decide(context.Background(), admin, func(*Snapshot) ([]Change, error) { return []Change{c}, nil }); err != nil {
		t.Fatalf("Decide: %v", err)
	}
}

func (h *history) bar(t *rapid.T) {
	c := PutBar{Source: "corp", Bar: Bar{rapid.Bool().Draw(t, "attributes"), rapid.Bool().Draw(t, "memberships")}}
	h.decide(t, c)
}

// link makes hr have a record of somebody, change what it has of him, or lose it; or it
// is gone for good.
func (h *history) link(t *rapid.T) {
	u := rapid.SampledFrom(h.users).Draw(t, "user")
	r := record(h.key(), rapid.SampledFrom([]string{"ann", "hr-ann"}).Draw(t, "name"))
	r.Source = "hr"
	r.Disabled = rapid.SampledFrom([]identity.Reason{identity.Active, identity.ReasonLocked}).Draw(t, "off")
	r.Expires = time.Unix(int64(rapid.IntRange(0, 2).Draw(t, "expires")), 0).UTC()
	bars := rapid.Bool().Draw(t, "bars")
	have, linked := h.d.View().Now().Linked(u, "hr")
	if !linked {
		h.d.commit(t, run, LinkRecord{User: u, Record: r, Bars: bars, Rule: "the test"})
		return
	}
	switch r.Key = have.Record.Key; rapid.IntRange(0, 4).Draw(t, "do") {
	case 3:
		h.decide(t, ChangeOwner{User: u, To: "hr"})
		h.decide(t, ChangeOwner{User: u, To: "corp"})
	case 4:
		h.unlinkAndMerge(t, u)
	case 0:
		h.d.commit(t, run, Update{Member: identity.UserMember(u), Record: r, Disable: map[bool]string{true: plan.DisableAny}[bars]})
	case 1:
		h.d.commit(t, run, Deactivate{identity.UserMember(u), "hr"})
	case 2:
		h.d.commit(t, run, removeLinked{u, "hr"})
	}
}

// unlinkAndMerge makes a user of what was linked, and then one user of both again.
func (h *history) unlinkAndMerge(t *rapid.T, u identity.UserID) {
	next := identity.NewUserID()
	h.decide(t, Unlink{User: u, Source: "hr", New: next})
	s := h.d.View().Now()
	if s.MayMerge(u, next) == nil && rapid.Bool().Draw(t, "merge again") {
		h.decide(t, Merge{Into: u, From: next, KeepGrants: true})
		return
	}
	h.commitGone(t, next)
}

// commitGone deletes a user of hr for good.
func (h *history) commitGone(t *rapid.T, u identity.UserID) {
	h.d.commit(t, run, Delete{Member: identity.UserMember(u), Source: "hr"})
}

func (h *history) order(t *rapid.T) {
	_, rev := h.d.View().Now().Precedence()
	order := rapid.Permutation([]identity.SourceID{"corp", "hr", identity.Local}).Draw(t, "order")
	h.decide(t, PutPrecedence{Order: identity.Precedence{"floor": order[:2]}, Rev: rev})
}

func (h *history) settle(t *rapid.T) {
	c := Settle{Source: "corp", Key: identity.Key(rapid.SampledFrom([]string{"a/b", "ü %2F"}).Draw(t, "entry"))}
	if _, ok := h.d.View().Now().Settled("corp", c.Key); !ok {
		c.Do = plan.Ignore
	}
	h.decide(t, c)
}

func (h *history) check(t *rapid.T) {
	snap, err := h.d.CatchUp(context.Background(), h.term)
	if err != nil {
		t.Fatalf("CatchUp: %v", err)
	}
	fresh, err := Open(context.Background(), Options{Store: h.d.store})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if diff := cmp.Diff(dump(fresh.View().Now()), dump(snap)); diff != "" {
		t.Fatalf("view differs from a fresh read (-fresh +view):\n%s", diff)
	}
}
