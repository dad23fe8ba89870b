package ldap_test

import (
	"testing"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/internal/ldapserver"
	"github.com/rollcall-id/rollcall/sync/ldap"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// loss is a domain that loses something, and one who follows it.
type loss struct {
	*scriptedDomain
	t   *testing.T
	c   ldap.Config
	src *ldap.Source
	m   *memory
}

const (
	lostAnn = "CN=ann,OU=Staff," + domainSuffix
	lostBob = "CN=bob,OU=Staff," + domainSuffix
	lostCid = "CN=cid,OU=Staff," + domainSuffix
	lostAll = "CN=all,OU=Groups," + domainSuffix
)

func newLoss(t *testing.T, way string) *loss {
	t.Helper()
	w := &loss{t: t, scriptedDomain: scripted(t, ldapserver.ADOptions{}, nil)}
	w.Apply(t, "dn: OU=Staff,"+domainSuffix+"\nobjectClass: organizationalUnit\n\ndn: OU=Groups,"+domainSuffix+"\nobjectClass: organizationalUnit\n")
	for _, name := range []string{"ann", "bob"} {
		w.person(name)
	}
	w.Apply(t, "dn: "+lostAll+"\nobjectClass: group\nsAMAccountName: all\nmember: "+lostAnn+"\nmember: "+lostBob+"\n")
	w.c = w.config(t, seesAll)
	w.c.Changes = way
	w.follow()
	return w
}

// follow begins to follow the domain.
func (w *loss) follow() {
	w.t.Helper()
	w.src, w.m = source(w.t, w.c), newMemory()
	o, _ := w.m.run(w.t, w.src, false)
	proven(w.t, o)
}

func (w *loss) person(name string) {
	w.Apply(w.t, "dn: CN="+name+",OU=Staff,"+domainSuffix+"\nobjectClass: user\nsAMAccountName: "+name+"\nuserAccountControl: 544\nmail: "+name+"@example.org\n")
}

func (w *loss) title(dn, value string) {
	w.t.Helper()
	w.must(w.t, w.Modify(dn, ldapserver.Change{Kind: ldapserver.ReplaceValues, Name: "mail", Values: []string{value}}))
}

// reads reads what changed, wants it to be of that reach, and the roll to equal the
// domain afterwards.
func (w *loss) reads(what string, reach identity.Reach, words ...string) {
	w.t.Helper()
	before := w.m.clone()
	o, _ := w.m.run(w.t, w.src, false)
	proven(w.t, o)
	if o.Reach != reach {
		w.t.Errorf("%s: reach %q, want %q: %s", what, o.Reach, reach, o.Proof.Why)
	}
	wantWords(w.t, o.Proof.Why, words...)
	w.m.same(w.t, w.c, before, what)
}

// missed compares everything, and wants so many to have been missed.
func (w *loss) missed(what string, n int) {
	w.t.Helper()
	before := w.m.clone()
	o, p := w.m.run(w.t, w.src, true)
	proven(w.t, o)
	if p.Missed != n {
		w.t.Errorf("%s: the comparison found %d that were missed, want %d: %v", what, p.Missed, n, o.Found)
	}
	w.m.same(w.t, w.c, before, what)
}

// TestLostTombstones lets a domain forget who was deleted before anybody was told: no
// change says so, and the comparison finds it.
func TestLostTombstones(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		w := newLoss(t, way)
		w.must(t, w.Delete(lostAnn))
		w.ad.DropTombstones()
		o, _ := w.m.run(t, w.src, false)
	if o.Reach != identity.ReachChanges || len(o.Gone) > 0 {
			t.Errorf("%s: reach %q, %d are gone; want changes that tell of nobody", way, o.Reach, len(o.Gone))
		}
		w.missed(way+", a lost tombstone", 1)
	}
}

// TestRestoredDomains puts the database back, noticed by the controller or not.
func TestRestoredDomains(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		for _, noticed := range []bool{false, true} {
			w := newLoss(t, way)
			backup := w.Backup()
			w.person("cid")
			w.must(t, w.Delete(lostAnn))
			w.title(lostBob, "later@example.org")
			w.reads(way+", before", identity.ReachChanges)
			w.Restore(backup)
			words := []string{"was put back"}
			if noticed {
				w.ad.NewInvocation()
				words = []string{"restored, or made anew"}
			}
			w.title(lostBob, "again@example.org")
			w.reads(way+", restored", identity.ReachFull, words...)
			w.title(lostBob, "then@example.org")
			w.reads(way+", and further on", identity.ReachChanges)
		}
	}
}

// TestAnotherController lets the first of two controllers fall silent; the counts of
// the second are its own.
func TestAnotherController(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		w := newLoss(t, way)
		first, err := ldapserver.Start(t.Context(), ldapserver.Options{Directory: w.Directory, AD: w.ad})
		w.must(t, err)
		other, err := ldapserver.NewAD(w.Directory, ldapserver.ADOptions{
			Host: "dc2", FirstUSN: 70000, Replicators: []string{seesAll}, DeletedReaders: []string{seesAll},
		})
		w.must(t, err)
		w.c.URLs = []string{first.URL(), w.serve(t, other, nil)}
		w.follow()
		w.person("cid")
		w.must(t, w.Delete(lostAnn))
		w.title(lostBob, "bob@example.com")
		w.must(t, first.Close())
		before := w.m.clone()
		o, _ := w.m.run(t, w.src, false)
		proven(t, o)
		wantWords(t, o.Server, "dc2")
		wantWords(t, o.Proof.Why, "another")
		w.m.same(t, w.c, before, way+", another controller")
		w.title(lostCid, "next@example.org")
		w.reads(way+", from there on", identity.ReachChanges)
	}
}

// TestUndeletedBetweenReads undeletes somebody whom no read saw deleted: his groups
// have lost him, and nothing says so.
func TestUndeletedBetweenReads(t *testing.T) {
	t.Parallel()
	w := newLoss(t, "dirsync")
	e, _ := w.Lookup(lostAnn)
	w.must(t, w.Delete(lostAnn))
	w.must(t, w.Add(e))
	w.reads("undeleted", identity.ReachChanges)
}

// TestAControllerThatLags lets the first of two controllers fall silent before the
// second has heard of the last changes. Whom it does not know yet is there again, as
// who he was, once it has.
func TestAControllerThatLags(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		w := newLoss(t, way)
		first, err := ldapserver.Start(t.Context(), ldapserver.Options{Directory: w.Directory, AD: w.ad})
		w.must(t, err)
		other, err := ldapserver.NewAD(w.Directory, ldapserver.ADOptions{
			Host: "dc2", FirstUSN: 70000, Replicators: []string{seesAll}, DeletedReaders: []string{seesAll},
		})
		w.must(t, err)
		w.c.URLs = []string{first.URL(), w.serve(t, other, nil)}
		w.follow()
		other.Hold()
		w.person("cid")
		w.reads(way+", from the first", identity.ReachChanges)
		w.must(t, first.Close())
		w.m.run(t, w.src, false)
		other.CatchUp()
		before := w.m.clone()
		_, p := w.m.run(t, w.src, false)
		for _, step := range p.Steps {
			if step.Op == plan.CreateUser {
				t.Errorf("%s: %s comes back as another", way, step.Name)
			}
		}
		w.m.same(t, w.c, before, way+", caught up")
	}
}

// TestSeveralProviders loses the log of one of two OpenLDAP servers that both write: a
// deletion of the other's is told to nobody, and the comparison finds it.
func TestSeveralProviders(t *testing.T) {
	t.Parallel()
	const suffix = "dc=example,dc=org"
	d, err := ldapserver.NewDirectory(ldapserver.DirectoryOptions{Suffixes: []string{suffix}, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(dn, class string, more ...ldapserver.Attribute) {
		t.Helper()
		must(d.Put(ldapserver.Entry{DN: dn, Attributes: append(more, ldapserver.Attr("objectClass", class))}))
	}
	person := func(name string) {
		t.Helper()
		put("uid="+name+",ou=people,"+suffix, "inetOrgPerson", ldapserver.Attr("cn", name), ldapserver.Attr("sn", name))
	}
	put(suffix, "organization", ldapserver.Attr("o", "x"))
	put("ou=people,"+suffix, "organizationalUnit")
	put("ou=groups,"+suffix, "organizationalUnit")
	put("cn=reader,"+suffix, "person", ldapserver.Attr("sn", "reader"), ldapserver.Attr("userPassword", "secret"))
	person("ann")
	put("cn=all,ou=groups,"+suffix, "groupOfNames", ldapserver.Attr("member", "uid=ann,ou=people,"+suffix))
	p := ldapserver.NewSyncProvider(d, ldapserver.SyncOptions{SessionLog: 100})
	s, err := ldapserver.Start(t.Context(), ldapserver.Options{Directory: d, Sync: p})
	must(err)
	t.Cleanup(func() { _ = s.Close() })

	var c ldap.Config
	c.Template, c.URLs, c.AllowPlaintext = ldap.TemplateOpenLDAP, []string{s.URL()}, true
	c.Bind = ldap.Bind{DN: "cn=reader," + suffix, Password: config.SecretRef{File: dirtest.WriteFile(t, "pw", "secret")}}
	c.Users.Bases, c.Groups.Bases = []string{"ou=people," + suffix}, []string{"ou=groups," + suffix}
	src, m := source(t, c), newMemory()
	d.WriteAs(2)
	person("bob")
	person("cid")
	o, _ := m.run(t, src, false)
	proven(t, o)
	wantWords(t, o.Proof.Why, "changes are read by syncrepl")

	must(d.Delete("uid=bob,ou=people," + suffix))
	d.WriteAs(1)
	p.Restart()
	person("dot")
	o, _ = m.run(t, src, false)
	if o.Reach != identity.ReachChanges || len(o.Gone) > 0 {
		t.Errorf("reach %q, %d are gone; want changes that tell of nobody", o.Reach, len(o.Gone))
	}
	before := m.clone()
	if _, found := m.run(t, src, true); found.Missed != 1 {
		t.Errorf("the comparison found %d that were missed, want 1", found.Missed)
	}
	m.same(t, c, before, "compared")
}
