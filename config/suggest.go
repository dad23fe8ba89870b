package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// unknownKey says that a key is not known, and which one may have been meant.
func unknownKey(key string, known map[string]field) string {
	names := slices.Sorted(maps.Keys(known))
	if best := nearest(key, names); best != "" {
		return fmt.Sprintf("unknown key; did you mean %s?", best)
	}
	if len(names) == 0 {
		return "unknown key"
	}
	return "unknown key; known here: " + strings.Join(names, ", ")
}

// nearest returns the name that key was probably meant to be, or "".
func nearest(key string, names []string) string {
	plain := func(s string) string { return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s)) }
	best, bestDistance := "", 1+len(key)/3
	for _, name := range names {
		if plain(name) == plain(key) {
			return name
		}
		if n := distance(plain(key), plain(name)); n < bestDistance || n == bestDistance && best == "" {
			best, bestDistance = name, n
		}
	}
	return best
}

// distance is the number of single letters to insert, delete, replace or swap with
// their neighbor to make a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	var two, one []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		two, one, row = one, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(one[j]+1, row[j-1]+1, one[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
