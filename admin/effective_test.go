package admin_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// effective reads all pages and returns the users by name.
func (w *world) effective(key, since string, size int) (users map[string]admin.EffectiveUser, page admin.EffectivePage) {
	w.t.Helper()
	users = map[string]admin.EffectiveUser{}
	for token, last := "", ""; ; {
		page = want[admin.EffectivePage](w.t, w.call(http.MethodGet, fmt.Sprintf("/v1/effective?pageSize=%d&pageToken=%s&since=%s", size, token, since), key, nil), http.StatusOK)
		for _, u := range page.Users {
			if users[u.UserName] = u; u.ID <= last {
				w.t.Errorf("user %s comes after %s", u.ID, last)
			}
			last = u.ID
		}
		if token = page.NextPageToken; token == "" {
			return users, page
		}
	}
}

func (w *world) effectiveNames(key, since string) []string {
	w.t.Helper()
	users, _ := w.effective(key, since, 2)
	names := []string{}
	for name := range users {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestEffectiveInBulk(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	ann, bob := w.person("corp", "ann"), w.person("corp", "bob")
	w.commit(state.SetLocalAttribute{Member: identity.UserMember(ann), Key: "clearance", Values: []string{"secret"}})
	team := w.group("corp", "team", identity.UserMember(ann))
	above := w.group(identity.Local, "above", identity.GroupMember(team))
	w.grant(identity.GroupMember(above), permissions.CreateProject, time.Time{})
	w.grant(identity.UserMember(bob), permissions.Audit, time.Time{})
	w.commit(state.Disable{User: bob, Reason: "left"})
	key := w.app()
	for _, size := range []int{1, 2, 50} {
		users, page := w.effective(key, "0", size)
		if len(users) != 3 || !page.Full || page.Revision != w.db.View().Now().Rev() {
			t.Fatalf("pages of %d: %d users, page %+v", size, len(users), page)
		}
		got := users["ann"]
		if d := cmp.Diff(admin.EffectiveUser{
			ID: ann.String(), UserName: "ann", Source: "corp", Status: admin.Status{Status: "active"},
			Permissions: []permissions.Permission{permissions.CreateProject},
			Personas:    []permissions.PersonaID{permissions.PersonaProjectOwner, permissions.PersonaDataUser}, MaySubscribe: true,
			Groups:     []admin.EffectiveGroup{{ID: team.String(), Name: "team", Source: "corp"}, {ID: above.String(), Name: "above", Source: identity.Local}},
			Attributes: map[string][]string{"department": {"R&D"}, "clearance": {"secret"}, "site": {"Graz"}}, Revision: page.Revision,
		}, got); d != "" {
			t.Errorf("ann (-want +got):\n%s", d)
		}
		if b := users["bob"]; b.Status.Reason != identity.ReasonLocal || len(b.Permissions) != 0 || len(b.Personas) != 0 || b.MaySubscribe {
			t.Errorf("bob is inactive: %+v", b)
		}
	}
}

// since brings everybody for whom something changed, for whatever reason.
func TestEffectiveSince(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	ann, bob := w.person("corp", "ann"), w.person("corp", "bob")
	w.person("corp", "cho")
	key := w.app()
	team := w.group("corp", "team", identity.UserMember(ann), identity.UserMember(w.person("corp", "dee")))
	above := w.group("corp", "above", identity.GroupMember(team))
	w.grant(identity.UserMember(bob), permissions.Audit, time.Time{})
	member := []identity.Member{identity.UserMember(ann)}
	for _, tt := range []struct {
		name   string
		change state.Change
		want   []string
	}{
		{"nothing", nil, []string{}},
		{"local attribute", state.SetLocalAttribute{Member: identity.UserMember(bob), Key: "x", Values: []string{"y"}}, []string{"bob"}},
		{"attribute of a group above", state.SetLocalAttribute{Member: identity.GroupMember(above), Key: "x", Values: []string{"y"}}, []string{"ann", "dee"}},
		{"grant to a group above", state.PutGrant{Grant: permissions.Grant{ID: "g", Permission: permissions.CreateProject, Subject: identity.GroupMember(above), Origin: "local"}}, []string{"ann", "dee"}},
		{"revocation", state.RemoveGrant{Subject: identity.UserMember(bob), Permission: permissions.Audit}, []string{"bob"}},
		{"leaving a group", state.ChangeMembers{Group: team, Origin: "corp", Remove: member}, []string{"ann"}},
		{"joining a group", state.ChangeMembers{Group: team, Origin: "corp", Add: member}, []string{"ann"}},
		{"a group leaves a group", state.ChangeMembers{Group: above, Origin: "corp", Remove: []identity.Member{identity.GroupMember(team)}}, []string{"ann", "dee"}},
		{"disable", state.Disable{User: ann, Reason: "x"}, []string{"ann"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, page := w.effective(key, "0", 50)
			if tt.change != nil {
				w.commit(tt.change)
			}
			since := fmt.Sprint(page.Revision)
			if d := cmp.Diff(tt.want, w.effectiveNames(key, since)); d != "" {
				t.Errorf("changed since %s (-want +got):\n%s", since, d)
			}
		})
	}
	// What the clock ends is nobody's write.
	w.grant(identity.UserMember(bob), permissions.CreateFilter, w.clock().Add(time.Hour))
	_, page := w.effective(key, "0", 50)
	w.pass(time.Hour)
	if got := w.effectiveNames(key, fmt.Sprint(page.Revision)); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("after the end of a grant: %v, want bob", got)
	}
	if users, page := w.effective(key, "1", 50); len(users) != 5 || !page.Full {
		t.Errorf("since what is forgotten: %d users, full %v; want all", len(users), page.Full)
	}
}

func TestEffectiveRefuses(t *testing.T) {
	w := newWorld(t)
	key := w.app()
	w.person(identity.Local, "ann")
	first := want[admin.EffectivePage](t, w.call(http.MethodGet, "/v1/effective?pageSize=1", key, nil), http.StatusOK)
	wantProblem(t, w.call(http.MethodGet, "/v1/effective?since=3&pageToken="+first.NextPageToken, key, nil), http.StatusBadRequest, "bad_page_token")
	wantProblem(t, w.call(http.MethodGet, "/v1/effective?pageToken=x", key, nil), http.StatusBadRequest, "bad_page_token")
	wantProblem(t, w.call(http.MethodGet, "/v1/effective?since=-1", key, nil), http.StatusUnprocessableEntity, "invalid_request")
	_, none := w.caller("none", permissions.UserAdmin, permissions.Audit)
	wantProblem(t, w.call(http.MethodGet, "/v1/effective", none, nil), http.StatusForbidden, "permission_missing")
	w.lose(start, true)
	wantProblem(t, w.call(http.MethodGet, "/v1/effective", key, nil), http.StatusServiceUnavailable, "stale")
}
