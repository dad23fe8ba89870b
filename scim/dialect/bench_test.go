package dialect

import (
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/scim/schema"
)

func BenchmarkResource(b *testing.B) {
	body := []byte(user(`,"externalId":"00u1","name":{"formatted":"Ann Lee","familyName":"Lee","givenName":"Ann"},"displayName":"Ann Lee","active":true,"title":"Chief","locale":"en-US",` +
		`"phoneNumbers":[{"value":"+1 555 0100","type":"work"},{"value":"+1 555 0101","type":"mobile"}]` + mails + address + worker + `,"nickName":"` + strings.Repeat("x", 180) + `"`))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Resource(body, schema.User(), lenient()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPatch(b *testing.B) {
	const id = `01a212d0-2bbc-7e30-910b-#`
	for _, bb := range []struct {
		name, ops string
		typ       *schema.ResourceType
	}{
		{"active", `{"op":"replace","value":{"active":false}}`, schema.User()},
		{"1000 members one by one", repeated(1000, `{"op":"add","path":"members","value":[{"value":"`+id+`"}]}`), schema.Group()},
		{"1000 members removed by filters", repeated(1000, `{"op":"remove","path":"members[value eq \"`+id+`\"]"}`), schema.Group()},
		{"1000 members at once", `{"op":"add","path":"members","value":[` + repeated(1000, `{"value":"`+id+`"}`) + `]}`, schema.Group()},
	} {
		b.Run(bb.name, func(b *testing.B) {
			body := []byte(ops(bb.ops))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := ReadPatch(body, bb.typ, lenient()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
