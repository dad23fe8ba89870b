package plan

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
)

func TestValidateRule(t *testing.T) {
	for _, tt := range []struct {
		name string
		rule Rule
		use  string
		bad  []string // fields
	}{
		{"no rule", Rule{}, "", nil},
		{"a rule", Rule{To: "corp", By: "employeeNumber"}, UseAttributes, nil},
		{"every word", Rule{To: "corp", By: "n", Equals: "name", Compare: CompareFolded, Disable: DisableAny}, UseUsers, nil},
		{"attributes without a rule", Rule{}, UseAttributes, []string{"use"}},
		{"another use", Rule{}, "groups", []string{"use"}},
		{"nobody named", Rule{By: "n"}, "", []string{"link.to"}},
		{"nothing named", Rule{To: "corp"}, "", []string{"link.by", "link.equals"}},
		{"what people edit", Rule{To: "corp", By: "n", Equals: "E-Mail"}, "", nil},
		{"a field of the profile", Rule{To: "corp", By: "EMAIL"}, "", []string{"link.by", "link.equals"}},
		{"whom no source keeps out", Rule{To: identity.Local, By: "n", Disable: DisableAny}, "", []string{"link.disable"}},
		{"other words", Rule{To: "corp", By: "n", Compare: "fuzzy", Disable: "never"}, "", []string{"link.compare", "link.disable"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var bad []string
			ValidateRule(tt.rule, tt.use, func(field, format string, args ...any) {
				bad = append(bad, field)
				if fmt.Sprintf(format, args...) == "" {
					t.Errorf("%s: nothing is said", field)
				}
			})
			if !slices.Equal(bad, tt.bad) {
				t.Errorf("ValidateRule(%+v, %q) reports %v, want %v", tt.rule, tt.use, bad, tt.bad)
			}
		})
	}
}

func TestRuleValues(t *testing.T) {
	r := &identity.Record{Name: "Ann", Attributes: identity.Attributes{"n": {" 7 ", "A1"}, "empty": {" "}}}
	for _, tt := range []struct {
		rule Rule
		of   string
		want []string
	}{
		{Rule{}, "n", []string{" 7 ", "A1"}},
		{Rule{Compare: CompareFolded}, "n", []string{"7", "a1"}},
		{Rule{Compare: CompareFolded}, "empty", nil},
		{Rule{}, ByName, []string{"ann"}},
		{Rule{}, "other", nil},
	} {
		if got := tt.rule.Values(r, tt.of); !slices.Equal(got, tt.want) {
			t.Errorf("%+v.Values(%q) = %q, want %q", tt.rule, tt.of, got, tt.want)
		}
	}
}
