package scim

import (
	"iter"
	"net/http"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/state"
)

// Resources of a type of the installation's own are kept and shown. They are not of the
// roll: DELETE removes them for good, and nothing waits for their return.

func (e *endpoint) other(k *kind) state.OtherKind {
	return state.OtherKind{Source: e.id, Type: k.typ.Name}
}

// pushedOf makes of a resource what is stored.
func (c *call) pushedOf(o schema.Object) (*identity.Pushed, error) {
	body := schema.Encode(make([]byte, 0, 512), c.kind.typ, o)
	if len(body) > maxResource {
		return nil, tooLarge(maxResource)
	}
	p := &identity.Pushed{Body: body, At: c.server.now().UTC().Truncate(time.Millisecond)}
	p.Terms = c.kind.uniqueTerms(o)
	if p.External, _ = o["externalId"].(string); p.External != "" {
		p.Terms = append(p.Terms, externalTerm(p.External))
	}
	return p, nil
}

// putOther returns the change that writes a resource.
func (c *call) putOther(s *state.Snapshot, key identity.Key, before string, o schema.Object) ([]state.Change, error) {
	p, err := c.pushedOf(o)
	if err != nil {
		return nil, err
	}
	if string(p.Body) == before {
		return nil, nil
	}
	if p.External != "" {
		for q := range s.OthersByTerm(c.endpoint.other(c.kind), externalTerm(p.External)) {
			if q.Key != key {
				return nil, refuse(http.StatusConflict, "uniqueness", "there is already a "+c.kind.typ.Name+" with this externalId")
			}
		}
	}
	err = c.kind.taken(p.Terms,
		func(term string) iter.Seq[state.Pushed] { return s.OthersByTerm(c.endpoint.other(c.kind), term) },
		func(q state.Pushed) bool { return q.Key == key })
	if err != nil {
		return nil, err
	}
	put := state.PutOther{Kind: c.endpoint.other(c.kind), ID: key, Pushed: p}
	if before != "" {
		put.Changes = changesBetween([]byte(before), p.Body, c.kind.typ)
	}
	return []state.Change{put}, nil
}

func (c *call) createOther(in *dialect.Parsed) (*reply, error) {
	key := identity.Key(identity.NewUserID().String())
	_, err := c.push(func(s *state.Snapshot) ([]state.Change, error) { return c.putOther(s, key, "", in.Object) })
	if err != nil {
		return nil, err
	}
	return c.written(key, http.StatusCreated)
}

// changeOther returns the changes that make of a resource what it shall be.
func (c *call) changeOther(s *state.Snapshot, p state.Pushed, o schema.Object) ([]state.Change, error) {
	return c.putOther(s, p.Key, p.Body, o)
}

func (c *call) replaceOther(in *dialect.Parsed) (*reply, error) {
	err := c.rewrite(c.changeOther, func(before schema.Object) (schema.Object, error) {
		return in.Object, dialect.Immutable(before, in.Object, c.kind.typ)
	})
	if err != nil {
		return nil, err
	}
	return c.written(identity.Key(c.id), http.StatusOK)
}

func (c *call) patchOther(in *dialect.Patch) (*reply, error) {
	err := c.rewrite(c.changeOther, func(before schema.Object) (schema.Object, error) {
		return dialect.Apply(before, in.Ops, c.kind.typ, c.endpoint.knobs)
	})
	if err != nil {
		return nil, err
	}
	return c.patched()
}

func (c *call) removeOther() (*reply, error) {
	_, err := c.push(func(s *state.Snapshot) ([]state.Change, error) {
		p, err := c.find(s)
		if err != nil {
			return nil, err
		}
		return []state.Change{state.RemoveOther{Kind: c.endpoint.other(c.kind), ID: p.Key}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusNoContent, id: c.id}, nil
}
