package admin

import (
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// The floor of administrators: active users of source local who hold both
// APPLICATION_ADMIN and USER_ADMIN by a direct grant without expiry. No sync, no SCIM
// call and no clock can reach them, so only a local write could take the last one
// away, and permissions.Judge lets none. Whether there is one decides about the
// bootstrap.

// isAdministrator reports whether a user belongs to the floor.
func isAdministrator(s *state.Snapshot, id identity.UserID, now time.Time) bool {
	who, ok := s.Subject(id)
	if _, source := s.Name(identity.UserMember(id)); !ok || source != identity.Local || who.Inactive(now) != identity.Active {
		return false
	}
	held := map[permissions.Permission]bool{}
	for _, g := range s.Book().Of(identity.UserMember(id)) {
		held[g.Permission] = held[g.Permission] || g.Expires.IsZero()
	}
	return held[permissions.ApplicationAdmin] && held[permissions.UserAdmin]
}

// hasAdministrator reports whether anyone but the given user belongs to the floor.
func hasAdministrator(s *state.Snapshot, but identity.UserID, now time.Time) bool {
	for g := range s.Book().With(permissions.ApplicationAdmin) {
		if id, ok := g.Subject.User(); ok && id != but && isAdministrator(s, id, now) {
			return true
		}
	}
	return false
}
