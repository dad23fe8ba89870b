package scim

import (
	"testing"

	"github.com/rollcall-id/rollcall/store/mem"
)

// patched is one PATCH of a user and what it makes of him.
type patched struct {
	section string
	shows   string
	preset  string
	with    string // further members of the user
	ops     string
	want    []any // pairs of path and value; nil: the path is not there
	status  int   // default: 200
	kind    string
}

const mails = `"emails":[{"value":"w@x","type":"work","primary":true},{"value":"h@x","type":"home"}]`

func checkPatches(t *testing.T, rows []patched) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.section+"/"+row.shows, func(t *testing.T) {
			t.Parallel()
			if row.preset == "" {
				row.preset = "rfc"
			}
			w := newWorld(t, mem.New(), presetOf("okta", row.preset))
			u := w.user("ann", row.with)
			before := w.call("GET", u, "")
			a := w.patch(u, row.ops)
			if row.kind != "" {
				a.refuses(max(row.status, 400), row.kind)
				if after := w.call("GET", u, ""); after.body != before.body {
					t.Errorf("a refused PATCH changed\n%s\nto\n%s", before.body, after.body)
				}
				return
			}
			a.want(200)
			for _, a := range []*answer{a, w.call("GET", u, "").want(200)} {
				for i := 0; i < len(row.want); i += 2 {
					a.is(row.want[i].(string), row.want[i+1])
				}
			}
		})
	}
}

func TestRFC7644_3_5_2_Modifying(t *testing.T) {
	checkPatches(t, []patched{
		{
			section: "3.5.2", shows: "operations happen one after another", with: `"title":"a"`,
			ops: `{"op":"replace","path":"title","value":"b"},{"op":"remove","path":"title"},{"op":"add","path":"nickName","value":"n"}`, want: []any{"title", nil, "nickName", "n"},
		},
		{
			section: "3.5.2", shows: "all or none", with: `"title":"a"`,
			ops: `{"op":"replace","path":"title","value":"b"},{"op":"replace","path":"active","value":"nonsense"}`, kind: "invalidValue",
		},
		{section: "3.5.2", shows: "op in any case", ops: `{"op":"Add","path":"title","value":"b"},{"op":"REPLACE","path":"nickName","value":"n"}`, want: []any{"title", "b", "nickName", "n"}},
		{section: "3.5.2", shows: "names in any case", ops: `{"op":"add","path":"TITLE","value":"b"}`, want: []any{"title", "b"}},
		{section: "3.5.2", shows: "a path with the schema's URN", ops: `{"op":"add","path":"` + userURN + `:name.givenName","value":"A"}`, want: []any{"name/givenName", "A"}},
		{
			section: "3.5.2", shows: "a new primary value takes the mark from the old", with: mails,
			ops: `{"op":"add","path":"emails","value":[{"value":"n@x","primary":true}]}`, want: []any{"emails/2/primary", true, "emails/0/primary", false},
		},
		{
			section: "3.5.2", shows: "a value made primary takes the mark from the old", with: mails,
			ops: `{"op":"replace","path":"emails[type eq \"home\"].primary","value":true}`, want: []any{"emails/1/primary", true, "emails/0/primary", false},
		},
		{section: "3.5.2", shows: "what is read-only is mutability", ops: `{"op":"replace","path":"id","value":"x"}`, kind: "mutability"},
		{section: "3.5.2", shows: "meta is read-only", ops: `{"op":"replace","path":"meta.created","value":"2011-05-13T04:42:34Z"}`, kind: "mutability"},
		{section: "3.5.2", shows: "schemas is read-only when strict", preset: "strict", ops: `{"op":"replace","path":"schemas","value":["x"]}`, kind: "mutability"},
		{section: "3.5.2", shows: "schemas follow from the attributes", ops: `{"op":"add","path":"schemas","value":["` + enterpriseURN + `"]}`, want: []any{"schemas/1", nil, "schemas/0", userURN}},
		{section: "3.5.2", shows: "groups is read-only", ops: `{"op":"add","path":"groups","value":[{"value":"g"}]}`, kind: "mutability"},
		{section: "3.5.2", shows: "a path that is none is invalidPath", ops: `{"op":"add","path":"emails[type eq","value":"x"}`, kind: "invalidPath"},
		{section: "3.5.2", shows: "a path into what has no parts is invalidPath", ops: `{"op":"add","path":"userName.userName","value":"x"}`, kind: "invalidPath"},
		{section: "3.5.2", shows: "a path with a URN into what has no parts is invalidPath", ops: `{"op":"remove","path":"` + enterpriseURN + `:department.name"}`, kind: "invalidPath"},
		{section: "3.5.2", shows: "an unknown op is invalidSyntax", ops: `{"op":"move","path":"title","value":"x"}`, kind: "invalidSyntax"},
		{section: "3.5.2", shows: "no op is invalidSyntax", ops: `{"path":"title","value":"x"}`, kind: "invalidSyntax"},
		{section: "3.5.2", shows: "a value of the wrong type is invalidValue", ops: `{"op":"replace","path":"name","value":5}`, kind: "invalidValue"},
		{section: "3.5.2", shows: "a path beyond all schemas is invalidPath when strict", preset: "strict", ops: `{"op":"add","path":"nothing","value":"x"}`, kind: "invalidPath"},
		{section: "3.5.2", shows: "another's name is 409", ops: `{"op":"replace","path":"userName","value":"ann"},{"op":"replace","path":"userName","value":""}`, kind: "mutability"},
	})
	check(t, []clause{
		{"3.5.2", "200 with the resource", "", func(w *world) {
			w.patch(w.user("ann", ""), `{"op":"add","path":"title","value":"x"}`).want(200).is("userName", "ann").is("title", "x").has("meta/version")
		}},
		{"3.5.2", "a taken name is 409 uniqueness", "", func(w *world) {
			w.user("ben", `"externalId":"b"`)
			u := w.user("ann", "")
			w.patch(u, `{"op":"replace","path":"userName","value":"Ben"}`).refuses(409, "uniqueness")
			w.patch(u, `{"op":"replace","path":"externalId","value":"b"}`).refuses(409, "uniqueness")
			w.patch(u, `{"op":"replace","value":{"userName":"ben"}}`).refuses(409, "uniqueness")
		}},
		{"3.5.2", "the schema is required when strict", "strict", func(w *world) {
			u := w.user("ann", "")
			w.call("PATCH", u, `{"Operations":[{"op":"add","path":"title","value":"x"}]}`).refuses(400, "invalidSyntax")
			w.call("PATCH", u, `{"schemas":["`+patchURN+`"]}`).refuses(400, "invalidSyntax")
			w.call("PATCH", u, `{"schemas":["`+patchURN+`"],"Operations":[]}`).refuses(400, "invalidSyntax")
			w.call("PATCH", u, `{"schemas":["`+patchURN+`"],"Operations":{}}`).refuses(400, "invalidSyntax")
		}},
		{"3.5.2", "no operations change nothing", "", func(w *world) {
			u := w.user("ann", "")
			before := w.call("GET", u, "").body
			if got := w.patch(u, "").want(200).body; got != before {
				w.t.Errorf("%s became %s", before, got)
			}
		}},
		{"3.5.2", "what cannot be read is invalidSyntax", "", func(w *world) {
			u := w.user("ann", "")
			for _, body := range []string{"", "{", "[]", `{"Operations":[5]}`, `{"Operations":"x"}`, `{}`} {
				w.call("PATCH", u, body, "Content-Type", mediaType).refuses(400, "invalidSyntax")
			}
		}},
	})
}

func TestRFC7644_3_5_2_1_Add(t *testing.T) {
	checkPatches(t, []patched{
		{section: "3.5.2.1", shows: "a new attribute", ops: `{"op":"add","path":"title","value":"x"}`, want: []any{"title", "x"}},
		{section: "3.5.2.1", shows: "an attribute that is there is replaced", with: `"title":"a"`, ops: `{"op":"add","path":"title","value":"x"}`, want: []any{"title", "x"}},
		{
			section: "3.5.2.1", shows: "without a path", with: mails, ops: `{"op":"add","value":{"emails":[{"value":"n@x","type":"other"}],"nickName":"B"}}`,
			want: []any{"emails/2/value", "n@x", "emails/0/value", "w@x", "nickName", "B"},
		},
		{section: "3.5.2.1", shows: "values to a list", with: mails, ops: `{"op":"add","path":"emails","value":[{"value":"n@x","type":"other"}]}`, want: []any{"emails/2/value", "n@x"}},
		{section: "3.5.2.1", shows: "a value that is there is not there twice", with: mails, ops: `{"op":"add","path":"emails","value":[{"value":"h@x","type":"home"}]}`, want: []any{"emails/2", nil}},
		{
			section: "3.5.2.1", shows: "sub-attributes to a complex attribute", with: `"name":{"givenName":"A"}`, ops: `{"op":"add","path":"name","value":{"familyName":"B"}}`,
			want: []any{"name/givenName", "A", "name/familyName", "B"},
		},
		{section: "3.5.2.1", shows: "a sub-attribute", ops: `{"op":"add","path":"name.givenName","value":"A"}`, want: []any{"name/givenName", "A"}},
		{
			section: "3.5.2.1", shows: "to a value that a filter names", with: mails, ops: `{"op":"add","path":"emails[type eq \"work\"].display","value":"W"}`,
			want: []any{"emails/0/display", "W", "emails/1/display", nil, "emails/0/value", "w@x"},
		},
		{
			section: "3.5.2.1", shows: "an extension's attribute", ops: `{"op":"add","path":"` + enterpriseURN + `:department","value":"D"}`,
			want: []any{enterpriseURN + "/department", "D", "schemas/1", enterpriseURN},
		},
		{section: "3.5.2.1", shows: "an extension without a path", ops: `{"op":"add","value":{"` + enterpriseURN + `":{"department":"D"}}}`, want: []any{enterpriseURN + "/department", "D"}},
		{section: "3.5.2.1", shows: "a whole extension", ops: `{"op":"add","path":"` + enterpriseURN + `","value":{"department":"D"}}`, want: []any{enterpriseURN + "/department", "D"}},
		{section: "3.5.2.1", shows: "without a value", ops: `{"op":"add","path":"title"}`, kind: "invalidValue"},
		{section: "3.5.2.1", shows: "without a path and an object", ops: `{"op":"add","value":"x"}`, kind: "invalidValue"},
	})
	check(t, []clause{
		{"3.5.2.1", "a member to a group", "", func(w *world) {
			a, b := w.user("ann", ""), w.user("ben", "")
			g := w.group("G", a)
			w.patch(g, `{"op":"add","path":"members","value":[{"display":"ben","$ref":"x","value":"`+idOf(b)+`"}]}`).want(200).size("members", 2)
			w.patch(g, `{"op":"add","path":"members","value":[{"value":"`+idOf(b)+`"}]}`).want(200).size("members", 2)
		}},
	})
}

func TestRFC7644_3_5_2_2_Remove(t *testing.T) {
	checkPatches(t, []patched{
		{section: "3.5.2.2", shows: "without a path is noTarget", ops: `{"op":"remove"}`, kind: "noTarget"},
		{section: "3.5.2.2", shows: "an attribute", with: `"title":"a"`, ops: `{"op":"remove","path":"title"}`, want: []any{"title", nil}},
		{section: "3.5.2.2", shows: "an attribute that is not there", ops: `{"op":"remove","path":"title"}`, want: []any{"title", nil, "userName", "ann"}},
		{section: "3.5.2.2", shows: "a list", with: mails, ops: `{"op":"remove","path":"emails"}`, want: []any{"emails", nil}},
		{section: "3.5.2.2", shows: "values that a filter names", with: mails, ops: `{"op":"remove","path":"emails[type eq \"work\"]"}`, want: []any{"emails/0/value", "h@x", "emails/1", nil}},
		{section: "3.5.2.2", shows: "values that a filter of several terms names", with: mails, ops: `{"op":"remove","path":"emails[(type eq \"work\" or type eq \"x\" or type eq \"y\") and not (value sw \"h\")]"}`, want: []any{"emails/0/value", "h@x", "emails/1", nil}},
		{section: "3.5.2.2", shows: "the last value leaves no list", with: mails, ops: `{"op":"remove","path":"emails[value ew \"@x\"]"}`, want: []any{"emails", nil}},
		{
			section: "3.5.2.2", shows: "a sub-attribute of values that a filter names", with: mails, ops: `{"op":"remove","path":"emails[type eq \"work\"].type"}`,
			want: []any{"emails/0/type", nil, "emails/0/value", "w@x", "emails/1/type", "home"},
		},
		{section: "3.5.2.2", shows: "a sub-attribute", with: `"name":{"givenName":"A","familyName":"B"}`, ops: `{"op":"remove","path":"name.givenName"}`, want: []any{"name/givenName", nil, "name/familyName", "B"}},
		{section: "3.5.2.2", shows: "a complex attribute", with: `"name":{"givenName":"A"}`, ops: `{"op":"remove","path":"name"}`, want: []any{"name", nil}},
		{section: "3.5.2.2", shows: "an extension", with: `"` + enterpriseURN + `":{"department":"D"}`, ops: `{"op":"remove","path":"` + enterpriseURN + `"}`, want: []any{enterpriseURN, nil, "schemas/1", nil}},
		{section: "3.5.2.2", shows: "an extension's last attribute", with: `"` + enterpriseURN + `":{"department":"D"}`, ops: `{"op":"remove","path":"` + enterpriseURN + `:department"}`, want: []any{enterpriseURN, nil, "schemas/1", nil}},
		{section: "3.5.2.2", shows: "a list, whatever an empty value says", preset: "strict", with: mails, ops: `{"op":"remove","path":"emails","value":""}`, want: []any{"emails", nil}},
		{section: "3.5.2.2", shows: "what is required is mutability", ops: `{"op":"remove","path":"userName"}`, kind: "mutability"},
		{section: "3.5.2.2", shows: "what is read-only is mutability", ops: `{"op":"remove","path":"groups"}`, kind: "mutability"},
		{section: "3.5.2.2", shows: "values that no filter finds", with: mails, ops: `{"op":"remove","path":"emails[type eq \"other\"]"}`, want: []any{"emails/1/value", "h@x"}},
	})
	check(t, []clause{
		{"3.5.2.2", "all members, whatever an empty value says", "strict", func(w *world) {
			g := w.group("G", w.user("ann", ""), w.user("ben", ""))
			w.patch(g, `{"op":"remove","path":"members","value":""}`).want(200).lacks("members")
		}},
		{"3.5.2.2", "one member, several, and all", "", func(w *world) {
			a, b, c, d := w.user("ann", ""), w.user("ben", ""), w.user("cleo", ""), w.user("dan", "")
			g := w.group("G", a, b, c, d)
			w.patch(g, `{"op":"replace","path":"members[value eq \"`+idOf(a)+`\"].value","value":"`+idOf(a)+`"}`).want(200).size("members", 4)
			w.patch(g, `{"op":"replace","path":"members[value eq \"`+idOf(a)+`\"].value","value":"other"}`).refuses(400, "mutability")
			w.patch(g, `{"op":"remove","path":"members[value eq \"`+idOf(a)+`\"]"}`).want(200).size("members", 3)
			w.patch(g, `{"op":"remove","path":"members[value eq \"`+idOf(b)+`\" or value eq \"`+idOf(c)+`\"]"}`).want(200).size("members", 1).is("members/0/value", idOf(d))
			w.patch(g, `{"op":"remove","path":"members"}`).want(200).lacks("members")
		}},
		{"3.5.2.2", "members by another of their sub-attributes", "", func(w *world) {
			a, b := w.user("ann", ""), w.group("B")
			g := w.group("G", a, b)
			w.patch(g, `{"op":"remove","path":"members[type eq \"Group\"]"}`).want(200).size("members", 1).is("members/0/value", idOf(a))
			w.patch(g, `{"op":"remove","path":"members[display eq \"ann\"]"},{"op":"add","path":"members","value":[{"value":"`+idOf(b)+`"}]}`).want(200).size("members", 1).is("members/0/value", idOf(b))
			w.patch(g, `{"op":"remove","path":"members[type pr]"},{"op":"add","path":"members","value":[{"value":"`+idOf(b)+`"}]}`).want(200).size("members", 1)
		}},
		{"3.5.2.2", "a group's required name is mutability", "", func(w *world) {
			w.patch(w.group("G"), `{"op":"remove","path":"displayName"}`).refuses(400, "mutability")
		}},
	})
}

func TestRFC7644_3_5_2_3_Replace(t *testing.T) {
	checkPatches(t, []patched{
		{section: "3.5.2.3", shows: "a value that a filter finds, sent as a list of one", preset: "strict", with: mails, ops: `{"op":"replace","path":"emails[type eq \"home\"]","value":[{"value":"n@x","type":"home"}]}`, want: []any{"emails/1/value", "n@x", "emails/2", nil}},
		{section: "3.5.2.3", shows: "an attribute", with: `"title":"a"`, ops: `{"op":"replace","path":"title","value":"x"}`, want: []any{"title", "x"}},
		{section: "3.5.2.3", shows: "an attribute that is not there is added", ops: `{"op":"replace","path":"title","value":"x"}`, want: []any{"title", "x"}},
		{
			section: "3.5.2.3", shows: "without a path", with: mails, ops: `{"op":"replace","value":{"emails":[{"value":"n@x"}],"nickName":"B"}}`,
			want: []any{"emails/0/value", "n@x", "emails/1", nil, "nickName", "B"},
		},
		{section: "3.5.2.3", shows: "a list", with: mails, ops: `{"op":"replace","path":"emails","value":[{"value":"n@x"}]}`, want: []any{"emails/0/value", "n@x", "emails/1", nil}},
		{section: "3.5.2.3", shows: "a sub-attribute", with: `"name":{"givenName":"A","familyName":"B"}`, ops: `{"op":"replace","path":"name.givenName","value":"C"}`, want: []any{"name/givenName", "C", "name/familyName", "B"}},
		{
			section: "3.5.2.3", shows: "a complex attribute gets the sub-attributes that are given", with: `"name":{"givenName":"A","familyName":"B"}`,
			ops: `{"op":"replace","path":"name","value":{"givenName":"C"}}`, want: []any{"name/givenName", "C"},
		},
		{
			section: "3.5.2.3", shows: "values that a filter names", with: mails, ops: `{"op":"replace","path":"emails[type eq \"work\"]","value":{"value":"n@x","type":"other"}}`,
			want: []any{"emails/0/value", "n@x", "emails/0/type", "other", "emails/0/primary", nil, "emails/1/value", "h@x"},
		},
		{
			section: "3.5.2.3", shows: "a sub-attribute of every value that a filter names", with: mails, ops: `{"op":"replace","path":"emails[value ew \"@x\"].display","value":"D"}`,
			want: []any{"emails/0/display", "D", "emails/1/display", "D"},
		},
		{
			section: "3.5.2.3", shows: "values that a filter of several terms names", with: mails, ops: `{"op":"replace","path":"emails[type eq \"work\" and value ew \"x\" and primary eq true]","value":{"value":"n@x"}}`,
			want: []any{"emails/0/value", "n@x", "emails/1/value", "h@x"},
		},
		{section: "3.5.2.3", shows: "a filter that finds nothing is noTarget", with: mails, ops: `{"op":"replace","path":"emails[type eq \"other\"].value","value":"D"}`, kind: "noTarget"},
		{
			section: "3.5.2.3", shows: "a filter that finds nothing creates for those who want it", preset: "default", with: mails, ops: `{"op":"replace","path":"emails[type eq \"other\"].value","value":"D"}`,
			want: []any{"emails/2/type", "other", "emails/2/value", "D"},
		},
		{section: "3.5.2.3", shows: "a value that a filter names, in a list of one", with: mails, ops: `{"op":"replace","path":"emails[type eq \"work\"]","value":[{"value":"n@x"}]}`, want: []any{"emails/0/value", "n@x", "emails/1/value", "h@x"}},
		{section: "3.5.2.3", shows: "without a path, in a list of one", ops: `{"op":"replace","value":[{"nickName":"B"}]}`, want: []any{"nickName", "B"}},
		{section: "3.5.2.3", shows: "no list of one when strict", preset: "strict", ops: `{"op":"replace","value":[{"nickName":"B"}]}`, kind: "invalidValue"},
		{
			section: "3.5.2.3", shows: "an extension's attribute", with: `"` + enterpriseURN + `":{"department":"D","division":"E"}`, ops: `{"op":"replace","path":"` + enterpriseURN + `:department","value":"F"}`,
			want: []any{enterpriseURN + "/department", "F", enterpriseURN + "/division", "E"},
		},
		{section: "3.5.2.3", shows: "a complex attribute of an extension", ops: `{"op":"replace","path":"` + enterpriseURN + `:manager","value":{"value":"m1"}}`, want: []any{enterpriseURN + "/manager/value", "m1"}},
	})
	check(t, []clause{
		{"3.5.2.3", "all members", "", func(w *world) {
			a, b := w.user("ann", ""), w.user("ben", "")
			g := w.group("G", a)
			w.patch(g, `{"op":"replace","path":"members","value":[{"value":"`+idOf(b)+`"}]}`).want(200).size("members", 1).is("members/0/value", idOf(b))
			w.patch(g, `{"op":"replace","value":{"members":[{"value":"`+idOf(a)+`"}],"displayName":"H"}}`).want(200).size("members", 1).is("members/0/value", idOf(a)).is("displayName", "H")
		}},
	})
}
