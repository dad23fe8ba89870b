package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
)

// Test implements [sync.Tester]. It goes through the servers in their order until
// one answers, and then step by step through what a read needs. It writes nothing.
func (s *Source) Test(ctx context.Context) iter.Seq[sync.TestStep] {
	return func(yield func(sync.TestStep) bool) {
		c, more := s.testServers(ctx, yield)
		if c == nil {
			return
		}
		defer c.close()
		if !more {
			return
		}
		for _, step := range []func(context.Context, *session) sync.TestStep{s.testBase, s.testCount, s.testChanges, s.testEntry} {
			t := step(ctx, c)
			if !yield(t) || !t.OK {
				return
			}
		}
	}
}

// testServers yields the steps up to the bind, for one server after the other until
// one lets us in. It tries also those that reads leave out at the moment.
func (s *Source) testServers(ctx context.Context, yield func(sync.TestStep) bool) (*session, bool) {
	list, more := s.testDiscovery(ctx, yield)
	for i, one := range list {
		last := i == len(list)-1
		c, steps := s.testServer(ctx, one.url)
		// As in a read: a password that was refused is not tried elsewhere.
		last = last || c == nil && steps[len(steps)-1].Name == "bind"
		for _, t := range steps {
			if !t.OK && !last {
				t.Fix = strings.TrimSpace(t.Fix + " The next server is tried.")
			}
			if !yield(t) {
				if c != nil {
					_ = c.drop()
				}
				return nil, false
			}
		}
		if c != nil {
			s.pool.answered(one.url)
		}
		if c != nil || last {
			return c, true
		}
	}
	return nil, more
}

// testDiscovery yields what DNS says of each domain in urls, and the servers in their
// order where there are several. Without any it returns none.
func (s *Source) testDiscovery(ctx context.Context, yield func(sync.TestStep) bool) ([]server, bool) {
	for _, raw := range s.cfg.URLs {
		a, err := parseURL(raw)
		if err != nil || !a.srv {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, s.cfg.Timeouts.Connect)
		d, err := s.discover(limited, a)
		cancel()
		t := sync.TestStep{Name: "discover", OK: err == nil, Lines: d.lines}
		if t.Detail = fmt.Sprintf("%s leads to %d servers", raw, len(d.servers)); err != nil {
			t.Detail, t.Fix = err.Error(), "Check the domain in urls and its SRV records, and this machine's DNS; or name the servers in urls."
		}
		if !yield(t) {
			return nil, false
		}
	}
	list, _ := s.servers(ctx)
	if len(list) < 2 {
		return list, true
	}
	return list, yield(sync.TestStep{Name: "servers", OK: true, Detail: fmt.Sprintf("%d servers, in this order", len(list)), Lines: s.pool.order(list)})
}

// testServer tries one server. Its session is nil when a step failed.
func (s *Source) testServer(ctx context.Context, u string) (*session, []sync.TestStep) {
	limited, cancel := context.WithTimeout(ctx, s.cfg.Timeouts.Connect)
	defer cancel()
	var steps []sync.TestStep
	add := func(name, detail string, err error, fix string) bool {
		t := sync.TestStep{Name: name, OK: err == nil, Detail: detail}
		if err != nil {
			t.Detail, t.Fix = err.Error(), fix
		}
		steps = append(steps, t)
		return t.OK
	}
	a, err := parseURL(u)
	if err == nil && a.network == "tcp" {
		var addresses []string
		addresses, err = s.resolver.LookupHost(limited, a.host)
		if !add("resolve", fmt.Sprintf("%s is %s", a.host, strings.Join(addresses, ", ")), err,
			"Check the host name in urls, and this machine's DNS.") {
			return nil, steps
		}
	}
	raw, err := s.dial(limited, a.network, a.dial)
	if !add("connect", fmt.Sprintf("%s accepts connections", u), err,
		fmt.Sprintf("Check that the directory runs at %s and that no firewall is in between.", a.dial)) {
		return nil, steps
	}
	_ = raw.Close()
	c, err := s.reach(limited, u)
	t := sync.TestStep{Name: "tls", OK: err == nil}
	switch {
	case err != nil:
		t.Detail, t.Fix = err.Error(), "Check tls.ca, the server's certificate and the port."
	case c.tls == nil:
		t.Detail = "none: everything is sent unencrypted (allow_plaintext, or a socket of this machine)"
	default:
		t.Detail, t.Lines = tlsFacts(c.tls, s.now())
	}
	if steps = append(steps, t); err != nil {
		return nil, steps
	}
	return s.testBind(ctx, limited, c, steps)
}

func (s *Source) testBind(ctx, limited context.Context, c *session, steps []sync.TestStep) (*session, []sync.TestStep) {
	drop := context.AfterFunc(limited, func() { _ = c.raw.Close() })
	err := s.bind(limited, c)
	if err == nil {
		err = c.readRoot(limited)
	}
	drop()
	if err != nil {
		_ = c.drop()
		return nil, append(steps, sync.TestStep{
			Name: "bind", Detail: err.Error(), Fix: "Check bind.dn and bind.password, or the rights of the account.",
		})
	}
	s.begin(ctx, c)
	t := sync.TestStep{Name: "bind", OK: true, Detail: "the account is let in; the server is " + c.familyWords(s.cfg.Template)}
	if c.root.dnsHostName != "" {
		t.Lines = append(t.Lines, "host name: "+c.root.dnsHostName)
	}
	for _, n := range c.root.contexts {
		t.Lines = append(t.Lines, "naming context: "+n)
	}
	return c, append(steps, t)
}

func tlsFacts(state *tls.ConnectionState, now time.Time) (detail string, lines []string) {
	detail = tls.VersionName(state.Version) + ", " + tls.CipherSuiteName(state.CipherSuite)
	for _, cert := range state.PeerCertificates[:min(1, len(state.PeerCertificates))] {
		left := cert.NotAfter.Sub(now)
		lines = append(lines,
			"subject: "+cert.Subject.String(), "issuer: "+cert.Issuer.String(),
			fmt.Sprintf("expires: %s (in %d days)", cert.NotAfter.UTC().Format(time.RFC3339), int(left.Hours()/24)))
	}
	return detail, lines
}

// testBase looks for every base.
func (s *Source) testBase(ctx context.Context, c *session) sync.TestStep {
	t := sync.TestStep{Name: "base", OK: true}
	for _, w := range []*Where{&s.cfg.Users.Where, &s.cfg.Groups.Where} {
		for _, base := range w.Bases {
			found := false
			g := region{base: base, scope: goldap.ScopeBaseObject, filter: "(objectClass=*)", attrs: []string{"1.1"}}
			_, err := c.search(ctx, g.request(), &handler{
				entry:  func(*Entry) error { found = true; return nil },
				broken: func([]byte, string) error { found = true; return nil },
			})
			if err == nil && !found {
				err = errors.New("the account may not see it")
			}
			if err != nil {
				t.OK = false
				t.Detail = fmt.Sprintf("%s: %v", base, err)
				t.Fix = fmt.Sprintf("Check the base; the server holds %s. Or let the account read there.", strings.Join(c.root.contexts, ", "))
				return t
			}
			t.Lines = append(t.Lines, base)
		}
	}
	t.Detail = fmt.Sprintf("%d bases are there", len(t.Lines))
	return t
}

// testCount counts what a read would bring, by the keys alone.
func (s *Source) testCount(ctx context.Context, c *session) sync.TestStep {
	t := sync.TestStep{Name: "count", OK: true}
	counts := [2]int{}
	for i, w := range []*Where{&s.cfg.Users.Where, &s.cfg.Groups.Where} {
		keyless := 0
		var n tally
		h := &handler{
			entry: func(e *Entry) error {
				n.received++
				n.fresh++
				if len(e.Get(w.Key)) != 1 {
					keyless++
				}
				return nil
			},
			broken: func([]byte, string) error { n.received++; return nil },
		}
		for _, g := range w.regions([]string{w.Key}) {
			end, err := s.sweep(ctx, c, g, h, &n, func() {})
			if err != nil {
				return sync.TestStep{Name: "count", Detail: err.Error(), Fix: "Check bases and filter, and the rights of the account."}
			}
			if end.partial != "" {
				t.Lines = append(t.Lines, end.partial)
			}
		}
		if keyless > 0 {
			t.Lines = append(t.Lines, fmt.Sprintf("%d entries show no %s to this account, so they cannot be told apart", keyless, w.Key))
		}
		counts[i] = n.received
	}
	t.Detail = fmt.Sprintf("%d users, %d groups", counts[0], counts[1])
	switch {
	case counts[0] == 0:
		t.OK, t.Fix = false, "No user matches: check users.bases and users.filter, and that the account may read there."
	case len(t.Lines) > 0:
		t.OK, t.Fix = false, "The answer is not the whole directory, so nobody would ever count as gone. See what is said below."
	}
	return t
}

// testChanges finds out how changes would be read, and why not in a better way.
func (s *Source) testChanges(ctx context.Context, c *session) sync.TestStep {
	r := newReading(s, sync.PullRequest{})
	r.c = c
	way := r.choose(ctx)
	t := sync.TestStep{Name: "changes", OK: true, Detail: way.words(), Lines: slices.Concat(way.caveats, way.not)}
	if way.way != nil && !way.way.removals() {
		t.Lines = append(t.Lines, "who is gone is not told, and found when everything is compared")
	}
	_, family := c.root.family()
	t.Lines = append([]string{"the server is " + family}, t.Lines...)
	switch err := c.conn.err(); {
	case err != nil:
		t.OK, t.Detail, t.Fix = false, err.Error(), "Try again; if that happens each time, set changes: none."
	case way.way == nil && s.cfg.Changes != changesAuto && s.cfg.Changes != changesNone:
		t.OK, t.Fix = false, "Do what is said below, or set changes: auto, which takes the best way that works."
	}
	return t
}

var errEnough = errors.New("enough")

// testEntry maps the first user that can be mapped. It comes last: that one is enough,
// which ends the connection.
func (s *Source) testEntry(ctx context.Context, c *session) sync.TestStep {
	m := s.people.mapper()
	var rec *identity.Record
	var last error
	h := &handler{
		entry: func(e *Entry) error {
			m.load(e)
			key, err := m.entryKey()
			if err == nil {
				rec, err = m.record(s.id, key, 0)
			}
			if err != nil {
				rec, last = nil, fmt.Errorf("%s %w", clip(string(e.DN), 200), err)
				return nil
			}
			return errEnough
		},
		broken: func(dn []byte, reason string) error {
			last = fmt.Errorf("%s %s", clip(string(dn), 200), reason)
			return nil
		},
	}
	var n tally
	for _, g := range s.cfg.Users.regions(s.people.request) {
		if _, err := s.sweep(ctx, c, g, h, &n, func() {}); rec != nil {
			break
		} else if err != nil {
			last = err
		}
	}
	if rec == nil {
		return sync.TestStep{
			Name: "entry", Detail: fmt.Sprintf("no user could be mapped: %v", last),
			Fix: "Check users.key and users.name: do the entries have these attributes, and may the account read them?",
		}
	}
	return sync.TestStep{Name: "entry", OK: true, Detail: "a user as he would be stored", Lines: recordLines(rec)}
}

func recordLines(r *identity.Record) []string {
	lines := []string{"dn: " + r.DN, "key: " + string(r.Key), "name: " + r.Name}
	for _, f := range identity.ProfileFields() {
		if v, ok := r.Profile[f]; ok {
			lines = append(lines, f+": "+clip(v, 200))
		}
	}
	for _, k := range sortedKeys(r.Attributes) {
		lines = append(lines, "attribute "+k+": "+clip(strings.Join(r.Attributes[k], ", "), 200))
	}
	if r.Disabled != identity.Active {
		lines = append(lines, "not active: "+string(r.Disabled))
	}
	if !r.Expires.IsZero() {
		lines = append(lines, "expires: "+r.Expires.Format(time.RFC3339))
	}
	return lines
}
