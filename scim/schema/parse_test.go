package schema

import (
	"strings"
	"testing"

	reference "github.com/elimity-com/scim/schema"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What is shown can be read again, and says the same.
func TestParseReadsWhatJSONShows(t *testing.T) {
	for _, s := range []*Schema{User().Core, User().Extensions[0].Schema, Group().Core} {
		for _, text := range [][]byte{s.JSON(), s.JSONAt("https://example.com/Schemas/" + s.ID)} {
			got, err := Parse(text)
			if err != nil {
				t.Fatalf("Parse(%s) = %v", text, err)
			}
			if d := cmp.Diff(s, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", s.ID, d)
			}
			for _, empty := range []string{`""`, `[]`, `{}`, `null`} {
				if strings.Contains(string(text), empty) {
					t.Errorf("%s shows an empty value %s", s.ID, empty)
				}
			}
		}
	}
}

// Every characteristic is the RFC's, as another implementation has it, but for what
// builtin.go names.
func TestBuiltinSchemasAreTheRFCs(t *testing.T) {
	ours := map[string]*Schema{}
	for _, s := range []*Schema{User().Core, User().Extensions[0].Schema, Group().Core} {
		ours[s.ID] = s
	}
	for _, theirs := range []reference.Schema{reference.CoreUserSchema(), reference.CoreGroupSchema(), reference.ExtensionEnterpriseUser()} {
		s := ours[theirs.ID]
		if s == nil {
			t.Fatalf("no schema %s", theirs.ID)
		}
		for _, a := range theirs.Attributes {
			got := s.Find(a.Name())
			if got == nil {
				t.Errorf("%s has no %s", s.ID, a.Name())
				continue
			}
			compare(t, s.Name+"."+a.Name(), got, a)
			for _, sub := range a.SubAttributes() {
				if in := got.Find(sub.Name()); in == nil {
					t.Errorf("%s.%s has no %s", s.ID, a.Name(), sub.Name())
				} else {
					compare(t, s.Name+"."+a.Name()+"."+sub.Name(), in, sub)
				}
			}
		}
	}
}

func compare(t *testing.T, name string, got *Attribute, want reference.CoreAttribute) {
	t.Helper()
	wantType := want.AttributeType()
	if name == "Group.members.display" {
		if got.Mutability != ReadOnly || got.Returned != Request {
			t.Errorf("%s = %+v; it is the server's, and told on request", name, *got)
		}
		return
	}
	if got.Name != want.Name() || got.Type.String() != wantType || got.MultiValued != want.MultiValued() ||
		got.Mutability.String() != want.Mutability() || got.Returned.String() != want.Returned() || got.Uniqueness.String() != want.Uniqueness() {
		t.Errorf("%s = %+v; the other has %s %s %s %s %v", name, *got, wantType, want.Mutability(), want.Returned(), want.Uniqueness(), want.MultiValued())
	}
	if got.Required != want.Required() && name != "Group.displayName" {
		t.Errorf("%s: required = %v, the other has %v", name, got.Required, want.Required())
	}
}

func TestParseRefuses(t *testing.T) {
	attribute := func(members string) string {
		return `{"id":"urn:example:1.0:Badge","name":"Badge","attributes":[` + members + `]}`
	}
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":                 {`{`, "schema:"},
		"unknown member":          {`{"id":"urn:a:b","nam":"x"}`, "nam"},
		"no id":                   {`{"name":"x"}`, "id: is missing"},
		"no URN":                  {`{"id":"badge","name":"x"}`, "not a URN"},
		"a blank in the URN":      {`{"id":"urn:a b:c","name":"x"}`, "cannot have"},
		"no name":                 {`{"id":"urn:a:b"}`, "name is missing"},
		"no attributes":           {attribute(``), "attributes are missing"},
		"an attribute's name":     {attribute(`{"name":"1a"}`), `attribute 1 ("1a"): a name begins`},
		"$ something else":        {attribute(`{"name":"$id"}`), "a name begins"},
		"a name twice":            {attribute(`{"name":"a"},{"name":"A"}`), `attribute 2 ("A"): the name is used before`},
		"a name all have":         {attribute(`{"name":"ID"}`), "every resource has one"},
		"type":                    {attribute(`{"name":"a","type":"String"}`), `type: "String" is none of string, boolean`},
		"mutability":              {attribute(`{"name":"a","mutability":"never"}`), "mutability:"},
		"returned":                {attribute(`{"name":"a","returned":"sometimes"}`), "returned:"},
		"uniqueness":              {attribute(`{"name":"a","uniqueness":"local"}`), "uniqueness:"},
		"complex without subs":    {attribute(`{"name":"a","type":"complex"}`), "subAttributes are missing"},
		"subs of a string":        {attribute(`{"name":"a","subAttributes":[{"name":"b"}]}`), "not string"},
		"complex within complex":  {attribute(`{"name":"a","type":"complex","subAttributes":[{"name":"b","type":"complex","subAttributes":[{"name":"c"}]}]}`), `attribute 1 ("a"): attribute 1 ("b"): an attribute within`},
		"reference types":         {attribute(`{"name":"a","referenceTypes":["User"]}`), "for the type reference"},
		"canonical booleans":      {attribute(`{"name":"a","type":"boolean","canonicalValues":["x"]}`), "for the type string"},
		"empty canonical value":   {attribute(`{"name":"a","canonicalValues":[""]}`), "empty one"},
		"written, never returned": {attribute(`{"name":"a","mutability":"writeOnly"}`), "returned: never"},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Parse(%s) = %v, %v, want an error with %q", c.text, s, err, c.want)
			}
		})
	}
}

func TestParseFillsDefaults(t *testing.T) {
	s, err := Parse([]byte(`{"id":"urn:example:1.0:Badge","name":"Badge","attributes":[{"name":"a"},{"name":"b","type":"reference"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []*Attribute{{Name: "a"}, {Name: "b", Type: Reference, CaseExact: true}}
	if d := cmp.Diff(want, s.Attributes); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestResourceTypesAreShown(t *testing.T) {
	want := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],"id":"User","name":"User","description":"People with accounts.","endpoint":"/Users",` +
		`"schema":"urn:ietf:params:scim:schemas:core:2.0:User","schemaExtensions":[{"schema":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User","required":false}],` +
		`"meta":{"resourceType":"ResourceType","location":"/ResourceTypes/User"}}`
	if got := string(User().JSONAt("/ResourceTypes/User")); got != want {
		t.Errorf("JSONAt = %s", got)
	}
	if got := string(Group().JSON()); strings.Contains(got, "schemaExtensions") || strings.Contains(got, "meta") {
		t.Errorf("JSON = %s", got)
	}
}

// A schema that is read is shown so that it is read the same.
func FuzzSchema(f *testing.F) {
	f.Add(User().Core.JSON())
	f.Add(User().Extensions[0].Schema.JSON())
	f.Add([]byte(`{"id":"urn:example:1.0:Badge","name":"B","attributes":[{"name":"a"},{"name":"$ref","type":"reference","referenceTypes":["x"]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.JSON())
		if err != nil {
			t.Fatalf("Parse(%s) = %v", s.JSON(), err)
		}
		if d := cmp.Diff(s, again, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("(-was +again):\n%s", d)
		}
	})
}
