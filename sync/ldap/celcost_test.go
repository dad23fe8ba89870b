package ldap

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// priced are expressions with every helper and with loops.
var priced = []string{
	`attr('a')`, `dn`, `string(raw('a')[0])`, `first(attr('a'))`, `lower(first(attr('a')))`, `attr('a').map(x, lower(x))`,
	`attr('a').filter(x, x in attr('b'))`, `attr('a').filter(x, attr('b').exists(y, x == y + '-x'))`,
	`attr('a').map(x, regexReplace(x, '([a-z])', '$1$1-'))`, `regexReplace(first(attr('a')), '', 'xyz')`,
	`regexReplace(first(attr('a')), '.*', '$0$0$0')`, `attr('a').filter(x, x.matches('^(a|b)*c$'))`,
	`attr('a').join(', ')`, `attr('a').join('')`, `first(attr('a')).split(',')`, `first(attr('a')).split('').map(x, x.trim())`,
	`first(attr('a')).split(',').map(x, x.trim()).join(' ')`, `dnPart(dn, 'ou')`, `dnPart(dn, 'ou').map(x, lower(x))`,
	`attr('a').map(x, guid(first(raw('b'))) + sid(first(raw('c'))))`, `attr('a') + attr('b')`,
	`attr('a').map(x, string(bit(x, 3)))`, `string(filetime(first(attr('b'))))`, `string(gentime(first(attr('b'))))`,
	`'n' + string(int(first(attr('a')))) + string(1e300) + string(never) + string(duration('1h')) + string(true) + string(2u)`,
	`attr('a').all(x, x < 'b') ? attr('a') : ['none']`, `first(attr('a').filter(x, x.contains(first(attr('b')))))`,
	`size(attr('a')) > 3 && attr('a')[2].startsWith('a') ? 'y' : 'n'`, `{'k': first(attr('a'))}['k']`,
}

// TestNoUsualEntryCostsMoreThanWasEstimated holds for what eval relies on: within the
// sizes of a usual entry the cost need not be counted.
func TestNoUsualEntryCostsMoreThanWasEstimated(t *testing.T) {
	c, err := newCompiler()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range priced {
		e, err := c.compile("attributes.x", text, anyTexts)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		own, checked, err := (&expression{text: text}).check(c.env)
		if err != nil {
			t.Fatal(err)
		}
		most, err := highestCost(own, checked)
		if err != nil {
			t.Fatal(err)
		}
		l := celLayout(t, text)
		rapid.Check(t, func(t *rapid.T) {
			m := loaded(l, drawText(t, "dn", usualDN), attr("a", drawValues(t, "a")...), attr("b", drawValues(t, "b")...), attr("c", drawValues(t, "c")...))
			if m.seen.measure() != sizeUsual {
				t.Fatal("the drawn entry is not usual")
			}
			_, details, err := e.guarded.Eval(m.seen)
			if cost := details.ActualCost(); *cost > most {
				t.Fatalf("%s costs %d (%v), and was estimated at %d", text, *cost, err, most)
			}
		})
	}
}

func drawValues(t *rapid.T, label string) []string {
	n := rapid.OneOf(rapid.IntRange(0, 4), rapid.Just(usualValues)).Draw(t, label+" count")
	values := make([]string, n)
	for i := range values {
		values[i] = drawText(t, label, usualBytes)
	}
	return values
}

func drawText(t *rapid.T, label string, longest int) string {
	pattern := rapid.SampledFrom([]string{"a", "ab,", "OU=x,", "é", "\xff", "1", "abc ", " "}).Draw(t, label+" of")
	n := rapid.SampledFrom([]int{0, 1, 7, longest}).Draw(t, label+" size")
	return strings.Repeat(pattern, longest/len(pattern)+1)[:n]
}

// BenchmarkMapping maps one entry with eight mapped values: by names of attributes, and
// with expressions for one or two of the eight. Of an unusual entry the cost is counted.
func BenchmarkMapping(b *testing.B) {
	plain := func(c *Config) {
		c.Users.Profile = map[string]Mapping{
			"displayName": {Attribute: "displayName"}, "givenName": {Attribute: "givenName"}, "familyName": {Attribute: "sn"},
			"email": {Attribute: "mail"}, "phone": {Attribute: "telephoneNumber"}, "position": {Attribute: "title"},
		}
		c.Users.Attributes = map[string]Mapping{"team": {Attribute: "ou"}, "department": {Attribute: "department"}}
	}
	two := func(c *Config) {
		plain(c)
		c.Users.Profile["displayName"] = Mapping{CEL: `first(attr('displayName')) != '' ? first(attr('displayName')) : first(attr('cn'))`}
		c.Users.Attributes["team"] = Mapping{CEL: `attr('ou').map(v, lower(v))`}
	}
	entry := &Entry{DN: []byte("CN=Jane Doe,OU=Sales,DC=example,DC=org"), Attributes: []Attribute{
		attr("sAMAccountName", "jdoe"), attr("displayName", "Jane Doe"), attr("givenName", "Jane"), attr("sn", "Doe"), attr("cn", "Jane Doe"),
		attr("mail", "jane.doe@example.org"), attr("telephoneNumber", "+1 555 0100"), attr("title", "Engineer"), attr("ou", "Sales", "EMEA"),
		attr("department", "4711"), attr("userAccountControl", "512"), attr("accountExpires", "0"),
	}}
	for _, bench := range []struct {
		name   string
		change func(*Config)
	}{
		{"plain", plain},
		{"two expressions", two},
		{"one that copies", func(c *Config) { plain(c); c.Users.Profile["email"] = Mapping{CEL: `first(attr('mail'))`} }},
		{"with regular expression", func(c *Config) {
			plain(c)
			c.Users.Attributes["team"] = Mapping{CEL: `regexReplace(first(attr('mail')), '^.*@', '')`}
		}},
	} {
		b.Run(bench.name, func(b *testing.B) { mapAgain(b, layoutOf(b, bench.change).mapper(), entry) })
	}
	b.Run("two expressions, unusual entry", func(b *testing.B) {
		m := layoutOf(b, two).mapper()
		far := *entry
		far.DN = []byte("CN=Jane Doe" + strings.Repeat(",OU=Sales", 120) + ",DC=example,DC=org")
		mapAgain(b, m, &far)
	})
}

func mapAgain(b *testing.B, m *mapper, entry *Entry) {
	b.ReportAllocs()
	for b.Loop() {
		m.load(entry)
		if _, err := m.record("corp", "k", m.hash()); err != nil {
			b.Fatal(err)
		}
	}
}
