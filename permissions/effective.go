package permissions

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

// Effective is all that one user may do at one instant, with the grants behind it.
type Effective struct {
	User identity.UserID
	// Why says that the user may do nothing because he is unknown or inactive; "" else.
	Why    Denial
	Status identity.Reason // why he is inactive
	// Held lists the permissions by name. Each has at least one grant.
	Held []Held
	// Suppressed is GOVERNANCE where admin_governor_exclusive withholds it; Masked are
	// the permissions that a setting about subscribing withholds, by name. Neither is
	// among Held.
	Suppressed, Masked []Withheld
	// MaySubscribe is as [Book.CheckSubscribe] says; Unsubscribed are the settings
	// that withhold it.
	MaySubscribe bool
	Unsubscribed []Withholding
}

// Withheld is a permission that was granted and that settings withhold.
type Withheld struct {
	Held
	By []Withholding // at least one
}

// Held is one effective permission and the grants that give it, the user's own
// first, then those of his groups, each by id. The grants are read only.
type Held struct {
	Permission Permission
	Grants     []*Grant
}

// Has reports whether the permission is among the effective ones.
func (e *Effective) Has(p Permission) bool {
	_, ok := slices.BinarySearchFunc(e.Held, p, func(h Held, p Permission) int { return cmp.Compare(h.Permission, p) })
	return ok
}

// Permissions returns the names of the effective permissions, sorted.
func (e *Effective) Permissions() []Permission {
	out := make([]Permission, len(e.Held))
	for i := range e.Held {
		out[i] = e.Held[i].Permission
	}
	return out
}

// Effective returns what the user may do at the given instant.
func (b *Book) Effective(m Members, user identity.UserID, now time.Time) Effective {
	e := Effective{User: user}
	who, ok := m.Subject(user)
	if !ok {
		e.Why = UnknownUser
		return e
	}
	if e.Status = who.Inactive(now); e.Status != identity.Active {
		e.Why = InactiveUser
		return e
	}
	gs := b.counting(nil, identity.UserMember(user), now)
	for _, group := range groupsOf(m, who.Handle) {
		gs = b.counting(gs, identity.GroupMember(m.GroupID(group)), now)
	}
	slices.SortFunc(gs, func(x, y *Grant) int {
		return cmp.Or(cmp.Compare(x.Permission, y.Permission), x.Subject.Compare(y.Subject), cmp.Compare(x.ID, y.ID))
	})
	for len(gs) > 0 {
		n := 1
		for n < len(gs) && gs[n].Permission == gs[0].Permission {
			n++
		}
		e.Held = append(e.Held, Held{Permission: gs[0].Permission, Grants: gs[:n:n]})
		gs = gs[n:]
	}
	e.apply(&b.settings)
	return e
}

// apply takes out what the settings withhold.
func (e *Effective) apply(s *Settings) {
	r := s.roles(e.Has)
	e.Unsubscribed = s.withhold(nil, Subscribe, r)
	e.MaySubscribe = len(e.Unsubscribed) == 0
	e.Held = slices.DeleteFunc(e.Held, func(h Held) bool {
		by := s.withhold(nil, h.Permission, r)
		switch {
		case len(by) == 0:
			return false
		case by[0].why() == Suppressed:
			e.Suppressed = append(e.Suppressed, Withheld{h, by})
		default:
			e.Masked = append(e.Masked, Withheld{h, by})
		}
		return true
	})
}

// counting appends the grants to a subject that are effective.
func (b *Book) counting(to []*Grant, subject identity.Member, now time.Time) []*Grant {
	for _, g := range b.Of(subject) {
		if g.Effective(now) && b.known(g.Permission) {
			to = append(to, g)
		}
	}
	return to
}

// groupsOf returns every group that the user is in, directly or by nesting, once.
func groupsOf(m Members, user uint32) []uint32 {
	var out []uint32
	for _, group := range m.DirectGroups(user) {
		out = append(out, group)
		out = append(out, m.Above(group)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// WhoCan yields every user who has the permission at the given instant, each once,
// in no particular order: exactly those for whom [Book.Check] says yes.
func (b *Book) WhoCan(m Members, p Permission, now time.Time) iter.Seq[identity.UserID] {
	return func(yield func(identity.UserID) bool) {
		h, held := b.holders.Get(p)
		if !held || !b.known(p) {
			return
		}
		var seen marks
		more := true
		offer := func(user identity.UserID) bool {
			who, ok := m.Subject(user)
			if ok && seen.add(who.Handle) && who.Inactive(now) == identity.Active &&
				!b.withheld(m, who.Handle, Request{User: user, Permission: p, Now: now}) {
				more = yield(user)
			}
			return more
		}
		for _, gs := range h.users.All() {
			if user, _ := gs[0].Subject.User(); anyEffective(gs, now) && !offer(user) {
				return
			}
		}
		for _, gs := range h.groups.All() {
			id, _ := gs[0].Subject.Group()
			group, ok := m.GroupHandle(id)
			if !ok || !anyEffective(gs, now) {
				continue
			}
			if m.MembersBelow(group, offer); !more {
				return
			}
		}
	}
}

// withheld reports whether a setting keeps a permission from an active user.
func (b *Book) withheld(m Members, user uint32, r Request) bool {
	var room [2]Withholding
	return b.settings.concern(r.Permission) && len(b.withholdings(room[:0], m, user, r)) > 0
}

func anyEffective(gs []*Grant, now time.Time) bool {
	return slices.ContainsFunc(gs, func(g *Grant) bool { return g.Effective(now) })
}

// marks is a set of handles, which are small numbers.
type marks []uint64

// add reports whether the handle was new.
func (s *marks) add(h uint32) bool {
	at := int(h / 64)
	if at >= len(*s) {
		*s = append(*s, make(marks, at+1-len(*s))...)
	}
	bit := uint64(1) << (h % 64)
	had := (*s)[at]&bit != 0
	(*s)[at] |= bit
	return !had
}
