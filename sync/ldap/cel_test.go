package ldap

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
)

// celLayout is that of people who have one attribute, x, by an expression.
func celLayout(t testing.TB, expression string) *layout {
	t.Helper()
	return layoutOf(t, func(c *Config) { c.Users.Attributes = map[string]Mapping{"x": {CEL: expression}} })
}

func layoutOf(t testing.TB, change func(*Config)) *layout {
	t.Helper()
	c := testConfig()
	c.Users.Attributes, c.Users.Profile = nil, nil
	change(c)
	var p config.Problems
	people, _ := c.compile(&p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	l := userLayout(c, people)
	return &l
}

// jane is an entry with a bit of everything.
func jane() *Entry {
	return &Entry{DN: []byte("CN=Doe\\, Jane,OU=Sales,OU=Berlin,DC=example,DC=org"), Attributes: []Attribute{
		attr("sAMAccountName", "jdoe"), attr("cn", "Doe, Jane", "Jane Doe", "JD"), attr("mail", "Jane.Doe@Example.org"),
		attr("ou", "Sales", "EMEA"), attr("userAccountControl", "514"), attr("accountExpires", "133801632000000000"),
		attr("whenCreated", "20250101120000.0Z"), attr("pwdLastSet", "0"), attr("employeeNumber", "007"),
		{[]byte("objectGUID"), [][]byte{{0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}}},
		{[]byte("objectSid"), [][]byte{{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0}}},
		attr("manager", "CN=Boss\\2C Big,OU=Board,DC=example,DC=org"), attr("zero", "a\x00b"), attr("latin", "m\xfcller"),
		attr("objectClass", "top", "person", "user"), attr("empty", ""),
	}}
}

func TestExpressions(t *testing.T) {
	for expression, want := range map[string]string{
		// What the entry has.
		`attr('cn')`:                            "Doe, Jane|JD|Jane Doe",
		`attr('CN')`:                            "Doe, Jane|JD|Jane Doe",
		`attr('nothing')`:                       "",
		`attr('empty')`:                         "",
		`dn`:                                    `CN=Doe\, Jane,OU=Sales,OU=Berlin,DC=example,DC=org`,
		`'always'`:                              "always",
		`attr('objectGUID')`:                    "00112233-4455-6677-8899-aabbccddeeff",
		`string(size(first(raw('cn'))))`:        "9",
		`attr('cn') + attr('ou')`:               "Doe, Jane|EMEA|JD|Jane Doe|Sales",
		`first(attr('employeeNumber'))`:         "007",
		`attr('ou').filter(v, v != 'EMEA')`:     "Sales",
		`attr('ou').map(v, v + '/' + lower(v))`: "EMEA/emea|Sales/sales",
		`'user' in attr('objectClass') ? ['a', 'b'] : []`:                                 "a|b",
		`attr('cn').exists(v, v == 'JD') && !attr('cn').all(v, v == 'JD') ? 'yes' : 'no'`: "yes",
		// The helpers.
		`first(attr('cn'))`:                                               "Doe, Jane",
		`first(attr('nothing'))`:                                          "",
		`guid(first(raw('nothing')))`:                                     "",
		`lower(first(attr('mail')))`:                                      "jane.doe@example.org",
		`lower('ÄÖ')`:                                                     "äö",
		`regexReplace(first(attr('mail')), '^(.*)@.*$', '$1')`:            "Jane.Doe",
		`regexReplace('abc', 'x', 'y')`:                                   "abc",
		`regexReplace('abc', '', '-')`:                                    "-a-b-c-",
		`regexReplace('abc', '.', '')`:                                    "",
		`guid(first(raw('objectGUID')))`:                                  "00112233-4455-6677-8899-aabbccddeeff",
		`sid(first(raw('objectSid')))`:                                    "S-1-5-32-544",
		`sid(first(raw('nothing')))`:                                      "",
		`string(filetime(first(attr('accountExpires'))))`:                 "2025-01-01T00:00:00Z",
		`filetime(first(attr('pwdLastSet'))) == never ? 'never' : 'once'`: "never",
		`filetime('9223372036854775807') == never && filetime('') == never && filetime('2650467742999999999') < never ? 'a' : 'b'`: "a",
		`string(gentime(first(attr('whenCreated'))))`:                              "2025-01-01T12:00:00Z",
		`gentime('000001010000Z') < timestamp('2000-01-01T00:00:00Z') ? 'a' : 'b'`: "a",
		`gentime('') == never ? 'a' : 'b'`:                                         "a",
		`dnPart(dn, 'ou')`:                                                         "Berlin|Sales",
		`first(dnPart(dn, 'OU'))`:                                                  "Sales",
		`dnPart(dn, 'cn')`:                                                         "Doe, Jane",
		`dnPart(first(attr('manager')), 'cn')`:                                     "Boss, Big",
		`dnPart(first(attr('nothing')), 'cn')`:                                     "",
		`dnPart(dn, 'dc').join('.')`:                                               "example.org",
		`bit(first(attr('userAccountControl')), 0x2) ? 'off' : 'on'`:               "off",
		`bit(first(attr('userAccountControl')), 0x10) ? 'locked' : 'open'`:         "open",
		`bit(first(attr('nothing')), 1) || bit(2, 1) ? 'a' : 'b'`:                  "b",
		`bit('-2147483646', 2) ? 'a' : 'b'`:                                        "a",
		`'a, b'.split(', ')`:                                                       "a|b",
		`''.split(',')`:                                                            "",
		`['', 'a', ''].join(',')`:                                                  ",a,",
		`' a '.trim()`:                                                             "a",
		`first(attr('mail')).matches('@Example[.]org$') ? 'ours' : 'theirs'`:       "ours",
		`string(timestamp('2025-03-01T00:00:00Z').getDayOfYear())`:                 "59",
		`string(int(first(attr('employeeNumber'))) + 1)`:                           "8",
	} {
		l := celLayout(t, expression)
		m := l.mapper()
		m.load(jane())
		r, err := m.record("corp", "k", 0)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got := strings.Join(r.Attributes["x"], "|"); got != want {
			t.Errorf("%s = %q, want %q", expression, got, want)
		}
	}
}

// TestWhatFailsForOneEntry has expressions that are right and meet an entry that they
// cannot be used for.
func TestWhatFailsForOneEntry(t *testing.T) {
	for expression, want := range map[string]string{
		`attr('latin')`:                       "cannot be mapped: the expression of attributes.x fails: a value of latin is not text in UTF-8",
		`attr('zero')`:                        "has a NUL character in a value of attributes.x",
		`attr('cn')[5]`:                       "cannot be mapped: the expression of attributes.x fails: index out of bounds: 5",
		`string(int(first(attr('cn'))))`:      "cannot be mapped: the expression of attributes.x fails:",
		`guid(first(raw('cn')))`:              "fails: a GUID has 16 bytes, not 9",
		`sid(first(raw('cn')))`:               "fails: a value of 9 bytes is no security identifier",
		`string(filetime(first(attr('cn'))))`: `fails: "Doe, Jane" is no FILETIME`,
		`string(gentime(first(attr('cn'))))`:  `fails: "Doe, Jane" is no generalized time`,
		`dnPart(first(attr('cn')), 'cn')`:     `fails: "Doe, Jane" is no distinguished name`,
		`dnPart('cn=\\ff,dc=x', 'cn')`:        "a part that is not text in UTF-8",
		`bit(first(attr('cn')), 1) ? '' : ''`: `fails: "Doe, Jane" is no number`,
		`string(1 / size(attr('nothing')))`:   "division by zero",
	} {
		l := celLayout(t, expression)
		m := l.mapper()
		m.load(jane())
		if r, err := m.record("corp", "k", 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %+v, %v, want an error with %q", expression, r, err, want)
		}
	}
}

func TestExpressionsEverywhere(t *testing.T) {
	l := layoutOf(t, func(c *Config) {
		c.Users.Name = Mapping{CEL: `lower(first(attr('mail')))`}
		c.Users.Profile = map[string]Mapping{
			identity.DisplayName: {CEL: `first(attr('displayName')) != '' ? first(attr('displayName')) : first(attr('cn'))`},
			identity.Phone:       {CEL: `first(attr('telephoneNumber'))`},
		}
		c.Users.Attributes = map[string]Mapping{"team": {CEL: `attr('ou').map(v, lower(v))`}, "none": {CEL: `attr('nothing')`}}
		c.Users.Disabled = []Rule{{CEL: `bit(first(attr('userAccountControl')), 0x2)`}}
		c.Users.Locked = []Rule{{CEL: `false`}}
		c.Users.Expires = []Expiry{{CEL: `never`}, {CEL: `filetime(first(attr('accountExpires')))`}}
	})
	m := l.mapper()
	m.load(jane())
	got, err := m.record("corp", "k", 7)
	if err != nil {
		t.Fatal(err)
	}
	want := &identity.Record{
		Source: "corp", Key: "k", Name: "jane.doe@example.org", DN: string(jane().DN), Hash: 7,
		Profile:    map[string]string{identity.DisplayName: "Doe, Jane"},
		Attributes: identity.Attributes{"team": {"emea", "sales"}},
		Disabled:   identity.ReasonDisabled, Expires: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("record (-want +got):\n%s", d)
	}
	for _, a := range []string{"mail", "displayname", "cn", "telephonenumber", "ou", "useraccountcontrol", "accountexpires", "nothing"} {
		if slot, ok := l.slots[a]; !ok || !l.use[slot].hashed {
			t.Errorf("%s is read, and not asked for or not in the hash", a)
		}
	}
}

// TestTheHashCoversWhatExpressionsRead changes an attribute, the text of an
// expression, and the order of values.
func TestTheHashCoversWhatExpressionsRead(t *testing.T) {
	hash := func(l *layout, values ...string) uint64 {
		return loaded(l, "cn=a", attr("sAMAccountName", "ann"), attr("ou", values...), attr("other", "x")).hash()
	}
	l := celLayout(t, `attr('ou').filter(v, v != 'b')`)
	base := hash(l, "a", "b", "c")
	if hash(l, "a", "c", "b") != base {
		t.Error("the order of the values behind the first changes the hash")
	}
	if hash(l, "b", "a", "c") == base {
		t.Error("another first value does not change the hash")
	}
	if hash(l, "a", "b") == base {
		t.Error("a value that is gone does not change the hash")
	}
	if hash(celLayout(t, `attr('ou').filter(v, v != 'c')`), "a", "b", "c") == base {
		t.Error("another expression does not change the hash")
	}
	if celLayout(t, `attr('ou').filter(v, v != 'b')`).salt != l.salt {
		t.Error("the same expression has two hashes")
	}
}

func TestALargeEntryIsCounted(t *testing.T) {
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprintf("value %05d", i)
	}
	l := celLayout(t, `attr('ou').filter(v, v in attr('ou') && v.endsWith('00'))`)
	run := func(values ...string) (*identity.Record, error) {
		return loaded(l, "cn=a", attr("sAMAccountName", "ann"), attr("ou", values...)).record("corp", "k", 0)
	}
	if r, err := run(many[:101]...); err != nil || len(r.Attributes["x"]) != 2 {
		t.Errorf("101 values: %+v, %v", r, err)
	}
	if _, err := run(many...); err == nil || !strings.Contains(err.Error(), "it costs more than 1000000 steps") {
		t.Errorf("5000 values squared: %v, want that it costs too much", err)
	}
	if _, err := run(strings.Repeat("x", maxRead+1)); err == nil || !strings.Contains(err.Error(), "more than 204800 bytes of values that expressions read") {
		t.Errorf("a large value: %v, want that it is too large", err)
	}
	long := celLayout(t, `regexReplace(first(attr('ou')), '', 'xxxxxxxxxxxxxxxxxxxxx')`)
	_, err := loaded(long, "cn=a", attr("sAMAccountName", "ann"), attr("ou", strings.Repeat("x", 9000))).record("corp", "k", 0)
	if err == nil || !strings.Contains(err.Error(), "longer than 65536 bytes") {
		t.Errorf("a result that grows: %v, want that it is too long", err)
	}
}

// TestALockThatEndsByTheClockIsSeenThroughExpressions is about a value that the server
// computes, and that changes without a word.
func TestALockThatEndsByTheClockIsSeenThroughExpressions(t *testing.T) {
	for expression, want := range map[string]bool{
		`bit(first(attr('msDS-User-Account-Control-Computed')), 0x10)`: true,
		`bit(first(attr('msDS-User-Account-Control-Computed')), 0x20)`: false,
		`first(attr('lock')) == 'yes'`:                                 false,
	} {
		l := layoutOf(t, func(c *Config) { c.Users.Locked = []Rule{{CEL: expression}} })
		m := loaded(l, "cn=a", attr("sAMAccountName", "ann"), attr("msDS-User-Account-Control-Computed", "16"), attr("lock", "yes"))
		if got := m.lockEnds(); got != want {
			t.Errorf("%s: the lock ends by the clock: %t, want %t", expression, got, want)
		}
	}
}

// TestReadsShareExpressions maps with one layout from several goroutines, as reads of
// one source do that run at the same time.
func TestReadsShareExpressions(t *testing.T) {
	l := celLayout(t, `attr('ou').map(v, regexReplace(lower(v), '^s', 'S'))`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			m := l.mapper()
			for i := range 200 {
				one := fmt.Sprint("Sales ", i)
				m.load(&Entry{Attributes: []Attribute{attr("sAMAccountName", "ann"), attr("ou", one, "Lab")}})
				r, err := m.record("corp", "k", 0)
				if want := []string{fmt.Sprint("Sales ", i), "lab"}; err != nil || !slices.Equal(r.Attributes["x"], want) {
					t.Errorf("record = %+v, %v, want %q", r, err, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestAnAttributeInPiecesIsNotComputedWith has a value that goes on in another range.
func TestAnAttributeInPiecesIsNotComputedWith(t *testing.T) {
	l := celLayout(t, `attr('memberOf')`)
	for option, want := range map[string]string{"memberOf;range=0-1": "the server sends memberof in pieces", "memberOf;range=0-*": ""} {
		m := loaded(l, "cn=a", attr("sAMAccountName", "ann"), attr(option, "cn=x", "cn=y"))
		_, err := m.record("corp", "k", 0)
		if got := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %v, want %q", option, err, want)
		}
	}
}
