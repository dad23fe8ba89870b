package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
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
}

// connect returns a session on the first server that answers. It does not go on to
// the next after a refused password: that would only lock the account.
func (s *Source) connect(ctx context.Context) (*session, error) {
	var failed []error
	for _, u := range s.cfg.URLs {
		c, err := s.open(ctx, u)
		if err == nil {
			err = c.readRoot(ctx)
			if err == nil {
				return c, nil
			}
			c.close()
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("connect to %s: %w", u, context.Cause(ctx))
		}
		failed = append(failed, err)
		if refused := (*bindRefused)(nil); errors.As(err, &refused) {
			return nil, fault.New(fault.Unavailable, "ldap_bind", "%w", err)
		}
		s.log.WarnContext(ctx, "directory server left out", "source", s.id, "server", u, "err", err)
	}
	if len(failed) == 1 {
		return nil, fault.New(fault.Unavailable, "ldap_connect", "%w", failed[0])
	}
	return nil, fault.New(fault.Unavailable, "ldap_connect", "none of the %d servers can be read: %w", len(failed), errors.Join(failed...))
}

// open connects to one server and binds.
func (s *Source) open(ctx context.Context, url string) (*session, error) {
	limited, cancel := context.WithTimeout(ctx, s.cfg.Timeouts.Connect)
	defer cancel()
	c, err := s.reach(limited, url)
	if err != nil {
		return nil, err
	}
	// Until the bind is through, the short deadline counts; from then on only ctx.
	drop := context.AfterFunc(limited, func() { _ = c.raw.Close() })
	err = s.bind(c)
	drop()
	if err != nil {
		c.close()
		if limited.Err() != nil {
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
	c.pace = s.cfg.pace()
	most := s.cfg.Timeouts.Read
	c.over = time.AfterFunc(most, func() {
		_ = c.conn.fail(tooMuch("timeouts.read", "the read was not over after %v", most))
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

// bindRefused says that the server knows the account or the password no more.
type bindRefused struct{ err error }

func (b *bindRefused) Error() string { return b.err.Error() }
func (b *bindRefused) Unwrap() error { return b.err }

func (s *Source) bind(c *session) error {
	var err error
	who := "by its certificate"
	switch s.cfg.Bind.Method {
	case methodAnonymous:
		return nil
	case methodExternal:
		err = c.ldap.ExternalBind()
	default:
		who = fmt.Sprintf("as %q", s.cfg.Bind.DN)
		secret, resolveErr := s.cfg.Bind.Password.Resolve()
		if resolveErr != nil {
			return &bindRefused{fmt.Errorf("bind at %s %s: %w", c.url, who, resolveErr)}
		}
		if secret.Reveal() == "" {
			// RFC 4513 §5.1.2: a bind without a password is anonymous, and succeeds.
			return &bindRefused{fmt.Errorf("bind at %s %s: the password is empty", c.url, who)}
		}
		err = c.ldap.Bind(s.cfg.Bind.DN, secret.Reveal())
	}
	if err == nil {
		return nil
	}
	if own := c.conn.err(); own != nil {
		return fmt.Errorf("bind at %s %s: %w", c.url, who, own)
	}
	wrapped := fmt.Errorf("bind at %s %s: %s: %w", c.url, who, bindReason(err), err)
	if goldap.IsErrorAnyOf(err, goldap.LDAPResultInvalidCredentials, goldap.LDAPResultInappropriateAuthentication,
		goldap.LDAPResultInvalidDNSyntax, goldap.LDAPResultUnwillingToPerform, goldap.LDAPResultNoSuchObject) {
		return &bindRefused{wrapped}
	}
	return wrapped
}

// bindReason says what a refused bind means. Active Directory gives the reason as a
// Windows error in the text: "..., data 52e, v1db1".
func bindReason(err error) string {
	le, ok := errors.AsType[*goldap.Error](err)
	if !ok {
		return "no answer"
	}
	text := le.Error()
	for code, reason := range map[string]string{
		"525": "there is no such account: check bind.dn",
		"52e": "wrong password, or no such account: check bind.dn and bind.password",
		"530": "the account may not log in at this hour: change its logon hours",
		"531": "the account may not log in from this machine: change its logon workstations",
		"532": "the account's password has expired: set a new one, and let it not expire",
		"533": "the account is disabled: enable it, or use another",
		"701": "the account has expired: extend it, or use another",
		"773": "the account must change its password first: set one that need not be changed",
		"775": "the account is locked out: unlock it, and look for what keeps using an old password",
		"57":  "the server wants TLS channel binding, which this bind cannot give: use LDAPS with a simple bind",
	} {
		if strings.Contains(text, "data "+code+",") {
			return reason
		}
	}
	switch le.ResultCode {
	case goldap.LDAPResultInvalidCredentials:
		return "wrong password, or no such account: check bind.dn and bind.password"
	case goldap.LDAPResultStrongAuthRequired, goldap.LDAPResultConfidentialityRequired:
		return "the server takes no password over an unencrypted connection: use ldaps:// or starttls"
	case goldap.LDAPResultInappropriateAuthentication:
		return "the account cannot log in this way: it may have no password"
	case goldap.LDAPResultAuthMethodNotSupported:
		return "the server does not offer this way to log in: check bind.method"
	case goldap.LDAPResultInvalidDNSyntax:
		return "bind.dn is no distinguished name"
	}
	return "the server refuses"
}

// close ends the session. The socket goes first: go-ldap's Close waits for its
// reader.
func (c *session) close() {
	c.stop()
	if c.over != nil {
		c.over.Stop()
	}
	_ = c.raw.Close()
	_ = c.ldap.Close()
}

// name is how an administrator would name the server.
func (c *session) name() string {
	if h := c.root.dnsHostName; h != "" && !strings.Contains(c.url, h) {
		return fmt.Sprintf("%s (%s)", c.url, h)
	}
	return c.url
}
