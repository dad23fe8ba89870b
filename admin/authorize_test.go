package admin_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// verifier stands for an identity provider that has signed a few tokens. Package
// access has the tests with one that signs.
type verifier map[string]access.Claims

// Verify implements admin.Verifier.
func (v verifier) Verify(_ context.Context, raw string) (access.Claims, error) {
	c, ok := v[raw]
	switch {
	case raw == "a.way.x":
		return c, fault.New(fault.Unavailable, "issuer_unavailable", "the identity provider does not answer")
	case !ok:
		return c, fault.New(fault.Unauthenticated, "bad_token", "the token does not count")
	}
	return c, nil
}

// A signed token shows who somebody is; what he may do is decided here.
func TestSignedTokens(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	w.known("other")
	ann := w.person("corp", "Ann")
	w.person("other", "ann")
	w.person("other", "corp/ann") // whose bare name looks like another's
	bob := w.person("corp", "bob")
	w.grant(identity.UserMember(ann), permissions.Audit, time.Time{})
	w.commit(state.Disable{User: bob, Reason: "left"})
	claims := func(name string) access.Claims { return access.Claims{Source: "corp", Name: name} }
	tokens := verifier{
		"a.n.n": claims("ann"), "b.o.b": claims("bob"), "n.o.body": claims("eve"), "i.d.x": claims(ann.String()), "e.m.pty": claims(""),
	}
	stop := w.with(func(o *admin.Options) { o.Tokens = tokens })
	if r := w.call(http.MethodGet, "/v1/users", "a.n.n", nil); r.status != http.StatusOK {
		t.Errorf("with a token of one who may: status %d: %s", r.status, r.body)
	}
	if me := want[admin.Me](t, w.call(http.MethodGet, "/v1/me", "a.n.n", nil), http.StatusOK); me.User.ID != ann.String() || me.Key != "" {
		t.Errorf("the token names %+v, want the user of its own source, %s", me, ann)
	}
	wantProblem(t, w.call(http.MethodPut, "/v1/users/ann/grants/AUDIT", "a.n.n", map[string]string{"reason": "x"}), http.StatusForbidden, "permission_missing")
	// Who is not active is told what a stranger is told.
	for _, token := range []string{"b.o.b", "n.o.body", "i.d.x", "e.m.pty"} {
		wantProblem(t, w.call(http.MethodGet, "/v1/me", token, nil), http.StatusUnauthorized, "unauthenticated")
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/me", "x.y.z", nil), http.StatusUnauthorized, "bad_token")
	r := w.call(http.MethodGet, "/v1/me", "a.way.x", nil)
	wantProblem(t, r, http.StatusServiceUnavailable, "issuer_unavailable")
	_, key := w.caller("root")
	if r := w.call(http.MethodGet, "/v1/me", key, nil); r.status != http.StatusOK {
		t.Errorf("a key beside tokens: status %d", r.status)
	}
	stop()
	wantProblem(t, w.call(http.MethodGet, "/v1/me", "a.n.n", nil), http.StatusUnauthorized, "bad_credential")
}

// Somebody who is called as a service is, at the identity provider, is not the service.
func TestSignedTokensNameNoService(t *testing.T) {
	w := newWorld(t)
	_, root := w.caller("root", permissions.ApplicationAdmin)
	tokens := verifier{"r.oo.t": {Source: identity.Local, Name: "root"}, "b.ill.ing": {Source: identity.Local, Name: "billing"}}
	defer w.with(func(o *admin.Options) { o.Tokens = tokens })()
	if r := w.call(http.MethodPost, "/v1/services", root, map[string]string{"name": "billing"}); r.status != http.StatusCreated {
		t.Fatalf("create a service: status %d: %s", r.status, r.body)
	}
	want[admin.Me](t, w.call(http.MethodGet, "/v1/me", "r.oo.t", nil), http.StatusOK)
	wantProblem(t, w.call(http.MethodGet, "/v1/me", "b.ill.ing", nil), http.StatusUnauthorized, "unauthenticated")
}

func wantRetry(t *testing.T, r reply, seconds int) {
	t.Helper()
	wantProblem(t, r, http.StatusTooManyRequests, "rate_limited")
	if got := r.header.Get("Retry-After"); got != strconv.Itoa(seconds) {
		t.Errorf("Retry-After %q, want %d", got, seconds)
	}
}

func TestKeysHaveALimit(t *testing.T) {
	w := newWorld(t)
	_, often := w.caller("often")
	_, rarely := w.caller("rarely")
	limits := access.LimitsConfig{PerKey: access.Bucket{Rate: 0.25, Burst: 3}}
	defer w.with(func(o *admin.Options) { o.Limits = access.NewLimiter(limits, w.clock) })()
	for range 3 {
		want[map[string]any](t, w.call(http.MethodGet, "/v1/me", often, nil), http.StatusOK)
	}
	wantRetry(t, w.call(http.MethodGet, "/v1/me", often, nil), 4)
	wantRetry(t, w.call(http.MethodPost, "/v1/users", often, "{"), 4) // refused before anything else
	want[map[string]any](t, w.call(http.MethodGet, "/v1/me", rarely, nil), http.StatusOK)
	w.pass(4 * time.Second)
	want[map[string]any](t, w.call(http.MethodGet, "/v1/me", often, nil), http.StatusOK)
	wantRetry(t, w.call(http.MethodGet, "/v1/me", often, nil), 4)
}

// Guessing is answered ever more slowly, and locks nobody out.
func TestFailuresHaveALimit(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("somebody")
	limits := access.LimitsConfig{Failures: access.Bucket{Rate: 0.1, Burst: 2}}
	defer w.with(func(o *admin.Options) { o.Limits, o.Tokens = access.NewLimiter(limits, w.clock), verifier{} })()
	wantProblem(t, w.call(http.MethodGet, "/v1/me", access.New(access.KindKey).Reveal(), nil), http.StatusUnauthorized, "unauthenticated")
	wantProblem(t, w.call(http.MethodGet, "/v1/me", "x.y.z", nil), http.StatusUnauthorized, "bad_token")
	wantRetry(t, w.call(http.MethodGet, "/v1/me", "nonsense", nil), 10)
	wantRetry(t, w.call(http.MethodGet, "/v1/me", access.New(access.KindKey).Reveal(), nil), 10)
	// Who presents nothing guesses nothing.
	wantProblem(t, w.call(http.MethodGet, "/v1/me", "", nil), http.StatusUnauthorized, "no_credential")
	want[map[string]any](t, w.call(http.MethodGet, "/v1/me", key, nil), http.StatusOK)
	w.pass(10 * time.Second)
	wantProblem(t, w.call(http.MethodGet, "/v1/me", "nonsense", nil), http.StatusUnauthorized, "bad_credential")
}

// A key of another kind is no person's key, whatever is stored under its id.
func TestOnlyPeoplesKeysAreKeysOfPeople(t *testing.T) {
	w := newWorld(t)
	id, _ := w.caller("somebody", permissions.UserAdmin)
	for _, kind := range []access.Kind{access.KindBootstrap} {
		c := access.New(kind)
		w.commit(state.PutToken{Token: state.Token{ID: c.ID(), Hash: c.Hash(), User: id, By: "test", Created: w.clock()}})
		wantProblem(t, w.call(http.MethodGet, "/v1/me", c.Reveal(), nil), http.StatusUnauthorized, "unauthenticated")
	}
}
