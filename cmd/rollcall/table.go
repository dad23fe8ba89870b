package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// table is rows under a header, its columns as wide as they have to be. The standard
// library's tabwriter counts characters; names hold wide ones and combining ones.
type table struct {
	rows  [][]cell
	width []int
	// columns, when not 0, is where the text of the last column is broken into lines.
	columns int
}

// cell is a text and how it is painted, which takes no room.
type cell struct {
	text  string
	paint func(string) string
}

func newTable(header ...string) *table {
	t := &table{}
	t.row(header...)
	return t
}

// row adds a row of plain texts.
func (t *table) row(texts ...string) {
	cells := make([]cell, len(texts))
	for i, s := range texts {
		cells[i].text = s
	}
	t.cells(cells...)
}

func (t *table) cells(cells ...cell) {
	for i := range cells {
		cells[i].text = printable(cells[i].text)
		if cells[i].text == "" {
			cells[i].text = "-"
		}
		if i == len(t.width) {
			t.width = append(t.width, 0)
		}
		t.width[i] = max(t.width[i], width(cells[i].text))
	}
	t.rows = append(t.rows, cells)
}

// write writes the table, without spaces at the ends of its lines.
func (t *table) write(w io.Writer) {
	indent, room := t.lastColumn()
	for _, r := range t.rows {
		var b strings.Builder
		last := len(r) - 1
		lines := broken(r[last].text, room)
		r[last].text = lines[0]
		for i, c := range r {
			text := c.text
			if c.paint != nil {
				text = c.paint(text)
			}
			b.WriteString(text)
			if i < last {
				b.WriteString(strings.Repeat(" ", t.width[i]-width(c.text)+2))
			}
		}
		fmt.Fprintln(w, b.String())
		for _, l := range lines[1:] {
			fmt.Fprintf(w, "%*s%s\n", indent, "", l)
		}
	}
}

// leastRoom is a width below which breaking a text makes it no easier to read.
const leastRoom = 30

// lastColumn returns where the last column begins and how wide it may be; 0: as wide
// as it is.
func (t *table) lastColumn() (indent, room int) {
	for _, n := range t.width[:len(t.width)-1] {
		indent += n + 2
	}
	if room = t.columns - indent; room < leastRoom {
		room = 0
	}
	return indent, room
}

// broken breaks a text between words into lines that fit.
func broken(text string, room int) []string {
	if room == 0 || width(text) <= room {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case width(line)+1+width(word) <= room:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// wide are the characters that take two columns: the blocks of Unicode's
// EastAsianWidth W and F that names are written in, and emoji.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x1100, 0x115f, 1},
		{0x2e80, 0x303e, 1},
		{0x3041, 0x33ff, 1},
		{0x3400, 0x4dbf, 1},
		{0x4e00, 0x9fff, 1},
		{0xa000, 0xa4cf, 1},
		{0xa960, 0xa97f, 1},
		{0xac00, 0xd7a3, 1},
		{0xf900, 0xfaff, 1},
		{0xfe30, 0xfe6f, 1},
		{0xff01, 0xff60, 1},
		{0xffe0, 0xffe6, 1},
	},
	R32: []unicode.Range32{
		{0x17000, 0x18cff, 1},
		{0x1b000, 0x1b2ff, 1},
		{0x1f300, 0x1f64f, 1},
		{0x1f680, 0x1f6ff, 1},
		{0x1f900, 0x1f9ff, 1},
		{0x20000, 0x3fffd, 1},
	},
}

// width returns how many columns of a terminal a printable text takes.
func width(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case unicode.Is(wide, r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// block is facts under one another, their names in a column of their own.
type block struct{ facts [][2]string }

// add adds a fact, unless there is nothing to say.
func (b *block) add(name, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if text != "" {
		b.facts = append(b.facts, [2]string{name, printable(text)})
	}
}

func (b *block) write(w io.Writer) {
	widest := 0
	for _, f := range b.facts {
		widest = max(widest, width(f[0]))
	}
	for _, f := range b.facts {
		fmt.Fprintf(w, "  %s%s  %s\n", f[0], strings.Repeat(" ", widest-width(f[0])), f[1])
	}
}
