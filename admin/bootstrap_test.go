package admin_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/permissions"
)

func bootstrapToken(t *testing.T, w *world) string {
	t.Helper()
	token, created, err := w.api.EnsureBootstrap(t.Context())
	if err != nil || !created {
		t.Fatalf("EnsureBootstrap = %v, %v, want a new token", created, err)
	}
	return token.Reveal()
}

func TestBootstrapWorksOnce(t *testing.T) {
	w := newWorld(t)
	token := bootstrapToken(t, w)
	body := map[string]string{"token": token, "userName": "root"}
	got := want[admin.Bootstrapped](t, w.call(http.MethodPost, "/v1/bootstrap", "", body), http.StatusCreated)
	if d := cmp.Diff([]permissions.Permission{"APPLICATION_ADMIN", "USER_ADMIN"}, got.Permissions); d != "" {
		t.Errorf("permissions (-want +got):\n%s", d)
	}
	page := wantPage[admin.GrantPage](w, got.APIKey, "/v1/grants?user=root")
	for _, g := range page.Grants {
		if g.Origin != "bootstrap" || !g.ExpireTime.IsZero() || g.Time.IsZero() {
			t.Errorf("grant = %+v, want one of origin bootstrap without end", g)
		}
	}
	if len(page.Grants) != 2 {
		t.Errorf("%d grants, want 2", len(page.Grants))
	}
	body["userName"] = "second"
	wantProblem(t, w.call(http.MethodPost, "/v1/bootstrap", "", body), http.StatusUnauthorized, "bad_bootstrap_token")
	if _, created, err := w.api.EnsureBootstrap(t.Context()); created || err != nil {
		t.Errorf("EnsureBootstrap with an administrator = %v, %v, want none", created, err)
	}
	// Nobody logs in with it either.
	wantProblem(t, w.call(http.MethodGet, "/v1/me", token, nil), http.StatusUnauthorized, "unauthenticated")
}

func TestBootstrapOfTwoAtOnce(t *testing.T) {
	for range 10 {
		w := newWorld(t)
		token := bootstrapToken(t, w)
		var got [4]reply
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				got[i] = w.call(http.MethodPost, "/v1/bootstrap", "", map[string]string{"token": token, "userName": "root" + strings.Repeat("x", i)})
			})
		}
		wg.Wait()
		won := 0
		for _, r := range got {
			if r.status == http.StatusCreated {
				won++
			} else {
				wantProblem(t, r, http.StatusUnauthorized, "bad_bootstrap_token")
			}
		}
		users := 0
		for range w.db.View().Now().Users(zeroUser, start) {
			users++
		}
		if won != 1 || users != 1 {
			t.Errorf("%d of four bootstraps won and made %d users, want one", won, users)
		}
	}
}

func TestBootstrapTokenDies(t *testing.T) {
	w := newWorld(t)
	token := bootstrapToken(t, w)
	if _, created, err := w.api.EnsureBootstrap(t.Context()); created || err != nil {
		t.Errorf("EnsureBootstrap with a token = %v, %v, want none", created, err)
	}
	body := map[string]string{"token": token, "userName": "root"}
	wantProblem(t, w.call(http.MethodPost, "/v1/bootstrap", "", map[string]string{"token": access.New(access.KindBootstrap).Reveal(), "userName": "root"}),
		http.StatusUnauthorized, "bad_bootstrap_token")
	wantProblem(t, w.call(http.MethodPost, "/v1/bootstrap", "", map[string]string{"token": "guess", "userName": "root"}),
		http.StatusUnauthorized, "bad_bootstrap_token")
	wantProblem(t, w.call(http.MethodPost, "/v1/bootstrap", "", map[string]string{"token": token, "userName": "a/b"}),
		http.StatusUnprocessableEntity, "invalid_user_name") // and the token still works
	w.pass(24 * time.Hour)
	wantProblem(t, w.call(http.MethodPost, "/v1/bootstrap", "", body), http.StatusUnauthorized, "bad_bootstrap_token")

	next := bootstrapToken(t, w) // the old one is dead, there is no administrator: another one
	wantProblem(t, w.call(http.MethodPost, "/v1/bootstrap", "", body), http.StatusUnauthorized, "bad_bootstrap_token")
	body["token"] = next
	want[admin.Bootstrapped](t, w.call(http.MethodPost, "/v1/bootstrap", "", body), http.StatusCreated)
}

func TestKeysThatDoNotCount(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin)
	want[admin.Me](t, w.call(http.MethodGet, "/v1/me", key, nil), http.StatusOK)
	for _, tt := range []struct{ name, header, code string }{
		{"none", "", "no_credential"},
		{"an empty bearer", "Bearer ", "bad_credential"},
		{"bearer alone", "Bearer", "bad_credential"},
		{"another scheme", "Basic cm9vdDo=", "bad_credential"},
		{"a key that nobody issued", "Bearer " + access.New(access.KindKey).Reveal(), "unauthenticated"},
		{"the right id with another secret", "Bearer " + key[:19] + access.New(access.KindKey).Reveal()[19:], "bad_credential"},
		{"cut", "Bearer " + key[:len(key)-1], "bad_credential"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			if tt.header != "" {
				header = []string{"Authorization", tt.header}
			}
			r := w.call(http.MethodGet, "/v1/me", "", nil, header...)
			wantProblem(t, r, http.StatusUnauthorized, tt.code)
		})
	}
}
