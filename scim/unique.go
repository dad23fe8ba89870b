package scim

import (
	"fmt"
	"iter"
	"net/http"
	"strings"

	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/state"
)

// uniqueAttribute is an attribute of whose values each may be there once: RFC 7643,
// section 2.2, among the resources of its type in this source.
type uniqueAttribute struct {
	within string // the URN of its extension; "": the core schema
	attr   *schema.Attribute
}

// uniqueAttributes lists those of a type that are found by a term. A userName is found
// by the name of its user, and values that are never told are kept nowhere else.
func uniqueAttributes(t *schema.ResourceType) (all []uniqueAttribute) {
	add := func(within string, list []*schema.Attribute) {
		for _, a := range list {
			if a.Uniqueness != schema.None && a.Type != schema.Complex && a.Returned != schema.Never && (within != "" || t.Core.ID != schema.UserURN || a.Name != "userName") {
				all = append(all, uniqueAttribute{within, a})
			}
		}
	}
	add("", t.Core.Attributes)
	for _, x := range t.Extensions {
		add(x.Schema.ID, x.Schema.Attributes)
	}
	return all
}

const uniquePrefix = "u:"

// uniqueTerms returns the terms of what has to be unique in a resource.
func (k *kind) uniqueTerms(o schema.Object) (terms []string) {
	for _, u := range k.unique {
		in, path := o, u.attr.Name
		if u.within != "" {
			in, _ = o[u.within].(schema.Object)
			path = u.within + ":" + path
		}
		values, several := in[u.attr.Name].([]any)
		if !several && in[u.attr.Name] != nil {
			values = []any{in[u.attr.Name]}
		}
		for _, v := range values {
			text := fmt.Sprint(v)
			if !u.attr.CaseExact {
				text = strings.ToLower(text)
			}
			terms = append(terms, uniquePrefix+path+"="+text)
		}
	}
	return terms
}

// taken refuses a value that another resource has already.
func (k *kind) taken(terms []string, other func(term string) iter.Seq[state.Pushed], same func(state.Pushed) bool) error {
	for _, term := range terms {
		path, is := strings.CutPrefix(term, uniquePrefix)
		if !is {
			continue
		}
		path, _, _ = strings.Cut(path, "=")
		for p := range other(term) {
			if !p.Gone && !same(p) {
				return refuse(http.StatusConflict, "uniqueness", "there is already a "+k.typ.Name+" with this "+path)
			}
		}
	}
	return nil
}
