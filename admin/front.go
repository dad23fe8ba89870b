package admin

import (
	"crypto/rand"
	"net/http"
	"regexp"
	"runtime/debug"
)

// requestID is what a caller may choose as the id of a request. Anything else is
// replaced: it goes into the log and the audit log.
var requestID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Request-Id")
	if !requestID.MatchString(id) {
		id = rand.Text()
	}
	h := w.Header()
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	q := question{request: id, instance: r.URL.EscapedPath()}
	r = r.WithContext(q.in(r.Context()))
	sent := &answer{ResponseWriter: w}
	defer a.recoverPanic(sent, r)
	if _, pattern := a.mux.Handler(r); pattern == "" {
		a.noRoute(sent, r)
		return
	}
	a.mux.ServeHTTP(sent, r)
}

// recoverPanic answers for a handler that panicked: one bad request must not end the
// daemon, nor go unseen.
func (a *API) recoverPanic(w *answer, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // a value that net/http asks to be passed on as it is
		panic(v)
	}
	q := questionOf(r.Context())
	a.log.ErrorContext(r.Context(), "handler panicked", "request", q.request, "path", q.instance, "err", v, "stack", string(debug.Stack()))
	if w.begun {
		panic(http.ErrAbortHandler) // the answer is cut, visibly
	}
	a.write(w, &Problem{
		Status: http.StatusInternalServerError, Code: "internal", Instance: q.instance, RequestID: q.request,
		Detail: "something went wrong that should not; the log has it under this request id",
	})
}

// noRoute answers for a path or a method that no operation has, as the mux would, but
// in the form of all other errors.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	probe := &probe{header: http.Header{}}
	a.mux.ServeHTTP(probe, r)
	q := questionOf(r.Context())
	p := &Problem{Status: http.StatusNotFound, Code: "no_such_path", Instance: q.instance, RequestID: q.request, Detail: "there is no such path; /docs lists them all"}
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		p.Status, p.Code, p.Detail = http.StatusMethodNotAllowed, "method_not_allowed", "this path does not take this method; the header Allow lists those that it takes"
	}
	a.write(w, p)
}

func (a *API) write(w http.ResponseWriter, p *Problem) {
	p.Title = http.StatusText(p.Status)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	if err := writeJSON(w, p); err != nil {
		a.log.Debug("answer not written", "request", p.RequestID, "err", err)
	}
}

// answer knows whether anything of it was sent.
type answer struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader implements http.ResponseWriter.
func (w *answer) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *answer) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// probe takes an answer that nobody gets to see.
type probe struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (p *probe) Header() http.Header { return p.header }

// Write implements http.ResponseWriter.
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (p *probe) WriteHeader(status int) { p.status = status }
