package ldap

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asked runs requests that take the given time and bring so many entries, and returns
// when each began.
func asked(t *testing.T, p pace, takes time.Duration, entries ...int) []time.Duration {
	t.Helper()
	start := time.Now()
	var begun []time.Duration
	for _, n := range entries {
		if err := p.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		begun = append(begun, at.Sub(start))
		time.Sleep(takes)
		p.took(at, n)
	}
	return begun
}

func TestPace(t *testing.T) {
	for name, c := range map[string]struct {
		config  Config
		takes   time.Duration
		entries []int
		want    []time.Duration
	}{
		"no limit":              {Config{}, time.Second, []int{1000, 1000, 0}, []time.Duration{0, time.Second, 2 * time.Second}},
		"requests":              {Config{RequestsPerSecond: 2}, 0, []int{1000, 0, 1}, []time.Duration{0, 500 * time.Millisecond, time.Second}},
		"slow answers pay":      {Config{RequestsPerSecond: 2}, 3 * time.Second, []int{1, 1}, []time.Duration{0, 3 * time.Second}},
		"entries":               {Config{EntriesPerSecond: 500}, 100 * time.Millisecond, []int{1000, 250, 0}, []time.Duration{0, 2 * time.Second, 2500 * time.Millisecond}},
		"the stricter of both":  {Config{RequestsPerSecond: 1, EntriesPerSecond: 500}, 0, []int{1000, 1, 1}, []time.Duration{0, 2 * time.Second, 3 * time.Second}},
		"an empty page is free": {Config{EntriesPerSecond: 1}, 0, []int{0, 0, 2, 0}, []time.Duration{0, 0, 0, 2 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if diff := cmp.Diff(c.want, asked(t, c.config.pace(), c.takes, c.entries...)); diff != "" {
					t.Errorf("requests begin at (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAPauseEndsWithTheRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("the daemon stops")
		p := (&Config{RequestsPerSecond: 0.1}).pace()
		if err := p.begin(ctx); err != nil {
			t.Fatal(err)
		}
		go cancel(stop)
		if err := p.begin(ctx); !errors.Is(err, stop) {
			t.Errorf("begin = %v, want %v", err, stop)
		}
	})
}

// TestPagesAreAskedForAtThePace notes when a server is asked for each page, by the clock
// of a bubble.
func TestPagesAreAskedForAtThePace(t *testing.T) {
	// What it listens with cannot be in a bubble, and is not used.
	src := scripted(t, nil, func(c *Config) { c.EntriesPerSecond = 2 })
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		src.dial = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go serve(theirs, func(q question) [][]byte {
				at = append(at, time.Since(start))
				return people(5)(q)
			})
			return ours, nil
		}
		c, err := src.connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		var n tally
		h := (&seen{}).handler()
		for _, g := range src.cfg.Users.regions([]string{"uid"}) {
			if _, err := src.sweep(t.Context(), c, g, h, &n, func() {}); err != nil {
				t.Fatal(err)
			}
		}
		// The root entry is one, too.
		half := 500 * time.Millisecond
		if diff := cmp.Diff([]time.Duration{half, 3 * half, 5 * half}, at); diff != "" {
			t.Errorf("pages are asked for at (-want +got):\n%s", diff)
		}
	})
}
