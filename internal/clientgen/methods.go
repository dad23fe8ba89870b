package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// success returns the answer when all goes well.
func (o *operation) success() *body {
	for _, status := range []string{"200", "201", "202", "204"} {
		if r := o.Responses[status]; r != nil {
			return r
		}
	}
	return &body{}
}

// answer returns what is answered, and as what.
func (o *operation) answer() (s *schema, mediaType string, ok bool) {
	for kind, m := range o.success().Content {
		return m.Schema, kind, true
	}
	return nil, "", false
}

// in returns the parameters of a place that a caller chooses: what the client sees to by
// itself is left out.
func (o *operation) in(place string) []parameter {
	return slices.DeleteFunc(slices.Clone(o.Parameters), func(p parameter) bool {
		return p.In != place || slices.Contains([]string{"dryRun", "Idempotency-Key", "Accept", "If-None-Match"}, p.Name)
	})
}

// has reports whether there is a parameter.
func (o *operation) has(name string) bool {
	return slices.ContainsFunc(o.Parameters, func(p parameter) bool { return p.Name == name })
}

// methods writes a method for each operation.
func (d *document) methods(w *writer) error {
	for _, o := range d.operations() {
		if err := d.method(w, o); err != nil {
			return fmt.Errorf("%s: %w", o.ID, err)
		}
	}
	return nil
}

func (d *document) method(w *writer, o *operation) error {
	name := goName(o.ID)
	args, err := d.arguments(w, o, name)
	if err != nil {
		return err
	}
	answer, kind, some := o.answer()
	w.comment("", name+": "+o.Summary+". "+o.Description)
	result := "Nothing"
	if some && answer.Ref != "" {
		if result, err = goType("", answer); err != nil {
			return err
		}
	}
	call := o.call()
	switch {
	case !some:
		w.f("func (c *Client) %s(%s) error {\n%s\treturn c.do(ctx, r, nil)\n}\n\n", name, args, call)
	case kind == "text/event-stream":
		w.f("func (c *Client) %s(%s) iter.Seq2[Followed[%s], error] {\n%s\treturn follow[%s](ctx, c, r)\n}\n\n", name, args, result, call, result)
	case kind != "application/json":
		w.f("func (c *Client) %s(%s, w io.Writer) error {\n%s\treturn c.copy(ctx, r, w)\n}\n\n", name, args, call)
	default:
		w.f("func (c *Client) %s(%s) (*%s, error) {\n%s\treturn answerOf[%s](ctx, c, r)\n}\n\n", name, args, result, call, result)
		if o.has("pageToken") {
			return d.pages(w, o, name, result)
		}
	}
	return nil
}

// arguments returns what a method takes, and writes the type of its query.
func (d *document) arguments(w *writer, o *operation, name string) (string, error) {
	args := []string{"ctx context.Context"}
	var path []string
	for _, p := range o.in("path") {
		path = append(path, p.Name)
	}
	if len(path) > 0 {
		named := make([]string, 0, len(path))
		for segment := range strings.SplitSeq(o.path, "/") {
			if p, ok := strings.CutPrefix(segment, "{"); ok {
				named = append(named, goArgument(strings.TrimSuffix(p, "}")))
			}
		}
		args = append(args, strings.Join(named, ", ")+" string")
	}
	if query := o.in("query"); len(query) > 0 {
		w.comment("", name+"Query narrows or directs "+name+".")
		w.f("type %sQuery struct {\n", name)
		for _, p := range query {
			t, err := goType(p.Name, p.Schema)
			if err != nil {
				return "", err
			}
			if adders[t] == "" {
				return "", fmt.Errorf("%s is a %s, which is not known in a query", p.Name, t)
			}
			w.comment("\t", cmp.Or(p.Description, p.Name))
			w.f("\t%s %s\n", goName(p.Name), t)
		}
		w.f("}\n\n")
		args = append(args, "query "+name+"Query")
	}
	if o.Body != nil {
		t, err := goType("", o.Body.Content["application/json"].Schema)
		if err != nil {
			return "", err
		}
		args = append(args, "body "+t)
	}
	for _, p := range o.in("header") {
		switch p.Name {
		case "If-Match":
			args = append(args, "version string")
		case "Last-Event-ID":
			args = append(args, "after string")
		case "Rollcall-Impersonate": // the client sends it with everything, once it is told to
		default:
			return "", fmt.Errorf("the header %s is not known here", p.Name)
		}
	}
	return strings.Join(args, ", "), nil
}

// call returns the source that makes the request.
func (o *operation) call() string {
	w := &writer{}
	var path []string
	for segment := range strings.SplitSeq(strings.TrimPrefix(o.path, "/"), "/") {
		if p, ok := strings.CutPrefix(segment, "{"); ok {
			path = append(path, goArgument(strings.TrimSuffix(p, "}")))
		} else {
			path = append(path, fmt.Sprintf("%q", segment))
		}
	}
	w.f("\tr := call{method: http.Method%s, path: []string{%s}", goName(o.method), strings.Join(path, ", "))
	if o.Body != nil {
		w.f(", body: body")
	}
	for _, fact := range []struct {
		field string
		holds bool
	}{
		{"repeatable", o.has("Idempotency-Key")},
		{"tryable", o.has("dryRun")},
		{"reads", o.Decision || o.method == "get"},
		{"secret", o.Body != nil && len(o.Security) == 0},
	} {
		if fact.holds {
			w.f(", %s: true", fact.field)
		}
	}
	if o.Timeout > 0 {
		w.f(", time: Patience, limit: maxPlan")
	}
	w.f("}\n")
	if query := o.in("query"); len(query) > 0 {
		w.f("\tr.query = url.Values{}\n")
		for _, p := range query {
			t, _ := goType(p.Name, p.Schema) // was asked before
			w.f("\taddTo%s(r.query, %q, query.%s)\n", adders[t], p.Name, goName(p.Name))
		}
	}
	for _, p := range o.in("header") {
		if arg, ok := map[string]string{"If-Match": "version", "Last-Event-ID": "after"}[p.Name]; ok {
			w.f("\tr.set(%q, %s)\n", p.Name, arg)
		}
	}
	return w.String()
}

// adders add a value of a type to a query.
var adders = map[string]string{"string": "Text", "time.Time": "Time", "int": "Number", "int64": "Number", "uint64": "Number"}

// pages writes the iterator over all that an operation answers in pages.
func (d *document) pages(w *writer, o *operation, name, result string) error {
	page := d.Components.Schemas[result]
	list := slices.IndexFunc(page.names(), func(n string) bool { kind, _ := page.Properties[n].is(); return kind == "array" })
	if list < 0 {
		return fmt.Errorf("%s holds no list", result)
	}
	member := page.names()[list]
	of, err := goType(member, page.Properties[member].Items)
	if err != nil {
		return err
	}
	args, given := "ctx context.Context, ", "ctx, "
	for segment := range strings.SplitSeq(o.path, "/") {
		if p, ok := strings.CutPrefix(segment, "{"); ok {
			arg := goArgument(strings.TrimSuffix(p, "}"))
			args += arg + " string, "
			given += arg + ", "
		}
	}
	w.comment("", fmt.Sprintf("%sAll yields what %s answers, page after page, from the one that query names on. It ends with the first error.", name, name))
	w.f(`func (c *Client) %[1]sAll(%[2]squery %[1]sQuery) iter.Seq2[%[3]s, error] {
	return allPages(func(token string) ([]%[3]s, string, error) {
		if token != "" {
			query.PageToken = token
		}
		p, err := c.%[1]s(%[4]squery)
		if err != nil {
			return nil, "", err
		}
		return p.%[5]s, p.NextPageToken, nil
	})
}

`, name, args, of, given, goName(member))
	return nil
}
