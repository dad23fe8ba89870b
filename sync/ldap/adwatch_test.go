package ldap_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/internal/ldapserver"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// wakes waits for a change that is made once the directory was asked, and then shows
// that nobody waits for one that came before.
func wakes(t *testing.T, src *ldap.Source, m *memory, change func()) {
	t.Helper()
	ready, woken := make(chan struct{}), make(chan error, 1)
	ctx := t.Context()
	go func() { woken <- src.Wait(ctx, m.at, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-woken:
		t.Fatalf("it does not wait: %v", err)
	}
	change()
	if err := <-woken; err != nil {
		t.Fatal(err)
	}
	if err := src.Wait(ctx, m.at, func() { t.Error("it waits for what came before") }); err != nil {
		t.Fatal(err)
	}
	if _, p := m.run(t, src, false); p.IsEmpty() {
		t.Error("it woke for nothing")
	}
}

// TestDomainWakes waits for each kind of change of a domain.
func TestDomainWakes(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"dirsync", "usn"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t, ldapserver.ADOptions{}, way, nil)
			crew := v.town.clans[v.town.group()].dn
			for _, change := range []func(){
				func() { v.setTitle(t, 1, "one") },
				func() { v.must(t, v.Delete(v.town.dn(2))) },
				func() { v.Apply(t, v.town.settle()) },
				func() {
					v.must(t, v.Modify(crew, ldapserver.Change{Kind: ldapserver.AddValues, Name: "member", Values: []string{v.town.dn(20), v.town.dn(21)}}))
				},
				func() { v.Apply(t, v.town.renameUnit()) },
			} {
				wakes(t, v.src, v.m, change)
			}
		})
	}
}

// TestDomainWatchEnds ends a watch by us, and begins none where the cursor is damaged.
func TestDomainWatchEnds(t *testing.T) {
	t.Parallel()
	v := newVillage(t, ldapserver.ADOptions{}, "dirsync", nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.src.Wait(ctx, v.m.at, cancel) }()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled watch ends with %v", err)
	}
	for _, at := range []identity.Cursor{"x", `{"v":1,"way":"dirsync","at":[]}`} {
		if err := v.src.Wait(t.Context(), at, func() {}); err == nil {
			t.Errorf("it waits from %q", at)
		}
	}
}

// TestSambaWakes shows that a real domain controller says that something changed.
func TestSambaWakes(t *testing.T) {
	t.Parallel()
	s := dirtest.StartSamba(t, dirtest.SambaOptions{})
	w := newADTown(1, s.Suffix)
	s.Apply(t, w.found())
	src, m := source(t, adConfig(s, s.Sync)), newMemory()
	m.run(t, src, false)
	wakes(t, src, m, func() { s.Apply(t, modify(w.dn(1), "replace: title\ntitle: woken")) })
}
