package dialect

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcall-id/rollcall/scim/schema"
)

func fold(s string) string { return strings.ToLower(s) }

// clip keeps what an error repeats of a request short.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "..."
	}
	return s
}

// canon makes values canonical and notes what it changes.
type canon struct {
	t     *schema.ResourceType
	k     Knobs
	notes []Note
	work  int // what was looked at, as in Apply
}

// maxNoted bounds the notes of one request.
const maxNoted = 100

func (c *canon) note(path, text string) {
	if len(c.notes) < maxNoted {
		c.notes = append(c.notes, Note{clip(path), text})
	}
}

// value returns the canonical form of what was sent for an attribute; nil: no value.
func (c *canon) value(a *schema.Attribute, v any, path string) (any, error) {
	if v == nil {
		return nil, nil //nolint:nilnil // no value
	}
	if !a.MultiValued {
		if list, ok := v.([]any); ok {
			if len(list) == 0 {
				return nil, nil //nolint:nilnil // no value
			}
			if len(list) > 1 || c.k.Strict && (!c.k.StringManager || a.Type != schema.Complex) {
				return nil, invalid("invalidValue", "%s has one value, and not a list", path)
			}
			c.note(path, "the only value of a list was taken")
			v = list[0]
		}
		return c.single(a, v, path)
	}
	list, ok := v.([]any)
	if !ok {
		if c.k.Strict {
			return nil, invalid("invalidValue", "%s is a list of values", path)
		}
		c.note(path, "a value without a list was taken for a list of one")
		list = []any{v}
	}
	var out []any
	for _, e := range list {
		one, err := c.single(a, e, path)
		if err != nil {
			return nil, err
		}
		if one != nil {
			out = append(out, one)
		}
	}
	return c.several(out, path)
}

// several brings the values of an attribute in order: no value twice, one primary.
func (c *canon) several(list []any, path string) (any, error) {
	if len(list) <= 1 {
		return oneOf(list), nil
	}
	out := make([]any, 0, len(list))
	at := make(map[any]int, len(list))
	for _, e := range list {
		i, known := at[identityOf(e)]
		if !known {
			at[identityOf(e)] = len(out)
			out = append(out, e)
			continue
		}
		c.note(path, "a value that was there twice was taken once")
		have, _ := out[i].(schema.Object)
		more, _ := e.(schema.Object)
		for name, v := range more {
			if _, said := have[name]; !said {
				have[name] = v
			}
		}
	}
	primary := false
	for _, e := range out {
		if !isPrimary(e) {
			continue
		}
		if primary && c.k.RefusePrimaries {
			return nil, invalid("invalidValue", "%s has two values that are primary", path)
		}
		if o, ok := e.(schema.Object); ok && primary {
			delete(o, "primary")
			c.note(path, "only the first of several primary values stays primary")
		}
		primary = true
	}
	return slices.DeleteFunc(out, func(e any) bool { o, ok := e.(schema.Object); return ok && len(o) == 0 }), nil
}

// oneOf returns a list of one value, and nil for none.
func oneOf(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

// identityOf is what makes two entries the same value, comparable: RFC 7643, section
// 2.4, wants no combination of type and value twice. Without a value, all of it counts.
func identityOf(e any) any {
	switch v := e.(type) {
	case string, bool, int64, float64:
		return v
	case schema.Object:
		kind, _ := v["type"].(string)
		if value, ok := v["value"].(string); ok {
			return [2]string{kind, value}
		}
	}
	return string(appendAll(nil, e))
}

// appendAll appends all that a value says, so that equal values are equal texts.
func appendAll(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return schema.AppendString(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	case []any:
		dst = append(dst, '[')
		for _, e := range v {
			dst = append(appendAll(dst, e), ',')
		}
		return append(dst, ']')
	case schema.Object:
		var few [8]string
		names := few[:0]
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		dst = append(dst, '{')
		for _, name := range names {
			dst = append(appendAll(append(schema.AppendString(dst, name), ':'), v[name]), ',')
		}
		return append(dst, '}')
	}
	return dst
}

// single returns the canonical form of one value; nil: no value.
func (c *canon) single(a *schema.Attribute, v any, path string) (any, error) {
	if v == nil {
		return nil, nil //nolint:nilnil // no value
	}
	if a.Type == schema.Complex {
		return c.complex(a, v, path)
	}
	if text, ok := v.(string); ok {
		one, err := c.text(a, text, path)
		if s, same := one.(string); same && s == text {
			return v, err
		}
		return one, err
	}
	switch a.Type {
	case schema.Boolean:
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case schema.Integer:
		switch n := v.(type) {
		case int64:
			return n, nil
		case float64:
			if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
				return int64(n), nil
			}
		}
	case schema.Decimal:
		switch n := v.(type) {
		case int64:
			return float64(n), nil
		case float64:
			return n, nil
		}
	case schema.String, schema.DateTime, schema.Binary, schema.Reference, schema.Complex:
	}
	return nil, invalid("invalidValue", "%s is of type %s", path, a.Type)
}

// text returns the canonical form of what was sent as a string.
func (c *canon) text(a *schema.Attribute, text, path string) (any, error) {
	switch a.Type {
	case schema.Boolean:
		if b := strings.EqualFold(text, "true"); c.k.BooleanStrings && (b || strings.EqualFold(text, "false")) {
			c.note(path, "a string was taken for a boolean")
			return b, nil
		}
		return nil, invalid("invalidValue", "%s is of type %s", path, a.Type)
	case schema.Integer, schema.Decimal, schema.Complex:
		return nil, invalid("invalidValue", "%s is of type %s", path, a.Type)
	case schema.DateTime:
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			if _, err := time.Parse("2006-01-02T15:04:05", text); err != nil {
				return nil, invalid("invalidValue", "%s is a dateTime, such as 2008-01-23T04:56:22Z", path)
			}
		}
	case schema.Binary:
		if text != "" {
			return c.binary(text, path)
		}
	case schema.String, schema.Reference:
	}
	if !utf8.ValidString(text) {
		return nil, invalid("invalidValue", "%s is not valid UTF-8", path)
	}
	if text == "" && (c.k.NullClears || a.Required) {
		return nil, nil //nolint:nilnil // no value
	}
	return text, nil
}

// binary reads a value in base64. RFC 7643, section 2.3.6, leaves the padding to the
// sender, and the other alphabet to definitions: here both are made the same.
func (c *canon) binary(text, path string) (any, error) {
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(text)
	digits := strings.TrimRight(plain, "=")
	whole := digits + strings.Repeat("=", (4-len(digits)%4)%4)
	_, err := base64.StdEncoding.DecodeString(whole)
	if err != nil || strings.ContainsAny(digits, "\r\n") || len(digits) < len(plain) && plain != whole {
		return nil, invalid("invalidValue", "%s is base64", path)
	}
	if whole != text {
		c.note(path, "written with the alphabet and the padding of base64")
	}
	return whole, nil
}

// complex returns the canonical form of a complex value.
func (c *canon) complex(a *schema.Attribute, v any, path string) (any, error) {
	in, ok := v.(object)
	if text, isText := v.(string); isText {
		if in, ok = c.embedded(text); !ok {
			return c.fromText(a, text, path)
		}
		c.note(path, "JSON in a string was taken for an object")
	}
	if !ok {
		return nil, invalid("invalidValue", "%s is an object with %s", path, subNames(a))
	}
	in = c.unwrapped(in, path)
	out := schema.Object{}
	for _, m := range in {
		sub := a.Find(m.name)
		if sub == nil {
			if err := c.unknown(path + "." + clip(m.name)); err != nil {
				return nil, err
			}
			continue
		}
		if sub.Mutability == schema.ReadOnly {
			continue // RFC 7644, section 3.3: what is read-only is left out
		}
		one, err := c.value(sub, m.value, path+"."+sub.Name)
		if err != nil {
			return nil, err
		}
		if one != nil {
			out[sub.Name] = one
		}
	}
	if len(out) == 0 {
		return nil, nil //nolint:nilnil // no value
	}
	return out, nil
}

// embedded reads JSON that was sent as a string.
func (c *canon) embedded(text string) (object, bool) {
	if c.k.Strict || !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return nil, false
	}
	o, err := parse([]byte(text))
	return o, err == nil
}

// unwrapped takes a value that is JSON in a string for the whole: so Entra ID writes
// roles that have more than a name.
func (c *canon) unwrapped(in object, path string) object {
	v, _ := in.get("value")
	text, _ := v.(string)
	inner, ok := c.embedded(text)
	if _, has := inner.get("value"); !ok || !has {
		return in
	}
	c.note(path, "JSON in a string was taken for an object")
	for _, m := range in {
		if _, has := inner.get(m.name); !has {
			inner = append(inner, m)
		}
	}
	return inner
}

// fromText takes a string for a complex value whose sub-attribute value it is.
func (c *canon) fromText(a *schema.Attribute, text, path string) (any, error) {
	taken := c.k.StringManager && !a.MultiValued || !c.k.Strict && a.MultiValued
	part := a.Find("value")
	if part == nil || !taken {
		return nil, invalid("invalidValue", "%s is an object with %s", path, subNames(a))
	}
	if text == "" {
		return nil, nil //nolint:nilnil // no value
	}
	v, err := c.value(part, text, path+"."+part.Name)
	if err != nil || v == nil {
		return nil, err
	}
	c.note(path, "a string was taken for the value of an object")
	return schema.Object{part.Name: v}, nil
}

func subNames(a *schema.Attribute) string {
	names := make([]string, len(a.Sub))
	for i, s := range a.Sub {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

// unknown refuses an attribute that no schema has, or notes that it is left out.
func (c *canon) unknown(path string) error {
	if c.k.RefuseUnknown {
		return invalid("invalidSyntax", "no schema has the attribute %s", clip(path))
	}
	path, _, _ = strings.Cut(path, "[") // a filter may hold values
	c.note(path, "no schema has this attribute: it was left out")
	return nil
}

// anything returns the canonical form of a value that no schema is known for; nil: no
// value.
func anything(v any) any {
	switch v := v.(type) {
	case object:
		out := schema.Object{}
		for _, m := range v {
			if x := anything(m.value); x != nil {
				out[m.name] = x
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		var out []any
		for _, e := range v {
			if x := anything(e); x != nil {
				out = append(out, x)
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	}
	return v
}

// clone copies a canonical value so that it can be changed.
func clone(v any) any {
	switch v := v.(type) {
	case schema.Object:
		out := make(schema.Object, len(v))
		for name, x := range v {
			out[name] = clone(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = clone(x)
		}
		return out
	}
	return v
}
