package ldap

import (
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/rollcall-id/rollcall/identity"
)

// clan is a group while it is being read: its members are found one after the other,
// nested groups only when all groups are known.
type clan struct {
	i      int32 // its number among the groups
	record *identity.Record
	hash   uint64 // without what is unresolved
	roll
	ranged  span
	before  marks // where the ranged values begin
	dn      string
	stamp   string
	unknown string
	sid     string // where people have primary groups
	primary []ref  // whose primary group it is, in a read of changes
}

// roll holds the members of one group.
type roll struct {
	found []ref
	later []laterMember
	names []string // in a read of changes, which may yet find that somebody is gone
	lost  []string // what nobody answers to
}

type laterMember struct {
	key  dnKey
	text string
}

// marks remembers how long the lists of a roll were.
type marks struct{ found, later, names, lost int }

func (o *roll) marks() marks { return marks{len(o.found), len(o.later), len(o.names), len(o.lost)} }

func (o *roll) back(m marks) {
	o.found, o.later, o.names, o.lost = o.found[:m.found], o.later[:m.later], o.names[:m.names], o.lost[:m.lost]
}

// clan takes in one group.
func (r *reading) clan(e *Entry) error {
	h := &r.groups
	h.m.load(e)
	key, err := h.m.entryKey()
	if err != nil {
		h.t.fresh++
		r.skip(h, "", e.DN, err.Error())
		return nil
	}
	if torn, err := h.tear(key, e); torn {
		return err
	}
	i, first := h.meet(key)
	r.index(h, i, e.DN)
	if !first {
		return nil
	}
	g := clan{i: i, hash: h.m.hash()}
	if g.record, err = h.m.record(r.s.id, key, g.hash); err != nil {
		r.skip(h, key, e.DN, err.Error())
		return nil
	}
	for _, s := range h.m.ranged {
		switch {
		case s.next == 0:
		case g.ranged.next != 0:
			g.unknown = "the server gives the members of more than one attribute in pieces"
		default:
			g.ranged, g.dn, g.stamp = s, string(e.DN), string(h.m.stampValue())
		}
	}
	if h.m.sid >= 0 && len(h.m.values[h.m.sid]) == 1 {
		g.sid = string(h.m.values[h.m.sid][0])
		g.found = append(g.found, r.primary[g.sid]...)
	}
	for _, ms := range h.m.members {
		if g.ranged.next == 0 || ms.slot != g.ranged.slot {
			r.enroll(&g.roll, ms, h.m.values[ms.slot])
		}
	}
	g.before = g.marks()
	if g.ranged.next != 0 {
		r.enroll(&g.roll, h.m.memberSlot(g.ranged.slot), h.m.values[g.ranged.slot])
	}
	r.clans = append(r.clans, g)
	return nil
}

func (m *mapper) memberSlot(slot int) memberSlot {
	for _, ms := range m.members {
		if ms.slot == slot {
			return ms
		}
	}
	return memberSlot{slot: slot, by: byDN}
}

// stampValue returns what changes when the loaded entry does, or nil.
func (m *mapper) stampValue() []byte {
	if m.stamp < 0 || len(m.values[m.stamp]) == 0 {
		return nil
	}
	return m.values[m.stamp][0]
}

// enroll adds the values of one member attribute.
func (r *reading) enroll(o *roll, ms memberSlot, values [][]byte) {
	for _, v := range values {
		if len(v) == 0 {
			continue // some servers let a group without members have an empty one
		}
		if ms.by == byName {
			if r.base == nil {
				r.enrollNamed(o, string(v))
			} else {
				o.names = append(o.names, string(v))
			}
			continue
		}
		k := r.hasher.key(memberDN(v))
		if i, ok := r.dns[k]; ok {
			o.found = append(o.found, i)
		} else {
			o.later = append(o.later, laterMember{k, string(v)})
		}
	}
}

// enrollNamed adds the one who has a login name.
func (r *reading) enrollNamed(o *roll, name string) {
	switch i, ok := r.named(r.hasher.name(name)); {
	case !ok:
		o.lost = append(o.lost, name)
	case i == ambiguous:
		o.lost = append(o.lost, name+twice)
	default:
		o.found = append(o.found, i)
	}
}

// memberDN takes what is not the DN off a value: the uid of uniqueMember
// ("cn=a,dc=x#'01'B", RFC 4517 §3.3.21) and the GUID and SID of an extended DN
// ("<GUID=...>;<SID=...>;cn=a,dc=x", MS-ADTS 3.1.1.3.4.1.5).
func memberDN(v []byte) []byte {
	for len(v) > 0 && v[0] == '<' {
		end := slices.Index(v, ';')
		if end < 0 {
			break
		}
		v = v[end+1:]
	}
	if n := len(v); n > 3 && v[n-1] == 'B' && v[n-2] == '\'' {
		i := n - 3
		for i > 0 && (v[i] == '0' || v[i] == '1') {
			i--
		}
		if i > 0 && v[i] == '\'' && v[i-1] == '#' {
			return v[:i-1]
		}
	}
	return v
}

// join resolves what had to wait for all groups and puts the groups out.
func (r *reading) join() {
	r.out.Groups = make([]identity.Seen, 0, len(r.clans))
	for i := range r.clans {
		r.out.Groups = append(r.out.Groups, r.joined(&r.clans[i]))
	}
	r.clans = nil
}

func (r *reading) joined(g *clan) identity.Seen {
	h := &r.groups
	g.found = append(g.found, g.primary...)
	for _, name := range g.names {
		r.enrollNamed(&g.roll, name)
	}
	for _, l := range g.later {
		if i, ok := r.anyone(l.key); ok {
			g.found = append(g.found, i)
		} else {
			g.lost = append(g.lost, l.text)
		}
	}
	seen := identity.Seen{Key: h.keys[g.i], MembersUnknown: g.unknown}
	slices.Sort(g.found)
	for _, i := range slices.Compact(g.found) {
		r.place(&seen, g, i)
	}
	incomplete := len(r.users.why) > 0 || len(h.why) > 0
	if incomplete && len(g.lost) > 0 && seen.MembersUnknown == "" {
		seen.MembersUnknown = fmt.Sprintf("%d of its members are not among the entries that could be read", len(g.lost))
	}
	old, stored := r.stored(h, seen.Key)
	if seen.MembersUnknown != "" {
		// What is unresolved cannot be told from what was not read: a group that the
		// roll has keeps its record until the next read that is whole.
		if !stored {
			seen.Record = g.record
		}
		return seen
	}
	slices.Sort(g.lost)
	g.lost = slices.Compact(g.lost)
	g.record.Unresolved, g.record.Hash = unresolved(g.lost), g.hash+unresolvedHash(g.lost)
	if !stored || old != g.record.Hash {
		seen.Record = g.record
	}
	return seen
}

// place puts one member where it belongs. A person or group that was listed as
// skipped is a member only if the roll has it: nobody else knows its key.
func (r *reading) place(seen *identity.Seen, g *clan, i ref) {
	h, n := &r.users, int32(i)
	if i < 0 {
		h, n = &r.groups, -1-int32(i)
	}
	key := h.keys[n]
	if h.left[key] {
		if _, known := r.stored(h, key); !known {
			g.lost = append(g.lost, string(key)+skippedEntry)
			return
		}
	}
	if h.group {
		seen.Groups = append(seen.Groups, key)
	} else {
		seen.Users = append(seen.Users, key)
	}
}

// What is added to the texts of unresolved members.
const (
	twice        = " (more than one person has this name)"
	skippedEntry = " (an entry that is skipped)"
	andMore      = "and %d more"
	longestText  = 1024
)

// cutShort reports whether a text of an unresolved member does not say all.
func cutShort(text string) bool {
	var n int
	_, err := fmt.Sscanf(text, andMore, &n)
	return err == nil || len(text) >= longestText
}

// keptUnresolved bounds the text that is kept of unresolved members: a group that
// lists a whole other directory must still fit into one record.
const keptUnresolved = 32 << 10

// unresolved returns the texts of members that nobody answers to, and shortens a
// list that is too long.
func unresolved(lost []string) []string {
	if len(lost) == 0 {
		return nil
	}
	out, size := make([]string, 0, len(lost)), 0
	for i, s := range lost {
		s = clip(s, longestText)
		if size += len(s); size > keptUnresolved {
			return append(out, fmt.Sprintf(andMore, len(lost)-i))
		}
		out = append(out, s)
	}
	return out
}

// unresolvedHash is the part of a group's hash that its unresolved members make; 0
// when there are none.
func unresolvedHash(lost []string) uint64 {
	var h uint64
	for _, s := range lost {
		h += mix(xxhash.Sum64String(s) + 1)
	}
	return h
}
