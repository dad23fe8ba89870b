package ldap_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/ldapserver"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

const (
	oidDirSync = "1.2.840.113556.1.4.841"
	crowdSize  = 20_000
	crew       = "CN=crew,OU=Groups," + domainSuffix
	watch      = "CN=watch,OU=Groups," + domainSuffix
)

func crowdDN(i int) string { return fmt.Sprintf("CN=c%05d,OU=Staff,%s", i, domainSuffix) }

func crowdDNs(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, crowdDN(i))
	}
	return out
}

// newCrowd is a village with so many people besides, and a group of nobody. One round of
// DirSync tells of a twentieth of them. Round, when set, is called before each is
// answered.
func newCrowd(t *testing.T, size int, way string, round *atomic.Pointer[func()]) *village {
	t.Helper()
	var v *village
	o := ldapserver.ADOptions{RoundObjects: 400, RoundValues: size / 20, DeletedByRight: true}
	v = newVillage(t, o, way, func(o *ldapserver.Options) {
		o.Intercept = func(q *ldapserver.Search) ldapserver.Action {
			if f := round.Load(); f != nil && slices.Contains(q.Controls, oidDirSync) {
				(*f)()
			}
			return ldapserver.Action{}
		}
	})
	var ldif strings.Builder
	for i := range size {
		fmt.Fprintf(&ldif, "dn: %s\nobjectClass: user\nsAMAccountName: c%05d\nuserAccountControl: 544\n\n", crowdDN(i), i)
	}
	fmt.Fprintf(&ldif, "dn: %s\nobjectClass: group\nsAMAccountName: crew\n\n", crew)
	fmt.Fprintf(&ldif, "dn: %s\nobjectClass: group\nsAMAccountName: watch\nmember: %s\n\n", watch, crowdDN(5))
	v.Apply(t, ldif.String())
	v.m.at = "" // most of them are new, so that reading everything is quicker
	v.follow(t, false, identity.ReachFull)
	return v
}

// TestACrowdOfADomain follows a group of 20,000, whose changes come in many rounds of
// DirSync and whose members an ordinary read gets 1,500 at a time.
func TestACrowdOfADomain(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			var round atomic.Pointer[func()]
			v := newCrowd(t, crowdSize, way, &round)
			change := func(dn string, kind ldapserver.ChangeKind, name string, values ...string) {
				t.Helper()
				v.must(t, v.Modify(dn, ldapserver.Change{Kind: kind, Name: name, Values: values}))
			}
			for _, step := range []struct {
				name string
				do   func()
			}{
				{"all come", func() { change(crew, ldapserver.AddValues, "member", crowdDNs(0, crowdSize)...) }},
				{"some thousands leave", func() { change(crew, ldapserver.DeleteValues, "member", crowdDNs(1000, 4500)...) }},
				{"one comes", func() { change(crew, ldapserver.AddValues, "member", crowdDN(2000)) }},
				{"some return, and some of those leave", func() {
					change(crew, ldapserver.AddValues, "member", crowdDNs(3000, 4200)...)
					change(crew, ldapserver.DeleteValues, "member", crowdDNs(4000, 4100)...)
				}},
				{"it is renamed as some come", func() {
					v.must(t, v.Rename(crew, "CN=crews", ""))
					v.must(t, v.Rename(strings.Replace(crew, "CN=crew,", "CN=crews,", 1), "CN=crew", ""))
					change(crew, ldapserver.AddValues, "member", crowdDNs(4200, 4500)...)
				}},
				{"a group comes into it", func() { change(crew, ldapserver.AddValues, "member", watch) }},
				{"it is the first group of some", func() {
					for i := range 3 {
						v.must(t, v.ad.SetPrimaryGroup(crowdDN(i), crew))
					}
				}},
				{"and of one no more", func() { v.must(t, v.ad.SetPrimaryGroup(crowdDN(1), "CN=Domain Users,CN=Users,"+domainSuffix)) }},
				{"members are deleted and renamed", func() {
					for i := 50; i < 60; i++ {
						v.must(t, v.Delete(crowdDN(i)))
						v.must(t, v.Rename(crowdDN(i+100), fmt.Sprintf("CN=other%d", i), ""))
					}
				}},
				{"more people change than fit on two pages", func() {
					for i := 14_000; i < 16_500; i++ {
						change(crowdDN(i), ldapserver.ReplaceValues, "title", "Mate")
					}
				}},
				{"it is deleted", func() {
					for _, i := range []int{0, 2} {
						v.must(t, v.ad.SetPrimaryGroup(crowdDN(i), "CN=Domain Users,CN=Users,"+domainSuffix))
					}
					v.must(t, v.Delete(crew))
				}},
			} {
				t.Log(step.name)
				step.do()
				v.follow(t, false, identity.ReachChanges)
			}
		})
	}
}

// TestACrowdThatChangesBetweenRounds lets members come and go, and the group and its
// members be renamed and deleted, between the rounds that tell of its members. What a
// read could not know yet, the next one does.
func TestACrowdThatChangesBetweenRounds(t *testing.T) {
	t.Parallel()
	var round atomic.Pointer[func()]
	v := newCrowd(t, 5000, "dirsync", &round)
	n := 0
	alter := func(dn string, kind ldapserver.ChangeKind, name string, values ...string) {
		if err := v.Modify(dn, ldapserver.Change{Kind: kind, Name: name, Values: values}); err != nil {
			t.Errorf("round %d: %v", n, err)
		}
	}
	between := func() {
		if n++; n > 12 {
			return
		}
		alter(crew, ldapserver.DeleteValues, "member", crowdDN(n), crowdDN(2500-n), crowdDN(4900+n))
		alter(crew, ldapserver.AddValues, "member", crowdDN(n), crowdDN(2600+n))
		alter(crowdDN(n), ldapserver.ReplaceValues, "title", fmt.Sprint(n))
		if err := v.Delete(crowdDN(2000 + n)); err != nil {
			t.Errorf("round %d: %v", n, err)
		}
		if n == 5 {
			alter(crew, ldapserver.ReplaceValues, "description", "in the midst")
		}
	}
	v.must(t, v.Modify(crew, ldapserver.Change{Kind: ldapserver.AddValues, Name: "member", Values: slices.Concat(crowdDNs(0, 2500), crowdDNs(2700, 5000))}))
	round.Store(&between)
	o, _ := v.m.run(t, v.src, false)
	round.Store(nil)
	proven(t, o)
	if o.Reach != identity.ReachChanges || n < 19 {
		t.Errorf("reach %q in %d rounds, want changes in at least 19: %s", o.Reach, n, o.Proof.Why)
	}
	v.follow(t, false, identity.ReachChanges)
	if _, missed := v.follow(t, true, identity.ReachSweep); missed != 0 {
		t.Errorf("a comparison finds %d that were missed", missed)
	}
}

// TestAReferralAmongChanges has a part of the people move to another server: what is
// told of changes is not the whole any more, and neither is anything else.
func TestAReferralAmongChanges(t *testing.T) {
	t.Parallel()
	var moved atomic.Bool
	with := func(o *ldapserver.Options) {
		o.Intercept = func(q *ldapserver.Search) ldapserver.Action {
			if moved.Load() && strings.HasPrefix(q.Base, "OU=Staff") && q.Scope == ldapserver.ScopeSub {
				return ldapserver.Action{Referrals: []string{"ldap://branch.example.org/OU=branch,OU=Staff," + domainSuffix}}
			}
			return ldapserver.Action{}
		}
	}
	v := newVillage(t, ldapserver.ADOptions{}, "usn", with)
	v.setTitle(t, 1, "one")
	v.follow(t, false, identity.ReachChanges)
	moved.Store(true)
	gone := v.town.dn(2)
	v.must(t, v.Delete(gone))
	before := len(v.m.sides[0])
	o, p := v.m.run(t, v.src, false)
	if o.Reach != identity.ReachFull || o.Proof.Users {
		t.Errorf("reach %q, users proven %t", o.Reach, o.Proof.Users)
	}
	wantWords(t, o.Proof.Why, "branch.example.org")
	if len(p.Steps) != 0 || len(v.m.sides[0]) != before {
		t.Errorf("an answer with a hole in it taught %d steps", len(p.Steps))
	}
	moved.Store(false)
	v.follow(t, false, identity.ReachChanges)
}

// TestMappedValuesOfADomainInPieces maps an attribute with more values than the domain
// sends at once, of people and of a group, read whole and as changes.
func TestMappedValuesOfADomainInPieces(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t, ldapserver.ADOptions{}, way, func(o *ldapserver.Options) { o.ValueRange = 3 })
			v.c.Users.Attributes = map[string]ldap.Mapping{"phones": {Attribute: "otherMobile"}, "last": {CEL: "attr('otherMobile').map(p, p + '!')"}}
			v.c.Groups.Attributes = map[string]ldap.Mapping{"phones": {Attribute: "otherMobile"}}
			v.src = source(t, v.c)
			v.follow(t, false, identity.ReachFull)
			g := v.town.clans[v.town.group()].dn
			set := func(n int) {
				t.Helper()
				var phones []string
				for i := range n {
					phones = append(phones, fmt.Sprint(100+i))
				}
				for _, dn := range []string{v.town.dn(3), g} {
					v.must(t, v.Modify(dn, ldapserver.Change{Kind: ldapserver.ReplaceValues, Name: "otherMobile", Values: phones}))
				}
				o, _ := v.follow(t, false, identity.ReachChanges)
				at := slices.IndexFunc(o.Groups, func(s identity.Seen) bool { return s.Record != nil && s.Record.DN == g })
				if len(o.Users) != 1 || at < 0 || len(o.Skipped) != 0 {
					t.Fatalf("%d phones: %d users, groups %+v, skipped %+v", n, len(o.Users), o.Groups, o.Skipped)
				}
				for _, seen := range []identity.Seen{o.Users[0], o.Groups[at]} {
					if got := len(seen.Record.Attributes["phones"]); got != n {
						t.Errorf("%d of %d phones were read", got, n)
					}
				}
				if got := len(o.Users[0].Record.Attributes["last"]); got != n {
					t.Errorf("an expression has %d of %d phones", got, n)
				}
			}
			for _, n := range []int{2, 10, 9, 3, 4} {
				set(n)
			}
		})
	}
}
