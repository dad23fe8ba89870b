package ldap

import (
	"bytes"
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"
	"pgregory.net/rapid"
)

func canonical(t interface{ Fatalf(string, ...any) }, dn string) string {
	out, err := canonicalDN(nil, []byte(dn))
	if err != nil {
		t.Fatalf("canonicalDN(%q) = %v", dn, err)
	}
	return string(out)
}

func TestSpellingsOfOneDN(t *testing.T) {
	for _, same := range [][]string{
		{"cn=Ann Lee,ou=People,dc=example,dc=org", "CN=ann lee, OU=people , dc=EXAMPLE,DC=org", `cn=ann\20lee,ou=people,dc=example,dc=org`},
		{`cn=Lee\, Ann,dc=x`, `cn=lee\2c ann,dc=x`, `CN=Lee\2C Ann,DC=X`},
		{`cn=a+sn=b,dc=x`, `sn=B + cn=A,dc=x`},
		{`cn=Müller,dc=x`, `cn=M\C3\BCLLER,dc=x`, `cn=m\c3\9cller,dc=x`},
		{`cn=\ lead,dc=x`, `cn=\20lead,dc=x`},
		{`cn=trail\ ,dc=x`, `cn=trail\20 ,dc=x`},
		{`cn=#04024869,dc=x`, `cn=hi,dc=x`},
		{`cn=back\\,dc=x`, `cn=back\5c,dc=x`},
		{`cn=a=b,dc=x`, `cn=a\=b,dc=x`},
		{"", "  "},
	} {
		for _, other := range same[1:] {
			if a, b := canonical(t, same[0]), canonical(t, other); a != b {
				t.Errorf("canonicalDN(%q) = %q, canonicalDN(%q) = %q, want the same", same[0], a, other, b)
			}
		}
	}
}

func TestDifferentDNs(t *testing.T) {
	for _, pair := range [][2]string{
		{`cn=a\,dc=x`, `cn=a,dc=x`},
		{`cn=a\2Bsn=b,dc=x`, `cn=a+sn=b,dc=x`},
		{`cn=\ a,dc=x`, `cn=a,dc=x`},
		{`cn=a+cn=a+sn=b`, `cn=a+sn=b+sn=b`},
		{`cn=a  b`, `cn=a b`},
		{`cn=\ff`, `cn=\fe`},
	} {
		if a, b := canonical(t, pair[0]), canonical(t, pair[1]); a == b {
			t.Errorf("canonicalDN(%q) = canonicalDN(%q) = %q, want them to differ", pair[0], pair[1], a)
		}
	}
}

func TestTextsThatAreNoDN(t *testing.T) {
	for _, dn := range []string{"ann", "=x", "cn=a,", "cn=a,,dc=x", `cn=a\`, `cn=a\zz`, "cn=#zz", "cn=#0402", "cn=a\x00b", "cn=a+"} {
		if out, err := canonicalDN(nil, []byte(dn)); err == nil {
			t.Errorf("canonicalDN(%q) = %q, want an error", dn, out)
		}
	}
}

func TestPlainAndFullAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dn := []byte(rapid.StringMatching(`( ?[a-cA-C]{1,2} ?= ?[a-cA-C =#]{0,4}(,|$)){1,3}`).Draw(t, "dn"))
		fast, ok := plainDN(nil, dn)
		if !ok {
			return
		}
		full, err := fullDN(nil, dn)
		if err != nil || !bytes.Equal(fast, full) {
			t.Fatalf("plainDN(%q) = %q, fullDN = %q, %v", dn, fast, full, err)
		}
	})
}

// genDN draws DNs of a few values in many spellings, so that equal ones are met. No
// space stands beside a value in hexadecimal (RFC 4514 §2.4 has none): go-ldap takes
// the value for text after one, and the space for a digit before one.
func genDN(t *rapid.T, label string) string {
	var b strings.Builder
	value := ""
	separate := func(what string, by ...string) {
		sep := rapid.SampledFrom(by).Draw(t, label+" "+what)
		if strings.HasPrefix(value, "#") {
			sep = strings.TrimLeft(sep, " ")
		}
		b.WriteString(sep)
	}
	for i := range rapid.IntRange(1, 3).Draw(t, label+" rdns") {
		if i > 0 {
			separate("comma", ",", ", ", " ,")
		}
		for j := range rapid.IntRange(1, 2).Draw(t, label+" parts") {
			if j > 0 {
				separate("plus", "+", " + ")
			}
			kind := rapid.SampledFrom([]string{"cn=", "CN=", "ou=", "Ou =", "ou= "}).Draw(t, label+" type")
			value = rapid.SampledFrom([]string{
				"a", "A", "a b", "a B", "a  b", `a\,b`, `a\2cb`, `A\2CB`, `\ a`, `\20a`, `a\ `, `a\20`, "ü", "Ü", `\c3\bc`,
				`\C3\9C`, "ß", "ſ", "s", "S", "K", "k", "日本", `\#a`, `\23a`, "a#", "a=b", `a\=b`, `a\+b`, `\\`, `\5c`, "#040141", "#040161",
			}).Draw(t, label+" value")
			if strings.HasPrefix(value, "#") {
				kind = strings.TrimRight(kind, " ")
			}
			b.WriteString(kind + value)
		}
	}
	return b.String()
}

func TestCanonicalDNEqualsGoLDAPsEqualFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genDN(t, "a"), genDN(t, "b")
		pa, errA := goldap.ParseDN(a)
		pb, errB := goldap.ParseDN(b)
		if errA != nil || errB != nil {
			t.Fatalf("go-ldap refuses %q or %q: %v, %v", a, b, errA, errB)
		}
		if got, want := canonical(t, a) == canonical(t, b), pa.EqualFold(pb); got != want {
			t.Fatalf("%q and %q: same = %v, go-ldap says %v (%q, %q)", a, b, got, want, canonical(t, a), canonical(t, b))
		}
	})
}

func FuzzDN(f *testing.F) {
	for _, s := range []string{"cn=a,dc=x", `cn=a\,b+sn=\20c,dc=x`, "cn=#040161", "cn=M\u00fcller;dc=x", `cn=a\`, " = ", "cn=a , ou= b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, dn []byte) {
		h := newDNHasher()
		if h.key(dn) != h.key(bytes.Clone(dn)) {
			t.Fatalf("key(%q) differs from itself", dn)
		}
		out, err := canonicalDN(nil, dn)
		if fast, ok := plainDN(nil, dn); ok {
			full, fullErr := fullDN(nil, dn)
			if err != nil || fullErr != nil || !bytes.Equal(fast, full) {
				t.Fatalf("plainDN(%q) = %q, fullDN = %q, %v", dn, fast, full, fullErr)
			}
		}
		if err == nil && !withinDN(out, out) {
			t.Fatalf("%q is not within itself", dn)
		}
	})
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		child, base string
		want        bool
	}{
		{"cn=a,ou=p,dc=x", "ou=p,dc=x", true},
		{"ou=p,dc=x", "ou=p,dc=x", true},
		{"dc=x", "ou=p,dc=x", false},
		{"xou=p,dc=x", "ou=p,dc=x", false},
		{`cn=a\,ou=p,dc=x`, "ou=p,dc=x", false},
		{`cn=a\\,ou=p,dc=x`, "ou=p,dc=x", true},
		{"cn=a", "", true},
	} {
		if got := withinDN([]byte(canonical(t, c.child)), []byte(canonical(t, c.base))); got != c.want {
			t.Errorf("withinDN(%q, %q) = %v, want %v", c.child, c.base, got, c.want)
		}
	}
}

func BenchmarkDNKey(b *testing.B) {
	h, dn := newDNHasher(), []byte("uid=user123456,ou=people,dc=example,dc=org")
	b.ReportAllocs()
	for b.Loop() {
		h.key(dn)
	}
}
