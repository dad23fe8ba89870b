package client

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server and returns a client of it.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	c, err := New(Options{URL: s.URL, Token: "rcl_pat_secret", Agent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		s.Close()
	})
	return c
}

// wantFault checks what kind of failure an error is, and that it is no place for a
// token.
func wantFault(t *testing.T, err, kind error, code string) {
	t.Helper()
	if !errors.Is(err, kind) || fault.Code(err) != code {
		t.Errorf("error %v of kind %v with code %q, want kind %v with code %q", err, fault.Kind(err), fault.Code(err), kind, code)
	}
	if err != nil && strings.Contains(err.Error(), "rcl_pat_secret") {
		t.Errorf("the error %q holds the token", err)
	}
}

func problem(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func TestRequestsCarryWhatTheyShould(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := strings.Join([]string{
			r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Authorization"), r.Header.Get("User-Agent"), r.Header.Get("Content-Type"), string(body),
		}, " ")
		want := `PUT /v1/groups/corp%2FData%20Stewards/grants/GOVERNANCE  Bearer rcl_pat_secret test application/json {"reason":"why","expireTime":"2027-01-01T00:00:00Z"}`
		if got != want {
			t.Errorf("request %s\nwant    %s", got, want)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id":"1","permission":"GOVERNANCE","unknown":true}`)
	})
	g, err := c.PutGroupGrant(t.Context(), "corp/Data Stewards", "GOVERNANCE",
		GrantRequest{Reason: "why", ExpireTime: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil || g.Permission != "GOVERNANCE" {
		t.Errorf("Grant = %+v, %v", g, err)
	}
}

// TestNamesReachTheServer shows that whatever a user is called, the server is asked
// about that user and nothing else.
func TestNamesReachTheServer(t *testing.T) {
	var got string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /base/v1/users/{user}", func(w http.ResponseWriter, r *http.Request) {
		got = r.PathValue("user")
		_, _ = io.WriteString(w, `{}`)
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	c, err := New(Options{URL: s.URL + "/base/"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func(name string) error {
		got = "nothing"
		_, err := c.GetUser(t.Context(), name)
		return err
	}
	for _, name := range []string{"ann", "corp/ann", "a/../b", "a%2fb", "a?b=c", "a#b", "a b", "渡辺", "a;b", "...", "a\\b", "\x00"} {
		if err := ask(name); err != nil || got != name {
			t.Errorf("User(%q) asked for %q: %v", name, got, err)
		}
	}
	for _, name := range []string{"", ".", ".."} {
		wantFault(t, ask(name), fault.Invalid, "bad_name")
	}
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.StringMatching(`[^\x00]{3,20}`).Draw(r, "name")
		if name == "..." {
			return
		}
		if err := ask(name); err != nil || got != name {
			r.Fatalf("User(%q) asked for %q: %v", name, got, err)
		}
	})
}

func TestKinds(t *testing.T) {
	for status, kind := range map[int]error{
		400: fault.Invalid, 401: fault.Unauthenticated, 403: fault.Denied, 404: fault.NotFound, 405: fault.Invalid, 409: fault.Conflict,
		410: fault.NotFound, 412: fault.Stale, 413: fault.Invalid, 415: fault.Invalid, 422: fault.Invalid, 428: fault.Stale,
		429: fault.Unavailable, 500: fault.Unavailable, 503: fault.Unavailable, 507: fault.Unavailable,
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			problem(w, status, `{"title":"T","status":418,"code":"some_code","detail":"do this","requestId":"r1","requiredPermissions":["USER_ADMIN"]}`)
		})
		_, err := c.GetMe(t.Context())
		wantFault(t, err, kind, "some_code")
		p, ok := errors.AsType[*Problem](err)
		if !ok || p.Status != status || p.RequestID != "r1" || err.Error() != "do this" || len(p.Required) != 1 {
			t.Errorf("status %d: error %q with %+v", status, err, p)
		}
		if fault.Kind(err) != kind {
			t.Errorf("status %d: kind %v, want %v alone", status, fault.Kind(err), kind)
		}
	}
}

func TestSentences(t *testing.T) {
	for name, tc := range map[string]struct{ body, want string }{
		"detail":       {`{"title":"Conflict","code":"x","detail":"wait for it"}`, "wait for it"},
		"title":        {`{"title":"Not Found","code":"x"}`, "not found"},
		"places":       {`{"code":"bad_body","detail":"the body is wrong","errors":[{"location":"body.a","message":"is one"},{"location":"body.b","message":"is two"}]}`, "the body is wrong: body.a is one; body.b is two"},
		"places alone": {`{"code":"invalid_request","detail":"correct what errors lists","errors":[{"location":"query.status","message":"is none of these"}]}`, "the request is wrong: query.status is none of these"},
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { problem(w, http.StatusConflict, tc.body) })
		if _, err := c.GetMe(t.Context()); err == nil || err.Error() != tc.want {
			t.Errorf("%s: error %q, want %q", name, err, tc.want)
		}
	}
}

func TestStrangersAreNoRollcall(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(http.ResponseWriter)
		kind   error
	}{
		"a proxy's page": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<h1>Bad Gateway</h1>")
		}, fault.Unavailable},
		"a page where the answer should be": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") }, fault.Unavailable},
		"another API":                       {func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"user": 7}`) }, fault.Unavailable},
		"a name twice":                      {func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"apiKeyId":"1","apiKeyId":"2"}`) }, fault.Unavailable},
		"a problem that is none":            {func(w http.ResponseWriter) { problem(w, http.StatusForbidden, "no") }, fault.Denied},
		"a problem of another type":         {func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }, fault.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { tc.answer(w) })
			_, err := c.GetMe(t.Context())
			wantFault(t, err, tc.kind, "not_rollcall")
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		_, err := c.GetMe(t.Context())
		wantFault(t, err, fault.Unavailable, "redirected")
		_, err = c.DisableUser(t.Context(), "ann", DisableRequest{Reason: "why"}, "")
		wantFault(t, err, fault.Unavailable, "redirected")
	}
}

func TestTimeout(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"an answer that does not end": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"user":`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(h)
			defer s.Close()
			c, err := New(Options{URL: s.URL, Timeout: 30 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.GetMe(t.Context())
			wantFault(t, err, fault.Unavailable, "timeout")
		})
	}
}

func TestCancellationIsNoFailureOfTheServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := c.GetMe(ctx); !errors.Is(err, context.Canceled) || fault.Kind(err) != nil {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestUnreachable(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	c, err := New(Options{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.GetMe(t.Context())
	wantFault(t, err, fault.Unavailable, "unreachable")
	cut := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"user":`)
	})
	_, err = cut.GetMe(t.Context())
	wantFault(t, err, fault.Unavailable, "unreachable")
}

func TestAnswersAreReadUpToALimit(t *testing.T) {
	answer := `{"apiKeyId":"` + strings.Repeat("x", 1000) + `"}`
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
	var me Me
	r := call{method: http.MethodGet, path: []string{"v1", "me"}, limit: int64(len(answer))}
	if err := c.do(t.Context(), r, &me); err != nil {
		t.Errorf("an answer of the limit: %v", err)
	}
	r.limit--
	wantFault(t, c.do(t.Context(), r, &me), fault.Unavailable, "answer_too_large")
	endless := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	_, err := endless.GetMe(t.Context())
	wantFault(t, err, fault.Conflict, "not_rollcall")
}

func TestSecretsStayOffTheWire(t *testing.T) {
	never := roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a request was sent")
		return nil, errors.New("no")
	})
	for _, address := range []string{"http://rollcall.example.com", "http://192.0.2.1:8080", "http://127.0.0.1.example.com", "http://[2001:db8::1]", "http://0.0.0.0", "http://localhost.example.com"} {
		c, err := New(Options{URL: address, Token: "rcl_pat_secret", Transport: never})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.GetMe(t.Context())
		wantFault(t, err, fault.Invalid, "plaintext_refused")
		if c, err = New(Options{URL: address, Transport: never}); err != nil {
			t.Fatal(err)
		}
		_, err = c.Bootstrap(t.Context(), Bootstrap{Token: "rcl_boot_secret", UserName: "root"})
		wantFault(t, err, fault.Invalid, "plaintext_refused")
		wantFault(t, c.with("rcl_pat_secret").Backup(t.Context(), io.Discard), fault.Invalid, "plaintext_refused")
	}
	sent := 0
	counts := roundTrip(func(*http.Request) (*http.Response, error) {
		sent++
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{}`))}, nil
	})
	fine := []string{"https://rollcall.example.com", "http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:8080", "http://localhost:8080", "http://LOCALHOST"}
	for _, address := range fine {
		c, err := New(Options{URL: address, Token: "rcl_pat_secret", Transport: counts})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.GetMe(t.Context()); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if sent != len(fine) {
		t.Errorf("%d requests were sent, want %d", sent, len(fine))
	}
}

func (c *Client) with(token string) *Client {
	d := *c
	d.token = token
	return &d
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAddresses(t *testing.T) {
	for _, address := range []string{
		"", "rollcall.example.com", "ftp://example.com", "http://", "https://user:hunter2@example.com", "https://example.com?x=hunter2",
		"https://example.com#x", "http://[::1", "://", "https://exa mple.com",
	} {
		_, err := New(Options{URL: address})
		wantFault(t, err, fault.Invalid, "bad_url")
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("New(%q) = %q, which repeats a secret", address, err)
		}
	}
	c, err := New(Options{URL: "https://example.com/rollcall//"})
	if err != nil || c.URL() != "https://example.com/rollcall" {
		t.Errorf("New = %v, %v", c, err)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"apiKeyId":"k"}`) }))
	defer s.Close()
	ask := func(o Options) error {
		c, err := New(o)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.GetMe(t.Context())
		return err
	}
	wantFault(t, ask(Options{URL: s.URL}), fault.Unavailable, "untrusted")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ask(Options{URL: s.URL, CAFile: ca}); err != nil {
		t.Errorf("with its authority: %v", err)
	}
	wantFault(t, ask(Options{URL: s.URL, CAFile: ca + ".not"}), fault.Invalid, "bad_ca_file")
	plain := httptest.NewServer(nil)
	defer plain.Close()
	err := ask(Options{URL: "https://" + plain.Listener.Addr().String()})
	wantFault(t, err, fault.Unavailable, "unreachable")
	if err == nil || !strings.Contains(err.Error(), "does not speak TLS") {
		t.Errorf("error %v, want it said that TLS is not spoken there", err)
	}
}

func TestBackup(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20)) })
	var b bytes.Buffer
	if err := c.Backup(t.Context(), &b); err != nil || b.Len() != 1<<20 {
		t.Errorf("Backup wrote %d bytes: %v", b.Len(), err)
	}
	full := errors.New("the disk is full")
	if err := c.Backup(t.Context(), writer(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) || fault.Kind(err) != nil {
		t.Errorf("error %v, want the writer's own", err)
	}
	cut := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 100))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	wantFault(t, cut.Backup(t.Context(), io.Discard), fault.Unavailable, "unreachable")
	refused := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusForbidden, `{"code":"permission_missing","detail":"no"}`)
	})
	wantFault(t, refused.Backup(t.Context(), io.Discard), fault.Denied, "permission_missing")
}

type writer func([]byte) (int, error)

func (f writer) Write(p []byte) (int, error) { return f(p) }
