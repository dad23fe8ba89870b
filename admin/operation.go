package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rollcall-id/rollcall/permissions"
)

// maxBody is the size of the largest body that is read.
const maxBody = 1 << 20

// The time that a request may take. Reading a whole directory for a plan takes long.
const (
	quick = 30 * time.Second
	long  = 20 * time.Minute
)

// need is who may call an operation.
type need struct {
	// anyOf are permissions of which one suffices; none: every known caller may.
	anyOf []permissions.Permission
	// self lets a user without any of them ask about himself: the {user} of the path.
	self bool
	// later leaves it to the handler to find out whom the caller asks about: the user
	// is not named in the path.
	later bool
	// open lets everybody call, known or not.
	open bool
}

// The needs of this API.
var (
	nobody   = need{open: true}
	anybody  = need{}
	userWork = need{anyOf: []permissions.Permission{permissions.UserAdmin}}
	readers  = need{anyOf: []permissions.Permission{permissions.UserAdmin, permissions.Audit}}
	readSelf = need{anyOf: readers.anyOf, self: true}
	// effective is for what machines may read, too.
	effectiveSelf = need{
		anyOf: []permissions.Permission{permissions.UserAdmin, permissions.Audit, permissions.FetchPolicyInfo}, self: true,
	}
	checking   = need{anyOf: effectiveSelf.anyOf, self: true, later: true}
	sourceWork = need{anyOf: []permissions.Permission{permissions.ApplicationAdmin, permissions.UserAdmin}}
	setup      = need{anyOf: []permissions.Permission{permissions.ApplicationAdmin}}
)

// operation describes one operation; the OpenAPI document is made of it.
type operation struct {
	id, method, path string
	tag, summary     string
	need             need
	status           int           // on success; default 200, or 204 without a body
	timeout          time.Duration // default: quick
	noBody           bool          // the body may be left out
	endless          bool          // the answer ends when the daemon does, or its time is over
	decision         bool          // the answer says what somebody may do: not given from memory that is too old
	shownOnce        bool          // the answer holds a secret and is never kept
	media            string        // of an answer that is a stream; its schema is that of streams
	errors           []int         // beyond those that every operation may answer
}

// register adds an operation to the API.
func register[I, O any](a *API, o operation, handle func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.summary, Tags: []string{o.tag},
		DefaultStatus: o.status, MaxBodyBytes: maxBody + 1, // huma refuses a body that reaches its limit
		Errors:     o.allErrors(),
		Extensions: o.need.extensions(),
		Parameters: o.parameters(),
		Middlewares: huma.Middlewares{
			func(ctx huma.Context, next func(huma.Context)) { a.admit(ctx, o, next) },
		},
	}
	if !o.need.open {
		op.Security = []map[string][]string{{"apiKey": {}}}
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
	made := a.operation(o)
	if made.RequestBody != nil {
		made.RequestBody.Required = !o.noBody
	}
	if o.media != "" {
		made.Responses["200"].Content = map[string]*huma.MediaType{o.media: {Schema: a.streamed(&o)}}
	}
	if o.decision && o.method == http.MethodPost {
		made.Extensions["x-reads-only"] = true
	}
	if t := cmp.Or(o.timeout, quick); t > quick {
		made.Extensions["x-timeout-seconds"] = int(t.Seconds())
	}
}

// operation returns what huma made of an operation.
func (a *API) operation(o operation) *huma.Operation {
	p := a.huma.OpenAPI().Paths[o.path]
	switch o.method {
	case http.MethodGet:
		return p.Get
	case http.MethodPost:
		return p.Post
	case http.MethodPut:
		return p.Put
	}
	return p.Delete
}

func (o *operation) allErrors() []int {
	all := append([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusServiceUnavailable}, o.errors...)
	if !o.need.open {
		// 403 also where everybody may: to impersonate takes a permission.
		all = append(all, http.StatusTooManyRequests, http.StatusForbidden)
	}
	if o.method == http.MethodPost || o.method == http.MethodPut {
		all = append(all, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// extensions puts who may call into the document.
func (n *need) extensions() map[string]any {
	names := make([]string, len(n.anyOf))
	for i, p := range n.anyOf {
		names[i] = string(p)
	}
	x := map[string]any{"x-required-permission": names}
	if n.self {
		x["x-self"] = true
	}
	return x
}

// admit lets a request in when its caller may make it, gives it the time it may take,
// and counts it. A body is not even read for a caller who may not.
func (a *API) admit(ctx huma.Context, o operation, next func(huma.Context)) {
	q, start := questionOf(ctx.Context()), time.Now()
	defer func() {
		if len(namesIn(ctx)) == 0 { // else the refusal to impersonate was noted, with both
			a.noteRefusal(ctx.Context(), &o, &q, ctx.Status())
		}
		took := time.Since(start)
		a.metrics.request(o.id, strconv.Itoa(ctx.Status()), took)
		a.count(q.caller, o.id, ctx.Status(), ctx.Query("dryRun"))
		a.countVerb(q.caller, ctx.Header(verbHeader))
		a.log.DebugContext(ctx.Context(), "request answered",
			"operation", o.id, "status", ctx.Status(), "user", q.caller.Real().Name, "as", q.caller.Name, "request", q.request, "took", took)
	}()
	bounded, cancel := context.WithTimeout(ctx.Context(), cmp.Or(o.timeout, quick))
	defer cancel()
	if o.endless {
		defer a.endWith(cancel)()
	}
	q.conditional, q.dryRun = ctx.Header("If-Match") != "", ctx.Query("dryRun") == "true"
	err := a.know(ctx, &o, &q)
	if err == nil {
		err = a.fresh(ctx, &o)
	}
	if err != nil {
		a.refuse(ctx, a.problem(q.in(bounded), err))
		return
	}
	a.once(huma.WithContext(ctx, q.in(bounded)), &o, next)
}

// know finds out who calls, and whether he may.
func (a *API) know(ctx huma.Context, o *operation, q *question) error {
	if o.need.open {
		if !o.readsOnly() && len(namesIn(ctx)) > 0 {
			return readsOnlyAsAnother()
		}
		return nil
	}
	caller, err := a.authenticate(ctx)
	if err != nil {
		return err
	}
	if q.caller, err = a.answeredAs(ctx, o, caller); err != nil {
		return err
	}
	return a.mayCall(&o.need, q.caller, ctx.Param("user"))
}

// refuse answers in the place of the handler.
func (a *API) refuse(ctx huma.Context, p *Problem) {
	for k, vs := range p.header {
		for _, v := range vs {
			ctx.SetHeader(k, v)
		}
	}
	ctx.SetHeader("Content-Type", p.ContentType(""))
	ctx.SetStatus(p.Status)
	if err := writeJSON(ctx.BodyWriter(), p); err != nil {
		a.log.DebugContext(ctx.Context(), "answer not written", "request", p.RequestID, "err", err)
	}
}
