package ldap_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// small is a directory of 600 people, more than the limited account may see.
func small(t *testing.T, o dirtest.SlapdOptions) *dirtest.Slapd {
	t.Helper()
	if o.LDIF == nil {
		o.LDIF = dirtest.Org{Suffix: "dc=example,dc=org", Users: 600, Groups: 20, Members: 10}.WriteLDIF
	}
	return dirtest.StartSlapd(t, o)
}

// TestWaysIn reads the same directory in every way in which it can be reached.
func TestWaysIn(t *testing.T) {
	t.Parallel()
	s := small(t, dirtest.SlapdOptions{})
	simple := slapdConfig(s).Bind
	for name, change := range map[string]func(*ldap.Config){
		"LDAPS":      func(*ldap.Config) {},
		"StartTLS":   func(c *ldap.Config) { c.URLs, c.StartTLS = []string{s.URL}, true },
		"plain text": func(c *ldap.Config) { c.URLs, c.AllowPlaintext, c.TLS = []string{s.URL}, true, ldap.TLS{} },
		"socket":     func(c *ldap.Config) { c.URLs, c.TLS = []string{s.LDAPI}, ldap.TLS{} },
		"certificate": func(c *ldap.Config) {
			c.Bind = ldap.Bind{Method: "external"}
			c.TLS.Cert, c.TLS.Key = s.ClientCert, s.ClientKey
		},
		"certificate over StartTLS": func(c *ldap.Config) {
			c.URLs, c.StartTLS, c.Bind = []string{s.URL}, true, ldap.Bind{Method: "external"}
			c.TLS.Cert, c.TLS.Key = s.ClientCert, s.ClientKey
		},
		"TLS 1.3":         func(c *ldap.Config) { c.TLS.MinVersion = "1.3" },
		"name of the CA":  func(c *ldap.Config) { c.TLS.ServerName = "localhost" },
		"small pages":     func(c *ldap.Config) { c.PageSize = 7 },
		"two bases":       func(c *ldap.Config) { c.Users.Bases = append(c.Users.Bases, "dc=example,dc=org") },
		"the second URL":  func(c *ldap.Config) { c.URLs = []string{"ldaps://127.0.0.1:" + unusedPort(t), s.LDAPS} },
		"after a bad CA":  func(c *ldap.Config) { c.URLs = []string{"ldaps://localhost:" + port(s.LDAPS), s.LDAPS} },
		"after bad bytes": func(c *ldap.Config) { c.URLs = []string{"ldaps://" + talker(t), s.LDAPS} },
	} {
		t.Run(name, func(t *testing.T) {
			c := slapdConfig(s)
			c.Bind = simple
			change(&c)
			o := pull(t, source(t, c), nil)
			proven(t, o)
			if len(o.Users) != 600 || len(o.Groups) != 20 {
				t.Errorf("%d users, %d groups, want 600 and 20", len(o.Users), len(o.Groups))
			}
			if !strings.HasPrefix(o.Server, c.URLs[len(c.URLs)-1]) && name != "after a bad CA" {
				t.Errorf("server %q, want the one that answered", o.Server)
			}
		})
	}
}

func unusedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return port(l.Addr().String())
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// talker is a server that speaks something else.
func talker(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
			_, _ = io.WriteString(c, "220 mail.example.org ESMTP\r\n")
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

// TestNobodyIsLetIn goes through what keeps a read from beginning. Each says which
// server, which step, and what to do, and none says the password.
func TestNobodyIsLetIn(t *testing.T) {
	t.Parallel()
	s := small(t, dirtest.SlapdOptions{})
	expired := small(t, dirtest.SlapdOptions{CertificateUntil: time.Now().AddDate(0, 0, -1)})
	for name, c := range map[string]struct {
		change func(*ldap.Config)
		words  []string
	}{
		"wrong password": {func(c *ldap.Config) {
			c.Bind.Password = config.SecretRef{File: dirtest.WriteFile(t, "pw", "wr0ng-secret")}
		}, []string{"bind at " + s.LDAPS, s.Reader.DN, "wrong password", "bind.password"}},
		"no password": {func(c *ldap.Config) {
			c.Bind.Password = config.SecretRef{File: "/nonexistent/secret"}
		}, []string{"bind at", "read secret"}},
		"unknown account":     {func(c *ldap.Config) { c.Bind.DN = "cn=nobody,dc=example,dc=org" }, []string{"no such account", "bind.dn"}},
		"wrong CA":            {func(c *ldap.Config) { c.TLS.CA = s.WrongCA }, []string{s.LDAPS, "not signed by a trusted authority", "tls.ca"}},
		"wrong CA, StartTLS":  {func(c *ldap.Config) { c.URLs, c.StartTLS, c.TLS.CA = []string{s.URL}, true, s.WrongCA }, []string{"tls.ca"}},
		"expired certificate": {func(c *ldap.Config) { c.URLs, c.TLS.CA = []string{expired.LDAPS}, expired.CA }, []string{"has expired", "renew it"}},
		"another name":        {func(c *ldap.Config) { c.TLS.ServerName = "ldap.example.net" }, []string{"another name", "tls.server_name"}},
		"server gone":         {func(c *ldap.Config) { c.URLs = []string{"ldaps://127.0.0.1:" + unusedPort(t)} }, []string{"connection refused"}},
		"all servers gone": {func(c *ldap.Config) {
			c.URLs = []string{"ldaps://127.0.0.1:" + unusedPort(t), "ldaps://127.0.0.1:" + unusedPort(t)}
		}, []string{"none of the 2 servers", "connection refused"}},
		"TLS port without TLS": {func(c *ldap.Config) { c.URLs, c.AllowPlaintext = []string{"ldap://127.0.0.1:" + port(s.LDAPS)}, true }, []string{"bind at"}},
		"something else":       {func(c *ldap.Config) { c.URLs, c.AllowPlaintext = []string{"ldap://" + talker(t)}, true }, []string{"bind at"}},
		"no such base":         {func(c *ldap.Config) { c.Users.Bases = []string{"ou=nowhere," + s.Suffix} }, []string{"ou=nowhere", "no such entry"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := slapdConfig(s)
			c.change(&cfg)
			o, err := source(t, cfg).Pull(t.Context(), sync.PullRequest{})
			if err == nil {
				t.Fatalf("Pull = %+v, want an error", o)
			}
			wantWords(t, err.Error(), c.words...)
			for _, secret := range []string{s.Reader.Password, "wr0ng-secret"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds the password: %v", err)
				}
			}
			if name != "no such base" && fault.Kind(err) != fault.Unavailable {
				t.Errorf("Kind = %v, want unavailable", fault.Kind(err))
			}
		})
	}
}

// TestAWrongPasswordIsTriedOnce shows that a refused password is not carried to the
// next server, which would lock the account.
func TestAWrongPasswordIsTriedOnce(t *testing.T) {
	t.Parallel()
	s := small(t, dirtest.SlapdOptions{})
	c := slapdConfig(s)
	c.URLs = []string{s.LDAPS, "ldaps://127.0.0.1:" + unusedPort(t)}
	c.Bind.Password = config.SecretRef{File: dirtest.WriteFile(t, "pw", "wrong")}
	_, err := source(t, c).Pull(t.Context(), sync.PullRequest{})
	if fault.Code(err) != "ldap_bind" || strings.Contains(err.Error(), "refused:") {
		t.Errorf("Pull = %v, want only the first server's refusal", err)
	}
}

// TestCutShort goes through the answers that are less than the directory, from a real
// server: none of them may prove anything.
func TestCutShort(t *testing.T) {
	t.Parallel()
	s := small(t, dirtest.SlapdOptions{})
	known := learn(pull(t, source(t, slapdConfig(s)), nil))
	t.Run("size limit", func(t *testing.T) {
		c := slapdConfig(s)
		c.Bind = ldap.Bind{DN: s.Limited.DN, Password: config.SecretRef{File: s.Limited.PasswordFile}}
		o := pull(t, source(t, c), known)
		if o.Proof.Users || o.Proof.Groups || len(o.Users) != 500 {
			t.Errorf("%d users, proof %+v, want 500 and none", len(o.Users), o.Proof)
		}
		wantWords(t, o.Proof.Why, "ou=people", "size limit", "raise")
		for _, g := range o.Groups {
			if g.Record != nil {
				t.Errorf("group %s counts as changed because its members were not read", g.Record.Name)
			}
		}
	})
	t.Run("rights lost", func(t *testing.T) {
		c := slapdConfig(s)
		c.Bind = ldap.Bind{DN: s.Blind.DN, Password: config.SecretRef{File: s.Blind.PasswordFile}}
		o := pull(t, source(t, c), known)
		// The server says that this is all; only the guard knows better. So it is said.
		if len(o.Users) != 0 || len(o.Groups) != 0 {
			t.Errorf("%d users, %d groups, want none", len(o.Users), len(o.Groups))
		}
		wantWords(t, o.Proof.Why, "0 users", "no users at all", "rights")
	})
	for _, after := range []int{3_000, 30_000, 60_000, 90_000} {
		t.Run(fmt.Sprintf("cut after %d bytes", after), func(t *testing.T) {
			c := slapdConfig(s)
			c.PageSize = 100
			src, err := ldap.New(ldap.Options{Source: "corp", Config: c, Dial: cutter(after)})
			if err != nil {
				t.Fatal(err)
			}
			if o, err := src.Pull(t.Context(), sync.PullRequest{Known: known}); err == nil {
				t.Errorf("Pull = %d users, %+v, want an error", len(o.Users), o.Proof)
			}
		})
	}
	t.Run("server killed", func(t *testing.T) {
		killed := small(t, dirtest.SlapdOptions{})
		c := slapdConfig(killed)
		c.PageSize = 50
		pages := 0
		_, err := source(t, c).Pull(t.Context(), sync.PullRequest{Progress: func(p sync.Progress) {
			if pages++; p.Pages == 3 {
				killed.Kill()
			}
		}})
		if err == nil {
			t.Error("Pull of a server that was killed = nil, want an error")
		}
		killed.Start()
		proven(t, pull(t, source(t, c), nil)) // the next good run heals
	})
	t.Run("context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := slapdConfig(s)
		c.PageSize = 50
		_, err := source(t, c).Pull(ctx, sync.PullRequest{Progress: func(p sync.Progress) {
			if p.Pages == 3 {
				cancel()
			}
		}})
		if err == nil || ctx.Err() == nil {
			t.Errorf("Pull = %v, want that the context ended", err)
		}
	})
}

func TestUnfollowedReferral(t *testing.T) {
	t.Parallel()
	s := small(t, dirtest.SlapdOptions{})
	// ldapmodify would need the ManageDsaIT control, which it does not for an add.
	s.Apply("dn: ou=branch,ou=people," + s.Suffix + "\nobjectClass: referral\nobjectClass: extensibleObject\nou: branch\n" +
		"ref: ldap://branch.example.org/ou=branch,ou=people," + s.Suffix + "\n")
	c := slapdConfig(s)
	o := pull(t, source(t, c), nil)
	if o.Proof.Users || len(o.Users) != 600 {
		t.Errorf("%d users, proof %+v, want all that are here and no proof", len(o.Users), o.Proof)
	}
	wantWords(t, o.Proof.Why, "branch.example.org", "referrals: ignore")
	c.Referrals = "ignore"
	proven(t, pull(t, source(t, c), nil))
}

// TestFaultsOfRealEntries reads people who cannot be, among people who can.
func TestFaultsOfRealEntries(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	s := small(t, dirtest.SlapdOptions{LDIF: func(w io.Writer) error {
		for i, name := range []string{"ann", "huge", "a\tb", "bob"} {
			dirtest.LDIF(w, "dn", fmt.Sprintf("cn=c%d,ou=people,dc=example,dc=org", i))
			dirtest.LDIF(w, "objectClass", "inetOrgPerson")
			dirtest.LDIF(w, "cn", fmt.Sprintf("c%d", i))
			dirtest.LDIF(w, "sn", "x")
			dirtest.LDIF(w, "uid", name)
			if name == "huge" {
				dirtest.LDIF(w, "description", strings.Repeat("x", 20*mib))
			}
			_, _ = io.WriteString(w, "\n")
		}
		dirtest.LDIF(w, "dn", "cn=g,ou=groups,dc=example,dc=org")
		_, err := io.WriteString(w, "objectClass: groupOfNames\ncn: g\nmember: cn=c0,ou=people,dc=example,dc=org\n"+
			"member: cn=c1,ou=people,dc=example,dc=org\n\n")
		return err
	}})
	for name, limit := range map[string]int{"taken and too much to keep": 64 * mib, "not even taken": mib} {
		t.Run(name, func(t *testing.T) {
			c := slapdConfig(s)
			c.MaxMessageBytes = limit
			o := pull(t, source(t, c), nil)
			proven(t, o)
			if len(o.Users) != 2 || byName(o.Users, "ann").Key == "" || byName(o.Users, "bob").Key == "" {
				t.Errorf("users %+v, want ann and bob", o.Users)
			}
			if len(o.Skipped) != 2 {
				t.Fatalf("skipped %+v, want two", o.Skipped)
			}
			for _, x := range o.Skipped {
				if x.Key == "" {
					t.Errorf("%s has no key", x.DN)
				}
			}
			// The one who is skipped is nobody that the roll has, so he is no member.
			g := byName(o.Groups, "g")
			if len(g.Users) != 1 || len(g.Record.Unresolved) != 1 {
				t.Errorf("the group is %+v", g)
			}
			// Had the roll had him, he would stay a member.
			known := learn(o)
			for _, x := range o.Skipped {
				known.side(false)[x.Key] = 1
			}
			o = pull(t, source(t, c), known)
			proven(t, o)
			if g := o.Groups[0]; len(g.Users) != 2 || o.Proof.Verified != 0 {
				t.Errorf("the group is %+v, verified %d, want both members", g, o.Proof.Verified)
			}
		})
	}
}

func TestTemplatesOfOpenLDAP(t *testing.T) {
	t.Parallel()
	s := small(t, dirtest.SlapdOptions{PPolicy: true, LDIF: func(w io.Writer) error {
		_, err := io.WriteString(w, `dn: uid=off,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: off
cn: off
sn: off
pwdAccountLockedTime: 000001010000Z

dn: uid=locked,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: locked
cn: locked
sn: locked
pwdAccountLockedTime: 20260101120000Z

dn: uid=shadow,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: shadowAccount
uid: shadow
cn: shadow
sn: shadow
shadowExpire: 1

`)
		return err
	}})
	o := pull(t, source(t, slapdConfig(s)), nil)
	proven(t, o)
	if r := byName(o.Users, "off").Record; r == nil || r.Disabled != identity.ReasonDisabled {
		t.Errorf("off is %+v, want disabled", r)
	}
	if r := byName(o.Users, "locked").Record; r == nil || r.Disabled != identity.ReasonLocked {
		t.Errorf("locked is %+v, want locked", r)
	}
	if r := byName(o.Users, "shadow").Record; r == nil || !r.Expires.Equal(time.Unix(86400, 0)) || r.Disabled != identity.Active {
		t.Errorf("shadow is %+v, want one who expired in 1970", r)
	}
}

// TestTest tries a configuration step by step.
func TestTest(t *testing.T) {
	t.Parallel()
	s := small(t, dirtest.SlapdOptions{})
	for name, c := range map[string]struct {
		change func(*ldap.Config)
		steps  string // the names of the steps, the failed one with a dash
		words  []string
	}{
		"all is well": {func(*ldap.Config) {}, "resolve connect tls bind base count changes entry", []string{
			"600 users, 20 groups", "name: user", "TLS 1.3", "subject:", "expires:",
			"changes are read by timestamps", "the server is OpenLDAP (the root entry", "not by syncrepl: the server does not offer", "who is gone is not told",
		}},
		"changes that it does not tell": {
			func(c *ldap.Config) { c.Changes = "syncrepl" },
			"resolve connect tls bind base count -changes",
			[]string{"every read is of everything", "not by syncrepl: the server does not offer", "changes: auto"},
		},
		"changes that no one wants": {
			func(c *ldap.Config) { c.Changes = "none" }, "resolve connect tls bind base count changes entry", []string{"every read is of everything", "changes: none is configured"},
		},
		"wrong password": {func(c *ldap.Config) { c.Bind.DN = s.Limited.DN }, "resolve connect tls -bind", []string{"wrong password"}},
		"wrong CA":       {func(c *ldap.Config) { c.TLS.CA = s.WrongCA }, "resolve connect -tls", []string{"tls.ca"}},
		"nobody there":   {func(c *ldap.Config) { c.URLs = []string{"ldaps://127.0.0.1:" + unusedPort(t)} }, "resolve -connect", []string{"firewall"}},
		"wrong base":     {func(c *ldap.Config) { c.Groups.Bases = []string{"ou=x," + s.Suffix} }, "resolve connect tls bind -base", []string{"the server holds " + s.Suffix}},
		"wrong filter":   {func(c *ldap.Config) { c.Users.Filter = "(uid=nobody)" }, "resolve connect tls bind base -count", []string{"users.filter"}},
		"wrong name":     {func(c *ldap.Config) { c.Users.Name = ldap.Mapping{Attribute: "roomNumber"} }, "resolve connect tls bind base count changes -entry", []string{"has no name", "users.name"}},
		"second server": {
			func(c *ldap.Config) { c.URLs = []string{"ldaps://127.0.0.1:" + unusedPort(t), s.LDAPS} },
			"servers resolve -connect resolve connect tls bind base count changes entry",
			[]string{"next server is tried"},
		},
		"limited": {func(c *ldap.Config) {
			c.Bind = ldap.Bind{DN: s.Limited.DN, Password: config.SecretRef{File: s.Limited.PasswordFile}}
		}, "resolve connect tls bind base -count", []string{"size limit"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := slapdConfig(s)
			c.change(&cfg)
			var steps []string
			var text strings.Builder
			for step := range source(t, cfg).Test(t.Context()) {
				if !step.OK {
					step.Name = "-" + step.Name
				}
				steps = append(steps, step.Name)
				fmt.Fprintln(&text, step.Detail, step.Fix, strings.Join(step.Lines, "\n"))
				if !step.OK && step.Fix == "" {
					t.Errorf("%s failed and does not say what to do", step.Name)
				}
			}
			if got := strings.Join(steps, " "); got != c.steps {
				t.Errorf("steps %q, want %q", got, c.steps)
			}
			wantWords(t, text.String(), c.words...)
			if strings.Contains(text.String(), s.Reader.Password) {
				t.Error("a step holds the password")
			}
		})
	}
}
