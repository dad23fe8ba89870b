package access

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/fault"
)

func TestNewHasItsForm(t *testing.T) {
	for _, tt := range []struct {
		kind Kind
		form string
	}{
		{KindKey, `^rcl_pat_[0-9A-Za-z]{10}_[0-9A-Za-z]{36}$`},
		{KindService, `^rcl_app_[0-9A-Za-z]{10}_[0-9A-Za-z]{36}$`},
		{KindBootstrap, `^rcl_boot_[0-9A-Za-z]{10}_[0-9A-Za-z]{36}$`},
	} {
		c := New(tt.kind)
		if !regexp.MustCompile(tt.form).MatchString(c.Reveal()) {
			t.Errorf("New(%s) is not of the form %s", tt.kind, tt.form)
		}
		got, err := Parse(c.Reveal())
		if err != nil || got.Kind() != tt.kind || got.ID() != c.ID() || got.Hash() != c.Hash() {
			t.Errorf("Parse(New(%s)) = %v, %v, want the same credential", tt.kind, got, err)
		}
	}
}

func TestNewNeverRepeats(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		c := New(KindKey)
		if seen[c.Reveal()] || seen[c.ID()] {
			t.Fatal("New returned a credential or an id twice")
		}
		seen[c.Reveal()], seen[c.ID()] = true, true
	}
}

// A typing mistake is found without asking the store.
func TestParseFindsEveryWrongCharacter(t *testing.T) {
	text := New(KindKey).Reveal()
	for i := range len(text) {
		wrong := []byte(text)
		if wrong[i]++; wrong[i] == text[i] {
			wrong[i]--
		}
		if _, err := Parse(string(wrong)); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("Parse with another character at %d = %v, want fault.Unauthenticated", i, err)
		}
	}
	for _, wrong := range []string{"", "rcl_pat", "rcl_pat_", text[:len(text)-1], text + "A", " " + text, text + "\n", strings.ToUpper(text)} {
		if _, err := Parse(wrong); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("Parse of %d characters = %v, want fault.Unauthenticated", len(wrong), err)
		}
	}
}

func TestErrorDoesNotRepeatTheInput(t *testing.T) {
	text := New(KindKey).Reveal()
	_, err := Parse(text + "x")
	if err == nil || strings.Contains(err.Error(), text[:20]) {
		t.Errorf("Parse(...) = %v, want an error that does not repeat what was given", err)
	}
}

func TestMatches(t *testing.T) {
	c, other := New(KindKey), New(KindKey)
	if !c.Matches(c.Hash()) {
		t.Error("a credential does not match its own hash")
	}
	for _, hash := range []string{other.Hash(), "", c.Hash()[1:], strings.ToUpper(c.Hash())} {
		if c.Matches(hash) {
			t.Errorf("a credential matches the hash %q, which is not its own", hash)
		}
	}
	var none Credential
	if none.Matches(none.Hash()) {
		t.Error("the zero credential matches a hash")
	}
}

// Whoever prints a credential by accident gives nothing away.
func TestCredentialDoesNotPrint(t *testing.T) {
	c := New(KindBootstrap)
	secret := c.Reveal()[len("rcl_boot_")+idLen+1:]
	var log bytes.Buffer
	l := slog.New(slog.NewJSONHandler(&log, nil))
	l.Info("issued", "credential", c, "in", struct{ C Credential }{c})
	asJSON, err := json.Marshal(map[string]any{"c": c, "p": &c})
	if err != nil {
		t.Fatal(err)
	}
	outputs := []string{log.String(), string(asJSON)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		outputs = append(outputs, fmt.Sprintf(verb, c), fmt.Sprintf(verb, &c), fmt.Sprintf(verb, struct{ c Credential }{c}))
	}
	for _, out := range outputs {
		if strings.Contains(out, secret) {
			t.Errorf("a credential printed its secret: %s", strings.ReplaceAll(out, secret, "<secret>"))
		}
	}
}

func TestFromHeader(t *testing.T) {
	text := New(KindKey).Reveal()
	for _, tt := range []struct {
		name   string
		values []string
		ok     bool
	}{
		{"as it should be", []string{"Bearer " + text}, true},
		{"scheme in lower case", []string{"bearer " + text}, true},
		{"space around", []string{"Bearer  " + text + " "}, true},
		{"missing", nil, false},
		{"empty", []string{""}, false},
		{"empty bearer", []string{"Bearer"}, false},
		{"bearer and spaces", []string{"Bearer    "}, false},
		{"twice", []string{"Bearer " + text, "Bearer " + text}, false},
		{"another scheme", []string{"Basic " + text}, false},
		{"without a scheme", []string{text}, false},
		{"two in one", []string{"Bearer " + text + " " + text}, false},
		{"endless", []string{"Bearer " + strings.Repeat("A", 1<<20)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := FromHeader(http.Header{"Authorization": tt.values})
			if tt.ok && (err != nil || c.Reveal() != text) {
				t.Errorf("FromHeader = %v, %v, want the credential", c, err)
			}
			if !tt.ok && !errors.Is(err, fault.Unauthenticated) {
				t.Errorf("FromHeader = %v, %v, want fault.Unauthenticated", c, err)
			}
		})
	}
}

// What docs/keys.md publishes finds every key, also within other text, and nothing
// that only resembles one.
func TestScanningPattern(t *testing.T) {
	doc, err := os.ReadFile("../docs/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), "\n"+ScanningPattern+"\n") {
		t.Errorf("docs/keys.md does not publish the pattern %s", ScanningPattern)
	}
	pattern := regexp.MustCompile(ScanningPattern)
	for _, k := range issued {
		if !strings.Contains(string(doc), "`"+string(k)+"_`") {
			t.Errorf("docs/keys.md says nothing of %s", k)
		}
		text := New(k).Reveal()
		if got := pattern.FindString(`{"key":"` + text + `"}`); got != text {
			t.Errorf("the pattern finds %q in a text with a key of kind %s", got, k)
		}
		if pattern.MatchString(text[:len(text)-1]) || pattern.MatchString(text+"0") {
			t.Errorf("the pattern finds a key of kind %s that is too short or too long", k)
		}
	}
	// The example is one whose checksum is right, and that nobody was ever given.
	example := pattern.FindString(string(doc))
	if c, err := Parse(example); err != nil || c.ID() != "0000000000" {
		t.Errorf("Parse(%q), the example of docs/keys.md = %v, %v", example, c, err)
	}
}

func TestBearer(t *testing.T) {
	token := "a." + strings.Repeat("b", 4000) + ".c"
	got, err := Bearer(http.Header{"Authorization": {"Bearer " + token}})
	if err != nil || got != token || !Signed(got) {
		t.Errorf("Bearer of a long signed token = %.20q, %v", got, err)
	}
	if _, err := Bearer(http.Header{"Authorization": {"Bearer " + strings.Repeat("b", 2*maxBearer)}}); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("Bearer of an endless one = %v, want fault.Unauthenticated", err)
	}
	for _, k := range issued {
		if Signed(New(k).Reveal()) {
			t.Errorf("a credential of kind %s looks like a signed token", k)
		}
	}
	if _, err := Parse("oidc_0000000000_" + strings.Repeat("0", 36)); !errors.Is(err, fault.Unauthenticated) {
		t.Errorf("Parse of a kind that is never issued = %v, want fault.Unauthenticated", err)
	}
}

func FuzzBearer(f *testing.F) {
	f.Add("Bearer " + New(KindKey).Reveal())
	f.Add("bearer  a.b.c ")
	f.Add("Basic YTpi")
	f.Fuzz(func(t *testing.T, value string) {
		text, err := Bearer(http.Header{"Authorization": {value}})
		switch {
		case err != nil && !errors.Is(err, fault.Unauthenticated):
			t.Errorf("Bearer = %v, want fault.Unauthenticated", err)
		case err == nil && (text == "" || strings.TrimSpace(text) != text || !strings.HasSuffix(strings.TrimSpace(value), text)):
			t.Errorf("Bearer(%q) = %q", value, text)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(New(KindKey).Reveal())
	f.Add(New(KindBootstrap).Reveal())
	f.Add("rcl_pat_0000000000_" + strings.Repeat("0", 36))
	f.Add("rcl_boot___")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			if !errors.Is(err, fault.Unauthenticated) {
				t.Errorf("Parse = %v, want fault.Unauthenticated", err)
			}
			return
		}
		if c.Reveal() != text || !c.Matches(c.Hash()) || strings.Contains(c.String(), text) {
			t.Errorf("Parse(%q) accepted what it cannot give back", text)
		}
	})
}
