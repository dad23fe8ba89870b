package sink

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/audit"
)

func TestOnlyPublicAddressesAreConnectedTo(t *testing.T) {
	for _, c := range []struct {
		address string
		want    bool
	}{
		{"8.8.8.8:443", true},
		{"[2606:4700:4700::1111]:443", true},
		{"127.0.0.1:443", false},
		{"127.8.9.10:443", false},
		{"[::1]:443", false},
		{"[::ffff:127.0.0.1]:443", false},
		{"[::127.0.0.1]:443", false},
		{"0.0.0.0:443", false},
		{"0.1.2.3:443", false},
		{"[::]:443", false},
		{"10.1.2.3:443", false},
		{"172.16.0.1:443", false},
		{"172.32.0.1:443", true},
		{"192.168.1.1:443", false},
		{"[::ffff:192.168.1.1]:443", false},
		{"169.254.169.254:80", false}, // the metadata of most clouds
		{"[fd00:ec2::254]:80", false}, // that of AWS over IPv6
		{"100.100.100.200:80", false}, // that of Alibaba
		{"192.0.0.192:80", false},     // that of Oracle
		{"[fe80::1%eth0]:443", false},
		{"[fec0::1]:443", false},
		{"[fc00::1]:443", false},
		{"[64:ff9b::7f00:1]:443", false}, // 127.0.0.1 behind NAT64
		{"[2002:7f00:1::]:443", false},   // and behind 6to4
		{"[2001:0:1::1]:443", false},
		{"198.18.0.1:443", false},
		{"203.0.113.9:443", false},
		{"224.0.0.1:443", false},
		{"[ff02::1]:443", false},
		{"240.0.0.1:443", false},
		{"255.255.255.255:443", false},
		{"not an address", false},
	} {
		err := (&guard{}).control(t.Context(), "tcp", c.address, nil)
		if (err == nil) != c.want || err != nil && !errors.Is(err, errNotPublic) {
			t.Errorf("connect to %s: %v, want it allowed: %v", c.address, err, c.want)
		}
	}
	g := &guard{allowed: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for address, want := range map[string]bool{"10.1.2.3:1": true, "[::ffff:10.1.2.3]:1": true, "11.1.2.3:1": true, "127.0.0.1:1": false, "192.168.0.1:1": false} {
		if err := g.control(t.Context(), "tcp", address, nil); (err == nil) != want {
			t.Errorf("with 10.0.0.0/8 allowed: connect to %s: %v, want it allowed: %v", address, err, want)
		}
	}
}

// However an address is written, nothing arrives there.
func TestAWebhookDoesNotReachInside(t *testing.T) {
	r := newReceiver(t, key1)
	r.set(func(int, string) int { t.Error("the receiver was reached"); return http.StatusOK })
	_, port, _ := strings.Cut(strings.TrimPrefix(r.server.URL, "https://"), ":")
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0"} {
		s := r.webhook("hook")
		s.URL, s.AllowNetworks = "https://"+host+":"+port+"/", nil
		h, err := newWebhook(&s, newWorld(t).clock)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := h.take(t.Context(), []audit.Envelope{{ID: "1"}}); n != 0 || !errors.Is(err, errNotPublic) {
			t.Errorf("send to %s = %d, %v; want it refused", host, n, err)
		}
	}
}

func TestAWebhookFollowsNoRedirect(t *testing.T) {
	r := newReceiver(t, key1)
	r.set(func(n int, _ string) int {
		if n > 1 {
			t.Error("the redirect was followed")
		}
		return http.StatusFound
	})
	s := r.webhook("hook")
	h, err := newWebhook(&s, newWorld(t).clock)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := h.take(t.Context(), []audit.Envelope{{ID: "1"}}); n != 0 || err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("take = %d, %v; want that the receiver answered 302", n, err)
	}
	_ = h.close()
}

func TestAWebhookTellsNoSecretWhenItFails(t *testing.T) {
	r := newReceiver(t, key1)
	s := r.webhook("hook")
	r.server.Close()
	h, err := newWebhook(&s, newWorld(t).clock)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.take(t.Context(), []audit.Envelope{{ID: "1"}})
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("take = %v; want a failure that does not name the path", err)
	}
	s.Secret = secretFile(t, []byte("canary"))
	if _, err = h.take(t.Context(), []audit.Envelope{{ID: "1"}}); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("take with a bad secret = %v; want a failure that does not repeat it", err)
	}
}
