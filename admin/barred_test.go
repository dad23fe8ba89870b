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
)

// barredWorld has ann of corp in team by corp and in staff by an administrator; staff is in
// all, which carries AUDIT. She and staff have local attributes.
func barredWorld(t *testing.T) (w *world, root string) {
	w = newWorld(t)
	w.known("corp")
	_, root = w.caller("root", permissions.UserAdmin)
	ann := identity.UserMember(w.person("corp", "ann"))
	w.group("corp", "team", ann)
	staff := w.group("corp", "staff")
	all := w.group("local", "all", identity.GroupMember(staff))
	w.grant(identity.GroupMember(all), permissions.Audit, time.Time{})
	w.commit(state.ChangeMembers{Group: staff, Origin: identity.Local, Add: []identity.Member{ann}},
		state.SetLocalAttribute{Member: ann, Key: "floor", Values: []string{"3"}},
		state.SetLocalAttribute{Member: identity.GroupMember(staff), Key: "floor", Values: []string{"4"}})
	return w, root
}

// What a source does not allow any more is shown as kept and inactive, explained, and
// counts nowhere, until it is allowed again.
func TestWhatIsNotAllowedAnyMoreIsShownAndDoesNotCount(t *testing.T) {
	w, root := barredWorld(t)
	explained := func(of string) []string {
		got := want[admin.ValueExplanation](t, w.call(http.MethodGet, "/v1/"+of+"/explanation", root, nil), http.StatusOK)
		return strings.Split(strings.TrimSuffix(got.Sentence, "\n"), "\n")
	}
	type shown struct {
		Values, Groups, Local, Inactive, Permissions []string
		Attributes                                   string
	}
	show := func() (out shown) {
		u := want[admin.User](t, w.call(http.MethodGet, "/v1/users/ann", root, nil), http.StatusOK)
		for _, v := range u.Effective.Attributes["floor"] {
			out.Values = append(out.Values, v.Value)
		}
		for _, g := range u.Effective.Groups {
			out.Groups = append(out.Groups, g.Name)
		}
		for _, g := range u.Local.Groups {
			out.Local = append(out.Local, g.Name)
		}
		for _, g := range u.Local.InactiveGroups {
			out.Inactive = append(out.Inactive, g.Name+" "+g.Reason)
		}
		for _, p := range u.Effective.Permissions {
			out.Permissions = append(out.Permissions, string(p))
		}
		if d := cmp.Diff([]string{"3"}, u.Local.Attributes["floor"]); d != "" {
			t.Errorf("the local attribute is not kept (-want +got):\n%s", d)
		}
		slices.Sort(out.Groups)
		out.Attributes = u.Local.InactiveAttributes
		return out
	}
	open := shown{Values: []string{"3", "4"}, Groups: []string{"all", "staff", "team"}, Local: []string{"staff"}, Permissions: []string{"AUDIT"}}
	three := "floor of ann is 3: set here"
	four := "set here, inherited from group staff (member of staff by local)"
	site := "site of ann is Graz: set here, inherited from group all (member of staff by local, which is in all by local)"
	for _, x := range []struct {
		bar          state.Bar
		want         shown
		floor        []string
		site, member string // what is said of the site, and of ann in staff
	}{
		{state.Bar{}, open, []string{three, "floor of ann is 4: " + four}, site, ""},
		{
			state.Bar{Attributes: true},
			shown{Groups: open.Groups, Local: open.Local, Permissions: open.Permissions, Attributes: "local_not_allowed"},
			[]string{
				"floor of ann is not 3: set here, but corp does not allow local attributes",
				"floor of ann is not 4: " + four + ", but corp does not allow local attributes",
			},
			site, "",
		},
		{
			state.Bar{Memberships: true},
			shown{Values: []string{"3"}, Groups: []string{"team"}, Inactive: []string{"staff local_not_allowed"}},
			[]string{three, "floor of ann is not 4: " + four + ", but corp does not allow local memberships"},
			site + ", but corp does not allow local memberships", "local_not_allowed",
		},
		{state.Bar{}, open, []string{three, "floor of ann is 4: " + four}, site, ""},
	} {
		w.commit(state.PutBar{Source: "corp", Bar: x.bar})
		if d := cmp.Diff(x.want, show()); d != "" {
			t.Errorf("with %+v (-want +got):\n%s", x.bar, d)
		}
		if d := cmp.Diff(x.floor, explained("users/ann/attributes/floor")); d != "" {
			t.Errorf("with %+v, the floor is explained (-want +got):\n%s", x.bar, d)
		}
		if got := explained("users/ann/attributes/site"); !slices.Contains(got, x.site) {
			t.Errorf("with %+v, the site is explained by %q, want %q among it", x.bar, got, x.site)
		}
		w.agree(t, root, "ann", "floor", "site")
		ms := want[admin.MemberPage](t, w.call(http.MethodGet, "/v1/groups/staff/members", root, nil), http.StatusOK).Members
		if len(ms) != 1 || ms[0].Name != "ann" || ms[0].Inactive != x.member {
			t.Errorf("with %+v, staff has %+v", x.bar, ms)
		}
		g := want[admin.Group](t, w.call(http.MethodGet, "/v1/groups/staff", root, nil), http.StatusOK)
		if g.Local.InactiveAttributes != x.want.Attributes || len(g.Effective.Attributes["floor"]) > 0 == x.bar.Attributes {
			t.Errorf("with %+v, staff is %+v and %+v", x.bar, g.Local, g.Effective.Attributes)
		}
	}
}

// Applications are told the same: questions, searches and the list of what holds.
func TestAnswersLeaveOutWhatIsNotAllowed(t *testing.T) {
	w, _ := barredWorld(t)
	_, key := w.caller("app", permissions.FetchPolicyInfo, permissions.Audit)
	ask := func() (may bool, values, groups int) {
		d := want[decided](t, w.call(http.MethodPost, "/access/v1/evaluation", key, question("ann", "AUDIT")), http.StatusOK)
		users, _ := w.effective(key, "", 100)
		ann := users["ann"]
		if slices.Contains(ann.Permissions, permissions.Audit) != d.Decision {
			t.Errorf("the question is answered by %v, the list has %v", d.Decision, ann.Permissions)
		}
		return d.Decision, len(ann.Attributes["floor"]), len(ann.Groups)
	}
	for _, x := range []struct {
		bar            state.Bar
		may            bool
		values, groups int
	}{
		{state.Bar{}, true, 2, 3},
		{state.Bar{Attributes: true}, true, 0, 3},
		{state.Bar{Memberships: true}, false, 1, 1},
		{state.Bar{Attributes: true, Memberships: true}, false, 0, 1},
		{state.Bar{}, true, 2, 3},
	} {
		w.commit(state.PutBar{Source: "corp", Bar: x.bar})
		if may, values, groups := ask(); may != x.may || values != x.values || groups != x.groups {
			t.Errorf("with %+v: %v, %d values, %d groups, want %+v", x.bar, may, values, groups, x)
		}
	}
}

// What is kept and does not count can be removed, and nothing is added to it.
func TestWhatIsNotAllowedCanBeRemoved(t *testing.T) {
	w, root := barredWorld(t)
	w.commit(state.PutBar{Source: "corp", Bar: state.Bar{Attributes: true, Memberships: true}})
	wantProblem(t, w.call(http.MethodPut, "/v1/users/ann/attributes/b", root, map[string][]string{"values": {"x"}}), http.StatusConflict, "local_not_allowed")
	wantProblem(t, w.call(http.MethodPut, "/v1/groups/staff/members/users/root", root, nil), http.StatusConflict, "local_not_allowed")
	want[struct{}](t, w.call(http.MethodDelete, "/v1/users/ann/attributes/floor", root, nil), http.StatusNoContent)
	want[struct{}](t, w.call(http.MethodDelete, "/v1/groups/staff/members/users/ann", root, nil), http.StatusNoContent)
	u := want[admin.User](t, w.call(http.MethodGet, "/v1/users/ann", root, nil), http.StatusOK)
	if len(u.Local.Attributes)+len(u.Local.InactiveGroups) > 0 || u.Local.InactiveAttributes != "" {
		t.Errorf("left are %+v", u.Local)
	}
}
