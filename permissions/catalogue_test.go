package permissions

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
)

func TestTheCatalogueHasElevenEntriesByName(t *testing.T) {
	want := []Permission{
		ApplicationAdmin, Audit, CreateDataSource, CreateDataSourceInProject, CreateFilter, CreateProject,
		FetchPolicyInfo, Governance, ImpersonateUser, ProjectManagement, UserAdmin,
	}
	var got []Permission
	for e := range BuiltIns() {
		got = append(got, e.Name)
		if e.Description == "" || !e.BuiltIn || e.EnforcedBy != enforcer(e.Actions) {
			t.Errorf("entry %s is not complete: %+v", e.Name, e)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("BuiltIns (-want +got):\n%s", diff)
	}
	if !slices.IsSorted(got) {
		t.Errorf("BuiltIns are not sorted: %v", got)
	}
}

// enforcer is who enforces a permission, going by its actions; "" when there are none.
func enforcer(actions []Action) (out Enforcer) {
	for _, a := range actions {
		switch {
		case out == "":
			out = a.EnforcedBy
		case out != a.EnforcedBy:
			return EnforcedByBoth
		}
	}
	return out
}

func TestCustomEntries(t *testing.T) {
	e := NewBook().Edit()
	e.PutCustom(Entry{Name: "ZEBRA", Description: "Feed the zebra.", By: "user:root", At: at(2)})
	e.PutCustom(Entry{Name: "APPROVER", BuiltIn: true, EnforcedBy: EnforcedByRollcall})
	e.PutCustom(Entry{Name: Audit, Description: "Nothing at all."})
	b := e.Book()
	all := b.Catalogue()
	want := []Entry{
		{Name: "APPROVER", Description: customDescription, EnforcedBy: EnforcedByApplications},
		{Name: "ZEBRA", Description: "Feed the zebra.", EnforcedBy: EnforcedByApplications, By: "user:root", At: at(2)},
	}
	if diff := cmp.Diff(want, all[11:]); diff != "" {
		t.Errorf("custom entries (-want +got):\n%s", diff)
	}
	if got, ok := b.Lookup(Audit); !ok || !cmp.Equal(got, builtIn[1]) {
		t.Errorf("Lookup(AUDIT) = %+v, %v: a stored entry changed a built-in one", got, ok)
	}
	if !e.RemoveCustom("ZEBRA") || e.RemoveCustom("ZEBRA") {
		t.Error("RemoveCustom must say yes once and then no")
	}
	if _, ok := e.Book().Lookup("ZEBRA"); ok {
		t.Error("ZEBRA is still there")
	}
	if _, ok := b.Lookup("ZEBRA"); !ok {
		t.Error("ZEBRA left the older book, too")
	}
}

func TestParseCustomName(t *testing.T) {
	for name, kind := range map[string]error{
		"FINANCE_APPROVER":            nil,
		"A1":                          nil,
		"A" + strings.Repeat("B", 63): nil,
		"A" + strings.Repeat("B", 64): fault.Invalid,
		"A":                           fault.Invalid,
		"":                            fault.Invalid,
		"1A":                          fault.Invalid,
		"_A":                          fault.Invalid,
		"approver":                    fault.Invalid,
		"APPROVER\n":                  fault.Invalid,
		"APPRÖVER":                    fault.Invalid,
		"AUDIT":                       fault.Exists,
		"audit":                       fault.Exists,
		"User_Admin":                  fault.Exists,
		"AUDITS":                      nil,
	} {
		p, err := ParseCustomName(name)
		if kind == nil {
			if err != nil || string(p) != name {
				t.Errorf("ParseCustomName(%q) = %q, %v, want it accepted", name, p, err)
			}
			continue
		}
		if !errors.Is(err, kind) || p != "" {
			t.Errorf("ParseCustomName(%q) = %q, %v, want %v", name, p, err, kind)
		}
		if errors.Is(kind, fault.Exists) && fault.Code(err) != "builtin_permission" {
			t.Errorf("ParseCustomName(%q): code %q", name, fault.Code(err))
		}
	}
}

func FuzzParseCustomName(f *testing.F) {
	for _, s := range []string{"", "AUDIT", "audit", "FINANCE_APPROVER", "A\x00", "ſ", "CREATE_DATA_ſOURCE", "A\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseCustomName(s)
		if err != nil {
			if p != "" || fault.Kind(err) == nil || fault.Code(err) == "" {
				t.Fatalf("ParseCustomName(%q) = %q, %v: a refusal has a kind, a code and no name", s, p, err)
			}
			return
		}
		if string(p) != s || len(s) < 2 || len(s) > 64 || IsBuiltIn(p) || strings.ToUpper(s) != s ||
			strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			t.Fatalf("ParseCustomName(%q) = %q, accepted", s, p)
		}
		if q, err := ParseName(s); err != nil || q != p {
			t.Fatalf("ParseName(%q) = %q, %v, want what ParseCustomName gave", s, q, err)
		}
	})
}

func FuzzRef(f *testing.F) {
	for _, s := range []string{"", "users/", "groups/62000000-0000-0000-0000-000000000001", "users/62000000-0000-0000-0000-00000000000G"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var r Ref
		if err := r.UnmarshalText([]byte(s)); err == nil && r.String() != s {
			t.Fatalf("Ref(%q) prints as %q", s, r)
		}
	})
}

func TestPersonas(t *testing.T) {
	for _, c := range []struct {
		name string
		held []Permission
		want []PersonaID
	}{
		{"everyone active is a data user", nil, []PersonaID{PersonaDataUser}},
		{"either permission makes a data owner", []Permission{CreateDataSourceInProject}, []PersonaID{PersonaDataOwner, PersonaDataUser}},
		{"both make one data owner", []Permission{CreateDataSource, CreateDataSourceInProject}, []PersonaID{PersonaDataOwner, PersonaDataUser}},
		{"several at once", []Permission{ApplicationAdmin, Governance, UserAdmin}, []PersonaID{PersonaApplicationAdmin, PersonaUserAdmin, PersonaDataGovernor, PersonaDataUser}},
		{"projects are opened by one and managed by another", []Permission{CreateProject, ProjectManagement}, []PersonaID{PersonaProjectOwner, PersonaProjectManager, PersonaDataUser}},
		{"an auditor", []Permission{Audit}, []PersonaID{PersonaAuditor, PersonaDataUser}},
		{"some permissions make no persona", []Permission{"APPROVER", CreateFilter, FetchPolicyInfo, ImpersonateUser}, []PersonaID{PersonaDataUser}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e Effective
			for _, p := range c.held {
				e.Held = append(e.Held, Held{Permission: p})
			}
			if diff := cmp.Diff(c.want, e.Personas()); diff != "" {
				t.Errorf("Personas (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoPersonaForAnInactiveUser(t *testing.T) {
	e := NewBook().Edit()
	e.Put(grant("g", Governance, group(2)))
	b := e.Book()
	for user, want := range map[int][]PersonaID{
		0:  {PersonaDataGovernor, PersonaDataUser},
		1:  nil,
		2:  nil,
		3:  {PersonaDataUser},
		99: nil,
	} {
		eff := b.Effective(town(), userID(user), at(25))
		if diff := cmp.Diff(want, eff.Personas()); diff != "" {
			t.Errorf("Personas of user %d (-want +got):\n%s", user, diff)
		}
	}
}

func TestEffectiveListsGrantsInOrder(t *testing.T) {
	e := NewBook().Edit()
	for _, g := range []Grant{
		grant("3", Governance, group(1)), grant("2", Governance, user(0)), grant("1", Governance, group(1)),
		grant("0", Audit, user(0)), grant("9", UserAdmin, user(3)), grant("8", "GONE", user(0)),
	} {
		e.Put(g)
	}
	eff := e.Book().Effective(town(), userID(0), at(10))
	got := map[Permission][]GrantID{}
	for _, h := range eff.Held {
		for _, g := range h.Grants {
			got[h.Permission] = append(got[h.Permission], g.ID)
		}
	}
	want := map[Permission][]GrantID{Audit: {"0"}, Governance: {"2", "1", "3"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Effective (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Permission{Audit, Governance}, eff.Permissions()); diff != "" {
		t.Errorf("Permissions (-want +got):\n%s", diff)
	}
}

func TestWhoCanStopsWhenTold(t *testing.T) {
	r := &roll{}
	g := r.addGroup()
	for range 10 {
		r.addUser(Subject{}, g)
	}
	e := NewBook().Edit()
	e.Put(grant("1", Audit, user(3)))
	e.Put(grant("2", Audit, group(0)))
	n := 0
	var first []identity.UserID
	for u := range e.Book().WhoCan(r.close(), Audit, at(10)) {
		if first = append(first, u); len(first) == 4 {
			break
		}
	}
	for range e.Book().WhoCan(r, Audit, at(10)) {
		n++
	}
	if len(first) != 4 || n != 10 {
		t.Errorf("WhoCan yields %d and %d users, want 4 and 10", len(first), n)
	}
}
