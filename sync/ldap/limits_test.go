package ldap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	gosync "sync"
	"syscall"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/sync"
)

// sent reads what a server sends in answer to search 7 and returns how the connection
// ended, in our words.
func sent(t *testing.T, l limits, messages ...[]byte) (s seen, failure error) {
	t.Helper()
	d := newDivert(&wire{in: bytes.NewReader(bytes.Join(append(messages, message(7, doneOp(0))), nil))}, time.Minute, l)
	d.arm(s.handler())
	if _, err := d.Write(message(7, tlv(tagSearch))); err != nil {
		t.Fatal(err)
	}
	_, err := io.ReadAll(readerOf(d))
	if errors.Is(err, io.EOF) {
		err = nil // it sent all that it had
	}
	return s, err
}

func times(n int, b []byte) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = b
	}
	return out
}

// nested returns an element that reaches n levels down.
func nested(n int) []byte {
	b := []byte{tagInteger, 1, 0}
	for range n {
		b = tlv(tagSequence, b)
	}
	return b
}

// TestLimitsOfARead sends what just fits and what is one too much. The second ends the
// read and names the setting.
func TestLimitsOfARead(t *testing.T) {
	l := bounds(1 << 20)
	l.entries, l.references, l.depth = 3, 4, 10
	reference := message(7, tlv(tagReference, octets("ldap://a/dc=x"), octets("ldap://b/dc=x")))
	referral := func(n int) []byte {
		return message(7, tlv(tagDone, []byte{tagEnumerated, 1, 10}, octets(""), octets(""), tlv(tagReferrals, times(n, octets("ldap://c/"))...)))
	}
	for name, c := range map[string]struct {
		fits, not [][]byte
		setting   string
	}{
		"entries": {times(3, message(7, entryOp("cn=a"))), times(4, message(7, entryOp("cn=a"))), "max_entries"},
		"entries that are too large": {
			times(3, message(7, entryOp("cn=a", attribute("d", strings.Repeat("x", 2<<20))))),
			times(4, message(7, entryOp("cn=a", attribute("d", strings.Repeat("x", 2<<20))))), "max_entries",
		},
		"references":           {[][]byte{reference, reference}, [][]byte{reference, reference, message(7, tlv(tagReference, octets("ldap://a")))}, "max_referrals"},
		"referrals":            {[][]byte{reference, referral(2)}, [][]byte{reference, referral(3)}, "max_referrals"},
		"depth of a result":    {[][]byte{message(7, doneOp(0), nested(9))}, [][]byte{message(7, doneOp(0), nested(10))}, "max_depth"},
		"depth of a reference": {[][]byte{message(7, tlv(tagReference, nested(8)))}, [][]byte{message(7, tlv(tagReference, nested(9)))}, "max_depth"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := sent(t, l, c.fits...); err != nil {
				t.Errorf("what fits: %v", err)
			}
			_, err := sent(t, l, c.not...)
			if err == nil || !strings.Contains(err.Error(), c.setting) {
				t.Errorf("one more: %v, want that it is over %s", err, c.setting)
			}
		})
	}
}

// TestLimitsOfAnEntry shows that an entry over a limit is listed with the setting, and
// that the next one is taken.
func TestLimitsOfAnEntry(t *testing.T) {
	l := bounds(1 << 20)
	l.attributes, l.values, l.dn = 3, 5, 20
	for name, c := range map[string]struct {
		fits, not []byte
		setting   string
	}{
		"attributes":          {entryOp("cn=a", times(3, attribute("x"))...), entryOp("cn=a", times(4, attribute("x"))...), "max_attributes"},
		"values":              {entryOp("cn=a", attribute("x", "1", "2", "3"), attribute("y", "4", "5")), entryOp("cn=a", attribute("x", "1", "2", "3"), attribute("y", "4", "5", "6")), "max_values"},
		"values of one":       {entryOp("cn=a", attribute("x", "1", "2", "3", "4", "5")), entryOp("cn=a", attribute("x", "1", "2", "3", "4", "5", "6")), "max_values"},
		"distinguished name":  {entryOp("cn=" + strings.Repeat("a", 17)), entryOp("cn=" + strings.Repeat("a", 18)), "max_dn_bytes"},
		"size of the message": {entryOp("cn=a", attribute("x", strings.Repeat("y", 1<<20-42))), entryOp("cn=a", attribute("x", strings.Repeat("y", 1<<20-41))), "max_message_bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := sent(t, l, message(7, c.fits), message(7, c.not), message(7, entryOp("cn=next")))
			if err != nil {
				t.Fatal(err)
			}
			if len(s.entries) != 2 || !strings.HasPrefix(s.entries[1], "cn=next") {
				t.Errorf("%d entries were taken, want the one that fits and the next", len(s.entries))
			}
			if len(s.broken) != 1 || !strings.Contains(s.broken[0], c.setting) {
				t.Errorf("left out: %q, want one that is over %s", s.broken, c.setting)
			}
		})
	}
}

// TestDepthIsCountedWithoutRecursion measures a message that is nothing but beginnings.
func TestDepthIsCountedWithoutRecursion(t *testing.T) {
	deep := nested(3_000)
	if got := nesting(deep, 1<<30); got != 3_000 {
		t.Errorf("nesting = %d, want 3000", got)
	}
	if got := nesting(deep, 32); got != 33 {
		t.Errorf("nesting = %d, want that it stops at 33", got)
	}
	// Beside each other is not within each other, also at the end of an outer one.
	flat := tlv(tagSequence, tlv(tagSequence, nested(1)), nested(1), tlv(tagSequence))
	if got := nesting(append(flat, flat...), 32); got != 3 {
		t.Errorf("nesting = %d, want 3", got)
	}
}

func FuzzNesting(f *testing.F) {
	f.Add(nested(5), 3)
	f.Add(message(7, doneOp(0), nested(9)), 32)
	f.Add([]byte{tagSequence, 0x84, 0xff, 0xff, 0xff, 0xff}, 1)
	f.Add([]byte{tagSequence, 0x80, 0, 0}, 1)
	f.Fuzz(func(t *testing.T, b []byte, most int) {
		if got := nesting(b, most); got < 0 || got > max(most, 0)+1 || got > len(b)/2 {
			t.Fatalf("nesting(%x, %d) = %d", b, most, got)
		}
	})
}

// TestLimitsReachTheRead shows that a read ends with the limit's own words, and that
// what was learnt until then is thrown away.
func TestLimitsReachTheRead(t *testing.T) {
	for name, c := range map[string]struct {
		script script
		change func(*Config)
		words  string
	}{
		// The root entry is one, too.
		"entries": {people(5), func(c *Config) { c.MaxEntries = 5 }, "more than 5 entries in one read; if that is right, raise max_entries"},
		"referrals": {func(q question) [][]byte {
			return append(times(6, message(q.id, tlv(tagReference, octets("ldap://elsewhere/dc=y")))), q.page(""))
		}, func(c *Config) { c.MaxReferrals = 5 }, "more than 5 referrals in one read; if that is right, raise max_referrals"},
		"depth": {func(q question) [][]byte { return [][]byte{message(q.id, doneOp(0), nested(50))} }, nil, "raise max_depth"},
		"time":  {endless(), func(c *Config) { c.Timeouts.Read, c.RequestsPerSecond = 50*time.Millisecond, 50 }, "not over after 50ms; if that is right, raise timeouts.read"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := scripted(t, c.script, c.change).Pull(t.Context(), sync.PullRequest{})
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("Pull = %v, %v, want an error with %q", o, err, c.words)
			}
		})
	}
	o, err := scripted(t, people(5), func(c *Config) { c.MaxEntries = 6 }).Pull(t.Context(), sync.PullRequest{})
	if err != nil || len(o.Users) != 5 {
		t.Errorf("Pull = %v, %v, want all five, which just fit", o, err)
	}
}

// endless never comes to an end, and never keeps quiet: each page brings one person.
func endless() script {
	return func(q question) [][]byte {
		var at int
		_, _ = fmt.Sscan(q.cookie, &at)
		return [][]byte{person(q, at), q.page(fmt.Sprint(at + 1))}
	}
}

// TestATrickleEnds reads from a server that never keeps quiet and never says anything.
func TestATrickleEnds(t *testing.T) {
	begun := []byte{tagSequence, 0x84, 3, 0, 0, 0} // of 48 MiB
	src := scripted(t, nil, func(c *Config) { c.Timeouts.Read = 50 * time.Millisecond })
	var server gosync.WaitGroup
	src.dial = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		server.Go(func() {
			serve(theirs, func(question) [][]byte {
				_, err := theirs.Write(begun)
				for ; err == nil; time.Sleep(time.Millisecond) {
					_, err = theirs.Write([]byte{0})
				}
				return nil
			})
		})
		return ours, nil
	}
	_, err := src.Pull(t.Context(), sync.PullRequest{})
	if err == nil || !strings.Contains(err.Error(), "raise timeouts.read") {
		t.Errorf("Pull = %v, want that the read took too long", err)
	}
	server.Wait()
}

// TestLimitsAreWithinReason goes through settings that are refused.
func TestLimitsAreWithinReason(t *testing.T) {
	for at, change := range map[string]func(*Config){
		"max_message_bytes":   func(c *Config) { c.MaxMessageBytes = 1 << 31 },
		"max_entries":         func(c *Config) { c.MaxEntries = -1 },
		"max_attributes":      func(c *Config) { c.MaxAttributes = 15 },
		"max_values":          func(c *Config) { c.MaxValues = 999 },
		"max_dn_bytes":        func(c *Config) { c.MaxDNBytes = 1 },
		"max_depth":           func(c *Config) { c.MaxDepth = 1001 },
		"max_referrals":       func(c *Config) { c.MaxReferrals = -5 },
		"requests_per_second": func(c *Config) { c.RequestsPerSecond = 0.01 },
		"entries_per_second":  func(c *Config) { c.EntriesPerSecond = -1 },
		"timeouts.read":       func(c *Config) { c.Timeouts.Read = -time.Second },
	} {
		var c Config
		change(&c)
		var p config.Problems
		c.Validate(&p)
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), at+":") {
			t.Errorf("%s is not refused: %v", at, err)
		}
	}
}

// TestConnectionsAreKeptAlive looks at the socket that a source uses.
func TestConnectionsAreKeptAlive(t *testing.T) {
	var raw *net.TCPConn
	c := scripted(t, people(1), nil)
	inner := (&net.Dialer{KeepAlive: -1}).DialContext
	c.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := inner(ctx, network, address)
		raw, _ = conn.(*net.TCPConn)
		return conn, err
	}
	s, err := c.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	rc, err := raw.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	err = rc.Control(func(fd uintptr) {
		got["on"], _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
		got["idle"], _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE)
		got["count"], _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT)
	})
	if err != nil || got["on"] != 1 || got["idle"] != 30 || got["count"] != 3 {
		t.Errorf("the socket has %v, %v, want keepalive after 30 s, three times", got, err)
	}
}

// TestGarbageNeverPanics reads random bytes behind a sound beginning, with low limits.
func TestGarbageNeverPanics(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	l := bounds(64 << 10)
	l.values, l.attributes, l.depth = 4, 2, 8
	for range 3_000 {
		body := make([]byte, r.IntN(60))
		for i := range body {
			body[i] = []byte{tagSequence, tagSet, tagOctets, tagEntry, tagReference, tagReferrals, 0, 1, 2, 3, 5, 9, 0x81, 0xff}[r.IntN(14)]
		}
		s, _ := sent(t, l, message(7, tlv(tagEntry, body)), message(7, tlv(tagReference, body)))
		if len(s.entries)+len(s.broken) != 1 {
			t.Fatalf("%x: %d entries and %d that were left out, want one of them", body, len(s.entries), len(s.broken))
		}
	}
}
