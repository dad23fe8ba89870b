package identity

import (
	"slices"
	"strings"
)

// FoldKey returns an attribute's key as it is stored and compared: lower case,
// without space around it.
func FoldKey(key string) string { return strings.ToLower(strings.TrimSpace(key)) }

// Normalize returns the attributes with folded keys and sorted sets of values. Keys
// that fold together share their values; a key without values goes. The receiver
// stays as it is. Without anything left it returns nil.
func (a Attributes) Normalize() Attributes {
	out := make(Attributes, len(a))
	for k, vs := range a {
		if k = FoldKey(k); k != "" && len(vs) > 0 {
			out[k] = append(slices.Clip(out[k]), vs...)
		}
	}
	for k, vs := range out {
		slices.Sort(vs)
		out[k] = slices.Compact(vs)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
