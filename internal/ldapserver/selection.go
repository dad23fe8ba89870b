package ldapserver

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// selection is which attributes a search returns (RFC 4511 §4.5.1.8).
type selection struct {
	user, operational bool
	names             []string // folded, options included
	ranges            map[string]valueRange
	valueLimit        int
}

// valueRange is the option "range=low-high" of Active Directory; high is -1 for
// "*".
type valueRange struct{ low, high int }

func newSelection(attrs []string, valueLimit int) selection {
	s := selection{valueLimit: valueLimit}
	for _, a := range attrs {
		switch a {
		case "*":
			s.user = true
		case "+":
			s.operational = true
		case "1.1":
		default:
			s.add(strings.ToLower(a))
		}
	}
	s.user = s.user || len(attrs) == 0
	return s
}

// add selects an attribute by name. A range is an option like any other, and
// hence selects nothing, unless the server limits ranges.
func (s *selection) add(name string) {
	base, option, found := strings.Cut(name, ";range=")
	if r, ok := parseRange(option); found && ok && s.valueLimit > 0 {
		if s.ranges == nil {
			s.ranges = map[string]valueRange{}
		}
		s.ranges[base] = r
		name = base
	}
	s.names = append(s.names, name)
}

func parseRange(s string) (valueRange, bool) {
	from, to, ok := strings.Cut(s, "-")
	low, err := strconv.Atoi(from)
	if !ok || err != nil || low < 0 {
		return valueRange{}, false
	}
	if to == "*" {
		return valueRange{low, -1}, true
	}
	high, err := strconv.Atoi(to)
	return valueRange{low, high}, err == nil && high >= low
}

// wants says whether the attribute is returned; operational says of which kind
// it is.
func (s *selection) wants(a storedAttr, operational bool) bool {
	switch {
	case isSecret(a.key):
		return false
	case operational && s.operational, !operational && s.user:
		return true
	}
	return slices.ContainsFunc(s.names, func(n string) bool {
		return n == a.key || len(n) == len(a.name) && strings.EqualFold(n, a.name)
	})
}

// named says whether a computed attribute is returned.
func (s *selection) named(key string) bool {
	return s.operational || slices.Contains(s.names, key)
}

// appendTo appends the attribute as it is returned: in ranges, if it has more
// values than the limit or a range was asked for.
func (s *selection) appendTo(out []Attribute, a storedAttr) []Attribute {
	r, asked := s.ranges[a.key]
	if s.valueLimit == 0 || !asked && len(a.values) <= s.valueLimit {
		return append(out, Attribute{a.name, a.values})
	}
	if !asked {
		// The plain name stays in the answer, without values.
		out = append(out, Attribute{a.name, nil})
		r = valueRange{0, -1}
	}
	low := min(r.low, len(a.values))
	end := len(a.values)
	if r.high >= 0 {
		end = min(end, r.high+1)
	}
	end = min(end, low+s.valueLimit)
	name := fmt.Sprintf("%s;range=%d-%d", a.name, r.low, end-1)
	if end == len(a.values) {
		name = fmt.Sprintf("%s;range=%d-*", a.name, r.low)
	}
	return append(out, Attribute{name, a.values[low:max(low, end)]})
}

// selected returns what the search returns of an entry. The values are shared
// with it.
func (a *answer) selected(e *stored) ([]Attribute, *Error) {
	if a.domain != nil {
		return a.domain.selected(&a.pick, e)
	}
	out := make([]Attribute, 0, len(e.attrs)+3)
	for _, attr := range e.attrs {
		if a.pick.wants(attr, isOperational(attr.key)) {
			out = a.pick.appendTo(out, attr)
		}
	}
	if a.pick.named("entrydn") {
		out = append(out, Attr("entryDN", e.name.text))
	}
	if a.pick.named("subschemasubentry") {
		out = append(out, Attr("subschemaSubentry", "cn=Subschema"))
	}
	if a.pick.named("hassubordinates") {
		out = append(out, Attr("hasSubordinates", a.c.server.o.Directory.hasChildren(e)))
	}
	if p := a.c.server.o.Sync; p != nil && a.pick.named("contextcsn") {
		if csns := p.contextOf(e); len(csns) > 0 {
			out = append(out, Attr("contextCSN", csns...))
		}
	}
	return out, nil
}

func (d *Directory) hasChildren(e *stored) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return strings.ToUpper(strconv.FormatBool(d.children[e.name.folded] > 0))
}

// encode appends an entry to the answer.
func (a *answer) encode(name string, attrs []Attribute, controls ...control) {
	if a.action.Rewrite != nil {
		in := Entry{DN: name, Attributes: make([]Attribute, len(attrs))}
		for i, attr := range attrs {
			in.Attributes[i] = Attribute{attr.Name, slices.Clone(attr.Values)}
		}
		e := a.action.Rewrite(in)
		name, attrs = e.DN, e.Attributes
	}
	b := &a.out
	whole := b.begin(tagSequence)
	b.integer(tagInteger, int64(a.id))
	entry := b.begin(opSearchEntry)
	b.octets(tagOctets, name)
	list := b.begin(tagSequence)
	for _, attr := range attrs {
		one := b.begin(tagSequence)
		b.octets(tagOctets, attr.Name)
		values := b.begin(tagSet)
		if !a.query.typesOnly {
			for _, v := range attr.Values {
				b.octets(tagOctets, v)
			}
		}
		b.end(values)
		b.end(one)
	}
	b.end(list)
	b.end(entry)
	b.controls(controls)
	b.end(whole)
}
