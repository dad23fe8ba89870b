package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Decode reads what [Encode] wrote. Names are found in any case and come out as the
// schema spells them; schemas, id and meta are left out; what has no value, too. A
// value that is not of its attribute's type is kept as it is: a schema may have changed
// since it was written.
func Decode(raw []byte, t *ResourceType) (Object, error) {
	d := decoder{jsontext.NewDecoder(bytes.NewBuffer(raw))}
	if d.PeekKind() != '{' {
		return nil, fmt.Errorf("decode %s: not an object", t.Name)
	}
	o, err := d.resource(t)
	if err == nil {
		if _, end := d.ReadToken(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", t.Name, err)
	}
	return o, nil
}

type decoder struct{ *jsontext.Decoder }

func (d decoder) resource(t *ResourceType) (Object, error) {
	return d.members(func(name string) (string, any, error) {
		if r, ok := t.Resolve("", name, ""); ok && r.Schema == nil && r.Attr.Name != "externalId" {
			return "", nil, d.SkipValue()
		}
		return d.member(t, name)
	})
}

// member reads the value of a member of a resource. It returns the name as the schema
// spells it.
func (d decoder) member(t *ResourceType, name string) (string, any, error) {
	if strings.Contains(name, ":") {
		if r, ok := t.Resolve(name, "", ""); ok && r.Extension {
			v, err := d.object(r.Schema.Attributes)
			return r.Schema.ID, v, err
		}
	} else if r, ok := t.Resolve("", name, ""); ok {
		v, err := d.value(r.Attr)
		return r.Attr.Name, v, err
	}
	v, err := d.untyped()
	return name, v, err
}

// members reads an object whose members are read by one. A member without a name or
// without a value is left out.
func (d decoder) members(one func(name string) (string, any, error)) (Object, error) {
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	o := Object{}
	for d.PeekKind() != '}' {
		tok, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		name, v, err := one(tok.String())
		if err != nil {
			return nil, err
		}
		if name != "" && !absent(v) {
			o[name] = v
		}
	}
	_, err := d.ReadToken()
	return o, err
}

func (d decoder) object(list []*Attribute) (any, error) {
	if d.PeekKind() != '{' {
		return d.untyped()
	}
	return d.members(func(name string) (string, any, error) {
		a := exact(list, name)
		if a == nil {
			v, err := d.untyped()
			return name, v, err
		}
		v, err := d.value(a)
		return a.Name, v, err
	})
}

// exact prefers the spelling of the schema, which costs least to compare.
func exact(list []*Attribute, name string) *Attribute {
	for _, a := range list {
		if a.Name == name {
			return a
		}
	}
	return find(list, name)
}

func (d decoder) value(a *Attribute) (any, error) {
	switch k := d.PeekKind(); {
	case k == '[':
		return d.list(func() (any, error) { return d.value(a) })
	case k == '{' && len(a.Sub) > 0:
		return d.object(a.Sub)
	case k == '0':
		return d.number(a.Type)
	}
	return d.untyped()
}

func (d decoder) list(one func() (any, error)) (any, error) {
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	var out []any
	for d.PeekKind() != ']' {
		v, err := one()
		if err != nil {
			return nil, err
		}
		if !absent(v) {
			out = append(out, v)
		}
	}
	_, err := d.ReadToken()
	return out, err
}

// number reads a number as its type wants it: without a type, what has a point or an
// exponent is a decimal.
func (d decoder) number(t Type) (any, error) {
	tok, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	return parseNumber(tok.String(), t)
}

func parseNumber(text string, t Type) (any, error) {
	if t != Decimal {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("number %s is too large", text)
	}
	return f, nil
}

func (d decoder) untyped() (any, error) {
	switch d.PeekKind() {
	case '{':
		return d.object(nil)
	case '[':
		return d.list(d.untyped)
	case '0':
		return d.number(String)
	}
	tok, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case '"':
		return tok.String(), nil
	case 't':
		return true, nil
	case 'f':
		return false, nil
	}
	return nil, nil
}
