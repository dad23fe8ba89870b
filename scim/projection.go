package scim

import (
	"net/http"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// projection says which attributes an answer shows: RFC 7644, section 3.9. It is nil
// when nothing is asked for, which is nearly always: then all is shown that was stored.
type projection struct{ *schema.Projection }

func (c *call) projection(k *kind) (projection, error) {
	return newProjection(k, c.query["attributes"], c.query["excludedAttributes"])
}

func newProjection(k *kind, only, excluded []string) (projection, error) {
	if len(only) == 0 && len(excluded) == 0 {
		return projection{k.plain}, nil
	}
	p, err := schema.NewProjection(k.typ, only, excluded)
	if err != nil {
		return projection{}, refuse(http.StatusBadRequest, "invalidValue", err.Error())
	}
	return projection{p}, nil
}
