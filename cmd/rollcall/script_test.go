package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/app"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}

// TestScripts runs the scripts of testdata, each against a world of its own. A script
// says, beside testscript's own commands:
//
//	rollcall ARGS...     runs the command line, which must end with 0
//	exits N ARGS...      the same with N
//	input FILE           is stdin of the next one
//	source WHAT          chooses how the source answers from now on
//	people               puts the company on the roll
//	bootstrap FILE       writes a bootstrap token
//	key FILE [N]         writes the API key of root, or a new one of the Nth person
//	keyid VAR USER NAME  puts the public id of that key of a local user into $VAR
//	damage               changes an entry of the audit log behind everybody's back
//	store DIR            makes a store like that of a daemon that was stopped
//	push N METHOD PATH [FILE]  pushes to okta, which must answer N
//	lockouts VAR         puts the digest of what an undo would bring back into $VAR
//	health up|down|gone  is what a health listener at $HEALTH answers
//
// Output is compared with what changes from run to run masked; see mask.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup:         setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"rollcall":  func(ts *testscript.TestScript, _ bool, args []string) { runScript(ts, exitOK, args) },
			"exits":     exits,
			"input":     func(ts *testscript.TestScript, _ bool, args []string) { of(ts).stdin = ts.ReadFile(args[0]) },
			"source":    chooseSource,
			"people":    func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(of(ts).people()); loginAsRoot(ts) },
			"bootstrap": bootstrapFile,
			"health":    serveHealth,
			"key":       keyFile,
			"keyid":     keyID,
			"damage":    damage,
			"store":     makeStore,
			"push":      push,
			"lockouts":  lockouts,
			"nobodys":   nobodys,
			"linked":    linked,
			"digest":    digest,
		},
	})
}

type worldKey struct{}

func of(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func setupScript(env *testscript.Env) error {
	w, end, err := newWorld(context.Background())
	if err != nil {
		return err
	}
	env.Defer(func() {
		if err := end(); err != nil {
			panic(err)
		}
	})
	env.Values[worldKey{}] = w
	env.Setenv("HOME", env.WorkDir+"/home")
	env.Setenv("ROLLCALL_URL", w.server.URL)
	env.Setenv("DEAD", "http://"+freeAddress())
	return nil
}

// freeAddress is one that nobody listens on.
func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	return address
}

func loginAsRoot(ts *testscript.TestScript) { ts.Setenv("ROLLCALL_TOKEN", of(ts).key) }

func exits(ts *testscript.TestScript, _ bool, args []string) {
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	runScript(ts, code, args[1:])
}

// inherited are the variables of a script that a command sees.
var inherited = []string{
	"HOME", "XDG_CONFIG_HOME", "NO_COLOR", "TERM", "ROLLCALL_URL", "ROLLCALL_TOKEN", "ROLLCALL_TOKEN_FILE",
	"ROLLCALL_CA_FILE", "ROLLCALL_OUTPUT", "ROLLCALL_CONFIG", "ROLLCALL_LISTEN", "LDAP_PASSWORD",
}

func runScript(ts *testscript.TestScript, want int, args []string) {
	w := of(ts)
	var env []string
	for _, name := range inherited {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	var stdout, stderr bytes.Buffer
	c := newCLI(strings.NewReader(w.stdin), &stdout, &stderr, env)
	c.now = clock
	w.stdin = ""
	code := c.run(context.Background(), args)
	mask := masks(ts)
	_, _ = io.WriteString(ts.Stdout(), mask(stdout.String()))
	_, _ = io.WriteString(ts.Stderr(), mask(stderr.String()))
	if code != want {
		ts.Fatalf("rollcall %s ended with %d, want %d\n%s%s", strings.Join(args, " "), code, want, stdout.String(), stderr.String())
	}
}

// masks replaces what is new in each run by what it is.
func masks(ts *testscript.TestScript) func(string) string {
	replace := []struct {
		what *regexp.Regexp
		with string
	}{
		{regexp.MustCompile(regexp.QuoteMeta(ts.Getenv("WORK"))), "$$WORK"},
		{regexp.MustCompile(`rcl_(pat|app|scim)_[0-9A-Za-z_]+`), "<key>"},
		{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), "<id>"},
		{regexp.MustCompile(`127\.0\.0\.1:[0-9]{5}`), "<server>"},
		{regexp.MustCompile(`("apiKeyId": "|api key +)[0-9A-Za-z]{10}`), "${1}<key>"},
		{regexp.MustCompile(`("revision": |revision: )[0-9]+`), "${1}<rev>"},
		{regexp.MustCompile(`request [A-Z2-7]{26}`), "request <id>"},
		{regexp.MustCompile(`("requestId": ?)"[A-Z2-7]{26}"`), `$1"<request>"`},
		{regexp.MustCompile(`(--hash |"hash": ?")[0-9a-f]{64}`), "${1}<hash>"},
		{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "<digest>"},
		{regexp.MustCompile(`go1\.[0-9.]+ [a-z0-9]+/[a-z0-9]+`), "<go>"},
	}
	for id := range of(ts).keyIDs() {
		replace = append(replace, struct {
			what *regexp.Regexp
			with string
		}{regexp.MustCompile(regexp.QuoteMeta(id)), "<keyid>"})
	}
	return func(s string) string {
		for _, r := range replace {
			s = r.what.ReplaceAllString(s, r.with)
		}
		return s
	}
}

func chooseSource(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	f := w.source
	if args[0] == "kept" {
		ts.Check(w.keep())
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch args[0] {
	case "none":
		f.none = true
	case "pushed":
		f.pushed = true
	case "changes":
		f.plan = change()
	case "moved": // carol is back, and dora is new
		f.plan, f.held, f.err = change(), nil, nil
		f.plan.Steps = append([]plan.Step{{Op: plan.CreateUser, Key: "key-dora", Name: "dora"}}, f.plan.Steps[:2]...)
	case "over":
		f.plan, f.held = change(), heldBy()
	case "broken":
		f.broken = true
	case "busy":
		f.err = fault.New(fault.Conflict, "run_in_progress", "run %s of source %q is under way: wait for it", runID(f.runs), "corp")
	case "down":
		f.err = fault.New(fault.Unavailable, "directory_unreachable", "ldap1.example.com does not answer")
	default:
		f.outcome = args[0]
	}
}

func bootstrapFile(ts *testscript.TestScript, _ bool, args []string) {
	token, made, err := of(ts).api.EnsureBootstrap(context.Background())
	ts.Check(err)
	if !made {
		ts.Fatalf("no bootstrap token was made")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(token.Reveal()+"\n"), 0o600))
}

func keyFile(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	text := w.key
	if len(args) > 1 {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		key := access.New(access.KindKey)
		ts.Check(w.commit(state.PutToken{Token: state.Token{ID: key.ID(), Hash: key.Hash(), User: userID(byte(n)), By: "test", Created: start}}))
		text = key.Reveal()
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// keyIDs remembers the public ids of all keys that there are or were.
func (w *world) keyIDs() map[string]bool {
	snap := w.db.View().Now()
	for row := range snap.Users(identity.UserID{}, start) {
		id, _ := row.Member.User()
		for _, t := range snap.Tokens(id) {
			w.keys[t.ID] = true
		}
	}
	for _, t := range snap.PushTokens(pushedSource) {
		w.keys[t.ID] = true
	}
	return w.keys
}

func keyID(ts *testscript.TestScript, _ bool, args []string) {
	snap := of(ts).db.View().Now()
	id, err := snap.OneUser(args[1])
	ts.Check(err)
	for _, t := range snap.Tokens(id) {
		if t.Name == args[2] {
			ts.Setenv(args[0], t.ID)
			return
		}
	}
	ts.Fatalf("%s has no key %s", args[1], args[2])
}

// serveHealth is the health listener of a daemon.
func serveHealth(ts *testscript.TestScript, _ bool, args []string) {
	status, ready := http.StatusOK, true
	if args[0] == "down" {
		status, ready = http.StatusServiceUnavailable, false
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.MarshalWrite(w, health{Ready: ready, Checks: []healthCheck{
			{Name: "serving", OK: true}, {Name: "store", OK: ready, Detail: "answers"},
		}})
	})
	s := httptest.NewServer(mux)
	ts.Defer(s.Close)
	ts.Setenv("HEALTH", s.URL)
	if args[0] == "gone" {
		s.Close()
	}
}

// backup is what the API gives as a backup: a small one, or what damage makes of it.
func (w *world) backup(_ context.Context, out io.Writer) error {
	snapshot := []byte("a snapshot")
	sum := sha256.Sum256(snapshot)
	m := app.Manifest{
		Format: 1, Version: "test", Created: start, Rev: 42, Users: 5, Groups: 2, Grants: 4,
		Size: int64(len(snapshot)), SHA256: fmt.Sprintf("%x", sum),
	}
	switch w.source.chosen() {
	case "damaged":
		snapshot[3]++
	case "cut":
		_, _ = out.Write(make([]byte, 1024))
		return errors.New("the disk is full")
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	t := tar.NewWriter(out)
	for _, part := range []struct {
		name string
		data []byte
	}{{"manifest.json", b}, {"snapshot.db", snapshot}} {
		if err := t.WriteHeader(&tar.Header{Name: part.name, Mode: 0o600, Size: int64(len(part.data))}); err != nil {
			return err
		}
		if _, err := t.Write(part.data); err != nil {
			return err
		}
	}
	return t.Close()
}

func (f *fakeSource) chosen() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.outcome
}
