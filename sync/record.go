package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// settle ends the run in one transaction: where the source stands, the run's record
// if it has something to say, and the event. edit changes where the source stands
// and may be called again. A lost answer and an administrator's write in between are
// decided anew, from what is stored then.
func (x *execution) settle(ctx context.Context, action string, edit func(*state.SourceState)) error {
	x.note(func(run *state.Run, _ *Progress) { run.Ended = x.r.now().UTC() })
	run := x.run()
	counted := x.onlyCounted(&run)
	event := audit.Event{Action: action, Target: "source/" + string(x.spec.ID), Name: string(x.spec.ID)}
	event.Reason = clip(run.Summary)
	if run.Error != "" {
		event.Reason = clip(run.Error)
	}
	if run.State == state.RunHeld {
		event.Changes = []audit.Change{{Field: "held", After: run.Held}}
	}
	snap := x.r.db.View().Now()
	var want state.SourceState
	for try := 1; ; try++ {
		st := snap.Source(x.spec.ID)
		if try > 1 && sameStand(&st, &want) {
			break // it was written, only the answer was lost
		}
		x.stand(&st, &run, counted)
		edit(&st)
		want = st
		changes := []state.Change{state.Fenced{Term: x.fence}}
		next, gone := x.lane.history.with(&run)
		if counted {
			changes = append(changes, state.PutSource{Source: x.spec.ID, State: st})
		} else {
			changes = append(changes, state.PutSource{Source: x.spec.ID, State: st, Event: event},
				state.PutRun{Run: run}, state.RemoveRuns{Source: x.spec.ID, Runs: gone})
		}
		_, err := x.r.db.Commit(ctx, x.actor, changes...)
		if err == nil {
			if !counted {
				x.lane.history = next
			}
			break
		}
		if try == tries || !errors.Is(err, fault.Stale) && !errors.Is(err, fault.Unavailable) {
			return fmt.Errorf("record the run: %w", err)
		}
		if snap, err = x.r.db.CatchUp(ctx, x.fence); err != nil {
			return fmt.Errorf("record the run: %w", err)
		}
	}
	return nil
}

// stand writes into st what every run leaves there.
func (x *execution) stand(st *state.SourceState, run *state.Run, counted bool) {
	if counted {
		st.Unchanged++
	} else {
		st.LastRun, st.Unchanged = run.ID, 0
	}
	if st.Purge != nil && st.Purge.Run == run.ID {
		st.Purge = nil // also of one that was stopped: what is left has to be shown anew
	}
	if run.State == state.RunInterrupted {
		return // its slot and the request for it are still to be served
	}
	x.r.mu.Lock()
	served := x.lane.served
	x.r.mu.Unlock()
	switch {
	case served.After(st.LastSlot):
		st.LastSlot = served
	case st.LastSlot.IsZero():
		st.LastSlot = run.Started // by hand, and as good as one by schedule
	}
	if st.Request != nil && st.Request.Run == run.ID {
		st.Request = nil
	}
	if st.Undo != nil && st.Undo.Run == run.ID {
		st.Undo = nil
	}
}

// sameStand compares what only runs write.
func sameStand(a, b *state.SourceState) bool {
	return a.LastRun == b.LastRun && a.Unchanged == b.Unchanged &&
		a.LastSlot.Equal(b.LastSlot) && a.LastProven.Equal(b.LastProven)
}

// onlyCounted reports whether a run by schedule found what the newest record says
// already. Then it is counted and leaves no record.
func (x *execution) onlyCounted(run *state.Run) bool {
	last := &x.lane.history.last
	if run.Trigger != triggerSchedule && run.Trigger != triggerChange || run.State != last.State || run.Error != last.Error {
		return false
	}
	switch run.State {
	case state.RunHeld:
		return run.Digest == last.Digest
	case state.RunSucceeded:
		skipped := last.SkippedAll
		if run.Reach == identity.ReachChanges {
			skipped = 0 // what is skipped and does not change is not read
		}
		return x.plan.IsEmpty() && run.Server == last.Server && run.Config == last.Config &&
			run.Proof.Users == last.Proof.Users && run.Proof.Groups == last.Proof.Groups &&
			run.SkippedAll == skipped && run.ConflictsAll == last.ConflictsAll && run.Missed == 0 &&
			slices.Equal(run.Withheld, last.Withheld)
	}
	return false
}

// history is what is known of a source's stored records. It is a value.
type history struct {
	last state.Run
	past []pastRun // the oldest first
}

type pastRun struct {
	id      string
	changed bool
}

// with returns the history with one more record, and the records to be removed for
// it: of those that changed the roll, and of those that did not, each the newest
// hundred are kept.
func (h *history) with(run *state.Run) (next *history, gone []string) {
	const atOnce = 50 // in one transaction
	next = &history{last: *run}
	next.past = slices.DeleteFunc(slices.Clone(h.past), func(p pastRun) bool { return p.id == run.ID })
	next.past = append(next.past, pastRun{run.ID, changedRoll(run)})
	kept := map[bool]int{}
	for _, p := range slices.Backward(next.past) {
		if kept[p.changed]++; kept[p.changed] > state.KeptRuns && len(gone) < atOnce {
			gone = append(gone, p.id)
		}
	}
	next.past = slices.DeleteFunc(next.past, func(p pastRun) bool { return slices.Contains(gone, p.id) })
	return next, gone
}

// beyondUndo returns the runs that the next one puts out of reach of an undo. Some before
// them are named again, in case one was missed.
func (h *history) beyondUndo() (runs []string) {
	const again = 5
	changed := state.KeptDone - 1 // the next one is the newest
	for _, p := range slices.Backward(h.past) {
		if !p.changed {
			continue
		}
		if changed--; changed < 0 {
			runs = append(runs, p.id)
		}
		if len(runs) == again {
			break
		}
	}
	return runs
}

// changedRoll reports whether a run wrote anything of its plan.
func changedRoll(run *state.Run) bool {
	switch run.State {
	case state.RunApplying, state.RunSucceeded, state.RunFailed, state.RunInterrupted:
		n := &run.Counts
		return n.Users != plan.Tally{} || n.Groups != plan.Tally{} || n.Members != plan.Tally{}
	}
	return false
}

// openHistory reads the records of a source, marks those of runs that nobody lives to
// end, and removes plans that nobody waits for.
func (r *Runner) openHistory(ctx context.Context, t *term, id identity.SourceID) (*history, error) {
	runs, err := r.db.Runs(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read the records of source %q: %w", id, err)
	}
	slices.Reverse(runs)
	h := &history{}
	for _, run := range runs {
		if live(run.State) {
			run.State, run.Ended = state.RunInterrupted, r.now().UTC()
			run.Error = "the replica that ran it stopped in the middle; what it applied stays, and the next run completes it"
			if _, err := r.db.Commit(ctx, systemActor, state.Fenced{Term: t.fence}, state.PutRun{Run: run}); err != nil {
				return nil, fmt.Errorf("mark run %s as interrupted: %w", run.ID, err)
			}
			r.log.WarnContext(ctx, "run marked as interrupted", "source", id, "run", run.ID)
		}
		h.past = append(h.past, pastRun{run.ID, changedRoll(&run)})
		h.last = run
	}
	return h, r.db.RemovePlans(ctx, t.fence, id, r.db.View().Now().Source(id).Held)
}

// history makes sure that the lane knows its records.
func (x *execution) history(ctx context.Context, t *term) error {
	x.r.mu.Lock()
	h := x.lane.history
	x.r.mu.Unlock()
	if h != nil {
		return nil
	}
	h, err := x.r.openHistory(ctx, t, x.spec.ID)
	if err != nil {
		h = &history{}
	}
	x.r.mu.Lock()
	defer x.r.mu.Unlock()
	x.lane.history = h
	return err
}

// The bounds of a record, which is one stored object.
const (
	keptSamples  = 100
	keptTextSize = 600
	// keptSamplesSize is of all samples of one kind, as JSON: three times that is less
	// than one stored object takes.
	keptSamplesSize = 76 << 10
)

// describe writes what a plan says into the run's record.
func describe(run *state.Run, p *plan.Plan) {
	run.Proof, run.Counts, run.Marked, run.Missed = p.Proof, p.Counts, p.Marked, p.Missed
	run.Consequences = p.Consequences[:min(len(p.Consequences), keptSamples)]
	run.SkippedAll, run.ConflictsAll = len(p.Skipped), len(p.Conflicts)
	run.Skipped, run.Conflicts, run.Withheld = nil, nil, nil
	room := keptSamplesSize
	for _, s := range p.Skipped[:min(len(p.Skipped), keptSamples)] {
		s.Key, s.DN, s.Reason = clean(s.Key), clean(s.DN), clean(s.Reason)
		if room -= jsonSize(string(s.Key), s.DN, s.Reason); room < 0 {
			break
		}
		run.Skipped = append(run.Skipped, s)
	}
	room = keptSamplesSize
	for _, c := range p.Conflicts[:min(len(p.Conflicts), keptSamples)] {
		c.Key, c.Holder, c.Name, c.Detail = clean(c.Key), clean(c.Holder), clean(c.Name), clean(c.Detail)
		if room -= jsonSize(string(c.Key), string(c.Holder), c.Name, c.Detail); room < 0 {
			break
		}
		run.Conflicts = append(run.Conflicts, c)
	}
	room = keptSamplesSize
	for _, w := range p.Withheld[:min(len(p.Withheld), keptSamples)] {
		w = clean(w)
		if room -= jsonSize(w); room < 0 {
			break
		}
		run.Withheld = append(run.Withheld, w)
	}
	run.Proof.Why = clean(run.Proof.Why)
}

// jsonSize is how many bytes a sample of these texts takes at most.
func jsonSize(texts ...string) int {
	n := 0
	for _, s := range texts {
		n += len(s) + 20
		for i := range len(s) {
			if s[i] < ' ' || s[i] == '"' || s[i] == '\\' {
				n += 5
			}
		}
	}
	return n
}

// clean makes text storable, whatever a directory put into it.
func clean[S ~string](s S) S {
	if len(s) > keptTextSize {
		s = s[:keptTextSize] + "..."
	}
	return valid8(s)
}

// valid8 replaces what is not UTF-8. A key that needs it was never stored.
func valid8[S ~string](s S) S { return S(strings.ToValidUTF8(string(s), "\uFFFD")) }

func reasons(h *plan.Held) []string {
	out := make([]string, len(h.Reasons))
	for i, r := range h.Reasons {
		out[i] = clean(r.Text)
	}
	return out
}

// summary says a plan in one line.
func summary(p *plan.Plan) string {
	var parts []string
	for _, x := range []struct {
		what string
		n    plan.Tally
	}{{"users", p.Counts.Users}, {"groups", p.Counts.Groups}} {
		var did []string
		for _, y := range []struct {
			n    int
			verb string
		}{{x.n.Created, "created"}, {x.n.Updated, "updated"}, {x.n.Returned, "returned"}, {x.n.Removed, "deactivated"}} {
			if y.n > 0 {
				did = append(did, fmt.Sprintf("%d %s", y.n, y.verb))
			}
		}
		if len(did) > 0 {
			parts = append(parts, x.what+": "+strings.Join(did, ", "))
		}
	}
	if n := p.Counts.Members; n.Created+n.Removed > 0 {
		parts = append(parts, fmt.Sprintf("memberships: %d added, %d ended", n.Created, n.Removed))
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing changed")
	}
	if len(p.Withheld) > 0 {
		parts = append(parts, "removals withheld: "+p.Withheld[0])
	}
	return clean(strings.Join(parts, "; "))
}
