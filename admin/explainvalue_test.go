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

// mapped makes the source one whose mapping is known.
func (w *world) mapped() {
	w.sync.set(func(f *fakeSync) {
		f.sources[0].Mapping = map[string][]string{
			"users.name": {"sAMAccountName"}, "users.profile.email": {"mail"}, "users.attributes.department": {"departmentNumber"},
			"users.attributes.room": {"roomNumber"}, "users.disabled": {"userAccountControl with a bit of 0x2"},
			"users.locked": {"lockoutTime"}, "users.expires": {"accountExpires"}, "groups.attributes.site": {"l"}, "groups.name": {"cn"},
		}
	})
}

// Every origin of a value is told: the directory's attribute and its mapping, what was
// set here, the chain of groups with who says each membership, and what does not count.
func TestWhyAnAttributeHasItsValues(t *testing.T) {
	w := newWorld(t)
	w.mapped()
	_, root := w.caller("root", permissions.Audit)
	ann := w.person("corp", "ann")
	staff := w.group("corp", "staff", identity.UserMember(ann))
	w.group("local", "everybody", identity.GroupMember(staff))
	gone := w.group("corp", "gone", identity.UserMember(ann))
	m := identity.UserMember(ann)
	w.commit(state.SetLocalAttribute{Member: m, Key: "department", Values: []string{"R&D", "Board"}},
		state.SetLocalAttribute{Member: identity.GroupMember(gone), Key: "site", Values: []string{"Linz"}})
	w.commit(state.Deactivate{Member: identity.GroupMember(gone), Source: "corp"},
		state.ChangeMembers{Group: gone, Origin: identity.Local, Add: []identity.Member{m}})

	for path, lines := range map[string][]string{
		"users/ann/attributes/Department": {
			"department of ann is Board: set here",
			"department of ann is R&D: it comes from corp's departmentNumber (users.attributes.department)",
			"department of ann is R&D: set here",
		},
		"users/ann/attributes/site": {
			"site of ann is Graz: it comes from corp's l (groups.attributes.site), inherited from group staff (member of staff by corp)",
			"site of ann is Graz: set here, inherited from group everybody (member of staff by corp, which is in everybody by local)",
			"site of ann is Graz: it comes from corp's l (groups.attributes.site), inherited from group gone (member of gone by corp and local), but the group is missing from corp since 25 Nov",
			"site of ann is not Linz: set here, inherited from group gone (member of gone by corp and local), but the group is missing from corp since 25 Nov",
		},
		"users/ann/attributes/room":  {"ann has no room: corp has nothing in roomNumber (users.attributes.room), and no group and nobody here gives it"},
		"users/ann/attributes/shoe":  {"ann has no shoe: nothing that is read from corp is mapped to it, and no group and nobody here gives it"},
		"groups/staff/profile/name":  {"name of staff is staff: it comes from corp's cn (groups.name)"},
		"users/ann/profile/username": {"userName of ann is ann: it comes from corp's sAMAccountName (users.name)"},
		"users/ann/profile/email":    {"email of ann is ann@example.com: it comes from corp's mail (users.profile.email)"},
		"users/ann/profile/status":   {"status of ann is active: corp says so"},
	} {
		got := want[admin.ValueExplanation](t, w.call(http.MethodGet, "/v1/"+path+"/explanation", root, nil), http.StatusOK)
		said := strings.Split(strings.TrimSuffix(got.Sentence, "\n"), "\n")
		slices.Sort(said)
		slices.Sort(lines)
		if d := cmp.Diff(lines, said); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
	w.agree(t, root, "ann", "department", "site", "room")
	wantProblem(t, w.call(http.MethodGet, "/v1/users/ann/profile/shoe/explanation", root, nil), http.StatusNotFound, "field_not_found")
}

// agree compares the values that count with those that the effective view shows.
func (w *world) agree(t *testing.T, key, user string, attributes ...string) {
	t.Helper()
	view := want[admin.User](t, w.call(http.MethodGet, "/v1/users/"+user, key, nil), http.StatusOK)
	for _, a := range attributes {
		e := want[admin.ValueExplanation](t, w.call(http.MethodGet, "/v1/users/"+user+"/attributes/"+a+"/explanation", key, nil), http.StatusOK)
		var says, shows []string
		for _, v := range e.Values {
			if v.Counts {
				says = append(says, v.Value)
			}
		}
		for _, v := range view.Effective.Attributes[a] {
			shows = append(shows, v.Value)
		}
		slices.Sort(says)
		if d := cmp.Diff(shows, says); d != "" {
			t.Errorf("%s (-view +explained):\n%s", a, d)
		}
	}
}

// All that keeps somebody out is told in the order in which one goes before the other,
// and the first is the one that the view shows.
func TestWhySomebodyIsInactive(t *testing.T) {
	w := newWorld(t)
	w.mapped()
	_, root := w.caller("root", permissions.UserAdmin)
	id := identity.NewUserID()
	r := record("corp", "ann")
	r.Disabled, r.Expires = identity.ReasonDisabled, start.Add(-24*time.Hour)
	w.commit(state.Create{Member: identity.UserMember(id), Record: r})
	w.commit(state.Disable{User: id, Reason: "left"})
	w.commit(state.Deactivate{Member: identity.UserMember(id), Source: "corp"})

	got := want[admin.ValueExplanation](t, w.call(http.MethodGet, "/v1/users/ann/profile/status/explanation", root, nil), http.StatusOK)
	lines := `status of ann is disabled locally: set here by system:test, since 25 Nov, left
status of ann is not missing from source: corp says so, since 25 Nov, but something that goes before decides
status of ann is not disabled in source: it comes from corp's userAccountControl with a bit of 0x2 (users.disabled), but something that goes before decides
status of ann is not expired: it comes from corp's accountExpires (users.expires), since 24 Nov, but something that goes before decides
`
	if d := cmp.Diff(lines, got.Sentence); d != "" {
		t.Errorf("sentence (-want +got):\n%s", d)
	}
	view := want[admin.User](t, w.call(http.MethodGet, "/v1/users/ann", root, nil), http.StatusOK)
	if string(view.Reason) != got.Values[0].Value || len(got.Mappings) != 3 {
		t.Errorf("the view says %s, the explanation %+v with mappings %v", view.Reason, got.Values[0], got.Mappings)
	}
}

func TestWhoMayAskWhyAValueIs(t *testing.T) {
	w := newWorld(t)
	_, bob := w.caller("bob")
	w.person("corp", "ann")
	want[admin.ValueExplanation](t, w.call(http.MethodGet, "/v1/users/bob/attributes/department/explanation", bob, nil), http.StatusOK)
	for _, path := range []string{"users/ann/attributes/department", "users/nobody/attributes/department", "groups/staff/attributes/site"} {
		wantProblem(t, w.call(http.MethodGet, "/v1/"+path+"/explanation", bob, nil), http.StatusForbidden, "permission_missing")
	}
}
