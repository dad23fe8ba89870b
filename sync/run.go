package sync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// systemActor stands behind what the daemon does without a run.
var systemActor = audit.Actor{Kind: audit.ActorSystem, ID: "sync"}

// execution carries out one job. One goroutine owns it; what others may see of it is
// in the job, under the Runner's mu.
type execution struct {
	r     *Runner
	lane  *lane
	spec  SourceSpec
	job   *job
	fence store.Cond
	actor audit.Actor
	log   *slog.Logger

	share   share
	seen    *identity.Observation
	plan    *plan.Plan
	marked  time.Time // when the mark was set that the read began under
	writing bool      // the first write of the plan may have happened
}

func (r *Runner) execution(l *lane, spec SourceSpec, j *job) *execution {
	id := j.run.ID
	return &execution{
		r: r, lane: l, spec: spec, job: j, share: share{rooms: &r.rooms},
		actor: audit.Actor{Kind: audit.ActorSync, ID: string(spec.ID) + "/" + id, Request: id},
		log:   r.log.With("source", spec.ID, "run", id),
	}
}

// carryOut runs a job of a term to its end and frees its lane.
func (r *Runner) carryOut(ctx context.Context, t *term, l *lane, j *job) {
	r.mu.Lock()
	spec := l.spec
	j.run.Started = r.now().UTC()
	r.mu.Unlock()
	defer r.around()()
	r.execute(ctx, t, l, j, spec)
}

// execute holds what the run reads, which is gone once it has returned.
func (r *Runner) execute(ctx context.Context, t *term, l *lane, j *job, spec SourceSpec) {
	x := r.execution(l, spec, j)
	defer x.share.leave()
	x.fence = t.fence
	do := x.do
	switch {
	case j.undo:
		do = x.undo
	case j.purge:
		do = x.purge
	}
	if err := x.history(ctx, t); err != nil {
		x.fail(ctx, err)
	} else if err := do(ctx); err != nil {
		x.fail(ctx, err)
	}
	r.metrics.ended(x.run())
	r.leave(l, j)
}

// leave frees a lane whose job has ended.
func (r *Runner) leave(l *lane, j *job) {
	r.mu.Lock()
	l.busy = nil
	l.ended(j)
	if l.gone {
		delete(r.lanes, l.spec.ID)
	}
	r.mu.Unlock()
	r.poke()
}

// run returns the run as it is now.
func (x *execution) run() state.Run {
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	return x.job.run
}

// note changes what others see of the run.
func (x *execution) note(edit func(*state.Run, *Progress)) {
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	edit(&x.job.run, &x.job.progress)
}

// advance says how far the read has come.
func (x *execution) advance(p Progress) {
	x.note(func(_ *state.Run, to *Progress) {
		p.Applied, p.Steps = to.Applied, to.Steps
		*to = p
	})
}

// stage times one part of the run.
func (x *execution) stage(name string, st state.RunState, f func() error) error {
	x.note(func(run *state.Run, p *Progress) {
		run.State, p.Stage = st, string(st)
	})
	begin := x.r.now()
	err := f()
	took := x.r.now().Sub(begin)
	x.note(func(run *state.Run, _ *Progress) {
		run.Stages = append(slices.Clip(run.Stages),
			state.Stage{Name: name, Ms: float64(took.Microseconds()) / 1000})
	})
	return err
}

// do is a run: read, plan, guard, apply, and only then move the cursor.
func (x *execution) do(ctx context.Context) error {
	x.log.InfoContext(ctx, "run started", "trigger", x.job.run.Trigger)
	snap, err := x.look(ctx)
	if err != nil {
		return err
	}
	weighed := snap
	for try := 1; ; try++ {
		if ok, err := x.mayRun(ctx, snap); err != nil || !ok {
			return err
		}
		if x.plan.IsEmpty() {
			return x.succeed(ctx)
		}
		err := x.begin(ctx, weighed)
		if err == nil {
			break
		}
		if !x.plan.Marked || !errors.Is(err, fault.Stale) || try == tries {
			return err
		}
		// Somebody decided something since: whether the plan raises anyone is asked again.
		if weighed, err = x.r.db.CatchUp(ctx, x.fence); err != nil {
			return err
		}
		x.weigh(weighed)
	}
	if err := x.apply(ctx, snap); err != nil {
		return err
	}
	return x.succeed(ctx)
}

// mayRun reports whether the plan is within its limits or approved; else it is held.
func (x *execution) mayRun(ctx context.Context, snap *state.Snapshot) (bool, error) {
	held := x.plan.Guard(x.spec.Limits)
	if held == nil {
		return true, nil
	}
	covered, err := x.covered(ctx, snap)
	if err != nil {
		return false, err
	}
	if !covered {
		return false, x.hold(ctx, held)
	}
	x.log.InfoContext(ctx, "plan is over its limits and approved", "digest", held.Digest)
	return true, nil
}

// planOnly reads and plans, and stores nothing.
func (x *execution) planOnly(ctx context.Context) (*plan.Plan, error) {
	_, err := x.look(ctx)
	x.note(func(run *state.Run, _ *Progress) {
		run.Ended = x.r.now().UTC()
		run.State = state.RunPlanned
		if err != nil {
			run.State, run.Error = state.RunFailed, words(err)
			return
		}
		run.Summary = summary(x.plan)
		if held := x.plan.Guard(x.spec.Limits); held != nil {
			run.Held, run.Digest = reasons(held), held.Digest
		}
	})
	return x.plan, err
}

// look reads the source and computes the plan, which holds for the snapshot that it
// returns.
func (x *execution) look(ctx context.Context) (*state.Snapshot, error) {
	x.marked = x.r.db.View().Now().Source(x.spec.ID).Marked
	err := x.stage("read", state.RunReading, func() (err error) {
		x.seen, err = x.pull(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	x.note(func(run *state.Run, _ *Progress) {
		run.Server, run.Family, run.Proof = x.seen.Server, x.seen.Family, x.seen.Proof
		run.Reach = x.seen.Reach
	})
	snap := x.r.db.View().Now()
	if n := snap.Unread(); n > 0 {
		return nil, fault.New(fault.Conflict, "unread_values",
			"the store holds %d values that this version of Rollcall cannot read, so it must not say what is new and what is gone: run the newer version that wrote them", n)
	}
	err = x.stage("plan", state.RunPlanning, func() (err error) {
		defer x.rescue(ctx, &err)
		if x.plan, err = x.spec.compute(snap, x.seen); err == nil {
			x.weigh(snap)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	x.note(func(run *state.Run, p *Progress) {
		describe(run, x.plan)
		p.Steps = len(x.plan.Steps)
	})
	x.r.metrics.planned(x.spec.ID, x.plan)
	return snap, ctx.Err()
}

// weigh works out what the plan lets people do, and marks it when how the source is
// read was changed since a read of it was last proven complete and applied: then it is
// held if it raises anyone. What a directory does by itself is not held for that: a
// group that carries a grant carries it for whomever the directory puts there.
func (x *execution) weigh(snap *state.Snapshot) {
	st := snap.Source(x.spec.ID)
	x.plan.Marked = st.Config != x.spec.ConfigHash || !st.Marked.IsZero()
	snap.Weigh(x.plan, x.r.now())
}

// pull reads the source once.
func (x *execution) pull(ctx context.Context) (seen *identity.Observation, err error) {
	defer x.rescue(ctx, &err)
	snap := x.r.db.View().Now()
	st := snap.Source(x.spec.ID)
	n := snap.Of(x.spec.ID).Total()
	x.share.expect(n.Users + n.Groups)
	request := PullRequest{ByHand: x.job.run.Trigger == triggerManual, Known: snap.Of(x.spec.ID), Progress: func(p Progress) {
		x.advance(p)
		x.share.fit(ctx, p.Users+p.Groups, func() {
			waiting := p
			waiting.Stage = StageWaiting
			x.advance(waiting)
		})
		x.advance(p)
	}}
	if st.Config == x.spec.ConfigHash && st.Marked.IsZero() {
		request.Since, request.Again = st.Cursor, st.Again
		request.Prove = x.job.prove || x.proofDue(&st)
	}
	seen, err = x.spec.Source.Pull(ctx, request)
	switch {
	case err != nil:
		return nil, err
	case seen == nil:
		return nil, errors.New("the source returned neither an observation nor an error")
	case seen.Source != x.spec.ID:
		return nil, fmt.Errorf("the source returned an observation of source %q", seen.Source)
	}
	return storable(seen), nil
}

// blindProof is how often everything is compared at least where changes do not name who
// is gone: a leaver must not stay for a day.
const blindProof = time.Hour

// proofDue reports whether the time has come to compare everything.
func (x *execution) proofDue(st *state.SourceState) bool {
	s, now := x.spec.Prove, x.r.now()
	switch {
	case s == nil || st.LastFull.IsZero():
		return false
	case st.Blind && !now.Before(st.LastFull.Add(blindProof)):
		return true
	}
	return !now.Before(s.Next(st.LastFull))
}

// storable returns the observation without the entries that the store could not
// hold: they are listed and left as they were, and none of them stops a run.
func storable(seen *identity.Observation) *identity.Observation {
	o := *seen
	o.Skipped = make([]identity.Skipped, 0, len(seen.Skipped))
	for _, s := range seen.Skipped {
		o.Skipped = append(o.Skipped, identity.Skipped{Key: valid8(s.Key), Group: s.Group, DN: clean(s.DN), Reason: clean(s.Reason)})
	}
	sift := func(entries []identity.Seen, skipped identity.Skipped) []identity.Seen {
		bad := func(e identity.Seen) bool { return e.Record != nil && state.Storable(e.Record) != "" }
		if !slices.ContainsFunc(entries, bad) {
			return entries
		}
		good := make([]identity.Seen, 0, len(entries))
		for _, e := range entries {
			if !bad(e) {
				good = append(good, e)
				continue
			}
			skipped.Key, skipped.DN, skipped.Reason = valid8(e.Key), clean(e.Record.DN), state.Storable(e.Record)
			o.Skipped = append(o.Skipped, skipped)
		}
		return good
	}
	o.Users = sift(seen.Users, identity.Skipped{})
	o.Groups = sift(seen.Groups, identity.Skipped{Group: true})
	return &o
}

// rescue turns a panic into a failed run: a directory's bytes must not take the
// daemon down, and with it the answers for all other sources.
func (x *execution) rescue(ctx context.Context, err *error) {
	if p := recover(); p != nil {
		x.log.ErrorContext(ctx, "a bug was met during a run", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = fmt.Errorf("a bug of Rollcall was met, the log has its trace: %v", p)
	}
}

// covered reports whether the plan that is over its limits was approved.
func (x *execution) covered(ctx context.Context, snap *state.Snapshot) (bool, error) {
	st := snap.Source(x.spec.ID)
	if !valid(st, x.r.now()) {
		return false, nil
	}
	kept, _, err := x.r.db.KeptPlan(ctx, x.spec.ID)
	if err != nil {
		return false, fmt.Errorf("read the plan that was approved: %w", err)
	}
	a := kept.Approval(x.spec.Limits)
	ok := a.Digest == st.Approval.Digest && x.plan.Covered(a, x.spec.Limits)
	if !ok {
		x.log.WarnContext(ctx, "the approval does not cover this plan", "digest", st.Approval.Digest)
	}
	return ok, nil
}

// hold keeps the plan for a person to look at. Nothing of it is applied.
func (x *execution) hold(ctx context.Context, held *plan.Held) error {
	before := x.r.db.View().Now().Source(x.spec.ID).Held
	keep := state.HeldPlan{Digest: held.Digest, Run: x.job.run.ID, At: x.r.now().UTC(), Reasons: reasons(held), Raises: x.plan.RaisedPeople()}
	if before != nil && before.Digest == held.Digest {
		keep = *before // the same plan waits as before
	} else {
		parts, err := x.r.db.KeepPlan(ctx, x.fence, x.plan, held.Digest)
		if err != nil {
			return err
		}
		keep.Parts = parts
		if before != nil {
			keep.Before, keep.Old = before.Digest, before.Parts
		}
	}
	x.note(func(run *state.Run, _ *Progress) {
		run.State, run.Held, run.Digest = state.RunHeld, reasons(held), held.Digest
		run.Summary = "held, nothing was applied: " + summary(x.plan)
	})
	x.log.WarnContext(ctx, "plan held, nothing of it is applied, leavers are not deactivated until it is approved",
		"reasons", reasons(held), "digest", held.Digest, "leavers", held.Leavers, "since", keep.At)
	err := x.settle(ctx, "SyncRunHeld", func(st *state.SourceState) {
		st.Held = &keep
		if !valid(*st, x.r.now()) || st.Approval.Digest != keep.Digest {
			st.Approval = nil
		}
	})
	if err == nil {
		x.removePlans(ctx, &keep)
	}
	return err
}

// removePlans removes the plans that nobody waits for. What is left behind is
// removed by the next leader.
func (x *execution) removePlans(ctx context.Context, keep *state.HeldPlan) {
	if err := x.r.db.RemovePlans(ctx, x.fence, x.spec.ID, keep); err != nil {
		x.log.WarnContext(ctx, "an old plan could not be removed", "err", err)
	}
}

// succeed moves the cursor with the data it stands for, in a transaction of its own
// after all others are acknowledged.
func (x *execution) succeed(ctx context.Context) error {
	proven := x.seen.Proof.Users && x.seen.Proof.Groups && x.plan.Proof.Users && x.plan.Proof.Groups
	hadPlan := x.r.db.View().Now().Source(x.spec.ID).Held != nil
	x.note(func(run *state.Run, _ *Progress) {
		run.State, run.Summary = state.RunSucceeded, summary(x.plan)
	})
	err := x.settle(ctx, "SyncRunCompleted", func(st *state.SourceState) {
		if proven {
			st.Cursor, st.Config = x.seen.Cursor, x.spec.ConfigHash
			st.LastProven = x.r.now().UTC()
			st.Again, st.Blind = x.again(), x.seen.Blind
			if x.seen.Reach.Everything() && x.seen.Withhold == "" {
				st.LastFull = st.LastProven
			}
			if st.Marked.Equal(x.marked) { // else it was set while the run went on
				st.Marked = time.Time{}
			}
		}
		st.Held, st.Approval = nil, nil
	})
	if err != nil {
		return err
	}
	run := x.run()
	x.log.InfoContext(ctx, "run ended", "state", run.State, "summary", run.Summary, "server", run.Server,
		"proven", proven, "skipped", run.SkippedAll, "conflicts", run.ConflictsAll, "took", run.Ended.Sub(run.Started))
	if hadPlan {
		x.removePlans(ctx, nil)
	}
	return nil
}

// maxAgain bounds the entries that are read again: what is beyond it waits for the
// next read of everything.
const maxAgain = 1000

// again lists what this run left as it was because of other entries, or could not read
// whole: nothing of it need change in the directory for that to end.
func (x *execution) again() []identity.Gone {
	var all []identity.Gone
	for _, c := range x.plan.Conflicts {
		all = append(all, identity.Gone{Key: c.Key})
	}
	for i := range x.seen.Groups {
		if g := &x.seen.Groups[i]; g.MembersUnknown != "" {
			all = append(all, identity.Gone{Key: g.Key, Group: true})
		}
	}
	all = all[:min(len(all), maxAgain)]
	slices.SortFunc(all, func(a, b identity.Gone) int { return cmp.Compare(a.Key, b.Key) })
	return slices.Compact(all)
}

// fail records why the run came to nothing, or to less than the plan. The cursor
// stays where it was.
func (x *execution) fail(ctx context.Context, err error) {
	cause := context.Cause(ctx)
	stopped := ctx.Err() != nil
	x.note(func(run *state.Run, _ *Progress) {
		run.State, run.Error = state.RunFailed, words(err)
		if stopped {
			run.State, run.Error = state.RunInterrupted, "the run was stopped: "+stoppedWhy(cause)
		}
		run.Ended = x.r.now().UTC()
	})
	x.log.WarnContext(ctx, "run failed", "state", x.run().State, "err", err, "partly_applied", x.writing)
	if errors.Is(cause, errTermOver) {
		return // the fence would refuse it; the next leader marks the record
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceWrite)
	defer cancel()
	if serr := x.settle(last, "SyncRunFailed", func(*state.SourceState) {}); serr != nil {
		x.log.ErrorContext(ctx, "the record of a failed run could not be written", "err", serr)
	}
}

func stoppedWhy(cause error) string {
	if errors.Is(cause, errTermOver) {
		return "another replica has taken over"
	}
	return "the daemon was shut down; the next run plans again and completes it"
}

// words says an error to an administrator.
func words(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return clean("it took too long: " + err.Error())
	case errors.Is(err, fault.Stale):
		return "something else changed the same entries at the same time, or another replica has taken over; " +
			"what was applied stays, and the next run plans again"
	}
	return clean(err.Error())
}
