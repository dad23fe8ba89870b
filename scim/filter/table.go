package filter

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"sync"
)

// Table holds the resources of one type in columns, so that a filter over all of them
// is a few passes over dense memory. A table does not change: [Table.With] makes the
// next one, which shares the columns. Columns are made when a filter first needs them.
// A table may be used concurrently, with filters for its one resource type.
type Table struct {
	base    *base
	changed map[uint32]Values // over the base; nil of a row that is gone
}

// base is what columns are made from. All rows that changed since are in the tables
// above it, so its source may stay what it was.
type base struct {
	source iter.Seq2[uint32, Values]

	mu     sync.RWMutex // guards what follows
	loaded bool
	n      int  // rows are below it
	live   Rows // rows that exist
	groups map[groupKey]*group
	free   int // how many columns no schema is known for
}

// mostFree bounds the columns that no schema is known for: whoever asks can name as many
// as they like. Those beyond are made for one filter, and forgotten.
const mostFree = 32

// NewTable makes a table of the resources that source yields, each with a row of its
// own. Rows should be dense: a column has a place for each up to the last. The source
// is read whenever a column is missing, and has to yield the same each time.
func NewTable(source iter.Seq2[uint32, Values]) *Table {
	return &Table{base: &base{source: source, groups: map[groupKey]*group{}}}
}

// changesBeforeCompaction bounds what is not in columns, which is matched one by one.
func changesBeforeCompaction(rows int) int { return max(512, rows/64) }

// With returns a table with changed rows: their resource now, or nil if it is gone.
// The source yields what the new table holds. It is kept, and read, only when so much
// has changed that the columns are made anew, as they are from time to time.
func (t *Table) With(changes, source iter.Seq2[uint32, Values]) *Table {
	changed := maps.Clone(t.changed)
	if changed == nil {
		changed = map[uint32]Values{}
	}
	for row, v := range changes {
		changed[row] = nil
		if v != nil {
			changed[row] = &memory{of: v}
		}
	}
	t.base.mu.RLock()
	defer t.base.mu.RUnlock()
	if len(changed) <= changesBeforeCompaction(t.base.n) {
		return &Table{t.base, changed}
	}
	return &Table{base: t.base.compact(changed, source)}
}

// compact makes the columns anew that were in use, from the old ones and the changes.
func (b *base) compact(changed map[uint32]Values, source iter.Seq2[uint32, Values]) *base {
	next := &base{source: source, groups: map[groupKey]*group{}, loaded: b.loaded, n: b.n, free: b.free}
	if !b.loaded {
		return next
	}
	for row, v := range changed {
		if v != nil {
			next.n = max(next.n, int(row)+1)
		}
	}
	next.live = newRows(next.n)
	copy(next.live, b.live)
	for row, v := range changed {
		if v != nil {
			next.live.set(int(row))
		} else if int(row) < next.n {
			next.live.clear(int(row))
		}
	}
	for key, g := range b.groups {
		to := newBuilder(key)
		for c := range g.columns {
			to.want(leaf{groupKey: key, sub: c.sub, kind: c.kind, fold: c.fold, untyped: c.kind == general})
		}
		from := to.of(g)
		for row := range next.live.All() {
			if v := changed[row]; v != nil {
				to.add(row, v)
			} else {
				to.copy(row, g, from)
			}
		}
		next.groups[key] = to.group(next.n)
	}
	return next
}

// find returns the groups that the leaves are in, with all of their columns. What is
// missing is made in one pass over the source.
func (b *base) find(leaves []leaf) map[groupKey]*group {
	b.mu.RLock()
	found, ok := b.have(leaves)
	b.mu.RUnlock()
	if ok {
		return found
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if found, ok = b.have(leaves); ok {
		return found
	}
	builders, free := map[groupKey]*builder{}, map[groupKey]bool{}
	for _, l := range leaves {
		g := b.groups[l.groupKey]
		if g.has(l) {
			found[l.groupKey] = g
			continue
		}
		if builders[l.groupKey] == nil {
			builders[l.groupKey] = newBuilder(l.groupKey)
		}
		builders[l.groupKey].want(l)
		free[l.groupKey] = l.untyped
	}
	b.read(builders)
	for key, made := range builders {
		g := made.group(b.n)
		if old := b.groups[key]; old != nil {
			// Entries are where they were, so the columns go together. The old group is
			// in use elsewhere and stays as it is.
			maps.Copy(g.columns, old.columns)
		}
		found[key] = g
		if !free[key] {
			b.groups[key] = g
		} else if b.free < mostFree {
			b.groups[key] = g
			b.free++
		}
	}
	return found
}

// have returns the groups that are there, and whether nothing is missing.
func (b *base) have(leaves []leaf) (map[groupKey]*group, bool) {
	found := make(map[groupKey]*group, len(leaves))
	if !b.loaded {
		return found, false
	}
	for i := range leaves {
		g := b.groups[leaves[i].groupKey]
		if !g.has(leaves[i]) {
			return found, false
		}
		found[leaves[i].groupKey] = g
	}
	return found, true
}

// has reports whether the group is there, with the column that the leaf needs.
func (g *group) has(l leaf) bool {
	return g != nil && (l.kind == exists || g.columns[l.column()] != nil)
}

// read reads the source into the builders, row by row in ascending order.
func (b *base) read(builders map[groupKey]*builder) {
	type pair struct {
		row uint32
		v   Values
	}
	var list []pair
	for row, v := range b.source {
		list = append(list, pair{row, v})
	}
	byRow := func(x, y pair) int { return cmp.Compare(x.row, y.row) }
	if !slices.IsSortedFunc(list, byRow) {
		slices.SortFunc(list, byRow)
	}
	if !b.loaded {
		if len(list) > 0 {
			b.n = int(list[len(list)-1].row) + 1
		}
		b.live = newRows(b.n)
		for _, p := range list {
			b.live.set(int(p.row))
		}
		b.loaded = true
	}
	for _, p := range list {
		for _, to := range builders {
			to.add(p.row, p.v)
		}
	}
}
