package admin_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

func TestGroups(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.Audit)
	ann, bob := w.person("corp", "ann"), w.person("corp", "bob")
	inner := w.group("corp", "inner", identity.UserMember(bob))
	outer := w.group("corp", "outer", identity.UserMember(ann), identity.GroupMember(inner))
	w.group("corp", "twin")
	w.group("corp", "twin")
	gone := w.group("corp", "gone", identity.UserMember(ann))
	w.commit(state.ChangeMembers{Group: outer, Origin: identity.Local, Add: []identity.Member{identity.UserMember(ann), identity.UserMember(bob)}})
	w.commit(state.Deactivate{Member: identity.GroupMember(gone), Source: "corp"})
	w.grant(identity.GroupMember(outer), permissions.Governance, time.Time{})

	for _, tt := range []struct {
		query string
		want  []string
	}{
		{"", []string{"gone", "inner", "outer", "twin", "twin"}},
		{"text=IN", []string{"inner", "twin", "twin"}},
		{"status=inactive", []string{"gone"}},
		{"status=active&text=o", []string{"outer"}},
		{"source=okta", []string{}},
	} {
		got := []string{}
		for token, first := "", true; first || token != ""; first = false {
			p := wantPage[admin.GroupPage](w, key, "/v1/groups?pageSize=2&"+tt.query+"&pageToken="+url.QueryEscape(token))
			for _, g := range p.Groups {
				got = append(got, g.Name)
			}
			token = p.NextPageToken
		}
		slices.Sort(got)
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("groups?%s (-want +got):\n%s", tt.query, d)
		}
	}

	g := wantPage[admin.Group](w, key, "/v1/groups/inner")
	if g.ID != inner.String() || g.Members != 1 || len(g.Effective.Groups) != 1 || g.Effective.Groups[0].Name != "outer" ||
		len(g.Effective.Grants) != 1 || g.Effective.Grants[0].Permission != permissions.Governance {
		t.Errorf("inner = %+v, want it in outer with its grant", g)
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/groups/twin", key, nil), http.StatusConflict, "ambiguous_name")
	wantProblem(t, w.call(http.MethodGet, "/v1/groups/nope", key, nil), http.StatusNotFound, "group_not_found")

	direct := wantPage[admin.MemberPage](w, key, "/v1/groups/outer/members").Members
	seen := map[string][]identity.SourceID{}
	for _, m := range direct {
		seen[m.Kind+" "+m.Name] = m.Origins
	}
	wantSeen := map[string][]identity.SourceID{"user ann": {"corp", "local"}, "user bob": {"local"}, "group inner": {"corp"}}
	if d := cmp.Diff(wantSeen, seen); d != "" {
		t.Errorf("members of outer with who put them there (-want +got):\n%s", d)
	}
	all := wantPage[admin.MemberPage](w, key, "/v1/groups/outer/members?view=effective").Members
	if len(all) != 2 || all[0].Name != "ann" || all[1].Name != "bob" {
		t.Errorf("effective members of outer = %+v, want ann and bob", all)
	}
	if m := wantPage[admin.MemberPage](w, key, "/v1/groups/gone/members?view=effective").Members; len(m) != 0 {
		t.Errorf("effective members of a group that is gone = %+v, want none", m)
	}
}
