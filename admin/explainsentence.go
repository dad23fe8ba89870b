package admin

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/rollcall-id/rollcall/identity"
)

// sentence tells a manager, one line for each origin, where the values come from.
func (e *ValueExplanation) sentence(now time.Time) string {
	var b strings.Builder
	who := printable(e.Subject.Name)
	if len(e.Values) == 0 {
		fmt.Fprintf(&b, "%s has no %s: %s\n", who, printable(e.Key), e.nothing())
	}
	for _, v := range e.Values {
		for _, o := range v.From {
			fmt.Fprintf(&b, "%s: %s\n", e.claim(who, v.Value, v.Counts), o.words(e.Subject.Source, now))
		}
	}
	return b.String()
}

// claim is what a line is about.
func (e *ValueExplanation) claim(who, value string, counts bool) string {
	value = printable(value)
	if e.Kind == kindProfile && e.Key == fieldStatus {
		value = strings.ReplaceAll(value, "_", " ")
	}
	if !counts {
		return fmt.Sprintf("%s of %s is not %s", printable(e.Key), who, value)
	}
	return fmt.Sprintf("%s of %s is %s", printable(e.Key), who, value)
}

// nothing says where a value could have come from.
func (e *ValueExplanation) nothing() string {
	if len(e.Mappings) == 0 {
		return fmt.Sprintf("nothing that is read from %s is mapped to it, and no group and nobody here gives it", e.Subject.Source)
	}
	return fmt.Sprintf("%s has nothing in %s, and no group and nobody here gives it", e.Subject.Source, e.Mappings[0].rawWords())
}

func (m *ValueMapping) rawWords() string {
	return printable(strings.Join(m.Raw, " or ")) + " (" + m.Entry + ")"
}

// words says where a value of a subject comes from, and why it does not count.
func (o *ValueOrigin) words(owner identity.SourceID, now time.Time) string {
	var facts []string
	switch {
	case o.Mapping != nil:
		facts = append(facts, fmt.Sprintf("it comes from %s's %s", o.Origin, o.Mapping.rawWords()))
	case o.Origin == identity.Origin(identity.Local) && o.By != "":
		facts = append(facts, "set here by "+printable(strings.TrimPrefix(o.By, "user:")))
	case o.Origin == identity.Origin(identity.Local):
		facts = append(facts, "set here")
	default:
		facts = append(facts, fmt.Sprintf("%s says so", o.Origin))
	}
	if o.Group != nil {
		facts = append(facts, "inherited from group "+printable(o.Group.Name)+along(o.Through))
	}
	if !o.Time.IsZero() && o.Reason != reasonMissingGroup {
		facts = append(facts, "since "+date(o.Time, now))
	}
	if o.Note != "" {
		facts = append(facts, printable(o.Note))
	}
	switch o.Reason {
	case reasonMissingGroup:
		facts = append(facts, fmt.Sprintf("but the group is missing from %s since %s", o.Group.Source, date(o.Time, now)))
	case reasonNotAllowed:
		facts = append(facts, "but "+o.forbidden(owner))
	case string(identity.ReasonMissing):
		facts = append(facts, fmt.Sprintf("but %s no longer has the person", o.Origin))
	case reasonShadowed:
		facts = append(facts, "but something that goes before decides")
	}
	return strings.Join(facts, ", ")
}

// forbidden says which source keeps something local from counting: that of a group on the
// way, or that of what has the value.
func (o *ValueOrigin) forbidden(owner identity.SourceID) string {
	for _, h := range o.Through {
		if h.Inactive != "" {
			return fmt.Sprintf("%s does not allow local memberships", h.Group.Source)
		}
	}
	if o.Group != nil {
		owner = o.Group.Source
	}
	return fmt.Sprintf("%s does not allow local attributes", owner)
}

// along is the chain of memberships up to a group.
func along(through []ValueStep) string {
	var hops []string
	for i, h := range through {
		by := make([]string, len(h.Origins))
		for j, o := range h.Origins {
			by[j] = string(o)
		}
		if what := "member of "; i == 0 {
			hops = append(hops, what+printable(h.Group.Name)+" by "+strings.Join(by, " and "))
		} else {
			hops = append(hops, "which is in "+printable(h.Group.Name)+" by "+strings.Join(by, " and "))
		}
	}
	return " (" + strings.Join(hops, ", ") + ")"
}

// date is a day as one says it, with the year only where it is another one.
func date(t, now time.Time) string {
	if t.UTC().Year() == now.UTC().Year() {
		return t.UTC().Format("2 Jan")
	}
	return t.UTC().Format("2 Jan 2006")
}

// printable keeps a name that somebody chose from being more than part of a line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
