package ldap

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"
	gosync "sync"
	"time"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/sync"
)

// pool remembers how the servers of one source fared. It decides in which order they
// are tried, and reaches none.
//
// A read of changes stays with the server that it was last done from: a cursor belongs
// to one server, and another one may not have replicated yet. It goes on to others
// when that one fails, and back to a preferred one when that has answered for a while.
// A full read has no cursor to lose and goes back at once. A server that failed is left
// out for a time that doubles; when no other is left, it is tried all the same.
type pool struct {
	now    func() time.Time
	jitter func() float64 // from 0 up to 1, so that replicas do not return in step
	rules  Failover
	seed   maphash.Seed

	mu      gosync.Mutex // guards what follows
	by      map[string]*standing
	listed  []server            // in the order of the last list
	found   map[string][]server // what each domain last led to
	last    string              // the server that was read last
	refused refusal
}

// standing is how one server fared.
type standing struct {
	failures int       // in a row
	until    time.Time // left out until then
	why      string    // of the last failure
	since    time.Time // it has answered since then; zero when it failed last
}

// refusal is a secret that a server did not take.
type refusal struct {
	times  int
	server string
	at     time.Time
	until  time.Time
	secret uint64 // hashed with a seed that only this process knows
}

func newPool(rules Failover, now func() time.Time) *pool {
	return &pool{
		now: now, jitter: rand.Float64, rules: rules, seed: maphash.MakeSeed(),
		by: map[string]*standing{}, found: map[string][]server{},
	}
}

// route says what a connection is for.
type route struct {
	// after is the server that the read goes on from, if any.
	after string
	// whole says that everything is read, so that another server costs nothing.
	whole bool
}

// choice is the order in which servers are tried.
type choice struct {
	first, later []server // later: those left out, should all of first fail
	// better are preferred over the first of first, and do answer or may.
	better []server
}

// choose orders servers, which come in the order of preference.
func (p *pool) choose(list []server, to route) choice {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listed = list
	p.forget()
	now := p.now()
	var c choice
	for _, s := range list {
		if p.standing(s.url).until.After(now) {
			c.later = append(c.later, s)
		} else {
			c.first = append(c.first, s)
		}
	}
	slices.SortStableFunc(c.later, func(a, b server) int { return p.by[a.url].until.Compare(p.by[b.url].until) })
	if stay := cmp.Or(to.after, p.last); !to.whole && stay != "" {
		p.stay(&c, stay, now)
	}
	return c
}

// forget keeps domains whose servers come and go from filling the memory. The caller
// holds the lock.
func (p *pool) forget() {
	if len(p.by) <= 4*mostFound {
		return
	}
	maps.DeleteFunc(p.by, func(url string, _ *standing) bool {
		return !slices.ContainsFunc(p.listed, func(s server) bool { return s.url == url })
	})
}

// stay puts the server that was read last first, or one that is preferred and has
// answered for long enough.
func (p *pool) stay(c *choice, url string, now time.Time) {
	at := slices.IndexFunc(c.first, func(s server) bool { return s.url == url })
	if at < 0 {
		return
	}
	proven := func(s server) bool {
		since := p.by[s.url].since
		return s.rank < c.first[at].rank && !since.IsZero() && now.Sub(since) >= p.rules.ReturnAfter
	}
	if better := slices.IndexFunc(c.first[:at], proven); better >= 0 {
		at = better
	}
	kept := c.first[at]
	for _, s := range c.first[:at] {
		if s.rank < kept.rank { // others are as good as the one that is kept
			c.better = append(c.better, s)
		}
	}
	c.first = slices.Insert(slices.Delete(c.first, at, at+1), 0, kept)
}

// standing returns how a server fared. The caller holds the lock.
func (p *pool) standing(url string) *standing {
	st := p.by[url]
	if st == nil {
		st = &standing{}
		p.by[url] = st
	}
	return st
}

// failed notes that a server could not be used, and leaves it out for a while.
func (p *pool) failed(url string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.standing(url)
	out := p.rules.LeaveOut
	for range st.failures {
		if out *= 2; out >= p.rules.LeaveOutMost {
			out = p.rules.LeaveOutMost
			break
		}
	}
	st.failures++
	// Up to a fifth sooner or later.
	out = time.Duration(float64(out) * (0.8 + 0.4*p.jitter()))
	st.until, st.since, st.why = p.now().Add(out), time.Time{}, clip(err.Error(), 300)
}

// answered notes that a server did as it should.
func (p *pool) answered(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.standing(url)
	if st.since.IsZero() {
		st.since = p.now()
	}
	st.failures, st.until, st.why = 0, time.Time{}, ""
}

// use notes the server that is read from.
func (p *pool) use(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = url
}

// passed says why servers that are preferred over the one in use are not used.
func (p *pool) passed(used string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.IndexFunc(p.listed, func(s server) bool { return s.url == used })
	var out []string
	for _, s := range p.listed[:max(at, 0)] {
		if st := p.standing(s.url); s.rank < p.listed[at].rank {
			out = append(out, s.url+" "+p.words(st))
		}
	}
	return out
}

// order describes servers in the order of preference.
func (p *pool) order(list []server) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = s.url
		if s.found != "" {
			out[i] += " (" + s.found + ")"
		}
		switch st := p.standing(s.url); {
		case s.url == p.last:
			out[i] += ": in use"
		case st.failures > 0 || !st.since.IsZero():
			out[i] += ": " + p.words(st)
		}
	}
	return out
}

// words says how a server fared that is not in use. The caller holds the lock.
func (p *pool) words(st *standing) string {
	switch now := p.now(); {
	case st.until.After(now):
		return fmt.Sprintf("is left out until %s: %s", st.until.UTC().Format(time.RFC3339), st.why)
	case st.failures > 0:
		return "failed last: " + st.why
	case !st.since.IsZero():
		return fmt.Sprintf("answers since %s, and is returned to by the next full read or after %v", st.since.UTC().Format(time.RFC3339), p.rules.ReturnAfter)
	}
	return "was not tried yet"
}

// remember keeps what a domain led to, for when DNS does not answer.
func (p *pool) remember(domain string, list []server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found[domain] = list
}

func (p *pool) recalled(domain string) []server {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found[domain]
}

// The waits after a refused secret. Directories lock an account after some five wrong
// passwords within half an hour, and every person who uses it then is locked out.
const (
	refusedFirst = 5 * time.Minute
	refusedMost  = time.Hour
)

// refuse notes that a server did not take the secret.
func (p *pool) refuse(server, secret string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hash := maphash.String(p.seed, secret)
	if p.refused.secret != hash {
		p.refused = refusal{secret: hash}
	}
	wait := min(refusedFirst<<min(p.refused.times, 10), refusedMost)
	p.refused.times++
	p.refused.server, p.refused.at = server, p.now()
	p.refused.until = p.refused.at.Add(wait)
}

// barred says why a secret is not shown to any server now, or "".
func (p *pool) barred(secret string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &p.refused
	if r.times == 0 || r.secret != maphash.String(p.seed, secret) || !r.until.After(p.now()) {
		return ""
	}
	return fmt.Sprintf("%s refused it at %s, and it is not tried again before %s or until it changes, so that the account is not locked; a run by hand tries it at once",
		r.server, r.at.UTC().Format(time.RFC3339), r.until.UTC().Format(time.RFC3339))
}

// admit notes that the secret was taken.
func (p *pool) admit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = refusal{}
}

// servers returns the servers of a source in the order of preference, and what went
// wrong with finding them.
func (s *Source) servers(ctx context.Context) ([]server, []error) {
	var list []server
	var failed []error
	rank := 0
	for _, raw := range s.cfg.URLs {
		for _, one := range s.leads(ctx, raw, &failed) {
			one.rank += rank
			if !slices.ContainsFunc(list, func(o server) bool { return o.url == one.url }) {
				list = append(list, one)
			}
		}
		if n := len(list); n > 0 {
			rank = list[n-1].rank + 1
		}
	}
	return list, failed
}

// leads returns the servers that one URL leads to.
func (s *Source) leads(ctx context.Context, raw string, failed *[]error) []server {
	a, err := parseURL(raw)
	if err != nil || !a.srv {
		return []server{{url: raw}} // New has refused what is no URL
	}
	limited, cancel := context.WithTimeout(ctx, s.cfg.Timeouts.Connect)
	defer cancel()
	d, err := s.discover(limited, a)
	if err == nil {
		s.pool.remember(raw, d.servers)
		return d.servers
	}
	*failed = append(*failed, err)
	old := s.pool.recalled(raw)
	if len(old) > 0 {
		s.log.WarnContext(ctx, "DNS does not answer; the servers that it last named are used", "domain", a.host, "err", err)
	}
	return old
}

// Servers implements [sync.Fleet].
func (s *Source) Servers() []sync.ServerState {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]sync.ServerState, 0, len(p.listed))
	now := p.now()
	for _, one := range p.listed {
		st := p.standing(one.url)
		out = append(out, sync.ServerState{
			Server: one.url, Used: one.url == p.last, LeftOut: st.until.After(now), Failures: st.failures,
		})
	}
	return out
}

func (c *Config) validateFailover(p *config.Problems) {
	f := &c.Failover
	if f.LeaveOut < 0 {
		p.Add("leave_out", "must be positive, such as 1m")
	}
	if f.LeaveOutMost < f.LeaveOut {
		p.Add("leave_out_most", "must not be less than leave_out")
	}
	if f.ReturnAfter < 0 {
		p.Add("return_after", "must be positive, such as 10m")
	}
}
