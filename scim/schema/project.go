package schema

import (
	"errors"
	"strings"
)

// Projection says which attributes an answer has: RFC 7644, section 3.9, and what the
// schema says about each (RFC 7643, section 2.2, returned). It may be used concurrently.
type Projection struct {
	all     bool // there is nothing to leave out
	members map[string]rule
	free    map[string]rule // of URNs that no schema is known for, folded
	rest    rule            // of what is in neither
}

// rule is what happens to a value.
type rule struct {
	keep bool
	subs map[string]rule // of the members of its objects; nil if all are kept
	rest bool            // what is not in subs is kept
	fold bool            // the names in subs are folded
}

// ErrBothLists is what [NewProjection] returns when both lists are given.
var ErrBothLists = errors.New("attributes and excludedAttributes cannot be used together")

// NewProjection makes a projection of the lists of attributes and excludedAttributes.
// A name may be in any case, with a URN, or with a sub-attribute; a URN stands for the
// whole schema; one string may hold several names with commas between. What is unknown
// is ignored.
func NewProjection(t *ResourceType, attributes, excluded []string) (*Projection, error) {
	attributes, excluded = names(attributes), names(excluded)
	if len(attributes) > 0 && len(excluded) > 0 {
		return nil, ErrBothLists
	}
	c := chooser{only: len(attributes) > 0, named: map[string]bool{}}
	p := &Projection{members: map[string]rule{}, free: map[string]rule{}, rest: rule{keep: !c.only}}
	for _, name := range append(attributes, excluded...) {
		c.name(t, p.free, name)
	}
	for _, a := range Common() {
		p.members[a.Name] = c.rule(a, a.Name, nested)
	}
	core := nested
	if c.named[foldName(t.Core.ID)] {
		core = listed
	}
	for _, a := range t.Core.Attributes {
		p.members[a.Name] = c.rule(a, a.Name, core)
	}
	for _, e := range t.Extensions {
		// Its attributes are to the extension what sub-attributes are to an attribute.
		p.members[e.Schema.ID] = c.rule(&Attribute{Sub: e.Schema.Attributes}, e.Schema.ID, nested)
	}
	p.all = p.leavesAll(t)
	return p, nil
}

// leavesAll reports whether there is nothing to leave out of what [Encode] wrote.
func (p *Projection) leavesAll(t *ResourceType) bool {
	if !p.rest.keep || len(p.free) > 0 {
		return false
	}
	for name, r := range p.members {
		// The password of the RFC was never returned, so none was ever written. Of
		// another attribute the schema may have said otherwise.
		password := name == "password" && t.Core == user().Core
		if !password && (!r.keep || r.subs != nil) {
			return false
		}
	}
	return true
}

// names takes lists apart.
func names(list []string) []string {
	var out []string
	for _, s := range list {
		for name := range strings.SplitSeq(s, ",") {
			// Some providers write emails[type eq "work"] here: they get all of emails.
			before, rest, _ := strings.Cut(name, "[")
			_, after, _ := strings.Cut(rest, "]")
			if name = strings.TrimSpace(before + after); name != "" {
				out = append(out, name)
			}
		}
	}
	return out
}

// chooser knows the names of a list, and what the list means.
type chooser struct {
	only  bool            // the names are those that are wanted, or else those that are not
	named map[string]bool // folded; without the URN of the core schema
}

// name takes a name of the list.
func (c *chooser) name(t *ResourceType, free map[string]rule, name string) {
	urn, attr := t.SplitURN(name)
	if _, known := t.Resolve(urn, "", ""); urn != "" && !known {
		c.unknown(free, name, urn, attr)
		return
	}
	if attr != "" && strings.EqualFold(urn, t.Core.ID) {
		name = attr
	}
	c.named[foldName(name)] = true
}

// standing says whether what an attribute is in is in the list.
type standing uint8

const (
	nested standing = iota
	listed
)

// rule makes the rule of an attribute and of those in it.
func (c *chooser) rule(a *Attribute, path string, in standing) rule {
	named := c.named[foldName(path)]
	if named {
		in = listed
	}
	r := rule{keep: c.shown(a, in, named), rest: !c.only || in == listed || a.Returned == Always}
	if a.Returned == Never || a.Returned == Request && !c.only {
		return r
	}
	if a.Returned == Always { // it is shown whole, whatever the list says
		in = nested
		if c.only {
			in = listed
		}
	}
	separator := "."
	if a.Name == "" {
		separator = ":" // a schema
	}
	subs, whole := map[string]rule{}, r.rest
	for _, s := range a.Sub {
		sub := c.rule(s, path+separator+s.Name, in)
		r.keep = r.keep || sub.keep && c.asked(s, path+separator+s.Name)
		subs[s.Name] = sub
		whole = whole && sub.keep && sub.subs == nil
	}
	if len(subs) > 0 && !whole {
		r.subs = subs
	}
	return r
}

// shown says whether an attribute is shown for its own sake.
func (c *chooser) shown(a *Attribute, in standing, named bool) bool {
	switch a.Returned {
	case Always:
		return true
	case Never:
		return false
	case Request:
		return c.only && named
	case Default:
	}
	return c.only == (in == listed)
}

// asked reports whether an attribute or one in it is named as wanted.
func (c *chooser) asked(a *Attribute, path string) bool {
	if !c.only {
		return false
	}
	if c.named[foldName(path)] {
		return true
	}
	for _, s := range a.Sub {
		if c.named[foldName(path+"."+s.Name)] {
			return true
		}
	}
	return false
}

// unknown takes a name whose URN no schema is known for. It may be that of a whole
// schema, or have an attribute behind it.
func (c *chooser) unknown(free map[string]rule, name, urn, attr string) {
	free[foldName(name)] = rule{keep: c.only}
	if attr == "" {
		return
	}
	r, ok := free[foldName(urn)]
	if ok && r.subs == nil {
		return // the whole schema is named too
	}
	if !ok {
		r = rule{keep: true, subs: map[string]rule{}, rest: !c.only, fold: true}
	}
	attr, _, _ = strings.Cut(attr, ".")
	r.subs[foldName(attr)] = rule{keep: c.only}
	free[foldName(urn)] = r
}

// All reports whether the projection leaves nothing out of what [Encode] wrote.
func (p *Projection) All() bool { return p.all }

// Wants reports whether a member is shown, at least in part. It is for what a caller
// adds to the stored JSON: there is no need to gather what is not wanted.
func (p *Projection) Wants(name string) bool { return p.of(name).keep }

func (p *Projection) of(name string) rule {
	if r, ok := p.members[name]; ok {
		return r
	}
	if r, ok := p.free[foldName(name)]; ok {
		return r
	}
	return p.rest
}

// Project appends what the projection leaves of a resource that [Encode] wrote. It
// decodes nothing.
func (p *Projection) Project(dst, raw []byte) []byte {
	if p.all {
		return append(dst, raw...)
	}
	dst = append(dst, '{')
	members(raw, func(name, value []byte) bool {
		r, ok := p.members[string(name[1:len(name)-1])]
		if !ok {
			r = p.of(unquote(name))
		}
		dst = r.member(dst, name, value)
		return true
	})
	return append(dst, '}')
}

// AppendMember appends a member that is not in the stored JSON, and the comma before
// it, if the projection leaves anything of it. dst ends behind the brace that opens the
// object, or behind a member.
func (p *Projection) AppendMember(dst []byte, name string, value []byte) []byte {
	return p.of(name).member(dst, AppendString(nil, name), value)
}

// member appends a member, or nothing.
func (r rule) member(dst, name, value []byte) []byte {
	if !r.keep {
		return dst
	}
	start := len(dst)
	if start > 0 && dst[start-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(append(dst, name...), ':')
	if out, ok := r.value(dst, value); ok {
		return out
	}
	return dst[:start]
}

// value appends what is left of a value; false says that nothing is.
func (r rule) value(dst, value []byte) ([]byte, bool) {
	switch {
	case r.subs == nil:
		return append(dst, value...), true
	case value[0] == '{':
		dst = append(dst, '{')
		members(value, func(name, value []byte) bool {
			dst = r.sub(name).member(dst, name, value)
			return true
		})
		some := dst[len(dst)-1] != '{'
		return append(dst, '}'), some
	case value[0] == '[':
		dst = append(dst, '[')
		some := false
		elements(value, func(value []byte) {
			start := len(dst)
			if some {
				dst = append(dst, ',')
			}
			out, ok := r.value(dst, value)
			if some = some || ok; ok {
				dst = out
			} else {
				dst = dst[:start]
			}
		})
		return append(dst, ']'), some
	}
	return append(dst, value...), r.rest
}

func (r rule) sub(name []byte) rule {
	key := string(name[1 : len(name)-1])
	if r.fold {
		key = foldName(unquote(name))
	}
	if s, ok := r.subs[key]; ok {
		return s
	}
	return rule{keep: r.rest}
}
