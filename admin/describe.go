package admin

import (
	_ "embed"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
)

// The document is made of what was registered, and finished here: what every operation
// has in common is said once, every member is described, and what is served without
// huma is in it, too. It describes; what is checked does not depend on it.

// comments are the doc comments of the types that the API shows, by package and name, and
// of their fields. Their place is the source; a test keeps the copy equal.
//
//go:embed comments.json
var comments []byte

// parts are the parts of the API, in the order of the alphabet.
var parts = []*huma.Tag{
	{Name: "Answers", Description: "What holds in the end, and why: checks, holders, effective views, explanations and the change feed."},
	{Name: "Attributes", Description: "Local values of attributes, put on users and groups on top of what their sources say."},
	{Name: "Audit", Description: "The chained log of everything that was changed or refused."},
	{Name: "AuthZEN", Description: "Decisions and searches as the OpenID AuthZEN Authorization API 1.0 has them. Errors are a status with a sentence in plain text."},
	{Name: "Bootstrap", Description: "The first administrator of an installation."},
	{Name: "Document", Description: "This description itself."},
	{Name: "Grants", Description: "Permissions given to users and groups."},
	{Name: "Groups", Description: "Groups of any source, their members, and local groups."},
	{Name: "Keys", Description: "API keys of people."},
	{Name: "Metrics", Description: "What is used and what is touched, never by whom."},
	{Name: "Operation", Description: "What keeps an installation running."},
	{Name: "Permissions", Description: "The permissions that there are, and the personas that follow from them."},
	{Name: "Services", Description: "Applications that ask here, and their keys."},
	{Name: "Settings", Description: "The switches of an installation."},
	{Name: "Sources", Description: "Directories and providers that users and groups come from, their runs and tokens."},
	{Name: "Users", Description: "Users of any source, and local users."},
}

// describe finishes the document.
func (a *API) describe() error {
	known := map[string]string{}
	if err := json.Unmarshal(comments, &known); err != nil {
		return fmt.Errorf("read the comments of the types: %w", err)
	}
	doc := a.huma.OpenAPI()
	d := describer{doc: doc, comments: known}
	doc.Info.Contact = &huma.Contact{Name: "The Rollcall project", URL: "https://github.com/rollcall-id/rollcall"}
	if len(doc.Servers) == 0 {
		doc.Servers = []*huma.Server{{
			URL: "https://{address}", Description: "An installation; cleartext is taken on the machine itself only",
			Variables: map[string]*huma.ServerVariable{"address": {Default: "localhost:8443", Description: "Host and port, as the configuration has them under listen"}},
		}}
	}
	for name, s := range doc.Components.Schemas.Map() {
		d.schema(name, s)
	}
	used := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, op := range pathOperations(doc.Paths[path]) {
			if op != nil {
				used[op.Tags[0]] = true
				d.operation(op)
			}
		}
	}
	doc.Tags = slices.DeleteFunc(slices.Clone(parts), func(t *huma.Tag) bool { return !used[t.Name] })
	return nil
}

// describer adds to a document.
type describer struct {
	doc      *huma.OpenAPI
	comments map[string]string
}

// schema describes one of the shapes, and what it has.
func (d *describer) schema(name string, s *huma.Schema) {
	t := d.doc.Components.Schemas.TypeFromRef("#/components/schemas/" + name)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != nil {
		s.Description = sentenceOf(d.comments[nameOf(t)])
	}
	fields := fieldsOf(t)
	if order := orderOf(t, s); len(order) > 0 {
		s.Extensions = map[string]any{"x-order": order}
	}
	for member, p := range s.Properties {
		if p.Description == "" {
			p.Description = sentenceOf(d.comments[fields[member]])
		}
		if p.Description == "" {
			p.Description = memberWords[member]
		}
		d.member(member, p)
	}
}

// member gives a member an example, and takes from it that it may be null: nothing that
// is answered is, and a request leaves out what it does not say.
func (d *describer) member(name string, s *huma.Schema) {
	if s.Type == huma.TypeArray || s.Type == huma.TypeObject {
		s.Nullable = false
	}
	if s.Items != nil {
		d.member(strings.TrimSuffix(name, "s"), s.Items)
	}
	if more, ok := s.AdditionalProperties.(*huma.Schema); ok {
		d.member("", more)
	}
	if s.Ref == "" && len(s.Examples) == 0 {
		if e := exampleOf(name, s); e != nil {
			s.Examples = []any{e}
		}
	}
}

// exampleOf returns an example of a plain value.
func exampleOf(name string, s *huma.Schema) any {
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	switch {
	case s.Format == "date-time":
		return "2026-11-25T09:00:00Z"
	case s.Format == "email" || name == "email":
		return "ann@example.com"
	case s.Type == huma.TypeString:
		return exampleText(name)
	case s.Type == huma.TypeBoolean:
		return true
	case s.Type == huma.TypeInteger && s.Minimum != nil:
		return int64(*s.Minimum)
	case s.Type == huma.TypeInteger && name == "status":
		return int64(http.StatusOK)
	case s.Type == huma.TypeInteger:
		return int64(3)
	case s.Type == huma.TypeNumber:
		return 0.5
	}
	return nil
}

func exampleText(name string) string {
	if e, ok := examples[name]; ok {
		return e
	}
	return "text"
}

// whole returns an example of a schema with everything in it, put together from those of
// its members.
func (d *describer) whole(s *huma.Schema, depth int) any {
	if s.Ref != "" {
		s = d.doc.Components.Schemas.SchemaFromRef(s.Ref)
	}
	if len(s.Examples) > 0 {
		return s.Examples[0]
	}
	switch s.Type {
	case huma.TypeArray:
		if depth > 4 {
			return []any{}
		}
		return []any{d.whole(s.Items, depth+1)}
	case huma.TypeObject:
		out := map[string]any{}
		for name, p := range s.Properties {
			if depth <= 4 || slices.Contains(s.Required, name) {
				out[name] = d.whole(p, depth+1)
			}
		}
		if more, ok := s.AdditionalProperties.(*huma.Schema); ok {
			out["department"] = d.whole(more, depth+1)
		}
		return out
	}
	return exampleOf("", s)
}

// operation describes one operation.
func (d *describer) operation(op *huma.Operation) {
	op.Description = strings.TrimSpace(op.Description + " " + d.terms(op))
	for _, p := range op.Parameters {
		d.parameter(p)
	}
	if op.RequestBody != nil {
		if op.RequestBody.Description == "" {
			op.RequestBody.Description = "What is asked for; names are compared exactly, and an unknown one is refused"
		}
		d.content(op.RequestBody.Content)
	}
	for status, r := range op.Responses {
		code, _ := strconv.Atoi(status)
		switch {
		case code == http.StatusNotModified:
			op.Responses[status] = d.shared("NotModified", func() *huma.Response {
				return &huma.Response{Description: "What was read before still holds; there is no body"}
			})
		case code >= http.StatusBadRequest && r.Content["application/problem+json"] != nil:
			op.Responses[status] = d.failure(code)
		case code < http.StatusBadRequest:
			for name, h := range r.Headers {
				if h.Description == "" {
					h.Description = headerWords[name]
				}
			}
			d.content(r.Content)
		}
	}
}

// terms says in a sentence each what every operation of its kind keeps to.
func (d *describer) terms(op *huma.Operation) string {
	var says []string
	says = append(says, "Who may: "+whoMay(op)+".")
	for _, p := range op.Parameters {
		switch p.Name {
		case "dryRun":
			says = append(says, "With dryRun=true everything is checked and answered, and nothing is stored.")
		case repeatHeader:
			says = append(says, "With an Idempotency-Key it is done once, however often it is sent.")
		case "pageToken":
			says = append(says, "It is answered in pages.")
		case "If-Match":
			says = append(says, "With If-Match it is done only if nothing changed since.")
		}
	}
	return strings.Join(says, " ")
}

func (d *describer) parameter(p *huma.Param) {
	if p.Description == "" {
		p.Description = parameterWords[p.Name]
	}
	if p.Schema != nil && p.Example == nil && len(p.Schema.Examples) == 0 {
		p.Example = exampleOf(p.Name, p.Schema)
		if p.Schema.Default != nil {
			p.Example = p.Schema.Default
		}
	}
}

func (d *describer) content(all map[string]*huma.MediaType) {
	for _, m := range all {
		if m.Schema != nil && m.Example == nil {
			m.Example = d.whole(m.Schema, 0)
		}
	}
}

// failure returns the answer with a status, described once for all operations.
func (d *describer) failure(status int) *huma.Response {
	text := http.StatusText(status)
	return d.shared(strings.ReplaceAll(text, " ", ""), func() *huma.Response {
		r := &huma.Response{
			Description: failures[status],
			Content: map[string]*huma.MediaType{"application/problem+json": {
				Schema:  &huma.Schema{Ref: "#/components/schemas/Problem"},
				Example: map[string]any{"title": text, "status": status, "code": codeOf(status), "requestId": "4KX6ZQ3V2M7T5W8Y"},
			}},
		}
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			r.Headers = map[string]*huma.Param{"Retry-After": {
				Description: "After how many seconds to ask again", Schema: &huma.Schema{Type: huma.TypeInteger, Format: "int64", Examples: []any{int64(2)}},
			}}
		}
		if status == http.StatusUnauthorized {
			r.Headers = map[string]*huma.Param{"WWW-Authenticate": {
				Description: "How to say who asks", Schema: &huma.Schema{Type: huma.TypeString, Examples: []any{`Bearer realm="rollcall"`}},
			}}
		}
		return r
	})
}

func (d *describer) shared(name string, build func() *huma.Response) *huma.Response {
	if d.doc.Components.Responses == nil {
		d.doc.Components.Responses = map[string]*huma.Response{}
	}
	if d.doc.Components.Responses[name] == nil {
		d.doc.Components.Responses[name] = build()
	}
	return &huma.Response{Ref: "#/components/responses/" + name}
}

// nameOf is how the comments call a type.
func nameOf(t reflect.Type) string {
	pkg := t.PkgPath()
	return pkg[strings.LastIndexByte(pkg, '/')+1:] + "." + t.Name()
}

// fieldsOf returns how the comments call each member of a struct.
func fieldsOf(t reflect.Type) map[string]string {
	out := map[string]string{}
	if t == nil || t.Kind() != reflect.Struct {
		return out
	}
	for member, name := range answeredAs(t) {
		if out[member] == "" {
			out[member] = name
		}
	}
	return out
}

// answeredAs yields the members of a struct, in the order in which they are answered, with how
// the comments call them. It looks into what is embedded, also where Go's rules would hide
// a field behind the name of its struct.
func answeredAs(t reflect.Type) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for f := range t.Fields() {
			member, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous && member == "" && f.Type.Kind() == reflect.Struct:
				for inner, name := range answeredAs(f.Type) {
					if !yield(inner, name) {
						return
					}
				}
			case member != "" && !yield(member, nameOf(t)+"."+f.Name):
				return
			}
		}
	}
}

// orderOf returns the members of a shape in the order in which they are answered.
func orderOf(t reflect.Type, s *huma.Schema) []string {
	var order []string
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	for member := range answeredAs(t) {
		if s.Properties[member] != nil && !slices.Contains(order, member) {
			order = append(order, member)
		}
	}
	return order
}

// sentenceOf makes one line of a doc comment.
func sentenceOf(comment string) string {
	return strings.NewReplacer("[", "", "]", "").Replace(strings.Join(strings.Fields(comment), " "))
}
