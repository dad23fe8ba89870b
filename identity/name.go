package identity

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// FoldName returns the form in which names are compared: two spellings name the
// same person or group exactly when their folded forms are equal. It folds case by
// Unicode's full case folding and composes (NFC), so that "Zoë" typed with one
// rune or with two, in any case, is one name. Directories compare login names this
// way or more loosely, never more strictly.
//
// A name that is folded already, as nearly all login names are, costs no
// allocation.
func FoldName(s string) string {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 0x80:
			return foldUnicode(s)
		case 'A' <= c && c <= 'Z':
			return foldMixed(s)
		}
	}
	return s
}

// foldMixed folds a name that has upper case and perhaps runes beyond ASCII.
func foldMixed(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return foldUnicode(s)
		}
	}
	return strings.ToLower(s)
}

// foldUnicode decomposes before it folds, because a mark can change what a letter
// folds to (U+0345), and repeats once, because folding can leave marks in an order
// that composes differently: Unicode 3.13, D145.
func foldUnicode(s string) string {
	fold := cases.Fold()
	s = fold.String(norm.NFD.String(s))
	return norm.NFC.String(fold.String(norm.NFD.String(s)))
}
