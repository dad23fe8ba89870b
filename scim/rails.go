package scim

import (
	"net/http"
	"sync"
	"time"
)

// rails watch how many people pushes of a source lock out within an hour. A provider
// that is told to by mistake, or by somebody who should not, can lock out everybody in
// a minute: that is to be seen at once, and to be taken back as one thing.
type rails struct {
	server *Server
	e      *endpoint

	*lockouts
}

// lockouts is what rails remember, whatever is configured anew meanwhile.
type lockouts struct {
	mu   sync.Mutex
	out  []time.Time // of late, in order; guarded by mu
	told time.Time   // guarded by mu
}

const railsHour = time.Hour

func newRails(s *Server, e *endpoint) *rails { return &rails{server: s, e: e, lockouts: &lockouts{}} }

// follow goes on from what older rails of the source remember: somebody who reloads the
// configuration does not begin the hour again.
func (r *rails) follow(old *rails) { r.lockouts = old.lockouts }

// allow is asked before a user is locked out. It refuses what goes beyond the rails,
// where they block.
func (r *rails) allow(now time.Time) error {
	c := r.e.config.Rails
	if !c.Block || !r.beyond(1, now) {
		return nil
	}
	return refuse(http.StatusForbidden, "", "this source has locked out more people within an hour than it may: an administrator has to look (rails)")
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
	active := counts.Users - counts.UsersInactive + counts.Barring + len(r.out)
	return float64(n) > c.Share*float64(active)
}
