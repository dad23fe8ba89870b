package persist

import (
	"hash/maphash"
	"iter"
)

const (
	radix = 5 // bits of the hash that one level of a trie consumes
	width = 1 << radix
	room  = 32 // entries of a leaf before it is split
	top   = 64 - radix
)

// seed is drawn once a process: nobody outside can choose keys that collide.
var seed = maphash.MakeSeed()

// Map is an immutable hash map. The zero value is an empty map that hashes its keys
// with [maphash.Comparable]. Copying a Map is cheap and shares everything.
//
// It is a trie over the hash, 32 wide, with leaves of up to 32 entries. A full leaf
// is split in two by one more bit, as in extendible hashing, and until five bits
// are used up several neighboring slots of a trie node point at one leaf. So leaves
// stay between half and entirely full, whatever the size of the map.
type Map[K comparable, V any] struct {
	root slot[K, V]
	n    int
	hash func(K) uint64 // nil: maphash
}

// slot holds a node of the trie or a leaf, or, at the root of an empty map, neither.
type slot[K comparable, V any] struct {
	in   *inner[K, V]
	leaf *leaf[K, V]
}

type inner[K comparable, V any] struct {
	owner *owner
	kids  [width]slot[K, V]
}

type leaf[K comparable, V any] struct {
	owner *owner
	depth uint8            // bits of the parent's index that all entries share
	tags  [room / 8]uint64 // the low byte of the hash of each of the first entries
	items []entry[K, V]    // more than room only where the hash has no more bits
}

type entry[K comparable, V any] struct {
	key K
	val V
}

// NewMap returns an empty map with a hash function of its own, for keys that are
// random already. All 64 bits of a hash are used, the high ones first.
func NewMap[K comparable, V any](hash func(K) uint64) Map[K, V] {
	return Map[K, V]{hash: hash}
}

// Len returns the number of entries.
func (m Map[K, V]) Len() int { return m.n }

// Get returns the value of a key. It does not allocate.
func (m Map[K, V]) Get(k K) (v V, ok bool) {
	h := m.hashOf(k)
	s := &m.root
	for shift := uint(top); s.in != nil; shift -= radix {
		s = &s.in.kids[h>>shift&(width-1)]
	}
	if s.leaf == nil {
		return v, false
	}
	if i := s.leaf.find(k, h); i >= 0 {
		return s.leaf.items[i].val, true
	}
	return v, false
}

// All yields every entry once, in no particular order.
func (m Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { m.root.walk(yield) }
}

func (s *slot[K, V]) walk(yield func(K, V) bool) bool {
	if s.leaf != nil {
		for i := range s.leaf.items {
			if !yield(s.leaf.items[i].key, s.leaf.items[i].val) {
				return false
			}
		}
		return true
	}
	if s.in == nil {
		return true
	}
	for i := 0; i < width; i += s.in.kids[i].span() {
		if !s.in.kids[i].walk(yield) {
			return false
		}
	}
	return true
}

// span is the number of neighboring slots that hold the same thing.
func (s *slot[K, V]) span() int {
	if s.leaf != nil {
		return width >> s.leaf.depth
	}
	return 1
}

func (m *Map[K, V]) hashOf(k K) uint64 {
	if m.hash != nil {
		return m.hash(k)
	}
	return maphash.Comparable(seed, k)
}
