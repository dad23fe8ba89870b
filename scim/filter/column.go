package filter

import (
	"cmp"
	"slices"
)

// group holds the values of one attribute of all rows. They are its entries: in the
// order of the rows, and of the values in a row. Where no row has more than one value,
// the entry has the number of its row, and rows without a value have an empty one.
type group struct {
	entries int
	starts  []uint32 // the first entry of each row, and one beyond; nil where entries are rows
	owners  []uint32 // the row of each entry; nil where entries are rows
	there   Rows     // rows that have a value
	columns map[columnKey]column
}

// columnKey names a column within a group.
type columnKey struct {
	sub  string
	kind kind
	fold bool
}

func (l leaf) column() columnKey { return columnKey{l.sub, l.kind, l.fold} }

// column holds what one leaf names in each entry.
type column interface {
	// selects returns which of n entries satisfy the term.
	selects(t *term, n int) Rows
	// test compares one entry.
	test(t *term, i int) bool
	// cell returns one entry.
	cell(i int) cell
}

type (
	texts    struct{ *textColumn }
	booleans struct{ there, on Rows }
	numbers  struct {
		there  Rows
		values []number
	}
	instants struct {
		there  Rows
		values []int64
	}
	anything []any
)

func (c texts) selects(t *term, n int) Rows { return c.textColumn.selects(t.op, t.text, n) }

func (c texts) test(t *term, i int) bool { return c.textColumn.test(t.op, t.text, i) }

func (c texts) cell(i int) cell {
	s, ok := c.entry(i)
	return cell{there: ok, text: s}
}

func (c booleans) selects(t *term, n int) Rows {
	switch {
	case t.op == present:
		return slices.Clone(c.there)
	case t.op == Equal && t.on:
		return slices.Clone(c.on)
	case t.op == Equal:
		return slices.Clone(c.on).not(n).and(c.there)
	case t.on: // ne: what has no value too
		return slices.Clone(c.on).not(n)
	}
	return slices.Clone(c.there).not(n).or(c.on)
}

func (c booleans) test(t *term, i int) bool { return t.test(c.cell(i)) }

func (c booleans) cell(i int) cell { return cell{there: c.there.has(i), on: c.on.has(i)} }

func (c numbers) selects(t *term, n int) Rows { return each(c, t, n) }

func (c numbers) test(t *term, i int) bool { return t.test(c.cell(i)) }

func (c numbers) cell(i int) cell { return cell{there: c.there.has(i), num: c.values[i]} }

func (c instants) selects(t *term, n int) Rows {
	if t.op == present {
		return slices.Clone(c.there)
	}
	out := newRows(n)
	for i, at := range c.values {
		if holds(t.op, cmp.Compare(at, t.at)) {
			out.set(i)
		}
	}
	if t.op == NotEqual {
		return out.or(slices.Clone(c.there).not(n))
	}
	return out.and(c.there)
}

func (c instants) test(t *term, i int) bool { return t.test(c.cell(i)) }

func (c instants) cell(i int) cell { return cell{there: c.there.has(i), at: c.values[i]} }

func (c anything) selects(t *term, n int) Rows { return each(c, t, n) }

func (c anything) test(t *term, i int) bool { return t.testAny(c[i]) }

func (c anything) cell(i int) cell { return cell{there: c[i] != nil, any: c[i]} }

// each tests every entry.
func each(c column, t *term, n int) Rows {
	out := newRows(n)
	for i := range n {
		if c.test(t, i) {
			out.set(i)
		}
	}
	return out
}

// span returns the first entry of a row and the one behind its last.
func (g *group) span(row int) (first, end int) {
	if g.starts == nil {
		return row, row + 1
	}
	return int(g.starts[row]), int(g.starts[row+1])
}

// reduce returns the rows of entries.
func (g *group) reduce(entries Rows, n int) Rows {
	if g.starts == nil {
		return entries
	}
	out := newRows(n)
	for e := range entries.All() {
		out.set(int(g.owners[e]))
	}
	return out
}

// expand returns the entries of rows.
func (g *group) expand(rows Rows) Rows {
	if g.starts == nil || rows == nil {
		return rows
	}
	out := newRows(g.entries)
	for row := range rows.All() {
		for e := g.starts[row]; e < g.starts[row+1]; e++ {
			out.set(int(e))
		}
	}
	return out
}
