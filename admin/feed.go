package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// The change feed: server-sent events that say what changed, not how. An application
// that keeps a copy of what it has read learns from it what to read again.

// feeding is who may follow the feed.
var feeding = need{anyOf: []permissions.Permission{permissions.FetchPolicyInfo}}

// What the feed keeps to, beside the heartbeat that all streams have.
const (
	eventsAtOnce = 1000             // are taken from memory at a time
	writeTimeout = 30 * time.Second // of a reader that takes nothing
)

// ChangeEvent is one event of the feed.
type ChangeEvent struct {
	// Kind is user, group, membership, grant, permission, settings, source, or bookmark.
	Kind string `json:"kind"`
	// ID is of the user or group; of a grant, of whom it is to; the name of a
	// permission or of a source.
	ID string `json:"id,omitzero"`
	// Subject says whether ID is that of a user or of a group.
	Subject    string         `json:"subject,omitzero"`
	Permission string         `json:"permission,omitzero"` // of a grant
	Removed    bool           `json:"removed,omitzero"`
	Revision   store.Revision `json:"revision"`
}

type followEventsInput struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"20" doc:"Goes on after the event with this id"`
	Since       string `query:"since" maxLength:"20" doc:"Without Last-Event-ID: goes on after this revision, as another answer gave it; nothing: from now on"`
	Accept      string `header:"Accept" maxLength:"512"`
}

func (a *API) feedRoutes() {
	register(a, operation{
		id: "followEvents", method: http.MethodGet, path: "/v1/events", tag: "Answers", need: feeding, timeout: long, endless: true, media: eventStream,
		summary: "Follow what changes, as server-sent events", errors: []int{http.StatusNotAcceptable, http.StatusGone},
	}, a.followEvents)
}

// followEvents sends each change as an event whose id is its revision. A stream ends
// when the time that a request may take is over; the reader comes back with the last
// id and misses nothing.
func (a *API) followEvents(ctx context.Context, in *followEventsInput) (*huma.StreamResponse, error) {
	if !acceptsEvents(in.Accept) {
		return nil, endless(ctx, http.StatusNotAcceptable, "not_acceptable", "this answer never ends: ask for it with Accept: text/event-stream")
	}
	from, err := a.resumeAt(ctx, cmp.Or(in.LastEventID, in.Since))
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		out.SetHeader("Content-Type", "text/event-stream")
		out.SetHeader("X-Accel-Buffering", "no") // a proxy that collects events would keep them back
		w, ok := out.BodyWriter().(http.ResponseWriter)
		if !ok {
			return // cannot be: there is no other server than that of net/http
		}
		s := &stream{a: a, w: w, control: http.NewResponseController(w), caller: questionOf(ctx).caller, at: from}
		err := s.follow(ctx)
		a.log.DebugContext(ctx, "feed ended", "request", questionOf(ctx).request, "rev", s.at, "err", err)
	}}, nil
}

func endless(ctx context.Context, status int, code, detail string) *Problem {
	q := questionOf(ctx)
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail, Instance: q.instance, RequestID: q.request}
}

// resumeAt returns the revision after which a reader goes on; without one it is the
// newest.
func (a *API) resumeAt(ctx context.Context, text string) (store.Revision, error) {
	newest := a.db.View().Now().Rev()
	if text == "" {
		return newest, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fault.New(fault.Invalid, "bad_revision", "Last-Event-ID, or since, is a revision: a whole number")
	}
	rev := store.Revision(n)
	if rev > newest {
		return 0, fault.New(fault.Unavailable, "not_visible_yet",
			"revision %d is not visible here yet; if that does not pass, the store was set back: read everything again", rev)
	}
	if _, _, ok := a.db.View().Changes(rev, 1); !ok {
		return 0, endless(ctx, http.StatusGone, "events_gone",
			"the changes after this revision are no longer known one by one: read everything again (GET /v1/effective) and follow from the revision that it gives")
	}
	return rev, nil
}

// stream is a reader of the feed.
type stream struct {
	a       *API
	w       http.ResponseWriter
	control *http.ResponseController
	caller  access.Caller
	at      store.Revision // everything up to here was sent
	marked  store.Revision // the last one that an id was sent of
	buf     []byte
}

// follow sends what changes until the reader goes, may no longer read, or has fallen
// so far behind that some of it is forgotten: then he is told so when he comes back.
func (s *stream) follow(ctx context.Context) error {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	if err := s.bookmark(); err != nil {
		return err
	}
	for {
		changed := s.a.db.View().Changed()
		if more, err := s.catchUp(); err != nil || !more {
			return err
		}
		select {
		case <-changed:
		case <-tick.C:
			if err := s.beat(); err != nil {
				return err
			}
		case <-s.a.closing:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// catchUp sends what there is. It reports false when the stream is over.
func (s *stream) catchUp() (bool, error) {
	for {
		if !s.a.mayStill(s.caller, &feeding) {
			return false, nil
		}
		changes, upTo, ok := s.a.db.View().Changes(s.at, eventsAtOnce)
		if !ok {
			return false, nil
		}
		if upTo <= s.at {
			return true, nil
		}
		if err := s.send(changes); err != nil {
			return false, err
		}
		s.at = upTo
	}
}

// send writes events. Only the last of a revision has an id: who comes back in the
// middle of one is sent all of it again.
func (s *stream) send(changes []state.Changed) error {
	for i := range changes {
		c := &changes[i]
		if i+1 == len(changes) || changes[i+1].Rev != c.Rev {
			s.buf = fmt.Appendf(s.buf, "id: %d\n", c.Rev)
			s.marked = c.Rev
		}
		if err := s.event(eventOf(c)); err != nil {
			return err
		}
	}
	return s.write()
}

func eventOf(c *state.Changed) ChangeEvent {
	e := ChangeEvent{Kind: string(c.Kind), ID: c.Name, Removed: c.Removed, Revision: c.Rev}
	switch c.Kind {
	case state.UserChange, state.GroupChange, state.MembershipChange, state.GrantChange:
		e.Permission = c.Name
		if g, ok := c.Member.Group(); ok {
			e.ID, e.Subject = g.String(), "group"
		} else {
			u, _ := c.Member.User()
			e.ID, e.Subject = u.String(), "user"
		}
	case state.PermissionChange, state.SettingsChange, state.SourceChange:
	}
	return e
}

func (s *stream) event(e ChangeEvent) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	s.buf = fmt.Appendf(s.buf, "event: %s\ndata: %s\n\n", e.Kind, data)
	return nil
}

// bookmark says up to where the reader has everything, which may be further than the
// last event was.
func (s *stream) bookmark() error {
	s.buf = fmt.Appendf(s.buf, "id: %d\n", s.at)
	s.marked = s.at
	if err := s.event(ChangeEvent{Kind: "bookmark", Revision: s.at}); err != nil {
		return err
	}
	return s.write()
}

// beat keeps the connection, and the reader's position, from growing old.
func (s *stream) beat() error {
	if s.at > s.marked {
		return s.bookmark()
	}
	s.buf = append(s.buf, ": still here\n\n"...)
	return s.write()
}

func (s *stream) write() error {
	err := s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = s.w.Write(s.buf)
	}
	s.buf = s.buf[:0]
	if err == nil {
		err = s.control.Flush()
	}
	if err != nil {
		return fmt.Errorf("write to a reader of the feed: %w", err)
	}
	return nil
}
