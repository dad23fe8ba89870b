package dialect

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// FuzzPatch holds that applying leaves its input alone, and that the body of what was
// read is read again as the same. Body leaves out what no schema knows, and the values
// of a remove: such operations are not compared.
func FuzzPatch(f *testing.F) {
	for _, s := range []string{
		ops(`{"op":"Replace","path":"active","value":"False"}`),
		ops(`{"op":"replace","value":{"name.givenName":"Jane","title":null}}`),
		ops(`{"op":"add","path":"emails[type eq \"work\"].value","value":"a@example.com"}`),
		ops(`{"op":"add","path":"` + schema.EnterpriseURN + `:manager","value":"7"}`),
		ops(`{"op":"remove","path":"emails","value":[{"type":"work","value":"w@example.com"}]}`),
		ops(`{"op":"add","path":"urn:example:other:2.0:User:x","value":1}`),
		ops(`{"op":"remove","path":"emails[type eq \"work\"]"}`),
	} {
		f.Add([]byte(s))
	}
	k := knobs(f, "entra")
	fresh := func() schema.Object {
		return schema.Object{"userName": "jane", "title": "Chief", "emails": []any{schema.Object{"type": "work", "value": "w@example.com"}}}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, _, err := ReadPatch(body, schema.User(), k)
		if err != nil {
			return
		}
		o := fresh()
		once, err := Apply(o, p.Ops, schema.User(), k)
		if d := cmp.Diff(fresh(), o); d != "" {
			t.Fatalf("the input was changed: %s", d)
		}
		partial := func(op Op) bool { return op.urn != "" || op.ref.Attr == nil || op.Kind == Remove && op.Value != nil }
		if err != nil || len(p.Ops) == 0 || slices.ContainsFunc(p.Ops, partial) {
			return
		}
		again, _, err := ReadPatch(p.Body(), schema.User(), k)
		if err != nil {
			t.Fatalf("%s is not read again: %v", p.Body(), err)
		}
		twice, err := Apply(fresh(), again.Ops, schema.User(), k)
		if err != nil {
			t.Fatalf("%s: %v", p.Body(), err)
		}
		if d := cmp.Diff(once, twice, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%s means something else: %s", p.Body(), d)
		}
	})
}
