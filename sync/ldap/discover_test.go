package ldap

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync"
)

// zone is a DNS server with these SRV records, by name without the dot at the end.
// Each is "priority weight port target".
type zone map[string][]string

// serve starts the server and returns a resolver that asks it and nothing else.
func (z zone) serve(t *testing.T) *net.Resolver {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := l.ReadFrom(buf)
			if err != nil {
				return
			}
			if out, err := z.answer(buf[:n]); err == nil {
				_, _ = l.WriteTo(out, from)
			}
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", l.LocalAddr().String())
	}}
}

func (z zone) answer(request []byte) ([]byte, error) {
	var p dnsmessage.Parser
	head, err := p.Start(request)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: head.ID, Response: true, Authoritative: true, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	records, known := z[name]
	switch {
	case slices.Contains(records, "fail"):
		m.RCode = dnsmessage.RCodeServerFailure
	case q.Type == dnsmessage.TypeA && !strings.HasPrefix(name, "_"):
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		})
	case q.Type == dnsmessage.TypeSRV && known:
		for _, r := range records {
			var srv dnsmessage.SRVResource
			var target string
			_, _ = fmt.Sscan(r, &srv.Priority, &srv.Weight, &srv.Port, &target)
			srv.Target = dnsmessage.MustNewName(target)
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &srv})
		}
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	}
	return m.Pack()
}

// domain returns a source that looks its servers up.
func domain(t *testing.T, r Resolver, change func(*Config), urls ...string) *Source {
	t.Helper()
	c := Config{Template: TemplateCustom, URLs: urls, AllowPlaintext: true, Bind: Bind{Method: methodAnonymous}}
	c.Users.Where = Where{Bases: []string{peopleBase}, Filter: "(objectClass=person)", Key: "entryUUID", Name: Mapping{Attribute: "uid"}}
	if change != nil {
		change(&c)
	}
	s, err := New(Options{Source: "corp", Config: c, Resolver: r})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// listed returns "rank url" of each server.
func listed(list []server) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, fmt.Sprintf("%d %s", s.rank, s.url))
	}
	return out
}

func TestDiscovery(t *testing.T) {
	site := func(c *Config) { c.Template, c.Discovery.Site = TemplateAD, "Berlin" }
	ad := func(c *Config) { c.Template = TemplateAD }
	for name, c := range map[string]struct {
		zone   zone
		change func(*Config)
		urls   []string
		want   []string
	}{
		"priority before weight": {
			zone{"_ldap._tcp.example.org": {"20 100 389 c.example.org.", "10 0 1389 a.example.org.", "30 5 389 d.example.org."}},
			nil,
			[]string{"ldap+srv://example.org"},
			[]string{"0 ldap://a.example.org:1389", "1 ldap://c.example.org:389", "2 ldap://d.example.org:389"},
		},
		"LDAPS where LDAP is named": {
			zone{"_ldap._tcp.example.org": {"10 0 389 a.example.org."}},
			nil,
			[]string{"LDAPS+SRV://Example.Org./"},
			[]string{"0 ldaps://a.example.org:636"},
		},
		"LDAPS with records of its own": {
			zone{"_ldaps._tcp.example.org": {"10 0 10636 a.example.org."}, "_ldap._tcp.example.org": {"10 0 389 b.example.org."}},
			nil,
			[]string{"ldaps+srv://example.org"},
			[]string{"0 ldaps://a.example.org:10636"},
		},
		"a port in the URL": {
			zone{"_ldap._tcp.example.org": {"10 0 389 a.example.org."}},
			nil,
			[]string{"ldaps+srv://example.org:3636"},
			[]string{"0 ldaps://a.example.org:3636"},
		},
		"domain controllers only": {
			zone{"_ldap._tcp.dc._msdcs.ad.example.org": {"0 100 389 dc1.ad.example.org."}, "_ldap._tcp.ad.example.org": {"0 0 389 other.ad.example.org."}},
			ad,
			[]string{"ldaps+srv://ad.example.org"},
			[]string{"0 ldaps://dc1.ad.example.org:636"},
		},
		"a domain without _msdcs": {
			zone{"_ldap._tcp.ad.example.org": {"0 0 389 dc1.ad.example.org."}},
			ad,
			[]string{"ldaps+srv://ad.example.org"},
			[]string{"0 ldaps://dc1.ad.example.org:636"},
		},
		"the site first, the others after it, none twice": {
			zone{
				"_ldap._tcp.Berlin._sites.dc._msdcs.ad.example.org": nil, // names are compared in lower case
				"_ldap._tcp.berlin._sites.dc._msdcs.ad.example.org": {"5 0 389 dc3.ad.example.org.", "0 0 389 DC2.ad.example.org."},
				"_ldap._tcp.dc._msdcs.ad.example.org":               {"0 0 389 dc2.ad.example.org.", "5 0 389 dc1.ad.example.org."},
			},
			site,
			[]string{"ldaps+srv://ad.example.org"},
			[]string{"0 ldaps://dc2.ad.example.org:636", "1 ldaps://dc3.ad.example.org:636", "3 ldaps://dc1.ad.example.org:636"},
		},
		"a site that nobody knows": {
			zone{"_ldap._tcp.dc._msdcs.ad.example.org": {"0 0 389 dc1.ad.example.org."}},
			site,
			[]string{"ldaps+srv://ad.example.org"},
			[]string{"0 ldaps://dc1.ad.example.org:636"},
		},
		"a site that DNS cannot tell": {
			zone{"_ldap._tcp.berlin._sites.dc._msdcs.ad.example.org": {"fail"}, "_ldap._tcp.dc._msdcs.ad.example.org": {"0 0 389 dc1.ad.example.org."}},
			site,
			[]string{"ldaps+srv://ad.example.org"},
			[]string{"0 ldaps://dc1.ad.example.org:636"},
		},
		"named servers around it": {
			zone{"_ldaps._tcp.example.org": {"1 0 636 a.example.org.", "2 0 636 b.example.org."}},
			nil,
			[]string{"ldaps://first.example.org", "ldaps+srv://example.org", "ldaps://b.example.org:636", "ldaps://last.example.org"},
			[]string{"0 ldaps://first.example.org", "1 ldaps://a.example.org:636", "2 ldaps://b.example.org:636", "3 ldaps://last.example.org"},
		},
		"strangers are left out": {
			zone{"_ldaps._tcp.example.org": {"1 0 636 evil.example.net.", "1 0 636 badexample.org.", "2 0 636 b.example.org."}},
			nil,
			[]string{"ldaps+srv://example.org"},
			[]string{"1 ldaps://b.example.org:636"},
		},
		"strangers that are allowed": {
			zone{"_ldaps._tcp.example.org": {"1 0 636 ldap.hosting.example.net."}},
			func(c *Config) { c.Discovery.Within = []string{"Hosting.example.net"} },
			[]string{"ldaps+srv://example.org"},
			[]string{"0 ldaps://ldap.hosting.example.net:636"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := domain(t, c.zone.serve(t), c.change, c.urls...)
			list, failed := s.servers(t.Context())
			if diff := cmp.Diff(c.want, listed(list)); diff != "" || len(failed) > 0 {
				t.Errorf("servers, %v (-want +got):\n%s", failed, diff)
			}
		})
	}
}

// TestWeight shows that servers of one priority share the reads as their weights say.
func TestWeight(t *testing.T) {
	s := domain(t, zone{"_ldap._tcp.example.org": {"1 90 1 a.example.org.", "1 10 1 b.example.org."}}.serve(t), nil, "ldap+srv://example.org")
	first := map[string]int{}
	for range 400 {
		list, _ := s.servers(t.Context())
		if len(list) != 2 || list[0].rank != list[1].rank {
			t.Fatalf("servers = %v, want two of one rank", listed(list))
		}
		first[list[0].url]++
	}
	// Nine in ten; the bounds are more than ten standard deviations away.
	if a := first["ldap://a.example.org:1"]; a < 290 || a == 400 {
		t.Errorf("the first server was %v, want a nine times in ten", first)
	}
}

func TestNothingIsDiscovered(t *testing.T) {
	many := []string{}
	for i := range mostFound + 6 {
		many = append(many, fmt.Sprintf("1 0 389 s%d.example.org.", i))
	}
	for name, c := range map[string]struct {
		records []string
		words   []string
	}{
		"no record":   {nil, []string{"no SRV record", "example.org", "name the servers in urls"}},
		"a clear no":  {[]string{"0 0 0 ."}, []string{"offers no LDAP"}},
		"strangers":   {[]string{"0 0 389 ldap.example.net."}, []string{"discovery.within", "below example.org"}},
		"DNS is sick": {[]string{"fail"}, []string{"_ldap._tcp.example.org", "server misbehaving"}},
	} {
		t.Run(name, func(t *testing.T) {
			z := zone{}
			if c.records != nil {
				z["_ldap._tcp.example.org"] = c.records
			}
			_, err := domain(t, z.serve(t), nil, "ldap+srv://example.org").connect(t.Context())
			if err == nil {
				t.Fatal("a server was found")
			}
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
	list, _ := domain(t, lying(many), nil, "ldap+srv://example.org").servers(t.Context())
	if len(list) != mostFound {
		t.Errorf("%d servers, want no more than %d", len(list), mostFound)
	}
}

// lying is a resolver with one long answer, which UDP would cut.
type lying []string

func (l lying) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	var out []*net.SRV
	for _, r := range l {
		var s net.SRV
		_, _ = fmt.Sscan(r, &s.Priority, &s.Weight, &s.Port, &s.Target)
		out = append(out, &s)
	}
	return "", out, nil
}

func (l lying) LookupHost(context.Context, string) ([]string, error) { return nil, nil }

// TestDNSMayFailLater shows that the servers of the last answer are used while DNS has
// none.
func TestDNSMayFailLater(t *testing.T) {
	z := zone{"_ldap._tcp.example.org": {"1 0 1 a.example.org."}}
	later := z.serve(t)
	s := domain(t, later, nil, "ldap+srv://example.org")
	before, _ := s.servers(t.Context())
	s.resolver = zone{"_ldap._tcp.example.org": {"fail"}}.serve(t)
	after, failed := s.servers(t.Context())
	if len(failed) != 1 || !cmp.Equal(listed(before), listed(after)) || len(after) != 1 {
		t.Errorf("servers = %v, %v, want those of before, %v, and the failure", listed(after), failed, listed(before))
	}
}

func TestDomainsInURLs(t *testing.T) {
	for raw, want := range map[string]address{
		"ldap+srv://example.org":       {scheme: "ldap", host: "example.org", srv: true},
		"ldaps+srv://Example.org.:636": {scheme: "ldaps", host: "example.org", port: "636", srv: true},
		"ldaps+srv://192.0.2.1":        {},
		"ldaps+srv://[2001:db8::1]":    {},
		"ldaps+srv://_ldap._tcp.x.org": {},
		"ldaps+srv://x..org":           {},
		"ldaps+srv://x.org/dc=x":       {},
		"ldapi+srv://x.org":            {},
		"ldaps+srv+srv://x.org":        {},
	} {
		if got, err := parseURL(raw); got != want || (err == nil) != (want != address{}) {
			t.Errorf("parseURL(%q) = %+v, %v, want %+v", raw, got, err, want)
		}
	}
}

func TestDiscoveryAndFailoverAreChecked(t *testing.T) {
	cases := map[string]func(*Config){
		"discovery.site: is for":       func(c *Config) { c.Template, c.Discovery.Site = TemplateAD, "Berlin" },
		"discovery.site: only":         func(c *Config) { c.Discovery.Site = "Berlin" },
		"discovery.site: \"a.b\"":      func(c *Config) { c.Discovery.Site = "a.b" },
		"discovery.within[1]":          func(c *Config) { c.Discovery.Within = []string{"a.org", "b org"} },
		"failover.leave_out:":          func(c *Config) { c.Failover.LeaveOut = -1 },
		"failover.leave_out_most":      func(c *Config) { c.Failover.LeaveOut, c.Failover.LeaveOutMost = 9, 8 },
		"failover.return_after":        func(c *Config) { c.Failover.ReturnAfter = -1 },
		"urls[0]: ldap:// sends":       func(c *Config) { c.URLs = []string{"ldap+srv://example.org"} },
		"urls[0]: port 3269":           func(c *Config) { c.Template, c.URLs = TemplateAD, []string{"ldaps+srv://example.org:3269"} },
		"urls[0]: \"ldaps+srv://x y\"": func(c *Config) { c.URLs = []string{"ldaps+srv://x y"} },
	}
	for _, words := range slices.Sorted(maps.Keys(cases)) {
		var c Config
		cases[words](&c)
		var p config.Problems
		c.Validate(&p)
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s is missing in %v", words, err)
		}
	}
}

// TestDiscoveredServersShowTheNameOfTheirRecord reads a real server that DNS knows by
// two names. It has a certificate for one of them.
func TestDiscoveredServersShowTheNameOfTheirRecord(t *testing.T) {
	t.Parallel()
	s := dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: dirtest.Org{Suffix: "dc=example,dc=org", Users: 20, Groups: 2, Members: 3}.WriteLDIF})
	at := s.LDAPS[strings.LastIndexByte(s.LDAPS, ':')+1:]
	r := zone{"_ldaps._tcp.example.test": {"1 0 " + at + " dc1.example.test.", "2 0 " + at + " localhost."}}.serve(t)
	c := Config{Template: TemplateOpenLDAP, URLs: []string{"ldaps+srv://example.test"}, TLS: TLS{CA: s.CA}}
	c.Bind = Bind{DN: s.Reader.DN, Password: config.SecretRef{File: s.Reader.PasswordFile}}
	c.Users.Bases, c.Groups.Bases = []string{"ou=people," + s.Suffix}, []string{"ou=groups," + s.Suffix}
	c.Discovery.Within = []string{"localhost"}
	src, err := New(Options{Source: "corp", Config: c, Resolver: r, Dial: (&net.Dialer{Resolver: r}).DialContext})
	if err != nil {
		t.Fatal(err)
	}
	o, err := src.Pull(t.Context(), sync.PullRequest{})
	if err != nil || len(o.Users) != 20 || o.Server != "ldaps://localhost:"+at {
		t.Fatalf("Pull = %+v, %v, want 20 users from localhost", o, err)
	}
	if !strings.Contains(o.Proof.Why, "ldaps://dc1.example.test:"+at+" is left out until") || !strings.Contains(o.Proof.Why, "another name") {
		t.Errorf("the proof says %q, want why the preferred server is not used", o.Proof.Why)
	}
	var steps []string
	for step := range src.Test(t.Context()) {
		steps = append(steps, fmt.Sprint(step.Name, " ", step.OK, " ", step.Detail, " ", step.Lines))
	}
	text := strings.Join(steps, "\n")
	for _, w := range []string{
		"discover true ldaps+srv://example.test leads to 2 servers [ldaps://dc1.example.test:" + at + " (_ldaps._tcp.example.test, priority 1, weight 0)",
		"servers true 2 servers, in this order [ldaps://dc1.example.test", "is left out until", "localhost:" + at + " (_ldaps._tcp.example.test, priority 2, weight 0): in use",
		"tls false", "another name", "bind true", "count true 20 users", "entry true",
	} {
		if !strings.Contains(text, w) {
			t.Errorf("the test does not say %q:\n%s", w, text)
		}
	}
}
