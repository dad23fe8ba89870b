package admin_test

import (
	"bytes"
	"context"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"

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

// world is a daemon's inside, with the real handler behind a real server.
type world struct {
	t       *testing.T
	db      *state.DB
	api     *admin.API
	server  *httptest.Server
	sync    *fakeSync
	log     *lockedBuffer
	store   store.Store
	metrics *prometheus.Registry

	mu     sync.Mutex
	now    time.Time // guarded by mu
	away   time.Time // since when the store does not answer; guarded by mu
	tooOld bool      // guarded by mu
}

// start is an instant that no test depends on.
var start = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: start, log: &lockedBuffer{}, metrics: prometheus.NewRegistry(), sync: newFakeSync()}
	kept := mem.New()
	w.store = kept
	db, err := state.Open(t.Context(), state.Options{Store: kept, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	log := slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.db = db
	w.api, err = admin.New(admin.Options{DB: db, Sync: w.sync, Log: log, Now: w.clock, Version: "test", Metrics: w.metrics, Fresh: w.fresh, Backup: func(_ context.Context, to io.Writer) error {
		_, err := io.WriteString(to, "a copy of everything")
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(w.api)
	t.Cleanup(func() {
		w.server.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = kept.Close()
	})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) fresh() (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.away, w.tooOld
}

// lose makes the store one that has not answered since an instant.
func (w *world) lose(since time.Time, tooOld bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away, w.tooOld = since, tooOld
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

var tester = audit.Actor{Kind: audit.ActorSystem, ID: "test", Name: "test"}

func (w *world) commit(cs ...state.Change) {
	w.t.Helper()
	if _, err := w.db.Decide(w.t.Context(), tester, func(*state.Snapshot) ([]state.Change, error) { return cs, nil }); err != nil {
		w.t.Fatal(err)
	}
}

// person makes a user of a source.
func (w *world) person(source identity.SourceID, name string) identity.UserID {
	w.t.Helper()
	id := identity.NewUserID()
	w.commit(state.Create{Member: identity.UserMember(id), Record: record(source, name)})
	return id
}

func record(source identity.SourceID, name string) *identity.Record {
	return &identity.Record{
		Source: source, Key: identity.Key("key-" + name), Name: name, DN: "cn=" + name,
		Profile:    map[string]string{identity.DisplayName: "The " + name, identity.Email: name + "@example.com"},
		Attributes: identity.Attributes{"department": {"R&D"}},
	}
}

// group makes a group of a source with members.
func (w *world) group(source identity.SourceID, name string, members ...identity.Member) identity.GroupID {
	w.t.Helper()
	id := identity.NewGroupID()
	r := &identity.Record{Source: source, Key: identity.Key("key-" + name), Name: name, Attributes: identity.Attributes{"site": {"Graz"}}}
	w.commit(state.Create{Member: identity.GroupMember(id), Record: r, Members: len(members)},
		state.ChangeMembers{Group: id, Origin: source, Add: members})
	return id
}

// known makes a source that the snapshot knows, so that its names are found.
func (w *world) known(source identity.SourceID) {
	w.t.Helper()
	w.commit(state.PutSource{Source: source, State: state.SourceState{LastRun: "run-1"}})
}

func (w *world) grant(m identity.Member, p permissions.Permission, expires time.Time) permissions.GrantID {
	w.t.Helper()
	id := permissions.GrantID(identity.NewUserID().String())
	w.commit(state.PutGrant{Grant: permissions.Grant{
		ID: id, Permission: p, Subject: m, By: "user:root", At: w.clock(), Reason: "test", Expires: expires, Origin: "local",
	}})
	return id
}

// caller makes a local user with permissions and returns his API key.
func (w *world) caller(name string, ps ...permissions.Permission) (identity.UserID, string) {
	w.t.Helper()
	id := w.person(identity.Local, name)
	for _, p := range ps {
		w.grant(identity.UserMember(id), p, time.Time{})
	}
	return id, w.key(id)
}

func (w *world) key(id identity.UserID) string {
	w.t.Helper()
	c := access.New(access.KindKey)
	w.commit(state.PutToken{Token: state.Token{ID: c.ID(), Hash: c.Hash(), User: id, By: "test", Created: w.clock()}})
	return c.Reveal()
}

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// call makes a request. body is sent as it is when it is a string, else as JSON.
func (w *world) call(method, path, key string, body any, header ...string) reply {
	w.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, r)
	if err != nil {
		w.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, b}
}

// want decodes an answer that must have a status.
func want[T any](t *testing.T, r reply, status int) T {
	t.Helper()
	var v T
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	if len(r.body) > 0 {
		if err := json.Unmarshal(r.body, &v); err != nil {
			t.Fatalf("decode %s: %v", r.body, err)
		}
	}
	return v
}

// wantProblem checks the form of an error and returns it.
func wantProblem(t *testing.T, r reply, status int, code string) admin.Problem {
	t.Helper()
	p := want[admin.Problem](t, r, status)
	if ct := r.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("content type %q, want application/problem+json", ct)
	}
	if p.Code != code || p.Status != status || p.RequestID == "" || p.RequestID != r.header.Get("X-Request-Id") || p.Title == "" {
		t.Errorf("problem %s, want code %q, status %d and the request id %q", r.body, code, status, r.header.Get("X-Request-Id"))
	}
	return p
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fakeSync is a Syncer whose answers a test chooses.
type fakeSync struct {
	purge   *state.PurgePlan // nil: the source keeps everybody
	mu      sync.Mutex
	sources []admin.Source
	live    map[identity.SourceID]admin.Live
	plan    *plan.Plan
	held    *plan.Held
	err     error
	by      []audit.Actor
	panics  bool
}

func newFakeSync() *fakeSync {
	return &fakeSync{
		live: map[identity.SourceID]admin.Live{},
		sources: []admin.Source{{
			ID: "corp", Kind: "ldap", Schedule: "*/15 * * * *", TimeZone: "Europe/Vienna", Next: start.Add(15 * time.Minute),
			Config: map[string]any{"template": "openldap", "base": "dc=example,dc=com"}, AllowLocalAttributes: true, AllowLocalMemberships: true,
		}},
	}
}

func (f *fakeSync) set(change func(*fakeSync)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeSync) Sources() []admin.Source {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panics {
		panic("a bug that a test made")
	}
	return f.sources
}

func (f *fakeSync) StartProof(ctx context.Context, id identity.SourceID, by audit.Actor) (string, error) {
	run, err := f.Start(ctx, id, by)
	return "proof-" + run, err
}

func (f *fakeSync) Start(_ context.Context, _ identity.SourceID, by audit.Actor) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.by = append(f.by, by)
	return "run-7", f.err
}

func (f *fakeSync) Plan(_ context.Context, source identity.SourceID, by audit.Actor) (*plan.Plan, *plan.Held, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.by = append(f.by, by)
	if f.plan == nil {
		return &plan.Plan{Source: source}, f.held, f.err
	}
	return f.plan, f.held, f.err
}

func (f *fakeSync) Try(_ context.Context, source identity.SourceID, user string) (*plan.Trial, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &plan.Trial{Source: source, User: user, Entries: []plan.TrialEntry{}, Steps: []plan.Step{}}, f.err
}

func (f *fakeSync) PlanUndo(_ context.Context, source identity.SourceID) (*plan.Plan, state.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &plan.Plan{Source: source, Steps: []plan.Step{}}, state.Run{ID: "run-1", Source: source, Summary: "nothing changed"}, f.err
}

func (f *fakeSync) OrderUndo(ctx context.Context, source identity.SourceID, run, digest string) (state.OrderUndo, error) {
	p, last, err := f.PlanUndo(ctx, source)
	if err == nil && (run != last.ID || digest != p.Fingerprint()) {
		err = fault.New(fault.Stale, "plan_changed", "it is another one")
	}
	return state.OrderUndo{Source: source, Order: state.UndoOrder{Run: "run-8", Of: run, Digest: digest}}, err
}

func (f *fakeSync) PlanPurge(source identity.SourceID) (state.PurgePlan, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.purge == nil {
		return state.PurgePlan{}, fault.New(fault.Conflict, "no_purge", "source %s keeps everybody", source)
	}
	return *f.purge, f.err
}

func (f *fakeSync) OrderPurge(source identity.SourceID, digest string) (state.OrderPurge, error) {
	p, err := f.PlanPurge(source)
	if err == nil && digest != p.Digest {
		err = fault.New(fault.Conflict, "plan_changed", "it is another one")
	}
	return state.OrderPurge{Source: source, Order: state.PurgeOrder{Run: "run-9", Before: p.Before, Digest: digest}}, err
}

func (f *fakeSync) MayStart(identity.SourceID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *fakeSync) Live(source identity.SourceID) (admin.Live, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, ok := f.live[source]
	return l, ok
}

func (f *fakeSync) Find(source identity.SourceID, run string) (admin.Live, bool) {
	l, ok := f.Live(source)
	return l, ok && l.Run.ID == run
}

func (f *fakeSync) Test(context.Context, identity.SourceID) iter.Seq[admin.TestStep] {
	return func(yield func(admin.TestStep) bool) {
		_ = yield(admin.TestStep{Name: "resolve", OK: true, Detail: "127.0.0.1"}) &&
			yield(admin.TestStep{Name: "bind", Detail: "invalid credentials", Fix: "check bind_password"})
	}
}

var errBusy = fault.New(fault.Conflict, "run_in_progress", "a run of this source is going on")

// keep holds a plan for the source corp, as a run would.
func (w *world) keep(p *plan.Plan, digest string) {
	w.t.Helper()
	const mark = "leader/test"
	rev, err := w.store.Apply(w.t.Context(), store.Txn{Then: []store.Op{store.Put(mark, nil)}})
	if err != nil {
		w.t.Fatal(err)
	}
	parts, err := w.db.KeepPlan(w.t.Context(), store.At(mark, rev), p, digest)
	if err != nil {
		w.t.Fatal(err)
	}
	st := w.db.View().Now().Source(p.Source)
	st.Held = &state.HeldPlan{Digest: digest, Run: "run-2", At: start, Reasons: []string{"too many"}, Parts: parts}
	w.commit(state.PutSource{Source: p.Source, State: st})
}
