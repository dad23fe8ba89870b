package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/fault"
)

// TestDryRun shows that every change of a dry run says so, and that nothing else does.
func TestDryRun(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.RequestURI())
		_, _ = io.WriteString(w, `{}`)
	})
	for _, api := range []*Client{c.DryRun(), c} {
		if _, err := api.GetUser(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		if _, err := api.CreateUser(t.Context(), NewUser{UserName: "ann"}); err != nil {
			t.Fatal(err)
		}
		if err := api.DeleteUser(t.Context(), "ann", DeleteUserQuery{Confirm: "ann"}, ""); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"GET /v1/users/ann", "POST /v1/users?dryRun=true", "DELETE /v1/users/ann?confirm=ann&dryRun=true",
		"GET /v1/users/ann", "POST /v1/users", "DELETE /v1/users/ann?confirm=ann",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

func TestAnsweredAsAnother(t *testing.T) {
	var as []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		as = append(as, strings.Join(r.Header.Values("Rollcall-Impersonate"), "|"))
		_, _ = io.WriteString(w, `{}`)
	})
	for _, api := range []*Client{c, c.As("corp/müller"), c.As("ann").DryRun(), c} {
		if _, err := api.GetUser(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"", "corp/müller", "ann", ""}; !slices.Equal(as, want) {
		t.Errorf("asked as %q, want %q", as, want)
	}
	_, err := c.As("ann\r\nX-Other: 1").GetUser(t.Context(), "ann")
	wantFault(t, err, fault.Invalid, "bad_name")
}

func TestChangesRestOnWhatWasRead(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && r.Header.Get("If-Match") != `"7-ab"` {
			problem(w, http.StatusPreconditionFailed, `{"code":"stale","detail":"read it again"}`)
			return
		}
		w.Header().Set("ETag", `"7-ab"`)
		_, _ = io.WriteString(w, `{"grantRule":"held"}`)
	})
	s, err := c.GetSettings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutSettings(t.Context(), *s, s.Version); err != nil {
		t.Errorf("as it was read: %v", err)
	}
	s.Version = `"6-ab"`
	_, err = c.PutSettings(t.Context(), *s, s.Version)
	wantFault(t, err, fault.Stale, "stale")
}

// TestFollowAudit reads a stream with everything that may be in one.
func TestFollowAudit(t *testing.T) {
	const stream = ": beat\nid: 3\n\nid: 4\nevent: audit\ndata: {\"seq\":2,\"unknown\":1}\n\n:\n\nid:5\ndata:{\"seq\":3}\r\n\r\n"
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Last-Event-ID") != "2" || r.Header.Get("Accept") != "text/event-stream" || r.URL.RawQuery != "actor=ann" {
			t.Errorf("asked %s with %v", r.URL, r.Header)
		}
		_, _ = io.WriteString(w, stream)
	})
	var got []string
	for m, err := range c.FollowAudit(t.Context(), FollowAuditQuery{Actor: "ann"}, "2") {
		if err != nil {
			t.Fatal(err)
		}
		seq := "-"
		if m.Entry != nil {
			seq = string(rune('0' + m.Entry.Seq))
		}
		got = append(got, m.After+":"+seq)
	}
	if want := "3:- 4:2 4:- 5:3"; strings.Join(got, " ") != want {
		t.Errorf("followed %q, want %q", got, want)
	}
}

func TestFollowAuditEnds(t *testing.T) {
	last := func(h http.HandlerFunc) (err error) {
		for _, err = range serve(t, h).FollowAudit(t.Context(), FollowAuditQuery{}, "") {
		}
		return err
	}
	wantFault(t, last(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusForbidden, `{"code":"permission_missing","detail":"no"}`)
	}), fault.Denied, "permission_missing")
	wantFault(t, last(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "id: 1\ndata: <html>\n\n") }), fault.Unavailable, "not_rollcall")
	wantFault(t, last(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "id: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}), fault.Unavailable, "unreachable")
}

// TestVerb shows that the first request says what of the command line makes it, and no
// later one does.
func TestVerb(t *testing.T) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Rollcall-Verb"))
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(server.Close)
	c, err := New(Options{URL: server.URL, Verb: "grants apply"})
	if err != nil {
		t.Fatal(err)
	}
	for _, api := range []*Client{c.DryRun(), c, c.As("ann")} {
		if _, err := api.GetMe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"grants apply", "", ""}; !slices.Equal(got, want) {
		t.Errorf("verbs sent: %q, want %q", got, want)
	}
}
