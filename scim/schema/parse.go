package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// definition is a schema in the form of RFC 7643, section 7.
type definition struct {
	Schemas     []string              `json:"schemas"`
	ID          string                `json:"id"`
	Name        string                `json:"name"`
	Description string                `json:"description"`
	Attributes  []attributeDefinition `json:"attributes"`
	Meta        jsontext.Value        `json:"meta"`
}

// attributeDefinition is an attribute in that form. What has a default by RFC 7643,
// section 2.2, may be left out.
type attributeDefinition struct {
	Name            string                `json:"name"`
	Type            string                `json:"type"`
	MultiValued     bool                  `json:"multiValued"`
	Description     string                `json:"description"`
	Required        bool                  `json:"required"`
	CaseExact       *bool                 `json:"caseExact"`
	CanonicalValues []string              `json:"canonicalValues"`
	Mutability      string                `json:"mutability"`
	Returned        string                `json:"returned"`
	Uniqueness      string                `json:"uniqueness"`
	ReferenceTypes  []string              `json:"referenceTypes"`
	SubAttributes   []attributeDefinition `json:"subAttributes"`
}

// Parse reads a schema in the form of RFC 7643, section 7. It refuses what it does
// not know and what the RFC forbids, and says where.
func Parse(text []byte) (*Schema, error) {
	var d definition
	if err := json.Unmarshal(text, &d, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if err := checkURN(d.ID); err != nil {
		return nil, fmt.Errorf("schema: id: %w", err)
	}
	s := &Schema{ID: d.ID, Name: d.Name, Description: d.Description}
	if s.Name == "" {
		return nil, fmt.Errorf("schema %s: name is missing", d.ID)
	}
	if len(d.Attributes) == 0 {
		return nil, fmt.Errorf("schema %s: attributes are missing", d.ID)
	}
	list, err := parseAttributes(d.Attributes, nil)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", d.ID, err)
	}
	for _, c := range Common() {
		if find(list, c.Name) != nil {
			return nil, fmt.Errorf("schema %s: attribute %q: every resource has one of that name", d.ID, c.Name)
		}
	}
	s.Attributes = list
	return s, nil
}

// checkURN refuses what could not stand before the colon and the attribute's name in
// a filter (RFC 7644, section 3.10), or what would be taken for a name.
func checkURN(urn string) error {
	scheme, rest, ok := strings.Cut(urn, ":")
	switch {
	case urn == "":
		return fmt.Errorf("is missing: a schema is named by a URN")
	case !ok || scheme == "" || rest == "":
		return fmt.Errorf("%q is not a URN, such as urn:example:params:scim:schemas:1.0:Badge", urn)
	case strings.ContainsFunc(urn, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"[]()\,`, r) }):
		return fmt.Errorf("%q holds a character that a URN cannot have", urn)
	}
	return nil
}

func parseAttributes(list []attributeDefinition, parent *Attribute) ([]*Attribute, error) {
	var out []*Attribute
	for i, d := range list {
		a, err := parseAttribute(d, parent)
		if err != nil {
			return nil, fmt.Errorf("attribute %d (%q): %w", i+1, d.Name, err)
		}
		if find(out, a.Name) != nil {
			return nil, fmt.Errorf("attribute %d (%q): the name is used before, and case makes no difference", i+1, d.Name)
		}
		out = append(out, a)
	}
	return out, nil
}

func parseAttribute(d attributeDefinition, parent *Attribute) (*Attribute, error) {
	if !IsName(d.Name) {
		return nil, fmt.Errorf("a name begins with a letter, and has letters, digits, $, - and _")
	}
	a := &Attribute{
		Name: d.Name, MultiValued: d.MultiValued, Description: d.Description, Required: d.Required,
		Canonical: d.CanonicalValues, ReferenceTypes: d.ReferenceTypes,
	}
	var err error
	if a.Type, err = word("type", types, d.Type, String); err != nil {
		return nil, err
	}
	if a.Mutability, err = word("mutability", mutabilities, d.Mutability, ReadWrite); err != nil {
		return nil, err
	}
	if a.Returned, err = word("returned", returneds, d.Returned, Default); err != nil {
		return nil, err
	}
	if a.Uniqueness, err = word("uniqueness", uniquenesses, d.Uniqueness, None); err != nil {
		return nil, err
	}
	// RFC 7643, sections 2.3.6 and 2.3.7: these two are always case exact.
	a.CaseExact = a.Type == Reference || a.Type == Binary
	if d.CaseExact != nil && a.Type != Reference && a.Type != Binary {
		a.CaseExact = *d.CaseExact
	}
	if err := checkAttribute(a, d, parent); err != nil {
		return nil, err
	}
	a.Sub, err = parseAttributes(d.SubAttributes, a)
	return a, err
}

// checkAttribute refuses characteristics that do not go together.
func checkAttribute(a *Attribute, d attributeDefinition, parent *Attribute) error {
	switch {
	case a.Type == Complex && parent != nil:
		return fmt.Errorf("an attribute within a complex one cannot be complex itself")
	case a.Type == Complex && len(d.SubAttributes) == 0:
		return fmt.Errorf("subAttributes are missing: its type is complex")
	case a.Type != Complex && len(d.SubAttributes) > 0:
		return fmt.Errorf("subAttributes are for the type complex, not %s", a.Type)
	case a.Type != Reference && len(a.ReferenceTypes) > 0:
		return fmt.Errorf("referenceTypes are for the type reference, not %s", a.Type)
	case a.Type != String && a.Type != Reference && len(a.Canonical) > 0:
		return fmt.Errorf("canonicalValues are for the type string, not %s", a.Type)
	case a.Mutability == WriteOnly && a.Returned != Never:
		return fmt.Errorf("what is writeOnly has to have returned: never")
	case slices.Contains(a.Canonical, "") || slices.Contains(a.ReferenceTypes, ""):
		return fmt.Errorf("canonicalValues and referenceTypes cannot hold an empty one")
	}
	return nil
}

// IsName reports whether s can be the name of an attribute: RFC 7643, section 2.1,
// and $ref of section 2.4.
func IsName(s string) bool {
	if s == "" || (!letter(s[0]) && s != "$ref") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !letter(c) && (c < '0' || c > '9') && c != '$' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// word turns a characteristic's word into its value. Words are case exact.
func word[T ~uint8](what string, words []string, s string, missing T) (T, error) {
	if s == "" {
		return missing, nil
	}
	i := slices.Index(words, s)
	if i < 0 {
		return 0, fmt.Errorf("%s: %q is none of %s", what, s, strings.Join(words, ", "))
	}
	return T(i), nil
}
