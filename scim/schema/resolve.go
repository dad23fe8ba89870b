package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Ref is what a name stands for in a resource type.
type Ref struct {
	Schema *Schema    // nil for an attribute that every resource has
	Attr   *Attribute // nil if a whole schema is named
	Sub    *Attribute // nil if none is named
	// Extension says that Schema is an extension: its attributes are within an
	// [Object] under its URN.
	Extension bool
}

// Last returns the attribute that was named last: Sub, or else Attr.
func (r Ref) Last() *Attribute {
	if r.Sub != nil {
		return r.Sub
	}
	return r.Attr
}

// index finds names without regard to case. Its keys are folded.
type index struct {
	core    map[string]*Attribute            // of the core schema, and what all have
	schemas map[string]map[string]*Attribute // per URN
	byURN   map[string]Ref                   // whole schemas
	subs    map[*Attribute]map[string]*Attribute
	urns    []string // the longest first: one may begin with another
}

// New checks a resource type and makes it quick to search.
func New(t ResourceType) (*ResourceType, error) {
	switch {
	case !IsName(t.Name):
		return nil, fmt.Errorf("resource type %q: the name has to be a word", t.Name)
	case !strings.HasPrefix(t.Endpoint, "/") || !IsName(t.Endpoint[1:]):
		return nil, fmt.Errorf("resource type %s: endpoint %q has to be a slash and a word, such as /Devices", t.Name, t.Endpoint)
	case t.Core == nil:
		return nil, fmt.Errorf("resource type %s: the schema is missing", t.Name)
	}
	seen := []string{t.Core.ID}
	for _, e := range t.Extensions {
		if slices.ContainsFunc(seen, func(s string) bool { return strings.EqualFold(s, e.Schema.ID) }) {
			return nil, fmt.Errorf("resource type %s: schema %s is there twice", t.Name, e.Schema.ID)
		}
		seen = append(seen, e.Schema.ID)
	}
	t.Extensions = slices.Clone(t.Extensions)
	t.index = newIndex(&t)
	return &t, nil
}

// With returns a resource type that has these extensions too.
func (t *ResourceType) With(more ...Extension) (*ResourceType, error) {
	c := *t
	c.Extensions = append(slices.Clone(t.Extensions), more...)
	return New(c)
}

// search returns the index, made for the occasion if the type is a literal.
func (t *ResourceType) search() *index {
	if t.index != nil {
		return t.index
	}
	return newIndex(t)
}

func newIndex(t *ResourceType) *index {
	x := &index{
		core:    map[string]*Attribute{},
		schemas: map[string]map[string]*Attribute{},
		byURN:   map[string]Ref{},
		subs:    map[*Attribute]map[string]*Attribute{},
		urns:    []string{t.Core.ID},
	}
	x.add(x.core, Common())
	x.add(x.core, t.Core.Attributes)
	x.schemas[foldName(t.Core.ID)] = x.core
	x.byURN[foldName(t.Core.ID)] = Ref{Schema: t.Core}
	for _, e := range t.Extensions {
		names := map[string]*Attribute{}
		x.add(names, e.Schema.Attributes)
		x.schemas[foldName(e.Schema.ID)] = names
		x.byURN[foldName(e.Schema.ID)] = Ref{Schema: e.Schema, Extension: true}
		x.urns = append(x.urns, e.Schema.ID)
	}
	slices.SortFunc(x.urns, func(a, b string) int { return len(b) - len(a) })
	return x
}

func (x *index) add(to map[string]*Attribute, list []*Attribute) {
	for _, a := range list {
		to[foldName(a.Name)] = a
		if len(a.Sub) > 0 {
			subs := map[string]*Attribute{}
			x.add(subs, a.Sub)
			x.subs[a] = subs
		}
	}
}

// Resolve finds what a name stands for, in any case. The URN is empty or that of the
// core schema for attributes of the core schema and for those that every resource has;
// the name may be empty to find a schema, and so may sub.
func (t *ResourceType) Resolve(urn, name, sub string) (Ref, bool) {
	x := t.search()
	var buf [96]byte
	r, names := Ref{Schema: t.Core}, x.core
	if urn != "" {
		key := fold(buf[:0], urn)
		if r = x.byURN[string(key)]; r.Schema == nil {
			return Ref{}, false
		}
		names = x.schemas[string(key)]
	}
	if name == "" {
		return r, sub == "" && urn != ""
	}
	if r.Attr = names[string(fold(buf[:0], name))]; r.Attr == nil {
		return Ref{}, false
	}
	if !r.Extension && isCommon(r.Attr.Name) {
		r.Schema = nil
	}
	if sub == "" {
		return r, true
	}
	r.Sub = x.subs[r.Attr][string(fold(buf[:0], sub))]
	return r, r.Sub != nil
}

// isCommon reports whether every resource has the attribute. No schema may have one of
// these names: [Parse] sees to it.
func isCommon(name string) bool {
	switch name {
	case "schemas", "id", "externalId", "meta":
		return true
	}
	return false
}

// SplitURN divides a path such as urn:…:User:name.familyName into a URN and the rest.
// A path that is a URN as a whole has no rest; one without a URN has no URN. URNs of
// this type are found by name. In others the last colon divides, unless what stands
// before it is a version, or what stands behind it is not a name: urn:example:1.0:Badge
// names a schema. It may have been meant to name an attribute; who knows better, such
// as by the value that belongs to the path, can divide it at its last colon.
func (t *ResourceType) SplitURN(path string) (urn, rest string) {
	if !strings.Contains(path, ":") {
		return "", path
	}
	for _, id := range t.search().urns {
		if len(path) < len(id) || !strings.EqualFold(path[:len(id)], id) {
			continue
		}
		if len(path) == len(id) {
			return id, ""
		}
		if path[len(id)] == ':' {
			return id, path[len(id)+1:]
		}
	}
	return SplitURN(path)
}

// SplitURN is [ResourceType.SplitURN] when the type is not known.
func SplitURN(path string) (urn, rest string) {
	end := len(path)
	if i := strings.IndexByte(path, '['); i >= 0 {
		end = i
	}
	last := strings.LastIndexByte(path[:end], ':')
	if last < 0 {
		return "", path
	}
	if urn, rest = path[:last], path[last+1:]; end < len(path) {
		return urn, rest
	}
	name, _, _ := strings.Cut(rest, ".")
	before := urn[strings.LastIndexByte(urn, ':')+1:]
	// urn:example:Badge:1.0 and http://example.com/Badge have no attribute at the end.
	if !IsName(name) || isVersion(before) && name == rest {
		return path, ""
	}
	return urn, rest
}

// isVersion reports whether a part of a URN looks like 2.0.
func isVersion(s string) bool {
	major, minor, ok := strings.Cut(s, ".")
	digits := func(s string) bool {
		return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	}
	return ok && digits(major) && digits(minor)
}

// foldName returns the form in which names and URNs are compared. They are ASCII.
func foldName(s string) string { return string(fold(nil, s)) }

func fold(to []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		to = append(to, c)
	}
	return to
}
