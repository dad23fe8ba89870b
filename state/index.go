package state

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/persist"
)

// index finds handles by text without keeping the text: it maps a hash to a handle,
// and who asks compares the object itself. Entries whose hashes meet lie at the
// following numbers, so equal texts, as two groups of one name, are simply several
// entries.
type index struct {
	at persist.Map[uint64, uint32]
}

// removed marks the place of an entry that was taken out while another may lie
// behind it.
const removed = ^uint32(0)

var seed = maphash.MakeSeed()

func keyHash(s identity.SourceID, k identity.Key) uint64 { return textHash(string(s), string(k)) }

// nameHash is of the folded name.
func nameHash(s identity.SourceID, folded string) uint64 { return textHash(string(s), folded) }

func textHash(a, b string) uint64 {
	return maphash.String(seed, a)*0x9E3779B97F4A7C15 ^ maphash.String(seed, b)
}

// find calls yield with every handle that may be under h until it returns false.
func (x *index) find(h uint64, yield func(uint32) bool) {
	for ; ; h++ {
		v, ok := x.at.Get(h)
		if !ok || v != removed && !yield(v) {
			return
		}
	}
}

// hashMember mixes the bytes of an id, which is mostly random already.
func hashMember(m identity.Member) uint64 {
	b := m.Bytes()
	h := binary.BigEndian.Uint64(b[8:]) ^ binary.BigEndian.Uint64(b[:8])*0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	return h ^ h>>31
}

type indexEdit struct {
	at *persist.Edit[uint64, uint32]
}

func (x *index) edit() indexEdit { return indexEdit{x.at.Edit()} }

func (e indexEdit) index() index { return index{e.at.Map()} }

func (e indexEdit) add(h uint64, handle uint32) {
	free, found := uint64(0), false
	for ; ; h++ {
		v, ok := e.at.Get(h)
		switch {
		case ok && v == handle:
			return
		case ok && v == removed && !found:
			free, found = h, true
		case !ok:
			if !found {
				free = h
			}
			e.at.Set(free, handle)
			return
		}
	}
}

func (e indexEdit) remove(h uint64, handle uint32) {
	for ; ; h++ {
		v, ok := e.at.Get(h)
		if !ok {
			return
		}
		if v != handle {
			continue
		}
		if _, more := e.at.Get(h + 1); more {
			e.at.Set(h, removed)
		} else {
			e.at.Delete(h)
		}
		return
	}
}
