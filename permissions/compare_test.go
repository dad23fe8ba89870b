package permissions

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
)

func TestMayRaise(t *testing.T) {
	with := func(edit func(*Settings)) View {
		e := officeBook()
		s := DefaultSettings()
		edit(&s)
		e.SetSettings(s)
		return View{Members: office(), Book: e.Book()}
	}
	open := with(func(*Settings) {})
	strict := with(func(s *Settings) { s.GrantRule = GrantRuleHeld })
	noSelf := with(func(s *Settings) { s.ForbidSelfGrant = true })
	for name, c := range map[string]struct {
		v    View
		w    Writer
		who  identity.UserID
		p    Permission
		want string
	}{
		"a user administrator":            {open, Writer{User: userID(ann)}, userID(cat), Audit, ""},
		"himself":                         {open, Writer{User: userID(ann)}, userID(ann), Audit, ""},
		"himself where that is forbidden": {noSelf, Writer{User: userID(ann)}, userID(ann), Audit, "grant_not_allowed"},
		"another where it is":             {noSelf, Writer{User: userID(ann)}, userID(cat), Audit, ""},
		"the system":                      {noSelf, Writer{System: true}, userID(cat), Audit, ""},
		"one who configures":              {open, Writer{User: userID(bob)}, userID(cat), Audit, "grant_not_allowed"},
		"one who is yet to come":          {open, Writer{User: userID(bob)}, identity.UserID{}, Audit, "grant_not_allowed"},
		"held: what is held":              {strict, Writer{User: userID(root)}, userID(cat), UserAdmin, ""},
		"held: what is not":               {strict, Writer{User: userID(root)}, userID(cat), Audit, "grant_not_allowed"},
		"a key that has left it at home":  {open, Writer{User: userID(ann), Limit: []Permission{Audit}}, userID(cat), Audit, "grant_not_allowed"},
	} {
		err := MayRaise(c.v, c.w, at(10), func(yield func(identity.UserID, Permission) bool) { yield(c.who, c.p) })
		if fault.Code(err) != c.want {
			t.Errorf("%s: MayRaise = %v, want code %q", name, err, c.want)
		}
	}
}

func TestCompare(t *testing.T) {
	before := officeBook()
	was := View{Members: office(), Book: before.Book()}
	before.Put(grant("n", Audit, group(0)))
	is := View{Members: office(), Book: before.Book()}
	c := Compare(was, is, at(10))
	if !c.CarriesAfter(0) || c.CarriesSame(0) {
		t.Error("a group that was granted something carries the same")
	}
	for user := range was.Reached(func(yield func(identity.Member) bool) { yield(group(0)) }) {
		d := c.User(user)
		if diff := cmp.Diff([]Permission{Audit}, d.Gained); diff != "" || len(d.Lost) != 0 || !cmp.Equal(d.Gained, d.Raised) {
			t.Errorf("%v gained %v, lost %v, is raised %v", user, d.Gained, d.Lost, d.Raised)
		}
	}
	back := Compare(is, was, at(10))
	for user := range was.Reached(func(yield func(identity.Member) bool) { yield(group(0)) }) {
		if d := back.User(user); len(d.Gained)+len(d.Raised) != 0 || !cmp.Equal(d.Lost, []Permission{Audit}) {
			t.Errorf("%v gained %v, lost %v, is raised %v", user, d.Gained, d.Lost, d.Raised)
		}
	}
}
