package filter

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/scim/schema"
)

const (
	userURN       = schema.UserURN
	enterpriseURN = schema.EnterpriseURN
)

// Each filter is printed with the parentheses it needs, and read the same again.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		// RFC 7644, figure 2 and section 3.4.2.2.
		`userName eq "bjensen"`:                                                   ``,
		`name.familyName co "O'Malley"`:                                           ``,
		`userName sw "J"`:                                                         ``,
		userURN + `:userName sw "J"`:                                              ``,
		`title pr`:                                                                ``,
		`meta.lastModified gt "2011-05-13T04:42:34Z"`:                             ``,
		`meta.lastModified ge "2011-05-13T04:42:34Z"`:                             ``,
		`meta.lastModified lt "2011-05-13T04:42:34Z"`:                             ``,
		`meta.lastModified le "2011-05-13T04:42:34Z"`:                             ``,
		`title pr and userType eq "Employee"`:                                     ``,
		`title pr or userType eq "Intern"`:                                        ``,
		`schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`: ``,
		`userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")`:             ``,
		`userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")`:         ``,
		`userType eq "Employee" and (emails.type eq "work")`:                                                `userType eq "Employee" and emails.type eq "work"`,
		`userType eq "Employee" and emails[type eq "work" and value co "@example.com"]`:                     ``,
		`emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]`: ``,
		enterpriseURN + `:manager.value eq "1" and active eq true`:                                          ``,
		// What Entra ID sends.
		`emails[type eq "work"].value eq "user@contoso.com"`:        `emails[type eq "work" and value eq "user@contoso.com"]`,
		`emails[type eq "work" and primary eq true].value pr`:       `emails[type eq "work" and primary eq true and value pr]`,
		`emails[type eq "work" or primary eq true].value ne "x"`:    `emails[(type eq "work" or primary eq true) and value ne "x"]`,
		`externalId eq "x" and emails[type eq "work"].value EQ "x"`: `externalId eq "x" and emails[type eq "work" and value eq "x"]`,
		// Precedence, case and blanks.
		`a pr or b pr and c pr`:        ``,
		`(a pr or b pr) and c pr`:      ``,
		`((a pr) and (b pr and c pr))`: `a pr and b pr and c pr`,
		`a pr or (b pr or (c pr))`:     `a pr or b pr or c pr`,
		`NOT(a PR) AND Not ( b pR )`:   `not (a pr) and not (b pr)`,
		`not (not (a pr))`:             ``,
		`not eq 1`:                     ``,
		`a  eq   "x"    and  b pr`:     `a eq "x" and b pr`,
		`emails[ type eq "work" ]`:     `emails[type eq "work"]`,
		`emails[not (type eq "work")]`: ``,
		`(a pr)and(b pr)`:              `a pr and b pr`,
		// Literals.
		`a eq null and b eq false and c eq -1.5e+3 and d eq 0`: ``,
		`a eq "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`:            "a eq \"\\\"\\\\/\\b\\f\\n\\r\\t\u00e9\U0001F600\"",
		`a eq ""`:           ``,
		`a eq ") or (b pr"`: ``,
		// URNs.
		`urn:example:1.0:Badge:color.name eq "red"`:                  ``,
		`urn:example:my:1.0:color eq "red"`:                          ``,
		`urn:example:1.0:Badge pr`:                                   ``,
		`URN:IETF:params:scim:schemas:core:2.0:user:userName eq "x"`: userURN + `:userName eq "x"`,
		`groups.$ref pr`:                                             ``,
	} {
		if want == "" {
			want = text
		}
		e, err := Parse(text, Options{Type: schema.User()})
		if err != nil {
			t.Errorf("Parse(%s) = %v", text, err)
			continue
		}
		if got := e.String(); got != want {
			t.Errorf("Parse(%s) = %s, want %s", text, got, want)
		}
		again, err := Parse(e.String(), Options{Type: schema.User()})
		if err != nil || !cmp.Equal(e, again) {
			t.Errorf("Parse(%s) = %v, %v, which was printed from another", e, again, err)
		}
	}
}

func TestParseMakesATree(t *testing.T) {
	got, err := Parse(`userName eq "x" and not (emails[type ne 1] or `+enterpriseURN+`:manager.value pr)`, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := And{[]Expr{
		Compare{Path{Attr: "userName"}, Equal, "x"},
		Not{Or{[]Expr{
			ValuePath{Path{Attr: "emails"}, Compare{Path{Attr: "type"}, NotEqual, Number("1")}},
			Present{Path{URN: enterpriseURN, Attr: "manager", Sub: "value"}},
		}}},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                   "position 1: it is empty",
		` a pr`:                              "position 1: ",
		`a pr `:                              "position 5: ",
		`a`:                                  "position 2: it ends where a blank and an operator",
		`a xx "b"`:                           `position 3: "xx" is none of the operators`,
		`a eq`:                               "position 5: the value is missing",
		`a eq `:                              "position 6: the value is missing",
		`a eq"b"`:                            "position 5: ",
		`a eq b`:                             "position 6: the value has to be",
		`a eq 'b'`:                           "position 6: the value has to be",
		`a eq "b`:                            "position 6: the string does not end",
		`a eq "b"c`:                          "position 9: a blank is missing",
		`a eq "b"and c pr`:                   "position 9: a blank is missing",
		`a eq "\x"`:                          "position 7: this is not an escape",
		`a eq "\u12"`:                        "position 7: this is not an escape",
		`a eq "\ud83d"`:                      "position 7: this is not an escape",
		`a eq "\ud83d\u0041"`:                "position 7: this is not an escape",
		`a eq "\`:                            "position 7: this is not an escape",
		"a eq \"\tb\"":                       "position 7: a control character",
		"a\teq \"b\"":                        "position 1: ",
		`a eq 01`:                            "position 6: the value has to be",
		`a eq 1.`:                            "position 6: the value has to be",
		`a eq +1`:                            "position 6: the value has to be",
		`a eq 1e`:                            "position 6: the value has to be",
		`a eq True`:                          "position 6: the value has to be",
		`a eq "b" b eq "c"`:                  "position 9: ",
		`a eq "b" and`:                       "position 13: it ends where the name of an attribute",
		`a eq "b" and or c pr`:               `position 17: "c" is none of the operators`,
		`a.b.c eq "x"`:                       "position 1: ",
		`1a pr`:                              "position 1: ",
		`(a pr`:                              "position 6: it ends where and, or, or a closing parenthesis",
		`a pr)`:                              `position 5: ')' stands where and, or, or the end`,
		`()`:                                 `position 2: ')' stands where`,
		`not a pr`:                           `position 5: "a" is none`,
		`emails[type eq "x"`:                 "position 19: it ends where and, or, or a closing bracket",
		`emails[]`:                           `position 8: ']' stands where`,
		`emails.value[type eq "x"]`:          "position 1: the filter in brackets",
		`emails[type eq "x"].`:               "position 21: ",
		`emails[type eq "x"].value`:          "position 26: ",
		`emails[a[b pr]]`:                    "position 9: brackets cannot stand within",
		`emails[type eq "x"].value[type pr]`: "position 26: ",
		"a eq \"\xff\"":                      "not UTF-8",
		"\x00":                               "position 1: ",
	} {
		e, err := Parse(text, Options{})
		var bad *Error
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, %v, want an error with %q", text, e, err, want)
		}
	}
}

func TestParseLenient(t *testing.T) {
	for text, want := range map[string]string{
		` userName eq "x" `:                   `userName eq "x"`,
		"\tuserName\teq\r\n\"x\"\n":           `userName eq "x"`,
		"userName eq \"a\tb\"":                `userName eq "a\tb"`,
		`userName sw O`:                       `userName sw "O"`,
		`userName eq O'Neil`:                  `userName eq "O'Neil"`,
		`userName eq 'O"Neil'`:                `userName eq "O\"Neil"`,
		`userName eq 'O\'Neil'`:               `userName eq "O'Neil"`,
		`(active eq True)`:                    `active eq "True"`,
		`emails[type eq work].value eq a@b.c`: `emails[type eq "work" and value eq "a@b.c"]`,
	} {
		e, err := Parse(text, Options{Lenient: true})
		if err != nil || e.String() != want {
			t.Errorf("Parse(%q) = %v, %v, want %s", text, e, err, want)
		}
		if e, err := Parse(text, Options{}); err == nil {
			t.Errorf("Parse(%q) = %v, though not lenient", text, e)
		}
	}
	for _, text := range []string{`a eq 'b`, `a eq `, `a eq )`, `  `} {
		if e, err := Parse(text, Options{Lenient: true}); err == nil {
			t.Errorf("Parse(%q) = %v", text, e)
		}
	}
}

func TestParseAtItsLimits(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("(", n) + "a pr" + strings.Repeat(")", n) }
	long := func(n int) string { return `a eq "` + strings.Repeat("x", n-7) + `"` }
	many := func(n int) string { return "a pr" + strings.Repeat(" and a pr", n-1) }
	for name, c := range map[string]struct {
		o    Options
		n    int
		make func(int) string
		want string
	}{
		"depth":         {Options{}, 32, deep, "nested deeper than 32"},
		"depth given":   {Options{MaxDepth: 3}, 3, deep, "nested deeper than 3"},
		"depth at most": {Options{MaxDepth: 1 << 30, MaxLength: 1 << 20}, 1000, deep, "nested deeper than 1000"},
		"length":        {Options{}, 4096, long, "longer than 4096"},
		"length given":  {Options{MaxLength: 50}, 50, long, "longer than 50"},
		"terms":         {Options{}, 64, many, "more than 64"},
		"terms given":   {Options{MaxTerms: 2}, 2, many, "more than 2"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Parse(c.make(c.n), c.o)
			if err != nil {
				t.Fatalf("at the limit: %v", err)
			}
			if e.String() == "" {
				t.Error("it prints as nothing")
			}
			if _, err := Parse(c.make(c.n+1), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("beyond the limit: %v, want %q", err, c.want)
			}
		})
	}
	// What stops a process that recurses: it ends before it is looked at, and, with a
	// length that admits it, at the first level too deep.
	text := deep(90_000)
	if _, err := Parse(text, Options{}); err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("90,000 parentheses: %v", err)
	}
	for _, text := range []string{text, strings.Repeat("not (", 90_000), strings.Repeat("a[", 90_000), strings.Repeat("a[(", 90_000)} {
		if _, err := Parse(text, Options{MaxLength: 1 << 20}); err == nil {
			t.Errorf("90,000 times %s: no error", text[:5])
		}
	}
}

func TestParsePath(t *testing.T) {
	work := Compare{Path{Attr: "type"}, Equal, "work"}
	for text, want := range map[string]Path{
		// RFC 7644, section 3.5.2.
		`members`:                   {Attr: "members"},
		`name.familyName`:           {Attr: "name", Sub: "familyName"},
		`addresses[type eq "work"]`: {Attr: "addresses", Filter: work},
		`members[value eq "2819c223-7f76-453a-919d-413861904646"]`:             {Attr: "members", Filter: Compare{Path{Attr: "value"}, Equal, "2819c223-7f76-453a-919d-413861904646"}},
		`members[value eq "2819c223-7f76-453a-919d-413861904646"].displayName`: {Attr: "members", Filter: Compare{Path{Attr: "value"}, Equal, "2819c223-7f76-453a-919d-413861904646"}, Sub: "displayName"},
		`emails[type eq "work"].value`:                                         {Attr: "emails", Filter: work, Sub: "value"},
		`members[value eq "a" or value eq "b" or (value eq "c")]`: {Attr: "members", Filter: Or{[]Expr{
			Compare{Path{Attr: "value"}, Equal, "a"}, Compare{Path{Attr: "value"}, Equal, "b"}, Compare{Path{Attr: "value"}, Equal, "c"},
		}}},
		enterpriseURN:                                  {URN: enterpriseURN},
		strings.ToLower(enterpriseURN):                 {URN: enterpriseURN},
		enterpriseURN + `:employeeNumber`:              {URN: enterpriseURN, Attr: "employeeNumber"},
		enterpriseURN + `:manager.value`:               {URN: enterpriseURN, Attr: "manager", Sub: "value"},
		userURN + `:emails[type eq "work"].value`:      {URN: userURN, Attr: "emails", Filter: work, Sub: "value"},
		`urn:example:1.0:Badge`:                        {URN: "urn:example:1.0:Badge"},
		`urn:example:badge:color`:                      {URN: "urn:example:badge", Attr: "color"},
		`urn:example:badge:1.0:colors[type eq "work"]`: {URN: "urn:example:badge:1.0", Attr: "colors", Filter: work},
		`members.$ref`:                                 {Attr: "members", Sub: "$ref"},
	} {
		got, err := ParsePath(text, Options{Type: schema.User()})
		if err != nil {
			t.Errorf("ParsePath(%s) = %v", text, err)
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("ParsePath(%s) (-want +got):\n%s", text, d)
		}
		if again, err := ParsePath(got.String(), Options{Type: schema.User()}); err != nil || !cmp.Equal(got, again) {
			t.Errorf("ParsePath(%s) = %v, %v, which was printed from another", got, again, err)
		}
	}
	for _, text := range []string{``, ` `, ` a`, `a `, `a.b.c`, `a[`, `a[]`, `a[b pr`, `a[b pr]c`, `a[b pr].`, `a[b pr].c d`, `a[b pr].1`, `a.b[c pr]`, userURN + `[a pr]`, `"a"`, `a eq "b"`, `a..b`, `.a`, `a.`, `:`, `:a`, strings.Repeat("a", 5000)} {
		if got, err := ParsePath(text, Options{Type: schema.User()}); err == nil {
			t.Errorf("ParsePath(%q) = %+v", text, got)
		}
	}
	if got, err := ParsePath(" emails[type eq work].value\t", Options{Lenient: true}); err != nil || got.String() != `emails[type eq "work"].value` {
		t.Errorf("ParsePath, leniently = %v, %v", got, err)
	}
}

func BenchmarkParseCompile(b *testing.B) {
	typ := testType(b)
	for _, text := range []string{`userName eq "bjensen"`, `emails[type eq "work" and value co "smith"] and active eq true and name.familyName sw "s"`} {
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e, err := Parse(text, Options{Type: typ})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := Compile(e, typ, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
