package scim

import (
	"bytes"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// push writes what a call decides, if its token and its source still are what they were
// when it came: a bulk request takes long, and so may a body.
func (c *call) push(decide func(*state.Snapshot) ([]state.Change, error)) (store.Revision, error) {
	c.locks = false
	rev, err := c.server.db.Push(c.ctx(), c.actor(), func(s *state.Snapshot) ([]state.Change, error) {
		if t, ok := s.Token(c.token.ID); !ok || t.Source != c.endpoint.id {
			return nil, refuse(http.StatusUnauthorized, "", "the token was revoked meanwhile")
		}
		if err := c.paused(s); err != nil {
			return nil, err
		}
		cs, err := decide(s)
		if err == nil && len(cs) > 0 {
			cs = append([]state.Change{state.Standing{Source: c.endpoint.id}}, cs...)
		}
		return cs, err
	})
	if err == nil && c.locks {
		c.endpoint.rails.tell(c)
	}
	return rev, err
}

// member is one of an object as it is written.
type member struct {
	name  string
	value []byte
}

// changesBetween tells the audit log which attributes a write changes. What is written
// alike is not looked at.
func changesBetween(before, after []byte, t *schema.ResourceType) []audit.Change {
	had, has := schema.Raw{Type: t, JSON: before}, schema.Raw{Type: t, JSON: after}
	var few [32]member // as many as a user has
	gone := few[:0]
	for name, value := range schema.Members(before) {
		gone = append(gone, member{name, value})
	}
	var names []string
	for name, value := range schema.Members(after) {
		i := slices.IndexFunc(gone, func(m member) bool { return m.name == name })
		if i < 0 || !bytes.Equal(gone[i].value, value) {
			names = append(names, name)
		}
		if i >= 0 {
			gone = slices.Delete(gone, i, i+1)
		}
	}
	for _, m := range gone {
		names = append(names, m.name)
	}
	slices.Sort(names)
	var changes []audit.Change
	for _, name := range names {
		was, is := had.Value(name), has.Value(name)
		if name != "schemas" && !reflect.DeepEqual(was, is) {
			changes = append(changes, audit.Change{Field: name, Before: told(was), After: told(is)})
		}
	}
	return changes
}

// told is a value as the audit log has it.
func told(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, told(e)...)
		}
		return all
	}
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return nil
	}
	return []string{string(b)}
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// detailOf reads the text of a problem.
func detailOf(body []byte) string {
	var p struct {
		Detail string `json:"detail"`
	}
	_ = json.Unmarshal(body, &p)
	return clip(p.Detail)
}

// touchEvery is how often the use of a token is written down.
const touchEvery = time.Hour

// touches remembers which tokens are being noted as used.
type touches struct {
	mu    sync.Mutex
	under map[string]bool // guarded by mu
}

// touch notes that a token was used, at most once an hour.
func (s *Server) touch(c *call) {
	now := s.now()
	if now.Sub(c.token.Used) < touchEvery {
		return
	}
	s.used.mu.Lock()
	defer s.used.mu.Unlock()
	if s.used.under[c.token.ID] {
		return
	}
	s.used.under[c.token.ID] = true
	go func() {
		defer func() {
			s.used.mu.Lock()
			defer s.used.mu.Unlock()
			delete(s.used.under, c.token.ID)
		}()
		_, err := s.db.Push(c.detached(), c.actor(), func(*state.Snapshot) ([]state.Change, error) {
			return []state.Change{state.TouchToken{ID: c.token.ID, At: now}}, nil
		})
		if err != nil {
			s.log.Debug("use of a token not noted", "token", c.token.ID, "err", err)
		}
	}()
}
