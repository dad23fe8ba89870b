package sync_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// power is what everybody has: what he may do, and what he could do if he were active
// and no setting withheld it. People of the source go by their keys.
type power struct {
	may, could map[string]map[permissions.Permission]bool
}

func (h *house) power() power {
	s, now := h.db.View().Now(), time.Now()
	p := power{map[string]map[permissions.Permission]bool{}, map[string]map[permissions.Permission]bool{}}
	for row := range s.Users(identity.UserID{}, now) {
		id, _ := row.Member.User()
		who := id.String()
		if row.Source == corp {
			who = string(row.Key)
		}
		p.may[who], p.could[who] = map[permissions.Permission]bool{}, map[permissions.Permission]bool{}
		e := s.Book().Effective(s, id, now)
		for _, name := range e.Permissions() {
			p.may[who][name] = true
		}
		granted(s, row.Member, map[identity.Member]bool{}, p.could[who], now)
	}
	return p
}

// granted walks up from a member, in the plainest way.
func granted(s *state.Snapshot, m identity.Member, seen map[identity.Member]bool, to map[permissions.Permission]bool, now time.Time) {
	if seen[m] {
		return
	}
	seen[m] = true
	for _, g := range s.Book().Of(m) {
		if g.Effective(now) {
			to[g.Permission] = true
		}
	}
	for above := range s.GroupsOf(m) {
		granted(s, identity.GroupMember(above), seen, to, now)
	}
}

// counted is how many gain and lose a permission.
type counted struct{ gain, lose int }

func consequences(before, after power) map[string]counted {
	n := map[string]counted{}
	for who, may := range after.may {
		for p := range may {
			if !before.may[who][p] {
				c := n[string(p)]
				c.gain++
				n[string(p)] = c
			}
		}
	}
	for who, may := range before.may {
		for p := range may {
			if !after.may[who][p] {
				c := n[string(p)]
				c.lose++
				n[string(p)] = c
			}
		}
	}
	return n
}

// raised lists who is raised to what; what was conferred on newcomers does not raise them.
func raised(before, after power, defaults []permissions.Permission) []string {
	var out []string
	for who, could := range after.could {
		_, known := before.could[who]
		for p := range could {
			if (!before.could[who][p] || after.may[who][p] && !before.may[who][p]) && (known || !slices.Contains(defaults, p)) {
				out = append(out, who+" "+string(p))
			}
		}
	}
	slices.Sort(out)
	return out
}

// grantable are drawn so that every setting has something to withhold.
var grantable = []permissions.Permission{
	permissions.Governance, permissions.UserAdmin, permissions.CreateDataSource, permissions.Audit,
}

// layer draws a local write that bears on permissions, and makes it.
func (h *house) layer(t *rapid.T, n int) {
	all := subjects(h.db.View().Now())
	if len(all) == 0 {
		return
	}
	who := rapid.SampledFrom(all).Draw(t, "who")
	perm := rapid.SampledFrom(grantable).Draw(t, "permission")
	u, isUser := who.User()
	g, isGroup := who.Group()
	switch kind := rapid.IntRange(0, 9).Draw(t, "write"); {
	case kind < 4:
		for _, m := range all { // a group, more often than not: what it carries is what runs move
			if m.IsGroup() && rapid.Bool().Draw(t, "this group") {
				who = m
			}
		}
		grant := permissions.Grant{ID: permissions.GrantID(fmt.Sprint("g", n)), Permission: perm, Subject: who, By: "root", Origin: "local", Acknowledged: true}
		if rapid.IntRange(0, 4).Draw(t, "expired") == 0 {
			grant.Expires = time.Unix(1, 0)
		}
		h.law(t, state.PutGrant{Grant: grant})
	case kind == 4 && isUser:
		h.law(t, state.Disable{User: u, Reason: "left in anger"})
	case kind == 5 && isUser:
		h.law(t, state.Enable{User: u})
	case kind == 6:
		m := identity.GroupMember(identity.NewGroupID())
		h.law(t, state.Create{Member: m, Record: localRecord(m, n)})
	case kind == 7:
		m := identity.UserMember(identity.NewUserID())
		h.law(t, state.Create{Member: m, Record: localRecord(m, n)})
	case isGroup:
		h.law(t, state.ChangeMembers{Group: g, Origin: identity.Local, Add: []identity.Member{rapid.SampledFrom(all).Draw(t, "member")}})
	}
}

func localRecord(m identity.Member, n int) *identity.Record {
	return &identity.Record{Source: identity.Local, Key: identity.Key(m.String()), Name: fmt.Sprint("local ", n)}
}

// law commits what a test wants to be there, and asks nobody.
func (h *house) law(t *rapid.T, c state.Change) {
	if _, err := h.db.Commit(context.Background(), audit.Actor{Kind: audit.ActorSystem, ID: "test"}, c); err != nil {
		t.Fatalf("Commit(%+v): %v", c, err)
	}
}

// TestConsequencesAreWhatARunMakes compares what a plan says with what everybody may do
// before and after it was really applied.
func TestConsequencesAreWhatARunMakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := build(t, mem.New(), patient).open()
		defer func() { h.stop() }()
		var defaults []permissions.Permission
		if rapid.Bool().Draw(t, "defaults") {
			defaults = []permissions.Permission{permissions.Governance, permissions.CreateFilter}
			h.law(t, state.PutDefaults{Source: corp, Permissions: defaults})
		}
		h.law(t, state.PutSettings{Settings: permissions.Settings{
			AdminGovernorExclusive: rapid.Bool().Draw(t, "exclusive"), AdminsMaySubscribe: rapid.Bool().Draw(t, "admins"),
			GovernorsMaySubscribe: rapid.Bool().Draw(t, "governors"), GrantRule: permissions.GrantRuleUserAdmin,
		}})
		dir := populated(t)
		for step := range rapid.IntRange(1, 6).Draw(t, "steps") {
			dir.drift(t)
			h.reads(dir)
			for i := range rapid.IntRange(0, 5).Draw(t, "writes") {
				h.layer(t, 10*step+i)
			}
			if rapid.Bool().Draw(t, "reconfigured") {
				spec := h.spec(patient, func(s *sync.SourceSpec) { s.ConfigHash = fmt.Sprint("c", step) })
				if err := h.Reload([]sync.SourceSpec{spec}); err != nil {
					t.Fatalf("Reload: %v", err)
				}
			}
			before, conferred := h.power(), defaults
			if h.db.View().Now().Source(corp).Config != "" {
				conferred = nil // on whom the source shows then, and not now
			}
			p, _, err := h.Plan(context.Background(), corp, "root")
			if err != nil {
				t.Fatalf("Plan: %v", err)
			}
			if run := h.sync(); run.State != state.RunSucceeded {
				t.Fatalf("the run ended as %s: %s", run.State, run.Error)
			}
			h.sameConsequences(t, p, before, conferred)
		}
	})
}

// populated is a directory in which most that runs move matters: small, and dense.
func populated(t *rapid.T) *directory {
	d := newDirectory()
	for i := range 6 {
		d.users[identity.Key(fmt.Sprint("u", i))] = person{name: fmt.Sprint("person ", i), disabled: rapid.IntRange(0, 4).Draw(t, "disabled") == 0}
	}
	for i := range 4 {
		g := map[string]bool{}
		for j := range 6 {
			g[fmt.Sprint("u u", j)] = rapid.IntRange(0, 2).Draw(t, "member") == 0
		}
		for j := range 4 {
			g[fmt.Sprint("g g", j)] = rapid.IntRange(0, 3).Draw(t, "nested") == 0
		}
		maps.DeleteFunc(g, func(_ string, in bool) bool { return !in })
		d.groups[identity.Key(fmt.Sprint("g", i))] = g
	}
	return d
}

func (h *house) sameConsequences(t *rapid.T, p *plan.Plan, before power, defaults []permissions.Permission) {
	after := h.power()
	got := map[string]counted{}
	for _, c := range p.Consequences {
		got[c.Permission] = counted{c.Gain, c.Lose}
		if len(c.People) != min(c.Gain, plan.FewPeople) {
			t.Fatalf("%d gain %s, and %v are named", c.Gain, c.Permission, c.People)
		}
	}
	if diff := gocmp.Diff(consequences(before, after), got, gocmp.AllowUnexported(counted{})); diff != "" {
		t.Fatalf("consequences (-after applying +as planned):\n%s", diff)
	}
	var who []string
	for _, r := range p.Raised {
		who = append(who, cmp.Or(string(r.Key), r.ID.String())+" "+r.Permission)
	}
	slices.Sort(who)
	want := raised(before, after, defaults)
	if !p.Marked {
		want = nil
	}
	if diff := gocmp.Diff(want, who); diff != "" {
		t.Fatalf("raised, marked %v (-after applying +as planned):\n%s", p.Marked, diff)
	}
	if held := p.Guard(h.spec(patient).Limits); (held != nil && slices.ContainsFunc(held.Reasons, ofRaising)) != (len(want) > 0) {
		t.Fatalf("raised %v, held %v", want, held)
	}
}

func ofRaising(r plan.Reason) bool { return r.Kind == plan.Raises }
