package scim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	lib "github.com/elimity-com/scim"
	liberrors "github.com/elimity-com/scim/errors"
	libschema "github.com/elimity-com/scim/schema"
	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/scim/schema"
)

// library is github.com/elimity-com/scim as this package uses it: it routes writes and
// checks what they hold against the schemas. What it is handed is canonical and within
// all limits, and what it answers is only told when it refuses.
type library struct{ server lib.Server }

func newLibrary(kinds []*kind, h lib.ResourceHandler) (*library, error) {
	var types []lib.ResourceType
	for _, k := range kinds {
		core, err := libSchema(k.typ.Core)
		if err != nil {
			return nil, err
		}
		t := lib.ResourceType{
			Name: k.typ.Name, Endpoint: k.typ.Endpoint, Schema: core, Handler: h,
		}
		for _, x := range k.typ.Extensions {
			s, err := libSchema(x.Schema)
			if err != nil {
				return nil, err
			}
			t.SchemaExtensions = append(t.SchemaExtensions, lib.SchemaExtension{Schema: s, Required: x.Required})
		}
		types = append(types, t)
	}
	server, err := lib.NewServer(&lib.ServerArgs{
		ServiceProviderConfig: &lib.ServiceProviderConfig{SupportPatch: true},
		ResourceTypes:         types,
	})
	if err != nil {
		return nil, fmt.Errorf("schemas: %w", err)
	}
	return &library{server}, nil
}

func libSchema(s *schema.Schema) (libschema.Schema, error) {
	var out libschema.Schema
	if err := out.UnmarshalJSON(s.JSON()); err != nil {
		return out, fmt.Errorf("schema %s: %w", s.ID, err)
	}
	return out, nil
}

type callKey struct{}

// write reads a write, has the library route and check it, and returns what the handler
// made of it.
func (c *call) write() (*reply, error) {
	leave, err := c.server.large.enter(c.ctx(), len(c.body))
	if err != nil {
		return nil, err
	}
	defer leave()
	body, err := c.read()
	if err != nil {
		return nil, err
	}
	if len(body) == 0 && c.method == http.MethodPatch { // there is nothing to look at
		return c.passed()
	}
	shape := c.kind.lets.shape(c.method, body)
	if c.kind.lets.hasPassed(shape) {
		return c.passed()
	}
	path := c.kind.typ.Endpoint
	if c.id != "" {
		path += "/" + url.PathEscape(url.PathEscape(c.id)) // the library unescapes twice
	}
	r, err := http.NewRequestWithContext(context.WithValue(c.ctx(), callKey{}, c), c.method, path, bytes.NewReader(body))
	if err != nil {
		return nil, notFound("the path " + clip(c.path))
	}
	c.reply, c.err = nil, nil
	rec := &recorder{header: http.Header{}, status: http.StatusOK}
	c.endpoint.lib.server.ServeHTTP(rec, r)
	if c.err == nil && c.reply == nil {
		return nil, rec.problem()
	}
	c.kind.lets.pass(shape)
	return c.reply, c.err
}

// read makes canonical what a write sends, and returns it in the form that the library
// is handed.
func (c *call) read() ([]byte, error) {
	e := c.endpoint
	switch c.method {
	case http.MethodPost, http.MethodPut:
		in, notes, err := dialect.Resource(c.body, c.kind.typ, e.knobs)
		c.notes = append(c.notes, notes...)
		if err != nil {
			return nil, err
		}
		c.input = in
		return in.Body(c.kind.typ), nil
	case http.MethodPatch:
		in, notes, err := dialect.ReadPatch(c.body, c.kind.typ, e.knobs)
		c.notes = append(c.notes, notes...)
		if err != nil {
			return nil, err
		}
		c.input = in
		return in.Body(), nil
	}
	return nil, nil
}

// passed carries out a write that the library lets pass.
func (c *call) passed() (*reply, error) {
	switch c.method {
	case http.MethodPost:
		return c.create()
	case http.MethodPut:
		return c.replace()
	case http.MethodPatch:
		return c.patch()
	}
	return c.remove()
}

// recorder takes the answer of the library.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}

// problem reads how the library refused.
func (r *recorder) problem() error {
	var told struct {
		Kind   string `json:"scimType"`
		Detail string `json:"detail"`
	}
	if err := json.Unmarshal(r.body, &told); err != nil || r.status < http.StatusBadRequest {
		return fmt.Errorf("the library answered %d without the handler having been called", r.status)
	}
	return refuse(r.status, told.Kind, told.Detail)
}

// handler is what the library calls once a write has passed. What is written was read
// before, and what comes of it is told by the call itself: the library only needs to
// know that it ended.
type handler struct{}

func (handler) do(r *http.Request) error {
	c, ok := r.Context().Value(callKey{}).(*call)
	if !ok {
		return errors.New("not a call")
	}
	if c.reply, c.err = c.passed(); c.err != nil {
		return liberrors.ScimError{Status: http.StatusBadRequest}
	}
	return nil
}

// Create implements lib.ResourceHandler.
func (h handler) Create(r *http.Request, _ lib.ResourceAttributes) (lib.Resource, error) {
	return lib.Resource{ID: "0"}, h.do(r)
}

// Replace implements lib.ResourceHandler.
func (h handler) Replace(r *http.Request, id string, _ lib.ResourceAttributes) (lib.Resource, error) {
	return lib.Resource{ID: id}, h.do(r)
}

// Patch implements lib.ResourceHandler.
func (h handler) Patch(r *http.Request, id string, _ []lib.PatchOperation) (lib.Resource, error) {
	return lib.Resource{ID: id}, h.do(r)
}

// Delete implements lib.ResourceHandler.
func (h handler) Delete(r *http.Request, _ string) error { return h.do(r) }

// Get implements lib.ResourceHandler. Reads do not come this way.
func (handler) Get(*http.Request, string) (lib.Resource, error) {
	return lib.Resource{}, liberrors.ScimError{Status: http.StatusNotImplemented}
}

// GetAll implements lib.ResourceHandler. Lists do not come this way.
func (handler) GetAll(*http.Request, lib.ListRequestParams) (lib.Page, error) {
	return lib.Page{}, liberrors.ScimError{Status: http.StatusNotImplemented}
}
