package access

import (
	"container/list"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
)

// LimitsConfig is the section "limits" of the configuration.
type LimitsConfig struct {
	// PerKey is how often one person may ask, with each of his keys.
	PerKey Bucket `yaml:"per_key"`
	// PerService is how often one application may ask, with each of its keys.
	PerService Bucket `yaml:"per_service"`
	// PerSource is how often an identity provider may push, with each of its tokens.
	PerSource Bucket `yaml:"per_source"`
	// Failures is how often one address may present what does not count.
	Failures Bucket `yaml:"failures"`
}

// Bucket is a limit: Burst at once, and Rate a second over time. A Rate of 0 is no
// limit.
type Bucket struct {
	Rate  float64 `yaml:"rate"`
	Burst int     `yaml:"burst"`
}

// DefaultLimits returns the limits of an installation that says nothing: far above
// what people and their scripts do. Applications have none: they may have to decide
// with every request of theirs, and how many those are nobody knows here.
func DefaultLimits() LimitsConfig {
	return LimitsConfig{PerKey: Bucket{Rate: 1000, Burst: 5000}, Failures: Bucket{Rate: 0.1, Burst: 20}}
}

// Validate reports everything that is wrong with the section.
func (c *LimitsConfig) Validate(p *config.Problems) {
	c.PerKey.validate(p.In("per_key"))
	c.PerService.validate(p.In("per_service"))
	c.PerSource.validate(p.In("per_source"))
	c.Failures.validate(p.In("failures"))
}

func (b *Bucket) validate(p *config.Problems) {
	switch {
	case b.Rate < 0 || math.IsNaN(b.Rate) || math.IsInf(b.Rate, 0):
		p.Add("rate", "%v is not a number of requests a second; 0 is no limit", b.Rate)
	case b.Rate > 0 && b.Burst < 1:
		p.Add("burst", "%d lets nobody ask: at least 1", b.Burst)
	}
}

// TooMany is the cause of a refusal: somebody asks too often.
type TooMany struct{ RetryAfter time.Duration }

// Error says how long to wait.
func (t *TooMany) Error() string { return fmt.Sprintf("wait %v", t.RetryAfter) }

// Seconds returns the wait as the header Retry-After says it: whole seconds, at least
// one.
func (t *TooMany) Seconds() int { return max(1, int(math.Ceil(t.RetryAfter.Seconds()))) }

// Limiter keeps one key or one address from asking too often. It may be used
// concurrently. A nil Limiter limits nothing.
type Limiter struct {
	now      func() time.Time
	keys     *buckets
	services *buckets
	sources  *buckets
	failures *buckets
}

// maxBuckets bounds what a limiter remembers of each kind. Whoever is forgotten, the
// one who has not asked for the longest, begins anew.
const maxBuckets = 10_000

// NewLimiter returns a limiter. now may be nil.
func NewLimiter(c LimitsConfig, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{
		now: now, keys: newBuckets(c.PerKey, maxBuckets), services: newBuckets(c.PerService, maxBuckets),
		sources:  newBuckets(c.PerSource, maxBuckets),
		failures: newBuckets(c.Failures, maxBuckets),
	}
}

// Request counts a request of a known caller, by the credential that he is known by.
// Its error has a *[TooMany] as its cause.
func (l *Limiter) Request(c Caller) error {
	if l == nil {
		return nil
	}
	of, setting := l.keys, "limits.per_key"
	switch c.Kind {
	case KindService:
		of, setting = l.services, "limits.per_service"
	case KindPush:
		of, setting = l.sources, "limits.per_source"
	case KindKey, KindBootstrap, KindSigned:
	}
	if of.limit.Rate <= 0 {
		return nil
	}
	key := c.Token
	if key == "" { // a signed token has no id that lasts
		key = c.User.String()
	}
	wait := of.take(key, l.now())
	if wait == 0 {
		return nil
	}
	return tooMany(wait, "this key asks more often than it may ("+setting+")")
}

// Failure counts a credential from remote ("host:port") that does not count. Its error
// has a *[TooMany] as its cause. Who presents one that counts is not asked about
// failures: a secret is too long to be tried, and behind a proxy everybody has one
// address, from which no stranger may lock the others out.
func (l *Limiter) Failure(remote string) error {
	if l == nil || l.failures.limit.Rate <= 0 {
		return nil
	}
	wait := l.failures.take(network(remote), l.now())
	if wait == 0 {
		return nil
	}
	return tooMany(wait, "too many credentials from this address did not count (limits.failures)")
}

func tooMany(wait time.Duration, what string) error {
	t := &TooMany{RetryAfter: wait}
	return fault.New(fault.Unavailable, "rate_limited", "%s; try again in %d s: %w", what, t.Seconds(), t)
}

// network returns whom an address belongs to: of IPv6 the 64 bits that one customer
// gets at least.
func network(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	ip := at.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	p, _ := ip.Prefix(64) // 64 bits fit
	return p.String()
}

// buckets is a bounded set of token buckets.
type buckets struct {
	limit Bucket
	most  int

	mu    sync.Mutex
	byKey map[string]*list.Element // guarded by mu
	used  *list.List               // of *bucket, the last used in front; guarded by mu
}

type bucket struct {
	key string
	*rate.Limiter
}

func newBuckets(b Bucket, most int) *buckets {
	return &buckets{limit: b, most: most, byKey: map[string]*list.Element{}, used: list.New()}
}

// take takes one token of key's bucket, or returns how long it takes until there is
// one again.
func (b *buckets) take(key string, now time.Time) time.Duration {
	r := b.of(key).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now) // a refusal costs nothing: it must not put the end off
	}
	return wait
}

func (b *buckets) of(key string) *bucket {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.byKey[key]; ok {
		b.used.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if b.used.Len() >= b.most {
		oldest := b.used.Back()
		delete(b.byKey, oldest.Value.(*bucket).key)
		b.used.Remove(oldest)
	}
	n := &bucket{key, rate.NewLimiter(rate.Limit(b.limit.Rate), b.limit.Burst)}
	b.byKey[key] = b.used.PushFront(n)
	return n
}
