package filter

import "slices"

// builder makes the group of one attribute from rows in ascending order.
type builder struct {
	key     groupKey
	leaves  []leaf // one for each column
	columns []values
	rows    []uint32 // of each entry
	several bool     // a row has more than one value
}

// values gathers one column. Of its lists one is used, as the kind of the leaf wants.
type values struct {
	there   []bool
	text    []string
	on      []bool
	numbers []number
	times   []int64
	any     []any
}

func newBuilder(key groupKey) *builder { return &builder{key: key} }

// want adds a column, unless it is there.
func (b *builder) want(l leaf) {
	if l.kind == exists || slices.ContainsFunc(b.leaves, func(k leaf) bool { return k.column() == l.column() }) {
		return
	}
	b.leaves = append(b.leaves, l)
	b.columns = append(b.columns, values{})
}

// add takes the values of a row.
func (b *builder) add(row uint32, v Values) {
	switch list := b.key.values(v).(type) {
	case nil:
	case []any:
		b.several = b.several || len(list) > 1
		for _, entry := range list {
			b.addEntry(row, entry)
		}
	default:
		b.addEntry(row, list)
	}
}

func (b *builder) addEntry(row uint32, entry any) {
	b.rows = append(b.rows, row)
	for i := range b.leaves {
		l := &b.leaves[i]
		b.columns[i].add(l.kind, l.cell(l.value(entry)))
	}
}

// copy takes the values of a row from a group that has all the columns.
func (b *builder) copy(row uint32, g *group, from []column) {
	if !g.there.has(int(row)) {
		return
	}
	first, end := g.span(int(row))
	b.several = b.several || end > first+1
	for e := first; e < end; e++ {
		b.rows = append(b.rows, row)
		for i := range b.leaves {
			b.columns[i].add(b.leaves[i].kind, from[i].cell(e))
		}
	}
}

// of returns the columns of a group in the order of the leaves.
func (b *builder) of(g *group) []column {
	var list []column
	for _, l := range b.leaves {
		list = append(list, g.columns[l.column()])
	}
	return list
}

func (v *values) add(k kind, c cell) {
	v.there = append(v.there, c.there)
	switch k {
	case text:
		v.text = append(v.text, c.text)
	case boolean:
		v.on = append(v.on, c.on)
	case numeric:
		v.numbers = append(v.numbers, c.num)
	case instant:
		v.times = append(v.times, c.at)
	case general:
		v.any = append(v.any, c.any)
	case exists:
	}
}

// group lays out what was added for n rows.
func (b *builder) group(n int) *group {
	g := &group{entries: n, there: newRows(n), columns: map[columnKey]column{}}
	for _, row := range b.rows {
		g.there.set(int(row))
	}
	place := b.rows // where each entry goes
	if b.several {
		place = nil
		g.entries, g.owners = len(b.rows), b.rows
		g.starts = make([]uint32, n+1)
		for _, row := range b.rows {
			g.starts[row+1]++
		}
		for i := range n {
			g.starts[i+1] += g.starts[i]
		}
	}
	for i, l := range b.leaves {
		g.columns[l.column()] = b.columns[i].column(l.kind, g.entries, place)
	}
	return g
}

// column makes a column of n entries. Without places each value is where it is.
func (v *values) column(k kind, n int, place []uint32) column {
	there := bitsOf(spread(v.there, n, place))
	switch k {
	case boolean:
		return booleans{there, bitsOf(spread(v.on, n, place))}
	case numeric:
		return numbers{there, spread(v.numbers, n, place)}
	case instant:
		return instants{there, spread(v.times, n, place)}
	case general:
		return anything(spread(v.any, n, place))
	case text, exists:
	}
	return texts{newTextColumn(spread(v.text, n, place), there)}
}

func spread[T any](list []T, n int, place []uint32) []T {
	if place == nil && len(list) == n {
		return list
	}
	out := make([]T, n)
	for i, to := range place {
		out[to] = list[i]
	}
	return out
}

func bitsOf(list []bool) Rows {
	out := newRows(len(list))
	for i, on := range list {
		if on {
			out.set(i)
		}
	}
	return out
}
