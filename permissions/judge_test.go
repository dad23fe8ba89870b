package permissions

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
)

// office is a roll for writes: root (0) and deputy (1) are local administrators, ann
// (2) is a user administrator of a directory, bob (3) configures, cat (4) has nothing,
// dan (5) is disabled. Staff (0) is nested in stewards (1); cat is in staff.
func office() *roll {
	r := &roll{}
	staff := r.addGroup(1)
	r.addGroup()
	r.addUser(Subject{Local: true})
	r.addUser(Subject{Local: true})
	r.addUser(Subject{})
	r.addUser(Subject{})
	r.addUser(Subject{}, staff)
	r.addUser(Subject{Status: identity.ReasonLocal})
	return r.close()
}

const (
	root = iota
	deputy
	ann
	bob
	cat
	dan
)

func officeBook() *Edit {
	e := NewBook().Edit()
	for i, to := range []int{root, deputy} {
		e.Put(grant(GrantID(fmt.Sprintf("a%d", i)), ApplicationAdmin, user(to)))
		e.Put(grant(GrantID(fmt.Sprintf("u%d", i)), UserAdmin, user(to)))
	}
	e.Put(grant("ann", UserAdmin, user(ann)))
	e.Put(grant("bob", ApplicationAdmin, user(bob)))
	e.Put(grant("dan", Audit, user(dan)))
	return e
}

func (r *roll) everybody() iter.Seq[identity.UserID] { return slices.Values(r.users) }

type officeNames struct{}

func (officeNames) UserName(u identity.UserID) string {
	for i, name := range []string{"root", "deputy", "ann", "bob", "cat", "dan"} {
		if u == userID(i) {
			return name
		}
	}
	return ""
}

func (officeNames) GroupName(g identity.GroupID) (string, identity.SourceID) {
	if g == groupID(0) {
		return "Staff", "corp-ad"
	}
	return "Stewards", identity.Local
}

func TestJudge(t *testing.T) {
	put := func(p Permission, to identity.Member) func(*roll, *Edit) {
		return func(_ *roll, e *Edit) { e.Put(grant("new", p, to)) }
	}
	settings := func(change func(*Settings)) func(*roll, *Edit) {
		return func(_ *roll, e *Edit) { change(&e.settings) }
	}
	join := func(user, group uint32) func(*roll, *Edit) {
		return func(r *roll, _ *Edit) { r.in[user] = append(slices.Clone(r.in[user]), group) }
	}
	standing := func(user int, s identity.Reason) func(*roll, *Edit) {
		return func(r *roll, _ *Edit) { r.who[user].Status = s }
	}
	held := func(s *Settings) { s.GrantRule = GrantRuleHeld }
	exclusive := func(s *Settings) { s.AdminGovernorExclusive = true }
	open := func(s *Settings) { s.AdminGovernorExclusive = false }
	noSelf := func(s *Settings) { s.ForbidSelfGrant = true }
	by := func(user int) Writer { return Writer{User: userID(user)} }
	for _, c := range []struct {
		name   string
		rules  func(*Settings)
		given  []Grant
		writer Writer
		write  []func(*roll, *Edit)
		want   string // the code
	}{
		{name: "a user administrator gives what he does not hold", writer: by(ann), write: acts(put(ApplicationAdmin, user(cat)))},
		{name: "and to a group", writer: by(ann), write: acts(put(Governance, group(1)))},
		{name: "and to himself", writer: by(ann), write: acts(put(Governance, user(ann)))},
		{name: "one who only configures does not", writer: by(bob), write: acts(put(CreateFilter, user(cat))), want: "grant_not_allowed"},
		{name: "not even what he holds", writer: by(bob), write: acts(put(ApplicationAdmin, user(cat))), want: "grant_not_allowed"},
		{name: "nobody known confers nothing", writer: Writer{}, write: acts(put(Audit, user(cat))), want: "grant_not_allowed"},
		{name: "a disabled administrator neither", given: []Grant{grant("x", UserAdmin, user(dan))}, writer: by(dan), write: acts(put(Audit, user(cat))), want: "grant_not_allowed"},
		{name: "what the write itself gives the writer is too late", writer: by(bob), write: acts(put(UserAdmin, user(bob))), want: "grant_not_allowed"},
		{name: "the system confers", writer: Writer{System: true}, write: acts(put(ApplicationAdmin, user(cat)))},
		{name: "a key without USER_ADMIN confers nothing", writer: Writer{User: userID(ann), Limit: []Permission{Audit}}, write: acts(put(Audit, user(cat))), want: "grant_not_allowed"},
		{name: "a key with it does", writer: Writer{User: userID(ann), Limit: []Permission{UserAdmin}}, write: acts(put(Audit, user(cat)))},

		{name: "a membership of a group that carries a grant", given: []Grant{grant("g", Audit, group(1))}, writer: by(bob), write: acts(join(bob, 1)), want: "grant_not_allowed"},
		{name: "a membership of a group nested in it", given: []Grant{grant("g", Audit, group(1))}, writer: by(bob), write: acts(join(bob, 0)), want: "grant_not_allowed"},
		{name: "a membership that gives nothing new", given: []Grant{grant("g", ApplicationAdmin, group(1))}, writer: by(bob), write: acts(join(bob, 0))},
		{name: "a nesting", given: []Grant{grant("g", Audit, group(0))}, writer: by(bob), want: "grant_not_allowed", write: acts(func(r *roll, _ *Edit) {
			r.nested[1] = []uint32{0}
			r.in[bob] = []uint32{1}
		})},
		{name: "an end that is put off", given: []Grant{past("g", Audit, user(cat))}, writer: by(bob), want: "grant_not_allowed", write: acts(func(_ *roll, e *Edit) {
			e.Put(grant("g", Audit, user(cat)))
		})},
		{name: "a name that enters the catalogue while somebody bears it", given: []Grant{grant("g", "APPROVER", user(cat))}, writer: by(bob), want: "grant_not_allowed", write: acts(func(_ *roll, e *Edit) {
			e.PutCustom(Entry{Name: "APPROVER"})
		})},
		{name: "a user who is enabled", writer: by(bob), write: acts(standing(dan, "")), want: "grant_not_allowed"},
		{name: "a user who is not there now", writer: by(bob), write: acts(put(Governance, user(dan))), want: "grant_not_allowed"},
		{name: "a write that raises nobody", writer: by(cat), write: acts(standing(ann, identity.ReasonLocal), func(_ *roll, e *Edit) { e.Remove("bob") })},

		{name: "held: what he holds", rules: held, given: []Grant{grant("g", Audit, group(1)), grant("h", UserAdmin, user(cat))}, writer: by(cat), write: acts(put(Audit, user(bob)))},
		{name: "held: what he does not", rules: held, writer: by(ann), write: acts(put(Audit, user(cat))), want: "grant_not_allowed"},
		{name: "held: of several the one that he does not", rules: held, writer: by(ann), write: acts(put(UserAdmin, user(cat)), func(_ *roll, e *Edit) { e.Put(grant("n2", Audit, user(bob))) }), want: "grant_not_allowed"},
		{name: "held: the user already had it", rules: held, given: []Grant{grant("g", Audit, user(cat))}, writer: by(ann), write: acts(put(Audit, group(0)))},
		{name: "held: a write that loosens the rule is judged by the old one", rules: held, writer: by(ann), write: acts(settings(func(s *Settings) { s.GrantRule = GrantRuleUserAdmin }), put(Audit, user(cat))), want: "grant_not_allowed"},
		{name: "an unknown rule is read as held", rules: func(s *Settings) { s.GrantRule = "four_eyes" }, writer: by(ann), write: acts(put(Audit, user(cat))), want: "grant_not_allowed"},

		{name: "not himself", rules: noSelf, writer: by(ann), write: acts(put(Audit, user(ann))), want: "grant_not_allowed"},
		{name: "not himself by a group", rules: noSelf, given: []Grant{grant("g", Audit, group(1))}, writer: by(ann), write: acts(join(ann, 0)), want: "grant_not_allowed"},
		{name: "the system raises whom it wants", rules: noSelf, writer: Writer{User: userID(cat), System: true}, write: acts(put(Audit, user(cat)))},
		{name: "but others", rules: noSelf, writer: by(ann), write: acts(put(Audit, user(cat)))},
		{name: "and himself what he has", rules: noSelf, writer: by(ann), write: acts(put(UserAdmin, user(ann)))},

		{name: "exclusive: an administrator becomes governor", rules: exclusive, writer: by(root), write: acts(put(Governance, user(bob))), want: "exclusive_roles"},
		{name: "exclusive: a governor becomes administrator by a group", rules: exclusive, given: []Grant{grant("g", Governance, user(cat))}, writer: by(root), write: acts(put(UserAdmin, group(1))), want: "exclusive_roles"},
		{name: "exclusive: by a membership", rules: exclusive, given: []Grant{grant("g", Governance, group(1))}, writer: by(root), write: acts(join(ann, 0)), want: "exclusive_roles"},
		{name: "exclusive: the system neither", rules: exclusive, writer: Writer{System: true}, write: acts(put(Governance, user(bob))), want: "exclusive_roles"},
		{name: "exclusive: a disabled one is enabled", rules: exclusive, given: []Grant{grant("g", Governance, user(dan)), grant("h", UserAdmin, user(dan))}, writer: by(root), write: acts(standing(dan, "")), want: "exclusive_roles"},
		{name: "exclusive: what a directory caused stands in nobody's way", rules: exclusive, given: []Grant{grant("g", Governance, user(bob))}, writer: by(root), write: acts(put(Audit, user(bob)))},
		{name: "exclusive: what is suppressed is conferred as well", rules: exclusive, writer: by(bob), write: acts(put(Governance, user(bob))), want: "grant_not_allowed"},
		{name: "switching it on while somebody holds both", given: []Grant{grant("g", Governance, user(bob))}, writer: by(bob), write: acts(settings(exclusive)), want: "exclusive_roles"},
		{name: "switching it on while nobody does", given: []Grant{grant("g", Governance, user(cat))}, writer: by(bob), write: acts(settings(exclusive))},
		{name: "switching it off while somebody is suppressed", rules: exclusive, given: []Grant{grant("g", Governance, user(bob))}, writer: by(bob), write: acts(settings(open)), want: "grant_not_allowed"},
		{name: "which a user administrator may", rules: exclusive, given: []Grant{grant("g", Governance, user(bob))}, writer: by(ann), write: acts(settings(open))},
		{name: "switching it off while nobody is", rules: exclusive, given: []Grant{grant("g", Governance, user(cat))}, writer: by(bob), write: acts(settings(open))},
		{name: "letting administrators subscribe", rules: func(s *Settings) { s.AdminsMaySubscribe = false }, given: []Grant{grant("g", CreateDataSource, user(ann))}, writer: by(bob), write: acts(settings(func(s *Settings) { s.AdminsMaySubscribe = true })), want: "grant_not_allowed"},
		{name: "letting them when nothing of theirs is masked", rules: func(s *Settings) { s.AdminsMaySubscribe = false }, given: []Grant{grant("g", CreateDataSource, user(cat))}, writer: by(bob), write: acts(settings(func(s *Settings) { s.AdminsMaySubscribe = true }))},
		{name: "taking what suppressed something", rules: exclusive, given: []Grant{grant("g", Governance, user(ann))}, writer: by(bob), write: acts(func(_ *roll, e *Edit) { e.Remove("ann") }), want: "grant_not_allowed"},

		{name: "one administrator less", writer: by(root), write: acts(func(_ *roll, e *Edit) { e.Remove("u1") })},
		{name: "the last one's grant", writer: by(root), write: acts(func(_ *roll, e *Edit) { e.Remove("u1"); e.Remove("a0") }), want: "last_administrator"},
		{name: "the last one gets an end", writer: by(root), want: "last_administrator", write: acts(func(_ *roll, e *Edit) {
			e.Remove("u1")
			g := grant("u0", UserAdmin, user(root))
			g.Expires = at(28)
			e.Put(g)
		})},
		{name: "the last one is disabled", writer: Writer{System: true}, write: acts(standing(root, identity.ReasonLocal), standing(deputy, identity.ReasonLocal)), want: "last_administrator"},
		{name: "two halves are no whole", writer: by(root), write: acts(func(_ *roll, e *Edit) { e.Remove("u0"); e.Remove("a1") }), want: "last_administrator"},
		{name: "a group does not count", given: []Grant{grant("g", ApplicationAdmin, group(1)), grant("h", UserAdmin, group(1))}, writer: by(root), write: acts(func(_ *roll, e *Edit) { e.Remove("u0"); e.Remove("a1") }), want: "last_administrator"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := officeBook()
			for _, g := range c.given {
				e.Put(g)
			}
			s := DefaultSettings()
			if c.rules != nil {
				c.rules(&s)
			}
			e.SetSettings(s)
			before, after := View{office(), e.Book(), officeNames{}}, office()
			for _, w := range c.write {
				w(after, e)
			}
			err := Judge(before, View{after.close(), e.Book(), officeNames{}}, after.everybody(), c.writer, at(10))
			if fault.Code(err) != c.want || (err == nil) != (c.want == "") {
				t.Errorf("Judge = %v (%s), want code %q", err, fault.Code(err), c.want)
			}
		})
	}
}

func acts(writes ...func(*roll, *Edit)) []func(*roll, *Edit) { return writes }

func past(id GrantID, p Permission, to identity.Member) Grant {
	g := grant(id, p, to)
	g.Expires = at(5)
	return g
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	e := officeBook()
	before := View{office(), e.Book(), officeNames{}}
	e.Put(grant("n", Audit, user(cat)))
	after := View{office(), e.Book(), officeNames{}}
	err := Judge(before, after, before.Reached(slices.Values([]identity.Member{user(cat)})), Writer{User: userID(bob)}, at(10))
	want := "this would give AUDIT to cat, which only a user administrator may: ask one"
	if err == nil || err.Error() != want || !errors.Is(err, fault.Denied) {
		t.Errorf("Judge = %v, want %s", err, want)
	}
	cause, ok := errors.AsType[*NotConferrable](err)
	if !ok || cause.User != userID(cat) || cause.Permission != Audit {
		t.Errorf("cause = %+v", cause)
	}
}

func TestExclusiveRolesAreNamedWithTheirPaths(t *testing.T) {
	e := officeBook()
	e.Put(grant("g", Governance, group(1)))
	before := View{office(), e.Book(), officeNames{}}
	e.Put(grant("n", UserAdmin, user(cat)))
	s := DefaultSettings()
	s.AdminGovernorExclusive = true
	e.SetSettings(s)
	after := View{office(), e.Book(), officeNames{}}
	err := Judge(before, after, after.SettingsReach(), Writer{User: userID(root)}, at(10))
	want := "admin_governor_exclusive allows nobody to be an administrator and a governor at once, and so would be: cat. " +
		"First take one of the two away: cat -> direct grant by root, 2 Nov -> USER_ADMIN, and " +
		"cat -> group Staff (corp-ad, nested in Stewards of local) -> grant by root, 2 Nov -> GOVERNANCE"
	if err == nil || !errors.Is(err, fault.Conflict) {
		t.Fatalf("Judge = %v, want a conflict", err)
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("Judge (-want +got):\n%s", diff)
	}
	cause, ok := errors.AsType[*ExclusiveRoles](err)
	if !ok || len(cause.Users) != 1 || cause.More || len(cause.Users[0].Governance.Steps) != 3 || len(cause.Users[0].AdminPath.Steps) != 1 {
		t.Errorf("cause = %+v", cause)
	}
}

func TestAtMostTwentyAreNamed(t *testing.T) {
	r := &roll{}
	g := r.addGroup()
	for range 30 {
		r.addUser(Subject{}, g)
	}
	e := NewBook().Edit()
	e.Put(grant("1", ApplicationAdmin, group(0)))
	e.Put(grant("2", Governance, group(0)))
	before := View{Members: r.close(), Book: e.Book()}
	s := DefaultSettings()
	s.AdminGovernorExclusive = true
	e.SetSettings(s)
	after := View{Members: r, Book: e.Book()}
	seen := 0
	affected := func(yield func(identity.UserID) bool) {
		for u := range after.SettingsReach() {
			seen++
			for range 2 {
				if !yield(u) {
					return
				}
			}
		}
	}
	err := Judge(before, after, affected, Writer{System: true}, at(10))
	cause, ok := errors.AsType[*ExclusiveRoles](err)
	if !ok || len(cause.Users) != MaxNamed || !cause.More || !strings.Contains(err.Error(), " and others") {
		t.Fatalf("Judge = %v, want twenty users and others", err)
	}
	if seen != MaxNamed+1 {
		t.Errorf("Judge looked at %d users, want it to stop at the one that it does not name", seen)
	}
}

func TestADenialComesBeforeAConflict(t *testing.T) {
	r := &roll{}
	g := r.addGroup()
	for range MaxNamed + 5 {
		r.addUser(Subject{}, g)
	}
	last := r.addUser(Subject{})
	e := NewBook().Edit()
	e.Put(grant("1", ApplicationAdmin, group(0)))
	e.Put(grant("2", Governance, group(0)))
	before := View{Members: r.close(), Book: e.Book()}
	e.settings.AdminGovernorExclusive = true
	e.Put(grant("3", Audit, identity.UserMember(last)))
	err := Judge(before, View{Members: r, Book: e.Book()}, r.everybody(), Writer{User: userID(0)}, at(10))
	if fault.Code(err) != "grant_not_allowed" {
		t.Errorf("Judge = %v, want the denial", err)
	}
}

func TestMayConfer(t *testing.T) {
	e := officeBook()
	v := View{Members: office(), Book: e.Book()}
	s := DefaultSettings()
	s.GrantRule = GrantRuleHeld
	e.SetSettings(s)
	strict := View{Members: office(), Book: e.Book()}
	for name, c := range map[string]struct {
		v    View
		w    Writer
		ps   []Permission
		want string
	}{
		"a user administrator":           {v, Writer{User: userID(ann)}, []Permission{Audit, "APPROVER"}, ""},
		"one who configures":             {v, Writer{User: userID(bob)}, []Permission{ApplicationAdmin}, "grant_not_allowed"},
		"the system":                     {strict, Writer{System: true}, []Permission{Audit}, ""},
		"held: what is held":             {strict, Writer{User: userID(root)}, []Permission{UserAdmin, ApplicationAdmin}, ""},
		"held: what is not":              {strict, Writer{User: userID(root)}, []Permission{UserAdmin, Audit}, "grant_not_allowed"},
		"held: what is not, custom":      {strict, Writer{User: userID(root)}, []Permission{"APPROVER"}, "grant_not_allowed"},
		"nothing can be given by anyone": {strict, Writer{}, nil, ""},
	} {
		if err := MayConfer(c.v, c.w, at(10), c.ps...); fault.Code(err) != c.want {
			t.Errorf("%s: MayConfer = %v, want code %q", name, err, c.want)
		}
	}
}

func TestJudgeGroups(t *testing.T) {
	nobodyIn := func() *roll {
		r := office()
		r.in[cat] = nil
		return r.close()
	}
	for name, c := range map[string]struct {
		rule   GrantRule
		writer int
		write  func(*roll, *Edit)
		want   string
	}{
		"a grant to an empty group":      {GrantRuleHeld, ann, func(_ *roll, e *Edit) { e.Put(grant("n", Audit, group(0))) }, "grant_not_allowed"},
		"of what the writer holds":       {GrantRuleHeld, ann, func(_ *roll, e *Edit) { e.Put(grant("n", UserAdmin, group(0))) }, ""},
		"under the looser rule":          {GrantRuleUserAdmin, ann, func(_ *roll, e *Edit) { e.Put(grant("n", Audit, group(0))) }, ""},
		"by no user administrator":       {GrantRuleUserAdmin, bob, func(_ *roll, e *Edit) { e.Put(grant("n", Audit, group(0))) }, "grant_not_allowed"},
		"a nesting of empty groups":      {GrantRuleHeld, ann, func(r *roll, _ *Edit) { r.nested[0] = []uint32{2} }, "grant_not_allowed"},
		"a nesting that gives nothing":   {GrantRuleHeld, ann, func(r *roll, _ *Edit) { r.nested[0] = nil }, ""},
		"a group that is deleted":        {GrantRuleHeld, ann, func(r *roll, _ *Edit) { r.missing[0] = true }, ""},
		"a group that comes with grants": {GrantRuleHeld, ann, func(_ *roll, e *Edit) { e.Put(grant("n", Audit, group(3))) }, "grant_not_allowed"},
	} {
		e := officeBook()
		e.Put(grant("g", Governance, group(2)))
		s := DefaultSettings()
		s.GrantRule = c.rule
		e.SetSettings(s)
		there, then := nobodyIn(), nobodyIn()
		for _, r := range []*roll{there, then} {
			r.addGroup()
			r.close()
		}
		then.addGroup()
		before := View{there, e.Book(), nil}
		c.write(then, e)
		err := JudgeGroups(before, View{then.close(), e.Book(), nil}, slices.Values(then.groups), Writer{User: userID(c.writer)}, at(10))
		if fault.Code(err) != c.want || (err == nil) != (c.want == "") {
			t.Errorf("%s: JudgeGroups = %v, want code %q", name, err, c.want)
		}
	}
}
