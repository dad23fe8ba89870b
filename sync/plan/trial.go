package plan

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// Trial is what a source says of one person, and what a run would make of him, stage
// by stage. Nothing of it was written.
type Trial struct {
	Source identity.SourceID `json:"source"`
	User   string            `json:"user"` // as it was asked for: a login name, a key or a DN
	Server string            `json:"server,omitzero"`
	Family string            `json:"family,omitzero"`
	// Known is what the roll has of him, from this source; nil: nobody.
	Known *TrialKnown `json:"known,omitzero"`
	// Entries are what the directory has: none, or several when a login name is not one
	// person's alone. Only of exactly one, or of one whom the roll has and the directory
	// has not, the rest is said.
	Entries []TrialEntry `json:"entries"`
	// Steps are those of a plan that looks at this person and at his memberships only.
	Steps        []Step        `json:"steps"`
	Conflicts    []Conflict    `json:"conflicts,omitempty"`    // of that plan
	Consequences []Consequence `json:"consequences,omitempty"` // what it would change of what people may do
	// Notes say what else has to be known to understand it.
	Notes []string `json:"notes,omitempty"`
}

// TrialKnown is a user as the roll has him.
type TrialKnown struct {
	ID      Ref          `json:"id"`
	Key     identity.Key `json:"key"`
	Name    string       `json:"name"`
	Missing bool         `json:"missing,omitzero"` // his source did not have him any more
}

// TrialEntry is one entry of the directory.
type TrialEntry struct {
	DN  string       `json:"dn"`
	Key identity.Key `json:"key,omitzero"`
	By  string       `json:"by"` // how it was found: "login name", "key", "DN", "the key in the roll"
	// Raw are its attributes as the server sent them, of those that the source asks for.
	Raw     []TrialRaw    `json:"raw"`
	Scope   TrialScope    `json:"scope"`
	Mapped  []TrialMapped `json:"mapped,omitempty"` // what became of them
	Problem string        `json:"problem,omitzero"` // why the entry could not be mapped
	// Groups are those of the source that have him as a member, those first that list
	// him themselves.
	Groups        []TrialGroup `json:"groups,omitempty"`
	GroupsUnknown string       `json:"groupsUnknown,omitzero"` // why they could not be told
	// Record is what would be stored; nil when it could not be mapped.
	Record *identity.Record `json:"-"`
}

// TrialRaw is one attribute as the server sent it. What is not text is in its written
// form where it has one, and else as "base64:...".
type TrialRaw struct {
	Attribute string   `json:"attribute"`     // as the directory calls it
	Values    []string `json:"values"`        // the first few
	More      int      `json:"more,omitzero"` // values that are not shown
}

// TrialScope says whether the entry is one of those that the source reads.
type TrialScope struct {
	In   bool   `json:"in"`            // it is one of them
	Base string `json:"base,omitzero"` // the base below which it lies
	Why  string `json:"why"`           // in words
}

// TrialMapped is one value of ours and what it is made of.
type TrialMapped struct {
	Field  string   `json:"field"` // "name", "email", "attribute.department", "disabled"
	From   []string `json:"from"`
	Values []string `json:"values,omitempty"` // none: it is not set
}

// TrialGroup is a group that has the person as a member.
type TrialGroup struct {
	Key  identity.Key `json:"key"`
	Name string       `json:"name"`
	DN   string       `json:"dn"`
	By   string       `json:"by"` // the attribute that makes him one
	// Through names the group of which this one has the members; empty: he is listed
	// himself.
	Through string `json:"through,omitzero"`
}

// Text writes the trial for people.
func (t *Trial) Text(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "Source %s", t.Source)
	if t.Server != "" {
		fmt.Fprintf(b, "  %s", quote(t.Server))
	}
	fmt.Fprintf(b, "  %s\n", quote(t.User))
	writeLines(b, "roll", []string{t.Known.words()})
	if len(t.Entries) == 0 {
		writeLines(b, "directory", []string{"no such entry"})
	}
	for i := range t.Entries {
		t.Entries[i].write(b)
	}
	t.writePlan(b)
	writeLines(b, "note", t.Notes)
	return b.Flush()
}

func (k *TrialKnown) words() string {
	if k == nil {
		return "nobody"
	}
	s := fmt.Sprintf("%s (%s), id %s", quote(k.Name), quote(string(k.Key)), k.ID)
	if k.Missing {
		s += ", missing: his source did not have him any more"
	}
	return s
}

func (e *TrialEntry) write(b *bufio.Writer) {
	writeLines(b, "directory", []string{e.DN, fmt.Sprintf("key %s, found by %s", quote(cmp.Or(string(e.Key), "unreadable")), e.By)})
	verdict := "out: "
	if e.Scope.In {
		verdict = "in: "
	}
	writeLines(b, "scope", []string{verdict + e.Scope.Why})
	writeLines(b, "attributes", e.rawLines())
	if e.Problem != "" {
		writeLines(b, "mapping", []string{"cannot be mapped: " + e.Problem})
	}
	writeLines(b, "mapping", e.mappedLines())
	switch {
	case e.GroupsUnknown != "":
		writeLines(b, "groups", []string{"cannot be told: " + e.GroupsUnknown})
	case len(e.Groups) == 0:
		writeLines(b, "groups", []string{"none"})
	}
	writeLines(b, "groups", e.groupLines())
}

func (e *TrialEntry) rawLines() []string {
	lines := make([]string, len(e.Raw))
	for i, r := range e.Raw {
		lines[i] = r.Attribute + ": " + quoted(r.Values)
		if r.More > 0 {
			lines[i] += fmt.Sprintf(" and %s more", thousands(r.More))
		}
	}
	return lines
}

func (e *TrialEntry) mappedLines() []string {
	lines := make([]string, len(e.Mapped))
	for i, m := range e.Mapped {
		values := "not set"
		if len(m.Values) > 0 {
			values = quoted(m.Values)
		}
		lines[i] = fmt.Sprintf("%s = %s  (%s)", quote(m.Field), values, strings.Join(m.From, ", "))
	}
	return lines
}

func (e *TrialEntry) groupLines() []string {
	lines := make([]string, len(e.Groups))
	for i, g := range e.Groups {
		how := "by " + g.By
		if g.Through != "" {
			how = "through " + quote(g.Through)
		}
		lines[i] = fmt.Sprintf("%s (%s) %s", quote(g.Name), quote(string(g.Key)), how)
	}
	return lines
}

// writePlan says what a run would do.
func (t *Trial) writePlan(b *bufio.Writer) {
	if len(t.Steps) == 0 {
		writeLines(b, "a run", []string{"would change nothing about this person"})
	}
	for i := range t.Steps {
		s := &t.Steps[i]
		title := ""
		if i == 0 {
			title = "a run would"
		}
		writeLines(b, title, []string{fmt.Sprintf("%s %s (%s)", opWords[s.Op], quote(s.Name), quote(string(s.Key)))})
		for _, c := range s.Changes {
			writeLines(b, "", []string{"  " + quote(c.Field) + ": " + c.String()})
		}
		for _, m := range s.Add {
			writeLines(b, "", []string{"  + " + m.String()})
		}
		for _, m := range s.Remove {
			writeLines(b, "", []string{"  - " + m.String()})
		}
	}
	p := Plan{Conflicts: t.Conflicts, Consequences: t.Consequences}
	writeLines(b, "may do", p.consequenceLines())
	writeLines(b, "conflict", p.conflictLines())
}

// quoted joins values, each as it can be mistaken for nothing else.
func quoted(values []string) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = quote(v)
	}
	return strings.Join(out, ", ")
}
