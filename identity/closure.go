package identity

import "slices"

// Closure is the nesting of groups, closed: what lies above each group through any
// number of steps. Groups are numbers below the n that it was made for. Cycles are
// data: the groups of a cycle lie above each other.
type Closure struct {
	above  [][]uint32
	cycles [][]uint32
}

// Close computes the closure in one pass. parents returns the groups that a group
// is directly in; it is called once for each group below n.
func Close(n int, parents func(group uint32) []uint32) *Closure {
	w := &closing{
		c: &Closure{above: make([][]uint32, n)}, parents: parents,
		index: make([]uint32, n), low: make([]uint32, n), comp: make([]int32, n), edges: make([][]uint32, n),
	}
	for i := range w.comp {
		w.comp[i] = -1
	}
	for g := range uint32(n) {
		if w.index[g] == 0 {
			w.visit(g)
		}
	}
	return w.c
}

// Above returns the groups above a group, sorted, itself left out. The slice is
// shared and must not be changed. A group that the closure was not made for has none.
func (c *Closure) Above(group uint32) []uint32 {
	if int(group) >= len(c.above) {
		return nil
	}
	return c.above[group]
}

// Cycles returns the sets of groups that contain each other, each sorted.
func (c *Closure) Cycles() [][]uint32 { return c.cycles }

// closing is Tarjan's algorithm for strongly connected components (1972), without
// recursion: chains of groups may be as long as there are groups. A component is
// complete only after everything above it, so its closure is a union of finished ones.
type closing struct {
	c          *Closure
	parents    func(uint32) []uint32
	edges      [][]uint32
	index, low []uint32 // 1-based order of discovery
	comp       []int32  // component, or -1 while open
	next       uint32
	open       []uint32
	comps      int32
}

// frame is a group being looked at and the next of its parents to follow.
type frame struct {
	group uint32
	next  int
}

func (w *closing) visit(root uint32) {
	stack := []frame{w.enter(root)}
	for len(stack) > 0 {
		f := &stack[len(stack)-1]
		if f.next < len(w.edges[f.group]) {
			p := w.edges[f.group][f.next]
			f.next++
			switch {
			case w.index[p] == 0:
				stack = append(stack, w.enter(p))
			case w.comp[p] < 0:
				w.low[f.group] = min(w.low[f.group], w.index[p])
			}
			continue
		}
		g := f.group
		stack = stack[:len(stack)-1]
		if len(stack) > 0 {
			below := stack[len(stack)-1].group
			w.low[below] = min(w.low[below], w.low[g])
		}
		if w.low[g] == w.index[g] {
			w.leave(g)
		}
	}
}

func (w *closing) enter(g uint32) frame {
	w.next++
	w.index[g], w.low[g] = w.next, w.next
	w.open = append(w.open, g)
	w.edges[g] = w.parents(g)
	return frame{group: g}
}

// leave completes the component whose first discovered group is g.
func (w *closing) leave(g uint32) {
	at := len(w.open) - 1
	for w.open[at] != g {
		at--
	}
	members := slices.Clone(w.open[at:])
	w.open = w.open[:at]
	for _, m := range members {
		w.comp[m] = w.comps
	}
	w.comps++
	above := w.unionAbove(members)
	if len(members) == 1 {
		w.c.above[g] = above
		return
	}
	slices.Sort(members)
	w.c.cycles = append(w.c.cycles, members)
	all := append(slices.Clone(members), above...)
	slices.Sort(all)
	for _, m := range members {
		w.c.above[m] = slices.DeleteFunc(slices.Clone(all), func(x uint32) bool { return x == m })
	}
}

// unionAbove returns what lies above a component, without the component.
func (w *closing) unionAbove(members []uint32) []uint32 {
	own := w.comp[members[0]]
	var above []uint32
	for _, m := range members {
		for _, p := range w.edges[m] {
			if w.comp[p] != own {
				above = append(above, p)
				above = append(above, w.c.above[p]...)
			}
		}
	}
	slices.Sort(above)
	return slices.Clip(slices.Compact(above))
}

// Via returns a shortest chain of groups from one to another, both included, each in
// the next, or nil when there is none.
func Via(from, to uint32, parents func(group uint32) []uint32) []uint32 {
	if from == to {
		return []uint32{from}
	}
	before := map[uint32]uint32{from: from}
	for ring := []uint32{from}; len(ring) > 0; {
		var next []uint32
		for _, g := range ring {
			for _, p := range parents(g) {
				if _, seen := before[p]; seen {
					continue
				}
				before[p] = g
				if p == to {
					return chain(before, from, to)
				}
				next = append(next, p)
			}
		}
		ring = next
	}
	return nil
}

func chain(before map[uint32]uint32, from, to uint32) []uint32 {
	out := []uint32{to}
	for g := to; g != from; {
		g = before[g]
		out = append(out, g)
	}
	slices.Reverse(out)
	return out
}
