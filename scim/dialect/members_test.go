package dialect

import (
	"testing"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// TestMembersByOtherFilters is about paths that do not name members by their ids.
func TestMembersByOtherFilters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		shows, ops, kind string
		matching         int
		members          string
	}{
		{"by their type", `{"op":"remove","path":"members[type eq \"Group\"]"}`, "", 1, ""},
		{"by their type, then another comes", `{"op":"remove","path":"members[type eq \"Group\"]"},{"op":"add","path":"members","value":[{"value":"1"}]}`, "", 1, "1 "},
		{"by their type, after another came", `{"op":"add","path":"members","value":[{"value":"1"}]},{"op":"remove","path":"members[type eq \"Group\"]"}`, "invalidFilter", 0, ""},
		{"by what members do not have", `{"op":"remove","path":"members[color eq \"red\"]"}`, "invalidFilter", 0, ""},
		{"add to those of a type", `{"op":"add","path":"members[type eq \"Group\"]","value":{"value":"1"}}`, "invalidFilter", 0, ""},
		{"add by the id", `{"op":"add","path":"members[value eq \"1\"]","value":{"value":"1"}}`, "", 0, "1 "},
		{"put another in the place of one", `{"op":"replace","path":"members[value eq \"1\"]","value":{"value":"2"}}`, "", 0, "2 "},
		{"what is said of one", `{"op":"remove","path":"members[value eq \"1\"].display"},{"op":"replace","path":"members.display","value":"x"}`, "", 0, ""},
		{"by the value alone", `{"op":"add","path":"members.value","value":"1"}`, "", 0, "1 "},
	} {
		t.Run(tt.shows, func(t *testing.T) {
			t.Parallel()
			p, _, err := ReadPatch([]byte(ops(tt.ops)), schema.Group(), lenient())
			if tt.kind != "" {
				refused(t, err, tt.kind)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := len(p.Members.Matching); got != tt.matching {
				t.Errorf("%d filters, want %d", got, tt.matching)
			}
			if got := join(p.Members.Add); got != tt.members {
				t.Errorf("added %q, want %q", got, tt.members)
			}
			if want := tt.matching > 0 || tt.members != ""; p.Members.Touches() != want {
				t.Errorf("Touches() = %v, want %v", p.Members.Touches(), want)
			}
			if len(p.Body()) == 0 && p.Members.Touches() {
				t.Error("the body of a PATCH of members is empty")
			}
		})
	}
}

// TestBodyHoldsWhatSchemasKnow reads what the library is given.
func TestBodyHoldsWhatSchemasKnow(t *testing.T) {
	t.Parallel()
	p, _, err := Resource([]byte(user(`,"title":"T","urn:x:1.0:Badge":{"a":1}`+worker)), schema.User(), lenient())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schemas":["` + schema.UserURN + `","` + ent + `"],"userName":"ann","title":"T"` + worker + `}`
	if got := string(p.Body(schema.User())); got != want {
		t.Errorf("Body() = %s, want %s", got, want)
	}
	q, _, err := ReadPatch([]byte(ops(`{"op":"add","path":"urn:x:1.0:Badge","value":{"a":1}}`)), schema.User(), lenient())
	if err != nil {
		t.Fatal(err)
	}
	if got := q.Body(); got != nil {
		t.Errorf("Body() = %s, want nothing", got)
	}
}
