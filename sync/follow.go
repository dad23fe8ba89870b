package sync

import (
	"context"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// A source may be told by its directory that something changed, and not only by the
// clock. That wakes a run and is nothing else: what changed, the run finds out. Where a
// directory cannot be followed, or ceases to answer, the schedule goes on as before.

// Waiter is a source whose directory says when something changes.
type Waiter interface {
	// Wait blocks until something changed since the cursor, and returns nil then. It
	// calls ready once the directory has agreed to say so. An error says why it does not.
	Wait(ctx context.Context, since identity.Cursor, ready func()) error
}

// triggerChange is the reason of a run that the directory asked for.
const triggerChange = "change"

// The pauses between two attempts to follow a directory: after a wake, so that many
// changes become one run, and after a failure.
const (
	followAgain = time.Second
	followFirst = 5 * time.Second
	followMost  = 10 * time.Minute
)

// following is how a lane is followed. The Runner's mu guards it.
type following struct {
	going bool            // a Wait is under way
	ready bool            // and the directory has agreed
	woken bool            // a run is to be begun
	by    identity.Cursor // the cursor that the last wake came at
	next  time.Time       // not before
	pause time.Duration   // after the next failure
}

// follow begins to wait for changes of a lane, where that is wanted and possible, and
// returns when to look again; zero: something else will call.
func (r *Runner) follow(ctx context.Context, t *term, l *lane, st *state.SourceState, now time.Time) time.Time {
	w, ok := l.spec.Source.(Waiter)
	f := &l.follow
	switch {
	case !ok || !l.spec.Follow || l.spec.Disabled || l.gone || !st.Paused.IsZero():
		return time.Time{}
	case f.going || f.woken || l.busy != nil || l.waiting != nil:
		return time.Time{}
	case st.Cursor == "" || st.Config != l.spec.ConfigHash || st.Cursor == f.by:
		return time.Time{} // there is nothing to begin at, or the run that was woken did not get past it
	case now.Before(f.next):
		return f.next
	}
	f.going = true
	t.jobs.Go(func() { r.listen(ctx, l, w, st.Cursor) })
	return time.Time{}
}

func (r *Runner) listen(ctx context.Context, l *lane, w Waiter, since identity.Cursor) {
	err := w.Wait(ctx, since, func() {
		r.mu.Lock()
		l.follow.ready = true
		r.mu.Unlock()
	})
	r.mu.Lock()
	f, id := &l.follow, l.spec.ID
	f.going, f.ready = false, false
	if err == nil {
		f.woken, f.by, f.pause = true, since, 0
		f.next = r.now().Add(followAgain)
	} else {
		f.pause = min(max(2*f.pause, followFirst), followMost)
		f.next = r.now().Add(f.pause)
	}
	pause := f.pause
	r.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		r.log.InfoContext(ctx, "the directory does not say when something changes, the schedule goes on", "source", id, "err", err, "again_in", pause)
	}
	r.poke()
}
