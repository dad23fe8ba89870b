package ldap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// handler takes what a search finds. Both functions are called from the goroutine
// that reads the connection, and must not use the connection. An error from either
// ends the connection.
type handler struct {
	entry func(*Entry) error
	// broken is told of an entry that is too large, or that is no entry when it is
	// decoded. Its DN is nil when even that could not be read.
	broken func(dn []byte, reason string) error
	// interim, when set, takes the intermediate responses of the search (RFC 4511
	// §4.13), each as its contents.
	interim func(op []byte) error
	// sent, when set, is called once the search was sent.
	sent func()
}

// divert is the connection beneath go-ldap. It reads whole LDAPMessages. While a
// search is armed, its entries go to the search's handler and nowhere else; all other
// messages pass through unchanged. It is also where the limits are: on the size and
// depth of a message, on how many entries and referrals there are, and on the time in
// which the server must send something while an answer is awaited.
type divert struct {
	net.Conn // the socket, or TLS over it
	in       *bufio.Reader
	idle     time.Duration
	limits   limits
	entries  atomic.Int64 // that came, those that were left out included
	pointers int          // search references and referrals that came
	buf      []byte
	pass     []byte // of a message that passes through, what was not yet read
	dec      decoder

	mu       sync.Mutex // guards what follows
	armed    *handler
	expected int64 // the id of the search that is armed; 0 until it was sent
	waiting  bool  // an answer is awaited, so the idle time counts
	failure  error // the first
	gone     bool  // and it was that the server went away, or kept quiet
}

// passLimit bounds a message that goes to go-ldap: results are short.
const passLimit = 1 << 20

// peekEntry is how much of an entry that is too large is looked at for its DN.
const peekEntry = 64 << 10

var errBye = errors.New("the server ends the connection")

func newDivert(c net.Conn, idle time.Duration, l limits) *divert {
	d := &divert{Conn: c, idle: idle, limits: l}
	d.dec.limits = l
	d.in = bufio.NewReaderSize(timed{d}, 128<<10)
	return d
}

// timed reads from the connection with the deadline that the state calls for.
type timed struct{ d *divert }

func (t timed) Read(p []byte) (int, error) {
	d := t.d
	d.mu.Lock()
	var until time.Time
	if d.waiting {
		until = time.Now().Add(d.idle)
	}
	// Under the lock, or Write could set its deadline just before this one removes it.
	err := d.Conn.SetReadDeadline(until)
	d.mu.Unlock()
	if err != nil {
		return 0, fmt.Errorf("set the read deadline: %w", err)
	}
	return d.Conn.Read(p)
}

// arm makes h the receiver of the entries of the search that is sent next.
func (d *divert) arm(h *handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed, d.expected = h, 0
}

func (d *divert) disarm() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed, d.expected = nil, 0
}

// err returns why the connection failed, in our words, or nil.
func (d *divert) err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failure
}

// lost returns the failure when the server is to blame for it, and not what it sent.
func (d *divert) lost() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.gone {
		return nil
	}
	return d.failure
}

func (d *divert) fail(err error) error {
	ne, network := errors.AsType[net.Error](err)
	if network && ne.Timeout() {
		err = fmt.Errorf("the server sent nothing for %v: %w", d.idle, err)
	}
	if errors.Is(err, errBye) {
		network = true
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		network = true
		err = fmt.Errorf("the server closed the connection: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure == nil {
		d.failure, d.gone = err, network && !errors.Is(err, net.ErrClosed)
	}
	return err
}

// give ends the connection for a reason that the server has given slowly.
func (d *divert) give(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure == nil {
		d.failure, d.gone = err, true
	}
}

// Write sends a request. go-ldap writes each message with one call.
func (d *divert) Write(p []byte) (int, error) {
	var h *handler
	_, msg, _, err := element(p)
	if err == nil {
		if id, tag, _, _, err := messageHead(msg); err == nil {
			h = d.sent(id, tag)
		}
	}
	if err := d.Conn.SetWriteDeadline(time.Now().Add(d.idle)); err != nil {
		return 0, d.fail(err)
	}
	n, err := d.Conn.Write(p)
	if err != nil {
		return n, d.fail(err)
	}
	if h != nil && h.sent != nil {
		h.sent()
	}
	return n, nil
}

// patient lets the server send nothing for as long as it likes, until the next request.
func (d *divert) patient() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = false
	// The reader may already be waiting with a deadline; this reaches it.
	_ = d.Conn.SetReadDeadline(time.Time{})
}

// sent notes a request, and returns the handler of the search that it begins, if any.
func (d *divert) sent(id int64, tag byte) (h *handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if tag == tagSearch && d.armed != nil {
		h, d.expected = d.armed, id
	}
	d.waiting = true
	// The reader may already be waiting without a deadline; this reaches it.
	_ = d.Conn.SetReadDeadline(time.Now().Add(d.idle))
	return h
}

// Read gives go-ldap the next bytes that are its business.
func (d *divert) Read(p []byte) (int, error) {
	for len(d.pass) == 0 {
		if err := d.next(); err != nil {
			return 0, d.fail(err)
		}
	}
	n := copy(p, d.pass)
	d.pass = d.pass[n:]
	return n, nil
}

// next reads one message and gives it to the handler or puts it into pass.
func (d *divert) next() error {
	head, size, err := d.header()
	if err != nil {
		return err
	}
	if size > d.limits.message {
		return d.oversized(head, size)
	}
	whole := head + size
	if cap(d.buf) < whole {
		d.buf = make([]byte, whole+whole/4)
	}
	d.buf = d.buf[:whole]
	if _, err := io.ReadFull(d.in, d.buf); err != nil {
		return err
	}
	id, tag, op, after, err := messageHead(d.buf[head:])
	if err != nil {
		return fmt.Errorf("the server sent a message that is not LDAP: %w", err)
	}
	if h := d.receiver(id, tag); h != nil {
		if tag == tagInterim {
			return h.interim(op)
		}
		if err := d.count(); err != nil {
			return err
		}
		return d.deliver(h, op, after)
	}
	return d.passOn(id, tag, op)
}

// header reads the tag and the length of a message without taking them.
func (d *divert) header() (head, size int, err error) {
	b, err := d.in.Peek(2)
	if err != nil {
		return 0, 0, err
	}
	if b[0] != tagSequence {
		return 0, 0, fmt.Errorf("the server does not speak LDAP here: its message begins with byte %#x", b[0])
	}
	if b[1] < 0x80 {
		return 2, int(b[1]), nil
	}
	if b, err = d.in.Peek(2 + min(int(b[1]&0x7f), 4)); err != nil {
		return 0, 0, err
	}
	if size, head, err = longLength(b); err != nil {
		return 0, 0, fmt.Errorf("the server sent a message that is not LDAP: %w", err)
	}
	return head, size, nil
}

// receiver returns the handler that a message belongs to, or nil when it passes.
func (d *divert) receiver(id int64, tag byte) *handler {
	if tag != tagEntry && tag != tagInterim {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.armed
	if h == nil || id != d.expected || id == 0 || tag == tagInterim && h.interim == nil {
		return nil
	}
	return h
}

func (d *divert) deliver(h *handler, op, after []byte) error {
	defer d.shrink()
	e, err := d.dec.decode(op)
	if err == nil && len(after) > 0 {
		e.controls, after, err = want(tagControls, after)
		if err == nil && len(after) > 0 {
			err = errTag
		}
	}
	if err != nil {
		dn, _, dnErr := want(tagOctets, op)
		if dnErr != nil {
			dn = nil
		}
		return h.broken(dn, fmt.Sprintf("cannot be decoded: %v", err))
	}
	return h.entry(e)
}

// shrink gives back what one large entry needed, so that memory stays flat.
func (d *divert) shrink() {
	const keep = 4 << 20
	if cap(d.buf) > keep {
		d.buf = nil
	}
	d.dec.forget()
}

// passOn hands the message in buf to go-ldap.
func (d *divert) passOn(id int64, tag byte, op []byte) error {
	switch {
	case tag == tagEntry:
		return fmt.Errorf("the server sent an entry in answer to request %d, which is not the one it was asked", id)
	case id == 0 && tag == tagExtended:
		return fmt.Errorf("%w: %s", errBye, notice(op))
	case len(d.buf) > passLimit:
		return fmt.Errorf("the server sent a result of %d bytes", len(d.buf))
	case nesting(d.buf, d.limits.depth) > d.limits.depth:
		return tooMuch("max_depth", "the server sent a message of elements more than %d deep within each other", d.limits.depth)
	case d.refer(tag, op) > d.limits.references:
		return tooMuch("max_referrals", "the server sent more than %d referrals in one read", d.limits.references)
	case tag != tagReference && tag != tagInterim:
		d.mu.Lock()
		d.waiting = false
		d.mu.Unlock()
	}
	d.pass = d.buf
	return nil
}

// notice reads a Notice of Disconnection (RFC 4511 §4.4.1).
func notice(op []byte) string {
	code, rest, err := want(tagEnumerated, op)
	if err != nil {
		return "it gives no reason"
	}
	_, rest, err = want(tagOctets, rest)
	if err != nil {
		return fmt.Sprintf("result code %d", code)
	}
	text, _, _ := want(tagOctets, rest)
	return fmt.Sprintf("result code %d %q", code, text)
}

// oversized reads past a message over the limit. Only an entry may be one.
func (d *divert) oversized(head, size int) error {
	b, err := d.in.Peek(min(head+size, peekEntry))
	if err != nil {
		return err
	}
	id, tag, dn, err := oversizedHead(b[head:])
	if err != nil {
		return fmt.Errorf("the server sent a message of %d bytes that is not LDAP: %w", size, err)
	}
	h := d.receiver(id, tag)
	if h == nil || tag != tagEntry {
		return fmt.Errorf("the server sent a message of %d bytes, which is over the limit of %d (max_message_bytes)", size, d.limits.message)
	}
	owned := append([]byte(nil), dn...)
	if dn == nil {
		owned = nil
	}
	if err := d.count(); err != nil {
		return err
	}
	for left := head + size; left > 0; {
		n, err := d.in.Discard(min(left, 1<<20))
		left -= n
		if err != nil {
			return err
		}
	}
	return h.broken(owned, fmt.Sprintf("has %d bytes, which is over the limit of %d (max_message_bytes)", size, d.limits.message))
}

// oversizedHead reads what can be read of the beginning of a large entry.
func oversizedHead(b []byte) (id int64, tag byte, dn []byte, err error) {
	v, rest, err := want(tagInteger, b)
	if err != nil {
		return 0, 0, nil, err
	}
	if id, err = integer(v); err != nil || len(rest) < 2 {
		return 0, 0, nil, orTag(err)
	}
	at := 2
	if rest[1] >= 0x80 {
		if _, at, err = longLength(rest); err != nil {
			return 0, 0, nil, err
		}
	}
	if v, _, err := want(tagOctets, rest[at:]); err == nil {
		dn = v
	}
	return id, rest[0], dn, nil
}
