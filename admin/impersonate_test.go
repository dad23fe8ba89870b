package admin_test

import (
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/usage"
)

const asHeader = "Rollcall-Impersonate"

// as asks as another.
func (w *world) as(user, method, path, key string, body any) reply {
	w.t.Helper()
	return w.call(method, path, key, body, asHeader, user)
}

// twice sends the header more than once.
func (w *world) twice(path, key string, users ...string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.server.URL+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	for _, u := range users {
		req.Header.Add(asHeader, u)
	}
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, body}
}

func TestAnsweredAsAnother(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	ann := w.person("corp", "ann")
	w.grant(identity.UserMember(ann), permissions.Audit, time.Time{})
	w.person("corp", "bob")
	_, key := w.caller("helper", permissions.ImpersonateUser)

	wantProblem(t, w.call(http.MethodGet, "/v1/users", key, nil), http.StatusForbidden, "permission_missing")
	for _, name := range []string{"ann", "ANN", "corp/ann", ann.String()} {
		me := want[admin.Me](t, w.as(name, http.MethodGet, "/v1/me", key, nil), http.StatusOK)
		if me.User.ID != ann.String() || !slices.Equal(me.Permissions, []permissions.Permission{permissions.Audit}) {
			t.Errorf("asked as %s: answered as %s with %v, want ann with AUDIT", name, me.User.UserName, me.Permissions)
		}
		want[admin.UserPage](t, w.as(name, http.MethodGet, "/v1/users", key, nil), http.StatusOK)
		want[admin.KeyList](t, w.as(name, http.MethodGet, "/v1/users/"+ann.String()+"/keys", key, nil), http.StatusOK)
	}
	// What bob may not, nobody may as bob, whatever he may himself.
	wantProblem(t, w.as("bob", http.MethodGet, "/v1/users", key, nil), http.StatusForbidden, "permission_missing")
	want[admin.User](t, w.as("bob", http.MethodGet, "/v1/users/bob", key, nil), http.StatusOK)
	_, root := w.caller("root", permissions.ImpersonateUser, permissions.UserAdmin, permissions.ApplicationAdmin, permissions.Audit)
	wantProblem(t, w.as("bob", http.MethodGet, "/v1/users", root, nil), http.StatusForbidden, "permission_missing")
	wantProblem(t, w.as("bob", http.MethodGet, "/v1/users/root", root, nil), http.StatusForbidden, "permission_missing")
}

func TestWhoMayImpersonate(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	ann := w.person("corp", "ann")
	w.grant(identity.UserMember(ann), permissions.ImpersonateUser, time.Time{})
	_, admins := w.caller("root", permissions.UserAdmin, permissions.ApplicationAdmin, permissions.Audit, permissions.FetchPolicyInfo)
	helper, open := w.caller("helper", permissions.ImpersonateUser, permissions.Audit)
	limited := func(limit ...permissions.Permission) string {
		c := access.New(access.KindKey)
		w.commit(state.PutToken{Token: state.Token{ID: c.ID(), Hash: c.Hash(), User: helper, By: "test", Created: w.clock(), Permissions: limit}})
		return c.Reveal()
	}
	for _, user := range []string{"ann", "root", "xyz"} {
		for name, key := range map[string]string{"an administrator": admins, "a key for something else": limited(permissions.Audit)} {
			p := wantProblem(t, w.as(user, http.MethodGet, "/v1/me", key, nil), http.StatusForbidden, "permission_missing")
			if !slices.Equal(p.Required, []permissions.Permission{permissions.ImpersonateUser}) {
				t.Errorf("%s as %s: the refusal names %v", name, user, p.Required)
			}
		}
	}

	// A restriction holds on top of what the other may.
	narrow, both := limited(permissions.ImpersonateUser), limited(permissions.ImpersonateUser, permissions.Audit)
	want[admin.Me](t, w.as("root", http.MethodGet, "/v1/me", narrow, nil), http.StatusOK)
	wantProblem(t, w.as("root", http.MethodGet, "/v1/users", narrow, nil), http.StatusForbidden, "permission_missing")
	want[admin.UserPage](t, w.as("root", http.MethodGet, "/v1/users", both, nil), http.StatusOK)
	wantProblem(t, w.as("root", http.MethodGet, "/v1/sources", both, nil), http.StatusForbidden, "permission_missing")

	// The right of the other to impersonate leads no further, and it ends when it is taken.
	wantProblem(t, w.twice("/v1/me", open, "ann", "root"), http.StatusBadRequest, "bad_impersonation")
	wantProblem(t, w.twice("/v1/me", open, "", "ann"), http.StatusBadRequest, "bad_impersonation")
	wantProblem(t, w.as("", http.MethodGet, "/v1/me", open, nil), http.StatusBadRequest, "bad_impersonation")
	wantProblem(t, w.as(strings.Repeat("a", 513), http.MethodGet, "/v1/me", open, nil), http.StatusBadRequest, "bad_impersonation")
	wantProblem(t, w.as("ann", http.MethodGet, "/v1/me", "", nil), http.StatusUnauthorized, "no_credential")
	w.commit(state.RemoveGrant{Subject: identity.UserMember(helper), Permission: permissions.ImpersonateUser, Reason: "test"})
	wantProblem(t, w.as("ann", http.MethodGet, "/v1/me", open, nil), http.StatusForbidden, "permission_missing")
}

// Who is unknown, who is not active, and whose name several have are told the same.
func TestWhoCannotBeImpersonated(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	w.known("hr")
	gone := w.person("corp", "gone")
	w.person("corp", "twin")
	w.person("hr", "twin")
	w.commit(state.Disable{User: gone, Reason: "left"})
	_, key := w.caller("helper", permissions.ImpersonateUser)
	details := map[string]bool{}
	for _, name := range []string{"gone", gone.String(), "xyz", "twin", identity.NewUserID().String(), "corp/", "../me"} {
		details[wantProblem(t, w.as(name, http.MethodGet, "/v1/me", key, nil), http.StatusForbidden, "impersonation_refused").Detail] = true
	}
	if len(details) != 1 {
		t.Errorf("the refusals differ: %v", details)
	}
	want[admin.Me](t, w.as("hr/twin", http.MethodGet, "/v1/me", key, nil), http.StatusOK)
}

// Whatever may change something is refused, whatever both may; decisions are reads.
func TestAsAnotherOneOnlyReads(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	w.group("corp", "team")
	target, _ := w.caller("target", slices.Collect(builtInNames())...)
	_, key := w.caller("root", slices.Collect(builtInNames())...)
	before := slices.DeleteFunc(actions(w.entries(key, "order=oldest")), func(a string) bool { return a == audit.Read })
	reads := []string{"check", "accessEvaluation", "accessEvaluations", "accessSearchSubject", "accessSearchResource", "accessSearchAction"}
	for _, o := range everyOperation(t, w) {
		if o.method == http.MethodGet || slices.Contains(reads, o.OperationID) {
			continue
		}
		for _, query := range []string{"", "?dryRun=true"} {
			wantProblem(t, w.as("target", o.method, o.at(target.String())+query, key, o.body), http.StatusForbidden, "impersonation_read_only")
		}
	}
	done := slices.DeleteFunc(actions(w.entries(key, "order=oldest")), func(a string) bool { return a == audit.Denied || a == audit.Read })
	if d := cmp.Diff(before, done); d != "" {
		t.Errorf("something was changed (-before +after):\n%s", d)
	}
	r := w.as("target", http.MethodPost, "/v1/check", key, map[string]string{"user": "root", "permission": "AUDIT"})
	if got := want[admin.CheckAnswer](t, r, http.StatusOK); !got.Allowed {
		t.Errorf("check as target: %+v", got)
	}
	if r := w.as("target", http.MethodHead, "/v1/me", key, nil); r.status != http.StatusOK {
		t.Errorf("HEAD as target: status %d", r.status)
	}
}

// Decisions are those that the other is told, about himself only unless he may more.
func TestDecisionsAsAnother(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	ann := w.person("corp", "ann")
	w.grant(identity.UserMember(ann), permissions.Governance, time.Time{})
	_, key := w.caller("helper", permissions.ImpersonateUser, permissions.FetchPolicyInfo)
	ask := func(as, subject string) reply {
		body := fmt.Sprintf(`{"subject":{"type":"user","id":%q},"action":{"name":"GOVERNANCE"},"resource":{"type":"application","id":"x"}}`, subject)
		return w.as(as, http.MethodPost, "/access/v1/evaluation", key, body)
	}
	if r := ask("ann", "ann"); r.status != http.StatusOK || !strings.Contains(string(r.body), `"decision":true`) {
		t.Errorf("ann about herself: status %d: %s", r.status, r.body)
	}
	for _, other := range []string{"helper", "xyz"} {
		if r := ask("ann", other); r.status != http.StatusForbidden {
			t.Errorf("ann about %s: status %d: %s", other, r.status, r.body)
		}
	}
	if r := ask("xyz", "ann"); r.status != http.StatusForbidden || !strings.Contains(string(r.body), "no active user") {
		t.Errorf("as nobody: status %d: %s", r.status, r.body)
	}
	if r := w.call(http.MethodGet, "/user-info?userid=ann", key, nil); r.status != http.StatusOK {
		t.Errorf("user-info: status %d: %s", r.status, r.body)
	}
	wantProblem(t, w.as("ann", http.MethodGet, "/user-info?userid=ann", key, nil), http.StatusForbidden, "permission_missing")
}

func TestAServiceImpersonates(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	w.person("corp", "ann")
	_, root := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	want[admin.Service](t, w.call(http.MethodPost, "/v1/services", root, map[string]string{"name": "portal"}), http.StatusCreated)
	portal := want[admin.CreatedKey](t, w.call(http.MethodPost, "/v1/services/portal/keys", root, map[string]string{"name": "k"}), http.StatusCreated)
	wantProblem(t, w.as("ann", http.MethodGet, "/v1/me", portal.Secret, nil), http.StatusForbidden, "permission_missing")
	want[admin.Grant](t, w.call(http.MethodPut, "/v1/users/portal/grants/IMPERSONATE_USER", root, map[string]string{"reason": "x"}), http.StatusCreated)
	if me := want[admin.Me](t, w.as("ann", http.MethodGet, "/v1/me", portal.Secret, nil), http.StatusOK); me.User.UserName != "ann" {
		t.Errorf("as ann: %+v", me)
	}
}

func TestLimitsCountWhoReallyAsks(t *testing.T) {
	w := newWorld(t)
	_, ann := w.caller("ann")
	_, key := w.caller("helper", permissions.ImpersonateUser)
	limits := access.LimitsConfig{PerKey: access.Bucket{Rate: 0.25, Burst: 3}}
	defer w.with(func(o *admin.Options) { o.Limits = access.NewLimiter(limits, w.clock) })()
	for range 3 {
		want[admin.Me](t, w.as("ann", http.MethodGet, "/v1/me", key, nil), http.StatusOK)
	}
	wantRetry(t, w.as("ann", http.MethodGet, "/v1/me", key, nil), 4)
	wantRetry(t, w.as("helper", http.MethodGet, "/v1/me", key, nil), 4)
	want[admin.Me](t, w.call(http.MethodGet, "/v1/me", ann, nil), http.StatusOK)
}

// What is used is counted for who really asks: five of them here, and not one.
func TestUsageCountsWhoReallyAsks(t *testing.T) {
	w := newWorld(t)
	_, root := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	w.person("local", "ann")
	helpers := w.actors(5, "helper", usage.ClassAuditor, permissions.Audit, permissions.ImpersonateUser)
	stop := w.with(counting)
	for _, h := range helpers {
		want[admin.Me](t, w.as("ann", http.MethodGet, "/v1/me", h.key, nil), http.StatusOK)
		wantProblem(t, w.as("ann", http.MethodPost, "/v1/metrics/touches", h.key, map[string][]string{"names": {"cli:whoami"}}), http.StatusForbidden, "impersonation_read_only")
	}
	stop()
	defer w.with(counting)()
	got := map[usage.Name]usage.Class{}
	for _, e := range want[admin.UsageReport](t, w.call(http.MethodGet, "/v1/metrics/usage?days=1", root, nil), http.StatusOK).Days {
		got[e.Name] = e.Class
	}
	if d := cmp.Diff(map[usage.Name]usage.Class{usage.APIName("getMe"): usage.ClassAuditor}, got, cmpopts.IgnoreMapEntries(func(n usage.Name, _ usage.Class) bool {
		return n == usage.APIName("reportTouches")
	})); d != "" {
		t.Errorf("counted (-want +got):\n%s", d)
	}
}

func TestImpersonationIsAudited(t *testing.T) {
	w := newWorld(t)
	ann, annKey := w.caller("ann", permissions.Audit)
	_, key := w.caller("helper", permissions.ImpersonateUser)
	_, other := w.caller("other", permissions.ImpersonateUser)
	_, none := w.caller("nobody")
	for range 5 {
		want[admin.Me](t, w.as("ann", http.MethodGet, "/v1/me", key, nil), http.StatusOK)
	}
	want[admin.Me](t, w.as("ann", http.MethodGet, "/v1/me", other, nil), http.StatusOK)
	want[admin.Me](t, w.as("helper", http.MethodGet, "/v1/me", other, nil), http.StatusOK)
	w.pass(2 * time.Minute)
	want[admin.Me](t, w.as("ann", http.MethodGet, "/v1/me", key, nil), http.StatusOK)
	said := func(action string) (out []string) {
		for _, e := range w.entries(annKey, "order=oldest&action="+action) {
			for _, v := range e.Events {
				line := e.Actor.Name + " " + v.Target + " " + v.Reason
				for _, c := range v.Changes {
					line += " " + c.Field + "=" + strings.Join(c.After, ",")
				}
				out = append(out, strings.NewReplacer(ann.String(), "<ann>").Replace(line))
			}
		}
		return out
	}
	helper, _ := w.db.View().Now().OneUser("helper")
	if d := cmp.Diff([]string{
		"helper user/<ann>  count=1", "other user/<ann>  count=1", "other user/" + helper.String() + "  count=1", "helper user/<ann>  count=5",
	}, said(audit.Impersonated)); d != "" {
		t.Errorf("answered as another (-want +got):\n%s", d)
	}

	// A refusal names both, and never what was only sent.
	for range 2 {
		wantProblem(t, w.as("ann", http.MethodPost, "/v1/users", key, map[string]string{"userName": "x"}), http.StatusForbidden, "impersonation_read_only")
	}
	wantProblem(t, w.as("ann", http.MethodGet, "/v1/users", none, nil), http.StatusForbidden, "permission_missing")
	wantProblem(t, w.as("no<such>one", http.MethodGet, "/v1/users", key, nil), http.StatusForbidden, "impersonation_refused")
	if d := cmp.Diff([]string{
		"helper operation/createUser impersonation_read_only as=user/<ann> count=1",
		"nobody operation/listUsers permission_missing as=user/<ann> count=1",
		"helper operation/listUsers impersonation_refused count=1",
	}, said(audit.Denied)); d != "" {
		t.Errorf("refused (-want +got):\n%s", d)
	}

	// So does that the log was read.
	want[admin.AuditPage](t, w.as("ann", http.MethodGet, "/v1/audit", key, nil), http.StatusOK)
	if got := said(audit.Read); !slices.Contains(got, "helper operation/listAudit  as=user/<ann> count=1") {
		t.Errorf("reads of the log: %v", got)
	}
}

// A stream ends when its reader may no longer be answered as the other.
func TestAStreamAsAnotherEnds(t *testing.T) {
	w := newWorld(t)
	ann := w.person("local", "ann")
	w.grant(identity.UserMember(ann), permissions.FetchPolicyInfo, time.Time{})
	helper, key := w.caller("helper", permissions.ImpersonateUser)
	r := w.follow(key, "", asHeader, "ann")
	w.commit(state.RemoveGrant{Subject: identity.UserMember(helper), Permission: permissions.ImpersonateUser, Reason: "test"})
	if e, ok := r.next(); ok {
		t.Errorf("after helper may no longer impersonate: %+v, want the end", e)
	}
}

// Whatever somebody may, as somebody else he is answered what that one is answered.
func TestAsAnotherOneIsAnsweredWhatHeIs(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	w.group("corp", "team")
	w.person("corp", "target")
	ops := slices.DeleteFunc(everyOperation(t, w), func(o op) bool { return o.method != http.MethodGet })
	names := slices.Collect(builtInNames())
	for name, ps := range map[string][]permissions.Permission{"all": names, "none": nil} {
		pair := w.pair(name, ps, nil)
		for _, about := range []string{name, "target"} {
			for _, o := range ops {
				pair.same(t, &o, about)
			}
		}
	}
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		name := fmt.Sprintf("user%d", n)
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, len(names), rapid.ID)
		pair := w.pair(name, some.Draw(t, "of the other"), some.Draw(t, "of the caller"))
		about := rapid.SampledFrom([]string{name, "by-" + name, "target", "nobody-at-all"}).Draw(t, "about")
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(ops)-1), 1, 12).Draw(t, "operations") {
			pair.same(t, &ops[i], about)
		}
	})
}

// pair is somebody with his key, and that of another who may impersonate.
type pair struct {
	*world
	name, own, key string
}

func (w *world) pair(name string, his, callers []permissions.Permission) *pair {
	w.t.Helper()
	callers = slices.DeleteFunc(slices.Clone(callers), func(p permissions.Permission) bool { return p == permissions.ImpersonateUser })
	p := &pair{world: w, name: name}
	_, p.own = w.caller(name, his...)
	_, p.key = w.caller("by-"+name, append(callers, permissions.ImpersonateUser)...)
	// The first uses leave traces that later ones do not: in the audit log, and on keys.
	for _, path := range []string{"/v1/me", "/v1/audit", "/v1/audit/export"} {
		w.as(name, http.MethodGet, path, p.key, nil)
		w.call(http.MethodGet, path, p.own, nil)
	}
	return p
}

// same compares what an operation answers to the one himself and to the other as him.
func (p *pair) same(t interface {
	Helper()
	Errorf(format string, args ...any)
}, o *op, about string,
) {
	t.Helper()
	path := o.at(about)
	got := p.call(http.MethodGet, path, p.key, nil, asHeader, p.name, "X-Request-Id", "same")
	told := p.call(http.MethodGet, path, p.own, nil, "X-Request-Id", "same")
	body := string(got.body)
	if o.OperationID == "getMe" { // says which key is used: that is no property of the user
		body = strings.ReplaceAll(body, strings.Split(p.key, "_")[2], strings.Split(p.own, "_")[2])
	}
	if got.status != told.status || body != string(told.body) || got.header.Get("ETag") != told.header.Get("ETag") {
		t.Errorf("GET %s as %s: status %d, he himself %d (-himself +as him):\n%s", path, p.name, got.status, told.status, cmp.Diff(string(told.body), body))
	}
}

func builtInNames() iter.Seq[permissions.Permission] {
	return func(yield func(permissions.Permission) bool) {
		for e := range permissions.BuiltIns() {
			if !yield(e.Name) {
				return
			}
		}
	}
}
