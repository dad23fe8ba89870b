package identity

import (
	"maps"
	"slices"
	"strings"
)

// Normalize returns the attributes in the one form in which they are stored and
// compared: keys trimmed and folded, keys that fold alike put together, values
// sorted and each once, empty values and keys without values left out. It returns
// nil when nothing is left. The receiver stays as it is.
func (a Attributes) Normalize() Attributes {
	out := make(Attributes, len(a))
	for k, values := range a {
		if k = FoldKey(k); k != "" {
			out[k] = append(out[k], values...)
		}
	}
	for k, values := range out {
		values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
		slices.Sort(values)
		if values = slices.Compact(values); len(values) > 0 {
			out[k] = slices.Clip(values)
		} else {
			delete(out, k)
		}
	}
	return out.orNil()
}

// FoldKey returns the form in which attribute keys are kept: trimmed and folded.
func FoldKey(key string) string { return FoldName(strings.TrimSpace(key)) }

// Keys returns the keys, sorted.
func (a Attributes) Keys() []string { return slices.Sorted(maps.Keys(a)) }

// Has reports whether the key has the value. The key must be folded.
func (a Attributes) Has(key, value string) bool {
	_, ok := slices.BinarySearch(a[key], value)
	return ok
}

// Merge returns what a and b hold together. Neither changes.
func (a Attributes) Merge(b Attributes) Attributes {
	m := make(Attributes, max(len(a), len(b)))
	maps.Copy(m, a)
	for k, values := range b {
		m[k] = union(m[k], values)
	}
	return m.orNil()
}

// With returns a with one value more. The key is folded; an empty key or value adds
// nothing. a does not change.
func (a Attributes) With(key, value string) Attributes {
	if value == "" {
		return a
	}
	return a.Merge(Attributes{key: {value}}.Normalize())
}

// Without returns a without one value, and without the key when that was its last.
// The key is folded. a does not change.
func (a Attributes) Without(key, value string) Attributes {
	key = FoldKey(key)
	at, ok := slices.BinarySearch(a[key], value)
	if !ok {
		return a
	}
	m := maps.Clone(a)
	if len(a[key]) == 1 {
		delete(m, key)
	} else {
		m[key] = slices.Concat(a[key][:at], a[key][at+1:])
	}
	return m.orNil()
}

// Equal reports whether a and b hold the same. A key without values does not exist.
func (a Attributes) Equal(b Attributes) bool { return maps.EqualFunc(a, b, slices.Equal[[]string]) }

func (a Attributes) orNil() Attributes {
	if len(a) == 0 {
		return nil
	}
	return a
}

// union returns the sorted values of two sorted sets. It may return one of them.
func union(a, b []string) []string {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	u := slices.Concat(a, b)
	slices.Sort(u)
	return slices.Compact(u)
}
