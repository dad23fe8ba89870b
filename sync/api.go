package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// tries is how often a small write is decided again when somebody else came between.
const tries = 5

// lane returns the lane of a configured source. The caller holds mu.
func (r *Runner) lane(source identity.SourceID) (*lane, error) {
	l := r.lanes[source]
	if l == nil || l.gone {
		return nil, fault.New(fault.NotFound, "source_not_found", "there is no source %q to be read; look at the configuration", source)
	}
	return l, nil
}

func (l *lane) inProgress() error {
	j := l.busy
	if j == nil {
		j = l.waiting
	}
	what := "run"
	if j.planOnly {
		what = "plan"
	}
	return fault.New(fault.Conflict, "run_in_progress", "%s %s of source %q is under way: wait for it", what, j.run.ID, l.spec.ID)
}

// MayStart returns the error that Start would return now, on this replica.
func (r *Runner) MayStart(source identity.SourceID) error {
	r.mu.Lock()
	l, err := r.lane(source)
	if err == nil {
		err = l.free()
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	st := r.db.View().Now().Source(source)
	if st.Request != nil {
		return asked(source, st.Request)
	}
	return paused(source, &st)
}

// paused returns why no run of a paused source can be asked for, or nil.
func paused(source identity.SourceID, st *state.SourceState) error {
	if st.Paused.IsZero() {
		return nil
	}
	return fault.New(fault.Conflict, "source_paused", "source %q is paused since %s: resume it first", source, st.Paused.Format(time.RFC3339))
}

// free returns why no run can be asked for. The caller holds mu.
func (l *lane) free() error {
	switch {
	case l.spec.Disabled:
		return fault.New(fault.Conflict, "source_disabled", "source %q is disabled in the configuration: set enabled to true first", l.spec.ID)
	case l.waiting != nil || l.busy != nil && !l.busy.planOnly:
		return l.inProgress()
	}
	return nil
}

func asked(source identity.SourceID, ask *state.RunRequest) error {
	return fault.New(fault.Conflict, "run_in_progress", "run %s of source %q was asked for already: wait for it", ask.Run, source)
}

// Start asks for a run of a source and returns at once, with the run as it is
// queued. On a replica that does not lead it stores the request, which the leader
// takes up under the id that is returned. It is fault.Conflict with the code
// run_in_progress, naming the other, while a run is under way or asked for.
func (r *Runner) Start(ctx context.Context, source identity.SourceID, by string) (state.Run, error) {
	return r.ask(ctx, source, state.RunRequest{By: by})
}

// StartProof is Start for a run that compares everything that the source has, and not
// only what changed.
func (r *Runner) StartProof(ctx context.Context, source identity.SourceID, by string) (state.Run, error) {
	return r.ask(ctx, source, state.RunRequest{By: by, Prove: true})
}

func (r *Runner) ask(ctx context.Context, source identity.SourceID, ask state.RunRequest) (state.Run, error) {
	st := r.db.View().Now().Source(source)
	r.mu.Lock()
	l, err := r.lane(source)
	if err == nil {
		err = l.free()
	}
	if err == nil {
		err = paused(source, &st)
	}
	if err != nil {
		r.mu.Unlock()
		return state.Run{}, err
	}
	j := r.newJob(l, triggerManual, ask.By, "")
	j.prove = ask.Prove
	run := j.run
	if r.term != nil {
		l.waiting = j
		r.mu.Unlock()
		r.poke()
		return run, nil
	}
	r.mu.Unlock()
	ask.Run, ask.At = run.ID, run.Started
	return run, r.request(ctx, source, ask)
}

// request stores a run for whoever leads.
func (r *Runner) request(ctx context.Context, source identity.SourceID, ask state.RunRequest) error {
	return r.change(ctx, source, func(st *state.SourceState) error {
		if st.Request != nil {
			return asked(source, st.Request)
		}
		st.Request = &ask
		return nil
	}, systemActor, audit.Event{})
}

// change rewrites where a source stands, on behalf of somebody who does not lead.
func (r *Runner) change(ctx context.Context, source identity.SourceID, edit func(*state.SourceState) error,
	by audit.Actor, event audit.Event,
) error {
	snap := r.db.View().Now()
	for try := 1; ; try++ {
		st := snap.Source(source)
		if err := edit(&st); err != nil {
			return err
		}
		_, err := r.db.Commit(ctx, by, state.PutSource{Source: source, State: st, Event: event})
		if !errors.Is(err, fault.Stale) || try == tries {
			return err
		}
		// What came between is under v/, so a newer snapshot is on its way.
		if snap, err = r.db.View().AtLeast(ctx, snap.Rev()+1); err != nil {
			return err
		}
	}
}

// Plan reads a source and returns what a run would change now, with the run that it
// would be: State is planned, Held and Digest say whether it would be held. Nothing
// is stored, so any replica can do it. It blocks while it reads, and is
// fault.Conflict with the code run_in_progress while a run is under way here.
func (r *Runner) Plan(ctx context.Context, source identity.SourceID, by string) (*plan.Plan, state.Run, error) {
	r.mu.Lock()
	l, err := r.lane(source)
	if err == nil && l.busy != nil {
		err = l.inProgress()
	}
	if err != nil {
		r.mu.Unlock()
		return nil, state.Run{}, err
	}
	j := r.newJob(l, triggerManual, by, "")
	j.planOnly = true
	l.busy = j
	spec := l.spec
	r.mu.Unlock()

	x := r.execution(l, spec, j)
	defer x.share.leave()
	p, err := x.planOnly(ctx)
	run := x.run()
	r.leave(l, j)
	return p, run, err
}

// Approve agrees to the plan that is held, which the digest must be of: it is
// fault.NotFound when none is held, and fault.Stale when another one is. The
// approval is stored for 24 hours, whoever leads, and the leader begins a run at
// once. It covers every later plan whose steps of the kinds in question are the same
// or fewer. One that raises people is approved by who may confer that.
func (r *Runner) Approve(ctx context.Context, source identity.SourceID, digest string, by audit.Actor) error {
	r.mu.Lock()
	_, err := r.lane(source)
	r.mu.Unlock()
	if err != nil {
		return err
	}
	approve, err := r.db.Approve(ctx, source, digest)
	if err != nil {
		return err
	}
	_, err = r.db.Decide(ctx, by, func(*state.Snapshot) ([]state.Change, error) { return []state.Change{approve}, nil })
	return err
}

// Live returns the run or plan of a source that is under way on this replica, with
// how far it is.
func (r *Runner) Live(source identity.SourceID) (state.Run, Progress, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[source]
	if l == nil {
		return state.Run{}, Progress{}, false
	}
	j := l.busy
	if j == nil {
		j = l.waiting
	}
	if j == nil {
		return state.Run{}, Progress{}, false
	}
	return j.run, j.progress, true
}

// Find returns a run of a source by its id, with how far it is: one that goes on or
// waits on this replica, or one of the last few that ended here. That is the only
// place to find one that changed nothing, of which no record is kept.
func (r *Runner) Find(source identity.SourceID, runID string) (state.Run, Progress, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.lanes[source]; l != nil {
		if j := l.find(runID); j != nil {
			return j.run, j.progress, true
		}
	}
	return state.Run{}, Progress{}, false
}

// Wait returns the record of a run once it has ended, wherever it runs, and once the
// view here shows what it did; fault.NotFound for a run that nobody knows.
func (r *Runner) Wait(ctx context.Context, source identity.SourceID, runID string) (state.Run, error) {
	for {
		changed := r.db.View().Changed()
		// A request goes away with the record that answers it, so it is looked at
		// before the record.
		asked := askedFor(r.db.View().Now().Source(source), runID)
		if j := r.find(source, runID); j != nil {
			return r.await(ctx, j)
		}
		run, err := r.db.StoredRun(ctx, source, runID)
		ended := err == nil && !live(run.State)
		switch j := r.find(source, runID); {
		case ended && j != nil:
			return r.await(ctx, j) // it was begun here meanwhile, and its lane is not free yet
		case ended && !asked:
			return run, nil
		case err != nil && !errors.Is(err, fault.NotFound):
			return state.Run{}, err
		case err != nil && j == nil && !asked:
			return state.Run{}, fault.New(fault.NotFound, "run_not_found", "there is no run %q of source %q", runID, source)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return state.Run{}, fmt.Errorf("wait for run %s: %w", runID, ctx.Err())
		}
	}
}

// askedFor reports whether the leader has still to take a run up.
func askedFor(st state.SourceState, run string) bool {
	return st.Request != nil && st.Request.Run == run || st.Undo != nil && st.Undo.Run == run || st.Purge != nil && st.Purge.Run == run
}

// find returns the job of a run, if it is known here.
func (r *Runner) find(source identity.SourceID, runID string) *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.lanes[source]; l != nil {
		return l.find(runID)
	}
	return nil
}

func (r *Runner) await(ctx context.Context, j *job) (state.Run, error) {
	select {
	case <-j.done:
		r.mu.Lock()
		defer r.mu.Unlock()
		return j.run, nil
	case <-ctx.Done():
		return state.Run{}, fmt.Errorf("wait for run %s: %w", j.run.ID, ctx.Err())
	}
}

// live reports whether a run in this state has not ended.
func live(s state.RunState) bool {
	switch s {
	case state.RunQueued, state.RunReading, state.RunPlanning, state.RunApplying:
		return true
	}
	return false
}

// Status is where a source stands.
type Status struct {
	Source   identity.SourceID
	Enabled  bool
	Schedule string    // as configured; "manual" without one
	Next     time.Time // when it runs next by itself; zero: it does not
	// LastRun is the id of the newest stored record, LastSlot the scheduled instant
	// that was last served. Unchanged counts the runs since LastRun that found
	// nothing new.
	LastRun    string
	LastSlot   time.Time
	LastProven time.Time // when a read that was proven complete was last applied
	Unchanged  int
	Held       *state.HeldPlan
	Approval   *state.Approval // of the held plan, while it counts
	Requested  *state.RunRequest
	Paused     time.Time  // since when it is not read; zero: it is
	Running    *state.Run // here; another replica's are not known
	Skipped    int        // slots that went by because a run was still going on, in this term
	// Stale reports that no read was proven complete and applied for three intervals
	// of the schedule.
	Stale bool
}

// Status returns where a source stands; Enabled is false and the rest is what is
// stored for one that is not configured.
func (r *Runner) Status(source identity.SourceID) Status {
	st := r.db.View().Now().Source(source)
	s := Status{
		Source: source, Schedule: Manual, LastRun: st.LastRun, LastSlot: st.LastSlot, LastProven: st.LastProven,
		Unchanged: st.Unchanged, Held: st.Held, Requested: st.Request, Paused: st.Paused,
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if valid(st, now) {
		s.Approval = st.Approval
	}
	l := r.lanes[source]
	if l == nil || l.gone {
		return s
	}
	s.Enabled, s.Skipped = !l.spec.Disabled, l.skipped
	if l.busy != nil {
		run := l.busy.run
		s.Running = &run
	}
	if l.spec.Schedule == nil {
		return s
	}
	s.Schedule = l.spec.Schedule.String()
	if s.Enabled {
		next := lane{spec: l.spec, slot: l.slot, fire: l.fire, served: l.served}
		if next.slot.IsZero() || r.term == nil {
			next.arm(st, now)
		}
		s.Next = next.fire
		s.Stale = stale(l.spec.Schedule, st, now)
	}
	return s
}

// stale reports whether three intervals have gone by since the last proof.
func stale(s *Schedule, st state.SourceState, now time.Time) bool {
	if st.LastProven.IsZero() {
		return st.LastRun != ""
	}
	t := st.LastProven
	for range 3 {
		t = s.Next(t)
	}
	return now.After(t.Add(maxJitter))
}
