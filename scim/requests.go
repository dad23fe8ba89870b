package scim

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

// Request is what came over the network, what was made of it, and how it ended. It
// holds no value of an attribute.
type Request struct {
	Time     time.Time     `json:"time"`
	Request  string        `json:"requestId"`
	Token    string        `json:"token"` // public id
	Method   string        `json:"method"`
	Path     string        `json:"path"` // below the source, with the names of what was asked in the query
	Status   int           `json:"status"`
	Error    string        `json:"error,omitzero"`
	Resource string        `json:"resource,omitzero"`
	Took     time.Duration `json:"tookNanos"`
	// Notes say what the request was changed into before it was carried out.
	Notes []string `json:"notes,omitempty"`
	Agent string   `json:"userAgent,omitzero"`
}

// kept is how many requests of a source are remembered.
const kept = 1000

// requestLog is the last requests of a source.
type requestLog struct {
	mu   sync.Mutex
	ring []Request // guarded by mu
	next int       // guarded by mu
}

func newRequestLog() *requestLog { return &requestLog{} }

func (l *requestLog) add(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) < kept {
		l.ring = append(l.ring, r)
		return
	}
	l.ring[l.next] = r
	l.next = (l.next + 1) % kept
}

// newest returns the last requests, the newest first.
func (l *requestLog) newest() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Request, 0, len(l.ring))
	for i := range l.ring {
		out = append(out, l.ring[(l.next+len(l.ring)-1-i)%len(l.ring)])
	}
	return out
}

// Requests returns the last requests of a source, the newest first, and whether it is
// one that is pushed to.
func (s *Server) Requests(id identity.SourceID) ([]Request, bool) {
	e := (*s.sources.Load())[id]
	if e == nil {
		return nil, false
	}
	return e.log.newest(), true
}

// maxNotes is how many notes of one request are kept.
const maxNotes = 20

// note remembers how a request ended.
func (c *call) note(rep *reply) {
	if c.endpoint == nil {
		return
	}
	r := Request{
		Time: c.began.UTC(), Request: c.request, Token: c.token.ID, Method: c.method, Path: c.shownPath(), Status: rep.status,
		Resource: rep.id, Took: c.server.now().Sub(c.began), Agent: clip(c.header.Get("User-Agent")),
	}
	if rep.status >= http.StatusBadRequest {
		r.Error = detailOf(rep.body)
	}
	for i, n := range c.notes {
		if i == maxNotes {
			r.Notes = append(r.Notes, itoa(len(c.notes)-i)+" more")
			break
		}
		r.Notes = append(r.Notes, n.String())
	}
	c.endpoint.log.add(r)
}

// shownPath is the path without what the query says: filters name people.
func (c *call) shownPath() string {
	path := clip(c.path)
	if len(c.query) == 0 {
		return path
	}
	names := make([]string, 0, len(c.query))
	for name := range c.query {
		names = append(names, clip(name))
	}
	return path + "?" + strings.Join(sorted(names), "&")
}
