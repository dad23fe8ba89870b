package identity

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// graph is groups by the groups that contain them.
type graph [][]uint32

func (g graph) parents(of uint32) []uint32 { return g[of] }

// naive finds what is above a group by looking everywhere.
func (g graph) naive(of uint32) []uint32 {
	seen := map[uint32]bool{}
	var visit func(uint32)
	visit = func(x uint32) {
		for _, p := range g[x] {
			if int(p) < len(g) && !seen[p] {
				seen[p] = true
				visit(p)
			}
		}
	}
	visit(of)
	delete(seen, of)
	var above []uint32
	for x := range uint32(len(g)) {
		if seen[x] {
			above = append(above, x)
		}
	}
	return above
}

func drawGraph(t *rapid.T) graph {
	n := rapid.IntRange(0, 12).Draw(t, "groups")
	g := make(graph, n)
	for i := range g {
		g[i] = rapid.SliceOfN(rapid.Uint32Range(0, uint32(n)), 0, 4).Draw(t, "parents")
	}
	return g
}

// Kept or walked for, with cycles, doubled edges, self-containment and handles out
// of range: the sets are those that a naive search finds.
func TestCloseAgreesWithANaiveSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		budget := rapid.SampledFrom([]int{0, 3, 10, closureBudget}).Draw(t, "budget")
		c := closeWithin(len(g), g.parents, budget)
		for of := range uint32(len(g)) {
			if got, want := c.Above(of), g.naive(of); !slices.Equal(got, want) {
				t.Fatalf("Above(%d) = %v, want %v, in %v", of, got, want, g)
			}
		}
		for _, cycle := range c.Cycles() {
			for _, x := range cycle {
				for _, y := range cycle {
					if x != y && !slices.Contains(c.Above(x), y) {
						t.Fatalf("%d and %d are called a cycle, in %v", x, y, g)
					}
				}
			}
		}
	})
}

func TestCyclesAreAllFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		c := Close(len(g), g.parents)
		for x := range uint32(len(g)) {
			for _, y := range c.Above(x) {
				mutual := slices.Contains(c.Above(y), x)
				together := slices.ContainsFunc(c.Cycles(), func(s []uint32) bool {
					return slices.Contains(s, x) && slices.Contains(s, y)
				})
				if mutual != together {
					t.Fatalf("%d and %d: above each other %t, in a cycle %t, in %v", x, y, mutual, together, g)
				}
			}
		}
	})
}

func TestViaIsAShortestChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		for i := range g {
			g[i] = slices.DeleteFunc(g[i], func(p uint32) bool { return int(p) >= len(g) })
		}
		c := Close(len(g), g.parents)
		for from := range uint32(len(g)) {
			for to := range uint32(len(g)) {
				via := Via(from, to, g.parents)
				if reachable := from == to || slices.Contains(c.Above(from), to); reachable != (via != nil) {
					t.Fatalf("Via(%d, %d) = %v, in %v", from, to, via, g)
				}
				for i := 1; i < len(via); i++ {
					if !slices.Contains(g[via[i-1]], via[i]) {
						t.Fatalf("Via(%d, %d) = %v breaks at %d, in %v", from, to, via, i, g)
					}
				}
				if via != nil && (via[0] != from || via[len(via)-1] != to || len(via) > g.distance(from, to)+1) {
					t.Fatalf("Via(%d, %d) = %v is not a shortest chain, in %v", from, to, via, g)
				}
			}
		}
	})
}

// distance counts the steps from one group to another, ring by ring.
func (g graph) distance(from, to uint32) int {
	ring := map[uint32]bool{from: true}
	for steps := range len(g) {
		if ring[to] {
			return steps
		}
		next := map[uint32]bool{}
		for x := range ring {
			next[x] = true
			for _, p := range g[x] {
				next[p] = true
			}
		}
		ring = next
	}
	return len(g)
}

// A chain of 50,000 has 1.25 billion pairs and a depth that no recursion survives.
func TestALongChainCostsNoMemory(t *testing.T) {
	const n = 50_000
	g := make(graph, n)
	for i := range n - 1 {
		g[i] = []uint32{uint32(i + 1)}
	}
	c := Close(n, g.parents)
	if kept := len(c.sets); kept > closureBudget {
		t.Errorf("a chain of %d keeps %d numbers, want at most %d", n, kept, closureBudget)
	}
	for _, of := range []uint32{0, n / 2, n - 1} {
		above := c.Above(of)
		if len(above) != n-1-int(of) || len(above) > 0 && (above[0] != of+1 || above[len(above)-1] != n-1) {
			t.Errorf("Above(%d) has %d groups, want the %d behind it", of, len(above), n-1-int(of))
		}
	}
	if via := Via(0, n-1, g.parents); len(via) != n {
		t.Errorf("Via along the chain has %d groups, want %d", len(via), n)
	}
}

func TestALargeCycleIsOneCycle(t *testing.T) {
	const n = 20_000
	g := make(graph, n)
	for i := range n {
		g[i] = []uint32{uint32((i + 1) % n)}
	}
	c := Close(n, g.parents)
	if len(c.Cycles()) != 1 || len(c.Cycles()[0]) != n || len(c.Above(7)) != n-1 {
		t.Errorf("a ring of %d: %d cycles, %d above one of them", n, len(c.Cycles()), len(c.Above(7)))
	}
}

func TestAboveOfKeptSetsIsFree(t *testing.T) {
	g := graph{{1, 2}, {2}, {1, 3}, {}}
	c := Close(len(g), g.parents)
	if n := testing.AllocsPerRun(100, func() { c.Above(0) }); n != 0 {
		t.Errorf("Above makes %v allocations, want 0", n)
	}
}

// forest is a company's groups: most nested one to five deep, a few cycles.
func forest(n int) graph {
	r := rand.New(rand.NewPCG(1, 2))
	g := make(graph, n)
	for i := range g {
		for range r.IntN(3) {
			g[i] = append(g[i], uint32(min(n-1, i/8+r.IntN(4))))
		}
	}
	return g
}

func BenchmarkClose(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 50_000} {
		g := forest(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c := Close(n, g.parents)
				b.ReportMetric(float64(len(c.sets))/float64(n), "kept/group")
			}
		})
	}
}
