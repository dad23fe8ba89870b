package state

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/identity"
)

// What is read of an object that is to be replaced comes to the same as all of it.
func TestReplacedIsAsGoodAsTheWhole(t *testing.T) {
	text := rapid.SampledFrom([]string{"x", "a b", `q"q`, `\`, "é", `,"raw":`, `{"size":3,"dn":[`, "}", "]"})
	instant := rapid.Map(rapid.Int64Range(0, 1<<40), func(ms int64) time.Time { return time.UnixMilli(ms).UTC() })
	scanned := 0
	rapid.Check(t, func(t *rapid.T) {
		some := func(what string) bool { return rapid.Bool().Draw(t, what) }
		o := storedObject{
			V: format, Source: "okta", Key: identity.Key(text.Draw(t, "key")), Name: text.Draw(t, "name"), Size: 2, Body: []byte(`{}`),
			Created: instant.Draw(t, "made"), Pushed: instant.Draw(t, "pushed"), External: text.Draw(t, "external"),
		}
		if some("gone") {
			o.Missing = instant.Draw(t, "gone at")
		}
		if some("locked") {
			o.Locked, o.Disabled = instant.Draw(t, "locked at"), identity.ReasonDisabled
		}
		if some("members") {
			o.Members = generation{7, 4}
		}
		if some("described") {
			o.DN, o.Profile = text.Draw(t, "dn"), map[string]string{"email": text.Draw(t, "email")}
			o.Attrs, o.Loose = identity.Attributes{"title": {text.Draw(t, "title"), "z"}}, []string{text.Draw(t, "loose")}
		}
		if some("newer") {
			o.Unknown = []byte(`{"later":1}`)
		}
		raw, err := encode(&o)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := scanReplaced(string(raw))
		if !ok {
			return
		}
		scanned++
		var want storedObject
		if err := decode("", raw, &want); err != nil {
			t.Fatal(err)
		}
		if a, b := want.claims(identity.UserMember(identity.UserID{})), got.claims(identity.UserMember(identity.UserID{})); !cmp.Equal(a, b) {
			t.Fatalf("it claims %v, want %v", b, a)
		}
		next := &identity.Record{Source: "okta", Key: "k", Name: "next", Pushed: &identity.Pushed{Body: []byte(`{"a":1}`)}}
		want.put(next)
		got.put(next)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("(-whole +scanned):\n%s", d)
		}
	})
	if scanned == 0 {
		t.Error("nothing was scanned")
	}
}
