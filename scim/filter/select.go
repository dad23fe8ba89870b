package filter

import (
	"cmp"
	"slices"
)

// Select returns the rows of the table that the filter matches: exactly those that
// [Filter.Match] does.
func (f *Filter) Select(t *Table) Rows {
	s := selection{groups: t.base.find(f.leaves()), n: t.base.n, rows: true}
	out := s.selects(f.root, nil).and(t.base.live)
	for row, v := range t.changed {
		if v != nil && f.root.match(v) {
			for int(row)/64 >= len(out) {
				out = append(out, 0)
			}
			out.set(int(row))
		} else if out.Has(row) {
			out.clear(int(row))
		}
	}
	return out
}

func (f *Filter) leaves() []leaf {
	out := make([]leaf, len(f.terms))
	for i, t := range f.terms {
		out[i] = t.leaf
	}
	return append(out, f.groups...)
}

// selection evaluates a filter over all rows, or over all entries of one group.
type selection struct {
	groups map[groupKey]*group
	n      int    // rows or entries
	rows   bool   // or else entries of:
	group  *group // a value path
}

// selects returns which of n match. The caller will intersect what it gets with only,
// unless that is nil: what is not in it need not be looked at, and may come out either
// way. The result is the caller's to change.
func (s *selection) selects(n node, only Rows) Rows {
	switch n := n.(type) {
	case and:
		return s.all(n, only)
	case or:
		out := newRows(s.n)
		for _, n := range n {
			out.or(s.selects(n, only))
		}
		return out
	case not:
		return s.selects(n.node, only).not(s.n)
	case within:
		g := s.groups[n.group]
		in := selection{groups: s.groups, n: g.entries, group: g}
		out := in.selects(n.inner, g.expand(only))
		if g.starts == nil {
			out.and(g.there) // without a value there is nothing that could match
		}
		return g.reduce(out, s.n)
	case *term:
		return s.term(n, only)
	}
	return newRows(s.n)
}

// all evaluates the cheap terms first, and the others only on what is left.
func (s *selection) all(terms and, only Rows) Rows {
	terms = slices.Clone(terms)
	slices.SortStableFunc(terms, func(a, b node) int { return cmp.Compare(s.cost(a), s.cost(b)) })
	out := newRows(s.n).fill(s.n)
	if only != nil {
		copy(out, only)
	}
	for _, n := range terms {
		out.and(s.selects(n, out))
	}
	return out
}

// cost says how much work a node is, for each row.
func (s *selection) cost(n node) int {
	sum := 1
	switch n := n.(type) {
	case and:
		for _, n := range n {
			sum += s.cost(n)
		}
	case or:
		for _, n := range n {
			sum += s.cost(n)
		}
	case not:
		sum += s.cost(n.node)
	case within:
		g := s.groups[n.group]
		in := selection{groups: s.groups, group: g}
		sum += in.cost(n.inner) * 2
	case *term:
		switch c := s.of(n).columns[n.column()].(type) {
		case texts:
			if sum = 4; c.codes == nil {
				sum = 20
			}
		case numbers, anything:
			sum = 50
		case instants:
			sum = 8
		}
	}
	return sum
}

func (s *selection) of(t *term) *group {
	if s.rows {
		return s.groups[t.groupKey]
	}
	return s.group
}

// term evaluates one comparison.
func (s *selection) term(t *term, only Rows) Rows {
	g := s.of(t)
	if !s.rows {
		return entriesOf(g, t, only)
	}
	if t.kind == exists {
		return slices.Clone(g.there)
	}
	entries := entriesOf(g, t, g.expand(sparse(only, s.n)))
	out := g.reduce(entries, s.n)
	if t.op == NotEqual && g.starts != nil {
		out.or(slices.Clone(g.there).not(s.n))
	}
	return out
}

// entriesOf evaluates a comparison on the entries of a group.
func entriesOf(g *group, t *term, only Rows) Rows {
	c := g.columns[t.column()]
	if only = sparse(only, g.entries); only == nil {
		return c.selects(t, g.entries)
	}
	out := newRows(g.entries)
	for i := range only.All() {
		if c.test(t, int(i)) {
			out.set(int(i))
		}
	}
	return out
}

// sparse returns the rows if they are so few that it is cheaper to look at each than to
// pass over the whole column, or nil.
func sparse(only Rows, n int) Rows {
	if only == nil || only.Count() > n/16 {
		return nil
	}
	return only
}
