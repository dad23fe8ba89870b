package sync

import (
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/state"
)

// lane is one source in the hands of a Runner, whose mu guards it. One job at a time
// is busy in it.
type lane struct {
	spec SourceSpec
	slot time.Time // to be served next; zero: not computed yet, or none
	fire time.Time // when: the slot put off by the jitter

	busy    *job
	waiting *job   // asked for here, and not begun
	recent  []*job // that ended, the newest last

	served  time.Time      // the newest slot that was served or skipped in this term
	taken   string         // the request that this term has taken up
	undone  string         // the order to undo that this term has taken up
	purged  string         // the order to purge that this term has taken up
	purgeAt time.Time      // when the next purge is due; zero: not computed yet, or never
	tried   state.Approval // that this term has tried
	skipped int            // slots, because a run was still going on
	history *history       // nil until it is read in this term
	follow  following
	gone    bool // not configured any more; kept until its run has ended
}

// job is a run under way, or one that waits or has ended.
type job struct {
	run      state.Run
	progress Progress
	planOnly bool
	undo     bool          // another run is to be undone
	purge    bool          // whom the source has not had for long are to be removed
	prove    bool          // everything is to be compared
	done     chan struct{} // closed when run does not change any more
}

// keptJobs is how many ended runs of a source can still be waited for.
const keptJobs = 16

// The reasons for a run, as its record has them.
const (
	triggerSchedule = "schedule"
	triggerManual   = "manual"
	triggerApproval = "approval"
	triggerStart    = "start" // the source has never been run
	triggerUndo     = "undo"  // somebody ordered the last run undone
	triggerPurge    = "purge" // somebody ordered a purge, or it was due
)

// due returns the job to be begun now, if any, and moves the slots that have passed.
func (r *Runner) due(l *lane, st state.SourceState, now time.Time) *job {
	if l.ordered(&st) {
		l.undone = st.Undo.Run
		j := r.newJob(l, triggerUndo, st.Undo.By, st.Undo.Run)
		j.undo = true
		return j
	}
	if l.purgeOrdered(&st) {
		l.purged = st.Purge.Run
		j := r.newJob(l, triggerPurge, st.Purge.By, st.Purge.Run)
		j.purge = true
		return j
	}
	if !st.Paused.IsZero() {
		l.drop("the source was paused before the run began; resume it, and start it again")
		return nil
	}
	return r.dueToRead(l, st, now)
}

// ordered reports whether an undo was ordered that this term has not taken up.
func (l *lane) ordered(st *state.SourceState) bool {
	return st.Undo != nil && st.Undo.Run != l.undone && l.busy == nil
}

// dueToRead returns the job to be begun now that reads the source, if any.
func (r *Runner) dueToRead(l *lane, st state.SourceState, now time.Time) *job {
	if l.spec.Disabled {
		return nil
	}
	if l.slot.IsZero() {
		l.arm(st, now)
	}
	slotDue := !l.fire.IsZero() && !now.Before(l.fire)
	switch {
	case l.busy != nil && l.busy.planOnly: // what is due waits for it
	case l.busy != nil:
		if slotDue {
			r.skip(l, now)
		}
	case l.waiting != nil:
		j := l.waiting
		l.waiting = nil
		return j
	case st.Request != nil && st.Request.Run != l.taken:
		l.taken = st.Request.Run
		j := r.newJob(l, triggerManual, st.Request.By, st.Request.Run)
		j.prove = st.Request.Prove
		return j
	case l.approved(st, now):
		l.tried = *st.Approval
		return r.newJob(l, triggerApproval, st.Approval.By, "")
	case l.follow.woken:
		l.follow.woken = false
		return r.newJob(l, triggerChange, "", "")
	case slotDue:
		trigger := triggerSchedule
		if st.LastSlot.IsZero() && l.served.IsZero() {
			trigger = triggerStart
		}
		j := r.newJob(l, trigger, "", "")
		j.run.Slot = r.pass(l, now)
		return j
	}
	return r.purgeDue(l, now)
}

// arm finds the slot to be served next. One that was missed is served at once, but
// only the latest of several.
func (l *lane) arm(st state.SourceState, now time.Time) {
	s := l.spec.Schedule
	if s == nil {
		return
	}
	last := st.LastSlot
	if l.served.After(last) {
		last = l.served
	}
	switch {
	case last.IsZero(): // never run
		l.slot, l.fire = now.Truncate(time.Second), now
		return
	case last.After(now): // by a clock that was ahead
		last = now
	}
	slot, _ := s.Latest(last, now)
	if slot.IsZero() {
		slot = s.Next(last)
	}
	l.aim(slot)
}

func (l *lane) aim(slot time.Time) {
	l.slot, l.fire = slot, slot
	if !slot.IsZero() && !l.spec.NoJitter {
		l.fire = slot.Add(l.spec.Schedule.Jitter(l.spec.ID, slot))
	}
}

// pass takes the latest slot that has come, counts those before it as skipped, and
// aims at the one after.
func (r *Runner) pass(l *lane, now time.Time) time.Time {
	slot := l.slot
	if latest, n := l.spec.Schedule.Latest(slot, now); !latest.IsZero() {
		slot = latest
		l.skipped += n + 1
		r.metrics.skip(l.spec.ID, n+1)
	}
	l.served = slot
	l.aim(l.spec.Schedule.Next(slot))
	return slot
}

// skip lets a slot go by because a run is still going on.
func (r *Runner) skip(l *lane, now time.Time) {
	slot := r.pass(l, now)
	l.skipped++
	r.metrics.skip(l.spec.ID, 1)
	r.log.Warn("slot skipped, the run before it is still going on",
		"source", l.spec.ID, "run", l.busy.run.ID, "slot", slot)
}

// approved reports whether somebody agreed to the plan that is held, and that was
// not tried yet.
func (l *lane) approved(st state.SourceState, now time.Time) bool {
	return valid(st, now) && (!st.Approval.At.Equal(l.tried.At) || st.Approval.Digest != l.tried.Digest)
}

// valid reports whether the plan that is held has an approval that still counts.
func valid(st state.SourceState, now time.Time) bool {
	a := st.Approval
	return a != nil && st.Held != nil && a.Digest == st.Held.Digest && now.Before(a.Expires)
}

// newJob returns a job that has not begun. The caller holds mu.
func (r *Runner) newJob(l *lane, trigger, by, id string) *job {
	if id == "" {
		id = r.newID()
	}
	return &job{done: make(chan struct{}), run: state.Run{
		V: 1, ID: id, Source: l.spec.ID, State: state.RunQueued, Trigger: trigger, By: by,
		Started: r.now().UTC(), Config: l.spec.ConfigHash,
	}}
}

// drop ends a job that waits and will not begin.
func (l *lane) drop(why string) {
	if j := l.waiting; j != nil {
		l.waiting = nil
		j.run.State, j.run.Error, j.run.Ended = state.RunInterrupted, why, j.run.Started
		l.ended(j)
	}
}

// ended keeps a job for those who wait for it.
func (l *lane) ended(j *job) {
	l.recent = append(l.recent, j)
	if n := len(l.recent) - keptJobs; n > 0 {
		l.recent = slices.Delete(l.recent, 0, n)
	}
	close(j.done)
}

// find returns the job of a run, if it is known here.
func (l *lane) find(run string) *job {
	for _, j := range append([]*job{l.busy, l.waiting}, l.recent...) {
		if j != nil && j.run.ID == run {
			return j
		}
	}
	return nil
}
