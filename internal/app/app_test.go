package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/internal/demo"
)

// company opens a small company's directory.
func company(t *testing.T) *demo.Company {
	t.Helper()
	c, err := demo.Start(t.Context(), demo.Options{People: 200, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// write puts a configuration that reads the company into a file.
func write(t *testing.T, c *demo.Company, dir, extra string) string {
	t.Helper()
	d := c.Config()
	t.Setenv("COMPANY_PASSWORD", d.Password)
	text := fmt.Sprintf(`
listen: 127.0.0.1:0
health: 127.0.0.1:0
store: {dir: %s}
log: {format: json}
%s
sources:
  - name: halyard
    type: ldap
    template: openldap
    schedule: manual
    urls: [%s]
    allow_plaintext: true
    bind: {dn: %q, password: {env: COMPANY_PASSWORD}}
    users: {bases: [%q], filter: %q}
    groups: {bases: [%q]}
`, dir, extra, d.URL, d.BindDN, d.UserBase, d.UserFilter, d.GroupBase)
	file := filepath.Join(t.TempDir(), "rollcall.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// running is a started App and what it logged.
type running struct {
	*App
	t   *testing.T
	log *lines
	key string
}

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func start(t *testing.T, file string) *running {
	t.Helper()
	c, err := LoadConfig(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &running{t: t, log: &lines{}}
	var level slog.LevelVar
	d.App, err = New(Options{Config: c, Log: NewLogger(d.log, c.Log, &level), Level: &level, Version: "test", NoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return d
}

// call asks the admin API and decodes the answer.
func (d *running) call(method, path, body string, want int) map[string]any {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.URL()+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if d.key != "" {
		req.Header.Set("Authorization", "Bearer "+d.key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		d.t.Fatalf("%s %s = %d %s (%v), want %d\nlog:\n%s", method, path, resp.StatusCode, b, err, want, d.log)
	}
	out := map[string]any{}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			d.t.Fatalf("%s %s = %s: %v", method, path, b, err)
		}
	}
	return out
}

// bootstrapped makes the first administrator with the token in the file.
func (d *running) bootstrapped() {
	d.t.Helper()
	token, err := os.ReadFile(d.config.bootstrapFile())
	if err != nil {
		d.t.Fatal(err)
	}
	out := d.call("POST", "/v1/bootstrap", fmt.Sprintf(`{"token":%q,"userName":"root"}`, strings.TrimSpace(string(token))), 201)
	d.key, _ = out["apiKey"].(string)
}

// sync runs a source to its end.
func (d *running) sync(source string) {
	d.t.Helper()
	run, err := d.runner.Start(d.t.Context(), d.config.Sources[0].ID(), "test")
	if err != nil {
		d.t.Fatal(err)
	}
	if run, err = d.runner.Wait(d.t.Context(), d.config.Sources[0].ID(), run.ID); err != nil || run.State != "succeeded" {
		d.t.Fatalf("run of %s: %+v (%v)\nlog:\n%s", source, run, err, d.log)
	}
}

func TestADirectoryBecomesARollAndAGrantIsExplained(t *testing.T) {
	c := company(t)
	d := start(t, write(t, c, t.TempDir(), ""))
	d.bootstrapped()
	d.sync("halyard")
	users := d.call("GET", "/v1/users?pageSize=1000", "", 200)["users"].([]any)
	if want := len(c.People()) + 1; len(users) != want {
		t.Errorf("%d users, want %d: the company and its administrator", len(users), want)
	}
	d.call("PUT", "/v1/groups/it-admins/grants/AUDIT", `{"reason":"they look after the log","acknowledgeDirectory":true}`, 201)
	out := d.call("GET", "/v1/users/juergen.mueller/permissions/AUDIT/explanation", "", 200)
	if out["allowed"] != true {
		t.Errorf("explanation = %v, want one that says yes", out)
	}
	if out := d.call("POST", "/v1/check", `{"user":"pia.sommer","permission":"AUDIT"}`, 200); out["allowed"] != false {
		t.Errorf("check = %v, want no", out)
	}
	if text := get(t, d.HealthURL()+"/metrics", 200); !strings.Contains(text, `rollcall_users{source="halyard",state="active"}`) {
		t.Errorf("metrics do not count the users:\n%s", text)
	}
	get(t, d.HealthURL()+"/readyz", 200)
	get(t, d.HealthURL()+"/livez", 200)
	if log := d.log.String(); strings.Contains(log, d.key) || strings.Contains(log, c.Config().Password) {
		t.Errorf("the log holds a secret:\n%s", log)
	}
}

func get(t *testing.T, url string, want int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Fatalf("GET %s = %d %s (%v), want %d", url, resp.StatusCode, b, err, want)
	}
	return string(b)
}

func TestABackupRestoredElsewhereIsTheSameRoll(t *testing.T) {
	c := company(t)
	dir := t.TempDir()
	d := start(t, write(t, c, dir, ""))
	d.bootstrapped()
	d.sync("halyard")
	d.call("PUT", "/v1/users/anna.smith/grants/GOVERNANCE", `{"reason":"steward"}`, 201)
	file := filepath.Join(t.TempDir(), "backup.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.backup(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	into := filepath.Join(t.TempDir(), "restored")
	m, err := Restore(t.Context(), file, into, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if want := len(c.People()) + 1; m.Users != want || m.Grants != 3 {
		t.Errorf("manifest = %+v, want %d users and 3 grants", m, want)
	}
	again := start(t, write(t, c, into, ""))
	again.key = d.key // the keys came along
	for _, path := range []string{
		"/v1/users?pageSize=1000", "/v1/groups?pageSize=1000", "/v1/grants?pageSize=1000",
		"/v1/users/anna.smith/permissions/GOVERNANCE/explanation",
	} {
		before, after := d.call("GET", path, "", 200), again.call("GET", path, "", 200)
		for _, moving := range []string{"revision", "time"} { // those of a restored store are larger
			delete(before, moving)
			delete(after, moving)
		}
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("GET %s differs after the restore:\n%v\n%v", path, before, after)
		}
	}
	if got, was := again.db.View().Now().Rev(), d.db.View().Now().Rev(); got <= was {
		t.Errorf("revision %d after the restore, want one beyond %d", got, was)
	}
	if m.Audit == nil || m.Audit.Seq == 0 || m.Audit.Seq > headOf(t, again).Seq {
		t.Errorf("the manifest has the head %+v of the audit log, want one that the restored log goes through", m.Audit)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for name, forge := range map[string]func(*audit.Head){
		"another hash": func(h *audit.Head) { h.Hash[0] ^= 1 },
		"cut off":      func(h *audit.Head) { h.Seq += 1000 },
	} {
		forged := reheaded(t, file, forge)
		if _, err := Restore(t.Context(), forged, elsewhere, slog.New(slog.DiscardHandler)); fault.Code(err) != "audit_not_intact" {
			t.Errorf("Restore with a head of %s: %v, want audit_not_intact", name, err)
		}
		if _, err := os.Stat(elsewhere); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a refused restore left something: %v", err)
		}
	}
	corrupt(t, file)
	if _, err := Restore(t.Context(), file, filepath.Join(t.TempDir(), "x"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a damaged backup was restored")
	}
	if _, err := Restore(t.Context(), file, into, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a backup was restored over a store")
	}
}

func headOf(t *testing.T, d *running) audit.Head {
	t.Helper()
	h, err := d.db.AuditHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// reheaded returns a copy of a backup whose manifest names another head.
func reheaded(t *testing.T, file string, change func(*audit.Head)) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, snapshot, err := ReadManifest(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	change(m.Audit)
	var out bytes.Buffer
	if err := pack(&out, m, snapshot); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "forged.tar")
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// corrupt flips a byte in the middle of a file.
func corrupt(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAReloadTakesOverWhatItCanAndSaysWhatItCannot(t *testing.T) {
	c := company(t)
	dir := t.TempDir()
	d := start(t, write(t, c, dir, ""))
	next, err := LoadConfig(write(t, c, dir, "max_staleness: 1m"), nil)
	if err != nil {
		t.Fatal(err)
	}
	next.Listen, next.Log.Level = "127.0.0.1:1", "debug"
	next.Sources[0].Sync.Schedule = "@daily"
	keys, err := d.Reload(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(keys, " "); got != "listen max_staleness" {
		t.Errorf("needs a restart: %q, want listen and max_staleness", got)
	}
	if st := d.runner.Status(next.Sources[0].ID()); st.Schedule != "@daily" || st.Next.IsZero() {
		t.Errorf("status = %+v, want the new schedule", st)
	}
	if d.level.Level() != slog.LevelDebug {
		t.Errorf("level = %v, want debug", d.level.Level())
	}
	bad := *next
	bad.Sources = append(bad.Sources[:1:1], bad.Sources[0])
	bad.Sources[1].Name, bad.Sources[1].LDAP.URLs = "other", nil
	if _, err := d.Reload(t.Context(), &bad); err == nil {
		t.Error("a source that cannot be made was taken over")
	}
	if _, ok := d.fleet.made["other"]; ok {
		t.Error("half of a refused configuration was taken over")
	}
}

func TestACertificateIsPickedUpWhenItChanges(t *testing.T) {
	dir := t.TempDir()
	files := ServerTLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	first := selfSigned(t, files, 1)
	cert, err := newCertificate(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	serial := func() string {
		cert.looked = time.Time{} // as if a second had passed
		pair, err := cert.get(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.String()
	}
	if got := serial(); got != first {
		t.Errorf("serial %s, want %s", got, first)
	}
	second := selfSigned(t, files, 2)
	if got := serial(); got != second {
		t.Errorf("serial %s after the renewal, want %s", got, second)
	}
	if err := os.WriteFile(files.CertFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != second {
		t.Errorf("serial %s with a broken file, want the old %s", got, second)
	}
}

func TestAStartThatFailsLeavesNothing(t *testing.T) {
	c := company(t)
	file := write(t, c, t.TempDir(), "")
	conf, err := LoadConfig(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	taken := start(t, write(t, c, t.TempDir(), ""))
	conf.Listen = strings.TrimPrefix(taken.URL(), "http://")
	a, err := New(Options{Config: conf, NoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "listen for api") {
		t.Fatalf("Start on a taken address: %v, want an error that names the listener", err)
	}
	conf.Listen = "127.0.0.1:0" // the store is free again
	again, err := New(Options{Config: conf, NoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := again.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
