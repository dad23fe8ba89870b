package client

import (
	"cmp"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/fault"
)

// Problem is an error that the server answered with (RFC 9457). It is the cause of
// the [fault.Error] that a call returns.
type Problem struct {
	Title     string          `json:"title"`
	Status    int             `json:"status"`
	Code      string          `json:"code"`
	Detail    string          `json:"detail,omitzero"`
	Instance  string          `json:"instance,omitzero"`
	RequestID string          `json:"requestId,omitzero"`
	Errors    []InvalidMember `json:"errors,omitempty"`
	Required  []string        `json:"requiredPermissions,omitempty"` // of which one was missing
	Holders   []Subject       `json:"holders,omitempty"`             // of what cannot go while it is held
}

// InvalidMember is one thing that is wrong with a request.
type InvalidMember struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

// Error returns the status with the code.
func (p *Problem) Error() string { return fmt.Sprintf("%d %s", p.Status, p.Code) }

// problem turns an answer that is not a good one into an error.
func (c *Client) problem(resp *http.Response) error {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return fault.New(fault.Unavailable, "redirected", "%s answers with a redirect, which is not followed: give the address that it leads to", c.base)
	}
	kind := kindOf(resp.StatusCode)
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	p := &Problem{}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil || media != "application/problem+json" || json.Unmarshal(body, p) != nil {
		return fault.New(kind, "not_rollcall", "%s answered %s, and not as a Rollcall does: look at the address, and at what stands in front of it",
			c.base, cmp.Or(resp.Status, http.StatusText(resp.StatusCode)))
	}
	p.Status = resp.StatusCode
	return &fault.Error{Kind: kind, Code: p.Code, Detail: p.sentence(), Cause: p}
}

// sentence is the detail with what it refers to.
func (p *Problem) sentence() string {
	text := cmp.Or(p.Detail, strings.ToLower(p.Title))
	if len(p.Errors) == 0 {
		return text
	}
	wrong := make([]string, len(p.Errors))
	for i, e := range p.Errors {
		wrong[i] = e.Location + " " + e.Message
		if e.Message == text { // said already
			wrong[i] = e.Location
		}
	}
	if p.Code == "invalid_request" { // the detail only points at them
		text = "the request is wrong"
	}
	return text + ": " + strings.Join(wrong, "; ")
}

// kindOf is the reverse of what the server does with its kinds.
func kindOf(status int) error {
	switch status {
	case http.StatusUnauthorized:
		return fault.Unauthenticated
	case http.StatusForbidden:
		return fault.Denied
	case http.StatusNotFound, http.StatusGone:
		return fault.NotFound
	case http.StatusConflict:
		return fault.Conflict
	case http.StatusPreconditionFailed, http.StatusPreconditionRequired:
		return fault.Stale
	case http.StatusTooManyRequests:
		return fault.Unavailable
	}
	if status >= 400 && status < 500 {
		return fault.Invalid
	}
	return fault.Unavailable
}
