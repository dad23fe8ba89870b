package persist

// Edit makes a new version of a [Map]. It belongs to one goroutine. It stays usable
// after publishing, and then never touches what was published.
type Edit[K comparable, V any] struct {
	m   Map[K, V]
	own *owner
}

// Edit begins a new version of m, which itself stays as it is.
func (m Map[K, V]) Edit() *Edit[K, V] { return &Edit[K, V]{m: m, own: new(owner)} }

// Map publishes what the edit has made so far.
func (e *Edit[K, V]) Map() Map[K, V] {
	e.own = new(owner)
	return e.m
}

// Len returns the number of entries so far.
func (e *Edit[K, V]) Len() int { return e.m.n }

// Get returns the value of a key as it is so far.
func (e *Edit[K, V]) Get(k K) (V, bool) { return e.m.Get(k) }

// place is where a search ended: the leaf, and the trie nodes above it, all owned.
type place[K comparable, V any] struct {
	path  [top/radix + 1]*inner[K, V]
	index [top/radix + 1]int
	level int // number of trie nodes above the leaf
}

// descend owns every node on the way to the leaf of a hash.
func (e *Edit[K, V]) descend(h uint64) (p place[K, V], l *leaf[K, V]) {
	s := &e.m.root
	for s.in != nil {
		s = e.down(&p, s, h)
	}
	return p, s.leaf
}

func (e *Edit[K, V]) down(p *place[K, V], s *slot[K, V], h uint64) *slot[K, V] {
	if s.in.owner != e.own {
		s.in = &inner[K, V]{owner: e.own, kids: s.in.kids}
	}
	i := int(h >> (top - radix*p.level) & (width - 1))
	p.path[p.level], p.index[p.level] = s.in, i
	p.level++
	return &s.in.kids[i]
}

// put makes every slot that the leaf belongs to point at it.
func (e *Edit[K, V]) put(p *place[K, V], l *leaf[K, V]) {
	if p.level == 0 {
		e.m.root = slot[K, V]{leaf: l}
		return
	}
	span := width >> l.depth
	from := p.index[p.level-1] &^ (span - 1)
	kids := p.path[p.level-1].kids[from : from+span]
	for i := range kids {
		kids[i] = slot[K, V]{leaf: l}
	}
}

// owned returns the leaf itself, or a copy in its place, with space for more.
func (e *Edit[K, V]) owned(p *place[K, V], l *leaf[K, V], more int) *leaf[K, V] {
	if l.owner == e.own {
		return l
	}
	c := l.copyFor(e.own, more)
	e.put(p, c)
	return c
}

// Set gives a key a value.
func (e *Edit[K, V]) Set(k K, v V) {
	h := e.m.hashOf(k)
	p, l := e.descend(h)
	if l == nil {
		l = &leaf[K, V]{owner: e.own}
		e.put(&p, l)
	}
	if i := l.find(k, h); i >= 0 {
		e.owned(&p, l, 0).items[i].val = v
		return
	}
	for len(l.items) >= room && (p.level < len(p.path) || l.depth < radix) {
		l = e.split(&p, l, h)
	}
	e.owned(&p, l, 1).add(k, v, h)
	e.m.n++
}

// split makes two leaves of one by one more bit of the hash, and returns the one
// that the hash h belongs to. A leaf that used up the bits of its trie node, or
// that is the root, first gets a trie node of its own.
func (e *Edit[K, V]) split(p *place[K, V], l *leaf[K, V], h uint64) *leaf[K, V] {
	if p.level == 0 || l.depth == radix {
		l = e.deepen(p, l, h)
	}
	at := top - radix*(p.level-1) + radix - 1 - int(l.depth)
	halves := [2]*leaf[K, V]{}
	for i := range halves {
		halves[i] = &leaf[K, V]{owner: e.own, depth: l.depth + 1}
		halves[i].items = make([]entry[K, V], 0, room/2+8)
	}
	for i := range l.items {
		x := e.m.hashOf(l.items[i].key)
		halves[x>>at&1].add(l.items[i].key, l.items[i].val, x)
	}
	mine := int(h >> at & 1)
	other := *p
	other.index[p.level-1] ^= 1 << (radix - 1 - l.depth)
	e.put(p, halves[mine])
	e.put(&other, halves[1-mine])
	return halves[mine]
}

// deepen puts a trie node between the leaf and what is above it.
func (e *Edit[K, V]) deepen(p *place[K, V], l *leaf[K, V], h uint64) *leaf[K, V] {
	l = l.copyFor(e.own, 0)
	l.depth = 0
	s := &e.m.root
	if p.level > 0 {
		s = &p.path[p.level-1].kids[p.index[p.level-1]]
	}
	*s = slot[K, V]{in: &inner[K, V]{owner: e.own}}
	e.down(p, s, h)
	e.put(p, l)
	return l
}

// Delete takes a key out and reports whether it was there.
func (e *Edit[K, V]) Delete(k K) bool {
	if _, ok := e.m.Get(k); !ok {
		return false
	}
	h := e.m.hashOf(k)
	p, l := e.descend(h)
	l = e.owned(&p, l, 0)
	l.remove(l.find(k, h), e.m.hashOf)
	e.m.n--
	for len(l.items) <= room/4 && p.level > 0 {
		merged := e.merge(&p, l)
		if merged == nil {
			break
		}
		l = merged
	}
	return true
}

// merge undoes one split, if both halves together leave a leaf half empty, and
// returns the leaf that is there now, or nil when nothing could be merged.
func (e *Edit[K, V]) merge(p *place[K, V], l *leaf[K, V]) *leaf[K, V] {
	at := p.level - 1
	if l.depth == 0 {
		l.depth = radix
		p.level--
		if p.level > 0 {
			p.path[p.level-1].kids[p.index[p.level-1]] = slot[K, V]{leaf: l}
			return l
		}
		l.depth = 0
		e.m.root = slot[K, V]{leaf: l}
		return l
	}
	half := p.path[at].kids[p.index[at]^1<<(radix-l.depth)].leaf
	if half == nil || half.depth != l.depth || len(half.items)+len(l.items) > room/2 {
		return nil
	}
	for i := range half.items {
		l.add(half.items[i].key, half.items[i].val, half.tag(i))
	}
	l.depth--
	e.put(p, l)
	return l
}
