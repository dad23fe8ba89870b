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
	Suppressed        Denial = "suppressed"  // granted, but admin_governor_exclusive withholds it
	Masked            Denial = "masked"      // granted, but a setting about subscribing withholds it
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
	// Setting is the one that withholds the permission, when that is the denial.
	Setting Setting
	// Grant is the one that allows it, would allow it were it not for the setting, or
	// has expired; else nil. Of several, a grant to the user himself comes first. It is
	// read only.
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
	if !b.known(r.Permission) {
		return Decision{Why: UnknownPermission}
	}
	if status := who.Inactive(r.Now); status != identity.Active {
		return Decision{Why: InactiveUser, Status: status}
	}
	d := b.granted(m, who.Handle, r)
	if d.Allowed && b.settings.concern(r.Permission) {
		b.withhold(&d, m, who.Handle, r)
	}
	return d
}

// CheckSubscribe decides whether a user may subscribe to data sources: every active
// user may, unless a setting says otherwise of administrators or of governors.
func (b *Book) CheckSubscribe(m Members, user identity.UserID, now time.Time) Decision {
	who, ok := m.Subject(user)
	if !ok {
		return Decision{Why: UnknownUser}
	}
	if status := who.Inactive(now); status != identity.Active {
		return Decision{Why: InactiveUser, Status: status}
	}
	d := Decision{Allowed: true}
	if b.settings.concern(Subscribe) {
		b.withhold(&d, m, who.Handle, Request{User: user, Permission: Subscribe, Now: now})
	}
	return d
}

// withhold turns a yes into a no when a setting wants it so.
func (b *Book) withhold(d *Decision, m Members, user uint32, r Request) {
	var room [2]Withholding
	if ws := b.withholdings(room[:0], m, user, r); len(ws) > 0 {
		d.Allowed, d.Why, d.Setting = false, ws[0].why(), ws[0].Setting
	}
}

// withholdings appends every setting that keeps a permission from an active user.
func (b *Book) withholdings(to []Withholding, m Members, user uint32, r Request) []Withholding {
	has := func(p Permission) bool {
		return b.granted(m, user, Request{User: r.User, Permission: p, Now: r.Now}).Allowed
	}
	return b.settings.withhold(to, r.Permission, b.settings.roles(has))
}

// granted answers for an active user and a permission of the catalogue, leaving the
// settings out.
func (b *Book) granted(m Members, user uint32, r Request) Decision {
	d := Decision{Why: NotGranted}
	h, held := b.holders.Get(r.Permission)
	if !held || h.direct(&d, &r) || h.groups.Len() == 0 {
		return d
	}
	for _, direct := range m.DirectGroups(user) {
		group := m.GroupID(direct)
		if h.sieve.mayHave(group.Bytes()) && h.through(&d, group, group, r.Now) {
			return d
		}
		for _, handle := range m.Above(direct) {
			above := m.GroupID(handle)
			if h.sieve.mayHave(above.Bytes()) && h.through(&d, group, above, r.Now) {
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
func (h *holders) through(d *Decision, direct, group identity.GroupID, now time.Time) bool {
	gs, ok := h.groups.Get(group.Bytes())
	if !ok {
		return false
	}
	first := d.Grant == nil
	settled := d.settle(gs, now)
	if settled || first {
		d.Through = direct
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
