package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

var zeroUser identity.UserID

// A body is read in one way only. Each of these was accepted by a lenient decoder,
// some of them as something else than what was validated.
func TestStrictBodies(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin)
	for _, tt := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"as it should be", `{"user":"root","permission":"AUDIT"}`, http.StatusOK, ""},
		{"a name twice", `{"user":"root","permission":"AUDIT","permission":"USER_ADMIN"}`, http.StatusBadRequest, "bad_body"},
		{"a name in another case", `{"user":"root","permission":"AUDIT","PERMISSION":"USER_ADMIN"}`, http.StatusUnprocessableEntity, "invalid_request"},
		{"a name in another case only", `{"user":"root","Permission":"USER_ADMIN"}`, http.StatusUnprocessableEntity, "invalid_request"},
		{"a name with an underscore", `{"user":"root","permission":"AUDIT","min_revision":1}`, http.StatusUnprocessableEntity, "invalid_request"},
		{"an unknown name", `{"user":"root","permission":"AUDIT","x":1}`, http.StatusUnprocessableEntity, "invalid_request"},
		{"a wrong type", `{"user":7,"permission":"AUDIT"}`, http.StatusUnprocessableEntity, "invalid_request"},
		{"a number that is none", `{"user":"root","permission":"AUDIT","minRevision":1.5}`, http.StatusUnprocessableEntity, "invalid_request"},
		{"a number beyond all", `{"user":"root","permission":"AUDIT","minRevision":1e400}`, http.StatusBadRequest, "bad_body"},
		{"a missing name", `{"user":"root"}`, http.StatusUnprocessableEntity, "invalid_request"},
		{"null", `null`, http.StatusUnprocessableEntity, "invalid_request"},
		{"an array", `[]`, http.StatusUnprocessableEntity, "invalid_request"},
		{"two values", `{"user":"root","permission":"AUDIT"}{}`, http.StatusBadRequest, "bad_body"},
		{"cut", `{"user":"root"`, http.StatusBadRequest, "bad_body"},
		{"broken UTF-8", "{\"user\":\"r\xff\",\"permission\":\"AUDIT\"}", http.StatusBadRequest, "bad_body"},
		{"half a surrogate pair", `{"user":"\ud800","permission":"AUDIT"}`, http.StatusBadRequest, "bad_body"},
		{"endless depth", strings.Repeat("[", 100_000), http.StatusBadRequest, "bad_body"},
		{"nothing", ``, http.StatusBadRequest, "bad_body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := w.call(http.MethodPost, "/v1/check", key, tt.body)
			if tt.code == "" {
				want[admin.CheckAnswer](t, r, tt.status)
				return
			}
			wantProblem(t, r, tt.status, tt.code)
		})
	}
	wantProblem(t, w.call(http.MethodPost, "/v1/check", key, "user=root", "Content-Type", "application/x-www-form-urlencoded"),
		http.StatusUnsupportedMediaType, "unsupported_media_type")
}

func TestBodyLimit(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin)
	body := func(size int) string {
		const frame = `{"user":"root","permission":"AUDIT"}`
		return frame + strings.Repeat(" ", size-len(frame))
	}
	want[admin.CheckAnswer](t, w.call(http.MethodPost, "/v1/check", key, body(1<<20-1)), http.StatusOK)
	want[admin.CheckAnswer](t, w.call(http.MethodPost, "/v1/check", key, body(1<<20)), http.StatusOK)
	wantProblem(t, w.call(http.MethodPost, "/v1/check", key, body(1<<20+1)), http.StatusRequestEntityTooLarge, "body_too_large")
	// Who may not ask is not read at all.
	wantProblem(t, w.call(http.MethodPost, "/v1/check", "", body(1<<20+1)), http.StatusUnauthorized, "no_credential")
}

func TestUnknownPathsAndMethods(t *testing.T) {
	w := newWorld(t)
	wantProblem(t, w.call(http.MethodGet, "/v1/nothing", "", nil), http.StatusNotFound, "no_such_path")
	wantProblem(t, w.call(http.MethodGet, "/", "", nil), http.StatusNotFound, "no_such_path")
	r := w.call(http.MethodPatch, "/v1/users", "", "{}")
	wantProblem(t, r, http.StatusMethodNotAllowed, "method_not_allowed")
	if allow := r.header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "POST") {
		t.Errorf("Allow: %q, want GET and POST", allow)
	}
}

func TestRequestID(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin)
	if got := w.call(http.MethodGet, "/v1/me", key, nil, "X-Request-Id", "ticket-7.a_b").header.Get("X-Request-Id"); got != "ticket-7.a_b" {
		t.Errorf("X-Request-Id: %q, want the one that was sent", got)
	}
	for _, id := range []string{"", "a b", `"quoted"`, strings.Repeat("x", 65), "-x", "é"} {
		got := w.call(http.MethodGet, "/v1/me", key, nil, "X-Request-Id", id).header.Get("X-Request-Id")
		if got == "" || got == id {
			t.Errorf("X-Request-Id for %q: %q, want another one", id, got)
		}
	}
}

// A bug in one handler is an answer and a line in the log, not the end of the daemon.
func TestPanicIsAnAnswer(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin)
	w.sync.set(func(f *fakeSync) { f.panics = true })
	p := wantProblem(t, w.call(http.MethodGet, "/v1/sources", key, nil), http.StatusInternalServerError, "internal")
	if strings.Contains(p.Detail, "bug that a test made") || !strings.Contains(w.log.String(), "a bug that a test made") || !strings.Contains(w.log.String(), p.RequestID) {
		t.Errorf("detail %q; want the panic in the log with the request id and not in the answer", p.Detail)
	}
	w.sync.set(func(f *fakeSync) { f.panics = false })
	want[admin.SourceList](t, w.call(http.MethodGet, "/v1/sources", key, nil), http.StatusOK)
}

// What has no kind is told to the log, and to the caller only where to look.
func TestUnexpectedErrorIsNotShown(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin)
	w.sync.set(func(f *fakeSync) { f.err = fmt.Errorf("dial 10.1.2.3: secret detail") })
	r := w.call(http.MethodPost, "/v1/sources/corp/runs", key, nil)
	wantProblem(t, r, http.StatusInternalServerError, "internal")
	if strings.Contains(string(r.body), "secret detail") || !strings.Contains(w.log.String(), "secret detail") {
		t.Errorf("answer %s; want the cause in the log only", r.body)
	}
}

// Whatever is sent, it comes back in no error and no log; a key comes back once.
func TestNothingSecretComesBack(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	w.person("corp", "target")
	w.group("corp", "team")
	const canary = "CanaryCanaryCanary0123456789"
	token := bootstrapToken(t, w)
	root := want[admin.Bootstrapped](t, w.call(http.MethodPost, "/v1/bootstrap", "", map[string]string{"token": token, "userName": "root"}), http.StatusCreated)
	key := root.APIKey
	var answers []string
	send := func(method, path, key string, body any) {
		answers = append(answers, string(w.call(method, path, key, body).body))
	}
	for _, o := range operations(t, w) {
		path := o.at("target")
		send(o.method, path, "rcl_pat_"+canary, o.body)
		if o.body == nil {
			send(o.method, path, key, nil)
			continue
		}
		for _, body := range []string{
			`{"` + canary + `":1}`, `{"a":"` + canary + `"}`, `{"reason":{"x":"` + canary + `"}}`, `{"values":"` + canary + `"}`,
			`{"token":"` + canary + `","userName":"x"}`, `{"token":"` + canary + `"`, `{"userName":"x","email":"` + canary + `"}`,
			`{"user":"` + canary + `","user":"` + canary + `"}`, `{"digest":["` + canary + `"]}`, `{"expireTime":"` + canary + `"}`, canary,
		} {
			send(o.method, path, key, body)
		}
	}
	for _, a := range append(answers, w.log.String()) {
		for name, secret := range map[string]string{"canary value": `:"` + canary, "canary key": "rcl_pat_" + canary, "API key": key, "bootstrap token": token} {
			if strings.Contains(a, secret) {
				t.Errorf("the %s came back: %.300s", name, a)
			}
		}
	}
}

func TestMinRevision(t *testing.T) {
	t.Parallel() // it waits
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin)
	rev := w.db.View().Now().Rev()
	got := want[admin.CheckAnswer](t, w.call(http.MethodPost, "/v1/check", key, map[string]any{"user": "root", "permission": "USER_ADMIN", "minRevision": rev}), http.StatusOK)
	if !got.Allowed || got.Revision < rev {
		t.Errorf("check = %+v, want allowed at %d or later", got, rev)
	}
	r := w.call(http.MethodPost, "/v1/check", key, map[string]any{"user": "root", "permission": "USER_ADMIN", "minRevision": rev + 1000})
	wantProblem(t, r, http.StatusServiceUnavailable, "not_visible_yet")
	if r.header.Get("Retry-After") == "" {
		t.Error("a 503 without Retry-After")
	}
}
