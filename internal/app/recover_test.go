package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/etcd"
)

// TestRecoverAdmin makes an administrator, takes away all that makes one, and makes the
// same one again.
func TestRecoverAdmin(t *testing.T) {
	c := &Config{Store: etcd.Options{Dir: t.TempDir(), NoFsync: true}}
	if _, err := RecoverAdmin(t.Context(), c, "rescue"); fault.Code(err) != "no_store" {
		t.Errorf("without a store: %v, want no_store", err)
	}
	inStore(t, c, func(*state.DB) {})
	for _, name := range []string{"", "a/b", " a", "a\x00"} {
		if _, err := RecoverAdmin(t.Context(), c, name); fault.Code(err) != "invalid_user_name" {
			t.Errorf("RecoverAdmin(%q): %v, want invalid_user_name", name, err)
		}
	}
	first := recovered(t, c)
	tester := audit.Actor{Kind: audit.ActorSystem, ID: "test", Name: "test"}
	inStore(t, c, func(db *state.DB) {
		_, err := db.Decide(t.Context(), tester, func(s *state.Snapshot) ([]state.Change, error) {
			other := identity.NewUserID()
			return append(administrator(other), state.Disable{User: first}), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	if again := recovered(t, c); again != first {
		t.Errorf("the administrator is %s, want %s again", again, first)
	}
	s, err := etcd.Open(t.Context(), c.Store)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := RecoverAdmin(t.Context(), c, "rescue"); !errors.Is(err, fault.Conflict) || fault.Code(err) != "store_locked" {
		t.Errorf("under a running daemon: %v, want store_locked", err)
	}
}

// administrator makes somebody who can administer, so that another one can be disabled.
func administrator(id identity.UserID) []state.Change {
	m := identity.UserMember(id)
	cs := []state.Change{state.Create{Member: m, Record: &identity.Record{
		Source: identity.Local, Key: identity.Key(id.String()), Name: "other", Profile: map[string]string{},
	}}}
	for _, p := range []permissions.Permission{permissions.ApplicationAdmin, permissions.UserAdmin} {
		cs = append(cs, state.PutGrant{Grant: permissions.Grant{
			ID: permissions.GrantID(identity.NewUserID().String()), Permission: p, Subject: m, By: "system:test", At: time.Now(), Origin: "local",
		}})
	}
	return cs
}

// recovered recovers the administrator rescue and checks what he then is.
func recovered(t *testing.T, c *Config) (id identity.UserID) {
	t.Helper()
	made, err := RecoverAdmin(t.Context(), c, "rescue")
	if err != nil || made.Running {
		t.Fatalf("RecoverAdmin = running %v, %v; want it made in the store of a stopped daemon", made.Running, err)
	}
	key, err := access.Parse(made.APIKey.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	inStore(t, c, func(db *state.DB) {
		snap, now := db.View().Now(), time.Now()
		if id, err = snap.OneUser("local/rescue"); err != nil {
			t.Fatal(err)
		}
		e := snap.Book().Effective(snap, id, now)
		if got := e.Permissions(); len(got) != 2 || got[0] != permissions.ApplicationAdmin || got[1] != permissions.UserAdmin {
			t.Errorf("permissions %v, want those of an administrator", got)
		}
		if stored, ok := snap.Token(key.ID()); !ok || !key.Matches(stored.Hash) || stored.User != id {
			t.Errorf("the key is %+v, want one of the administrator", stored)
		}
		wantRecoveryAudited(t, db)
	})
	return id
}

// wantRecoveryAudited checks that the newest entry is the recovery whole, in one
// transaction with whose process did it.
func wantRecoveryAudited(t *testing.T, db *state.DB) {
	t.Helper()
	page, err := db.AuditEntries(t.Context(), state.AuditQuery{Filter: audit.Filter{Actor: "recovery"}, Order: state.NewestFirst, Limit: 1})
	if err != nil || len(page.Entries) != 1 {
		t.Fatalf("audit log: %d entries, %v, want what the recovery did", len(page.Entries), err)
	}
	e := page.Entries[0]
	want := audit.Actor{Kind: audit.ActorSystem, ID: fmt.Sprintf("uid/%d", os.Getuid()), Name: "recovery"}
	if e.Actor != want || !slices.ContainsFunc(e.Events, func(x audit.Event) bool { return x.Action == "ApiKeyCreated" }) {
		t.Errorf("entry %+v by %+v, want a new key by %+v", e.Events, e.Actor, want)
	}
}

// inStore does something in the store of a configuration and closes it again.
func inStore(t *testing.T, c *Config, do func(*state.DB)) {
	t.Helper()
	s, err := etcd.Open(t.Context(), c.Store)
	if err != nil {
		t.Fatal(err)
	}
	db, err := state.Open(t.Context(), state.Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	do(db)
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
