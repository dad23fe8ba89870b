package ldap

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/rollcall-id/rollcall/identity"
)

// layout is the mapping of users or of groups, compiled: every attribute that is
// asked for has a slot.
type layout struct {
	group   bool
	request []string       // what to ask for
	slots   map[string]int // lower-case attribute to slot
	use     []slotUse
	form    keyForm
	key     int
	name    int
	profile []target
	attrs   []target

	disabled, locked []test
	expires          []expiryAt

	members []memberSlot
	stamp   int // -1: none
	primary int // -1: none
	sid     int // -1: none

	salt uint64 // stands for how entries are mapped
}

// slotUse says what a slot means for the hash of an entry.
type slotUse struct {
	form   valueForm
	hashed bool // it is part of the record
	first  bool // its first value matters more than the others
	seed   uint64
}

type target struct {
	to   string
	slot int
}

type test struct {
	Rule
	slot int
}

type expiryAt struct {
	format string
	slot   int
}

type memberSlot struct {
	slot int
	by   string
}

// mappingVersion changes when the same entry would be mapped differently than by an
// earlier version of this package: then every entry is mapped again.
const mappingVersion = "1"

func newLayout(w *Where) layout {
	l := layout{slots: map[string]int{}, form: keyFormOf(w.Key), stamp: -1, primary: -1, sid: -1}
	l.salt = xxhash.Sum64String(mappingVersion)
	l.key = l.slot(w.Key)
	l.name = l.used("name", w.Name.Attribute, true)
	for _, field := range identity.ProfileFields() {
		if m, ok := w.Profile[field]; ok {
			l.profile = append(l.profile, target{field, l.used("profile."+field, m.Attribute, true)})
		}
	}
	for _, key := range sortedKeys(w.Attributes) {
		l.attrs = append(l.attrs, target{key, l.used("attributes."+key, w.Attributes[key].Attribute, false)})
	}
	return l
}

func userLayout(c *Config) layout {
	l := newLayout(&c.Users.Where)
	for _, r := range c.Users.Disabled {
		l.disabled = append(l.disabled, test{r, l.used(fmt.Sprint("disabled", r), r.Attribute, false)})
	}
	for _, r := range c.Users.Locked {
		l.locked = append(l.locked, test{r, l.used(fmt.Sprint("locked", r), r.Attribute, false)})
	}
	for _, x := range c.Users.Expires {
		l.expires = append(l.expires, expiryAt{x.Format, l.used("expires."+x.Format, x.Attribute, true)})
	}
	if c.Users.PrimaryGroup != "" && len(c.Groups.Bases) > 0 {
		l.primary, l.sid = l.slot(c.Users.PrimaryGroup), l.slot("objectSid")
	}
	return l
}

func groupLayout(c *Config) layout {
	l := newLayout(&c.Groups.Where)
	l.group = true
	for _, m := range c.Groups.Members {
		l.members = append(l.members, memberSlot{l.slot(m.Attribute), m.By})
	}
	if c.Groups.ChangeStamp != "" {
		l.stamp = l.slot(c.Groups.ChangeStamp)
	}
	if c.Users.PrimaryGroup != "" {
		l.sid = l.slot("objectSid")
	}
	return l
}

// slot returns the slot of an attribute, which is asked for from now on.
func (l *layout) slot(attribute string) int {
	folded := strings.ToLower(attribute)
	if i, ok := l.slots[folded]; ok {
		return i
	}
	i := len(l.request)
	l.slots[folded] = i
	l.request = append(l.request, attribute)
	l.use = append(l.use, slotUse{form: valueFormOf(attribute), seed: xxhash.Sum64String(folded)})
	return i
}

// used returns the slot of an attribute that goes into the record.
func (l *layout) used(as, attribute string, first bool) int {
	i := l.slot(attribute)
	l.use[i].hashed = true
	l.use[i].first = l.use[i].first || first
	l.salt = mix(l.salt ^ xxhash.Sum64String(as+"="+strings.ToLower(attribute)))
	return i
}

// mix spreads the bits of x (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// mapper maps one entry after the other.
type mapper struct {
	*layout
	dn     []byte
	values [][][]byte // by slot, of the entry that was loaded
	ranged []span
}

// span is an attribute of which the entry holds only some values.
type span struct {
	slot int
	next int // the first value that is missing; 0: none is
}

func (l *layout) mapper() *mapper {
	return &mapper{layout: l, values: make([][][]byte, len(l.request))}
}

// load takes an entry in, as long as it is valid.
func (m *mapper) load(e *Entry) {
	m.dn, m.ranged = e.DN, m.ranged[:0]
	clear(m.values)
	for i := range e.Attributes {
		a := &e.Attributes[i]
		base, options := baseType(a.Type)
		slot, ok := m.find(base)
		if !ok {
			continue
		}
		switch {
		case len(options) == 0:
			// Active Directory sends an empty "member" beside "member;range=0-1499".
			if len(a.Values) > 0 {
				m.values[slot] = a.Values
			}
		case equalFoldASCII(options, "binary"):
			m.values[slot] = a.Values
		default:
			if next, ok := rangeEnd(options); ok {
				m.values[slot] = a.Values
				m.ranged = append(m.ranged, span{slot, next})
			}
			// What has another option, such as a language, is another attribute.
		}
	}
}

func (m *mapper) find(name []byte) (int, bool) {
	var buf [64]byte
	if len(name) > len(buf) {
		return 0, false
	}
	for i, c := range name {
		buf[i] = lower(c)
	}
	slot, ok := m.slots[string(buf[:len(name)])]
	return slot, ok
}

// rangeEnd reads "range=0-1499" and "range=1500-*" (MS-ADTS 3.1.1.3.1.3.3): where
// the next range begins, or 0 after the last.
func rangeEnd(option []byte) (next int, ok bool) {
	const prefix = "range="
	if len(option) < len(prefix) || !equalFoldASCII(option[:len(prefix)], prefix) {
		return 0, false
	}
	_, end, ok := bytes.Cut(option[len(prefix):], []byte("-"))
	if !ok {
		return 0, false
	}
	if string(end) == "*" {
		return 0, true
	}
	n, err := strconv.Atoi(string(end))
	return n + 1, err == nil && n >= 0
}

// entryKey returns the lasting key of the entry.
func (m *mapper) entryKey() (identity.Key, error) { return m.form.key(m.values[m.key]) }

// hash returns the hash of what the entry's record is made of. The order in which a
// server sends attributes and values does not change it, except where the first
// value is the one that is used.
func (m *mapper) hash() uint64 {
	h := m.salt + mix(xxhash.Sum64(m.dn))
	for slot := range m.use {
		u := &m.use[slot]
		if !u.hashed {
			continue
		}
		for i, v := range m.values[slot] {
			x := mix(xxhash.Sum64(v) ^ u.seed)
			h += x
			if i == 0 && u.first {
				h += bits.RotateLeft64(x, 31)
			}
		}
	}
	return h
}

// largest is how much a record may hold: what is stored is JSON of at most 256 KiB.
const largest = 200 << 10

// record maps the loaded entry.
func (m *mapper) record(source identity.SourceID, key identity.Key, hash uint64) (*identity.Record, error) {
	name, err := loginName(m.values[m.name])
	if err != nil {
		return nil, err
	}
	r := &identity.Record{Source: source, Key: key, Name: name, DN: strings.ToValidUTF8(string(m.dn), "\ufffd"), Hash: hash}
	size := len(m.dn)
	for _, t := range m.profile {
		v := m.values[t.slot]
		if len(v) == 0 || len(v[0]) == 0 {
			continue
		}
		s, err := m.text(t.slot, v[0], &size)
		if err != nil {
			return nil, err
		}
		if r.Profile == nil {
			r.Profile = make(map[string]string, len(m.profile))
		}
		r.Profile[t.to] = s
	}
	if r.Attributes, err = m.attributes(&size); err != nil {
		return nil, err
	}
	if size > largest {
		return nil, fmt.Errorf("has %d bytes of mapped values, more than the %d that are kept of one entry", size, largest)
	}
	if r.Disabled, err = m.reason(); err != nil {
		return nil, err
	}
	r.Expires, err = m.expiry()
	return r, err
}

func (m *mapper) attributes(size *int) (identity.Attributes, error) {
	var out identity.Attributes
	for _, t := range m.attrs {
		raw := m.values[t.slot]
		if len(raw) == 0 {
			continue
		}
		list := make([]string, 0, len(raw))
		for _, v := range raw {
			if len(v) == 0 {
				continue
			}
			s, err := m.text(t.slot, v, size)
			if err != nil {
				return nil, err
			}
			list = append(list, s)
		}
		slices.Sort(list)
		if list = slices.Compact(list); len(list) == 0 {
			continue
		}
		if out == nil {
			out = make(identity.Attributes, len(m.attrs))
		}
		out[t.to] = list
	}
	return out, nil
}

// text writes a value and adds its length to size, as JSON would have it.
func (m *mapper) text(slot int, v []byte, size *int) (string, error) {
	*size += len(v) + 8
	if *size > largest {
		return "", nil // said once, by record
	}
	s, err := m.use[slot].form.text(v)
	if err != nil {
		return "", fmt.Errorf("has a value of %s that %w", m.request[slot], err)
	}
	if strings.IndexByte(s, 0) >= 0 {
		return "", fmt.Errorf("has a NUL character in a value of %s", m.request[slot])
	}
	for i := range len(s) {
		switch {
		case s[i] < ' ':
			*size += 5
		case s[i] == '"' || s[i] == '\\':
			*size++
		}
	}
	return s, nil
}
