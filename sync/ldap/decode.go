package ldap

import (
	"bytes"
	"fmt"
)

// Entry is one entry as the directory sent it. All of it aliases the buffer of the
// connection: it is valid until the function that it was given to returns.
type Entry struct {
	DN         []byte
	Attributes []Attribute
	// Size is how many bytes the server sent for it.
	Size int
	// controls are those that came with it, undecoded.
	controls []byte
}

// Attribute is one attribute of an entry. Type is in the server's spelling, options
// included: "member;range=0-1499".
type Attribute struct {
	Type   []byte
	Values [][]byte
}

// Get returns the values of the attribute with the given name, whatever its case,
// or nil.
func (e *Entry) Get(name string) [][]byte {
	for i := range e.Attributes {
		if equalFoldASCII(e.Attributes[i].Type, name) {
			return e.Attributes[i].Values
		}
	}
	return nil
}

// First returns the first value of the attribute with the given name, or nil.
func (e *Entry) First(name string) []byte {
	if v := e.Get(name); len(v) > 0 {
		return v[0]
	}
	return nil
}

// decoder decodes entries one after the other into memory that it uses again.
type decoder struct {
	limits limits
	entry  Entry
	values [][]byte // of all attributes of the entry
	starts []int    // where in values each attribute begins
}

// decode reads the contents of a SearchResultEntry (RFC 4511 §4.5.2). The entry is
// valid until the next call, and as long as op is.
func (d *decoder) decode(op []byte) (*Entry, error) {
	d.values, d.starts, d.entry.Attributes = d.values[:0], d.starts[:0], d.entry.Attributes[:0]
	d.entry.Size, d.entry.controls = len(op), nil
	dn, op, err := want(tagOctets, op)
	if err != nil {
		return nil, fmt.Errorf("the DN: %w", err)
	}
	if len(dn) > d.limits.dn {
		return nil, fmt.Errorf("its DN has %d bytes, which is over the limit of %d (max_dn_bytes)", len(dn), d.limits.dn)
	}
	d.entry.DN = dn
	list, op, err := want(tagSequence, op)
	if err != nil {
		return nil, fmt.Errorf("the list of attributes: %w", err)
	}
	if len(op) > 0 {
		return nil, fmt.Errorf("%d bytes after the list of attributes", len(op))
	}
	for len(list) > 0 {
		var attr []byte
		if attr, list, err = want(tagSequence, list); err != nil {
			return nil, fmt.Errorf("an attribute: %w", err)
		}
		if err := d.attribute(attr); err != nil {
			return nil, err
		}
	}
	// The values are cut only now: appending may have moved them.
	for i := range d.entry.Attributes {
		end := len(d.values)
		if i+1 < len(d.starts) {
			end = d.starts[i+1]
		}
		d.entry.Attributes[i].Values = d.values[d.starts[i]:end:end]
	}
	return &d.entry, nil
}

func (d *decoder) attribute(b []byte) error {
	name, b, err := want(tagOctets, b)
	if err != nil {
		return fmt.Errorf("the name of an attribute: %w", err)
	}
	set, b, err := want(tagSet, b)
	if err != nil || len(b) > 0 {
		return fmt.Errorf("the values of attribute %q: %w", name, orTag(err))
	}
	if len(d.entry.Attributes) == d.limits.attributes {
		return fmt.Errorf("it has more than %d attributes (max_attributes)", d.limits.attributes)
	}
	d.entry.Attributes = append(d.entry.Attributes, Attribute{Type: name})
	d.starts = append(d.starts, len(d.values))
	for len(set) > 0 {
		var v []byte
		if v, set, err = want(tagOctets, set); err != nil {
			return fmt.Errorf("a value of attribute %q: %w", name, err)
		}
		if len(d.values) == d.limits.values {
			return fmt.Errorf("it has more than %d values (max_values)", d.limits.values)
		}
		d.values = append(d.values, v)
	}
	return nil
}

func orTag(err error) error {
	if err == nil {
		return errTag
	}
	return err
}

// forget gives back memory that one large entry made grow.
func (d *decoder) forget() {
	const keep = 1 << 14
	if cap(d.values) > keep {
		d.values = nil
	}
	if cap(d.entry.Attributes) > keep {
		d.entry.Attributes, d.starts = nil, nil
	}
}

// equalFoldASCII compares attribute names (RFC 4512 §1.4: ASCII, case ignored).
func equalFoldASCII(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// baseType returns an attribute's name without its options, and the options.
func baseType(name []byte) (base, options []byte) {
	base, options, _ = bytes.Cut(name, []byte{';'})
	return base, options
}
