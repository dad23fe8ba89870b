package plan

import (
	"fmt"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// Rule says which users of another source the records of a source join. The zero value
// joins none.
type Rule struct {
	// To is the source that owns the users.
	To identity.SourceID `yaml:"to" json:"to"`
	// By is the attribute of a record, and Equals that of the record that owns a user, of
	// which the values have to be equal; Equals left out: the same. "name" is the login
	// name. Fields of a profile cannot be named: who may edit his own must not choose
	// whom he is joined to.
	By     string `yaml:"by" json:"by"`
	Equals string `yaml:"equals" json:"equals,omitzero"`
	// Compare is "exact", the default, or "folded": case and surrounding space ignored.
	Compare string `yaml:"compare" json:"compare,omitzero"`
	// Disable is "owner", the default: whether a person is active is for the owning
	// source to say; or "any": whom this source keeps out, or loses, is inactive, too.
	Disable string `yaml:"disable" json:"disable,omitzero"`
}

// The words of a Rule, and of what a source is used for.
const (
	ByName        = "name"
	CompareExact  = "exact"
	CompareFolded = "folded"
	DisableOwner  = "owner"
	DisableAny    = "any"

	// UseUsers is for a source whose records make users, UseAttributes for one whose
	// records only add to those that they join.
	UseUsers      = "users"
	UseAttributes = "attributes"
)

// IsZero reports whether there is no rule.
func (r Rule) IsZero() bool { return r == Rule{} }

// Bars reports whether a joined record may keep its user out.
func (r Rule) Bars() bool { return r.Disable == DisableAny }

// disable returns what the rule says of that, in the one word for it.
func (r Rule) disable() string {
	if r.Bars() {
		return DisableAny
	}
	return DisableOwner
}

// Theirs is the attribute of the record that owns a user.
func (r Rule) Theirs() string {
	if r.Equals != "" {
		return identity.FoldKey(r.Equals)
	}
	return identity.FoldKey(r.By)
}

// Fold returns the form in which values are compared; "" matches nothing.
func (r Rule) Fold(value string) string {
	if r.Compare == CompareFolded {
		return identity.FoldName(strings.TrimSpace(value))
	}
	return value
}

// Values returns what a record has for an attribute of a rule, in the form in which it
// is compared.
func (r Rule) Values(rec *identity.Record, attribute string) []string {
	if attribute == ByName {
		return []string{identity.FoldName(rec.Name)}
	}
	var out []string
	for _, v := range rec.Attributes[attribute] {
		if v = r.Fold(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// String says the rule in one line.
func (r Rule) String() string {
	if r.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s = %s/%s", identity.FoldKey(r.By), r.To, r.Theirs())
}

// ValidateRule reports everything that is wrong with a rule and with what the source is
// used for.
func ValidateRule(r Rule, use string, report func(field, format string, args ...any)) {
	switch use {
	case "", UseUsers:
	case UseAttributes:
		if r.IsZero() {
			report("use", "records that only add to users need a rule that says to which: set link")
		}
	default:
		report("use", "%q is neither %q nor %q", use, UseUsers, UseAttributes)
	}
	if r.IsZero() {
		return
	}
	if _, err := identity.ParseSourceID(string(r.To)); err != nil {
		report("link.to", "name the source whose users the records join: %v", err)
	}
	for _, f := range []struct{ field, value string }{{"link.by", r.By}, {"link.equals", r.Theirs()}} {
		switch {
		case identity.FoldKey(f.value) == "":
			report(f.field, "name the attribute of which the values have to be equal")
		case isField(f.value):
			report(f.field, "%q is a field of the profile, which people may often edit themselves: map what nobody can change to an attribute, and name that", f.value)
		}
	}
	r.validateWords(report)
}

func (r Rule) validateWords(report func(field, format string, args ...any)) {
	if r.Compare != "" && r.Compare != CompareExact && r.Compare != CompareFolded {
		report("link.compare", "%q is neither %q nor %q", r.Compare, CompareExact, CompareFolded)
	}
	switch {
	case r.Bars() && r.To == identity.Local:
		report("link.disable", "who was made here is kept out here alone: leave it out")
	case r.Disable != "" && r.Disable != DisableOwner && r.Disable != DisableAny:
		report("link.disable", "%q is neither %q nor %q", r.Disable, DisableOwner, DisableAny)
	}
}

func isField(name string) bool {
	for _, f := range identity.ProfileFields() {
		if identity.FoldKey(f) == identity.FoldKey(name) {
			return true
		}
	}
	return false
}
