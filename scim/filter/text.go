package filter

import (
	"strings"
)

// textColumn holds the text of entries, in the form in which it is compared. All values
// stand in one slab, each between two bytes that are in no UTF-8, so that a search of
// the slab never finds what reaches from one value into the next. Where values repeat,
// the slab has each once, and entries have codes.
type textColumn struct {
	slab    string
	offsets []int    // of the first byte of each value, and one beyond the slab
	codes   []uint32 // of each entry: 1 + the number of its value, or 0 without one
	there   Rows     // which entries have a value; if there are no codes
}

const (
	edge  = 0xFF // stands around each value
	gone  = 0xFE // stands for no value, where there are no codes
	edges = "\xFF"
)

// fewValues bounds what is worth a code: up to 1,024 values, or one in four entries.
func fewValues(distinct, entries int) bool { return distinct <= max(1024, entries/4) }

func newTextColumn(values []string, there Rows) *textColumn {
	c := &textColumn{}
	if c.encode(values, there); c.codes != nil {
		return c
	}
	c.there = there
	size := len(values) + 1
	for _, s := range values {
		size += len(s) + 1
	}
	slab := append(make([]byte, 0, size), edge)
	c.offsets = make([]int, 0, len(values)+1)
	for i, s := range values {
		c.offsets = append(c.offsets, len(slab))
		if there.has(i) {
			slab = append(slab, s...)
		} else {
			slab = append(slab, gone)
		}
		slab = append(slab, edge)
	}
	c.slab, c.offsets = string(slab), append(c.offsets, len(slab))
	return c
}

// encode gives codes, unless there are too many values.
func (c *textColumn) encode(values []string, there Rows) {
	known := map[string]uint32{}
	codes := make([]uint32, len(values))
	slab, offsets := []byte{edge}, []int(nil)
	for i, s := range values {
		if !there.has(i) {
			continue
		}
		code, ok := known[s]
		if !ok {
			if !fewValues(len(known)+1, len(values)) {
				return
			}
			code = uint32(len(known) + 1)
			known[s] = code
			offsets = append(offsets, len(slab))
			slab = append(append(slab, s...), edge)
		}
		codes[i] = code
	}
	c.slab, c.offsets, c.codes = string(slab), append(offsets, len(slab)), codes
}

// value returns a value by its number.
func (c *textColumn) value(value int) string {
	return c.slab[c.offsets[value] : c.offsets[value+1]-1]
}

// entry returns the text of an entry.
func (c *textColumn) entry(i int) (string, bool) {
	if c.codes != nil {
		if c.codes[i] == 0 {
			return "", false
		}
		return c.value(int(c.codes[i] - 1)), true
	}
	if !c.there.has(i) {
		return "", false
	}
	return c.value(i), true
}

func (c *textColumn) values() int { return len(c.offsets) - 1 }

// selects returns which of n entries satisfy the operator.
func (c *textColumn) selects(op Op, operand string, n int) Rows {
	if op == NotEqual {
		return c.selects(Equal, operand, n).not(n)
	}
	hits := c.search(op, operand)
	if c.codes == nil {
		return hits.and(c.there)
	}
	out := newRows(n)
	table := make([]bool, c.values()+1) // by code; bytes are faster to ask than bits
	for v := range hits.All() {
		table[v+1] = true
	}
	for w := range out {
		codes := c.codes[w*64 : min(n, w*64+64)]
		var word uint64
		for i, code := range codes {
			if table[code] {
				word |= 1 << i
			}
		}
		out[w] = word
	}
	return out
}

// search returns which values satisfy the operator; what stands for none may be among
// them.
func (c *textColumn) search(op Op, operand string) Rows {
	hits := newRows(c.values())
	var needle string
	switch op {
	case Equal:
		needle = edges + operand + edges
	case Contains:
		needle = operand
	case StartsWith:
		needle = edges + operand
	case EndsWith:
		needle = operand + edges
	case NotEqual, Greater, Less, GreaterOrEqual, LessOrEqual, present:
		for v := range c.values() {
			if testText(op, c.value(v), operand) {
				hits.set(v)
			}
		}
		return hits
	}
	if operand == "" && op != Equal {
		return hits.fill(c.values())
	}
	c.find(needle, hits)
	return hits
}

// find sets the values that the needle is in. It walks over the slab, not over values.
func (c *textColumn) find(needle string, hits Rows) {
	v := 0
	for at := 0; ; {
		i := strings.Index(c.slab[at:], needle)
		if i < 0 {
			return
		}
		at += i
		first := at
		if needle[0] == edge {
			first++ // the edge stands in front of the value
		}
		v = c.holder(first, v)
		hits.set(v)
		at = c.offsets[v+1] - 1 // the edge behind the value: the next one begins with it
		v++
	}
}

// holder returns the value that a position of the slab is in, from value v on.
func (c *textColumn) holder(at, v int) int {
	step := 1
	for v+step < c.values() && c.offsets[v+step] <= at {
		v, step = v+step, step*2
	}
	low, high := v, min(v+step, c.values())
	for low+1 < high {
		if mid := (low + high) / 2; c.offsets[mid] <= at {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// test compares one entry.
func (c *textColumn) test(op Op, operand string, i int) bool {
	s, ok := c.entry(i)
	if !ok {
		return op == NotEqual
	}
	return testText(op, s, operand)
}
