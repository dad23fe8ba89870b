package ldapserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// maxInFlight bounds the searches that one connection runs at a time; a client
// that sends more waits.
const maxInFlight = 16

// conn is one client's connection. Its reader handles requests one after the
// other, except searches, which run beside it so that they can be abandoned.
type conn struct {
	server *Server
	number int
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	// Used by the reader alone.
	in       *bufio.Reader
	bound    string
	searched int
	overTLS  bool

	inFlight sync.WaitGroup
	slots    chan struct{}

	writing sync.Mutex // one message at a time

	mu       sync.Mutex // guards the rest
	raw      net.Conn   // the socket, or the TLS layer on it
	running  map[int32]context.CancelFunc
	endless  map[int32]bool // of those, the ones that only their abandoning ends
	pages    map[string]*pagedSearch
	pageNext uint64
}

func newConn(s *Server, raw net.Conn, number int) *conn {
	ctx, cancel := context.WithCancel(context.Background())
	return &conn{
		server: s, number: number, ctx: ctx, cancel: cancel, raw: raw, in: bufio.NewReader(raw),
		slots: make(chan struct{}, maxInFlight), running: map[int32]context.CancelFunc{}, endless: map[int32]bool{}, pages: map[string]*pagedSearch{},
	}
}

// cut ends the connection from any goroutine.
func (c *conn) cut() {
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.raw.Close()
}

// run serves the connection until either side ends it.
func (c *conn) run() {
	defer c.inFlight.Wait()
	defer c.cut()
	if c.server.o.LDAPS && c.upgrade() != nil {
		return
	}
	for {
		m, err := readMessage(c.in)
		if err != nil {
			c.lost(err)
			return
		}
		if m.op == opUnbind || !c.handle(m) {
			return
		}
	}
}

// lost ends a connection whose next message cannot be read: with a notice when
// the client sent nonsense, silently when it went away.
func (c *conn) lost(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || c.ctx.Err() != nil {
		return
	}
	c.server.log.Debug("LDAP connection ended", "conn", c.number, "err", err)
	if _, isNet := errors.AsType[net.Error](err); isNet || errors.Is(err, io.ErrUnexpectedEOF) {
		return
	}
	c.replyExtended(0, failf(ProtocolError, "%v", err), responseName, oidNoticeOff)
}

// write sends whole messages.
func (c *conn) write(p []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	raw := c.raw
	c.mu.Unlock()
	_, err := raw.Write(p)
	return err
}

// reply sends a response that is nothing but a result.
func (c *conn) reply(id int32, op byte, err error) bool {
	var b builder
	b.result(id, op, asResult(err))
	return c.write(b.buf) == nil
}

// asResult turns an error into a result; what is no result is our own fault.
func asResult(err error) *Error {
	if err == nil {
		return nil
	}
	if r, ok := errors.AsType[*Error](err); ok {
		return r
	}
	return &Error{Code: Other, Message: err.Error()}
}

// handle carries out one request and says whether the connection goes on.
func (c *conn) handle(m message) bool {
	switch m.op {
	case opBindRequest:
		c.settle()
		return c.reply(m.id, opBindResponse, c.bind(m.body))
	case opSearchRequest:
		return c.startSearch(m)
	case opAbandon:
		c.abandon(m.body)
		return true
	case opExtended:
		return c.extended(m)
	case opAddRequest, opModifyRequest, opDeleteRequest, opRenameRequest:
		return c.reply(m.id, responseTo(m.op), c.modify(m))
	case opCompareRequest:
		return c.reply(m.id, opCompareResponse, failf(UnwillingToPerform, "compare is not supported; search instead"))
	}
	c.lost(errors.New("an unknown operation"))
	return false
}

// responseTo returns the tag that answers a write.
func responseTo(op byte) byte {
	if op == opDeleteRequest {
		return opDeleteResponse
	}
	return op + 1
}

// abandon stops a search without an answer (RFC 4511 §4.11).
func (c *conn) abandon(body []byte) {
	id, err := integer(body)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if stop, ok := c.running[int32(id)]; ok { // a number out of range names no search
		stop()
	}
}

// settle waits until nothing is outstanding, as RFC 4511 §4.2.1 and §4.14.1 ask
// before a bind and before TLS. What would never end is abandoned.
func (c *conn) settle() {
	c.mu.Lock()
	for id := range c.endless {
		c.running[id]()
	}
	c.mu.Unlock()
	c.inFlight.Wait()
}

// modify carries out a write, if writing is allowed.
func (c *conn) modify(m message) error {
	if err := c.mayUse(); err != nil {
		return err
	}
	if writer, err := parseDN(c.bound); err != nil || !c.server.writers[writer.folded] {
		return failf(InsufficientAccess, "no write access")
	}
	d := c.server.o.Directory
	switch m.op {
	case opAddRequest:
		e, err := parseAdd(m.body)
		if err != nil {
			return failf(ProtocolError, "%v", err)
		}
		return d.Add(e)
	case opModifyRequest:
		name, changes, err := parseModify(m.body)
		if err != nil {
			return failf(ProtocolError, "%v", err)
		}
		return d.Modify(name, changes...)
	case opRenameRequest:
		name, rdn, superior, err := parseRename(m.body)
		if err != nil {
			return failf(ProtocolError, "%v", err)
		}
		return d.Rename(name, rdn, superior)
	}
	return d.Delete(string(m.body))
}

// mayUse says why this connection may not be used yet, if so.
func (c *conn) mayUse() error {
	if c.server.o.RequireTLS && !c.overTLS {
		return failf(ConfidentialityNeeded, "TLS confidentiality required")
	}
	if c.bound == "" && !c.server.o.Anonymous {
		if c.server.o.AD != nil {
			return failf(OperationsError, "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563")
		}
		return failf(StrongerAuthRequired, "authentication required")
	}
	return nil
}
