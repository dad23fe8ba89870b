package scim

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// Prefix is where the endpoint is: the name of a source follows.
const Prefix = "/scim/v2/"

// Options are what New needs. DB is required.
type Options struct {
	DB     *state.DB
	Log    *slog.Logger     // default: discards
	Now    func() time.Time // default: time.Now
	Limits *access.Limiter  // nil: none
	// PublicURL is how providers reach the daemon, as in https://rollcall.example.org;
	// "": as the request says.
	PublicURL string
	// Fresh reports whether the state may be answered from, although the store may not
	// answer; nil: it always may.
	Fresh func() bool
}

// Server is the endpoint of all sources that are pushed to.
type Server struct {
	db     *state.DB
	log    *slog.Logger
	now    func() time.Time
	limits *access.Limiter
	url    string
	fresh  func() bool
	used   touches
	large  room // for large bodies

	sources atomic.Pointer[map[identity.SourceID]*endpoint]
}

// New returns a server without sources.
func New(o Options) (*Server, error) {
	if o.DB == nil {
		return nil, errors.New("scim: Options.DB is missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Fresh == nil {
		o.Fresh = func() bool { return true }
	}
	s := &Server{db: o.DB, log: o.Log, now: o.Now, limits: o.Limits, url: strings.TrimRight(o.PublicURL, "/"), fresh: o.Fresh, used: touches{under: map[string]bool{}}, large: newRoom()}
	s.sources.Store(&map[identity.SourceID]*endpoint{})
	return s, nil
}

// Reload makes these the sources that are pushed to. When it returns an error nothing
// has changed.
func (s *Server) Reload(sources []Source) error {
	next := map[identity.SourceID]*endpoint{}
	have := *s.sources.Load()
	for _, src := range sources {
		e, err := newEndpoint(s, src)
		if err != nil {
			return err
		}
		if old := have[src.ID]; old != nil {
			e.log = old.log // what came before stays to be looked at
			e.rails.follow(old.rails)
			e.joins = old.joins.kept(e.joins)
		}
		next[src.ID] = e
	}
	s.sources.Store(&next)
	return nil
}

// Limits of a request. Those of a resource are in package state.
const (
	maxURL  = 8 << 10
	maxBody = 1 << 20
)

// requestID is what a caller may choose as the id of a request.
var requestID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ServeHTTP implements http.Handler. The path begins with [Prefix].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{server: s, r: r, began: s.now(), request: r.Header.Get("X-Request-Id")}
	if !requestID.MatchString(c.request) {
		c.request = rand.Text()
	}
	h := w.Header()
	h["X-Request-Id"] = []string{c.request}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h["Cache-Control"] = []string{"no-store"}
	sent := &sending{ResponseWriter: w}
	defer s.recoverPanic(sent, c)
	rep, err := c.handle()
	if err != nil {
		rep = s.failed(c, err)
	}
	c.note(rep)
	rep.write(sent, r, s.log)
}

// failed returns the answer to a request that was refused or went wrong.
func (s *Server) failed(c *call, err error) *reply {
	p := problemOf(err)
	if p == nil {
		s.log.ErrorContext(c.r.Context(), "request failed", "request", c.request, "source", c.sourceID(), "method", c.method, "path", c.path, "err", err)
		p = refuse(http.StatusInternalServerError, "", "something went wrong that should not; the log has it under request id "+c.request)
	}
	return &reply{status: p.status, header: p.header, body: p.body()}
}

// recoverPanic answers for a handler that panicked: one bad request must not end the
// daemon, nor go unseen.
func (s *Server) recoverPanic(w *sending, c *call) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // a value that net/http asks to be passed on as it is
		panic(v)
	}
	s.log.Error("handler panicked", "request", c.request, "source", c.sourceID(), "method", c.method, "path", c.path, "err", v, "stack", string(debug.Stack()))
	if w.begun {
		panic(http.ErrAbortHandler) // the answer is cut, visibly
	}
	p := refuse(http.StatusInternalServerError, "", "something went wrong that should not; the log has it under request id "+c.request)
	rep := &reply{status: p.status, body: p.body()}
	c.note(rep)
	rep.write(w, c.r, s.log)
}

// sending knows whether anything of an answer was sent.
type sending struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader implements http.ResponseWriter.
func (w *sending) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *sending) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *sending) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// authenticate returns the token that a request presents, if it is one of the source.
// It says the same of a source that does not exist as of a token that does not count.
func (s *Server) authenticate(r *http.Request, source identity.SourceID) (state.Token, error) {
	cred, err := access.FromHeader(r.Header)
	if err == nil {
		snap := s.db.View().Now()
		token, known := snap.Token(cred.ID())
		ends := token.Expires
		if known && cred.Matches(token.Hash) && cred.Kind() == access.KindPush && token.Source == source && (ends.IsZero() || s.now().Before(ends)) {
			return token, s.allow(token)
		}
		err = errors.New("the token is unknown, revoked or expired, or it is one of another source")
	}
	if often := s.limits.Failure(r.RemoteAddr); often != nil {
		return state.Token{}, tooMany(often)
	}
	p := refuse(http.StatusUnauthorized, "", err.Error())
	p.header = http.Header{"Www-Authenticate": {`Bearer realm="rollcall"`}}
	return state.Token{}, p
}

// allow counts a request against the limit of its token.
func (s *Server) allow(t state.Token) error {
	if err := s.limits.Request(access.Caller{Kind: access.KindPush, Token: t.ID}); err != nil {
		return tooMany(err)
	}
	return nil
}

func tooMany(err error) *problem {
	p := refuse(http.StatusTooManyRequests, "", "too many requests: slow down")
	if t, ok := errors.AsType[*access.TooMany](err); ok {
		p.header = http.Header{"Retry-After": {itoa(t.Seconds())}}
	}
	return p
}

// readBody returns the body of a request, which is JSON of at most maxBody bytes.
func readBody(r *http.Request, most int64) ([]byte, error) {
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil, refuse(http.StatusUnsupportedMediaType, "", "send the body as application/scim+json or application/json")
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, refuse(http.StatusUnsupportedMediaType, "", "send the body as it is, without a content encoding")
	}
	size := r.ContentLength
	if size > most {
		return nil, tooLarge(most)
	}
	b := make([]byte, 0, max(512, size+1))
	for {
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > most:
			return nil, tooLarge(most)
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, refuse(http.StatusBadRequest, "invalidSyntax", "the body ended before it was whole")
		case len(b) == cap(b):
			b = append(b, 0)[:len(b)]
		}
	}
}

func tooLarge(most int64) *problem {
	return refuse(http.StatusRequestEntityTooLarge, "", "the body is over the limit of "+itoa(int(most))+" bytes")
}

// isJSON reports whether a content type is one that a SCIM request may have; without
// one it is taken for the usual.
func isJSON(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(t)) {
	case "", mediaType, "application/json":
		return true
	}
	return false
}

// stale refuses to answer when what is remembered is too old.
func (s *Server) stale() error {
	if !s.fresh() {
		return fault.New(fault.Unavailable, "stale", "the store cannot be reached")
	}
	return nil
}
