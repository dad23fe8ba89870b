package admin

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// What happens without changing anything is audited too, but not each time: whoever
// asks again and again must not fill the log. So it leaves one entry for each caller
// and operation within a while, with how often it was since the one before.
const (
	refusalPause = time.Minute
	readPause    = time.Hour
)

// tally is how often something that is audited now and then has happened.
type tally struct {
	mu   sync.Mutex
	seen map[occasion]*occurred // guarded by mu
}

// occasion is what is counted together.
type occasion struct {
	user      identity.UserID
	operation string // and as whom, if as another
	action    string
}

type occurred struct {
	actor audit.Actor // of the last time
	event audit.Event
	last  time.Time // when it was last written
	count int       // since then
	pause time.Duration
}

func newTally() *tally { return &tally{seen: map[occasion]*occurred{}} }

// due counts one more and returns the event to be written now, if any.
func (t *tally) due(o occasion, x occurred, now time.Time) (audit.Event, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was, ok := t.seen[o]
	if !ok {
		was = &occurred{}
		t.seen[o] = was
	}
	was.actor, was.event, was.pause = x.actor, x.event, x.pause
	was.count++
	if now.Sub(was.last) < was.pause {
		return audit.Event{}, false
	}
	return was.take(now), true
}

// overdue returns what was counted and whose while is over, and forgets what has not
// happened for long.
func (t *tally) overdue(now time.Time) []occurred { return t.written(now, now) }

// rest returns all that was counted.
func (t *tally) rest(now time.Time) []occurred { return t.written(now, now.Add(readPause)) }

// written returns what is due at an instant, as written now.
func (t *tally) written(now, due time.Time) []occurred {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []occurred
	for o, x := range t.seen {
		switch {
		case x.count == 0 && now.Sub(x.last) >= x.pause:
			delete(t.seen, o)
		case x.count > 0 && due.Sub(x.last) >= x.pause:
			out = append(out, occurred{actor: x.actor, event: x.take(now)})
		}
	}
	return out
}

// take returns the event with its count, which begins anew.
func (x *occurred) take(now time.Time) audit.Event {
	e := x.event
	e.Changes = append(slices.Clip(e.Changes), audit.Change{Field: "count", After: []string{strconv.Itoa(x.count)}})
	x.last, x.count = now, 0
	return e
}

// noteRefusal audits that somebody known was refused a change. Who is not known leaves
// nothing but metrics and the log: anybody could fill the store with it.
func (a *API) noteRefusal(ctx context.Context, o *operation, q *question, status int) {
	if status != http.StatusForbidden || o.method == http.MethodGet || o.decision || q.caller.User.IsZero() {
		return
	}
	e := audit.Event{Action: audit.Denied, Target: "operation/" + o.id, Name: o.method + " " + o.path, Reason: "permission_missing"}
	if a.holds(a.db.View().Now(), q.caller, o.need.anyOf...) || len(o.need.anyOf) == 0 {
		e.Reason = "not_allowed" // he may call it, but not do this
	} else {
		required := make([]string, len(o.need.anyOf))
		for i, p := range o.need.anyOf {
			required[i] = string(p)
		}
		e.Changes = []audit.Change{{Field: "required", After: required}}
	}
	a.note(ctx, occasion{q.caller.User, o.id, e.Action}, occurred{actor: q.caller.Actor(q.request), event: e, pause: refusalPause})
}

// noteRead audits that somebody read the log of others.
func (a *API) noteRead(ctx context.Context, operation, about string) {
	q := questionOf(ctx)
	if about != "" || q.caller.User.IsZero() {
		return
	}
	e := audit.Event{Action: audit.Read, Target: "operation/" + operation, Changes: asAnother(q.caller, nil)}
	a.note(ctx, occasion{q.caller.Real().User, operation + " as " + q.caller.User.String(), e.Action}, occurred{actor: q.caller.Actor(q.request), event: e, pause: readPause})
}

func (a *API) note(ctx context.Context, o occasion, x occurred) {
	e, due := a.tally.due(o, x, a.now())
	if !due {
		return
	}
	a.writeNote(ctx, x.actor, e)
}

// noteTime is what writing a note may take: the caller has his answer, or waits for it.
const noteTime = 5 * time.Second

func (a *API) writeNote(ctx context.Context, by audit.Actor, e audit.Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	if _, err := a.db.Commit(ctx, by, state.Note{Event: e}); err != nil {
		a.log.WarnContext(ctx, "not audited", "action", e.Action, "target", e.Target, "actor", by.String(), "err", err)
	}
}

// RunAudit writes what was counted and not written yet, once its while is over, until
// ctx ends; then it writes the rest.
func (a *API) RunAudit(ctx context.Context) error {
	tick := time.NewTicker(refusalPause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.writeNotes(ctx, a.tally.overdue(a.now()))
		case <-ctx.Done():
			a.writeNotes(ctx, a.tally.rest(a.now()))
			return nil
		}
	}
}

func (a *API) writeNotes(ctx context.Context, list []occurred) {
	for i := range list {
		a.writeNote(ctx, list[i].actor, list[i].event)
	}
}
