package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rollcall-id/rollcall/internal/demo"
)

// TestFromAnEmptyDiskToARestoredBackup is the story of an installation, told by the
// command line alone: a real daemon on a real embedded store reads a real directory.
func TestFromAnEmptyDiskToARestoredBackup(t *testing.T) {
	company, err := demo.Start(t.Context(), demo.Options{People: 60, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = company.Close() }()
	d := company.Config()
	t.Setenv("COMPANY_PASSWORD", d.Password)
	home := t.TempDir()
	dir := func(name string) string { return filepath.Join(home, name) }
	configure := func(store string) string {
		file := dir(store + ".yaml")
		text := fmt.Sprintf(`
listen: 127.0.0.1:0
health: off
store: {dir: %s}
log: {format: text}
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
`, dir(store), d.URL, d.BindDN, d.UserBase, d.UserFilter, d.GroupBase)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	file := configure("first")
	u := &installation{t: t, home: home}

	u.want(exitOK, "", "config", "validate", "--config", file)
	u.want(exitOK, `(?s)ok +bind.*ok +entry.*All is well`, "sync", "test", "halyard", "--config", file)
	u.want(exitUsage, "", "sync", "test", "other", "--config", file)
	u.serve(file)
	u.want(exitOK, "", "bootstrap", "--token-file", filepath.Join(dir("first"), "bootstrap-token"), "--user", "root")
	u.want(exitOK, `All is well`, "sync", "test", "halyard")
	u.want(exitNo, `users +\+60`, "sync", "plan", "halyard")
	u.want(exitOK, `(?s)succeeded.*users: 60 created`, "sync", "run", "halyard")
	u.want(exitOK, `nothing to change`, "sync", "plan", "halyard")
	u.want(exitOK, `nothing changed`, "sync", "run", "halyard")
	u.want(exitOK, `halyard +idle +60 `, "sync", "status")
	name := strings.Fields(strings.Split(u.want(exitOK, "", "users", "--source", "halyard", "--status", "active", "--limit", "1"), "\n")[1])[0]
	u.want(exitOK, "", "grant", name, "GOVERNANCE", "--reason", "steward")
	u.want(exitOK, "^yes ", "why", name, "GOVERNANCE")
	u.want(exitOK, `61 users`, "backup", dir("backup.tar"))
	u.want(exitOK, "", "revoke", name, "GOVERNANCE")
	u.want(exitNo, "^no ", "why", name, "GOVERNANCE")
	u.stop()

	u.want(exitRefused, "", "restore", dir("backup.tar"), "--dir", dir("first"))
	u.want(exitOK, `(?s)Restored into .*61 users, .* 3 grants`, "restore", dir("backup.tar"), "--dir", dir("second"))
	u.serve(configure("second"))
	u.want(exitOK, "^yes ", "why", name, "GOVERNANCE")
	u.want(exitOK, "nothing to change", "sync", "plan", "halyard")
	u.want(exitOK, "", "grant", "root", "AUDIT")
	heads := u.want(exitOK, "", "audit", "head", "-o", "json") + u.want(exitOK, "", "audit", "head", "-o", "json")
	if err := os.WriteFile(dir("heads.json"), []byte(heads), 0o600); err != nil {
		t.Fatal(err)
	}
	u.want(exitOK, "as they were written", "audit", "verify", "--head", dir("heads.json"))
	u.want(exitOK, "as they were written", "audit", "verify", "--head", dir("backup.tar"))
	u.stop()
}

// installation is a home directory, and the daemon that runs.
type installation struct {
	t       *testing.T
	home    string
	url     string
	stop    func()
	started int
	log     *logLines // of the daemon that runs, or ran last
}

func (u *installation) cli(out, errs *bytes.Buffer) *cli {
	env := append(os.Environ(), "HOME="+u.home, "XDG_CONFIG_HOME=")
	if u.url != "" {
		env = append(env, "ROLLCALL_URL="+u.url)
	}
	return newCLI(nil, out, errs, env)
}

// want runs a command line, checks how it ends and what it prints, and returns that.
func (u *installation) want(code int, pattern string, args ...string) string {
	u.t.Helper()
	var out, errs bytes.Buffer
	got := u.cli(&out, &errs).run(u.t.Context(), args)
	if got != code || !regexp.MustCompile(pattern).MatchString(out.String()) {
		u.t.Fatalf("rollcall %s ended with %d, want %d and %q\n%s%s", strings.Join(args, " "), got, code, pattern, &out, &errs)
	}
	return out.String()
}

// serve runs the daemon and returns once it serves.
func (u *installation) serve(file string) {
	u.t.Helper()
	ctx, cancel := context.WithCancel(u.t.Context())
	log := &logLines{serving: make(chan string, 1)}
	u.log = log
	ended := make(chan int, 1)
	go func() { ended <- newCLI(nil, log, log, os.Environ()).run(ctx, []string{"serve", "--config", file}) }()
	var once sync.Once
	u.stop = func() {
		once.Do(func() {
			cancel()
			if code := <-ended; code != exitOK {
				u.t.Errorf("the daemon ended with %d:\n%s", code, log)
			}
		})
	}
	u.t.Cleanup(u.stop)
	select {
	case url := <-log.serving:
		u.login(url)
	case code := <-ended:
		ended <- code // the cleanup waits for it as well
		u.t.Fatalf("the daemon ended with %d:\n%s", code, log)
	}
}

// login makes the key that was saved for the daemon's last address good for its new
// one: the port is another.
func (u *installation) login(url string) {
	u.t.Helper()
	old := u.url
	u.url = url
	if u.started++; u.started == 1 {
		return
	}
	file := filepath.Join(u.home, ".config", "rollcall", "logins.json")
	b, err := os.ReadFile(file)
	if err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.ReplaceAll(b, []byte(old), []byte(url)), 0o600); err != nil {
		u.t.Fatal(err)
	}
}

// logLines collects a log and finds where the daemon serves.
type logLines struct {
	mu      sync.Mutex
	all     bytes.Buffer // guarded by mu
	serving chan string
}

var servingURL = regexp.MustCompile(`serving.*url=(http://[0-9.:]+)`)

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := servingURL.FindSubmatch(p); m != nil {
		l.serving <- string(m[1])
	}
	return l.all.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}
