package ldap

import (
	"slices"

	"github.com/rollcall-id/rollcall/identity"
)

// OpenLDAP answers a rename or a deletion before its overlay refint writes it into the
// groups, and stamps nothing when it does: a group that is read in between lists somebody
// where he is no more, and no change will ever tell that it does not. So such a group is
// read again with the next changes, as long as it lists anybody who is not there, a few
// times, and who waits for the next ones is woken once for it. In a directory without refint
// those are some small reads for nothing.

// lateReads is with how many reads of changes a group is read again.
const lateReads = 3

// mendsLate reports whether the directory may still be about to put right what refers to
// those who were renamed or deleted. 389 Directory Server tells of it as of any change.
func (r *reading) mendsLate() bool {
	family, _ := r.c.root.family()
	return family == TemplateOpenLDAP && r.base != nil
}

// overtaken finds the groups that list somebody where he was until this read, or where
// nobody is yet that was to be looked at again. It returns with how many of the next reads
// they are.
func (r *reading) overtaken(from *cursor) (left int) {
	if !r.mendsLate() {
		return 0
	}
	before := map[identity.Key]bool{}
	if from.Late > 1 {
		left = from.Late - 1
		for _, x := range from.Unsettled {
			before[x.Key] = x.Group
		}
	}
	for i := range r.clans {
		key, lost := r.groups.keys[r.clans[i].i], r.lost(&r.clans[i])
		now := slices.ContainsFunc(lost, func(l laterMember) bool { _, was := r.base.at(l.key); return was })
		if now {
			left = lateReads
		}
		if now || before[key] && len(lost) > 0 {
			r.late = append(r.late, key)
		}
	}
	if len(r.late) == 0 {
		return 0
	}
	return left
}

// lateGroups names as many of them as there is room for beside others: a comparison of
// everything finds the rest.
func (r *reading) lateGroups(room int) []identity.Gone {
	var out []identity.Gone
	for _, key := range r.late[:min(len(r.late), room)] {
		out = append(out, identity.Gone{Key: key, Group: true})
	}
	return out
}
