package state

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
)

// company fills a store with something of everything.
func company(t *testing.T) (*mem.Store, opened) {
	t.Helper()
	s := mem.New()
	d := open(t, s)
	creates, users := newUsers(400)
	b := d.Bulk(run, lead(t, s).Fence(), nil)
	d.bulk(t, b, creates)
	var groups []identity.GroupID
	for i := range 5 {
		g := identity.NewGroupID()
		groups = append(groups, g)
		d.commit(t, run, Create{Member: identity.GroupMember(g), Record: record(fmt.Sprintf("g%d", i), "staff"), Members: i * 200})
		d.commit(t, run, ChangeMembers{Group: g, Origin: "corp", Add: users[i*50 : i*50+150]})
		d.commit(t, admin, ChangeMembers{Group: g, Origin: identity.Local, Add: users[i*60 : i*60+100]})
		if i > 0 {
			d.commit(t, run, ChangeMembers{Group: g, Origin: "corp", Add: []identity.Member{identity.GroupMember(groups[i-1])}})
		}
	}
	d.commit(t, run, Deactivate{identity.GroupMember(groups[2]), "corp"}, Deactivate{users[3], "corp"})
	u, _ := users[4].User()
	d.commit(t, admin, Disable{User: u, Reason: "leaver"}, SetLocalAttribute{identity.GroupMember(groups[1]), "floor", []string{"1"}},
		PutGrant{permissions.Grant{ID: "x", Permission: permissions.Audit, Subject: users[5], By: "admin"}})
	return s, d
}

// The editor is told of the same things in any order and ends with the same roll: an
// order of keys, of handles or of arrival must not matter.
func TestTheOrderOfEventsDoesNotMatter(t *testing.T) {
	s, d := company(t)
	defer d.stop()
	want := dump(d.View().Now())
	var events []store.Event
	records, rev, err := s.List(t.Context(), viewPrefix)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, store.Event{Record: r})
	}
	for seed := range uint64(20) {
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		e := newEditor()
		for _, ev := range events {
			if err := e.apply(ev); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, dump(e.publish(rev))); diff != "" {
			t.Fatalf("in another order, %d (-want +got):\n%s", seed, diff)
		}
		if len(e.strays) != 0 {
			t.Errorf("%d chunks are kept aside for nothing", len(e.strays))
		}
	}
}

// TestOldSnapshotsStay reads many versions while later ones are made of them. It
// means most under the race detector.
func TestOldSnapshotsStay(t *testing.T) {
	_, d := company(t)
	defer d.stop()
	var users []identity.Member
	for row := range d.View().Now().Users(identity.UserID{}, time.Time{}) {
		users = append(users, row.Member)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var readers sync.WaitGroup
	var groups []identity.GroupID
	for i := range 12 {
		g := identity.NewGroupID()
		groups = append(groups, g)
		d.commit(t, run, Create{Member: identity.GroupMember(g), Record: record(fmt.Sprintf("new%d", i), "new")})
	}
	for i := range 120 {
		if i%2 == 0 {
			snap := d.View().Now()
			was := dump(snap)
			readers.Go(func() {
				for range 3 {
					if is := dump(snap); is != was {
						t.Errorf("snapshot %d changed after it was taken", snap.Rev())
						return
					}
				}
			})
		}
		// Few users in many groups, in any order: lists grow at their ends and in the
		// middle, and shrink at both.
		c := ChangeMembers{Group: groups[r.IntN(len(groups))], Origin: "corp"}
		for _, u := range users[:20] {
			switch r.IntN(4) {
			case 0:
				c.Remove = append(c.Remove, u)
			case 1, 2:
				c.Add = append(c.Add, u)
			}
		}
		d.commit(t, run, c)
	}
	readers.Wait()
}

// TestListsOfGroupsAreNotExtendedByReaders keeps an append of a reader out of the
// space behind a list, which belongs to the next version.
func TestListsOfGroupsAreNotExtendedByReaders(t *testing.T) {
	_, d := company(t)
	defer d.stop()
	snap := d.View().Now()
	for h := range uint32(snap.users.Len()) {
		if l := snap.DirectGroups(h); len(l) != cap(l) {
			t.Fatalf("DirectGroups(%d) has room for %d more", h, cap(l)-len(l))
		}
	}
}

// TestAChunkThatCannotBeReadIsNotOverwritten keeps members that a newer version wrote.
func TestAChunkThatCannotBeReadIsNotOverwritten(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	term := lead(t, s).Fence()
	g := identity.NewGroupID()
	creates, users := newUsers(2)
	for _, c := range creates {
		d.commit(t, run, c)
	}
	d.commit(t, run, Create{Member: identity.GroupMember(g), Record: record("g", "staff")},
		ChangeMembers{Group: g, Origin: "corp", Add: users[:1]})
	key := chunkKey(g, "corp", 1, 0)
	if _, err := s.Apply(t.Context(), store.Txn{Then: []store.Op{store.Put(key, []byte(`{"zip":"..."}`))}}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CatchUp(t.Context(), term); err != nil {
		t.Fatal(err)
	}
	c := ChangeMembers{Group: g, Origin: "corp", Add: users[1:]}
	if _, err := d.Commit(t.Context(), run, c); fault.Code(err) != "bad_stored_value" {
		t.Errorf("Commit = %v, want bad_stored_value", err)
	}
	many := ChangeMembers{Group: g, Origin: "corp"}
	for range 1000 {
		many.Add = append(many.Add, identity.UserMember(identity.NewUserID()))
	}
	if _, err := d.Bulk(run, term, nil).Apply(t.Context(), d.View().Now(), slices.Values([]Change{many})); fault.Code(err) != "bad_stored_value" {
		t.Errorf("Bulk = %v, want bad_stored_value", err)
	}
	if r, err := s.Get(t.Context(), key); err != nil || string(r.Value) != `{"zip":"..."}` {
		t.Errorf("the chunk is %s (%v)", r.Value, err)
	}
}

// TestAWriteToANewChunkRestsOnTheGeneration writes a member, based on a snapshot, after
// another has turned the group to a new generation. The chunk that he looked at never
// existed, so only the group's record tells that it is of the past.
func TestAWriteToANewChunkRestsOnTheGeneration(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	b := d.Bulk(run, lead(t, s).Fence(), nil)
	creates, users := newUsers(600)
	d.bulk(t, b, creates)
	g := identity.NewGroupID()
	d.commit(t, run, Create{Member: identity.GroupMember(g), Record: record("g", "staff"), Members: 100})
	old := d.View().Now()
	d.bulk(t, b, []Change{ChangeMembers{Group: g, Origin: "corp", Add: users[1:]}})
	late := ChangeMembers{Group: g, Origin: "corp", Add: users[:1]}
	if _, err := b.Apply(t.Context(), old, slices.Values([]Change{late})); fault.Code(err) != "stale" {
		t.Errorf("Apply on a generation of the past = %v, want stale", err)
	}
}

// TestTwoChangesOfOneThingInABulkAreNotMerged would lose the first otherwise.
func TestTwoChangesOfOneThingInABulkAreNotMerged(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	b := d.Bulk(run, lead(t, s).Fence(), nil)
	creates, users := newUsers(1)
	d.bulk(t, b, creates)
	_, err := b.Apply(t.Context(), d.View().Now(), slices.Values([]Change{
		Update{Member: users[0], Record: record("u0", "renamed")}, Deactivate{users[0], "corp"},
	}))
	if fault.Code(err) != "stale" {
		t.Errorf("Apply = %v, want stale", err)
	}
}

// TestSeveralChangesOfOneGroupInOneCommit add up, whatever generation each needs.
func TestSeveralChangesOfOneGroupInOneCommit(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	b := d.Bulk(run, lead(t, s).Fence(), nil)
	creates, users := newUsers(1000)
	d.bulk(t, b, creates)
	g := identity.NewGroupID()
	d.commit(t, run, Create{Member: identity.GroupMember(g), Record: record("g", "staff")})
	add := func(from, to int) Change {
		return ChangeMembers{Group: g, Origin: identity.Local, Add: users[from:to]}
	}
	d.commit(t, admin, add(0, 1), add(1, 400), add(400, 401))
	d.commit(t, admin, add(401, 1000), ChangeMembers{Group: g, Origin: identity.Local, Remove: users[:500]}, add(0, 1))
	if n := d.View().Now().MemberCount(g); n != 501 {
		t.Errorf("%d members, want 501", n)
	}
	fresh, err := Open(t.Context(), Options{Store: s, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dump(fresh.View().Now()), dump(d.View().Now())); diff != "" {
		t.Errorf("view differs from a fresh read (-fresh +view):\n%s", diff)
	}
}

// TestAGroupThatReturnsPassesOnAgain takes a group away and back, with somebody asking
// for what lies above it in between.
func TestAGroupThatReturnsPassesOnAgain(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	in, over := identity.NewGroupID(), identity.NewGroupID()
	d.commit(t, run, Create{Member: identity.GroupMember(in), Record: record("in", "in")}, Create{Member: identity.GroupMember(over), Record: record("over", "over")})
	d.commit(t, run, ChangeMembers{Group: over, Origin: "corp", Add: []identity.Member{identity.GroupMember(in)}})
	for _, c := range []struct {
		change Change
		want   int
	}{{Deactivate{identity.GroupMember(in), "corp"}, 0}, {Update{Member: identity.GroupMember(in), Record: record("in", "in")}, 1}} {
		d.commit(t, run, c.change)
		snap := d.View().Now()
		h, _ := snap.groupByID.Get(in)
		if above := snap.Above(h); len(above) != c.want {
			t.Errorf("after %T: %d groups above, want %d", c.change, len(above), c.want)
		}
	}
}
