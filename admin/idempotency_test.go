package admin_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/permissions"
)

const idempotencyKey = "Idempotency-Key"

func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin)
	_, other := w.caller("other", permissions.UserAdmin)
	zoe := map[string]string{"userName": "zoe"}
	first := w.call(http.MethodPost, "/v1/users", key, zoe, idempotencyKey, "k1")
	want[admin.User](t, first, http.StatusCreated)
	again := w.call(http.MethodPost, "/v1/users", key, zoe, idempotencyKey, "k1")
	want[admin.User](t, again, http.StatusCreated)
	if d := cmp.Diff(string(first.body), string(again.body)); d != "" || again.header.Get("Location") != first.header.Get("Location") ||
		again.header.Get("ETag") != first.header.Get("ETag") || again.header.Get("Idempotency-Replayed") != "true" || first.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("the repeat is answered otherwise (-first +again):\n%s\n%v", d, again.header)
	}
	// The same key for another request, of another user, and without one.
	wantProblem(t, w.call(http.MethodPost, "/v1/users", key, map[string]string{"userName": "yan"}, idempotencyKey, "k1"), http.StatusUnprocessableEntity, "idempotency_key_reused")
	wantProblem(t, w.call(http.MethodPost, "/v1/groups", key, map[string]string{"name": "zoe"}, idempotencyKey, "k1"), http.StatusUnprocessableEntity, "idempotency_key_reused")
	wantProblem(t, w.call(http.MethodPost, "/v1/users", other, zoe, idempotencyKey, "k1"), http.StatusConflict, "name_taken")
	wantProblem(t, w.call(http.MethodPost, "/v1/users", key, zoe), http.StatusConflict, "name_taken")
	// What was refused may be tried again.
	wantProblem(t, w.call(http.MethodPost, "/v1/users", key, map[string]string{"userName": "a/b"}, idempotencyKey, "k2"), http.StatusUnprocessableEntity, "invalid_user_name")
	want[admin.User](t, w.call(http.MethodPost, "/v1/users", key, map[string]string{"userName": "ab"}, idempotencyKey, "k2"), http.StatusCreated)
	// A dry run is no use of a key.
	want[admin.User](t, w.call(http.MethodPost, "/v1/users?dryRun=true", key, map[string]string{"userName": "dry"}, idempotencyKey, "k3"), http.StatusCreated)
	want[admin.User](t, w.call(http.MethodPost, "/v1/users", key, map[string]string{"userName": "dry"}, idempotencyKey, "k3"), http.StatusCreated)
	// Keys at the limit and beyond.
	want[admin.User](t, w.call(http.MethodPost, "/v1/users", key, map[string]string{"userName": "long"}, idempotencyKey, strings.Repeat("k", 255)), http.StatusCreated)
	wantProblem(t, w.call(http.MethodPost, "/v1/users", key, map[string]string{"userName": "longer"}, idempotencyKey, strings.Repeat("k", 256)), http.StatusBadRequest, "bad_idempotency_key")
	// Forgotten after a day.
	w.pass(24 * time.Hour)
	wantProblem(t, w.call(http.MethodPost, "/v1/users", key, zoe, idempotencyKey, "k1"), http.StatusConflict, "name_taken")
	w.pass(time.Hour)
	want[admin.User](t, w.call(http.MethodPost, "/v1/users", key, map[string]string{"userName": "last"}, idempotencyKey, "k4"), http.StatusCreated)
	if n := w.stored("w/i/"); n != 1 {
		t.Errorf("%d requests are remembered, want the last one alone", n)
	}
}

// stored returns how many records the store holds under a prefix.
func (w *world) stored(prefix string) int {
	w.t.Helper()
	all, _, err := w.store.List(w.t.Context(), prefix)
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, err := range all {
		if err != nil {
			w.t.Fatal(err)
		}
		n++
	}
	return n
}

// A secret is not kept: who repeats the making of a key is told that it was shown.
func TestIdempotencyKeepsNoSecret(t *testing.T) {
	w := newWorld(t)
	ann, key := w.caller("ann")
	body := map[string]string{"name": "laptop"}
	made := want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/me/keys", key, body, idempotencyKey, "k"), http.StatusCreated)
	r := w.call(http.MethodPost, "/v1/me/keys", key, body, idempotencyKey, "k")
	wantProblem(t, r, http.StatusConflict, "already_shown")
	if n := len(w.db.View().Now().Tokens(ann)); n != 2 {
		t.Errorf("%d keys, want the first and one more", n)
	}
	all, _, err := w.store.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(rec.Value), made.Secret) {
			t.Errorf("the store holds the secret under %s", rec.Key)
		}
	}
	if strings.Contains(w.log.String(), made.Secret) {
		t.Error("the log holds the secret")
	}
}

// Of many at once with one key, one is done.
func TestIdempotencyAtOnce(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin)
	var wg sync.WaitGroup
	got := make([]reply, 8)
	for i := range got {
		wg.Go(func() {
			got[i] = w.call(http.MethodPost, "/v1/groups", key, map[string]string{"name": "one"}, idempotencyKey, "k")
		})
	}
	wg.Wait()
	for _, r := range got {
		if r.status != http.StatusCreated {
			wantProblem(t, r, http.StatusConflict, "request_in_progress")
		} else if d := cmp.Diff(groupID(t, got), want[admin.Group](t, r, http.StatusCreated).ID); d != "" {
			t.Errorf("two groups were made:\n%s", d)
		}
	}
}

func groupID(t *testing.T, rs []reply) string {
	t.Helper()
	for _, r := range rs {
		if r.status == http.StatusCreated {
			return want[admin.Group](t, r, http.StatusCreated).ID
		}
	}
	t.Fatal("no request was done")
	return ""
}
