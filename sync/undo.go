package sync

import (
	"context"
	"errors"
	"fmt"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// PlanUndo returns what undoing the last run of a source would change, and that run. It
// stores nothing, and any replica can do it.
func (r *Runner) PlanUndo(ctx context.Context, source identity.SourceID) (*plan.Plan, state.Run, error) {
	r.mu.Lock()
	l, err := r.lane(source)
	if err == nil && l.busy != nil && !l.busy.planOnly {
		err = l.inProgress()
	}
	r.mu.Unlock()
	if err != nil {
		return nil, state.Run{}, err
	}
	return r.undoing(ctx, r.db.View().Now(), source)
}

// undoing plans the undo of the last run. The plan counts as one of a source that was
// changed: whom it raises, he who orders it has to be one who may confer that.
func (r *Runner) undoing(ctx context.Context, snap *state.Snapshot, source identity.SourceID) (*plan.Plan, state.Run, error) {
	done, run, err := r.db.LastDone(ctx, source)
	if err != nil {
		return nil, run, err
	}
	p := plan.Undo(snap.Of(source), snap.Of(source), done)
	p.Server, p.Config, p.Marked = run.Server, run.Config, true
	snap.Weigh(p, r.now())
	return p, run, nil
}

// OrderUndo returns the change that orders the last run of a source undone, and the id
// that the undoing run will have: run and digest name what was shown, and it is
// fault.Stale when that is not what an undo would do now. The change is to be decided
// with [state.DB.Decide]; it pauses the source, and the leader takes it up at once.
func (r *Runner) OrderUndo(ctx context.Context, source identity.SourceID, run, digest string) (state.OrderUndo, error) {
	p, last, err := r.PlanUndo(ctx, source)
	if err != nil {
		return state.OrderUndo{}, err
	}
	if err := shown(p, &last, run, digest); err != nil {
		return state.OrderUndo{}, err
	}
	r.mu.Lock()
	id := r.newID()
	r.mu.Unlock()
	return state.OrderUndo{
		Source: source, Raised: p.Raised, Raises: p.RaisedPeople(),
		Order: state.UndoOrder{Run: id, Of: run, Digest: digest},
	}, nil
}

// shown reports whether the plan is what was shown.
func shown(p *plan.Plan, last *state.Run, run, digest string) error {
	switch {
	case last.ID != run:
		return fault.New(fault.Stale, "plan_changed", "the last run that changed anything is %s, not %s: look at what undoing it would do", last.ID, run)
	case p.Fingerprint() != digest:
		return fault.New(fault.Stale, "plan_changed", "what an undo would do has changed since you saw it: look at it again")
	}
	return nil
}

// undo is the run that undoes another one. Once it has begun to write, what is left of it
// is done also by the leader after this one.
func (x *execution) undo(ctx context.Context) error {
	snap, of, err := x.lookBack(ctx)
	if err != nil {
		return err
	}
	if !x.plan.IsEmpty() {
		for try := 1; ; try++ {
			err := x.beginUndo(ctx, snap)
			if err == nil {
				break
			}
			if !errors.Is(err, fault.Stale) || try == tries {
				return err
			}
			// Somebody decided something since: whom the undo raises is asked again.
			if snap, of, err = x.lookBack(ctx); err != nil {
				return err
			}
		}
		if err := x.apply(ctx, snap); err != nil {
			return err
		}
	}
	return x.undone(ctx, of)
}

// lookBack plans the undo that was ordered, and returns the run that it undoes.
func (x *execution) lookBack(ctx context.Context) (snap *state.Snapshot, of state.Run, err error) {
	if snap, err = x.r.db.CatchUp(ctx, x.fence); err != nil {
		return nil, of, err
	}
	order := snap.Source(x.spec.ID).Undo
	if order == nil || order.Run != x.job.run.ID {
		return nil, of, fault.New(fault.Stale, "plan_changed", "the order to undo a run was taken back")
	}
	err = x.stage("plan", state.RunPlanning, func() (err error) {
		if x.plan, of, err = x.r.undoing(ctx, snap, x.spec.ID); err != nil || order.Begun {
			return err
		}
		return shown(x.plan, &of, order.Of, order.Digest)
	})
	if err == nil && of.ID != order.Of {
		err = shown(x.plan, &of, order.Of, "")
	}
	x.note(func(_ *state.Run, p *Progress) {
		if x.plan != nil {
			p.Steps = len(x.plan.Steps)
		}
	})
	return snap, of, err
}

// beginUndo stores that the undo begins, while nobody has decided anything since it was
// planned.
func (x *execution) beginUndo(ctx context.Context, snap *state.Snapshot) error {
	x.note(func(run *state.Run, p *Progress) {
		run.State, p.Stage = state.RunApplying, string(state.RunApplying)
		describe(run, x.plan)
	})
	st := snap.Source(x.spec.ID)
	order := *st.Undo
	order.Begun = true
	st.Undo = &order
	_, err := x.r.db.Commit(ctx, x.actor, state.Fenced{Term: x.fence}, state.PutRun{Run: x.run()},
		state.PutSource{Source: x.spec.ID, State: st}, state.Weighed{On: snap})
	if err != nil {
		return fmt.Errorf("record that the undo begins to write: %w", err)
	}
	return nil
}

// undone records the end of an undo. What the directory has now differs from the roll, so
// the next read is one of everything, and a plan that was held says nothing any more.
func (x *execution) undone(ctx context.Context, of state.Run) error {
	x.note(func(run *state.Run, _ *Progress) {
		describe(run, x.plan)
		run.State, run.Summary = state.RunSucceeded, "undid run "+of.ID+": "+summary(x.plan)
	})
	err := x.settle(ctx, "SyncRunUndone", func(st *state.SourceState) {
		st.Cursor, st.Again = "", nil
		st.Held, st.Approval = nil, nil
	})
	if err != nil {
		return err
	}
	run := x.run()
	x.log.InfoContext(ctx, "run undone, the source stays paused", "of", of.ID, "summary", run.Summary, "left", len(run.Withheld))
	x.removePlans(ctx, nil)
	if err := x.r.db.RemoveDone(ctx, x.fence, x.spec.ID, of.ID); err != nil {
		x.log.WarnContext(ctx, "what an undone run did is kept", "of", of.ID, "err", err)
	}
	return nil
}
