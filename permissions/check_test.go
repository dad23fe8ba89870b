package permissions

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
)

// town is a roll in which every kind of answer occurs: ann (0) is in stewards (0),
// which is nested in emea (1), which is nested in world (2); bob (1) is disabled;
// cat (2) expires on the 20th; dan (3) is in no group.
func town() *roll {
	r := &roll{}
	world := uint32(2)
	stewards := r.addGroup(1)
	r.addGroup(world)
	r.addGroup(0) // a cycle
	r.addUser(Subject{}, stewards)
	r.addUser(Subject{Status: identity.ReasonLocal}, stewards)
	r.addUser(Subject{Expires: at(20)}, stewards)
	r.addUser(Subject{})
	return r.close()
}

func grant(id GrantID, p Permission, to identity.Member) Grant {
	return Grant{ID: id, Permission: p, Subject: to, By: "user:root", At: at(2), Origin: identity.Origin(identity.Local)}
}

func TestCheck(t *testing.T) {
	b := NewBook().Edit()
	b.Put(grant("g-world", Governance, group(2)))
	b.Put(grant("g-dan", Audit, user(3)))
	b.Put(grant("g-ann", "FINANCE_APPROVER", user(0)))
	past := grant("g-past", CreateFilter, group(1))
	past.Expires = at(5)
	b.Put(past)
	b.PutCustom(Entry{Name: "APPROVER"})
	book := b.Book()
	type answer struct {
		Allowed bool
		Why     Denial
		Status  identity.Reason
		Grant   GrantID
		Through identity.GroupID
	}
	for _, c := range []struct {
		name string
		user int
		p    Permission
		day  int
		want answer
	}{
		{"a grant to a group two nestings up", 0, Governance, 10, answer{Allowed: true, Grant: "g-world", Through: groupID(0)}},
		{"a grant to the user himself", 3, Audit, 10, answer{Allowed: true, Grant: "g-dan"}},
		{"nothing leads there", 3, Governance, 10, answer{Why: NotGranted}},
		{"a known permission that nobody has", 0, "APPROVER", 10, answer{Why: NotGranted}},
		{"an unknown user", 99, Governance, 10, answer{Why: UnknownUser}},
		{"a name without an entry is never effective", 0, "FINANCE_APPROVER", 10, answer{Why: UnknownPermission}},
		{"a disabled user", 1, Governance, 10, answer{Why: InactiveUser, Status: identity.ReasonLocal}},
		{"before the clock makes him inactive", 2, Governance, 19, answer{Allowed: true, Grant: "g-world", Through: groupID(0)}},
		{"at the instant at which he becomes so", 2, Governance, 20, answer{Why: InactiveUser, Status: identity.ReasonExpired}},
		{"before the grant expires", 0, CreateFilter, 4, answer{Allowed: true, Grant: "g-past", Through: groupID(0)}},
		{"at the instant at which it does", 0, CreateFilter, 5, answer{Why: ExpiredGrant, Grant: "g-past", Through: groupID(0)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := book.Check(town(), Request{User: userID(c.user), Permission: c.p, Now: at(c.day)})
			got := answer{Allowed: d.Allowed, Why: d.Why, Status: d.Status, Through: d.Through}
			if d.Grant != nil {
				got.Grant = d.Grant.ID
			}
			if diff := cmp.Diff(c.want, got, cmp.Comparer(func(x, y identity.GroupID) bool { return x == y })); diff != "" {
				t.Errorf("Check (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEffectiveGrantWinsOverExpiredOnes(t *testing.T) {
	e := NewBook().Edit()
	for i, to := range []identity.Member{user(0), group(0), group(1)} {
		g := grant(GrantID([]string{"a", "b", "c"}[i]), Audit, to)
		g.Expires = at(3)
		e.Put(g)
	}
	e.Put(grant("d", Audit, group(1)))
	d := e.Book().Check(town(), Request{User: userID(0), Permission: Audit, Now: at(10)})
	if !d.Allowed || d.Grant.ID != "d" || d.Through != groupID(0) || d.Why != "" {
		t.Errorf("Check = %+v, want allowed by grant d", d)
	}
}
