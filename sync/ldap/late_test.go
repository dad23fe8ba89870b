package ldap_test

import (
	"context"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/ldapserver"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// TestGroupsThatAreMendedLate reads between a rename or a deletion and the moment at which
// the directory writes it into the groups, which nothing tells of: the next read of
// changes finds it, and who waits for changes is woken for that.
func TestGroupsThatAreMendedLate(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"syncrepl", "timestamps"} {
		for name, change := range map[string]func(w *scriptedProvider) error{
			"a rename": func(w *scriptedProvider) error {
				return w.Rename("uid=ann,ou=people,"+providerSuffix, "uid=ann.lee", "")
			},
			"a deletion": func(w *scriptedProvider) error { return w.Delete("uid=ann,ou=people," + providerSuffix) },
		} {
			t.Run(way+", "+name, func(t *testing.T) {
				t.Parallel()
				w := newProviderThat(t, ldapserver.ReferencesMendLate, ldapserver.SyncOptions{SessionLog: 100})
				w.c.Changes = way
				w.person("bob", "Bob")
				w.put("cn=both,ou=groups,"+providerSuffix, "groupOfNames",
					ldapserver.Attr("member", "uid=ann,ou=people,"+providerSuffix, "uid=bob,ou=people,"+providerSuffix))
				src, m := source(t, w.c), newMemory()
				read := func(prove bool) *identity.Observation {
					t.Helper()
					o, _ := m.run(t, src, prove)
					proven(t, o)
					return o
				}
				read(false)
				w.person("cid", "Cid")
				read(way == "timestamps")
				w.must(change(w))
				read(way == "timestamps") // before they are mended
				w.MendReferences()
				if way == "syncrepl" {
					ctx, stop := context.WithCancel(t.Context())
					if err := src.Wait(ctx, m.at, stop); err != nil {
						t.Errorf("nobody is woken for groups that are mended late: %v", err)
					}
					stop()
				}
				before := m.clone()
				if o := read(false); o.Reach != identity.ReachChanges || len(o.Groups) != 2 {
					t.Errorf("reach %q, %d groups, want the two", o.Reach, len(o.Groups))
				}
				m.same(t, w.c, before, "mended")
				if o := read(false); len(o.Groups) != 0 && way == "syncrepl" {
					t.Errorf("%d groups are read again and again", len(o.Groups))
				}
				for _, g := range m.sides[plan.Group] {
					if len(g.record.Unresolved) > 0 {
						t.Errorf("%s has members that nobody answers to: %q", g.record.DN, g.record.Unresolved)
					}
				}
			})
		}
	}
}

// TestGroupsThatAreNeverMended renames somebody in a directory that leaves references as
// they are: the groups are read some times more, and not for ever.
func TestGroupsThatAreNeverMended(t *testing.T) {
	t.Parallel()
	w := newProvider(t, ldapserver.SyncOptions{SessionLog: 100})
	src, m := source(t, w.c), newMemory()
	m.run(t, src, false)
	w.must(w.Rename("uid=ann,ou=people,"+providerSuffix, "uid=ann.lee", ""))
	for i, want := range []int{1, 1, 1, 1, 0} {
		before := m.clone()
		o, _ := m.run(t, src, false)
		if len(o.Groups) != want {
			t.Errorf("read %d has %d groups, want %d", i, len(o.Groups), want)
		}
		m.same(t, w.c, before, "not mended")
	}
}

func (w *scriptedProvider) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}
