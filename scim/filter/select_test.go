package filter

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/scim/schema"
)

func source(rows map[uint32]schema.Object) iter.Seq2[uint32, Values] {
	return func(yield func(uint32, Values) bool) {
		for row, o := range rows { // in any order
			if !yield(row, Of(o)) {
				return
			}
		}
	}
}

// For random resources, changes and filters, a table selects what matches one by one.
func TestSelectIsMatch(t *testing.T) {
	typ := testType(t)
	rapid.Check(t, func(t *rapid.T) {
		rows := map[uint32]schema.Object{}
		for range rapid.IntRange(0, 40).Draw(t, "rows") {
			rows[rapid.Uint32Range(0, 150).Draw(t, "row")] = drawResource(t, typ)
		}
		table := NewTable(source(maps.Clone(rows)))
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			for range 5 {
				checkSelect(t, typ, table, rows)
			}
			table = drawChanges(t, typ, table, rows)
		}
		checkSelect(t, typ, table, rows)
	})
}

// drawChanges changes the rows, and makes a table that may be compacted.
func drawChanges(t *rapid.T, typ *schema.ResourceType, table *Table, rows map[uint32]schema.Object) *Table {
	changes := map[uint32]Values{}
	for range rapid.IntRange(0, 20).Draw(t, "changes") {
		row := rapid.Uint32Range(0, 200).Draw(t, "row")
		if rapid.Bool().Draw(t, "gone") {
			delete(rows, row)
			changes[row] = nil
		} else {
			rows[row] = drawResource(t, typ)
			changes[row] = Of(rows[row])
		}
	}
	now := source(maps.Clone(rows))
	next := table.With(maps.All(changes), now)
	if rapid.Bool().Draw(t, "compact") {
		next = &Table{base: next.base.compact(next.changed, now)}
	}
	return next
}

func checkSelect(t *rapid.T, typ *schema.ResourceType, table *Table, rows map[uint32]schema.Object) {
	e := drawExpr(t, typ, 3)
	f, err := Compile(e, typ, Options{Lenient: true})
	if err != nil {
		t.Fatalf("Compile(%s) = %v", e, err)
	}
	got := f.Select(table)
	for row := range uint32(256) {
		o, ok := rows[row]
		if want := ok && f.Match(o); got.Has(row) != want {
			t.Fatalf("%s selects row %d: %v, but matches: %v\n%v", e, row, got.Has(row), want, o)
		}
	}
	if n := len(slices.Collect(got.All())); n != got.Count() {
		t.Fatalf("%d rows, counted as %d", n, got.Count())
	}
}

// Few different words, so that filters find something.
var (
	words = []string{"", "a", "A", "ab", "ba", "É", "e\u0301", "work", "Smith", "smithy", "2020-01-01T00:00:00Z", "2020-01-01T01:00:00+01:00", "x y"}
	// paths are what random filters ask for. The second list is for value paths.
	plainPaths = []string{
		"userName", "externalId", "active", "title", "name.familyName", "emails", "emails.value", "emails.primary", "roles.value", "emails.type",
		enterpriseURN + ":department", enterpriseURN + ":manager", badge + ":number", badge + ":score", badge + ":since", badge + ":tags",
		badge + ":codes", badge + ":Exact", badge + ":doors.floor", badge + ":doors.keys", badge + ":doors.open", badge + ":doors.opened",
		"urn:custom:X:color", "urn:custom:X:many", "urn:custom:X:many.type", "meta.created", "schemas",
	}
	valuePaths = map[string][]string{
		"emails": {"value", "type", "primary"}, "roles": {"value", "type"}, "name": {"familyName", "givenName"}, badge + ":tags": {"value"},
		badge + ":codes": {"value"}, badge + ":doors": {"value", "floor", "open", "opened", "keys"}, "urn:custom:X:many": {"type", "value"},
		enterpriseURN + ":manager": {"value"},
	}
)

func drawResource(t *rapid.T, typ *schema.ResourceType) schema.Object {
	o := drawAttributes(t, typ.Core.Attributes)
	for _, e := range typ.Extensions {
		if in := drawAttributes(t, e.Schema.Attributes); len(in) > 0 {
			o[e.Schema.ID] = in
		}
	}
	if rapid.Bool().Draw(t, "custom") {
		o["urn:custom:X"] = schema.Object{
			"color": drawAny(t), "many": []any{schema.Object{"type": drawAny(t), "value": drawAny(t)}, drawAny(t)},
		}
	}
	if rapid.Bool().Draw(t, "common") {
		o["externalId"], o["schemas"] = drawWord(t), []any{userURN, drawWord(t)}
		o["meta"] = schema.Object{"created": drawWord(t)}
	}
	return o
}

func drawWord(t *rapid.T) string { return rapid.SampledFrom(words).Draw(t, "word") }

func drawAny(t *rapid.T) any {
	return rapid.SampledFrom([]any{"a", "A", "work", int64(1), 2.5, true, false}).Draw(t, "any")
}

func drawAttributes(t *rapid.T, list []*schema.Attribute) schema.Object {
	o := schema.Object{}
	for _, a := range list {
		if rapid.IntRange(0, 2).Draw(t, a.Name) == 0 {
			continue
		}
		if !a.MultiValued {
			if v := drawValue(t, a); v != nil {
				o[a.Name] = v
			}
			continue
		}
		var values []any
		for range rapid.IntRange(1, 3).Draw(t, "values") {
			if v := drawValue(t, a); v != nil {
				values = append(values, v)
			}
		}
		if len(values) > 0 {
			o[a.Name] = values
		}
	}
	return o
}

func drawValue(t *rapid.T, a *schema.Attribute) any {
	switch a.Type {
	case schema.Boolean:
		return rapid.Bool().Draw(t, a.Name)
	case schema.Integer:
		return rapid.Int64Range(0, 3).Draw(t, a.Name)
	case schema.Decimal:
		return rapid.SampledFrom([]float64{0, 1, 2.5}).Draw(t, a.Name)
	case schema.Complex:
		if o := drawAttributes(t, a.Sub); len(o) > 0 {
			return o
		}
		return nil
	case schema.String, schema.DateTime, schema.Binary, schema.Reference:
	}
	return drawWord(t)
}

// drawExpr draws a filter that compiles.
func drawExpr(t *rapid.T, typ *schema.ResourceType, depth int) Expr {
	kind := rapid.IntRange(0, 6).Draw(t, "kind")
	if depth == 0 {
		kind = max(kind, 3)
	}
	switch kind {
	case 0:
		return And{drawExprs(t, typ, depth)}
	case 1:
		return Or{drawExprs(t, typ, depth)}
	case 2:
		return Not{drawExpr(t, typ, depth-1)}
	case 3:
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(valuePaths))).Draw(t, "of")
		return ValuePath{path(name), drawInner(t, typ, name, 2)}
	}
	return drawTerm(t, typ, rapid.SampledFrom(plainPaths).Draw(t, "path"), nil)
}

func drawExprs(t *rapid.T, typ *schema.ResourceType, depth int) []Expr {
	var out []Expr
	for range rapid.IntRange(2, 3).Draw(t, "terms") {
		out = append(out, drawExpr(t, typ, depth-1))
	}
	return out
}

func drawInner(t *rapid.T, typ *schema.ResourceType, name string, depth int) Expr {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	switch {
	case depth > 0 && kind == 0:
		return And{[]Expr{drawInner(t, typ, name, depth-1), drawInner(t, typ, name, depth-1)}}
	case depth > 0 && kind == 1:
		return Or{[]Expr{drawInner(t, typ, name, depth-1), drawInner(t, typ, name, depth-1)}}
	case depth > 0 && kind == 2:
		return Not{drawInner(t, typ, name, depth-1)}
	}
	in := path(name)
	return drawTerm(t, typ, rapid.SampledFrom(valuePaths[name]).Draw(t, "sub"), &in)
}

// drawTerm draws a comparison that the attribute allows: those that it does not allow
// are drawn again.
func drawTerm(t *rapid.T, typ *schema.ResourceType, name string, in *Path) Expr {
	literals := []any{nil, true, false, Number("1"), Number("2.5"), Number("0")}
	for _, w := range words {
		literals = append(literals, w)
	}
	var possible []Expr
	for _, v := range literals {
		for op := range Op(len(ops)) {
			possible = append(possible, Compare{path(name), op, v})
		}
	}
	possible = append(possible, Present{path(name)})
	for {
		e := rapid.SampledFrom(possible).Draw(t, "term")
		whole := e
		if in != nil {
			whole = ValuePath{*in, e}
		}
		if _, err := Compile(whole, typ, Options{}); err == nil {
			return e
		}
	}
}

func path(name string) Path {
	p, err := ParsePath(name, Options{})
	if err != nil {
		panic(err)
	}
	return p
}

// Rows that are changed again and again end in columns, and the table stays right.
func TestTableCompacts(t *testing.T) {
	rows := map[uint32]schema.Object{}
	for i := range uint32(2000) {
		rows[i] = schema.Object{"userName": fmt.Sprintf("u%d", i), "active": true}
	}
	table := NewTable(source(maps.Clone(rows)))
	f := compiled(t, `active eq true and userName sw "u"`, Options{})
	if n := f.Select(table).Count(); n != 2000 {
		t.Fatalf("%d rows", n)
	}
	first := table.base
	for i := range uint32(2000) {
		rows[i] = schema.Object{"userName": "u", "active": i%2 == 0}
		table = table.With(maps.All(map[uint32]Values{i: Of(rows[i])}), source(maps.Clone(rows)))
		if len(table.changed) > changesBeforeCompaction(2000) {
			t.Fatalf("%d rows are not in columns", len(table.changed))
		}
	}
	if table.base == first {
		t.Error("no columns were made anew")
	}
	if n := f.Select(table).Count(); n != 1000 {
		t.Errorf("%d rows, want 1000", n)
	}
}

// Columns that nobody has a schema for are bounded, and right beyond the bound.
func TestTableForgetsWhatIsFree(t *testing.T) {
	table := NewTable(source(map[uint32]schema.Object{3: {"urn:x:y": schema.Object{"c60": "v", "c1": schema.Object{"s99": "v"}}}}))
	for i := range 100 {
		for _, text := range []string{fmt.Sprintf(`urn:x:y:c%d eq "v"`, i), fmt.Sprintf(`urn:x:y:c1.s%d eq "v"`, i), fmt.Sprintf(`urn:x:y:c1[s%d eq "v"]`, i)} {
			want := 0
			if text == `urn:x:y:c60 eq "v"` || i == 99 && text != `urn:x:y:c99 eq "v"` {
				want = 1
			}
			if n := compiled(t, text, Options{}).Select(table).Count(); n != want {
				t.Errorf("%s selects %d rows, want %d", text, n, want)
			}
		}
	}
	columns := 0
	for _, g := range table.base.groups {
		columns += len(g.columns)
	}
	if columns > mostFree*2 || len(table.base.groups) > mostFree {
		t.Errorf("%d groups with %d columns are kept", len(table.base.groups), columns)
	}
}

// Many ask at once while columns are missing, and while rows change.
func TestTableIsSharedSafely(t *testing.T) {
	rows := map[uint32]schema.Object{}
	for i := range uint32(300) {
		rows[i] = person(int(i))
	}
	table := NewTable(source(rows))
	next := table.With(maps.All(map[uint32]Values{5: nil, 7: Of(person(8)), 400: Of(person(9))}), source(rows))
	var wg sync.WaitGroup
	for _, text := range []string{`active eq true`, `emails[type eq "work"]`, `name.familyName sw "s"`, `emails.value co "ann"`, `userName pr`, `urn:x:y:z ne "1"`} {
		f := compiled(t, text, Options{})
		for range 4 {
			wg.Go(func() {
				for row, o := range rows {
					if f.Select(table).Has(row) != f.Match(o) {
						t.Errorf("%s: row %d", text, row)
					}
				}
				if got := f.Select(next); got.Has(5) || got.Has(7) != f.Match(person(8)) || got.Has(400) != f.Match(person(9)) {
					t.Errorf("%s: the changes", text)
				}
			})
		}
	}
	wg.Wait()
}

// BenchmarkTable says what columns cost: to make them from stored JSON, to make them
// anew after changes, and to ask while as many rows as can be are not in columns.
func BenchmarkTable(b *testing.B) {
	typ := testType(b)
	stored := make([]Values, 50_000)
	for i := range stored {
		stored[i] = schema.Raw{Type: typ, JSON: schema.Encode(nil, typ, person(i))}
	}
	all := func(yield func(uint32, Values) bool) {
		for i, v := range stored {
			if !yield(uint32(i), v) {
				return
			}
		}
	}
	f := compiled(b, `emails[type eq "work" and value co "smith"] and active eq true and name.familyName sw "s"`, Options{})
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			f.Select(NewTable(all))
		}
	})
	table := NewTable(all)
	f.Select(table)
	changes := map[uint32]Values{}
	for i := range uint32(changesBeforeCompaction(len(stored))) {
		changes[i*50] = stored[i]
	}
	b.Run("compact", func(b *testing.B) {
		for b.Loop() {
			table.base.compact(changes, all)
		}
	})
	next := table.With(maps.All(changes), all)
	b.Run("changed", func(b *testing.B) {
		for b.Loop() {
			f.Select(next)
		}
	})
}

func BenchmarkSelect(b *testing.B) {
	table := NewTable(func(yield func(uint32, Values) bool) {
		for i := range uint32(50_000) {
			if !yield(i, Of(person(int(i)))) {
				return
			}
		}
	})
	for _, text := range []string{
		`emails[type eq "work" and value co "smith"] and active eq true and name.familyName sw "s"`,
		`emails[type eq "work" and value co "smith"]`,
		`emails.value eq "ann.smith.77@example.com"`,
		`userName co "77" or title pr`,
	} {
		f := compiled(b, text, Options{})
		b.Run(text, func(b *testing.B) {
			n := f.Select(table).Count()
			b.ReportAllocs()
			for b.Loop() {
				f.Select(table)
			}
			b.ReportMetric(float64(n), "rows")
		})
	}
}

func person(i int) schema.Object {
	family := []string{"Smith", "Jones", "Silva", "Okafor", "Nguyen", "Larsen", "Smithson", "Garcia", "Kowalski", "Ito"}[i%10] + []string{"", "-Lee", "-Bauer", "ova"}[i/10%4]
	given := []string{"Ann", "Bo", "Cy", "Dee", "Eve", "Finn", "Gus"}[i%7]
	return schema.Object{
		"userName": fmt.Sprintf("%s.%s.%d", given, family, i), "active": i%8 != 0,
		"name": schema.Object{"familyName": family, "givenName": given},
		"emails": []any{
			schema.Object{"value": fmt.Sprintf("%s.%s.%d@example.com", given, family, i), "type": "work", "primary": true},
			schema.Object{"value": fmt.Sprintf("%s%d@home.example", given, i), "type": "home"},
		},
	}
}
