package admin_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// entries reads the audit log over the API, page by page.
func (w *world) entries(key, query string) []audit.Envelope {
	w.t.Helper()
	var all []audit.Envelope
	token := ""
	for {
		page := want[admin.AuditPage](w.t, w.call(http.MethodGet, "/v1/audit?"+query+"&pageToken="+token, key, nil), http.StatusOK)
		all = append(all, page.Entries...)
		if token = page.NextPageToken; token == "" {
			return all
		}
	}
}

func actions(entries []audit.Envelope) []string {
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Actions...)
	}
	return out
}

// fold folds what has settled, as the leader does.
func (w *world) fold() {
	w.t.Helper()
	w.pass(time.Hour)
	const mark = "leader/fold"
	rev, err := w.store.Apply(w.t.Context(), store.Txn{Then: []store.Op{store.Put(mark, nil)}})
	if err == nil {
		_, err = w.db.FoldAudit(w.t.Context(), store.At(mark, rev))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestTheAuditLogSaysWhoDidWhat(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, root := w.caller("root", permissions.UserAdmin, permissions.ApplicationAdmin)
	_, auditor := w.caller("auditor", permissions.Audit)
	ann := w.person("corp", "ann")
	r := w.call(http.MethodPut, "/v1/users/ann/grants/GOVERNANCE", root, map[string]string{"reason": "runs the data office"})
	if r.status >= 300 {
		t.Fatalf("grant: %d %s", r.status, r.body)
	}
	for _, folded := range []bool{false, true} {
		got := w.entries(auditor, "action=PermissionGranted&target=user/ann")
		if len(got) != 1 {
			t.Fatalf("%d entries of the grant, want 1", len(got))
		}
		e := got[0]
		if e.ID == "" || e.Revision == 0 || e.Seq == 0 || e.Status != "SUCCESS" || e.Origin != "local" || e.RequestID != r.header.Get("X-Request-Id") ||
			e.Actor.Type != "USER" || e.Actor.Name != "root" || !slices.Equal(e.Targets, []string{"user/" + ann.String()}) {
			t.Errorf("envelope %+v", e)
		}
		wantEvents := []audit.EnvelopeEvent{{
			Action: "PermissionGranted", TargetType: "USER", Target: "user/" + ann.String(), Name: "ann", Reason: "runs the data office",
			Changes: []audit.EnvelopeChange{{Field: "permission", After: []string{"GOVERNANCE"}}},
		}}
		if d := cmp.Diff(wantEvents, e.Events); d != "" {
			t.Errorf("folded %v: events (-want +got):\n%s", folded, d)
		}
		w.fold()
	}
}

func TestTheAuditLogIsFilteredAndPaged(t *testing.T) {
	w := newWorld(t)
	_, auditor := w.caller("auditor", permissions.Audit)
	for i := range 30 {
		w.pass(time.Minute)
		w.person(identity.Local, fmt.Sprintf("p%02d", i))
		if i == 20 {
			w.fold()
		}
	}
	oldest := w.entries(auditor, "order=oldest&pageSize=7")
	newest := w.entries(auditor, "pageSize=4")
	slices.Reverse(newest)
	if d := cmp.Diff(oldest, newest); d != "" || len(oldest) < 30 {
		t.Errorf("%d entries; the two orders differ (-oldest +newest):\n%s", len(oldest), d)
	}
	for query, n := range map[string]int{
		"text=P07": 1, "action=UserCreated&text=p0": 10, "actor=nobody": 0, "actor=system:test&text=p1": 10,
		"from=" + start.Add(19*time.Minute).Format(time.RFC3339) + "&until=" + start.Add(21*time.Minute).Format(time.RFC3339) + "&action=UserCreated": 2,
	} {
		if got := w.entries(auditor, query); len(got) != n {
			t.Errorf("%s: %d entries, want %d", query, len(got), n)
		}
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/audit?pageToken=xxx", auditor, nil), http.StatusBadRequest, "bad_page_token")
	if got := actions(w.entries(auditor, "action=AuditRead")); len(got) != 1 {
		t.Errorf("the log says %d times that it was read, want it once an hour", len(got))
	}
}

func TestWithoutAuditOneSeesWhatConcernsOneself(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	ann, key := w.caller("ann")
	bob := w.person("corp", "bob")
	w.group("corp", "team", identity.UserMember(ann), identity.UserMember(bob))
	w.grant(identity.UserMember(bob), permissions.Governance, time.Time{})
	w.commit(state.Disable{User: bob, Reason: "secret of bob"})
	w.commit(state.SetLocalAttribute{Member: identity.UserMember(ann), Key: "clearance", Values: []string{"top"}})
	got := w.entries(key, "order=oldest")
	if d := cmp.Diff([]string{"UserCreated", "GroupMemberAdded", "AttributeApplied"}, actions(got)); d != "" {
		t.Errorf("ann sees (-want +got):\n%s", d)
	}
	lines := w.call(http.MethodGet, "/v1/audit/export", key, nil)
	all, _ := json.Marshal(got)
	for _, text := range []string{string(all), string(lines.body)} {
		if strings.Contains(text, bob.String()) || strings.Contains(text, "bob") || !strings.Contains(text, "u"+ann.String()) {
			t.Errorf("ann sees of others: %s", text)
		}
	}
	if got := w.entries(key, "target=user/bob"); len(got) != 0 {
		t.Errorf("asking for somebody else shows %v", got)
	}
}

func TestTheExportIsTheLog(t *testing.T) {
	w := newWorld(t)
	_, auditor := w.caller("auditor", permissions.Audit)
	for i := range 1200 {
		w.person(identity.Local, fmt.Sprintf("p%04d", i))
		if i == 700 {
			w.fold()
		}
	}
	w.entries(auditor, "text=once") // so that reading is on record already
	export := func(query string) []audit.Envelope {
		r := w.call(http.MethodGet, "/v1/audit/export?"+query, auditor, nil)
		var out []audit.Envelope
		for line := range bytesLines(r.body) {
			var e audit.Envelope
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("line %q: %v", line, err)
			}
			out = append(out, e)
		}
		return out
	}
	whole := export("")
	again := w.entries(auditor, "order=oldest&pageSize=1000")
	if d := cmp.Diff(again, whole); d != "" || len(whole) < 1200 {
		t.Fatalf("the export has %d entries and differs from the log (-log +export):\n%.2000s", len(whole), d)
	}
	if d := cmp.Diff(whole[1100:], export(fmt.Sprintf("after=%d", whole[1099].Revision))); d != "" {
		t.Errorf("the rest of the export (-want +got):\n%.2000s", d)
	}
}

func bytesLines(b []byte) func(func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(string(b)) {
			if !yield(strings.TrimSuffix(line, "\n")) {
				return
			}
		}
	}
}

func TestTheAuditLogIsVerifiedAgainstAnExportedHead(t *testing.T) {
	w := newWorld(t)
	_, auditor := w.caller("auditor", permissions.Audit)
	w.person(identity.Local, "ann")
	head := want[admin.AuditHead](t, w.call(http.MethodGet, "/v1/audit/head", auditor, nil), http.StatusOK)
	w.fold()
	against := fmt.Sprintf("/v1/audit/verify?seq=%d&hash=%s", head.Seq, head.Hash)
	if v := want[admin.AuditVerification](t, w.call(http.MethodGet, against, auditor, nil), http.StatusOK); !v.OK || v.Head != head || v.Bad != nil {
		t.Errorf("verification %+v, want it in order up to %+v", v, head)
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/audit/verify?seq=7", auditor, nil), http.StatusBadRequest, "bad_audit_head")

	w.person(identity.Local, "bob")
	w.rewrite("w/a/", func(b string) string { return strings.Replace(b, "bob", "eve", 1) })
	v := want[admin.AuditVerification](t, w.call(http.MethodGet, against, auditor, nil), http.StatusOK)
	if v.OK || v.Bad == nil || v.Bad.Seq != head.Seq+1 || !strings.Contains(v.Summary, v.Bad.Why) || !strings.Contains(w.log.String(), "not as it was written") {
		t.Errorf("verification of a changed entry: %+v, bad %+v", v, v.Bad)
	}
}

// rewrite changes every value under a prefix behind the daemon's back.
func (w *world) rewrite(prefix string, change func(string) string) {
	w.t.Helper()
	records, _, err := w.store.List(w.t.Context(), prefix)
	if err != nil {
		w.t.Fatal(err)
	}
	for r, err := range records {
		if err == nil {
			_, err = w.store.Apply(w.t.Context(), store.Txn{Then: []store.Op{store.Put(r.Key, []byte(change(string(r.Value))))}})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// stream reads server-sent events until it is closed.
func (w *world) stream(ctx context.Context, key, last string) (next func() (id string, e audit.Envelope), status int) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+"/v1/audit/events", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Accept", "text/event-stream")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	return func() (id string, e audit.Envelope) {
		w.t.Helper()
		for lines.Scan() {
			line := lines.Text()
			if v, ok := strings.CutPrefix(line, "id: "); ok {
				id = v
			}
			if v, ok := strings.CutPrefix(line, "data: "); ok {
				if err := json.Unmarshal([]byte(v), &e); err != nil {
					w.t.Fatal(err)
				}
				return id, e
			}
		}
		w.t.Fatalf("the stream ended: %v", lines.Err())
		return "", e
	}, resp.StatusCode
}

func TestTheAuditLogIsFollowedAndResumed(t *testing.T) {
	w := newWorld(t)
	_, auditor := w.caller("auditor", permissions.Audit)
	w.entries(auditor, "text=once")
	ctx, cancel := context.WithCancel(t.Context())
	next, status := w.stream(ctx, auditor, "")
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if _, e := next(); e.Actions[0] != audit.Read {
		t.Errorf("first event %v, want that the log is read", e.Actions)
	}
	w.person(identity.Local, "ann")
	w.person(identity.Local, "bob")
	id, e := next()
	if e.Actions[0] != "UserCreated" || e.Events[0].Name != "ann" || id != fmt.Sprint(e.Revision) {
		t.Errorf("event %s %+v, want that ann was created", id, e)
	}
	cancel()
	w.fold()
	w.person(identity.Local, "eve")
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	next, _ = w.stream(ctx, auditor, id)
	for _, name := range []string{"bob", "eve"} {
		if _, e := next(); e.Events[0].Name != name {
			t.Errorf("after %s comes %+v, want %s", id, e, name)
		}
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/audit/events", auditor, nil), http.StatusNotAcceptable, "not_acceptable")
	wantProblem(t, w.call(http.MethodGet, "/v1/audit/events", auditor, nil, "Accept", "text/event-stream", "Last-Event-ID", "x"), http.StatusBadRequest, "bad_last_event_id")
}

func TestAStreamEndsWithItsPermissionAndWithTheDaemon(t *testing.T) {
	w := newWorld(t)
	id, auditor := w.caller("auditor", permissions.Audit)
	ended := func(change func()) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/v1/audit/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+auditor)
		req.Header.Set("Accept", "text/event-stream")
		resp, err := w.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		change()
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || strings.Contains(string(b), "data: ") && !strings.Contains(string(b), audit.Read) {
			t.Errorf("the stream ended with %v after %s", err, b)
		}
	}
	ended(func() {
		w.commit(state.RemoveGrant{Subject: identity.UserMember(id), Permission: permissions.Audit})
	})
	w.grant(identity.UserMember(id), permissions.Audit, time.Time{})
	ended(w.api.EndStreams)
}

func TestRefusalsAreAuditedOnceAMinuteWithTheirNumber(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	w.person("corp", "target")
	_, auditor := w.caller("auditor", permissions.Audit)
	_, key := w.caller("mallory")
	attempt := func() {
		wantProblem(t, w.call(http.MethodPut, "/v1/users/target/grants/GOVERNANCE", key, map[string]string{"reason": "x"}), http.StatusForbidden, "permission_missing")
	}
	counts := func() []string {
		out := []string{}
		for _, e := range w.entries(auditor, "order=oldest&action="+audit.Denied) {
			if e.Status != "DENIED" || e.Actor.Name != "mallory" || e.Events[0].Target != "operation/putUserGrant" {
				t.Errorf("refusal %+v", e)
			}
			c := e.Events[0].Changes
			if d := cmp.Diff([]string{"USER_ADMIN"}, c[0].After); c[0].Field != "required" || d != "" {
				t.Errorf("the refusal does not name what was missing: %+v", c)
			}
			out = append(out, c[1].After[0])
		}
		return out
	}
	for range 5 {
		attempt()
	}
	if d := cmp.Diff([]string{"1"}, counts()); d != "" {
		t.Errorf("after five refusals (-want +got):\n%s", d)
	}
	w.pass(2 * time.Minute)
	attempt()
	r := w.call(http.MethodPut, "/v1/users/target/grants/GOVERNANCE?dryRun=true", key, map[string]string{"reason": "x"})
	wantProblem(t, r, http.StatusForbidden, "permission_missing") // one like any other
	if d := cmp.Diff([]string{"1", "5"}, counts()); d != "" {
		t.Errorf("two minutes later (-want +got):\n%s", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.api.RunAudit(ctx); err != nil { // the daemon stops
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"1", "5", "1"}, counts()); d != "" {
		t.Errorf("at the end (-want +got):\n%s", d)
	}
	w.call(http.MethodPut, "/v1/users/target/grants/GOVERNANCE", "", map[string]string{"reason": "x"})
	w.call(http.MethodGet, "/v1/users/target", key, nil)
	if got := counts(); len(got) != 3 {
		t.Errorf("who is not known, or only reads, is audited: %v", got)
	}
}
