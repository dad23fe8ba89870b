package schema

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Encode appends a resource as canonical JSON: schemas with the URNs of what is there,
// externalId, the core attributes in the order of the schema, the extensions in the
// order of the type, and then, by name, what no schema is known for. id and meta are
// for the caller to add. What is never returned is left out: it would be kept for
// nothing, and could only be lost to somebody.
func Encode(dst []byte, t *ResourceType, o Object) []byte {
	dst = AppendString(append(dst, `{"schemas":[`...), t.Core.ID)
	others := unknown(t, o)
	for _, e := range t.Extensions {
		if in, ok := o[e.Schema.ID].(Object); ok && len(in) > 0 {
			dst = AppendString(append(dst, ','), e.Schema.ID)
		}
	}
	for _, name := range others {
		if strings.Contains(name, ":") {
			dst = AppendString(append(dst, ','), name)
		}
	}
	dst = append(dst, ']')
	if s, ok := o["externalId"].(string); ok {
		dst = AppendString(append(dst, `,"externalId":`...), s)
	}
	for _, a := range t.Core.Attributes {
		dst = encodeMember(dst, a, o[a.Name])
	}
	for _, e := range t.Extensions {
		if in, ok := o[e.Schema.ID].(Object); ok && len(in) > 0 {
			dst = append(AppendString(append(dst, ','), e.Schema.ID), ':')
			dst = encodeObject(dst, e.Schema.Attributes, in)
		}
	}
	for _, name := range others {
		dst = append(AppendString(append(dst, ','), name), ':')
		dst = encodeAny(dst, o[name])
	}
	return append(dst, '}')
}

// unknown lists what no schema of t is known for, sorted.
func unknown(t *ResourceType, o Object) []string {
	known := 0
	for _, a := range t.Core.Attributes {
		if _, ok := o[a.Name]; ok {
			known++
		}
	}
	for _, e := range t.Extensions {
		if _, ok := o[e.Schema.ID]; ok {
			known++
		}
	}
	for _, name := range [...]string{"schemas", "id", "externalId", "meta"} {
		if _, ok := o[name]; ok {
			known++
		}
	}
	if known == len(o) {
		return nil
	}
	var names []string
	for name, v := range o {
		if absent(v) || isCommon(name) || t.Core.spells(name) || slices.ContainsFunc(t.Extensions, func(e Extension) bool { return e.Schema.ID == name }) {
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *Schema) spells(name string) bool {
	return slices.ContainsFunc(s.Attributes, func(a *Attribute) bool { return a.Name == name })
}

// absent reports whether a value is none: RFC 7643, section 2.5.
func absent(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case Object:
		return len(v) == 0
	}
	return false
}

func encodeMember(dst []byte, a *Attribute, v any) []byte {
	if absent(v) || a.Returned == Never {
		return dst
	}
	if len(dst) > 0 && dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(AppendString(dst, a.Name), ':')
	list, ok := v.([]any)
	if !ok {
		return encodeValue(dst, a, v)
	}
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = encodeValue(dst, a, v)
	}
	return append(dst, ']')
}

func encodeValue(dst []byte, a *Attribute, v any) []byte {
	if in, ok := v.(Object); ok && len(a.Sub) > 0 {
		return encodeObject(dst, a.Sub, in)
	}
	return encodeAny(dst, v)
}

// encodeObject writes attributes in the order of the list, and then, by name, the rest.
func encodeObject(dst []byte, list []*Attribute, o Object) []byte {
	dst = append(dst, '{')
	known := 0
	for _, a := range list {
		if v, ok := o[a.Name]; ok {
			known++
			dst = encodeMember(dst, a, v)
		}
	}
	if known < len(o) {
		var names []string
		for name, v := range o {
			if !absent(v) && !slices.ContainsFunc(list, func(a *Attribute) bool { return a.Name == name }) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			dst = encodeMember(dst, &Attribute{Name: name}, o[name])
		}
	}
	return append(dst, '}')
}

func encodeAny(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return AppendString(dst, v)
	case bool:
		return appendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return appendFloat(dst, v)
	case Object:
		return encodeObject(dst, nil, v)
	case []any:
		dst = append(dst, '[')
		for i, v := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = encodeAny(dst, v)
		}
		return append(dst, ']')
	}
	return append(dst, "null"...)
}

// appendFloat writes a decimal with a point or an exponent, so that it is read as a
// decimal again: RFC 7643, section 2.3.3.
func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	start := len(dst)
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	if !slices.Contains(dst[start:], '.') {
		dst = append(dst, '.', '0')
	}
	return dst
}

// AppendString appends a string as JSON. What is not UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return quoteSlow(dst, s)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

func quoteSlow(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	// It fails on what is not UTF-8 only.
	dst, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		return append(dst, `""`...)
	}
	return dst
}
