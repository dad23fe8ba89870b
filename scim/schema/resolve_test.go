package schema

import (
	"cmp"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	for _, c := range []struct{ urn, name, sub, want string }{
		{"", "userName", "", "userName"},
		{"", "USERNAME", "", "userName"},
		{UserURN, "username", "", "userName"},
		{strings.ToUpper(UserURN), "Name", "FamilyName", "name.familyName"},
		{"", "emails", "value", "emails.value"},
		{"", "id", "", "id"},
		{UserURN, "meta", "lastmodified", "meta.lastModified"},
		{"", "groups", "$REF", "groups.$ref"},
		{strings.ToLower(EnterpriseURN), "Manager", "displayname", "manager.displayName"},
		{EnterpriseURN, "", "", "whole"},
		{"", "department", "", ""},
		{EnterpriseURN, "userName", "", ""},
		{EnterpriseURN, "id", "", ""},
		{"", "userName", "value", ""},
		{"", "nope", "", ""},
		{"", "", "", ""},
		{"urn:x:y", "userName", "", ""},
	} {
		for _, typ := range []*ResourceType{User(), {Core: User().Core, Extensions: User().Extensions}} {
			r, ok := typ.Resolve(c.urn, c.name, c.sub)
			got := ""
			switch {
			case !ok:
			case r.Attr == nil:
				got = "whole"
			case r.Sub == nil:
				got = r.Attr.Name
			default:
				got = r.Attr.Name + "." + r.Sub.Name
			}
			if got != c.want {
				t.Errorf("Resolve(%q, %q, %q) = %q, want %q", c.urn, c.name, c.sub, got, c.want)
			}
			if last := r.Last(); ok && c.name != "" && !strings.EqualFold(last.Name, cmp.Or(c.sub, c.name)) {
				t.Errorf("Resolve(%q, %q, %q).Last = %s", c.urn, c.name, c.sub, last.Name)
			}
			if ok && r.Extension != strings.EqualFold(c.urn, EnterpriseURN) {
				t.Errorf("Resolve(%q, %q, %q).Extension = %v", c.urn, c.name, c.sub, r.Extension)
			}
		}
	}
}

func TestSplitURN(t *testing.T) {
	for path, want := range map[string][2]string{
		"userName":                           {"", "userName"},
		"name.familyName":                    {"", "name.familyName"},
		UserURN + ":name.familyName":         {UserURN, "name.familyName"},
		strings.ToLower(EnterpriseURN):       {EnterpriseURN, ""},
		EnterpriseURN + ":manager.value":     {EnterpriseURN, "manager.value"},
		"urn:example:1.0:Badge":              {"urn:example:1.0:Badge", ""},
		"urn:example:1.0:Badge:color":        {"urn:example:1.0:Badge", "color"},
		"urn:example:Badge:1.0":              {"urn:example:Badge:1.0", ""},
		"urn:example:Badge:1.0:color.name":   {"urn:example:Badge:1.0", "color.name"},
		"http://example.com/2.0/Badge":       {"http://example.com/2.0/Badge", ""},
		"http://example.com/2.0/Badge:color": {"http://example.com/2.0/Badge", "color"},
		"urn:example:badge:color":            {"urn:example:badge", "color"},
		`emails[value eq "a:b"].value`:       {"", `emails[value eq "a:b"].value`},
		`urn:x:1.0:Y:z[value eq "a:b"]`:      {"urn:x:1.0:Y", `z[value eq "a:b"]`},
	} {
		if urn, rest := User().SplitURN(path); urn != want[0] || rest != want[1] {
			t.Errorf("SplitURN(%q) = %q, %q, want %q", path, urn, rest, want)
		}
	}
}

// One URN may begin with another: the longer one counts.
func TestSplitURNOfTheLongest(t *testing.T) {
	more, err := Parse([]byte(`{"id":"` + UserURN + `:More","name":"More","attributes":[{"name":"a"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	typ, err := User().With(Extension{Schema: more})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][2]string{
		UserURN + ":More:a":   {UserURN + ":More", "a"},
		UserURN + ":More":     {UserURN + ":More", ""},
		UserURN + ":userName": {UserURN, "userName"},
	} {
		if urn, rest := typ.SplitURN(path); urn != want[0] || rest != want[1] {
			t.Errorf("SplitURN(%q) = %q, %q, want %q", path, urn, rest, want)
		}
	}
}

func TestExtensionIsFoundInAnyCase(t *testing.T) {
	if s := User().Extension(strings.ToUpper(EnterpriseURN)); s == nil || s.ID != EnterpriseURN {
		t.Errorf("Extension = %v", s)
	}
	if s := User().Extension(UserURN); s != nil {
		t.Errorf("Extension = %v", s)
	}
}

func BenchmarkResolve(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		User().Resolve(EnterpriseURN, "Manager", "displayName")
	}
}

func TestNewRefuses(t *testing.T) {
	core := User().Core
	for name, typ := range map[string]ResourceType{
		"no name":         {Endpoint: "/X", Core: core},
		"no slash":        {Name: "X", Endpoint: "X", Core: core},
		"two slashes":     {Name: "X", Endpoint: "/X/y", Core: core},
		"no schema":       {Name: "X", Endpoint: "/X"},
		"the core itself": {Name: "X", Endpoint: "/X", Core: core, Extensions: []Extension{{Schema: core}}},
	} {
		if made, err := New(typ); err == nil {
			t.Errorf("%s: New = %v", name, made)
		}
	}
	if _, err := User().With(User().Extensions...); err == nil {
		t.Error("With takes an extension twice")
	}
}
