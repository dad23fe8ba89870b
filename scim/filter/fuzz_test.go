package filter

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// What is read is printed so that it is read the same; what is not read is an [*Error].
func FuzzParse(f *testing.F) {
	for _, text := range seeds {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, lenient bool) {
		o := Options{Lenient: lenient, Type: schema.User()}
		e, err := Parse(text, o)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("Parse(%q) = %v, not an Error", text, err)
			}
			return
		}
		// Escaped again, and with the brackets that Entra leaves out, it may be longer.
		printed := e.String()
		again, err := Parse(printed, Options{Type: schema.User(), MaxLength: 1 << 20})
		if err != nil || !cmp.Equal(e, again) {
			t.Fatalf("Parse(%q) prints as %q, which is read as %v, %v", text, printed, again, err)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, text := range pathSeeds {
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, lenient bool) {
		p, err := ParsePath(text, Options{Lenient: lenient, Type: schema.User()})
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("ParsePath(%q) = %v, not an Error", text, err)
			}
			return
		}
		again, err := ParsePath(p.String(), Options{Type: schema.User(), MaxLength: 1 << 20})
		if err != nil || !cmp.Equal(p, again) {
			t.Fatalf("ParsePath(%q) prints as %q, which is read as %v, %v", text, p, again, err)
		}
	})
}

// A filter that compiles gives the same for a resource by itself and in a table, and
// its contrary gives the contrary.
func FuzzCompileMatch(f *testing.F) {
	typ := testType(f)
	for _, text := range seeds {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := Options{Lenient: true, Type: typ}
		e, err := Parse(text, o)
		if err != nil {
			return
		}
		c, err := Compile(e, typ, o)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("Compile(%q) = %v, not an Error", text, err)
			}
			return
		}
		contrary, err := Compile(Not{e}, typ, o)
		if err != nil {
			t.Fatal(err)
		}
		rows := []schema.Object{ann, {}}
		table := NewTable(func(yield func(uint32, Values) bool) {
			_ = yield(0, Of(rows[0])) && yield(1, Of(rows[1]))
		})
		selected := c.Select(table)
		for i, r := range rows {
			if c.Match(r) == contrary.Match(r) {
				t.Fatalf("%q and its contrary agree about %v", text, r)
			}
			if selected.Has(uint32(i)) != c.Match(r) {
				t.Fatalf("%q in a table: %v", text, !c.Match(r))
			}
		}
	})
}

var pathSeeds = []string{
	`members`, `name.familyName`, `emails[type eq "work"].value`, `members[value eq "a" or value eq "b"]`,
	enterpriseURN, enterpriseURN + `:manager.value`, userURN + `:emails[primary eq "True"]`, `urn:example:1.0:Badge`,
	`urn:x:y[a pr]`, ` a `, `a[`, `a..b`, `:`, `members.$ref`,
}

var seeds = []string{
	`userName eq "bjensen"`, `name.familyName co "O'Malley"`, `title pr and userType eq "Employee"`,
	`userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")`,
	`emails[type eq "work"].value eq "x"`, `emails[not (type eq "work" or primary ne true)]`,
	enterpriseURN + `:manager.value eq "1" and active eq true`, `meta.lastModified gt "2011-05-13T04:42:34Z"`,
	`urn:custom:X:many[type eq "a" and value eq "1"]`, `urn:example:1.0:Badge pr`, badge + `:score le 2.5e0`,
	`a eq "\"\\\u00e9\ud83d\ude00"`, `userName sw O'Neil`, `active eq 'True'`, "\ta eq null\n", `((((a pr))))`, `not not pr`,
	`urn:a:b:1.0:C eq "x"`, badge + `:doors[keys eq "k2" and floor lt 3].value ne "x"`, `not (a pr) or (b pr and (c pr or d pr))`,
}
