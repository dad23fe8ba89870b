package state

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store/mem"
)

// court is a roll in which decisions are made.
type court struct {
	opened
	t   *testing.T
	mem *mem.Store
}

func newCourt(t *testing.T) *court {
	t.Helper()
	s := mem.New()
	c := &court{open(t, s), t, s}
	t.Cleanup(c.stop)
	return c
}

// user makes a local user who holds some permissions directly.
func (c *court) user(name string, ps ...permissions.Permission) identity.UserID {
	c.t.Helper()
	u := identity.NewUserID()
	r := record(u.String(), name)
	r.Source = identity.Local
	cs := []Change{Create{Member: identity.UserMember(u), Record: r}}
	for _, p := range ps {
		cs = append(cs, give(identity.UserMember(u), p))
	}
	c.must(admin, cs...)
	return u
}

func (c *court) group(name string, ps ...permissions.Permission) identity.GroupID {
	c.t.Helper()
	g := identity.NewGroupID()
	r := record(g.String(), name)
	r.Source = identity.Local
	cs := []Change{Create{Member: identity.GroupMember(g), Record: r}}
	for _, p := range ps {
		cs = append(cs, give(identity.GroupMember(g), p))
	}
	c.must(admin, cs...)
	return g
}

func give(m identity.Member, p permissions.Permission) Change {
	return PutGrant{permissions.Grant{
		ID: permissions.GrantID(identity.NewUserID().String()), Permission: p, Subject: m, By: "test", At: time.Unix(1, 0), Origin: "local",
	}}
}

func (c *court) decide(by audit.Actor, cs ...Change) error {
	_, err := c.Decide(context.Background(), by, func(*Snapshot) ([]Change, error) { return cs, nil })
	return err
}

func (c *court) must(by audit.Actor, cs ...Change) {
	c.t.Helper()
	if err := c.decide(by, cs...); err != nil {
		c.t.Fatalf("Decide(%+v): %v", cs, err)
	}
}

// refused checks that a decision is refused with a code and changes nothing.
func (c *court) refused(code string, by audit.Actor, cs ...Change) {
	c.t.Helper()
	before := c.mem.Revision()
	if err := c.decide(by, cs...); fault.Code(err) != code {
		c.t.Errorf("Decide(%.300v) = %v, want %s", cs, err, code)
	}
	if after := c.mem.Revision(); after != before && len(cs) < maxChunks {
		c.t.Errorf("a refused decision moved the store from %d to %d", before, after)
	}
}

func actor(u identity.UserID) audit.Actor { return audit.Actor{Kind: audit.ActorUser, ID: u.String()} }

func add(g identity.GroupID, ms ...identity.Member) Change {
	return ChangeMembers{Group: g, Origin: identity.Local, Add: ms}
}

func TestNobodyIsRaisedByWhoMayNotConferIt(t *testing.T) {
	c := newCourt(t)
	boss := c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
	clerk := c.user("clerk", permissions.ApplicationAdmin)
	ann := c.user("ann")
	carrying := c.group("stewards", permissions.Governance)
	inner, outer := c.group("inner"), c.group("outer")
	annM := identity.UserMember(ann)
	c.must(admin, add(inner, annM))

	paths := map[string][]Change{
		"a grant":                     {give(annM, permissions.Audit)},
		"a grant to his group":        {give(identity.GroupMember(inner), permissions.Audit)},
		"a membership":                {add(carrying, annM)},
		"a nesting":                   {add(carrying, identity.GroupMember(inner))},
		"a nesting within the change": {add(outer, identity.GroupMember(inner)), add(carrying, identity.GroupMember(outer))},
		"lifting a disable":           nil, // below
	}
	for name, cs := range paths {
		if cs != nil {
			t.Run(name, func(*testing.T) { c.refused("grant_not_allowed", actor(clerk), cs...) })
		}
	}
	dora := c.user("dora", permissions.Audit)
	c.must(actor(boss), Disable{User: dora, Reason: "left"})
	c.refused("grant_not_allowed", actor(clerk), Enable{User: dora})
	c.must(actor(boss), Enable{User: dora})

	// What raises nobody is not a matter of granting.
	c.must(actor(clerk), SetLocalAttribute{annM, "floor", []string{"3"}})
	c.must(actor(clerk), add(outer, annM))
	// And whoever may confer does it by the same paths.
	c.must(actor(boss), add(carrying, identity.GroupMember(inner)))
	d := c.View().Now().Book().Check(c.View().Now(), permissions.Request{User: ann, Permission: permissions.Governance, Now: time.Now()})
	if !d.Allowed {
		t.Errorf("ann is refused GOVERNANCE: %+v", d)
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	c := newCourt(t)
	boss := c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
	m := identity.UserMember(boss)
	c.refused("last_administrator", actor(boss), RemoveGrant{Subject: m, Permission: permissions.UserAdmin})
	c.refused("last_administrator", actor(boss), Disable{User: boss})
	c.refused("last_administrator", actor(boss), Delete{Member: m})
	c.user("deputy", permissions.ApplicationAdmin, permissions.UserAdmin)
	c.must(actor(boss), RemoveGrant{Subject: m, Permission: permissions.UserAdmin})
}

func TestExclusiveRolesAreRefusedOnEveryLocalPath(t *testing.T) {
	c := newCourt(t)
	boss := c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
	set := permissions.DefaultSettings()
	set.AdminGovernorExclusive = true
	c.must(actor(boss), PutSettings{set})
	gov := c.group("governors", permissions.Governance)
	c.refused("exclusive_roles", actor(boss), give(identity.UserMember(boss), permissions.Governance))
	c.refused("exclusive_roles", actor(boss), add(gov, identity.UserMember(boss)))
	ann := c.user("ann", permissions.Governance)
	c.refused("exclusive_roles", actor(boss), give(identity.UserMember(ann), permissions.UserAdmin))

	set.AdminGovernorExclusive = false
	c.must(actor(boss), PutSettings{set})
	c.must(actor(boss), give(identity.UserMember(ann), permissions.UserAdmin))
	set.AdminGovernorExclusive = true
	c.refused("exclusive_roles", actor(boss), PutSettings{set})
}

func TestAPreviewIsRefusedLikeTheWriteAndWritesNothing(t *testing.T) {
	c := newCourt(t)
	boss := c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
	clerk := c.user("clerk")
	ann := identity.UserMember(c.user("ann"))
	cs := []Change{give(ann, permissions.Audit)}
	decide := func(*Snapshot) ([]Change, error) { return cs, nil }
	before, rev := dump(c.View().Now()), c.mem.Revision()
	if _, err := c.Preview(actor(clerk), decide); fault.Code(err) != "grant_not_allowed" {
		t.Errorf("Preview by who may not: %v, want grant_not_allowed", err)
	}
	after, err := c.Preview(actor(boss), decide)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(after.Book().Of(ann)); n != 1 {
		t.Errorf("%d grants in the preview, want 1", n)
	}
	if diff := cmp.Diff(before, dump(c.View().Now())); diff != "" || c.mem.Revision() != rev {
		t.Errorf("a preview wrote something, revision %d to %d:\n%s", rev, c.mem.Revision(), diff)
	}
}

func TestALargeLocalGroupIsJudgedWhole(t *testing.T) {
	c := newCourt(t)
	boss := c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
	clerk := c.user("clerk")
	carrying := c.group("stewards", permissions.Governance)
	var creates []Change
	var many []identity.Member
	for range 14_000 { // more chunks than one transaction may rewrite
		u := identity.NewUserID()
		many = append(many, identity.UserMember(u))
		creates = append(creates, Create{Member: identity.UserMember(u), Record: record(u.String(), "n")})
	}
	term := lead(t, c.mem)
	if _, err := c.Bulk(run, term.Fence(), nil).Apply(t.Context(), c.View().Now(), slices.Values(creates)); err != nil {
		t.Fatal(err)
	}
	c.refused("grant_not_allowed", actor(clerk), add(carrying, many...))
	c.must(actor(boss), add(carrying, many...))
	snap := c.View().Now()
	if n := snap.MemberCount(carrying); n != len(many) {
		t.Errorf("%d members, want %d", n, len(many))
	}
	if err := c.Bulk(run, term.Fence(), nil).RemoveAbandoned(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.must(actor(boss), ChangeMembers{Group: carrying, Origin: identity.Local, Remove: many[1:]})
	if n := c.View().Now().MemberCount(carrying); n != 1 {
		t.Errorf("%d members after the removal, want 1", n)
	}
}

func TestACustomPermissionMadeAgainBeginsWithoutHolders(t *testing.T) {
	c := newCourt(t)
	boss := c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
	ann := identity.UserMember(c.user("ann"))
	c.must(actor(boss), PutCustom{Name: "FINANCE_APPROVER", Description: "approves"})
	c.refused("permission_exists", actor(boss), PutCustom{Name: "FINANCE_APPROVER"})
	c.refused("builtin_permission", actor(boss), PutCustom{Name: "AUDIT"})
	c.must(actor(boss), give(ann, "FINANCE_APPROVER"))
	c.must(actor(boss), RemoveCustom{Name: "FINANCE_APPROVER"})
	c.refused("permission_held", actor(boss), PutCustom{Name: "FINANCE_APPROVER"})
	c.must(actor(boss), RemoveGrant{Subject: ann, Permission: "FINANCE_APPROVER"})
	c.must(actor(boss), PutCustom{Name: "FINANCE_APPROVER"})
}

func TestADeletedUserLeavesNothingButHisTraces(t *testing.T) {
	c := newCourt(t)
	boss := c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
	ann := c.user("ann", permissions.Audit)
	m := identity.UserMember(ann)
	g := c.group("staff")
	c.must(actor(boss), add(g, m), SetLocalAttribute{m, "floor", []string{"3"}}, PutToken{Token{ID: "abc", User: ann, Hash: "x"}})
	c.must(actor(boss), Delete{Member: m})
	snap := c.View().Now()
	if _, _, ok := snap.User(ann); ok || len(snap.FindUsers("ann")) > 0 || len(snap.Book().Of(m)) > 0 || len(snap.Tokens(ann)) > 0 || snap.MemberCount(g) > 0 {
		t.Errorf("something of the user is left:\n%s", dump(snap))
	}
	c.user("ann") // the name is free again
	synced := identity.NewUserID()
	c.commit(t, run, Create{Member: identity.UserMember(synced), Record: record("k9", "bob")})
	c.refused("managed_by_source", actor(boss), Delete{Member: identity.UserMember(synced)})
	c.commit(t, run, Deactivate{identity.UserMember(synced), "corp"})
	c.must(actor(boss), Delete{Member: identity.UserMember(synced)})
}

// TestDefaultsAreGivenOnceWhenASourceFirstShowsSomebody is the one exception to the
// law that no sync makes a grant: defaults, written by this package in the transaction
// that creates the user, on the word of the administrator who set them.
func TestDefaultsAreGivenOnceWhenASourceFirstShowsSomebody(t *testing.T) {
	c := newCourt(t)
	boss := c.user("boss", permissions.ApplicationAdmin, permissions.UserAdmin)
	c.refused("admin_by_default", actor(boss), PutDefaults{"corp", []permissions.Permission{permissions.UserAdmin}})
	c.must(actor(boss), PutDefaults{"corp", []permissions.Permission{permissions.CreateFilter, permissions.CreateFilter}})
	ann := identity.UserMember(identity.NewUserID())
	c.commit(t, run, Create{Member: ann, Record: record("k1", "ann")})
	of := func() []*permissions.Grant { return c.View().Now().Book().Of(ann) }
	if gs := of(); len(gs) != 1 || gs[0].Permission != permissions.CreateFilter || gs[0].Origin != "default:corp" || gs[0].By != actor(boss).String() {
		t.Fatalf("grants of a newcomer = %+v, want CREATE_FILTER on the word of boss", gs)
	}
	c.must(actor(boss), RemoveGrant{Subject: ann, Permission: permissions.CreateFilter})
	c.commit(t, run, Deactivate{ann, "corp"})
	c.commit(t, run, Update{Member: ann, Record: record("k1", "ann.lee")})
	if gs := of(); len(gs) != 0 {
		t.Errorf("somebody who returned was given %+v", gs)
	}
	other := identity.UserMember(identity.NewUserID())
	r := record("k2", "bob")
	r.Source = "elsewhere"
	c.commit(t, run, Create{Member: other, Record: r})
	if gs := c.View().Now().Book().Of(other); len(gs) != 0 {
		t.Errorf("somebody of another source was given %+v", gs)
	}
}
