package filter

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// Order is the direction of a sort.
type Order uint8

// The orders.
const (
	Ascending Order = iota
	Descending
)

// Sort is a sortBy that was checked against a resource type: RFC 7644, section 3.4.2.3.
type Sort struct {
	leaf    leaf
	primary leaf // which of several values counts; of no kind if that is the first
	several bool // primary is there
}

// CompileSort checks a path that is to be sorted by. Its error is an [*Error].
func CompileSort(p Path, t *schema.ResourceType) (*Sort, error) {
	if p.Filter != nil {
		return nil, wrong("%s: brackets cannot be sorted by", p)
	}
	c := compiler{typ: t}
	f, err := c.find(p, nil)
	if err != nil {
		return nil, err
	}
	if !f.untyped {
		if err := f.simple(p); err != nil {
			return nil, err
		}
	}
	s := &Sort{leaf: f.leaf, primary: leaf{groupKey: f.groupKey, sub: "primary", kind: boolean, untyped: f.untyped}}
	if f.untyped {
		s.several = true
	} else if f.attr.MultiValued {
		primary := f.attr.Find("primary")
		s.several = primary != nil && primary.Type == schema.Boolean
	}
	return s, nil
}

// key is a row to be sorted. Most are told apart by the first bytes of their value.
type key struct {
	first uint64
	at    int32
	there bool
}

// Rows sorts rows of the table in place. Rows that are equal stay in the order they are
// in; those without a value are last, or, in descending order, first. Of several values
// the primary one counts, or else the first.
func (s *Sort) Rows(t *Table, rows []uint32, order Order) {
	cells := s.cells(t, rows)
	keys := make([]key, len(rows))
	for i, c := range cells {
		keys[i] = key{s.first(c), int32(i), c.there}
	}
	direction := 1
	if order == Descending {
		direction = -1
	}
	slices.SortFunc(keys, func(a, b key) int {
		d := 0
		switch {
		case a.there != b.there && a.there:
			d = -1
		case a.there != b.there:
			d = 1
		case a.first != b.first:
			d = cmp.Compare(a.first, b.first)
		case a.there:
			d = compareCells(s.leaf.kind, cells[a.at], cells[b.at])
		}
		if d == 0 {
			return cmp.Compare(a.at, b.at)
		}
		return d * direction
	})
	was := slices.Clone(rows)
	for i, k := range keys {
		rows[i] = was[k.at]
	}
}

// cells returns the value that counts of each row.
func (s *Sort) cells(t *Table, rows []uint32) []cell {
	leaves := []leaf{s.leaf}
	if s.several {
		leaves = append(leaves, s.primary)
	}
	g := t.base.find(leaves)[s.leaf.groupKey]
	values := g.columns[s.leaf.column()]
	primary, _ := g.columns[s.primary.column()].(booleans)
	out := make([]cell, len(rows))
	for i, row := range rows {
		if v, ok := t.changed[row]; ok {
			if v != nil {
				out[i] = s.leaf.cell(simplest(s.leaf.value(s.choose(v))))
			}
		} else if g.there.Has(row) {
			c := values.cell(g.choose(int(row), primary.on))
			c.any = simplest(c.any)
			c.there = c.there && (s.leaf.kind != general || c.any != nil)
			out[i] = c
		}
	}
	return out
}

// choose returns the value of a resource that counts, or nil.
func (s *Sort) choose(v Values) any {
	list, ok := s.leaf.values(v).([]any)
	if !ok {
		return s.leaf.values(v)
	}
	if len(list) == 0 {
		return nil
	}
	for _, entry := range list {
		if s.several && s.primary.value(entry) == true {
			return entry
		}
	}
	return list[0]
}

// choose returns the entry of a row that counts. The row has one.
func (g *group) choose(row int, primary Rows) int {
	first, end := g.span(row)
	if primary != nil {
		for e := first; e < end; e++ {
			if primary.has(e) {
				return e
			}
		}
	}
	return first
}

// simplest returns what of a value can be sorted by, or nil: the first of a list, the
// member value of an object.
func simplest(v any) any {
	if list, ok := v.([]any); ok {
		if len(list) == 0 {
			return nil
		}
		v = list[0]
	}
	if o, ok := v.(schema.Object); ok {
		v = member(o, "value", true)
	}
	switch v.(type) {
	case schema.Object, []any:
		return nil
	}
	return v
}

// first returns a number that sorts as the beginning of the value does.
func (s *Sort) first(c cell) uint64 {
	switch s.leaf.kind {
	case text:
		var b [8]byte
		copy(b[:], c.text)
		return binary.BigEndian.Uint64(b[:])
	case instant:
		return uint64(c.at) ^ 1<<63
	case boolean:
		if c.on {
			return 1
		}
	case numeric:
		return sortable(c.num.f)
	case exists, general:
	}
	return 0
}

// sortable returns bits that sort as the number does.
func sortable(f float64) uint64 {
	bits := math.Float64bits(f + 0) // no negative zero
	if bits>>63 != 0 {
		return ^bits
	}
	return bits | 1<<63
}

func compareCells(k kind, a, b cell) int {
	switch k {
	case text:
		return strings.Compare(a.text, b.text)
	case numeric:
		return a.num.compare(b.num)
	case general:
		return compareAny(a.any, b.any)
	case instant, boolean, exists:
	}
	return 0
}

// compareAny sorts what no schema is known for: numbers, then text, then booleans.
func compareAny(a, b any) int {
	if d := cmp.Compare(rank(a), rank(b)); d != 0 {
		return d
	}
	switch a := a.(type) {
	case string:
		b, _ := b.(string)
		return strings.Compare(foldText(a, true), foldText(b, true))
	case bool:
		on, _ := b.(bool)
		switch {
		case a == on:
			return 0
		case a:
			return 1
		}
		return -1
	}
	n, _ := toNumber(a)
	m, _ := toNumber(b)
	return n.compare(m)
}

func rank(v any) int {
	switch v.(type) {
	case string:
		return 1
	case bool:
		return 2
	}
	return 0
}
