package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/permissions"
)

// Problem is the body of every error: RFC 9457 with a stable code.
type Problem struct {
	Title  string `json:"title" doc:"What the status means"`
	Status int    `json:"status"`
	Code   string `json:"code" doc:"The same for the same cause everywhere; programs may compare it" example:"user_not_found"`
	Detail string `json:"detail,omitzero" doc:"What happened and what to do"`
	// Instance is the path that was asked for.
	Instance  string          `json:"instance,omitzero"`
	RequestID string          `json:"requestId,omitzero" doc:"Also in the header X-Request-Id, the log and the audit log"`
	Errors    []InvalidMember `json:"errors,omitempty" doc:"What is wrong with the request, by place"`
	// Required lists the permissions of which one was missing.
	Required []permissions.Permission `json:"requiredPermissions,omitempty" doc:"Of which one was missing (403)"`
	Holders  []Subject                `json:"holders,omitempty" doc:"Who holds what cannot go while it is held (409), the first of them"`

	header http.Header
}

// InvalidMember is one thing that is wrong with a request. It never holds the value.
type InvalidMember struct {
	Location string `json:"location" example:"body.reason"`
	Message  string `json:"message"`
}

var (
	_ huma.StatusError       = (*Problem)(nil)
	_ huma.HeadersError      = (*Problem)(nil)
	_ huma.ContentTypeFilter = (*Problem)(nil)
)

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders returns the headers that go with the status.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType returns the media type of RFC 9457.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// retryAfter is what a caller is told to wait, in seconds, when something that is
// needed does not answer.
const retryAfter = "2"

// problem turns a failure into an answer. It is the only place that chooses a status
// for one.
func (a *API) problem(ctx context.Context, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	q := questionOf(ctx)
	p := &Problem{Code: fault.Code(err), Detail: detailOf(err), Instance: q.instance, RequestID: q.request}
	often, tooOften := errors.AsType[*access.TooMany](err)
	switch {
	case tooOften:
		p.Status = http.StatusTooManyRequests
		p.header = http.Header{"Retry-After": {strconv.Itoa(often.Seconds())}}
	case errors.Is(err, fault.NotFound):
		p.Status = http.StatusNotFound
	case errors.Is(err, fault.Stale) && q.conditional:
		p.Status = http.StatusPreconditionFailed
	case errors.Is(err, fault.Exists), errors.Is(err, fault.Conflict), errors.Is(err, fault.Stale):
		p.Status = http.StatusConflict
	case errors.Is(err, fault.Invalid) && strings.HasPrefix(p.Code, "bad_"):
		p.Status = http.StatusBadRequest // it can never be read
	case errors.Is(err, fault.Invalid):
		p.Status = http.StatusUnprocessableEntity // it was read and breaks a rule
	case errors.Is(err, fault.Unauthenticated):
		p.Status = http.StatusUnauthorized
		p.header = http.Header{"WWW-Authenticate": {`Bearer realm="rollcall"`}}
	case errors.Is(err, fault.Denied):
		p.Status = http.StatusForbidden
	case errors.Is(err, fault.Unavailable):
		p.Status = http.StatusServiceUnavailable
		p.header = http.Header{"Retry-After": {retryAfter}}
		a.log.WarnContext(ctx, "request not answered", "request", q.request, "path", q.instance, "err", err)
	default:
		a.unexpected(ctx, p, err)
	}
	p.Title = http.StatusText(p.Status)
	if p.Code == "" {
		p.Code = codeOf(p.Status)
	}
	if m, ok := errors.AsType[*missing](err); ok {
		p.Required = m.anyOf
	}
	return p
}

// detailOf returns the sentence that was written for people, without what code on the
// way has put before it.
func detailOf(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.Detail
	}
	return ""
}

// unexpected is for failures that have no kind: only the log explains them.
func (a *API) unexpected(ctx context.Context, p *Problem, err error) {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		p.Status, p.Code = http.StatusServiceUnavailable, "timeout"
		p.Detail = "this took longer than a request may; try again later"
		p.header = http.Header{"Retry-After": {retryAfter}}
		a.log.WarnContext(ctx, "request took too long", "request", p.RequestID, "path", p.Instance, "err", err)
	default:
		p.Status, p.Code = http.StatusInternalServerError, "internal"
		p.Detail = "something went wrong that should not; the log has it under this request id"
		a.log.ErrorContext(ctx, "request failed", "request", p.RequestID, "path", p.Instance, "err", err)
	}
}

// codeOf names what the status alone says.
func codeOf(status int) string {
	return strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "_")
}

// problemOf turns the errors that huma makes by itself, all of them about the form of
// a request, into ours. They come with the value that was refused; it is left out.
func (a *API) problemOf(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	q := questionOf(ctx.Context())
	p := &Problem{
		Title: http.StatusText(m.Status), Status: m.Status, Code: codeOf(m.Status), Detail: m.Detail,
		Instance: q.instance, RequestID: q.request,
	}
	switch m.Status {
	case http.StatusUnprocessableEntity:
		p.Code, p.Detail = "invalid_request", "correct what errors lists"
	case http.StatusBadRequest:
		p.Code = "bad_body"
	case http.StatusRequestEntityTooLarge:
		p.Code = "body_too_large"
	case http.StatusUnsupportedMediaType:
		p.Detail = "send the body as application/json"
	case http.StatusInternalServerError: // the body could not be read: the caller went away or was cut off
		p.Code, p.Detail = "internal", "the request could not be read"
		return p, nil
	}
	for _, e := range m.Errors {
		if e != nil && m.Status != http.StatusUnsupportedMediaType {
			p.Errors = append(p.Errors, InvalidMember{Location: e.Location, Message: e.Message})
		}
	}
	return p, nil
}
