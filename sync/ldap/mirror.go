package ldap

import (
	"hash/maphash"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
)

// mirror is what a source remembers between two reads, so that the second need not
// read everything to know whom a DN means: the DN of every user and group that is
// present in the roll, with the change stamp that it had. It is as of one cursor. It
// is a cache: where it is not of the cursor that a read begins at, it is made again
// from the roll, without stamps.
type mirror struct {
	hasher *dnHasher
	cursor identity.Cursor
	dns    map[dnKey]int32 // to places
	names  map[dnKey]int32 // of people by login name; nil where no group lists names
	places []place
	free   []int32
	// lost holds the groups that list a DN or a name that nobody answers to; the empty
	// key those whose list was too long to be kept whole.
	lost map[dnKey][]identity.Key
	// rivals says that a login name is not one person's. Whose it is once one of them has
	// gone is not remembered, so such a mirror serves one read only.
	rivals bool
	// stamped says that the places have stamps.
	stamped bool
	// fromRoll says that what the last run did before it broke off may be in it.
	fromRoll bool

	// next is what the last read found, which is in the roll once a read begins at its
	// cursor.
	next       *news
	nextCursor identity.Cursor
}

// place is a user or a group at its DN.
type place struct {
	key   identity.Key // "": free
	group bool
	left  bool   // it was skipped
	stamp uint64 // 0: not known
}

// news is what a read brings to the mirror.
type news struct {
	moved   []move // DNs that are not those of their entries any more, or that are
	unnamed []dnKey
	lost    map[identity.Key][]dnKey
}

// move puts an entry at a DN or takes it away from there.
type move struct {
	dn    dnKey
	names []dnKey
	place place // the key is "" when the DN becomes free
}

func (n *news) isEmpty() bool { return n == nil || len(n.moved)+len(n.lost) == 0 }

func newMirror(h *dnHasher, cursor identity.Cursor, byName, stamped bool) *mirror {
	m := &mirror{hasher: h, cursor: cursor, dns: map[dnKey]int32{}, lost: map[dnKey][]identity.Key{}, stamped: stamped}
	if byName {
		m.names = map[dnKey]int32{}
	}
	return m
}

// stampOf is the hash of a change stamp, never 0.
func stampOf(seed maphash.Seed, v []byte) uint64 { return maphash.Bytes(seed, v) | 1 }

// put places an entry, which may be there already.
func (m *mirror) put(dn dnKey, names []dnKey, p place) {
	at, ok := m.dns[dn]
	switch {
	case ok:
	case len(m.free) > 0:
		at = m.free[len(m.free)-1]
		m.free = m.free[:len(m.free)-1]
	default:
		at = int32(len(m.places))
		m.places = append(m.places, place{})
	}
	m.places[at], m.dns[dn] = p, at
	if m.names == nil {
		return
	}
	for _, n := range names {
		old, taken := m.names[n]
		if taken && (old == ambiguousPlace || m.places[old].key != p.key && m.places[old].key != "") {
			m.names[n], m.rivals = ambiguousPlace, true
		} else {
			m.names[n] = at
		}
	}
}

// ambiguousPlace stands for a login name that more than one person has.
const ambiguousPlace int32 = -1

func (m *mirror) remove(dn dnKey) {
	if at, ok := m.dns[dn]; ok {
		delete(m.dns, dn)
		m.places[at] = place{}
		if m.names == nil { // else a name may still lead there
			m.free = append(m.free, at)
		}
	}
}

// at returns who is at a DN.
func (m *mirror) at(dn dnKey) (place, bool) {
	at, ok := m.dns[dn]
	if !ok {
		return place{}, false
	}
	return m.places[at], true
}

// isAt reports whether an entry is at a DN.
func (m *mirror) isAt(dn []byte, key identity.Key) bool {
	p, ok := m.at(m.hasher.key(dn))
	return ok && p.key == key
}

// called returns who has a login name.
func (m *mirror) called(name dnKey) (p place, ambiguous, ok bool) {
	at, ok := m.names[name]
	if !ok || at == ambiguousPlace {
		return place{}, ok, ok
	}
	p = m.places[at]
	return p, false, p.key != ""
}

// learn takes in what a read found that is in the roll by now. What moved away goes
// first: its DN may be another's.
func (m *mirror) learn(n *news, cursor identity.Cursor) {
	m.cursor = cursor
	if n == nil {
		return
	}
	for _, x := range n.moved {
		if x.place.key == "" {
			m.remove(x.dn)
		}
	}
	for _, name := range n.unnamed {
		if m.names[name] != ambiguousPlace {
			delete(m.names, name)
		}
	}
	for _, x := range n.moved {
		if x.place.key != "" {
			m.put(x.dn, x.names, x.place)
		}
	}
	for group, keys := range n.lost {
		for _, k := range keys {
			m.lost[k] = appendNew(m.lost[k], group)
		}
	}
}

func appendNew(list []identity.Key, k identity.Key) []identity.Key {
	if slices.Contains(list, k) {
		return list
	}
	return append(list, k)
}

// mirrorOf makes a mirror from what the roll has.
func mirrorOf(known sync.Known, cursor identity.Cursor, byName bool) *mirror {
	m := newMirror(newDNHasher(), cursor, byName, false)
	m.fromRoll = true
	for _, group := range []bool{false, true} {
		for key := range known.Present(group) {
			r := known.Stored(group, key)
			if r == nil {
				continue
			}
			var names []dnKey
			if byName && !group {
				names = []dnKey{m.hasher.name(r.Name)}
			}
			dn := []byte(r.DN)
			m.put(m.hasher.key(dn), names, place{key: key, group: group})
			for _, k := range m.hasher.unresolved(r.Unresolved) {
				m.lost[k] = appendNew(m.lost[k], key)
			}
		}
	}
	return m
}

// unresolved returns what the texts of unresolved members are looked up by. A list
// that was cut short has the empty key.
func (h *dnHasher) unresolved(texts []string) []dnKey {
	var out []dnKey
	for _, t := range texts {
		if cutShort(t) {
			out = append(out, dnKey{})
			continue
		}
		t = strings.TrimSuffix(strings.TrimSuffix(t, twice), skippedEntry)
		out = append(out, h.key(memberDN([]byte(t))), h.name(t))
	}
	return out
}
