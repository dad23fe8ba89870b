package ldap_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// kerberosConfig reads s as its reader, by a ticket.
func kerberosConfig(t *testing.T, s *dirtest.Samba) ldap.Config {
	t.Helper()
	c := sambaConfig(s)
	c.URLs = []string{"ldaps://dc1.ad.example.test"}
	c.Bind = ldap.Bind{Method: "gssapi", Kerberos: ldap.Kerberos{
		Principal: "svc-reader@" + s.Realm, Keytab: s.Keytab(t, "svc-reader"), KDCs: []string{s.KDC},
	}}
	return c
}

// at returns a dialer to whom every host is the given server.
func at(url string) func(context.Context, string, string) (net.Conn, error) {
	address := url[strings.Index(url, "://")+3:]
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

// TestKerberos binds to a real domain controller with a ticket of its own KDC, and goes
// through what goes wrong with tickets. Each says what to do.
func TestKerberos(t *testing.T) {
	t.Parallel()
	org := dirtest.Org{Suffix: "DC=ad,DC=example,DC=test", Users: 50, Groups: 5, Members: 10, AD: true}
	s := dirtest.StartSamba(t, dirtest.SambaOptions{LDIF: org.WriteLDIF, Kerberos: true})
	s.Tool(t, "spn", "add", "ldap/elsewhere.ad.example.test", "svc-sync")
	good := kerberosConfig(t, s)
	conf := dirtest.WriteFile(t, "krb5.conf", "[libdefaults]\n default_realm = "+s.Realm+"\n udp_preference_limit = 1\n dns_lookup_kdc = false\n[realms]\n "+
		s.Realm+" = {\n  kdc = "+s.KDC+"\n }\n")
	for name, c := range map[string]struct {
		change func(*ldap.Config)
		url    string
		words  []string // none: it reads
	}{
		"LDAPS":     {func(*ldap.Config) {}, s.LDAPS, nil},
		"StartTLS":  {func(c *ldap.Config) { c.URLs, c.StartTLS = []string{"ldap://dc1.ad.example.test"}, true }, s.URL, nil},
		"krb5.conf": {func(c *ldap.Config) { c.Bind.Kerberos.KDCs, c.Bind.Kerberos.Krb5Conf = nil, conf }, s.LDAPS, nil},
		"the service is named": {func(c *ldap.Config) {
			c.URLs, c.Bind.Kerberos.Service = []string{"ldaps://127.0.0.1"}, "ldap/dc1.ad.example.test"
		}, s.LDAPS, nil},

		"no such account": {func(c *ldap.Config) {
			c.Bind.Kerberos.Principal, c.Bind.Kerberos.Keytab = "nobody@"+s.Realm, made(t, "nobody", s.Realm, "x")
		}, s.LDAPS, []string{"bind at", "no such account", "bind.kerberos.principal"}},
		"no such key":        {func(c *ldap.Config) { c.Bind.Kerberos.Principal = "SVC-reader@" + s.Realm }, s.LDAPS, []string{"no key of SVC-reader", "klist -k"}},
		"no keytab":          {func(c *ldap.Config) { c.Bind.Kerberos.Keytab = "/nonexistent" }, s.LDAPS, []string{"read the keytab"}},
		"no keytab's format": {func(c *ldap.Config) { c.Bind.Kerberos.Keytab = s.CA }, s.LDAPS, []string{"is no keytab", "export it again"}},
		"no such service": {func(c *ldap.Config) {
			c.URLs, c.TLS.ServerName = []string{"ldaps://dc9.ad.example.test"}, "dc1.ad.example.test"
		}, s.LDAPS, []string{"ldap/dc9.ad.example.test", "no such service", "bind.kerberos.service"}},
		"the service of another": {func(c *ldap.Config) { c.Bind.Kerberos.Service = "ldap/elsewhere.ad.example.test" }, s.LDAPS, []string{"bind at"}},
		"no KDC":                 {func(c *ldap.Config) { c.Bind.Kerberos.KDCs = []string{"127.0.0.1:" + unusedPort(t)} }, s.LDAPS, []string{"bind.kerberos.kdcs", "can be reached"}},
		"no KDC of krb5.conf": {func(c *ldap.Config) {
			c.Bind.Kerberos.KDCs, c.Bind.Kerberos.Krb5Conf = nil, dirtest.WriteFile(t, "empty", "[libdefaults]\n dns_lookup_kdc = false\n")
		}, s.LDAPS, []string{"empty names"}},
		"clock skew": {func(c *ldap.Config) { c.Bind.Kerberos.KDCs = []string{refusingKDC(t, errorcode.KRB_AP_ERR_SKEW)} }, s.LDAPS, []string{"clocks", "5 minutes"}},
		"disabled account": {func(c *ldap.Config) {
			c.Bind.Kerberos.KDCs = []string{refusingKDC(t, errorcode.KDC_ERR_CLIENT_REVOKED)}
		}, s.LDAPS, []string{"disabled, locked or expired"}},
		"in the clear, which the server does not take": {func(c *ldap.Config) {
			c.URLs, c.AllowPlaintext = []string{"ldap://dc1.ad.example.test"}, true
		}, s.URL, []string{"use ldaps://"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			src, _ := timed(t, cfg, at(c.url))
			o, err := src.Pull(t.Context(), sync.PullRequest{})
			if len(c.words) == 0 {
				if err != nil || len(o.Users) < 50 {
					t.Fatalf("Pull = %+v, %v, want 50 users", o, err)
				}
				proven(t, o)
				return
			}
			if err == nil {
				t.Fatalf("Pull = %+v, want an error", o)
			}
			wantWords(t, err.Error(), c.words...)
		})
	}
	t.Run("test", func(t *testing.T) {
		src, err := ldap.New(ldap.Options{Source: "corp", Config: good, Dial: at(s.LDAPS), Resolver: here{}})
		if err != nil {
			t.Fatal(err)
		}
		var steps []string
		for step := range src.Test(t.Context()) {
			if steps = append(steps, step.Name); !step.OK {
				t.Errorf("step %+v", step)
			}
		}
		if got := strings.Join(steps, " "); got != "resolve connect tls bind base count changes entry" {
			t.Errorf("steps %q", got)
		}
	})
	t.Run("channel binding", func(t *testing.T) { channelBinding(t, s, good) })
	t.Run("an old key", func(t *testing.T) {
		src, clock := timed(t, good, at(s.LDAPS))
		s.Tool(t, "user", "setpassword", "svc-reader", "--newpassword=An0ther-secret")
		_, err := src.Pull(t.Context(), sync.PullRequest{})
		if err == nil {
			t.Fatal("an old key is taken")
		}
		wantWords(t, err.Error(), "old or a wrong key", "export it again")
		clock.later(time.Minute)
		if _, err = src.Pull(t.Context(), sync.PullRequest{}); err == nil {
			t.Fatal("an old key is taken")
		}
		wantWords(t, err.Error(), "not tried again before", "not locked")
		fresh := s.Keytab(t, "svc-reader")
		b, err := os.ReadFile(fresh)
		if err == nil {
			err = os.WriteFile(good.Bind.Kerberos.Keytab, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		proven(t, pull(t, src, nil))
	})
}

// here is a resolver to whom all names are this machine.
type here struct{}

func (here) LookupHost(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }

func (here) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, errors.New("not asked for")
}

// channelBinding shows a ticket to a slapd that compares its TLS connection with the
// one that the ticket names (RFC 5929), once directly and once through somebody in
// between, whom the client trusts as well.
func channelBinding(t *testing.T, s *dirtest.Samba, c ldap.Config) {
	s.Tool(t, "spn", "add", "ldap/localhost", "svc-blind")
	conf := dirtest.WriteFile(t, "krb5.conf", "[libdefaults]\n default_realm = "+s.Realm+"\n dns_lookup_kdc = false\n rdns = false\n")
	o := dirtest.SlapdOptions{
		LDIF: dirtest.Org{Suffix: "dc=example,dc=org", Users: 30, Groups: 2, Members: 3}.WriteLDIF,
		Env:  []string{"KRB5_KTNAME=" + s.Keytab(t, "ldap/localhost"), "KRB5_CONFIG=" + conf},
		Global: "sasl-host localhost\nsasl-realm " + s.Realm + "\nsasl-cbinding tls-endpoint\n" +
			"authz-regexp \"uid=svc-reader,.*cn=auth\" \"cn=reader,ou=service,dc=example,dc=org\"",
	}
	lax := o
	lax.Global = strings.ReplaceAll(o.Global, "sasl-cbinding tls-endpoint\n", "")
	server, careless, between := small(t, o), small(t, lax), small(t, dirtest.SlapdOptions{})
	read := func(server *dirtest.Slapd, dial func(context.Context, string, string) (net.Conn, error)) error {
		cfg := slapdConfig(server)
		cfg.URLs, cfg.Bind = []string{"ldaps://localhost"}, c.Bind
		cfg.TLS.CA = dirtest.WriteFile(t, "ca.pem", both(t, server.CA, between.CA))
		src, _ := timed(t, cfg, dial)
		o, err := src.Pull(t.Context(), sync.PullRequest{})
		if err == nil && len(o.Users) != 30 {
			t.Errorf("%d users, want 30", len(o.Users))
		}
		return err
	}
	if err := read(server, at(server.LDAPS)); err != nil {
		t.Errorf("directly: %v", err)
	}
	if err := read(server, at(relay(t, between, server))); err == nil {
		t.Error("the ticket is good for the TLS connection of somebody in between")
	} else {
		wantWords(t, err.Error(), "bind at ldaps://localhost")
	}
	// It is the comparison that refuses, and not the detour.
	if err := read(careless, at(relay(t, between, careless))); err != nil {
		t.Errorf("through somebody in between, to a server that does not compare: %v", err)
	}
}

// relay ends TLS with the certificate of one server, and passes all on to another.
func relay(t *testing.T, as, to *dirtest.Slapd) string {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(as.Cert, as.Key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	var going gosync.WaitGroup
	going.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			onward, err := tls.Dial("tcp", strings.TrimPrefix(to.LDAPS, "ldaps://"), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				_ = c.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{c, onward}, {onward, c}} {
				going.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_ = c.Close()
					_ = onward.Close()
				})
			}
		}
	})
	t.Cleanup(func() { _ = l.Close(); going.Wait() })
	return "ldaps://" + l.Addr().String()
}

// made returns a keytab with a key that is made from a password.
func made(t *testing.T, name, realm, password string) string {
	t.Helper()
	kt := keytab.New()
	if err := kt.AddEntry(name, realm, password, time.Now(), 1, etypeID.AES256_CTS_HMAC_SHA1_96); err != nil {
		t.Fatal(err)
	}
	b, err := kt.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "made.keytab")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// refusingKDC answers everything with one error.
func refusingKDC(t *testing.T, code int32) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	no := messages.NewKRBError(types.NewPrincipalName(2, "krbtgt/AD.EXAMPLE.TEST"), "AD.EXAMPLE.TEST", code, "no")
	b, err := no.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var size [4]byte
			if _, err := io.ReadFull(c, size[:]); err == nil {
				_, _ = io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(size[:])))
				_, _ = c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

// TestKerberosIsChecked goes through configurations that are refused.
func TestKerberosIsChecked(t *testing.T) {
	base := ldap.Kerberos{Principal: "svc@EXAMPLE.ORG", Keytab: "/etc/krb5.keytab"}
	for words, change := range map[string]func(*ldap.Config){
		"bind.kerberos.principal: name the account": func(c *ldap.Config) { c.Bind.Kerberos.Principal = "svc" },
		"bind.kerberos.keytab: name the file":       func(c *ldap.Config) { c.Bind.Kerberos.Keytab = "" },
		"bind.kerberos.kdcs: krb5_conf names":       func(c *ldap.Config) { c.Bind.Kerberos.Krb5Conf, c.Bind.Kerberos.KDCs = "/etc/krb5.conf", []string{"a"} },
		"bind.kerberos.kdcs[1]":                     func(c *ldap.Config) { c.Bind.Kerberos.KDCs = []string{"[2001:db8::1]:88", "a:b"} },
		"bind.kerberos.service: \"dc1\" is no":      func(c *ldap.Config) { c.Bind.Kerberos.Service = "dc1" },
		"bind.kerberos.service: ldaps://192.0.2.1":  func(c *ldap.Config) { c.URLs = []string{"ldaps://192.0.2.1"} },
		"bind.method: gssapi uses no dn":            func(c *ldap.Config) { c.Bind.DN = "cn=x" },
		"bind.kerberos: is for method: gssapi":      func(c *ldap.Config) { c.Bind.Method = "anonymous" },
		"sends everything in the clear":             func(c *ldap.Config) { c.URLs = []string{"ldap://dc1.example.org"} },
	} {
		c := ldap.Config{URLs: []string{"ldaps://dc1.example.org"}, Bind: ldap.Bind{Method: "gssapi", Kerberos: base}}
		change(&c)
		var p config.Problems
		c.Validate(&p)
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q is missing in %v", words, err)
		}
	}
}
