package ldap_test

import (
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/ldapserver"
	"github.com/rollcall-id/rollcall/sync"
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
	lostAll = "CN=all,OU=Groups," + domainSuffix
)

func newLoss(t *testing.T, way string, o ldapserver.ADOptions) *loss {
	t.Helper()
	w := &loss{t: t, scriptedDomain: scripted(t, o, nil)}
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

// TestTheRecycleBin deletes somebody where deleted objects keep what they were: he is
// found by every filter, and gone all the same.
func TestTheRecycleBin(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		w := newLoss(t, way, ldapserver.ADOptions{RecycleBin: true, DeletedByRight: true})
		w.must(t, w.Delete(lostAnn))
		w.reads(way+", a deletion", identity.ReachChanges)
		w.person("ann")
		w.reads(way+", another of the name", identity.ReachChanges)
		w.follow()
		w.missed(way+", begun anew", 0)
	}
}

// TestAControllerThatLags lets the first of two controllers fall silent before the
// second has heard of the last changes. Whom it does not know yet is there again, as
// who he was, once it has.
func TestAControllerThatLags(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		w := newLoss(t, way, ldapserver.ADOptions{})
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

// TestTestSaysHowChangesAreRead has a domain tell accounts of different rights how their
// changes would be read, and why in no better way.
func TestTestSaysHowChangesAreRead(t *testing.T) {
	t.Parallel()
	w := newLoss(t, "", ldapserver.ADOptions{})
	const mayNot, blind = "has not the right \"Replicating Directory Changes\"", "does not see deleted objects: let it list and read CN=Deleted Objects"
	for who, c := range map[string]struct {
		changes string
		works   bool
		way     string
		words   []string // in the lines
	}{
		seesAll:      {"", true, "changes are read by dirsync", nil},
		seesNoDead:   {"", true, "changes are read by dirsync", []string{blind, "who is gone is not told"}},
		mayNoChanges: {"usn", true, "changes are read by usn", []string{"from this domain controller only"}},
		mayNothing:   {"", true, "changes are read by usn", []string{"not by dirsync", mayNot, blind, "who is gone is not told"}},
		"CN=other":   {"dirsync", false, "every read is of everything", []string{"not by dirsync", mayNot}},
	} {
		cfg := w.c
		cfg.Changes = c.changes
		cfg.Bind.DN = who
		if who == "CN=other" {
			cfg.Bind.DN = mayNothing
		}
		var said sync.TestStep
		for step := range source(t, cfg).Test(t.Context()) {
			if step.Name == "changes" {
				said = step
			}
		}
		if said.OK != c.works || said.Detail != c.way || c.works != (said.Fix == "") {
			t.Errorf("%s, changes %q: %+v, want %q", who, c.changes, said, c.way)
		}
		text := strings.Join(said.Lines, "\n")
		wantWords(t, text, append(c.words, "the server is Active Directory (supportedCapabilities lists")...)
		if c.words == nil && len(said.Lines) != 1 {
			t.Errorf("%s: %q, want no more than the family", who, said.Lines)
		}
	}
}
