package persist

import "iter"

// Vector is an immutable sequence with an index. The zero value is empty. Copying a
// Vector is cheap and shares everything.
//
// It is a trie over the index, 32 wide, all of whose leaves have the same depth.
type Vector[T any] struct {
	root  branch[T]
	n     int
	depth uint // number of forks above each leaf
}

// branch holds a fork, or, at depth 0, a leaf. Both are nil in an empty vector.
type branch[T any] struct {
	fork *fork[T]
	leaf *block[T]
}

type fork[T any] struct {
	owner *owner
	kids  [width]branch[T]
}

type block[T any] struct {
	owner *owner
	vals  [width]T
}

// Len returns the number of elements.
func (v Vector[T]) Len() int { return v.n }

// At returns the element with an index, which must be at least 0 and less than Len.
// It does not allocate.
func (v Vector[T]) At(i int) T { return *v.ref(i) }

func (v *Vector[T]) ref(i int) *T {
	if uint(i) >= uint(v.n) {
		panic("persist: index out of range")
	}
	b := &v.root
	for d := v.depth; d > 0; d-- {
		b = &b.fork.kids[i>>(radix*d)&(width-1)]
	}
	return &b.leaf.vals[i&(width-1)]
}

// All yields every index with its element, in order.
func (v Vector[T]) All() iter.Seq2[int, T] {
	return func(yield func(int, T) bool) {
		for from := 0; from < v.n; from += width {
			b := &v.root
			for d := v.depth; d > 0; d-- {
				b = &b.fork.kids[from>>(radix*d)&(width-1)]
			}
			for j := range min(width, v.n-from) {
				if !yield(from+j, b.leaf.vals[j]) {
					return
				}
			}
		}
	}
}

// VectorEdit makes a new version of a [Vector]. It belongs to one goroutine. It
// stays usable after publishing, and then never touches what was published.
type VectorEdit[T any] struct {
	v   Vector[T]
	own *owner
}

// Edit begins a new version of v, which itself stays as it is.
func (v Vector[T]) Edit() *VectorEdit[T] { return &VectorEdit[T]{v: v, own: new(owner)} }

// Vector publishes what the edit has made so far.
func (e *VectorEdit[T]) Vector() Vector[T] {
	e.own = new(owner)
	return e.v
}

// Len returns the number of elements so far.
func (e *VectorEdit[T]) Len() int { return e.v.n }

// At returns an element as it is so far.
func (e *VectorEdit[T]) At(i int) T { return e.v.At(i) }

// Set replaces the element with an index less than Len.
func (e *VectorEdit[T]) Set(i int, x T) { *e.Ref(i) = x }

// Ref returns an element to be changed in place. The pointer is good until the edit
// publishes.
func (e *VectorEdit[T]) Ref(i int) *T {
	if uint(i) >= uint(e.v.n) {
		panic("persist: index out of range")
	}
	return e.owned(i)
}

// Peek returns an element to be looked at, and not to be changed. The pointer is good
// until the next change.
func (e *VectorEdit[T]) Peek(i int) *T { return e.v.Ref(i) }

// Append adds an element at the end and returns its index.
func (e *VectorEdit[T]) Append(x T) int {
	i := e.v.n
	if i == width<<(radix*e.v.depth) {
		f := &fork[T]{owner: e.own}
		f.kids[0] = e.v.root
		e.v.root = branch[T]{fork: f}
		e.v.depth++
	}
	e.v.n++
	*e.owned(i) = x
	return i
}

// owned walks to an element and makes everything on the way this edit's own.
func (e *VectorEdit[T]) owned(i int) *T {
	b := &e.v.root
	for d := e.v.depth; d > 0; d-- {
		switch {
		case b.fork == nil:
			b.fork = &fork[T]{owner: e.own}
		case b.fork.owner != e.own:
			b.fork = &fork[T]{owner: e.own, kids: b.fork.kids}
		}
		b = &b.fork.kids[i>>(radix*d)&(width-1)]
	}
	switch {
	case b.leaf == nil:
		b.leaf = &block[T]{owner: e.own}
	case b.leaf.owner != e.own:
		b.leaf = &block[T]{owner: e.own, vals: b.leaf.vals}
	}
	return &b.leaf.vals[i&(width-1)]
}
