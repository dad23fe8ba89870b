package dialect

import (
	"errors"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/scim/schema"
)

func knobs(t testing.TB, preset string) Knobs {
	t.Helper()
	k, ok := Preset(preset)
	if !ok {
		t.Fatalf("no preset %q", preset)
	}
	return k
}

// ops wraps operations as the RFC wants them.
func ops(list string) string {
	return `{"schemas":["` + PatchURN + `"],"Operations":[` + list + `]}`
}

func TestPatchDialects(t *testing.T) {
	t.Parallel()
	jane := func(more schema.Object) schema.Object {
		o := schema.Object{"userName": "jane", "active": true}
		maps.Copy(o, more)
		return o
	}
	work := schema.Object{"type": "work", "value": "a@example.com"}
	for _, tt := range []struct {
		name, body   string
		before, want schema.Object
	}{
		{
			"op in capitals, boolean as text", ops(`{"op":"Replace","path":"active","value":"False"}`),
			jane(nil),
			schema.Object{"userName": "jane", "active": false},
		},
		{
			"without a path", ops(`{"op":"replace","value":{"active":false}}`),
			jane(nil),
			schema.Object{"userName": "jane", "active": false},
		},
		{
			"without a path, dotted key", ops(`{"op":"replace","value":{"name.givenName":"Jane"}}`),
			jane(nil), jane(schema.Object{"name": schema.Object{"givenName": "Jane"}}),
		},
		{
			"null clears", ops(`{"op":"replace","path":"title","value":null}`),
			jane(schema.Object{"title": "Chief"}), jane(nil),
		},
		{
			"filtered add makes the value", ops(`{"op":"add","path":"emails[type eq \"work\"].value","value":"a@example.com"}`),
			jane(nil), jane(schema.Object{"emails": []any{work}}),
		},
		{
			"manager as text", ops(`{"op":"add","path":"` + schema.EnterpriseURN + `:manager","value":"7"}`),
			jane(nil), jane(schema.Object{schema.EnterpriseURN: schema.Object{"manager": schema.Object{"value": "7"}}}),
		},
		{
			"remove of a value path", ops(`{"op":"remove","path":"emails[type eq \"work\"]"}`),
			jane(schema.Object{"emails": []any{work}}), jane(nil),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := knobs(t, "entra")
			p, _, err := ReadPatch([]byte(tt.body), schema.User(), k)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Apply(tt.before, p.Ops, schema.User(), k)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPatchMembers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		want       Members
	}{
		{
			"add, then remove the same", ops(`{"op":"add","path":"members","value":[{"value":"1"}]},{"op":"remove","path":"members[value eq \"1\"]"}`),
			Members{Remove: []string{"1"}},
		},
		{
			"remove, then add the same", ops(`{"op":"remove","path":"members[value eq \"1\"]"},{"op":"add","path":"members","value":[{"value":"1"}]}`),
			Members{Add: []string{"1"}},
		},
		{
			"remove with a list takes only these", ops(`{"op":"Remove","path":"members","value":[{"value":"1"},{"value":"2"}]}`),
			Members{Remove: []string{"1", "2"}},
		},
		{"remove of all", ops(`{"op":"remove","path":"members"}`), Members{Replace: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _, err := ReadPatch([]byte(tt.body), schema.Group(), knobs(t, "entra"))
			if err != nil {
				t.Fatal(err)
			}
			got := p.Members
			if d := cmp.Diff(tt.want, got, cmp.Transformer("empty", func(s []string) string { return join(s) })); d != "" {
				t.Error(d)
			}
		})
	}
}

func join(list []string) (out string) {
	for _, s := range list {
		out += s + " "
	}
	return out
}

func TestResourceRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body string }{
		{"key twice in other case", `{"schemas":["` + schema.UserURN + `"],"userName":"a","USERNAME":"b"}`},
		{"trailing text", `{"schemas":["` + schema.UserURN + `"],"userName":"a"} x`},
		{"number for text", `{"schemas":["` + schema.UserURN + `"],"userName":"a","name":7}`},
		{"no userName", `{"schemas":["` + schema.UserURN + `"]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := Resource([]byte(tt.body), schema.User(), knobs(t, "default"))
			if e, ok := errors.AsType[*Error](err); !ok || e.Status != 400 || e.SCIMType == "" || e.Detail == "" {
				t.Errorf("got %#v, want a told 400", err)
			}
		})
	}
}
