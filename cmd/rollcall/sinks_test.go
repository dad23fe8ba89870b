package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/internal/demo"
)

// siem receives webhooks and checks each signature by the words of Standard Webhooks.
type siem struct {
	t   *testing.T
	key []byte

	mu   sync.Mutex
	got  []siemMessage // guarded by mu
	raw  bytes.Buffer  // guarded by mu
	more chan struct{}
}

type siemMessage struct {
	Type string         `json:"type"`
	Data audit.Envelope `json:"data"`
}

func (s *siem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	mac := hmac.New(sha256.New, s.key)
	fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); err != nil || r.Header.Get("webhook-signature") != want {
		s.t.Errorf("signature %q, want %q; %v", r.Header.Get("webhook-signature"), want, err)
	}
	var m siemMessage
	if err := json.Unmarshal(body, &m); err != nil || m.Data.ID != r.Header.Get("webhook-id") {
		s.t.Errorf("message %s: %v", body, err)
	}
	s.mu.Lock()
	s.got = append(s.got, m)
	s.raw.Write(body)
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// until waits for a message of a type.
func (s *siem) until(kind string) {
	s.t.Helper()
	for {
		s.mu.Lock()
		for _, m := range s.got {
			if m.Type == kind {
				s.mu.Unlock()
				return
			}
		}
		s.mu.Unlock()
		select {
		case <-s.more:
		case <-s.t.Context().Done():
			s.t.Fatalf("no message of type %s came", kind)
		}
	}
}

// watched is a daemon whose every way out is kept, with a secret in every field that may
// hold one.
type watched struct {
	*installation
	siem    *siem
	company *demo.Company
	dir     string
	health  string // address of the metrics
	key     string // of an administrator
	secrets map[string]string
	answers bytes.Buffer // to raw requests
}

const canaryHook = "canary-path-of-the-webhook"

func newWatched(t *testing.T) *watched {
	t.Helper()
	company, err := demo.Start(t.Context(), demo.Options{People: 60, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = company.Close() })
	dir := t.TempDir()
	w := &watched{installation: &installation{t: t, home: dir}, company: company, dir: dir, health: freeAddress()}
	w.siem = &siem{t: t, key: []byte("canary-secret-of-the-webhook-0001"), more: make(chan struct{}, 1)}
	server := httptest.NewTLSServer(w.siem)
	t.Cleanup(server.Close)
	secret := "whsec_" + base64.StdEncoding.EncodeToString(w.siem.key)
	w.file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	d := company.Config()
	t.Setenv("COMPANY_PASSWORD", d.Password)
	w.secrets = map[string]string{"bind password": d.Password, "webhook secret": secret, "webhook path": canaryHook}
	config := w.file("rollcall.yaml", fmt.Sprintf(`
listen: 127.0.0.1:0
health: %[10]s
store: {dir: %[1]s/store}
log: {format: text, level: debug}
oidc: {issuer: "https://127.0.0.1:1/", audience: rollcall, user_claim: sub, source: halyard}
audit:
  sinks:
  - {name: disk, type: file, path: %[1]s/audit.ndjson, max_size: 1MiB}
  - name: siem
    type: webhook
    url: %[2]s/%[3]s
    secret: {file: %[4]s}
    ca_file: %[1]s/ca.pem
    actions: [SyncRun*, PermissionGranted]
    allow_networks: [127.0.0.0/8]
sources:
  - name: halyard
    type: ldap
    template: openldap
    schedule: manual
    first_run: ask
    urls: [%[5]s]
    allow_plaintext: true
    bind: {dn: %[6]q, password: {env: COMPANY_PASSWORD}}
    users: {bases: [%[7]q], filter: %[8]q}
    groups: {bases: [%[9]q]}
`, dir, server.URL, canaryHook, w.file("secret", secret+"\n"), d.URL, d.BindDN, d.UserBase, d.UserFilter, d.GroupBase, w.health))
	w.serve(config)
	token, err := os.ReadFile(filepath.Join(dir, "store", "bootstrap-token"))
	if err != nil {
		t.Fatal(err)
	}
	w.secrets["bootstrap token"] = strings.TrimSpace(string(token))
	w.want(exitOK, "", "bootstrap", "--token-file", filepath.Join(dir, "store", "bootstrap-token"), "--user", "root")
	w.key = strings.TrimSpace(w.want(exitOK, "rcl_pat_", "recover-admin", "--config", config, "--user", "rescue"))
	w.secrets["recovered key"] = w.key
	return w
}

func (w *watched) file(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// ask sends a request and keeps the answer.
func (w *watched) ask(method, path, bearer string, body any) (int, []byte) {
	w.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, bytes.NewReader(b))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	w.answers.Write(answer)
	return resp.StatusCode, answer
}

// fill gives and takes grants until the file was turned.
func (w *watched) fill() {
	w.t.Helper()
	items := map[string][]map[string]string{}
	for i := range 10 {
		name := fmt.Sprint("clerk", i)
		if status, b := w.ask(http.MethodPost, "/v1/users", w.key, map[string]string{"userName": name}); status != http.StatusCreated {
			w.t.Fatalf("create %s: %d %s", name, status, b)
		}
		for _, p := range []string{"CREATE_FILTER", "CREATE_PROJECT", "CREATE_DATA_SOURCE", "PROJECT_MANAGEMENT"} {
			for _, op := range []string{"grant", "revoke"} {
				items[op] = append(items[op], map[string]string{"op": op, "user": name, "permission": p, "reason": strings.Repeat("why-", 120)})
			}
		}
	}
	for range 32 {
		for _, op := range []string{"grant", "revoke"} {
			if status, b := w.ask(http.MethodPost, "/v1/grants/batch", w.key, map[string]any{"grants": items[op]}); status != http.StatusOK {
				w.t.Fatalf("%s: %d %s", op, status, b)
			}
		}
	}
}

// TestTheDaemonCarriesItsLogAndTellsNoSecret runs a daemon with a file and a webhook,
// drives it through what goes well and what does not, at the level debug, and looks at
// everything that came out: each entry once and in order, each message signed, and no
// secret anywhere.
func TestTheDaemonCarriesItsLogAndTellsNoSecret(t *testing.T) {
	w := newWatched(t)
	w.want(exitNo, "held", "sync", "run", "halyard")
	w.siem.until("run.held")
	w.fill()
	w.siem.until("grant.created")
	made := map[string]any{"name": "spare"}
	status, b := w.ask(http.MethodPost, "/v1/me/keys", w.key, made)
	var key struct {
		Secret string `json:"secret"`
	}
	if err := json.Unmarshal(b, &key); err != nil || status != http.StatusCreated || key.Secret == "" {
		t.Fatalf("make a key: %d %s", status, b)
	}
	w.answers.Reset() // it is to be there, this once
	w.secrets["made key"] = key.Secret
	// What fails: keys that do not count, tokens of an issuer that does not answer, secrets
	// in paths, queries and bodies, a directory that is gone.
	wrong := w.key[:len(w.key)-8] + "AAAAAAAA"
	jwt := "eyJhbGciOiJSUzI1NiJ9.Y2FuYXJ5LXRva2Vu.Y2FuYXJ5LXNpZ25hdHVyZQ"
	w.secrets["wrong key"], w.secrets["signed token"] = wrong, jwt
	w.secrets["query"], w.secrets["body"] = "canary-in-a-query", "canary-in-a-body"
	for _, bearer := range []string{wrong, jwt, w.key} {
		for _, path := range []string{"/v1/users", "/v1/users?secret=canary-in-a-query&pageSize=canary-in-a-query", "/v1/bootstrap", "/v1/me/keys"} {
			w.ask(http.MethodPost, path, bearer, map[string]string{"token": w.secrets["body"], "password": w.secrets["body"]})
		}
	}
	if err := w.company.Close(); err != nil {
		t.Fatal(err)
	}
	w.want(exitUnavailable, "failed", "sync", "run", "halyard")
	w.siem.until("run.failed")
	_, b = w.ask(http.MethodPut, "/v1/users/rescue/grants/AUDIT", w.key, nil)
	_, log := w.ask(http.MethodGet, "/v1/audit/export", w.key, nil)
	if len(log) == 0 {
		t.Fatalf("the export is empty: %s", b)
	}
	metrics := w.metrics()
	w.stop() // the daemon hands on what it has
	files := w.carried()
	w.silent(map[string]string{"the log": w.log.String(), "answers": w.answers.String(), "webhooks": w.siem.raw.String(), "files": files, "metrics": metrics})
}

func (w *watched) metrics() string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.health+"/metrics", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("metrics: %d, %v", resp.StatusCode, err)
	}
	return string(b)
}

// carried reads the files of the sink: each entry of the log once, in order, over more
// than one file.
func (w *watched) carried() string {
	w.t.Helper()
	old, err := filepath.Glob(filepath.Join(w.dir, "audit.ndjson.*Z"))
	if err != nil || len(old) == 0 {
		w.t.Errorf("files before: %v, %v; want the file turned", old, err)
	}
	var all bytes.Buffer
	seq := uint64(0)
	for _, name := range append(old, filepath.Join(w.dir, "audit.ndjson")) {
		b, err := os.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		all.Write(b)
		for line := range bytes.Lines(b) {
			var e audit.Envelope
			if err := json.Unmarshal(line, &e); err != nil || e.Seq != seq+1 {
				w.t.Fatalf("%s: entry %d after %d, %v", name, e.Seq, seq, err)
			}
			seq = e.Seq
		}
	}
	return all.String()
}

// silent fails when a secret, or what is secret of a key, is in what came out.
func (w *watched) silent(out map[string]string) {
	w.t.Helper()
	for where, text := range out {
		if text == "" {
			w.t.Errorf("%s: nothing came out, so nothing was looked at", where)
		}
		for name, secret := range w.secrets {
			if rest, ok := strings.CutPrefix(secret, "rcl_"); ok {
				secret = rest[strings.LastIndexByte(rest, '_')+1:] // the rest is public
			}
			if strings.Contains(text, secret) {
				w.t.Errorf("%s: the %s shows", where, name)
			}
		}
	}
}
