package state

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
)

// TestAPurgeNeverTouchesWhoIsPresent draws users who are present, missing, or back, and
// purges all that may be: whoever is present keeps everything, and nobody who is missing
// for less than the grace is gone.
func TestAPurgeNeverTouchesWhoIsPresent(t *testing.T) {
	by := audit.Actor{Kind: audit.ActorSystem, ID: "test"}
	rapid.Check(t, func(t *rapid.T) {
		o := open(t, mem.New())
		defer o.stop()
		present := map[identity.UserID]bool{}
		var stale []Purgeable
		for i := range rapid.IntRange(1, 8).Draw(t, "users") {
			id := identity.NewUserID()
			m := identity.UserMember(id)
			r := &identity.Record{Source: "corp", Key: identity.Key(fmt.Sprint("k", i)), Name: fmt.Sprint("user", i)}
			rev := o.commit(t, by, Create{Member: m, Record: r})
			o.at(t, rev)
			rev = o.commit(t, by, PutGrant{Grant: permissions.Grant{ID: permissions.GrantID(id.String()), Permission: permissions.Audit, Subject: m, By: "test", At: time.Unix(1, 0), Origin: "local"}})
			o.at(t, rev)
			present[id] = true
			if rapid.Bool().Draw(t, "leaves") {
				o.at(t, o.commit(t, by, Deactivate{Member: m, Source: "corp"}))
				present[id] = false
				stale = append(stale, o.view.Now().Purgeable("corp", time.Now().Add(time.Hour))...)
				if rapid.Bool().Draw(t, "returns") {
					o.at(t, o.commit(t, by, Update{Member: m, Record: r}))
					present[id] = true
				}
			}
		}
		if young := o.view.Now().Purgeable("corp", time.Now().Add(-time.Hour)); len(young) > 0 {
			t.Fatalf("those who left just now may be purged: %+v", young)
		}
		for _, p := range append(stale, o.view.Now().Purgeable("corp", time.Now().Add(time.Hour))...) {
			id, _ := p.Member.User()
			rev, err := o.Decide(t.Context(), by, func(*Snapshot) ([]Change, error) { return []Change{Purge{p}}, nil })
			if err != nil && !errors.Is(err, fault.Stale) {
				t.Fatalf("Purge: %v", err)
			}
			if err == nil {
				o.at(t, rev)
				if present[id] {
					t.Fatalf("%s is present and was purged", p.Name)
				}
			}
		}
		snap := o.view.Now()
		for id, here := range present {
			_, _, ok := snap.User(id)
			grants := len(snap.book.Of(identity.UserMember(id)))
			if ok != here || here && grants != 1 || !here && grants != 0 {
				t.Fatalf("user %s: present %t, in the roll %t, with %d grants", id, here, ok, grants)
			}
		}
	})
}

// at waits until the view shows a revision.
func (o opened) at(t fataler, rev store.Revision) {
	t.Helper()
	if _, err := o.view.AtLeast(context.Background(), rev); err != nil {
		t.Fatalf("AtLeast: %v", err)
	}
}

// Who was granted something, or joined by another source, after he was looked at stays, also
// when the view has not heard of it yet.
func TestAPurgeRestsOnGrantsAndLinks(t *testing.T) {
	by := audit.Actor{Kind: audit.ActorSystem, ID: "test"}
	for name, touch := range map[string]func(identity.UserID) Change{
		"a grant": func(id identity.UserID) Change {
			return PutGrant{Grant: permissions.Grant{ID: "g", Permission: permissions.Audit, Subject: identity.UserMember(id), By: "test", At: time.Unix(1, 0), Origin: "local"}}
		},
		"a link": func(id identity.UserID) Change {
			return LinkRecord{User: id, Record: &identity.Record{Source: "hr", Key: "h1", Name: "h"}}
		},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, the view is late: %t", name, late), func(t *testing.T) {
				s := mem.New()
				o := open(t, s)
				defer o.stop()
				id := identity.NewUserID()
				m := identity.UserMember(id)
				o.commit(t, by, Create{Member: m, Record: &identity.Record{Source: "corp", Key: "k", Name: "ann"}})
				o.at(t, o.commit(t, by, Deactivate{Member: m, Source: "corp"}))
				all := o.view.Now().Purgeable("corp", time.Now().Add(time.Hour))
				if len(all) != 1 {
					t.Fatalf("purgeable: %+v", all)
				}
				purging := o.DB
				if late { // it knows what there was, and follows nothing
					var err error
					if purging, err = Open(t.Context(), Options{Store: s}); err != nil {
						t.Fatal(err)
					}
				}
				o.at(t, o.commit(t, by, touch(id)))
				if _, err := purging.Commit(t.Context(), by, Purge{all[0]}); !errors.Is(err, fault.Stale) {
					t.Errorf("Purge = %v, want fault.Stale", err)
				}
				if _, _, ok := o.view.Now().User(id); !ok {
					t.Error("he is gone")
				}
			})
		}
	}
}
