package ldap

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/plan"
)

var _ sync.Finder = (*Source)(nil)

// The bounds of what is looked at of one person.
const (
	triedEntries = 10
	triedValues  = 20
	triedText    = 300
	triedGroups  = 300
)

// Find implements [sync.Finder]. It asks the server itself whether an entry is among
// those that a read would bring, so that no filter has to be understood here.
func (s *Source) Find(ctx context.Context, q sync.FindRequest) (*sync.Finding, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	f := &finder{s: s, c: c, m: s.people.mapper()}
	if err := f.people(ctx, q); err != nil {
		return nil, fmt.Errorf("look for %q at %s: %w", q.User, c.url, err)
	}
	found := &sync.Finding{Server: c.name(), Family: c.familyWords(s.cfg.Template)}
	for i := range f.found {
		p := &f.found[i]
		if err := errors.Join(f.scope(ctx, p), f.groups(ctx, p)); err != nil {
			return nil, fmt.Errorf("look at %q at %s: %w", p.DN, c.url, err)
		}
		found.Entries = append(found.Entries, p.TrialEntry)
	}
	return found, nil
}

// finder looks for one person over one connection.
type finder struct {
	s     *Source
	c     *session
	m     *mapper
	found []tried
}

// tried is an entry that was found, with what it takes to find its groups.
type tried struct {
	plan.TrialEntry
	names   []string // login names, as groups may list them
	primary string   // security identifier of the primary group; empty: none
}

// people looks in the order in which what was typed is least likely to be meant
// otherwise. The roll's own keys come last: they find one who has another name now.
func (f *finder) people(ctx context.Context, q sync.FindRequest) error {
	if q.User != "" {
		if dn, err := canonicalDN(nil, []byte(q.User)); err == nil && len(dn) > 0 {
			err := f.at(ctx, region{base: q.User, scope: goldap.ScopeBaseObject, filter: "(objectClass=*)"}, "DN")
			if err != nil || len(f.found) > 0 {
				return err
			}
		}
		if filter := f.m.nameFilter(q.User); filter != "" {
			if err := f.below(ctx, filter, "login name"); err != nil || len(f.found) > 0 {
				return err
			}
		}
		if err := f.below(ctx, f.byKey(identity.Key(strings.ToLower(q.User))), "key"); err != nil || len(f.found) > 0 {
			return err
		}
	}
	for _, key := range q.Keys {
		if err := f.below(ctx, f.byKey(key), "the key in the roll"); err != nil {
			return err
		}
	}
	return nil
}

func (f *finder) byKey(key identity.Key) string {
	return fmt.Sprintf("(%s=%s)", f.s.cfg.Users.Key, f.m.form.filterValue(key))
}

// below looks below the bases, whatever the configured filter says, and when nothing is
// there in everything else that the server holds: one who is out of scope is there.
func (f *finder) below(ctx context.Context, filter, by string) error {
	for _, base := range f.s.cfg.Users.Bases {
		if err := f.at(ctx, region{base: base, scope: goldap.ScopeWholeSubtree, filter: filter}, by); err != nil {
			return err
		}
	}
	for _, base := range f.c.root.contexts {
		if len(f.found) > 0 {
			return nil
		}
		if err := f.at(ctx, region{base: base, scope: goldap.ScopeWholeSubtree, filter: filter}, by); err != nil {
			return err
		}
	}
	return nil
}

// at takes in what one search finds. A base that is not there, or that the account may
// not search, holds nobody.
func (f *finder) at(ctx context.Context, g region, by string) error {
	g.attrs = append(slices.Clone(f.m.request), "objectClass")
	var torn []string
	_, err := f.c.search(ctx, g.request(), &handler{
		entry: func(e *Entry) error {
			f.m.load(e)
			if _, is := f.m.inPieces(); is {
				torn = append(torn, string(e.DN))
			} else {
				f.take(e, by)
			}
			return nil
		},
		broken: func(dn []byte, reason string) error { f.takeBroken(dn, reason, by); return nil },
	})
	if err := f.answered(err); err != nil {
		return err
	}
	for _, dn := range torn[:min(len(torn), triedEntries)] {
		switch e, why, err := f.c.gather(ctx, f.m.layout.mapper(), dn); {
		case err != nil:
			return err
		case why != "":
			f.takeBroken([]byte(dn), why, by)
		default:
			f.take(e, by)
		}
	}
	return nil
}

// answered returns the error of a search, or nil when the server has answered it, if
// only with a no.
func (f *finder) answered(err error) error {
	if _, ok := errors.AsType[*goldap.Error](err); ok && f.c.conn.err() == nil {
		return nil
	}
	return err
}

func (f *finder) has(dn string) bool {
	return len(f.found) >= triedEntries || slices.ContainsFunc(f.found, func(p tried) bool { return p.DN == dn })
}

func (f *finder) takeBroken(dn []byte, reason, by string) {
	if p := (tried{TrialEntry: plan.TrialEntry{DN: clip(string(dn), 1024), By: by, Problem: "it " + reason}}); !f.has(p.DN) {
		f.found = append(f.found, p)
	}
}

// take reads and maps one entry.
func (f *finder) take(e *Entry, by string) {
	p := tried{TrialEntry: plan.TrialEntry{DN: strings.ToValidUTF8(string(e.DN), "\ufffd"), By: by, Raw: rawValues(e)}}
	if f.has(p.DN) {
		return
	}
	f.m.load(e)
	if names, err := f.m.names(); err == nil {
		for _, name := range names {
			p.names = append(p.names, string(name))
		}
	}
	if f.m.primary >= 0 {
		p.primary, _ = f.m.primaryGroupSID()
	}
	key, err := f.m.entryKey()
	if err == nil {
		p.Key = key
		p.Record, err = f.m.record(f.s.id, key, f.m.hash())
	}
	if err != nil {
		p.Problem = "it " + err.Error()
	} else {
		p.Mapped = mappedOf(p.Record, f.s.cfg.Mapped())
	}
	f.found = append(f.found, p)
}

// rawValues copies what the server sent, without what opens accounts: it is not asked for,
// and a server that sends it all the same must not make us show it.
func rawValues(e *Entry) []plan.TrialRaw {
	raw := make([]plan.TrialRaw, 0, len(e.Attributes))
	for i := range e.Attributes {
		a := &e.Attributes[i]
		base, _ := baseType(a.Type)
		if secretAttribute(string(base)) || len(a.Values) == 0 {
			continue
		}
		r := plan.TrialRaw{Attribute: clip(string(a.Type), 128), More: max(0, len(a.Values)-triedValues)}
		for _, v := range a.Values[:min(len(a.Values), triedValues)] {
			r.Values = append(r.Values, rawText(valueFormOf(string(base)), v))
		}
		raw = append(raw, r)
	}
	slices.SortFunc(raw, func(a, b plan.TrialRaw) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Attribute), strings.ToLower(b.Attribute)), strings.Compare(a.Attribute, b.Attribute))
	})
	return raw
}

func rawText(form valueForm, v []byte) string {
	if form == formText && utf8.Valid(v) {
		return clip(string(v), triedText)
	}
	if s, err := form.text(v); err == nil && form != formText {
		return s
	}
	return clip("base64:"+base64.StdEncoding.EncodeToString(v), triedText)
}

// mappedOf says what each entry of the mapping has made, in the order of a step.
func mappedOf(r *identity.Record, made map[string][]string) []plan.TrialMapped {
	var out []plan.TrialMapped
	add := func(field, entry string, values ...string) {
		if from, ok := made["users."+entry]; ok {
			values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
			out = append(out, plan.TrialMapped{Field: field, From: from, Values: values})
		}
	}
	add("name", "name", r.Name)
	for _, f := range identity.ProfileFields() {
		add(f, "profile."+f, r.Profile[f])
	}
	disabled, locked, expires := "", "", ""
	switch r.Disabled {
	case identity.ReasonDisabled:
		disabled = "yes"
	case identity.ReasonLocked:
		locked = "yes"
	}
	if !r.Expires.IsZero() {
		expires = r.Expires.UTC().Format("2006-01-02T15:04:05Z07:00")
	}
	add("disabled", "disabled", disabled)
	add("locked", "locked", locked)
	add("expires", "expires", expires)
	for _, entry := range sortedKeys(made) {
		if key, ok := strings.CutPrefix(entry, "users.attributes."); ok {
			add("attribute."+key, "attributes."+key, slices.Clone(r.Attributes[key])...)
		}
	}
	return out
}

// scope asks whether the entry is among those of the source: first for the bases and
// their reach, then for the filter.
func (f *finder) scope(ctx context.Context, p *tried) error {
	w := &f.s.cfg.Users.Where
	if p.Key == "" {
		p.Scope.Why = "it has no key that can be read, so a read lists it as skipped"
		return nil
	}
	for _, g := range w.regions([]string{"1.1"}) {
		plain := g
		plain.filter = f.byKey(p.Key)
		reached, err := f.any(ctx, plain)
		if err != nil {
			return err
		}
		if !reached {
			continue
		}
		p.Scope.Base = g.base
		g.filter = fmt.Sprintf("(&%s%s)", w.Filter, plain.filter)
		if p.Scope.In, err = f.any(ctx, g); err != nil {
			return err
		}
		if p.Scope.In {
			p.Scope.Why = fmt.Sprintf("below %s, and the filter %s lets it through", g.base, w.Filter)
			return nil
		}
	}
	if p.Scope.Base != "" {
		p.Scope.Why = fmt.Sprintf("below %s, but the filter %s does not let it through", p.Scope.Base, w.Filter)
		return nil
	}
	p.Scope.Why = fmt.Sprintf("no base reaches it (%s, scope %s)", strings.Join(w.Bases, "; "), w.Scope)
	return nil
}

// any reports whether a search finds anything.
func (f *finder) any(ctx context.Context, g region) (bool, error) {
	found := false
	_, err := f.c.search(ctx, g.request(), &handler{
		entry:  func(*Entry) error { found = true; return nil },
		broken: func([]byte, string) error { found = true; return nil },
	})
	return found, f.answered(err)
}

// groups finds the groups that list the person, and then those that list these.
func (f *finder) groups(ctx context.Context, p *tried) error {
	if len(f.s.cfg.Groups.Bases) == 0 {
		return nil
	}
	own, err := f.listing(ctx, p.DN, p.names, p.primary, "")
	if err != nil {
		p.GroupsUnknown = err.Error()
		return f.answered(err)
	}
	p.Groups = own
	for at := 0; at < len(p.Groups) && len(p.Groups) < triedGroups; at++ {
		g := p.Groups[at]
		above, err := f.listing(ctx, g.DN, nil, "", g.Name)
		if err != nil {
			p.GroupsUnknown = fmt.Sprintf("those that have %q as a member: %v", g.Name, err)
			return f.answered(err)
		}
		for _, a := range above {
			if !slices.ContainsFunc(p.Groups, func(b plan.TrialGroup) bool { return b.Key == a.Key }) {
				p.Groups = append(p.Groups, a)
			}
		}
	}
	return nil
}

// listing returns the groups of the source that have a member, by key.
func (f *finder) listing(ctx context.Context, dn string, names []string, sid, through string) ([]plan.TrialGroup, error) {
	w := &f.s.cfg.Groups
	var out []plan.TrialGroup
	for _, x := range f.memberFilters(dn, names, sid) {
		m := f.s.clans.mapper()
		for _, g := range w.regions(f.s.clans.withoutMembers()) {
			g.filter = fmt.Sprintf("(&%s%s)", w.Filter, x.filter)
			_, err := f.c.search(ctx, g.request(), &handler{
				entry: func(e *Entry) error {
					m.load(e)
					if t := f.group(m, e); t.Key != "" && !slices.ContainsFunc(out, func(o plan.TrialGroup) bool { return o.Key == t.Key }) {
						t.By, t.Through = x.by, through
						out = append(out, t)
					}
					return nil
				},
				broken: func([]byte, string) error { return nil },
			})
			if err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(out, func(a, b plan.TrialGroup) int { return strings.Compare(string(a.Key), string(b.Key)) })
	return out, nil
}

// group names a group that was found; nothing when its key cannot be read.
func (f *finder) group(m *mapper, e *Entry) plan.TrialGroup {
	m.load(e)
	key, err := m.entryKey()
	if err != nil {
		return plan.TrialGroup{}
	}
	t := plan.TrialGroup{Key: key, DN: strings.ToValidUTF8(string(e.DN), "\ufffd")}
	if r, err := m.record(f.s.id, key, 0); err == nil {
		t.Name = r.Name
	}
	return t
}

// memberFilter is one way of being a member.
type memberFilter struct{ filter, by string }

func (f *finder) memberFilters(dn string, names []string, sid string) []memberFilter {
	var all []memberFilter
	for _, ms := range f.s.cfg.Groups.Members {
		if ms.By == byDN {
			all = append(all, memberFilter{fmt.Sprintf("(%s=%s)", ms.Attribute, escapeFilter(dn)), ms.Attribute})
			continue
		}
		for _, name := range names {
			all = append(all, memberFilter{fmt.Sprintf("(%s=%s)", ms.Attribute, escapeFilter(name)), ms.Attribute})
		}
	}
	if sid != "" {
		var b strings.Builder
		for i := range len(sid) {
			fmt.Fprintf(&b, `\%02x`, sid[i])
		}
		all = append(all, memberFilter{fmt.Sprintf("(objectSid=%s)", b.String()), f.s.cfg.Users.PrimaryGroup})
	}
	return all
}

// withoutMembers is what to ask for of a group whose members are not of interest.
func (l *layout) withoutMembers() []string {
	out := make([]string, 0, len(l.request))
	for slot, attribute := range l.request {
		if !slices.ContainsFunc(l.members, func(m memberSlot) bool { return m.slot == slot }) {
			out = append(out, attribute)
		}
	}
	return out
}
