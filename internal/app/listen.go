package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// certificate serves a key pair from two files and reads them again when either has
// changed. A pair that does not fit, as in the middle of a renewal, is said in the
// log, and the old one goes on being served.
type certificate struct {
	files ServerTLS
	log   *slog.Logger

	mu     sync.Mutex // guards the rest
	pair   *tls.Certificate
	stamps [2]time.Time
	looked time.Time
}

func newCertificate(files ServerTLS, log *slog.Logger) (*certificate, error) {
	c := &certificate{files: files, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	c.pair, c.stamps = &pair, c.modified()
	return nil
}

func (c *certificate) modified() (stamps [2]time.Time) {
	for i, name := range []string{c.files.CertFile, c.files.KeyFile} {
		if info, err := os.Stat(name); err == nil {
			stamps[i] = info.ModTime()
		}
	}
	return stamps
}

// get is tls.Config.GetCertificate. It looks at the files at most once a second.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= time.Second {
		c.looked = now
		if stamps := c.modified(); stamps != c.stamps {
			if err := c.load(); err != nil {
				c.log.Warn("certificate changed but cannot be used, serving the old one", "err", err)
				c.stamps = stamps
			} else {
				c.log.Info("certificate reloaded", "file", c.files.CertFile)
			}
		}
	}
	return c.pair, nil
}

// listener is an HTTP server on its address.
type listener struct {
	name   string
	server *http.Server
	net    net.Listener
}

// listen opens an address and serves a handler there, with TLS when files are named.
func listen(ctx context.Context, name, address string, files ServerTLS, h http.Handler, log *slog.Logger) (*listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	if files.CertFile != "" {
		cert, err := newCertificate(files, log)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get, NextProtos: []string{"h2", "http/1.1"}}
		l = tls.NewListener(l, s.TLSConfig)
	}
	return &listener{name, s, l}, nil
}

func (l *listener) serve(context.Context) error {
	if err := l.server.Serve(l.net); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.name, err)
	}
	return nil
}

// drain stops taking connections and waits for requests under way; those that take
// longer than ctx allows are cut.
func (l *listener) drain(ctx context.Context) error {
	if err := l.server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests under way were cut: %w", err), l.server.Close())
	}
	return nil
}
