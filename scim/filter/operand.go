package filter

import (
	"strconv"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/schema"
)

// operand turns the literal into the attribute's type, and refuses what the type cannot
// be compared by.
func (c *compiler) operand(t *term, a *schema.Attribute, e Compare) error {
	mismatch := wrong("%s: the value has to be of type %s", e.Path, a.Type)
	part := e.Op == Contains || e.Op == StartsWith || e.Op == EndsWith
	order := e.Op >= Greater
	switch a.Type {
	case schema.Boolean:
		if part || order {
			return wrong("%s is a boolean: it can be compared by eq and ne only", e.Path)
		}
		return c.boolOperand(t, e, mismatch)
	case schema.Decimal, schema.Integer:
		if part {
			return wrong("%s is a number: it cannot be compared by %s", e.Path, e.Op)
		}
		return c.numberOperand(t, e, mismatch)
	case schema.Binary:
		if order {
			return wrong("%s is binary: it cannot be compared by %s", e.Path, e.Op)
		}
	case schema.DateTime:
		return c.timeOperand(t, e, part, mismatch)
	case schema.String, schema.Reference, schema.Complex:
	}
	return c.textOperand(t, e, mismatch)
}

func (c *compiler) boolOperand(t *term, e Compare, mismatch error) error {
	on, ok := e.Value.(bool)
	if s, is := e.Value.(string); is && c.lenient {
		on = strings.EqualFold(s, "true")
		ok = on || strings.EqualFold(s, "false")
	}
	if !ok {
		return mismatch
	}
	t.on, t.any = on, on
	return nil
}

func (c *compiler) numberOperand(t *term, e Compare, mismatch error) error {
	s, ok := e.Value.(Number)
	if in, is := e.Value.(string); is && c.lenient && isNumber(in) {
		s, ok = Number(in), true
	}
	if !ok {
		return mismatch
	}
	n, err := parseNumber(string(s))
	t.num, t.any = n, n
	return err
}

func (c *compiler) textOperand(t *term, e Compare, mismatch error) error {
	s, ok := e.Value.(string)
	if !ok && c.lenient {
		switch v := e.Value.(type) {
		case Number:
			s, ok = string(v), true
		case bool:
			s, ok = strconv.FormatBool(v), true
		}
	}
	if !ok {
		return mismatch
	}
	t.text = foldText(s, t.fold)
	t.any = t.text
	return nil
}

// timeOperand: times are compared as points in time, and their parts as text.
func (c *compiler) timeOperand(t *term, e Compare, part bool, mismatch error) error {
	s, ok := e.Value.(string)
	if !ok {
		return mismatch
	}
	if part {
		if t.kind == instant {
			t.kind = text
		}
		return c.textOperand(t, e, mismatch)
	}
	at, ok := parseTime(s)
	if !ok {
		return wrong("%s: %q is not a dateTime, such as 2011-05-13T04:42:34Z", e.Path, s)
	}
	t.at, t.any = at, foldText(s, t.fold)
	return nil
}

// foldText returns the form in which text is compared.
func foldText(s string, fold bool) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if fold {
		return identity.FoldName(s)
	}
	return s
}
