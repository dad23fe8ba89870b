package sink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var tester = audit.Actor{Kind: audit.ActorUser, ID: "u1", Name: "ann"}

// world is a store with a log, and what keeps it.
type world struct {
	t       *testing.T
	store   *mem.Store
	db      *state.DB
	log     *lockedBuffer
	metrics *prometheus.Registry

	mu  sync.Mutex
	now time.Time // guarded by mu
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, store: mem.New(), log: &lockedBuffer{}, now: time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)}
	db, err := state.Open(t.Context(), state.Options{Store: w.store, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	w.db = db
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- db.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Millisecond)
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// keeper returns a Keeper that does not wait long before it tries again.
func (w *world) keeper(o Options) *Keeper {
	w.t.Helper()
	w.metrics = prometheus.NewRegistry()
	o.DB, o.Now, o.Metrics = w.db, w.clock, w.metrics
	o.Log = slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	k, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range k.carriers {
		c.pause = time.Millisecond
	}
	return k
}

func (w *world) lead() store.Term {
	w.t.Helper()
	term, err := w.store.Lead(context.Background(), "test", "me")
	if err != nil {
		w.t.Fatal(err)
	}
	return term
}

// run runs a Keeper for a term, until stop is called.
func (w *world) run(k *Keeper) (stop func()) {
	w.t.Helper()
	term := w.lead()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx, term.Fence()) }()
	return func() {
		w.t.Helper()
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
		if err := term.Resign(context.Background()); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) note(action, name string) {
	w.t.Helper()
	e := audit.Event{Action: action, Target: "test/" + name, Name: name}
	if _, err := w.db.Commit(context.Background(), tester, state.Note{Event: e}); err != nil {
		w.t.Fatal(err)
	}
}

// all returns the log.
func (w *world) all() []audit.Envelope {
	w.t.Helper()
	page, err := w.db.AuditEntries(context.Background(), state.AuditQuery{})
	if err != nil {
		w.t.Fatal(err)
	}
	out := make([]audit.Envelope, len(page.Entries))
	for i := range out {
		out[i] = page.Entries[i].Envelope()
	}
	return out
}

// until waits until the sink has the log up to its end.
func (w *world) until(sink string) {
	w.t.Helper()
	for {
		head, err := w.db.AuditHead(w.t.Context())
		at, err2 := w.db.SinkCursor(w.t.Context(), sink)
		if err := errors.Join(err, err2); err != nil {
			w.t.Fatal(err)
		}
		if at.Rev >= head.Rev {
			return
		}
		wait(w.t.Context(), time.Millisecond)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// receiver is a webhook's other end.
type receiver struct {
	t      *testing.T
	server *httptest.Server
	ca     string
	keys   [][]byte

	mu     sync.Mutex
	got    []message                  // guarded by mu
	answer func(n int, id string) int // what the nth request gets; guarded by mu
	n      int                        // guarded by mu
}

func newReceiver(t *testing.T, keys ...[]byte) *receiver {
	t.Helper()
	r := &receiver{t: t, keys: keys, answer: func(int, string) int { return http.StatusNoContent }}
	r.server = httptest.NewTLSServer(r)
	t.Cleanup(r.server.Close)
	r.ca = filepath.Join(t.TempDir(), "ca.pem")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	if err := os.WriteFile(r.ca, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// ServeHTTP checks a request as a receiver has to, by the words of the standard.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Errorf("read: %v", err)
	}
	id, stamp := req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp")
	signatures := strings.Fields(req.Header.Get("webhook-signature"))
	if len(signatures) != len(r.keys) || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
		r.t.Errorf("request %s %v", req.Method, req.Header)
	}
	for i, key := range r.keys {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); i < len(signatures) && signatures[i] != want {
			r.t.Errorf("signature %d is %s, want %s", i, signatures[i], want)
		}
	}
	var m message
	if err := json.Unmarshal(body, &m); err != nil || m.Data.ID != id || len(body) > maxMessage {
		r.t.Errorf("message %s of %d bytes: %v", id, len(body), err)
	}
	r.mu.Lock()
	r.n++
	status := r.answer(r.n, id)
	if status < 300 {
		r.got = append(r.got, m)
	}
	r.mu.Unlock()
	if status == http.StatusFound {
		w.Header().Set("Location", "https://"+req.Host+"/elsewhere")
	}
	w.WriteHeader(status)
}

func (r *receiver) set(answer func(n int, id string) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) messages() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]message(nil), r.got...)
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// webhook returns the sink that sends to it.
func (r *receiver) webhook(name string) Sink {
	s := Sink{Name: name, Type: TypeWebhook, URL: r.server.URL + "/hook/canary-path", CAFile: r.ca, AllowNetworks: loopback}
	s.Secret = secretFile(r.t, r.keys[0])
	if len(r.keys) > 1 {
		s.PreviousSecret = secretFile(r.t, r.keys[1])
	}
	return s
}

func secretFile(t *testing.T, key []byte) config.SecretRef {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("whsec_"+base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.SecretRef{File: path}
}

var (
	key1 = []byte("canary-secret-of-32-bytes-number1")
	key2 = []byte("canary-secret-of-32-bytes-number2")
)

func readLines(t *testing.T, path string) []audit.Envelope {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []audit.Envelope
	for line := range bytes.Lines(b) {
		var e audit.Envelope
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: line %q: %v", path, line, err)
		}
		out = append(out, e)
	}
	return out
}

var isStale = func(err error) bool { return errors.Is(err, fault.Stale) }
