package ldapserver

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ChangeKind is what a Change does.
type ChangeKind int

// The kinds of RFC 4511 §4.6, with its numbers.
const (
	AddValues     ChangeKind = 0
	DeleteValues  ChangeKind = 1 // without values: the whole attribute
	ReplaceValues ChangeKind = 2 // without values: the attribute is gone
)

// Change is one step of a modification.
type Change struct {
	Kind   ChangeKind
	Name   string
	Values []string
}

// Modify applies all changes to an entry, or none.
func (d *Directory) Modify(name string, changes ...Change) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.find(name)
	if err != nil {
		return err
	}
	old := s.entry.Load()
	attrs := slices.Clone(old.attrs)
	for _, c := range changes {
		if attrs, err = applyChange(attrs, c); err != nil {
			return err
		}
	}
	next := &stored{name: old.name, parent: old.parent, attrs: attrs}
	if !hasRDN(next) {
		return failf(NamingViolation, "%s: a value that names the entry cannot be removed", name)
	}
	d.stamp(next)
	s.entry.Store(next)
	d.wrote(change{slot: s, before: old, after: next})
	return nil
}

// applyChange returns attrs with one change applied. Value slices of attrs are
// shared with the published entry, so they are replaced and never written to.
func applyChange(attrs []storedAttr, c Change) ([]storedAttr, error) {
	key := typeKey(c.Name)
	at := slices.IndexFunc(attrs, func(a storedAttr) bool { return strings.EqualFold(a.name, c.Name) })
	switch c.Kind {
	case AddValues:
		if len(c.Values) == 0 {
			return nil, failf(ProtocolError, "%s: no values to add", c.Name)
		}
		if at < 0 {
			return append(attrs, storedAttr{name: c.Name, key: key, values: slices.Clone(c.Values)}), nil
		}
		values, err := addTo(key, attrs[at].values, c.Values)
		if err != nil {
			return nil, err
		}
		attrs[at].values = values
		return attrs, nil
	case DeleteValues:
		if at < 0 {
			return nil, failf(NoSuchAttribute, "%s: no such attribute", c.Name)
		}
		values, err := deleteFrom(key, attrs[at].values, c.Values)
		if err != nil {
			return nil, err
		}
		if len(values) == 0 {
			return slices.Delete(attrs, at, at+1), nil
		}
		attrs[at].values = values
		return attrs, nil
	case ReplaceValues:
		switch {
		case len(c.Values) == 0 && at >= 0:
			return slices.Delete(attrs, at, at+1), nil
		case len(c.Values) == 0:
			return attrs, nil
		case at < 0:
			return append(attrs, storedAttr{name: c.Name, key: key, values: slices.Clone(c.Values)}), nil
		}
		attrs[at].values = slices.Clone(c.Values)
		return attrs, nil
	}
	return nil, failf(ProtocolError, "change of kind %d", c.Kind)
}

// addTo returns values with more behind them.
func addTo(key string, values, more []string) ([]string, error) {
	have := make(map[string]struct{}, len(values)+len(more))
	for _, v := range values {
		have[foldValue(key, v)] = struct{}{}
	}
	for _, v := range more {
		f := foldValue(key, v)
		if _, ok := have[f]; ok {
			return nil, failf(TypeOrValueExists, "%s: value %q exists", key, v)
		}
		have[f] = struct{}{}
	}
	return slices.Concat(values, more), nil
}

// deleteFrom returns values without those of gone; without all if gone is empty.
func deleteFrom(key string, values, gone []string) ([]string, error) {
	if len(gone) == 0 {
		return nil, nil
	}
	drop := make(map[string]struct{}, len(gone))
	for _, v := range gone {
		drop[foldValue(key, v)] = struct{}{}
	}
	var kept []string
	for _, v := range values {
		if _, ok := drop[foldValue(key, v)]; !ok {
			kept = append(kept, v)
		}
	}
	if len(kept)+len(drop) != len(values) {
		return nil, failf(NoSuchAttribute, "%s: a value to delete does not exist", key)
	}
	return kept, nil
}

// storeAttributes takes a caller's attributes in, those of one name together.
func storeAttributes(attrs []Attribute) ([]storedAttr, error) {
	out := make([]storedAttr, 0, len(attrs)+8)
	for _, a := range attrs {
		if !isDescriptor(a.Name) {
			return nil, failf(ProtocolError, "%q is not an attribute name", a.Name)
		}
		if len(a.Values) == 0 {
			continue
		}
		at := slices.IndexFunc(out, func(s storedAttr) bool { return strings.EqualFold(s.name, a.Name) })
		if at < 0 {
			out = append(out, storedAttr{name: a.Name, key: typeKey(a.Name), values: slices.Clone(a.Values)})
			continue
		}
		out[at].values = append(out[at].values, a.Values...)
	}
	return out, nil
}

// keepOperational adds to attrs the operational attributes of old that it lacks.
func keepOperational(attrs, old []storedAttr) []storedAttr {
	for _, a := range old {
		if isOperational(a.key) && !slices.ContainsFunc(attrs, func(b storedAttr) bool { return b.key == a.key }) {
			attrs = append(attrs, a)
		}
	}
	return attrs
}

// addRDN adds the values that name the entry where they are missing.
func addRDN(attrs []storedAttr, name dn) []storedAttr {
	for _, a := range lowestRDN(name) {
		key := typeKey(a.kind)
		at := slices.IndexFunc(attrs, func(s storedAttr) bool { return s.key == key })
		if at < 0 {
			attrs = append(attrs, storedAttr{name: a.kind, key: key, values: []string{a.value}})
			continue
		}
		if values, err := addTo(key, attrs[at].values, []string{a.value}); err == nil {
			attrs[at].values = values
		}
	}
	return attrs
}

// dropRDN returns a copy of attrs without the values that named the entry.
func dropRDN(attrs []storedAttr, name dn) []storedAttr {
	attrs = slices.Clone(attrs)
	for _, a := range lowestRDN(name) {
		if next, err := applyChange(attrs, Change{Kind: DeleteValues, Name: a.kind, Values: []string{a.value}}); err == nil {
			attrs = next
		}
	}
	return attrs
}

// hasRDN says whether the entry holds the values that name it.
func hasRDN(e *stored) bool {
	for _, a := range lowestRDN(e.name) {
		key, found := typeKey(a.kind), false
		want := foldValue(key, a.value)
		for has := range e.all(key) {
			found = found || slices.ContainsFunc(has.values, func(v string) bool { return foldValue(key, v) == want })
		}
		if !found {
			return false
		}
	}
	return true
}

// lowestRDN returns the assertions of a name's first relative name. The name was
// parsed before.
func lowestRDN(name dn) []ava {
	rdn, _ := splitRDN(name.text)
	rdns, err := splitDN(rdn)
	if err != nil || len(rdns) == 0 {
		return nil
	}
	return rdns[0]
}

const generalizedTime = "20060102150405Z"

// create gives a new entry its operational attributes. The caller holds the lock.
func (d *Directory) create(e *stored) {
	if class := e.first("objectclass"); class != "" {
		e.setDefault("structuralObjectClass", structuralClass(e))
	}
	e.setDefault("entryUUID", d.uuid())
	if d.nsUniqueID {
		e.setDefault("nsUniqueId", nsUniqueID(d.uuid()))
	}
	now := d.now().UTC()
	e.setDefault("createTimestamp", now.Format(generalizedTime))
	e.setDefault("entryCSN", d.csn(now))
	e.setDefault("modifyTimestamp", now.Format(generalizedTime))
}

// stamp marks an entry as changed now. The caller holds the lock.
func (d *Directory) stamp(e *stored) {
	now := d.now().UTC()
	e.set("entryCSN", d.csn(now))
	e.set("modifyTimestamp", now.Format(generalizedTime))
}

// csn returns a change sequence number (draft-ietf-ldup-model) that is greater
// than all before, even if the clock stands still or steps back.
func (d *Directory) csn(now time.Time) string {
	now = now.Truncate(time.Microsecond)
	if now.After(d.lastCSN) {
		d.lastCSN, d.csnCount = now, 0
	} else {
		d.csnCount++
	}
	return fmt.Sprintf("%s#%06x#%03x#000000", d.lastCSN.Format("20060102150405.000000Z"), d.csnCount, d.serverID)
}

// uuid returns the next identifier of the directory's sequence, in the form of a
// random UUID (RFC 9562 §5.4).
func (d *Directory) uuid() string {
	hi, lo := d.rand.Uint64(), d.rand.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&0xffffffffffff)
}

// nsUniqueID writes a UUID as 389-ds writes its own: with the dashes elsewhere.
func nsUniqueID(uuid string) string {
	hex := strings.ReplaceAll(uuid, "-", "")
	return hex[:8] + "-" + hex[8:16] + "-" + hex[16:24] + "-" + hex[24:]
}

// structuralClass names the most derived class that we know, else the last one.
func structuralClass(e *stored) string {
	for a := range e.all("objectclass") {
		for _, known := range []string{"inetOrgPerson", "organizationalPerson", "person", "groupOfNames"} {
			if slices.ContainsFunc(a.values, func(v string) bool { return strings.EqualFold(v, known) }) {
				return known
			}
		}
		return a.values[len(a.values)-1]
	}
	return ""
}

// set replaces or adds an attribute. It must not be called on a published entry.
func (s *stored) set(name, value string) {
	key := typeKey(name)
	for i := range s.attrs {
		if s.attrs[i].key == key {
			s.attrs[i].values = []string{value}
			return
		}
	}
	s.attrs = append(s.attrs, storedAttr{name: name, key: key, values: []string{value}})
}

// setDefault adds an attribute unless it is there.
func (s *stored) setDefault(name, value string) {
	if s.first(typeKey(name)) == "" {
		s.set(name, value)
	}
}
