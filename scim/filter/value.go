package filter

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// Values is a resource to be matched. [Of] makes one of an object.
type Values interface {
	// Value returns what stands under a name, as [schema.Object] describes it, or nil:
	// of an attribute as the schema spells it, id, meta and schemas included, or, for an
	// extension, an Object under its URN. A URN that no schema is known for is asked for
	// as the filter spells it, and found in any case.
	Value(name string) any
}

// Of makes Values of an object. id, meta, groups and what else is not in it is absent.
type Of schema.Object

// Value returns what stands under the name.
func (o Of) Value(name string) any {
	return member(schema.Object(o), name, strings.Contains(name, ":"))
}

// member looks a name up, in any case if it may have been written by anyone.
func member(o schema.Object, name string, anyCase bool) any {
	v, ok := o[name]
	if ok || !anyCase {
		return v
	}
	for key, v := range o {
		if len(key) == len(name) && strings.EqualFold(key, name) {
			return v
		}
	}
	return nil
}

// memory remembers what a resource answered: what is in no column yet is matched by
// every filter that comes.
type memory struct {
	of Values

	mu  sync.Mutex // guards got
	got map[string]any
}

// mostRemembered bounds what is remembered: anyone can ask for any URN.
const mostRemembered = 16

// Value returns what stands under the name.
func (m *memory) Value(name string) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.got[name]; ok {
		return v
	}
	v := m.of.Value(name)
	if len(m.got) < mostRemembered {
		if m.got == nil {
			m.got = map[string]any{}
		}
		m.got[name] = v
	}
	return v
}

// values returns the value or values of an attribute: a []any of several.
func (k groupKey) values(v Values) any {
	if k.urn == "" {
		return v.Value(k.attr)
	}
	in := v.Value(k.urn)
	if k.attr == "" {
		return in
	}
	o, ok := in.(schema.Object)
	if !ok {
		return nil
	}
	return member(o, k.attr, true)
}

// value returns what the leaf names in one value of its attribute.
func (l *leaf) value(entry any) any {
	if l.sub == "" {
		return entry
	}
	if o, ok := entry.(schema.Object); ok {
		return member(o, l.sub, l.untyped)
	}
	if l.untyped && strings.EqualFold(l.sub, "value") {
		return entry // of an attribute whose values are simple
	}
	return nil
}

// number is an integer or a decimal.
type number struct {
	f       float64
	i       int64
	integer bool
}

func parseNumber(s string) (number, error) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return number{float64(i), i, true}, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return number{}, wrong("number %s is too large", s)
	}
	return number{f: f}, nil
}

func toNumber(v any) (number, bool) {
	switch v := v.(type) {
	case int64:
		return number{float64(v), v, true}, true
	case float64:
		return number{f: v}, !math.IsNaN(v)
	}
	return number{}, false
}

// compare is exact among integers; a decimal makes decimals of both.
func (n number) compare(m number) int {
	if n.integer && m.integer {
		return cmp.Compare(n.i, m.i)
	}
	return cmp.Compare(n.f, m.f)
}

// parseTime reads an xsd:dateTime (RFC 7643, section 2.3.5) as nanoseconds since 1970.
// Without a zone it is UTC. Years that do not fit are as early or late as can be.
func parseTime(s string) (int64, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		if t, err = time.Parse("2006-01-02T15:04:05", s); err != nil {
			return 0, false
		}
	}
	switch y := t.Year(); {
	case y < 1678:
		return math.MinInt64, true
	case y > 2261:
		return math.MaxInt64, true
	}
	return t.UnixNano(), true
}
