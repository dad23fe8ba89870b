package ldap

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/identity"
)

func testConfig() *Config {
	c := &Config{Template: TemplateAD}
	c.Users.Bases, c.Groups.Bases = []string{peopleBase}, []string{groupsBase}
	c.Users.Attributes = map[string]Mapping{"department": {Attribute: "department"}, "mail": {Attribute: "mail"}}
	return c.Expanded()
}

func loaded(l *layout, dn string, attributes ...Attribute) *mapper {
	m := l.mapper()
	m.load(&Entry{DN: []byte(dn), Attributes: attributes})
	return m
}

func attr(name string, values ...string) Attribute {
	a := Attribute{Type: []byte(name)}
	for _, v := range values {
		a.Values = append(a.Values, []byte(v))
	}
	return a
}

// TestEqualHashesGiveEqualRecords draws entries that differ in little, in the order
// of their attributes and values or not, and compares hash and record.
func TestEqualHashesGiveEqualRecords(t *testing.T) {
	l := userLayout(testConfig(), nil)
	names := []string{"sAMAccountName", "mail", "department", "displayName", "userAccountControl", "accountExpires", "unmapped"}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) *mapper {
			var list []Attribute
			for _, n := range names {
				values := rapid.SliceOfN(rapid.SampledFrom([]string{"1", "2", "512"}), 0, 3).Draw(t, label+n)
				list = append(list, attr(n, values...))
			}
			rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			return loaded(&l, "cn=a", list...)
		}
		a, b := draw("a "), draw("b ")
		ra, errA := a.record("corp", "k", 0)
		rb, errB := b.record("corp", "k", 0)
		if a.hash() == b.hash() && errA == nil && errB == nil && !ra.Equal(rb) {
			t.Fatalf("equal hashes, but:\n%s", cmp.Diff(ra, rb))
		}
	})
}

func TestHashIgnoresOrderAndWhatIsNotMapped(t *testing.T) {
	l := userLayout(testConfig(), nil)
	a := loaded(&l, "cn=a", attr("department", "x", "y"), attr("sAMAccountName", "ann"), attr("lastLogon", "1")).hash()
	b := loaded(&l, "cn=a", attr("SAMACCOUNTNAME", "ann"), attr("department", "y", "x"), attr("lastLogon", "2")).hash()
	if a != b {
		t.Error("the order of values changes the hash")
	}
	for name, other := range map[string]*mapper{
		"DN":        loaded(&l, "cn=b", attr("department", "x", "y"), attr("sAMAccountName", "ann")),
		"value":     loaded(&l, "cn=a", attr("department", "x", "z"), attr("sAMAccountName", "ann")),
		"attribute": loaded(&l, "cn=a", attr("company", "x", "y"), attr("sAMAccountName", "ann")),
		"count":     loaded(&l, "cn=a", attr("department", "x"), attr("sAMAccountName", "ann")),
		"disabled":  loaded(&l, "cn=a", attr("department", "x", "y"), attr("sAMAccountName", "ann"), attr("userAccountControl", "514")),
	} {
		if other.hash() == a {
			t.Errorf("another %s does not change the hash", name)
		}
	}
	c := testConfig()
	c.Users.Attributes["department"] = Mapping{Attribute: "division"}
	l2 := userLayout(c, nil)
	if loaded(&l2, "cn=a", attr("sAMAccountName", "ann")).hash() == loaded(&l, "cn=a", attr("sAMAccountName", "ann")).hash() {
		t.Error("another mapping does not change the hash")
	}
}

func TestGUID(t *testing.T) {
	raw := []byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	key, err := keyGUID.key([][]byte{raw})
	if err != nil || key != "00112233-4455-6677-8899-aabbccddeeff" {
		t.Errorf("key = %s, %v", key, err)
	}
	if got := keyGUID.filterValue(key); got != `\33\22\11\00\55\44\77\66\88\99\aa\bb\cc\dd\ee\ff` {
		t.Errorf("filterValue = %s", got)
	}
	if key, _ := keyBytes.key([][]byte{raw}); key != "33221100-5544-7766-8899-aabbccddeeff" {
		t.Errorf("key in order = %s", key)
	}
	if got := keyText.filterValue("a*(b)\\"); got != `a\2a\28b\29\5c` {
		t.Errorf("filterValue = %s", got)
	}
	for _, bad := range [][][]byte{nil, {raw, raw}, {raw[:5]}} {
		if key, err := keyGUID.key(bad); err == nil {
			t.Errorf("key(%x) = %s, want an error", bad, key)
		}
	}
	for _, bad := range []string{"", "a b", "a\x00", "ü", strings.Repeat("x", 129)} {
		if key, err := keyText.key([][]byte{[]byte(bad)}); err == nil {
			t.Errorf("key(%q) = %s, want an error", bad, key)
		}
	}
}

func TestInstants(t *testing.T) {
	date := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, c := range []struct {
		format, value string
		want          time.Time
		bad           bool
	}{
		{formatFiletime, "0", time.Time{}, false},
		{formatFiletime, "9223372036854775807", time.Time{}, false},
		{formatFiletime, "133801632000000000", date("2025-01-01T00:00:00Z"), false},
		{formatFiletime, "soon", time.Time{}, true},
		{formatDays, "1", date("1970-01-02T00:00:00Z"), false},
		{formatDays, "-1", time.Time{}, false},
		{formatDays, "99999999999", time.Time{}, true},
		{formatGeneralized, "20250101120000Z", date("2025-01-01T12:00:00Z"), false},
		{formatGeneralized, "20250101120000.5Z", date("2025-01-01T12:00:00.5Z"), false},
		{formatGeneralized, "20250101120000+0200", date("2025-01-01T10:00:00Z"), false},
		{formatGeneralized, "tomorrow", time.Time{}, true},
	} {
		got, err := instant(c.format, []byte(c.value))
		if !got.Equal(c.want) || (err != nil) != c.bad {
			t.Errorf("instant(%s, %s) = %v, %v, want %v", c.format, c.value, got, err, c.want)
		}
	}
}

func TestLoginNames(t *testing.T) {
	for name, want := range map[string]string{
		"ann": "ann", " ann ": "ann", "Müller": "Müller", "a b": "a b", "": "", "  ": "", "a\x00b": "", "a\nb": "", "a\u202eb": "",
		"a\ufeffb": "", "a\u0085": "", "\xff": "", strings.Repeat("x", 257): "",
	} {
		got, err := loginName([][]byte{[]byte(name)})
		if got != want || (err == nil) != (want != "") {
			t.Errorf("loginName(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestMemberSpellings(t *testing.T) {
	for in, want := range map[string]string{
		"cn=a,dc=x":                        "cn=a,dc=x",
		"cn=a,dc=x#'0101'B":                "cn=a,dc=x",
		"cn=a,dc=x#'0201'B":                "cn=a,dc=x#'0201'B",
		"<GUID=0011>;<SID=0105>;cn=a,dc=x": "cn=a,dc=x",
		"<GUID=0011>":                      "<GUID=0011>",
		"cn=\\<GUID,dc=x":                  "cn=\\<GUID,dc=x",
	} {
		if got := string(memberDN([]byte(in))); got != want {
			t.Errorf("memberDN(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestRangeOptions(t *testing.T) {
	for option, want := range map[string]int{
		"range=0-1499": 1500, "Range=1500-*": 0, "range=0-": noRange, "range=0": noRange, "range=0--5": noRange, "range=0-9223372036854775807": noRange,
	} {
		if next, ok := rangeEnd([]byte(option)); !ok || next != want {
			t.Errorf("rangeEnd(%q) = %d, %t, want %d", option, next, ok, want)
		}
	}
	if _, ok := rangeEnd([]byte("lang-de")); ok {
		t.Error("a language counts as a range")
	}
}

func TestOptionsOfAttributes(t *testing.T) {
	l := userLayout(testConfig(), nil)
	m := loaded(&l, "cn=a", attr("displayName;lang-de", "Anna"), attr("displayName", "Ann"), attr("sAMAccountName", "ann"), attr("mail;binary", "x"))
	r, err := m.record("corp", "k", 0)
	if err != nil || r.Profile[identity.DisplayName] != "Ann" || r.Profile[identity.Email] != "x" {
		t.Errorf("record = %+v, %v", r, err)
	}
}

func TestPrimaryGroup(t *testing.T) {
	sid := []byte{1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0x50, 4, 0, 0}
	l := userLayout(testConfig(), nil)
	m := l.mapper()
	m.load(&Entry{Attributes: []Attribute{{[]byte("objectSid"), [][]byte{sid}}, attr("primaryGroupID", "513")}})
	got, err := m.primaryGroupSID()
	want := append(bytes.Clone(sid[:24]), 1, 2, 0, 0)
	if err != nil || got != string(want) {
		t.Errorf("primaryGroupSID = %x, %v, want %x", got, err, want)
	}
	if text, err := formSID.text(sid); err != nil || text != "S-1-5-21-1-2-3-1104" {
		t.Errorf("text = %s, %v", text, err)
	}
	if text, err := formSID.text(sid[:9]); err == nil {
		t.Errorf("text of a cut identifier = %s", text)
	}
}

func TestBindReasons(t *testing.T) {
	for text, want := range map[string]string{
		"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, v1db1": "wrong password",
		"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 533, v1db1": "disabled",
		"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 773, v1db1": "must change",
		"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 701, v1db1": "account has expired",
		"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 775, v1db1": "locked out",
		"invalid credentials": "wrong password",
	} {
		if got := bindReason(ldapError(49, text)); !strings.Contains(got, want) {
			t.Errorf("bindReason(%s) = %q, want %q", text, got, want)
		}
	}
}
