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

// mapper maps one entry after the other.
type mapper struct {
	*layout
	dn     []byte
	values [][][]byte // by slot, of the entry that was loaded
	ranged []span
	seen   *visible // nil: there are no expressions
}

// span is an attribute of which the entry holds only some values.
type span struct {
	slot int
	next int // the first value that is missing; 0: none is; noRange: it cannot be told
}

func (l *layout) mapper() *mapper {
	m := &mapper{layout: l, values: make([][][]byte, len(l.request))}
	if l.sees {
		m.seen = newVisible(m)
	}
	return m
}

// load takes an entry in, as long as it is valid.
func (m *mapper) load(e *Entry) {
	m.dn, m.ranged = e.DN, m.ranged[:0]
	clear(m.values)
	if m.seen != nil {
		m.seen.forget()
	}
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
// the next range begins, 0 after the last, noRange where that cannot be told. It is not
// ok for another option.
func rangeEnd(option []byte) (next int, ok bool) {
	const prefix = "range="
	if len(option) < len(prefix) || !equalFoldASCII(option[:len(prefix)], prefix) {
		return 0, false
	}
	_, end, ok := bytes.Cut(option[len(prefix):], []byte("-"))
	if ok && string(end) == "*" {
		return 0, true
	}
	n, err := strconv.ParseUint(string(end), 10, 31)
	if err != nil {
		return noRange, true
	}
	return int(n) + 1, true
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
	if slot, torn := m.inPieces(); torn {
		return nil, fmt.Errorf("cannot be mapped: the server sends %s in pieces, so that not all of it is there", m.request[slot])
	}
	named, err := m.names()
	if err != nil {
		return nil, err
	}
	name, err := loginName(named)
	if err != nil {
		return nil, err
	}
	r := &identity.Record{Source: source, Key: key, Name: name, DN: strings.ToValidUTF8(string(m.dn), "\ufffd"), Hash: hash}
	size := len(m.dn)
	for i := range m.profile {
		t := &m.profile[i]
		s, err := m.field(t, &size)
		if err != nil {
			return nil, err
		}
		if s == "" {
			continue
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

// names are the values that the name is taken from: the first of them.
func (m *mapper) names() ([][]byte, error) {
	if m.name.expr == nil {
		return m.values[m.name.slot], nil
	}
	s, err := m.seen.one(m.name.expr)
	if err != nil {
		return nil, err
	}
	return [][]byte{[]byte(s)}, nil
}

// nameFilter asks for those whose name may be the given one: for an expression, those
// who have it in an attribute that it reads. "" when it reads none.
func (l *layout) nameFilter(name string) string {
	if l.name.expr == nil {
		return fmt.Sprintf("(%s=%s)", l.request[l.name.slot], escapeFilter(name))
	}
	var any strings.Builder
	for _, a := range l.name.expr.reads {
		fmt.Fprintf(&any, "(%s=%s)", a, escapeFilter(name))
	}
	if any.Len() == 0 {
		return ""
	}
	return "(|" + any.String() + ")"
}

// field returns the one value of a profile field, or "".
func (m *mapper) field(t *target, size *int) (string, error) {
	if t.expr != nil {
		s, err := m.seen.one(t.expr)
		if err != nil {
			return "", err
		}
		return s, measure(s, t.expr.as, size)
	}
	v := m.values[t.slot]
	if len(v) == 0 || len(v[0]) == 0 {
		return "", nil
	}
	return m.text(t.slot, v[0], size)
}

func (m *mapper) attributes(size *int) (identity.Attributes, error) {
	var out identity.Attributes
	for i := range m.attrs {
		t := &m.attrs[i]
		list, err := m.list(t, size)
		if err != nil {
			return nil, err
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

// list returns the values of an attribute in any order.
func (m *mapper) list(t *target, size *int) ([]string, error) {
	if t.expr != nil {
		list, err := m.seen.all(nil, t.expr)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
		for _, s := range list {
			if err := measure(s, t.expr.as, size); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	raw := m.values[t.slot]
	if len(raw) == 0 {
		return nil, nil
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
	return list, nil
}

// text writes a value and adds its length to size, as JSON would have it.
func (m *mapper) text(slot int, v []byte, size *int) (string, error) {
	if *size+len(v) > largest {
		*size += len(v) + 8
		return "", nil // said once, by record
	}
	s, err := m.use[slot].form.text(v)
	if err != nil {
		return "", fmt.Errorf("has a value of %s that %w", m.request[slot], err)
	}
	return s, measure(s, m.request[slot], size)
}

// measure adds the length of a value to size, as JSON would have it.
func measure(s, of string, size *int) error {
	*size += len(s) + 8
	if strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("has a NUL character in a value of %s", of)
	}
	for i := range len(s) {
		switch {
		case s[i] < ' ':
			*size += 5
		case s[i] == '"' || s[i] == '\\':
			*size++
		}
	}
	return nil
}
