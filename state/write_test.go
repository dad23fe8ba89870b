package state

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/identity"
)

// objects draws what may be stored, and what should better not be.
func objects() *rapid.Generator[storedObject] {
	plain := rapid.StringMatching("[a-z]{0,5}")
	text := rapid.OneOf(plain, plain, plain, plain, plain, plain, plain, plain, rapid.String(), rapid.SampledFrom([]string{"off", "gone", "<a & b>", `"`, `\`, "\x00", "\u2028", "ß", "\xff"}))
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "never") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(-1e11, 3e11).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
	})
	return rapid.Custom(func(t *rapid.T) storedObject {
		return storedObject{
			V: rapid.IntRange(0, 3).Draw(t, "v"), Source: identity.SourceID(text.Draw(t, "src")),
			Key: identity.Key(text.Draw(t, "key")), Name: text.Draw(t, "name"), Hash: hash64(rapid.Uint64().Draw(t, "hash")),
			Disabled: identity.Reason(text.Draw(t, "off")), Expires: instant.Draw(t, "exp"), Missing: instant.Draw(t, "gone"),
			Members: generation{rapid.Uint32Range(0, 2).Draw(t, "gen"), rapid.Uint32Range(0, 2).Draw(t, "n")}, Created: instant.Draw(t, "made"),
			DN: text.Draw(t, "dn"), Profile: rapid.MapOfN(text, text, 0, 3).Draw(t, "prof"),
			Attrs: identity.Attributes(rapid.MapOfN(text, rapid.SliceOfN(text, 0, 3), 0, 3).Draw(t, "attr")),
			Loose: rapid.SliceOfN(text, 0, 3).Draw(t, "loose"),
		}
	})
}

func TestObjectsAreWrittenAsTheirStructWouldBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := objects().Draw(t, "object")
		got, err := o.append(nil)
		want, wantErr := json.Marshal(&o, json.Deterministic(true))
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("append = %v, encoding the struct = %v", err, wantErr)
		}
		if err == nil && string(got) != string(want) {
			t.Fatalf("append:\n%s\nencoding the struct:\n%s", got, want)
		}
	})
}

// TestScanHead shows that what it reads is what decoding reads, of objects in any form.
func TestScanHead(t *testing.T) {
	scanned := 0
	rapid.Check(t, func(t *rapid.T) {
		o := objects().Draw(t, "object")
		b, err := o.append(nil)
		if err != nil {
			return
		}
		got, ok := scanHead(string(b))
		if !ok {
			return
		}
		scanned++
		var want objectHead
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatalf("scanHead(%s) = %+v, decoding it: %v", b, got, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("scanHead(%s) (-decoded +scanned):\n%s", b, diff)
		}
	})
	if scanned == 0 {
		t.Error("no object was scanned")
	}
	for name, raw := range map[string]string{
		"another order":  `{"v":1,"src":"s","key":"k","name":"n","dn":"x","off":"disabled"}`,
		"white space":    `{"v":1,"src":"s","key":"k","name":"n","dn":"x", "off" : "disabled"}`,
		"an escape":      `{"v":1,"src":"s","key":"k","name":"n","dn":"x","o\u0066f":"disabled"}`,
		"cut off":        `{"v":1,"src":"s","key":"k","name":"n"`,
		"a quoted name":  `{"v":1,"src":"s","key":"k","name":"n\"","dn":"x"}`,
		"bytes, no text": "{\"v\":1,\"src\":\"s\",\"key\":\"k\",\"name\":\"\xff\"}",
	} {
		if h, ok := scanHead(raw); ok {
			t.Errorf("scanHead(%s: %s) = %+v, want it left to decoding", name, raw, h)
		}
	}
}
