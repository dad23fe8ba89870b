package ldap

import (
	"slices"
	"testing"
	"unicode/utf8"
)

// FuzzExpression runs what compiles on bytes of strangers: it ends, does not panic,
// gives text in UTF-8 or an error, and the same for another order of values.
func FuzzExpression(f *testing.F) {
	for _, text := range priced {
		f.Add(text, []byte("a"), []byte("CN=x,OU=y"), []byte{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0})
	}
	f.Add(`dnPart(dn, 'x')`, []byte("a"), []byte("b"), []byte(`x=\ff,y=z`))
	f.Add(`string(int(first(attr('a'))) * 2)`, []byte("-9223372036854775808"), []byte("\xff"), []byte{})
	f.Add(`string(timestamp(first(attr('a'))))`, []byte("9999-12-31T23:59:59Z"), []byte("x=#04"), []byte("0"))
	f.Add(`regexReplace(attr('a')[0], '(.)', '${1}$2$$')`, []byte("é"), []byte("a+b=c"), []byte{0})
	c, err := newCompiler()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, a, b, dn []byte) {
		e, err := c.compile("attributes.x", text, anyTexts)
		if err != nil {
			return
		}
		l := celLayout(t, text)
		run := func(values ...[]byte) ([]string, error) {
			m := l.mapper()
			m.load(&Entry{DN: dn, Attributes: []Attribute{{[]byte("a"), values}, {[]byte("b"), [][]byte{b}}, {[]byte("c"), [][]byte{dn}}}})
			return m.seen.all(nil, l.attrs[0].expr)
		}
		one, errOne := run(a, b, dn)
		two, errTwo := run(a, dn, b)
		if !slices.Equal(one, two) || (errOne == nil) != (errTwo == nil) {
			t.Fatalf("%s gives %q, %v and %q, %v for another order", e.text, one, errOne, two, errTwo)
		}
		for _, s := range one {
			if !utf8.ValidString(s) {
				t.Fatalf("%s gives %q, which is no text", text, s)
			}
		}
	})
}
