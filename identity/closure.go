package identity

import "slices"

// Closure knows, for each of the groups 0 to n-1, the groups that contain it
// through any number of nestings. Groups that contain each other are data: each of
// them is above the others.
//
// All sets lie in one array, and groups below the same groups share theirs, so that
// the closure is no work for the garbage collector. The sets of nearly all rolls
// are far smaller than their memberships. Where they are not, as in a chain of
// 50,000 groups, which has 1.25 billion pairs, the sets beyond a fixed budget are
// not kept but found by a walk each time they are asked for.
type Closure struct {
	parents func(uint32) []uint32
	above   []span   // by group
	sets    []uint32 // sorted runs
	cycles  [][]uint32
}

// span is a run of Closure.sets.
type span struct{ from, n uint32 }

// walked marks a set that is not kept.
var walked = span{n: ^uint32(0)}

// closureBudget is how many numbers a closure keeps: 64 MiB.
const closureBudget = 16 << 20

// Close closes the nesting of n groups in one pass (Tarjan's strongly connected
// components, without recursion). Parents returns the groups that contain a group
// directly; it must go on to give the same answers as long as the closure is used,
// and its slices are not changed. Handles of n and more are left out.
func Close(n int, parents func(group uint32) []uint32) *Closure {
	return closeWithin(n, parents, closureBudget)
}

func closeWithin(n int, parents func(uint32) []uint32, budget int) *Closure {
	c := &Closure{parents: parents, above: make([]span, n)}
	b := &closing{
		c: c, budget: budget,
		index: make([]uint32, n), low: make([]uint32, n), component: make([]uint32, n), mark: make([]uint32, n),
	}
	for g := range uint32(n) {
		if b.index[g] == 0 {
			b.visit(g)
		}
	}
	c.sets = slices.Clip(c.sets)
	slices.SortFunc(c.cycles, slices.Compare[[]uint32])
	return c
}

// Above returns the groups that contain g directly or through others, sorted, g
// itself left out. The slice is read and not changed. A group that the closure was
// not made for has none.
func (c *Closure) Above(g uint32) []uint32 {
	if int(g) >= len(c.above) {
		return nil
	}
	s := c.above[g]
	if s == walked {
		return c.walk(g)
	}
	return c.sets[s.from : s.from+s.n : s.from+s.n]
}

// Cycles returns the sets of groups that contain each other, and the groups that
// contain themselves, each sorted.
func (c *Closure) Cycles() [][]uint32 { return c.cycles }

// walk finds the set of one group without the help of those that are kept.
func (c *Closure) walk(g uint32) []uint32 {
	seen := make([]bool, len(c.above))
	var found []uint32
	for todo := []uint32{g}; len(todo) > 0; {
		last := len(todo) - 1
		at := todo[last]
		todo = todo[:last]
		for _, p := range c.parents(at) {
			if int(p) < len(seen) && !seen[p] {
				seen[p] = true
				todo = append(todo, p)
				if p != g {
					found = append(found, p)
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// closing is the state of one run of Tarjan's algorithm. Components come out with
// those that contain them first, so each finds the sets it needs ready.
type closing struct {
	c          *Closure
	budget     int
	index, low []uint32 // index is 0 for a group not yet visited
	component  []uint32 // 0 until the group's component is complete
	next       uint32
	open       []uint32 // groups whose component is not complete
	frames     []frame
	around     []span   // by component: its groups and all above them
	mark       []uint32 // by group: the last set it was put into
	marks      uint32
	gathered   []uint32
}

// frame is a group whose parents are being visited.
type frame struct {
	group   uint32
	parents []uint32
}

func (b *closing) visit(root uint32) {
	b.enter(root)
	for len(b.frames) > 0 {
		f := &b.frames[len(b.frames)-1]
		if len(f.parents) == 0 {
			b.leave(f.group)
			continue
		}
		p := f.parents[0]
		f.parents = f.parents[1:]
		switch {
		case int(p) >= len(b.index):
		case b.index[p] == 0:
			b.enter(p)
		case b.component[p] == 0:
			b.low[f.group] = min(b.low[f.group], b.index[p])
		}
	}
}

func (b *closing) enter(g uint32) {
	b.next++
	b.index[g], b.low[g] = b.next, b.next
	b.open = append(b.open, g)
	b.frames = append(b.frames, frame{g, b.c.parents(g)})
}

// leave ends the visit of a group, and completes its component if it is the first
// group of it.
func (b *closing) leave(g uint32) {
	b.frames = b.frames[:len(b.frames)-1]
	if len(b.frames) > 0 {
		below := b.frames[len(b.frames)-1].group
		b.low[below] = min(b.low[below], b.low[g])
	}
	if b.low[g] != b.index[g] {
		return
	}
	first := len(b.open) - 1
	for b.open[first] != g {
		first--
	}
	members := b.open[first:]
	b.complete(members)
	b.open = b.open[:first]
}

// complete fixes the sets of the groups of one component.
func (b *closing) complete(members []uint32) {
	b.around = append(b.around, walked)
	number := uint32(len(b.around))
	for _, g := range members {
		b.component[g] = number
	}
	above := b.union(members, number)
	if len(members) == 1 {
		g := members[0]
		if slices.Contains(b.c.parents(g), g) {
			b.c.cycles = append(b.c.cycles, []uint32{g})
		}
		b.c.above[g] = above
		b.around[number-1] = b.with(above, members)
		return
	}
	cycle := slices.Clone(members)
	slices.Sort(cycle)
	b.c.cycles = append(b.c.cycles, cycle)
	around := b.with(above, cycle)
	b.around[number-1] = around
	for _, g := range cycle {
		b.c.above[g] = b.without(around, g)
	}
}

// union gathers what is above a component: all parents outside it, and what is
// above those. A set that one of the parents has already is shared.
func (b *closing) union(members []uint32, number uint32) span {
	b.marks++
	b.gathered = b.gathered[:0]
	shared, parts := span{}, 0
	for _, g := range members {
		for _, p := range b.c.parents(g) {
			if int(p) >= len(b.index) || b.component[p] == number {
				continue
			}
			around := b.around[b.component[p]-1]
			if around == walked {
				return walked
			}
			parts++
			if around.n > shared.n {
				shared = around
			}
			b.gather(b.set(around))
		}
	}
	if parts == 0 || int(shared.n) == len(b.gathered) {
		return shared
	}
	return b.keep(b.gathered)
}

func (b *closing) gather(set []uint32) {
	for _, g := range set {
		if b.mark[g] != b.marks {
			b.mark[g] = b.marks
			b.gathered = append(b.gathered, g)
		}
	}
}

func (b *closing) set(s span) []uint32 { return b.c.sets[s.from : s.from+s.n] }

// with keeps the set and the given groups, none of which is in it.
func (b *closing) with(s span, groups []uint32) span {
	if s == walked {
		return walked
	}
	b.gathered = append(append(b.gathered[:0], b.set(s)...), groups...)
	return b.keep(b.gathered)
}

// without keeps the set less one group.
func (b *closing) without(s span, g uint32) span {
	if s == walked {
		return walked
	}
	set := b.set(s)
	at, _ := slices.BinarySearch(set, g)
	b.gathered = append(append(b.gathered[:0], set[:at]...), set[at+1:]...)
	return b.keep(b.gathered)
}

// keep sorts the set and puts it into the array, if the budget allows.
func (b *closing) keep(set []uint32) span {
	if len(b.c.sets)+len(set) > b.budget {
		return walked
	}
	slices.Sort(set)
	s := span{uint32(len(b.c.sets)), uint32(len(set))}
	b.c.sets = append(b.c.sets, set...)
	return s
}

// Via returns a shortest chain of groups from the first to the second, each
// contained in the next, both included; nil when there is none. Of several it takes
// the one that comes first in the order of the parents.
func Via(from, to uint32, parents func(group uint32) []uint32) []uint32 {
	if from == to {
		return []uint32{from}
	}
	came := map[uint32]uint32{from: from}
	for queue := []uint32{from}; len(queue) > 0; queue = queue[1:] {
		for _, p := range parents(queue[0]) {
			if _, seen := came[p]; seen {
				continue
			}
			came[p] = queue[0]
			if p == to {
				return chain(came, from, to)
			}
			queue = append(queue, p)
		}
	}
	return nil
}

func chain(came map[uint32]uint32, from, to uint32) []uint32 {
	via := []uint32{to}
	for to != from {
		to = came[to]
		via = append(via, to)
	}
	slices.Reverse(via)
	return via
}
