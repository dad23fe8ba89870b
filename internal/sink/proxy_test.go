package sink

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rollcall-id/rollcall/audit"
)

// newProxy returns a proxy that connects to one address whatever it is asked for, and
// what it was asked for.
func newProxy(t *testing.T, to string) (address string, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var list []string
	var tunnels sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		list = append(list, r.Method+" "+r.Host)
		mu.Unlock()
		out, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", to)
		if err != nil {
			t.Error(err)
			return
		}
		in, buffered, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, err = io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		}
		if err != nil {
			t.Error(err)
			return
		}
		// What the client has sent already is in the buffer.
		tunnels.Go(func() { _, _ = io.Copy(out, buffered); _ = out.Close() })
		tunnels.Go(func() { _, _ = io.Copy(in, out); _ = in.Close() })
	}))
	t.Cleanup(func() {
		s.Close()
		tunnels.Wait()
	})
	return s.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), list...)
	}
}

// TestAWebhookGoesOutThroughItsProxy sends through a proxy that the sink names, whose
// address is judged by a rule of its own, to a receiver that only the proxy reaches.
func TestAWebhookGoesOutThroughItsProxy(t *testing.T) {
	r := newReceiver(t, key1)
	_, port, _ := strings.Cut(strings.TrimPrefix(r.server.URL, "https://"), ":")
	proxy, asked := newProxy(t, "127.0.0.1:"+port)
	s := r.webhook("hook")
	s.URL, s.AllowNetworks = "https://example.com/hook", nil // the name that the receiver's certificate has
	s.Proxy = Proxy{URL: proxy}
	take := func() error {
		t.Helper()
		h, err := newWebhook(&s, newWorld(t).clock)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = h.close() }()
		_, err = h.take(t.Context(), []audit.Envelope{{ID: "1"}})
		return err
	}
	if err := take(); !errors.Is(err, errNotPublic) || len(asked()) != 0 {
		t.Errorf("through a proxy that is not public: %v, asked %v; want it refused", err, asked())
	}
	s.AllowNetworks = loopback // where a receiver may be says nothing of the proxy
	if err := take(); !errors.Is(err, errNotPublic) || len(asked()) != 0 {
		t.Errorf("with the proxy in the networks of receivers: %v, asked %v; want it refused", err, asked())
	}
	s.AllowNetworks, s.Proxy.Networks = nil, loopback
	if err := take(); err != nil || len(r.messages()) != 1 {
		t.Errorf("through the proxy: %v, %d messages; want one", err, len(r.messages()))
	}
	if got := asked(); len(got) != 1 || got[0] != "CONNECT example.com:443" {
		t.Errorf("the proxy was asked for %v", got)
	}
	for _, host := range []string{
		"127.0.0.1", "localhost", "a.localhost", "LOCALHOST.", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254", "2130706433", "0x7f000001", "127.1", "0177.0.0.1",
	} {
		s.URL = "https://" + host + ":" + port + "/"
		if err := take(); !errors.Is(err, errNotPublic) || len(asked()) != 1 {
			t.Errorf("%s through the proxy: %v, asked %v; want it refused here", host, err, asked())
		}
	}
	s.URL, s.AllowNetworks = "https://10.0.0.1/", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if err := take(); errors.Is(err, errNotPublic) || len(asked()) != 2 {
		t.Errorf("an allowed address through the proxy: %v, asked %v", err, asked())
	}
}

// TestTheEnvironmentNamesNoProxy keeps a variable of the process from leading entries
// past the guard.
func TestTheEnvironmentNamesNoProxy(t *testing.T) {
	var reached atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	t.Cleanup(proxy.Close)
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	r := newReceiver(t, key1)
	s := r.webhook("hook")
	for _, c := range []struct {
		url  string
		fine bool
	}{{s.URL, true}, {"https://receiver.invalid/", false}} {
		s.URL = c.url
		h, err := newWebhook(&s, newWorld(t).clock)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.take(t.Context(), []audit.Envelope{{ID: "1"}}); (err == nil) != c.fine {
			t.Errorf("send to %s: %v, want it to arrive: %v", c.url, err, c.fine)
		}
		_ = h.close()
	}
	if reached.Load() {
		t.Error("the proxy of the environment was used")
	}
}
