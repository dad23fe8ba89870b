package dialect

import (
	"slices"

	"github.com/rollcall-id/rollcall/scim/filter"
	"github.com/rollcall-id/rollcall/scim/schema"
)

// A PATCH is small, and what it makes the server do need not be: each of a thousand
// operations may look at each of thousands of values, and one may set a long text in
// each of them. Work is counted before it is done, so that how long an answer takes,
// and how much memory, does not depend on who asks.

// maxWork is how much one PATCH may look at. A unit is some 40 ns; a thousand operations
// on a list of two hundred values are within it.
const maxWork = 1 << 22

// maxMade is the size of what a PATCH may make of a resource, before it is known how
// long its JSON is. It is far above what is kept of one.
const maxMade = 1 << 20

// maxMatching is how many filters, which look at every member of a group, one PATCH may
// have.
const maxMatching = 4

// work returns how much an operation looks at.
func (op *Op) work(o schema.Object) int {
	switch {
	case op.urn != "":
		return op.search(o)
	case op.ref.Attr == nil || !op.ref.Attr.MultiValued:
		return 1
	}
	in := o
	if op.ref.Extension {
		in, _ = o[op.ref.Schema.ID].(schema.Object)
	}
	list, _ := in[op.ref.Attr.Name].([]any)
	values, _ := op.Value.([]any)
	switch {
	case op.entries != nil:
		return 16*len(list) + weight(list)*terms(op.Path.Filter)
	case op.Kind == Remove && len(values) > 0:
		return 4*len(values) + 8*removalOf(values).pairs(list)
	}
	return 4 * (len(list) + len(values))
}

// search returns how many names are looked at where no schema says how they are spelled.
func (op *Op) search(o schema.Object) int {
	most := 0
	for _, v := range o {
		if in, ok := v.(schema.Object); ok {
			most = max(most, len(in))
		}
	}
	value, _ := op.Value.(schema.Object)
	return 4*len(o) + most*(1+len(value))
}

// removal is a list of values that are to be removed, by what they have in common with
// those that they mean.
type removal struct {
	byValue map[string][]any
	rest    []any // those without a value
}

func removalOf(values []any) removal {
	r := removal{byValue: make(map[string][]any, len(values))}
	for _, v := range values {
		if id, ok := valueOf(v); ok {
			r.byValue[id] = append(r.byValue[id], v)
		} else {
			r.rest = append(r.rest, v)
		}
	}
	return r
}

func valueOf(v any) (string, bool) {
	o, _ := v.(schema.Object)
	id, ok := o["value"].(string)
	return id, ok
}

// means reports whether one of the values means an entry.
func (r removal) means(entry any) bool {
	is := func(v any) bool { return means(v, entry) }
	id, _ := valueOf(entry)
	return slices.ContainsFunc(r.byValue[id], is) || slices.ContainsFunc(r.rest, is)
}

// pairs is how often means compares, for all of a list.
func (r removal) pairs(list []any) int {
	n := len(list) * (1 + len(r.rest))
	for _, e := range list {
		id, _ := valueOf(e)
		n += len(r.byValue[id])
	}
	return n
}

// weight is what it costs to compare with a value.
func weight(v any) int {
	switch v := v.(type) {
	case string:
		return 1 + len(v)/16
	case schema.Object:
		n := 0
		for _, x := range v {
			n += weight(x)
		}
		return n
	case []any:
		n := 0
		for _, x := range v {
			n += weight(x)
		}
		return n
	}
	return 1
}

// terms counts the comparisons of a filter.
func terms(e filter.Expr) (n int) {
	switch e := e.(type) {
	case filter.And:
		for _, t := range e.Terms {
			n += terms(t)
		}
	case filter.Or:
		for _, t := range e.Terms {
			n += terms(t)
		}
	case filter.Not:
		n = terms(e.Term)
	case filter.ValuePath:
		n = terms(e.Filter)
	default:
		n = 1
	}
	return n
}

// size is about how long the JSON of a value is. It stops counting beyond what is left.
func size(v any, left int) int {
	n := 8
	switch v := v.(type) {
	case string:
		n += len(v)
	case schema.Object:
		for name, x := range v {
			if n > left {
				break
			}
			n += len(name) + size(x, left-n)
		}
	case []any:
		for _, x := range v {
			if n > left {
				break
			}
			n += size(x, left-n)
		}
	}
	return n
}

func tooMuch(detail string) *Error { return &Error{Status: 413, SCIMType: "tooMany", Detail: detail} }
