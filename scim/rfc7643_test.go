package scim

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/store/mem"
)

func TestRFC7643_2_Attributes(t *testing.T) {
	check(t, []clause{
		{"2.1", "names are found in any case, and told in the schema's", "", func(w *world) {
			a := w.call("POST", "/Users", `{"SCHEMAS":["`+userURN+`"],"USERNAME":"ann","Name":{"GIVENNAME":"A"},"eMails":[{"VALUE":"a@x"}]}`).want(201)
			a.is("userName", "ann").is("name/givenName", "A").is("emails/0/value", "a@x")
		}},
		{"2.1", "a name that stands twice is invalidSyntax", "", func(w *world) {
			w.call("POST", "/Users", userBody("ann", `"title":"a","TITLE":"b"`)).refuses(400, "invalidSyntax")
			w.call("POST", "/Users", userBody("ann", `"name":{"givenName":"a","givenname":"b"}`)).refuses(400, "invalidSyntax")
		}},
		{"2.2", "what is read-only cannot be set", "", func(w *world) {
			u := w.user("ann", `"groups":[{"value":"x"}],"`+enterpriseURN+`":{"manager":{"value":"m","displayName":"made up"}}`)
			w.call("GET", u, "").lacks("groups", enterpriseURN+"/manager/displayName")
		}},
		{"2.2", "what is written only is never told", "", func(w *world) {
			u := w.user("ann", `"password":"hush"`)
			for _, a := range []*answer{
				w.call("GET", u, ""), w.call("GET", "/Users", ""), w.call("GET", u+"?attributes=password", ""), w.call("PUT", u, userBody("ann", `"password":"hush"`)),
				w.patch(u, `{"op":"replace","path":"password","value":"hush2"}`), w.call("POST", "/Users", userBody("ben", `"password":"hush"`)),
			} {
				if a.status >= 300 || strings.Contains(a.body, "hush") || strings.Contains(strings.ToLower(a.body), "password") {
					w.t.Errorf("%s tells a password: %s", a.to, a.body)
				}
			}
		}},
		{"2.3.1", "strings are not case-exact unless the schema says so", "", func(w *world) {
			w.user("ann", `"nickName":"Bo","externalId":"E","profileUrl":"https://x/A"`)
			w.find("/Users", `nickName eq "bo"`).is("totalResults", 1.0)
			w.find("/Users", `profileUrl eq "https://x/a"`).is("totalResults", 0.0)
			w.find("/Users", `externalId eq "e"`).is("totalResults", 0.0)
		}},
		{"2.3.2", "booleans are true and false", "", func(w *world) {
			w.call("GET", w.user("ann", `"active":false`), "").is("active", false)
			for _, v := range []string{`"true"`, `"False"`, "0", "1", `""`, "{}", "[true,false]"} {
				w.call("POST", "/Users", userBody("b", `"active":`+v)).refuses(400, "invalidValue")
			}
		}},
		{"2.3.5", "times are those of XML Schema, in UTC", "", func(w *world) {
			a := w.call("GET", w.user("ann", ""), "")
			for _, name := range []string{"meta/created", "meta/lastModified"} {
				if s, _ := at(a.json, name).(string); !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`).MatchString(s) {
					w.t.Errorf("%s is %q", name, s)
				}
			}
		}},
		{"2.3.6", "binary values are base64", "", func(w *world) {
			w.call("GET", w.user("ann", `"x509Certificates":[{"value":"MIIDQzCCAqygAwIBAgICEAAwDQYJ"}]`), "").is("x509Certificates/0/value", "MIIDQzCCAqygAwIBAgICEAAwDQYJ")
			w.call("GET", w.user("ben", `"x509Certificates":[{"value":"aGk"}]`), "").is("x509Certificates/0/value", "aGk=")
			w.call("POST", "/Users", userBody("b", `"x509Certificates":[{"value":"no base64!"}]`)).refuses(400, "invalidValue")
		}},
		{"2.3.7", "references are kept as they are", "", func(w *world) {
			w.call("GET", w.user("ann", `"profileUrl":"https://login.example.com/Ann"`), "").is("profileUrl", "https://login.example.com/Ann")
		}},
		{"2.4", "one value is primary at most", "", func(w *world) {
			w.call("GET", w.user("ann", `"emails":[{"value":"a@x","primary":true},{"value":"b@x","primary":true}]`), "").is("emails/0/primary", true).lacks("emails/1/primary")
		}},
		{"2.4", "a second primary value is refused when strict", "strict", func(w *world) {
			w.call("POST", "/Users", userBody("ann", `"emails":[{"value":"a@x","primary":true},{"value":"b@x","primary":true}]`)).refuses(400, "invalidValue")
		}},
		{"2.4", "a value is not there twice", "", func(w *world) {
			w.call("GET", w.user("ann", `"emails":[{"value":"a@x","type":"work"},{"value":"a@x","type":"work"}]`), "").size("emails", 1)
		}},
		{"2.4", "one value may have several types", "", func(w *world) {
			w.call("GET", w.user("ann", `"emails":[{"value":"a@x","type":"work"},{"value":"a@x","type":"home"}]`), "").size("emails", 2)
		}},
		{"2.4", "values that are not canonical are kept", "", func(w *world) {
			w.call("GET", w.user("ann", `"emails":[{"value":"a@x","type":"odd"}],"ims":[{"value":"i","type":"other"}]`), "").is("emails/0/type", "odd").is("ims/0/type", "other")
		}},
		{"2.5", "null and an empty list are no value", "", func(w *world) {
			a := w.call("GET", w.user("ann", `"title":null,"emails":[],"name":null,"nickName":"n","roles":null`), "").lacks("title", "emails", "name", "roles")
			b := w.call("PUT", "/Users/"+a.id(), userBody("ann", `"nickName":null`)).want(200).lacks("nickName")
			if strings.Contains(a.body+b.body, "null") || strings.Contains(a.body+b.body, "[]") {
				w.t.Errorf("an unassigned value is told: %s %s", a.body, b.body)
			}
		}},
	})
}

func TestRFC7643_3_Resources(t *testing.T) {
	check(t, []clause{
		{"3", "schemas are those that have values", "", func(w *world) {
			w.call("POST", "/Users", `{"schemas":["`+userURN+`","`+enterpriseURN+`"],"userName":"ann"}`).want(201).size("schemas", 1).is("schemas/0", userURN)
			w.call("POST", "/Users", `{"schemas":["`+userURN+`"],"userName":"ben","`+enterpriseURN+`":{"department":"D"}}`).want(201).size("schemas", 2).is("schemas/1", enterpriseURN)
		}},
		{"3", "schemas must be said when strict", "strict", func(w *world) {
			w.call("POST", "/Users", `{"userName":"ann"}`).refuses(400, "invalidSyntax")
			w.call("POST", "/Users", `{"schemas":[],"userName":"ann"}`).refuses(400, "invalidSyntax")
			w.call("POST", "/Users", `{"schemas":["`+groupURN+`"],"userName":"ann"}`).refuses(400, "invalidSyntax")
			w.call("POST", "/Users", `{"schemas":"`+userURN+`","userName":"ann"}`).refuses(400, "invalidSyntax")
		}},
		{"3", "schemas are those of the type and of what is there when strict", "strict", func(w *world) {
			w.call("POST", "/Users", `{"schemas":["`+userURN+`"],"userName":"ann","`+enterpriseURN+`":{"department":"D"}}`).refuses(400, "invalidSyntax")
			w.call("POST", "/Users", `{"schemas":["`+userURN+`","`+groupURN+`"],"userName":"ann"}`).refuses(400, "invalidSyntax")
			w.call("POST", "/Users", `{"schemas":["`+userURN+`","`+userURN+`"],"userName":"ann"}`).refuses(400, "invalidSyntax")
			w.call("POST", "/Users", `{"schemas":["`+enterpriseURN+`","`+userURN+`"],"userName":"ann"}`).want(201)
		}},
		{"3", "URNs are found in any case", "strict", func(w *world) {
			w.call("POST", "/Users", `{"schemas":["`+strings.ToUpper(userURN)+`","`+strings.ToUpper(enterpriseURN)+`"],"userName":"ann","`+strings.ToLower(enterpriseURN)+`":{"department":"D"}}`).want(201).
				is("schemas/0", userURN).is(enterpriseURN+"/department", "D")
		}},
		{"3.1", "ids are the server's, unique and stable", "", func(w *world) {
			u, g := w.user("ann", `"id":"mine"`), w.group("G")
			if idOf(u) == "mine" || idOf(u) == idOf(g) || strings.HasPrefix(idOf(u), "bulkId") {
				w.t.Errorf("ids %s and %s", u, g)
			}
			w.call("PUT", u, userBody("ben", "")).is("id", idOf(u))
			w.patch(u, `{"op":"replace","value":{"userName":"cleo"}}`).is("id", idOf(u))
		}},
		{"3.1", "externalId is the client's, and each source has its own", "", func(w *world) {
			u := w.user("ann", `"externalId":"x"`)
			w.call("GET", u, "").is("externalId", "x")
			w.patch(u, `{"op":"remove","path":"externalId"}`).want(200).lacks("externalId")
		}},
		{"3.1", "meta is whole, and what a client says of it is ignored", "", func(w *world) {
			a := w.call("POST", "/Groups", `{"schemas":["`+groupURN+`"],"displayName":"G","meta":{"resourceType":"X","version":"v","location":"l"}}`).want(201)
			a.is("meta/resourceType", "Group").has("meta/created", "meta/lastModified").is("meta/location", a.header.Get("Location")).is("meta/version", a.header.Get("Etag"))
			if at(a.json, "meta/created") != at(a.json, "meta/lastModified") {
				w.t.Errorf("a new resource was modified: %s", a.body)
			}
		}},
		{"3.1", "meta.location is the header Content-Location", "", func(w *world) {
			u := w.user("ann", "")
			for _, path := range []string{u, "/ServiceProviderConfig", "/ResourceTypes/User", "/Schemas/" + userURN} {
				a := w.call("GET", path, "").want(200)
				a.is("meta/location", a.header.Get("Content-Location"))
			}
			a := w.call("POST", "/Groups", `{"schemas":["`+groupURN+`"],"displayName":"G"}`).want(201)
			a.is("meta/location", a.header.Get("Content-Location"))
		}},
		{"3.1", "lastModified moves with a change, and created stays", "", func(w *world) {
			u := w.user("ann", "")
			before := w.call("GET", u, "")
			after := w.patch(u, `{"op":"add","path":"title","value":"x"}`).is("meta/created", at(before.json, "meta/created"))
			if b, a := moment(before), moment(after); a.Before(b) {
				w.t.Errorf("lastModified went from %s to %s", b, a)
			}
		}},
		{"3.1", "lastModified of a group moves with its members alone", "", func(w *world) {
			g, u := w.group("G"), w.user("ann", "")
			for _, op := range []string{
				`{"op":"add","path":"members","value":[{"value":"` + idOf(u) + `"}]}`,
				`{"op":"remove","path":"members[value eq \"` + idOf(u) + `\"]"}`,
			} {
				before := w.call("GET", g, "")
				time.Sleep(2 * time.Millisecond) // the clock of a store counts milliseconds
				after := w.patch(g, op).want(200).is("meta/created", at(before.json, "meta/created"))
				if b, a := moment(before), moment(after); !a.After(b) {
					w.t.Errorf("lastModified went from %s to %s", b, a)
				}
				w.find("/Groups", `meta.lastModified gt "`+moment(before).Format(time.RFC3339Nano)+`"`).want(200).is("totalResults", 1.0)
			}
		}},
		{"3.3", "an extension that no schema is known for is kept", "", func(w *world) {
			u := w.user("ann", `"urn:example:ext:2.0:User":{"badge":7,"tags":["a","b"],"deep":{"x":true}}`)
			w.call("GET", u, "").is("urn:example:ext:2.0:User/badge", 7.0).is("urn:example:ext:2.0:User/tags/1", "b").is("urn:example:ext:2.0:User/deep/x", true).is("schemas/1", "urn:example:ext:2.0:User")
		}},
		{"3.3", "an unknown attribute is left out", "", func(w *world) {
			w.call("GET", w.user("ann", `"shoeSize":43,"name":{"givenName":"A","nick":"B"}`), "").lacks("shoeSize", "name/nick").is("name/givenName", "A")
		}},
		{"3.3", "an unknown attribute is refused when strict", "strict", func(w *world) {
			w.call("POST", "/Users", userBody("ann", `"shoeSize":43`)).refuses(400, "invalidSyntax")
			w.call("POST", "/Users", userBody("ann", `"urn:example:ext:2.0:User":{"a":1}`)).refuses(400, "invalidSyntax")
		}},
	})
}

func moment(a *answer) time.Time {
	text, _ := at(a.json, "meta/lastModified").(string)
	when, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		a.t.Error(err)
	}
	return when
}

func TestRFC7643_4_UsersAndGroups(t *testing.T) {
	check(t, []clause{
		{"4.1.1", "userName is required, and unique in any case", "", func(w *world) {
			w.call("POST", "/Users", `{"schemas":["`+userURN+`"],"displayName":"x"}`).refuses(400, "invalidValue")
			w.call("POST", "/Users", userBody("", "")).refuses(400, "invalidValue")
			w.user("Élan", "")
			w.call("POST", "/Users", userBody("ÉLAN", "")).refuses(409, "uniqueness")
			w.find("/Users", `userName eq "éLAN"`).is("totalResults", 1.0).is("Resources/0/userName", "Élan")
		}},
		{"4.1.1", "a userName is not blank", "", func(w *world) {
			w.call("POST", "/Users", userBody(" ", "")).refuses(400, "invalidValue")
			u := w.user("ann", "")
			w.call("PUT", u, userBody(" ", "")).refuses(400, "invalidValue")
			w.patch(u, `{"op":"replace","path":"userName","value":" "}`).refuses(400, "invalidValue")
		}},
		{"4.1.1", "who is not said to be inactive is active", "", func(w *world) {
			w.call("POST", "/Users", userBody("ann", "")).want(201).is("active", true)
			w.call("POST", "/Users", userBody("ben", `"active":null`)).want(201).is("active", true)
			w.find("/Users", `active eq true`).want(200).is("totalResults", 2.0)
			w.find("/Users", `not (active eq true)`).want(200).is("totalResults", 0.0)
		}},
		{"4.1.1", "every attribute of a user is kept", "", func(w *world) {
			a := w.call("POST", "/Users", fullUser).want(201)
			for path, want := range map[string]any{
				"externalId": "701984", "name/formatted": "Ms. Barbara J Jensen, III", "name/honorificPrefix": "Ms.", "name/honorificSuffix": "III", "name/middleName": "Jane", "displayName": "Babs Jensen",
				"nickName": "Babs", "profileUrl": "https://login.example.com/bjensen", "emails/1/value": "babs@jensen.org", "addresses/0/streetAddress": "100 Universal City Plaza", "addresses/0/formatted": "100 Universal City Plaza\nHollywood, CA 91608 USA",
				"addresses/0/primary": true, "phoneNumbers/1/type": "mobile", "ims/0/value": "someaimhandle", "photos/0/type": "photo", "userType": "Employee", "title": "Tour Guide", "preferredLanguage": "en-US", "locale": "en-US",
				"timezone": "America/Los_Angeles", "active": true, "entitlements/0/value": "e1", "roles/0/value": "r1", "x509Certificates/0/value": "MIIDQzCCAqygAwIBAgICEAAwDQYJ", enterpriseURN + "/employeeNumber": "701984",
				enterpriseURN + "/costCenter": "4130", enterpriseURN + "/organization": "Universal Studios", enterpriseURN + "/division": "Theme Park", enterpriseURN + "/department": "Tour Operations",
				enterpriseURN + "/manager/value": "26118915-6090-4610-87e4-49d8ca9f808d", enterpriseURN + "/manager/$ref": "../Users/26118915-6090-4610-87e4-49d8ca9f808d", "schemas/1": enterpriseURN,
			} {
				a.is(path, want)
			}
			a.lacks("password", "groups")
		}},
		{"4.1.2", "groups are told and cannot be set", "", func(w *world) {
			u := w.user("ann", "")
			g := w.group("G", u)
			w.call("GET", u, "").is("groups/0/value", idOf(g)).is("groups/0/display", "G").is("groups/0/type", "direct").is("groups/0/$ref", w.url+Prefix+"okta"+g)
			w.call("PUT", u, userBody("ann", `"groups":[]`)).want(200).is("groups/0/value", idOf(g))
			w.patch(u, `{"op":"remove","path":"groups"}`).refuses(400, "mutability")
		}},
		{"4.1.2", "roles and entitlements give nothing here", "", func(w *world) {
			id := userID(w.t, idOf(w.user("ann", `"roles":[{"value":"admin","primary":true}],"entitlements":[{"value":"all"}]`)))
			u, _, _ := w.db.View().Now().User(id)
			if got := len(w.db.View().Now().Book().Of(identity.UserMember(id))); got > 0 || u.Record.Attributes["roles"][0] != "admin" {
				w.t.Errorf("%d grants, attributes %v", got, u.Record.Attributes)
			}
		}},
		{"4.2", "displayName is required, and need not be unique", "", func(w *world) {
			w.call("POST", "/Groups", `{"schemas":["`+groupURN+`"]}`).refuses(400, "invalidValue")
			w.call("POST", "/Groups", groupBody("")).refuses(400, "invalidValue")
			w.group("G")
			w.group("G")
			w.find("/Groups", `displayName eq "g"`).is("totalResults", 2.0)
		}},
		{"4.2", "members are users and groups, with their type and address", "", func(w *world) {
			u, sub := w.user("ann", ""), w.group("Sub")
			g := w.group("G", u, sub)
			a := w.call("GET", g, "").size("members", 2)
			for _, m := range a.json["members"].([]any) {
				kind, path := "User", u
				if at(m, "value") == idOf(sub) {
					kind, path = "Group", sub
				}
				if at(m, "type") != kind || at(m, "$ref") != w.url+Prefix+"okta"+path || at(m, "value") != idOf(path) {
					w.t.Errorf("member %v", m)
				}
			}
		}},
		{"4.2", "the name of a member is told on request", "", func(w *world) {
			g := w.group("G", w.user("ann", ""))
			w.call("GET", g, "").lacks("members/0/display")
			w.call("GET", g+"?attributes=members", "").has("members/0/value").lacks("members/0/display")
			w.call("GET", g+"?attributes=members.display,members.value", "").is("members/0/display", "ann").has("members/0/value").lacks("members/0/type")
			w.call("GET", "/Groups?attributes=members.display", "").is("Resources/0/members/0/display", "ann")
		}},
		{"4.3", "a manager is known by his id", "", func(w *world) {
			m := w.user("boss", "")
			u := w.user("ann", `"`+enterpriseURN+`":{"manager":{"value":"`+idOf(m)+`"}}`)
			w.find("/Users", enterpriseURN+`:manager.value eq "`+idOf(m)+`"`).is("totalResults", 1.0).is("Resources/0/id", idOf(u))
		}},
	})
}

func TestRFC7643_5_ProviderConfig(t *testing.T) {
	a := newWorld(t, mem.New()).call("GET", "/ServiceProviderConfig", "").want(200)
	a.is("schemas/0", schema.ProviderConfigURN).is("patch/supported", true).is("bulk/supported", true).is("filter/supported", true).is("sort/supported", true).is("etag/supported", true).is("changePassword/supported", false)
	a.has("bulk/maxOperations", "bulk/maxPayloadSize", "filter/maxResults", "authenticationSchemes/0/name", "authenticationSchemes/0/description")
	a.is("authenticationSchemes/0/type", "oauthbearertoken").is("authenticationSchemes/0/primary", true)
}

func TestRFC7643_6_ResourceTypes(t *testing.T) {
	a := newWorld(t, mem.New()).call("GET", "/ResourceTypes", "").want(200).size("Resources", 2)
	for i, row := range [][3]string{{"User", "/Users", userURN}, {"Group", "/Groups", groupURN}} {
		at := "Resources/" + itoa(i) + "/"
		a.is(at+"id", row[0]).is(at+"name", row[0]).is(at+"endpoint", row[1]).is(at+"schema", row[2]).has(at + "description")
	}
}

func TestRFC7643_8_7_2_ServiceSchemas(t *testing.T) {
	w := newWorld(t, mem.New())
	for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes/User", "/Schemas/" + userURN} {
		shown := w.call("GET", path, "").want(200).json
		urn := at(shown, "schemas/0").(string)
		def := w.call("GET", "/Schemas/"+urn, "").want(200).is("id", urn).json
		describes(t, urn, def["attributes"], shown)
	}
}

// describes holds what is shown to its schema: all that is there is in it, and all that
// it requires is there.
func describes(t *testing.T, where string, attributes any, shown map[string]any) {
	t.Helper()
	known := map[string]any{"schemas": nil, "meta": nil}
	for _, a := range attributes.([]any) {
		name := at(a, "name").(string)
		known[name] = a
		v, ok := shown[name]
		if !ok && at(a, "required") == true {
			t.Errorf("%s lacks %s", where, name)
		}
		if at(a, "mutability") != "readOnly" {
			t.Errorf("%s.%s can be written", where, name)
		}
		values, several := v.([]any)
		if !several {
			values = []any{v}
		}
		if ok && several != (at(a, "multiValued") == true) {
			t.Errorf("%s.%s has %v", where, name, v)
		}
		for _, one := range values {
			if in, is := one.(map[string]any); is {
				describes(t, where+"."+name, at(a, "subAttributes"), in)
			}
		}
	}
	for name := range shown {
		if _, ok := known[name]; !ok {
			t.Errorf("%s.%s is in no schema", where, name)
		}
	}
}

func TestRFC7643_7_Schemas(t *testing.T) {
	a := newWorld(t, mem.New()).call("GET", "/Schemas", "").want(200).size("Resources", 3)
	characteristics := map[string][]any{
		"type":       {"string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"},
		"mutability": {"readOnly", "readWrite", "immutable", "writeOnly"},
		"returned":   {"always", "never", "default", "request"},
		"uniqueness": {"none", "server", "global"},
		"required":   {true, false}, "multiValued": {true, false},
	}
	var look func(path string, v any)
	look = func(path string, v any) {
		for name, allowed := range characteristics {
			got, found := at(v, name), false
			for _, x := range allowed {
				found = found || got == x
			}
			if !found {
				t.Errorf("%s: %s is %v", path, name, got)
			}
		}
		if kind := at(v, "type"); kind == "string" && at(v, "caseExact") == nil || kind == "reference" && at(v, "referenceTypes") == nil || kind == "complex" && at(v, "subAttributes") == nil {
			t.Errorf("%s of type %v lacks something: %v", path, kind, v)
		}
		subs, _ := at(v, "subAttributes").([]any)
		for _, s := range subs {
			if at(s, "type") == "complex" {
				t.Errorf("%s is complex within a complex attribute", path)
			}
			look(path+"."+at(s, "name").(string), s)
		}
	}
	for _, s := range a.json["Resources"].([]any) {
		for _, x := range at(s, "attributes").([]any) {
			look(at(s, "id").(string)+":"+at(x, "name").(string), x)
		}
	}
}

// fullUser is the user of RFC 7643, sections 8.2 and 8.3, in short.
const fullUser = `{"schemas":["` + userURN + `","` + enterpriseURN + `"],"id":"2819c223-7f76-453a-919d-413861904646","externalId":"701984","userName":"bjensen@example.com",
"name":{"formatted":"Ms. Barbara J Jensen, III","familyName":"Jensen","givenName":"Barbara","middleName":"Jane","honorificPrefix":"Ms.","honorificSuffix":"III"},
"displayName":"Babs Jensen","nickName":"Babs","profileUrl":"https://login.example.com/bjensen",
"emails":[{"value":"bjensen@example.com","type":"work","primary":true},{"value":"babs@jensen.org","type":"home"}],
"addresses":[{"type":"work","streetAddress":"100 Universal City Plaza","locality":"Hollywood","region":"CA","postalCode":"91608","country":"USA","formatted":"100 Universal City Plaza\nHollywood, CA 91608 USA","primary":true}],
"phoneNumbers":[{"value":"555-555-5555","type":"work"},{"value":"555-555-4444","type":"mobile"}],"ims":[{"value":"someaimhandle","type":"aim"}],
"photos":[{"value":"https://photos.example.com/profilephoto/72930000000Ccne/F","type":"photo"}],"userType":"Employee","title":"Tour Guide","preferredLanguage":"en-US","locale":"en-US","timezone":"America/Los_Angeles",
"active":true,"password":"t1meMa$heen","groups":[{"value":"e9e30dba-f08f-4109-8486-d5c6a331660a","display":"Tour Guides"}],"entitlements":[{"value":"e1"}],"roles":[{"value":"r1"}],
"x509Certificates":[{"value":"MIIDQzCCAqygAwIBAgICEAAwDQYJ"}],
"` + enterpriseURN + `":{"employeeNumber":"701984","costCenter":"4130","organization":"Universal Studios","division":"Theme Park","department":"Tour Operations","manager":{"value":"26118915-6090-4610-87e4-49d8ca9f808d","$ref":"../Users/26118915-6090-4610-87e4-49d8ca9f808d","displayName":"John Smith"}},
"meta":{"resourceType":"User","created":"2010-01-23T04:56:22Z","lastModified":"2011-05-13T04:42:34Z","version":"W/\"a330bc54f0671c9\"","location":"https://example.com/v2/Users/2819c223-7f76-453a-919d-413861904646"}}`
