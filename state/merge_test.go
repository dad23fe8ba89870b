package state

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// plain is all that a snapshot says of people and groups, without revisions.
func plain(s *Snapshot) []string {
	var lines []string
	for row := range s.Users(identity.UserID{}, time.Unix(0, 0)) {
		id, _ := row.Member.User()
		u, _, _ := s.User(id)
		line := fmt.Sprintf("user %s %s made %s %+v local=%v linked", id, row.Status, u.Created, u.Record, u.Local)
		for _, l := range u.Linked {
			line += fmt.Sprintf(" %+v", l.Record)
		}
		lines = append(lines, line)
		if by, _ := s.UserOf(row.Source, row.Key); by != id {
			lines = append(lines, "is not found by his key")
		}
	}
	for row := range s.Groups(identity.GroupID{}) {
		g, _ := row.Member.Group()
		for m := range s.Members(g) {
			lines = append(lines, fmt.Sprintf("member %s of %s by %v", m.Member, row.Name, m.Origins))
		}
	}
	for g := range s.Book().Grants() {
		lines = append(lines, fmt.Sprintf("grant %+v", *g))
	}
	slices.Sort(lines)
	return lines
}

// family is people of two sources, groups of both and of none, with layers and grants.
type family struct {
	opened
	corp, hr []identity.UserID
	groups   map[identity.SourceID]identity.GroupID
}

func hrRecord(key, name string) *identity.Record {
	r := record(key, name)
	r.Source = "hr"
	return r
}

func newFamily(t fataler, d opened) *family {
	t.Helper()
	f := &family{opened: d, groups: map[identity.SourceID]identity.GroupID{}}
	for i := range 3 {
		c, h := identity.NewUserID(), identity.NewUserID()
		d.commit(t, run, Create{Member: identity.UserMember(c), Record: record(fmt.Sprint("c", i), fmt.Sprint("ann", i))},
			Create{Member: identity.UserMember(h), Record: hrRecord(fmt.Sprint("h", i), fmt.Sprint("lee", i))})
		f.corp, f.hr = append(f.corp, c), append(f.hr, h)
	}
	for _, source := range []identity.SourceID{"corp", "hr", identity.Local} {
		g := identity.NewGroupID()
		r := record("g-"+string(source), "of "+string(source))
		r.Source = source
		d.commit(t, run, Create{Member: identity.GroupMember(g), Record: r})
		f.groups[source] = g
	}
	return f
}

// live lets things happen to the family.
func (f *family) live(t *rapid.T) {
	for range rapid.IntRange(0, 12).Draw(t, "things") {
		u := rapid.SampledFrom(append(slices.Clone(f.corp), f.hr...)).Draw(t, "user")
		m, own := identity.UserMember(u), identity.SourceID("corp")
		if slices.Contains(f.hr, u) {
			own = "hr"
		}
		var c Change
		switch rapid.IntRange(0, 4).Draw(t, "thing") {
		case 0:
			c = ChangeMembers{Group: f.groups[own], Origin: own, Add: []identity.Member{m}}
		case 1:
			g := rapid.SampledFrom([]identity.SourceID{"corp", "hr", identity.Local}).Draw(t, "group")
			c = ChangeMembers{Group: f.groups[g], Origin: identity.Local, Add: []identity.Member{m}}
		case 2:
			c = SetLocalAttribute{m, "floor", rapid.SliceOfNDistinct(rapid.StringMatching("[a-c]"), 1, 2, rapid.ID).Draw(t, "values")}
		case 3:
			c = give(m, rapid.SampledFrom([]permissions.Permission{permissions.Audit, permissions.Governance}).Draw(t, "permission"))
		case 4:
			c = give(identity.GroupMember(f.groups["hr"]), permissions.CreateFilter)
		}
		if _, err := f.Decide(context.Background(), admin, func(*Snapshot) ([]Change, error) { return []Change{c}, nil }); err != nil {
			t.Fatalf("Decide(%+v): %v", c, err)
		}
	}
}

func (f *family) unlink(t fataler, u identity.UserID) {
	t.Helper()
	note, ok, err := f.Merged(context.Background(), u, "hr")
	if err != nil || !ok {
		t.Fatalf("Merged = %v, %v", ok, err)
	}
	_, err = f.Decide(context.Background(), admin, func(*Snapshot) ([]Change, error) {
		return []Change{Unlink{User: u, Source: "hr", Merged: &note}}, nil
	})
	if err != nil {
		t.Fatalf("Unlink: %v", err)
	}
}

// What a merge did is taken back whole, and between the two nobody is there twice.
func TestUnlinkRestoresWhatWasMerged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := open(t, mem.New())
		defer d.stop()
		f := newFamily(t, d)
		f.live(t)
		before := plain(d.View().Now())
		into, from := rapid.SampledFrom(f.corp).Draw(t, "into"), rapid.SampledFrom(f.hr).Draw(t, "from")
		keep := rapid.Bool().Draw(t, "keep grants")
		may := could(d.View().Now(), into, from)
		_, err := d.Decide(context.Background(), admin, func(*Snapshot) ([]Change, error) {
			return []Change{Merge{Into: into, From: from, KeepGrants: keep}}, nil
		})
		if err != nil {
			t.Fatalf("Merge: %v", err)
		}
		s := d.View().Now()
		if _, _, ok := s.User(from); ok || s.Book().Of(identity.UserMember(from)) != nil {
			t.Fatal("who was merged is still there")
		}
		u, _, _ := s.User(into)
		if by, _ := s.UserOf("hr", u.Linked[0].Record.Key); by != into || len(u.Linked) != 1 {
			t.Fatalf("the record is not found at its user: %+v", u.Linked)
		}
		if got := could(s, into); keep && !slices.Equal(got, may) {
			t.Fatalf("together they may %v, after the merge %v", may, got)
		}
		f.unlink(t, into)
		if diff := cmp.Diff(before, plain(d.View().Now())); diff != "" {
			t.Fatalf("after merge and unlink (-want +got):\n%s", diff)
		}
	})
}

// could is all that some people may do.
func could(s *Snapshot, users ...identity.UserID) (all []permissions.Permission) {
	for _, u := range users {
		e := s.Book().Effective(s, u, time.Now())
		all = append(all, e.Permissions()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// What the source said meanwhile is not lost, and what was decided meanwhile stays.
func TestUnlinkKeepsWhatHappenedSince(t *testing.T) {
	c := newCourt(t)
	f := newFamily(t, c.opened)
	ann, lee := f.corp[0], f.hr[0]
	c.must(admin, give(identity.UserMember(lee), permissions.Audit), give(identity.UserMember(lee), permissions.Governance))
	c.must(admin, Merge{Into: ann, From: lee, KeepGrants: true})

	renamed := hrRecord("h0", "lee-new")
	c.commit(t, run, Update{Member: identity.UserMember(ann), Record: renamed})
	c.commit(t, run, ChangeMembers{Group: f.groups["hr"], Origin: "hr", Add: []identity.Member{identity.UserMember(ann)}})
	c.must(admin, RemoveGrant{Subject: identity.UserMember(ann), Permission: permissions.Audit, Reason: "by hand"})
	c.must(admin, give(identity.UserMember(ann), permissions.Audit)) // his own now
	f.unlink(t, ann)

	s := c.View().Now()
	u, _, ok := s.User(lee)
	if !ok || u.Record.Name != "lee-new" || u.Record.Source != "hr" {
		t.Fatalf("lee is %+v, %v", u, ok)
	}
	if got := fmt.Sprint(could(s, ann), could(s, lee)); got != "[AUDIT] [AUDIT GOVERNANCE]" {
		t.Errorf("ann and lee may %s", got)
	}
	var in []string
	for m := range s.Members(f.groups["hr"]) {
		in = append(in, s.name(m.Member))
	}
	if !slices.Equal(in, []string{"lee-new"}) {
		t.Errorf("in the group of hr are %v", in)
	}
}

func TestWhoMayMerge(t *testing.T) {
	c := newCourt(t)
	f := newFamily(t, c.opened)
	boss := c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
	clerk := c.user("clerk", permissions.ApplicationAdmin)
	ann, lee := f.corp[0], f.hr[0]
	c.must(admin, give(identity.UserMember(lee), permissions.Audit))
	c.must(admin, ChangeMembers{Group: f.groups[identity.Local], Origin: identity.Local, Add: []identity.Member{identity.UserMember(lee)}}, give(identity.GroupMember(f.groups[identity.Local]), permissions.Governance))

	c.refused("grant_not_allowed", actor(clerk), Merge{Into: ann, From: lee, KeepGrants: true})
	c.refused("grant_not_allowed", actor(clerk), Merge{Into: ann, From: lee}) // by the group
	for code, m := range map[string]Merge{
		"same_user":      {Into: ann, From: ann},
		"local_user":     {Into: ann, From: clerk},
		"link_taken":     {Into: lee, From: f.hr[1]},
		"user_not_found": {Into: ann, From: identity.NewUserID()},
	} {
		if err := c.View().Now().MayMerge(m.Into, m.From); fault.Code(err) != code {
			t.Errorf("MayMerge(%+v) = %v, want %s", m, err, code)
		}
	}
	c.must(actor(boss), Merge{Into: ann, From: lee})
	if got := could(c.View().Now(), ann); !slices.Equal(got, []permissions.Permission{permissions.Governance}) {
		t.Errorf("ann may %v by what the other was in", got)
	}
	note, _, _ := c.Merged(t.Context(), ann, "hr")
	c.refused("grant_not_allowed", actor(clerk), Unlink{User: ann, Source: "hr", Merged: &note})
	c.must(actor(boss), Unlink{User: ann, Source: "hr", Merged: &note})
}

// Without a merge before it, who is unlinked begins without anything, and rules leave
// him alone.
func TestUnlinkOfWhatARuleJoined(t *testing.T) {
	c := newCourt(t)
	f := newFamily(t, c.opened)
	ann := identity.UserMember(f.corp[0])
	c.commit(t, run, LinkRecord{User: f.corp[0], Record: hrRecord("h9", "joined"), Rule: "n = corp/n"})
	c.commit(t, run, ChangeMembers{Group: f.groups["hr"], Origin: "hr", Add: []identity.Member{ann}})
	c.must(admin, give(ann, permissions.Audit))
	next := identity.NewUserID()
	c.must(admin, Unlink{User: f.corp[0], Source: "hr", New: next, Reason: "not him"})
	s := c.View().Now()
	u, _, ok := s.User(next)
	if !ok || u.Record.Name != "joined" || len(could(s, next)) != 0 || len(could(s, f.corp[0])) != 1 {
		t.Errorf("after the unlink: %+v %v, who may %v", u, ok, could(s, next))
	}
	if st, ok := s.Settled("hr", "h9"); !ok || st.Do != plan.StandAlone || st.Reason != "not him" {
		t.Errorf("settled: %+v", st)
	}
	for m := range s.Members(f.groups["hr"]) {
		if m.Member != identity.UserMember(next) {
			t.Errorf("%s is in the group of hr", s.name(m.Member))
		}
	}

	c.commit(t, run, LinkRecord{User: f.corp[1], Record: hrRecord("h8", "gone")})
	c.commit(t, run, ChangeMembers{Group: f.groups["hr"], Origin: "hr", Add: []identity.Member{identity.UserMember(f.corp[1])}})
	c.must(admin, Unlink{User: f.corp[1], Source: "hr"})
	s = c.View().Now()
	if _, ok := s.UserOf("hr", "h8"); ok || s.MemberCount(f.groups["hr"]) != 1 {
		t.Errorf("the record is still there, or %d are in the group", s.MemberCount(f.groups["hr"]))
	}
}

func TestARecreatedAccountIsMergedByWhoMayConferWhatItHas(t *testing.T) {
	c := newCourt(t)
	f := newFamily(t, c.opened)
	boss := c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
	clerk := c.user("clerk", permissions.ApplicationAdmin)
	ann := f.corp[0]
	c.must(admin, give(identity.UserMember(ann), permissions.Audit))
	rekey := Rekey{User: ann, Source: "corp", Key: "c-new", Reason: "she was hired again"}
	c.refused("not_missing", actor(boss), rekey)
	c.commit(t, run, Deactivate{identity.UserMember(ann), "corp"})
	c.refused("grant_not_allowed", actor(clerk), rekey)
	c.refused("entry_taken", actor(boss), Rekey{User: ann, Source: "corp", Key: "c1"})
	c.refused("managed_by_source", actor(boss), Rekey{User: ann, Source: "hr", Key: "x"})
	c.must(actor(boss), rekey)
	s := c.View().Now()
	u, _, _ := s.User(ann)
	if u.Record.Key != "c-new" || u.Missing.IsZero() || u.Record.Hash != 0 || s.Source("corp").Marked.IsZero() {
		t.Errorf("after the merge: %+v, missing %v, marked %v", u.Record, u.Missing, s.Source("corp").Marked)
	}
	c.commit(t, run, Update{Member: identity.UserMember(ann), Record: record("c-new", "ann0")})
	if got := could(c.View().Now(), ann); !slices.Equal(got, []permissions.Permission{permissions.Audit}) {
		t.Errorf("back she may %v", got)
	}
}

func TestChangingTheOwnerKeepsIdAndGrants(t *testing.T) {
	c := newCourt(t)
	f := newFamily(t, c.opened)
	ann := f.corp[0]
	m := identity.UserMember(ann)
	c.must(admin, give(m, permissions.Audit))
	c.commit(t, run, ChangeMembers{Group: f.groups["corp"], Origin: "corp", Add: []identity.Member{m}})
	before := plain(c.View().Now())
	c.commit(t, run, LinkRecord{User: ann, Record: hrRecord("h9", "a.lee")})
	c.must(admin, ChangeOwner{User: ann, To: "hr"})
	s := c.View().Now()
	u, _, _ := s.User(ann)
	if u.Record.Source != "hr" || u.Linked[0].Record.Source != "corp" || !slices.Equal(could(s, ann), []permissions.Permission{permissions.Audit}) {
		t.Errorf("after the change: %+v, %+v", u.Record, u.Linked)
	}
	c.commit(t, run, Deactivate{m, "corp"})
	if u, _, _ := c.View().Now().User(ann); u.Status(time.Now()) != identity.Active {
		t.Errorf("the former owner lost her, and she is %s", u.Status(time.Now()))
	}
	c.commit(t, run, Update{Member: m, Record: record("c0", "ann0")})
	c.must(admin, ChangeOwner{User: ann, To: "corp"})
	c.commit(t, run, removeLinked{ann, "hr"})
	if diff := cmp.Diff(before, plain(c.View().Now())); diff != "" {
		t.Errorf("moved there and back (-want +got):\n%s", diff)
	}

	local := c.user("zoe")
	c.must(admin, Merge{Into: local, From: f.hr[1]})
	c.must(admin, ChangeOwner{User: local, To: "hr"})
	u, _, _ = c.View().Now().User(local)
	if u.Record.Name != "lee1" || len(u.Linked) != 0 {
		t.Errorf("a local user who moved: %+v, %+v", u.Record, u.Linked)
	}
	c.user("zoe") // the name is free
}

// Deleting a source takes its linked records away at once, and then for good.
func TestADeletedSourceTakesItsLinkedRecordsAlong(t *testing.T) {
	c := newCourt(t)
	f := newFamily(t, c.opened)
	gone := hrRecord("h9", "a.lee")
	gone.Disabled = identity.ReasonDisabled
	gone.Attributes = identity.Attributes{"cost": {"1"}}
	c.commit(t, run, LinkRecord{User: f.corp[0], Record: gone, Bars: true})
	clerk := c.user("clerk", permissions.ApplicationAdmin)
	c.must(admin, give(identity.UserMember(f.corp[0]), permissions.Audit))
	c.must(admin, Settle{Source: "hr", Key: "h7", Do: plan.Ignore})
	if len(could(c.View().Now(), f.corp[0])) != 0 {
		t.Error("who is kept out by a linked record may something")
	}
	c.refused("grant_not_allowed", actor(clerk), LeaveSource{Source: "hr"}) // it lets somebody in
	c.must(admin, LeaveSource{Source: "hr"})
	u, _, _ := c.View().Now().User(f.corp[0])
	if u.Status(time.Now()) != identity.Active || len(u.Linked) != 0 || len(u.Attributes()["cost"]) != 0 {
		t.Errorf("while hr leaves: %s, %+v", u.Status(time.Now()), u.Linked)
	}
	if err := c.removeLeaving(t.Context(), lead(t, c.mem).Fence(), "hr"); err != nil {
		t.Fatalf("removeLeaving: %v", err)
	}
	for key := range values(t, c.mem) {
		if strings.HasPrefix(key, keyLinked) || strings.HasPrefix(key, keySettled) {
			t.Errorf("%s is left", key)
		}
	}
}
