package filter

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/scim/schema"
)

func TestSort(t *testing.T) {
	typ := testType(t)
	rows := map[uint32]schema.Object{
		0: {"userName": "b", "active": true, "meta": schema.Object{"created": "2020-01-01T00:00:00Z"}, badge: schema.Object{"number": int64(-1), "Exact": "b"}},
		1: {"userName": "A", "meta": schema.Object{"created": "2020-01-01T01:30:00+02:00"}, badge: schema.Object{"number": int64(10), "Exact": "a"}, "emails": []any{schema.Object{"value": "m"}}},
		2: {"userName": "a", "active": false, badge: schema.Object{"number": int64(9), "Exact": "B", "tags": []any{"z", "a"}}, "emails": []any{schema.Object{"value": "a"}, schema.Object{"value": "z", "primary": true}}},
		3: {"userName": "application", "emails": []any{schema.Object{"value": "n"}, schema.Object{"value": "a"}}, "urn:custom:X": schema.Object{"n": "s"}},
		4: {"userName": "Application", badge: schema.Object{"tags": []any{"b"}}, "urn:custom:X": schema.Object{"n": int64(2)}},
	}
	table := NewTable(source(rows))
	changed := NewTable(source(map[uint32]schema.Object{0: {}, 2: rows[2], 9: {}}))
	changed = changed.With(maps.All(map[uint32]Values{0: Of(rows[0]), 1: Of(rows[1]), 3: Of(rows[3]), 4: Of(rows[4]), 9: nil}), source(rows))
	for path_, want := range map[string][2][]uint32{
		"userName":        {{1, 2, 3, 4, 0}, {0, 3, 4, 1, 2}}, // equal ones stay as they are
		"active":          {{2, 0, 1, 3, 4}, {1, 3, 4, 0, 2}}, // without a value: last, then first
		"meta.created":    {{1, 0, 2, 3, 4}, {2, 3, 4, 0, 1}},
		"emails":          {{1, 3, 2, 0, 4}, {0, 4, 2, 3, 1}}, // the primary one counts, or the first
		"emails.value":    {{1, 3, 2, 0, 4}, {0, 4, 2, 3, 1}},
		badge + ":number": {{0, 2, 1, 3, 4}, {3, 4, 1, 2, 0}},
		badge + ":Exact":  {{2, 1, 0, 3, 4}, {3, 4, 0, 1, 2}},
		badge + ":tags":   {{4, 2, 0, 1, 3}, {0, 1, 3, 2, 4}},
		"urn:custom:X:n":  {{4, 3, 0, 1, 2}, {0, 1, 2, 3, 4}},
		"urn:none:X:n":    {{0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}},
		"name.familyName": {{0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}},
	} {
		s, err := CompileSort(path(path_), typ)
		if err != nil {
			t.Fatalf("CompileSort(%s) = %v", path_, err)
		}
		for order, want := range want {
			for name, table := range map[string]*Table{"columns": table, "changes": changed} {
				got := []uint32{0, 1, 2, 3, 4}
				if s.Rows(table, got, Order(order)); !slices.Equal(got, want) {
					t.Errorf("%s, order %d, in %s: %v, want %v", path_, order, name, got, want)
				}
			}
		}
	}
	for _, bad := range []string{"nope", "name", "password", userURN, "emails[type pr].value"} {
		p, err := ParsePath(bad, Options{Type: typ})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := CompileSort(p, typ); err == nil {
			t.Errorf("CompileSort(%s) = %+v", bad, s)
		}
	}
}

// Rows are sorted the same from columns and from resources, and as a plain sort does.
func TestSortIsStableAndTheSameEverywhere(t *testing.T) {
	typ := testType(t)
	rapid.Check(t, func(t *rapid.T) {
		rows := map[uint32]schema.Object{}
		changes := map[uint32]Values{}
		for i := range rapid.Uint32Range(0, 40).Draw(t, "rows") {
			rows[i] = drawResource(t, typ)
			changes[i] = Of(rows[i])
		}
		columns := NewTable(source(rows))
		matched := NewTable(source(nil)).With(maps.All(changes), source(rows))
		for _, p := range plainPaths {
			s, err := CompileSort(path(p), typ)
			if err != nil {
				t.Fatal(err)
			}
			order := rapid.SampledFrom([]Order{Ascending, Descending}).Draw(t, "order")
			a := rapid.Permutation(slices.Sorted(maps.Keys(rows))).Draw(t, "before")
			b, c := slices.Clone(a), slices.Clone(a)
			s.Rows(columns, a, order)
			s.Rows(matched, b, order)
			if !slices.Equal(a, b) {
				t.Fatalf("%s: %v from columns, %v from resources", p, a, b)
			}
			if p != "userName" {
				continue
			}
			slices.SortStableFunc(c, func(x, y uint32) int {
				name, is := rows[x]["userName"].(string)
				other, isToo := rows[y]["userName"].(string)
				d := cmp.Compare(btoi(isToo), btoi(is))
				if d == 0 {
					d = strings.Compare(foldText(name, true), foldText(other, true))
				}
				if order == Descending {
					d = -d
				}
				return d
			})
			if !slices.Equal(a, c) {
				t.Fatalf("by userName: %v, want %v", a, c)
			}
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func BenchmarkSort(b *testing.B) {
	table := NewTable(func(yield func(uint32, Values) bool) {
		for i := range uint32(50_000) {
			if !yield(i, Of(person(int(i)))) {
				return
			}
		}
	})
	s, err := CompileSort(path("userName"), testType(b))
	if err != nil {
		b.Fatal(err)
	}
	all := make([]uint32, 50_000)
	for b.Loop() {
		for i := range all {
			all[i] = uint32(i)
		}
		s.Rows(table, all, Ascending)
	}
}
