package ldap

import (
	"encoding/base64"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/common/types"

	"github.com/rollcall-id/rollcall/config"
)

// page is the page of the manual, and its fenced blocks by language.
func page(t *testing.T) (text string, blocks map[string]string) {
	t.Helper()
	b, err := os.ReadFile("../../docs/mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks = map[string]string{}
	for _, m := range regexp.MustCompile("(?s)```([a-z]+)\n(.*?)```").FindAllStringSubmatch(string(b), -1) {
		blocks[m[1]] = m[2]
	}
	return string(b), blocks
}

// ldif reads one entry.
func ldif(t *testing.T, text string) *Entry {
	t.Helper()
	var e Entry
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			t.Fatalf("%q is no line of LDIF", line)
		}
		v := []byte(strings.TrimSpace(value))
		if encoded, ok := strings.CutPrefix(value, ":"); ok {
			var err error
			if v, err = base64.StdEncoding.DecodeString(strings.TrimSpace(encoded)); err != nil {
				t.Fatal(err)
			}
		}
		if name == "dn" {
			e.DN = v
			continue
		}
		i := slices.IndexFunc(e.Attributes, func(a Attribute) bool { return string(a.Type) == name })
		if i < 0 {
			i = len(e.Attributes)
			e.Attributes = append(e.Attributes, Attribute{Type: []byte(name)})
		}
		e.Attributes[i].Values = append(e.Attributes[i].Values, v)
	}
	return &e
}

// TestTheExamplesOfTheManualAreRight evaluates each expression of the tables for the
// entry that the page shows.
func TestTheExamplesOfTheManualAreRight(t *testing.T) {
	text, blocks := page(t)
	entry := ldif(t, blocks["ldif"])
	c, err := newCompiler()
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|(.*)\\|$").FindAllStringSubmatch(text[strings.Index(text, "```ldif"):], -1)
	if len(rows) < 25 {
		t.Fatalf("the page has %d examples", len(rows))
	}
	for _, row := range rows {
		var want []string
		for _, m := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(row[2], -1) {
			want = append(want, m[1])
		}
		if got := example(t, c, entry, row[1]); !slices.Equal(got, want) {
			t.Errorf("%s gives %q, and the manual says %q", row[1], got, want)
		}
	}
	for _, helper := range []string{"first", "lower", "regexReplace", "guid", "sid", "filetime", "gentime", "dnPart", "bit", "split", "join", "trim"} {
		if !slices.ContainsFunc(rows, func(row []string) bool { return strings.Contains(row[1], helper+"(") }) {
			t.Errorf("no example uses %s", helper)
		}
	}
}

func example(t *testing.T, c *compiler, entry *Entry, text string) []string {
	t.Helper()
	e, err := c.compile("x", text, slices.Concat(anyTexts, yesOrNo, oneTime))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	l := layout{slots: map[string]int{}}
	l.from("x", Mapping{CEL: text}, false, expressions{"x": e})
	m := l.mapper()
	m.load(entry)
	out, err := m.seen.eval(e)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	switch v := out.(type) {
	case types.Bool:
		return []string{map[bool]string{true: "true", false: "false"}[bool(v)]}
	case types.Timestamp:
		return []string{v.Format(time.RFC3339)}
	}
	list, err := m.seen.all(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// TestTheConfigurationOfTheManualIsTaken reads it as the daemon does.
func TestTheConfigurationOfTheManualIsTaken(t *testing.T) {
	_, blocks := page(t)
	doc, err := config.Parse("mapping.md", []byte(blocks["yaml"]), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Template: TemplateAD, URLs: []string{"ldaps://dc1.example.org"},
		Bind: Bind{DN: "svc@example.org", Password: config.SecretRef{Env: "LDAP_PASSWORD"}},
	}
	p := doc.Problems()
	doc.Decode("users", &c.Users, p)
	c.Validate(p)
	if err := p.Err(); err != nil {
		t.Error(err)
	}
	if people, _ := c.Expanded().compile(p); len(people) != 5 {
		t.Errorf("%d expressions, want five", len(people))
	}
}
