package state

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// naive is a roll of two sources as one would write it down on paper.
type naive struct {
	bars      map[identity.SourceID]Bar
	owner     map[identity.Member]identity.SourceID
	own, here map[identity.Member]map[string]bool // attribute values, by who said them
	stated    map[[2]identity.Member]bool         // member and group
	put       map[[2]identity.Member]bool
	granted   map[identity.Member]map[permissions.Permission]bool
}

// groups adds every group that a member is in, straight or nested.
func (n *naive) groups(m identity.Member, seen map[identity.Member]bool) {
	for g, owner := range n.owner {
		in := n.stated[[2]identity.Member{m, g}] || n.put[[2]identity.Member{m, g}] && !n.bars[owner].Memberships
		if g.IsGroup() && in && !seen[g] {
			seen[g] = true
			n.groups(g, seen)
		}
	}
}

// standing is what values and permissions a user has in the end.
func (n *naive) standing(u identity.Member) string {
	all := map[identity.Member]bool{u: true}
	n.groups(u, all)
	values, may := map[string]bool{}, map[permissions.Permission]bool{}
	for m := range all {
		maps.Copy(values, n.own[m])
		if !n.bars[n.owner[m]].Attributes {
			maps.Copy(values, n.here[m])
		}
		maps.Copy(may, n.granted[m])
	}
	return fmt.Sprint(slices.Sorted(maps.Keys(values)), slices.Sorted(maps.Keys(may)))
}

// standingOf is the same, as a snapshot says it.
func standingOf(s *Snapshot, id identity.UserID) string {
	values, u := map[string]bool{}, identity.UserMember(id)
	take := func(ls []identity.Layer) {
		for _, l := range ls {
			for _, vs := range l.Attributes {
				for _, v := range vs {
					values[v] = true
				}
			}
		}
	}
	user, _, _ := s.User(id)
	take(user.Layers())
	h, _ := s.userByID.Get(id)
	for _, direct := range s.DirectGroups(h) {
		for _, g := range append([]uint32{direct}, s.Above(direct)...) {
			group, _, _ := s.Group(s.GroupID(g))
			take(group.Layers(nil))
		}
	}
	e := s.Book().Effective(s, id, time.Unix(0, 0))
	for _, p := range e.Permissions() {
		r := permissions.Request{User: id, Permission: p, Now: time.Unix(0, 0)}
		if d := s.Book().Check(s, r); !d.Allowed {
			return fmt.Sprintf("%s has %s and is refused it: %+v", u, p, d)
		}
	}
	return fmt.Sprint(slices.Sorted(maps.Keys(values)), slices.Sorted(slices.Values(e.Permissions())))
}

// TestWhatIsBarredCountsForNothing draws rolls whose bars go up and down, and compares
// everybody's standing with what one works out on paper.
func TestWhatIsBarredCountsForNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := open(rt, mem.New())
		defer d.stop()
		n := &naive{
			bars: map[identity.SourceID]Bar{}, owner: map[identity.Member]identity.SourceID{},
			own: map[identity.Member]map[string]bool{}, here: map[identity.Member]map[string]bool{},
			stated: map[[2]identity.Member]bool{}, put: map[[2]identity.Member]bool{},
			granted: map[identity.Member]map[permissions.Permission]bool{},
		}
		b := paper{d: d, naive: n}
		b.create(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"bar": b.bar, "value": b.value, "member": b.member, "grant": b.grant, "lift all": b.lift, "": b.check,
		})
	})
}

// paper does to a roll and on paper the same.
type paper struct {
	*naive
	d      opened
	users  []identity.Member
	groups []identity.Member
}

var bothSources = []identity.SourceID{"corp", "hr"}

func (b *paper) create(t *rapid.T) {
	for i := range rapid.IntRange(2, 9).Draw(t, "objects") {
		source := rapid.SampledFrom(bothSources).Draw(t, "source")
		r := record(fmt.Sprint("k", i), fmt.Sprint("n", i))
		r.Source, r.Attributes = source, identity.Attributes{"team": {fmt.Sprint("own", i%3)}}
		m := identity.UserMember(identity.NewUserID())
		if i%2 == 1 {
			m = identity.GroupMember(identity.NewGroupID())
			b.groups = append(b.groups, m)
		} else {
			b.users = append(b.users, m)
		}
		b.owner[m], b.own[m] = source, map[string]bool{fmt.Sprint("own", i%3): true}
		b.here[m], b.granted[m] = map[string]bool{}, map[permissions.Permission]bool{}
		b.d.commit(t, run, Create{Member: m, Record: r})
	}
}

func (b *paper) any(t *rapid.T) identity.Member {
	return rapid.SampledFrom(slices.Concat(b.users, b.groups)).Draw(t, "whose")
}

func (b *paper) decide(t *rapid.T, c Change) {
	if _, err := b.d.Decide(context.Background(), admin, func(*Snapshot) ([]Change, error) { return []Change{c}, nil }); err != nil {
		t.Fatalf("Decide(%+v): %v", c, err)
	}
}

func (b *paper) bar(t *rapid.T) {
	c := PutBar{rapid.SampledFrom(bothSources).Draw(t, "source"), Bar{rapid.Bool().Draw(t, "attributes"), rapid.Bool().Draw(t, "memberships")}}
	b.decide(t, c)
	b.bars[c.Source] = c.Bar
}

func (b *paper) lift(t *rapid.T) {
	for _, source := range bothSources {
		b.decide(t, PutBar{Source: source})
	}
	clear(b.bars)
}

func (b *paper) value(t *rapid.T) {
	m, v := b.any(t), rapid.SampledFrom([]string{"here0", "here1", "own1"}).Draw(t, "value")
	b.decide(t, SetLocalAttribute{m, "team", []string{v}})
	b.here[m] = map[string]bool{v: true}
}

func (b *paper) member(t *rapid.T) {
	g, m := rapid.SampledFrom(b.groups).Draw(t, "into"), b.any(t)
	if m == g {
		return
	}
	id, _ := g.Group()
	c, rows := ChangeMembers{Group: id, Origin: identity.Local}, b.put
	if rapid.Bool().Draw(t, "stated") {
		c.Origin, rows = b.owner[g], b.stated
	}
	if is := rapid.Bool().Draw(t, "add"); is {
		c.Add, rows[[2]identity.Member{m, g}] = []identity.Member{m}, true
	} else {
		c.Remove = []identity.Member{m}
		delete(rows, [2]identity.Member{m, g})
	}
	b.decide(t, c)
}

func (b *paper) grant(t *rapid.T) {
	m, p := b.any(t), rapid.SampledFrom([]permissions.Permission{permissions.Audit, permissions.Governance}).Draw(t, "permission")
	if b.granted[m][p] {
		b.decide(t, RemoveGrant{Subject: m, Permission: p})
		delete(b.granted[m], p)
		return
	}
	b.decide(t, give(m, p))
	b.granted[m][p] = true
}

func (b *paper) check(t *rapid.T) {
	s := b.d.View().Now()
	for _, u := range b.users {
		id, _ := u.User()
		if want, got := b.standing(u), standingOf(s, id); want != got {
			t.Fatalf("standing of %s is %s, want %s", u, got, want)
		}
	}
	for _, g := range b.groups {
		id, _ := g.Group()
		for _, m := range slices.Concat(b.users, b.groups) {
			if is, want := s.Barred(m, id), b.put[[2]identity.Member{m, g}] && b.bars[b.owner[g]].Memberships; is != want {
				t.Fatalf("the membership of %s in %s is barred: %v, want %v", m, g, is, want)
			}
		}
	}
}

// barred is a roll with two people in a group of corp by an administrator's word, one of
// them by corp's as well; the group carries GOVERNANCE.
func barred(t *testing.T) (c *court, staff identity.GroupID, ann, bob identity.UserID) {
	c = newCourt(t)
	staff = identity.NewGroupID()
	ann, bob = c.user("ann"), c.user("bob")
	c.must(admin, Create{Member: identity.GroupMember(staff), Record: record("staff", "staff")}, give(identity.GroupMember(staff), permissions.Governance))
	c.must(admin, add(staff, identity.UserMember(ann), identity.UserMember(bob)))
	c.must(admin, ChangeMembers{Group: staff, Origin: "corp", Add: []identity.Member{identity.UserMember(bob)}})
	return c, staff, ann, bob
}

func (c *court) may(u identity.UserID, p permissions.Permission) bool {
	s := c.View().Now()
	return s.Book().Check(s, permissions.Request{User: u, Permission: p, Now: time.Now()}).Allowed
}

func TestLiftingABarIsJudgedLikeAMembership(t *testing.T) {
	c, staff, ann, bob := barred(t)
	boss := c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
	clerk := c.user("clerk", permissions.ApplicationAdmin)
	c.must(actor(clerk), PutBar{"corp", Bar{Memberships: true}}) // it raises nobody
	if c.may(ann, permissions.Governance) || !c.may(bob, permissions.Governance) {
		t.Error("a bar takes from one whom the source put there, or leaves it to one whom it did not")
	}
	c.refused("grant_not_allowed", actor(clerk), PutBar{Source: "corp"})
	c.must(actor(clerk), PutBar{"corp", Bar{Attributes: true, Memberships: true}})
	c.must(actor(boss), PutBar{Source: "corp"})
	if !c.may(ann, permissions.Governance) {
		t.Error("what was barred does not count again")
	}

	// A group that was nested here is raised though nobody is in it.
	c.must(actor(boss), PutBar{"corp", Bar{Memberships: true}})
	empty := c.group("empty")
	c.must(actor(boss), add(staff, identity.GroupMember(empty)), ChangeMembers{Group: staff, Origin: identity.Local, Remove: []identity.Member{identity.UserMember(ann)}})
	c.refused("grant_not_allowed", actor(clerk), PutBar{Source: "corp"})

	c.must(actor(boss), give(identity.UserMember(ann), permissions.UserAdmin), add(staff, identity.UserMember(ann)))
	set := permissions.DefaultSettings()
	set.AdminGovernorExclusive = true
	c.must(actor(boss), RemoveGrant{Subject: identity.UserMember(bob), Permission: permissions.Audit}, PutSettings{set})
	c.refused("exclusive_roles", actor(boss), PutBar{Source: "corp"})
	c.refused("exclusive_roles", admin, PutBar{Source: "corp"})
}

func TestABarIsNotOfWhatIsMadeHereOrLeaves(t *testing.T) {
	c, _, _, _ := barred(t)
	c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
	c.refused("local_source", admin, PutBar{identity.Local, Bar{Attributes: true}})
	c.must(admin, PutBar{"corp", Bar{Attributes: true}})
	c.must(admin, LeaveSource{Source: "corp"})
	c.refused("source_leaving", admin, PutBar{Source: "corp"})
	term := lead(t, c.mem).Fence()
	if err := c.removeLeaving(t.Context(), term, "corp"); err != nil {
		t.Fatal(err)
	}
	gone, err := c.CatchUp(t.Context(), term)
	if err != nil {
		t.Fatal(err)
	}
	if bar := gone.Bar("corp"); bar != (Bar{}) {
		t.Errorf("a source that is gone leaves %+v", bar)
	}
}

func TestWhoIsDeletedLeavesNoBarredMembership(t *testing.T) {
	c, staff, ann, _ := barred(t)
	c.must(admin, PutBar{"corp", Bar{Memberships: true}})
	if got := slices.Collect(c.View().Now().BarredMembers(staff)); !slices.Equal(got, []identity.Member{identity.UserMember(ann)}) {
		t.Errorf("barred are %v, want ann and not bob, whom corp has, too", got)
	}
	c.must(admin, Delete{Member: identity.UserMember(ann)})
	slot := c.View().Now().groupSlot(staff)
	if slot.local.len() != 1 {
		t.Errorf("%d local rows are left, want that of bob", slot.local.len())
	}
}

// A run that takes somebody out takes his permissions where only a barred membership is
// left, and its plan says so.
func TestAPlanDoesNotCountWhatIsBarred(t *testing.T) {
	for _, bar := range []Bar{{}, {Attributes: true}, {Memberships: true}} {
		c, _, _, _ := barred(t)
		joe := identity.UserMember(identity.NewUserID())
		staff, _ := c.View().Now().OneGroup("corp/staff")
		c.must(admin, Create{Member: joe, Record: record("joe", "joe")})
		c.must(admin, add(staff, joe), ChangeMembers{Group: staff, Origin: "corp", Add: []identity.Member{joe}})
		c.must(admin, PutBar{"corp", bar})
		p := &plan.Plan{Source: "corp", Steps: []plan.Step{{Op: plan.ChangeMembers, Key: "staff", Name: "staff", Remove: []plan.MemberKey{{Key: "joe"}}}}}
		c.View().Now().Weigh(p, time.Now())
		var want []plan.Consequence
		if bar.Memberships {
			want = []plan.Consequence{{Permission: "GOVERNANCE", Lose: 1}}
		}
		if diff := cmp.Diff(want, p.Consequences); diff != "" {
			t.Errorf("with %+v (-want +got):\n%s", bar, diff)
		}
	}
}

func TestABarIsAuditedWithWhatItWas(t *testing.T) {
	c, _, _, _ := barred(t)
	c.must(admin, PutBar{"corp", Bar{Attributes: true}})
	c.must(admin, PutBar{"corp", Bar{Memberships: true}})
	var got [][]audit.Change
	page, err := c.AuditEntries(t.Context(), AuditQuery{Order: OldestFirst, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range page.Entries {
		for _, e := range entry.Events {
			if e.Action == "ConfigurationUpdated" && e.Target == "source/corp" {
				got = append(got, e.Changes)
			}
		}
	}
	want := [][]audit.Change{
		{{Field: "allow_local_attributes", Before: []string{"true"}, After: []string{"false"}}},
		{{Field: "allow_local_attributes", Before: []string{"false"}, After: []string{"true"}}, {Field: "allow_local_memberships", Before: []string{"true"}, After: []string{"false"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audited (-want +got):\n%s", diff)
	}
}
