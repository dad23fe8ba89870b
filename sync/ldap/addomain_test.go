package ldap_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/ldapserver"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// village is a scripted domain of which everything was read once.
type village struct {
	*scriptedDomain
	town *adTown
	c    ldap.Config
	src  *ldap.Source
	m    *memory
}

func newVillage(t *testing.T, o ldapserver.ADOptions, way string, with func(*ldapserver.Options)) *village {
	t.Helper()
	v := &village{scriptedDomain: scripted(t, o, with), town: newADTown(5, domainSuffix)}
	v.Apply(t, v.town.found())
	v.number(v.town)
	v.c = v.config(t, seesAll)
	if way == "usn" {
		v.c = v.config(t, mayNoChanges)
	}
	v.c.Changes = way
	v.src, v.m = source(t, v.c), newMemory()
	read, _ := v.m.run(t, v.src, false)
	proven(t, read)
	return v
}

// follow reads what changed, compares, and wants a reach and words of the proof.
func (v *village) follow(t *testing.T, prove bool, reach identity.Reach, words ...string) (*identity.Observation, int) {
	t.Helper()
	before := v.m.clone()
	o, p := v.m.run(t, v.src, prove)
	proven(t, o)
	if o.Reach != reach {
		t.Errorf("reach %q, want %q: %s", o.Reach, reach, o.Proof.Why)
	}
	wantWords(t, o.Proof.Why, words...)
	v.m.same(t, v.c, before, o.Proof.Why)
	return o, p.Missed
}

func (v *village) setTitle(t *testing.T, i int, title string) {
	t.Helper()
	v.must(t, v.Modify(v.town.dn(i), ldapserver.Change{Kind: ldapserver.ReplaceValues, Name: "title", Values: []string{title}}))
}

// TestControllersThatAreNotTheSame restores a controller's database in three ways.
func TestControllersThatAreNotTheSame(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t, ldapserver.ADOptions{}, way, nil)
			v.setTitle(t, 1, "one")
			v.follow(t, false, identity.ReachChanges)

			v.ad.NewInvocation()
			v.setTitle(t, 1, "two")
			v.follow(t, false, identity.ReachFull, "restored")
			v.follow(t, false, identity.ReachFull, "compared") // who is gone is not believed at once
			v.follow(t, false, identity.ReachChanges)

			b := v.Backup()
			v.setTitle(t, 2, "lost")
			v.follow(t, false, identity.ReachChanges)
			v.Restore(b) // a rollback that the controller does not notice
			v.follow(t, false, identity.ReachFull, "was put back")
			v.follow(t, false, identity.ReachFull, "compared") // who is gone is not believed at once

			b = v.Backup()
			v.setTitle(t, 3, "lost")
			v.follow(t, false, identity.ReachChanges)
			v.Restore(b)
			v.ad.NewInvocation()
			v.follow(t, false, identity.ReachFull, "restored")
			v.follow(t, false, identity.ReachFull, "compared") // who is gone is not believed at once
			v.follow(t, true, identity.ReachSweep)
		})
	}
}

// TestControllersCountByThemselves fails over between two controllers, whose counts of changes
// have nothing to do with each other.
func TestControllersCountByThemselves(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t, ldapserver.ADOptions{}, way, nil)
			ad, err := ldapserver.NewAD(v.Directory, ldapserver.ADOptions{
				Host: "dc2", FirstUSN: 500_000, Replicators: []string{seesAll}, DeletedReaders: []string{seesAll, mayNoChanges},
			})
			v.must(t, err)
			v.setTitle(t, 1, "one")
			v.c.URLs = []string{v.serve(t, ad, nil)}
			v.src = source(t, v.c)
			v.follow(t, false, identity.ReachFull)
			v.follow(t, false, identity.ReachFull, "compared") // for who is gone, which the first did not believe
			v.setTitle(t, 1, "two")
			o, _ := v.follow(t, false, identity.ReachChanges)
			if len(o.Users) != 1 || o.Users[0].Record == nil {
				t.Errorf("users %+v", o.Users)
			}
		})
	}
}

// TestControllersBehindOneName reaches another controller at every read by the same
// URL: DirSync goes on, which misses nothing, and uSNChanged cannot.
func TestControllersBehindOneName(t *testing.T) {
	t.Parallel()
	for way, reach := range map[string]identity.Reach{"dirsync": identity.ReachChanges, "usn": identity.ReachFull} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t, ldapserver.ADOptions{}, way, nil)
			v.m.at = identity.Cursor(strings.ReplaceAll(string(v.m.at), "CN=DC1", "CN=DC0"))
			v.m.at = identity.Cursor(regexp.MustCompile(`"at":\["([^"]*)","[0-9a-f]{4}`).ReplaceAllString(string(v.m.at), `"at":["$1","ffff`))
			v.setTitle(t, 1, "one")
			v.follow(t, false, reach, "another domain controller answers")
			if reach == identity.ReachFull {
				v.follow(t, false, reach, "compared") // who is gone is not believed at once
			}
			v.setTitle(t, 1, "two")
			v.follow(t, false, identity.ReachChanges)
		})
	}
}

// TestTombstonesThatAreForgotten lets a deletion go by unseen, which a sweep finds.
func TestTombstonesThatAreForgotten(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t, ldapserver.ADOptions{}, way, nil)
			v.must(t, v.Delete(v.town.dn(1)))
			v.ad.DropTombstones()
			o, p := v.m.run(t, v.src, false)
			if o.Reach != identity.ReachChanges || !p.IsEmpty() {
				t.Fatalf("reach %q, steps %v", o.Reach, p.Steps)
			}
			if _, missed := v.follow(t, true, identity.ReachSweep); missed != 1 {
				t.Errorf("missed %d, want 1", missed)
			}
		})
	}
}

// TestDeletedAndBack deletes somebody and brings him back, within one read and over
// two. His groups do not have him any more.
func TestDeletedAndBack(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		for _, between := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, read between %t", way, between), func(t *testing.T) {
				t.Parallel()
				v := newVillage(t, ldapserver.ADOptions{}, way, nil)
				crew := v.town.clans[v.town.group()].dn
				ann := v.town.dn(7)
				v.must(t, v.Modify(crew, ldapserver.Change{Kind: ldapserver.ReplaceValues, Name: "member", Values: []string{ann, v.town.dn(8)}}))
				v.follow(t, false, identity.ReachChanges)
				kept, _ := v.Lookup(ann)
				v.must(t, v.Delete(ann))
				if between {
					v.follow(t, false, identity.ReachChanges)
				}
				v.must(t, v.Add(kept))
				v.follow(t, false, identity.ReachChanges)
			})
		}
	}
}

// TestPrimaryGroupInPieces changes a primary group in the steps in which another
// controller may hear of it, and reads after each.
func TestPrimaryGroupInPieces(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t, ldapserver.ADOptions{}, way, nil)
			g := v.town.group()
			crew, ann := v.town.clans[g].dn, v.town.dn(7)
			change := func(dn string, kind ldapserver.ChangeKind, name, value string) {
				t.Helper()
				v.must(t, v.Modify(dn, ldapserver.Change{Kind: kind, Name: name, Values: []string{value}}))
				v.follow(t, false, identity.ReachChanges)
			}
			change(crew, ldapserver.ReplaceValues, "member", ann)
			change(ann, ldapserver.ReplaceValues, "primaryGroupID", fmt.Sprint(v.town.clans[g].rid))
			change(crew, ldapserver.DeleteValues, "member", ann)
			change("CN=Domain Users,CN=Users,"+domainSuffix, ldapserver.AddValues, "member", ann)
			change(crew, ldapserver.ReplaceValues, "description", "read whole")
			change(ann, ldapserver.ReplaceValues, "primaryGroupID", "513")
			change("CN=Domain Users,CN=Users,"+domainSuffix, ldapserver.DeleteValues, "member", ann)
		})
	}
}

// TestLocksAreReadAgain shows that a locked person is read in every run, since nothing
// says when the lock ends.
func TestLocksAreReadAgain(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t, ldapserver.ADOptions{}, way, nil)
			control := func(value string) {
				v.must(t, v.Modify(v.town.dn(4), ldapserver.Change{Kind: ldapserver.ReplaceValues, Name: "msDS-User-Account-Control-Computed", Values: []string{value}}))
			}
			control("16")
			v.follow(t, false, identity.ReachChanges)
			if o, _ := v.follow(t, false, identity.ReachChanges); len(o.Users) != 1 {
				t.Errorf("%d users were read, want the one who is locked", len(o.Users))
			}
			control("0")
			v.follow(t, false, identity.ReachChanges)
			if o, _ := v.follow(t, false, identity.ReachChanges); len(o.Users) != 0 {
				t.Errorf("%d users were read, want none", len(o.Users))
			}
		})
	}
}

// TestGroupThatIsNeverStill changes a group each time a piece of its members is read.
// It is read again next time, although nothing changes then.
func TestGroupThatIsNeverStill(t *testing.T) {
	t.Parallel()
	var restless atomic.Bool
	var v *village
	crew := "CN=crew,OU=Groups," + domainSuffix
	n := 0
	v = newVillage(t, ldapserver.ADOptions{}, "dirsync", func(o *ldapserver.Options) {
		o.ValueRange = 5
		o.Intercept = func(q *ldapserver.Search) ldapserver.Action {
			if restless.Load() && slices.ContainsFunc(q.Attributes, func(a string) bool { return strings.HasPrefix(a, "member;range=") }) {
				n++
				_ = v.Modify(crew, ldapserver.Change{Kind: ldapserver.ReplaceValues, Name: "info", Values: []string{fmt.Sprint(n)}})
			}
			return ldapserver.Action{}
		}
	})
	v.Apply(t, "dn: "+crew+"\nobjectClass: group\nsAMAccountName: crew\n")
	var members []string
	for i := range 12 {
		members = append(members, v.town.dn(i))
	}
	restless.Store(true)
	v.must(t, v.Modify(crew, ldapserver.Change{Kind: ldapserver.AddValues, Name: "member", Values: members}))
	o, _ := v.m.run(t, v.src, false)
	proven(t, o)
	if len(o.Groups) == 0 || !slices.ContainsFunc(o.Groups, func(g identity.Seen) bool { return g.MembersUnknown != "" }) {
		t.Fatalf("the group was still: %+v", o.Groups)
	}
	restless.Store(false)
	v.follow(t, false, identity.ReachChanges)
}

// TestPositionsThatSayNothing hands in cursors that are damaged or foreign.
func TestPositionsThatSayNothing(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		v := newVillage(t, ldapserver.ADOptions{CookieRefusal: ldapserver.UnwillingToPerform}, way, nil)
		good := string(v.m.at)
		for name, at := range map[string]string{
			"no cookie":    regexp.MustCompile(`","[0-9a-f]*"\]`).ReplaceAllString(good, `"]`),
			"bad cookie":   strings.Replace(good, `4d534453`, `4d534454`, 1),
			"no hex":       regexp.MustCompile(`"4d534453`).ReplaceAllString(good, `"xx`),
			"no count":     regexp.MustCompile(`,"[0-9]+","`).ReplaceAllString(good, `,"x","`),
			"another way":  strings.ReplaceAll(good, `"way":"`+way, `"way":"timestamps`),
			"of the other": strings.ReplaceAll(good, `"way":"`+way, `"way":"`+map[string]string{"usn": "dirsync", "dirsync": "usn"}[way]),
			"empty":        regexp.MustCompile(`"at":\[[^\]]*\]`).ReplaceAllString(good, `"at":[]`),
		} {
			if at == good {
				continue // not a part of this way's cursors
			}
			x := v.m.clone()
			x.at = identity.Cursor(at)
			o, p := x.run(t, source(t, v.c), false)
			proven(t, o)
			if o.Reach != identity.ReachFull || !p.IsEmpty() || o.Cursor == "" {
				t.Errorf("%s, %s: reach %q, %d steps, cursor %q", way, name, o.Reach, len(p.Steps), o.Cursor)
			}
		}
	}
}

// TestRightThatIsTakenAway refuses DirSync from some read on.
func TestRightThatIsTakenAway(t *testing.T) {
	t.Parallel()
	var refuse atomic.Bool
	v := newVillage(t, ldapserver.ADOptions{}, "", func(o *ldapserver.Options) {
		o.Intercept = func(q *ldapserver.Search) ldapserver.Action {
			if refuse.Load() && slices.Contains(q.Controls, "1.2.840.113556.1.4.841") {
				return ldapserver.Action{Ending: ldapserver.EndResult, Result: &ldapserver.Error{Code: ldapserver.InsufficientAccess}}
			}
			return ldapserver.Action{}
		}
	})
	v.setTitle(t, 1, "one")
	v.follow(t, false, identity.ReachChanges)
	refuse.Store(true)
	v.setTitle(t, 1, "two")
	v.follow(t, false, identity.ReachFull, "may not ask for changes any more", "changes are read by usn", "not by dirsync")
	v.setTitle(t, 1, "three")
	v.follow(t, false, identity.ReachChanges)
}

// TestRoundsThatLeadNowhere has a server that says there is more for ever, and one whose
// answer ends without a cookie.
func TestRoundsThatLeadNowhere(t *testing.T) {
	t.Parallel()
	var drop atomic.Bool
	v := newVillage(t, ldapserver.ADOptions{}, "dirsync", func(o *ldapserver.Options) {
		o.Intercept = func(q *ldapserver.Search) ldapserver.Action {
			if drop.Load() && slices.Contains(q.Controls, "1.2.840.113556.1.4.841") {
				return ldapserver.Action{Paging: ldapserver.PagingDropped}
			}
			return ldapserver.Action{}
		}
	})
	drop.Store(true)
	v.setTitle(t, 1, "one")
	o, _ := v.m.run(t, v.src, false)
	proven(t, o)
	wantWords(t, o.Proof.Why, "does not say where its account of the changes", "every read is of everything")
	if o.Reach != identity.ReachFull || o.Cursor != "" {
		t.Errorf("reach %q, cursor %q", o.Reach, o.Cursor)
	}
}
