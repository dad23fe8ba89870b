package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// document is what is read of an OpenAPI document.
type document struct {
	Paths      map[string]map[string]*operation `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	ID          string                `json:"operationId"`
	Summary     string                `json:"summary"`
	Description string                `json:"description"`
	Tags        []string              `json:"tags"`
	Parameters  []parameter           `json:"parameters"`
	Body        *body                 `json:"requestBody"`
	Responses   map[string]*body      `json:"responses"`
	Security    []map[string][]string `json:"security"`
	Timeout     int                   `json:"x-timeout-seconds"`
	Decision    bool                  `json:"x-reads-only"`

	method, path string
}

type parameter struct {
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Required    bool    `json:"required"`
	Description string  `json:"description"`
	Schema      *schema `json:"schema"`
}

// body is a body of a request or an answer.
type body struct {
	Required bool              `json:"required"`
	Headers  map[string]any    `json:"headers"`
	Content  map[string]*media `json:"content"`
}

type media struct {
	Schema *schema `json:"schema"`
}

type schema struct {
	Ref         string             `json:"$ref"`
	Type        any                `json:"type"`
	Format      string             `json:"format"`
	Description string             `json:"description"`
	Enum        []string           `json:"enum"`
	Items       *schema            `json:"items"`
	Properties  map[string]*schema `json:"properties"`
	Required    []string           `json:"required"`
	Order       []string           `json:"x-order"`
	More        any                `json:"additionalProperties"`
}

// operations returns what a client has methods for, in order: not the document itself.
func (d *document) operations() []*operation {
	var all []*operation
	for path, methods := range d.Paths {
		for method, o := range methods {
			o.method, o.path = method, path
			if o.Tags[0] != "Document" {
				all = append(all, o)
			}
		}
	}
	slices.SortFunc(all, func(a, b *operation) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// names returns the names of the members of a shape, in the order of the API.
func (s *schema) names() []string {
	if len(s.Order) == len(s.Properties) {
		return s.Order
	}
	return slices.Sorted(maps.Keys(s.Properties))
}

// is returns the type, and whether null is one.
func (s *schema) is() (kind string, nullable bool) {
	switch t := s.Type.(type) {
	case string:
		return t, false
	case []any:
		for _, k := range t {
			if k == "null" {
				nullable = true
			} else {
				kind, _ = k.(string)
			}
		}
	}
	return kind, nullable
}

// goType returns how a value of a member is written in Go.
func goType(name string, s *schema) (string, error) {
	if s.Ref != "" {
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:], nil
	}
	kind, nullable := s.is()
	plain := ""
	switch kind {
	case "string":
		plain = "string"
		if s.Format == "date-time" {
			plain = "time.Time"
		}
	case "boolean":
		plain = "bool"
	case "number":
		plain = "float64"
	case "integer":
		plain = goInteger(name)
	case "array":
		of, err := goType(name, s.Items)
		return "[]" + of, err
	case "object":
		return goMap(s)
	case "":
		return "jsontext.Value", nil
	default:
		return "", fmt.Errorf("%s is of type %q", name, kind)
	}
	if nullable {
		plain = "*" + plain
	}
	return plain, nil
}

// goInteger keeps what counts the whole life of an installation as wide as it is there.
func goInteger(name string) string {
	switch name {
	case "revision", "minRevision", "min_revision", "after":
		return "int64"
	case "seq", "firstSeq", "segment":
		return "uint64"
	}
	return "int"
}

func goMap(s *schema) (string, error) {
	more, ok := s.More.(map[string]any)
	if !ok || len(more) == 0 {
		return "map[string]any", nil
	}
	of, err := goType("", schemaOf(more))
	return "map[string]" + of, err
}

// schemaOf reads a schema that stood where a yes or no may stand, too.
func schemaOf(m map[string]any) *schema {
	s := &schema{Type: m["type"]}
	s.Ref, _ = m["$ref"].(string)
	s.Format, _ = m["format"].(string)
	if items, ok := m["items"].(map[string]any); ok {
		s.Items = schemaOf(items)
	}
	return s
}

// initials are written in capitals.
var initials = map[string]string{"id": "ID", "dn": "DN", "api": "API", "url": "URL", "ok": "OK", "scim": "SCIM"}

// goName turns a name of the document into one of Go.
func goName(name string) string {
	var b strings.Builder
	for _, word := range words(name) {
		if up, ok := initials[strings.ToLower(word)]; ok {
			b.WriteString(up)
			continue
		}
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// words splits at capitals and at what is no letter.
func words(name string) []string {
	var all []string
	from := 0
	cut := func(to int) {
		if to > from {
			all = append(all, name[from:to])
		}
		from = to
	}
	for i, r := range name {
		switch {
		case r == '_' || r == '-' || r == '.':
			cut(i)
			from = i + 1
		case r >= 'A' && r <= 'Z' && i > 0 && (name[i-1] < 'A' || name[i-1] > 'Z'):
			cut(i)
		}
	}
	cut(len(name))
	return all
}

// goArgument is a name of the document as an argument.
func goArgument(name string) string {
	first := words(name)[0]
	return strings.ToLower(first) + goName(name[len(first):])
}
