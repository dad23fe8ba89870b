package plan

import (
	"hash/maphash"

	"github.com/rollcall-id/rollcall/identity"
)

// keySet numbers keys in the order in which they were added. It is a hash table
// with open addressing that is filled once, asked, and filled again: comparing the
// members of ten thousand groups needs no memory beyond that of the largest.
type keySet struct {
	seed  maphash.Seed
	slots []uint64 // upper half: hash; lower half: position + 1, or 0
	mask  uint64
	keys  []identity.Key
}

func newKeySet() *keySet { return &keySet{seed: maphash.MakeSeed()} }

// reset empties the set and makes room for n keys. More may be added.
func (s *keySet) reset(n int) {
	s.keys = s.keys[:0]
	size := 8
	for size < 2*n {
		size *= 2
	}
	s.resize(size)
}

func (s *keySet) resize(size int) {
	if cap(s.slots) < size {
		s.slots = make([]uint64, size)
	}
	s.slots = s.slots[:size]
	clear(s.slots)
	s.mask = uint64(size - 1)
}

// add returns the position of the key and whether it is new to the set.
func (s *keySet) add(k identity.Key) (at int, isNew bool) {
	if 2*(len(s.keys)+1) > len(s.slots) {
		s.grow()
	}
	h := maphash.String(s.seed, string(k))
	i := h & s.mask
	for ; s.slots[i] != 0; i = (i + 1) & s.mask {
		if at, ok := s.match(i, h, k); ok {
			return at, false
		}
	}
	s.keys = append(s.keys, k)
	s.slots[i] = h>>32<<32 | uint64(len(s.keys))
	return len(s.keys) - 1, true
}

// find returns the position of the key, or -1.
func (s *keySet) find(k identity.Key) int {
	if len(s.keys) == 0 {
		return -1
	}
	h := maphash.String(s.seed, string(k))
	for i := h & s.mask; s.slots[i] != 0; i = (i + 1) & s.mask {
		if at, ok := s.match(i, h, k); ok {
			return at
		}
	}
	return -1
}

// match reports whether slot i holds the key. Half a hash decides nearly always, so
// that the keys themselves are looked at once.
func (s *keySet) match(i, h uint64, k identity.Key) (at int, ok bool) {
	slot := s.slots[i]
	at = int(slot&0xffffffff) - 1
	return at, slot>>32 == h>>32 && s.keys[at] == k
}

func (s *keySet) grow() {
	s.resize(max(8, 2*len(s.slots)))
	for at, k := range s.keys {
		h := maphash.String(s.seed, string(k))
		i := h & s.mask
		for s.slots[i] != 0 {
			i = (i + 1) & s.mask
		}
		s.slots[i] = h>>32<<32 | uint64(at+1)
	}
}
