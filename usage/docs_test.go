package usage

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the lists into docs/usage.md")

// The document lists every name that can be counted beside the operations of the API,
// so that whoever reads it has seen all there is.
func TestDocument(t *testing.T) {
	const path, begin = "../docs/usage.md", "<!-- the lists: go test ./usage -run TestDocument -update -->\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	prose, _, ok := strings.Cut(string(text), begin)
	if !ok {
		t.Fatalf("%s has no line %s", path, begin)
	}
	want := prose + begin + lists()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(text) {
		t.Errorf("%s does not list what is compiled in: go test ./usage -run TestDocument -update", path)
	}
}

func lists() string {
	var b strings.Builder
	for _, list := range []struct{ title, kind string }{
		{"Workflows", KindWorkflow}, {"Verbs of the command line", KindCLI}, {"Controls of the console", KindConsole},
	} {
		b.WriteString("\n## " + list.title + "\n\n")
		for _, n := range All(nil) {
			if n.Kind() == list.kind {
				b.WriteString("- `" + string(n) + "`\n")
			}
		}
	}
	return b.String()
}
