package scim

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/scim/schema"
)

// Source is a source that is pushed to.
type Source struct {
	ID     identity.SourceID
	Config Config
}

// endpoint is what one source is served by.
type endpoint struct {
	id       identity.SourceID
	disabled bool
	server   *Server
	knobs    dialect.Knobs
	mapping  dialect.Mapping
	config   Config
	users    *kind
	groups   *kind
	kinds    []*kind // users, groups, and those of the configuration
	lib      *library
	log      *requestLog
	rails    *rails
	lists    *lists
	joins    *joins // nil: what is pushed makes users
}

// kind is a resource type of a source.
type kind struct {
	typ   *schema.ResourceType
	group bool               // members are told apart from the rest
	own   bool               // neither users nor groups: kept beside the roll
	plain *schema.Projection // when nothing is asked for
	lets  *verdicts
	// unique are the attributes whose values each may be there once, but for userName.
	unique []uniqueAttribute
}

func newEndpoint(s *Server, src Source) (*endpoint, error) {
	e := &endpoint{id: src.ID, disabled: !src.Config.Enabled, server: s, config: src.Config, log: newRequestLog()}
	var err error
	if e.knobs, err = src.Config.knobs(); err != nil {
		return nil, fmt.Errorf("source %s: %w", src.ID, err)
	}
	types, err := src.Config.types()
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", src.ID, err)
	}
	if e.mapping, err = src.Config.mapping(types[0]); err != nil {
		return nil, fmt.Errorf("source %s: %w", src.ID, err)
	}
	for i, t := range types {
		plain, err := schema.NewProjection(t, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", src.ID, err)
		}
		e.kinds = append(e.kinds, &kind{typ: t, group: i == 1, own: i > 1, plain: plain, lets: newVerdicts(t), unique: uniqueAttributes(t)})
	}
	e.users, e.groups = e.kinds[0], e.kinds[1]
	if e.lib, err = newLibrary(e.kinds, handler{}); err != nil {
		return nil, fmt.Errorf("source %s: %w", src.ID, err)
	}
	e.joins = newJoins(&src)
	e.rails, e.lists = newRails(s, e), newLists(s, e)
	return e, nil
}

// kindAt returns the resource type at an endpoint, in any case.
func (e *endpoint) kindAt(name string) *kind {
	for _, k := range e.kinds {
		if strings.EqualFold(k.typ.Endpoint[1:], name) {
			return k
		}
	}
	return nil
}

// route returns what the path of a call answers to; nil: there is no such path.
func (e *endpoint) route(c *call) route {
	path := strings.ToLower(c.path)
	switch {
	case c.kind != nil && strings.HasSuffix(path, "/.search"):
		return route{http.MethodPost: (*call).search}
	case c.kind != nil && c.id == "":
		return route{http.MethodGet: (*call).list, http.MethodPost: (*call).write}
	case c.kind != nil:
		return route{http.MethodGet: (*call).get, http.MethodPut: (*call).write, http.MethodPatch: (*call).write, http.MethodDelete: (*call).write}
	}
	first, _, below := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if below && first != "resourcetypes" && first != "schemas" {
		return nil
	}
	switch first {
	case "":
		return route{http.MethodGet: (*call).list}
	case ".search":
		return route{http.MethodPost: (*call).search}
	case "bulk":
		return route{http.MethodPost: (*call).bulk}
	case "me":
		return route{http.MethodGet: (*call).me, http.MethodPost: (*call).me, http.MethodPut: (*call).me, http.MethodPatch: (*call).me, http.MethodDelete: (*call).me}
	case "serviceproviderconfig", "serviceproviderconfigs", "serviceconfiguration": // the two last from older drafts
		return route{http.MethodGet: (*call).providerConfig}
	case "resourcetypes":
		return route{http.MethodGet: (*call).resourceTypes}
	case "schemas":
		return route{http.MethodGet: (*call).schemas}
	}
	return nil
}
