package ldap_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/internal/ldapserver"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

const (
	domainSuffix = "DC=example,DC=org"
	seesAll      = "CN=svc-sync," + domainSuffix
	seesNoDead   = "CN=svc-blind," + domainSuffix
	mayNothing   = "CN=svc-reader," + domainSuffix
	mayNoChanges = "CN=svc-usn," + domainSuffix
)

// scriptedDomain is a domain in memory, which does what Samba cannot be brought to.
type scriptedDomain struct {
	*ldapserver.Directory
	ad  *ldapserver.AD
	url string
	rid uint32 // of the last group
}

func scripted(tb testing.TB, o ldapserver.ADOptions, with func(*ldapserver.Options)) *scriptedDomain {
	tb.Helper()
	d, err := ldapserver.NewDirectory(ldapserver.DirectoryOptions{
		Suffixes: []string{domainSuffix}, Seed: 7, References: ldapserver.ReferencesMend,
	})
	if err != nil {
		tb.Fatal(err)
	}
	w := &scriptedDomain{Directory: d, rid: 1100}
	for _, e := range []struct {
		dn, class string
		more      []ldapserver.Attribute
	}{
		{domainSuffix, "domain", nil},
		{"CN=Users," + domainSuffix, "container", nil},
		{"CN=Domain Users,CN=Users," + domainSuffix, "group", []ldapserver.Attribute{
			ldapserver.Attr("sAMAccountName", "Domain Users"), ldapserver.Attr("objectSid", ldapserver.SID(513)),
		}},
	} {
		w.must(tb, d.Put(ldapserver.Entry{DN: e.dn, Attributes: append(e.more, ldapserver.Attr("objectClass", "top", e.class))}))
	}
	for _, dn := range []string{seesAll, seesNoDead, mayNothing, mayNoChanges} {
		w.must(tb, d.Put(ldapserver.Entry{DN: dn, Attributes: []ldapserver.Attribute{
			ldapserver.Attr("objectClass", "top", "person"), ldapserver.Attr("userPassword", "secret"),
		}}))
	}
	o.Replicators = append(o.Replicators, seesAll, seesNoDead)
	o.DeletedReaders = append(o.DeletedReaders, seesAll, mayNoChanges)
	if w.ad, err = ldapserver.NewAD(d, o); err != nil {
		tb.Fatal(err)
	}
	w.url = w.serve(tb, w.ad, with)
	return w
}

// serve starts a controller of the domain.
func (w *scriptedDomain) serve(tb testing.TB, ad *ldapserver.AD, with func(*ldapserver.Options)) string {
	tb.Helper()
	o := ldapserver.Options{Directory: w.Directory, AD: ad}
	if with != nil {
		with(&o)
	}
	s, err := ldapserver.Start(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s.URL()
}

func (w *scriptedDomain) must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (w *scriptedDomain) config(tb testing.TB, who string) ldap.Config {
	var c ldap.Config
	c.Template, c.URLs, c.AllowPlaintext = ldap.TemplateAD, []string{w.url}, true
	c.Bind = ldap.Bind{DN: who, Password: config.SecretRef{File: dirtest.WriteFile(tb, "pw", "secret")}}
	c.Users.Bases = []string{"OU=Staff," + domainSuffix}
	c.Groups.Bases = []string{"OU=Groups," + domainSuffix, "CN=Users," + domainSuffix}
	return c
}

// Apply makes the changes of an adTown, as LDIF without folded lines.
func (w *scriptedDomain) Apply(tb testing.TB, ldif string) {
	tb.Helper()
	for record := range strings.SplitSeq(strings.TrimSpace(ldif), "\n\n") {
		fields := map[string][]string{}
		for line := range strings.SplitSeq(strings.TrimSpace(record), "\n") {
			name, value, _ := strings.Cut(line, ":")
			fields[name] = append(fields[name], strings.TrimPrefix(value, " "))
		}
		if fields["dn"] == nil {
			continue
		}
		if err := w.applyOne(fields); err != nil {
			tb.Fatalf("%v: %s", err, record)
		}
	}
}

func (w *scriptedDomain) applyOne(fields map[string][]string) error {
	dn := fields["dn"][0]
	switch strings.Join(fields["changetype"], "") {
	case "delete":
		return w.Delete(dn)
	case "modrdn":
		return w.Rename(dn, fields["newrdn"][0], strings.Join(fields["newsuperior"], ""))
	case "modify":
		return w.modify(dn, fields)
	}
	e := ldapserver.Entry{DN: dn}
	for name, values := range fields {
		if name != "dn" && name != "changetype" {
			e.Attributes = append(e.Attributes, ldapserver.Attr(name, values...))
		}
	}
	switch {
	case slices.Contains(fields["objectClass"], "user"):
		e.Attributes = append(e.Attributes, ldapserver.Attr("primaryGroupID", "513"))
	case slices.Contains(fields["objectClass"], "group"):
		w.rid++
		e.Attributes = append(e.Attributes, ldapserver.Attr("objectSid", ldapserver.SID(w.rid)))
	}
	return w.Add(e)
}

func (w *scriptedDomain) modify(dn string, fields map[string][]string) error {
	for kind, change := range map[string]ldapserver.ChangeKind{
		"add": ldapserver.AddValues, "delete": ldapserver.DeleteValues, "replace": ldapserver.ReplaceValues,
	} {
		if fields[kind] == nil {
			continue
		}
		name := fields[kind][0]
		if name == "primaryGroupID" {
			return w.ad.SetPrimaryGroup(dn, w.groupOf(fields[name][0]))
		}
		return w.Modify(dn, ldapserver.Change{Kind: change, Name: name, Values: fields[name]})
	}
	return fmt.Errorf("no change of %s", dn)
}

// groupOf returns the group with a relative identifier.
func (w *scriptedDomain) groupOf(rid string) string {
	n, _ := strconv.ParseUint(rid, 10, 32)
	for e := range w.All() {
		for _, a := range e.Attributes {
			if strings.EqualFold(a.Name, "objectSid") && a.Values[0] == ldapserver.SID(uint32(n)) {
				return e.DN
			}
		}
	}
	return ""
}

// numbered learns the relative identifiers of groups.
func (w *scriptedDomain) number(town *adTown) {
	for _, g := range town.clans {
		if e, ok := w.Lookup(g.dn); ok {
			for _, a := range e.Attributes {
				if strings.EqualFold(a.Name, "objectSid") {
					g.rid = ridOf(a.Values[0])
				}
			}
		}
	}
}

// TestChangesOfScriptedDomain follows a domain in memory through many rounds, with
// answers in many small pieces.
func TestChangesOfScriptedDomain(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]ldapserver.ADOptions{
		"Microsoft": {RoundObjects: 3, RoundValues: 2, DeletedByRight: true, CookieRefusal: ldapserver.UnwillingToPerform},
		"Samba":     {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			w := scripted(t, o, func(o *ldapserver.Options) { o.PageCap, o.ValueRange = 50, 3 })
			town := newADTown(seed, domainSuffix)
			w.Apply(t, town.found())
			w.number(town)
			all := []*adFollower{
				{name: "sync", way: "dirsync", c: w.config(t, seesAll)},
				{name: "blind", way: "dirsync", c: w.config(t, seesNoDead), blind: !o.DeletedByRight},
				{name: "reader", way: "usn", c: w.config(t, mayNothing), blind: true},
				{name: "usn", way: "usn", c: w.config(t, mayNoChanges)},
				{name: "blind by choice", way: "dirsync", c: w.config(t, seesNoDead), blind: !o.DeletedByRight},
				{name: "reader by choice", way: "usn", c: w.config(t, mayNothing), blind: true},
			}
			all[3].c.Changes, all[4].c.Changes, all[5].c.Changes = "usn", "dirsync", "usn"
			begin(t, all)
			for round := range 150 {
				ldif := town.live(func(ldif string) { w.Apply(t, ldif) })
				w.number(town)
				for _, f := range all {
					f.round(t, town, fmt.Sprintf("seed %d, round %d, after\n%s", seed, round, ldif))
				}
			}
			for _, f := range all {
				f.ended(t, 150)
			}
		})
	}
}

// TestLargeGroupsOfDomain reads a group over the limits that Microsoft's controllers
// have: 1,000 entries a page, 1,500 values at once.
func TestLargeGroupsOfDomain(t *testing.T) {
	t.Parallel()
	w := scripted(t, ldapserver.ADOptions{RoundObjects: 400, RoundValues: 1000}, nil)
	town := newADTown(1, domainSuffix)
	w.Apply(t, town.found())
	crew := "CN=crew,OU=Groups," + domainSuffix
	w.Apply(t, "dn: "+crew+"\nobjectClass: group\nsAMAccountName: crew\n")
	c := w.config(t, seesAll)
	src, m := source(t, c), newMemory()
	o, _ := m.run(t, src, false)
	proven(t, o)
	var ldif strings.Builder
	var members []string
	for range 2500 {
		ldif.WriteString(town.settle())
		members = append(members, town.dn(town.next-1))
	}
	w.Apply(t, ldif.String())
	step := func(what string, reach identity.Reach, change func()) *identity.Observation {
		t.Helper()
		change()
		before := m.clone()
		o, _ := m.run(t, src, false)
		proven(t, o)
		if o.Reach != reach {
			t.Errorf("%s: reach %q, want %q: %s", what, o.Reach, reach, o.Proof.Why)
		}
		m.same(t, c, before, what)
		return o
	}
	step("2,500 people", identity.ReachChanges, func() {
		w.must(t, w.Modify(crew, ldapserver.Change{Kind: ldapserver.AddValues, Name: "member", Values: members}))
	})
	o = step("one leaves", identity.ReachChanges, func() {
		w.must(t, w.Modify(crew, ldapserver.Change{Kind: ldapserver.DeleteValues, Name: "member", Values: members[:1]}))
	})
	if len(o.Groups) != 1 || o.Groups[0].Edges != identity.EdgesPatch || len(o.Groups[0].LostUsers) != 1 {
		t.Errorf("who left came as %d groups, %+v", len(o.Groups), o.Groups)
	}
	o = step("2,000 leave", identity.ReachChanges, func() {
		w.must(t, w.Modify(crew, ldapserver.Change{Kind: ldapserver.DeleteValues, Name: "member", Values: members[1:2001]}))
	})
	if len(o.Groups) != 1 || len(o.Groups[0].LostUsers) != 2000 {
		t.Errorf("those who left came as %d groups", len(o.Groups))
	}
	step("another description", identity.ReachChanges, func() {
		w.must(t, w.Modify(crew, ldapserver.Change{Kind: ldapserver.AddValues, Name: "member", Values: members[:1900]}))
		w.must(t, w.Modify(crew, ldapserver.Change{Kind: ldapserver.ReplaceValues, Name: "description", Values: []string{"x"}}))
	})
}
