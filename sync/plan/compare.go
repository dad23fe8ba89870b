package plan

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// Difference is what came and what went from one plan to another, of the same source. Of
// a step that both have, only the parts that differ are in it.
type Difference struct {
	Source identity.SourceID `json:"source"`
	Came   []Step            `json:"came"` // steps that only the later one has
	Went   []Step            `json:"went"` // steps that only the earlier one has
	Same   int               `json:"same"` // steps that both have as they are

	ConflictsCame []Conflict `json:"conflictsCame,omitempty"` // what a person has to settle only by the later one
	ConflictsWent []Conflict `json:"conflictsWent,omitempty"` // what he had to settle only by the earlier one
}

// Compare says what came and what went from one plan to another. Either may have been put
// away as JSON.
func Compare(before, after *Plan) *Difference {
	d := &Difference{Source: after.Source, Came: []Step{}, Went: []Step{}}
	a, b := before.Steps, after.Steps
	for len(a)+len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].compare(&b[0]) < 0:
			d.Went, a = append(d.Went, a[0]), a[1:]
		case len(a) == 0 || a[0].compare(&b[0]) > 0:
			d.Came, b = append(d.Came, b[0]), b[1:]
		default:
			d.both(&a[0], &b[0])
			a, b = a[1:], b[1:]
		}
	}
	d.ConflictsCame, d.ConflictsWent = beyond(after.Conflicts, before.Conflicts), beyond(before.Conflicts, after.Conflicts)
	return d
}

// IsEmpty reports whether both plans do and say the same.
func (d *Difference) IsEmpty() bool {
	return len(d.Came)+len(d.Went)+len(d.ConflictsCame)+len(d.ConflictsWent) == 0
}

// both compares two steps of one operation on one object.
func (d *Difference) both(a, b *Step) {
	went, came := a.beyond(b), b.beyond(a)
	if went == nil && came == nil {
		d.Same++
	}
	if went != nil {
		d.Went = append(d.Went, *went)
	}
	if came != nil {
		d.Came = append(d.Came, *came)
	}
}

// beyond returns the step with only the parts that another one does not have; nil: none.
func (s *Step) beyond(t *Step) *Step {
	out := *s
	out.Changes = slices.DeleteFunc(slices.Clone(s.Changes), func(c Change) bool {
		return slices.ContainsFunc(t.Changes, c.equal)
	})
	out.Add, out.Remove = keysBeyond(s.Add, t.Add), keysBeyond(s.Remove, t.Remove)
	if len(out.Changes)+len(out.Add)+len(out.Remove) == 0 {
		return nil
	}
	return &out
}

func (c Change) equal(x Change) bool {
	return c.Field == x.Field && slices.Equal(c.Before, x.Before) && slices.Equal(c.After, x.After)
}

// keysBeyond returns what of a sorted list another sorted list does not have.
func keysBeyond(a, b []MemberKey) []MemberKey {
	return slices.DeleteFunc(slices.Clone(a), func(m MemberKey) bool {
		_, found := slices.BinarySearchFunc(b, m, MemberKey.compare)
		return found
	})
}

func beyond(a, b []Conflict) []Conflict {
	return slices.DeleteFunc(slices.Clone(a), func(c Conflict) bool { return slices.Contains(b, c) })
}

// Text writes the difference for people: what went with a minus, what came with a plus.
func (d *Difference) Text(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "Source %s  %s came, %s went, %s the same\n", d.Source,
		count(len(d.Came), "step", "steps"), count(len(d.Went), "step", "steps"), count(d.Same, "step is", "steps are"))
	for _, x := range []struct {
		sign      string
		steps     []Step
		conflicts []Conflict
	}{{"- ", d.Went, d.ConflictsWent}, {"+ ", d.Came, d.ConflictsCame}} {
		p := Plan{Conflicts: x.conflicts}
		for _, line := range p.conflictLines() {
			fmt.Fprintf(b, "%sconflict %s\n", x.sign, printable(line))
		}
		for i := range x.steps {
			var text bytes.Buffer
			step := bufio.NewWriter(&text)
			x.steps[i].write(step)
			_ = step.Flush() // into memory
			for line := range strings.Lines(text.String()) {
				fmt.Fprint(b, x.sign, line)
			}
		}
	}
	return b.Flush()
}
