// Package schema says what a SCIM resource may hold: schemas, their attributes and
// characteristics, and resource types, as RFC 7643 has them.
//
// It owns the definitions of User, Group and the enterprise extension, the reader of
// definitions in the form of RFC 7643, section 7, and the canonical form of a
// resource that everything else under scim works on. It is pure. Which attributes a
// provider spells wrongly is the business of package dialect; what a filter means, of
// package filter.
package schema

import (
	"strings"
)

// URNs of the schemas of RFC 7643.
const (
	UserURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// Type is the data type of an attribute: RFC 7643, section 2.3.
type Type uint8

// The data types.
const (
	String Type = iota
	Boolean
	Decimal
	Integer
	DateTime
	Binary
	Reference
	Complex
)

// Mutability says who may write an attribute: RFC 7643, section 2.2.
type Mutability uint8

// The mutabilities.
const (
	ReadWrite Mutability = iota
	ReadOnly
	Immutable
	WriteOnly
)

// Returned says when an attribute is in an answer: RFC 7643, section 2.2.
type Returned uint8

// When an attribute is returned.
const (
	Default Returned = iota
	Always
	Never
	Request
)

// Uniqueness says where a value may stand only once.
type Uniqueness uint8

// The uniquenesses.
const (
	None Uniqueness = iota
	Server
	Global
)

// Attribute is one attribute or sub-attribute with its characteristics.
type Attribute struct {
	Name           string
	Type           Type
	MultiValued    bool
	Description    string
	Required       bool
	CaseExact      bool
	Canonical      []string
	Mutability     Mutability
	Returned       Returned
	Uniqueness     Uniqueness
	ReferenceTypes []string
	Sub            []*Attribute // of a complex one, in the order in which they are shown
}

// Find returns the sub-attribute of that name, in any case, or nil.
func (a *Attribute) Find(name string) *Attribute { return find(a.Sub, name) }

func find(list []*Attribute, name string) *Attribute {
	for _, a := range list {
		if strings.EqualFold(a.Name, name) {
			return a
		}
	}
	return nil
}

// Schema is a named list of attributes.
type Schema struct {
	ID          string // a URN
	Name        string
	Description string
	Attributes  []*Attribute // in the order in which they are shown
}

// Find returns the attribute of that name, in any case, or nil.
func (s *Schema) Find(name string) *Attribute { return find(s.Attributes, name) }

// ResourceType is a kind of resource: RFC 7643, section 6. [New] makes one that is
// checked and quick to search. It must not be changed once it is in use.
type ResourceType struct {
	Name        string // "User"; also its id
	Endpoint    string // "/Users"
	Description string
	Core        *Schema
	Extensions  []Extension

	index *index // nil in a literal: then look-ups go through the lists
}

// Extension is a schema that resources of a type may have beside the core one.
type Extension struct {
	Schema   *Schema
	Required bool
}

// Extension returns the extension with that URN, in any case, or nil.
func (t *ResourceType) Extension(urn string) *Schema {
	for _, e := range t.Extensions {
		if strings.EqualFold(e.Schema.ID, urn) {
			return e.Schema
		}
	}
	return nil
}

// Object is a resource, or a complex value, in canonical form: names are spelled as
// in the schema; an extension's attributes are an Object under its URN; a value is a
// string (also of dateTime, binary and reference), a bool, an int64, a float64, an
// Object, or, of a multi-valued attribute, a []any of these. What has no value is not
// in it: no null, no empty list, no empty Object (RFC 7643, section 2.5). id and meta
// are never in it, externalId is. Under a URN that no schema is known for stands
// whatever JSON was sent, with the same kinds of values.
type Object = map[string]any

// Common are the attributes that every resource has beside those of its schemas:
// schemas, id, externalId and meta (RFC 7643, section 3.1).
func Common() []*Attribute {
	return []*Attribute{
		{Name: "schemas", Type: Reference, MultiValued: true, Required: true, CaseExact: true, Mutability: ReadWrite, Returned: Always},
		{Name: "id", Type: String, CaseExact: true, Mutability: ReadOnly, Returned: Always, Uniqueness: Server},
		{Name: "externalId", Type: String, CaseExact: true},
		{Name: "meta", Type: Complex, Mutability: ReadOnly, Sub: []*Attribute{
			{Name: "resourceType", Type: String, CaseExact: true, Mutability: ReadOnly},
			{Name: "created", Type: DateTime, Mutability: ReadOnly},
			{Name: "lastModified", Type: DateTime, Mutability: ReadOnly},
			{Name: "location", Type: Reference, CaseExact: true, Mutability: ReadOnly, ReferenceTypes: []string{"uri"}},
			{Name: "version", Type: String, CaseExact: true, Mutability: ReadOnly},
		}},
	}
}
