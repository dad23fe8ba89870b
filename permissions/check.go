package permissions

import (
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

// Request asks whether a user has a permission at an instant.
type Request struct {
	User       identity.UserID
	Permission Permission
	Now        time.Time
}

// Denial is why the answer is no. It is a stable code; "" stands for yes.
type Denial string

// The denials, strongest first: when several hold, the first is given.
const (
	UnknownUser       Denial = "unknown_user"
	UnknownPermission Denial = "unknown_permission" // no entry of the catalogue has this name
	InactiveUser      Denial = "inactive"
	ExpiredGrant      Denial = "expired"     // there was a grant, and there is no other
	NotGranted        Denial = "not_granted" // nothing leads from the user to this permission
)

// Decision is the answer to a [Request]. It is a value and costs no memory.
type Decision struct {
	Allowed bool
	// Why is the denial, "" when allowed.
	Why Denial
	// Status is why the user is inactive, when that is the denial.
	Status identity.Reason
	// Grant is the one that allows it, or that has expired; else nil. Of several, a
	// grant to the user himself comes first. It is read only.
	Grant *Grant
	// Through is the group that the user is a direct member of and that leads to the
	// grant: its subject, or nested in it. Zero when the grant is to the user himself.
	Through identity.GroupID
}

// Check decides. It allocates nothing, and the book, the members and the instant
// are all that it depends on.
func (b *Book) Check(m Members, r Request) Decision {
	who, ok := m.Subject(r.User)
	if !ok {
		return Decision{Why: UnknownUser}
	}
	h, held := b.holders.Get(r.Permission)
	if !b.known(r.Permission) {
		return Decision{Why: UnknownPermission}
	}
	if status := who.Inactive(r.Now); status != identity.Active {
		return Decision{Why: InactiveUser, Status: status}
	}
	d := Decision{Why: NotGranted}
	if !held || h.direct(&d, &r) || h.groups.Len() == 0 {
		return d
	}
	for _, group := range m.DirectGroups(who.Handle) {
		if h.through(&d, m, group, group, r.Now) {
			return d
		}
		for _, above := range m.Above(group) {
			if h.through(&d, m, group, above, r.Now) {
				return d
			}
		}
	}
	return d
}

// direct looks for a grant to the user himself and reports whether that settles it.
func (h *holders) direct(d *Decision, r *Request) bool {
	if h.users.Len() == 0 {
		return false
	}
	gs, ok := h.users.Get(identity.UserMember(r.User).Bytes())
	return ok && d.settle(gs, r.Now)
}

// through looks at what one group carries of the permission, which for nearly every
// group is nothing, and reports whether that settles it.
func (h *holders) through(d *Decision, m Members, direct, group uint32, now time.Time) bool {
	gs, ok := h.groups.Get(identity.GroupMember(m.GroupID(group)).Bytes())
	if !ok {
		return false
	}
	first := d.Grant == nil
	settled := d.settle(gs, now)
	if settled || first {
		d.Through = m.GroupID(direct)
	}
	return settled
}

// settle takes the first grant that counts. Failing that, it remembers the first
// that has expired, if none is remembered.
func (d *Decision) settle(gs []*Grant, now time.Time) bool {
	for _, g := range gs {
		if g.Effective(now) {
			*d = Decision{Allowed: true, Grant: g}
			return true
		}
	}
	if d.Grant == nil && len(gs) > 0 {
		d.Why, d.Grant = ExpiredGrant, gs[0]
	}
	return false
}
