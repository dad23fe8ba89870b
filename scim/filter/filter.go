// Package filter reads SCIM filters (RFC 7644, section 3.4.2.2) and the paths of PATCH
// (section 3.5.2), and finds what they select.
//
// It owns the grammar, the tree that a filter becomes, the check of a filter against a
// resource type, and two ways to evaluate it that always agree: [Filter.Match] for one
// resource, and [Filter.Select] for all rows of a [Table] of columns. It is pure. It
// promises that no text, however long or deep, costs more than the limits it is given.
// It leaves to the caller which index to ask first: the tree is there to be looked at.
//
// Where the RFC leaves room, a filter means this:
//   - An attribute that is absent is not equal to anything: ne matches it. eq null is
//     "absent", ne null is "present".
//   - A multi-valued attribute matches when one of its values does, ne included; without
//     any value, only ne and eq null match.
//   - A complex attribute that is compared stands for its sub-attribute value.
//   - pr does not hold for an empty string.
//   - emails[type eq "work"].value eq "x", which Entra ID sends, is not in the grammar.
//     It is read as emails[type eq "work" and value eq "x"].
package filter

import (
	"fmt"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// Options bound and loosen reading. The zero value is the RFC's grammar under the
// default limits.
type Options struct {
	MaxLength int // of the text in bytes; 4 KiB if zero
	MaxDepth  int // of parentheses and brackets; 32 if zero, 1,000 at most
	MaxTerms  int // comparisons; 64 if zero

	// Type tells where a URN in a path ends. Without it a path is divided by how URNs
	// usually look.
	Type *schema.ResourceType

	// Lenient takes what some providers send: single quotes, literals without quotes,
	// tabs, blanks in front and behind, and literals of another type than the
	// attribute, such as "True" for a boolean.
	Lenient bool
}

// The defaults and the bound of the limits.
const (
	defaultLength = 4 << 10
	defaultDepth  = 32
	defaultTerms  = 64
	deepest       = 1000 // a tree of this depth may be walked by recursion
)

func (o Options) withDefaults() Options {
	if o.MaxLength <= 0 {
		o.MaxLength = defaultLength
	}
	if o.MaxDepth <= 0 {
		o.MaxDepth = defaultDepth
	}
	if o.MaxTerms <= 0 {
		o.MaxTerms = defaultTerms
	}
	o.MaxDepth = min(o.MaxDepth, deepest)
	return o
}

// Error says what is wrong with a filter or a path. Its text is for whoever wrote it.
type Error struct {
	At   int // the position in the text, from 1; 0 if it is the meaning that is wrong
	Text string
}

// Error returns the text with the position.
func (e *Error) Error() string {
	if e.At == 0 {
		return e.Text
	}
	return fmt.Sprintf("position %d: %s", e.At, e.Text)
}

// Op is a comparison.
type Op uint8

// The comparisons.
const (
	Equal Op = iota
	NotEqual
	Contains
	StartsWith
	EndsWith
	Greater
	Less
	GreaterOrEqual
	LessOrEqual
)

// ops are the words of the comparisons, in the order of the constants.
var ops = [...]string{"eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le"}

// String returns the word of the comparison.
func (o Op) String() string { return ops[o] }

// Number is a number as it stands in a filter.
type Number string

// Path names an attribute, or, in PATCH, values of it. Names are as they were written.
type Path struct {
	URN    string // empty, or of the schema
	Attr   string // empty if a whole schema is named
	Filter Expr   // of a path of PATCH: which values; or nil
	Sub    string // a sub-attribute, or empty
}

// Expr is a filter: an [And], [Or], [Not], [Compare], [Present] or [ValuePath].
type Expr interface {
	// String returns the filter in the grammar of the RFC.
	String() string
	expr()
}

// And holds when all of its terms do. Parsed ones have two or more, none itself an And.
type And struct{ Terms []Expr }

// Or holds when one of its terms does. Parsed ones have two or more, none itself an Or.
type Or struct{ Terms []Expr }

// Not holds when its term does not.
type Not struct{ Term Expr }

// Compare compares an attribute with a literal: a string, a bool, a [Number] or nil.
type Compare struct {
	Path  Path
	Op    Op
	Value any
}

// Present holds when the attribute has a value.
type Present struct{ Path Path }

// ValuePath holds when one value of the attribute matches the whole filter, whose paths
// name sub-attributes.
type ValuePath struct {
	Path   Path
	Filter Expr
}

func (And) expr()       {}
func (Or) expr()        {}
func (Not) expr()       {}
func (Compare) expr()   {}
func (Present) expr()   {}
func (ValuePath) expr() {}
