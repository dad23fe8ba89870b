package dialect

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/scim/schema"
)

const (
	ent     = schema.EnterpriseURN
	azureAD = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
)

// user is the body of a user with further members; the first thing in them is a comma.
func user(more string) string {
	return `{"schemas":["` + schema.UserURN + `"],"userName":"ann"` + more + `}`
}

// asJSON reads JSON.
func asJSON(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// isJSON compares a resource with JSON.
func isJSON(t *testing.T, got schema.Object, want string) {
	t.Helper()
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(asJSON(t, want), asJSON(t, string(text))); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// refused checks that an error tells the kind.
func refused(t *testing.T, err error, kind string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.SCIMType != kind || e.Status < 400 || e.Detail == "" {
		t.Errorf("got %v (%#v), want the scimType %q", err, err, kind)
	}
}

// noted checks that one of the notes has the text; "" when there is to be none.
func noted(t *testing.T, notes []Note, text string) {
	t.Helper()
	var all []string
	for _, n := range notes {
		all = append(all, n.String())
	}
	switch got := strings.Join(all, "\n"); {
	case text == "" && got != "":
		t.Errorf("noted %q, want nothing", got)
	case !strings.Contains(got, text):
		t.Errorf("noted %q, want %q", got, text)
	}
}

// sent is a body of a POST or a PUT and what it means.
type sent struct {
	shows, preset, body string
	want                string // the members beside userName, after a comma
	note                string
	kind                string // of the refusal
}

func checkSent(t *testing.T, rows []sent) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.shows, func(t *testing.T) {
			t.Parallel()
			p, notes, err := Resource([]byte(row.body), schema.User(), knobs(t, row.preset))
			if row.kind != "" {
				refused(t, err, row.kind)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			noted(t, notes, row.note)
			isJSON(t, p.Object, `{"userName":"ann"`+row.want+`}`)
		})
	}
}

func TestBodiesAreValidated(t *testing.T) {
	t.Parallel()
	checkSent(t, []sent{
		{"names in any case", "rfc", `{"SCHEMAS":["` + schema.UserURN + `"],"USERNAME":"ann","Name":{"GIVENNAME":"A"}}`, `,"name":{"givenName":"A"}`, "", ""},
		{"a name twice in other case", "rfc", user(`,"UserName":"b"`), "", "", "invalidSyntax"},
		{"a name twice", "rfc", user(`,"title":"b","title":"b"`), "", "", "invalidSyntax"},
		{"a name twice, deep within", "rfc", user(`,"emails":[{"value":"a","VALUE":"b"}]`), "", "", "invalidSyntax"},
		{"the core URN in any case", "strict", `{"schemas":["` + strings.ToUpper(schema.UserURN) + `"],"userName":"ann"}`, "", "", ""},
		{"an extension's URN in another case", "rfc", user(`,"` + strings.ToUpper(ent) + `":{"Department":"D"}`), `,"` + ent + `":{"department":"D"}`, "", ""},
		{"no schemas", "rfc", `{"userName":"ann"}`, "", "schemas: they were left out", ""},
		{"no schemas, strict", "strict", `{"userName":"ann"}`, "", "", "invalidSyntax"},
		{"an extension that schemas do not name", "rfc", user(`,"` + ent + `":{"department":"D"}`), `,"` + ent + `":{"department":"D"}`, "", ""},
		{"an extension that schemas do not name, strict", "strict", user(`,"` + ent + `":{"department":"D"}`), "", "", "invalidSyntax"},
		{"an extension that schemas name in another case, strict", "strict", `{"schemas":["` + schema.UserURN + `","` + strings.ToUpper(ent) + `"],"userName":"ann","` + ent + `":{"department":"D"}}`, `,"` + ent + `":{"department":"D"}`, "", ""},
		{"an unknown URN in schemas", "rfc", `{"schemas":["` + schema.UserURN + `","urn:x:y"],"userName":"ann"}`, "", "", ""},
		{"an unknown URN in schemas, strict", "strict", `{"schemas":["` + schema.UserURN + `","urn:x:y"],"userName":"ann"}`, "", "", "invalidSyntax"},
		{"a URN twice in schemas, strict", "strict", `{"schemas":["` + schema.UserURN + `","` + schema.UserURN + `"],"userName":"ann"}`, "", "", "invalidSyntax"},
		{"a blank user name", "rfc", `{"schemas":["` + schema.UserURN + `"],"userName":" \t"}`, "", "", "invalidValue"},
		{"unknown attributes are left out", "rfc", user(`,"color":"red","name":{"givenName":"A","color":"red"}`), `,"name":{"givenName":"A"}`, "name.color: no schema", ""},
		{"unknown attributes, strict", "strict", user(`,"color":"red"`), "", "", "invalidSyntax"},
		{"unknown sub-attributes, strict", "strict", user(`,"name":{"color":"red"}`), "", "", "invalidSyntax"},
		{"unknown attributes of an extension, strict", "strict", `{"schemas":["` + schema.UserURN + `","` + ent + `"],"userName":"ann","` + ent + `":{"color":"red"}}`, "", "no schema has the attribute", "invalidSyntax"},
		{"unknown attribute by the URN of a schema", "rfc", user(`,"` + ent + `:color":{"a":"red"}`), "", "no schema has this attribute", ""},
		{"an unknown schema is kept", "rfc", user(`,"urn:x:1.0:Badge":{"a":1,"b":null}`), `,"urn:x:1.0:Badge":{"a":1}`, "kept as it is", ""},
		{"an attribute of an unknown schema is kept", "rfc", user(`,"urn:x:2.0:User:badge":"7"`), `,"urn:x:2.0:User":{"badge":"7"}`, "kept as it is", ""},
		{"an unknown schema, strict", "strict", user(`,"urn:x:1.0:Badge":{"a":1}`), "", "", "invalidSyntax"},
		{"core attributes within the core URN", "default", `{"schemas":["` + schema.UserURN + `"],"` + schema.UserURN + `":{"userName":"ann","title":"T"}}`, `,"title":"T"`, "within the URN", ""},
		{"an empty userName", "rfc", `{"schemas":["` + schema.UserURN + `"],"userName":""}`, "", "", "invalidValue"},
		{"an empty userName, strict", "strict", `{"schemas":["` + schema.UserURN + `"],"userName":""}`, "", "", "invalidValue"},
		{"something behind the object", "rfc", user("") + `{}`, "", "", "invalidSyntax"},
		{"cut off", "rfc", user("")[:40], "", "", "invalidSyntax"},
		{"a list", "rfc", `[]`, "", "", "invalidSyntax"},
		{"what is read-only", "strict", user(`,"id":"7","groups":[{"value":"g"}],"meta":{"resourceType":"User"}`), "", "", ""},
		{"two primary values", "rfc", user(`,"emails":[{"value":"a","primary":true},{"value":"b","primary":true}]`), `,"emails":[{"value":"a","primary":true},{"value":"b"}]`, "stays primary", ""},
		{"two primary values, strict", "strict", user(`,"emails":[{"value":"a","primary":true},{"value":"b","primary":true}]`), "", "", "invalidValue"},
		{
			"a value and type twice", "rfc", user(`,"emails":[{"value":"a","type":"work"},{"value":"a","type":"work","display":"A"},{"value":"a","type":"home"}]`),
			`,"emails":[{"value":"a","type":"work","display":"A"},{"value":"a","type":"home"}]`, "taken once", "",
		},
		{"an object for a list", "onelogin", user(`,"emails":{"value":"a"}`), `,"emails":[{"value":"a"}]`, "list of one", ""},
		{"an object for a list, strict", "strict", user(`,"emails":{"value":"a"}`), "", "", "invalidValue"},
		{"a boolean as a string", "entra", user(`,"active":"True"`), `,"active":true`, "taken for a boolean", ""},
		{"a boolean as a string, by the RFC", "rfc", user(`,"active":"True"`), "", "", "invalidValue"},
		{"a boolean as a number", "entra", user(`,"active":1`), "", "", "invalidValue"},
		{"a manager as a string", "entra", user(`,"` + ent + `":{"manager":"7"}`), `,"` + ent + `":{"manager":{"value":"7"}}`, "value of an object", ""},
		{"a manager as a string, by the RFC", "rfc", user(`,"` + ent + `":{"manager":"7"}`), "", "", "invalidValue"},
		{"a password is not kept", "rfc", user(`,"password":"1mz050nq"`), "", "it is not kept", ""},
		{"null and empty are no value", "rfc", user(`,"title":null,"nickName":"","emails":[],"name":{},"phoneNumbers":[null,{}],"roles":[{"value":""}]`), "", "", ""},
		{"null in strict", "strict", user(`,"title":null,"emails":[]`), "", "", ""},
		{"base64 without padding", "strict", user(`,"x509Certificates":[{"value":"-_8"}]`), `,"x509Certificates":[{"value":"+/8="}]`, "the alphabet and the padding", ""},
		{"base64 with another padding", "rfc", user(`,"x509Certificates":[{"value":"aGk=="}]`), "", "", "invalidValue"},
		{"base64 with a line end", "rfc", user(`,"x509Certificates":[{"value":"aG\nk="}]`), "", "", "invalidValue"},
		{"no base64", "rfc", user(`,"x509Certificates":[{"value":"&"}]`), "", "", "invalidValue"},
		{"a text as a number", "rfc", user(`,"title":7`), "", "", "invalidValue"},
		{"a list for one value", "rfc", user(`,"title":["a","b"]`), "", "", "invalidValue"},
	})
}

func TestWhatProvidersPost(t *testing.T) {
	t.Parallel()
	checkSent(t, []sent{
		{
			"entra", "entra", `{"schemas":["` + schema.UserURN + `","` + ent + `"],"externalId":"0a21f0f2","userName":"ann","active":true,"emails":[{"primary":true,"type":"work","value":"a@contoso.com"}],` +
				`"meta":{"resourceType":"User"},"name":{"formatted":"A B","familyName":"B","givenName":"A"},"roles":[]}`,
			`,"externalId":"0a21f0f2","active":true,"emails":[{"primary":true,"type":"work","value":"a@contoso.com"}],"name":{"formatted":"A B","familyName":"B","givenName":"A"}`, "", "",
		},
		{
			"entra, an extension that schemas do not name", "entra", user(`,"urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User":{"tag":"x"}`),
			`,"urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User":{"tag":"x"}`, "kept as it is", "",
		},
		{"entra, roles with display names", "entra", user(`,"roles":[{"primary":"True","value":"Admin","displayName":"Admin"}]`), `,"roles":[{"primary":true,"value":"Admin"}]`, "roles.displayName: no schema", ""},
		{"entra, the manager as a list", "entra", user(`,"` + ent + `":{"manager":[{"$ref":"../Users/7","value":"7"}]}`), `,"` + ent + `":{"manager":{"$ref":"../Users/7","value":"7"}}`, "only value of a list", ""},
		{
			"okta", "okta", user(`,"name":{"givenName":"A","familyName":"B"},"emails":[{"primary":true,"value":"a@b","type":"work"}],"displayName":"A B","locale":"en-US","externalId":"00u1","groups":[],"password":"1mz050nq","active":true`),
			`,"name":{"givenName":"A","familyName":"B"},"emails":[{"primary":true,"value":"a@b","type":"work"}],"displayName":"A B","locale":"en-US","externalId":"00u1","active":true`, "not kept", "",
		},
		{"okta, a PUT with what it read", "okta", user(`,"id":"23a","active":false,"groups":[{"value":"g","display":"G"}],"meta":{"resourceType":"User","version":"W/\"1\""}`), `,"active":false`, "", ""},
		{"onelogin", "onelogin", user(`,"emails":{"value":"a@b"},"title":null,"nickName":"","active":"true","` + ent + `":{"manager":"","department":null}`), `,"emails":[{"value":"a@b"}],"active":true`, "list of one", ""},
		{"ping, an extension of its own", "ping", user(`,"urn:pingidentity:schemas:User:1.0":{"a":"b"}`), `,"urn:pingidentity:schemas:User:1.0":{"a":"b"}`, "kept as it is", ""},
		{"keycloak, a DN as externalId", "keycloak", user(`,"externalId":"uid=test,ou=people,dc=example"`), `,"externalId":"uid=test,ou=people,dc=example"`, "", ""},
	})
}

func TestWhatProvidersPostOfGroups(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ shows, preset, body, want, members, note string }{
		{"entra", "entra", `{"schemas":["` + schema.GroupURN + `","` + azureAD + `"],"externalId":"8aa1","displayName":"G","meta":{"resourceType":"Group"}}`, `{"externalId":"8aa1","displayName":"G"}`, "", ""},
		{"okta", "okta", `{"schemas":["` + schema.GroupURN + `"],"displayName":"G","members":[]}`, `{"displayName":"G"}`, "", ""},
		{"jumpcloud", "jumpcloud", `{"schemas":["` + schema.GroupURN + `"],"displayName":"G","members":[{"value":"1"},{"value":"2"}]}`, `{"displayName":"G"}`, "1 2 ", ""},
		{"members as strings", "default", `{"schemas":["` + schema.GroupURN + `"],"displayName":"G","members":["1","2"]}`, `{"displayName":"G"}`, "1 2 ", "value of an object"},
		{"a member twice", "rfc", `{"schemas":["` + schema.GroupURN + `"],"displayName":"G","members":[{"value":"1","display":"a"},{"value":"1","display":"b"},{"value":"1","type":"User"}]}`, `{"displayName":"G"}`, "1 ", "taken once"},
	} {
		t.Run(tt.shows, func(t *testing.T) {
			t.Parallel()
			p, notes, err := Resource([]byte(tt.body), schema.Group(), knobs(t, tt.preset))
			if err != nil {
				t.Fatal(err)
			}
			noted(t, notes, tt.note)
			isJSON(t, p.Object, tt.want)
			if got := join(p.Members); got != tt.members {
				t.Errorf("members %q, want %q", got, tt.members)
			}
		})
	}
}
