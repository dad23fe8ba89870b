package ldapserver

import (
	"errors"
	"fmt"
)

// Universal tags of RFC 4511 messages, with the class and form bits in place.
const (
	tagBoolean    = 0x01
	tagInteger    = 0x02
	tagOctets     = 0x04
	tagEnumerated = 0x0a
	tagSequence   = 0x30
	tagSet        = 0x31
)

var errTruncated = errors.New("the element ends beyond its container")

// decoder walks the elements of one container. It copies nothing, so a deep or
// wide request costs no more than its bytes. The first fault sticks: callers
// decode a whole shape and look at err once.
type decoder struct {
	rest []byte
	err  error
}

// next returns the tag and body of the next element.
func (d *decoder) next() (tag byte, body []byte) {
	if d.err != nil {
		return 0, nil
	}
	tag, body, rest, err := element(d.rest)
	if err != nil {
		d.err, d.rest = err, nil
		return 0, nil
	}
	d.rest = rest
	return tag, body
}

// want returns the body of the next element, which must carry tag.
func (d *decoder) want(tag byte) []byte {
	got, body := d.next()
	if d.err == nil && got != tag {
		d.fail(fmt.Errorf("tag %#x where %#x was expected", got, tag))
		return nil
	}
	return body
}

// inside returns a decoder of the next element's content.
func (d *decoder) inside(tag byte) *decoder {
	body := d.want(tag)
	return &decoder{rest: body, err: d.err}
}

// text returns the next element, an OCTET STRING, as a string.
func (d *decoder) text() string { return string(d.want(tagOctets)) }

// integer returns the next element, which must carry tag, as a number.
func (d *decoder) integer(tag byte) int64 {
	n, err := integer(d.want(tag))
	if d.err == nil && err != nil {
		d.fail(err)
	}
	return n
}

// boolean returns the next element as a BOOLEAN.
func (d *decoder) boolean() bool {
	body := d.want(tagBoolean)
	if d.err == nil && len(body) != 1 {
		d.fail(errors.New("a BOOLEAN is one octet"))
	}
	return len(body) == 1 && body[0] != 0
}

// more says whether elements remain.
func (d *decoder) more() bool { return d.err == nil && len(d.rest) > 0 }

// peek returns the next element's tag without taking it, or 0 at the end.
func (d *decoder) peek() byte {
	if !d.more() {
		return 0
	}
	return d.rest[0]
}

// fail records err, if it is one, unless an earlier fault stands.
func (d *decoder) fail(err error) {
	if d.err == nil && err != nil {
		d.err, d.rest = err, nil
	}
}

// element splits the first element off b. Only what RFC 4511 §5.1 permits is
// read: low tag numbers and definite lengths.
func element(b []byte) (tag byte, body, rest []byte, err error) {
	if len(b) < 2 {
		return 0, nil, nil, errTruncated
	}
	if b[0]&0x1f == 0x1f {
		return 0, nil, nil, errors.New("tag numbers above 30 are not used in LDAP")
	}
	n, used, err := length(b[1:])
	if err != nil {
		return 0, nil, nil, err
	}
	start := 1 + used
	if n > len(b)-start {
		return 0, nil, nil, errTruncated
	}
	return b[0], b[start : start+n], b[start+n:], nil
}

// length reads a definite length and how many octets it took.
func length(b []byte) (n, used int, err error) {
	if len(b) == 0 {
		return 0, 0, errTruncated
	}
	if b[0] < 0x80 {
		return int(b[0]), 1, nil
	}
	octets := int(b[0] & 0x7f)
	if octets == 0 || octets > 4 {
		return 0, 0, fmt.Errorf("length octet %#x: only definite lengths of up to four octets are read", b[0])
	}
	if len(b) < 1+octets {
		return 0, 0, errTruncated
	}
	for _, c := range b[1 : 1+octets] {
		n = n<<8 | int(c)
	}
	return n, 1 + octets, nil
}

// integer reads a two's complement number of up to eight octets.
func integer(b []byte) (int64, error) {
	if len(b) == 0 || len(b) > 8 {
		return 0, fmt.Errorf("an INTEGER of %d octets", len(b))
	}
	n := int64(int8(b[0]))
	for _, c := range b[1:] {
		n = n<<8 | int64(c)
	}
	return n, nil
}

// builder appends elements to a buffer that is reused from message to message.
type builder struct{ buf []byte }

// begin opens an element and returns its position for end.
func (b *builder) begin(tag byte) int {
	b.buf = append(b.buf, tag, 0)
	return len(b.buf)
}

// end closes the element opened at start. The one length octet that begin kept
// is enough for most; longer content is moved, which for an entry of a kilobyte
// costs less than measuring it beforehand.
func (b *builder) end(start int) {
	n := len(b.buf) - start
	if n < 0x80 {
		b.buf[start-1] = byte(n)
		return
	}
	octets := 1
	for m := n >> 8; m > 0; m >>= 8 {
		octets++
	}
	var room [4]byte
	b.buf = append(b.buf, room[:octets]...)
	copy(b.buf[start+octets:], b.buf[start:start+n])
	b.buf[start-1] = 0x80 | byte(octets)
	for i := range octets {
		b.buf[start+i] = byte(n >> (8 * (octets - 1 - i)))
	}
}

// octets appends a primitive element with the given content.
func (b *builder) octets(tag byte, s string) {
	start := b.begin(tag)
	b.buf = append(b.buf, s...)
	b.end(start)
}

// integer appends a number in the fewest octets.
func (b *builder) integer(tag byte, n int64) {
	start := b.begin(tag)
	size := 1
	for m := n; m > 127 || m < -128; m >>= 8 {
		size++
	}
	for i := size - 1; i >= 0; i-- {
		b.buf = append(b.buf, byte(n>>(8*i)))
	}
	b.end(start)
}
