package ldap

import (
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// Some entries change without a word of the directory, or have not been read as they
// are. A cursor names them, and the next read of changes reads them again.

// maxUnsettled is how many a cursor may name.
const maxUnsettled = 500

// computedControl is computed by the server whenever it is asked for: it holds the lock
// of an account until the time of the lock is over.
const computedControl = "msDS-User-Account-Control-Computed"

// unsettled lists groups whose members could not be read whole, those that the directory
// may be about to put right, and people whose lock ends by the clock: of the latter two as
// many as there is room for. It reports false when there are too many groups.
func (r *reading) unsettled() (list []identity.Gone, few bool) {
	for i := range r.out.Groups {
		if r.out.Groups[i].MembersUnknown != "" {
			list = append(list, identity.Gone{Key: r.out.Groups[i].Key, Group: true})
		}
	}
	if len(list) > maxUnsettled {
		return list, false
	}
	list = append(list, r.lateGroups(maxUnsettled-len(list))...)
	for _, k := range r.locked[:min(len(r.locked), maxUnsettled-len(list))] {
		list = append(list, identity.Gone{Key: k})
	}
	return list, true
}

// lockEnds reports whether the loaded entry is locked by what the server computes.
func (m *mapper) lockEnds() bool {
	for i := range m.locked {
		t := &m.locked[i]
		computed := equalFoldASCII([]byte(t.Attribute), computedControl)
		if t.expr != nil {
			computed = slices.Contains(t.expr.reads, strings.ToLower(computedControl))
		}
		if !computed {
			continue
		}
		if hit, err := m.hit(t); hit && err == nil {
			return true
		}
	}
	return false
}
