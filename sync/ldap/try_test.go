package ldap_test

import (
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// triedTree has people in and out of the scope of a source that reads ou=people for
// those who have an employee number.
const triedTree = `dn: ou=partners,dc=example,dc=org
objectClass: organizationalUnit
ou: partners

dn: uid=ann,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: ann
cn: Ann Lee
sn: Lee
mail: ann@example.org
employeeNumber: 7
departmentNumber: R&D
departmentNumber: Sales
jpegPhoto:: /9j/4AAQ
userPassword: open-sesame

dn: uid=bob,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Bob

dn: uid=eve,ou=partners,dc=example,dc=org
objectClass: inetOrgPerson
uid: eve
cn: Eve
sn: Eve
employeeNumber: 8

dn: cn=twin one,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: twin
cn: twin one
sn: One
employeeNumber: 9

dn: cn=twin two,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: TWIN
cn: twin two
sn: Two
employeeNumber: 10

dn: cn=staff,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: staff
member: uid=ann,ou=people,dc=example,dc=org
member: uid=bob,ou=people,dc=example,dc=org

dn: cn=all,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: all
member: cn=staff,ou=groups,dc=example,dc=org

dn: cn=round,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: round
member: cn=all,ou=groups,dc=example,dc=org
member: cn=round,ou=groups,dc=example,dc=org
`

func triedSource(t *testing.T) (*ldap.Source, *dirtest.Slapd) {
	t.Helper()
	s := dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: func(w io.Writer) error {
		_, err := io.WriteString(w, triedTree)
		return err
	}})
	c := slapdConfig(s)
	c.Users.Filter = "(&(objectClass=inetOrgPerson)(employeeNumber=*))"
	return source(t, c), s
}

func find(t *testing.T, src *ldap.Source, q sync.FindRequest) *sync.Finding {
	t.Helper()
	f, err := src.Find(t.Context(), q)
	if err != nil {
		t.Fatalf("Find(%+v): %v", q, err)
	}
	return f
}

func one(t *testing.T, src *ldap.Source, q sync.FindRequest) plan.TrialEntry {
	t.Helper()
	f := find(t, src, q)
	if len(f.Entries) != 1 {
		t.Fatalf("Find(%+v) found %d entries, want 1: %+v", q, len(f.Entries), f.Entries)
	}
	return f.Entries[0]
}

// TestFindShowsOnePersonStageByStage looks for people in and out of scope, in all ways
// of naming them.
func TestFindShowsOnePersonStageByStage(t *testing.T) {
	src, s := triedSource(t)
	keyOf := func(filter string) identity.Key {
		return identity.Key(s.Dump(s.Suffix, filter, "entryUUID")[0].First("entryUUID"))
	}
	ann := keyOf("(uid=ann)")

	t.Run("in scope", func(t *testing.T) {
		e := one(t, src, sync.FindRequest{User: "ANN"})
		if e.Key != ann || e.By != "login name" || !e.Scope.In || e.Scope.Base != "ou=people,dc=example,dc=org" {
			t.Errorf("Find(ANN) = %+v", e)
		}
		want := pull(t, src, nil)
		if got := byName(want.Users, "ann").Record; !got.Equal(e.Record) || got.Hash != e.Record.Hash {
			t.Errorf("the record (-of a read +tried):\n%s", cmp.Diff(got, e.Record))
		}
		made := map[string]string{}
		for _, m := range e.Mapped {
			made[m.Field] = strings.Join(m.Values, "|") + " of " + strings.Join(m.From, "|")
		}
		for field, want := range map[string]string{
			"name": "ann of uid", "email": "ann@example.org of mail", "attribute.department": "R&D|Sales of departmentNumber",
			"attribute.employee": "7 of employeeNumber", "phone": " of telephoneNumber",
		} {
			if made[field] != want {
				t.Errorf("mapping of %s is %q, want %q", field, made[field], want)
			}
		}
		var groups []string
		for _, g := range e.Groups {
			groups = append(groups, g.Name+" by "+g.By+" through "+g.Through)
		}
		if diff := cmp.Diff([]string{"staff by member through ", "all by member through staff", "round by member through all"}, groups); diff != "" {
			t.Errorf("groups (-want +got):\n%s", diff)
		}
	})
	t.Run("no secret is shown", func(t *testing.T) {
		s.Apply("dn: uid=ann,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: telephoneNumber\ntelephoneNumber: 12\n-\n\n")
		e := one(t, src, sync.FindRequest{User: "ann"})
		for _, r := range e.Raw {
			text := strings.Join(r.Values, " ")
			if strings.EqualFold(r.Attribute, "userPassword") || strings.Contains(text, "open-sesame") ||
				strings.Contains(text, base64.StdEncoding.EncodeToString([]byte("open-sesame"))) {
				t.Errorf("%s: %s is shown", r.Attribute, text)
			}
		}
		if !slices.ContainsFunc(e.Raw, func(r plan.TrialRaw) bool { return r.Attribute == "telephoneNumber" && r.Values[0] == "12" }) {
			t.Errorf("the telephone number is not among %+v", e.Raw)
		}
	})
	t.Run("by key and by DN", func(t *testing.T) {
		if e := one(t, src, sync.FindRequest{User: strings.ToUpper(string(ann))}); e.By != "key" || e.Key != ann {
			t.Errorf("by key: %+v", e)
		}
		if e := one(t, src, sync.FindRequest{User: "UID=Ann, OU=people,DC=example,DC=org"}); e.By != "DN" || e.Key != ann {
			t.Errorf("by DN: %+v", e)
		}
		if e := one(t, src, sync.FindRequest{User: "old.name", Keys: []identity.Key{ann}}); e.By != "the key in the roll" || e.Key != ann {
			t.Errorf("by what the roll knows: %+v", e)
		}
	})
	t.Run("the filter does not let him through", func(t *testing.T) {
		e := one(t, src, sync.FindRequest{User: "bob"})
		if e.Scope.In || e.Scope.Base == "" {
			t.Errorf("scope of bob: %+v", e.Scope)
		}
		wantWords(t, e.Scope.Why, "the filter", "employeeNumber=*")
	})
	t.Run("no base reaches him", func(t *testing.T) {
		e := one(t, src, sync.FindRequest{User: "eve"})
		if e.Scope.In || e.Scope.Base != "" {
			t.Errorf("scope of eve: %+v", e.Scope)
		}
		wantWords(t, e.Scope.Why, "no base", "ou=people,dc=example,dc=org")
	})
	t.Run("two have the name", func(t *testing.T) {
		if f := find(t, src, sync.FindRequest{User: "twin"}); len(f.Entries) != 2 {
			t.Errorf("%d entries, want 2", len(f.Entries))
		}
	})
	t.Run("nobody", func(t *testing.T) {
		for _, user := range []string{"nobody", "uid=nobody,ou=people,dc=example,dc=org", "*", "a)(uid=*", "\xff"} {
			if f := find(t, src, sync.FindRequest{User: user}); len(f.Entries) != 0 {
				t.Errorf("Find(%q) found %+v", user, f.Entries)
			}
		}
	})
}

// TestFindTakesActiveDirectorysWays finds a person by his GUID and his primary group.
func TestFindTakesActiveDirectorysWays(t *testing.T) {
	t.Parallel()
	org := dirtest.Org{Suffix: "DC=ad,DC=example,DC=test", Users: 40, Groups: 6, Members: 10, AD: true}
	s := dirtest.StartSamba(t, dirtest.SambaOptions{LDIF: org.WriteLDIF})
	src := source(t, sambaConfig(s))
	read := pull(t, src, nil)
	who := byName(read.Users, org.Login(7))
	e := one(t, src, sync.FindRequest{User: string(who.Key)})
	if e.By != "key" || !e.Record.Equal(who.Record) {
		t.Errorf("by key (-of a read +tried):\n%s", cmp.Diff(who.Record, e.Record))
	}
	want := map[identity.Key]bool{}
	for _, g := range read.Groups {
		if slices.Contains(g.Users, who.Key) {
			want[g.Key] = true
		}
	}
	got := map[identity.Key]bool{}
	primary := false
	for _, g := range e.Groups {
		if g.Through == "" {
			got[g.Key] = true
			primary = primary || g.By == "primaryGroupID"
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || !primary {
		t.Errorf("groups, by primary group: %v (-of a read +tried):\n%s", primary, diff)
	}
}
