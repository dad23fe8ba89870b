package ldap_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
)

// TestWatchWakes waits for each kind of change, and for one that came before.
func TestWatchWakes(t *testing.T) {
	s := syncprov(t, dirtest.SlapdOptions{}, 100)
	w := newTown(5, s.Suffix)
	s.Apply(w.found())
	src, m := source(t, slapdConfig(s)), newMemory()
	m.run(t, src, false)
	for _, x := range []struct{ name, ldif string }{
		{"change", fmt.Sprintf("dn: %s\nchangetype: modify\nreplace: title\ntitle: x\n\n", w.dn(1))},
		{"delete", fmt.Sprintf("dn: %s\nchangetype: delete\n\n", w.dn(2))},
		{"create", w.settle()},
		{"member", fmt.Sprintf("dn: %s\nchangetype: modify\nadd: member\nmember: %s\n\n", w.clan(3), w.dn(9))},
		{"unit", fmt.Sprintf("dn: %s\nchangetype: modrdn\nnewrdn: ou=moved\ndeleteoldrdn: 1\n\n", w.unit("ou=u1"))},
	} {
		t.Run(x.name, func(t *testing.T) {
			ready, woken := make(chan struct{}), make(chan error, 1)
			ctx := t.Context()
			go func() { woken <- src.Wait(ctx, m.at, func() { close(ready) }) }()
			select {
			case <-ready:
			case err := <-woken:
				t.Fatalf("it does not wait: %v", err)
			}
			s.Apply(x.ldif)
			if err := <-woken; err != nil {
				t.Fatal(err)
			}
			// Nobody has read it yet, so the next wait does not wait.
			if err := src.Wait(ctx, m.at, func() {}); err != nil {
				t.Fatal(err)
			}
			if _, p := m.run(t, src, false); p.IsEmpty() {
				t.Error("it woke for nothing")
			}
			m.run(t, src, false) // which groups that may be mended late are woken for once
		})
	}
}

func TestWatchEnds(t *testing.T) {
	s := syncprov(t, dirtest.SlapdOptions{}, 100)
	src, m := source(t, slapdConfig(s)), newMemory()
	m.run(t, src, false)
	for name, end := range map[string]func(context.CancelFunc){
		"by us":     func(cancel context.CancelFunc) { cancel() },
		"by a kill": func(context.CancelFunc) { s.Kill() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ready, ended := make(chan struct{}), make(chan error, 1)
		go func() { ended <- src.Wait(ctx, m.at, func() { close(ready) }) }()
		<-ready
		end(cancel)
		if err := <-ended; err == nil || name == "by us" && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		s.Stop()
		s.Start()
	}
	for cursor, words := range map[string]string{"x": "another version", `{"v":1,"way":"timestamps"}`: "says nothing by itself"} {
		err := src.Wait(t.Context(), identity.Cursor(cursor), func() {})
		if err == nil {
			t.Fatalf("%s: it waits", cursor)
		}
		wantWords(t, err.Error(), words)
	}
}
