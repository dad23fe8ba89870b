package state

import (
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
)

func TestStorableSaysWhatIsWrongWithARecord(t *testing.T) {
	tests := []struct {
		name string
		edit func(*identity.Record)
		want string
	}{
		{"an ordinary one", func(*identity.Record) {}, ""},
		{"one just within the limit", func(r *identity.Record) { r.DN = strings.Repeat("x", maxObject-2048) }, ""},
		{"one over the limit", func(r *identity.Record) { r.DN = strings.Repeat("x", maxObject) }, "larger than the 256 KiB"},
		{"one that grows when it is written", func(r *identity.Record) { r.DN = strings.Repeat("\x01", maxObject/5) }, "larger"},
		{"bytes that are no text", func(r *identity.Record) { r.Attributes["x"] = []string{"\xff"} }, "UTF-8"},
		{"a key that is no text", func(r *identity.Record) { r.Attributes["\xff"] = []string{"x"} }, "UTF-8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := record("k1", "ann")
			test.edit(r)
			if got := Storable(r); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("Storable = %q, want %q", got, test.want)
			}
			o := storedObject{}
			o.put(r)
			if _, err := encode(&o); (err == nil) != (test.want == "") {
				t.Errorf("encode = %v, while Storable says %q", err, test.want)
			}
		})
	}
}
