package state

import (
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// replaced reads a user or group whose record is about to be replaced whole, as object
// does, but for what that record says: most of what is stored is not looked at.
func (t *txn) replaced(key string, m identity.Member) (*storedObject, error) {
	if _, pending := t.pending(key); pending {
		return t.object(key, m)
	}
	raw, rev := t.snap.raw(m)
	o, ok := scanReplaced(raw)
	if !ok {
		return t.object(key, m)
	}
	t.base(key, rev)
	return &o, nil
}

// scanReplaced reads of a pushed object, in the form in which this version writes it, all
// that storedObject.put leaves as it is or that tells what the object was. It reports
// false for any other form.
func scanReplaced(raw string) (o storedObject, ok bool) {
	const size = `,"size":`
	h, ok := scanHead(raw)
	at := strings.Index(raw, size)
	if !ok || h.Size == 0 || at < 0 {
		return o, false
	}
	o = storedObject{
		V: h.V, Source: h.Source, Key: h.Key, Name: h.Name, Hash: h.Hash, Disabled: h.Disabled, Expires: h.Expires,
		Missing: h.Missing, Members: h.Members, Terms: h.Terms, Size: h.Size,
	}
	s := scanner{raw: raw, at: at + len(size), ok: true}
	s.number()
	if s.have(`,"made":`) {
		s.unmarshal(&o.Created)
	}
	if s.have(`,"mod":`) {
		s.unmarshal(&o.Pushed)
	}
	if s.have(`,"ext":`) {
		o.External = s.text()
	}
	if s.have(`,"lock":`) {
		s.unmarshal(&o.Locked)
	}
	for _, name := range [...]string{`,"dn":`, `,"prof":`, `,"attr":`, `,"loose":`} {
		if s.have(name) {
			s.skip()
		}
	}
	return o, s.have(`,"raw":`) && s.at == len(raw)-1-h.Size
}

// skip walks over a value.
func (s *scanner) skip() {
	depth := 0
	for ; s.at < len(s.raw); s.at++ {
		switch s.raw[s.at] {
		case '"':
			s.skipText()
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				return
			}
		}
		if depth < 0 {
			return
		}
	}
}

// skipText walks to the quote that ends a string.
func (s *scanner) skipText() {
	for s.at++; s.at < len(s.raw) && s.raw[s.at] != '"'; s.at++ {
		if s.raw[s.at] == '\\' {
			s.at++
		}
	}
}
