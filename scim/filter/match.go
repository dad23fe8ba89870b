package filter

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// Match reports whether a resource is selected. The object is canonical; for filters on
// id, meta or schemas it has to hold those too.
func (f *Filter) Match(o schema.Object) bool { return f.root.match(Of(o)) }

// MatchValues is [Filter.Match] for a resource in another form.
func (f *Filter) MatchValues(v Values) bool { return f.root.match(v) }

func (n and) match(v Values) bool {
	for _, n := range n {
		if !n.match(v) {
			return false
		}
	}
	return true
}

func (n or) match(v Values) bool {
	for _, n := range n {
		if n.match(v) {
			return true
		}
	}
	return false
}

func (n not) match(v Values) bool { return !n.node.match(v) }

func (n within) match(v Values) bool {
	switch list := n.group.values(v).(type) {
	case nil:
		return false
	case []any:
		for _, entry := range list {
			if n.inner.match(one{entry}) {
				return true
			}
		}
		return false
	default:
		return n.inner.match(one{list})
	}
}

// one is a single value of an attribute, in which a value path is evaluated.
type one struct{ entry any }

// Value returns the entry: terms know what it is.
func (o one) Value(string) any { return o.entry }

// match matches if one value does. No value is unequal to any operand.
func (t *term) match(v Values) bool {
	if in, ok := v.(one); ok {
		return t.matchEntry(in.entry)
	}
	switch list := t.values(v).(type) {
	case nil:
		return t.op == NotEqual
	case []any:
		return slices.ContainsFunc(list, t.matchEntry) || t.op == NotEqual && len(list) == 0
	default:
		return t.matchEntry(list)
	}
}

func (t *term) matchEntry(entry any) bool {
	return t.test(t.cell(t.value(entry)))
}

// cell is a value in the form in which it is compared. A value that is not of its kind
// is none.
type cell struct {
	there bool
	text  string
	num   number
	at    int64
	on    bool
	any   any
}

func (l *leaf) cell(v any) (c cell) {
	switch l.kind {
	case text:
		if c.text, c.there = v.(string); c.there {
			c.text = foldText(c.text, l.fold)
		}
	case instant:
		var s string
		if s, c.there = v.(string); c.there {
			c.at, c.there = parseTime(s)
		}
	case boolean:
		c.on, c.there = v.(bool)
	case numeric:
		c.num, c.there = toNumber(v)
	case exists:
		c.there = v != nil
	case general:
		c.any, c.there = v, v != nil
	}
	return c
}

// test compares one cell with the operand.
func (t *term) test(c cell) bool {
	if t.kind == general {
		return t.testAny(c.any)
	}
	if !c.there {
		return t.op == NotEqual
	}
	switch t.kind {
	case text:
		return testText(t.op, c.text, t.text)
	case instant:
		return t.op == present || holds(t.op, cmp.Compare(c.at, t.at))
	case numeric:
		return t.op == present || holds(t.op, c.num.compare(t.num))
	case boolean:
		return t.op == present || (c.on == t.on) == (t.op == Equal)
	case exists, general:
	}
	return true
}

// holds reports whether the order of two values satisfies the operator.
func holds(op Op, order int) bool {
	switch op {
	case Equal:
		return order == 0
	case NotEqual:
		return order != 0
	case Greater:
		return order > 0
	case GreaterOrEqual:
		return order >= 0
	case Less:
		return order < 0
	case LessOrEqual:
		return order <= 0
	case Contains, StartsWith, EndsWith:
	}
	return false
}

func testText(op Op, s, operand string) bool {
	switch op {
	case present:
		return s != ""
	case Equal:
		return s == operand
	case NotEqual:
		return s != operand
	case Contains:
		return strings.Contains(s, operand)
	case StartsWith:
		return strings.HasPrefix(s, operand)
	case EndsWith:
		return strings.HasSuffix(s, operand)
	case Greater, Less, GreaterOrEqual, LessOrEqual:
	}
	return holds(op, strings.Compare(s, operand))
}

// testAny compares what no schema is known for: values of one type with each other,
// and no others.
func (t *term) testAny(v any) bool {
	switch v := v.(type) {
	case nil:
		return t.op == NotEqual
	case []any:
		return slices.ContainsFunc(v, t.testAny) || t.op == NotEqual && len(v) == 0
	case schema.Object:
		return t.testObject(v)
	case string:
		if operand, ok := t.any.(string); ok || t.op == present {
			return testText(t.op, foldText(v, t.fold), operand)
		}
	case bool:
		if operand, ok := t.any.(bool); ok && (t.op == Equal || t.op == NotEqual) {
			return (v == operand) == (t.op == Equal)
		}
	default:
		n, ok := toNumber(v)
		if operand, is := t.any.(number); ok && is {
			return holds(t.op, n.compare(operand))
		}
	}
	return t.op == NotEqual || t.op == present
}

// testObject compares the member value of an object, if it is simple.
func (t *term) testObject(o schema.Object) bool {
	if t.op == present {
		return len(o) > 0
	}
	switch v := member(o, "value", true).(type) {
	case schema.Object, []any:
		return t.op == NotEqual
	default:
		return t.testAny(v)
	}
}
