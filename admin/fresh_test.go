package admin_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/permissions"
)

func TestAnswersGoOnFromMemoryWithoutTheStoreAndSaySo(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin)
	ask := map[string]any{"user": "root", "permission": "USER_ADMIN"}
	const header = "Rollcall-Stale-Since"
	r := w.call(http.MethodPost, "/v1/check", key, ask)
	if got := want[admin.CheckAnswer](t, r, http.StatusOK); !got.StaleSince.IsZero() || r.header.Get(header) != "" {
		t.Errorf("stale since %v, header %q while the store answers", got.StaleSince, r.header.Get(header))
	}
	since := start.Add(-time.Minute)
	w.lose(since, false)
	r = w.call(http.MethodPost, "/v1/check", key, ask)
	if got := want[admin.CheckAnswer](t, r, http.StatusOK); !got.Allowed || !got.StaleSince.Equal(since) || r.header.Get(header) != "2026-11-25T08:59:00Z" {
		t.Errorf("check without the store = %+v, header %q; want allowed, stale since %v", got, r.header.Get(header), since)
	}
	w.lose(since, true)
	for _, path := range []string{
		"/v1/users/root/permissions", "/v1/users/root/permissions/AUDIT/explanation", "/v1/permissions/AUDIT/holders",
	} {
		wantProblem(t, w.call(http.MethodGet, path, key, nil), http.StatusServiceUnavailable, "stale")
	}
	r = w.call(http.MethodPost, "/v1/check", key, ask)
	wantProblem(t, r, http.StatusServiceUnavailable, "stale")
	if r.header.Get("Retry-After") == "" {
		t.Error("a 503 without Retry-After")
	}
	if r := w.call(http.MethodGet, "/v1/users/root", key, nil); r.status != http.StatusOK || r.header.Get(header) == "" {
		t.Errorf("GET a user = %d, header %q; want it with the header: it decides nothing", r.status, r.header.Get(header))
	}
}
