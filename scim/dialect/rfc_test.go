package dialect

import (
	"testing"

	"github.com/rollcall-id/rollcall/scim/schema"
)

const address = `,"addresses":[{"type":"work","streetAddress":"911 Universal City Plaza","locality":"Hollywood","region":"CA","postalCode":"91608","country":"US"},{"type":"home","locality":"Fullerton"}]`

// TestRFC7644Section3521 is about add: RFC 7644, section 3.5.2.1.
func TestRFC7644Section3521(t *testing.T) {
	t.Parallel()
	checkChanges(t, []change{
		{
			"the example without a path", "rfc", "", `{"op":"add","value":{"emails":[{"value":"babs@jensen.org","type":"home"}],"nickName":"Babs"}}`,
			`,"emails":[{"value":"babs@jensen.org","type":"home"}],"nickName":"Babs"`, "",
		},
		{"an attribute that is not there", "rfc", "", `{"op":"add","path":"title","value":"T"}`, `,"title":"T"`, ""},
		{"a single value is replaced", "rfc", `,"title":"S"`, `{"op":"add","path":"title","value":"T"}`, `,"title":"T"`, ""},
		{"a value is added to several", "rfc", mails, `{"op":"add","path":"emails","value":[{"value":"n@x"}]}`, mails[:len(mails)-1] + `,{"value":"n@x"}]`, ""},
		{"a value that is there is no change", "rfc", mails, `{"op":"add","path":"emails","value":[{"value":"h@x","type":"home"}]}`, mails, ""},
		{"a primary value that is there is no change", "rfc", mails, `{"op":"add","path":"emails","value":[{"value":"w@x","type":"work","primary":true}]}`, mails, ""},
		{
			"a value that is there says more", "rfc", mails, `{"op":"add","path":"emails","value":[{"value":"h@x","type":"home","display":"H"}]}`,
			`,"emails":[{"value":"w@x","type":"work","primary":true},{"value":"h@x","type":"home","display":"H"}]`, "",
		},
		{
			"a value that is there becomes primary", "rfc", mails, `{"op":"add","path":"emails","value":[{"value":"h@x","type":"home","primary":true}]}`,
			`,"emails":[{"value":"w@x","type":"work","primary":false},{"value":"h@x","type":"home","primary":true}]`, "",
		},
		{"an address that is there is no change", "rfc", address, `{"op":"add","path":"addresses","value":[{"locality":"Fullerton","type":"home"}]}`, address, ""},
		{"a complex value keeps what is not named", "rfc", `,"name":{"givenName":"G"}`, `{"op":"add","path":"name","value":{"familyName":"F"}}`, `,"name":{"givenName":"G","familyName":"F"}`, ""},
		{
			"a new primary value takes the mark", "rfc", mails, `{"op":"add","path":"emails","value":[{"value":"n@x","primary":true}]}`,
			`,"emails":[{"value":"w@x","type":"work","primary":false},{"value":"h@x","type":"home"},{"value":"n@x","primary":true}]`, "",
		},
		{
			"a value path", "rfc", mails, `{"op":"add","path":"emails[type eq \"home\"]","value":{"display":"H"}}`,
			`,"emails":[{"value":"w@x","type":"work","primary":true},{"value":"h@x","type":"home","display":"H"}]`, "",
		},
		{
			"a value path with a sub-attribute", "rfc", mails, `{"op":"add","path":"emails[type eq \"home\"].display","value":"H"}`,
			`,"emails":[{"value":"w@x","type":"work","primary":true},{"value":"h@x","type":"home","display":"H"}]`, "",
		},
		{"a whole extension", "rfc", "", `{"op":"add","path":"` + ent + `","value":{"department":"D"}}`, `,"` + ent + `":{"department":"D"}`, ""},
	})
}

// TestRFC7644Section3522 is about remove: RFC 7644, section 3.5.2.2.
func TestRFC7644Section3522(t *testing.T) {
	t.Parallel()
	checkChanges(t, []change{
		{"without a path", "rfc", "", `{"op":"remove"}`, "", "noTarget"},
		{"a single value", "rfc", `,"title":"T"`, `{"op":"remove","path":"title"}`, "", ""},
		{"all of several values", "rfc", mails, `{"op":"remove","path":"emails"}`, "", ""},
		{"the values of a filter", "rfc", mails, `{"op":"remove","path":"emails[type eq \"home\"]"}`, `,"emails":[{"value":"w@x","type":"work","primary":true}]`, ""},
		{"the example of two terms", "rfc", mails, `{"op":"remove","path":"emails[type eq \"work\" and value ew \"x\"]"}`, `,"emails":[{"value":"h@x","type":"home"}]`, ""},
		{"the last value", "rfc", `,"emails":[{"value":"a"}]`, `{"op":"remove","path":"emails[value eq \"a\"]"}`, "", ""},
		{"a sub-attribute of the values of a filter", "rfc", mails, `{"op":"remove","path":"emails[type eq \"work\"].primary"}`, `,"emails":[{"value":"w@x","type":"work"},{"value":"h@x","type":"home"}]`, ""},
		{"the last sub-attribute of a value", "rfc", `,"emails":[{"type":"work"}]`, `{"op":"remove","path":"emails[type eq \"work\"].type"}`, "", ""},
		{"a sub-attribute of all values", "rfc", mails, `{"op":"remove","path":"emails.type"}`, `,"emails":[{"value":"w@x","primary":true},{"value":"h@x"}]`, ""},
		{"what no value matches", "rfc", mails, `{"op":"remove","path":"emails[type eq \"other\"]"}`, mails, ""},
		{"what is not there", "rfc", "", `{"op":"remove","path":"emails[type eq \"other\"].value"}`, "", ""},
		{"the last sub-attribute of a complex value", "rfc", `,"name":{"givenName":"G"}`, `{"op":"remove","path":"name.givenName"}`, "", ""},
		{"the last attribute of an extension", "rfc", `,"` + ent + `":{"department":"D"}`, `{"op":"remove","path":"` + ent + `:department"}`, "", ""},
		{"a whole extension", "rfc", worker, `{"op":"remove","path":"` + ent + `"}`, "", ""},
		{"what is required", "rfc", "", `{"op":"remove","path":"userName"}`, "", "mutability"},
		{"what is required, and set again", "rfc", "", `{"op":"remove","path":"userName"},{"op":"add","path":"userName","value":"ann"}`, "", ""},
		{"what is read-only", "rfc", "", `{"op":"remove","path":"groups"}`, "", "mutability"},
	})
}

// TestRFC7644Section3523 is about replace: RFC 7644, section 3.5.2.3.
func TestRFC7644Section3523(t *testing.T) {
	t.Parallel()
	const street = `{"type":"work","streetAddress":"911 Universal City Plaza","locality":"Hollywood","region":"CA","postalCode":"91608","country":"US","formatted":"F","primary":true}`
	checkChanges(t, []change{
		{
			"the example without a path", "rfc", `,"nickName":"B"` + mails, `{"op":"replace","value":{"emails":[{"value":"bjensen@example.com","type":"work","primary":true},{"value":"babs@jensen.org","type":"home"}],"nickName":"Babs"}}`,
			`,"emails":[{"value":"bjensen@example.com","type":"work","primary":true},{"value":"babs@jensen.org","type":"home"}],"nickName":"Babs"`, "",
		},
		{"the example of an address", "rfc", address, `{"op":"replace","path":"addresses[type eq \"work\"]","value":` + street + `}`, `,"addresses":[` + street + `,{"type":"home","locality":"Fullerton"}]`, ""},
		{
			"the example of a street", "rfc", `,"addresses":[{"type":"work","locality":"L"},{"type":"home"}]`, `{"op":"replace","path":"addresses[type eq \"work\"].streetAddress","value":"1010 Broadway Ave"}`,
			`,"addresses":[{"type":"work","locality":"L","streetAddress":"1010 Broadway Ave"},{"type":"home"}]`, "",
		},
		{"an attribute that is not there", "rfc", "", `{"op":"replace","path":"title","value":"T"}`, `,"title":"T"`, ""},
		{"all of several values", "rfc", mails, `{"op":"replace","path":"emails","value":[{"value":"n@x"}]}`, `,"emails":[{"value":"n@x"}]`, ""},
		{"sub-attributes that are not named stay", "rfc", `,"name":{"givenName":"G","familyName":"F"}`, `{"op":"replace","path":"name","value":{"givenName":"H"}}`, `,"name":{"givenName":"H","familyName":"F"}`, ""},
		{"a value of a filter is replaced as a whole", "rfc", address, `{"op":"replace","path":"addresses[type eq \"work\"]","value":{"locality":"L"}}`, `,"addresses":[{"type":"work","locality":"L"},{"type":"home","locality":"Fullerton"}]`, ""},
		{"all values of a filter are replaced", "rfc", mails, `{"op":"replace","path":"emails[value ew \"x\"]","value":{"value":"n@x"}}`, `,"emails":[{"value":"n@x"}]`, ""},
		{"a sub-attribute of all values", "rfc", mails, `{"op":"replace","path":"emails.display","value":"D"}`, `,"emails":[{"value":"w@x","type":"work","primary":true,"display":"D"},{"value":"h@x","type":"home","display":"D"}]`, ""},
		{"no match", "rfc", mails, `{"op":"replace","path":"emails[type eq \"other\"]","value":{"value":"n@x"}}`, "", "noTarget"},
		{"no match of a sub-attribute", "strict", mails, `{"op":"replace","path":"emails[type eq \"other\"].value","value":"n@x"}`, "", "noTarget"},
		{
			"a value made primary takes the mark", "rfc", mails, `{"op":"replace","path":"emails[type eq \"home\"].primary","value":true}`,
			`,"emails":[{"value":"w@x","type":"work","primary":false},{"value":"h@x","type":"home","primary":true}]`, "",
		},
		{
			"of several made primary, one is", "rfc", mails, `{"op":"replace","path":"emails.primary","value":true}`,
			`,"emails":[{"value":"w@x","type":"work","primary":true},{"value":"h@x","type":"home"}]`, "",
		},
		{"several made primary, strict", "strict", mails, `{"op":"replace","path":"emails.primary","value":true}`, "", "invalidValue"},
		{"a whole extension keeps what is not named", "rfc", worker, `{"op":"replace","path":"` + ent + `","value":{"department":"E"}}`, `,"` + ent + `":{"department":"E","manager":{"value":"1"}}`, ""},
	})
}

// TestReplaceWhole is about a replace that is not to merge.
func TestReplaceWhole(t *testing.T) {
	t.Parallel()
	k := lenient()
	k.ReplaceMerges = false
	for _, tt := range []struct{ shows, ops, want string }{
		{"a complex value", `{"op":"replace","path":"name","value":{"givenName":"H"}}`, `{"userName":"ann","name":{"givenName":"H"},"` + ent + `":{"department":"D","manager":{"value":"1"}}}`},
		{"an extension", `{"op":"replace","value":{"` + ent + `":{"department":"E"}}}`, `{"userName":"ann","name":{"givenName":"G","familyName":"F"},"` + ent + `":{"department":"E"}}`},
		{"an add merges all the same", `{"op":"add","path":"name","value":{"givenName":"H"}}`, `{"userName":"ann","name":{"givenName":"H","familyName":"F"},"` + ent + `":{"department":"D","manager":{"value":"1"}}}`},
	} {
		t.Run(tt.shows, func(t *testing.T) {
			t.Parallel()
			p, _, err := ReadPatch([]byte(ops(tt.ops)), schema.User(), k)
			if err != nil {
				t.Fatal(err)
			}
			before, err := schema.Decode([]byte(user(`,"name":{"givenName":"G","familyName":"F"}`+worker)), schema.User())
			if err != nil {
				t.Fatal(err)
			}
			after, err := Apply(before, p.Ops, schema.User(), k)
			if err != nil {
				t.Fatal(err)
			}
			isJSON(t, after, tt.want)
		})
	}
}

// device is a type with what users and groups do not have: immutable attributes, required
// parts, numbers.
func device(t *testing.T) *schema.ResourceType {
	t.Helper()
	typ, err := schema.New(schema.ResourceType{
		Name: "Device", Endpoint: "/Devices",
		Core: &schema.Schema{ID: "urn:example:2.0:Device", Name: "Device", Attributes: []*schema.Attribute{
			{Name: "serial", Mutability: schema.Immutable},
			{Name: "owner", Required: true},
			{Name: "size", Type: schema.Complex, Sub: []*schema.Attribute{{Name: "unit", Mutability: schema.Immutable}, {Name: "width", Type: schema.Integer}}},
			{Name: "ports", Type: schema.Complex, MultiValued: true, Sub: []*schema.Attribute{
				{Name: "number", Type: schema.Integer, Required: true},
				{Name: "kind", Mutability: schema.Immutable},
				{Name: "open", Type: schema.Boolean},
				{Name: "load", Type: schema.Decimal},
			}},
			{Name: "tags", MultiValued: true},
		}},
		Extensions: []schema.Extension{{Required: true, Schema: &schema.Schema{ID: "urn:example:2.0:Site", Name: "Site", Attributes: []*schema.Attribute{{Name: "room"}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func TestPatchOfOtherTypes(t *testing.T) {
	t.Parallel()
	typ := device(t)
	const site = `,"urn:example:2.0:Site":{"room":"R"}`
	for _, tt := range []struct{ shows, with, ops, want, kind string }{
		{"what is immutable is set once", ``, `{"op":"add","path":"serial","value":"1"}`, `,"serial":"1"`, ""},
		{"what is immutable stays", `,"serial":"1"`, `{"op":"replace","path":"serial","value":"1"}`, `,"serial":"1"`, ""},
		{"what is immutable is not replaced", `,"serial":"1"`, `{"op":"replace","path":"serial","value":"2"}`, "", "mutability"},
		{"what is immutable is not removed", `,"serial":"1"`, `{"op":"remove","path":"serial"}`, "", "mutability"},
		{"what is immutable is not removed and set", `,"serial":"1"`, `{"op":"remove","path":"serial"},{"op":"add","path":"serial","value":"2"}`, "", "mutability"},
		{"an immutable part", `,"size":{"unit":"m"}`, `{"op":"replace","path":"size","value":{"unit":"cm"}}`, "", "mutability"},
		{"an immutable part of several", `,"ports":[{"number":1,"kind":"a"}]`, `{"op":"replace","path":"ports[number eq 1].kind","value":"b"}`, "", "mutability"},
		{"an immutable part of several that is not there", `,"ports":[{"number":1}]`, `{"op":"add","path":"ports[number eq 1].kind","value":"b"}`, `,"ports":[{"number":1,"kind":"b"}]`, ""},
		{"values with immutable parts can go", `,"ports":[{"number":1,"kind":"a"}]`, `{"op":"remove","path":"ports[number eq 1]"}`, ``, ""},
		{"a number of a filter is a number", ``, `{"op":"add","path":"ports[number eq 7].open","value":true}`, `,"ports":[{"number":7,"open":true}]`, ""},
		{"a decimal of a filter is a number", ``, `{"op":"add","path":"ports[number eq 7 and load eq 1].open","value":true}`, `,"ports":[{"number":7,"load":1,"open":true}]`, ""},
		{"a required part that is removed", `,"ports":[{"number":1}]`, `{"op":"remove","path":"ports.number"},{"op":"add","path":"ports","value":[{"open":true}]}`, "", "mutability"},
		{"a required part that is not sent", ``, `{"op":"add","path":"ports","value":[{"open":true}]}`, "", "invalidValue"},
		{"a required extension", ``, `{"op":"remove","path":"urn:example:2.0:Site"}`, "", "mutability"},
		{"plain values", `,"tags":["a"]`, `{"op":"add","path":"tags","value":["a","b"]}`, `,"tags":["a","b"]`, ""},
		{"plain values to be removed", `,"tags":["a","b"]`, `{"op":"remove","path":"tags","value":["a"]}`, `,"tags":["b"]`, ""},
		{"plain values of a filter", `,"tags":["a","b"]`, `{"op":"remove","path":"tags[value eq \"a\"]"}`, `,"tags":["b"]`, ""},
	} {
		t.Run(tt.shows, func(t *testing.T) {
			t.Parallel()
			k := lenient()
			p, _, err := Resource([]byte(`{"schemas":["urn:example:2.0:Device"],"owner":"o"`+site+tt.with+`}`), typ, k)
			if err != nil {
				t.Fatal(err)
			}
			patch, _, err := ReadPatch([]byte(ops(tt.ops)), typ, k)
			if err != nil {
				refused(t, err, tt.kind)
				return
			}
			after, err := Apply(p.Object, patch.Ops, typ, k)
			if err != nil || tt.kind != "" {
				refused(t, err, tt.kind)
				return
			}
			isJSON(t, after, `{"owner":"o"`+site+tt.want+`}`)
		})
	}
}
