package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

func TestGrantIsIdempotent(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	ann := w.person("corp", "ann")
	w.group("corp", "team", identity.UserMember(ann))
	for _, path := range []string{"/v1/users/ann/grants/GOVERNANCE", "/v1/groups/team/grants/GOVERNANCE"} {
		body := map[string]any{"reason": "CHG-1", "expireTime": start.Add(time.Hour), "acknowledgeDirectory": true}
		r := w.call(http.MethodPut, path, key, body)
		first := want[admin.Grant](t, r, http.StatusCreated)
		if first.Reason != "CHG-1" || !first.ExpireTime.Equal(start.Add(time.Hour)) || first.Origin != "local" || r.header.Get("Location") != "/v1/grants/"+string(first.ID) {
			t.Errorf("grant = %+v at %s", first, r.header.Get("Location"))
		}
		rev := w.db.View().Now().Rev()
		again := want[admin.Grant](t, w.call(http.MethodPut, path, key, body), http.StatusOK)
		if d := cmp.Diff(first, again); d != "" || w.db.View().Now().Rev() != rev {
			t.Errorf("the same grant again changed something (-first +again):\n%s", d)
		}
		changed := want[admin.Grant](t, w.call(http.MethodPut, path, key, nil), http.StatusOK)
		if changed.ID != first.ID || changed.Reason != "" || !changed.ExpireTime.IsZero() {
			t.Errorf("other terms gave %+v, want the same id without reason and end", changed)
		}
		if got := wantPage[admin.Grant](w, key, "/v1/grants/"+string(first.ID)); got.ID != first.ID {
			t.Errorf("get = %+v", got)
		}
		want[struct{}](t, w.call(http.MethodDelete, path+"?reason=done", key, nil), http.StatusNoContent)
		wantProblem(t, w.call(http.MethodDelete, path, key, nil), http.StatusNotFound, "grant_not_found")
		wantProblem(t, w.call(http.MethodGet, "/v1/grants/"+string(first.ID), key, nil), http.StatusNotFound, "grant_not_found")
	}
}

func TestGrantRefusals(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	w.person("corp", "ann")
	for _, tt := range []struct {
		name, path string
		body       any
		status     int
		code       string
	}{
		{"no such user", "/v1/users/nobody/grants/AUDIT", nil, http.StatusNotFound, "user_not_found"},
		{"no such group", "/v1/groups/nobody/grants/AUDIT", nil, http.StatusNotFound, "group_not_found"},
		{"no such permission", "/v1/users/ann/grants/NOPE", nil, http.StatusNotFound, "permission_not_found"},
		{"no name of a permission", "/v1/users/ann/grants/audit", nil, http.StatusBadRequest, "bad_permission"},
		{"an end in the past", "/v1/users/ann/grants/AUDIT", map[string]any{"expireTime": start}, http.StatusUnprocessableEntity, "expired_already"},
		{"no instant", "/v1/users/ann/grants/AUDIT", map[string]any{"expireTime": "tomorrow"}, http.StatusUnprocessableEntity, "invalid_request"},
		{"a long reason", "/v1/users/ann/grants/AUDIT", map[string]any{"reason": strings.Repeat("x", 501)}, http.StatusUnprocessableEntity, "invalid_request"},
		{"a reason with a line break", "/v1/users/ann/grants/AUDIT", map[string]any{"reason": "a\nyes  eve"}, http.StatusUnprocessableEntity, "not_plain_text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantProblem(t, w.call(http.MethodPut, tt.path, key, tt.body), tt.status, tt.code)
		})
	}
}

func TestListGrants(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	root, key := w.caller("root", permissions.UserAdmin)
	ann := w.person("corp", "ann")
	team := w.group("corp", "team", identity.UserMember(ann))
	w.grant(identity.UserMember(ann), permissions.Audit, time.Time{})
	w.grant(identity.UserMember(ann), permissions.Governance, time.Time{})
	w.grant(identity.GroupMember(team), permissions.Governance, start.Add(time.Hour))
	_ = root
	for _, tt := range []struct {
		query string
		want  []string
	}{
		{"", []string{"ann AUDIT", "ann GOVERNANCE", "root USER_ADMIN", "team GOVERNANCE"}},
		{"user=ann", []string{"ann AUDIT", "ann GOVERNANCE"}},
		{"group=team", []string{"team GOVERNANCE"}},
		{"permission=GOVERNANCE", []string{"ann GOVERNANCE", "team GOVERNANCE"}},
		{"permission=GOVERNANCE&user=ann", []string{"ann GOVERNANCE"}},
		{"permission=CREATE_FILTER", []string{}},
	} {
		got, pages := []string{}, 0
		for token, first := "", true; first || token != ""; first = false {
			p := wantPage[admin.GrantPage](w, key, "/v1/grants?pageSize=1&"+tt.query+"&pageToken="+url.QueryEscape(token))
			for _, g := range p.Grants {
				got = append(got, g.Subject.Name+" "+string(g.Permission))
			}
			token = p.NextPageToken
			pages++
		}
		slices.Sort(got)
		if d := cmp.Diff(tt.want, got); d != "" || pages != max(1, len(got)) {
			t.Errorf("grants?%s on %d pages (-want +got):\n%s", tt.query, pages, d)
		}
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/grants?user=ann&group=team", key, nil), http.StatusUnprocessableEntity, "user_and_group")
}

// Each way to take the last administrator away is refused, and none that does not.
func TestLastAdministrator(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	root, key := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	// None of these counts: synced, with an end, only one of the two, by a group, disabled.
	synced := w.person("corp", "synced")
	ending, half, byGroup, off := w.person("local", "ending"), w.person("local", "half"), w.person("local", "bygroup"), w.person("local", "off")
	both := []permissions.Permission{permissions.ApplicationAdmin, permissions.UserAdmin}
	admins := w.group("local", "admins", identity.UserMember(byGroup))
	for _, p := range both {
		w.grant(identity.UserMember(synced), p, time.Time{})
		w.grant(identity.UserMember(ending), p, start.Add(time.Hour))
		w.grant(identity.GroupMember(admins), p, time.Time{})
		w.grant(identity.UserMember(off), p, time.Time{})
	}
	w.grant(identity.UserMember(half), permissions.ApplicationAdmin, time.Time{})
	w.commit(state.Disable{User: off})

	refused := func() {
		t.Helper()
		for _, p := range both {
			path := "/v1/users/root/grants/" + string(p)
			wantProblem(t, w.call(http.MethodDelete, path, key, nil), http.StatusConflict, "last_administrator")
			wantProblem(t, w.call(http.MethodPut, path, key, map[string]any{"expireTime": start.AddDate(1, 0, 0)}), http.StatusConflict, "last_administrator")
		}
		wantProblem(t, w.call(http.MethodPut, "/v1/users/root/disabled", key, nil), http.StatusConflict, "last_administrator")
	}
	refused()
	// What is no loss is allowed.
	want[struct{}](t, w.call(http.MethodPut, "/v1/users/root/grants/USER_ADMIN", key, map[string]any{"reason": "other words"}), http.StatusOK)
	for _, u := range []string{"synced", "ending", "half", "off"} {
		want[struct{}](t, w.call(http.MethodDelete, "/v1/users/"+u+"/grants/APPLICATION_ADMIN", key, nil), http.StatusNoContent)
	}
	want[struct{}](t, w.call(http.MethodDelete, "/v1/groups/admins/grants/USER_ADMIN", key, nil), http.StatusNoContent)
	refused()
	// With a second one, the first may go; then the second may not.
	for _, p := range both {
		want[struct{}](t, w.call(http.MethodPut, "/v1/users/half/grants/"+string(p), key, nil), http.StatusCreated)
	}
	halfKey := w.key(half)
	want[struct{}](t, w.call(http.MethodPut, "/v1/users/root/disabled", key, nil), http.StatusCreated)
	wantProblem(t, w.call(http.MethodPut, "/v1/users/half/disabled", halfKey, nil), http.StatusConflict, "last_administrator")
	_ = root
}

// Two administrators take each other's permission away at once: one wins.
func TestConcurrentRevocationsLeaveOneAdministrator(t *testing.T) {
	for round := range 20 {
		w := newWorld(t)
		both := []permissions.Permission{permissions.ApplicationAdmin, permissions.UserAdmin}
		_, a := w.caller("a", both...)
		_, b := w.caller("b", both...)
		paths := []string{"/v1/users/b/grants/APPLICATION_ADMIN", "/v1/users/a/grants/APPLICATION_ADMIN"}
		if round%2 == 1 {
			paths[1] = "/v1/users/a/disabled"
		}
		methods := []string{http.MethodDelete, []string{http.MethodDelete, http.MethodPut}[round%2]}
		var got [2]reply
		var wg sync.WaitGroup
		for i, key := range []string{a, b} {
			wg.Go(func() { got[i] = w.call(methods[i], paths[i], key, nil) })
		}
		wg.Wait()
		won := 0
		for _, r := range got {
			switch r.status {
			case http.StatusNoContent, http.StatusCreated:
				won++
			case http.StatusConflict:
				wantProblem(t, r, http.StatusConflict, "last_administrator")
			case http.StatusUnauthorized, http.StatusForbidden: // was gone before he asked
			default:
				t.Errorf("status %d: %s", r.status, r.body)
			}
		}
		if won != 1 {
			t.Errorf("round %d: %d of two revocations won, want exactly one", round, won)
		}
	}
}

// A permission counts for the caller from the moment it is there until it is gone.
func TestPermissionsCountAtOnce(t *testing.T) {
	w := newWorld(t)
	_, root := w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	_, key := w.caller("eve")
	wantProblem(t, w.call(http.MethodGet, "/v1/users", key, nil), http.StatusForbidden, "permission_missing")
	want[struct{}](t, w.call(http.MethodPut, "/v1/users/eve/grants/USER_ADMIN", root, map[string]any{"expireTime": start.Add(time.Minute)}), http.StatusCreated)
	want[admin.UserPage](t, w.call(http.MethodGet, "/v1/users", key, nil), http.StatusOK)
	w.pass(time.Minute)
	wantProblem(t, w.call(http.MethodGet, "/v1/users", key, nil), http.StatusForbidden, "permission_missing")
}

func TestManyGrantsByManyAtOnce(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	for i := range 3 {
		w.person("corp", fmt.Sprint("u", i))
	}
	var wg sync.WaitGroup
	created := make([]int, 3)
	for i := range 3 {
		wg.Go(func() {
			for p := range permissions.BuiltIns() {
				if r := w.call(http.MethodPut, fmt.Sprintf("/v1/users/u%d/grants/%s", i, p.Name), key, nil); r.status == http.StatusCreated {
					created[i]++
				}
			}
		})
	}
	wg.Wait()
	if d := cmp.Diff([]int{11, 11, 11}, created); d != "" {
		t.Errorf("created grants (-want +got):\n%s", d)
	}
}
