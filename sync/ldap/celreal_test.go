package ldap_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// TestExpressionsOverARealDirectory maps people of slapd with expressions, and computes
// the same from what ldapsearch prints.
func TestExpressionsOverARealDirectory(t *testing.T) {
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: 400, Groups: 60, Members: 20, Huge: 300}
	s := dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: org.WriteLDIF})
	plain := pull(t, source(t, slapdConfig(s)), nil)
	c := slapdConfig(s)
	c.Users.Name = ldap.Mapping{CEL: `'X-' + first(attr('uid')).trim()`}
	c.Users.Profile = map[string]ldap.Mapping{
		identity.DisplayName: {CEL: `first(attr('displayName')) != '' ? first(attr('displayName')) : first(attr('cn'))`},
		identity.Email:       {CEL: `lower(first(attr('mail')))`},
	}
	c.Users.Attributes = map[string]ldap.Mapping{
		"Department": {CEL: `attr('departmentNumber').map(v, lower(v))`},
		"where":      {CEL: `dnPart(dn, 'ou').join('/')`},
	}
	src := source(t, c)
	o := pull(t, src, nil)
	proven(t, o)

	seen := byKey(o.Users)
	for _, e := range s.Dump("ou=people,"+s.Suffix, "(objectClass=inetOrgPerson)", "*", "entryUUID") {
		got := seen[identity.Key(e.First("entryUUID"))].Record
		if got == nil {
			t.Fatalf("%s was not read", e.DN)
		}
		var departments []string
		for _, d := range e.Get("departmentNumber") {
			departments = append(departments, strings.ToLower(d))
		}
		if got.Name != "X-"+e.First("uid") || got.Profile[identity.DisplayName] != e.First("cn") ||
			got.Profile[identity.Email] != strings.ToLower(e.First("mail")) ||
			!slices.Equal(got.Attributes["department"], sorted(departments)) || !slices.Equal(got.Attributes["where"], []string{"people"}) {
			t.Fatalf("%s is mapped to %+v", e.DN, got)
		}
	}
	t.Run("another mapping maps every entry anew", func(t *testing.T) {
		if again := pull(t, src, learn(o)); slices.ContainsFunc(again.Users, func(s identity.Seen) bool { return s.Record != nil }) {
			t.Error("the same mapping finds changes")
		}
		c := c
		c.Users.Profile = map[string]ldap.Mapping{identity.Email: {CEL: `lower(first(attr('mail'))).trim()`}}
		again := pull(t, source(t, c), learn(o))
		if slices.ContainsFunc(again.Users, func(s identity.Seen) bool { return s.Record == nil }) {
			t.Error("another mapping leaves entries as they were mapped before")
		}
	})
	t.Run("members that are listed by name are found by the mapped one", func(t *testing.T) {
		c := c
		c.Users.Name = ldap.Mapping{CEL: `lower(first(attr('uid')))`}
		named, prefixed := byKey(pull(t, source(t, c), nil).Groups), byKey(o.Groups)
		byUID := 0
		for _, g := range plain.Groups {
			if !slices.Equal(sorted(named[g.Key].Users), sorted(g.Users)) {
				t.Errorf("%s has the members %v, want %v", g.Record.Name, named[g.Key].Users, g.Users)
			}
			if len(g.Users) > 0 && len(prefixed[g.Key].Users) == 0 {
				byUID++
			}
		}
		if byUID != 3 {
			t.Errorf("%d groups have no members by the prefixed name, want the three that list names", byUID)
		}
	})
	t.Run("one that fails is left out with the reason", func(t *testing.T) {
		c := c
		c.Users.Profile = map[string]ldap.Mapping{
			identity.DisplayName: {CEL: `first(attr('uid')) == '` + org.Login(7) + `' ? attr('cn')[9] : first(attr('cn'))`},
		}
		o := pull(t, source(t, c), nil)
		proven(t, o)
		if len(o.Users) != org.Users-1 || len(o.Skipped) != 1 ||
			o.Skipped[0].Reason != "cannot be mapped: the expression of profile.displayName fails: index out of bounds: 9" {
			t.Errorf("%d users, skipped %+v, want all but %s", len(o.Users), o.Skipped, org.Login(7))
		}
	})
	t.Run("one person is tried by what his name is made of", func(t *testing.T) {
		f, err := src.Find(t.Context(), sync.FindRequest{User: org.Login(30)})
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Entries) != 1 || f.Entries[0].Record == nil || f.Entries[0].Record.Name != "X-"+org.Login(30) {
			t.Errorf("found %+v, want %s", f.Entries, org.Login(30))
		}
	})
	t.Run("the test shows a mapped entry", func(t *testing.T) {
		for step := range src.Test(t.Context()) {
			if !step.OK {
				t.Fatalf("step %+v", step)
			}
			if step.Name == "entry" {
				wantWords(t, strings.Join(step.Lines, "\n"), "name: X-user", "attribute where: people")
			}
		}
	})
}

// compareExpressions reads Active Directory with the helpers in place of what is built
// in, and wants the same.
func compareExpressions(t *testing.T, s *dirtest.Samba, plain *identity.Observation) {
	c := sambaConfig(s)
	c.Users.Attributes = map[string]ldap.Mapping{
		"department": {CEL: `attr('department')`}, "sid": {CEL: `sid(first(raw('objectSid')))`}, "guid": {CEL: `guid(first(raw('objectGUID')))`},
	}
	c.Users.Disabled = []ldap.Rule{{CEL: `bit(first(attr('userAccountControl')), 0x2)`}}
	c.Users.Expires = []ldap.Expiry{{CEL: `filetime(first(attr('accountExpires')))`}}
	o := pull(t, source(t, c), nil)
	proven(t, o)
	seen := byKey(o.Users)
	if len(seen) != len(plain.Users) {
		t.Fatalf("%d users, want %d", len(seen), len(plain.Users))
	}
	ends := 0
	for _, p := range plain.Users {
		got, want := seen[p.Key].Record, *p.Record
		if !slices.Equal(got.Attributes["guid"], []string{string(p.Key)}) {
			t.Fatalf("%s has the guid %v, want %s", got.DN, got.Attributes["guid"], p.Key)
		}
		delete(got.Attributes, "guid")
		want.Hash = got.Hash
		if d := cmp.Diff(&want, got); d != "" {
			t.Fatalf("%s (-plain +expressions):\n%s", got.DN, d)
		}
		if !got.Expires.IsZero() || got.Disabled != identity.Active {
			ends++
		}
	}
	if ends == 0 {
		t.Error("nobody is disabled or expires: that was not compared")
	}
}

// TestChangesAreMappedWithExpressions follows a directory by what changed, and then
// with another expression, for which what was read before says nothing.
func TestChangesAreMappedWithExpressions(t *testing.T) {
	s := syncprov(t, dirtest.SlapdOptions{}, 500)
	c := slapdConfig(s)
	c.Users.Profile = map[string]ldap.Mapping{
		identity.DisplayName: {CEL: `first(attr('title')) != '' ? first(attr('title')) + ' ' + first(attr('cn')) : first(attr('cn'))`},
	}
	c.Users.Attributes = map[string]ldap.Mapping{"unit": {CEL: `dnPart(dn, 'ou').filter(u, u != 'people')`}}
	c.Users.Disabled = []ldap.Rule{{CEL: `first(attr('mail')) == ''`}}
	followTown(t, ground{
		suffix: s.Suffix, config: c, apply: s.Apply, way: "syncrepl", restart: func() { s.Stop(); s.Start() },
	})

	src, m := source(t, c), newMemory()
	m.run(t, src, false)
	if o, p := m.run(t, src, false); o.Reach.Everything() || len(p.Steps) > 0 {
		t.Errorf("with the same expressions %s is read, and the steps are %v", o.Reach, p.Steps)
	}
	c.Users.Attributes = map[string]ldap.Mapping{"unit": {CEL: `dnPart(dn, 'ou').filter(u, u != 'people').map(u, 'unit ' + u)`}}
	o, p := m.run(t, source(t, c), false)
	if !o.Reach.Everything() || len(p.Steps) < len(o.Users) {
		t.Errorf("with another expression %s is read: %d steps for %d users", o.Reach, len(p.Steps), len(o.Users))
	}
	proven(t, o)
}
