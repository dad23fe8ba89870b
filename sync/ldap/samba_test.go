package ldap_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

func sambaConfig(s *dirtest.Samba) ldap.Config {
	var c ldap.Config
	c.Template = ldap.TemplateAD
	c.URLs = []string{s.LDAPS}
	c.TLS.CA = s.CA
	c.Bind = ldap.Bind{DN: s.Reader.DN, Password: config.SecretRef{File: s.Reader.PasswordFile}}
	c.Users.Bases, c.Groups.Bases = []string{s.Suffix}, []string{s.Suffix}
	c.Users.Attributes = map[string]ldap.Mapping{"Department": {Attribute: "department"}, "sid": {Attribute: "objectSid"}}
	return c
}

// TestActiveDirectory reads a domain of Samba with 2,000 users, a group of 1,800
// members, nesting and primary groups, and compares all of it with ldapsearch.
func TestActiveDirectory(t *testing.T) {
	t.Parallel()
	org := dirtest.Org{Suffix: "DC=ad,DC=example,DC=test", Users: 2_000, Groups: 60, Members: 25, Huge: 1_800, AD: true}
	s := dirtest.StartSamba(t, dirtest.SambaOptions{LDIF: org.WriteLDIF})
	src := source(t, sambaConfig(s))
	o := pull(t, src, nil)
	proven(t, o)
	wantWords(t, o.Family, "Active Directory", "Samba")
	wantWords(t, o.Server, s.LDAPS)
	if len(o.Skipped) > 0 {
		t.Errorf("skipped %v, want none", o.Skipped)
	}

	t.Run("users", func(t *testing.T) { compareADUsers(t, s, o) })
	t.Run("memberships", func(t *testing.T) { compareADMembers(t, s, o) })
	t.Run("expressions", func(t *testing.T) { compareExpressions(t, s, o) })
	t.Run("unchanged", func(t *testing.T) {
		again := pull(t, src, learn(o))
		proven(t, again)
		for _, x := range slices.Concat(again.Users, again.Groups) {
			if x.Record != nil {
				t.Fatalf("%s counts as changed", x.Record.DN)
			}
		}
	})
	t.Run("global catalog bases are whole", func(t *testing.T) {
		if len(o.Users) != len(s.Dump(t, s.Suffix, "(&(objectCategory=person)(objectClass=user))", "cn")) {
			t.Errorf("%d users", len(o.Users))
		}
	})
	t.Run("gone", func(t *testing.T) {
		known := learn(o)
		known.side(false)["00000000-1111-2222-3333-444444444444"] = 1
		left := known.side(false)[byName(o.Users, org.Login(5)).Key]
		o := pull(t, src, known)
		proven(t, o)
		if o.Proof.Verified != 1 || left == 0 {
			t.Errorf("verified %d, want the one that never was", o.Proof.Verified)
		}
	})
	t.Run("refused", func(t *testing.T) {
		c := sambaConfig(s)
		c.Bind.Password = config.SecretRef{File: dirtest.WriteFile(t, "pw", "wrong")}
		_, err := source(t, c).Pull(t.Context(), sync.PullRequest{})
		if err == nil {
			t.Fatal("a wrong password is taken")
		}
		wantWords(t, err.Error(), "wrong password", "52e")
		c = sambaConfig(s)
		c.URLs, c.AllowPlaintext = []string{s.URL}, true
		_, err = source(t, c).Pull(t.Context(), sync.PullRequest{})
		if err == nil {
			t.Fatal("a password in the clear is taken")
		}
		wantWords(t, err.Error(), "unencrypted", "ldaps://")
	})
	t.Run("StartTLS", func(t *testing.T) {
		c := sambaConfig(s)
		c.URLs, c.StartTLS = []string{s.URL}, true
		proven(t, pull(t, source(t, c), learn(o)))
	})
	t.Run("test", func(t *testing.T) {
		for step := range src.Test(t.Context()) {
			if !step.OK {
				t.Errorf("step %+v", step)
			}
		}
	})
}

// adKey writes an objectGUID as Microsoft's tools do, by the text of its bytes.
func adKey(raw string) identity.Key {
	h := hex.EncodeToString([]byte(raw))
	at := func(i int) string { return h[2*i : 2*i+2] }
	return identity.Key(at(3) + at(2) + at(1) + at(0) + "-" + at(5) + at(4) + "-" + at(7) + at(6) + "-" + h[16:20] + "-" + h[20:])
}

func compareADUsers(t *testing.T, s *dirtest.Samba, o *identity.Observation) {
	seen := byKey(o.Users)
	dump := s.Dump(t, s.Suffix, "(&(objectCategory=person)(objectClass=user))", "*")
	if len(dump) != len(seen) || len(dump) < 2_000 {
		t.Fatalf("%d users, the directory has %d", len(seen), len(dump))
	}
	disabled, expired := 0, 0
	for _, e := range dump {
		want := &identity.Record{
			Source: "corp", Key: adKey(e.First("objectGUID")), Name: e.First("sAMAccountName"), DN: e.DN,
			Profile: fields(&e, map[string]string{
				identity.DisplayName: "displayName", identity.GivenName: "givenName", identity.FamilyName: "sn", identity.Email: "mail",
				identity.Phone: "telephoneNumber", identity.Position: "title", identity.Description: "description",
				identity.Organization: "company",
			}),
			Attributes: identity.Attributes{"sid": {sid(e.First("objectSid"))}},
		}
		if d := e.Get("department"); d != nil {
			want.Attributes["department"] = d
		}
		if flags, _ := strconv.Atoi(e.First("userAccountControl")); flags&2 != 0 {
			want.Disabled = identity.ReasonDisabled
			disabled++
		}
		if x := e.First("accountExpires"); x == "133801632000000000" {
			want.Expires = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
			expired++
		}
		got := seen[want.Key].Record
		if got == nil {
			t.Fatalf("%s was not read", e.DN)
		}
		if !got.Equal(want) {
			t.Fatalf("%s (-want +got):\n%s", e.DN, cmp.Diff(want, got))
		}
	}
	if disabled < 40 || expired < 15 {
		t.Errorf("%d disabled, %d expired", disabled, expired)
	}
}

// sid writes a security identifier, by Microsoft's description of it.
func sid(raw string) string {
	out := fmt.Sprintf("S-%d-%d", raw[0], raw[7])
	for i := 8; i+3 < len(raw); i += 4 {
		out += fmt.Sprintf("-%d", uint32(raw[i])|uint32(raw[i+1])<<8|uint32(raw[i+2])<<16|uint32(raw[i+3])<<24)
	}
	return out
}

func compareADMembers(t *testing.T, s *dirtest.Samba, o *identity.Observation) {
	people, clans := map[string]identity.Key{}, map[string]identity.Key{}
	primary := map[string][]identity.Key{} // by the group's identifier
	for _, e := range s.Dump(t, s.Suffix, "(&(objectCategory=person)(objectClass=user))", "objectGUID", "objectSid", "primaryGroupID") {
		key := adKey(e.First("objectGUID"))
		people[canonicalText(e.DN)] = key
		own := sid(e.First("objectSid"))
		group := own[:strings.LastIndexByte(own, '-')+1] + e.First("primaryGroupID")
		primary[group] = append(primary[group], key)
	}
	dump := s.Dump(t, s.Suffix, "(objectClass=group)", "objectGUID", "objectSid", "member", "sAMAccountName")
	for _, e := range dump {
		clans[canonicalText(e.DN)] = adKey(e.First("objectGUID"))
	}
	seen := byKey(o.Groups)
	if len(seen) != len(dump) {
		t.Fatalf("%d groups, the directory has %d", len(seen), len(dump))
	}
	sizes := map[string]int{}
	nestings := 0
	for _, e := range dump {
		users, nested, lost := slices.Clone(primary[sid(e.First("objectSid"))]), []identity.Key(nil), []string(nil)
		for _, dn := range e.Get("member") {
			if k, ok := people[canonicalText(dn)]; ok {
				users = append(users, k)
			} else if k, ok := clans[canonicalText(dn)]; ok {
				nested = append(nested, k)
			} else {
				lost = append(lost, dn)
			}
		}
		got := seen[adKey(e.First("objectGUID"))]
		if got.Record == nil || got.MembersUnknown != "" {
			t.Fatalf("%s was not read: %+v", e.DN, got)
		}
		for what, pair := range map[string][2][]identity.Key{"users": {users, got.Users}, "groups": {nested, got.Groups}} {
			if diff := cmp.Diff(sorted(pair[0]), sorted(pair[1])); diff != "" {
				t.Fatalf("%s of %s (-want +got):\n%s", what, e.DN, diff)
			}
		}
		if diff := cmp.Diff(sorted(lost), got.Record.Unresolved); diff != "" {
			t.Fatalf("unresolved of %s (-want +got):\n%s", e.DN, diff)
		}
		sizes[e.First("sAMAccountName")] = len(got.Users)
		nestings += len(got.Groups)
	}
	if sizes["group00000"] != 1_800 || sizes["Domain Users"] < 2_000 || nestings < 40 {
		t.Errorf("group00000 has %d users, Domain Users %d, %d nestings", sizes["group00000"], sizes["Domain Users"], nestings)
	}
}
