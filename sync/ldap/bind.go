package ldap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"
)

// bindRefused says that the server knows the account or the password no more.
type bindRefused struct{ err error }

func (b *bindRefused) Error() string { return b.err.Error() }
func (b *bindRefused) Unwrap() error { return b.err }

func (s *Source) bind(ctx context.Context, c *session) error {
	var err error
	var secret string
	who := "by its certificate"
	switch s.cfg.Bind.Method {
	case methodAnonymous:
		return nil
	case methodExternal:
		err = c.ldap.ExternalBind()
	case methodGSSAPI:
		who = fmt.Sprintf("as %q", s.cfg.Bind.Kerberos.Principal)
		err = s.kerberosBind(ctx, c)
	default:
		who = fmt.Sprintf("as %q", s.cfg.Bind.DN)
		var resolveErr error
		if secret, resolveErr = s.secret(); resolveErr != nil {
			return &bindRefused{fmt.Errorf("bind at %s %s: %w", c.url, who, resolveErr)}
		}
		err = c.ldap.Bind(s.cfg.Bind.DN, secret)
	}
	if err == nil {
		s.pool.admit()
		return nil
	}
	if no, ok := errors.AsType[*noTicket](err); ok {
		err = fmt.Errorf("bind at %s %s: %w", c.url, who, no)
		if no.everywhere {
			err = &bindRefused{err}
		}
		return err
	}
	if own := c.conn.err(); own != nil {
		return fmt.Errorf("bind at %s %s: %w", c.url, who, own)
	}
	wrapped := fmt.Errorf("bind at %s %s: %w", c.url, who, err)
	if answer := (*goldap.Error)(nil); errors.As(err, &answer) {
		wrapped = fmt.Errorf("bind at %s %s: %s: %w", c.url, who, bindReason(err), err)
	}
	if secret != "" && goldap.IsErrorWithCode(err, goldap.LDAPResultInvalidCredentials) {
		s.pool.refuse(c.url, secret)
	}
	if goldap.IsErrorAnyOf(err, goldap.LDAPResultInvalidCredentials, goldap.LDAPResultInappropriateAuthentication,
		goldap.LDAPResultInvalidDNSyntax, goldap.LDAPResultUnwillingToPerform, goldap.LDAPResultNoSuchObject) {
		return &bindRefused{wrapped}
	}
	return wrapped
}

// secret returns the password of a simple bind.
func (s *Source) secret() (string, error) {
	secret, err := s.cfg.Bind.Password.Resolve()
	switch {
	case err != nil:
		return "", err
	case secret.Reveal() == "":
		// RFC 4513 §5.1.2: a bind without a password is anonymous, and succeeds.
		return "", errors.New("the password is empty")
	}
	return secret.Reveal(), nil
}

// mayBind keeps a password or a key that was refused from being tried until it locks
// the account: schedules are short.
func (s *Source) mayBind(url string) error {
	why := s.pool.barred(s.shown())
	if why == "" {
		return nil
	}
	who := cmp.Or(s.cfg.Bind.DN, s.cfg.Bind.Kerberos.Principal)
	return &bindRefused{fmt.Errorf("bind at %s as %q: wrong password: %s", url, who, why)}
}

// shown returns what a bind would show to the server or the KDC, or "". Why it cannot
// be read, the bind itself says.
func (s *Source) shown() string {
	switch s.cfg.Bind.Method {
	case methodSimple:
		secret, _ := s.secret()
		return secret
	case methodGSSAPI:
		keys, _ := os.ReadFile(s.cfg.Bind.Kerberos.Keytab)
		return string(keys)
	}
	return ""
}

// bindReason says what a refused bind means. Active Directory gives the reason as a
// Windows error in the text: "..., data 52e, v1db1".
func bindReason(err error) string {
	le, ok := errors.AsType[*goldap.Error](err)
	if !ok {
		return "no answer"
	}
	text := le.Error()
	if strings.Contains(text, "80090346") { // SEC_E_BAD_BINDINGS
		return "the ticket was made for another TLS connection than the one that the server sees: connect to the server itself, without anything that ends TLS in between"
	}
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
