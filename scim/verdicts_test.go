package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	lib "github.com/elimity-com/scim"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/store/mem"
)

// asked is the library with a handler that only notes that it was called.
type asked struct {
	lib.ResourceHandler
	called bool
}

func (a *asked) Create(*http.Request, lib.ResourceAttributes) (lib.Resource, error) {
	a.called = true
	return lib.Resource{ID: "0"}, nil
}

func (a *asked) Patch(*http.Request, string, []lib.PatchOperation) (lib.Resource, error) {
	a.called = true
	return lib.Resource{ID: "0"}, nil
}

// judge asks the library itself whether it lets a body pass.
type judge struct {
	t    testing.TB
	kind *kind
	lib  *library
	*asked
}

func newJudge(t testing.TB, k *kind) *judge {
	t.Helper()
	a := &asked{}
	l, err := newLibrary([]*kind{k}, a)
	if err != nil {
		t.Fatal(err)
	}
	return &judge{t, k, l, a}
}

func (j *judge) lets(method string, body []byte) bool {
	path := j.kind.typ.Endpoint
	if method == http.MethodPatch {
		path += "/0"
	}
	j.called = false
	j.lib.server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(j.t.Context(), method, path, bytes.NewReader(body)))
	return j.called
}

// texts finds strings, with the colon behind those that are names.
var texts = regexp.MustCompile(`"(?:\\.|[^"\\])*":?`)

// retold returns a body with another text for the nth of those that are no names.
func retold(body []byte, n int, text string) []byte {
	return texts.ReplaceAllFunc(body, func(b []byte) []byte {
		if b[len(b)-1] == ':' {
			return b
		}
		if n--; n == -1 {
			return schema.AppendString(nil, text)
		}
		return b
	})
}

// usersKind is the resource type of users, as a source without a configuration has it.
func usersKind(t testing.TB) *kind {
	t.Helper()
	return (*newWorld(t, mem.New()).server.sources.Load())["okta"].users
}

func TestShapes(t *testing.T) {
	v := usersKind(t).lets
	one := `{"schemas":["u"],"userName":"ann","active":true,"emails":[{"value":"a@b","primary":true}]}`
	for _, row := range []struct {
		what, other string
		same        bool
	}{
		{"other texts", strings.NewReplacer("ann", `b\"e\\`, "a@b", "").Replace(one), true},
		{"another name", strings.Replace(one, "userName", "nickName", 1), false},
		{"a name more", strings.Replace(one, `"active"`, `"title":"x","active"`, 1), false},
		{"another kind of value", strings.Replace(one, `"ann"`, "7", 1), false},
		{"a list for a value", strings.Replace(one, `"ann"`, `["ann"]`, 1), false},
		{"no value", strings.Replace(one, `"ann"`, "null", 1), false},
	} {
		if same := bytes.Equal(v.shape("POST", []byte(one)), v.shape("POST", []byte(row.other))); same != row.same {
			t.Errorf("%s: the same shape is %t, want %t", row.what, same, row.same)
		}
	}
	if a, b := v.shape("POST", []byte(`{"x":7}`)), v.shape("POST", []byte(`{"x":8}`)); bytes.Equal(a, b) {
		t.Error("two numbers are one shape")
	}
	if a, b := v.shape("POST", []byte(one)), v.shape("PUT", []byte(one)); bytes.Equal(a, b) {
		t.Error("two methods are one shape")
	}
	op := `{"Operations":[{"op":"add","path":"title","value":"x"}]}`
	for _, other := range []string{strings.Replace(op, "title", "nickName", 1), strings.Replace(op, "add", "remove", 1)} {
		if bytes.Equal(v.shape("PATCH", []byte(op)), v.shape("PATCH", []byte(other))) {
			t.Errorf("%s has the shape of %s", other, op)
		}
	}
}

func TestWhatTheLibraryAlwaysSees(t *testing.T) {
	v := usersKind(t).lets
	for _, body := range []string{
		``,
		`{"x509Certificates":[{"value":"bm8="}]}`,
		`{"Operations":[{"op":"add","path":"x509Certificates.value","value":"bm8="}]}`,
		`{"emails":[` + strings.Repeat(`{"value":"a"},`, maxShape/10) + `{"value":"a"}]}`,
	} {
		if v.shape("POST", []byte(body)) != nil {
			t.Errorf("%.60s has a shape", body)
		}
	}
	v.pass(nil)
	if v.hasPassed(nil) {
		t.Error("no shape has passed")
	}
}

func TestShapesAreForgottenWhenTheyAreTooMany(t *testing.T) {
	v := usersKind(t).lets
	for i := range 3 * maxShapes {
		v.pass(fmt.Appendf(nil, "%d", i))
	}
	if n := len(v.passed); n > maxShapes {
		t.Errorf("%d shapes are remembered, want at most %d", n, maxShapes)
	}
	if !v.hasPassed(fmt.Appendf(nil, "%d", 3*maxShapes-1)) {
		t.Error("the last one is forgotten")
	}
}

// anyText are texts that mean something to one or another.
var anyText = rapid.SampledFrom([]string{
	"", "x", "true", "12", "2008-01-23T04:56:22Z", "bm8=", `"\`, "remove", "title", "nonsense", "roles.value", schema.UserURN,
})

func anyValue(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Map(anyText, func(s string) any { return s }), rapid.Just(any(true)), rapid.Just(any(int64(7))), rapid.Just(any(1.5)),
	}
	if depth > 0 {
		in := rapid.Deferred(func() *rapid.Generator[any] { return anyValue(depth - 1) })
		names := rapid.SampledFrom([]string{"value", "type", "primary", "$ref", "givenName", "other"})
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(in, 0, 2), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(names, in, 0, 3), func(m map[string]any) any { return m }))
	}
	return rapid.OneOf(kinds...)
}

// anyBody returns what a POST or a PATCH of a user may hold, most of it wrong.
func anyBody(t *rapid.T, k *kind) (method string, body []byte) {
	names := []string{"userName", "name", "active", "emails", "title", "x509Certificates", "externalId", "roles", schema.EnterpriseURN}
	o := rapid.MapOfN(rapid.SampledFrom(names), anyValue(2), 0, 4).Draw(t, "resource")
	if rapid.Bool().Draw(t, "with a name") {
		o["userName"] = "ann"
	}
	if rapid.Bool().Draw(t, "certified") {
		o["x509Certificates"] = []any{schema.Object{"value": anyText.Draw(t, "certificate")}}
	}
	if rapid.Bool().Draw(t, "whole") {
		return http.MethodPost, schema.Encode(nil, k.typ, o)
	}
	path := rapid.SampledFrom(names).Draw(t, "path")
	value, err := json.Marshal(o[path])
	if err != nil {
		t.Fatal(err)
	}
	return http.MethodPatch, fmt.Appendf(nil, `{"schemas":[%q],"Operations":[{"op":"add","path":%q,"value":%s}]}`, dialect.PatchURN, path, value)
}

// What the library says of one body it says of each that has its shape.
func TestOneShapeOneVerdict(t *testing.T) {
	k := usersKind(t)
	j, agreed := newJudge(t, k), map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		method, one := anyBody(t, k)
		other := retold(one, rapid.IntRange(0, 6).Draw(t, "which"), anyText.Draw(t, "text"))
		shape := k.lets.shape(method, one)
		if shape == nil || !bytes.Equal(shape, k.lets.shape(method, other)) {
			return
		}
		a, b := j.lets(method, one), j.lets(method, other)
		if a != b {
			t.Fatalf("%s passes: %t; %s, of the same shape: %t", one, a, other, b)
		}
		agreed[a]++
	})
	if agreed[true] == 0 || agreed[false] == 0 {
		t.Errorf("verdicts compared: %v, want some of each", agreed)
	}
}

func TestARefusalIsNotRemembered(t *testing.T) {
	w := newWorld(t, mem.New())
	k := (*w.server.sources.Load())["okta"].users
	w.call("POST", "/Users", `{"schemas":["`+userURN+`"],"displayName":"Ann"}`).refuses(400, "invalidValue")
	if n := len(k.lets.passed); n != 0 {
		t.Errorf("%d shapes have passed, want none", n)
	}
	for _, name := range []string{"ann", "ben"} {
		w.user(name, "")
	}
	if n := len(k.lets.passed); n != 1 {
		t.Errorf("%d shapes have passed, want one", n)
	}
}
