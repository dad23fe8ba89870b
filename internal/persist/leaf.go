package persist

import "math/bits"

const (
	lowBytes  = 0x0101010101010101
	highBytes = 0x8080808080808080
)

// find returns the position of a key, or -1. It compares eight tags at a time and
// looks at a key only when its tag fits. The trick with the borrow may name a
// position that does not fit, never miss one that does.
func (l *leaf[K, V]) find(k K, h uint64) int {
	want := h & 0xff * lowBytes
	for w, tags := range l.tags {
		if w*8 >= len(l.items) {
			return -1
		}
		x := tags ^ want
		for hit := (x - lowBytes) &^ x & highBytes; hit != 0; hit &= hit - 1 {
			i := w*8 + bits.TrailingZeros64(hit)/8
			if i < len(l.items) && l.items[i].key == k {
				return i
			}
		}
	}
	for i := room; i < len(l.items); i++ {
		if l.items[i].key == k {
			return i
		}
	}
	return -1
}

func (l *leaf[K, V]) setTag(i int, h uint64) {
	if i < room {
		at := i % 8 * 8
		l.tags[i/8] = l.tags[i/8]&^(0xff<<at) | h&0xff<<at
	}
}

func (l *leaf[K, V]) tag(i int) uint64 { return l.tags[i/8] >> (i % 8 * 8) & 0xff }

// add appends an entry. Room is made in few steps, as most leaves end well filled
// and a doubling would leave a third of the map empty.
func (l *leaf[K, V]) add(k K, v V, h uint64) {
	if len(l.items) == cap(l.items) && len(l.items) < room {
		l.items = append(make([]entry[K, V], 0, roomFor(len(l.items)+1)), l.items...)
	}
	l.setTag(len(l.items), h)
	l.items = append(l.items, entry[K, V]{k, v})
}

// remove takes out an entry and moves the last one to its place. The hash of that
// one is asked for only when its tag is not stored.
func (l *leaf[K, V]) remove(i int, hash func(K) uint64) {
	last := len(l.items) - 1
	if last < room {
		l.setTag(i, l.tag(last))
	} else {
		l.setTag(i, hash(l.items[last].key))
	}
	l.items[i] = l.items[last]
	l.items[last] = entry[K, V]{}
	l.items = l.items[:last]
}

// copyFor returns a copy that the owner may change, with space for more entries.
func (l *leaf[K, V]) copyFor(o *owner, more int) *leaf[K, V] {
	c := &leaf[K, V]{owner: o, depth: l.depth, tags: l.tags}
	c.items = append(make([]entry[K, V], 0, roomFor(len(l.items)+more)), l.items...)
	return c
}

func roomFor(n int) int {
	if n <= 4 {
		return 4
	}
	return (n + 7) / 8 * 8
}
