package permissions

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rollcall-id/rollcall/identity"
)

// Names tells what people call users and groups.
type Names interface {
	// UserName returns the login name of a user, "" when there is none.
	UserName(identity.UserID) string
	// GroupName returns the name of a group and the source that owns it.
	GroupName(identity.GroupID) (string, identity.SourceID)
}

// Rows is a [Names] that tells, too, who put memberships there.
type Rows interface {
	Names
	// Origins returns the sources that say that a user or a group is directly in a group.
	Origins(m identity.Member, in identity.GroupID) []identity.SourceID
}

// Named returns the explanation with the names of its user and its groups filled in.
func (e Explanation) Named(n Names) Explanation {
	if u, ok := e.User.User(); ok {
		e.UserName = n.UserName(u)
	}
	e.Paths, e.Blocked = named(e.Paths, n), named(e.Blocked, n)
	return e
}

func named(paths []Path, n Names) []Path {
	paths = slices.Clone(paths)
	rows, tells := n.(Rows)
	for i := range paths {
		paths[i].Steps = slices.Clone(paths[i].Steps)
		for j := range paths[i].Steps {
			s := &paths[i].Steps[j]
			if g, ok := s.Group.Group(); ok {
				s.GroupName, s.Source = n.GroupName(g)
				if tells {
					s.Origins = rows.Origins(s.Member.Member, g)
				}
			}
		}
	}
	return paths
}

// Sentence tells a manager, one line for each path that counts and each that does
// not, why the answer is what it is. Lines begin with yes or no. Where n is nil, the
// names that [Explanation.Named] filled in are used.
func (e Explanation) Sentence(n Names) string {
	if n != nil {
		e = e.Named(n)
	}
	var b strings.Builder
	user := nameOr(e.UserName, e.User)
	if !e.Allowed && (e.Why != ExpiredGrant || len(e.Blocked) == 0) {
		fmt.Fprintf(&b, "no   %s\n", e.denial(user))
	}
	if e.Allowed && e.Permission == Subscribe {
		fmt.Fprintf(&b, "yes  %s is active -> may subscribe to data sources\n", user)
	}
	for _, p := range e.Paths {
		fmt.Fprintf(&b, "yes  %s -> %s\n", e.path(user, &p), printable(string(e.Permission)))
	}
	for _, p := range e.Blocked {
		fmt.Fprintf(&b, "no   %s: %s\n", e.path(user, &p), e.blocked(&p))
	}
	return b.String()
}

func (e *Explanation) denial(user string) string {
	p := printable(string(e.Permission))
	switch e.Why {
	case UnknownUser:
		return "there is no user " + user
	case UnknownPermission:
		return "there is no permission " + p
	case InactiveUser:
		return fmt.Sprintf("%s is inactive (%s)", user, statusWords(e.Status))
	case Suppressed, Masked:
		if e.Permission == Subscribe {
			return fmt.Sprintf("%s may not subscribe to data sources, because %s", user, e.withheld(user))
		}
		return fmt.Sprintf("%s was granted %s, but %s", user, p, e.withheld(user))
	case ExpiredGrant:
		return fmt.Sprintf("%s no longer has %s", user, p)
	case NotGranted:
	}
	return fmt.Sprintf("%s -> nothing leads to %s", user, p)
}

// withheld says which settings withhold the permission, and what they hold against
// the user.
func (e *Explanation) withheld(user string) string {
	out := make([]string, len(e.Withheld))
	for i, w := range e.Withheld {
		state, role := "off", "an administrator"
		switch w.Setting {
		case SettingAdminGovernorExclusive:
			state = "on"
		case SettingGovernorsMaySubscribe:
			role = "a governor"
		}
		out[i] = fmt.Sprintf("%s is %s and %s is %s (%s)", w.Setting, state, user, role, w.Because)
	}
	return strings.Join(out, ", and ")
}

// path is everything from the user up to the grant.
func (e *Explanation) path(user string, p *Path) string {
	out := user
	if hops := p.Steps[:len(p.Steps)-1]; len(hops) > 0 {
		out += fmt.Sprintf(" -> group %s%s", nameOr(hops[0].GroupName, hops[0].Group), nesting(hops))
	}
	return out + " -> " + e.grant(p)
}

// nesting is the source of the first group and the groups that it is nested in,
// with their sources where these change, and with who put a membership there where
// that is not the source of the group.
func nesting(hops []Step) string {
	var facts []string
	source := hops[0].Source
	if source != "" {
		facts = append(facts, string(source))
	}
	facts = append(facts, put("member", &hops[0])...)
	for i := range hops[1:] {
		h := &hops[i+1]
		fact := "nested in " + nameOr(h.GroupName, h.Group)
		if h.Source != source {
			source = h.Source
			fact += " of " + string(source)
		}
		facts = append(append(facts, fact), put("nested", h)...)
	}
	if len(facts) == 0 {
		return ""
	}
	return " (" + strings.Join(facts, ", ") + ")"
}

// put says who made somebody a member, unless it was the source of the group alone.
func put(what string, s *Step) []string {
	if len(s.Origins) == 0 || len(s.Origins) == 1 && s.Origins[0] == s.Source {
		return nil
	}
	by := make([]string, len(s.Origins))
	for i, o := range s.Origins {
		by[i] = string(o)
	}
	return []string{what + " by " + strings.Join(by, " and ")}
}

func (e *Explanation) grant(p *Path) string {
	g := p.grant()
	facts := []string{"grant by " + printable(strings.TrimPrefix(g.GrantedBy, "user:")), day(g.Time, e.At)}
	source, byDefault := strings.CutPrefix(string(g.Origin), "default:")
	switch {
	case byDefault:
		facts[0] = fmt.Sprintf("default of %s set by %s", source, printable(strings.TrimPrefix(g.GrantedBy, "user:")))
	case len(p.Steps) == 1:
		facts[0] = "direct " + facts[0]
	}
	if g.Reason != "" {
		facts = append(facts, printable(g.Reason))
	}
	if !g.Expires.IsZero() && g.State == "" {
		facts = append(facts, "expires in "+span(g.Expires.Sub(e.At)))
	}
	return strings.Join(facts, ", ")
}

func (e *Explanation) blocked(p *Path) string {
	var out []string
	for _, d := range p.BlockedBy {
		switch d {
		case ExpiredGrant:
			out = append(out, "expired "+day(p.grant().Expires, e.At))
		case InactiveUser:
			out = append(out, "not while the user is inactive")
		case UnknownPermission:
			out = append(out, "not in the catalogue")
		case UnknownUser:
			out = append(out, "no such user")
		case Suppressed, Masked:
			for _, w := range e.Withheld {
				out = append(out, fmt.Sprintf("%s by %s", d, w.Setting))
			}
		case NotGranted:
		}
	}
	return strings.Join(out, ", ")
}

func statusWords(r identity.Reason) string { return strings.ReplaceAll(string(r), "_", " ") }

func nameOr(name string, r Ref) string {
	if name == "" {
		return r.String()
	}
	return printable(name)
}

// printable keeps a name that somebody chose from moving the cursor of a terminal
// or from pretending to be a line of its own.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// day is a date as one says it, with the year only where it is another one.
func day(t, now time.Time) string {
	if t.UTC().Year() == now.UTC().Year() {
		return t.UTC().Format("2 Jan")
	}
	return t.UTC().Format("2 Jan 2006")
}

// span is a time to come in its largest unit, rounded down.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return "less than a minute"
}
