package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// pool returns the authorities that are trusted; nil means those of the system.
func (t *TLS) pool() (*x509.CertPool, error) {
	if t.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, fmt.Errorf("read the CA certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", t.CA)
	}
	return pool, nil
}

// certificates returns the client's certificate, or none.
func (t *TLS) certificates() ([]tls.Certificate, error) {
	if t.Cert == "" || t.Key == "" {
		return nil, nil
	}
	c, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("read the client certificate: %w", err)
	}
	return []tls.Certificate{c}, nil
}

// client returns the settings for one connection to host.
func (t *TLS) client(host string) (*tls.Config, error) {
	pool, err := t.pool()
	if err != nil {
		return nil, err
	}
	certs, err := t.certificates()
	if err != nil {
		return nil, err
	}
	if t.ServerName != "" {
		host = t.ServerName
	}
	least := uint16(tls.VersionTLS12)
	if t.MinVersion == "1.3" {
		least = tls.VersionTLS13
	}
	return &tls.Config{RootCAs: pool, Certificates: certs, ServerName: host, MinVersion: least}, nil
}

func handshake(ctx context.Context, c net.Conn, cfg *tls.Config) (*tls.Conn, error) {
	t := tls.Client(c, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, tlsReason(err)
	}
	return t, nil
}

// tlsReason says what to do about a handshake that failed.
func tlsReason(err error) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("the server's certificate is not signed by a trusted authority; set tls.ca to the certificate of the one that signed it: %w", err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the server's certificate has expired or is not valid yet; renew it on the server, or set this machine's clock: %w", err)
	case errors.As(err, &host):
		return fmt.Errorf("the server's certificate is for another name; use that name in urls, or set tls.server_name: %w", err)
	}
	return fmt.Errorf("TLS: %w", err)
}

// startTLS asks for TLS on a fresh connection (RFC 4511 §4.14), with message id 1,
// before go-ldap sees it. It reads exactly one message, so that nothing a third
// party put in before the handshake is taken for the server's.
func startTLS(c net.Conn) error {
	request := []byte("\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037")
	if _, err := c.Write(request); err != nil {
		return fmt.Errorf("ask for StartTLS: %w", err)
	}
	var head [2]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return fmt.Errorf("read the answer to StartTLS: %w", err)
	}
	// The long form of one length byte is as far as a sane answer goes.
	size := int(head[1])
	if size == 0x81 {
		var b [1]byte
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return fmt.Errorf("read the answer to StartTLS: %w", err)
		}
		size = int(b[0])
	} else if size > 0x81 {
		return readLongStartTLS(c, size, head)
	}
	return startTLSAnswer(c, head[0], size)
}

// readLongStartTLS reads an answer whose length takes more than one byte, as some
// servers encode even short messages.
func readLongStartTLS(c net.Conn, form int, head [2]byte) error {
	var b [6]byte
	n := form & 0x7f
	if n > 4 {
		return fmt.Errorf("the answer to StartTLS: %w", errLength)
	}
	copy(b[:], head[:])
	if _, err := io.ReadFull(c, b[2:2+n]); err != nil {
		return fmt.Errorf("read the answer to StartTLS: %w", err)
	}
	size, _, err := longLength(b[:2+n])
	if err != nil || size > 64<<10 {
		return fmt.Errorf("the answer to StartTLS: %w", errors.Join(errLength, err))
	}
	return startTLSAnswer(c, head[0], size)
}

func startTLSAnswer(c net.Conn, tag byte, size int) error {
	b := make([]byte, size)
	if _, err := io.ReadFull(c, b); err != nil {
		return fmt.Errorf("read the answer to StartTLS: %w", err)
	}
	id, op, body, _, err := messageHead(b)
	if err != nil || tag != tagSequence || op != tagExtended || id > 1 {
		return errors.New("the server does not speak LDAP here: its answer to StartTLS cannot be read")
	}
	code, _, err := want(tagEnumerated, body)
	switch {
	case err != nil:
		return fmt.Errorf("the answer to StartTLS: %w", err)
	case len(code) == 1 && code[0] == 0:
		return nil
	}
	return fmt.Errorf("the server refuses StartTLS: result code 0x%s, %s", hex.EncodeToString(code), notice(body))
}
