package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

type followAuditInput struct {
	AuditFilter
	LastEventID string `header:"Last-Event-ID" maxLength:"20" doc:"Goes on after the event with this id; nothing: with what happens from now on"`
	Accept      string `header:"Accept" maxLength:"512"`
}

// heartbeat is how often a stream says something, so that what stands in between does
// not think it dead, and so that a caller who may no longer listen is found out.
const heartbeat = 15 * time.Second

// followAudit sends each entry as an event whose id is its revision. A stream ends
// when the time that a request may take is over; the client comes back with the last
// id and misses nothing.
func (a *API) followAudit(ctx context.Context, in *followAuditInput) (*huma.StreamResponse, error) {
	if !acceptsEvents(in.Accept) {
		return nil, endless(ctx, http.StatusNotAcceptable, "not_acceptable", "this answer never ends: ask for it with Accept: text/event-stream")
	}
	q := state.AuditQuery{Filter: a.filter(ctx, &in.AuditFilter), Limit: exportPage}
	if in.LastEventID == "" {
		head, err := a.db.AuditHead(ctx)
		if err != nil {
			return nil, err
		}
		q.After = head.Rev
	} else {
		n, err := strconv.ParseInt(in.LastEventID, 10, 64)
		if err != nil || n < 0 {
			return nil, fault.New(fault.Invalid, "bad_last_event_id", "Last-Event-ID is the id of an event of this stream, or is left out")
		}
		q.After = store.Revision(n)
	}
	a.noteRead(ctx, "followAudit", q.About)
	return &huma.StreamResponse{Body: func(out huma.Context) {
		out.SetHeader("Content-Type", "text/event-stream")
		out.SetHeader("X-Accel-Buffering", "no") // else nginx keeps events back
		if err := a.events(ctx, out, q); err != nil && ctx.Err() == nil {
			a.log.DebugContext(ctx, "stream of the audit log ended", "request", questionOf(ctx).request, "err", err)
		}
	}}, nil
}

func acceptsEvents(accept string) bool {
	return strings.Contains(accept, "text/event-stream") || strings.Contains(accept, "*/*")
}

func (a *API) events(ctx context.Context, out huma.Context, q state.AuditQuery) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := out.BodyWriter()
	flush := func() error { return nil }
	if rw, ok := w.(http.ResponseWriter); ok {
		flush = http.NewResponseController(rw).Flush
	}
	if err := beat(w, q.After, flush); err != nil {
		return err
	}
	for page, err := range a.db.FollowAudit(ctx, q, heartbeat) {
		if err != nil {
			return err
		}
		if !a.mayStill(questionOf(ctx).caller, &auditWork) {
			return auditWork.denied()
		}
		for i := range page.Entries {
			e := page.Entries[i].Envelope()
			if _, err := fmt.Fprintf(w, "id: %d\nevent: audit\ndata: ", e.Revision); err != nil {
				return err
			}
			if err := writeJSON(w, e); err != nil {
				return err
			}
			if _, err := io.WriteString(w, "\n\n"); err != nil {
				return err
			}
		}
		if err := beat(w, page.Next, flush); err != nil {
			return err
		}
	}
	return nil
}

// beat sends the cursor without an event: the client remembers it as the last id.
func beat(w io.Writer, cursor store.Revision, flush func() error) error {
	if _, err := fmt.Fprintf(w, ": beat\nid: %d\n\n", cursor); err != nil {
		return err
	}
	return flush()
}

// mayStill asks anew before anything is sent: a revocation counts at once.
func (a *API) mayStill(c access.Caller, n *need) bool {
	snap := a.db.View().Now()
	if c.Token != "" {
		if t, ok := snap.Token(c.Token); !ok || expired(t.Expires, a.now()) {
			return false
		}
	}
	if c.By != nil && !a.holds(snap, *c.By, impersonating.anyOf...) {
		return false
	}
	return a.holds(snap, c, n.anyOf...)
}

// EndStreams ends the answers that never end by themselves. It is called once, when
// the server begins to shut down and waits for all answers.
func (a *API) EndStreams() { close(a.closing) }

// endWith has end called when EndStreams is, until release is.
func (a *API) endWith(end func()) (release func()) {
	released, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-a.closing:
			end()
		case <-released:
		}
	}()
	return func() {
		close(released)
		<-over
	}
}
