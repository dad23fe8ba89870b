package ldapserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"time"
)

const (
	oidStartTLS  = "1.3.6.1.4.1.1466.20037"
	oidWhoAmI    = "1.3.6.1.4.1.4203.1.11.3"
	oidNoticeOff = "1.3.6.1.4.1.1466.20036" // notice of disconnection, RFC 4511 §4.4.1
)

// The optional parts of an extended response (RFC 4511 §4.12).
const (
	responseName  = 0x8a
	responseValue = 0x8b
)

// extended carries out an extended operation.
func (c *conn) extended(m message) bool {
	d := &decoder{rest: m.body}
	oid := string(d.want(0x80))
	switch {
	case d.err != nil:
		return c.reply(m.id, opExtendedReply, failf(ProtocolError, "%v", d.err))
	case oid == oidStartTLS:
		return c.startTLS(m.id)
	case oid == oidWhoAmI:
		return c.whoAmI(m.id)
	}
	return c.reply(m.id, opExtendedReply, failf(ProtocolError, "unsupported extended operation"))
}

// replyExtended sends an extended response with one of its optional parts.
func (c *conn) replyExtended(id int32, result *Error, tag byte, part string) bool {
	var b builder
	whole := b.begin(tagSequence)
	b.integer(tagInteger, int64(id))
	start := b.begin(opExtendedReply)
	b.ldapResult(result)
	b.octets(tag, part)
	b.end(start)
	b.end(whole)
	return c.write(b.buf) == nil
}

// startTLS is RFC 4511 §4.14. Octets that the client sent behind the request in
// clear must not be read as if they had come encrypted, so they end it.
func (c *conn) startTLS(id int32) bool {
	c.settle()
	switch {
	case c.server.o.TLS == nil:
		return c.reply(id, opExtendedReply, failf(Unavailable, "no certificate is configured"))
	case c.overTLS:
		return c.reply(id, opExtendedReply, failf(OperationsError, "TLS already started"))
	case c.in.Buffered() > 0:
		return false
	}
	return c.replyExtended(id, nil, responseName, oidStartTLS) && c.upgrade() == nil
}

// handshakeTime bounds how long a client may take over a TLS handshake.
const handshakeTime = 10 * time.Second

// upgrade puts TLS on the socket.
func (c *conn) upgrade() error {
	ctx, cancel := context.WithTimeout(c.ctx, handshakeTime)
	defer cancel()
	layer := tls.Server(c.raw, c.server.o.TLS)
	if err := layer.HandshakeContext(ctx); err != nil {
		c.server.log.Debug("TLS handshake", "conn", c.number, "err", err)
		return err
	}
	c.mu.Lock()
	c.raw = layer
	c.mu.Unlock()
	c.in = bufio.NewReader(layer)
	c.overTLS = true
	return nil
}

// whoAmI is RFC 4532.
func (c *conn) whoAmI(id int32) bool {
	name := ""
	if c.bound != "" {
		name = "dn:" + c.bound
	}
	return c.replyExtended(id, nil, responseValue, name)
}
