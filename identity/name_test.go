package identity

import (
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestFoldName(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"folded already", "ann.lee-2", "ann.lee-2"},
		{"upper case", "Ann.LEE", "ann.lee"},
		{"empty", "", ""},
		{"umlaut", "JÖRG", "jörg"},
		{"two runes compose to one", "zoe\u0308", "zoë"},
		{"sharp s folds to ss", "STRAßE", "strasse"},
		{"final sigma is a sigma", "ΟΔΥΣΣΕΎΣ", "οδυσσεύσ"},
		{"kelvin sign is a k", "\u212Aarl", "karl"},
		{"upper case before the first foreign rune", "Aö", "aö"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := FoldName(tt.in); got != tt.want {
				t.Errorf("FoldName(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// What identifies may not depend on how often it was folded, nor on how an editor
// happened to compose it.
func TestFoldNameIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "name")
		once := FoldName(s)
		if twice := FoldName(once); twice != once {
			t.Fatalf("FoldName(%q) = %q, folded again %q", s, once, twice)
		}
		if d := FoldName(norm.NFD.String(s)); utf8.ValidString(s) && d != once {
			t.Fatalf("FoldName(%q) = %q, of its decomposed form %q", s, once, d)
		}
	})
}

func FuzzFoldName(f *testing.F) {
	for _, s := range []string{"ann", "JÖRG", "\u0345\u0391", "ǰ", "İ", "\xff\x80", "ﬃ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := FoldName(s)
		if twice := FoldName(once); twice != once {
			t.Errorf("FoldName(%q) = %q, folded again %q", s, once, twice)
		}
	})
}

func TestFoldNameOfFoldedNameIsFree(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { FoldName("ann.lee@example.com") }); n != 0 {
		t.Errorf("FoldName of a folded name makes %v allocations, want 0", n)
	}
}
