package ldap

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/fault"
)

// session is one connection to one server, bound and ready for searches. It is used
// by one goroutine.
type session struct {
	url  string
	conn *divert
	ldap *goldap.Conn
	raw  net.Conn
	tls  *tls.ConnectionState // nil without TLS
	stop func() bool
	over *time.Timer // ends the read; nil until the bind is through
	pace pace
	root root
	// passed says why servers that are preferred over this one are not used.
	passed []string
	busy   error // the server said that it cannot serve now
	pool   *pool // is told when the connection is lost; nil: nobody
}

// connect returns a session on a server that answers; see [pool] for which. It does
// not go on to the next after a refused password: that would only lock the account.
func (s *Source) connect(ctx context.Context) (*session, error) { return s.connectBy(ctx, route{}) }

func (s *Source) connectBy(ctx context.Context, to route) (*session, error) {
	list, failed := s.servers(ctx)
	choice := s.pool.choose(list, to)
	for _, one := range slices.Concat(choice.first, choice.later) {
		c, err := s.try(ctx, one.url)
		if err == nil {
			s.pool.use(one.url)
			s.lookAt(ctx, choice.better, one)
			c.passed = s.pool.passed(one.url)
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("connect to %s: %w", one.url, context.Cause(ctx))
		}
		failed = append(failed, err)
		if refused := (*bindRefused)(nil); errors.As(err, &refused) {
			return nil, fault.New(fault.Unavailable, "ldap_bind", "%w", err)
		}
		s.log.WarnContext(ctx, "directory server left out", "server", one.url, "err", err)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("connect: %w", context.Cause(ctx))
	}
	if len(failed) == 1 {
		return nil, fault.New(fault.Unavailable, "ldap_connect", "%w", failed[0])
	}
	return nil, fault.New(fault.Unavailable, "ldap_connect", "none of the %d servers can be read: %w", len(list), errors.Join(failed...))
}

// try opens a session on one server and remembers how that went.
func (s *Source) try(ctx context.Context, url string) (*session, error) {
	c, err := s.open(ctx, url)
	if err == nil {
		if err = c.readRoot(ctx); err == nil {
			s.pool.answered(url)
			return c, nil
		}
		_ = c.drop()
	}
	if refused := (*bindRefused)(nil); ctx.Err() == nil && !errors.As(err, &refused) {
		s.pool.failed(url, err)
	}
	return nil, err
}

// looking bounds what finding out about a preferred server may take from a read.
const looking = 3 * time.Second

// lookAt finds out whether the servers that are preferred over the one in use answer,
// up to the first that does, so that a later read can return to it.
func (s *Source) lookAt(ctx context.Context, better []server, used server) {
	for _, one := range better {
		limited, cancel := context.WithTimeout(ctx, looking)
		c, err := s.open(limited, one.url)
		if err == nil {
			if err = c.readRoot(limited); err == nil {
				s.pool.answered(one.url)
			}
			_ = c.drop()
		}
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		s.pool.failed(one.url, err)
		s.log.InfoContext(ctx, "a preferred directory server does not answer yet", "server", one.url, "used", used.url, "err", err)
	}
}

// open connects to one server and binds.
func (s *Source) open(ctx context.Context, url string) (*session, error) {
	if err := s.mayBind(url); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, s.cfg.Timeouts.Connect)
	defer cancel()
	c, err := s.reach(limited, url)
	if err != nil {
		return nil, err
	}
	// Until the bind is through, the short deadline counts; from then on only ctx.
	drop := context.AfterFunc(limited, func() { _ = c.raw.Close() })
	err = s.bind(limited, c)
	drop()
	if err != nil {
		_ = c.drop()
		if no := (*noTicket)(nil); limited.Err() != nil && !errors.As(err, &no) {
			err = fmt.Errorf("bind at %s: no answer within %v", url, s.cfg.Timeouts.Connect)
		}
		return nil, err
	}
	s.begin(ctx, c)
	return c, nil
}

// begin makes a session that is bound ready for a read: it ends with ctx, and when the
// read takes too long.
func (s *Source) begin(ctx context.Context, c *session) {
	c.stop = context.AfterFunc(ctx, func() { _ = c.raw.Close() })
	c.pool = s.pool
	c.pace = s.cfg.pace()
	most := s.cfg.Timeouts.Read
	c.over = time.AfterFunc(most, func() {
		c.conn.give(tooMuch("timeouts.read", "the read was not over after %v", most))
		_ = c.raw.Close()
	})
}

// reach connects to one server, with TLS where it is configured.
func (s *Source) reach(ctx context.Context, url string) (*session, error) {
	a, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	raw, err := s.dial(ctx, a.network, a.dial)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	keepAlive(raw)
	c := &session{url: url, raw: raw, stop: func() bool { return true }}
	conn, err := s.secure(ctx, c, a)
	if err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	c.conn = newDivert(conn, s.cfg.Timeouts.Idle, s.cfg.limits())
	c.ldap = goldap.NewConn(c.conn, c.tls != nil)
	c.ldap.Start()
	return c, nil
}

// keepAlive has the kernel find out about a server that went away without a word also
// while nothing is awaited, and keeps firewalls from forgetting the connection.
func keepAlive(c net.Conn) {
	if t, ok := c.(interface {
		SetKeepAliveConfig(net.KeepAliveConfig) error
	}); ok {
		// Best effort: the idle time is what a read relies on.
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3})
	}
}

// secure puts TLS over the socket where the URL or the configuration calls for it.
func (s *Source) secure(ctx context.Context, c *session, a address) (net.Conn, error) {
	if a.scheme == "ldapi" || a.scheme == "ldap" && !s.cfg.StartTLS {
		if a.scheme == "ldap" && !s.cfg.AllowPlaintext {
			return nil, errors.New("ldap:// sends everything in the clear: set starttls: true or allow_plaintext: true")
		}
		return c.raw, nil
	}
	cfg, err := s.cfg.TLS.client(a.host)
	if err != nil {
		return nil, err
	}
	if a.scheme == "ldap" {
		if until, ok := ctx.Deadline(); ok {
			_ = c.raw.SetDeadline(until)
		}
		if err := startTLS(c.raw); err != nil {
			return nil, err
		}
		_ = c.raw.SetDeadline(time.Time{})
	}
	t, err := handshake(ctx, c.raw, cfg)
	if err != nil {
		return nil, err
	}
	state := t.ConnectionState()
	c.tls = &state
	return t, nil
}

// close ends the session. When it was lost before, the next read begins elsewhere.
func (c *session) close() {
	ended := !c.stop()
	if lost := cmp.Or(c.conn.lost(), c.busy); c.pool != nil && lost != nil && !ended {
		c.pool.failed(c.url, lost)
	}
	_ = c.drop()
}

// drop ends the connection. The socket goes first: go-ldap's Close waits for its
// reader.
func (c *session) drop() error {
	c.stop()
	if c.over != nil {
		c.over.Stop()
	}
	_ = c.raw.Close()
	return c.ldap.Close()
}

// name is how an administrator would name the server.
func (c *session) name() string {
	if h := c.root.dnsHostName; h != "" && !strings.Contains(c.url, h) {
		return fmt.Sprintf("%s (%s)", c.url, h)
	}
	return c.url
}
