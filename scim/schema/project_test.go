package schema

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const stored = `{"schemas":["s"],"externalId":"e","userName":"ann","name":{"familyName":"Lee","givenName":"Ann","odd":1},"active":true,` +
	`"emails":[{"value":"a]}\"","type":"work"},{"value":"b"},{"type":"home"}],"badgeAlways":"A","badgeOnAsking":"R","badgeNever":"N",` +
	`"cards":[{"id":"1","number":"2","pin":"3","color":"4"}],` +
	`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D","manager":{"value":"7","displayName":"Bo"}},` +
	`"urn:x:1.0:Y":{"a":1,"b":[2]},"plain":{"x":-1}}`

func projected(t testing.TB) *ResourceType {
	t.Helper()
	core, err := Parse([]byte(`{"id":"urn:example:1.0:Person","name":"Person","attributes":[
		{"name":"badgeAlways","returned":"always"},{"name":"badgeOnAsking","returned":"request"},{"name":"badgeNever","returned":"never"},
		{"name":"cards","type":"complex","multiValued":true,"subAttributes":[
			{"name":"id","returned":"always"},{"name":"number"},{"name":"pin","returned":"never"},{"name":"color","returned":"request"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	core.Attributes = append(User().Core.Attributes, core.Attributes...)
	typ, err := New(ResourceType{Name: "Person", Endpoint: "/People", Core: core, Extensions: User().Extensions})
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func TestProject(t *testing.T) {
	const (
		ent    = `"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":`
		always = `"badgeAlways":"A"`
		mails  = `"emails":[{"value":"a]}\"","type":"work"},{"value":"b"},{"type":"home"}]`
		custom = `"urn:x:1.0:Y":{"a":1,"b":[2]}`
	)
	for name, c := range map[string]struct {
		attributes, excluded []string
		want                 string
	}{
		"default": {nil, nil, `{"schemas":["s"],"externalId":"e","userName":"ann","name":{"familyName":"Lee","givenName":"Ann","odd":1},"active":true,` +
			mails + `,` + always + `,"cards":[{"id":"1","number":"2"}],` + ent + `{"department":"D","manager":{"value":"7","displayName":"Bo"}},` + custom + `,"plain":{"x":-1}}`},
		"attributes": {[]string{"USERname, emails", "nope"}, nil, `{"schemas":["s"],"userName":"ann",` + mails + `,` + always + `}`},
		"sub-attributes": {
			[]string{"name.familyname", "emails.value"},
			nil,
			`{"schemas":["s"],"name":{"familyName":"Lee"},"emails":[{"value":"a]}\""},{"value":"b"}],` + always + `}`,
		},
		"nothing left of it":   {[]string{"name.middleName", "emails.display"}, nil, `{"schemas":["s"],` + always + `}`},
		"on asking":            {[]string{"badgeOnAsking", "badgeNever", "cards.color"}, nil, `{"schemas":["s"],` + always + `,"badgeOnAsking":"R","cards":[{"id":"1","color":"4"}]}`},
		"never":                {[]string{"badgeNever", "cards.pin"}, nil, `{"schemas":["s"],` + always + `}`},
		"a schema":             {[]string{EnterpriseURN}, nil, `{"schemas":["s"],` + always + `,` + ent + `{"department":"D","manager":{"value":"7","displayName":"Bo"}}}`},
		"of a schema":          {[]string{strings.ToUpper(EnterpriseURN) + ":manager.displayName", "urn:example:1.0:Person:active"}, nil, `{"schemas":["s"],"active":true,` + always + `,` + ent + `{"manager":{"displayName":"Bo"}}}`},
		"the core schema":      {[]string{"urn:example:1.0:Person"}, nil, `{"schemas":["s"],"userName":"ann","name":{"familyName":"Lee","givenName":"Ann","odd":1},"active":true,` + mails + `,` + always + `,"cards":[{"id":"1","number":"2"}]}`},
		"an unknown schema":    {[]string{"urn:X:1.0:y"}, nil, `{"schemas":["s"],` + always + `,` + custom + `}`},
		"of an unknown schema": {[]string{"urn:x:1.0:Y:B"}, nil, `{"schemas":["s"],` + always + `,"urn:x:1.0:Y":{"b":[2]}}`},
		"excluded": {
			nil,
			[]string{"emails", "name.givenName", "schemas", "badgeAlways", "cards", EnterpriseURN + ":department", "urn:x:1.0:Y:a", "externalId"},
			`{"schemas":["s"],"userName":"ann","name":{"familyName":"Lee","odd":1},"active":true,` + always + `,` + ent + `{"manager":{"value":"7","displayName":"Bo"}},"urn:x:1.0:Y":{"b":[2]},"plain":{"x":-1}}`,
		},
		"excluded schemas": {nil, []string{EnterpriseURN, "urn:x:1.0:Y", "urn:example:1.0:Person"}, `{"schemas":["s"],"externalId":"e",` + always + `,"plain":{"x":-1}}`},
		"excluded always":  {nil, []string{"cards.id", "cards.number", "userName,name,active,emails,externalId", EnterpriseURN, "urn:x:1.0:Y"}, `{"schemas":["s"],` + always + `,"cards":[{"id":"1"}],"plain":{"x":-1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := NewProjection(projected(t), c.attributes, c.excluded)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(p.Project(nil, []byte(stored))); got != c.want {
				t.Errorf("Project =\n%s\nwant\n%s", got, c.want)
			}
		})
	}
	if _, err := NewProjection(User(), []string{"a"}, []string{"b"}); !errors.Is(err, ErrBothLists) {
		t.Errorf("both lists: %v", err)
	}
}

func TestProjectionOfWhatIsAdded(t *testing.T) {
	for name, c := range map[string]struct {
		attributes, excluded []string
		want                 string
	}{
		"default":       {nil, nil, `{"id":"7","meta":{"version":"1","location":"l"},"groups":[{"value":"g","display":"G"}]}`},
		"attributes":    {[]string{"userName"}, nil, `{"id":"7"}`},
		"part of meta":  {[]string{"meta.version", "groups.display"}, nil, `{"id":"7","meta":{"version":"1"},"groups":[{"display":"G"}]}`},
		"excluded":      {nil, []string{"groups", "id", "meta.location"}, `{"id":"7","meta":{"version":"1"}}`},
		"not meta":      {[]string{userURNOf("groups")}, nil, `{"id":"7","groups":[{"value":"g","display":"G"}]}`},
		"nothing of it": {[]string{"groups.type"}, nil, `{"id":"7"}`},
	} {
		p, err := NewProjection(User(), c.attributes, c.excluded)
		if err != nil {
			t.Fatal(err)
		}
		got := []byte("{")
		for _, m := range [][2]string{{"id", `"7"`}, {"meta", `{"version":"1","location":"l"}`}, {"groups", `[{"value":"g","display":"G"}]`}} {
			got = p.AppendMember(got, m[0], []byte(m[1]))
			if strings.Contains(c.want, m[0]) && !p.Wants(m[0]) {
				t.Errorf("%s: %s is not wanted", name, m[0])
			}
		}
		if got = append(got, '}'); string(got) != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if p, err := NewProjection(Group(), nil, []string{"members"}); err != nil || p.Wants("members") || !p.Wants("displayName") {
		t.Errorf("members are excluded, and wanted: %v", err)
	}
}

func userURNOf(name string) string { return UserURN + ":" + name }

// What is left of a resource is JSON, is a part of it, and nothing if nobody asks is
// left out. Members find what Decode does.
func TestProjectAndRawOnAnything(t *testing.T) {
	typ := User()
	names := rapid.SliceOfN(rapid.SampledFrom([]string{"userName", "name", "name.givenName", "emails", "emails.type", "roles.primary", EnterpriseURN, EnterpriseURN + ":manager", EnterpriseURN + ":manager.value", "urn:custom:x", "urn:custom:x:a", "x", "meta", "active", "groups"}), 1, 4)
	rapid.Check(t, func(t *rapid.T) {
		o := resource(typ).Draw(t, "resource")
		raw := Encode(nil, typ, o)
		whole, err := NewProjection(typ, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := whole.Project(nil, raw); string(got) != string(raw) {
			t.Fatalf("all of %s is %s", raw, got)
		}
		list := names.Draw(t, "names")
		only, _ := NewProjection(typ, list, nil)
		without, _ := NewProjection(typ, nil, list)
		in, out := only.Project(nil, raw), without.Project(nil, raw)
		for _, part := range [][]byte{in, out} {
			if !jsontext.Value(part).IsValid() {
				t.Fatalf("%s of %s", part, raw)
			}
		}
		if len(in)+len(out) < len(raw) {
			t.Fatalf("with and without %q there is not all of\n%s:\n%s\n%s", list, raw, in, out)
		}
		decoded, err := Decode(raw, typ)
		if err != nil {
			t.Fatal(err)
		}
		r, seen := Raw{typ, raw}, 0
		if d := cmp.Diff(decoded, r.Object()); d != "" {
			t.Fatalf("(-decoded +object):\n%s", d)
		}
		for name := range Members(raw) {
			if name == "schemas" {
				continue
			}
			seen++
			if d := cmp.Diff(decoded[name], r.Value(name)); d != "" {
				t.Fatalf("%s (-decoded +value):\n%s", name, d)
			}
		}
		if seen != len(decoded) {
			t.Fatalf("%d members, %d decoded", seen, len(decoded))
		}
		if r.Value("nope") != nil || r.Value(strings.ToUpper(EnterpriseURN)) == nil != (decoded[EnterpriseURN] == nil) {
			t.Fatal("Value finds what is not there, or does not find what is")
		}
	})
}

// Whatever bytes are there, nothing runs beyond them.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(stored))
	f.Add([]byte(`{"a`))
	f.Add([]byte(`{"a":`))
	f.Add([]byte(`{"a":"\`))
	f.Add([]byte(`{"a":[{"b":`))
	p, err := NewProjection(User(), []string{"name.givenName", "emails.value", "urn:x:y:z"}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for name, value := range Members(raw) {
			if len(value) > len(raw) {
				t.Fatalf("%s: %s", name, value)
			}
		}
		p.Project(nil, raw)
		Raw{User(), raw}.Value("emails")
	})
}

// Whatever is asked for, the answer is JSON with schemas, without what is never
// returned, and with what always is.
func FuzzProjection(f *testing.F) {
	for _, names := range []string{"userName", "name.familyName,emails", EnterpriseURN + ":manager.value", "urn:x:1.0:Y:b", ":", "a.b.c", "cards.pin,badgeNever", "urn:example:1.0:Person"} {
		f.Add(names, false)
		f.Add(names, true)
	}
	typ := projected(f)
	f.Fuzz(func(t *testing.T, names string, without bool) {
		lists := [2][]string{{names}, nil}
		if without {
			lists = [2][]string{nil, {names}}
		}
		p, err := NewProjection(typ, lists[0], lists[1])
		if err != nil {
			t.Fatal(err)
		}
		got := string(p.Project(nil, []byte(stored)))
		if !jsontext.Value(got).IsValid() || !strings.HasPrefix(got, `{"schemas":["s"]`) || !strings.Contains(got, "badgeAlways") ||
			strings.Contains(got, "badgeNever") || strings.Contains(got, "pin") {
			t.Fatalf("%q leaves %s", names, got)
		}
	})
}

func BenchmarkProject(b *testing.B) {
	for name, lists := range map[string][2][]string{
		"all":        {nil, nil},
		"attributes": {{"userName", "emails.value"}, nil},
		"excluded":   {nil, {"groups", "phoneNumbers"}},
	} {
		b.Run(name, func(b *testing.B) {
			p, err := NewProjection(User(), lists[0], lists[1])
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(sample)))
			var buf []byte
			raw := []byte(sample)
			for b.Loop() {
				buf = p.Project(buf[:0], raw)
			}
		})
	}
}

func BenchmarkRawValue(b *testing.B) {
	r := Raw{User(), []byte(sample)}
	for _, name := range []string{"userName", "emails"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Value(name)
			}
		})
	}
}
