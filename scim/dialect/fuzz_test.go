package dialect

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// seeds adds bodies, each under every preset.
func seeds(f *testing.F, more ...string) {
	f.Helper()
	for _, s := range more {
		for preset := range presets() {
			f.Add([]byte(s), uint8(preset))
		}
	}
}

// presetAt returns the knobs of a preset by its number.
func presetAt(n uint8) Knobs {
	all := presets()
	return all[int(n)%len(all)].knobs
}

// FuzzResource holds that a body is refused with an answer, or read as something
// canonical that is read again as the same.
func FuzzResource(f *testing.F) {
	seeds(f, user(mails+worker+address), user(`,"emails":{"value":"a"},"active":"True","`+ent+`":{"manager":"7"}`),
		user(`,"roles":[{"value":"{\"id\":\"7\",\"value\":\"Admin\"}"}],"x509Certificates":["AAEC"]`),
		user(`,"urn:x:2.0:User:badge":"7","urn:x:Badge":{"a":[1,null,{"b":1e3}]},"urn:X:2.0:User":{"c":-0.0}`),
		user(`,"name.givenName":"A","department":"D","meta":null,"meta.created":"2011-05-13T04:42:34Z","password":"p","color":["red"]`), `[]`, `{"userName":"\ud800"}`)
	f.Fuzz(func(t *testing.T, body []byte, n uint8) {
		k := presetAt(n)
		for _, typ := range []*schema.ResourceType{schema.User(), schema.Group()} {
			p, notes, err := Resource(body, typ, k)
			if len(notes) > maxNoted {
				t.Fatalf("%d notes", len(notes))
			}
			if err != nil {
				told(t, err)
				continue
			}
			if at := holdsNothing(p.Object, ""); at != "" {
				t.Fatalf("%v holds nothing at %s", p.Object, at)
			}
			text := schema.Encode(nil, typ, p.Object)
			again, _, err := Resource(text, typ, k)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if d := cmp.Diff(p.Object, again.Object); d != "" {
				t.Fatalf("%s is read as another: %s", text, d)
			}
		}
	})
}

// told checks that an error is an answer.
func told(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Status < 400 || e.Status > 499 || e.SCIMType == "" || e.Detail == "" || len(e.Detail) > 2000 {
		t.Fatalf("%#v is no answer", err)
	}
}

// FuzzApply holds that operations are refused with an answer, or make something canonical
// of a resource, which itself stays as it is.
func FuzzApply(f *testing.F) {
	seeds(f, ops(`{"op":"Replace","path":"active","value":"False"}`),
		ops(`{"op":"replace","value":{"name.givenName":"Jane","title":null,"schemas":[],"emails[type eq \"x\"].value":"a"}}`),
		ops(`{"op":"add","path":"emails[type eq \"work\" and primary eq \"True\"].value","value":"a@example.com"},{"op":"replace","path":"emails.primary","value":true}`),
		ops(`{"op":"add","path":"`+ent+`:manager","value":"7"},{"op":"remove","path":"`+ent+`"}`),
		ops(`{"op":"remove","path":"emails","value":[{"type":"work","value":"w@x"}]},{"op":"remove","path":"emails.type"}`),
		ops(`{"op":"add","path":"urn:x:2.0:User:a","value":1},{"op":"add","path":"urn:x:Badge","value":{"b":[{}]}}`),
		ops(`{"op":"add","path":"members","value":["1",{"value":"2"}]},{"op":"Remove","path":"members","value":[{"value":"1"}]},{"op":"remove","path":"members[value eq \"2\" or value eq \"3\"]"}`),
		ops(`{"op":"remove","path":"members[type eq \"Group\"]"},{"op":"replace","path":"members[value eq \"1\"]","value":{"value":"2"}},{"op":"replace","value":{"members":null,"displayName":"G"}}`),
		ops(`{"op":"replace","path":"emails[type eq \"work\" or type eq \"home\"]","value":{"value":"x","primary":true}}`),
		ops(`{"op":"add","path":"roles","value":["a",{"value":"b","primary":true},{"value":"a"}]},{"op":"replace","path":"userName","value":""}`))
	stored, err := schema.Decode([]byte(user(mails+worker+`,"urn:x:2.0:User":{"a":1}`)), schema.User())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, n uint8) {
		k := presetAt(n)
		if g, _, err := ReadPatch(body, schema.Group(), k); err != nil {
			told(t, err)
		} else if both := slices.ContainsFunc(g.Members.Add, func(id string) bool { return slices.Contains(g.Members.Remove, id) }); both {
			t.Fatalf("a member is added and removed: %v", g.Members)
		}
		p, notes, err := ReadPatch(body, schema.User(), k)
		if len(notes) > maxNoted {
			t.Fatalf("%d notes", len(notes))
		}
		if err != nil {
			told(t, err)
			return
		}
		o, _ := clone(stored).(schema.Object)
		after, err := Apply(o, p.Ops, schema.User(), k)
		if d := cmp.Diff(stored, o); d != "" {
			t.Fatalf("the input was changed: %s", d)
		}
		if err != nil {
			told(t, err)
			return
		}
		if at := holdsNothing(after, ""); at != "" {
			t.Fatalf("%v holds nothing at %s", after, at)
		}
		again, err := Apply(stored, p.Ops, schema.User(), k)
		if d := cmp.Diff(after, again); err != nil || d != "" {
			t.Fatalf("the same operations mean something else: %v %s", err, d)
		}
	})
}

// FuzzPatch holds that applying leaves its input alone, and that the body of what was
// read is read again as the same. Body leaves out what no schema knows, filters, and
// the values of a remove: such operations are not compared.
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
		partial := func(op Op) bool {
			return op.urn != "" || op.ref.Attr == nil || op.Kind == Remove && op.Value != nil || op.entries != nil
		}
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
