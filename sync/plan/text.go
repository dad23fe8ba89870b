package plan

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// View chooses what of a plan is shown.
type View struct {
	// Limits, when set, adds how the plan stands to each limit it comes near to.
	Limits *Limits
	// Steps adds every step with its changes.
	Steps bool
	// Roll is for a plan that rests on the roll alone: nothing is said of a read.
	Roll bool
}

// Text writes the plan for people: what was read, what would change, what is left
// out and why. The same plan gives the same text.
func (p *Plan) Text(w io.Writer, v View) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "Source %s", p.Source)
	if p.Server != "" {
		fmt.Fprintf(b, "  %s", quote(p.Server))
	}
	if !v.Roll {
		fmt.Fprintf(b, "  %s, %s read", count(p.Counts.UsersSeen, "user", "users"), count(p.Counts.GroupsSeen, "group", "groups"))
	}
	fmt.Fprintln(b)
	p.writeCounts(b)
	writeLines(b, "may do", p.consequenceLines())
	if v.Limits != nil {
		writeLines(b, "guard", p.guardLines(*v.Limits))
	}
	writeLines(b, "withheld", p.Withheld)
	writeLines(b, "conflict", p.conflictLines())
	writeLines(b, "skipped", p.skippedLines())
	if v.Steps {
		for i := range p.Steps {
			p.Steps[i].write(b)
		}
	}
	return b.Flush()
}

// Summary returns the changes in one line: "users +12 ~31 -4, memberships +57".
func (p *Plan) Summary() string {
	if p.IsEmpty() {
		return "nothing to change"
	}
	var parts []string
	for _, t := range p.tallies() {
		if t.tally != (Tally{}) {
			parts = append(parts, t.what+" "+t.tally.String())
		}
	}
	return strings.Join(parts, ", ")
}

type namedTally struct {
	what  string
	tally Tally
}

func (p *Plan) tallies() []namedTally {
	return []namedTally{{"users", p.Counts.Users}, {"groups", p.Counts.Groups}, {"memberships", p.Counts.Members}}
}

// String returns the tally as signs and counts: "+12 ~31 -4", and "back 2" for
// those that return.
func (t Tally) String() string {
	var parts []string
	for _, x := range []struct {
		sign string
		n    int
	}{{"+", t.Created}, {"~", t.Updated}, {"back ", t.Returned}, {"-", t.Removed}} {
		if x.n > 0 {
			parts = append(parts, x.sign+thousands(x.n))
		}
	}
	return cmp.Or(strings.Join(parts, "  "), "no change")
}

func (p *Plan) writeCounts(b *bufio.Writer) {
	if p.IsEmpty() {
		writeLines(b, "nothing to change", []string{""})
	}
	for _, t := range p.tallies() {
		if t.tally != (Tally{}) {
			writeLines(b, t.what, []string{t.tally.String()})
		}
	}
	var also []string
	for _, x := range []struct {
		n    int
		what string
	}{
		{p.Counts.Linked, "linked to users of another source"},
		{p.Counts.Unlinked, "linked to nobody"},
		{p.Counts.Disabled, "disabled in the source"},
		{p.Counts.Renamed, "renamed"},
		{p.Counts.Unresolved, "named as member without being an entry"},
	} {
		if x.n > 0 {
			also = append(also, thousands(x.n)+" "+x.what)
		}
	}
	if len(also) > 0 {
		writeLines(b, "of note", []string{strings.Join(also, ", ")})
	}
}

// writeLines writes a block with its title beside the first line.
func writeLines(b *bufio.Writer, title string, lines []string) {
	for _, l := range lines {
		fmt.Fprintln(b, strings.TrimRight(fmt.Sprintf("  %-12s %s", title, printable(l)), " "))
		title = ""
	}
}

// guardLines says for each limit how near the plan comes to it.
func (p *Plan) guardLines(l Limits) []string {
	var lines []string
	for _, c := range p.checks(l) {
		verdict := "ok"
		if c.over {
			verdict = "HELD"
		}
		lines = append(lines, c.Text+": "+verdict)
	}
	return lines
}

func (p *Plan) conflictLines() []string {
	lines := make([]string, len(p.Conflicts))
	for i, c := range p.Conflicts {
		lines[i] = fmt.Sprintf("%s (%s) %s: %s", quote(c.Name), quote(string(c.Key)), c.Code, c.Detail)
	}
	return lines
}

func (p *Plan) skippedLines() []string {
	lines := make([]string, len(p.Skipped))
	for i, s := range p.Skipped {
		kind := User
		if s.Group {
			kind = Group
		}
		name := quote(cmp.Or(s.DN, string(s.Key), "without a name"))
		if s.DN != "" && s.Key != "" {
			name = fmt.Sprintf("%s (%s)", name, quote(string(s.Key)))
		}
		lines[i] = fmt.Sprintf("%s %s: %s", kind, name, s.Reason)
	}
	return lines
}

// opWords is in the order of the operations.
var opWords = []string{
	"create user", "update user", "return user", "link user", "create group", "update group", "return group",
	"members of", "deactivate user", "deactivate group",
}

// write draws one step: what it does to whom, then a line for each change.
func (s *Step) write(b *bufio.Writer) {
	fmt.Fprintf(b, "%s %s (%s)\n", opWords[s.Op], quote(s.Name), quote(string(s.Key)))
	for _, c := range s.Changes {
		fmt.Fprintf(b, "    %s: %s\n", quote(c.Field), c.String())
	}
	for _, m := range s.Add {
		fmt.Fprintf(b, "    + %s\n", m)
	}
	for _, m := range s.Remove {
		fmt.Fprintf(b, "    - %s\n", m)
	}
}

// String returns "user KEY" or "group KEY".
func (m MemberKey) String() string {
	if m.Group {
		return "group " + quote(string(m.Key))
	}
	return "user " + quote(string(m.Key))
}

// String returns "old -> new", or what came and went where there are several
// values.
func (c Change) String() string {
	if len(c.Before) <= 1 && len(c.After) <= 1 {
		switch {
		case len(c.Before) == 0:
			return quote(first(c.After))
		case len(c.After) == 0:
			return quote(first(c.Before)) + " -> none"
		}
		return quote(first(c.Before)) + " -> " + quote(first(c.After))
	}
	var parts []string
	for _, v := range c.Before {
		if !slices.Contains(c.After, v) {
			parts = append(parts, "-"+quote(v))
		}
	}
	for _, v := range c.After {
		if !slices.Contains(c.Before, v) {
			parts = append(parts, "+"+quote(v))
		}
	}
	return strings.Join(parts, ", ")
}
