package admin_test

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/openapi.json, docs/api-permissions.md and admin/comments.json")

const (
	documentFile = "../docs/openapi.json"
	commentsFile = "comments.json"
)

// golden compares a file of the tree with what it has to be, or makes it that.
func golden(t *testing.T, file string, wanted []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, wanted, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(wanted), "\n"), strings.Split(string(got), "\n")); d != "" {
		t.Errorf("%s is out of date; run go test ./admin -run TheTree -update, twice if comments changed\n(-want +got):\n%s", file, d)
	}
}

// The descriptions of the shapes are the doc comments of their types.
func TestTheTreeHasTheComments(t *testing.T) {
	all := map[string]string{}
	for _, dir := range []string{".", "../permissions", "../audit", "../usage", "../sync/plan"} {
		commentsOf(t, dir, all)
	}
	text, err := json.Marshal(all, json.Deterministic(true), jsontext.WithIndent(" "))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, commentsFile, append(text, '\n'))
}

func commentsOf(t *testing.T, dir string, into map[string]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				if s, ok := s.(*ast.TypeSpec); ok && s.Name.IsExported() {
					commentOf(f.Name.Name, g, s, into)
				}
			}
		}
	}
}

// commentOf keeps the comment of a struct that is shown, and those of its fields.
func commentOf(pkg string, g *ast.GenDecl, s *ast.TypeSpec, into map[string]string) {
	shape, ok := s.Type.(*ast.StructType)
	if !ok {
		return
	}
	name, shown := pkg+"."+s.Name.Name, false
	for _, f := range shape.Fields.List {
		if f.Tag == nil || !strings.Contains(f.Tag.Value, "json:") {
			continue
		}
		shown = true
		text := f.Doc.Text()
		if text == "" {
			text = f.Comment.Text()
		}
		for _, n := range f.Names {
			if text != "" {
				into[name+"."+n.Name] = strings.TrimSpace(text)
			}
		}
	}
	if text := g.Doc.Text() + s.Doc.Text(); shown && text != "" {
		into[name] = strings.TrimSpace(text)
	}
}

// The document that an installation serves is in the tree, for whoever reads it or makes a
// client of it.
func TestTheTreeHasTheDocument(t *testing.T) {
	w := newWorld(t)
	raw := jsontext.Value(w.call(http.MethodGet, "/openapi.json", "", nil).body)
	if err := raw.Canonicalize(); err != nil {
		t.Fatal(err)
	}
	if err := raw.Indent(jsontext.WithIndent(" ")); err != nil {
		t.Fatal(err)
	}
	text := bytes.Replace(raw, []byte(`"version": "test"`), []byte(`"version": "1"`), 1)
	golden(t, documentFile, append(text, '\n'))
}

// Whatever is served is in the document, and whatever is in the document is served.
func TestEveryRouteIsInTheDocument(t *testing.T) {
	w := newWorld(t)
	var documented []string
	for _, o := range everyOperation(t, w) {
		documented = append(documented, o.method+" "+o.path)
	}
	slices.Sort(documented)
	if d := cmp.Diff(documented, w.api.Patterns()); d != "" {
		t.Errorf("the document and what is served differ (-document +served):\n%s", d)
	}
}

// Everything in the document says what it is.
func TestEverythingIsDescribed(t *testing.T) {
	w := newWorld(t)
	doc := want[struct {
		Components struct {
			Schemas map[string]struct {
				Description string `json:"description"`
				Properties  map[string]struct {
					Ref         string `json:"$ref"`
					Description string `json:"description"`
				} `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}](t, w.call(http.MethodGet, "/openapi.json", "", nil), http.StatusOK)
	for name, shape := range doc.Components.Schemas {
		if shape.Description == "" {
			t.Errorf("%s has no description: write a comment for its type", name)
		}
		for member, m := range shape.Properties {
			if m.Ref == "" && m.Description == "" {
				t.Errorf("%s.%s has no description: give the field a comment or a tag doc", name, member)
			}
		}
	}
	for _, o := range everyOperation(t, w) {
		if o.Description == "" || o.Summary == "" || len(o.Tags) != 1 {
			t.Errorf("%s: summary %q, description %q, tags %v: all must be there", o.OperationID, o.Summary, o.Description, o.Tags)
		}
	}
}
