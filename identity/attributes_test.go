package identity

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNormalize(t *testing.T) {
	got := Attributes{
		" Team ": {"Blue", "red", "Blue", ""},
		"TEAM":   {"green"},
		"empty":  {""},
		"none":   nil,
		"  ":     {"x"},
	}.Normalize()
	want := Attributes{"team": {"Blue", "green", "red"}}
	if diff := cmp.Diff(map[string][]string(want), map[string][]string(got)); diff != "" {
		t.Errorf("Normalize (-want +got):\n%s", diff)
	}
	if got := (Attributes{"a": {""}}).Normalize(); got != nil {
		t.Errorf("Normalize of nothing = %v, want nil", got)
	}
}

func drawAttributes(t *rapid.T, label string) Attributes {
	key := rapid.SampledFrom([]string{"team", "Team", " cost ", "", "Ärea"})
	value := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "B", "c", ""}), 0, 4)
	return Attributes(rapid.MapOfN(key, value, 0, 4).Draw(t, label))
}

func TestAttributeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw, other := drawAttributes(t, "a"), drawAttributes(t, "b").Normalize()
		a := raw.Normalize()
		if again := a.Normalize(); !again.Equal(a) {
			t.Fatalf("normalized twice: %v, then %v", a, again)
		}
		if x, y := a.Merge(other), other.Merge(a); !x.Equal(y) || !x.Equal(x.Normalize()) {
			t.Fatalf("%v and %v merge to %v and to %v", a, other, x, y)
		}
		before := a.Merge(nil)
		k := rapid.SampledFrom([]string{"Team", "new"}).Draw(t, "key")
		v := rapid.SampledFrom([]string{"a", "b", "zz"}).Draw(t, "value")
		with := a.With(k, v)
		if !with.Has(FoldKey(k), v) || !with.Equal(with.Normalize()) {
			t.Fatalf("%v with %s=%s is %v", a, k, v, with)
		}
		if without := with.Without(k, v); without.Has(FoldKey(k), v) || !without.Equal(without.Normalize()) {
			t.Fatalf("%v without %s=%s is %v", with, k, v, without)
		}
		if !a.Equal(before) {
			t.Fatalf("a changed from %v to %v", before, a)
		}
		if !slices.IsSorted(a.Keys()) {
			t.Fatalf("Keys = %v", a.Keys())
		}
	})
}
