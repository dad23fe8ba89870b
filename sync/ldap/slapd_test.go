package ldap_test

import (
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// TestRollEqualsDirectory reads 10,000 users and 1,000 groups and compares all of it
// with what ldapsearch prints: entry by entry, attribute by attribute, edge by edge.
func TestRollEqualsDirectory(t *testing.T) {
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: 10_000, Groups: 1_000, Members: 30, Huge: 2_500}
	s := dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: org.WriteLDIF})
	src := source(t, slapdConfig(s))
	o := pull(t, src, nil)
	proven(t, o)
	wantWords(t, o.Family, "OpenLDAP", "OpenLDAProotDSE")
	wantWords(t, o.Server, s.LDAPS)
	if len(o.Skipped) > 0 {
		t.Errorf("skipped %v, want none", o.Skipped)
	}
	if len(o.Users) != 10_000 || len(o.Groups) != 1_000 {
		t.Fatalf("%d users and %d groups, want 10000 and 1000", len(o.Users), len(o.Groups))
	}

	people := s.Dump("ou=people,"+s.Suffix, "(objectClass=inetOrgPerson)", "*", "entryUUID")
	seen := byKey(o.Users)
	keys := map[string]identity.Key{} // by canonical DN, and by login name
	for _, e := range people {
		key := identity.Key(e.First("entryUUID"))
		keys[canonicalText(e.DN)], keys["uid "+strings.ToLower(e.First("uid"))] = key, key
		want := &identity.Record{
			Source: "corp", Key: key, Name: e.First("uid"), DN: e.DN,
			Profile: fields(&e, map[string]string{
				identity.DisplayName: "cn", identity.GivenName: "givenName", identity.FamilyName: "sn", identity.Email: "mail",
				identity.Phone: "telephoneNumber", identity.Position: "title", identity.Description: "description",
			}),
			Attributes: identity.Attributes{
				"department": sorted(e.Get("departmentNumber")), "employee": sorted(e.Get("employeeNumber")),
			},
		}
		got := seen[key].Record
		if got == nil {
			t.Fatalf("%s was not read", e.DN)
		}
		if !got.Equal(want) {
			t.Fatalf("%s (-want +got):\n%s", e.DN, cmp.Diff(want, got))
		}
	}

	clans := s.Dump("ou=groups,"+s.Suffix, "(objectClass=*)", "*", "entryUUID")
	groups := byKey(o.Groups)
	groupKeys := map[string]identity.Key{}
	for _, e := range clans {
		groupKeys[canonicalText(e.DN)] = identity.Key(e.First("entryUUID"))
	}
	edges := 0
	for _, e := range clans[1:] { // the first is the organizational unit
		var users, nested []identity.Key
		var lost []string
		for _, dn := range slices.Concat(e.Get("member"), e.Get("uniqueMember")) {
			if k, ok := keys[canonicalText(dn)]; ok {
				users = append(users, k)
			} else if k, ok := groupKeys[canonicalText(dn)]; ok {
				nested = append(nested, k)
			} else {
				lost = append(lost, dn)
			}
		}
		for _, uid := range e.Get("memberUid") {
			if k, ok := keys["uid "+strings.ToLower(uid)]; ok {
				users = append(users, k)
			} else {
				lost = append(lost, uid)
			}
		}
		got := groups[identity.Key(e.First("entryUUID"))]
		if got.Record == nil || got.MembersUnknown != "" {
			t.Fatalf("%s was not read: %+v", e.DN, got)
		}
		edges += len(got.Users) + len(got.Groups)
		for what, pair := range map[string][2][]identity.Key{"users": {users, got.Users}, "groups": {nested, got.Groups}} {
			if diff := cmp.Diff(sorted(pair[0]), sorted(pair[1])); diff != "" {
				t.Fatalf("%s of %s (-want +got):\n%s", what, e.DN, diff)
			}
		}
		if diff := cmp.Diff(sorted(lost), got.Record.Unresolved); diff != "" {
			t.Fatalf("unresolved of %s (-want +got):\n%s", e.DN, diff)
		}
		if got.Record.Name != e.First("cn") || got.Record.DN != e.DN || got.Record.Profile[identity.Description] != e.First("description") {
			t.Fatalf("%s is %+v", e.DN, got.Record)
		}
	}
	if edges < 30_000 {
		t.Errorf("only %d memberships", edges)
	}

	// What did not change is reduced to its key, and all members are still there.
	again := pull(t, src, learn(o))
	proven(t, again)
	for _, list := range [][]identity.Seen{again.Users, again.Groups} {
		for _, x := range list {
			if x.Record != nil {
				t.Fatalf("%s counts as changed", x.Record.DN)
			}
		}
	}
	for key, g := range byKey(again.Groups) {
		if !cmp.Equal(sorted(g.Users), sorted(groups[key].Users)) || !cmp.Equal(sorted(g.Groups), sorted(groups[key].Groups)) {
			t.Fatalf("the members of %s differ in the second read", groups[key].Record.Name)
		}
	}
}

func fields(e *dirtest.Entry, names map[string]string) map[string]string {
	out := map[string]string{}
	for field, a := range names {
		if v := e.First(a); v != "" {
			out[field] = v
		}
	}
	return out
}

// TestChanges follows a small directory through what happens to people.
func TestChanges(t *testing.T) {
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: 120, Groups: 12, Members: 10}
	s := dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: org.WriteLDIF})
	src := source(t, slapdConfig(s))
	first := pull(t, src, nil)
	known := learn(first)
	ann := byName(first.Users, org.Login(31))
	gone := byName(first.Users, org.Login(33))
	s.Apply("dn: " + org.UserDN(31) + "\nchangetype: modrdn\nnewrdn: uid=ann.lee\ndeleteoldrdn: 1\n\n" +
		"dn: " + org.UserDN(33) + "\nchangetype: delete\n\n" +
		"dn: " + org.UserDN(62) + "\nchangetype: modify\nreplace: title\ntitle: Boss\n-\n\n")
	o := pull(t, src, known)
	proven(t, o)
	seen := byKey(o.Users)
	if got := seen[ann.Key].Record; got == nil || got.Name != "ann.lee" {
		t.Errorf("the renamed one is %+v, want ann.lee under the same key", got)
	}
	if _, there := seen[gone.Key]; there || o.Proof.Verified != 1 {
		t.Errorf("the deleted one is there: %v; verified %d, want 1", there, o.Proof.Verified)
	}
	changed := 0
	for _, x := range o.Users {
		if x.Record != nil {
			changed++
		}
	}
	if changed != 2 {
		t.Errorf("%d users count as changed, want 2", changed)
	}
	// Groups that listed the two by their old DNs lost them, though nothing in the
	// groups' own entries changed.
	lost := 0
	for _, g := range o.Groups {
		if g.Record != nil {
			lost += len(g.Record.Unresolved)
			if slices.Contains(g.Users, ann.Key) {
				t.Errorf("group %s still has the renamed one as a member", g.Record.Name)
			}
		}
	}
	if lost == 0 {
		t.Error("no group reports its members unresolved")
	}
	if keys := slices.Collect(maps.Keys(seen)); len(keys) != 119 {
		t.Errorf("%d users, want 119", len(keys))
	}
}

// TestReaderIsFrugal reads entries and throws them away: whatever their number, that
// takes a few allocations an entry and hardly any memory.
func TestReaderIsFrugal(t *testing.T) {
	const users = 5_000
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: users}
	s := dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: org.WriteLDIF})
	src := source(t, slapdConfig(s))
	n, values := 0, 0
	read := func(e *ldap.Entry) error {
		n++
		for i := range e.Attributes {
			values += len(e.Attributes[i].Values)
		}
		return nil
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := src.Scan(t.Context(), read); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n != users || values < 10*users {
		t.Errorf("%d entries with %d values, want %d with 10 each", n, values, users)
	}
	if each := float64(after.Mallocs-before.Mallocs) / users; each > 3 {
		t.Errorf("%.1f allocations an entry, want at most 3", each)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d bytes were allocated, want less than 16 MiB", grown)
	}
}
