package dialect

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSameNameIsFold holds the quick comparison against the plain one.
func TestSameNameIsFold(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{"a", "A"}, {"k", "\u212a"}, {"\u212a", "k"}, {"aé", "AÉ"}, {"a", "ab"}, {"", "a"}, {"", ""}, {"ab", "a\u212a"}, {"İ", "i"}, {"s", "ſ"}, {"@", "`"}} {
		if got, want := sameName(pair[0], pair[1]), fold(pair[0]) == fold(pair[1]); got != want {
			t.Errorf("sameName(%q, %q) = %v, want %v", pair[0], pair[1], got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOf(rapid.SampledFrom([]rune("aAkK\u212aéÉ-$"))).Draw(t, "a")
		other := rapid.SampledFrom([]string{strings.ToUpper(name), strings.ToLower(name), name + "a", rapid.StringOf(rapid.SampledFrom([]rune("aAkK\u212a"))).Draw(t, "b")}).Draw(t, "other")
		if got, want := sameName(name, other), fold(name) == fold(other); got != want {
			t.Fatalf("sameName(%q, %q) = %v, want %v", name, other, got, want)
		}
	})
}

// TestNamesTwice looks for a name twice in objects small and large.
func TestNamesTwice(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, few - 1, few, few + 1, 3 * few} {
		for i := range n {
			o := make([]string, n)
			for j := range o {
				o[j] = `"n` + strings.Repeat("x", j) + `":0`
			}
			if _, err := parse([]byte("{" + strings.Join(o, ",") + "}")); err != nil {
				t.Fatalf("%d names: %v", n, err)
			}
			twice := append(o, strings.ToUpper(o[i]))
			if _, err := parse([]byte("{" + strings.Join(twice, ",") + "}")); err == nil {
				t.Errorf("name %d of %d stands twice, and is not refused", i, n)
			}
		}
	}
}
