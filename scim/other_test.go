package scim

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rollcall-id/rollcall/store/mem"
)

const deviceSchema = `{"id":"urn:example:schemas:2.0:Device","name":"Device","description":"A device","attributes":[
	{"name":"serial","type":"string","multiValued":false,"required":true,"caseExact":true,"mutability":"immutable","returned":"default","uniqueness":"none"},
	{"name":"secret","type":"string","multiValued":false,"required":false,"mutability":"writeOnly","returned":"never","uniqueness":"none"},
	{"name":"weight","type":"decimal","multiValued":false,"required":false,"mutability":"readWrite","returned":"request","uniqueness":"none"},
	{"name":"ports","type":"integer","multiValued":true,"required":false,"mutability":"readWrite","returned":"default","uniqueness":"none"}]}`

const badgeSchema = `{"id":"urn:example:schemas:2.0:Badge","name":"Badge","attributes":[
	{"name":"number","type":"integer","multiValued":false,"required":false,"mutability":"readWrite","returned":"default","uniqueness":"none"},
	{"name":"since","type":"dateTime","multiValued":false,"required":false,"mutability":"readWrite","returned":"default","uniqueness":"none"}]}`

// withTypes is a source with a type of its own and an extension of users.
func withTypes(t *testing.T) Source {
	t.Helper()
	dir := t.TempDir()
	device, badge := filepath.Join(dir, "device.json"), filepath.Join(dir, "badge.json")
	for name, text := range map[string]string{device: deviceSchema, badge: badgeSchema} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := DefaultConfig()
	c.Schemas = []SchemaFile{{File: device}, {File: badge, Extends: "User"}}
	c.Types = []TypeConfig{{Name: "Device", Endpoint: "/Devices", Schema: "urn:example:schemas:2.0:Device"}}
	c.Attributes = map[string]string{"badge": "urn:example:schemas:2.0:Badge:number"}
	return Source{"okta", c}
}

func TestResourcesOfOwnTypes(t *testing.T) {
	s := mem.New()
	w := newWorld(t, s, withTypes(t))
	body := `{"schemas":["urn:example:schemas:2.0:Device"],"externalId":"d1","serial":"A1","secret":"hush","weight":1.5,"ports":[22,443]}`
	made := w.call("POST", "/Devices", body).want(201).is("serial", "A1").is("secret", nil).is("weight", nil).is("ports/1", 443.0).is("meta/resourceType", "Device")
	w.call("POST", "/Devices", body).want(409).is("scimType", "uniqueness")
	id := made.id()
	w.call("GET", "/Devices/"+id+"?attributes=weight", "").want(200).is("weight", 1.5).is("serial", nil)
	w.call("GET", "/devices?filter=ports%20eq%20443", "").want(200).is("totalResults", 1.0)
	w.call("GET", "/Devices?filter=ports%20eq%2080", "").want(200).is("totalResults", 0.0)
	w.call("PATCH", "/Devices/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"serial","value":"B"}]}`).want(400).is("scimType", "mutability")
	w.call("PATCH", "/Devices/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"ports","value":[80]}]}`).want(200).is("ports/2", 80.0)
	w.call("GET", "/Devices?filter=ports%20eq%2080", "").want(200).is("totalResults", 1.0)
	w.call("PUT", "/Devices/"+id, `{"schemas":["urn:example:schemas:2.0:Device"],"serial":"A1"}`, "If-Match", made.header.Get("Etag")).want(412)
	w.call("GET", "/ResourceTypes/device", "").want(200).is("endpoint", "/Devices")
	w.call("GET", "/Schemas/urn:example:schemas:2.0:Device", "").want(200).is("attributes/1/returned", "never")

	w.call("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann","urn:example:schemas:2.0:Badge":{"number":7,"since":"2020-01-01T00:00:00Z"}}`).want(201)
	u, _ := w.db.View().Now().UserNamed("okta", "ann")
	if user, _, _ := w.db.View().Now().User(u); user.Record.Attributes["badge"][0] != "7" {
		t.Errorf("attributes %v", user.Record.Attributes)
	}
	w.call("GET", "/Users?filter=urn:example:schemas:2.0:Badge:number%20gt%206", "").want(200).is("totalResults", 1.0)

	again := newWorld(t, s, withTypes(t))
	again.call("GET", "/Devices/"+id, "").want(200).is("serial", "A1")
	w.call("DELETE", "/Devices/"+id, "").want(204)
	w.call("GET", "/Devices/"+id, "").want(404)
	w.call("GET", "/Devices", "").want(200).is("totalResults", 0.0)
	w.call("POST", "/Devices", body).want(201)
}

func TestRFC7643_2_2_Uniqueness(t *testing.T) {
	dir := t.TempDir()
	device, badge := filepath.Join(dir, "device.json"), filepath.Join(dir, "badge.json")
	for name, text := range map[string]string{
		device: `{"id":"urn:example:schemas:2.0:Device","name":"Device","attributes":[{"name":"serial","uniqueness":"server"},{"name":"ports","type":"integer","multiValued":true,"uniqueness":"global"},{"name":"room"}]}`,
		badge:  `{"id":"urn:example:schemas:2.0:Badge","name":"Badge","attributes":[{"name":"number","caseExact":true,"uniqueness":"server"}]}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := DefaultConfig()
	c.Schemas = []SchemaFile{{File: device}, {File: badge, Extends: "User"}}
	c.Types = []TypeConfig{{Name: "Device", Endpoint: "/Devices", Schema: "urn:example:schemas:2.0:Device"}}
	w := newWorld(t, mem.New(), Source{"okta", c})
	made := func(more string) string {
		return "/Devices/" + w.call("POST", "/Devices", `{"schemas":["urn:example:schemas:2.0:Device"],`+more+`}`).want(201).id()
	}
	a := made(`"serial":"A","ports":[1,2],"room":"r"`)
	b := made(`"serial":"B","room":"r"`)
	w.call("POST", "/Devices", `{"schemas":["urn:example:schemas:2.0:Device"],"serial":"a"}`).refuses(409, "uniqueness")
	w.call("PUT", b, `{"schemas":["urn:example:schemas:2.0:Device"],"serial":"A"}`).refuses(409, "uniqueness")
	w.patch(b, `{"op":"add","path":"ports","value":[3,2]}`).refuses(409, "uniqueness")
	w.patch(a, `{"op":"replace","path":"serial","value":"a"},{"op":"add","path":"room","value":"s"}`).want(200)
	w.call("DELETE", a, "").want(204)
	w.patch(b, `{"op":"add","path":"ports","value":[3,2]},{"op":"replace","path":"serial","value":"A"}`).want(200)

	with := func(number string) string { return `"urn:example:schemas:2.0:Badge":{"number":"` + number + `"}` }
	ann := w.user("ann", with("x"))
	w.call("POST", "/Users", userBody("ben", with("x"))).refuses(409, "uniqueness")
	ben := w.user("ben", with("X"))
	w.patch(ben, `{"op":"replace","path":"urn:example:schemas:2.0:Badge:number","value":"x"}`).refuses(409, "uniqueness")
	w.call("PUT", ann, userBody("ann", with("x")+`,"title":"t"`)).want(200)
	w.call("DELETE", ann, "").want(204)
	w.patch(ben, `{"op":"replace","path":"urn:example:schemas:2.0:Badge:number","value":"x"}`).want(200)
}
