package dialect

import (
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// change is a PATCH of a user and what it makes of him.
type change struct {
	shows, preset string
	with          string // what he has beside userName, after a comma
	ops           string
	want          string // what he has then, after a comma
	kind          string // of the refusal
}

func checkChanges(t *testing.T, rows []change) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.shows, func(t *testing.T) {
			t.Parallel()
			k := knobs(t, row.preset)
			before, err := schema.Decode([]byte(user(row.with)), schema.User())
			if err != nil {
				t.Fatal(err)
			}
			p, _, err := ReadPatch([]byte(ops(row.ops)), schema.User(), k)
			if err != nil {
				refused(t, err, row.kind)
				return
			}
			after, err := Apply(before, p.Ops, schema.User(), k)
			if err != nil || row.kind != "" {
				refused(t, err, row.kind)
				return
			}
			isJSON(t, after, `{"userName":"ann"`+row.want+`}`)
		})
	}
}

const (
	mails  = `,"emails":[{"value":"w@x","type":"work","primary":true},{"value":"h@x","type":"home"}]`
	worker = `,"` + ent + `":{"department":"D","manager":{"value":"1"}}`
)

func TestPatchesAreValidated(t *testing.T) {
	t.Parallel()
	checkChanges(t, []change{
		{"op in capitals", "rfc", "", `{"OP":"Add","PATH":"title","VALUE":"T"}`, `,"title":"T"`, ""},
		{"without a path, dotted", "rfc", "", `{"op":"add","value":{"name.givenName":"A"}}`, `,"name":{"givenName":"A"}`, ""},
		{"without a path, by URN", "rfc", "", `{"op":"add","value":{"` + ent + `:department":"D"}}`, `,"` + ent + `":{"department":"D"}`, ""},
		{
			"without a path, with a filter", "rfc", mails, `{"op":"replace","value":{"emails[type eq \"work\"].value":"n@x"}}`,
			`,"emails":[{"value":"n@x","type":"work","primary":true},{"value":"h@x","type":"home"}]`, "",
		},
		{"without a path, a URN with an object", "rfc", "", `{"op":"add","value":{"` + ent + `":{"department":"D"}}}`, `,"` + ent + `":{"department":"D"}`, ""},
		{"without a path, schemas, meta and id", "authentik", "", `{"op":"replace","value":{"schemas":["x"],"id":"7","meta":{"version":"1"},"title":"T"}}`, `,"title":"T"`, ""},
		{"without a path, id, strict", "strict", "", `{"op":"replace","value":{"id":"7"}}`, "", "mutability"},
		{"without a path, unknown", "rfc", "", `{"op":"replace","value":{"color":"red","title":"T"}}`, `,"title":"T"`, ""},
		{"without a path, unknown, strict", "strict", "", `{"op":"replace","value":{"color":"red","title":"T"}}`, "", "invalidSyntax"},
		{"without a path, in their order", "rfc", "", `{"op":"replace","value":{"name.givenName":"A","name":{"givenName":"B"}}}`, `,"name":{"givenName":"B"}`, ""},
		{"a whole extension", "rfc", worker, `{"op":"replace","path":"` + ent + `","value":{"department":"E"}}`, `,"` + ent + `":{"department":"E","manager":{"value":"1"}}`, ""},
		{"a whole extension in another case", "rfc", worker, `{"op":"remove","path":"URN:ietf:params:scim:schemas:extension:ENTERPRISE:2.0:user"}`, "", ""},
		{"null for a whole extension", "rfc", worker, `{"op":"replace","path":"` + ent + `","value":null}`, "", ""},
		{"null", "rfc", `,"title":"T"`, `{"op":"replace","path":"title","value":null}`, "", ""},
		{"null, added", "rfc", `,"title":"T"`, `{"op":"add","path":"title","value":null}`, "", ""},
		{"null, added to a list", "rfc", mails, `{"op":"add","path":"emails","value":null}`, mails, ""},
		{"null, strict", "strict", `,"title":"T"`, `{"op":"replace","path":"title","value":null}`, "", "invalidValue"},
		{"an empty list", "strict", mails, `{"op":"replace","path":"emails","value":[]}`, "", ""},
		{"an empty list, added", "entra", mails, `{"op":"add","path":"emails","value":[]}`, mails, ""},
		{"a list of nothing, added", "entra", mails, `{"op":"add","path":"emails","value":[{"value":""}]}`, mails, ""},
		{"an empty list, removed", "entra", mails, `{"op":"remove","path":"emails","value":[]}`, mails, ""},
		{"no value", "rfc", "", `{"op":"add","path":"title"}`, "", "invalidValue"},
		{"a manager of nothing", "entra", worker, `{"op":"replace","path":"` + ent + `:manager","value":""}`, `,"` + ent + `":{"department":"D"}`, ""},
		{"a manager of nothing, by the RFC", "strict", worker, `{"op":"replace","path":"` + ent + `:manager","value":""}`, "", "invalidValue"},
		{"a boolean as a string, by the RFC", "rfc", "", `{"op":"replace","path":"active","value":"False"}`, "", "invalidValue"},
		{"values to be removed", "jumpcloud", mails, `{"op":"remove","path":"emails","value":[{"value":"w@x"}]}`, `,"emails":[{"value":"h@x","type":"home"}]`, ""},
		{"values to be removed, strict", "strict", mails, `{"op":"remove","path":"emails","value":[{"value":"w@x"}]}`, "", "invalidValue"},
		{"names to be removed", "default", `,"title":"T"`, `{"op":"remove","value":{"title":"T"}}`, "", ""},
		{"names to be removed, strict", "strict", `,"title":"T"`, `{"op":"remove","value":{"title":"T"}}`, "", "noTarget"},
		{"three terms and parentheses", "rfc", mails, `{"op":"remove","path":"emails[(type eq \"work\" or type eq \"x\") and primary eq true]"}`, `,"emails":[{"value":"h@x","type":"home"}]`, ""},
		{"groups", "rfc", "", `{"op":"replace","path":"groups","value":[]}`, "", "mutability"},
		{"id", "rfc", "", `{"op":"replace","path":"id","value":"7"}`, "", "mutability"},
		{"meta", "rfc", "", `{"op":"replace","path":"meta.created","value":"2011-05-13T04:42:34Z"}`, "", "mutability"},
		{"schemas, strict", "strict", "", `{"op":"replace","path":"schemas","value":[]}`, "", "mutability"},
		{"an attribute of an extension without its URN", "default", "", `{"op":"add","path":"department","value":"D"}`, `,"` + ent + `":{"department":"D"}`, ""},
		{"an attribute of an extension without its URN, strict", "strict", "", `{"op":"add","path":"department","value":"D"}`, "", "invalidPath"},
		{"the core URN in another case", "rfc", "", `{"op":"add","path":"URN:IETF:params:scim:schemas:core:2.0:User:title","value":"T"}`, `,"title":"T"`, ""},
		{"the core URN as a whole", "rfc", "", `{"op":"remove","path":"` + schema.UserURN + `"}`, "", "mutability"},
		{"a filter that finds nothing, added", "rfc", "", `{"op":"add","path":"emails[type eq \"work\"].value","value":"a"}`, `,"emails":[{"type":"work","value":"a"}]`, ""},
		{"a filter that finds nothing, replaced", "rfc", "", `{"op":"replace","path":"emails[type eq \"work\"].value","value":"a"}`, "", "noTarget"},
		{"a filter that finds nothing, created", "entra", "", `{"op":"replace","path":"emails[type eq \"work\"].value","value":"a"}`, `,"emails":[{"type":"work","value":"a"}]`, ""},
		{"a filter that would not find what it creates", "entra", "", `{"op":"replace","path":"emails[type eq \"work\"].type","value":"home"}`, "", "noTarget"},
		{"a filter that says too little to create", "entra", "", `{"op":"replace","path":"emails[type sw \"w\"].value","value":"a"}`, "", "noTarget"},
		{"a filter in single quotes", "default", mails, `{"op":"remove","path":"emails[type eq 'home']"}`, `,"emails":[{"value":"w@x","type":"work","primary":true}]`, ""},
		{"a filter in single quotes, by the RFC", "rfc", mails, `{"op":"remove","path":"emails[type eq 'home']"}`, "", "invalidPath"},
		{"a boolean of a filter as a string, by the RFC", "rfc", mails, `{"op":"remove","path":"emails[primary eq \"True\"]"}`, "", "invalidFilter"},
		{"a filter on one value", "rfc", "", `{"op":"replace","path":"name[givenName eq \"A\"].familyName","value":"a"}`, "", "invalidPath"},
		{"an unknown schema", "rfc", `,"urn:x:2.0:User":{"a":1}`, `{"op":"add","path":"urn:X:2.0:User:b","value":2}`, `,"urn:x:2.0:User":{"a":1,"b":2}`, ""},
		{"an unknown schema by an odd name", "rfc", "", `{"op":"add","value":{"urn:x:Badge":{"a":1}}}`, `,"urn:x:Badge":{"a":1}`, ""},
		{"an unknown schema by an odd name, removed", "rfc", `,"urn:x:Badge":{"a":1}`, `{"op":"remove","path":"urn:x:Badge"}`, "", ""},
		{"an unknown schema, its last attribute", "rfc", `,"urn:x:2.0:User":{"a":1}`, `{"op":"remove","path":"urn:x:2.0:User:a"}`, "", ""},
	})
}

func TestWhatProvidersPatch(t *testing.T) {
	t.Parallel()
	checkChanges(t, []change{
		{
			"entra, one operation for each", "entra", mails + worker,
			`{"op":"Replace","path":"emails[type eq \"work\"].value","value":"n@x"},{"op":"Replace","path":"` + ent + `:employeeNumber","value":"A"}`,
			`,"emails":[{"value":"n@x","type":"work","primary":true},{"value":"h@x","type":"home"}],"` + ent + `":{"department":"D","manager":{"value":"1"},"employeeNumber":"A"}`, "",
		},
		{
			"entra with the flag", "entra", `,"name":{"familyName":"F"}`, `{"op":"replace","value":{"displayName":"B","name.givenName":"K","` + ent + `:employeeNumber":"A"}}`,
			`,"displayName":"B","name":{"familyName":"F","givenName":"K"},"` + ent + `":{"employeeNumber":"A"}`, "",
		},
		{"entra, create on add", "entra", "", `{"op":"Add","path":"phoneNumbers[type eq \"mobile\"].value","value":"+1"}`, `,"phoneNumbers":[{"type":"mobile","value":"+1"}]`, ""},
		{"entra, disable", "entra", `,"active":true`, `{"op":"Replace","path":"active","value":"False"}`, `,"active":false`, ""},
		{"entra, disable with the flag", "entra", `,"active":true`, `{"op":"replace","path":"active","value":false}`, `,"active":false`, ""},
		{"entra, restore", "entra", `,"active":false`, `{"op":"replace","value":{"active":true}}`, `,"active":true`, ""},
		{"entra, manager", "entra", "", `{"op":"Add","path":"` + ent + `:manager","value":"2c2f6fb8"}`, `,"` + ent + `":{"manager":{"value":"2c2f6fb8"}}`, ""},
		{"entra, manager as a list", "entra", "", `{"op":"Add","path":"` + ent + `:manager","value":[{"$ref":"../Users/2","value":"2"}]}`, `,"` + ent + `":{"manager":{"$ref":"../Users/2","value":"2"}}`, ""},
		{"entra, no manager", "entra", `,"` + ent + `":{"manager":{"value":"1"}}`, `{"op":"Replace","path":"` + ent + `:manager","value":""}`, "", ""},
		{"entra, part of a name is null", "entra", `,"name":{"familyName":"F","givenName":"G"}`, `{"op":"replace","path":"name","value":{"familyName":null}}`, `,"name":{"givenName":"G"}`, ""},
		{"entra, part of a name is empty", "entra", `,"name":{"familyName":"F","givenName":"G"}`, `{"op":"replace","path":"name","value":{"familyName":""}}`, `,"name":{"givenName":"G"}`, ""},
		{"entra, a complex value merges", "entra", `,"name":{"familyName":"F","givenName":"G"}`, `{"op":"replace","path":"name","value":{"familyName":"H"}}`, `,"name":{"familyName":"H","givenName":"G"}`, ""},
		{"entra, roles by a string", "entra", "", `{"op":"Add","path":"roles[primary eq \"True\"].value","value":"Admin"}`, `,"roles":[{"primary":true,"value":"Admin"}]`, ""},
		{
			"entra, roles as JSON in a string", "entra", "", `{"op":"Add","path":"roles","value":[{"value":"{\"id\":\"7\",\"value\":\"Admin\",\"displayName\":\"Admin\"}"}]}`,
			`,"roles":[{"value":"Admin"}]`, "",
		},
		{"entra, a role as JSON in a string", "entra", "", `{"op":"Add","path":"roles","value":"{\"id\":\"7\",\"value\":\"Admin\",\"displayName\":\"Admin\"}"}`, `,"roles":[{"value":"Admin"}]`, ""},
		{"okta, deactivate", "okta", `,"active":true`, `{"op":"replace","value":{"active":false}}`, `,"active":false`, ""},
		{"okta, password", "okta", "", `{"op":"replace","value":{"password":"t1meMa$heen"}}`, "", ""},
		{"jumpcloud, one operation for each", "jumpcloud", "", `{"op":"replace","path":"emails[type eq \"work\"].value","value":"a"},{"op":"add","path":"title","value":""}`, `,"emails":[{"type":"work","value":"a"}]`, ""},
		{"onelogin, strings", "onelogin", `,"title":"T"`, `{"op":"replace","value":{"active":"false","title":"","` + ent + `":{"manager":"7"}}}`, `,"active":false,"` + ent + `":{"manager":{"value":"7"}}`, ""},
	})
}

func TestWhatProvidersPatchOfGroups(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ shows, preset, ops, want, members string }{
		{"entra, add", "entra", `{"op":"Add","path":"members","value":[{"$ref":null,"value":"1"},{"$ref":null,"value":"2"}]}`, "", "+1 2 "},
		{"entra, remove", "entra", `{"op":"Remove","path":"members","value":[{"$ref":null,"value":"1"}]}`, "", "-1 "},
		{"entra, remove with the flag", "entra", `{"op":"remove","path":"members[value eq \"1\"]"}`, "", "-1 "},
		{"entra, null", "entra", `{"op":"replace","path":"members","value":null}`, "", "="},
		{"okta, rename", "okta", `{"op":"replace","value":{"id":"abf4","displayName":"H"}}`, `,"displayName":"H"`, ""},
		{"okta, membership", "okta", `{"op":"remove","path":"members[value eq \"1\"]"},{"op":"add","path":"members","value":[{"value":"2","display":"b@x"}]}`, "", "+2 -1 "},
		{"okta, all", "okta", `{"op":"replace","path":"members","value":[{"value":"1","display":"a"}]}`, "", "=1 "},
		{"okta, nobody", "okta", `{"op":"replace","path":"members","value":[]}`, "", "="},
		{"jumpcloud, remove", "jumpcloud", `{"op":"remove","path":"members","value":[{"value":"1"},{"value":"2"}]}`, "", "-1 2 "},
		{"remove of an empty list", "jumpcloud", `{"op":"remove","path":"members","value":[]}`, "", ""},
		{"add of null", "entra", `{"op":"Add","path":"members","value":null}`, "", ""},
		{"authentik", "authentik", `{"op":"replace","value":{"schemas":["` + schema.GroupURN + `"],"id":"7","displayName":"H","externalId":"9"}}`, `,"displayName":"H","externalId":"9"`, ""},
		{"authentik, members one by one", "authentik", `{"op":"add","path":"members","value":[{"value":"1"}]},{"op":"remove","path":"members","value":[{"value":"2"}]}`, "", "+1 -2 "},
		{"keycloak, all", "keycloak", `{"op":"replace","path":"members","value":[{"value":"2"},{"value":"1"}]}`, "", "=2 1 "},
		{"ping, overwrite", "ping", `{"op":"replace","value":{"members":[{"value":"1"}]}}`, "", "=1 "},
		{"members as a string", "default", `{"op":"add","path":"members","value":"1"}`, "", "+1 "},
		{"members as strings", "default", `{"op":"add","path":"members","value":["1","2"]}`, "", "+1 2 "},
		{"two by one filter", "rfc", `{"op":"remove","path":"members[value eq \"1\" or value eq \"2\"]"}`, "", "-1 2 "},
		{"without a path", "default", `{"op":"remove","value":{"members":[{"value":"1"}]}}`, "", "-1 "},
	} {
		t.Run(tt.shows, func(t *testing.T) {
			t.Parallel()
			k := knobs(t, tt.preset)
			p, _, err := ReadPatch([]byte(ops(tt.ops)), schema.Group(), k)
			if err != nil {
				t.Fatal(err)
			}
			after, err := Apply(schema.Object{"displayName": "G"}, p.Ops, schema.Group(), k)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				tt.want = `,"displayName":"G"`
			}
			isJSON(t, after, `{`+tt.want[1:]+`}`)
			got := map[bool]string{true: "="}[p.Members.Replace]
			if len(p.Members.Add) > 0 {
				got += map[bool]string{false: "+"}[p.Members.Replace] + join(p.Members.Add)
			}
			if len(p.Members.Remove) > 0 {
				got += "-" + join(p.Members.Remove)
			}
			if got != tt.members {
				t.Errorf("members %q, want %q", got, tt.members)
			}
		})
	}
}

// TestNotesHoldNoValues reads what notes are made of, with a value in every place.
func TestNotesHoldNoValues(t *testing.T) {
	t.Parallel()
	const value = "zzz"
	_, notes, err := ReadPatch([]byte(ops(`{"op":"Replace","path":"emails[value eq \"zzz\"].display","value":""},{"op":"replace","value":{"active":"True","color":"zzz","emails[value eq \"zzz\"].color":"zzz"}},`+
		`{"op":"add","path":"colors[value eq \"zzz\"].name","value":"zzz"},{"op":"add","path":"roles","value":"{\"value\":\"zzz\"}"},{"op":"remove","path":"emails","value":["zzz"]},`+
		`{"op":"replace","value":{"password":"zzz","id":"zzz","urn:x:1.0:Badge":{"a":"zzz"},"emails[value eq \"zzz\"":"zzz"}}`)), schema.User(), lenient())
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) < 9 {
		t.Errorf("%d notes: %v", len(notes), notes)
	}
	for _, n := range notes {
		if strings.Contains(n.String(), value) {
			t.Errorf("the note %q holds a value", n)
		}
	}
}
