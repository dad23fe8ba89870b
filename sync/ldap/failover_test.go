package ldap_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/internal/ldapserver"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// clock is set by hand.
type clock struct {
	mu gosync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) later(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func timed(t *testing.T, cfg ldap.Config, dial func(context.Context, string, string) (net.Conn, error)) (*ldap.Source, *clock) {
	t.Helper()
	c := &clock{at: time.Unix(1700000000, 0)}
	s, err := ldap.New(ldap.Options{Source: "corp", Config: cfg, Now: c.now, Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// TestFailover kills the preferred of two servers in the middle of a read, and brings
// it back.
func TestFailover(t *testing.T) {
	t.Parallel()
	a, b := small(t, dirtest.SlapdOptions{}), small(t, dirtest.SlapdOptions{})
	cfg := slapdConfig(a)
	cfg.URLs, cfg.PageSize = []string{a.LDAPS, b.LDAPS}, 50
	cfg.TLS.CA = dirtest.WriteFile(t, "ca.pem", both(t, a.CA, b.CA))
	src, clock := timed(t, cfg, nil)
	read := func(p sync.PullRequest) (*identity.Observation, error) { return src.Pull(t.Context(), p) }
	from := func(what string, since identity.Cursor, s *dirtest.Slapd, words ...string) *identity.Observation {
		t.Helper()
		o, err := read(sync.PullRequest{Since: since})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		proven(t, o)
		if !strings.HasPrefix(o.Server, s.LDAPS) || len(o.Users) != 600 {
			t.Errorf("%s: %d users from %s, want 600 from %s", what, len(o.Users), o.Server, s.LDAPS)
		}
		wantWords(t, o.Proof.Why, words...)
		return o
	}
	from("at first", "", a)

	killed := false
	o, err := read(sync.PullRequest{Progress: func(p sync.Progress) {
		if p.Users >= 200 && !killed {
			a.Kill()
			killed = true
		}
	}})
	if err == nil || !killed {
		t.Fatalf("a read whose server was killed is %+v, want an error", o)
	}
	wantWords(t, err.Error(), a.LDAPS, "closed the connection")
	from("the server is gone", "", b, a.LDAPS+" is left out until", "closed the connection")
	states := src.Servers()
	if len(states) != 2 || !states[0].LeftOut || states[0].Failures != 1 || states[0].Used || !states[1].Used || states[1].LeftOut {
		t.Errorf("servers = %+v, want a left out and b in use", states)
	}

	a.Start()
	clock.later(3 * time.Minute)
	since := identity.Cursor(`{"v":1,"server":"` + b.LDAPS + `"}`)
	from("the server is back, and a cursor is b's", since, b, a.LDAPS+" answers since", "full read")
	clock.later(5 * time.Minute)
	from("not for long", since, b, a.LDAPS+" answers since")
	restarted, _ := timed(t, cfg, nil)
	if o, err := restarted.Pull(t.Context(), sync.PullRequest{Since: since}); err != nil || !strings.HasPrefix(o.Server, b.LDAPS) {
		t.Errorf("after a restart a cursor of b leads to %+v, %v", o, err)
	}
	clock.later(6 * time.Minute)
	if o := from("for a while", since, a); strings.Contains(o.Proof.Why, b.LDAPS) {
		t.Errorf("the proof speaks of a server that is not preferred: %s", o.Proof.Why)
	}
	from("the cursor is b's still", since, a)
	b.Stop()
	from("what is not preferred may be gone", "", a)
}

// TestAFullReadReturnsAtOnce shows the preferred server being read as soon as it may be
// tried, when there is no cursor to lose.
func TestAFullReadReturnsAtOnce(t *testing.T) {
	t.Parallel()
	a, b := small(t, dirtest.SlapdOptions{}), small(t, dirtest.SlapdOptions{})
	cfg := slapdConfig(a)
	cfg.URLs = []string{a.LDAPS, b.LDAPS}
	cfg.TLS.CA = dirtest.WriteFile(t, "ca.pem", both(t, a.CA, b.CA))
	src, clock := timed(t, cfg, nil)
	a.Stop()
	if o := pull(t, src, nil); !strings.HasPrefix(o.Server, b.LDAPS) {
		t.Fatalf("read from %s, want b", o.Server)
	}
	a.Start()
	if o := pull(t, src, nil); !strings.HasPrefix(o.Server, b.LDAPS) {
		t.Errorf("read from %s, want b, since a is left out", o.Server)
	}
	clock.later(2 * time.Minute)
	if o := pull(t, src, nil); !strings.HasPrefix(o.Server, a.LDAPS) {
		t.Errorf("read from %s, want a", o.Server)
	}
}

func both(t *testing.T, paths ...string) string {
	t.Helper()
	var all strings.Builder
	for _, p := range paths {
		pem, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(pem)
	}
	return all.String()
}

// binds counts the connections that a source makes.
type binds struct {
	mu gosync.Mutex
	n  int
}

func (b *binds) dial(ctx context.Context, network, address string) (net.Conn, error) {
	b.mu.Lock()
	b.n++
	b.mu.Unlock()
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// TestARefusedPasswordIsNotTriedAgain follows a wrong password over several reads of two
// real servers: it is shown once, then not before a wait, then again when it is another.
func TestARefusedPasswordIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	a, b := small(t, dirtest.SlapdOptions{}), small(t, dirtest.SlapdOptions{})
	cfg := slapdConfig(a)
	cfg.URLs = []string{a.LDAPS, b.LDAPS}
	cfg.TLS.CA = dirtest.WriteFile(t, "ca.pem", both(t, a.CA, b.CA))
	file := dirtest.WriteFile(t, "pw", "wr0ng-secret")
	cfg.Bind.Password = config.SecretRef{File: file}
	var made binds
	src, clock := timed(t, cfg, made.dial)
	refused := func(connections int, words ...string) {
		t.Helper()
		made.n = 0
		_, err := src.Pull(t.Context(), sync.PullRequest{})
		if err == nil {
			t.Fatal("a wrong password is taken")
		}
		if made.n != connections {
			t.Errorf("%d connections were made, want %d: %v", made.n, connections, err)
		}
		wantWords(t, err.Error(), words...)
		if strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("the password is in %v", err)
		}
	}
	refused(1, "wrong password", a.LDAPS)
	if s := src.Servers(); s[0].Failures > 0 || s[0].LeftOut {
		t.Errorf("servers = %+v, want that the server is not to blame", s)
	}
	clock.later(time.Minute)
	refused(0, "wrong password", a.LDAPS+" refused it at", "not locked", "a run by hand")
	made.n = 0
	if _, err := src.Pull(t.Context(), sync.PullRequest{ByHand: true}); err == nil || made.n != 1 {
		t.Errorf("a run by hand makes %d connections: %v", made.n, err)
	}
	// Who asks for a test gets one.
	made.n = 0
	for step := range src.Test(t.Context()) {
		if step.Name == "bind" && step.OK {
			t.Error("a test takes a wrong password")
		}
	}
	if made.n == 0 {
		t.Error("a test does not try the password")
	}
	clock.later(time.Hour)
	refused(1, "wrong password")
	if err := os.WriteFile(file, []byte(a.Reader.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	if o := pull(t, src, nil); len(o.Users) != 600 {
		t.Errorf("%d users with the right password", len(o.Users))
	}
}

// TestABusyServerIsLeftOut shows that a server which says that it cannot serve is given
// time, although its connections are sound.
func TestABusyServerIsLeftOut(t *testing.T) {
	t.Parallel()
	dir, err := ldapserver.NewDirectory(ldapserver.DirectoryOptions{Suffixes: []string{"dc=example,dc=org"}})
	if err != nil {
		t.Fatal(err)
	}
	people := "ou=people,dc=example,dc=org"
	for _, e := range []ldapserver.Entry{
		{DN: "dc=example,dc=org", Attributes: []ldapserver.Attribute{ldapserver.Attr("objectClass", "domain")}},
		{DN: people, Attributes: []ldapserver.Attribute{ldapserver.Attr("objectClass", "organizationalUnit")}},
		{DN: "uid=ann," + people, Attributes: []ldapserver.Attribute{ldapserver.Attr("objectClass", "inetOrgPerson"), ldapserver.Attr("uid", "ann")}},
	} {
		if err := dir.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	start := func(busy *ldapserver.Error) string {
		s, err := ldapserver.Start(t.Context(), ldapserver.Options{Directory: dir, Anonymous: true, Intercept: func(q *ldapserver.Search) ldapserver.Action {
			if busy == nil || q.Base == "" {
				return ldapserver.Action{}
			}
			return ldapserver.Action{Ending: ldapserver.EndResult, Result: busy}
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s.URL()
	}
	for code, leftOut := range map[ldapserver.ResultCode]bool{ldapserver.Busy: true, ldapserver.Unavailable: true, ldapserver.InsufficientAccess: false} {
		first, second := start(&ldapserver.Error{Code: code}), start(nil)
		var cfg ldap.Config
		cfg.Template, cfg.URLs, cfg.AllowPlaintext = ldap.TemplateOpenLDAP, []string{first, second}, true
		cfg.Bind.Method, cfg.Users.Bases = "anonymous", []string{people}
		src, _ := timed(t, cfg, nil)
		if _, err := src.Pull(t.Context(), sync.PullRequest{}); err == nil {
			t.Fatalf("code %v: the read succeeds", code)
		}
		_, err := src.Pull(t.Context(), sync.PullRequest{})
		if (err == nil) != leftOut {
			t.Errorf("code %v: the next read is %v, want it elsewhere: %v", code, err, leftOut)
		}
	}
}

// TestAStoppedReadIsNobodysFault shows that a server is not left out because the daemon
// stops.
func TestAStoppedReadIsNobodysFault(t *testing.T) {
	t.Parallel()
	a := small(t, dirtest.SlapdOptions{})
	cfg := slapdConfig(a)
	cfg.PageSize = 50
	src, _ := timed(t, cfg, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("the daemon stops")
	_, err := src.Pull(ctx, sync.PullRequest{Progress: func(p sync.Progress) {
		if p.Users > 100 {
			cancel(stop)
		}
	}})
	if !errors.Is(err, stop) {
		t.Fatalf("Pull = %v, want %v", err, stop)
	}
	if s := src.Servers(); len(s) != 1 || s[0].LeftOut || s[0].Failures > 0 {
		t.Errorf("servers = %+v, want no failure", s)
	}
}

// TestAServerThatLagsRemovesNobodyAtOnce fails over to a server that has not heard of the
// newest people: they stay until it still does not know them in the run after.
func TestAServerThatLagsRemovesNobodyAtOnce(t *testing.T) {
	t.Parallel()
	for name, provider := range map[string]bool{"changes": true, "timestamps": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := dirtest.StartSlapd(t, dirtest.SlapdOptions{Provider: provider}), dirtest.StartSlapd(t, dirtest.SlapdOptions{Provider: provider})
			w := newTown(7, a.Suffix)
			a.Apply(w.found())
			b.Restore(a.Backup())
			a.Apply(w.settle() + w.settle())
			cfg := slapdConfig(a)
			cfg.URLs = []string{a.LDAPS, b.LDAPS}
			cfg.TLS.CA = dirtest.WriteFile(t, "ca.pem", both(t, a.CA, b.CA))
			src, m := source(t, cfg), newMemory()
			m.run(t, src, false)
			users := m.Total().Users
			a.Kill()
			o, p := m.run(t, src, false)
			proven(t, o)
			if o.Withhold == "" || m.Total().Users != users || len(p.Withheld) == 0 {
				t.Errorf("the server lags: withheld %v, %d users of %d, steps %v", p.Withheld, m.Total().Users, users, p.Steps)
			}
			wantWords(t, strings.Join(p.Withheld, " "), "2 users", "in the next run is removed then")
			o, p = m.run(t, src, false)
			proven(t, o)
			if o.Withhold != "" || p.Counts.Users.Removed != 2 {
				t.Errorf("the server still does not know them: withheld %q, steps %v", o.Withhold, p.Steps)
			}
			if o, p = m.run(t, src, false); !p.IsEmpty() || o.Reach == identity.ReachFull {
				t.Errorf("reach %q, steps %v", o.Reach, p.Steps)
			}
		})
	}
}
