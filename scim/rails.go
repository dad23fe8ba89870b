package scim

import (
	"net/http"
	"sync"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// rails watch how many people pushes of a source lock out within an hour. A provider
// that is told to by mistake, or by somebody who should not, can lock out everybody in
// a minute: that is to be seen at once, and to be taken back as one thing.
type rails struct {
	server *Server
	e      *endpoint

	mu   sync.Mutex
	out  []time.Time // of late, in order; guarded by mu
	told time.Time   // guarded by mu
}

const railsHour = time.Hour

func newRails(s *Server, e *endpoint) *rails { return &rails{server: s, e: e} }

// deactivating is asked before a write that may lock a user out.
func (r *rails) deactivating(p state.Pushed, next *identity.Record, now time.Time) error {
	if p.Member.IsGroup() || p.Off || next.Disabled == identity.Active {
		return nil
	}
	return r.locksOut(now)
}

// removing is asked before a user is taken away.
func (r *rails) removing(p state.Pushed, now time.Time) error {
	if p.Member.IsGroup() || p.Off {
		return nil
	}
	return r.locksOut(now)
}

// locksOut refuses what goes beyond the rails, where they block.
func (r *rails) locksOut(now time.Time) error {
	c := r.e.config.Rails
	if !c.Block || !r.beyond(1, now) {
		return nil
	}
	p := refuse(http.StatusForbidden, "", "this source has locked out more people within an hour than it may: an administrator has to look (rails)")
	return p
}

// beyond reports whether so many more would be too many.
func (r *rails) beyond(more int, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.out) > 0 && now.Sub(r.out[0]) >= railsHour {
		r.out = r.out[1:]
	}
	n := len(r.out) + more
	c := r.e.config.Rails
	if n <= c.Count {
		return false
	}
	counts := r.server.db.View().Now().Counts()[r.e.id]
	active := counts.Users - counts.UsersInactive + len(r.out)
	return float64(n) > c.Share*float64(active)
}
