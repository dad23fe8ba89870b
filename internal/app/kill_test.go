package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"

	"github.com/rollcall-id/rollcall/internal/demo"
)

// daemonFile, set in the environment, makes the test binary the daemon: it serves the
// configuration in that file, and writes where it serves to a file beside it.
const daemonFile = "TEST_DAEMON_CONFIG"

func TestMain(m *testing.M) {
	if file := os.Getenv(daemonFile); file != "" {
		if err := serveUntilKilled(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func serveUntilKilled(file string) error {
	c, err := LoadConfig(file, nil)
	if err != nil {
		return err
	}
	a, err := New(Options{Config: c, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Version: "test"})
	if err != nil {
		return err
	}
	if err := a.Start(context.Background()); err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", []byte(a.URL()), 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file+".url"); err != nil {
		return err
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	select {
	case err := <-a.Failed():
		return err
	case <-told:
		return a.Stop(context.Background())
	}
}

// The size of the test that kills.
const (
	killRounds  = 12
	killWriters = 4
	killUsers   = 12 // of the company, to whom nothing ever happens
)

// victim is a daemon in a process of its own.
type victim struct {
	t    *testing.T
	file string
	url  string
	key  string
	cmd  *exec.Cmd
	err  *bytes.Buffer
}

func (v *victim) start() {
	v.t.Helper()
	_ = os.Remove(v.file + ".url")
	v.err = &bytes.Buffer{}
	v.cmd = exec.CommandContext(v.t.Context(), os.Args[0])
	v.cmd.Env = append(os.Environ(), daemonFile+"="+v.file)
	v.cmd.Stderr = v.err
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		if b, err := os.ReadFile(v.file + ".url"); err == nil {
			v.url = string(b)
			return
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("the daemon does not serve:\n%s", v.err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (v *victim) kill() {
	v.t.Helper()
	if err := v.cmd.Process.Kill(); err != nil {
		v.t.Fatal(err)
	}
	_ = v.cmd.Wait() // it was killed, and says so
}

// quit ends the daemon in good order.
func (v *victim) quit() {
	v.t.Helper()
	if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		v.t.Fatal(err)
	}
	if err := v.cmd.Wait(); err != nil {
		v.t.Fatalf("the daemon did not stop well: %v\n%s", err, v.err)
	}
}

// enroll makes the first administrator.
func (v *victim) enroll() {
	v.t.Helper()
	conf, err := LoadConfig(v.file, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(conf.Store.Dir, "bootstrap-token"))
	if err != nil {
		v.t.Fatal(err)
	}
	var made struct {
		APIKey string `json:"apiKey"`
	}
	if got := v.ask("POST", "/v1/bootstrap", fmt.Sprintf(`{"token":%q,"userName":"root"}`, strings.TrimSpace(string(token))), &made); got != 201 {
		v.t.Fatalf("bootstrap = %d", got)
	}
	v.key = made.APIKey
}

// ask returns the status, or 0 when there was no answer.
func (v *victim) ask(method, path, body string, into any) int {
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+v.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	if into != nil {
		if err := json.UnmarshalRead(resp.Body, into); err != nil {
			return 0
		}
	}
	return resp.StatusCode
}

// told is what one user's writer has asked for, and what was acknowledged.
type told struct {
	tried, acked       int  // of the attribute "seq", which counts up
	grant, grantBefore bool // asked for last; what was acknowledged before
	sure               bool // the last answer about the grant came
}

// TestNothingAcknowledgedIsLostToAKill kills the daemon again and again while
// administrators write and runs apply what the company does, and looks for every
// write whose answer came.
func TestNothingAcknowledgedIsLostToAKill(t *testing.T) {
	c := company(t)
	v := &victim{t: t, file: write(t, c, t.TempDir(), "")}
	v.start()
	v.enroll()
	v.syncOnce()
	users := make([]told, killUsers)
	names := staying(c)
	for round := range killRounds {
		v.storm(c, names, users, time.Duration(20+rand.IntN(250))*time.Millisecond)
		v.start()
		for i := range users {
			v.check(round, names[i], &users[i])
		}
	}
	v.syncOnce() // the next good run heals what a kill left half-way
	var all struct {
		Users []struct {
			UserName string `json:"userName"`
		} `json:"users"`
	}
	if got := v.ask("GET", "/v1/users?pageSize=1000&source=halyard&status=active", "", &all); got != 200 {
		t.Fatalf("users = %d", got)
	}
	active := 0
	for _, p := range c.People() {
		if !p.Disabled {
			active++
		}
	}
	if len(all.Users) != active {
		t.Errorf("%d active users after the last run, the company has %d", len(all.Users), active)
	}
	v.kill()
}

// staying returns people to whom nothing happens: the company's cast and its heads
// are the first.
func staying(c *demo.Company) []string {
	var names []string
	for _, p := range c.People()[:killUsers] {
		names = append(names, p.Login)
	}
	return names
}

// storm writes from all sides until the daemon is killed after a while.
func (v *victim) storm(c *demo.Company, names []string, users []told, after time.Duration) {
	v.t.Helper()
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range killWriters {
		writers.Go(func() {
			for n := w; ; n += killWriters {
				select {
				case <-stop:
					return
				default:
				}
				i := n % len(users)
				v.write(names[i], &users[i])
			}
		})
	}
	_, err := c.Next()
	v.ask("POST", "/v1/sources/halyard/runs", "", nil)
	time.Sleep(after)
	v.kill()
	close(stop)
	writers.Wait()
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *victim) write(name string, u *told) {
	u.tried++
	if v.ask("PUT", "/v1/users/"+name+"/attributes/seq", fmt.Sprintf(`{"values":["%d"]}`, u.tried), nil) == 200 {
		u.acked = u.tried
	}
	if u.sure {
		u.grantBefore = u.grant
	}
	u.grant, u.sure = !u.grant, false
	if u.grant {
		got := v.ask("PUT", "/v1/users/"+name+"/grants/AUDIT", `{"reason":"storm"}`, nil)
		u.sure = got == 200 || got == 201
	} else {
		got := v.ask("DELETE", "/v1/users/"+name+"/grants/AUDIT", "", nil)
		u.sure = got == 204 || got == 404
	}
}

func (v *victim) check(round int, name string, u *told) {
	v.t.Helper()
	var got struct {
		Local struct {
			Attributes map[string][]string `json:"attributes"`
		} `json:"local"`
	}
	if status := v.ask("GET", "/v1/users/"+name, "", &got); status != 200 {
		v.t.Fatalf("GET %s = %d", name, status)
	}
	seq := 0
	if values := got.Local.Attributes["seq"]; len(values) == 1 {
		_, _ = fmt.Sscan(values[0], &seq)
	}
	if seq < u.acked || seq > u.tried {
		v.t.Errorf("round %d: %s has seq %d, acknowledged was %d and %d was the last tried", round, name, seq, u.acked, u.tried)
	}
	u.acked, u.tried = seq, max(seq, u.tried)
	var answer struct {
		Allowed bool `json:"allowed"`
	}
	if status := v.ask("POST", "/v1/check", fmt.Sprintf(`{"user":%q,"permission":"AUDIT"}`, name), &answer); status != 200 {
		v.t.Fatalf("check of %s = %d", name, status)
	}
	if u.sure && answer.Allowed != u.grant {
		v.t.Errorf("round %d: %s is allowed = %v, acknowledged was %v", round, name, answer.Allowed, u.grant)
	}
	u.grant, u.grantBefore, u.sure = answer.Allowed, answer.Allowed, true
}

// syncOnce runs the source and waits until the run has ended well.
func (v *victim) syncOnce() {
	v.t.Helper()
	v.runs("/v1/sources/halyard/runs")
}

func (v *victim) runs(path string) {
	v.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		var started struct {
			Run string `json:"run"`
		}
		switch status := v.ask("POST", path, "", &started); {
		case status == 202 && v.ended(started.Run, deadline):
			return
		case status == 409, status == 202: // one is under way, or it failed with the term before
		default:
			v.t.Fatalf("start a run = %d\n%s", status, v.err)
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("no run ends well:\n%s", v.err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (v *victim) ended(id string, deadline time.Time) bool {
	for time.Now().Before(deadline) {
		var run struct {
			State string `json:"state"`
		}
		switch v.ask("GET", "/v1/sources/halyard/runs/"+id, "", &run); run.State {
		case "succeeded":
			return true
		case "failed", "interrupted", "held":
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}
