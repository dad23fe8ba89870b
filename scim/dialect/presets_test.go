package dialect

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/scim-presets.md")

const page = "../../docs/scim-presets.md"

// knob is a field of Knobs.
type knob struct {
	name, text string
	index      int
}

// allKnobs reads the knobs and what is said of them.
func allKnobs(t *testing.T) []knob {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "knobs.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == "Knobs" {
			for _, f := range spec.Type.(*ast.StructType).Fields.List {
				text[f.Names[0].Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
			}
		}
		return true
	})
	var all []knob
	for i := range reflect.TypeFor[Knobs]().NumField() {
		f := reflect.TypeFor[Knobs]().Field(i)
		name := f.Tag.Get("yaml")
		rest, ok := strings.CutPrefix(text[f.Name], f.Name+" ")
		if !ok {
			t.Fatalf("knob %s is not documented", f.Name)
		}
		all = append(all, knob{name, "`" + name + "` " + rest, i})
	}
	return all
}

func presetPage(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# Presets of the SCIM endpoint

<!-- Generated from the code: go test ./scim/dialect -run Page -update -->

A source of type ` + "`scim`" + ` has a preset for the identity provider that pushes to it, and may set single knobs apart from it:

` + "```yaml" + `
sources:
  - name: okta
    type: scim
    preset: okta
    knobs: {patch_no_content: true}
` + "```" + `

Everything that is changed in a request before it is carried out is noted with the request.

## Presets

| preset | for |
|---|---|
`)
	for _, p := range presets() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", p.name, p.why)
	}
	b.WriteString("\n## Presets by knob\n\n| knob |")
	for _, p := range presets() {
		b.WriteString(" " + p.name + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(presets())) + "\n")
	for _, k := range allKnobs(t) {
		fmt.Fprintf(&b, "| `%s` |", k.name)
		for _, p := range presets() {
			if reflect.ValueOf(p.knobs).Field(k.index).Bool() {
				b.WriteString(" yes |")
			} else {
				b.WriteString(" |")
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n## Knobs\n\n")
	for _, k := range allKnobs(t) {
		b.WriteString("- " + k.text + "\n")
	}
	return b.String()
}

func TestThePageIsTheCode(t *testing.T) {
	want := presetPage(t)
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/scim-presets.md is not what the code says: go test ./scim/dialect -run Page -update")
	}
}

func TestPresetsAreNamedAndSorted(t *testing.T) {
	t.Parallel()
	var names []string
	for _, p := range presets() {
		if names = append(names, p.name); p.why == "" {
			t.Errorf("preset %s does not say why it is so", p.name)
		}
		if got, ok := Preset(p.name); !ok || got != p.knobs {
			t.Errorf("Preset(%q) = %v, %v, want %v", p.name, got, ok, p.knobs)
		}
	}
	if !slices.IsSorted(names) || !slices.Equal(names, Presets()) {
		t.Errorf("presets %v, Presets() = %v, want both sorted and the same", names, Presets())
	}
	if _, ok := Preset("nobody"); ok {
		t.Error("a preset of nobody was found")
	}
}

// TestOverridesReachEveryKnob sets each knob alone, to what it is not.
func TestOverridesReachEveryKnob(t *testing.T) {
	t.Parallel()
	if got := lenient().With(Overrides{}); got != lenient() {
		t.Errorf("With() of nothing = %v, want %v", got, lenient())
	}
	fields := reflect.TypeFor[Knobs]()
	if n := reflect.TypeFor[Overrides]().NumField(); n != fields.NumField() {
		t.Fatalf("%d overrides of %d knobs", n, fields.NumField())
	}
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		over, ok := reflect.TypeFor[Overrides]().FieldByName(name)
		if !ok || over.Tag.Get("yaml") != fields.Field(i).Tag.Get("yaml") {
			t.Errorf("knob %s has no override of its name", name)
			continue
		}
		for _, p := range presets() {
			to := !reflect.ValueOf(p.knobs).Field(i).Bool()
			var o Overrides
			reflect.ValueOf(&o).Elem().FieldByName(name).Set(reflect.ValueOf(&to))
			want := p.knobs
			reflect.ValueOf(&want).Elem().Field(i).SetBool(to)
			if got := p.knobs.With(o); got != want {
				t.Errorf("%s with %s %v = %v, want %v", p.name, name, to, got, want)
			}
		}
	}
}
