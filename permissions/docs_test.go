package permissions

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/permissions.md")

const page = "../docs/permissions.md"

// TestThePageAboutPermissionsIsUpToDate keeps docs/permissions.md as the catalogue is.
func TestThePageAboutPermissionsIsUpToDate(t *testing.T) {
	want := permissionsPage()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("docs/permissions.md is out of date; run go test ./permissions -run Page -update\n(-want +got):\n%s", diff)
	}
}

func permissionsPage() string {
	var b strings.Builder
	b.WriteString(`# Permissions

<!-- Generated from package permissions: go test ./permissions -run Page -update -->

A permission is granted here, by a user administrator, to a user or to a group. No
directory and no provisioning can grant one, change one or take one away. What somebody
may do is the sum of what he and his groups were granted, as long as he is active, less
what expired and what a setting withholds.

## The eleven that are built in

Nothing is added to these, and nothing is taken away. Most are for the applications that
ask Rollcall: there they are enforced.

`)
	for e := range BuiltIns() {
		fmt.Fprintf(&b, "### %s\n\n%s\n\n| it lets its holder | enforced by |\n|---|---|\n", e.Name, e.Description)
		for _, a := range e.Actions {
			fmt.Fprintf(&b, "| %s | %s |\n", a.Does, a.EnforcedBy)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, `## Custom permissions

An APPLICATION_ADMIN can add names of his own, such as FINANCE_APPROVER: 2 to 64 upper-case
letters, digits and underscores, beginning with a letter. %s
It opens nothing in Rollcall. The name of a built-in permission, in whatever case, is refused.

## Personas

A persona is a label that follows from what somebody may do. It is never stored and never
given. Somebody can have several; who is inactive has none; and none comes from a
permission that a setting withholds.

| persona | follows from | duties |
|---|---|---|
`, customDescription)
	for _, p := range Personas() {
		from := make([]string, len(p.Permissions))
		for i := range p.Permissions {
			from[i] = string(p.Permissions[i])
		}
		if len(from) == 0 {
			from = []string{"being active"}
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p.Label, strings.Join(from, " or "), p.Duties)
	}
	b.WriteString(settingsText())
	return b.String()
}

func settingsText() string {
	s := DefaultSettings()
	word := map[bool]string{true: "on", false: "off"}
	return fmt.Sprintf(`
## Settings

An APPLICATION_ADMIN changes these. They never touch what is granted: what a setting
withholds comes back when it is switched back.

| setting | default | what it does |
|---|---|---|
| %[1]s | %[2]s | On: nobody is an administrator (APPLICATION_ADMIN or USER_ADMIN) and a governor (GOVERNANCE) at once. A local write that would make somebody both is refused (exclusive_roles), and so is switching it on while somebody is. Where a directory makes somebody both, his GOVERNANCE is suppressed. |
| %[3]s | %[4]s | Off: an administrator can not subscribe to data sources, and his CREATE_DATA_SOURCE and CREATE_DATA_SOURCE_IN_PROJECT are masked. |
| %[5]s | %[6]s | Off: the same for a governor, unless his GOVERNANCE is suppressed. |
| %[7]s | %[8]s | On: nobody raises himself. |
| %[9]s | %[10]s | What a USER_ADMIN may confer: %[11]s, any permission; %[12]s, only what he effectively holds himself. |

## Who may confer

Only a USER_ADMIN, as he was before the write, and only as far as %[9]s says. It does not
matter how: a grant, a membership of a group that carries one, a nesting, a switch that no
longer withholds something. What counts is whether somebody may do more afterwards than
before, or could if he were active and nothing were withheld: a directory may bring him
back, and asks nobody. Else the write is refused (grant_not_allowed). A write that raises
nobody is never refused for this.

What a directory does by itself is not refused: whoever granted something to a group of a
directory accepted that. But the filters, the mapping and the link rules of a source are
written here, and decide whom such a group reaches. After a change of one the next run is
marked, until a read is proven complete and applied. A marked run that raises anyone is held, and
names whom and to what; it is applied when one who may confer all of that approves it. Any
run shows what it changes of what people may do. Default permissions hold no first run: who
set the list conferred them on whomever the source shows. Once its source is another one,
whoever made it so chose the newcomers, and they count.

Taking USER_ADMIN from somebody can raise him, when it was what suppressed his GOVERNANCE
or masked his data sources. Take these first, or let one do it who may confer them.

The bootstrap and the recovery of an administrator, on the machine itself, may confer
anything. They can neither make somebody an administrator and a governor against the
setting, nor take the last administrator away.

## The last administrator

There is always an active user of source local, whose account does not end, with
APPLICATION_ADMIN and USER_ADMIN granted to himself and without expiry. No directory and no
clock can take them from him, and a local write that would is refused (last_administrator).

## Why not

| answer | because |
|---|---|
| %[13]s | there is no such user |
| %[14]s | the catalogue has no permission of this name |
| %[15]s | the user is disabled, expired or missing from his directory |
| %[16]s | he was granted it, and %[1]s withholds it |
| %[17]s | he was granted it, and %[3]s or %[5]s withholds it |
| %[18]s | there was a grant, and there is no other |
| %[19]s | nothing leads from him to the permission |
`,
		SettingAdminGovernorExclusive, word[s.AdminGovernorExclusive],
		SettingAdminsMaySubscribe, word[s.AdminsMaySubscribe],
		SettingGovernorsMaySubscribe, word[s.GovernorsMaySubscribe],
		SettingForbidSelfGrant, word[s.ForbidSelfGrant],
		SettingGrantRule, s.GrantRule, GrantRuleUserAdmin, GrantRuleHeld,
		UnknownUser, UnknownPermission, InactiveUser, Suppressed, Masked, ExpiredGrant, NotGranted)
}
