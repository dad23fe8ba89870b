package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// walk reads all pages of a list of users.
func (w *world) walk(key, query string, size int) [][]admin.UserSummary {
	w.t.Helper()
	var pages [][]admin.UserSummary
	token := ""
	for {
		path := fmt.Sprintf("/v1/users?pageSize=%d&pageToken=%s%s", size, url.QueryEscape(token), query)
		p := want[admin.UserPage](w.t, w.call(http.MethodGet, path, key, nil), http.StatusOK)
		pages = append(pages, p.Users)
		if token = p.NextPageToken; token == "" {
			return pages
		}
	}
}

func names(users []admin.UserSummary) []string {
	out := []string{}
	for _, u := range users {
		out = append(out, u.UserName)
	}
	slices.Sort(out)
	return out
}

func TestPagesWalkEveryUserOnce(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	var cs []state.Change
	var ms []identity.Member
	want := []string{"root"}
	for i := range 5000 {
		m := identity.UserMember(identity.NewUserID())
		ms = append(ms, m)
		name := fmt.Sprintf("user%04d", i)
		want = append(want, name)
		cs = append(cs, state.Create{Member: m, Record: record("corp", name)})
	}
	for part := range slices.Chunk(cs, 50) {
		w.commit(part...)
	}
	everybody := w.group("corp", "everybody", ms...)
	w.grant(identity.GroupMember(everybody), permissions.Governance, time.Time{})
	slices.Sort(want)

	for _, tt := range []struct {
		query string
		size  int
		want  []string
	}{
		{"", 700, want},
		{"", 1000, want},
		{"", 9999, want}, // as 1000
		{"&source=corp", 999, want[1:]},
		{"&group=everybody", 1000, want[1:]},
		{"&permission=GOVERNANCE", 1000, want[1:]},
		{"&text=USER00", 7, want[1:101]},
	} {
		pages := w.walk(key, strings.ReplaceAll(tt.query, "root", ""), tt.size)
		all := slices.Concat(pages...)
		if d := cmp.Diff(slices.Sorted(slices.Values(tt.want)), names(all)); d != "" {
			t.Errorf("pages of %d%s (-want +got):\n%.2000s", tt.size, tt.query, d)
		}
		for i, p := range pages {
			if size := min(tt.size, 1000); len(p) > size || i < len(pages)-1 && len(p) != size {
				t.Errorf("page %d of %d%s has %d users", i, tt.size, tt.query, len(p))
			}
		}
	}
	if pages := w.walk(key, "&text=user000", 0); len(pages) != 1 || len(pages[0]) != 10 {
		t.Errorf("pages of text=user000: %d, want one of ten", len(pages))
	}

	members := 0
	for token, first := "", true; first || token != ""; first = false {
		p := wantPage[admin.MemberPage](w, key, "/v1/groups/everybody/members?pageSize=1000&pageToken="+url.QueryEscape(token))
		members += len(p.Members)
		token = p.NextPageToken
	}
	holders, seen := 0, map[string]bool{}
	for token, first := "", true; first || token != ""; first = false {
		p := wantPage[admin.HolderPage](w, key, "/v1/permissions/GOVERNANCE/holders?pageSize=800&pageToken="+url.QueryEscape(token))
		for _, h := range p.Holders {
			holders++
			seen[h.ID] = true
		}
		token = p.NextPageToken
	}
	if members != 5000 || holders != 5000 || len(seen) != 5000 {
		t.Errorf("walked %d members and %d holders, %d different; want 5000 of each", members, holders, len(seen))
	}
}

func wantPage[T any](w *world, key, path string) T {
	w.t.Helper()
	return want[T](w.t, w.call(http.MethodGet, path, key, nil), http.StatusOK)
}

// A token of one list is not one of another, and what was made up is refused.
func TestPageTokens(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	for i := range 3 {
		w.person("corp", fmt.Sprint("u", i))
	}
	p := wantPage[admin.UserPage](w, key, "/v1/users?pageSize=1")
	for _, path := range []string{
		"/v1/users?source=corp&pageToken=" + p.NextPageToken,
		"/v1/groups?pageToken=" + p.NextPageToken,
		"/v1/permissions/AUDIT/holders?pageToken=" + p.NextPageToken,
		"/v1/users?pageToken=AAAA",
		"/v1/users?pageToken=%21%21",
		"/v1/users?pageToken=" + p.NextPageToken[:len(p.NextPageToken)-4],
	} {
		wantProblem(t, w.call(http.MethodGet, path, key, nil), http.StatusBadRequest, "bad_page_token")
	}
	for _, path := range []string{"/v1/users?pageSize=-1", "/v1/users?pageSize=many", "/v1/users?smell=sweet", "/v1/users?status=asleep"} {
		wantProblem(t, w.call(http.MethodGet, path, key, nil), http.StatusUnprocessableEntity, "invalid_request")
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/users?group=nope", key, nil), http.StatusNotFound, "group_not_found")
	wantProblem(t, w.call(http.MethodGet, "/v1/users?permission=NOPE", key, nil), http.StatusNotFound, "permission_not_found")
	wantProblem(t, w.call(http.MethodGet, "/v1/users?permission=nope", key, nil), http.StatusBadRequest, "bad_permission")
}

func TestUserInThreeViews(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	ann := w.person("corp", "ann")
	m := identity.UserMember(ann)
	team := w.group("corp", "platform", m)
	dept := w.group("corp", "eng", identity.GroupMember(team))
	w.commit(state.ChangeMembers{Group: team, Origin: "corp", Add: []identity.Member{identity.GroupMember(dept)}}) // a cycle
	w.commit(state.SetLocalAttribute{Member: m, Key: "Clearance", Values: []string{"high"}},
		state.SetLocalAttribute{Member: m, Key: "department", Values: []string{"R&D", "Board"}})
	w.commit(state.SetLocalAttribute{Member: identity.GroupMember(dept), Key: "site", Values: []string{"Linz"}})
	w.grant(m, permissions.CreateProject, time.Time{})
	w.grant(identity.GroupMember(dept), permissions.Governance, start.Add(time.Hour))

	got := wantPage[admin.User](w, key, "/v1/users/ann")
	if got.Status.Status != "active" || got.External.Key != "key-ann" || got.External.DN != "cn=ann" || got.Email != "ann@example.com" {
		t.Errorf("user = %+v", got)
	}
	wantLocal := map[string][]string{"clearance": {"high"}, "department": {"Board", "R&D"}}
	if d := cmp.Diff(wantLocal, got.Local.Attributes); d != "" {
		t.Errorf("local attributes (-want +got):\n%s", d)
	}
	from := func(origin identity.Origin, group string, via ...string) string {
		return fmt.Sprint(origin, " ", group, " ", via)
	}
	seen := map[string][]string{}
	for k, values := range got.Effective.Attributes {
		for _, v := range values {
			for _, p := range v.From {
				group, via := "", []string{}
				if p.Group != nil {
					group = p.Group.Name
				}
				for _, g := range p.Via {
					via = append(via, g.Name)
				}
				seen[k+"="+v.Value] = append(seen[k+"="+v.Value], from(p.Origin, group, via...))
			}
		}
	}
	wantValues := map[string][]string{
		"clearance=high":   {from("local", "")},
		"department=R&D":   {from("corp", ""), from("local", "")},
		"department=Board": {from("local", "")},
		"site=Graz":        {from("corp", "platform"), from("corp", "eng", "platform", "eng")},
		"site=Linz":        {from("local", "eng", "platform", "eng")},
	}
	if d := cmp.Diff(wantValues, seen); d != "" {
		t.Errorf("effective attributes with their origins (-want +got):\n%s", d)
	}
	if len(got.Effective.Groups) != 2 || !got.Effective.Groups[0].Direct || got.Effective.Groups[0].Name != "platform" ||
		got.Effective.Groups[1].Direct || got.Effective.Groups[1].Via[0].Name != "platform" {
		t.Errorf("groups = %+v, want platform directly and eng by platform", got.Effective.Groups)
	}
	if d := cmp.Diff([]permissions.Permission{"CREATE_PROJECT", "GOVERNANCE"}, got.Effective.Permissions); d != "" {
		t.Errorf("permissions (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]permissions.PersonaID{"data-governor", "project-owner", "data-user"}, got.Effective.Personas); d != "" {
		t.Errorf("personas (-want +got):\n%s", d)
	}
	if len(got.Effective.Grants) != 2 {
		t.Errorf("grants = %+v, want two", got.Effective.Grants)
	}

	w.pass(2 * time.Hour) // the grant to the group ends by the clock alone
	got = wantPage[admin.User](w, key, "/v1/users/ann")
	if d := cmp.Diff([]permissions.Permission{"CREATE_PROJECT"}, got.Effective.Permissions); d != "" || got.Effective.Grants[1].State != "EXPIRED" {
		t.Errorf("permissions after the expiry (-want +got):\n%s%+v", d, got.Effective.Grants)
	}
	w.commit(state.Disable{User: ann, Reason: "left"})
	got = wantPage[admin.User](w, key, "/v1/users/ann")
	if got.Status != (admin.Status{Status: "inactive", Reason: identity.ReasonLocal}) || got.Local.Disabled.Reason != "left" ||
		len(got.Effective.Permissions) != 0 || len(got.Effective.Personas) != 0 || len(got.Effective.Grants) != 2 {
		t.Errorf("disabled user = %+v, want inactive, without permissions, with his grants", got)
	}
}

func TestUserByAnyName(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	w.known("okta")
	_, key := w.caller("root", permissions.UserAdmin)
	ann := w.person("corp", "ann")
	w.person("okta", "Ann")
	w.person("corp", "müller & söhne")
	for _, name := range []string{ann.String(), "corp%2Fann", "corp%2FANN"} {
		if got := wantPage[admin.User](w, key, "/v1/users/"+name); got.ID != ann.String() {
			t.Errorf("GET %s = %s, want ann of corp", name, got.ID)
		}
	}
	p := wantProblem(t, w.call(http.MethodGet, "/v1/users/ann", key, nil), http.StatusConflict, "ambiguous_name")
	if !strings.Contains(p.Detail, "corp/ann") || !strings.Contains(p.Detail, "okta/Ann") {
		t.Errorf("detail %q, want both names", p.Detail)
	}
	if got := wantPage[admin.User](w, key, "/v1/users/"+url.PathEscape("MÜLLER & söhne")); got.UserName != "müller & söhne" {
		t.Errorf("user = %q", got.UserName)
	}
	wantProblem(t, w.call(http.MethodGet, "/v1/users/nobody", key, nil), http.StatusNotFound, "user_not_found")
	wantProblem(t, w.call(http.MethodGet, "/v1/users/"+identity.NewUserID().String(), key, nil), http.StatusNotFound, "user_not_found")
}

func TestETagAndIfNoneMatch(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	ann := w.person("corp", "ann")
	w.group("corp", "team", identity.UserMember(ann))
	for _, path := range []string{"/v1/users/ann", "/v1/groups/team"} {
		tag := w.call(http.MethodGet, path, key, nil).header.Get("ETag")
		if tag == "" {
			t.Fatalf("%s has no ETag", path)
		}
		r := w.call(http.MethodGet, path, key, nil, "If-None-Match", `"x", W/`+tag)
		if r.status != http.StatusNotModified || len(r.body) != 0 || r.header.Get("ETag") != tag {
			t.Errorf("%s with its ETag: status %d, body %q, want 304 without a body", path, r.status, r.body)
		}
		if r := w.call(http.MethodGet, path, key, nil, "If-None-Match", `"x"`); r.status != http.StatusOK {
			t.Errorf("%s with another ETag: status %d, want 200", path, r.status)
		}
		// What follows from elsewhere changes the answer, and so the tag.
		w.grant(identity.UserMember(ann), permissions.Permission(map[string]string{"/v1/users/ann": "AUDIT"}[path]), time.Time{})
		if strings.Contains(path, "users") {
			if r := w.call(http.MethodGet, path, key, nil, "If-None-Match", tag); r.status != http.StatusOK {
				t.Errorf("%s after a grant: status %d, want 200", path, r.status)
			}
		}
	}
}

func TestFilters(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	ann, bob, eve := w.person("corp", "ann"), w.person("corp", "bob"), w.person("corp", "eve")
	inner := w.group("corp", "inner", identity.UserMember(bob))
	w.group("corp", "outer", identity.UserMember(ann), identity.GroupMember(inner))
	w.commit(state.Disable{User: eve})
	w.commit(state.Deactivate{Member: identity.UserMember(bob), Source: "corp"})
	w.grant(identity.UserMember(ann), permissions.Audit, time.Time{})
	for _, tt := range []struct {
		query string
		want  []string
	}{
		{"source=local", []string{"root"}},
		{"status=active", []string{"ann", "root"}},
		{"status=inactive", []string{"bob", "eve"}},
		{"status=disabled_locally", []string{"eve"}},
		{"status=missing_from_source", []string{"bob"}},
		{"group=outer", []string{"ann", "bob"}},
		{"group=outer&status=active", []string{"ann"}},
		{"permission=AUDIT", []string{"ann"}},
		{"permission=AUDIT&group=inner", []string{}},
		{"text=the+ANN", []string{"ann"}},
		{"text=eve%40example", []string{"eve"}},
		{"text=nothing", []string{}},
	} {
		got := wantPage[admin.UserPage](w, key, "/v1/users?"+tt.query)
		if d := cmp.Diff(tt.want, names(got.Users)); d != "" {
			t.Errorf("users?%s (-want +got):\n%s", tt.query, d)
		}
	}
}

func TestCreateLocalUser(t *testing.T) {
	w := newWorld(t)
	_, key := w.caller("root", permissions.UserAdmin)
	r := w.call(http.MethodPost, "/v1/users", key, map[string]string{"userName": "Eve", "displayName": "Eve E.", "email": "eve@example.com"})
	u := want[admin.User](t, r, http.StatusCreated)
	if u.UserName != "Eve" || u.Source != "local" || u.Status.Status != "active" || r.header.Get("Location") != "/v1/users/"+u.ID {
		t.Errorf("created %+v at %s", u, r.header.Get("Location"))
	}
	if tag := w.call(http.MethodGet, "/v1/users/eve", key, nil).header.Get("ETag"); tag == "" || tag != r.header.Get("ETag") {
		t.Errorf("ETag of the creation %q, of reading %q, want equal", r.header.Get("ETag"), tag)
	}
	wantProblem(t, w.call(http.MethodPost, "/v1/users", key, map[string]string{"userName": "EVE"}), http.StatusConflict, "name_taken")
	for _, tt := range []struct {
		body map[string]string
		code string
	}{
		{map[string]string{}, "invalid_request"},
		{map[string]string{"userName": ""}, "invalid_request"},
		{map[string]string{"userName": strings.Repeat("x", 129)}, "invalid_request"},
		{map[string]string{"userName": "x", "email": "no address"}, "invalid_request"},
		{map[string]string{"userName": "corp/x"}, "invalid_user_name"},
		{map[string]string{"userName": "x\u202ey"}, "not_plain_text"},
		{map[string]string{"userName": " x"}, "not_plain_text"},
		{map[string]string{"userName": "x", "displayName": "a\nb"}, "not_plain_text"},
	} {
		wantProblem(t, w.call(http.MethodPost, "/v1/users", key, tt.body), http.StatusUnprocessableEntity, tt.code)
	}
}

// Who was there before the walk and stays is met once, whoever comes meanwhile.
func TestPagesWhileUsersCome(t *testing.T) {
	w := newWorld(t)
	w.known("corp")
	_, key := w.caller("root", permissions.UserAdmin)
	before := []string{"root"}
	for i := range 60 {
		name := fmt.Sprintf("old%02d", i)
		before = append(before, name)
		w.person("corp", name)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := range 300 {
			select {
			case <-done:
				return
			default:
				w.person("corp", fmt.Sprintf("new%05d", i))
			}
		}
	}()
	old := slices.DeleteFunc(slices.Concat(w.walk(key, "", 7)...), func(u admin.UserSummary) bool { return strings.HasPrefix(u.UserName, "new") })
	close(done)
	<-ended
	slices.Sort(before)
	if d := cmp.Diff(before, names(old)); d != "" {
		t.Errorf("users met on the walk (-want +got):\n%s", d)
	}
}
