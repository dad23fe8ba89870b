package ldap

import (
	"bytes"
	"encoding/hex"
	"errors"
	"hash/maphash"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-id/rollcall/identity"
)

// Directories spell one DN in several ways: other case, other escapes, the parts of
// a multi-valued RDN in another order. canonicalDN gives them one spelling. It
// agrees with go-ldap's EqualFold (distinguishedNameMatch of RFC 4517 §4.2.15 with
// every value compared without case) and costs a fiftieth of it for the usual DN.

var errDN = errors.New("not a distinguished name (RFC 4514)")

// canonicalDN appends the canonical form of dn to dst. The form is for comparing
// only, and cannot be parsed as a DN in every case.
func canonicalDN(dst, dn []byte) ([]byte, error) {
	start := len(dst)
	if out, ok := plainDN(dst, dn); ok {
		return out, nil
	}
	return fullDN(dst[:start], dn)
}

// plainDN handles DNs of printable ASCII without escapes, quotes, multi-valued RDNs
// and values in hexadecimal: nearly all of them.
func plainDN(dst, dn []byte) ([]byte, bool) {
	inType, empty := true, true // whether a type is being read, and nothing of it or of the value yet
	for i, c := range dn {
		switch {
		case !plainByte(c) || c == '#' && empty && !inType:
			return dst, false
		case c == ' ' && (empty || spaceIsLast(dn[i:], inType)):
			continue
		case c == '=' && inType, c == ',':
			// A type ends with the first and a value with the second, and no type is empty.
			if inType != (c == '=') || inType && empty {
				return dst, false
			}
			inType, empty = !inType, true
		default:
			c, empty = lower(c), false
		}
		dst = append(dst, c)
	}
	return dst, !inType || len(dn) == 0
}

func plainByte(c byte) bool {
	switch c {
	case '\\', '"', '+', ';', '<', '>':
		return false
	}
	return c >= ' ' && c <= '~'
}

// spaceIsLast reports whether nothing but spaces follows before the type or value
// ends: such spaces do not count.
func spaceIsLast(b []byte, inType bool) bool {
	b = bytes.TrimLeft(b, " ")
	return len(b) == 0 || b[0] == ',' || inType && b[0] == '='
}

// fullDN handles every DN of RFC 4514, and the semicolons of RFC 2253.
func fullDN(dst, dn []byte) ([]byte, error) {
	if len(bytes.TrimSpace(dn)) == 0 {
		return dst, nil
	}
	var parts [][]byte // of the RDN being read
	for {
		part, rest, sep, err := nextPart(dn)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		if sep != '+' {
			slices.SortFunc(parts, bytes.Compare)
			dst = append(dst, bytes.Join(parts, []byte{'+'})...)
			parts = parts[:0]
		}
		switch sep {
		case 0:
			return dst, nil
		case ',', ';':
			dst = append(dst, ',')
		}
		dn = rest
	}
}

// nextPart reads one type and value. sep is what ended it: ',', ';', '+' or 0.
func nextPart(dn []byte) (part, rest []byte, sep byte, err error) {
	name, dn, ok := bytes.Cut(dn, []byte{'='})
	if name = bytes.Trim(name, " "); !ok || len(name) == 0 || bytes.ContainsAny(name, `,+;\"`) {
		return nil, nil, 0, errDN
	}
	raw, rest, sep := splitValue(dn)
	value, err := decodeValue(raw)
	if err != nil {
		return nil, nil, 0, err
	}
	part = append(bytes.ToLower(name), '=')
	return appendFolded(part, value), rest, sep, nil
}

// splitValue cuts dn at the separator that ends the value it begins with.
func splitValue(dn []byte) (raw, rest []byte, sep byte) {
	for i := 0; i < len(dn); i++ {
		switch dn[i] {
		case '\\':
			i++
		case ',', '+', ';':
			return dn[:i], dn[i+1:], dn[i]
		}
	}
	return dn, nil, 0
}

// decodeValue takes the escapes out of a value (RFC 4514 §2.4).
func decodeValue(raw []byte) ([]byte, error) {
	raw = bytes.TrimLeft(raw, " ")
	if len(raw) > 0 && raw[0] == '#' {
		return decodeHexValue(bytes.TrimRight(raw[1:], " "))
	}
	out := make([]byte, 0, len(raw))
	end := 0 // of out, with unescaped trailing spaces left off
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == 0:
			return nil, errDN
		case c != '\\':
			out = append(out, c)
			if c != ' ' {
				end = len(out)
			}
			continue
		case i+1 >= len(raw):
			return nil, errDN
		case bytes.IndexByte([]byte(` "#+,;<=>\`), raw[i+1]) >= 0:
			out = append(out, raw[i+1])
			i++
		default:
			if i+2 >= len(raw) {
				return nil, errDN
			}
			var b [1]byte
			if _, err := hex.Decode(b[:], raw[i+1:i+3]); err != nil {
				return nil, errDN
			}
			out = append(out, b[0])
			i += 2
		}
		end = len(out)
	}
	return out[:end], nil
}

// decodeHexValue reads "#04024869": a BER element in hexadecimal.
func decodeHexValue(digits []byte) ([]byte, error) {
	b := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(b, digits); err != nil {
		return nil, errDN
	}
	_, v, rest, err := element(b)
	if err != nil || len(rest) > 0 {
		return nil, errDN
	}
	return v, nil
}

// appendFolded appends a value without case. What separates the parts of the
// canonical form is escaped, so that no two DNs share one.
func appendFolded(dst, value []byte) []byte {
	for len(value) > 0 {
		r, n := utf8.DecodeRune(value)
		switch {
		case r == utf8.RuneError && n == 1: // not UTF-8: the byte as it is
			dst = append(dst, value[0])
		case r == ',' || r == '+' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < utf8.RuneSelf:
			dst = append(dst, lower(byte(r)))
		default:
			dst = utf8.AppendRune(dst, foldRune(r))
		}
		value = value[n:]
	}
	return dst
}

// foldRune gives all runes that differ only in case the same rune, by the relation
// of strings.EqualFold: the least of them, or its lower case when that is ASCII.
func foldRune(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	if least < utf8.RuneSelf {
		return rune(lower(byte(least)))
	}
	return least
}

// dnKey stands for a canonical DN in an index: 16 bytes instead of a string. Its
// seeds are random, so nobody can choose a DN that collides with another's.
type dnKey [16]byte

// dnHasher makes dnKeys. It is not safe for concurrent use.
type dnHasher struct {
	seeds [2]maphash.Seed
	buf   []byte
}

func newDNHasher() *dnHasher {
	return &dnHasher{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// key returns the key of a DN in any spelling. A text that is no DN has the key of
// its bytes: it equals itself only.
func (h *dnHasher) key(dn []byte) dnKey {
	out, err := canonicalDN(h.buf[:0], dn)
	if err != nil {
		out = append(append(h.buf[:0], 0), dn...)
	}
	h.buf = out
	return h.sum(out)
}

func (h *dnHasher) sum(b []byte) dnKey {
	var k dnKey
	for i, seed := range h.seeds {
		n := maphash.Bytes(seed, b)
		for j := range 8 {
			k[i*8+j] = byte(n >> (8 * j))
		}
	}
	return k
}

// withinDN reports whether the canonical DN child is base or below it.
func withinDN(child, base []byte) bool {
	if len(base) == 0 {
		return true
	}
	if !bytes.HasSuffix(child, base) {
		return false
	}
	at := len(child) - len(base)
	if at == 0 {
		return true
	}
	// An escaped comma is not a separator; a backslash before it may be escaped itself.
	slashes := 0
	for i := at - 2; i >= 0 && child[i] == '\\'; i-- {
		slashes++
	}
	return child[at-1] == ',' && slashes%2 == 0
}

// name returns the key of a login name in any case.
func (h *dnHasher) name(s string) dnKey {
	h.buf = append(h.buf[:0], identity.FoldName(s)...)
	return h.sum(h.buf)
}
