package scim

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/store/mem"
)

// Every limit holds at n, and refuses n+1.

func TestLimitOfURL(t *testing.T) {
	w := newWorld(t, mem.New())
	at := func(n int) string {
		path := "/Users?x="
		return path + strings.Repeat("y", n-len(Prefix+"okta"+path))
	}
	w.call("GET", at(maxURL), "").want(200)
	w.call("GET", at(maxURL+1), "").refuses(414, "")
	w.call("HEAD", at(maxURL+1), "").want(414)
	w.call("GET", at(maxURL+1), "", "Authorization", "").refuses(414, "")
}

func TestLimitOfBody(t *testing.T) {
	w := newWorld(t, mem.New())
	u := w.user("ann", "")
	padded := func(body string, n int) string { return body + strings.Repeat(" ", n-len(body)) }
	patch := `{"schemas":["` + patchURN + `"],"Operations":[{"op":"add","path":"title","value":"x"}]}`
	search := searchBody("userName pr")
	bulk := `{"schemas":["` + bulkRequestURN + `"],"Operations":[]}`
	for _, row := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/Users", userBody("ben", ""), 201},
		{"PUT", u, userBody("ann", ""), 200},
		{"PATCH", u, patch, 200},
		{"POST", "/Users/.search", search, 200},
		{"POST", "/.search", search, 200},
		{"POST", "/Bulk", bulk, 200},
	} {
		w.call(row.method, row.path, padded(row.body, maxBody)).want(row.status)
		w.call(row.method, row.path, padded(row.body, maxBody+1)).refuses(413, "")
		w.chunked(row.method, row.path, padded(row.body, maxBody+1)).refuses(413, "")
	}
	w.chunked("PUT", u, padded(userBody("ann", ""), maxBody)).want(200)
}

// chunked sends a body without saying how long it is.
func (w *world) chunked(method, path, body string) *answer {
	w.t.Helper()
	return w.sendAs("okta", method, path, struct{ *strings.Reader }{strings.NewReader(body)}, "Content-Type", mediaType)
}

func TestLimitOfResource(t *testing.T) {
	w := newWorld(t, mem.New())
	u := w.user("ann", "")
	bare := `{"schemas":["` + userURN + `"],"userName":"ann","nickName":"","active":true}`
	name := func(n int) string { return strings.Repeat("t", n-len(bare)) }
	w.call("PUT", u, userBody("ann", `"nickName":"`+name(maxResource)+`"`)).want(200)
	w.call("PUT", u, userBody("ann", `"nickName":"`+name(maxResource+1)+`"`)).refuses(413, "")
	w.call("POST", "/Users", userBody("ben", `"nickName":"`+name(maxResource+1)+`"`)).refuses(413, "")
	w.patch(u, `{"op":"replace","path":"nickName","value":"`+name(maxResource+1)+`"}`).refuses(413, "")
	w.patch(u, `{"op":"add","path":"locale","value":"n"}`).refuses(413, "")
	w.call("GET", u, "").want(200).is("nickName", name(maxResource))
}

func TestLimitOfFilter(t *testing.T) {
	w := newWorld(t, mem.New(), presetOf("okta", "rfc"))
	u := w.user("ann", `"emails":[{"value":"a@x","type":"work"}]`)
	search := func(filter string) *answer { return w.call("POST", "/Users/.search", searchBody(filter)) }
	patch := func(filter string) *answer {
		return w.patch(u, `{"op":"remove","path":`+quoted("emails["+filter+"]")+`}`)
	}
	long := func(n int) string { return `userName eq "` + strings.Repeat("x", n-len(`userName eq ""`)) + `"` }
	search(long(4096)).want(200)
	search(long(4097)).refuses(400, "invalidFilter")

	deep := func(n int) string { return strings.Repeat("(", n) + "userName pr" + strings.Repeat(")", n) }
	search(deep(32)).want(200).is("totalResults", 1.0)
	search(deep(33)).refuses(400, "invalidFilter")
	not := func(n int) string { return strings.Repeat("not (", n) + "userName pr" + strings.Repeat(")", n) }
	search(not(32)).want(200).is("totalResults", 1.0)
	search(not(33)).refuses(400, "invalidFilter")

	many := func(n int, op string) string {
		return strings.TrimSuffix(strings.Repeat("id pr "+op+" ", n), " "+op+" ")
	}
	for _, op := range []string{"and", "or"} {
		search(many(64, op)).want(200).is("totalResults", 1.0)
		search(many(65, op)).refuses(400, "invalidFilter")
	}
	patch(strings.TrimSuffix(strings.Repeat(`type eq "no" or `, 64), " or ")).want(200)
	patch(strings.TrimSuffix(strings.Repeat(`type eq "no" or `, 65), " or ")).refuses(400, "")
}

// Ninety thousand parentheses ended a process that handed them on.
func TestParenthesesAreRefusedWhereTheyStand(t *testing.T) {
	w := newWorld(t, mem.New())
	u, g := w.user("ann", ""), w.group("G")
	const n = 90_000
	for _, deep := range []string{
		strings.Repeat("(", n) + `userName eq "x"` + strings.Repeat(")", n), strings.Repeat("not (", n), strings.Repeat("emails[", n), strings.Repeat("(", n), strings.Repeat("a.", n), strings.Repeat("a:", n),
	} {
		w.call("GET", "/Users?filter="+url.QueryEscape(deep), "").want(http.StatusRequestURITooLong)
		w.call("GET", "/Users?sortBy="+url.QueryEscape(deep[:2000]), "").refuses(400, "invalidPath")
		w.call("GET", "/Users?filter="+url.QueryEscape(deep[:2000]), "").refuses(400, "invalidFilter")
		w.call("POST", "/Users/.search", searchBody(deep)).refuses(400, "invalidFilter")
		w.call("POST", "/.search", searchBody(deep)).refuses(400, "invalidFilter")
		w.call("POST", "/Users/.search", `{"schemas":["`+searchURN+`"],"sortBy":"`+deep[:len(deep)/2]+`"}`).want(400)
		for _, path := range []string{u, g} {
			w.patch(path, `{"op":"remove","path":`+quoted("emails["+deep+"]")+`}`).refuses(400, "")
			w.patch(path, `{"op":"remove","path":`+quoted("members["+deep+"]")+`}`).refuses(400, "")
			w.patch(path, `{"op":"add","path":`+quoted(deep)+`,"value":"x"}`).refuses(400, "")
			w.patch(path, `{"op":"add","value":{`+quoted(deep)+`:"x"}}`).want(200) // an attribute that is not known
		}
		w.call("GET", u+"?attributes="+url.QueryEscape(deep[:2000]), "").want(200)
		w.bulk(`{"method":"PATCH","path":"`+u+`","data":{"schemas":["`+patchURN+`"],"Operations":[{"op":"remove","path":`+quoted("emails["+deep+"]")+`}]}}`).want(200).is("Operations/0/status", "400")
	}
	nested := strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000)
	w.call("POST", "/Users", userBody("x", `"title":`+nested)).refuses(400, "invalidSyntax")
	w.patch(u, `{"op":"add","path":"title","value":`+nested+`}`).refuses(400, "invalidSyntax")
	w.call("POST", "/Users/.search", `{"schemas":["`+searchURN+`"],"filter":`+nested+`}`).refuses(400, "invalidSyntax")
	w.bulk(`{"method":"POST","path":"/Users","bulkId":"1","data":` + nested + `}`).want(400)
	w.call("GET", u, "").want(200)
}

func TestLimitOfOperations(t *testing.T) {
	w := newWorld(t, mem.New())
	u, g := w.user("ann", ""), w.group("G")
	ops := func(op string, n int) string { return strings.TrimSuffix(strings.Repeat(op+",", n), ",") }
	w.patch(u, ops(`{"op":"add","path":"title","value":"x"}`, 1000)).want(200)
	w.patch(u, ops(`{"op":"add","path":"title","value":"x"}`, 1001)).refuses(413, "tooMany")
	w.patch(g, ops(`{"op":"add","path":"members","value":[{"value":"nobody"}]}`, 1000)).want(200)
	w.patch(g, ops(`{"op":"add","path":"members","value":[{"value":"nobody"}]}`, 1001)).refuses(413, "tooMany")
}

func TestLimitOfPage(t *testing.T) {
	w := newWorld(t, mem.New())
	var ops []string
	for i := range maxPage + 1 {
		ops = append(ops, `{"method":"POST","path":"/Users","bulkId":"b`+itoa(i)+`","data":`+userBody("u"+itoa(i), "")+`}`)
	}
	w.bulk(strings.Join(ops[:maxOperations], ",")).want(200).size("Operations", maxOperations)
	w.bulk(strings.Join(ops[maxOperations:], ",")).want(200)
	w.call("GET", "/Users?count="+itoa(maxPage), "").want(200).is("itemsPerPage", float64(maxPage))
	w.call("GET", "/Users?count="+itoa(maxPage+1), "").want(200).is("itemsPerPage", float64(maxPage)).is("totalResults", float64(maxPage+1))
	w.call("GET", "/Users?cursor=&count="+itoa(maxPage+1), "").want(200).is("itemsPerPage", float64(maxPage)).has("nextCursor")
	w.call("GET", "/Users", "").want(200).is("itemsPerPage", float64(defaultPage))
}

// entries is a list of values of their own.
func entries(n int, more string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,{"value":"` + itoa(i) + `"` + more + `}`)
	}
	return "[" + b.String()[1:] + "]"
}

// A PATCH is refused before it makes the server look at more than it should, however
// small it is itself.
func TestLimitOfWork(t *testing.T) {
	w := newWorld(t, mem.New())
	u := w.user("ann", `"emails":`+entries(1000, "")+`,"displayName":"x"`)
	ops := func(n int, op string) string { return strings.TrimSuffix(strings.Repeat(op+",", n), ",") }
	one := `{"op":"replace","path":"emails[value eq \"5\"].display","value":"x"}`
	w.patch(u, ops(200, one)).want(200)
	w.patch(u, ops(300, one)).refuses(413, "tooMany")
	many := `{"op":"remove","path":"emails[` + strings.TrimSuffix(strings.Repeat(`value co \"zz\" or `, 60), " or ") + `].display"}`
	w.patch(u, ops(30, many)).want(200)
	w.patch(u, ops(70, many)).refuses(413, "tooMany")
	w.patch(u, `{"op":"remove","path":"emails","value":`+entries(9000, "")+`}`).want(200).lacks("emails")

	v := w.user("ben", `"emails":`+entries(1000, "")+`,"displayName":"x"`)
	types := strings.ReplaceAll(entries(9000, ""), "value", "type")
	w.patch(v, `{"op":"remove","path":"emails","value":`+types+`}`).refuses(413, "tooMany")
	w.call("GET", v, "").want(200).size("emails", 1000)

	// Half a megabyte for each of a thousand values is half a gigabyte.
	w.patch(v, `{"op":"replace","path":"emails.display","value":"`+strings.Repeat("x", 500_000)+`"}`).refuses(413, "tooMany")
	w.patch(v, `{"op":"replace","path":"emails.display","value":"`+strings.Repeat("x", 50)+`"}`).want(200)
}

func TestLimitOfBulkReferences(t *testing.T) {
	w := newWorld(t, mem.New())
	user := `{"method":"POST","path":"/Users","bulkId":"1","data":` + userBody("ann", "") + `},{"method":"POST","path":"/Users","bulkId":"10","data":` + userBody("ben", "") + `}`
	path := func(n int) string {
		return "/Users/" + strings.Repeat("bulkId:1/", (n-7)/9) + strings.Repeat("x", (n-7)%9)
	}
	w.bulk(user+`,{"method":"DELETE","path":"`+path(maxURL)+`"}`).want(200).is("Operations/2/status", "404")
	w.bulk(`{"method":"DELETE","path":"`+path(maxURL+1)+`"}`).refuses(400, "invalidPath")

	// Each of a thousand refers to the next, and to sixty that are there.
	var ops []string
	for i := range 600 {
		var members []string
		for j := range 60 {
			members = append(members, `{"value":"bulkId:`+itoa(max(0, 540+j))+`"}`)
		}
		members = append(members, `{"value":"bulkId:`+itoa(i+1)+`"}`)
		ops = append(ops, `{"method":"POST","path":"/Groups","bulkId":"`+itoa(i)+`","data":{"displayName":"x","members":[`+strings.Join(members, ",")+`]}}`)
	}
	a := w.bulk(strings.Join(ops, ",")).want(200)
	a.is("Operations/0/status", "409") // they refer to each other
}

// An id that begins another is not mistaken for it.
func TestBulkIDsThatBeginAlike(t *testing.T) {
	w := newWorld(t, mem.New())
	w.bulk(`{"method":"POST","path":"/Users","bulkId":"1","data":`+userBody("ann", "")+`},{"method":"POST","path":"/Groups","bulkId":"10","data":`+groupBody("G")+`},
		{"method":"PATCH","path":"/Groups/bulkId:10","data":{"schemas":["`+patchURN+`"],"Operations":[{"op":"add","path":"members","value":[{"value":"bulkId:1"}]}]}}`).want(200).is("Operations/2/status", "200")
	w.call("GET", "/Groups", "").size("Resources/0/members", 1)
}

// Who waits to be a member is counted in one go.
func TestManyWhoWait(t *testing.T) {
	w := newWorld(t, mem.New())
	g := w.group("G")
	w.patch(g, `{"op":"add","path":"members","value":`+entries(20_000, "")+`}`).want(200).size("members", 20_000)
	w.patch(g, `{"op":"remove","path":"members","value":`+entries(19_999, "")+`}`).want(200).size("members", 1)
}

func TestLimitOfMatchingMembers(t *testing.T) {
	w := newWorld(t, mem.New())
	g := w.group("G", w.user("ann", ""))
	ops := func(n int) string {
		return strings.TrimSuffix(strings.Repeat(`{"op":"remove","path":"members[display sw \"x\"]"},`, n), ",")
	}
	w.patch(g, ops(4)).want(200).size("members", 1)
	w.patch(g, ops(5)).refuses(413, "tooMany")
}

// Each of forty PATCHes of a large resource is small.
func TestLimitOfBulkWork(t *testing.T) {
	w := newWorld(t, mem.New())
	u := w.user("ann", `"nickName":"`+strings.Repeat("n", 200<<10)+`"`)
	var ops []string
	for i := range 40 {
		ops = append(ops, `{"method":"PATCH","path":"`+u+`","data":{"schemas":["`+patchURN+`"],"Operations":[`+
			strings.TrimSuffix(strings.Repeat(`{"op":"add","path":"title","value":"`+itoa(i)+`"},`, 10), ",")+`]}}`)
	}
	a := w.bulk(strings.Join(ops, ",")).want(200).size("Operations", 40)
	list, _ := a.json["Operations"].([]any)
	if at(list[0], "status") != "200" || at(list[39], "status") != "413" || at(list[39], "response/scimType") != "tooMany" {
		t.Errorf("the first is %v, the last %v", list[0], list[39])
	}
}

// Under a schema that is not known nobody knows how a name is spelled, and each is looked
// for among the others.
func TestLimitOfUnknownSchemas(t *testing.T) {
	w := newWorld(t, mem.New())
	members := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(`,"` + strings.Replace(format, "N", itoa(i), 1))
		}
		return b.String()[1:]
	}
	u := w.user("ann", members(500, `urn:x:N":{"a":1}`)+","+members(500, `urn:y:z:aN":1`))
	for _, format := range []string{`urn:x:N":{"a":1}`, `urn:y:z:aN":1`} {
		w.call("POST", "/Users", userBody("ben", members(9000, format))).refuses(413, "tooMany")
		w.patch(u, `{"op":"add","value":{`+members(9000, format)+`}}`).refuses(413, "tooMany")
	}
	w.patch(u, `{"op":"add","path":"urn:x:1","value":{`+members(10_000, `aN":1`)+`}},{"op":"add","path":"urn:x:1","value":{`+members(10_000, `bN":1`)+`}}`).refuses(413, "tooMany")
	w.call("GET", u, "").want(200).is("urn:x:1/a", 1.0).is("urn:y:z/a499", 1.0)
}
