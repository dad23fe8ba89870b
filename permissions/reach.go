package permissions

import (
	"iter"

	"github.com/rollcall-id/rollcall/identity"
)

// Reached yields every user whom something reaches that is given to, or done to,
// these users and groups: the users themselves, and the members of the groups,
// directly or through nesting. A user who is reached more than once may be yielded
// as often.
func (v View) Reached(ms iter.Seq[identity.Member]) iter.Seq[identity.UserID] {
	return func(yield func(identity.UserID) bool) {
		more := true
		offer := func(u identity.UserID) bool {
			more = yield(u)
			return more
		}
		for m := range ms {
			if u, ok := m.User(); ok {
				offer(u)
			} else if g, ok := m.Group(); ok {
				if h, ok := v.Members.GroupHandle(g); ok {
					v.Members.MembersBelow(h, offer)
				}
			}
			if !more {
				return
			}
		}
	}
}

// Given yields every user whom grants of these permissions reach, effective or not,
// as [View.Reached] does.
func (v View) Given(ps ...Permission) iter.Seq[identity.UserID] {
	return v.Reached(func(yield func(identity.Member) bool) {
		for _, p := range ps {
			for g := range v.Book.With(p) {
				if !yield(g.Subject) {
					return
				}
			}
		}
	})
}

// SettingsReach yields every user of whom a change of settings can change what he
// may do: whoever was granted what a setting can withhold.
func (v View) SettingsReach() iter.Seq[identity.UserID] { return v.Given(withholdable[:]...) }

// Administrators yields the floor of administrators: the active users of source
// local, themselves without an end, who hold both APPLICATION_ADMIN and USER_ADMIN by
// a direct grant without expiry. No sync, no push and no clock can reach them, so only a local write could
// take the last one away, and [Judge] lets none.
func (v View) Administrators() iter.Seq[identity.UserID] {
	return func(yield func(identity.UserID) bool) {
		h, _ := v.Book.holders.Get(ApplicationAdmin)
		for _, gs := range h.users.All() {
			user, _ := gs[0].Subject.User()
			if v.isAdministrator(user) && !yield(user) {
				return
			}
		}
	}
}

func (v View) isAdministrator(user identity.UserID) bool {
	who, ok := v.Members.Subject(user)
	if !ok || !who.Local || who.Status != identity.Active || !who.Expires.IsZero() {
		return false
	}
	var configures, administers bool
	for _, g := range v.Book.Of(identity.UserMember(user)) {
		configures = configures || g.Permission == ApplicationAdmin && g.Expires.IsZero()
		administers = administers || g.Permission == UserAdmin && g.Expires.IsZero()
	}
	return configures && administers
}

func (v View) hasAdministrator() bool {
	for range v.Administrators() {
		return true
	}
	return false
}
