package etcd

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rollcall-id/rollcall/fault"
)

// openExternal connects to the cluster and asks it once, so that a wrong address,
// certificate or password is found at the start.
func (s *Store) openExternal(ctx context.Context) error {
	var quiet atomic.Bool
	c := clientv3.Config{
		Endpoints:            s.o.Endpoints,
		Username:             s.o.Username,
		DialTimeout:          readTimeout,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		PermitWithoutStream:  true,
		Context:              s.life,
		Logger:               newZap(s.log, &quiet, s.o.OnFatal),
	}
	if !s.o.Password.IsZero() {
		secret, err := s.o.Password.Resolve()
		if err != nil {
			return fmt.Errorf("password of the store: %w", err)
		}
		c.Password = secret.Reveal()
	}
	if s.o.secured() {
		t, err := s.o.TLS.clientConfig()
		if err != nil {
			return err
		}
		c.TLS = t
	} else {
		s.log.WarnContext(ctx, "the connection to etcd is not encrypted", "endpoints", s.o.Endpoints)
	}
	client, err := clientv3.New(c)
	if err != nil {
		return errConnect(s.o.Endpoints, err)
	}
	s.client = client
	if _, err := s.currentRevision(ctx); err != nil {
		if !denied(err) {
			err = diagnose(ctx, s.o.Endpoints, c.TLS, err)
		}
		return errors.Join(errConnect(s.o.Endpoints, err), s.Close())
	}
	s.log.InfoContext(ctx, "store opened", "endpoints", s.o.Endpoints)
	return nil
}

func errConnect(endpoints []string, err error) error {
	if denied(err) {
		return errDenied(err)
	}
	return fault.New(fault.Unavailable, "store_unavailable",
		"etcd does not answer at %v: check that it runs, the addresses, and the certificates: %w", endpoints, err)
}

// diagnose finds out why no endpoint answered, of which the client says only that
// the time was up: it tries each by hand. It returns err where it finds nothing.
func diagnose(ctx context.Context, endpoints []string, t *tls.Config, err error) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var found []error
	for _, e := range endpoints {
		u, perr := url.Parse(e)
		if perr != nil {
			continue
		}
		if terr := try(ctx, u, t); terr != nil {
			found = append(found, fmt.Errorf("%s: %w", u.Host, terr))
		}
	}
	return cmp.Or(errors.Join(found...), err)
}

func try(ctx context.Context, u *url.URL, t *tls.Config) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if t == nil {
		return nil
	}
	t = t.Clone()
	t.ServerName, t.NextProtos = u.Hostname(), []string{"h2"}
	c := tls.Client(conn, t)
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	// Under TLS 1.3 a server refuses our certificate after the handshake only.
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// clientConfig reads the certificates. The client's own is read again for each
// connection, but must be there now.
func (t TLS) clientConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fault.New(fault.Invalid, "store_tls", "the CA file of the store cannot be read: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Invalid, "store_tls", "there is no certificate in the CA file of the store, %s", t.CA)
		}
	}
	if t.Cert == "" {
		return c, nil
	}
	if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		return nil, fault.New(fault.Invalid, "store_tls", "the client certificate for the store cannot be used: %w", err)
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		return &pair, err
	}
	return c, nil
}
