package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
)

// pending is a request whose body is not sent whole.
type pending struct {
	body *io.PipeWriter
	done chan error // the status, as an error unless it is 200
}

// hang begins a request that the daemon works on until its body is finished.
func (d *running) hang() *pending {
	d.t.Helper()
	r, w := io.Pipe()
	p := &pending{w, make(chan error, 1)}
	working := make(chan struct{})
	// The server asks for the body once a handler reads it: then the request is under way.
	ctx := httptrace.WithClientTrace(context.WithoutCancel(d.t.Context()), &httptrace.ClientTrace{Got100Continue: func() { close(working) }})
	req, err := http.NewRequestWithContext(ctx, "POST", d.URL()+"/v1/check", r)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Expect", "100-continue")
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute, DisableKeepAlives: true}}
	go func() {
		resp, err := client.Do(req)
		if err == nil {
			if resp.StatusCode != 200 {
				err = errors.New(resp.Status)
			}
			_ = resp.Body.Close()
		}
		p.done <- err
	}()
	select {
	case <-working:
	case err := <-p.done:
		d.t.Fatalf("the request ended before its body was sent: %v", err)
	}
	return p
}

// begun starts to stop the daemon and returns once it says that it stops.
func (d *running) begun(ctx context.Context) <-chan error {
	d.t.Helper()
	stopped := make(chan error, 1)
	go func() { stopped <- d.Stop(ctx) }()
	for !d.health.stopping.Load() {
		time.Sleep(time.Millisecond)
	}
	return stopped
}

func TestStoppingAnswersWhatIsUnderWay(t *testing.T) {
	c := company(t)
	d := start(t, write(t, c, t.TempDir(), ""))
	d.bootstrapped()
	get(t, d.HealthURL()+"/readyz", 200)
	p := d.hang()
	stopped := d.begun(t.Context())
	var ready struct {
		Ready  bool
		Checks []check
	}
	if err := json.Unmarshal([]byte(get(t, d.HealthURL()+"/readyz", 503)), &ready, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if ready.Ready || len(ready.Checks) == 0 || ready.Checks[0] != (check{Name: "serving"}) {
		t.Errorf("while stopping it says %+v, want that it does not serve", ready)
	}
	get(t, d.HealthURL()+"/livez", 200) // it is not to be killed for it
	for {                               // nobody new is let in, as soon as the listener is closed
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.URL(), "http://"))
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("Stop = %v before the request was answered", err)
	default:
	}
	if _, err := io.WriteString(p.body, `{"user":"root","permission":"USER_ADMIN"}`); err != nil {
		t.Fatal(err)
	}
	_ = p.body.Close()
	if err := <-p.done; err != nil {
		t.Errorf("the request under way ended with %v, want an answer", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop = %v", err)
	}
}

// TestStoppingIsBounded stops a daemon while a client does not come to an end.
func TestStoppingIsBounded(t *testing.T) {
	c := company(t)
	dir := t.TempDir()
	d := start(t, write(t, c, dir, ""))
	d.bootstrapped()
	d.sync("halyard")
	p := d.hang()
	ctx, cancel := context.WithCancel(t.Context())
	stopped := d.begun(ctx)
	cancel() // the time that it may take is over
	err := <-stopped
	if err == nil || !strings.Contains(err.Error(), "requests under way were cut") {
		t.Errorf("Stop = %v, want that a request was cut", err)
	}
	if strings.Contains(err.Error(), "did not end in time") {
		t.Errorf("Stop = %v, want everything else ended in good order", err)
	}
	_ = p.body.CloseWithError(io.ErrClosedPipe)
	if err := <-p.done; err == nil {
		t.Error("the request was answered")
	}
	again := start(t, write(t, c, dir, "")) // and the store was closed
	if n := again.db.View().Now().Counts()["halyard"].Users; n != len(c.People()) {
		t.Errorf("%d people after the start, want %d", n, len(c.People()))
	}
}

// TestARunIsRecordedAsInterrupted stops a daemon while it reads a directory that does
// not go on.
func TestARunIsRecordedAsInterrupted(t *testing.T) {
	s := scripted(t, 40)
	dir := t.TempDir()
	file := configOf(t, dir, s.source(t))
	d := start(t, file)
	d.bootstrapped()
	d.good()
	stalled := make(chan struct{}, 8)
	s.onEvery(stallOnce(stalled))()
	run, err := d.runner.Start(t.Context(), "corp", "test")
	if err != nil {
		t.Fatal(err)
	}
	<-stalled
	if err := d.Stop(t.Context()); err != nil {
		t.Errorf("Stop during a run = %v", err)
	}
	s.act.Store(nil)
	again := start(t, file)
	again.key = d.key
	out := again.call("GET", "/v1/sources/corp/runs/"+run.ID, "", 200)
	if out["state"] != string(state.RunInterrupted) || !strings.Contains(fmt.Sprint(out["error"]), "shut down") {
		t.Errorf("the run is %v: %v, want interrupted by the end of the daemon", out["state"], out["error"])
	}
	again.good()
}

func TestMetricsNameWhatAnOperatorWatches(t *testing.T) {
	began := time.Now()
	c := company(t)
	d := start(t, write(t, c, t.TempDir()+", quota: 3000000000", ""))
	d.bootstrapped()
	d.sync("halyard")
	value := func(name string) float64 {
		t.Helper()
		v, err := strconv.ParseFloat(d.metric(name), 64)
		if err != nil {
			t.Errorf("there is no metric %s: %q", name, d.metric(name))
		}
		return v
	}
	disabled := 0
	for _, p := range c.People() {
		if p.Disabled {
			disabled++
		}
	}
	snap := d.db.View().Now()
	counts := snap.Counts()["halyard"]
	for name, want := range map[string]float64{
		`rollcall_users{source="halyard",state="active"}`:                                  float64(len(c.People()) - disabled),
		`rollcall_users{source="halyard",state="inactive"}`:                                float64(disabled),
		`rollcall_users{source="halyard",state="missing"}`:                                 0,
		`rollcall_users{source="local",state="active"}`:                                    1,
		`rollcall_groups{source="halyard",state="present"}`:                                float64(counts.Groups),
		`rollcall_memberships{source="halyard"}`:                                           float64(counts.Members),
		`rollcall_grants`:                                                                  2,
		`rollcall_view_revision`:                                                           float64(snap.Rev()),
		`rollcall_store_unreachable`:                                                       0,
		`rollcall_store_quota_bytes`:                                                       3_000_000_000,
		`rollcall_sync_leader`:                                                             1,
		`rollcall_sync_plan_held{source="halyard"}`:                                        0,
		`rollcall_sync_entries_skipped{source="halyard"}`:                                  0,
		`rollcall_sync_conflicts{source="halyard"}`:                                        0,
		`rollcall_sync_runs_total{outcome="succeeded",source="halyard"}`:                   1,
		`rollcall_sync_stage_duration_seconds_count{source="halyard",stage="read"}`:        1,
		`rollcall_sync_stage_duration_seconds_count{source="halyard",stage="plan"}`:        1,
		`rollcall_sync_stage_duration_seconds_count{source="halyard",stage="apply_users"}`: 1,
	} {
		if got := value(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{
		"rollcall_store_size_bytes", "rollcall_store_used_bytes", "rollcall_store_disk_free_bytes",
		`rollcall_sync_stage_duration_seconds_sum{source="halyard",stage="read"}`, "go_goroutines", "process_start_time_seconds",
	} {
		if value(name) <= 0 {
			t.Errorf("%s is %v, want more than nothing", name, value(name))
		}
	}
	at := value(`rollcall_sync_last_proven_timestamp_seconds{source="halyard"}`)
	if at < float64(began.Unix()) || at > float64(time.Now().Unix()+1) {
		t.Errorf("last proven at %v, want now", at)
	}
}

// mute is a store that may stop to answer.
type mute struct {
	store.Store
	gone atomic.Bool
}

func (m *mute) Status(context.Context) (store.Status, error) {
	if m.gone.Load() {
		return store.Status{}, fault.New(fault.Unavailable, "store_unavailable", "it is gone")
	}
	return store.Status{Size: 1, FreeDisk: -1}, nil
}

// TestReadinessOutlivesTheStoreForAWhile takes the store away: the daemon answers
// from memory and says so, until that is too old.
func TestReadinessOutlivesTheStoreForAWhile(t *testing.T) {
	s := &mute{Store: mem.New()}
	db, err := state.Open(t.Context(), state.Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	h := &health{store: s, now: func() time.Time { return now }, bound: time.Minute, leading: func() bool { return true }, view: db.View()}
	h.probe(t.Context())
	ready := func() (bool, string) {
		for _, c := range h.checks() {
			if c.Name == "store" {
				return c.OK, c.Detail
			}
		}
		return false, "no check of the store"
	}
	if ok, detail := ready(); !ok || detail != "" {
		t.Errorf("with a store: %v %q", ok, detail)
	}
	s.gone.Store(true)
	now = now.Add(30 * time.Second)
	h.probe(t.Context())
	if ok, detail := ready(); !ok || !strings.Contains(detail, "answering from memory") {
		t.Errorf("without a store for 30 s: %v %q, want ready and said so", ok, detail)
	}
	now = now.Add(31 * time.Second)
	if ok, _ := ready(); ok {
		t.Error("without a store for longer than allowed it is still ready")
	}
	s.gone.Store(false)
	h.probe(t.Context())
	if ok, detail := ready(); !ok || detail != "" {
		t.Errorf("with the store again: %v %q", ok, detail)
	}
}

// TestAListenerServesARenewedCertificate does handshakes with a daemon before and
// after its certificate was renewed.
func TestAListenerServesARenewedCertificate(t *testing.T) {
	c := company(t)
	files := ServerTLS{CertFile: filepath.Join(t.TempDir(), "tls.crt"), KeyFile: filepath.Join(t.TempDir(), "tls.key")}
	first := selfSigned(t, files, 1)
	d := start(t, write(t, c, t.TempDir(), fmt.Sprintf("tls: {cert_file: %s, key_file: %s}", files.CertFile, files.KeyFile)))
	if !strings.HasPrefix(d.URL(), "https://") {
		t.Fatalf("serving at %s", d.URL())
	}
	if got := served(t, d.URL(), files); got != first {
		t.Errorf("serial %s, want %s", got, first)
	}
	plain, err := http.NewRequestWithContext(t.Context(), "GET", "http"+strings.TrimPrefix(d.URL(), "https")+"/v1/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(plain); err == nil {
		_ = resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("plain HTTP on the TLS listener = %s", resp.Status)
		}
	}
	second := selfSigned(t, files, 2)
	for got := first; got != second; got = served(t, d.URL(), files) {
		if got != first {
			t.Fatalf("serial %s, want %s or %s", got, first, second)
		}
		time.Sleep(20 * time.Millisecond) // the files are looked at once a second
	}
	if !strings.Contains(d.log.String(), "certificate reloaded") {
		t.Error("the log does not say that the certificate was reloaded")
	}
}

// served returns the serial number of the certificate that a client gets, who trusts
// nothing but what the file holds now or held before.
func served(t *testing.T, url string, files ServerTLS) string {
	t.Helper()
	pem, err := os.ReadFile(files.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("the file holds no certificate")
	}
	var serial string
	conn, err := (&tls.Dialer{Config: &tls.Config{
		RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error { return nil },
	}}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "https://"))
	if err == nil {
		serial = conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
		_ = conn.Close()
		return serial
	}
	if unknown, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return unknown.UnverifiedCertificates[0].SerialNumber.String() // the one before
	}
	t.Fatal(err)
	return ""
}
