package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func usersCommand(c *cli) *cobra.Command {
	var q client.ListUsersQuery
	var limit listLimit
	cmd := &cobra.Command{
		Use:     "users [USER]",
		Aliases: []string{"user"},
		Short:   "List users, or show one with all that is known",
		Long: `List users, or show one of them in three views: what the source says, what was put on
top here, and what holds in the end.

A user is named by login name, by SOURCE/LOGIN where several sources have it, or by id.
The commands below make, change and delete users of Rollcall's own.`,
		Example: `  rollcall users --text ann
  rollcall users --group "Data Stewards" --status inactive
  rollcall users --permission GOVERNANCE -o json
  rollcall user corp/ann`,
		Args: c.atMost("USER"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if len(args) == 1 {
				return c.showUser(ctx, api, args[0])
			}
			return c.listUsers(ctx, api, q, limit)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&q.Text, "text", "", "only those whose login, display name or e-mail address contains `TEXT`")
	f.StringVar(&q.Group, "group", "", "only members of `GROUP`, directly or by nesting")
	f.StringVar(&q.Permission, "permission", "", "only those who effectively have `PERMISSION`")
	f.StringVar(&q.Source, "source", "", "only users of `SOURCE`")
	f.StringVar(&q.Status, "status", "", "only `STATUS`: active, inactive, disabled_in_source, locked_in_source, expired, missing_from_source, disabled_locally")
	limit.flag(f)
	return alone(cmd, userCreateCommand(c), userUpdateCommand(c), userDeleteCommand(c))
}

func (c *cli) listUsers(ctx context.Context, api *client.Client, q client.ListUsersQuery, l listLimit) error {
	all := client.UserPage{Users: []client.UserSummary{}}
	more, err := l.pages(c, func(p page) (int, string, error) {
		asked := q
		asked.PageSize, asked.PageToken = p.size, p.token
		page, err := api.ListUsers(ctx, asked)
		if err != nil {
			return 0, "", err
		}
		all.Users, all.Revision = append(all.Users, page.Users...), page.Revision
		return len(page.Users), page.NextPageToken, nil
	})
	if err != nil {
		return err
	}
	all.NextPageToken = more
	if len(all.Users) == 0 {
		c.emptyUsers(q)
	}
	err = c.show(all, func(w io.Writer) {
		if len(all.Users) == 0 {
			return
		}
		t := newTable("USER", "NAME", "E-MAIL", "SOURCE", "STATUS")
		for _, u := range all.Users {
			t.cells(cell{text: u.UserName}, cell{text: u.DisplayName}, cell{text: u.Email}, cell{text: u.Source}, c.status(u.Status, u.Reason))
		}
		t.write(w)
	})
	if more != "" {
		c.note("The first %d are shown. --all shows everybody; --text, --group, --source, --status and --permission narrow it down.", len(all.Users))
	}
	return err
}

func (c *cli) emptyUsers(q client.ListUsersQuery) {
	if q == (client.ListUsersQuery{}) {
		c.note("There are no users yet. Start a run of a source: rollcall sync run SOURCE (rollcall sync status lists the sources).")
		return
	}
	c.note("No user is like that.")
}

// status says in one word whether somebody is active, or why not.
func (c *cli) status(status, reason string) cell {
	if status == "active" {
		return cell{text: status}
	}
	return cell{text: reasonWords(status, reason), paint: func(t string) string { return c.paint(yellow, t) }}
}

func reasonWords(status, reason string) string {
	if reason == "" {
		return status
	}
	return strings.ReplaceAll(reason, "_", " ")
}

func (c *cli) showUser(ctx context.Context, api *client.Client, name string) error {
	u, err := api.GetUser(ctx, name)
	if err != nil {
		return err
	}
	return c.show(u, func(w io.Writer) { c.writeUser(w, u) })
}

func (c *cli) writeUser(w io.Writer, u *client.User) {
	fmt.Fprintf(w, "%s  %s\n", c.paint(bold, "User "+printable(u.UserName)), printable(u.DisplayName))
	var b block
	b.add("id", "%s", u.ID)
	b.add("source", "%s", u.Source)
	b.add("status", "%s", userStatus(u))
	b.add("e-mail", "%s", u.Email)
	b.add("since", "%s", c.when(u.CreateTime))
	b.add("expires", "%s", c.when(u.ExpireTime))
	b.write(w)
	c.writeExternal(w, &u.External, u.Source)
	for i := range u.Linked {
		c.writeLinked(w, &u.Linked[i])
	}
	fmt.Fprintln(w, "\nPut on top here")
	b = block{}
	if d := u.Local.Disabled; d != nil {
		b.add("disabled", "%s by %s%s", c.when(d.Time), actor(d.By), because(d.Reason))
	}
	b.local(u.Local.Attributes, u.Local.InactiveAttributes, u.Local.Groups, u.Local.InactiveGroups)
	b.orNothing(w)
	fmt.Fprintln(w, "\nWhat holds in the end")
	b = block{}
	b.add("permissions", "%s", strings.Join(u.Effective.Permissions, ", "))
	b.add("personas", "%s", strings.Join(u.Effective.Personas, ", "))
	b.effective(u.ID, u.Effective.Attributes)
	b.belongings(u.Effective.Groups)
	b.orNothing(w)
	c.writeGrants(w, u.Effective.Grants)
}

func userStatus(u *client.User) string {
	text := reasonWords(u.Status, u.Reason)
	if !u.MissingTime.IsZero() {
		text += " since " + date(u.MissingTime)
	}
	return text
}

// writeExternal writes what the source says of a user or a group.
func (c *cli) writeExternal(w io.Writer, e *client.External, source string) {
	if source == "local" {
		fmt.Fprintln(w, "\nEntered here")
	} else {
		fmt.Fprintf(w, "\nWhat %s says\n", printable(source))
	}
	var b block
	b.add("key", "%s", e.Key)
	b.add("dn", "%s", e.DN)
	b.add("kept out", "%s", strings.ReplaceAll(e.Disabled, "_", " "))
	for _, k := range slices.Sorted(maps.Keys(e.Profile)) {
		b.add(k, "%s", e.Profile[k])
	}
	b.attributes(e.Attributes)
	b.add("groups", "%s", subjectNames(e.Groups))
	b.add("unresolved", "%s", strings.Join(e.Unresolved, ", "))
	b.orNothing(w)
}

// writeLinked writes what another source says of a user.
func (c *cli) writeLinked(w io.Writer, l *client.LinkedRecord) {
	fmt.Fprintf(w, "\nWhat %s says\n", printable(l.Source))
	var b block
	b.add("login", "%s", l.UserName)
	b.add("key", "%s", l.Key)
	b.add("dn", "%s", l.DN)
	b.add("kept out", "%s", strings.ReplaceAll(l.Disabled, "_", " "))
	if !l.MissingTime.IsZero() {
		b.add("missing", "since %s: nothing of it counts", date(l.MissingTime))
	}
	for _, k := range slices.Sorted(maps.Keys(l.Profile)) {
		b.add(k, "%s", l.Profile[k])
	}
	b.attributes(l.Attributes)
	b.add("groups", "%s", subjectNames(l.Groups))
	by := l.Rule
	if by == "" {
		by = actor(l.LinkedBy)
	}
	b.add("linked", "%s by %s", date(l.LinkTime), by)
	b.write(w)
}

func (b *block) attributes(a map[string][]string) {
	for _, k := range slices.Sorted(maps.Keys(a)) {
		b.add(printable(k), "%s", strings.Join(a[k], ", "))
	}
}

// effective lists the values of attributes that come from elsewhere with where.
func (b *block) effective(self string, a map[string][]client.Value) {
	for _, k := range slices.Sorted(maps.Keys(a)) {
		values := make([]string, len(a[k]))
		for i, v := range a[k] {
			values[i] = v.Value + provenance(self, v.From)
		}
		b.add(printable(k), "%s", strings.Join(values, ", "))
	}
}

// provenance names the group that a value comes from, unless it is also the object's
// own.
func provenance(self string, from []client.Provenance) string {
	for _, p := range from {
		if p.Group == nil || p.Group.ID == self {
			return ""
		}
	}
	if len(from) == 0 {
		return ""
	}
	return " (from group " + from[0].Group.Name + ")"
}

func (b *block) belongings(groups []client.Belonging) {
	for i, g := range groups {
		name := ""
		if i == 0 {
			name = "groups"
		}
		text := g.Name + " (" + g.Source
		if len(g.Via) > 0 {
			text += ", by way of " + subjectNames(g.Via)
		}
		b.add(name, "%s)", text)
	}
}

func (b *block) orNothing(w io.Writer) {
	if len(b.facts) == 0 {
		fmt.Fprintln(w, "  nothing")
	}
	b.write(w)
}

func subjectNames(subjects []client.Subject) string {
	names := make([]string, len(subjects))
	for i, s := range subjects {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
