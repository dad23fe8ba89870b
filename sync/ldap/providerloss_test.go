package ldap_test

import (
	"testing"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/internal/ldapserver"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// scriptedProvider is an OpenLDAP in memory, with a group of one person.
type scriptedProvider struct {
	*ldapserver.Directory
	t    *testing.T
	sync *ldapserver.SyncProvider
	c    ldap.Config
}

const providerSuffix = "dc=example,dc=org"

func newProvider(t *testing.T, o ldapserver.SyncOptions) *scriptedProvider {
	t.Helper()
	return newProviderThat(t, ldapserver.ReferencesStay, o)
}

func newProviderThat(t *testing.T, mends ldapserver.References, o ldapserver.SyncOptions) *scriptedProvider {
	t.Helper()
	d, err := ldapserver.NewDirectory(ldapserver.DirectoryOptions{Suffixes: []string{providerSuffix}, Seed: 7, References: mends})
	if err != nil {
		t.Fatal(err)
	}
	w := &scriptedProvider{Directory: d, t: t}
	w.put(providerSuffix, "organization", ldapserver.Attr("o", "x"))
	w.put("ou=people,"+providerSuffix, "organizationalUnit")
	w.put("ou=groups,"+providerSuffix, "organizationalUnit")
	reader := "cn=reader," + providerSuffix
	w.put(reader, "person", ldapserver.Attr("sn", "reader"), ldapserver.Attr("userPassword", "secret"))
	w.person("ann", "Ann")
	w.put("cn=all,ou=groups,"+providerSuffix, "groupOfNames", ldapserver.Attr("member", "uid=ann,ou=people,"+providerSuffix))
	w.sync = ldapserver.NewSyncProvider(d, o)
	s, err := ldapserver.Start(t.Context(), ldapserver.Options{Directory: d, Sync: w.sync})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w.c.Template, w.c.URLs, w.c.AllowPlaintext = ldap.TemplateOpenLDAP, []string{s.URL()}, true
	w.c.Bind = ldap.Bind{DN: reader, Password: config.SecretRef{File: dirtest.WriteFile(t, "pw", "secret")}}
	w.c.Users.Bases, w.c.Groups.Bases = []string{"ou=people," + providerSuffix}, []string{"ou=groups," + providerSuffix}
	return w
}

func (w *scriptedProvider) put(dn, class string, more ...ldapserver.Attribute) {
	w.t.Helper()
	if err := w.Put(ldapserver.Entry{DN: dn, Attributes: append(more, ldapserver.Attr("objectClass", class))}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *scriptedProvider) person(uid, name string) {
	w.t.Helper()
	w.put("uid="+uid+",ou=people,"+providerSuffix, "inetOrgPerson", ldapserver.Attr("cn", name), ldapserver.Attr("sn", name))
}

// TestSeveralProviders loses the log of one of two OpenLDAP servers that both write: a
// deletion of the other's is told to nobody, and the comparison finds it.
func TestSeveralProviders(t *testing.T) {
	t.Parallel()
	w := newProvider(t, ldapserver.SyncOptions{SessionLog: 100})
	src, m := source(t, w.c), newMemory()
	w.WriteAs(2)
	w.person("bob", "Bob")
	w.person("cid", "Cid")
	o, _ := m.run(t, src, false)
	proven(t, o)
	wantWords(t, o.Proof.Why, "changes are read by syncrepl")

	if err := w.Delete("uid=bob,ou=people," + providerSuffix); err != nil {
		t.Fatal(err)
	}
	w.WriteAs(1)
	w.sync.Restart()
	w.person("dot", "Dot")
	o, _ = m.run(t, src, false)
	if o.Reach != identity.ReachChanges || len(o.Gone) > 0 {
		t.Errorf("reach %q, %d are gone; want changes that tell of nobody", o.Reach, len(o.Gone))
	}
	before := m.clone()
	if _, found := m.run(t, src, true); found.Missed != 1 {
		t.Errorf("the comparison found %d that were missed, want 1", found.Missed)
	}
	m.same(t, w.c, before, "compared")
}

// TestAPresentPhaseWithoutAWord ends an account of changes as if all that was not
// changed were gone, and names nothing that is there.
func TestAPresentPhaseWithoutAWord(t *testing.T) {
	t.Parallel()
	w := newProvider(t, ldapserver.SyncOptions{PresentSaysNothing: true})
	src, m := source(t, w.c), newMemory()
	w.person("bob", "Bob")
	w.person("cid", "Cid")
	m.run(t, src, false)
	err := w.Modify("uid=cid,ou=people,"+providerSuffix, ldapserver.Change{Kind: ldapserver.ReplaceValues, Name: "cn", Values: []string{"Cid Other"}})
	if err != nil {
		t.Fatal(err)
	}
	before := m.clone()
	o, p := m.run(t, src, false)
	if len(o.Gone) > 0 || len(p.Steps) != 1 {
		t.Errorf("reach %q, %d are gone, steps %+v; want one that changes Cid", o.Reach, len(o.Gone), p.Steps)
	}
	m.same(t, w.c, before, "afterwards")
}
