package ldap

import "errors"

// The tags of LDAP that this package reads itself (RFC 4511 §4).
const (
	tagInteger    = 0x02
	tagOctets     = 0x04
	tagSequence   = 0x30
	tagSet        = 0x31
	tagEntry      = 0x64 // SearchResultEntry
	tagDone       = 0x65 // SearchResultDone
	tagReference  = 0x73 // SearchResultReference
	tagExtended   = 0x78 // ExtendedResponse
	tagInterim    = 0x79 // IntermediateResponse
	tagSearch     = 0x63 // SearchRequest
	tagControls   = 0xa0
	tagReferrals  = 0xa3 // of a result
	tagEnumerated = 0x0a
)

var (
	errShort      = errors.New("a BER element that ends before its length")
	errIndefinite = errors.New("a BER element of indefinite length, which LDAP forbids")
	errLength     = errors.New("a BER length of more than 4 bytes")
	errTag        = errors.New("a BER element of an unexpected kind")
)

// element splits the first BER element off b. What it returns aliases b.
func element(b []byte) (tag byte, value, rest []byte, err error) {
	if len(b) < 2 {
		return 0, nil, nil, errShort
	}
	size, at := int(b[1]), 2
	if size >= 0x80 {
		if size, at, err = longLength(b); err != nil {
			return 0, nil, nil, err
		}
	}
	if size > len(b)-at {
		return 0, nil, nil, errShort
	}
	return b[0], b[at : at+size : at+size], b[at+size:], nil
}

// longLength reads a length of more than one byte, and where the value begins.
func longLength(b []byte) (size, at int, err error) {
	n := int(b[1] & 0x7f)
	switch {
	case n == 0:
		return 0, 0, errIndefinite // RFC 4511 §5.1: the definite form only
	case n > 4:
		return 0, 0, errLength
	case len(b) < 2+n:
		return 0, 0, errShort
	}
	for _, x := range b[2 : 2+n] {
		size = size<<8 | int(x)
	}
	return size, 2 + n, nil
}

// want splits off an element that must have the given tag.
func want(tag byte, b []byte) (value, rest []byte, err error) {
	got, value, rest, err := element(b)
	if err == nil && got != tag {
		err = errTag
	}
	return value, rest, err
}

// integer reads a small non-negative INTEGER or ENUMERATED.
func integer(v []byte) (int64, error) {
	if len(v) == 0 || len(v) > 5 || v[0]&0x80 != 0 {
		return 0, errors.New("a BER integer that is empty, negative or too long")
	}
	var n int64
	for _, x := range v {
		n = n<<8 | int64(x)
	}
	return n, nil
}

// messageHead reads the id and the operation's tag of an LDAPMessage whose outer
// sequence was taken off; op holds the operation's contents and after what follows.
func messageHead(b []byte) (id int64, tag byte, op, after []byte, err error) {
	v, rest, err := want(tagInteger, b)
	if err != nil {
		return 0, 0, nil, nil, err
	}
	if id, err = integer(v); err != nil {
		return 0, 0, nil, nil, err
	}
	tag, op, after, err = element(rest)
	return id, tag, op, after, err
}

// elementHead returns the tag and the length of an element.
func elementHead(tag byte, size int) []byte {
	switch {
	case size < 0x80:
		return []byte{tag, byte(size)}
	case size < 1<<16:
		return []byte{tag, 0x82, byte(size >> 8), byte(size)}
	}
	return []byte{tag, 0x84, byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}
}
