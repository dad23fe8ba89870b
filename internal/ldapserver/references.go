package ldapserver

import (
	"slices"
	"strings"
)

// References says how a directory treats values that name an entry (member,
// uniqueMember, manager, managedBy, owner) when that entry is renamed or deleted.
type References int

const (
	// ReferencesStay leaves them as they are, and keeps no memberOf: OpenLDAP without
	// overlays.
	ReferencesStay References = iota
	// ReferencesMend renames or drops them, and lists in memberOf the groups that an
	// entry is in, all without a stamp: Active Directory, and OpenLDAP with memberof
	// and refint, where a delta shows none of it.
	ReferencesMend
	// ReferencesChange does the same, each as a change of its own that is stamped,
	// and writes the mended name in lower case: 389-ds.
	ReferencesChange
	// ReferencesMendLate does as ReferencesMend, without memberOf, and not before
	// [Directory.MendReferences] is called: OpenLDAP answers a write before its overlay
	// refint goes to work.
	ReferencesMendLate
)

// unmended is a name that others still hold. Without the next one it is to be dropped.
type unmended struct {
	was dn
	is  *dn
}

// MendReferences does what ReferencesMendLate has put off.
func (d *Directory) MendReferences() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, u := range d.unmended {
		d.mendReferrers(u.was, u.is)
	}
	d.unmended = nil
}

// referenceKeys are the attributes whose values are kept right.
var referenceKeys = []string{"member", "uniquemember", "manager", "managedby", "owner"}

// isMembership says which of them memberOf mirrors.
func isMembership(key string) bool { return key == "member" || key == "uniquemember" }

// mend does what a write entails for references. The caller holds the lock.
func (d *Directory) mend(c change) {
	d.relink(c.slot, c.before, c.after)
	if d.references == ReferencesMendLate {
		d.mendLater(c)
		return
	}
	switch {
	case c.before == nil:
		d.mendMemberOf(c.after.name.folded)
	case c.after == nil:
		d.mendReferrers(c.before.name, nil)
	case c.before.name != c.after.name:
		d.mendReferrers(c.before.name, &c.after.name)
	}
	for _, target := range d.affected(c.before, c.after) {
		d.mendMemberOf(target)
	}
}

// mendLater notes what a write entails for references.
func (d *Directory) mendLater(c change) {
	switch {
	case c.before == nil:
	case c.after == nil:
		d.unmended = append(d.unmended, unmended{was: c.before.name})
	case c.before.name != c.after.name:
		d.unmended = append(d.unmended, unmended{c.before.name, &c.after.name})
	}
}

// relink brings the index of who names whom up to date.
func (d *Directory) relink(s *slot, before, after *stored) {
	if d.references == ReferencesStay {
		return
	}
	for _, key := range referenceKeys {
		for target := range targets(before, key) {
			delete(d.named[target], reference{s, key})
			if len(d.named[target]) == 0 {
				delete(d.named, target)
			}
		}
		for target := range targets(after, key) {
			if d.named[target] == nil {
				d.named[target] = map[reference]struct{}{}
			}
			d.named[target][reference{s, key}] = struct{}{}
		}
	}
}

// targets returns the folded names that an attribute of e holds.
func targets(e *stored, key string) map[string]struct{} {
	out := map[string]struct{}{}
	if e == nil {
		return out
	}
	for a := range e.all(key) {
		for _, v := range a.values {
			out[foldValue(key, v)] = struct{}{}
		}
	}
	return out
}

// affected returns the entries whose memberOf a write bears on: those that a group
// gained or lost, all of its members if it has another name.
func (d *Directory) affected(before, after *stored) []string {
	renamed := before != nil && after != nil && before.name != after.name
	set := map[string]struct{}{}
	for _, key := range referenceKeys {
		if !isMembership(key) {
			continue
		}
		was, is := targets(before, key), targets(after, key)
		for target := range was {
			if _, still := is[target]; !still || renamed {
				set[target] = struct{}{}
			}
		}
		for target := range is {
			if _, had := was[target]; !had || renamed {
				set[target] = struct{}{}
			}
		}
	}
	out := make([]string, 0, len(set))
	for target := range set {
		out = append(out, target)
	}
	slices.Sort(out)
	return out
}

// mendReferrers gives the entries that name old its new name, or drops the value
// when there is none.
func (d *Directory) mendReferrers(old dn, now *dn) {
	for _, r := range sortedReferences(d.named[old.folded]) {
		e := r.by.entry.Load()
		if e == nil {
			continue
		}
		next := &stored{name: e.name, parent: e.parent, attrs: d.mendValues(e.attrs, r.key, old.folded, now)}
		d.relink(r.by, e, next)
		d.mended(r.by, e, next)
	}
}

// mendValues returns attrs with one name replaced or dropped in one attribute.
func (d *Directory) mendValues(attrs []storedAttr, key, old string, now *dn) []storedAttr {
	out := make([]storedAttr, 0, len(attrs))
	for _, a := range attrs {
		if a.key == key {
			values := make([]string, 0, len(a.values))
			for _, v := range a.values {
				switch {
				case foldValue(key, v) != old:
					values = append(values, v)
				case now != nil && d.references == ReferencesChange:
					values = append(values, strings.ToLower(now.text))
				case now != nil:
					values = append(values, now.text)
				}
			}
			a.values = values
		}
		if len(a.values) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// mendMemberOf lists in an entry's memberOf the groups that name it.
func (d *Directory) mendMemberOf(target string) {
	s, ok := d.byName[target]
	if !ok {
		return
	}
	var groups []string
	for _, r := range sortedReferences(d.named[target]) {
		if e := r.by.entry.Load(); e != nil && isMembership(r.key) && !slices.Contains(groups, e.name.text) {
			groups = append(groups, e.name.text)
		}
	}
	e := s.entry.Load()
	var had []string
	for a := range e.all("memberof") {
		had = a.values
	}
	if slices.Equal(had, groups) {
		return
	}
	next := &stored{name: e.name, parent: e.parent, attrs: slices.Clone(e.attrs)}
	next.replace(Attribute{Name: "memberOf", Values: groups})
	d.mended(s, e, next)
}

// mended publishes what was mended.
func (d *Directory) mended(s *slot, before, after *stored) {
	if d.references == ReferencesChange {
		d.stamp(after)
	}
	s.entry.Store(after)
	for _, f := range d.followers {
		f.follow(change{slot: s, before: before, after: after, silent: d.references != ReferencesChange})
	}
}
