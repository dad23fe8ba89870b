package scim

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/state"
)

func itoa(n int) string { return strconv.Itoa(n) }

// call is a request on its way, or one operation of a bulk request.
type call struct {
	server   *Server
	endpoint *endpoint // nil until it is known
	r        *http.Request
	began    time.Time
	request  string
	token    state.Token

	method string
	path   string // below the source, as in /Users/2819c223
	kind   *kind  // the resource type; nil for the root and for discovery
	id     string
	query  url.Values
	header http.Header
	body   []byte

	notes []dialect.Note
	reply *reply // of a write, set by what the library calls
	err   error  // of a write
	input any    // of a write, what the body was read as
	spent *int   // of an operation of a bulk request: what all of them have looked at
	locks bool   // the write locks a user out
}

// reply is an answer. stream, when set, writes the body instead of body.
type reply struct {
	status int
	header http.Header
	body   []byte
	etag   string
	at     string                          // where the resource is that the body shows
	stream func(http.ResponseWriter) error // writes the status, too, with its first byte
	id     string                          // of the resource that was written
}

func (c *call) ctx() context.Context { return c.r.Context() }

// detached is a context that outlives the request.
func (c *call) detached() context.Context { return context.WithoutCancel(c.ctx()) }

func (c *call) sourceID() identity.SourceID {
	if c.endpoint == nil {
		return ""
	}
	return c.endpoint.id
}

// actor returns the token as the audit log names it.
func (c *call) actor() audit.Actor {
	return audit.Actor{
		Kind: audit.ActorPush, ID: string(c.endpoint.id) + "/" + c.token.ID, Name: string(c.endpoint.id) + "/" + c.token.Name,
		Key: c.token.ID, Request: c.request,
	}
}

// base is the URL that locations begin with.
func (c *call) base() string {
	if c.server.url != "" {
		return c.server.url + Prefix + string(c.endpoint.id)
	}
	scheme := "http://"
	if c.r.TLS != nil {
		scheme = "https://"
	}
	return scheme + c.r.Host + Prefix + string(c.endpoint.id)
}

// impersonateHeader asks the admin API to answer as another user. It is refused here and
// not overlooked: whoever sends it expects that nothing is changed.
const impersonateHeader = "Rollcall-Impersonate"

// handle finds out what a request is and answers it.
func (c *call) handle() (*reply, error) {
	c.method, c.header = c.r.Method, c.r.Header
	if len(c.r.RequestURI) > maxURL {
		return nil, refuse(http.StatusRequestURITooLong, "", "the URL is over the limit of "+itoa(maxURL)+" bytes: use POST and .search")
	}
	rest, ok := strings.CutPrefix(c.r.URL.EscapedPath(), Prefix)
	if !ok {
		return nil, refuse(http.StatusNotFound, "", "the endpoint is at "+Prefix+"<source>")
	}
	name, path, _ := strings.Cut(rest, "/")
	token, err := c.server.authenticate(c.r, identity.SourceID(name))
	if err != nil {
		return nil, err
	}
	if len(c.header.Values(impersonateHeader)) > 0 {
		return nil, refuse(http.StatusBadRequest, "", "a provider is nobody else: "+impersonateHeader+" is for the admin API")
	}
	c.token = token
	if c.endpoint = (*c.server.sources.Load())[identity.SourceID(name)]; c.endpoint == nil {
		return nil, refuse(http.StatusNotFound, "", "source "+name+" is not pushed to, or not any more")
	}
	if c.endpoint.disabled {
		return nil, refuse(http.StatusForbidden, "", "source "+name+" is disabled: an administrator has to enable it")
	}
	c.server.touch(c)
	if err := c.locate("/" + path); err != nil {
		return nil, err
	}
	if c.query, err = readQuery(c.r.URL.RawQuery); err != nil {
		return nil, err
	}
	if hasBody(c.method) {
		most := int64(maxBody)
		if c.body, err = readBody(c.r, most); err != nil {
			return nil, err
		}
	}
	return c.do()
}

func hasBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// locate finds the resource that a path below the source means. Endpoints are found in
// any case, and with a slash too many.
func (c *call) locate(escaped string) error {
	parts := strings.Split(strings.Trim(escaped, "/"), "/")
	if len(parts) > 2 && !strings.EqualFold(parts[len(parts)-1], ".search") || len(parts) > 3 {
		return notFound("the path " + clip(escaped))
	}
	for i, p := range parts {
		text, err := url.PathUnescape(p)
		if err != nil {
			return notFound("the path " + clip(escaped))
		}
		parts[i] = text
	}
	c.kind, c.id = nil, ""
	if k := c.endpoint.kindAt(parts[0]); k != nil {
		c.kind, parts[0] = k, k.typ.Endpoint[1:]
		if len(parts) == 2 && !strings.EqualFold(parts[1], ".search") {
			c.id = parts[1]
		}
	}
	c.path = "/" + strings.Join(parts, "/")
	return nil
}

// clip keeps what an answer or a log repeats of a request short.
func clip(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "..."
	}
	return s
}

// do answers a located call.
func (c *call) do() (*reply, error) {
	if err := c.server.stale(); err != nil {
		return nil, err
	}
	if err := c.paused(c.server.db.View().Now()); err != nil {
		return nil, err
	}
	route := c.endpoint.route(c)
	if route == nil {
		return nil, notFound("the path " + clip(c.path))
	}
	method := c.method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	do, ok := route[method]
	if !ok {
		return nil, notAllowed(route)
	}
	return do(c)
}

// route is what a path answers to, by method.
type route map[string]func(*call) (*reply, error)

func notAllowed(r route) *problem {
	methods := make([]string, 0, len(r)+1)
	for m := range r {
		methods = append(methods, m)
		if m == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	allow := strings.Join(methods, ", ")
	p := refuse(http.StatusMethodNotAllowed, "", "this path takes "+allow)
	p.header = http.Header{"Allow": {allow}}
	return p
}

// write sends the reply. An answer to HEAD has no body.
func (r *reply) write(w http.ResponseWriter, req *http.Request, log *slog.Logger) {
	h := w.Header()
	maps.Copy(h, r.header)
	if r.etag != "" {
		h["Etag"] = []string{r.etag}
	}
	if r.at != "" {
		h["Location"] = []string{r.at}
		h["Content-Location"] = h["Location"]
	}
	if r.stream == nil && len(r.body) == 0 {
		w.WriteHeader(r.status)
		return
	}
	h["Content-Type"] = []string{mediaType}
	var err error
	switch {
	case req.Method == http.MethodHead:
		w.WriteHeader(r.status)
	case r.stream != nil:
		err = r.stream(w)
	default:
		h["Content-Length"] = []string{itoa(len(r.body))}
		w.WriteHeader(r.status)
		_, err = w.Write(r.body)
	}
	if err != nil {
		log.DebugContext(req.Context(), "answer not written", "path", req.URL.Path, "err", err)
	}
}
