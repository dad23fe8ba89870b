package filter

import (
	"strconv"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// String returns the filter with the parentheses that it needs.
func (e And) String() string { return string(print(nil, e, loose)) }

// String returns the filter with the parentheses that it needs.
func (e Or) String() string { return string(print(nil, e, loose)) }

// String returns the filter with the parentheses that it needs.
func (e Not) String() string { return string(print(nil, e, loose)) }

// String returns the comparison.
func (e Compare) String() string { return string(print(nil, e, loose)) }

// String returns the test.
func (e Present) String() string { return string(print(nil, e, loose)) }

// String returns the value path.
func (e ValuePath) String() string { return string(print(nil, e, loose)) }

// String returns the path in the grammar of PATCH.
func (p Path) String() string { return string(printPath(nil, p)) }

// binding says what an expression stands in: an Or within an And needs parentheses.
type binding uint8

const (
	loose binding = iota
	tight
)

// print recurses as deep as the tree, which [Parse] bounds.
func print(b []byte, e Expr, in binding) []byte {
	switch e := e.(type) {
	case And:
		return printTerms(b, e.Terms, " and ", tight)
	case Or:
		if in == tight && len(e.Terms) > 1 {
			b = printTerms(append(b, '('), e.Terms, " or ", loose)
			return append(b, ')')
		}
		return printTerms(b, e.Terms, " or ", in)
	case Not:
		return append(print(append(b, "not ("...), e.Term, loose), ')')
	case Compare:
		b = append(append(printPath(b, e.Path), ' '), e.Op.String()...)
		return printValue(append(b, ' '), e.Value)
	case Present:
		return append(printPath(b, e.Path), " pr"...)
	case ValuePath:
		p := e.Path
		p.Filter = e.Filter
		return printPath(b, p)
	}
	return b
}

func printTerms(b []byte, terms []Expr, word string, in binding) []byte {
	for i, e := range terms {
		if i > 0 {
			b = append(b, word...)
		}
		b = print(b, e, in)
	}
	return b
}

func printPath(b []byte, p Path) []byte {
	b = append(b, p.URN...)
	if p.URN != "" && p.Attr != "" {
		b = append(b, ':')
	}
	b = append(b, p.Attr...)
	if p.Filter != nil {
		b = append(print(append(b, '['), p.Filter, loose), ']')
	}
	if p.Sub != "" {
		b = append(append(b, '.'), p.Sub...)
	}
	return b
}

func printValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return schema.AppendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case Number:
		return append(b, v...)
	}
	return append(b, "null"...)
}
