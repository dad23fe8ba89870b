package filter

import (
	"fmt"
	"strings"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// Filter is a filter that was checked against a resource type. It may be used
// concurrently.
type Filter struct {
	root   node
	terms  []*term // all that are in root
	groups []leaf  // the attributes of value paths
}

// node is a part of a compiled filter: an and, or, not, within or *term.
type node interface{ match(Values) bool }

type (
	and []node
	or  []node
	not struct{ node }

	// within is a value path. Its filter is evaluated on each value: see inner.
	within struct {
		group groupKey
		inner node
	}
)

// groupKey names an attribute. The URN is that of an extension, or empty.
type groupKey struct{ urn, attr string }

// kind says how values are compared.
type kind uint8

const (
	text    kind = iota
	boolean      // bool
	numeric      // number
	instant      // of a dateTime: nanoseconds since 1970
	exists       // not compared: is there any value
	general      // whatever JSON is there, of an unknown schema
)

// leaf is what a path names in a resource type.
type leaf struct {
	groupKey
	sub  string // empty: the value of the attribute itself
	kind kind
	fold bool // compared without regard to case
	// untyped says that no schema is known: names are then as they were sent.
	untyped bool
}

// term compares the values of a leaf with one of the operands.
type term struct {
	leaf
	op   Op // or present
	text string
	num  number
	at   int64
	on   bool
	any  any // of the kind general: a string, number or bool
}

// present is the operator pr.
const present Op = 255

// Compile checks a filter against a resource type. Its error is an [*Error]: it says
// that an attribute is unknown, or cannot be compared like this. Attributes within a
// URN that the type has no schema for are taken as they come.
func Compile(e Expr, t *schema.ResourceType, o Options) (*Filter, error) {
	c := compiler{typ: t, lenient: o.Lenient}
	root, err := c.expr(e, nil)
	if err != nil {
		return nil, err
	}
	return &Filter{root, c.terms, c.groups}, nil
}

type compiler struct {
	typ     *schema.ResourceType
	lenient bool
	terms   []*term
	groups  []leaf
}

func wrong(format string, args ...any) error { return &Error{Text: fmt.Sprintf(format, args...)} }

// expr compiles a filter; in is the attribute of the value path around it, or nil.
func (c *compiler) expr(e Expr, in *target) (node, error) {
	switch e := e.(type) {
	case And:
		terms, err := c.exprs(e.Terms, in)
		return and(terms), err
	case Or:
		terms, err := c.exprs(e.Terms, in)
		return or(terms), err
	case Not:
		n, err := c.expr(e.Term, in)
		return not{n}, err
	case Compare:
		return c.compare(e, in)
	case Present:
		return c.present(e.Path, in)
	case ValuePath:
		if in != nil {
			return nil, wrong("%s: brackets cannot stand within brackets", e.Path)
		}
		found, err := c.find(e.Path, nil)
		if err != nil {
			return nil, err
		}
		inner, err := c.expr(e.Filter, &found)
		c.groups = append(c.groups, leaf{groupKey: found.groupKey, kind: exists, untyped: found.untyped})
		return within{found.groupKey, inner}, err
	}
	return nil, wrong("the filter is empty")
}

func (c *compiler) exprs(list []Expr, in *target) ([]node, error) {
	var out []node
	for _, e := range list {
		n, err := c.expr(e, in)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// target is what a path was found to name.
type target struct {
	leaf
	attr *schema.Attribute // the attribute, nil if untyped
	last *schema.Attribute // it or its sub-attribute, nil if untyped
}

// find finds what a path names; in a value path, among the sub-attributes of in.
func (c *compiler) find(p Path, in *target) (target, error) {
	switch {
	case in != nil && in.untyped:
		return target{leaf: leaf{groupKey: in.groupKey, sub: p.Attr, kind: general, fold: true, untyped: true}}, nil
	case in != nil:
		return c.findSub(p, in)
	case p.URN != "":
		if _, ok := c.typ.Resolve(p.URN, "", ""); !ok {
			return target{leaf: leaf{groupKey: groupKey{p.URN, p.Attr}, sub: p.Sub, kind: general, fold: true, untyped: true}}, nil
		}
	}
	r, ok := c.typ.Resolve(p.URN, p.Attr, p.Sub)
	if !ok {
		return target{}, wrong("attribute %q is unknown in %s", p.String(), c.typ.Name)
	}
	f := target{attr: r.Attr, last: r.Last()}
	if r.Extension {
		f.urn = r.Schema.ID
	}
	if r.Attr == nil {
		return f, nil
	}
	f.leaf.attr = r.Attr.Name
	if r.Attr.Returned == schema.Never || f.last.Returned == schema.Never {
		return f, wrong("attribute %q is never returned, so it cannot be searched", p.String())
	}
	if r.Sub != nil {
		f.sub = r.Sub.Name
	}
	return f, nil
}

// findSub finds a sub-attribute. The values of a simple attribute have the
// sub-attribute value by default: RFC 7643, section 2.4.
func (c *compiler) findSub(p Path, in *target) (target, error) {
	f := target{leaf: leaf{groupKey: in.groupKey}, attr: in.attr}
	if p.URN == "" && p.Sub == "" && in.sub == "" && in.attr != nil {
		if in.attr.Type != schema.Complex && strings.EqualFold(p.Attr, "value") {
			f.last = in.attr
			return f, nil
		}
		if f.last = in.attr.Find(p.Attr); f.last != nil && f.last.Returned != schema.Never {
			f.sub = f.last.Name
			return f, nil
		}
	}
	return f, wrong("%q is not a sub-attribute of %q", p.String(), in.leaf.attr)
}

func (c *compiler) present(p Path, in *target) (node, error) {
	f, err := c.find(p, in)
	if err != nil {
		return nil, err
	}
	switch {
	case f.untyped:
	case f.last == nil && f.urn == "":
		return and(nil), nil // the core schema, which every resource has
	case f.last == nil || f.last.Type == schema.Complex:
		f.kind = exists
	default:
		f.leaf.typed(f.last)
		if f.kind == instant {
			f.kind = text
		}
	}
	return c.term(&term{leaf: f.leaf, op: present}), nil
}

func (c *compiler) term(t *term) node {
	c.terms = append(c.terms, t)
	return t
}

// typed sets how values of the attribute are compared.
func (l *leaf) typed(a *schema.Attribute) {
	switch a.Type {
	case schema.String, schema.Binary, schema.Reference:
		l.kind, l.fold = text, !a.CaseExact
	case schema.DateTime:
		l.kind, l.fold = instant, true
	case schema.Boolean:
		l.kind = boolean
	case schema.Decimal, schema.Integer:
		l.kind = numeric
	case schema.Complex:
		l.kind = exists
	}
	if l.sub != "" && a.MultiValued {
		l.kind, l.fold = general, !a.CaseExact
	}
}

func (c *compiler) compare(e Compare, in *target) (node, error) {
	f, err := c.find(e.Path, in)
	if err != nil {
		return nil, err
	}
	if e.Value == nil {
		return c.null(e, in)
	}
	if f.untyped {
		return c.untyped(e, f)
	}
	if err := f.simple(e.Path); err != nil {
		return nil, err
	}
	t := &term{leaf: f.leaf, op: e.Op}
	if err := c.operand(t, f.last, e); err != nil {
		return nil, err
	}
	return c.term(t), nil
}

// simple makes a target one that can be compared: a complex attribute stands for its
// sub-attribute value.
func (f *target) simple(p Path) error {
	if f.last == nil {
		return wrong("%s is a schema: compare one of its attributes", p)
	}
	if f.last.Type == schema.Complex {
		value := f.last.Find("value")
		if value == nil {
			return wrong("attribute %q is complex: compare one of its sub-attributes, such as %s.%s", p, p, f.last.Sub[0].Name)
		}
		f.last, f.sub = value, value.Name
	}
	f.leaf.typed(f.last)
	return nil
}

// null compiles a comparison with null.
func (c *compiler) null(e Compare, in *target) (node, error) {
	n, err := c.present(e.Path, in)
	switch {
	case err != nil:
		return nil, err
	case e.Op == Equal:
		return not{n}, nil
	case e.Op == NotEqual:
		return n, nil
	}
	return nil, wrong("%s: null can be compared by eq and ne only", e.Path)
}

func (c *compiler) untyped(e Compare, f target) (node, error) {
	t := &term{leaf: f.leaf, op: e.Op, any: e.Value}
	switch v := e.Value.(type) {
	case string:
		t.any = foldText(v, f.fold)
	case Number:
		n, err := parseNumber(string(v))
		if err != nil {
			return nil, err
		}
		t.any = n
	}
	return c.term(t), nil
}
