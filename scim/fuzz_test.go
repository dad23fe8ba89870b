package scim

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/store/mem"
)

// FuzzServe sends whole requests: none is the server's fault, none panics, and each
// answer is what SCIM says an answer is.
func FuzzServe(f *testing.F) {
	const user = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann","externalId":"1","active":true,"emails":[{"value":"a@b.c","type":"work","primary":true}]}`
	for _, s := range []struct{ method, path, query, body string }{
		{"GET", "/Users", `filter=userName eq "ann"&count=1`, ""},
		{"GET", "/Users", `filter=emails[type eq "work" and not (value co "x")] or meta.created gt "2020-01-01T00:00:00Z"`, ""},
		{"GET", "/Users", "cursor=&count=1&attributes=emails.value,userName", ""},
		{"GET", "/Users", "cursor=AAAA", ""},
		{"GET", "/Users", "sortBy=name.familyName&sortOrder=descending&startIndex=0&count=-1", ""},
		{"GET", "/Users/ID", "excludedAttributes=emails", ""},
		{"GET", "/", `filter=meta.resourceType eq "Group"`, ""},
		{"HEAD", "/Groups", "", ""},
		{"GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", "", ""},
		{"GET", "/ResourceTypes", "filter=x", ""},
		{"GET", "/ServiceProviderConfig", "", ""},
		{"GET", "/Me", "", ""},
		{"POST", "/Users", "", user},
		{"POST", "/Users", "", `{"userName":1,"active":"True","emails":{},"urn:x:1:U":{"a":[]}}`},
		{"PUT", "/Users/ID", "", user},
		{"PATCH", "/Users/ID", "", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Add","path":"emails[type eq \"home\"].value","value":"x@y.z"},{"op":"remove","path":"title"},{"op":"replace","value":{"active":"False","name.givenName":"A"}}]}`},
		{"POST", "/Groups", "", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"g","members":[{"value":"ID"},{"value":"nobody"}]}`},
		{"PATCH", "/Groups/GID", "", `{"Operations":[{"op":"add","path":"members","value":[{"value":"ID"}]},{"op":"remove","path":"members[value eq \"ID\"]"},{"op":"remove","path":"members","value":[{"value":"ID"}]}]}`},
		{"DELETE", "/Users/ID", "", ""},
		{"POST", "/Users/.search", "", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"userName pr","count":2,"attributes":["userName"]}`},
		{"POST", "/Bulk", "", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"failOnErrors":1,"Operations":[{"method":"POST","path":"/Groups","bulkId":"g","data":{"displayName":"b","members":[{"value":"bulkId:u"}]}},{"method":"POST","path":"/Users","bulkId":"u","data":` + user + `}]}`},
	} {
		f.Add(s.method, s.path, s.query, s.body)
	}
	w := newWorld(f, mem.New())
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		if len(path)+len(query)+len(body) > 16<<10 {
			return
		}
		ids := w.stand(t)
		r, ok := made(method, ids.Replace(path), query, ids.Replace(body))
		if !ok {
			return // net/http would not hand it on
		}
		r.Header.Set("Authorization", "Bearer "+w.tokens["okta"])
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		text, _ := io.ReadAll(rec.Body)
		if rec.Code >= 500 && rec.Code != http.StatusNotImplemented {
			t.Fatalf("%s %s?%s %q = %d %s", method, path, query, body, rec.Code, text)
		}
		if len(text) == 0 {
			return
		}
		var v map[string]any
		if err := json.Unmarshal(text, &v); err != nil || v["schemas"] == nil || rec.Header().Get("Content-Type") != mediaType {
			t.Fatalf("%s %s?%s %q = %d, not SCIM: %v: %s", method, path, query, body, rec.Code, err, text)
		}
	})
}

// stand sees to it that there is a user and a group, and returns what writes their ids
// into a request.
func (w *world) stand(t *testing.T) *strings.Replacer {
	t.Helper()
	id := func(path, body, filter string) string {
		r, _ := made("POST", path, "", body)
		if found, _ := made("GET", path, "filter="+filter, ""); found != nil {
			if v := w.served(t, found); at(v, "Resources.0.id") != nil {
				text, _ := at(v, "Resources.0.id").(string)
				return text
			}
		}
		text, _ := w.served(t, r)["id"].(string)
		return text
	}
	return strings.NewReplacer(
		"GID", id("/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"standing"}`, `displayName eq "standing"`),
		"ID", id("/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"standing"}`, `userName eq "standing"`),
	)
}

func (w *world) served(t *testing.T, r *http.Request) (v map[string]any) {
	t.Helper()
	r.Header.Set("Authorization", "Bearer "+w.tokens["okta"])
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s %s = %d %s: %v", r.Method, r.URL, rec.Code, rec.Body, err)
	}
	return v
}

// made returns a request as net/http would hand it on, if it would.
func made(method, path, query, body string) (*http.Request, bool) {
	target := Prefix + "okta" + path + "?" + strings.NewReplacer(" ", "%20", `"`, "%22").Replace(query)
	if strings.ContainsAny(target, " \r\n\x00") || strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }) || method == "" {
		return nil, false
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, false
	}
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	r.URL, r.RequestURI = u, target
	r.Header.Set("Content-Type", mediaType)
	return r, true
}
