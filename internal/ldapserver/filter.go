package ldapserver

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// verdict is the three-valued result of a filter (RFC 4511 §4.5.1.7): what a
// server cannot evaluate is neither true nor false, and its negation neither.
type verdict int8

const (
	no verdict = iota - 1
	unknown
	yes
)

// filter is a search filter ready for evaluation, and in the text form of RFC 4515.
type filter interface {
	eval(e *stored) verdict
	String() string
}

// maxFilterDepth bounds the nesting of a filter, as decoding recurses.
const maxFilterDepth = 100

// Filter choices (RFC 4511 §4.5.1).
const (
	filterAnd        = 0xa0
	filterOr         = 0xa1
	filterNot        = 0xa2
	filterEqual      = 0xa3
	filterSubstrings = 0xa4
	filterGreater    = 0xa5
	filterLess       = 0xa6
	filterPresent    = 0x87
	filterApprox     = 0xa8
	filterExtensible = 0xa9
)

// decodeFilter reads the next element of d as a filter.
func decodeFilter(d *decoder, depth int) filter {
	if depth > maxFilterDepth {
		d.fail(fmt.Errorf("a filter nested deeper than %d", maxFilterDepth))
		return nil
	}
	tag, body := d.next()
	if d.err != nil {
		return nil
	}
	in := &decoder{rest: body}
	f := decodeChoice(in, tag, body, depth)
	if in.err != nil {
		d.fail(in.err)
		return nil
	}
	return f
}

func decodeChoice(in *decoder, tag byte, body []byte, depth int) filter {
	switch tag {
	case filterAnd, filterOr:
		set := &setFilter{and: tag == filterAnd}
		for in.more() {
			set.parts = append(set.parts, decodeFilter(in, depth+1))
		}
		set.index()
		return set
	case filterNot:
		return &notFilter{decodeFilter(in, depth+1)}
	case filterEqual, filterApprox, filterGreater, filterLess:
		name, value := in.text(), in.text()
		return newCompare(tag, name, value)
	case filterPresent:
		in.rest = nil
		return &presentFilter{name: string(body), key: typeKey(string(body))}
	case filterSubstrings:
		return decodeSubstrings(in)
	case filterExtensible:
		return decodeExtensible(in)
	}
	in.fail(fmt.Errorf("filter choice %#x", tag))
	return nil
}

// setFilter is the and or the or of its parts. The empty and is true, the empty
// or false (RFC 4526).
type setFilter struct {
	and   bool
	parts []filter
	// oneOf holds the values of an or that asks for one of many octet strings, as who
	// reads many objects by their objectGUID does; key is their attribute.
	key   string
	oneOf map[string]bool
}

// index finds out whether the set is an or that a look into a map decides.
func (f *setFilter) index() {
	if f.and || len(f.parts) < 2 {
		return
	}
	values := make(map[string]bool, len(f.parts))
	for _, p := range f.parts {
		c, ok := p.(*compareFilter)
		if !ok || c.op != filterEqual || syntaxOf(c.key) != syntaxOctets || isSecret(c.key) || f.key != "" && f.key != c.key {
			return
		}
		f.key = c.key
		values[c.value] = true
	}
	f.oneOf = values
}

func (f *setFilter) eval(e *stored) verdict {
	if f.oneOf != nil {
		for a := range e.all(f.key) {
			if slices.ContainsFunc(a.values, func(v string) bool { return f.oneOf[v] }) {
				return yes
			}
		}
		return no
	}
	decided, result := yes, no
	if f.and {
		decided, result = no, yes
	}
	for _, p := range f.parts {
		switch v := p.eval(e); v {
		case decided:
			return decided
		case unknown:
			result = unknown
		}
	}
	return result
}

func (f *setFilter) String() string {
	var b strings.Builder
	b.WriteByte('(')
	if f.and {
		b.WriteByte('&')
	} else {
		b.WriteByte('|')
	}
	for _, p := range f.parts {
		b.WriteString(p.String())
	}
	return b.String() + ")"
}

type notFilter struct{ part filter }

func (f *notFilter) eval(e *stored) verdict { return -f.part.eval(e) }
func (f *notFilter) String() string         { return "(!" + f.part.String() + ")" }

type presentFilter struct{ name, key string }

func (f *presentFilter) eval(e *stored) verdict {
	if isSecret(f.key) {
		return no
	}
	if f.key == "entrydn" {
		return yes
	}
	for range e.all(f.key) {
		return yes
	}
	return no
}

func (f *presentFilter) String() string { return "(" + f.name + "=*)" }

// compareFilter is an assertion of equality or order. Approximation is equality:
// the protocol leaves it to the server.
type compareFilter struct {
	op          byte
	name, value string
	key, folded string
}

func newCompare(op byte, name, value string) *compareFilter {
	key := typeKey(name)
	return &compareFilter{op: op, name: name, value: value, key: key, folded: foldValue(key, value)}
}

func (f *compareFilter) eval(e *stored) verdict {
	if isSecret(f.key) {
		return no
	}
	if f.key == "entrydn" && e.name.folded == f.folded {
		return yes
	}
	if f.key == "objectcategory" && isCategory(e.first(f.key), f.folded) {
		return yes
	}
	for a := range e.all(f.key) {
		if slices.ContainsFunc(a.values, f.holds) {
			return yes
		}
	}
	return no
}

// holds compares one value.
func (f *compareFilter) holds(v string) bool {
	switch f.op {
	case filterGreater:
		return order(foldValue(f.key, v), f.folded) >= 0
	case filterLess:
		return order(foldValue(f.key, v), f.folded) <= 0
	}
	// Most comparisons end here: objectClass and names, written alike or not.
	return v == f.value || (len(v) == len(f.folded) || !isASCII(v) || syntaxOf(f.key) == syntaxName || hasSpace(v)) &&
		foldValue(f.key, v) == f.folded
}

// isCategory says whether an objectCategory is the one that Active Directory lets
// be written as the short name of a class (MS-ADTS §3.1.1.3.1.3.5).
func isCategory(category, short string) bool {
	name, above, _ := strings.Cut(strings.ToLower(category), ",")
	return name == "cn="+short && strings.HasPrefix(above, "cn=schema,cn=configuration,")
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func hasSpace(s string) bool { return strings.IndexByte(s, ' ') >= 0 }

// order compares two folded values: as numbers if both are, else by octets.
func order(a, b string) int {
	x, errX := strconv.ParseInt(a, 10, 64)
	y, errY := strconv.ParseInt(b, 10, 64)
	if errX == nil && errY == nil {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	return strings.Compare(a, b)
}

func (f *compareFilter) String() string {
	op := map[byte]string{filterEqual: "=", filterApprox: "~=", filterGreater: ">=", filterLess: "<="}[f.op]
	return "(" + f.name + op + escapeFilter(f.value) + ")"
}

// escapeFilter writes a value as RFC 4515 §3 asks.
func escapeFilter(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c == '*' || c == '(' || c == ')' || c == '\\' || c == 0 {
			fmt.Fprintf(&b, `\%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
