package state

import (
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// A slot is what the view keeps of one object. Slots are values in a persistent
// vector; their index is the object's handle, which means something only within one
// view. The stored bytes are kept as they are and decoded when somebody asks.

// userSlot is a user. One that is only mentioned, by a membership or a layer that
// came first, has an id and no value.
type userSlot struct {
	id       identity.UserID
	raw      string
	key      identity.Key
	name     string
	source   identity.SourceID
	off      identity.Reason // why the source keeps him out
	rev      store.Revision
	hash     uint64
	expires  int64  // Unix seconds; 0: never
	body     uint32 // size of the body of a push, at the end of raw; 0: none, or elsewhere
	missing  bool
	disabled bool          // locally
	moved    bool          // the key of his owning record, which was pushed, is not his id
	links    *[]linkedSlot // what other sources have of him; nil: nothing
}

func (u *userSlot) exists() bool { return u.raw != "" }

// status is why the user is inactive, the clock left out.
func (u *userSlot) status() identity.Reason {
	switch {
	case u.disabled:
		return identity.ReasonLocal
	case u.missing:
		return identity.ReasonMissing
	case u.off != identity.Active || u.links == nil:
		return u.off
	}
	why, _ := u.kept()
	return why
}

// ends is the instant after which the user is not let in any more, in Unix seconds; 0:
// never.
func (u *userSlot) ends() int64 {
	if u.links == nil {
		return u.expires
	}
	_, until := u.kept()
	if u.expires == 0 || until != 0 && until < u.expires {
		return until
	}
	return u.expires
}

// groupSlot is a group, with its members by who put them there.
type groupSlot struct {
	id      identity.GroupID
	raw     string
	key     identity.Key
	name    string
	source  identity.SourceID
	rev     store.Revision
	hash    uint64
	body    uint32 // as that of a user
	missing bool
	shut    bool     // the local members count for nothing
	parents []uint32 // present groups that it is directly in, sorted
	own     memberSet
	local   memberSet
}

func (g *groupSlot) exists() bool  { return g.raw != "" }
func (g *groupSlot) present() bool { return g.raw != "" && !g.missing }

// holds reports whether a member is one by anyone's word.
func (g *groupSlot) holds(m identity.Member, r ref) bool {
	return g.own.holds(m, r) || !g.shut && g.local.holds(m, r)
}

// here reports whether the reference is a member by an administrator's word, and that
// counts.
func (g *groupSlot) here(r ref) bool { return !g.shut && g.local.has(r) }

// refs yields every member that counts, once.
func (g *groupSlot) refs(yield func(ref) bool) {
	for r := range g.own.refs {
		if !yield(r) {
			return
		}
	}
	if g.shut {
		return
	}
	for r := range g.local.refs {
		if !g.own.has(r) && !yield(r) {
			return
		}
	}
}

// sortedRefs returns every member that counts, once and in order.
func (g *groupSlot) sortedRefs() []ref {
	refs := make([]ref, 0, g.own.len()+g.local.len())
	for _, set := range []*memberSet{&g.own, &g.local} {
		if g.shut && set == &g.local {
			continue
		}
		for c := range set.chunks {
			refs = append(refs, c.refs...)
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

// ref is the handle of a member: that of a user doubled, that of a group doubled
// plus one.
type ref uint32

// noRef is the reference of nobody: there are fewer handles than that.
const noRef = ^ref(0)

func userRef(h uint32) ref  { return ref(h << 1) }
func groupRef(h uint32) ref { return ref(h<<1 | 1) }

func (r ref) handle() uint32 { return uint32(r >> 1) }
func (r ref) isGroup() bool  { return r&1 == 1 }

// insertHandle returns sorted with h in it. It may reuse the space behind sorted,
// which is safe because only the newest version of a list is ever extended.
func insertHandle(sorted []uint32, h uint32) []uint32 {
	if n := len(sorted); n == 0 || sorted[n-1] < h {
		return append(sorted, h)
	}
	at, found := slices.BinarySearch(sorted, h)
	if found {
		return sorted
	}
	n := make([]uint32, 0, len(sorted)+1)
	n = append(n, sorted[:at]...)
	n = append(n, h)
	return append(n, sorted[at:]...)
}

// removeHandle returns a list without h and leaves sorted as it is.
func removeHandle(sorted []uint32, h uint32) []uint32 {
	at, found := slices.BinarySearch(sorted, h)
	if !found {
		return sorted
	}
	n := make([]uint32, 0, len(sorted)-1)
	n = append(n, sorted[:at]...)
	return append(n, sorted[at+1:]...)
}

// alias returns s as a part of raw where raw contains it, so that both share memory.
func alias(raw, s string) string {
	if at := strings.Index(raw, s); at >= 0 {
		return raw[at : at+len(s)]
	}
	return s
}

// intern returns one shared string for each of a few values.
func intern[S ~string](known map[S]S, s S) S {
	if k, ok := known[s]; ok {
		return k
	}
	s = S(strings.Clone(string(s))) // and not the large string that it may be a part of
	known[s] = s
	return s
}

// diffRefs walks two sorted lists and calls back for what is only in one of them.
func diffRefs(before, after []ref, gone, come func(ref)) {
	for i, j := 0, 0; i < len(before) || j < len(after); {
		switch {
		case j == len(after) || i < len(before) && before[i] < after[j]:
			gone(before[i])
			i++
		case i == len(before) || before[i] > after[j]:
			come(after[j])
			j++
		default:
			i, j = i+1, j+1
		}
	}
}
