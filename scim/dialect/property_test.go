package dialect

import (
	"fmt"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// leaf draws a value without parts, good or bad for whatever it stands under.
func leaf() *rapid.Generator[any] {
	return rapid.OneOf(
		rapid.SampledFrom([]any{nil, "", "True", "false", "2011-05-13T04:42:34Z", "AAEC", `{"value":"v"}`, "x", "Ä", 1.5, 1e3, true, false, []any{}, map[string]any{}}),
		rapid.Map(rapid.StringMatching(`[a-c]{1,2}`), func(s string) any { return s }),
	)
}

// entry draws what may stand for one value of emails and the like.
func entry() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		if rapid.IntRange(0, 5).Draw(t, "kind") == 0 {
			return leaf().Draw(t, "leaf")
		}
		o := map[string]any{}
		for _, name := range []string{"value", "type", "primary", "display", "$ref", "color"} {
			if rapid.Bool().Draw(t, name) {
				o[name] = rapid.OneOf(leaf(), rapid.SampledFrom([]any{"work", "home", true})).Draw(t, "of "+name)
			}
		}
		return o
	})
}

// members draws the members of a user, as they may be sent.
func members() *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		o := map[string]any{}
		for _, name := range []string{"title", "Active", "externalId", "password", "color", "name.givenName", ent + ":department", "urn:x:2.0:User:badge", "urn:x:Badge", "urn:x:2.0:User"} {
			if rapid.IntRange(0, 3).Draw(t, name) == 0 {
				o[name] = leaf().Draw(t, "of "+name)
			}
		}
		for _, name := range []string{"emails", "roles", "x509Certificates", "phoneNumbers"} {
			if rapid.Bool().Draw(t, name) {
				list := rapid.SliceOfN(entry(), 0, 4).Draw(t, "of "+name)
				o[name] = list
				if len(list) == 1 && rapid.Bool().Draw(t, "alone") {
					o[name] = list[0]
				}
			}
		}
		for _, name := range []string{"name", schema.UserURN, ent, "urn:y:2.0:Thing"} {
			if rapid.IntRange(0, 2).Draw(t, name) == 0 {
				in := map[string]any{}
				for _, part := range []string{"givenName", "familyName", "department", "manager", "title", "deep"} {
					if rapid.IntRange(0, 3).Draw(t, part) == 0 {
						in[part] = entry().Draw(t, "of "+part)
					}
				}
				o[name] = in
			}
		}
		return o
	})
}

func asText(t *rapid.T, v any) []byte {
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// drawn is a resource that was drawn, read under a preset that was drawn too.
func drawn(t *rapid.T) (schema.Object, Knobs, bool) {
	k := rapid.SampledFrom(presets()).Draw(t, "preset").knobs
	in := members().Draw(t, "members")
	in["userName"], in["schemas"] = "ann", []string{schema.UserURN}
	p, _, err := Resource(asText(t, in), schema.User(), k)
	if err != nil {
		return nil, k, false
	}
	return p.Object, k, true
}

// holdsNothing returns where in a canonical value there is one that is none, or "".
func holdsNothing(v any, path string) string {
	switch v := v.(type) {
	case nil:
		return path
	case schema.Object:
		for name, x := range v {
			if at := holdsNothing(x, path+"/"+name); at != "" {
				return at
			}
		}
		if len(v) == 0 && path != "" {
			return path
		}
	case []any:
		for i, x := range v {
			if at := holdsNothing(x, fmt.Sprintf("%s/%d", path, i)); at != "" {
				return at
			}
		}
		if len(v) == 0 {
			return path
		}
	case string, bool, int64, float64:
	default:
		return fmt.Sprintf("%s is a %T", path, v)
	}
	return ""
}

func TestReadingIsAFixpoint(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o, k, ok := drawn(t)
		if !ok {
			return
		}
		if at := holdsNothing(o, ""); at != "" {
			t.Fatalf("%v holds nothing at %s", o, at)
		}
		text := schema.Encode(nil, schema.User(), o)
		again, _, err := Resource(text, schema.User(), k)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if d := cmp.Diff(o, again.Object); d != "" {
			t.Fatalf("%s is read as another: %s", text, d)
		}
		stored, err := schema.Decode(text, schema.User())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(o, stored); d != "" {
			t.Fatalf("%s is decoded as another: %s", text, d)
		}
	})
}

// operation draws an operation. Filters are on what no operation changes: a path that
// finds other values the second time is not the same operation.
func operation(kinds ...string) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		op := map[string]any{"op": rapid.SampledFrom(kinds).Draw(t, "op")}
		path := rapid.SampledFrom([]string{
			"", "title", "active", "emails", "roles", "name", "name.givenName", ent, ent + ":manager", ent + ":department",
			`emails[type eq "work"]`, `emails[type eq "work"].value`, `emails[type eq "home" or type eq "work"].display`, `emails[type eq "work"].primary`, "emails.display",
			"urn:x:2.0:User", "urn:x:2.0:User:badge", "urn:x:Badge", "urn:y:2.0:Thing:deep",
		}).Draw(t, "path")
		switch path {
		case "":
			op["value"] = members().Draw(t, "value")
		case "emails", "roles":
			op["path"], op["value"] = path, rapid.SliceOfN(entry(), 0, 3).Draw(t, "value")
		case `emails[type eq "work"]`:
			op["path"], op["value"] = path, map[string]any{"value": "n", "display": leaf().Draw(t, "value")}
		default:
			op["path"], op["value"] = path, rapid.OneOf(leaf(), entry()).Draw(t, "value")
		}
		return op
	})
}

func checkPatch(t *testing.T, n int, kinds []string, holds func(t *rapid.T, before, after schema.Object, ops []Op, k Knobs)) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		o, k, ok := drawn(t)
		if !ok {
			return
		}
		body := asText(t, map[string]any{"schemas": []string{PatchURN}, "Operations": rapid.SliceOfN(operation(kinds...), 1, n).Draw(t, "operations")})
		p, _, err := ReadPatch(body, schema.User(), k)
		if err != nil {
			return
		}
		before, _ := clone(o).(schema.Object)
		after, err := Apply(o, p.Ops, schema.User(), k)
		if d := cmp.Diff(before, o); d != "" {
			t.Fatalf("%s changed its input: %s", body, d)
		}
		if err != nil {
			if after != nil {
				t.Fatalf("%s is refused, and yet means %v", body, after)
			}
			return
		}
		holds(t, before, after, p.Ops, k)
	})
}

func TestApplyIsCanonicalAndRepeatable(t *testing.T) {
	t.Parallel()
	checkPatch(t, 5, []string{"add", "remove", "replace"}, func(t *rapid.T, before, after schema.Object, ops []Op, k Knobs) {
		if at := holdsNothing(after, ""); at != "" {
			t.Fatalf("%v holds nothing at %s", after, at)
		}
		for name, v := range after {
			list, _ := v.([]any)
			marked := 0
			for _, e := range list {
				if isPrimary(e) {
					marked++
				}
			}
			if marked > 1 {
				t.Fatalf("%s has %d primary values: %v", name, marked, v)
			}
		}
		// A write that was overtaken is applied again, to another revision.
		again, err := Apply(before, ops, schema.User(), k)
		if d := cmp.Diff(after, again); err != nil || d != "" {
			t.Fatalf("the same operations mean something else: %v %s", err, d)
		}
	})
}

func TestTheSecondTimeChangesNothing(t *testing.T) {
	t.Parallel()
	checkPatch(t, 1, []string{"remove", "replace"}, func(t *rapid.T, _, after schema.Object, ops []Op, k Knobs) {
		twice, err := Apply(after, ops, schema.User(), k)
		if d := cmp.Diff(after, twice); err != nil || d != "" {
			t.Fatalf("%v: the second time changes %v\n%s", err, after, d)
		}
	})
}
