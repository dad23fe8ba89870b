package main

import (
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/client"
)

// What is kept and does not count is told apart from what does.
func TestWhatDoesNotCountIsSaid(t *testing.T) {
	text := func(inactive string, out []client.InactiveGroup) string {
		var b block
		var w strings.Builder
		b.local(map[string][]string{"floor": {"3"}}, inactive, []client.Subject{{Name: "team"}}, out)
		b.write(&w)
		return w.String()
	}
	if got, want := text("", nil), "  floor   3\n  groups  team\n"; got != want {
		t.Errorf("all counts:\n%swant\n%s", got, want)
	}
	got := text("local_not_allowed", []client.InactiveGroup{{Name: "staff", Reason: "local_not_allowed"}})
	want := "  floor       3\n  attributes  do not count: the source does not allow it\n  groups      team\n" +
		"  not in      staff (does not count: the source does not allow it)\n"
	if got != want {
		t.Errorf("some does not count:\n%swant\n%s", got, want)
	}
	for inactive, want := range map[string]string{"": "local", "local_not_allowed": "local (does not count: the source does not allow it)"} {
		if got := memberOrigins(&client.GroupMember{Inactive: inactive}, "local"); got != want {
			t.Errorf("a member who is inactive %q was put there by %q, want %q", inactive, got, want)
		}
	}
}
