package permissions

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

// roll is a small, real implementation of [Members]: edges in, closure out.
type roll struct {
	users   []identity.UserID
	who     []Subject
	groups  []identity.GroupID
	missing []bool
	in      [][]uint32 // user -> groups, also missing ones
	nested  [][]uint32 // group -> groups that contain it, also missing ones

	userAt  map[identity.UserID]uint32
	groupAt map[identity.GroupID]uint32
	direct  [][]uint32
	above   [][]uint32
	members [][]uint32 // direct members, by group
}

func (r *roll) addUser(s Subject, groups ...uint32) identity.UserID {
	s.Handle = uint32(len(r.users))
	id := userID(len(r.users))
	r.users, r.who, r.in = append(r.users, id), append(r.who, s), append(r.in, groups)
	return id
}

func (r *roll) addGroup(within ...uint32) uint32 {
	r.groups, r.missing = append(r.groups, groupID(len(r.groups))), append(r.missing, false)
	r.nested = append(r.nested, within)
	return uint32(len(r.groups) - 1)
}

// close computes what the check reads. It is called after the last addition.
func (r *roll) close() *roll {
	r.userAt, r.groupAt = map[identity.UserID]uint32{}, map[identity.GroupID]uint32{}
	r.direct, r.above, r.members = make([][]uint32, len(r.users)), make([][]uint32, len(r.groups)), make([][]uint32, len(r.groups))
	for i, id := range r.users {
		r.userAt[id] = uint32(i)
		for _, g := range r.in[i] {
			if !r.missing[g] {
				r.direct[i] = append(r.direct[i], g)
				r.members[g] = append(r.members[g], uint32(i))
			}
		}
	}
	for g := range r.groups {
		if !r.missing[g] {
			r.groupAt[r.groups[g]] = uint32(g)
			r.above[g] = r.search(uint32(g), nil)
			r.above[g] = slices.DeleteFunc(r.above[g], func(x uint32) bool { return x == uint32(g) })
		}
	}
	return r
}

// search returns the groups that can be reached, breadth first. It notes in from,
// when that is given, where each was reached from.
func (r *roll) search(g uint32, from map[uint32]uint32) []uint32 {
	out := []uint32{g}
	for i := 0; i < len(out); i++ {
		for _, up := range r.nested[out[i]] {
			if !r.missing[up] && !slices.Contains(out, up) {
				out = append(out, up)
				if from != nil {
					from[up] = out[i]
				}
			}
		}
	}
	return out
}

func (r *roll) Subject(u identity.UserID) (Subject, bool) {
	h, ok := r.userAt[u]
	if !ok {
		return Subject{}, false
	}
	return r.who[h], true
}

func (r *roll) DirectGroups(user uint32) []uint32 { return r.direct[user] }

func (r *roll) Above(group uint32) []uint32 { return r.above[group] }

func (r *roll) GroupID(group uint32) identity.GroupID { return r.groups[group] }

func (r *roll) GroupHandle(id identity.GroupID) (uint32, bool) {
	h, ok := r.groupAt[id]
	return h, ok
}

func (r *roll) Via(from, to uint32) []uint32 {
	if from == to {
		return []uint32{from}
	}
	back := map[uint32]uint32{}
	if !slices.Contains(r.search(from, back), to) {
		return nil
	}
	chain := []uint32{to}
	for chain[len(chain)-1] != from {
		chain = append(chain, back[chain[len(chain)-1]])
	}
	slices.Reverse(chain)
	return chain
}

func (r *roll) MembersBelow(group uint32, yield func(identity.UserID) bool) {
	seen := map[uint32]bool{}
	for g := range r.groups {
		if uint32(g) != group && !slices.Contains(r.above[g], group) {
			continue
		}
		for _, u := range r.members[g] {
			if !seen[u] && !yield(r.users[u]) {
				return
			}
			seen[u] = true
		}
	}
}

func userID(n int) identity.UserID   { return must(identity.ParseUserID(uuid(n, 'a'))) }
func groupID(n int) identity.GroupID { return must(identity.ParseGroupID(uuid(n, 'b'))) }
func at(day int) time.Time           { return time.Date(2026, 11, day, 9, 0, 0, 0, time.UTC) }
func user(n int) identity.Member     { return identity.UserMember(userID(n)) }
func group(n int) identity.Member    { return identity.GroupMember(groupID(n)) }

// uuid makes the n-th id of a kind. Unlike real ones these differ in a few low bits
// only, which the hash of the book has to stand.
func uuid(n int, kind byte) string {
	var b [16]byte
	b[0] = kind
	binary.BigEndian.PutUint64(b[8:], uint64(n))
	const hexDigits = "0123456789abcdef"
	var out []byte
	for i, x := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, hexDigits[x>>4], hexDigits[x&15])
	}
	return string(out)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
