package state

import (
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

var _ permissions.Members = (*Snapshot)(nil)

// Subject implements permissions.Members.
func (s *Snapshot) Subject(id identity.UserID) (permissions.Subject, bool) {
	h, ok := s.userByID.Get(id)
	if !ok {
		return permissions.Subject{}, false
	}
	if s.plainUser(h) {
		return permissions.Subject{Handle: h}, true
	}
	u := s.users.Ref(int(h))
	if !u.exists() {
		return permissions.Subject{}, false
	}
	return subject(h, u), true
}

func subject(h uint32, u *userSlot) permissions.Subject {
	sub := permissions.Subject{Handle: h, Status: u.status(), Local: u.source == identity.Local}
	if end := u.ends(); end != 0 {
		sub.Expires = time.Unix(end, 0)
	}
	return sub
}

// DirectGroups implements permissions.Members. The space behind the list belongs to
// later snapshots.
func (s *Snapshot) DirectGroups(user uint32) []uint32 {
	return slices.Clip(s.within.At(int(user)))
}

// Above implements permissions.Members.
func (s *Snapshot) Above(group uint32) []uint32 { return s.closure().Above(group) }

// GroupID implements permissions.Members.
func (s *Snapshot) GroupID(group uint32) identity.GroupID { return s.groupIDs.At(int(group)) }

// GroupHandle implements permissions.Members.
func (s *Snapshot) GroupHandle(id identity.GroupID) (uint32, bool) {
	h, ok := s.groupByID.Get(id)
	return h, ok && s.groups.Ref(int(h)).present()
}

// Via implements permissions.Members.
func (s *Snapshot) Via(from, to uint32) []uint32 {
	return identity.Via(from, to, s.groupParents)
}

// MembersBelow implements permissions.Members.
func (s *Snapshot) MembersBelow(group uint32, yield func(identity.UserID) bool) {
	seenGroups := map[uint32]bool{group: true}
	seenUsers := map[uint32]bool{}
	for todo := []uint32{group}; len(todo) > 0; {
		g := s.groups.Ref(int(todo[len(todo)-1]))
		todo = todo[:len(todo)-1]
		if !g.present() {
			continue
		}
		more := true
		g.refs(func(r ref) bool {
			h := r.handle()
			switch {
			case r.isGroup() && !seenGroups[h]:
				seenGroups[h] = true
				todo = append(todo, h)
			case !r.isGroup() && !seenUsers[h]:
				seenUsers[h] = true
				if u := s.users.Ref(int(h)); u.exists() {
					more = yield(u.id)
				}
			}
			return more
		})
		if !more {
			return
		}
	}
}

func (s *Snapshot) groupParents(g uint32) []uint32 { return slices.Clip(s.groups.Ref(int(g)).parents) }

// closure returns what lies above each group, computing it once for all snapshots
// of the same nesting.
func (s *Snapshot) closure() *identity.Closure {
	s.nesting.once.Do(func() {
		s.nesting.closure = identity.Close(s.groups.Len(), func(g uint32) []uint32 {
			if !s.groups.Ref(int(g)).present() {
				return nil
			}
			return s.groupParents(g)
		})
	})
	return s.nesting.closure
}
