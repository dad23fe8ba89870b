package plan

import (
	"strconv"
	"strings"
	"unicode"
)

// quote returns s as it is when it can be mistaken for nothing else in a line of
// the plan's text, and quoted otherwise. What a directory holds may hold line
// breaks and terminal sequences; neither may reach a terminal or a digest as such.
func quote(s string) string {
	plain := s != "" && s == strings.TrimSpace(s) && !strings.ContainsAny(s, ",\"\uFFFD") && !strings.Contains(s, "->")
	for _, r := range s {
		plain = plain && unicode.IsPrint(r)
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// printable replaces what would not print. Reasons and proofs quote servers.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
