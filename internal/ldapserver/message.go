package ldapserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Operation tags (RFC 4511 §4.2 to §4.14).
const (
	opBindRequest     = 0x60
	opBindResponse    = 0x61
	opUnbind          = 0x42
	opSearchRequest   = 0x63
	opSearchEntry     = 0x64
	opSearchDone      = 0x65
	opSearchReference = 0x73
	opModifyRequest   = 0x66
	opModifyResponse  = 0x67
	opAddRequest      = 0x68
	opAddResponse     = 0x69
	opDeleteRequest   = 0x4a
	opDeleteResponse  = 0x6b
	opRenameRequest   = 0x6c
	opRenameResponse  = 0x6d
	opCompareRequest  = 0x6e
	opCompareResponse = 0x6f
	opAbandon         = 0x50
	opExtended        = 0x77
	opExtendedReply   = 0x78
)

const tagControls = 0xa0

// maxRequestBytes bounds one request. Nothing a client asks is near it.
const maxRequestBytes = 4 << 20

// message is a request's envelope: its number, its operation still encoded, and
// its controls.
type message struct {
	id       int32
	op       byte
	body     []byte
	controls []control
}

// control is a request control (RFC 4511 §4.1.11).
type control struct {
	oid      string
	critical bool
	value    []byte
}

// readMessage reads one whole LDAPMessage from the connection and opens it.
// io.EOF means that the client closed between messages.
func readMessage(r *bufio.Reader) (message, error) {
	head, err := r.Peek(2)
	if err != nil {
		if len(head) > 0 {
			return message{}, io.ErrUnexpectedEOF
		}
		return message{}, err
	}
	if head[0] != tagSequence {
		return message{}, fmt.Errorf("a message begins with octet %#x", head[0])
	}
	if head[1] > 0x80 {
		if head, err = r.Peek(2 + int(head[1]&0x7f)); err != nil {
			return message{}, err
		}
	}
	n, used, err := length(head[1:])
	if err != nil {
		return message{}, err
	}
	if n > maxRequestBytes {
		return message{}, fmt.Errorf("a request of %d bytes; at most %d are read", n, maxRequestBytes)
	}
	if _, err := r.Discard(1 + used); err != nil {
		return message{}, err
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return message{}, fmt.Errorf("the rest of a message: %w", err)
	}
	return parseMessage(body)
}

// parseMessage opens the content of an LDAPMessage.
func parseMessage(body []byte) (message, error) {
	d := &decoder{rest: body}
	id := d.integer(tagInteger)
	m := message{}
	m.op, m.body = d.next()
	if d.err != nil {
		return message{}, d.err
	}
	if id < 0 || id > 1<<31-1 {
		return message{}, fmt.Errorf("message number %d", id)
	}
	m.id = int32(id)
	if d.peek() == tagControls {
		list := d.inside(tagControls)
		for list.more() {
			m.controls = append(m.controls, parseControl(list))
		}
		d.fail(list.err)
	}
	return m, d.err
}

func parseControl(list *decoder) control {
	in := list.inside(tagSequence)
	c := control{oid: in.text()}
	if in.peek() == tagBoolean {
		c.critical = in.boolean()
	}
	if in.peek() == tagOctets {
		c.value = in.want(tagOctets)
	}
	if in.err != nil {
		list.fail(in.err)
	}
	return c
}

// bindRequest is RFC 4511 §4.2.
type bindRequest struct {
	version   int64
	name      string
	simple    bool
	password  string
	mechanism string
}

func parseBind(body []byte) (bindRequest, error) {
	d := &decoder{rest: body}
	r := bindRequest{version: d.integer(tagInteger), name: d.text()}
	tag, auth := d.next()
	switch {
	case d.err != nil:
	case tag == 0x80:
		r.simple, r.password = true, string(auth)
	case tag == 0xa3:
		in := &decoder{rest: auth}
		r.mechanism = in.text()
		d.fail(in.err)
	default:
		d.fail(fmt.Errorf("authentication choice %#x", tag))
	}
	return r, d.err
}

// searchRequest is RFC 4511 §4.5.1.
type searchRequest struct {
	base       string
	scope      Scope
	sizeLimit  int
	typesOnly  bool
	filter     filter
	attributes []string
}

// ofRoot says whether the search reads the root entry.
func (r *searchRequest) ofRoot() bool { return r.base == "" && r.scope == ScopeBase }

func parseSearch(body []byte) (searchRequest, error) {
	d := &decoder{rest: body}
	r := searchRequest{base: d.text(), scope: Scope(d.integer(tagEnumerated))}
	d.integer(tagEnumerated) // aliases do not exist here
	r.sizeLimit = int(d.integer(tagInteger))
	d.integer(tagInteger) // the client keeps its own time limit
	r.typesOnly = d.boolean()
	r.filter = decodeFilter(d, 0)
	attrs := d.inside(tagSequence)
	for attrs.more() {
		r.attributes = append(r.attributes, attrs.text())
	}
	d.fail(attrs.err)
	if d.err == nil && (r.scope < ScopeBase || r.scope > ScopeSub) {
		d.fail(fmt.Errorf("scope %d", r.scope))
	}
	if d.err == nil && r.sizeLimit < 0 {
		d.fail(errors.New("a negative size limit"))
	}
	return r, d.err
}

// attribute reads an attribute with its values as add and modify carry them.
func attribute(in *decoder) Attribute {
	a := Attribute{Name: in.text()}
	values := in.inside(tagSet)
	for values.more() {
		a.Values = append(a.Values, values.text())
	}
	in.fail(values.err)
	return a
}

func parseAdd(body []byte) (Entry, error) {
	d := &decoder{rest: body}
	e := Entry{DN: d.text()}
	list := d.inside(tagSequence)
	for list.more() {
		in := list.inside(tagSequence)
		e.Attributes = append(e.Attributes, attribute(in))
		list.fail(in.err)
	}
	d.fail(list.err)
	return e, d.err
}

func parseModify(body []byte) (name string, changes []Change, err error) {
	d := &decoder{rest: body}
	name = d.text()
	list := d.inside(tagSequence)
	for list.more() {
		in := list.inside(tagSequence)
		kind := ChangeKind(in.integer(tagEnumerated))
		part := in.inside(tagSequence)
		a := attribute(part)
		in.fail(part.err)
		list.fail(in.err)
		changes = append(changes, Change{Kind: kind, Name: a.Name, Values: a.Values})
	}
	d.fail(list.err)
	return name, changes, d.err
}

func parseRename(body []byte) (name, newRDN, superior string, err error) {
	d := &decoder{rest: body}
	name, newRDN = d.text(), d.text()
	d.boolean() // the old name always goes, as every modern client asks
	if d.peek() == 0x80 {
		superior = string(d.want(0x80))
	}
	return name, newRDN, superior, d.err
}

// result appends a whole response that is nothing but an LDAPResult.
func (b *builder) result(id int32, op byte, r *Error, controls ...control) {
	whole := b.begin(tagSequence)
	b.integer(tagInteger, int64(id))
	start := b.begin(op)
	b.ldapResult(r)
	b.end(start)
	b.controls(controls)
	b.end(whole)
}

// ldapResult appends the components of RFC 4511 §4.1.9; nil is success.
func (b *builder) ldapResult(r *Error) {
	if r == nil {
		r = &Error{}
	}
	b.integer(tagEnumerated, int64(r.Code))
	b.octets(tagOctets, r.Matched)
	b.octets(tagOctets, r.Message)
	if len(r.Referrals) > 0 {
		start := b.begin(0xa3)
		for _, uri := range r.Referrals {
			b.octets(tagOctets, uri)
		}
		b.end(start)
	}
}

func (b *builder) controls(controls []control) {
	if len(controls) == 0 {
		return
	}
	list := b.begin(tagControls)
	for _, c := range controls {
		one := b.begin(tagSequence)
		b.octets(tagOctets, c.oid)
		b.octets(tagOctets, string(c.value))
		b.end(one)
	}
	b.end(list)
}
