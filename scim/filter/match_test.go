package filter

import (
	"errors"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// testType is a user with an extension that has every type.
func testType(t testing.TB) *schema.ResourceType {
	t.Helper()
	s, err := schema.Parse([]byte(`{"id":"urn:example:1.0:Badge","name":"Badge","attributes":[
		{"name":"number","type":"integer"},{"name":"score","type":"decimal"},{"name":"since","type":"dateTime"},
		{"name":"photo","type":"binary"},{"name":"tags","type":"string","multiValued":true},{"name":"codes","type":"integer","multiValued":true},
		{"name":"Exact","type":"string","caseExact":true},{"name":"secret","type":"string","returned":"never"},
		{"name":"doors","type":"complex","multiValued":true,"subAttributes":[
			{"name":"value","type":"string"},{"name":"opened","type":"dateTime"},{"name":"open","type":"boolean"},
			{"name":"floor","type":"integer"},{"name":"keys","type":"string","multiValued":true}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	typ, err := schema.User().With(schema.Extension{Schema: s})
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

const badge = "urn:example:1.0:Badge"

var ann = schema.Object{
	"id": "7", "externalId": "00U1", "schemas": []any{userURN, enterpriseURN},
	"meta":     schema.Object{"resourceType": "User", "created": "2011-05-13T04:42:34Z", "lastModified": "2011-05-13T06:42:34.5+02:00", "version": `W/"a"`},
	"userName": "Ann.Lee@Example.com",
	"name":     schema.Object{"familyName": `O"Neil`, "givenName": "Ann", "middleName": ""},
	"active":   true,
	"emails": []any{
		schema.Object{"value": "ann@work.example", "type": "work", "primary": true},
		schema.Object{"value": "ann@home.example", "type": "home"},
		schema.Object{"value": "ann@other.example"},
	},
	"groups":      []any{schema.Object{"value": "g1", "display": "All"}},
	"roles":       []any{schema.Object{"value": "Admin", "primary": true}},
	enterpriseURN: schema.Object{"department": "Engineering", "manager": schema.Object{"value": "42", "displayName": "Bo"}},
	badge: schema.Object{
		"number": int64(9007199254740993), "score": 2.5, "since": "2020-01-01T00:00:00Z", "photo": "QUJD",
		"tags": []any{"red", "Blue"}, "codes": []any{int64(1), int64(5)}, "Exact": "aB",
		"doors": []any{schema.Object{"value": "north", "floor": int64(2), "open": true, "keys": []any{"k1", "K2"}}, schema.Object{"value": "south", "floor": int64(5)}},
	},
	"urn:custom:X": schema.Object{
		"color": "Red", "size": int64(3), "on": true, "list": []any{"a", int64(2)}, "deep": schema.Object{"value": "v", "kind": "K"},
		"many": []any{schema.Object{"type": "a", "value": "1"}, schema.Object{"type": "b", "value": "2"}},
	},
}

func TestMatch(t *testing.T) {
	for text, want := range map[string]bool{
		`userName eq "ann.lee@EXAMPLE.com"`:           true,
		`userName eq "ann"`:                           false,
		`userName ne "ann"`:                           true,
		`userName co "LEE"`:                           true,
		`userName sw "ann."`:                          true,
		`userName sw "lee"`:                           false,
		`userName ew ".COM"`:                          true,
		`userName gt "ann"`:                           true,
		`userName lt "ann"`:                           false,
		`userName ge "ann.lee@example.com"`:           true,
		`userName le "ann.lee@example.com"`:           true,
		`USERNAME PR`:                                 true,
		userURN + `:userName sw "A"`:                  true,
		strings.ToUpper(userURN) + `:userName sw "A"`: true,
		userURN + ` pr`:                               true,
		enterpriseURN + ` pr`:                         true,
		`urn:none:1.0:X pr`:                           false,
		// What all resources have.
		`id eq "7"`:                                          true,
		`externalId eq "00U1"`:                               true,
		`externalId eq "00u1"`:                               false, // it is case exact
		`meta.resourceType eq "User"`:                        true,
		`schemas eq "` + enterpriseURN + `"`:                 true,
		`schemas eq "urn:none"`:                              false,
		`meta.lastModified eq "2011-05-13T04:42:34.500Z"`:    true,
		`meta.lastModified gt "2011-05-13T04:42:34Z"`:        true,
		`meta.lastModified gt "2011-05-13T06:42:34Z"`:        false,
		`meta.lastModified le "2011-05-13T00:42:34.5-04:00"`: true,
		`meta.created eq "2011-05-13T04:42:34"`:              true,
		`meta.created sw "2011-05"`:                          true,
		`meta.created gt "0001-01-01T00:00:00Z"`:             true,
		`meta.created lt "9999-12-31T00:00:00Z"`:             true,
		`meta.created pr`:                                    true,
		`meta.location pr`:                                   false,
		`meta pr`:                                            true,
		// Multi-valued attributes and value paths.
		`emails.value eq "ann@home.example"`:                 true,
		`emails.type eq "home"`:                              true,
		`emails eq "ann@home.example"`:                       true,
		`emails co "@home"`:                                  true,
		`emails pr`:                                          true,
		`emails.display pr`:                                  false,
		`groups.value eq "g1"`:                               true,
		`groups eq "g1"`:                                     true,
		`emails[type eq "work" and value co "@work"]`:        true,
		`emails[type eq "work" and value co "@home"]`:        false,
		`emails[type eq "work"].value eq "ANN@work.example"`: true,
		`emails[type eq "home"].value eq "ann@work.example"`: false,
		`emails[primary eq true].value ew "work.example"`:    true,
		`emails[not (type pr)].value eq "ann@other.example"`: true,
		`emails[type ne "work" and value sw "ann@work"]`:     false,
		`emails[type ne "work" and type ne "home"]`:          true,
		`emails[type eq null]`:                               true,
		`emails[type eq "fax"]`:                              false,
		`not (emails[type eq "fax"])`:                        true,
		`phoneNumbers[type ne "fax"]`:                        false, // there is none
		`phoneNumbers.type ne "fax"`:                         true,
		`emails.type ne "work"`:                              true,
		`roles.value ne "Admin"`:                             false,
		`roles[primary eq true and value eq "admin"]`:        true,
		`name[givenName eq "ann" and familyName sw "o"]`:     true,
		// Extensions.
		enterpriseURN + `:department eq "engineering"`:                       true,
		strings.ToLower(enterpriseURN) + `:DEPARTMENT sw "eng"`:              true,
		enterpriseURN + `:department eq "engineering" and userName sw "ann"`: true,
		enterpriseURN + `:manager eq "42"`:                                   true,
		enterpriseURN + `:manager.displayName eq "bo"`:                       true,
		enterpriseURN + `:manager[value eq "42"]`:                            true,
		enterpriseURN + `:costCenter ne "1"`:                                 true,
		enterpriseURN + `:costCenter pr`:                                     false,
		// Types.
		`active eq true`:                                  true,
		`active ne true`:                                  false,
		`active ne false`:                                 true,
		badge + `:number eq 9007199254740993`:             true,
		badge + `:number eq 9007199254740992`:             false,
		badge + `:number gt 1.5`:                          true,
		badge + `:score gt 1`:                             true,
		badge + `:score eq 2.50`:                          true,
		badge + `:score le 25e-1`:                         true,
		badge + `:score lt 2`:                             false,
		badge + `:photo eq "QUJD"`:                        true,
		badge + `:photo eq "qujd"`:                        false,
		badge + `:Exact eq "ab"`:                          false,
		badge + `:exact eq "aB"`:                          true,
		badge + `:tags eq "BLUE"`:                         true,
		badge + `:tags[value sw "r"]`:                     true,
		badge + `:tags ne "red"`:                          true,
		badge + `:codes gt 4`:                             true,
		badge + `:codes[value gt 1 and value lt 5]`:       false,
		badge + `:doors[floor gt 3].value eq "south"`:     true,
		badge + `:doors[open eq true and floor eq 2]`:     true,
		badge + `:doors[keys eq "k2"].value eq "north"`:   true,
		badge + `:doors.keys eq "k3"`:                     false,
		badge + `:doors[keys pr and value eq "south"]`:    false,
		badge + `:doors.opened lt "2020-01-01T00:00:00Z"`: false,
		badge + `:since ge "2020-01-01T01:00:00+01:00"`:   true,
		// What is absent, and what is empty.
		`title eq null`:         true,
		`title ne "x"`:          true,
		`title ne null`:         false,
		`title pr`:              false,
		`title gt "a"`:          false,
		`userName ne null`:      true,
		`userName eq null`:      false,
		`name.middleName pr`:    false,
		`name.middleName eq ""`: true,
		`title eq ""`:           false,
		`emails eq null`:        false,
		`phoneNumbers eq null`:  true,
		`userName co ""`:        true,
		`title sw ""`:           false,
		// Escapes.
		`name.familyName eq "o\"neil"`:          true,
		`name.familyName eq "\u006f\u0022Neil"`: true,
		// What no schema is known for.
		`urn:custom:X:color eq "red"`:                     true,
		`URN:custom:x:Color eq "red"`:                     true,
		`urn:custom:X:color gt "a"`:                       true,
		`urn:custom:X:color eq 1`:                         false,
		`urn:custom:X:size ge 3.0`:                        true,
		`urn:custom:X:size eq "3"`:                        false,
		`urn:custom:X:on eq true`:                         true,
		`urn:custom:X:on gt true`:                         false,
		`urn:custom:X:list eq 2`:                          true,
		`urn:custom:X:list eq "A"`:                        true,
		`urn:custom:X:deep eq "V"`:                        true,
		`urn:custom:X:deep.kind eq "k"`:                   true,
		`urn:custom:X:deep pr`:                            true,
		`urn:custom:X:deep[kind eq "k"]`:                  true,
		`urn:custom:X:many[type eq "a" and value eq "1"]`: true,
		`urn:custom:X:many[type eq "a" and value eq "2"]`: false,
		`urn:custom:X:many.value eq "2"`:                  true,
		`urn:custom:X:many ne "2"`:                        true,
		`urn:custom:X:none pr`:                            false,
		`urn:custom:X:none ne "x"`:                        true,
		`urn:custom:X:list[value eq "a"]`:                 true,
		`urn:other:Y:color eq "red"`:                      false,
		`urn:other:Y:color ne "red"`:                      true,
		// Logic.
		`userName pr and (title pr or active eq true)`: true,
		`not (userName pr and title pr)`:               true,
		`title pr or not (active eq true)`:             false,
	} {
		f := compiled(t, text, Options{})
		if got := f.Match(ann); got != want {
			t.Errorf("%s matches = %v, want %v", text, got, want)
		}
		if got := f.MatchValues(Of(ann)); got != want {
			t.Errorf("%s matches values = %v, want %v", text, got, want)
		}
	}
}

func compiled(t testing.TB, text string, o Options) *Filter {
	t.Helper()
	o.Type = testType(t)
	e, err := Parse(text, o)
	if err != nil {
		t.Fatalf("Parse(%s) = %v", text, err)
	}
	f, err := Compile(e, o.Type, o)
	if err != nil {
		t.Fatalf("Compile(%s) = %v", text, err)
	}
	return f
}

func TestCompileRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`nope eq "x"`:                           `attribute "nope" is unknown in User`,
		`name.nope eq "x"`:                      `attribute "name.nope" is unknown`,
		`nope[type eq "x"]`:                     `attribute "nope" is unknown`,
		`emails[nope eq "x"]`:                   `"nope" is not a sub-attribute of "emails"`,
		`emails[type.x eq "x"]`:                 `not a sub-attribute`,
		`emails[` + userURN + `:type eq "x"]`:   `not a sub-attribute`,
		`emails[type eq "work"].nope eq "x"`:    `not a sub-attribute`,
		`userName[nope eq "x"]`:                 `not a sub-attribute`,
		`department eq "x"`:                     `unknown`,
		enterpriseURN + `:nope pr`:              `unknown`,
		enterpriseURN + ` eq "x"`:               `is a schema`,
		userURN + ` eq null and id gt null`:     `null can be compared`,
		`name eq "x"`:                           `"name" is complex: compare one of its sub-attributes, such as name.formatted`,
		`active gt true`:                        `active is a boolean`,
		`active co "t"`:                         `active is a boolean`,
		`active eq "true"`:                      `active: the value has to be of type boolean`,
		`active eq 1`:                           `has to be of type boolean`,
		`userName eq true`:                      `userName: the value has to be of type string`,
		`userName eq 1`:                         `has to be of type string`,
		`userName gt null`:                      `null can be compared by eq and ne only`,
		badge + `:number eq "1"`:                `has to be of type integer`,
		badge + `:number co 1`:                  `is a number`,
		badge + `:number eq 1e999`:              `too large`,
		badge + `:photo gt "x"`:                 `is binary`,
		`meta.created gt "yesterday"`:           `"yesterday" is not a dateTime`,
		`meta.created eq 5`:                     `has to be of type dateTime`,
		`password eq "x"`:                       `cannot be searched`,
		`password pr`:                           `cannot be searched`,
		badge + `:secret sw "a"`:                `cannot be searched`,
		`urn:custom:X:n eq 1e999`:               `too large`,
		`userName pr and (title pr or nope pr)`: `unknown`,
		`not (nope pr)`:                         `unknown`,
	} {
		e, err := Parse(text, Options{Type: testType(t)})
		if err != nil {
			t.Errorf("Parse(%s) = %v", text, err)
			continue
		}
		_, err = Compile(e, testType(t), Options{})
		var bad *Error
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("Compile(%s) = %v, want an error with %q", text, err, want)
		}
	}
}

func TestMatchLenient(t *testing.T) {
	for text, want := range map[string]bool{
		`active eq "True"`:                        true,
		`active eq 'false'`:                       false,
		`active eq True`:                          true,
		`roles[primary eq "True"].value eq Admin`: true,
		`userName sw A`:                           true,
		`id eq 7`:                                 true,
		`userName eq true`:                        false,
		badge + `:score eq "2.5"`:                 true,
		badge + `:codes eq "5"`:                   true,
		` userName pr `:                           true,
	} {
		if got := compiled(t, text, Options{Lenient: true}).Match(ann); got != want {
			t.Errorf("%s matches = %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{`active eq maybe`, badge + `:score eq much`, `meta.created gt now`} {
		o := Options{Lenient: true, Type: testType(t)}
		e, err := Parse(text, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Compile(e, o.Type, o); err == nil {
			t.Errorf("Compile(%s): no error", text)
		}
	}
}

// A value that is not of its attribute's type is none: a schema may have changed since.
func TestMatchOtherTypes(t *testing.T) {
	o := schema.Object{
		"userName": int64(1), "active": "true", "name": "x", "emails": schema.Object{"value": "a"}, "roles": []any{"r"},
		"meta": schema.Object{"created": "then"}, badge: schema.Object{"score": "1"}, enterpriseURN: "x",
	}
	for text, want := range map[string]bool{
		`userName pr`: false, `active eq true`: false, `active ne true`: true, `name.familyName pr`: false, `emails.value eq "a"`: true,
		`emails[value eq "a"]`: true, `roles eq "r"`: false, `meta.created pr`: true, `meta.created gt "2000-01-01T00:00:00Z"`: false,
		badge + `:score eq 1`: false, enterpriseURN + `:department pr`: false,
	} {
		if got := compiled(t, text, Options{}).Match(o); got != want {
			t.Errorf("%s matches = %v, want %v", text, got, want)
		}
	}
}
