package state

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store/mem"
)

// newUsers returns changes that create n users, and the users.
func newUsers(n int) (creates []Change, members []identity.Member) {
	for i := range n {
		u := identity.UserMember(identity.NewUserID())
		members = append(members, u)
		creates = append(creates, Create{Member: u, Record: record(fmt.Sprintf("u%d", i), fmt.Sprintf("user%d", i))})
	}
	return creates, members
}

// bulk applies changes as a run would and fails the test when it cannot.
func (o opened) bulk(t *testing.T, b *Bulk, changes []Change) *Snapshot {
	t.Helper()
	snap, err := b.Apply(t.Context(), o.View().Now(), slices.Values(changes))
	if err != nil {
		t.Fatalf("Bulk.Apply of %d changes: %v", len(changes), err)
	}
	return snap
}

// within bounds a call that might wait forever.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestManyMiddlingGroupsFitTheirAuditEntries(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	b := d.Bulk(run, lead(t, s).Fence(), nil)
	creates, members := newUsers(190)
	d.bulk(t, b, creates)
	var groups, changes []Change
	for i := range 150 {
		g := identity.NewGroupID()
		groups = append(groups, Create{Member: identity.GroupMember(g), Record: record(fmt.Sprintf("g%d", i), "staff"), Members: len(members)})
		changes = append(changes, ChangeMembers{Group: g, Origin: "corp", Add: members})
	}
	d.bulk(t, b, groups)
	snap := d.bulk(t, b, changes)
	for _, c := range changes {
		if n := snap.MemberCount(c.(ChangeMembers).Group); n != len(members) {
			t.Fatalf("a group has %d members, want %d", n, len(members))
		}
	}
}

func TestTheLargestObjectsCanBeReplaced(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	b := d.Bulk(run, lead(t, s).Fence(), nil)
	creates, members := newUsers(5)
	d.bulk(t, b, creates)
	var before []string
	for round := range 3 {
		text := strings.Repeat(string(rune('a'+round)), 200<<10)
		var changes []Change
		for i, m := range members {
			r := record(fmt.Sprintf("u%d", i), fmt.Sprintf("user%d", i))
			r.Attributes = identity.Attributes{"photo": {text}}
			changes = append(changes, Update{Member: m, Record: r, Changes: []audit.Change{{Field: "attribute.photo", Before: before, After: []string{text}}}})
		}
		d.bulk(t, b, changes)
		before = []string{text}
	}
	many := slices.Repeat([]string{strings.Repeat("x", 4000)}, 50)
	for i := range many {
		many[i] += fmt.Sprint(i)
	}
	for range 2 {
		d.commit(t, admin, SetLocalAttribute{members[0], "notes", many})
		for i := range many {
			many[i] += "y"
		}
	}
}

// A record that is storable stays so with all that the roll itself adds to it.
func TestStorableLeavesRoomForWhatIsAdded(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	b := d.Bulk(run, lead(t, s).Fence(), nil)
	r := record("g", "g")
	for n := maxObject - 2000; ; n++ {
		r.Attributes = identity.Attributes{"photo": {strings.Repeat("x", n)}}
		if Storable(r) != "" {
			r.Attributes = identity.Attributes{"photo": {strings.Repeat("x", n-1)}}
			break
		}
	}
	g := identity.NewGroupID()
	d.bulk(t, b, []Change{Create{Member: identity.GroupMember(g), Record: r}})
	creates, members := newUsers(1)
	d.bulk(t, b, creates)
	d.bulk(t, b, []Change{ChangeMembers{Group: g, Origin: "corp", Add: members}})
	d.bulk(t, b, []Change{Deactivate{identity.GroupMember(g), "corp"}})
}

// A group that an administrator fills one by one has no size at which that ends.
func TestLocalMembersGrowAndShrinkByOne(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	b := d.Bulk(run, lead(t, s).Fence(), nil)
	creates, members := newUsers(1200)
	g := identity.NewGroupID()
	d.bulk(t, b, append(creates, Create{Member: identity.GroupMember(g), Record: record("g", "staff")}))
	change := func(add, remove []identity.Member) {
		t.Helper()
		d.commit(t, admin, ChangeMembers{Group: g, Origin: identity.Local, Add: add, Remove: remove})
	}
	want := func(n int) {
		t.Helper()
		if got := d.View().Now().MemberCount(g); got != n {
			t.Fatalf("%d members, want %d", got, n)
		}
	}
	change(members[:250], nil)
	for i := 250; i < 300; i++ {
		change(members[i:i+1], nil)
	}
	want(300)
	change(members[300:], nil)
	want(1200)
	change(nil, members[:1150])
	for i := 1150; i < 1190; i++ {
		change(nil, members[i:i+1])
	}
	want(10)
	change(nil, members[1190:])
	want(0)
	fresh := open(t, s)
	defer fresh.stop()
	if a, b := dump(fresh.View().Now()), dump(d.View().Now()); a != b {
		t.Error("the view differs from a fresh read")
	}
}

func TestAWriteThatTouchesNothingOfTheViewIsNotWaitedFor(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	u := identity.NewUserID()
	m := identity.UserMember(u)
	d.commit(t, run, Create{Member: m, Record: record("k1", "ann")})
	if _, err := d.Commit(within(t), admin, RemoveGrant{Subject: m, Permission: permissions.Audit}); err != nil {
		t.Errorf("Commit(remove what is not there) = %v", err)
	}
	b := d.Bulk(run, lead(t, s).Fence(), nil)
	g := identity.NewGroupID()
	d.commit(t, run, Create{Member: identity.GroupMember(g), Record: record("k2", "staff"), Members: 1})
	if _, err := b.Apply(within(t), d.View().Now(), slices.Values([]Change{ChangeMembers{Group: g, Origin: "corp"}})); err != nil {
		t.Errorf("Bulk of a change that changes nothing = %v", err)
	}
}

func TestADecisionThatIsStaleInItselfEndsAtOnce(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	u := identity.NewUserID()
	m := identity.UserMember(u)
	d.commit(t, run, Create{Member: m, Record: record("k1", "ann")})
	_, rev, _ := d.View().Now().User(u)
	d.commit(t, admin, Disable{User: u})
	_, err := d.Decide(within(t), admin, func(*Snapshot) ([]Change, error) {
		return []Change{IfRev{m, rev}, Enable{User: u}}, nil
	})
	if fault.Code(err) != "stale" {
		t.Errorf("Decide on an old version = %v, want stale", err)
	}
}

// A condition that no write under v/ explains, as that of a term that is over, must
// not make a decision wait for such a write.
func TestADecisionUnderATermThatIsOverEndsAtOnce(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	u := identity.NewUserID()
	d.commit(t, run, Create{Member: identity.UserMember(u), Record: record("k1", "ann")})
	term := lead(t, s)
	if err := term.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, first := range []bool{true, false} { // without an epoch, and with one
		_, err := d.Decide(within(t), admin, func(*Snapshot) ([]Change, error) {
			return []Change{Fenced{term.Fence()}, Disable{User: u}}, nil
		})
		if fault.Code(err) != "stale" {
			t.Errorf("Decide after the term (first: %v) = %v, want stale", first, err)
		}
		if _, err := d.Decide(t.Context(), admin, func(*Snapshot) ([]Change, error) { return []Change{Disable{User: u}}, nil }); err != nil {
			t.Fatal(err)
		}
	}
}
