package dialect

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// repeated joins n texts that a pattern makes of their numbers.
func repeated(n int, pattern string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strings.ReplaceAll(pattern, "#", fmt.Sprint(i))
	}
	return strings.Join(list, ",")
}

// TestLimits sends as much as is allowed, and one more.
func TestLimits(t *testing.T) {
	t.Parallel()
	k := lenient()
	resource := func(body string) error { _, _, err := Resource([]byte(body), schema.User(), k); return err }
	patch := func(body string) error { _, _, err := ReadPatch([]byte(body), schema.User(), k); return err }
	nested := func(n int) string { // the body itself, and the value within, are levels of their own
		return user(`,"urn:x:1.0:Deep":` + strings.Repeat(`{"a":`, n-1) + `[` + `1` + `]` + strings.Repeat(`}`, n-1))
	}
	many := func(n int) string { // in the value of one operation
		return `{"op":"add","value":{` + repeated(n, `"emails[type eq \"#\"].value":"v"`) + `}}`
	}
	for _, tt := range []struct {
		shows    string
		n        int
		send     func(n int) error
		scimType string
		status   int
	}{
		{"levels of a body", maxDepth - 1, func(n int) error { return resource(nested(n)) }, "invalidSyntax", 400},
		{"operations", maxOps, func(n int) error { return patch(ops(repeated(n, `{"op":"add","path":"title","value":"#"}`))) }, "tooMany", 413},
		{"attributes without a path", 10 * maxOps, func(n int) error { return patch(ops(many(n))) }, "tooMany", 400},
	} {
		t.Run(tt.shows, func(t *testing.T) {
			t.Parallel()
			if err := tt.send(tt.n); err != nil {
				t.Errorf("%d: %v", tt.n, err)
			}
			err := tt.send(tt.n + 1)
			if refused(t, err, tt.scimType); t.Failed() {
				return
			}
			if e, ok := err.(*Error); !ok || e.Status != tt.status { //nolint:errorlint // what is told is the error itself
				t.Errorf("%d: %v, want the status %d", tt.n+1, err, tt.status)
			}
		})
	}
}

// TestHostileBodiesCostLittle reads what is made to cost much, and bounds what it takes.
func TestHostileBodiesCostLittle(t *testing.T) {
	const size = 1 << 20
	k := lenient()
	for _, tt := range []struct{ shows, body string }{
		{"a million brackets", strings.Repeat("[", size)},
		{"objects within objects", strings.Repeat(`{"a":`, size/5)},
		{"JSON in strings", user(`,"roles":[` + repeated(size/60, `{"value":"{\"value\":\"{\\\"value\\\":\\\"#\\\"}\"}"}`) + `]`)},
		{"many names", `{` + repeated(size/16, `"name#":0`) + `}`},
		{"many values", user(`,"emails":[` + repeated(size/16, `"#"`) + `]`)},
		{"many values without a value", user(`,"addresses":[` + repeated(size/24, `{"locality":"#"}`) + `]`)},
		{"long names", `{"` + strings.Repeat("a", size) + `":0}`},
	} {
		t.Run(tt.shows, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			p, notes, _ := Resource([]byte(tt.body), schema.User(), k)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 128*size {
				t.Errorf("%d MiB for a body of %d KiB", got>>20, len(tt.body)>>10)
			}
			if len(notes) > maxNoted {
				t.Errorf("%d notes", len(notes))
			}
			for _, n := range notes {
				if len(n.String()) > 300 {
					t.Errorf("a note of %d bytes", len(n.String()))
				}
			}
			runtime.KeepAlive(p)
		})
	}
}
