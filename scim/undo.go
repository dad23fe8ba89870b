package scim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/state"
)

// Undo is what it takes to bring back whom pushes of a source locked out. Grants are no
// part of it: they have waited.
type Undo struct {
	Source identity.SourceID
	Digest string
	Users  []state.LockedOut
}

// PlanUndo returns whom pushes have locked out since an instant, and nothing has touched
// since. It is fault.NotFound when the source is not pushed to.
func (s *Server) PlanUndo(id identity.SourceID, since time.Time) (*Undo, error) {
	e, err := s.endpoint(id)
	if err != nil {
		return nil, err
	}
	return e.planUndo(s.db.View().Now(), since), nil
}

func (s *Server) endpoint(id identity.SourceID) (*endpoint, error) {
	e := (*s.sources.Load())[id]
	if e == nil {
		return nil, fault.New(fault.NotFound, "source_not_found", "there is no source %q that is pushed to", id)
	}
	return e, nil
}

func (e *endpoint) planUndo(s *state.Snapshot, since time.Time) *Undo {
	u := &Undo{Source: e.id, Users: slices.Collect(s.LockedOut(e.id, since))}
	slices.SortFunc(u.Users, func(a, b state.LockedOut) int { return a.Member.Compare(b.Member) })
	h := sha256.New()
	for _, x := range u.Users {
		_, _ = fmt.Fprintf(h, "%s %d\n", x.Key, x.Rev)
	}
	u.Digest = "sha256:" + hex.EncodeToString(h.Sum(nil))
	return u
}

// usersAtOnce is how many users one transaction of an undo brings back.
const usersAtOnce = 25

// StepsUndo returns the decisions that carry out the plan with this digest, in their
// order: the source is paused first, and stays so until somebody resumes it, so that
// its provider does not do it again at once. Each is for [state.DB.Decide]; what was
// touched meanwhile is left out. It is fault.Conflict when the plan is another now.
func (s *Server) StepsUndo(id identity.SourceID, since time.Time, digest string) ([]func(*state.Snapshot) ([]state.Change, error), error) {
	e, err := s.endpoint(id)
	if err != nil {
		return nil, err
	}
	plan := e.planUndo(s.db.View().Now(), since)
	if plan.Digest != digest {
		return nil, fault.New(fault.Conflict, "plan_changed", "what an undo would do has changed since you saw it: look at the plan again")
	}
	steps := []func(*state.Snapshot) ([]state.Change, error){func(*state.Snapshot) ([]state.Change, error) {
		return []state.Change{state.Pause{Source: id, On: true, Reason: fmt.Sprintf("an undo brings %d users back", len(plan.Users))}}, nil
	}}
	for part := range slices.Chunk(plan.Users, usersAtOnce) {
		steps = append(steps, func(s *state.Snapshot) ([]state.Change, error) { return e.reinstate(s, part) })
	}
	return steps, nil
}

// reinstate returns the changes that bring users back, as far as nothing touched them
// and nobody took their names.
func (e *endpoint) reinstate(s *state.Snapshot, users []state.LockedOut) (cs []state.Change, err error) {
	for _, u := range users {
		p, ok := s.PushedUser(e.id, u.Key)
		if !ok || p.Rev != u.Rev {
			continue
		}
		if id, taken := s.UserNamed(e.id, p.Name); taken && identity.UserMember(id) != p.Member {
			continue
		}
		o, err := schema.Decode([]byte(p.Body), e.users.typ)
		if err != nil {
			return nil, err
		}
		if o["active"] == false {
			o["active"] = true
		}
		c := &call{server: e.server, endpoint: e, kind: e.users}
		draft, err := c.draft(o, p.Key)
		if err != nil {
			return nil, err
		}
		cs = append(cs, state.Reinstate{User: u, Record: draft})
	}
	return cs, nil
}

// tell notes that a push locked a user out, and says so when too many were within an
// hour: in the log, in the audit log, and with it wherever that is carried.
func (r *rails) tell(c *call) {
	now := r.server.now()
	r.mu.Lock()
	r.out = append(r.out, now)
	quiet := now.Sub(r.told) < railsHour
	r.mu.Unlock()
	if quiet || !r.beyond(0, now) {
		return
	}
	r.mu.Lock()
	r.told = now
	n := len(r.out)
	r.mu.Unlock()
	r.server.log.Warn("pushes lock out many people", "source", r.e.id, "within", railsHour, "users", n, "token", c.token.ID,
		"undo", "rollcall scim undo "+string(r.e.id))
	_, err := r.server.db.Push(c.detached(), c.actor(), func(*state.Snapshot) ([]state.Change, error) {
		return []state.Change{
			state.Tell{Event: audit.Event{
				Action: "MassDeactivation", Target: "source/" + string(r.e.id),
				Reason:  fmt.Sprintf("pushes locked out %d users within an hour", n),
				Changes: []audit.Change{{Field: "users", After: []string{itoa(n)}}},
			}},
		}, nil
	})
	if err != nil {
		r.server.log.Error("mass deactivation not audited", "source", r.e.id, "err", err)
	}
}

// paused refuses pushes to a source that somebody paused.
func (c *call) paused(s *state.Snapshot) error {
	st := s.Source(c.endpoint.id)
	if st.Paused.IsZero() || c.method == "GET" || c.method == "HEAD" || strings.HasSuffix(c.path, ".search") {
		return nil
	}
	p := refuse(503, "", "the source is paused: an administrator has to resume it")
	p.header = map[string][]string{"Retry-After": {"300"}}
	return p
}
