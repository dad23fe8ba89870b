package sync_test

import (
	"context"
	"errors"
	"strings"
	gosync "sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/plan"
)

const corp identity.SourceID = "corp"

var admin = audit.Actor{Kind: audit.ActorUser, ID: "0192", Name: "root"}

// script is a source that answers with what the test puts there.
type script struct {
	mu    gosync.Mutex
	pull  func(ctx context.Context, r sync.PullRequest) (*identity.Observation, error)
	began []time.Time
}

func (s *script) Pull(ctx context.Context, r sync.PullRequest) (*identity.Observation, error) {
	s.mu.Lock()
	s.began = append(s.began, time.Now())
	pull := s.pull
	s.mu.Unlock()
	return pull(ctx, r)
}

func (s *script) set(pull func(ctx context.Context, r sync.PullRequest) (*identity.Observation, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pull = pull
}

// sees makes the source answer with an observation, whole and proven.
func (s *script) sees(o *identity.Observation) {
	s.set(func(context.Context, sync.PullRequest) (*identity.Observation, error) { return o, nil })
}

// fails makes the source answer with an error.
func (s *script) fails(why string) {
	s.set(func(context.Context, sync.PullRequest) (*identity.Observation, error) { return nil, errors.New(why) })
}

func (s *script) times() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.began...)
}

var proven = identity.Proof{Users: true, Groups: true, Why: "the test says so"}

// people makes an observation: "ann" is a person, "staff: ann bob +sub" a group with
// two people and a group in it.
func people(proof identity.Proof, lines ...string) *identity.Observation {
	o := &identity.Observation{Source: corp, Proof: proof, Server: "ldap.example", Family: "test"}
	for _, line := range lines {
		name, members, group := strings.Cut(line, ":")
		seen := identity.Seen{Key: identity.Key("k-" + name), Record: &identity.Record{
			Source: corp, Key: identity.Key("k-" + name), Name: name, DN: "cn=" + name, Hash: uint64(len(name)) + 7,
		}}
		if !group {
			o.Users = append(o.Users, seen)
			continue
		}
		for m := range strings.FieldsSeq(members) {
			if sub, ok := strings.CutPrefix(m, "+"); ok {
				seen.Groups = append(seen.Groups, identity.Key("k-"+sub))
			} else {
				seen.Users = append(seen.Users, identity.Key("k-"+m))
			}
		}
		o.Groups = append(o.Groups, seen)
	}
	return o
}

// tester is what helpers need of a test or of a property's try.
type tester interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// house is a runner on a store in memory, with one scripted source.
type house struct {
	*sync.Runner
	t      tester
	db     *state.DB
	store  *mem.Store
	source *script
	stop   func()
}

type option func(*sync.SourceSpec)

func scheduled(t testing.TB, expr, zone string) option {
	t.Helper()
	sch, err := sync.ParseSchedule(expr, zone)
	if err != nil {
		t.Fatalf("ParseSchedule(%q, %q): %v", expr, zone, err)
	}
	return func(s *sync.SourceSpec) { s.Schedule, s.NoJitter = sch, true }
}

func (h *house) spec(options ...option) sync.SourceSpec {
	spec := sync.SourceSpec{ID: corp, Source: h.source, Limits: plan.DefaultLimits(), ConfigHash: "c1"}
	for _, o := range options {
		o(&spec)
	}
	return spec
}

// build returns a house whose runner does not run yet.
func build(t tester, s *mem.Store, options ...option) *house {
	t.Helper()
	h := &house{t: t, store: s, source: &script{}}
	h.source.sees(people(proven))
	var err error
	if h.db, err = state.Open(t.Context(), state.Options{Store: s}); err != nil {
		t.Fatalf("open the state: %v", err)
	}
	h.Runner, err = sync.New(sync.Options{DB: h.db, Leader: s, Sources: []sync.SourceSpec{h.spec(options...)}, ReplicaID: "one"})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return h
}

// follow starts the view alone.
func (h *house) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.db.Run(ctx) }()
	h.stop = func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("the view ended: %v", err)
		}
	}
}

// start runs the view and the runner, in a bubble, until the house is stopped.
func (h *house) start() *house {
	h.open()
	synctest.Wait()
	return h
}

// open is start outside of a bubble.
func (h *house) open() *house {
	h.follow()
	stopView := h.stop
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	h.stop = func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("the runner ended: %v", err)
		}
		stopView()
		h.stop = func() {}
	}
	return h
}

// run starts a run by hand and returns its record.
func (h *house) run() state.Run {
	h.t.Helper()
	r, err := h.Start(h.t.Context(), corp, "root")
	if err != nil {
		h.t.Fatalf("Start: %v", err)
	}
	run, err := h.Wait(h.t.Context(), corp, r.ID)
	if err != nil {
		h.t.Fatalf("Wait: %v", err)
	}
	return run
}

func (h *house) wantRun(want state.RunState) state.Run {
	h.t.Helper()
	run := h.run()
	if run.State != want {
		h.t.Fatalf("the run ended as %s (%s), want %s", run.State, run.Error, want)
	}
	return run
}

// roll returns the roll by names and keys: ids differ from run to run.
func (h *house) roll() []string { return picture(h.db.View().Now()) }

func inBubble(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

func TestFirstRunFillsTheRoll(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		h.source.sees(people(proven, "ann", "bob", "staff: ann bob +all", "all: ann"))
		run := h.wantRun(state.RunSucceeded)
		if diff := cmp.Diff([]string{
			"group k-all all", "group k-staff staff", "user k-ann ann", "user k-bob bob",
			"k-all > user k-ann corp", "k-staff > group k-all corp", "k-staff > user k-ann corp", "k-staff > user k-bob corp",
		}, h.roll()); diff != "" {
			t.Errorf("the roll after the first run (-want +got):\n%s", diff)
		}
		if run.Counts.Users.Created != 2 || run.Counts.Members.Created != 4 || run.Summary == "" || run.Server != "ldap.example" {
			t.Errorf("the record says %+v", run)
		}
		stored, err := h.db.StoredRun(t.Context(), corp, run.ID)
		if err != nil || stored.State != state.RunSucceeded {
			t.Errorf("the stored record: %v, %v", stored.State, err)
		}
	})
}

func TestFailedReadKeepsTheRollAndTheCursor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		o := people(proven, "ann", "staff: ann")
		o.Cursor = "c-1"
		h.source.sees(o)
		h.wantRun(state.RunSucceeded)
		before := h.roll()
		h.source.set(func(context.Context, sync.PullRequest) (*identity.Observation, error) {
			return nil, fault.New(fault.Unavailable, "bind", "the server refuses the password of cn=reader")
		})
		run := h.wantRun(state.RunFailed)
		if !strings.Contains(run.Error, "refuses the password") {
			t.Errorf("the record's error is %q", run.Error)
		}
		if diff := cmp.Diff(before, h.roll()); diff != "" {
			t.Errorf("a failed read changed the roll:\n%s", diff)
		}
		if c := h.db.View().Now().Source(corp).Cursor; c != "c-1" {
			t.Errorf("the cursor is %q after a failed read, want c-1", c)
		}
		h.source.sees(people(proven, "ann", "bob", "staff: ann bob"))
		h.wantRun(state.RunSucceeded)
	})
}

func TestStartWhileRunning(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := build(t, mem.New()).start()
		defer h.stop()
		release := make(chan struct{})
		h.source.set(func(ctx context.Context, r sync.PullRequest) (*identity.Observation, error) {
			r.Progress(sync.Progress{Stage: "users", Users: 17})
			<-release
			return people(proven, "ann"), nil
		})
		first, err := h.Start(t.Context(), corp, "root")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_, err = h.Start(t.Context(), corp, "root")
		if !errors.Is(err, fault.Conflict) || fault.Code(err) != "run_in_progress" || !strings.Contains(err.Error(), first.ID) {
			t.Errorf("Start while running = %v", err)
		}
		if _, _, err := h.Plan(t.Context(), corp, "root"); fault.Code(err) != "run_in_progress" {
			t.Errorf("Plan while running = %v", err)
		}
		run, progress, ok := h.Live(corp)
		if !ok || run.ID != first.ID || run.State != state.RunReading || progress.Users != 17 {
			t.Errorf("Live = %v %v %v", run, progress, ok)
		}
		close(release)
		if run, err := h.Wait(t.Context(), corp, first.ID); err != nil || run.State != state.RunSucceeded {
			t.Errorf("Wait = %v, %v", run.State, err)
		}
		if _, _, ok := h.Live(corp); ok {
			t.Error("a run is live after it ended")
		}
	})
}
