package schema

import (
	"math"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEncodeOrders(t *testing.T) {
	o := Object{
		"urn:z:9":     Object{"b": []any{int64(1), 2.0, nil}, "a": "x"},
		"urn:a:1":     Object{"on": true},
		EnterpriseURN: Object{"manager": Object{"value": "7"}, "department": "R&D"},
		"externalId":  "e",
		"active":      false,
		"emails":      []any{Object{"type": "work", "value": "a@x"}, Object{"value": "b@x", "extra": int64(3)}},
		"userName":    "ann \"the\" <\u00e9\n",
		"name":        Object{"givenName": "Ann", "familyName": "Lee"},
		"odd":         []any{[]any{int64(1), "x"}, true},
		"title":       nil,
		"password":    "secret",
		"roles":       []any{},
		"addresses":   Object{},
	}
	want := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User","urn:a:1","urn:z:9"],` +
		`"externalId":"e","userName":"ann \"the\" <é\n","name":{"familyName":"Lee","givenName":"Ann"},"active":false,` +
		`"emails":[{"value":"a@x","type":"work"},{"value":"b@x","extra":3}],` +
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"R&D","manager":{"value":"7"}},` +
		`"odd":[[1,"x"],true],"urn:a:1":{"on":true},"urn:z:9":{"a":"x","b":[1,2.0,null]}}`
	if got := string(Encode(nil, User(), o)); got != want {
		t.Errorf("Encode =\n%s\nwant\n%s", got, want)
	}
	if got := string(Encode([]byte("x"), Group(), Object{})); got != `x{"schemas":["`+GroupURN+`"]}` {
		t.Errorf("Encode(nothing) = %s", got)
	}
}

func TestAppendStringIsJSON(t *testing.T) {
	for s, want := range map[string]string{
		"":            `""`,
		"a\u2028<>&":  "\"a\u2028<>&\"",
		"\x00\t\"\\/": `"\u0000\t\"\\/"`,
		"a\xffb":      "\"a\uFFFDb\"",
	} {
		if got := string(AppendString(nil, s)); got != want {
			t.Errorf("AppendString(%q) = %s, want %s", s, got, want)
		}
	}
}

func TestAppendFloatIsADecimal(t *testing.T) {
	for f, want := range map[float64]string{0: "0.0", 1: "1.0", -2.5: "-2.5", 1e300: "1e+300", 1e-9: "1e-09", math.Inf(1): "null"} {
		if got := string(appendFloat(nil, f)); got != want {
			t.Errorf("appendFloat(%v) = %s, want %s", f, got, want)
		}
	}
}

func TestEncodeDecode(t *testing.T) {
	badge, err := Parse([]byte(`{"id":"urn:example:1.0:Badge","name":"Badge","attributes":[
		{"name":"number","type":"integer"},{"name":"scores","type":"decimal","multiValued":true},{"name":"since","type":"dateTime"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	typ, err := User().With(Extension{Schema: badge})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		o := resource(typ).Draw(t, "resource")
		raw := Encode(nil, typ, o)
		if !jsontext.Value(raw).IsValid() {
			t.Fatalf("not JSON: %s", raw)
		}
		got, err := Decode(raw, typ)
		if err != nil {
			t.Fatalf("Decode(%s) = %v", raw, err)
		}
		if d := cmp.Diff(o, got); d != "" {
			t.Fatalf("%s (-want +got):\n%s", raw, d)
		}
		if again := Encode(nil, typ, got); string(again) != string(raw) {
			t.Fatalf("encoded again: %s\nbefore: %s", again, raw)
		}
	})
}

// resource draws resources in canonical form.
func resource(typ *ResourceType) *rapid.Generator[Object] {
	return rapid.Custom(func(t *rapid.T) Object {
		o := attributes(t, typ.Core.Attributes)
		if rapid.Bool().Draw(t, "externalId") {
			o["externalId"] = rapid.String().Draw(t, "externalId")
		}
		for _, e := range typ.Extensions {
			if in := attributes(t, e.Schema.Attributes); len(in) > 0 {
				o[e.Schema.ID] = in
			}
		}
		if rapid.Bool().Draw(t, "custom") {
			o["urn:custom:x"] = Object{"a": []any{"x", int64(1)}, "b": Object{"c": 2.0, "d": true}}
		}
		return o
	})
}

func attributes(t *rapid.T, list []*Attribute) Object {
	o := Object{}
	for _, a := range list {
		switch {
		case a.Returned == Never: // is not kept
		case rapid.IntRange(0, 3).Draw(t, a.Name) != 0:
		case a.MultiValued:
			var values []any
			for range rapid.IntRange(1, 3).Draw(t, "values") {
				if v := value(t, a); !absent(v) {
					values = append(values, v)
				}
			}
			if len(values) > 0 {
				o[a.Name] = values
			}
		default:
			if v := value(t, a); !absent(v) {
				o[a.Name] = v
			}
		}
	}
	return o
}

func value(t *rapid.T, a *Attribute) any {
	switch a.Type {
	case Boolean:
		return rapid.Bool().Draw(t, a.Name)
	case Integer:
		return rapid.Int64().Draw(t, a.Name)
	case Decimal:
		return rapid.Float64().Draw(t, a.Name)
	case Complex:
		return attributes(t, a.Sub)
	case String, DateTime, Binary, Reference:
	}
	return rapid.String().Draw(t, a.Name)
}

func TestDecodeIsLenientWithWhatIsStored(t *testing.T) {
	o, err := Decode([]byte(`{"schemas":["x"],"ID":"7","meta":{},"USERNAME":"ann","active":null,"name":{"FAMILYname":"Lee","givenName":null},"roles":[null],
		"urn:IETF:params:scim:schemas:extension:enterprise:2.0:User":{"Manager":"7"},"odd":[1,1.0,1e400e]}`), User())
	if err == nil {
		t.Fatalf("Decode takes 1e400e: %v", o)
	}
	o, err = Decode([]byte(`{"schemas":["x"],"ID":"7","meta":{},"USERNAME":"ann","active":null,"name":{"FAMILYname":"Lee","givenName":null},"roles":[null],
		"urn:IETF:params:scim:schemas:extension:enterprise:2.0:User":{"Manager":"7"},"odd":[1,1.0]}`), User())
	if err != nil {
		t.Fatal(err)
	}
	want := Object{"userName": "ann", "name": Object{"familyName": "Lee"}, EnterpriseURN: Object{"manager": "7"}, "odd": []any{int64(1), 1.0}}
	if d := cmp.Diff(want, o); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, raw := range []string{``, `[]`, `null`, `{`, `{"a":}`, `{"a":1e999}`, `{"a":1,"a":2}`, `{} x`, `{"a":[1,]}`} {
		if o, err := Decode([]byte(raw), User()); err == nil {
			t.Errorf("Decode(%s) = %v", raw, o)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	o, err := Decode([]byte(sample), User())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = Encode(buf[:0], User(), o)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(sample)))
	for b.Loop() {
		if _, err := Decode([]byte(sample), User()); err != nil {
			b.Fatal(err)
		}
	}
}

const sample = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],` +
	`"externalId":"00u1","userName":"ann.lee@example.com","name":{"formatted":"Ann Lee","familyName":"Lee","givenName":"Ann"},"displayName":"Ann Lee",` +
	`"title":"Engineer","active":true,"emails":[{"value":"ann.lee@example.com","type":"work","primary":true},{"value":"ann@home.example","type":"home"}],` +
	`"phoneNumbers":[{"value":"+1 555 0100","type":"work"}],"addresses":[{"streetAddress":"1 Main St","locality":"Springfield","country":"US","type":"work"}],` +
	`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"701984","department":"Engineering","manager":{"value":"26118915"}}}`
