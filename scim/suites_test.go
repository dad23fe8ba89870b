package scim

import (
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/store/mem"
)

// What follows are the requests of suites that others hold servers to, where they ask
// for something that the RFCs leave open.

const addresses = `"addresses":[{"country":"Bermuda","formatted":"9132 Way\nSouth","type":"work","primary":false},{"country":null,"formatted":"18522 Unions\nEast","type":"other","primary":false}]`

func TestMicrosoftCollection(t *testing.T) {
	w := newWorld(t, mem.New(), presetOf("okta", "entra"))
	w.call("GET", "/Users", "").want(200).is("totalResults", 0.0)
	w.call("GET", "/ResourceTypes", "").want(200).is("Resources/0/endpoint", "/Users")
	w.call("GET", "/serviceConfiguration", "").want(200).is("patch/supported", true)
	if a := w.call("GET", "/Schemas", "").want(200); !strings.Contains(a.body, "User Account") {
		t.Errorf("no User Account among the schemas")
	}
	ann := w.user("OMalley", `"active":true,"displayName":"BobIsAmazing","name":{"familyName":"Employee","givenName":"A"},"emails":[{"Primary":true,"type":"work","value":"testing@example.com"}],`+addresses)
	w.call("GET", ann, "").is("emails/0/primary", true).is("addresses/1/country", nil)
	emp := w.user("emp1", `"active":"True","name":{"familyName":"Employee"},"emails":[{"type":"home","value":"emp1@example.org"}],"meta":{"resourceType":"User"},"roles":[]`)
	w.call("GET", emp, "").is("active", true)
	w.call("POST", "/Users", `{"schemas":["`+enterpriseURN+`","`+userURN+`"],"userName":"ent","`+enterpriseURN+`":{"Department":"bob","Manager":{"Value":"SuzzyQ"}}}`).want(201).
		is(enterpriseURN+"/department", "bob").is(enterpriseURN+"/manager/value", "SuzzyQ")
	w.call("POST", "/Users", `{"schemas":["`+userURN+`"],"active":true}`).refuses(400, "invalidValue")
	w.call("POST", "/Users", `{"acve":tre}`).refuses(400, "invalidSyntax")
	w.call("POST", "/Users", userBody("emp1", "")).refuses(409, "uniqueness")

	w.find("/Users/", "DisplayName eq \"BobIsAmazing\"").want(200).is("totalResults", 1.0)
	w.find("/Users", "userName sw O").want(200).is("totalResults", 1.0)
	w.find("/Users", " userName  eq 'emp1' ").want(200).is("totalResults", 1.0)
	w.find("/Users", "name.FamilyName eq Employee and (emails.Value co example.com or emails.Value co example.org)").want(200).is("totalResults", 2.0)
	w.find("/Users", "meta.Created gt 2015-10-10T14:38:21.8617979-07:00").want(200).is("totalResults", 3.0)
	w.call("GET", "/Users?attributes=userName,emails", "").want(200).is("totalResults", 3.0)
	w.call("GET", "/Users?attributes=emails%5Btype+eq+%22work%22%5D", "").want(200).is("Resources/0/emails/0/value", "testing@example.com").lacks("Resources/0/userName")
	w.call("GET", "/Users?attributes=emails%5Btype+eq+%22work%22%5D.value", "").want(200).is("Resources/0/emails/0/value", "testing@example.com").lacks("Resources/0/emails/0/type")
	w.call("GET", "/Users?startIndex=1&count=2", "").want(200).is("itemsPerPage", 2.0).is("totalResults", 3.0)

	w.call("PUT", ann, `{"schemas":["`+userURN+`"],"id":"`+idOf(ann)+`","userame":"OMalley","active":false}`).refuses(400, "invalidValue")
	w.call("PUT", ann, userBody("OMalley", `"active":false,"adreses":[{"country":"Germany"}]`)).want(200).lacks("addresses", "adreses")
	w.patch(ann, `{"op":"Replace","path":"userName","value":"newusername"}`).want(204)
	w.patch(ann, `{"op":"Replace","path":"active","value":true}`).want(204)
	w.call("GET", ann, "").is("userName", "newusername").is("active", true)

	g := w.group("Group 1")
	w.patch(g, `{"name":"addMember","op":"add","path":"members","value":[{"displayName":"new User","value":"`+idOf(ann)+`"}]}`).want(204)
	w.patch(g, `{"op":"add","path":"members","value":"string id 1"}`).want(204)
	w.call("GET", g, "").want(200).size("members", 2)
	w.call("GET", g+"?excludedAttributes=members", "").want(200).lacks("members")
	w.patch(g, `{"op":"remove","path":"members[value eq \"`+idOf(ann)+`\"]"}`).want(204)
	w.call("GET", g, "").want(200).size("members", 1)
	w.call("PUT", g, `{"schemas":["`+groupURN+`"],"id":"`+idOf(g)+`","displayName":"putName","members":[{"value":"`+idOf(ann)+`","display":"VP"},{"value":"`+idOf(emp)+`"}]}`).want(200).size("members", 2)
	w.patch(g, `{"op":"remove","path":"members"}`).want(204)
	w.call("GET", g, "").want(200).lacks("members")
	w.call("DELETE", g, "").want(204)
}

// The validator of Entra ID changes a user by paths of every form.
func TestMicrosoftValidator(t *testing.T) {
	w := newWorld(t, mem.New(), presetOf("okta", "entra"))
	u := w.user("val", `"active":true,"emails":[{"type":"work","value":"a@x","primary":true}]`)
	w.patch(u, `{"op":"replace","path":"emails[type eq \"work\"].value","value":"b@x"},{"op":"replace","path":"emails[type eq \"work\"].primary","value":"True"},
		{"op":"add","path":"phoneNumbers[type eq \"mobile\"].value","value":"1"},{"op":"add","path":"addresses[type eq \"work\"].formatted","value":"F"},
		{"op":"add","path":"roles[primary eq \"True\"].value","value":"R"},{"op":"add","path":"roles[primary eq \"True\"].display","value":"D"},
		{"op":"replace","path":"name.formatted","value":"N"},{"op":"add","path":"`+enterpriseURN+`:manager","value":"m1"},
		{"op":"replace","value":{"displayName":"Disp","name.givenName":"G","`+enterpriseURN+`:employeeNumber":"7","`+enterpriseURN+`:department":"Dep"}}`).want(204)
	w.call("GET", u, "").is("emails/0/value", "b@x").is("emails/0/primary", true).is("phoneNumbers/0/type", "mobile").is("phoneNumbers/0/value", "1").is("addresses/0/formatted", "F").
		is("roles/0/primary", true).is("roles/0/value", "R").is("roles/0/display", "D").is("name/formatted", "N").is("name/givenName", "G").is("displayName", "Disp").
		is(enterpriseURN+"/manager/value", "m1").is(enterpriseURN+"/employeeNumber", "7").is(enterpriseURN+"/department", "Dep")
	w.patch(u, `{"op":"replace","path":"`+enterpriseURN+`:manager","value":""},{"op":"remove","path":"phoneNumbers[type eq \"mobile\"].value"},{"op":"remove","path":"name.givenName"}`).want(204)
	w.call("GET", u, "").lacks(enterpriseURN+"/manager", "phoneNumbers/0/value", "name/givenName").is(enterpriseURN+"/department", "Dep")
	w.patch(u, ``).want(204) // no operations at all
	w.find("/Users", `emails[type eq "work"].value eq "B@X"`).want(200).is("totalResults", 1.0)
	w.find("/Users", `externalId eq "nobody"`).want(200).is("totalResults", 0.0).size("Resources", 0)
	w.patch(u+"?attributes=userName", `{"op":"replace","path":"active","value":"False"}`).want(200).is("userName", "val").lacks("active")
	w.call("DELETE", u, "").want(204)
	w.call("DELETE", u, "").refuses(404, "")
}

// The SPEC test of Okta.
func TestOktaSpec(t *testing.T) {
	w := newWorld(t, mem.New(), presetOf("okta", "okta"))
	headers := []string{"Accept-Charset", "utf-8", "Content-Type", "application/scim+json; charset=utf-8", "Accept", "application/scim+json", "User-Agent", "OKTA SCIM Integration"}
	body := userBody("ann@example.org", `"name":{"familyName":"Lee","givenName":"Ann"},"emails":[{"primary":true,"value":"ann@example.org","type":"work"}],"displayName":"Ann Lee","active":true`)
	a := w.call("POST", "/Users", body, headers...).want(201).is("active", true).is("name/familyName", "Lee").is("name/givenName", "Ann").is("schemas/0", userURN).is("userName", "ann@example.org").has("id")
	w.call("POST", "/Users", body, headers...).refuses(409, "uniqueness")
	list := w.call("GET", "/Users?count=1&startIndex=1", "", headers...).want(200).is("schemas/0", listURN).is("itemsPerPage", 1.0).is("startIndex", 1.0).is("totalResults", 1.0)
	list.has("Resources/0/id", "Resources/0/name/familyName", "Resources/0/name/givenName", "Resources/0/userName", "Resources/0/active", "Resources/0/emails/0/value")
	w.call("GET", "/Users/"+a.id(), "", headers...).want(200).is("id", a.id()).is("emails/0/value", "ann@example.org")
	w.find("/Users", `userName eq "nobody@example.org"`).want(200).is("schemas/0", listURN).is("totalResults", 0.0)
	w.call("GET", "/Users/010101001010101011001010101011", "", headers...).refuses(404, "")
	w.find("/Users", `userName eq "ann@example.org"`).want(200).is("totalResults", 1.0).is("Resources/0/userName", "ann@example.org")
	w.call("GET", "/Groups", "", headers...).want(200).is("totalResults", 0.0)
	w.call("GET", "/Groups?startIndex=1&count=100", "", headers...).want(200).is("itemsPerPage", 0.0)
	w.call("POST", "/ServiceProviderConfig", "{}", headers...).refuses(405, "")
	w.call("GET", "/Users?startIndex=1&count=2", "", "Authorization", "Bearer wrong").refuses(401, "")
	for _, number := range []string{`"totalResults":1,`, `"itemsPerPage":1,`, `"startIndex":1,`} {
		if !strings.Contains(list.body, number) {
			t.Errorf("no %s in %s", number, list.body)
		}
	}
}

// What the testers of python-scim and scim.dev look at.
func TestDiscoverySuites(t *testing.T) {
	w := newWorld(t, mem.New())
	for _, path := range []string{"/ServiceProviderConfig", "/Schemas", "/ResourceTypes"} {
		if a := w.call("GET", path, "").want(200); strings.Contains(a.body, `""`) || strings.Contains(a.body, "null") || strings.Contains(a.body, "[]") {
			t.Errorf("GET %s has an empty value: %s", path, a.body)
		}
	}
	types := w.call("GET", "/ResourceTypes", "").size("Resources", 2)
	for i, name := range []string{"User", "Group"} {
		at := "Resources/" + itoa(i)
		types.is(at+"/id", name).is(at+"/name", name).is(at+"/schemas/0", "urn:ietf:params:scim:schemas:core:2.0:ResourceType").is(at+"/meta/resourceType", "ResourceType")
	}
	types.is("Resources/0/schemaExtensions/0/schema", enterpriseURN).is("Resources/0/schemaExtensions/0/required", false).is("Resources/0/schema", userURN)
	schemas := w.call("GET", "/Schemas", "").size("Resources", 3)
	for i := range 3 {
		at := "Resources/" + itoa(i)
		schemas.is(at+"/meta/resourceType", "Schema").is(at+"/schemas/0", "urn:ietf:params:scim:schemas:core:2.0:Schema").has(at+"/name", at+"/description", at+"/attributes/0/name")
	}
	if a := w.call("GET", "/Users/invalid", "").refuses(404, ""); !strings.Contains(a.body, `"status":"404"`) {
		t.Errorf("the status is no string: %s", a.body)
	}
}
