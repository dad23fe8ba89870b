package scim

import (
	"strings"
	"testing"
)

// bulk sends operations.
func (w *world) bulk(ops string, more ...string) *answer {
	w.t.Helper()
	return w.call("POST", "/Bulk", `{"schemas":["`+bulkRequestURN+`"],`+strings.Join(append(more, ""), ",")+`"Operations":[`+ops+`]}`)
}

func TestRFC7644_3_7_Bulk(t *testing.T) {
	check(t, []clause{
		{"3.7", "each operation has its answer", "", func(w *world) {
			ben, cleo, dan := w.user("ben", ""), w.user("cleo", ""), w.user("dan", "")
			a := w.bulk(`{"method":"POST","path":"/Users","bulkId":"q","data":`+userBody("ann", "")+`},
				{"method":"PUT","path":"`+ben+`","data":`+userBody("ben", `"title":"x"`)+`},
				{"method":"PATCH","path":"`+cleo+`","data":{"schemas":["`+patchURN+`"],"Operations":[{"op":"add","path":"title","value":"y"}]}},
				{"method":"DELETE","path":"`+dan+`"}`).want(200).is("schemas/0", bulkResponseURN).size("Operations", 4)
			for i, want := range []string{"201", "200", "200", "204"} {
				a.is("Operations/"+itoa(i)+"/status", want).has("Operations/" + itoa(i) + "/location").lacks("Operations/" + itoa(i) + "/response")
			}
			a.is("Operations/0/bulkId", "q").is("Operations/0/method", "POST").is("Operations/1/location", w.url+Prefix+"okta"+ben).has("Operations/1/version")
			w.call("GET", ben, "").is("title", "x").is("meta/version", at(a.json, "Operations/1/version"))
			w.call("GET", cleo, "").is("title", "y")
			w.call("GET", dan, "").refuses(404, "")
			made, _ := at(a.json, "Operations/0/location").(string)
			w.call("GET", strings.TrimPrefix(made, w.url+Prefix+"okta"), "").want(200).is("userName", "ann")
		}},
		{"3.7", "an operation that fails tells why, and the rest goes on", "", func(w *world) {
			w.user("ann", "")
			a := w.bulk(`{"method":"POST","path":"/Users","bulkId":"1","data":`+userBody("ann", "")+`},
				{"method":"DELETE","path":"/Users/none"},{"method":"POST","path":"/Users","bulkId":"2","data":`+userBody("ben", "")+`}`).want(200).size("Operations", 3)
			a.is("Operations/0/status", "409").is("Operations/0/response/scimType", "uniqueness").is("Operations/0/response/status", "409").is("Operations/0/bulkId", "1").lacks("Operations/0/location")
			a.is("Operations/1/status", "404").is("Operations/1/response/schemas/0", errorURN).is("Operations/2/status", "201")
		}},
		{"3.7", "version is held to", "", func(w *world) {
			u := w.user("ann", "")
			tag := at(w.call("GET", u, "").json, "meta/version").(string)
			put := func(version string) *answer {
				return w.bulk(`{"method":"PUT","path":"` + u + `","version":` + quoted(version) + `,"data":` + userBody("ann", `"title":"t"`) + `}`).want(200)
			}
			put(`W/"other"`).is("Operations/0/status", "412")
			put(tag).is("Operations/0/status", "200")
			put(tag).is("Operations/0/status", "412")
		}},
		{"3.7", "methods and paths are those of resources", "", func(w *world) {
			a := w.bulk(`{"method":"GET","path":"/Users"},{"method":"POST","path":"/Nothing","bulkId":"1","data":{}},{"method":"POST","path":"/Users","data":`+userBody("x", "")+`},
				{"method":"PUT","path":"/Users","data":`+userBody("x", "")+`},{"method":"POST","path":"/Bulk","bulkId":"2","data":{}},{"method":"PATCH","path":"/Users/none"},
				{"method":"POST","path":"/Users/.search","bulkId":"3","data":{}},{"path":"/Users"},{"method":"DELETE"}`).want(200).size("Operations", 9)
			for i := range 9 {
				if s, _ := at(a.json, "Operations/"+itoa(i)+"/status").(string); !strings.HasPrefix(s, "4") {
					w.t.Errorf("operation %d: %s", i, a.body)
				}
			}
			w.call("GET", "/Users", "").is("totalResults", 0.0)
		}},
		{"3.7", "all but a POST that fails has a location", "", func(w *world) {
			u := w.user("ann", "")
			w.bulk(`{"method":"DELETE","path":"/Users/none"},{"method":"PUT","path":"`+u+`","version":"W/\"other\"","data":`+userBody("ann", "")+`},{"method":"POST","path":"/Users","bulkId":"b","data":`+userBody("ann", "")+`}`).want(200).
				is("Operations/0/status", "404").is("Operations/0/location", w.url+Prefix+"okta/Users/none").
				is("Operations/1/status", "412").is("Operations/1/location", w.url+Prefix+"okta"+u).
				is("Operations/2/status", "409").lacks("Operations/2/location")
		}},
		{"3.7", "a body that is none is invalidSyntax", "", func(w *world) {
			w.call("POST", "/Bulk", `{"Operations":[]}`).refuses(400, "invalidSyntax")
			w.call("POST", "/Bulk", `{"schemas":["`+bulkRequestURN+`"],"Operations":{}}`).refuses(400, "invalidSyntax")
			w.bulk("null").refuses(400, "invalidSyntax")
			w.call("POST", "/Bulk", `{`).refuses(400, "invalidSyntax")
			w.bulk("").want(200).size("Operations", 0)
		}},
		{"3.7", "methods are found in any case", "", func(w *world) {
			w.bulk(`{"method":"post","path":"/users/","bulkId":"1","data":`+userBody("ann", "")+`}`).want(200).is("Operations/0/status", "201")
		}},
		{"3.7", "failOnErrors stops", "", func(w *world) {
			w.user("ann", "")
			bad := `{"method":"POST","path":"/Users","bulkId":"B","data":` + userBody("ann", "") + `}`
			ops := strings.Replace(bad, "B", "1", 1) + "," + strings.Replace(bad, "B", "2", 1) + `,{"method":"POST","path":"/Users","bulkId":"3","data":` + userBody("ben", "") + `}`
			w.bulk(ops, `"failOnErrors":2`).want(200).size("Operations", 2)
			w.bulk(ops, `"failOnErrors":1`).want(200).size("Operations", 1)
			w.find("/Users", `userName eq "ben"`).is("totalResults", 0.0)
			w.bulk(ops, `"failOnErrors":3`).want(200).size("Operations", 3)
		}},
		{"3.7.1", "a circle is 409 for each in it, and the rest goes on", "", func(w *world) {
			group := func(id, of string) string {
				return `{"method":"POST","path":"/Groups","bulkId":"` + id + `","data":` + groupBody("G"+id, "bulkId:"+of) + `}`
			}
			a := w.bulk(group("a", "b")+","+group("b", "a")+`,{"method":"POST","path":"/Users","bulkId":"c","data":`+userBody("ann", "")+`},`+group("d", "d")).want(200).size("Operations", 4)
			for i, want := range []string{"409", "409", "201", "409"} {
				a.is("Operations/"+itoa(i)+"/status", want)
			}
		}},
		{"3.7.2", "bulkId stands for what is created, before or after", "", func(w *world) {
			a := w.bulk(`{"method":"POST","path":"/Groups","bulkId":"g","data":`+groupBody("G", "bulkId:u")+`},{"method":"POST","path":"/Users","bulkId":"u","data":`+userBody("ann", "")+`},
				{"method":"PATCH","path":"/Users/bulkId:u","data":{"schemas":["`+patchURN+`"],"Operations":[{"op":"add","path":"title","value":"T"}]}},
				{"method":"POST","path":"/Users","bulkId":"e","data":{"schemas":["`+userURN+`","`+enterpriseURN+`"],"userName":"ben","`+enterpriseURN+`":{"manager":{"value":"bulkId:u"}}}}`).want(200).size("Operations", 4)
			for i, want := range []string{"201", "201", "200", "201"} {
				a.is("Operations/"+itoa(i)+"/status", want)
			}
			ann := w.find("/Users", `userName eq "ann"`).is("Resources/0/title", "T")
			id := at(ann.json, "Resources/0/id")
			w.call("GET", "/Groups", "").is("Resources/0/members/0/value", id)
			w.find("/Users", `userName eq "ben"`).is("Resources/0/"+enterpriseURN+"/manager/value", id)
		}},
		{"3.7.2", "a bulkId that nothing has is 409", "", func(w *world) {
			w.bulk(`{"method":"POST","path":"/Groups","bulkId":"g","data":`+groupBody("G", "bulkId:none")+`}`).want(200).is("Operations/0/status", "409")
		}},
		{"3.7.2", "a bulkId of what failed is 409", "", func(w *world) {
			w.user("ann", "")
			w.bulk(`{"method":"POST","path":"/Users","bulkId":"u","data":`+userBody("ann", "")+`},{"method":"POST","path":"/Groups","bulkId":"g","data":`+groupBody("G", "bulkId:u")+`}`).
				want(200).is("Operations/0/status", "409").is("Operations/1/status", "409")
		}},
		{"3.7.2", "two of the same bulkId are refused", "", func(w *world) {
			op := `{"method":"POST","path":"/Users","bulkId":"u","data":` + userBody("ann", "") + `}`
			w.bulk(op+","+op).refuses(400, "invalidValue")
		}},
		{"3.7.4", "limits are those that are told", "", func(w *world) {
			w.call("GET", "/ServiceProviderConfig", "").is("bulk/maxOperations", float64(maxOperations)).is("bulk/maxPayloadSize", float64(maxBulk)).is("bulk/supported", true)
			op := `{"method":"DELETE","path":"/Users/x"},`
			w.bulk(strings.TrimSuffix(strings.Repeat(op, maxOperations), ",")).want(200).size("Operations", maxOperations)
			w.bulk(strings.TrimSuffix(strings.Repeat(op, maxOperations+1), ",")).refuses(413, "")
		}},
	})
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }
