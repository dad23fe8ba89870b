package client

import (
	"io"
	"net/http"
	"testing"

	"github.com/rollcall-id/rollcall/fault"
)

// What was not begun is sent again, and so is what only reads. A change that may have been
// made is not.
func TestWhatIsSentAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		status, want int
		wait         string
		call         func(*Client) error
	}{
		"a read":                    {http.StatusServiceUnavailable, 2, "0", func(c *Client) error { _, err := c.GetMe(t.Context()); return err }},
		"a check":                   {http.StatusServiceUnavailable, 2, "0", func(c *Client) error { _, err := c.Check(t.Context(), CheckRequest{}); return err }},
		"a change":                  {http.StatusServiceUnavailable, 1, "0", func(c *Client) error { _, err := c.CreateUser(t.Context(), NewUser{}); return err }},
		"a change that is tried":    {http.StatusServiceUnavailable, 2, "0", func(c *Client) error { _, err := c.DryRun().CreateUser(t.Context(), NewUser{}); return err }},
		"a change asked too often":  {http.StatusTooManyRequests, 2, "0", func(c *Client) error { _, err := c.CreateUser(t.Context(), NewUser{}); return err }},
		"one that has to wait long": {http.StatusTooManyRequests, 1, "3600", func(c *Client) error { _, err := c.GetMe(t.Context()); return err }},
		"one without a time":        {http.StatusServiceUnavailable, 1, "", func(c *Client) error { _, err := c.GetMe(t.Context()); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			asked, keys := 0, map[string]bool{}
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				keys[r.Header.Get("Idempotency-Key")] = true
				if asked++; asked == 1 {
					if tc.wait != "" {
						w.Header().Set("Retry-After", tc.wait)
					}
					problem(w, tc.status, `{"code":"busy","detail":"later"}`)
					return
				}
				_, _ = io.WriteString(w, `{}`)
			})
			err := tc.call(c)
			if asked != tc.want || (err == nil) != (tc.want == 2) || len(keys) != 1 {
				t.Errorf("asked %d times with %d keys and got %v, want %d times with one", asked, len(keys), err, tc.want)
			}
		})
	}
}

// Every change that can be made once carries a key of its own.
func TestChangesCarryAKey(t *testing.T) {
	keys := map[string]int{}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		keys[r.Header.Get("Idempotency-Key")]++
		_, _ = io.WriteString(w, `{}`)
	})
	for range 2 {
		if _, err := c.CreateUser(t.Context(), NewUser{}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.GetMe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys) != 3 || keys[""] != 2 {
		t.Errorf("keys %v, want none for reads and another for each change", keys)
	}
}

// What cannot be tried is not done instead.
func TestNothingIsDoneInsteadOfTried(t *testing.T) {
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was done") }).DryRun()
	wantFault(t, c.do(t.Context(), call{method: http.MethodPost, path: []string{"v1", "thing"}}, nil), fault.Invalid, "no_dry_run")
}

// All pages are read, each once, up to an error.
func TestPages(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("pageToken") {
		case "":
			_, _ = io.WriteString(w, `{"users":[{"id":"1"},{"id":"2"}],"nextPageToken":"next"}`)
		case "next":
			_, _ = io.WriteString(w, `{"users":[{"id":"3"}],"nextPageToken":"last"}`)
		default:
			problem(w, http.StatusForbidden, `{"code":"permission_missing","detail":"no"}`)
		}
	})
	ids := ""
	for u, err := range c.ListUsersAll(t.Context(), ListUsersQuery{Status: "active"}) {
		if err != nil {
			wantFault(t, err, fault.Denied, "permission_missing")
			ids += "!"
			continue
		}
		ids += u.ID
	}
	if ids != "123!" {
		t.Errorf("read %q, want 123 and then the error", ids)
	}
}
