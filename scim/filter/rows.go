package filter

import (
	"iter"
	"math/bits"
)

// Rows is a set of rows, one bit each.
type Rows []uint64

func newRows(n int) Rows { return make(Rows, (n+63)/64) }

// Has reports whether the row is in the set.
func (r Rows) Has(row uint32) bool {
	i := int(row / 64)
	return i < len(r) && r[i]&(1<<(row%64)) != 0
}

// Count returns the number of rows.
func (r Rows) Count() int {
	n := 0
	for _, w := range r {
		n += bits.OnesCount64(w)
	}
	return n
}

// All returns the rows in ascending order.
func (r Rows) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i, w := range r {
			for ; w != 0; w &= w - 1 {
				if !yield(uint32(i*64 + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}

func (r Rows) set(i int)      { r[i/64] |= 1 << (i % 64) }
func (r Rows) clear(i int)    { r[i/64] &^= 1 << (i % 64) }
func (r Rows) has(i int) bool { return r[i/64]&(1<<(i%64)) != 0 }

// fill sets the first n.
func (r Rows) fill(n int) Rows {
	for i := range r {
		r[i] = ^uint64(0)
	}
	return r.trim(n)
}

// trim clears what is beyond n.
func (r Rows) trim(n int) Rows {
	if n%64 != 0 {
		r[n/64] &= 1<<(n%64) - 1
	}
	return r
}

func (r Rows) and(s Rows) Rows {
	for i := range r {
		r[i] &= s[i]
	}
	return r
}

func (r Rows) or(s Rows) Rows {
	for i := range r {
		r[i] |= s[i]
	}
	return r
}

// not returns what of the first n is not in r; r is changed.
func (r Rows) not(n int) Rows {
	for i := range r {
		r[i] = ^r[i]
	}
	return r.trim(n)
}
