package ldap_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/sync/ldap"
)

func TestMappedTellsWhatIsReadForWhat(t *testing.T) {
	c := ldap.Config{
		Users: ldap.Users{
			Where: ldap.Where{
				Name: ldap.Mapping{Attribute: "sAMAccountName"}, Profile: map[string]ldap.Mapping{"email": {Attribute: "mail"}, "phone": {}},
				Attributes: map[string]ldap.Mapping{"Department": {Attribute: "departmentNumber"}},
			},
			Disabled: []ldap.Rule{{Attribute: "userAccountControl", Bits: 2}},
			Locked:   []ldap.Rule{{Attribute: "lock", Is: []string{"TRUE"}}, {Attribute: "state", IsNot: []string{"ok", "new"}}},
			Expires:  []ldap.Expiry{{Attribute: "accountExpires", Format: "filetime"}},
		},
		Groups: ldap.Groups{Where: ldap.Where{Name: ldap.Mapping{Attribute: "cn"}}},
	}
	want := map[string][]string{
		"users.name": {"sAMAccountName"}, "users.profile.email": {"mail"}, "users.attributes.department": {"departmentNumber"},
		"users.disabled": {"userAccountControl with a bit of 0x2"}, "users.locked": {"lock = TRUE", "state other than ok or new"},
		"users.expires": {"accountExpires"},
	}
	if d := cmp.Diff(want, c.Mapped()); d != "" {
		t.Errorf("Mapped (-want +got):\n%s", d)
	}
	c.Groups.Bases = []string{"ou=groups"}
	want["groups.name"] = []string{"cn"}
	if d := cmp.Diff(want, c.Mapped()); d != "" {
		t.Errorf("Mapped with groups (-want +got):\n%s", d)
	}
}
