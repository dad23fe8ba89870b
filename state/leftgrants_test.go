package state

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
)

// What a process that ended has left of a removed permission, the leader removes; and
// grants of a name that nobody removed stay as they are.
func TestTheLeaderRemovesLeftGrants(t *testing.T) {
	kept := mem.New()
	db := open(t, kept)
	defer db.stop()
	put := func(cs ...Change) {
		t.Helper()
		if _, err := db.Decide(t.Context(), cleaner, func(*Snapshot) ([]Change, error) { return cs, nil }); err != nil {
			t.Fatal(err)
		}
	}
	put(PutCustom{Name: "WIDE"})
	const n = MaxWithdrawn + 20
	for i := range n {
		id := identity.NewUserID()
		m := identity.UserMember(id)
		put(Create{Member: m, Record: &identity.Record{Source: identity.Local, Key: identity.Key(fmt.Sprint(i)), Name: fmt.Sprint("u", i)}})
		for _, p := range []permissions.Permission{"WIDE", "FROM_A_NEWER_VERSION"} {
			put(PutGrant{permissions.Grant{ID: permissions.GrantID(fmt.Sprint(p, i)), Permission: p, Subject: m, At: time.Now(), Origin: "local"}})
		}
	}
	put(RemoveCustom{Name: "WIDE", Leaves: n})
	if !db.View().Now().Book().Held("WIDE") {
		t.Fatal("the grants went with the permission: there is nothing to test")
	}
	if _, err := db.Decide(t.Context(), cleaner, func(*Snapshot) ([]Change, error) { return []Change{PutCustom{Name: "WIDE"}}, nil }); err == nil {
		t.Error("a permission was made again while grants of the earlier one were left")
	}
	rev, err := kept.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put("leader/test", nil)}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.FollowLeftGrants(ctx, store.At("leader/test", rev)) }()
	for db.View().Now().Book().Held("WIDE") {
		select {
		case <-db.View().Changed():
		case <-t.Context().Done():
			t.Fatal("the grants are still there")
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("FollowLeftGrants = %v", err)
	}
	if !db.View().Now().Book().Held("FROM_A_NEWER_VERSION") {
		t.Error("grants of a name that nobody removed went, too")
	}
	put(PutCustom{Name: "WIDE"})
}
