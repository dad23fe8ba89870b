package dialect

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/schema"
)

func derived(t *testing.T, body string, more map[string]string) Derived {
	t.Helper()
	m, err := NewMapping(more, schema.User())
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := Resource([]byte(body), schema.User(), lenient())
	if err != nil {
		t.Fatal(err)
	}
	return Derive(p.Object, schema.User(), m)
}

func TestDerive(t *testing.T) {
	t.Parallel()
	got := derived(t, user(`,"active":false,"name":{"givenName":"Ann","familyName":"Lee"},"title":"Chief","emails":[{"value":"h@x","type":"home"},{"value":"w@x","type":"Work"}],`+
		`"phoneNumbers":[{"value":"1"},{"value":"2","primary":true}],"roles":["Reader","Writer"],"`+ent+`":{"department":"D","organization":"O","manager":"7"}`), map[string]string{"mail": "emails.value", "Title": ""})
	want := Derived{
		Name: "ann", Disabled: true,
		Profile: map[string]string{
			identity.GivenName: "Ann", identity.FamilyName: "Lee", identity.Email: "w@x", identity.Phone: "2",
			identity.Position: "Chief", identity.Organization: "O", identity.DisplayName: "Ann Lee",
		},
		Attributes: identity.Attributes{"department": {"D"}, "organization": {"O"}, "manager": {"7"}, "roles": {"Reader", "Writer"}, "mail": {"h@x", "w@x"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Derive -want +got\n%s", d)
	}
}

func TestDeriveChooses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ shows, more, field, want string }{
		{"the name that is shown", `,"displayName":"D","name":{"formatted":"F"}`, identity.DisplayName, "D"},
		{"the name as it is written", `,"name":{"formatted":"F","givenName":"G"}`, identity.DisplayName, "F"},
		{"a name of one part", `,"name":{"familyName":"L"}`, identity.DisplayName, "L"},
		{"no name", ``, identity.DisplayName, ""},
		{"the primary address", `,"emails":[{"value":"a","type":"work"},{"value":"b","primary":true}]`, identity.Email, "b"},
		{"the first address", `,"emails":[{"value":"a"},{"value":"b"}]`, identity.Email, "a"},
		{"an address without a value", `,"emails":[{"type":"work"},{"value":"b"}]`, identity.Email, "b"},
	} {
		t.Run(tt.shows, func(t *testing.T) {
			t.Parallel()
			d := derived(t, user(tt.more), nil)
			if got := d.Profile[tt.field]; got != tt.want || d.Disabled {
				t.Errorf("%s = %q, disabled %v, want %q", tt.field, got, d.Disabled, tt.want)
			}
		})
	}
	if got := Derive(schema.Object{"displayName": "G"}, schema.Group(), Mapping{}); got.Name != "G" || got.Profile != nil {
		t.Errorf("Derive(group) = %v", got)
	}
}

func TestMappingSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"nothing":                      "no schema of users has nothing",
		"name":                         "name one of them",
		"emails":                       "emails.value",
		`emails[type eq "work"].value`: "no schema of users has",
		ent:                            "no schema of users has",
		"emails[":                      "mail: ",
	} {
		if _, err := NewMapping(map[string]string{"mail": path}, schema.User()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewMapping(%q) = %v, want %q", path, err, want)
		}
	}
}
