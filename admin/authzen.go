package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// The endpoints of the OpenID AuthZEN Authorization API 1.0. They are handlers of
// net/http and not operations of huma: the specification has other errors (400 with a
// sentence, and a denial is a 200), asks that unknown members are ignored, and here
// the time of an answer counts most.

// The paths. They are in the discovery document, too.
const (
	pathEvaluation     = "/access/v1/evaluation"
	pathEvaluations    = "/access/v1/evaluations"
	pathSearchSubject  = "/access/v1/search/subject"
	pathSearchResource = "/access/v1/search/resource"
	pathSearchAction   = "/access/v1/search/action"
	pathDiscovery      = "/.well-known/authzen-configuration"
)

// deciding is who may ask for decisions about others; about himself everybody may.
var deciding = need{anyOf: []permissions.Permission{permissions.FetchPolicyInfo}, self: true, later: true}

// accessCall is one request and its answer, with the memory for both, which is used
// again for the next one.
type accessCall struct {
	body bytes.Buffer
	out  []byte
	scan scan
	q    authzenRequest
	decider
}

// accessRoutes registers the endpoints.
func (a *API) accessRoutes() {
	calls := &sync.Pool{New: func() any { return &accessCall{} }}
	for path, endpoint := range map[string]struct {
		operation string
		answer    func(*API, *accessCall) error
	}{
		pathEvaluation:     {"accessEvaluation", (*API).evaluation},
		pathEvaluations:    {"accessEvaluations", (*API).evaluations},
		pathSearchSubject:  {"accessSearchSubject", (*API).searchSubject},
		pathSearchResource: {"accessSearchResource", (*API).searchResource},
		pathSearchAction:   {"accessSearchAction", (*API).searchAction},
	} {
		o := operation{id: endpoint.operation, method: http.MethodPost, path: path, need: deciding, decision: true}
		a.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			began, status := time.Now(), http.StatusOK
			c, _ := calls.Get().(*accessCall)
			defer func() {
				a.count(c.caller, o.id, status, "")
				c.forget()
				calls.Put(c)
				a.metrics.request(o.id, strconv.Itoa(status), time.Since(began))
			}()
			err := a.begin(c, w, r, &o)
			if err == nil {
				err = endpoint.answer(a, c)
			}
			if err != nil {
				status = a.refusePlainly(w, r, err)
				return
			}
			a.send(w, r, c.out)
		})
	}
	a.mux.HandleFunc("GET "+pathDiscovery, a.discover)
}

// largestKept is how much memory of a request is used again.
const largestKept = 64 << 10

// forget gives back what only a large request needed, and everything it was about.
func (c *accessCall) forget() {
	c.decider = decider{names: c.names}
	if c.body.Cap() > largestKept {
		c.body, c.q.items = bytes.Buffer{}, nil
	}
	if cap(c.out) > largestKept {
		c.out = nil
	}
	if cap(c.scan.texts) > largestKept || len(c.scan.names) > largestKept/16 {
		c.scan = scan{}
	}
}

// begin finds out who asks, reads what he asks, and takes the snapshot that answers.
func (a *API) begin(c *accessCall, w http.ResponseWriter, r *http.Request, o *operation) error {
	caller, err := a.enter(w, r, o)
	c.caller = caller // also when it comes to nothing: it is counted
	if err != nil {
		return err
	}
	if err := readBody(&c.body, w, r); err != nil {
		return err
	}
	c.scan.reset(c.body.Bytes())
	c.q.read(&c.scan)
	if c.scan.bad != "" {
		return badRequest(c.scan.bad)
	}
	snap, err := a.await(r.Context(), &c.q)
	if err != nil {
		return err
	}
	c.decider = decider{
		book: snap.Book(), snap: snap, now: a.now(), caller: caller, stale: a.staleSince(), names: c.names,
	}
	c.policy = a.holds(snap, caller, deciding.anyOf...)
	c.detailed = c.policy && a.holds(snap, caller, readers.anyOf...)
	c.out = c.out[:0]
	return nil
}

// enter is what every handler that is not an operation of huma begins with: it
// returns who asks, if he may, as admit does for the others.
func (a *API) enter(w http.ResponseWriter, r *http.Request, o *operation) (access.Caller, error) {
	ctx := humago.NewContext(&huma.Operation{}, r, w)
	caller, err := a.authenticate(ctx)
	if err == nil {
		caller, err = a.answeredAs(ctx, o, caller)
	}
	if err != nil {
		return caller, err
	}
	if err := a.mayCall(&o.need, caller, ""); err != nil {
		return caller, err
	}
	return caller, a.fresh(ctx, o)
}

// await returns a snapshot of the revision that the question asks for, or a newer one.
func (a *API) await(ctx context.Context, q *authzenRequest) (*state.Snapshot, error) {
	rev := q.minRevision
	for i := range q.items {
		rev = max(rev, q.items[i].minRevision)
	}
	if snap := a.db.View().Now(); snap.Rev() >= rev {
		return snap, nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxRevisionWait)
	defer cancel()
	return a.db.View().AtLeast(ctx, rev)
}

// readBody reads a body of JSON into memory.
func readBody(to *bytes.Buffer, w http.ResponseWriter, r *http.Request) error {
	if t := r.Header.Get("Content-Type"); t != "application/json" {
		if media, _, err := mime.ParseMediaType(t); err != nil || media != "application/json" {
			return badRequest("send the body as Content-Type: application/json")
		}
	}
	to.Reset()
	_, err := to.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Problem{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Detail: "a body may have " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"}
	}
	if err != nil {
		return badRequest("the body could not be read")
	}
	if to.Len() == 0 {
		return badRequest("the body is empty")
	}
	return nil
}

func badRequest(what string) error { return fault.New(fault.Invalid, "bad_request", "%s", what) }

// refusePlainly answers with an error as the specification has it: a status and a
// sentence. It returns the status.
func (a *API) refusePlainly(w http.ResponseWriter, r *http.Request, err error) int {
	p := a.problem(r.Context(), err)
	maps.Copy(w.Header(), p.header)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(p.Status)
	if _, err := io.WriteString(w, p.Detail); err != nil { //nolint:gosec // not HTML: text/plain, and the front says nosniff
		a.log.DebugContext(r.Context(), "answer not written", "path", r.URL.Path, "err", err)
	}
	return p.Status
}

// send answers with JSON that is whole.
func (a *API) send(w http.ResponseWriter, r *http.Request, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	if _, err := w.Write(body); err != nil { //nolint:gosec // JSON, and the front says nosniff
		a.log.DebugContext(r.Context(), "answer not written", "path", r.URL.Path, "err", err)
	}
}
