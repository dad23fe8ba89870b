package state

import (
	"iter"

	"github.com/rollcall-id/rollcall/identity"
)

// MissingGroupsOf yields the groups that their sources no longer have and that a user or
// a group would be directly in, with who says so. They carry nothing; what explains an
// answer names them. It looks at every group.
func (s *Snapshot) MissingGroupsOf(m identity.Member) iter.Seq2[identity.GroupID, []identity.SourceID] {
	return func(yield func(identity.GroupID, []identity.SourceID) bool) {
		r, ok := s.ref(m)
		if !ok {
			return
		}
		for h := range s.groups.Len() {
			g := s.groups.Ref(h)
			if !g.exists() || g.present() {
				continue
			}
			if by := origins(g, m, r); len(by) > 0 && !yield(g.id, by) {
				return
			}
		}
	}
}
