package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// linkedWorld is a world with two sources that both know ann.
func linkedWorld(t *testing.T) (w *world, ann, lee identity.UserID, root string) {
	t.Helper()
	w = newWorld(t)
	w.sync.set(func(f *fakeSync) { f.sources = append(f.sources, admin.Source{ID: "hr", Kind: "ldap"}) })
	w.known("corp")
	w.known("hr")
	_, root = w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	ann, lee = w.person("corp", "ann"), w.person("hr", "a.lee")
	return w, ann, lee, root
}

func TestLinkByHandAndBack(t *testing.T) {
	w, ann, lee, root := linkedWorld(t)
	payroll := w.group("hr", "payroll", identity.UserMember(lee))
	w.grant(identity.GroupMember(payroll), permissions.Audit, time.Time{})
	w.grant(identity.UserMember(lee), permissions.Governance, time.Time{})
	_, clerk := w.caller("clerk", permissions.ApplicationAdmin)
	body := map[string]string{"user": "hr/a.lee", "reason": "the same person"}

	wantProblem(t, w.call(http.MethodPost, "/v1/users/ann/links", clerk, body), http.StatusForbidden, "permission_missing")
	wantProblem(t, w.call(http.MethodPost, "/v1/users/ann/links", root, body), http.StatusPreconditionRequired, "digest_missing")
	rev := w.db.View().Now().Rev()
	p := want[admin.LinkPlan](t, w.call(http.MethodPost, "/v1/users/ann/links?dryRun=true", root, body), http.StatusOK)
	if got := w.db.View().Now().Rev(); got != rev {
		t.Errorf("a dry run moved the store from %d to %d", rev, got)
	}
	if p.Other.UserName != "a.lee" || p.Source != "hr" || len(p.Groups) != 1 || p.Groups[0].Name != "payroll" ||
		!slices.Equal(p.Grants, []permissions.Permission{permissions.Governance}) ||
		!slices.Equal(p.Gains, []permissions.Permission{permissions.Audit, permissions.Governance}) || len(p.Loses) != 0 {
		t.Errorf("the plan is %+v", p)
	}
	w.grant(identity.UserMember(lee), permissions.CreateFilter, time.Time{})
	wantProblem(t, w.call(http.MethodPost, "/v1/users/ann/links?digest="+p.Digest, root, body), http.StatusConflict, "plan_changed")
	p = want[admin.LinkPlan](t, w.call(http.MethodPost, "/v1/users/ann/links?dryRun=true", root, body), http.StatusOK)
	want[admin.LinkPlan](t, w.call(http.MethodPost, "/v1/users/ann/links?digest="+p.Digest, root, body), http.StatusOK)

	u := want[admin.User](t, w.call(http.MethodGet, "/v1/users/hr%2Fa.lee", root, nil), http.StatusOK)
	if u.ID != ann.String() || u.UserName != "ann" || len(u.Linked) != 1 || u.Linked[0].UserName != "a.lee" || u.Linked[0].LinkedBy == "" ||
		len(u.Linked[0].Groups) != 1 || len(u.External.Groups) != 0 {
		t.Errorf("the user is %+v", u)
	}
	if got := u.Effective.Permissions; !slices.Equal(got, []permissions.Permission{permissions.Audit, permissions.CreateFilter, permissions.Governance}) {
		t.Errorf("she may %v", got)
	}

	back := want[admin.LinkPlan](t, w.call(http.MethodDelete, "/v1/users/ann/links/hr?dryRun=true", root, nil), http.StatusOK)
	if len(back.Loses) != 3 || back.Other == nil || back.Other.ID != lee.String() {
		t.Errorf("taking it back: %+v", back)
	}
	want[admin.LinkPlan](t, w.call(http.MethodDelete, "/v1/users/ann/links/hr?digest="+back.Digest, root, nil), http.StatusOK)
	u = want[admin.User](t, w.call(http.MethodGet, "/v1/users/hr%2Fa.lee", root, nil), http.StatusOK)
	if u.ID != lee.String() || len(u.Effective.Permissions) != 3 {
		t.Errorf("a.lee is %s and may %v", u.ID, u.Effective.Permissions)
	}
	wantProblem(t, w.call(http.MethodDelete, "/v1/users/ann/links/hr?dryRun=true", root, nil), http.StatusNotFound, "link_not_found")
	wantProblem(t, w.call(http.MethodPost, "/v1/users/ann/links?dryRun=true", root, map[string]string{"user": "ann"}), http.StatusUnprocessableEntity, "same_user")
}

func TestPrecedenceDecidesAndIsExplained(t *testing.T) {
	w, ann, _, root := linkedWorld(t)
	r := record("hr", "ann-hr")
	r.Attributes = identity.Attributes{"department": {"Sales"}, "cost": {"4711"}}
	r.Profile = map[string]string{identity.DisplayName: "Ann of HR"}
	w.commit(state.LinkRecord{User: ann, Record: r, Rule: "n = corp/n"})

	got := want[admin.Precedence](t, w.call(http.MethodGet, "/v1/precedence", root, nil), http.StatusOK)
	if len(got.Order) != 0 {
		t.Errorf("at first the order is %v", got.Order)
	}
	u := want[admin.User](t, w.call(http.MethodGet, "/v1/users/ann", root, nil), http.StatusOK)
	if u.Effective.Attributes["department"][0].Value != "R&D" || u.Effective.Attributes["cost"][0].Value != "4711" || u.DisplayName != "The ann" {
		t.Errorf("without an order: %+v, %s", u.Effective.Attributes, u.DisplayName)
	}
	order := map[string]any{"order": map[string][]string{" Department ": {"hr", "corp"}, "displayName": {"hr"}}}
	wantProblem(t, w.call(http.MethodPut, "/v1/precedence", root, order), http.StatusPreconditionRequired, "precondition_required")
	want[admin.Precedence](t, w.call(http.MethodPut, "/v1/precedence", root, order, "If-Match", "*"), http.StatusOK)
	u = want[admin.User](t, w.call(http.MethodGet, "/v1/users/ann", root, nil), http.StatusOK)
	if len(u.Effective.Attributes["department"]) != 1 || u.Effective.Attributes["department"][0].Value != "Sales" || u.DisplayName != "Ann of HR" {
		t.Errorf("with an order: %+v, %s", u.Effective.Attributes, u.DisplayName)
	}
	x := want[admin.ValueExplanation](t, w.call(http.MethodGet, "/v1/users/ann/attributes/department/explanation", root, nil), http.StatusOK)
	var said []string
	for _, v := range x.Values {
		said = append(said, v.Value+" "+string(v.From[0].Origin)+" "+v.From[0].Reason)
	}
	if diff := cmp.Diff([]string{"Sales hr ", "R&D corp shadowed"}, said); diff != "" {
		t.Errorf("explained (-want +got):\n%s\n%s", diff, x.Sentence)
	}
	x = want[admin.ValueExplanation](t, w.call(http.MethodGet, "/v1/users/ann/profile/displayName/explanation", root, nil), http.StatusOK)
	if len(x.Values) != 2 || x.Values[0].Value != "Ann of HR" || x.Values[1].From[0].Reason != "shadowed" {
		t.Errorf("the name is explained as %+v", x.Values)
	}
	for _, bad := range []map[string][]string{{"": {"hr"}}, {"a": {}}, {"a": {"hr", "hr"}}, {"a": {"No Source"}}, {"A": {"hr"}, "a": {"corp"}}} {
		wantProblem(t, w.call(http.MethodPut, "/v1/precedence", root, map[string]any{"order": bad}, "If-Match", "*"), http.StatusUnprocessableEntity, "invalid_precedence")
	}
}

func TestALinkedRecordThatKeepsOutIsExplained(t *testing.T) {
	w, ann, _, root := linkedWorld(t)
	r := record("hr", "ann-hr")
	r.Disabled = identity.ReasonLocked
	w.commit(state.LinkRecord{User: ann, Record: r, Bars: true})
	u := want[admin.User](t, w.call(http.MethodGet, "/v1/users/ann", root, nil), http.StatusOK)
	x := want[admin.ValueExplanation](t, w.call(http.MethodGet, "/v1/users/ann/profile/status/explanation", root, nil), http.StatusOK)
	if u.Status.Status != "inactive" || len(x.Values) != 1 || x.Values[0].Value != string(identity.ReasonLocked) || x.Values[0].From[0].Origin != "hr" {
		t.Errorf("status %+v, explained as %+v", u.Status, x.Values)
	}
}

func TestSettlingAConflict(t *testing.T) {
	w, ann, _, root := linkedWorld(t)
	w.grant(identity.UserMember(ann), permissions.Audit, time.Time{})
	w.commit(state.Deactivate{Member: identity.UserMember(ann), Source: "corp"})
	path := "/v1/sources/corp/settlements"
	settle := func(body map[string]string) reply { return w.call(http.MethodPost, path, root, body) }

	wantProblem(t, settle(map[string]string{"entry": "new-key", "decision": "merge"}), http.StatusUnprocessableEntity, "user_missing")
	wantProblem(t, settle(map[string]string{"entry": "key-ann", "decision": "ignore"}), http.StatusConflict, "entry_taken")
	list := want[admin.SettlementList](t, settle(map[string]string{"entry": "other", "decision": "replace", "userName": "ann", "reason": "another Ann"}), http.StatusOK)
	if len(list.Settlements) != 1 || list.Settlements[0].Decision != plan.StandAlone || list.Settlements[0].Reason != "another Ann" {
		t.Errorf("settled: %+v", list)
	}
	if w.db.View().Now().Source("corp").Marked.IsZero() {
		t.Error("a settlement does not mark its source")
	}
	want[struct{}](t, w.call(http.MethodDelete, path+"?entry=other", root, nil), http.StatusNoContent)
	wantProblem(t, w.call(http.MethodDelete, path+"?entry=other", root, nil), http.StatusNotFound, "settlement_not_found")
	want[admin.SettlementList](t, settle(map[string]string{"entry": "new-key", "decision": "merge", "user": "ann"}), http.StatusOK)
	if id, ok := w.db.View().Now().UserOf("corp", "new-key"); !ok || id != ann {
		t.Errorf("the entry belongs to %v, %v", id, ok)
	}
}

func TestMigration(t *testing.T) {
	w, ann, lee, root := linkedWorld(t)
	numbered := func(source identity.SourceID, name, number string) *identity.Record {
		r := record(source, name)
		r.Attributes = identity.Attributes{"number": {number}}
		return r
	}
	w.commit(state.Update{Member: identity.UserMember(ann), Record: numbered("corp", "ann", "1")})
	w.commit(state.Update{Member: identity.UserMember(lee), Record: numbered("hr", "a.lee", "1")})
	bob, cid := w.person("corp", "bob"), w.person("corp", "cid")
	w.commit(state.LinkRecord{User: bob, Record: numbered("hr", "b", "2")})
	w.grant(identity.UserMember(ann), permissions.Audit, time.Time{})
	body := map[string]string{"from": "corp", "to": "hr", "by": "number"}
	p := want[admin.Migration](t, w.call(http.MethodPost, "/v1/migrations?dryRun=true", root, body), http.StatusOK)
	if p.Users != 2 || p.Merged != 1 || p.Alone != 1 || p.Done != 0 || !slices.Equal(p.AloneList, []string{"cid"}) || !slices.Contains(p.UserNames, "ann = a.lee") {
		t.Errorf("the plan: %+v", p)
	}
	wantProblem(t, w.call(http.MethodPost, "/v1/migrations", root, body), http.StatusPreconditionRequired, "digest_missing")
	done := want[admin.Migration](t, w.call(http.MethodPost, "/v1/migrations?digest="+p.Digest, root, body), http.StatusOK)
	if done.Done != 2 || len(done.Refused) != 0 {
		t.Errorf("done: %+v", done)
	}
	s := w.db.View().Now()
	for id, source := range map[identity.UserID]identity.SourceID{ann: "hr", bob: "hr", cid: "corp"} {
		u, _, _ := s.User(id)
		if u.Record.Source != source || (source == "hr") != (len(u.Linked) == 1) {
			t.Errorf("%s is of %s, linked %+v", u.Record.Name, u.Record.Source, u.Linked)
		}
	}
	if e := s.Book().Effective(s, ann, start); !slices.Equal(e.Permissions(), []permissions.Permission{permissions.Audit}) {
		t.Errorf("ann may %v", e.Permissions())
	}
	again := want[admin.Migration](t, w.call(http.MethodPost, "/v1/migrations?dryRun=true", root, body), http.StatusOK)
	if again.Users != 0 || again.Digest == p.Digest {
		t.Errorf("again: %+v", again)
	}
	back := want[admin.Migration](t, w.call(http.MethodPost, "/v1/migrations?dryRun=true", root, map[string]string{"from": "hr", "to": "corp", "by": "number"}), http.StatusOK)
	if back.Users != 2 || back.Merged != 0 {
		t.Errorf("back: %+v", back)
	}
	for code, bad := range map[string]map[string]string{
		"invalid_rule": {"from": "corp", "to": "hr", "by": "email"},
		"same_source":  {"from": "corp", "to": "corp", "by": "number"},
	} {
		if p := wantProblem(t, w.call(http.MethodPost, "/v1/migrations?dryRun=true", root, bad), http.StatusUnprocessableEntity, code); strings.TrimSpace(p.Detail) == "" {
			t.Errorf("%s says nothing", code)
		}
	}
	wantProblem(t, w.call(http.MethodPost, "/v1/migrations?dryRun=true", root, map[string]string{"from": "corp", "to": "local", "by": "number"}), http.StatusConflict, "local_source")
}

func TestADeletionShowsTheLinkedRecordsThatGo(t *testing.T) {
	w, ann, _, root := linkedWorld(t)
	plan := func() admin.DeletionPlan {
		return want[admin.DeletionPlan](t, w.call(http.MethodGet, "/v1/sources/hr/deletion", root, nil), http.StatusOK)
	}
	before := plan()
	w.commit(state.LinkRecord{User: ann, Record: record("hr", "ann-hr"), Rule: "n = corp/n"})
	if after := plan(); before.Linked != 0 || after.Linked != 1 || after.Users != before.Users || after.Digest == before.Digest {
		t.Errorf("before it was linked: %+v; then: %+v", before, after)
	}
}
