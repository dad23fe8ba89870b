package plan

import (
	"testing"

	"github.com/rollcall-id/rollcall/identity"
)

// What a directory holds may not draw on a terminal, forge a line of the plan, or be
// mistaken for two values.
func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"ann.lee":     "ann.lee",
		"Ann Lee":     "Ann Lee",
		"Jörg":        "Jörg",
		"":            `""`,
		" ann":        `" ann"`,
		"a,b":         `"a,b"`,
		"a -> b":      `"a -> b"`,
		`say "hi"`:    `"say \"hi\""`,
		"a\nb":        `"a\nb"`,
		"\x1b[31mred": `"\x1b[31mred"`,
		"bad \xff":    `"bad \xff"`,
		"\u202egnp":   `"\u202egnp"`,
		"\u00a0":      `"\u00a0"`,
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
	if got, want := printable("result 1: \x1b]0;x\a"), "result 1: \uFFFD]0;x\uFFFD"; got != want {
		t.Errorf("printable = %q, want %q", got, want)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -999: "-999", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
}

// The set grows beyond the room it was made with, and is the same when filled again.
func TestKeySet(t *testing.T) {
	s := newKeySet()
	for range 2 {
		s.reset(0)
		if s.find("a") != -1 {
			t.Fatal("an empty set has a key")
		}
		for i, k := range []string{"a", "b", "", "c", "d", "e", "f", "g", "h", "i"} {
			if at, isNew := s.add(identity.Key(k)); at != i || !isNew {
				t.Fatalf("add(%q) = %d, %t", k, at, isNew)
			}
			if at, isNew := s.add(identity.Key(k)); at != i || isNew {
				t.Fatalf("add(%q) again = %d, %t", k, at, isNew)
			}
		}
		if s.find("h") != 8 || s.find("") != 2 || s.find("z") != -1 {
			t.Fatalf("h at %d, z at %d", s.find("h"), s.find("z"))
		}
	}
}
