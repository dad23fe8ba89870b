package dialect

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep a body may be nested. The RFC's own resources have four levels.
const maxDepth = 24

// member is one name of an object with its value. Objects are kept in the order in
// which they were sent: the operations of a PATCH without a path happen in it.
type member struct {
	name  string
	value any
}

// object is a JSON object as it was sent. Other values are a string, a bool, an int64,
// a float64, nil, or a []any.
type object []member

func (o object) get(name string) (any, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

// parse reads a body: one JSON object, without names that stand in it twice, in
// whatever case.
func parse(body []byte) (object, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	v, err := parseValue(dec, 0)
	if err == nil {
		if _, end := dec.ReadToken(); !errors.Is(end, io.EOF) {
			err = invalid("invalidSyntax", "something follows the JSON object of the body")
		}
	}
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			return nil, e
		}
		return nil, invalid("invalidSyntax", "the body is not valid JSON at byte %d", dec.InputOffset())
	}
	o, ok := v.(object)
	if !ok {
		return nil, invalid("invalidSyntax", "the body is not a JSON object")
	}
	return o, nil
}

func parseValue(dec *jsontext.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, invalid("invalidSyntax", "the body is nested deeper than %d levels", maxDepth)
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case '{':
		return parseObject(dec, depth)
	case '[':
		list := []any{}
		for dec.PeekKind() != ']' {
			v, err := parseValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.ReadToken()
		return list, err
	case '"':
		return tok.String(), nil
	case 't', 'f':
		return tok.Bool(), nil
	case '0':
		return parseNumber(tok.String())
	}
	return nil, nil //nolint:nilnil // null
}

func parseNumber(text string) (any, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, invalid("invalidValue", "a number of the body is too large")
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f), nil // 1e3 and 1000.0 are 1000
	}
	return f, nil
}

func parseObject(dec *jsontext.Decoder, depth int) (any, error) {
	o := make(object, 0, 6)
	var seen nameSet
	for dec.PeekKind() != '}' {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		name := tok.String()
		if seen.has(o, name) {
			return nil, invalid("invalidSyntax", "the name %q stands twice in one object of the body", clip(name))
		}
		v, err := parseValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		o = append(o, member{name, v})
	}
	_, err := dec.ReadToken()
	return o, err
}

// nameSet finds names that stand in an object already. Most objects are small, and it is
// cheaper to compare with all of them than to keep them folded.
type nameSet map[string]bool

// few is the number of names up to which all are compared.
const few = 16

func (n *nameSet) has(o object, name string) bool {
	if len(o) < few {
		for i := range o {
			if sameName(o[i].name, name) {
				return true
			}
		}
		return false
	}
	if *n == nil {
		*n = make(nameSet, 2*few)
		for i := range o {
			(*n)[fold(o[i].name)] = true
		}
	}
	folded := fold(name)
	was := (*n)[folded]
	(*n)[folded] = true
	return was
}

// sameName reports whether two names are one when they are folded.
func sameName(a, b string) bool {
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		if x >= utf8.RuneSelf || y >= utf8.RuneSelf {
			return fold(a) == fold(b)
		}
		if x != y && lower(x) != lower(y) {
			return false
		}
	}
	return len(a) == len(b)
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}
