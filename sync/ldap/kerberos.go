package ldap

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	krb "github.com/jcmturner/gokrb5/v8/client"
	krbconf "github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/rollcall-id/rollcall/config"
)

// Kerberos says how tickets are got for bind method gssapi.
type Kerberos struct {
	// Principal is the account, with its realm: svc-rollcall@EXAMPLE.ORG.
	Principal string `yaml:"principal"`
	// Keytab is the path of the file with its keys.
	Keytab string `yaml:"keytab"`
	// Krb5Conf is the path of a krb5.conf; empty: what KDCs and DNS say.
	Krb5Conf string `yaml:"krb5_conf"`
	// KDCs are the key servers of the realm, host or host:port; empty: DNS is asked.
	KDCs []string `yaml:"kdcs"`
	// Service is the name that the server's ticket is for; empty: ldap/ and the host of
	// its URL.
	Service string `yaml:"service"`
}

// noTicket says why a bind was not even tried.
type noTicket struct {
	err error
	// everywhere says that no other server would be better: the KDC is asked first.
	everywhere bool
}

func (n *noTicket) Error() string { return n.err.Error() }
func (n *noTicket) Unwrap() error { return n.err }

// granted is what a KDC gives for one bind.
type granted struct {
	name   *credentials.Credentials
	ticket messages.Ticket
	key    types.EncryptionKey
	err    error
}

// kerberosBind binds with a ticket for the server. TLS protects the connection, and the
// ticket is bound to its certificate.
//
// The Kerberos library knows no context: it waits 5 s for each KDC and each exchange. So
// it waits by itself, and who does not want to wait any more leaves it to that.
func (s *Source) kerberosBind(ctx context.Context, c *session) error {
	k := &s.cfg.Bind.Kerberos
	keys, err := os.ReadFile(k.Keytab)
	if err != nil {
		return &noTicket{fmt.Errorf("read the keytab: %w", err), true}
	}
	client, err := k.client(keys)
	if err != nil {
		return &noTicket{err, true}
	}
	service, err := k.serviceAt(c.url)
	if err != nil {
		return &noTicket{err, false}
	}
	answer := make(chan granted, 1)
	go func() {
		defer client.Destroy()
		answer <- s.ticket(ctx, c.url, client, service, string(keys))
	}()
	select {
	case a := <-answer:
		if a.err != nil {
			return a.err
		}
		g := &securityContext{name: a.name, ticket: a.ticket, key: a.key, binding: bindingOf(c.tls)}
		return c.ldap.GSSAPIBind(g, service, "")
	case <-ctx.Done():
		err := fmt.Errorf("the KDC keeps silent: %s: %w", k.unreachable(), context.Cause(ctx))
		return &noTicket{err, true}
	}
}

// ticket asks the KDC for a ticket for the service. A key that it refuses is remembered
// even if nobody waits for the answer.
func (s *Source) ticket(ctx context.Context, url string, client *krb.Client, service, keys string) granted {
	k := &s.cfg.Bind.Kerberos
	if err := client.Login(); err != nil {
		if wrongKey(err) {
			s.pool.refuse(url, keys)
		}
		return granted{err: &noTicket{fmt.Errorf("%s: %w", k.reason(err), err), true}}
	}
	if err := ctx.Err(); err != nil {
		return granted{err: err}
	}
	ticket, key, err := client.GetServiceTicket(service)
	if err != nil {
		err = &noTicket{fmt.Errorf("get a ticket for %s: %s: %w", service, k.reason(err), err), false}
	}
	return granted{client.Credentials, ticket, key, err}
}

// client returns one that has not asked for anything yet.
func (k *Kerberos) client(keys []byte) (*krb.Client, error) {
	kt := keytab.New()
	if err := kt.Unmarshal(keys); err != nil {
		return nil, fmt.Errorf("%s is no keytab: export it again (ktpass, ktutil, samba-tool domain exportkeytab): %w", k.Keytab, err)
	}
	name, realm, _ := cutLast(k.Principal, "@")
	holds := false
	for _, e := range kt.Entries {
		holds = holds || e.Principal.Realm == realm && strings.Join(e.Principal.Components, "/") == name
	}
	if !holds {
		return nil, fmt.Errorf("the keytab has no key of %s (case counts): look with klist -k %s, and check bind.kerberos.principal", k.Principal, k.Keytab)
	}
	conf, err := k.conf(realm)
	if err != nil {
		return nil, err
	}
	// Active Directory does not speak FAST to those who cannot.
	return krb.NewWithKeytab(name, realm, kt, conf, krb.DisablePAFXFAST(true)), nil
}

// conf returns what krb5.conf says, or what stands for it.
func (k *Kerberos) conf(realm string) (*krbconf.Config, error) {
	if k.Krb5Conf != "" {
		c, err := krbconf.Load(k.Krb5Conf)
		if err != nil {
			return nil, fmt.Errorf("read krb5_conf %s: %w", k.Krb5Conf, err)
		}
		return c, nil
	}
	c := krbconf.New()
	c.LibDefaults.DefaultRealm = realm
	// Tickets of Active Directory list groups and seldom fit a datagram.
	c.LibDefaults.UDPPreferenceLimit = 1
	c.LibDefaults.DNSLookupKDC = len(k.KDCs) == 0
	if len(k.KDCs) > 0 {
		r := krbconf.Realm{Realm: realm}
		for _, kdc := range k.KDCs {
			r.KDC = append(r.KDC, withPort(kdc, "88"))
		}
		c.Realms = []krbconf.Realm{r}
	}
	return c, nil
}

func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// serviceAt returns the name of the service at a URL.
func (k *Kerberos) serviceAt(url string) (string, error) {
	if k.Service != "" {
		return k.Service, nil
	}
	a, err := parseURL(url)
	if err == nil && (a.host == "" || net.ParseIP(a.host) != nil) {
		err = fmt.Errorf("%s has no host name, which a ticket is for: set bind.kerberos.service, such as ldap/dc1.example.org", url)
	}
	return "ldap/" + a.host, err
}

// cutLast splits at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// wrongKey reports whether the KDC took a try for a wrong password. It counts them, and
// locks accounts.
func wrongKey(err error) bool {
	return strings.Contains(err.Error(), "KDC_ERR_PREAUTH_FAILED") || strings.Contains(err.Error(), "KRB_AP_ERR_BAD_INTEGRITY")
}

// reason says what to do about an error of the Kerberos library, which keeps their
// kinds in their texts only.
func (k *Kerberos) reason(err error) string {
	for _, c := range []struct{ word, reason string }{
		{"KDC_ERR_C_PRINCIPAL_UNKNOWN", "the realm has no such account: check bind.kerberos.principal"},
		{"KDC_ERR_S_PRINCIPAL_UNKNOWN", "the realm has no such service: name the server in urls as it is registered (setspn -L, or klist there), or set bind.kerberos.service"},
		{"KDC_ERR_PREAUTH_FAILED", "the keytab has an old or a wrong key: export it again, since the account's password was changed"},
		{"KRB_AP_ERR_BAD_INTEGRITY", "the keytab has an old or a wrong key: export it again, since the account's password was changed"},
		{"client password/keytab incorrect", "the keytab has an old or a wrong key: export it again"},
		{"KRB_AP_ERR_SKEW", "the clocks of this machine and of the KDC differ by more than 5 minutes: have both set theirs by the network"},
		{"clock skew", "the clocks of this machine and of the KDC differ by more than 5 minutes: have both set theirs by the network"},
		{"KDC_ERR_CLIENT_REVOKED", "the account is disabled, locked or expired: enable it, or use another"},
		{"KDC_ERR_KEY_EXPIRED", "the account's password has expired: set a new one, let it not expire, and export the keytab again"},
		{"KDC_ERR_ETYPE_NOSUPP", "KDC and keytab have no kind of key in common: let the account use AES, and export the keytab again"},
		{"matching key not found in keytab", "the keytab has no key of the kind that the KDC wants: export it again with AES keys"},
		{"KDC_ERR_WRONG_REALM", "the KDC is one of another realm: check the realm in bind.kerberos.principal, in capitals with Active Directory"},
	} {
		if strings.Contains(err.Error(), c.word) {
			return c.reason
		}
	}
	return k.unreachable()
}

// unreachable says what to do when no KDC answers.
func (k *Kerberos) unreachable() string {
	switch {
	case k.Krb5Conf != "":
		return "check the KDCs that " + k.Krb5Conf + " names, and that they can be reached"
	case len(k.KDCs) > 0:
		return "check bind.kerberos.kdcs, and that they can be reached"
	}
	return "no KDC can be reached: check DNS (_kerberos._tcp and the realm), or name them in bind.kerberos.kdcs"
}

func (k *Kerberos) validate(p *config.Problems, c *Config) {
	name, realm, ok := cutLast(k.Principal, "@")
	if !ok || name == "" || realm == "" {
		p.Add("principal", "name the account with its realm, such as svc-rollcall@EXAMPLE.ORG")
	}
	if k.Keytab == "" {
		p.Add("keytab", "name the file with the account's keys")
	}
	if k.Krb5Conf != "" && len(k.KDCs) > 0 {
		p.Add("kdcs", "krb5_conf names them: give one of the two")
	}
	k.validateKDCs(p)
	k.validateService(p, c)
}

func (k *Kerberos) validateKDCs(p *config.Problems) {
	for i, kdc := range k.KDCs {
		host, port, err := net.SplitHostPort(withPort(kdc, "88"))
		if n, numErr := strconv.Atoi(port); err != nil || host == "" || numErr != nil || n < 1 || n > 65535 {
			p.Add(fmt.Sprintf("kdcs[%d]", i), "%q is no host or host:port", kdc)
		}
	}
}

func (k *Kerberos) validateService(p *config.Problems, c *Config) {
	if k.Service != "" {
		if service, host, ok := strings.Cut(k.Service, "/"); !ok || service == "" || host == "" {
			p.Add("service", "%q is no service, such as ldap/dc1.example.org", k.Service)
		}
		return
	}
	for _, raw := range c.URLs {
		if a, err := parseURL(raw); err == nil && !a.srv {
			if _, err := k.serviceAt(raw); err != nil {
				p.Add("service", "%v", err)
			}
		}
	}
}
