package main

import (
	"context"
	"fmt"
	"iter"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// start is when everything in the scripts happens.
var start = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

func clock() time.Time { return start }

// world is the real admin API over a store in memory, behind a real server, with a
// small company on the roll and a source whose next answers the scripts choose.
type world struct {
	store  *mem.Store
	db     *state.DB
	api    *admin.API
	server *httptest.Server
	source *fakeSource
	key    string // of root, who may do everything
	stdin  string
	keys   map[string]bool // public ids, see keyIDs
	pushes *pushes
}

// newWorld returns a world and how to end it.
func newWorld(ctx context.Context) (*world, func() error, error) {
	w := &world{store: mem.New(), source: &fakeSource{outcome: "succeeded"}, keys: map[string]bool{}}
	db, err := state.Open(ctx, state.Options{Store: w.store, Now: clock})
	if err != nil {
		return nil, nil, err
	}
	w.db, w.source.db = db, db
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	if w.pushes, err = newPushes(db); err == nil {
		w.api, err = admin.New(admin.Options{DB: db, Sync: w.source, Pushes: w.pushes, Now: clock, Version: "test", Backup: w.backup})
	}
	if err == nil {
		w.server = httptest.NewServer(w.api)
	}
	return w, func() error {
		if w.server != nil {
			w.server.Close()
		}
		cancel()
		err := <-ended
		_ = w.store.Close()
		return err
	}, err
}

var tester = audit.Actor{Kind: audit.ActorSystem, ID: "test", Name: "test"}

func (w *world) commit(cs ...state.Change) error {
	_, err := w.db.Decide(context.Background(), tester, func(*state.Snapshot) ([]state.Change, error) { return cs, nil })
	return err
}

// people puts the company on the roll.
func (w *world) people() error {
	ann, bob, wata, carol := userID(1), userID(2), userID(3), userID(4)
	stewards, emea := groupID(1), groupID(2)
	root := userID(9)
	later := start.AddDate(0, 0, 38)
	grant := func(n byte, m identity.Member, p permissions.Permission, reason string, expires time.Time) state.Change {
		return state.PutGrant{Grant: permissions.Grant{
			ID: permissions.GrantID(userID(100 + n).String()), Permission: p, Subject: m, By: "user:root",
			At: start.AddDate(0, 0, -23), Reason: reason, Expires: expires, Origin: "local",
		}}
	}
	key := access.New(access.KindKey)
	w.key = key.Reveal()
	carolRecord := person("corp", "carol", "Carol Baker", "carol@example.com")
	carolRecord.Disabled = identity.ReasonDisabled
	for _, cs := range [][]state.Change{
		{state.PutSource{Source: "corp", State: state.SourceState{LastRun: "20261125-084500-000-aaaa", LastProven: start.Add(-15 * time.Minute), Unchanged: 2}}},
		{state.Create{Member: identity.UserMember(root), Record: person(identity.Local, "root", "The Administrator", "")}},
		{
			grant(1, identity.UserMember(root), permissions.ApplicationAdmin, "first administrator", time.Time{}),
			grant(2, identity.UserMember(root), permissions.UserAdmin, "first administrator", time.Time{}),
		},
		{state.PutToken{Token: state.Token{ID: key.ID(), Hash: key.Hash(), User: root, By: "test", Created: start}}},
		{state.Create{Member: identity.UserMember(ann), Record: person("corp", "ann", "Ann Müller", "ann@example.com")}},
		{state.Create{Member: identity.UserMember(bob), Record: person("corp", "bob", "Bob O'Neil \x1b[31m", "bob@example.com")}},
		{state.Create{Member: identity.UserMember(wata), Record: person("corp", "渡辺", "渡辺 花子", "hanako@example.com")}},
		{state.Create{Member: identity.UserMember(carol), Record: carolRecord}},
		{
			state.Create{Member: identity.GroupMember(stewards), Record: team("Data Stewards", "site", "Graz"), Members: 2},
			state.ChangeMembers{Group: stewards, Origin: "corp", Add: []identity.Member{identity.UserMember(ann), identity.UserMember(carol)}},
		},
		{
			state.Create{Member: identity.GroupMember(emea), Record: team("EMEA", "region", "EMEA"), Members: 2},
			state.ChangeMembers{Group: emea, Origin: "corp", Add: []identity.Member{identity.GroupMember(stewards), identity.UserMember(wata)}},
		},
		{grant(3, identity.GroupMember(emea), permissions.Governance, "CHG-1423", later)},
		{grant(4, identity.UserMember(ann), permissions.Governance, "", start.AddDate(0, 0, -5))},
	} {
		if err := w.commit(cs...); err != nil {
			return err
		}
	}
	return nil
}

func userID(n byte) identity.UserID {
	id, err := identity.ParseUserID("01930000-0000-7000-8000-0000000000" + hex(n))
	if err != nil {
		panic(err)
	}
	return id
}

func groupID(n byte) identity.GroupID {
	id, err := identity.ParseGroupID("01940000-0000-7000-8000-0000000000" + hex(n))
	if err != nil {
		panic(err)
	}
	return id
}

func hex(n byte) string { return string("0123456789abcdef"[n>>4]) + string("0123456789abcdef"[n&15]) }

func person(source identity.SourceID, name, display, email string) *identity.Record {
	r := &identity.Record{
		Source: source, Key: identity.Key("key-" + name), Name: name,
		Profile: map[string]string{identity.DisplayName: display},
	}
	if email != "" {
		r.Profile[identity.Email] = email
	}
	if source != identity.Local {
		r.DN = "uid=" + name + ",ou=people,dc=example,dc=com"
		r.Attributes = identity.Attributes{"department": {"R&D"}}
	}
	return r
}

func team(name, key, value string) *identity.Record {
	return &identity.Record{
		Source: "corp", Key: identity.Key("key-" + name), Name: name, DN: "cn=" + name + ",ou=groups,dc=example,dc=com",
		Attributes: identity.Attributes{identity.FoldKey(key): {value}},
	}
}

// fakeSource is the source corp, which runs as a script says.
type fakeSource struct {
	db *state.DB

	mu      sync.Mutex // guards the rest
	none    bool       // no source is configured
	pushed  bool       // okta is, too
	more    []admin.Source
	plan    *plan.Plan
	held    *plan.Held
	outcome string // of the next run: succeeded, unchanged, held, failed
	err     error  // of what is asked next
	run     *state.Run
	runs    int        // so far
	looks   int        // at the run, until it ends
	last    admin.Live // the run that ended, unless it ran elsewhere
	broken  bool
}

// runID is the id of the nth run.
func runID(n int) string { return fmt.Sprintf("20261125-090000-000-%04x", n) }

func (f *fakeSource) Sources() []admin.Source {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.none {
		return nil
	}
	all := []admin.Source{{
		ID: "corp", Kind: "ldap", Schedule: "*/15 * * * *", TimeZone: "Europe/Vienna", Next: start.Add(15 * time.Minute),
		Config: map[string]any{"template": "openldap"}, AllowLocalAttributes: true, AllowLocalMemberships: true,
	}}
	if f.pushed {
		all = append(all, admin.Source{ID: pushedSource, Kind: "scim", Config: map[string]any{"preset": "default"}})
	}
	return append(all, f.more...)
}

func (f *fakeSource) StartProof(ctx context.Context, id identity.SourceID, by audit.Actor) (string, error) {
	return f.Start(ctx, id, by)
}

func (f *fakeSource) Start(context.Context, identity.SourceID, audit.Actor) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return "", f.err
	}
	f.runs++
	f.run = &state.Run{V: 1, ID: runID(f.runs), Source: "corp", State: state.RunReading, Trigger: "manual", By: "user:root", Started: start}
	f.looks = 3
	return f.run.ID, nil
}

func (f *fakeSource) Plan(context.Context, identity.SourceID, audit.Actor) (*plan.Plan, *plan.Held, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.plan == nil {
		return &plan.Plan{Source: "corp", Server: "ldap1.example.com", Counts: plan.Counts{UsersSeen: 4, GroupsSeen: 2, Unchanged: 6}}, f.held, f.err
	}
	return f.plan, f.held, f.err
}

// Try knows ann, who has another department now.
func (f *fakeSource) Try(_ context.Context, source identity.SourceID, user string) (*plan.Trial, error) {
	t := &plan.Trial{Source: source, User: user, Server: "ldap1.example.com", Family: "openldap", Entries: []plan.TrialEntry{}, Steps: []plan.Step{}}
	if user != "ann" {
		return t, nil
	}
	t.Known = &plan.TrialKnown{ID: plan.Ref(identity.UserMember(userID(1)).Bytes()), Key: "key-ann", Name: "ann"}
	t.Entries = append(t.Entries, plan.TrialEntry{
		DN: "uid=ann,ou=people,dc=example,dc=com", Key: "key-ann", By: "login name",
		Raw:    []plan.TrialRaw{{Attribute: "departmentNumber", Values: []string{"Sales"}}, {Attribute: "uid", Values: []string{"ann"}}},
		Scope:  plan.TrialScope{In: true, Base: "ou=people,dc=example,dc=com", Why: "below ou=people,dc=example,dc=com, and the filter (uid=*) lets it through"},
		Mapped: []plan.TrialMapped{{Field: "name", From: []string{"uid"}, Values: []string{"ann"}}, {Field: "attribute.department", From: []string{"departmentNumber"}, Values: []string{"Sales"}}},
		Groups: []plan.TrialGroup{{Key: "key-EMEA", Name: "EMEA", DN: "cn=EMEA", By: "member"}},
	})
	t.Steps = []plan.Step{{
		Op: plan.UpdateUser, Key: "key-ann", Ref: t.Known.ID, Name: "ann",
		Changes: []plan.Change{{Field: "attribute.department", Before: []string{"R&D"}, After: []string{"Sales"}}},
	}}
	return t, nil
}

// PlanUndo is of a run that renamed ann, put bob into EMEA and lost carol.
func (f *fakeSource) PlanUndo(context.Context, identity.SourceID) (*plan.Plan, state.Run, error) {
	p := &plan.Plan{
		Source: "corp", Server: "ldap1.example.com",
		Steps: []plan.Step{
			{
				Op: plan.UpdateUser, Key: "key-ann", Ref: plan.Ref(identity.UserMember(userID(1)).Bytes()), Name: "ann",
				Changes: []plan.Change{{Field: "name", Before: []string{"ann.lee"}, After: []string{"ann"}}},
			},
			{Op: plan.ReturnUser, Key: "key-carol", Name: "carol"},
			{Op: plan.ChangeMembers, Key: "key-EMEA", Name: "EMEA", Remove: []plan.MemberKey{{Key: "key-bob"}}},
		},
		Counts:   plan.Counts{Users: plan.Tally{Updated: 1, Returned: 1}, Members: plan.Tally{Removed: 1}, UsersKnown: 4, Renamed: 1},
		Withheld: []string{"email of user ann was changed since"},
	}
	return p, state.Run{ID: runID(9), Source: "corp", Ended: start, Summary: "users: 1 updated, 1 deactivated; memberships: 1 added, 0 ended"}, nil
}

func (f *fakeSource) PlanPurge(source identity.SourceID) (state.PurgePlan, error) {
	return state.PurgePlan{}, fault.New(fault.Conflict, "no_purge", "whom source %s has no more stays: set purge_after in its configuration to change that", source)
}

func (f *fakeSource) OrderPurge(source identity.SourceID, _ string) (state.OrderPurge, error) {
	_, err := f.PlanPurge(source)
	return state.OrderPurge{}, err
}

func (f *fakeSource) OrderUndo(ctx context.Context, source identity.SourceID, run, digest string) (state.OrderUndo, error) {
	p, last, err := f.PlanUndo(ctx, source)
	if err == nil && (run != last.ID || digest != p.Fingerprint()) {
		err = fault.New(fault.Stale, "plan_changed", "what an undo would do has changed since you saw it: look at it again")
	}
	return state.OrderUndo{Source: source, Order: state.UndoOrder{Run: runID(10), Of: run, Digest: digest}}, err
}

func (f *fakeSource) MayStart(identity.SourceID) error { return nil }

// Find looks at the run like Live, and still knows it when it has ended here.
func (f *fakeSource) Find(_ identity.SourceID, id string) (admin.Live, bool) {
	if l, ok := f.Live(""); ok {
		return l, l.Run.ID == id
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, f.last.Run.ID == id
}

// Live ends the run after a few looks at it, as time would.
func (f *fakeSource) Live(identity.SourceID) (admin.Live, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.run == nil {
		return admin.Live{}, false
	}
	if f.looks--; f.looks == 0 {
		f.end()
		return admin.Live{}, false
	}
	p := admin.Progress{Stage: "users", Server: "ldap1.example.com", Users: 1200, Groups: 0, Pages: 2}
	if f.looks == 1 {
		f.run.State = state.RunApplying
		p = admin.Progress{Stage: "applying", Server: "ldap1.example.com", Users: 2031, Groups: 412, Pages: 5, Applied: 40, Steps: 107}
	}
	return admin.Live{Run: *f.run, Progress: p}, true
}

// end stores what the run came to. The caller holds mu.
func (f *fakeSource) end() {
	r := *f.run
	f.run = nil
	st := f.db.View().Now().Source("corp")
	r.Ended, r.Server, r.Family = start.Add(3800*time.Millisecond), "ldap1.example.com", "openldap"
	r.Proof = identity.Proof{Users: true, Groups: true, Why: "paged to the end", Pages: 5, Entries: 2443}
	r.Stages = []state.Stage{{Name: "users", Ms: 2100}, {Name: "applying", Ms: 900.4}}
	r.State = state.RunSucceeded
	switch f.outcome {
	case "unchanged", "elsewhere":
		r.Summary = "nothing changed"
		if f.outcome == "unchanged" {
			f.last.Run = r
		}
		st.Unchanged++
		f.store(state.PutSource{Source: "corp", State: st})
		return
	case "held":
		r.State, r.Digest, r.Held = state.RunHeld, "9c1f2a", []string{"40 of 100 users deactivated (40 %), limit 10 % and at least 10, or 500"}
	case "failed":
		r.State, r.Proof = state.RunFailed, identity.Proof{}
		r.Error = "bind as \"cn=rollcall\": invalid credentials: check bind.password"
	default:
		r.Summary = "users: 12 created, 31 updated, 4 deactivated; memberships: 57 added, 0 ended"
		r.Skipped, r.SkippedAll = []identity.Skipped{{DN: "uid=x,dc=example,dc=com", Reason: "it has no login name"}}, 1
		r.Conflicts = []plan.Conflict{{Code: plan.Recreated, Key: "key-2", Name: "dora", Holder: "key-1", Detail: "the name belonged to somebody else"}}
		r.ConflictsAll = 1
	}
	st.LastRun, st.Unchanged = r.ID, 0
	f.store(state.PutRun{Run: r}, state.PutSource{Source: "corp", State: st})
}

func (f *fakeSource) store(cs ...state.Change) {
	_, err := f.db.Decide(context.Background(), tester, func(*state.Snapshot) ([]state.Change, error) { return cs, nil })
	if err != nil {
		panic(err)
	}
}

func (f *fakeSource) Test(context.Context, identity.SourceID) iter.Seq[admin.TestStep] {
	f.mu.Lock()
	broken := f.broken
	f.mu.Unlock()
	return func(yield func(admin.TestStep) bool) {
		steps := []admin.TestStep{
			{Name: "resolve", OK: true, Detail: "ldap1.example.com is 192.0.2.1"},
			{Name: "bind", OK: true, Detail: "as cn=rollcall"},
			{Name: "entry", OK: true, Detail: "uid=ann,ou=people,dc=example,dc=com", Lines: []string{"login name: ann", "department: R&D"}},
		}
		if broken {
			steps[1] = admin.TestStep{Name: "bind", Detail: "invalid credentials", Fix: "check bind.dn and bind.password"}
			steps = steps[:2]
		}
		for _, s := range steps {
			if !yield(s) {
				return
			}
		}
	}
}

// change is a plan that changes something.
func change() *plan.Plan {
	p := &plan.Plan{
		Source: "corp", Server: "ldap1.example.com",
		Steps: []plan.Step{
			{
				Op: plan.UpdateUser, Key: "key-ann", Ref: plan.Ref(identity.UserMember(userID(1)).Bytes()), Name: "ann.lee",
				Changes: []plan.Change{{Field: "name", Before: []string{"ann"}, After: []string{"ann.lee"}}},
			},
			{Op: plan.ChangeMembers, Key: "key-EMEA", Name: "EMEA", Add: []plan.MemberKey{{Key: "key-bob"}}},
			{Op: plan.DeactivateUser, Key: "key-carol", Name: "carol"},
		},
		Counts: plan.Counts{
			Users: plan.Tally{Updated: 1, Removed: 1}, Members: plan.Tally{Created: 1}, UsersKnown: 4, UsersSeen: 3, GroupsSeen: 2, Renamed: 1,
		},
		Skipped: []identity.Skipped{{DN: "uid=x,dc=example,dc=com", Reason: "it has no login name"}},
		Proof:   identity.Proof{Users: true, Groups: true, Why: "paged to the end", Pages: 1, Entries: 5, At: start},
	}
	return p
}

func heldBy() *plan.Held {
	return &plan.Held{Digest: "9c1f2a", Leavers: 1, Reasons: []plan.Reason{{
		Kind: plan.Deactivations, Count: 1, Of: 4, Limit: "10 %", Text: "1 of 4 users deactivated (25 %), limit 10 %",
	}}}
}

// keep holds a plan, as a run would.
func (w *world) keep() error {
	const mark = "leader/test"
	rev, err := w.store.Apply(context.Background(), store.Txn{Then: []store.Op{store.Put(mark, nil)}})
	if err != nil {
		return err
	}
	parts, err := w.db.KeepPlan(context.Background(), store.At(mark, rev), change(), "9c1f2a")
	if err != nil {
		return err
	}
	st := w.db.View().Now().Source("corp")
	st.Held = &state.HeldPlan{Digest: "9c1f2a", Run: runID(1), At: start.Add(-time.Hour), Reasons: []string{heldBy().Reasons[0].Text}, Parts: parts}
	return w.commit(state.PutSource{Source: "corp", State: st})
}

// testWorld returns a world with its people for tests that are no scripts.
func testWorld(t *testing.T) *world {
	t.Helper()
	w, end, err := newWorld(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	if err := w.people(); err != nil {
		t.Fatal(err)
	}
	return w
}
