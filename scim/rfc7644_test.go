package scim

import (
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/store/mem"
)

func TestRFC7644_2_Authentication(t *testing.T) {
	check(t, []clause{
		{"2", "no token is 401 with a challenge", "", func(w *world) {
			a := w.call("GET", "/Users", "", "Authorization", "").refuses(401, "")
			if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
				a.t.Errorf("WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
			}
		}},
		{"2", "a wrong token is 401", "", func(w *world) {
			for _, value := range []string{"Bearer", "Bearer ", "Bearer x", "Basic eDp5", "Bearer " + w.tokens["okta"] + "x", w.tokens["okta"]} {
				w.call("GET", "/Users", "", "Authorization", value).refuses(401, "")
			}
		}},
		{"2", "the scheme is found in any case", "", func(w *world) {
			w.call("GET", "/Users", "", "Authorization", "bearer "+w.tokens["okta"]).want(200)
		}},
		{"2", "discovery asks for a token too", "", func(w *world) {
			w.call("GET", "/ServiceProviderConfig", "", "Authorization", "").refuses(401, "")
		}},
	})
}

func TestRFC7644_3_1_Background(t *testing.T) {
	check(t, []clause{
		{"3.1", "answers are application/scim+json", "", func(w *world) {
			u := w.user("ann", "")
			for _, path := range []string{"/Users", u, "/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/Users/none"} {
				if got := w.call("GET", path, "").header.Get("Content-Type"); got != "application/scim+json" {
					w.t.Errorf("GET %s: Content-Type %q", path, got)
				}
			}
		}},
		{"3.1", "bodies may be scim+json or json with a charset or without a type", "", func(w *world) {
			for i, kind := range []string{"application/scim+json", "application/json", "application/scim+json; charset=utf-8", "Application/JSON;charset=UTF-8", ""} {
				w.call("POST", "/Users", userBody("u"+itoa(i), ""), "Content-Type", kind).want(201)
			}
			w.call("POST", "/Users", userBody("x", ""), "Content-Type", "text/plain").refuses(415, "")
			w.call("POST", "/Users", userBody("x", ""), "Content-Type", "application/xml").refuses(415, "")
		}},
		{"3.1", "any Accept is answered in JSON", "", func(w *world) {
			for _, accept := range []string{"application/scim+json", "application/json", "*/*", "application/scim+json;q=0.9, text/html", "text/html"} {
				a := w.call("GET", "/Users", "", "Accept", accept, "Accept-Charset", "utf-8").want(200)
				if got := a.header.Get("Content-Type"); got != mediaType {
					w.t.Errorf("Accept %q is answered as %q", accept, got)
				}
			}
		}},
		{"3.1", "text is UTF-8", "", func(w *world) {
			w.call("GET", w.user("žofie", `"displayName":"Žofie 花子 😀"`), "").is("userName", "žofie").is("displayName", "Žofie 花子 😀")
			w.call("POST", "/Users", userBody("a\xffb", "")).refuses(400, "invalidSyntax")
		}},
	})
}

func TestRFC7644_3_2_Endpoints(t *testing.T) {
	check(t, []clause{
		{"3.2", "another method is 405 with Allow", "", func(w *world) {
			u, g := w.user("ann", ""), w.group("G")
			for _, row := range []struct{ method, path, allow string }{
				{"PUT", "/Users", "GET, HEAD, POST"},
				{"DELETE", "/Users", "GET, HEAD, POST"},
				{"PATCH", "/Groups", "GET, HEAD, POST"},
				{"POST", u, "DELETE, GET, HEAD, PATCH, PUT"},
				{"POST", g, "DELETE, GET, HEAD, PATCH, PUT"},
				{"GET", "/Users/.search", "POST"},
				{"GET", "/.search", "POST"},
				{"GET", "/Bulk", "POST"},
				{"PUT", "/Bulk", "POST"},
				{"POST", "/ServiceProviderConfig", "GET, HEAD"},
				{"PUT", "/ServiceProviderConfig", "GET, HEAD"},
				{"DELETE", "/Schemas", "GET, HEAD"},
				{"POST", "/Schemas/" + userURN, "GET, HEAD"},
				{"POST", "/ResourceTypes", "GET, HEAD"},
				{"PATCH", "/ResourceTypes/User", "GET, HEAD"},
				{"POST", "", "GET, HEAD"},
			} {
				a := w.call(row.method, row.path, "").refuses(405, "")
				if got := a.header.Get("Allow"); got != row.allow {
					w.t.Errorf("%s %s allows %q, want %q", row.method, row.path, got, row.allow)
				}
			}
		}},
		{"3.2", "an unknown path is 404", "", func(w *world) {
			for _, path := range []string{"/Nothing", "/Users/none", "/Users/a/b", "/Groups/none", "/Schemas/none", "/ResourceTypes/None", "/ServiceProviderConfig/x", "/Users/%2e%2e/Groups", "/Bulk/x", "/.search/x"} {
				w.call("GET", path, "").refuses(404, "")
			}
		}},
		{"3.2", "endpoints are found in any case and with a slash behind", "", func(w *world) {
			u := w.user("ann", "")
			for _, path := range []string{"/users", "/USERS/", "/Users/", "/users/" + idOf(u), u + "/", "/serviceproviderconfig", "/ServiceProviderConfig/", "/schemas/", "/resourcetypes", "/resourcetypes/user", "/Schemas/" + strings.ToUpper(userURN)} {
				w.call("GET", path, "").want(200)
			}
			w.call("POST", "/users/", userBody("ben", "")).want(201)
			w.call("POST", "/users/.SEARCH", `{"schemas":["`+searchURN+`"]}`).want(200)
		}},
		{"3.2", "HEAD answers as GET does, without the body", "", func(w *world) {
			u := w.user("ann", "")
			for _, path := range []string{u, "/Users", "/ServiceProviderConfig", "/Users/none"} {
				get, head := w.call("GET", path, ""), w.call("HEAD", path, "")
				if head.status != get.status || head.body != "" || head.header.Get("Etag") != get.header.Get("Etag") || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
					w.t.Errorf("HEAD %s: %d %v %q, GET: %d %v", path, head.status, head.header, head.body, get.status, get.header)
				}
			}
		}},
		{"3.2", "unknown parameters are ignored", "", func(w *world) {
			u := w.user("ann", "")
			for _, path := range []string{"/Users?aadOptscim062020", "/Users?aadOptscim062020&filter=userName%20eq%20%22ann%22", u + "?x=y", "/Schemas?x", "/ServiceProviderConfig?y=%20"} {
				w.call("GET", path, "").want(200)
			}
			w.call("POST", "/Users?aadOptscim062020", userBody("ben", "")).want(201)
		}},
		{"3.4.2", "parameters are found in any case", "", func(w *world) {
			w.user("ann", "")
			w.user("ben", "")
			w.call("GET", "/Users?Filter=userName+eq+%22ben%22", "").want(200).is("totalResults", 1.0).is("Resources/0/userName", "ben")
			w.call("GET", "/Users?startindex=2&COUNT=1&sortby=userName&Attributes=userName", "").want(200).is("startIndex", 2.0).is("itemsPerPage", 1.0).is("Resources/0/userName", "ben").lacks("Resources/0/active")
		}},
	})
}

func TestRFC7644_3_3_Creating(t *testing.T) {
	check(t, []clause{
		{"3.3", "201 with the resource, Location and ETag", "", func(w *world) {
			a := w.call("POST", "/Users", userBody("ann", "")).want(201).has("id", "meta/created", "meta/lastModified", "meta/version")
			a.is("meta/resourceType", "User").is("schemas/0", userURN)
			if at := a.header.Get("Location"); at != w.url+Prefix+"okta/Users/"+a.id() {
				w.t.Errorf("Location %q", at)
			}
			a.is("meta/location", a.header.Get("Location")).is("meta/version", a.header.Get("Etag"))
			w.call("GET", "/Users/"+a.id(), "").want(200).is("meta/location", a.header.Get("Location"))
		}},
		{"3.4.1", "every answer with a resource says where it is", "", func(w *world) {
			u := w.user("ann", "")
			for _, a := range []*answer{
				w.call("GET", u, ""), w.call("GET", u+"?attributes=title", ""), w.call("HEAD", u, ""),
				w.call("PUT", u, userBody("ann", `"title":"x"`)), w.patch(u, `{"op":"add","path":"title","value":"y"}`),
			} {
				if at := a.want(200).header.Get("Location"); at != w.url+Prefix+"okta"+u {
					w.t.Errorf("Location %q of %s", at, u)
				}
			}
		}},
		{"3.3", "what is read-only is ignored", "", func(w *world) {
			a := w.call("POST", "/Users", userBody("ann", `"id":"mine","meta":{"created":"1999-01-01T00:00:00Z","location":"x","version":"y"},"groups":[{"value":"g"}]`)).want(201).lacks("groups")
			if a.id() == "mine" || at(a.json, "meta/created") == "1999-01-01T00:00:00Z" || at(a.json, "meta/location") == "x" || at(a.json, "meta/version") == "y" {
				w.t.Errorf("taken from the client: %s", a.body)
			}
		}},
		{"3.3", "a duplicate is 409 uniqueness", "", func(w *world) {
			w.user("ann", `"externalId":"x1"`)
			w.call("POST", "/Users", userBody("ann", "")).refuses(409, "uniqueness")
			w.call("POST", "/Users", userBody("ANN", "")).refuses(409, "uniqueness")
			w.call("POST", "/Users", userBody("ben", `"externalId":"x1"`)).refuses(409, "uniqueness")
		}},
		{"3.3", "without what is required is 400", "", func(w *world) {
			w.call("POST", "/Users", `{"schemas":["`+userURN+`"]}`).refuses(400, "invalidValue")
			w.call("POST", "/Users", userBody("", "")).refuses(400, "invalidValue")
			w.call("POST", "/Groups", `{"schemas":["`+groupURN+`"]}`).refuses(400, "invalidValue")
		}},
		{"3.3", "what is not a JSON object is invalidSyntax", "", func(w *world) {
			for _, body := range []string{"", "{", "[]", "null", `"x"`, "{}x", `{"userName":"a",}`, `{"userName":"a","username":"b"}`, "<a/>"} {
				w.call("POST", "/Users", body, "Content-Type", mediaType).refuses(400, "invalidSyntax")
			}
		}},
		{"3.3", "values of the wrong type are invalidValue", "", func(w *world) {
			for _, more := range []string{`"active":"yes"`, `"active":1`, `"name":"Ann"`, `"displayName":5`, `"displayName":{"a":1}`, `"emails":[5]`, `"emails":[{"value":5}]`, `"x509Certificates":[{"value":"?"}]`} {
				w.call("POST", "/Users", userBody("ann", more)).refuses(400, "invalidValue")
			}
			w.call("POST", "/Users", `{"schemas":["`+userURN+`"],"userName":5}`).refuses(400, "invalidValue")
		}},
		{"3.3", "the response tells every value kept", "", func(w *world) {
			w.call("POST", "/Users", userBody("ann", `"name":{"givenName":"A"},"emails":[{"value":"a@x","type":"work","primary":true}],"active":true`)).want(201).
				is("name/givenName", "A").is("emails/0/value", "a@x").is("emails/0/primary", true).is("active", true)
		}},
		{"3.3.1", "the resource type is that of the endpoint", "", func(w *world) {
			w.call("POST", "/Groups", `{"schemas":["`+groupURN+`"],"displayName":"G","meta":{"resourceType":"User"}}`).want(201).is("meta/resourceType", "Group").is("schemas/0", groupURN)
		}},
	})
}

func TestRFC7644_3_4_1_Retrieving(t *testing.T) {
	check(t, []clause{
		{"3.4.1", "200 with ETag and location", "", func(w *world) {
			u := w.user("ann", "")
			a := w.call("GET", u, "").want(200).is("id", idOf(u)).is("userName", "ann")
			a.is("meta/version", a.header.Get("Etag")).is("meta/location", w.url+Prefix+"okta"+u)
		}},
		{"3.4.1", "an unknown id is 404 as an error", "", func(w *world) {
			a := w.call("GET", "/Users/00000000-0000-0000-0000-000000000000", "").refuses(404, "")
			if !strings.Contains(a.body, "00000000-0000") {
				w.t.Errorf("the detail does not say what: %s", a.body)
			}
			for _, id := range []string{"x", "%20", "%00", "a%2Fb", "50%25", strings.Repeat("x", 3000), "%E2%82%AC"} {
				w.call("GET", "/Users/"+id, "").refuses(404, "")
			}
		}},
		{"3.4.1", "an id belongs to its endpoint", "", func(w *world) {
			w.call("GET", "/Groups/"+idOf(w.user("ann", "")), "").refuses(404, "")
			w.call("GET", "/Users/"+idOf(w.group("G")), "").refuses(404, "")
		}},
	})
}

func TestRFC7644_3_4_2_Lists(t *testing.T) {
	check(t, []clause{
		{"3.4.2", "a list says its schema and its numbers", "", func(w *world) {
			w.user("ann", "")
			w.call("GET", "/Users", "").want(200).is("schemas/0", listURN).is("totalResults", 1.0).is("itemsPerPage", 1.0).is("startIndex", 1.0).is("Resources/0/userName", "ann")
		}},
		{"3.4.2", "nothing found is 200 with an empty list", "", func(w *world) {
			a := w.find("/Users", `userName eq "nobody"`).want(200).is("totalResults", 0.0).is("itemsPerPage", 0.0).size("Resources", 0)
			if !strings.Contains(a.body, `"Resources":[]`) {
				w.t.Errorf("no empty list: %s", a.body)
			}
		}},
		{"3.4.2", "each resource has its id, schemas and meta", "", func(w *world) {
			w.user("ann", "")
			w.group("G")
			w.call("GET", "/Groups", "").want(200).has("Resources/0/id", "Resources/0/schemas/0", "Resources/0/meta/location")
		}},
		{"3.4.2.1", "the root holds all resource types", "", func(w *world) {
			w.user("ann", "")
			w.group("G")
			w.call("GET", "", "").want(200).is("totalResults", 2.0)
			w.call("GET", "/?filter=displayName%20eq%20%22G%22", "").want(200).is("totalResults", 1.0).is("Resources/0/meta/resourceType", "Group")
			w.find("/", `meta.resourceType eq "User"`).want(200).is("totalResults", 1.0).is("Resources/0/userName", "ann")
			w.find("/", `userName eq "ann" or displayName eq "G"`).want(200)
		}},
	})
}

// people are what filters and orders are tried on.
func people(w *world) {
	w.user("ann", `"externalId":"Ex1","title":"Boss","active":true,"name":{"familyName":"Lee","givenName":"Ann"},"emails":[{"value":"ann@example.org","type":"work","primary":true},{"value":"ann@home.org","type":"home"}]`)
	w.user("Ben", `"title":"boss","active":false,"name":{"familyName":"adams"},"emails":[{"value":"ben@example.org","type":"work"}]`)
	w.user("cleo", `"displayName":"a \"quoted\" \\ name","emails":[{"value":"cleo@other.org","type":"home","primary":true}]`)
	w.call("POST", "/Users", `{"schemas":["`+userURN+`","`+enterpriseURN+`"],"userName":"dan","name":{"familyName":"Brown"},"`+enterpriseURN+`":{"department":"Sales","employeeNumber":"7","manager":{"value":"m1"}}}`).want(201)
}

func TestRFC7644_3_4_2_2_Filtering(t *testing.T) {
	for _, row := range []struct{ shows, filter, want string }{
		{"eq", `userName eq "ann"`, "ann"},
		{"eq of what is not caseExact", `userName eq "bEN"`, "Ben"},
		{"eq of what is caseExact", `externalId eq "ex1"`, ""},
		{"eq of what is caseExact, as it is", `externalId eq "Ex1"`, "ann"},
		{"ne", `userName ne "ann"`, "Ben cleo dan"},
		{"ne holds where there is no value", `title ne "Boss"`, "cleo dan"},
		{"co", `userName co "N"`, "ann Ben dan"},
		{"sw", `userName sw "A"`, "ann"},
		{"ew", `userName ew "n"`, "ann Ben dan"},
		{"pr", `title pr`, "ann Ben"},
		{"pr of a complex attribute", `name pr`, "ann Ben dan"},
		{"pr of several values", `emails pr`, "ann Ben cleo"},
		{"pr of a sub-attribute", `name.givenName pr`, "ann"},
		{"pr of an extension", enterpriseURN + `:department pr`, "dan"},
		{"gt of a string", `userName gt "ben"`, "cleo dan"},
		{"ge of a string", `userName ge "ben"`, "Ben cleo dan"},
		{"lt of a string", `userName lt "ben"`, "ann"},
		{"le of a string", `userName le "ben"`, "ann Ben"},
		{"gt of a date", `meta.lastModified gt "2011-05-13T04:42:34Z"`, "ann Ben cleo dan"},
		{"lt of a date", `meta.created lt "2011-05-13T04:42:34Z"`, ""},
		{"a date with an offset", `meta.created gt "2011-05-13T04:42:34+02:00"`, "ann Ben cleo dan"},
		{"a boolean", `active eq true`, "ann cleo dan"},
		{"a boolean that is false", `active eq false`, "Ben"},
		{"null is no value", `title eq null`, "cleo dan"},
		{"and", `title pr and active eq true`, "ann"},
		{"or", `userName eq "ann" or userName eq "dan"`, "ann dan"},
		{"not", `not (title pr)`, "cleo dan"},
		{"and binds closer than or", `userName eq "dan" or title pr and active eq true`, "ann dan"},
		{"parentheses", `(userName eq "dan" or title pr) and active eq false`, "Ben"},
		{"not binds closest", `not (title pr) and userName sw "c"`, "cleo"},
		{"operators in any case", `userName EQ "ann" OR userName Eq "dan"`, "ann dan"},
		{"attribute names in any case", `USERNAME eq "ann"`, "ann"},
		{"a schema's URN in front", userURN + `:userName eq "ann"`, "ann"},
		{"a schema's URN in any case", strings.ToLower(userURN) + `:userName eq "ann"`, "ann"},
		{"a sub-attribute", `name.familyName eq "lee"`, "ann"},
		{"a sub-attribute of several values", `emails.value eq "ann@home.org"`, "ann"},
		{"several values by their value", `emails eq "ann@home.org"`, "ann"},
		{"several values by their type", `emails.type eq "home"`, "ann cleo"},
		{"a value path", `emails[type eq "work" and value co "@example.org"]`, "ann Ben"},
		{"a value path is of one value", `emails[type eq "home" and value co "@example.org"]`, ""},
		{"a value path with not and or", `emails[not (type eq "work") and (value sw "c" or value sw "x")]`, "cleo"},
		{"a value path and another", `emails[type eq "work"] and title pr`, "ann Ben"},
		{"a primary value", `emails[primary eq true].value eq "cleo@other.org"`, "cleo"},
		{"a value path with a sub-attribute behind", `emails[type eq "work"].value eq "ben@example.org"`, "Ben"},
		{"an extension", enterpriseURN + `:department eq "sales"`, "dan"},
		{"an extension's complex attribute", enterpriseURN + `:manager.value eq "m1"`, "dan"},
		{"core and extension together", `userName eq "dan" and ` + enterpriseURN + `:employeeNumber eq "7"`, "dan"},
		{"escapes", `displayName eq "a \"quoted\" \\ name"`, "cleo"},
		{"an escaped letter", `userName eq "\u0061nn"`, "ann"},
		{"schemas", `schemas eq "` + enterpriseURN + `"`, "dan"},
		{"meta.resourceType", `meta.resourceType eq "User"`, "ann Ben cleo dan"},
		{"an attribute that no one has", `nickName eq "x"`, ""},
	} {
		t.Run("3.4.2.2/"+row.shows, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, mem.New(), presetOf("okta", "rfc"))
			people(w)
			a := w.find("/Users", row.filter).want(200)
			if got := sortedNames(a.names("userName")); got != row.want {
				t.Errorf("%s finds %q, want %q", row.filter, got, row.want)
			}
			a.is("totalResults", float64(len(strings.Fields(row.want))))
			s := w.call("POST", "/Users/.search", searchBody(row.filter)).want(200)
			if got := sortedNames(s.names("userName")); got != row.want {
				t.Errorf(".search: %s finds %q, want %q", row.filter, got, row.want)
			}
		})
	}
}

func TestRFC7644_3_4_2_2_InvalidFilter(t *testing.T) {
	w := newWorld(t, mem.New(), presetOf("okta", "rfc"))
	people(w)
	for _, filter := range []string{
		`userName`, `userName eq`, `eq "x"`, `userName eq "x`, `userName is "x"`, `userName eq x`, `(userName eq "x"`, `userName eq "x")`,
		`userName eq "x" and`, `and userName eq "x"`, `not userName`, `emails[type eq "x"`, `emails[]`, `emails[type eq "x"]]`, `userName eq "x" userName eq "y"`,
		`active gt true`, `active le false`, `x509Certificates.value gt "AA"`, `"x" eq userName`, `userName eq "\q"`, `.x eq "y"`, `name. eq "y"`, `1 eq 1`,
	} {
		w.find("/Users", filter).refuses(400, "invalidFilter")
		w.call("POST", "/Users/.search", searchBody(filter)).refuses(400, "invalidFilter")
		w.find("/", filter).refuses(400, "invalidFilter")
	}
	w.find("/Users", `password eq "x"`).refuses(400, "")
}

func TestRFC7644_3_4_2_3_Sorting(t *testing.T) {
	for _, row := range []struct{ shows, query, want string }{
		{"ascending if not said", "sortBy=userName", "ann Ben cleo dan"},
		{"ascending", "sortBy=userName&sortOrder=ascending", "ann Ben cleo dan"},
		{"descending", "sortBy=userName&sortOrder=descending", "dan cleo Ben ann"},
		{"a sub-attribute", "sortBy=name.familyName", "Ben dan ann cleo"},
		{"no value is first when descending", "sortBy=name.familyName&sortOrder=descending", "cleo ann dan Ben"},
		{"several values by the primary or first", "sortBy=emails.value", "ann Ben cleo dan"},
		{"several values by their value", "sortBy=emails", "ann Ben cleo dan"},
		{"an extension", "sortBy=" + enterpriseURN + ":department&count=1", "dan"},
		{"a page of it", "sortBy=userName&startIndex=2&count=2", "Ben cleo"},
		{"with a filter", "sortBy=userName&sortOrder=descending&filter=title%20pr", "Ben ann"},
		{"the name in any case", "sortBy=USERNAME&sortOrder=Descending", "dan cleo Ben ann"},
	} {
		t.Run("3.4.2.3/"+row.shows, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, mem.New(), presetOf("okta", "rfc"))
			people(w)
			if got := w.call("GET", "/Users?"+row.query, "").want(200).names("userName"); got != row.want {
				t.Errorf("%s: %q, want %q", row.query, got, row.want)
			}
		})
	}
}

func TestRFC7644_3_4_2_4_Pagination(t *testing.T) {
	w := newWorld(t, mem.New(), presetOf("okta", "rfc"))
	people(w)
	for _, row := range []struct {
		query        string
		start, items float64
	}{
		{"", 1, 4},
		{"startIndex=1&count=2", 1, 2},
		{"startIndex=4&count=2", 4, 1},
		{"startIndex=5&count=2", 5, 0},
		{"startIndex=1000000", 1000000, 0},
		{"startIndex=0", 1, 4},
		{"startIndex=-5", 1, 4},
		{"count=0", 1, 0},
		{"count=-1", 1, 0},
		{"count=100000", 1, 4},
		{"count=99999999999999999999", 1, 4},
		{"count=-99999999999999999999", 1, 0},
		{"startIndex=99999999999999999999", math.MaxInt, 0},
		{"startIndex=&count=", 1, 4},
		{"startIndex=2", 2, 3},
	} {
		a := w.call("GET", "/Users?"+row.query, "").want(200).is("totalResults", 4.0).is("startIndex", row.start).is("itemsPerPage", row.items)
		a.size("Resources", int(row.items))
	}
	w.call("GET", "/Users?startIndex=x", "").refuses(400, "invalidValue")
	w.call("GET", "/Users?count=1.5", "").refuses(400, "invalidValue")

	// Pages one after another show each once.
	var all []string
	for start := 1; start <= 4; start++ {
		all = append(all, w.call("GET", "/Users?count=1&startIndex="+itoa(start), "").want(200).names("userName"))
	}
	if got := sortedNames(strings.Join(all, " ")); got != "ann Ben cleo dan" {
		t.Errorf("the pages show %q", got)
	}
}

func TestRFC7644_3_4_2_5_Attributes(t *testing.T) {
	const more = `"title":"Boss","name":{"givenName":"A","familyName":"B"},"emails":[{"value":"a@x","type":"work"}]`
	check(t, []clause{
		{"3.4.2.5", "attributes leave id and schemas, and what they name", "", func(w *world) {
			u := w.user("ann", more)
			for _, path := range []string{u + "?attributes=title", u + "?attributes=TITLE", u + "?attributes=" + userURN + ":title", u + "?attributes=title,nothing"} {
				w.call("GET", path, "").want(200).is("title", "Boss").is("id", idOf(u)).has("schemas/0").lacks("userName", "name", "emails", "meta")
			}
			w.call("GET", "/Users?attributes=title", "").want(200).is("Resources/0/title", "Boss").has("Resources/0/id").lacks("Resources/0/userName")
		}},
		{"3.4.2.5", "attributes name sub-attributes", "", func(w *world) {
			u := w.user("ann", more)
			w.call("GET", u+"?attributes=name.givenName,emails.value", "").want(200).is("name/givenName", "A").lacks("name/familyName", "emails/0/type").is("emails/0/value", "a@x")
			w.call("GET", u+"?attributes=meta.location", "").want(200).has("meta/location").lacks("meta/created")
		}},
		{"3.4.2.5", "excludedAttributes leave the rest", "", func(w *world) {
			u := w.user("ann", more)
			w.call("GET", u+"?excludedAttributes=title,name.givenName,emails.type", "").want(200).lacks("title", "name/givenName", "emails/0/type").is("name/familyName", "B").is("userName", "ann").has("meta")
			w.call("GET", u+"?excludedAttributes=meta", "").want(200).lacks("meta").is("userName", "ann")
		}},
		{"3.4.2.5", "what is returned always cannot be excluded", "", func(w *world) {
			u := w.user("ann", more)
			w.call("GET", u+"?excludedAttributes=id,schemas,userName", "").want(200).is("id", idOf(u)).lacks("userName")
		}},
		{"3.4.2.5", "password is never returned", "", func(w *world) {
			u := w.user("ann", `"password":"hush"`)
			w.call("GET", u+"?attributes=password,userName", "").want(200).lacks("password").is("userName", "ann")
		}},
		{"3.4.2.5", "an extension as a whole or in part", "", func(w *world) {
			people(w)
			for _, names := range []string{enterpriseURN, enterpriseURN + ":department"} {
				w.call("GET", `/Users?filter=userName%20eq%20%22dan%22&attributes=`+names, "").want(200).is("Resources/0/"+enterpriseURN+"/department", "Sales").lacks("Resources/0/userName")
			}
			w.call("GET", `/Users?filter=userName%20eq%20%22dan%22&excludedAttributes=`+enterpriseURN, "").want(200).lacks("Resources/0/"+enterpriseURN).is("Resources/0/userName", "dan")
		}},
		{"3.4.2.5", "members can be excluded", "", func(w *world) {
			g := w.group("G", w.user("ann", ""))
			w.call("GET", g+"?excludedAttributes=members", "").want(200).lacks("members").is("displayName", "G")
			w.call("GET", "/Groups?excludedAttributes=members", "").want(200).lacks("Resources/0/members")
			w.call("GET", g+"?attributes=members", "").want(200).has("members/0/value").lacks("displayName")
		}},
		{"3.9", "attributes hold for POST, PUT, PATCH and .search", "", func(w *world) {
			a := w.call("POST", "/Users?attributes=title", userBody("ann", more)).want(201).is("title", "Boss").has("id").lacks("userName", "meta")
			if a.header.Get("Location") == "" || a.header.Get("Etag") == "" {
				w.t.Errorf("headers %v", a.header)
			}
			u := "/Users/" + a.id()
			w.call("PUT", u+"?excludedAttributes=title", userBody("ann", more)).want(200).lacks("title").is("userName", "ann")
			w.call("PATCH", u+"?attributes=userName", `{"schemas":["`+patchURN+`"],"Operations":[{"op":"replace","path":"title","value":"X"}]}`).want(200).lacks("title").is("userName", "ann")
			w.call("POST", "/Users/.search", `{"schemas":["`+searchURN+`"],"attributes":["title"]}`).want(200).is("Resources/0/title", "X").lacks("Resources/0/userName")
			w.call("POST", "/Users/.search", `{"schemas":["`+searchURN+`"],"excludedAttributes":["title"]}`).want(200).lacks("Resources/0/title").is("Resources/0/userName", "ann")
		}},
		{"3.9", "both at once are refused", "", func(w *world) {
			w.call("GET", "/Users?attributes=title&excludedAttributes=name", "").refuses(400, "invalidValue")
			w.call("GET", w.user("ann", "")+"?attributes=title&excludedAttributes=name", "").refuses(400, "invalidValue")
		}},
	})
}

func TestRFC7644_3_4_3_Search(t *testing.T) {
	check(t, []clause{
		{"3.4.3", "on a type, with all a query has", "", func(w *world) {
			people(w)
			a := w.call("POST", "/Users/.search", `{"schemas":["`+searchURN+`"],"filter":"userName pr","sortBy":"userName","sortOrder":"descending","startIndex":2,"count":2,"attributes":["userName"]}`).want(200)
			a.is("schemas/0", listURN).is("totalResults", 4.0).is("startIndex", 2.0).is("itemsPerPage", 2.0).lacks("Resources/0/meta")
			if got := a.names("userName"); got != "cleo Ben" {
				w.t.Errorf("found %q", got)
			}
		}},
		{"3.4.3", "on the root", "", func(w *world) {
			people(w)
			w.group("Boss")
			w.call("POST", "/.search", searchBody(`displayName eq "boss" or title eq "boss"`)).want(200)
			w.call("POST", "/.search", searchBody(`displayName eq "boss"`)).want(200).is("totalResults", 1.0)
			w.call("POST", "/.search", searchBody(`id pr`)).want(200).is("totalResults", 5.0)
		}},
		{"3.4.3", "the schema is required", "", func(w *world) {
			w.call("POST", "/Users/.search", `{"filter":"userName pr"}`).refuses(400, "invalidSyntax")
			w.call("POST", "/Users/.search", `{`).refuses(400, "invalidSyntax")
			w.call("POST", "/Users/.search", `{"schemas":["`+searchURN+`"],"count":"x"}`).refuses(400, "invalidSyntax")
		}},
	})
}

func TestRFC7644_3_5_1_Replacing(t *testing.T) {
	check(t, []clause{
		{"3.5.1", "200 with the whole, and what is left out is taken away", "", func(w *world) {
			u := w.user("ann", `"title":"Boss","nickName":"A","emails":[{"value":"a@x"}]`)
			w.call("PUT", u, userBody("ann2", `"title":"Chief"`)).want(200).is("userName", "ann2").is("title", "Chief").lacks("nickName", "emails").is("id", idOf(u))
			w.call("GET", u, "").want(200).is("userName", "ann2").lacks("emails")
		}},
		{"3.5.1", "what is read-only is ignored", "", func(w *world) {
			u := w.user("ann", "")
			made := at(w.call("GET", u, "").json, "meta/created")
			w.call("PUT", u, userBody("ann", `"id":"other","meta":{"created":"1999-01-01T00:00:00Z"},"groups":[{"value":"x"}]`)).want(200).is("id", idOf(u)).is("meta/created", made).lacks("groups")
		}},
		{"3.5.1", "a GET can be sent back", "", func(w *world) {
			u := w.user("ann", `"title":"Boss","emails":[{"value":"a@x","type":"work"}]`)
			w.group("G", u)
			before := w.call("GET", u, "")
			after := w.call("PUT", u, before.body).want(200)
			if before.body != after.body {
				w.t.Errorf("PUT of\n%s\nis\n%s", before.body, after.body)
			}
		}},
		{"3.5.1", "without what is required is 400", "", func(w *world) {
			w.call("PUT", w.user("ann", ""), `{"schemas":["`+userURN+`"],"title":"x"}`).refuses(400, "invalidValue")
		}},
		{"3.5.1", "an unknown id is 404, and nothing is made", "", func(w *world) {
			w.call("PUT", "/Users/none", userBody("ann", "")).refuses(404, "")
			w.call("GET", "/Users", "").is("totalResults", 0.0)
		}},
		{"3.5.1", "another's userName is 409", "", func(w *world) {
			u := w.user("ann", "")
			w.user("ben", "")
			w.call("PUT", u, userBody("BEN", "")).refuses(409, "uniqueness")
			w.call("GET", u, "").is("userName", "ann")
		}},
		{"3.5.1", "active that is left out stays", "", func(w *world) {
			u := w.user("ann", `"active":false`)
			w.call("PUT", u, userBody("ann", "")).want(200).is("active", false)
		}},
		{"3.5.1", "members that are left out are taken away", "", func(w *world) {
			g := w.group("G", w.user("ann", ""))
			w.call("PUT", g, `{"schemas":["`+groupURN+`"],"displayName":"G"}`).want(200).lacks("members")
		}},
	})
}

func TestRFC7644_3_6_Deleting(t *testing.T) {
	check(t, []clause{
		{"3.6", "204, and then it is not there for anybody", "", func(w *world) {
			u := w.user("ann", "")
			g := w.group("G", u)
			if a := w.call("DELETE", u, "").want(204); a.body != "" {
				w.t.Errorf("body %q", a.body)
			}
			w.call("GET", u, "").refuses(404, "")
			w.call("PUT", u, userBody("ann", "")).refuses(404, "")
			w.patch(u, `{"op":"replace","path":"title","value":"x"}`).refuses(404, "")
			w.call("DELETE", u, "").refuses(404, "")
			w.call("GET", "/Users", "").is("totalResults", 0.0)
			w.find("/Users", `userName eq "ann"`).is("totalResults", 0.0)
			w.find("/Users", `id eq "`+idOf(u)+`"`).is("totalResults", 0.0)
			w.call("GET", g, "").lacks("members")
		}},
		{"3.6", "the name is free again", "", func(w *world) {
			w.call("DELETE", w.user("ann", `"externalId":"a"`), "").want(204)
			w.user("ann", `"externalId":"b"`)
		}},
		{"3.6", "a group", "", func(w *world) {
			u := w.user("ann", "")
			g := w.group("G", u)
			w.call("DELETE", g, "").want(204)
			w.call("GET", g, "").refuses(404, "")
			w.call("GET", u, "").lacks("groups")
		}},
	})
}

func TestRFC7644_3_11_Me(t *testing.T) {
	w := newWorld(t, mem.New())
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodPost} {
		w.call(method, "/Me", "{}").refuses(501, "")
	}
}

func TestRFC7644_3_12_Errors(t *testing.T) {
	w := newWorld(t, mem.New())
	u := w.user("ann", "")
	w.call("GET", "/Users/none", "").refuses(404, "").lacks("scimType")
	w.call("GET", "/Nothing", "").refuses(404, "")
	w.call("GET", "/Users", "", "Authorization", "").refuses(401, "")
	w.call("POST", "/Users", userBody("ann", "")).refuses(409, "uniqueness")
	w.call("PUT", u, userBody("ann", ""), "If-Match", `W/"none"`).refuses(412, "")
	w.call("POST", "/Schemas", "{}").refuses(405, "")
	w.call("GET", "/Me", "").refuses(501, "")
	w.call("GET", "/Schemas?filter=x", "").refuses(403, "")
	w.patch(u, `{"op":"remove"}`).refuses(400, "noTarget")
	w.patch(u, `{"op":"add","path":"nope[","value":1}`).refuses(400, "invalidPath")
	w.patch(u, `{"op":"add","path":"groups","value":[{"value":"x"}]}`).refuses(400, "mutability")
	w.patch(u, `{"op":"add","path":"active","value":"x"}`).refuses(400, "invalidValue")
	w.find("/Users", "x y z").refuses(400, "invalidFilter")
	w.call("POST", "/Users", "{").refuses(400, "invalidSyntax")
}

func TestRFC7644_3_14_Versions(t *testing.T) {
	check(t, []clause{
		{"3.14", "the ETag is meta.version, and moves with the resource", "", func(w *world) {
			u := w.user("ann", "")
			a := w.call("GET", u, "")
			a.is("meta/version", a.header.Get("Etag"))
			b := w.patch(u, `{"op":"replace","path":"title","value":"x"}`).want(200)
			if b.header.Get("Etag") == a.header.Get("Etag") || at(b.json, "meta/version") != b.header.Get("Etag") {
				w.t.Errorf("versions %q and %q", a.header.Get("Etag"), b.header.Get("Etag"))
			}
			w.call("GET", "/Users", "").is("Resources/0/meta/version", b.header.Get("Etag"))
		}},
		{"3.14", "If-None-Match is 304 without a body", "", func(w *world) {
			u := w.user("ann", "")
			tag := w.call("GET", u, "").header.Get("Etag")
			for _, none := range []string{tag, strings.TrimPrefix(tag, "W/"), `"x", ` + tag, "*"} {
				a := w.call("GET", u, "", "If-None-Match", none).want(304)
				if a.body != "" || a.header.Get("Etag") != tag {
					w.t.Errorf("304 with %q, ETag %q", a.body, a.header.Get("Etag"))
				}
			}
			w.call("GET", u, "", "If-None-Match", `W/"other"`).want(200)
			w.call("HEAD", u, "", "If-None-Match", tag).want(304)
		}},
		{"3.14", "If-Match holds writes to a version", "", func(w *world) {
			u := w.user("ann", "")
			tag := w.call("GET", u, "").header.Get("Etag")
			w.call("PUT", u, userBody("ann", `"title":"x"`), "If-Match", `W/"other"`).refuses(412, "")
			w.patch(u, `{"op":"replace","path":"title","value":"x"}`, "If-Match", `W/"other"`).refuses(412, "")
			w.call("DELETE", u, "", "If-Match", `W/"other"`).refuses(412, "")
			w.patch(u, `{"op":"replace","path":"title","value":"x"}`, "If-Match", tag).want(200)
			w.call("PUT", u, userBody("ann", `"title":"y"`), "If-Match", tag).refuses(412, "")
			w.call("PUT", u, userBody("ann", `"title":"y"`), "If-Match", "*").want(200)
			w.call("DELETE", u, "", "If-Match", w.call("GET", u, "").header.Get("Etag")).want(204)
		}},
		{"3.14", "a write that changes nothing keeps the version", "", func(w *world) {
			u := w.user("ann", `"title":"x"`)
			before := w.call("GET", u, "")
			after := w.patch(u, `{"op":"add","path":"title","value":"x"}`).want(200)
			if before.body != after.body {
				w.t.Errorf("%s\nbecame\n%s", before.body, after.body)
			}
		}},
		{"3.14", "the groups of a user move his version", "", func(w *world) {
			u := w.user("ann", "")
			before := w.call("GET", u, "").header.Get("Etag")
			w.group("G", u)
			w.call("GET", u, "", "If-None-Match", before).want(200).has("groups/0/value")
		}},
		{"3.14", "groups have versions too", "", func(w *world) {
			u, g := w.user("ann", ""), w.group("G")
			tag := w.call("GET", g, "").header.Get("Etag")
			w.patch(g, `{"op":"add","path":"members","value":[{"value":"`+idOf(u)+`"}]}`, "If-Match", tag).want(200)
			w.call("GET", g, "", "If-None-Match", tag).want(200)
			w.patch(g, `{"op":"remove","path":"members"}`, "If-Match", tag).refuses(412, "")
		}},
	})
}

func TestRFC7644_4_Discovery(t *testing.T) {
	check(t, []clause{
		{"4", "the provider's configuration is one resource", "", func(w *world) {
			a := w.call("GET", "/ServiceProviderConfig", "").want(200).is("schemas/0", schema.ProviderConfigURN).is("meta/resourceType", "ServiceProviderConfig")
			a.is("meta/location", w.url+Prefix+"okta/ServiceProviderConfig").lacks("totalResults")
		}},
		{"4", "schemas and resource types are lists, and each can be had", "", func(w *world) {
			for _, path := range []string{"/Schemas", "/ResourceTypes"} {
				a := w.call("GET", path, "").want(200).is("schemas/0", listURN)
				list, _ := a.json["Resources"].([]any)
				a.is("totalResults", float64(len(list))).is("itemsPerPage", float64(len(list))).is("startIndex", 1.0)
				for _, r := range list {
					one := strings.TrimPrefix(at(r, "meta/location").(string), w.url+Prefix+"okta")
					b := w.call("GET", one, "").want(200).is("id", at(r, "id")).is("meta/location", at(r, "meta/location"))
					if !strings.HasPrefix(one, path+"/") {
						w.t.Errorf("%s is at %s", b.id(), one)
					}
				}
			}
		}},
		{"4", "a filter is 403", "", func(w *world) {
			for _, path := range []string{"/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/Schemas/" + userURN} {
				w.find(path, `id eq "x"`).refuses(403, "")
			}
		}},
		{"4", "order, pages and projection are ignored", "", func(w *world) {
			want := w.call("GET", "/Schemas", "").body
			for _, query := range []string{"sortBy=id", "count=1&startIndex=2", "count=0", "cursor="} {
				if got := w.call("GET", "/Schemas?"+query, "").want(200).body; got != want {
					w.t.Errorf("?%s changes the answer", query)
				}
			}
		}},
	})
}

func TestRFC7644_3_10_Notation(t *testing.T) {
	check(t, []clause{
		{"3.10", "an attribute is named with its URN, in any case, wherever it is named", "", func(w *world) {
			people(w)
			dan := w.find("/Users", strings.ToUpper(enterpriseURN)+`:DEPARTMENT eq "sales"`).is("totalResults", 1.0)
			u := "/Users/" + at(dan.json, "Resources/0/id").(string)
			w.call("GET", u+"?attributes="+userURN+":name.familyName,"+enterpriseURN+":manager.value", "").is("name/familyName", "Brown").is(enterpriseURN+"/manager/value", "m1").lacks("userName", enterpriseURN+"/department")
			w.call("GET", "/Users?sortBy="+userURN+":userName&count=1", "").is("Resources/0/userName", "ann")
			w.patch(u, `{"op":"replace","path":"`+strings.ToUpper(enterpriseURN)+`:manager.value","value":"m2"},{"op":"replace","path":"`+userURN+`:title","value":"T"}`).want(200).is("title", "T").is(enterpriseURN+"/manager/value", "m2")
			w.patch(u, `{"op":"replace","value":{"`+enterpriseURN+`:department":"D","`+userURN+`:nickName":"N"}}`).want(200).is(enterpriseURN+"/department", "D").is("nickName", "N")
		}},
		{"3.10", "a body may name one so, too", "default", func(w *world) {
			w.call("POST", "/Users", userBody("ann", `"`+enterpriseURN+`:department":"D","`+userURN+`":{"nickName":"N"}`)).want(201).is(enterpriseURN+"/department", "D").is("nickName", "N")
		}},
	})
}

func TestRFC7644_5_Internationalization(t *testing.T) {
	w := newWorld(t, mem.New(), presetOf("okta", "rfc"))
	w.user("zo\u00eb", "")
	w.call("POST", "/Users", userBody("ZOE\u0308", "")).refuses(409, "uniqueness")
	w.find("/Users", `userName eq "zoe\u0308"`).is("totalResults", 1.0).is("Resources/0/userName", "zo\u00eb")
	w.user("stra\u00dfe", "")
	w.find("/Users", `userName eq "STRASSE"`).is("totalResults", 1.0)
}

func TestRFC7644_7_5_SecretsInURLs(t *testing.T) {
	w := newWorld(t, mem.New())
	token := w.tokens["okta"]
	for _, path := range []string{"/Users?access_token=" + token, "/Users?token=" + token} {
		w.call("GET", path, "", "Authorization", "").refuses(401, "")
	}
	w.find("/Users", `userName eq "somebody@example.org"`).want(200)
	seen, _ := w.server.Requests("okta")
	for _, r := range seen {
		if strings.Contains(r.Path, "somebody") || strings.Contains(r.Path, token) {
			t.Errorf("the log of requests has %s", r.Path)
		}
	}
	if len(seen) != 1 {
		t.Errorf("%d requests are remembered, want the one that was let in", len(seen))
	}
}

// What is another source's is not there for anybody else.
func TestRFC7644_6_Tenants(t *testing.T) {
	w := newWorld(t, mem.New(), presetOf("okta", "rfc"), presetOf("entra", "rfc"))
	u, g := w.user("ann", `"externalId":"x"`), w.group("G")
	for _, path := range []string{u, g} {
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"} {
			body := ""
			if method == "PUT" {
				body = userBody("ann", `"displayName":"G"`)
			}
			if method == "PATCH" {
				body = `{"schemas":["` + patchURN + `"],"Operations":[]}`
			}
			w.as("entra", method, path, body).want(404)
		}
	}
	w.as("entra", "GET", "/Users", "").want(200).is("totalResults", 0.0)
	w.as("entra", "GET", "/Users?filter=id%20eq%20%22"+idOf(u)+"%22", "").want(200).is("totalResults", 0.0)
	w.as("entra", "GET", "/?filter=id%20pr", "").want(200).is("totalResults", 0.0)
	mine := w.as("entra", "POST", "/Users", userBody("ann", `"externalId":"x"`)).want(201)
	w.as("entra", "POST", "/Groups", groupBody("H", u)).want(201).is("members/0/value", idOf(u)).is("members/0/type", nil)
	w.call("GET", u, "").lacks("groups")
	w.call("GET", "/Users/"+mine.id(), "").refuses(404, "")
	w.as("entra", "GET", "/Users", "", "Authorization", "Bearer "+w.tokens["okta"]).refuses(401, "")
}
