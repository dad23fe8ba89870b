package mem

import (
	"hash/maphash"
	"strings"

	"github.com/rollcall-id/rollcall/store"
)

// node is a persistent treap: ordered by key, heap-ordered by a hash of the key.
// Nodes are never changed once they are reachable, so whoever holds a root holds
// the state of one revision. latest is the largest Rev in the subtree.
type node struct {
	rec         store.Record
	prio        uint64
	latest      store.Revision
	left, right *node
}

func newNode(rec store.Record, prio uint64, l, r *node) *node {
	n := &node{rec: rec, prio: prio, latest: rec.Rev, left: l, right: r}
	if l != nil {
		n.latest = max(n.latest, l.latest)
	}
	if r != nil {
		n.latest = max(n.latest, r.latest)
	}
	return n
}

func (n *node) with(l, r *node) *node { return newNode(n.rec, n.prio, l, r) }

func (n *node) get(key string) (store.Record, bool) {
	for n != nil {
		switch c := strings.Compare(key, n.rec.Key); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n.rec, true
		}
	}
	return store.Record{}, false
}

// put returns the tree with rec in it.
func (n *node) put(seed maphash.Seed, rec store.Record) *node {
	return n.insert(rec, maphash.String(seed, rec.Key))
}

func (n *node) insert(rec store.Record, prio uint64) *node {
	if n == nil {
		return newNode(rec, prio, nil, nil)
	}
	switch c := strings.Compare(rec.Key, n.rec.Key); {
	case c == 0:
		return newNode(rec, n.prio, n.left, n.right)
	case prio > n.prio:
		// The key is not below n: equal keys have equal priorities.
		l, r := split(n, rec.Key)
		return newNode(rec, prio, l, r)
	case c < 0:
		return n.with(n.left.insert(rec, prio), n.right)
	default:
		return n.with(n.left, n.right.insert(rec, prio))
	}
}

// split returns the keys below key and those at or above it.
func split(n *node, key string) (l, r *node) {
	if n == nil {
		return nil, nil
	}
	if n.rec.Key < key {
		mid, r := split(n.right, key)
		return n.with(n.left, mid), r
	}
	l, mid := split(n.left, key)
	return l, n.with(mid, n.right)
}

// join is the tree of l and r, where every key of l is below every key of r.
func join(l, r *node) *node {
	switch {
	case l == nil:
		return r
	case r == nil:
		return l
	case l.prio > r.prio:
		return l.with(l.left, join(l.right, r))
	default:
		return r.with(join(l, r.left), r.right)
	}
}

// without returns the tree less key.
func (n *node) without(key string) *node {
	if n == nil {
		return nil
	}
	switch c := strings.Compare(key, n.rec.Key); {
	case c < 0:
		return n.with(n.left.without(key), n.right)
	case c > 0:
		return n.with(n.left, n.right.without(key))
	default:
		return join(n.left, n.right)
	}
}

// ascend calls yield for the records under prefix in key order until it says stop.
func (n *node) ascend(prefix string, yield func(store.Record) bool) bool {
	if n == nil {
		return true
	}
	in := strings.HasPrefix(n.rec.Key, prefix)
	if in || n.rec.Key > prefix {
		if !n.left.ascend(prefix, yield) {
			return false
		}
	}
	if in && !yield(n.rec) {
		return false
	}
	if in || n.rec.Key < prefix {
		return n.right.ascend(prefix, yield)
	}
	return true
}

// changed reports whether a record under prefix was written after rev.
func (n *node) changed(prefix string, rev store.Revision) bool {
	if n == nil || n.latest <= rev {
		return false
	}
	switch in := strings.HasPrefix(n.rec.Key, prefix); {
	case in && n.rec.Rev > rev:
		return true
	case in:
		return n.left.changed(prefix, rev) || n.right.changed(prefix, rev)
	case n.rec.Key > prefix:
		return n.left.changed(prefix, rev)
	default:
		return n.right.changed(prefix, rev)
	}
}
