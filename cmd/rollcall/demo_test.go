package main

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is what a demo has printed so far.
type screen struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func newScreen() *screen { return &screen{changed: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// wait returns once the screen shows all of the texts, or the time is over.
func (s *screen) wait(ctx context.Context, texts ...string) bool {
	for {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(s.String(), text)
		}
		if all {
			return true
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			return false
		}
	}
}

// TestTheDemoLivesAndItsScheduleTakesItOver runs the demo as a user would, until a run
// that nobody started has applied what happened in the company.
func TestTheDemoLivesAndItsScheduleTakesItOver(t *testing.T) {
	t.Parallel()
	out, errs := newScreen(), newScreen()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"demo", "--people", "400", "--every", "2s"}, strings.NewReader(""), out, errs, nil)
	}()
	within, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	for _, text := range []string{
		"First run of source halyard", "400 users", "proof: the server said", "Who now holds what",
		"export ROLLCALL_URL=http://127.0.0.1:", " sync plan halyard", "scim requests okta", "  company   ", "rollcall  run by schedule succeeded: users: ",
	} {
		if !out.wait(within, text) {
			t.Fatalf("the demo does not show %q:\n%s\n%s", text, out, errs)
		}
	}
	askAsShown(t, out.String())
	pushAsShown(t, out.String())
	place := between(out.String(), "its store in ", "\n")
	stop()
	if got := <-code; got != exitOK {
		t.Errorf("exit code %d after Ctrl-C, want %d\n%s", got, exitOK, errs)
	}
	if _, err := os.Stat(place); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", place, err)
	}
	if text := errs.String(); text != "" {
		t.Errorf("on stderr:\n%s", text)
	}
}

// askAsShown lists the sources with the address and the key that the demo shows.
func askAsShown(t *testing.T, shown string) {
	t.Helper()
	env := []string{
		"ROLLCALL_URL=" + between(shown, "ROLLCALL_URL=", " "),
		"ROLLCALL_TOKEN=" + between(shown, "ROLLCALL_TOKEN=", "\n"),
	}
	out, errs := newScreen(), newScreen()
	if code := run(t.Context(), []string{"source", "list"}, strings.NewReader(""), out, errs, env); code != exitOK {
		t.Fatalf("source list: exit code %d\n%s", code, errs)
	}
	for _, want := range []string{"halyard  ldap", "okta     scim"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("source list lacks %q:\n%s", want, out)
		}
	}
}

// pushAsShown sends what the demo says to paste.
func pushAsShown(t *testing.T, shown string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:"+between(shown, "    http://127.0.0.1:", "\n"),
		strings.NewReader(between(shown, "-d '", "'")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", between(shown, "-H 'Authorization: ", "'"))
	r.Header.Set("Content-Type", "application/scim+json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusCreated {
		t.Errorf("POST %s: status %d, want %d", r.URL, resp.StatusCode, http.StatusCreated)
	}
}

func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}
