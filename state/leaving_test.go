package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
)

// values is everything under v/ but what every write moves, and but chunks of members
// and what names them: those are compared by what they say.
func values(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	for r := range all(t, s, viewPrefix) {
		if r.Key != keyEpoch && !strings.HasPrefix(r.Key, keyMembers) && !strings.HasPrefix(r.Key, keyLocal+"g") {
			out[r.Key] = string(r.Value)
		}
	}
	return out
}

func (o opened) grantTo(t *testing.T, m identity.Member, p permissions.Permission) {
	t.Helper()
	o.commit(t, admin, PutGrant{Grant: permissions.Grant{ID: permissions.GrantID(m.String() + string(p)), Permission: p, Subject: m, Origin: "local"}})
}

// A source that is deleted counts for nothing at once, and is gone in the end, with all
// that hung on it, however much; nothing else is touched, and whoever interrupts the
// removal only makes it take longer.
func TestADeletedSourceLeaves(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	term := lead(t, s)
	boss := identity.NewUserID()
	d.commit(t, admin, Create{Member: identity.UserMember(boss), Record: &identity.Record{Source: identity.Local, Key: "boss", Name: "boss"}})
	d.grantTo(t, identity.UserMember(boss), permissions.UserAdmin)
	d.grantTo(t, identity.UserMember(boss), permissions.ApplicationAdmin)
	board := identity.NewGroupID()
	d.commit(t, admin, Create{Member: identity.GroupMember(board), Record: &identity.Record{Source: identity.Local, Key: "board", Name: "board"}})
	stays := identity.UserMember(identity.NewUserID())
	d.push(t, Create{Member: stays, Record: shoved("k0", "zoe", "00u0")})
	d.commit(t, admin, ChangeMembers{Group: board, Origin: identity.Local, Add: []identity.Member{stays}})
	before := values(t, s)

	staff := identity.NewGroupID()
	d.commit(t, run, Create{Member: identity.GroupMember(staff), Record: record("staff", "staff"), Members: 60})
	var members []identity.Member
	for i := range 60 {
		m := identity.UserMember(identity.NewUserID())
		members = append(members, m)
		d.commit(t, run, Create{Member: m, Record: record(fmt.Sprint("k", i), fmt.Sprint("user", i))})
		d.grantTo(t, m, permissions.Audit)
	}
	d.commit(t, run, ChangeMembers{Group: staff, Origin: "corp", Add: members})
	d.commit(t, admin, ChangeMembers{Group: board, Origin: identity.Local, Add: members})
	for i := range 130 { // more memberships than one transaction holds
		g := identity.NewGroupID()
		d.commit(t, admin, Create{Member: identity.GroupMember(g), Record: &identity.Record{Source: identity.Local, Key: identity.Key(fmt.Sprint("g", i)), Name: fmt.Sprint("group", i)}})
		d.commit(t, admin, ChangeMembers{Group: g, Origin: identity.Local, Add: members[:1]})
	}
	d.commit(t, admin, SetLocalAttribute{Member: members[2], Key: "desk", Values: []string{"4"}})
	d.commit(t, admin, PutSourceConfig{Source: "corp", Config: []byte(`{}`), Action: "SourceCreated"})
	groups := values(t, s)

	if _, err := d.Decide(t.Context(), actor(boss), func(*Snapshot) ([]Change, error) { return []Change{LeaveSource{Source: "corp"}}, nil }); err != nil {
		t.Fatal(err)
	}
	first, _ := members[0].User()
	counts := func(sn *Snapshot) {
		t.Helper()
		if u, _ := sn.Subject(first); u.Inactive(d.now()) == identity.Active {
			t.Error("who came from the source still counts")
		}
		for g := range sn.GroupsOf(members[1]) {
			if g == staff {
				t.Error("a group of the source still counts")
			}
		}
	}
	counts(d.View().Now())
	fresh := open(t, s)
	counts(fresh.View().Now())
	fresh.stop()
	if _, err := d.Decide(t.Context(), actor(boss), func(*Snapshot) ([]Change, error) {
		return []Change{PutSourceConfig{Source: "corp", Config: []byte(`{}`)}}, nil
	}); !errors.Is(err, fault.Conflict) {
		t.Errorf("made again while it leaves: %v", err)
	}
	for rounds := 0; len(d.View().Now().OwnedBy("corp")) > 0; rounds++ {
		if rounds > 100 {
			t.Fatal("it never ends")
		}
		// A leader that gets through only so much, and then another.
		ctx, cancel := context.WithCancel(t.Context())
		goal := len(d.View().Now().OwnedBy("corp")) - 25
		done := make(chan struct{})
		go func() {
			defer close(done)
			changed := d.View().Changed()
			for len(d.View().Now().OwnedBy("corp")) > max(goal, 0) {
				select {
				case <-changed:
				case <-t.Context().Done():
				}
				changed = d.View().Changed()
			}
			cancel()
		}()
		_ = d.removeLeaving(ctx, term.Fence(), "corp")
		<-done
		cancel()
	}
	if err := d.removeLeaving(t.Context(), term.Fence(), "corp"); err != nil && !errors.Is(err, fault.Stale) { // stale: the last round did it
		t.Fatal(err)
	}
	after := values(t, s)
	for key, v := range after {
		if _, local := groups[key]; !local || before[key] == "" && !strings.HasPrefix(key, keyGroup) || v != groups[key] {
			t.Errorf("left over, or changed: %s", key)
		}
	}
	for key, v := range before {
		if after[key] != v {
			t.Errorf("%s changed", key)
		}
	}
	var who []identity.Member
	for m := range d.View().Now().Members(board) {
		who = append(who, m.Member)
	}
	if !slices.Equal(who, []identity.Member{stays}) {
		t.Errorf("members of a local group: %v", who)
	}
}

// What the newcomers of a source are granted was meant for that one: another that gets
// its name, from somebody who could not confer it, begins with nothing.
func TestDefaultsGoWithTheirSource(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	given := PutDefaults{Source: "okta", Permissions: []permissions.Permission{permissions.Governance}}
	d.commit(t, admin, given)
	d.commit(t, admin, PutSourceConfig{Source: "okta", Kind: "scim", Config: []byte(`{}`), Action: "SourceCreated"})
	if _, left := d.View().Now().Defaults("okta"); left {
		t.Error("a new source has the defaults of one that was in the file")
	}
	d.commit(t, admin, given)
	d.commit(t, admin, LeaveSource{Source: "okta"})
	if _, left := d.View().Now().Defaults("okta"); left {
		t.Error("the defaults outlive their source")
	}
}

// Whoever speaks for a source may bring back whom it keeps out, and name its newcomers:
// what those have is what it carries.
func TestWhatASourceCarries(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	out, plain, board := identity.UserMember(identity.NewUserID()), identity.UserMember(identity.NewUserID()), identity.NewGroupID()
	off := shoved("k1", "ann", "")
	off.Disabled = identity.ReasonDisabled
	d.push(t, Create{Member: out, Record: off}, Create{Member: plain, Record: shoved("k2", "bob", "")})
	d.commit(t, admin, Create{Member: identity.GroupMember(board), Record: &identity.Record{Source: identity.Local, Key: "board", Name: "board"}})
	carries := func(want ...permissions.Permission) {
		t.Helper()
		if got := d.View().Now().CarriedBy("okta"); !slices.Equal(got, want) {
			t.Errorf("carries %v, want %v", got, want)
		}
	}
	carries()
	d.grantTo(t, out, permissions.UserAdmin)
	carries(permissions.UserAdmin)
	d.grantTo(t, identity.GroupMember(board), permissions.Audit)
	carries(permissions.UserAdmin)
	d.commit(t, admin, ChangeMembers{Group: board, Origin: identity.Local, Add: []identity.Member{plain}})
	carries(permissions.Audit, permissions.UserAdmin)
	d.commit(t, admin, PutDefaults{Source: "okta", Permissions: []permissions.Permission{permissions.Governance}})
	carries(permissions.Audit, permissions.Governance, permissions.UserAdmin)
}
