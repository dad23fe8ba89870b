package admin

import (
	"slices"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// Who administers a directory decides who is in its groups, and so who has what they
// are granted, here or by a group that they are nested in. That is allowed, and is one
// of the uses of groups; but it is done knowingly: with the word of a user
// administrator.

// directoryOf returns the source that decides about members of a group: its own, or
// that of a group nested in it through any number of others.
func directoryOf(s *state.Snapshot, group identity.GroupID) (identity.SourceID, bool) {
	seen, todo := map[identity.GroupID]bool{group: true}, []identity.GroupID{group}
	for len(todo) > 0 {
		id := todo[0]
		todo = todo[1:]
		if _, owner := s.Name(identity.GroupMember(id)); owner != identity.Local {
			return owner, true
		}
		for m := range s.Members(id) {
			if g, ok := m.Member.Group(); ok && !seen[g] {
				seen[g] = true
				todo = append(todo, g)
			}
		}
	}
	return "", false
}

// carries reports whether the members of a group are granted anything by it.
func carries(s *state.Snapshot, group identity.GroupID) bool {
	if len(s.Book().Of(identity.GroupMember(group))) > 0 {
		return true
	}
	h, ok := s.GroupHandle(group)
	return ok && slices.ContainsFunc(s.Above(h), func(above uint32) bool {
		return len(s.Book().Of(identity.GroupMember(s.GroupID(above)))) > 0
	})
}

// unacknowledged refuses to hand the decision who gets a permission to a directory
// without the word of the one who gives it.
func unacknowledged(owner identity.SourceID) error {
	return fault.New(fault.Conflict, "acknowledge_directory",
		"the directory of source %s decides who is in this group, so whoever administers it will decide who has the permission: if that is meant, say so with acknowledgeDirectory: true (--acknowledge-directory)", owner)
}

// consent is whether the caller says that he knows whose directory decides.
type consent uint8

const (
	unsaid consent = iota
	acknowledged
)

func consentOf(said bool) consent {
	if said {
		return acknowledged
	}
	return unsaid
}

// relies returns the source whose directory decides who gets what a group carries, when
// a member is put into it; "" when none does. Unless that is said to be meant it is
// refused.
func (c consent) relies(s *state.Snapshot, into identity.GroupID, m identity.Member) (identity.SourceID, error) {
	inner, ok := m.Group()
	if !ok || !carries(s, into) {
		return "", nil
	}
	owner, decides := directoryOf(s, inner)
	switch {
	case !decides:
		return "", nil
	case c == unsaid:
		return "", unacknowledged(owner)
	}
	return owner, nil
}
