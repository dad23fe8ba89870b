package ldap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/identity"
)

// A server may send the first values of an attribute only, and say so: Active Directory
// from 1,500 on. Members are fetched by [reading.ranges], into the group that lists them.
// Of other attributes that are mapped, the entry waits until the search that found it is
// over, and is then read in pieces and put together, as if it had come whole.

// noRange is where the next piece begins when the server's words for it say nothing.
const noRange = -1

// inPieces returns the slot of a mapped attribute of which the loaded entry holds some
// values only.
func (m *mapper) inPieces() (slot int, ok bool) {
	for _, s := range m.ranged {
		if s.next != 0 && m.use[s.slot].hashed {
			return s.slot, true
		}
	}
	return 0, false
}

// tear remembers an entry that came in pieces, and reports whether it did.
func (h *half) tear(key identity.Key, e *Entry) (torn bool, err error) {
	slot, torn := h.m.inPieces()
	if !torn {
		return false, nil
	}
	if h.torn == nil {
		h.torn = map[identity.Key][]byte{}
	}
	if _, again := h.torn[key]; !again {
		h.t.fresh++
	}
	h.torn[key] = bytes.Clone(e.DN)
	if len(h.torn) > maxBroken {
		return true, fmt.Errorf("the server sends %s of more than %d entries in pieces: map another attribute", h.m.request[slot], maxBroken)
	}
	return true, nil
}

// mend reads the entries that came in pieces. One that cannot be put together is left
// as it was.
func (r *reading) mend(ctx context.Context, h *half) error {
	torn := h.torn
	h.torn = nil
	for _, key := range slices.Sorted(maps.Keys(torn)) {
		dn := torn[key]
		e, why, err := r.c.gather(ctx, h.m.mapper(), string(dn))
		switch {
		case err != nil:
			return err
		case why == "":
			if err := h.entry(e); err != nil {
				return err
			}
		default:
			r.leave(h, key, dn, why)
		}
	}
	return nil
}

// gather reads an entry in pieces and puts it together, or says why it cannot.
func (c *session) gather(ctx context.Context, m *mapper, dn string) (whole *Entry, why string, err error) {
	for range attempts {
		p := &puzzle{c: c, m: m, dn: dn}
		whole, err = p.solve(ctx)
		if err != nil || p.why != "" {
			return nil, p.why, err
		}
		if whole != nil {
			return whole, "", nil
		}
	}
	return nil, fmt.Sprintf("changed while its values were read in pieces, %d times in a row", attempts), nil
}

// puzzle is one try to put an entry together.
type puzzle struct {
	c     *session
	m     *mapper
	dn    string
	whole *Entry
	stamp []byte
	why   string // why it cannot be
	moved bool   // it changed meanwhile
}

// solve returns the entry, or nil if it changed meanwhile or cannot be read.
func (p *puzzle) solve(ctx context.Context) (*Entry, error) {
	if p.m.stamp < 0 {
		p.why = "comes in pieces, and nothing shows whether it changed meanwhile: set groups.change_stamp"
		return nil, nil
	}
	if err := p.read(ctx, p.m.request, p.begin); err != nil || p.why != "" {
		return nil, err
	}
	if p.whole == nil {
		p.why = "went away while its values were read in pieces"
		return nil, nil
	}
	for _, s := range slices.Clone(p.m.ranged) {
		if err := p.rest(ctx, s); err != nil || p.moved || p.why != "" {
			return nil, err
		}
	}
	return p.whole, nil
}

// begin takes the entry with the first pieces.
func (p *puzzle) begin(e *Entry) {
	p.m.load(e)
	p.stamp = bytes.Clone(p.m.stampValue())
	if len(p.stamp) == 0 {
		p.why = "comes in pieces, and its change stamp cannot be read, which shows whether it changed meanwhile: check groups.change_stamp"
		return
	}
	p.whole = &Entry{DN: bytes.Clone(e.DN), Size: e.Size}
	for i := range e.Attributes {
		a := &e.Attributes[i]
		p.whole.Attributes = append(p.whole.Attributes, Attribute{Type: bytes.Clone(a.Type), Values: cloneValues(a.Values)})
	}
	p.m.load(p.whole) // which stays valid
	p.m.ranged = slices.DeleteFunc(p.m.ranged, func(s span) bool { return !p.m.use[s.slot].hashed })
}

func cloneValues(values [][]byte) [][]byte {
	out := make([][]byte, len(values))
	for i, v := range values {
		out[i] = bytes.Clone(v)
	}
	return out
}

func sizeOfValues(values [][]byte) (n int) {
	for _, v := range values {
		n += len(v)
	}
	return n
}

// rest reads the values of one attribute that are missing.
func (p *puzzle) rest(ctx context.Context, s span) error {
	name := p.m.request[s.slot]
	values := p.m.values[s.slot]
	size := sizeOfValues(values)
	m := p.m.mapper()
	for next := s.next; next != 0; {
		if next == noRange {
			p.why = fmt.Sprintf("has values of %s in pieces that cannot be told apart", name)
			return nil
		}
		from := next
		got := false
		err := p.read(ctx, []string{fmt.Sprintf("%s;range=%d-*", name, from), p.m.request[p.m.stamp]}, func(e *Entry) {
			m.load(e)
			got, p.moved = true, !bytes.Equal(m.stampValue(), p.stamp)
			next = 0 // no more, or all at once
			for _, piece := range m.ranged {
				if piece.slot == s.slot {
					next = piece.next
				}
			}
			values = append(values, cloneValues(m.values[s.slot])...)
			size += sizeOfValues(m.values[s.slot])
		})
		switch {
		case err != nil || p.why != "" || p.moved:
			return err
		case !got:
			p.why = "went away while its values were read in pieces"
			return nil
		case next > 0 && next <= from:
			p.why = fmt.Sprintf("has no values of %s after the first %d", name, from)
			return nil
		case size > largest: // which no record may be
			p.why = fmt.Sprintf("has more than %d bytes of %s, more than are kept of one entry", largest, name)
			return nil
		}
	}
	p.put(s.slot, values)
	return nil
}

// put writes all values of an attribute in the place of the first piece.
func (p *puzzle) put(slot int, values [][]byte) {
	for i := range p.whole.Attributes {
		a := &p.whole.Attributes[i]
		if base, options := baseType(a.Type); len(options) > 0 && equalFoldASCII(base, p.m.request[slot]) {
			a.Type, a.Values = base, values
			return
		}
	}
}

// read asks for the entry. A refusal is a reason, no error.
func (p *puzzle) read(ctx context.Context, attributes []string, take func(*Entry)) error {
	g := region{base: p.dn, scope: goldap.ScopeBaseObject, filter: "(objectClass=*)", attrs: attributes}
	_, err := p.c.search(ctx, g.request(), &handler{
		entry:  func(e *Entry) error { take(e); return nil },
		broken: func(_ []byte, reason string) error { p.why = reason; return nil },
	})
	if le, ok := errors.AsType[*goldap.Error](err); ok && p.c.conn.err() == nil {
		p.why = fmt.Sprintf("comes in pieces, of which not all can be read: %s", orServer(le))
		return nil
	}
	return err
}
