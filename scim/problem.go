package scim

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/scim/filter"
	"github.com/rollcall-id/rollcall/scim/schema"
)

const (
	mediaType = "application/scim+json"
	errorURN  = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// problem is an error as a provider is told of it: RFC 7644, section 3.12.
type problem struct {
	status int
	kind   string // scimType; "": none
	detail string
	header http.Header
}

// Error implements error.
func (p *problem) Error() string { return strconv.Itoa(p.status) + " " + p.kind + ": " + p.detail }

func refuse(status int, kind, detail string) *problem {
	return &problem{status: status, kind: kind, detail: detail}
}

func notFound(what string) *problem {
	return refuse(http.StatusNotFound, "", what+" does not exist in this source")
}

// problemOf returns how an error is told. What is not meant for a provider is said in
// general: the log has the rest.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if p, ok := errors.AsType[*dialect.Error](err); ok {
		return refuse(p.Status, p.SCIMType, p.Detail)
	}
	if p, ok := errors.AsType[*filter.Error](err); ok {
		return refuse(http.StatusBadRequest, "invalidFilter", p.Error())
	}
	switch {
	case errors.Is(err, fault.Exists):
		return refuse(http.StatusConflict, "uniqueness", "another resource of this source has the same userName or externalId")
	case errors.Is(err, fault.Stale):
		return &problem{http.StatusServiceUnavailable, "", "the resource is being changed by others at this moment: try again", retrySoon()}
	case fault.Code(err) == "too_large":
		return refuse(http.StatusRequestEntityTooLarge, "", err.Error())
	case errors.Is(err, fault.Unavailable):
		return &problem{http.StatusServiceUnavailable, "", "the store cannot be reached at this moment: try again", retrySoon()}
	case fault.Code(err) == "managed_by_source":
		return refuse(http.StatusConflict, "", "this resource is managed by another source")
	}
	return nil
}

func retrySoon() http.Header { return http.Header{"Retry-After": {"1"}} }

// body returns the problem as JSON.
func (p *problem) body() []byte {
	b := []byte(`{"schemas":["` + errorURN + `"]`)
	if p.kind != "" {
		b = append(b, `,"scimType":`...)
		b = schema.AppendString(b, p.kind)
	}
	b = append(b, `,"detail":`...)
	b = schema.AppendString(b, p.detail)
	b = append(b, `,"status":"`...)
	b = strconv.AppendInt(b, int64(p.status), 10)
	return append(b, `"}`...)
}
