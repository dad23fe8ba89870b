package access

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
)

type clock struct{ now time.Time }

func newLimiter(c LimitsConfig) (*Limiter, *clock) {
	k := &clock{time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)}
	return NewLimiter(c, func() time.Time { return k.now }), k
}

func wantWait(t *testing.T, err error, want time.Duration) {
	t.Helper()
	m, ok := errors.AsType[*TooMany](err)
	if !ok || m.RetryAfter != want || !errors.Is(err, fault.Unavailable) || fault.Code(err) != "rate_limited" {
		t.Errorf("error %v, want rate_limited with a wait of %v", err, want)
	}
}

// At n it passes, at n+1 it is refused with the time after which it passes.
func TestRequests(t *testing.T) {
	l, k := newLimiter(LimitsConfig{PerKey: Bucket{Rate: 2, Burst: 3}})
	for range 3 {
		if err := l.Request(Caller{Token: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	// Refusals cost nothing: the wait stays the same however often one asks.
	for range 5 {
		wantWait(t, l.Request(Caller{Token: "a"}), 500*time.Millisecond)
	}
	if err := l.Request(Caller{Token: "b"}); err != nil {
		t.Errorf("another key: %v, want it to have a bucket of its own", err)
	}
	k.now = k.now.Add(500*time.Millisecond - time.Nanosecond)
	wantWait(t, l.Request(Caller{Token: "a"}), time.Nanosecond)
	k.now = k.now.Add(time.Nanosecond)
	if err := l.Request(Caller{Token: "a"}); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	k.now = k.now.Add(time.Hour)
	for range 3 {
		if err := l.Request(Caller{Token: "a"}); err != nil {
			t.Errorf("after a long pause: %v, want the whole burst again, and no more", err)
		}
	}
	wantWait(t, l.Request(Caller{Token: "a"}), 500*time.Millisecond)
}

func TestFailures(t *testing.T) {
	l, _ := newLimiter(LimitsConfig{Failures: Bucket{Rate: 0.1, Burst: 2}})
	for _, from := range []string{"192.0.2.1:5", "[::ffff:192.0.2.1]:6"} { // one address
		if err := l.Failure(from); err != nil {
			t.Fatal(err)
		}
	}
	wantWait(t, l.Failure("192.0.2.1:7"), 10*time.Second)
	if err := l.Failure("192.0.2.2:7"); err != nil {
		t.Errorf("another address: %v", err)
	}
	// One customer has 2^64 addresses.
	for i := range 2 {
		if err := l.Failure(fmt.Sprintf("[2001:db8::%d]:7", i)); err != nil {
			t.Fatal(err)
		}
	}
	wantWait(t, l.Failure("[2001:db8::ffff:1]:7"), 10*time.Second)
	if err := l.Failure("[2001:db8:0:1::1]:7"); err != nil {
		t.Errorf("another network: %v", err)
	}
	if err := l.Request(Caller{Token: "a"}); err != nil {
		t.Errorf("a limit of 0 is none: %v", err)
	}
}

// People, applications and who comes with a signed token are counted apart.
func TestWhoIsLimited(t *testing.T) {
	l, _ := newLimiter(LimitsConfig{PerKey: Bucket{Rate: 1, Burst: 1}})
	ann, bob := Caller{User: identity.NewUserID(), Kind: KindSigned}, Caller{User: identity.NewUserID(), Kind: KindSigned}
	service := Caller{User: ann.User, Kind: KindService, Token: "x"}
	for _, c := range []Caller{ann, bob, service, service, {Kind: KindKey, Token: "x"}} {
		if err := l.Request(c); err != nil {
			t.Errorf("Request(%+v) = %v", c, err)
		}
	}
	wantWait(t, l.Request(ann), time.Second)
	l, _ = newLimiter(LimitsConfig{PerService: Bucket{Rate: 2, Burst: 1}})
	if err := errors.Join(l.Request(service), l.Request(ann), l.Request(ann)); err != nil {
		t.Errorf("a limit of applications alone: %v", err)
	}
	wantWait(t, l.Request(service), time.Second/2)
}

func TestSeconds(t *testing.T) {
	for wait, want := range map[time.Duration]int{
		time.Nanosecond: 1, time.Second: 1, time.Second + 1: 2, 10 * time.Second: 10, 0: 1,
	} {
		if got := (&TooMany{RetryAfter: wait}).Seconds(); got != want {
			t.Errorf("Seconds of %v = %d, want %d", wait, got, want)
		}
	}
}

// However many keys there are, the limiter stays small, and forgets who has not asked
// for the longest.
func TestBuckets(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	b := newBuckets(Bucket{Rate: 1, Burst: 1}, 100)
	b.take("often", now)
	for i := range 10_000 {
		b.take(fmt.Sprint(i), now)
		if wait := b.take("often", now); wait == 0 {
			t.Fatal("who asks all the time was forgotten")
		}
	}
	if len(b.byKey) != 100 || b.used.Len() != 100 {
		t.Errorf("remembers %d and %d, want 100", len(b.byKey), b.used.Len())
	}
	if wait := b.take("0", now); wait != 0 {
		t.Errorf("who was forgotten waits %v, want to begin anew", wait)
	}
}

func TestLimiterTogether(t *testing.T) {
	l, _ := newLimiter(LimitsConfig{PerKey: Bucket{Rate: 1, Burst: 500}})
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if l.Request(Caller{Token: "a"}) == nil {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if passed != 500 {
		t.Errorf("%d of 1600 requests passed at once, want the burst of 500", passed)
	}
	var none *Limiter
	if none.Request(Caller{Token: "a"}) != nil || none.Failure("b") != nil {
		t.Error("no limiter limits nothing")
	}
}

func TestLimitsConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*LimitsConfig)
		want   string
	}{
		"the defaults": {func(*LimitsConfig) {}, ""},
		"none":         {func(c *LimitsConfig) { *c = LimitsConfig{} }, ""},
		"backwards":    {func(c *LimitsConfig) { c.PerKey.Rate = -1 }, "per_key.rate"},
		"nobody":       {func(c *LimitsConfig) { c.Failures.Burst = 0 }, "failures.burst"},
	} {
		t.Run(name, func(t *testing.T) {
			c := DefaultLimits()
			tt.change(&c)
			p := &config.Problems{}
			c.Validate(p)
			err := p.Err()
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want+":") {
				t.Errorf("Validate = %v, want a problem at %q", err, tt.want)
			}
		})
	}
}
