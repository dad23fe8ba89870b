package ldap

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// hand is a pool whose clock is set by hand and that never jitters.
type hand struct {
	*pool
	at time.Time
}

func newHand() *hand {
	h := &hand{at: time.Unix(1700000000, 0)}
	h.pool = newPool((&Config{}).Expanded().Failover, func() time.Time { return h.at })
	h.jitter = func() float64 { return 0.5 }
	return h
}

func (h *hand) later(d time.Duration) { h.at = h.at.Add(d) }

// tries returns the order in which a choice tries servers, those left out after a bar.
func tries(c choice) string {
	var b strings.Builder
	for _, s := range c.first {
		b.WriteString(s.url)
	}
	if len(c.later) > 0 {
		b.WriteString("|")
	}
	for _, s := range c.later {
		b.WriteString(s.url)
	}
	if len(c.better) > 0 {
		b.WriteString("?")
	}
	for _, s := range c.better {
		b.WriteString(s.url)
	}
	return b.String()
}

var errDown = errors.New("connection refused")

func abc() []server { return []server{{url: "a"}, {url: "b", rank: 1}, {url: "c", rank: 2}} }

func TestAFailedServerIsLeftOutForLonger(t *testing.T) {
	h := newHand()
	var got []time.Duration
	for range 8 {
		h.failed("a", errDown)
		got = append(got, h.by["a"].until.Sub(h.at))
		if c := tries(h.choose(abc(), route{})); c != "bc|a" {
			t.Fatalf("after a failure %q is tried, want a only when the others fail", c)
		}
		h.later(got[len(got)-1])
		if c := tries(h.choose(abc(), route{})); c != "abc" {
			t.Fatalf("after the time %q is tried, want a first", c)
		}
	}
	m := time.Minute
	if diff := cmp.Diff([]time.Duration{m, 2 * m, 4 * m, 8 * m, 16 * m, 30 * m, 30 * m, 30 * m}, got); diff != "" {
		t.Errorf("left out for (-want +got):\n%s", diff)
	}
	h.answered("a")
	h.failed("a", errDown)
	if d := h.by["a"].until.Sub(h.at); d != m {
		t.Errorf("after it has answered, a failure leaves it out for %v, want %v", d, m)
	}
}

func TestJitterKeepsReplicasOutOfStep(t *testing.T) {
	h := newHand()
	for part, want := range map[float64]time.Duration{0: 48 * time.Second, 0.5: time.Minute, 0.999999: 72 * time.Second} {
		h.jitter = func() float64 { return part }
		h.by = map[string]*standing{}
		h.failed("a", errDown)
		if got := h.by["a"].until.Sub(h.at).Round(time.Second); got != want {
			t.Errorf("with %v it is left out for %v, want %v", part, got, want)
		}
	}
}

func TestAllServersLeftOutAreTried(t *testing.T) {
	h := newHand()
	h.failed("a", errDown)
	h.failed("a", errDown)
	h.failed("b", errDown)
	h.failed("c", errDown)
	h.by["c"].until = h.by["c"].until.Add(time.Second)
	if c := tries(h.choose(abc(), route{})); c != "|bca" {
		t.Errorf("%q is tried, want all, the one that returns first at first", c)
	}
}

// TestStickiness follows one source through a failure of its preferred server.
func TestStickiness(t *testing.T) {
	h := newHand()
	step := func(what string, to route, want string) {
		t.Helper()
		if got := tries(h.choose(abc(), to)); got != want {
			t.Errorf("%s: %q is tried, want %q", what, got, want)
		}
	}
	changes, whole := route{after: "b"}, route{whole: true}
	step("at first", route{}, "abc")
	h.failed("a", errDown)
	step("a has failed", changes, "bc|a")
	h.answered("b")
	h.use("b")
	h.later(2 * time.Minute)
	step("a may answer again", changes, "bac?a")
	step("for another purpose than a cursor's", route{}, "bac?a")
	step("a full read", whole, "abc")
	h.answered("a")
	h.later(9 * time.Minute)
	step("a answers, not for long", changes, "bac?a")
	h.failed("a", errDown)
	step("and fails again", changes, "bc|a")
	h.later(5 * time.Minute)
	h.answered("a")
	h.later(5 * time.Minute)
	h.answered("a")
	h.later(5 * time.Minute)
	step("a has answered for a while", changes, "abc")
	step("a cursor of a server that is not in the list", route{after: "z"}, "abc")
}

func TestServersOfOneRankAreNotReturnedTo(t *testing.T) {
	h := newHand()
	list := []server{{url: "a"}, {url: "b"}, {url: "c", rank: 1}}
	h.answered("a")
	h.later(time.Hour)
	if c := tries(h.choose(list, route{after: "b"})); c != "bac" {
		t.Errorf("%q is tried, want b and no look at a, which is as good", c)
	}
	if c := tries(h.choose(list, route{after: "c"})); c != "abc" {
		t.Errorf("%q is tried, want a, which has answered for an hour", c)
	}
}

func TestServersThatAreGoneAreForgotten(t *testing.T) {
	h := newHand()
	h.failed("a", errDown)
	for i := range 5 * mostFound {
		h.choose([]server{{url: "a"}, {url: fmt.Sprint("pod", i)}}, route{})
	}
	if len(h.by) > 4*mostFound+2 {
		t.Errorf("%d servers are remembered", len(h.by))
	}
	if h.by["a"].failures != 1 {
		t.Error("one that is there is forgotten")
	}
}

// TestChoicesLoseNobody holds any history to three laws: every server is tried exactly
// once, none that is left out comes before one that is not, and one that was just read
// from and has not failed comes first when a read goes on from it.
func TestChoicesLoseNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHand()
		list := []server{{url: "a"}, {url: "b"}, {url: "c", rank: 1}, {url: "d", rank: 2}}
		url := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				h.failed(url.Draw(t, "failed"), errDown)
			case 1:
				h.answered(url.Draw(t, "answered"))
			case 2:
				h.later(time.Duration(rapid.IntRange(0, 2000).Draw(t, "seconds")) * time.Second)
			case 3:
				h.use(url.Draw(t, "used"))
			}
			to := route{after: rapid.SampledFrom([]string{"", "a", "b", "c", "d", "z"}).Draw(t, "after"), whole: rapid.Bool().Draw(t, "whole")}
			c := h.choose(list, to)
			times := map[string]int{}
			for _, s := range c.first {
				times[s.url]++
				if h.by[s.url].until.After(h.at) {
					t.Fatalf("%s is tried first although it is left out", s.url)
				}
			}
			for _, s := range c.later {
				times[s.url]++
				if !h.by[s.url].until.After(h.at) {
					t.Fatalf("%s is tried late although it is not left out", s.url)
				}
			}
			if len(times) != 4 || len(c.first)+len(c.later) != 4 {
				t.Fatalf("%q is tried, want every server once", tries(c))
			}
			if stays := to.after; !to.whole && stays != "" && stays != "z" && len(c.first) > 0 && c.first[0].url != stays {
				since := h.by[c.first[0].url].since
				if !h.by[stays].until.After(h.at) && (since.IsZero() || h.at.Sub(since) < h.rules.ReturnAfter) {
					t.Fatalf("%q is tried, want to stay with %s", tries(c), stays)
				}
			}
		}
	})
}

// TestARefusedSecretIsShownSeldom counts how often a schedule of every minute would
// show a wrong password within half an hour: fewer times than accounts are locked at.
func TestARefusedSecretIsShownSeldom(t *testing.T) {
	h := newHand()
	shown := 0
	for range 30 {
		if h.barred("wrong") == "" {
			shown++
			h.refuse("a", "wrong")
		}
		h.later(time.Minute)
	}
	if shown != 3 {
		t.Errorf("it was shown %d times, want at 0, 5 and 15 minutes", shown)
	}
	if why := h.barred("wrong"); !strings.Contains(why, "not locked") || strings.Contains(why, "wrong") {
		t.Errorf("the reason is %q", why)
	}
	if why := h.barred("another"); why != "" {
		t.Errorf("another secret is barred: %s", why)
	}
	h.refuse("a", "another")
	if d := h.refused.until.Sub(h.at); d != refusedFirst {
		t.Errorf("the first refusal of another bars it for %v, want %v", d, refusedFirst)
	}
	h.admit()
	if why := h.barred("another"); why != "" {
		t.Errorf("a secret that was taken is barred: %s", why)
	}
	for range 70 {
		h.refuse("a", "wrong")
	}
	if d := h.refused.until.Sub(h.at); d != refusedMost {
		t.Errorf("after 70 refusals it is barred for %v, want %v", d, refusedMost)
	}
}
