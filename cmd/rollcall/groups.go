package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func groupsCommand(c *cli) *cobra.Command {
	var q client.ListGroupsQuery
	var limit listLimit
	nested := false
	cmd := &cobra.Command{
		Use:     "groups [GROUP]",
		Aliases: []string{"group"},
		Short:   "List groups, or show one with its members",
		Long: `List groups, or show one of them: what its source says, what was put on top here, what
it passes on to its members, and who they are.

A group is named by its name, by SOURCE/NAME where several have it, or by its id. The
commands below make, change and delete groups of Rollcall's own, and say who is in a
group beside those whom its source puts there.`,
		Example: `  rollcall groups --text steward
  rollcall group "Data Stewards"
  rollcall group corp/everybody --nested --all`,
		Args: c.atMost("GROUP"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if len(args) == 0 {
				return c.listGroups(ctx, api, q, limit)
			}
			view := client.DirectMembers
			if nested {
				view = client.EffectiveMembers
			}
			return c.showGroup(ctx, api, args[0], view, limit)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&q.Text, "text", "", "only those whose name contains `TEXT`")
	f.StringVar(&q.Source, "source", "", "only groups of `SOURCE`")
	f.StringVar(&q.Status, "status", "", "only `STATUS`: active, inactive, missing_from_source")
	f.BoolVar(&nested, "nested", false, "of one group: show every user in it, through any nesting")
	limit.flag(f)
	return alone(cmd, groupCreateCommand(c), groupUpdateCommand(c), groupDeleteCommand(c), groupAddCommand(c), groupRemoveCommand(c))
}

func (c *cli) listGroups(ctx context.Context, api *client.Client, q client.ListGroupsQuery, l listLimit) error {
	all := client.GroupPage{Groups: []client.GroupSummary{}}
	more, err := l.pages(c, func(p page) (int, string, error) {
		asked := q
		asked.PageSize, asked.PageToken = p.size, p.token
		page, err := api.ListGroups(ctx, asked)
		if err != nil {
			return 0, "", err
		}
		all.Groups, all.Revision = append(all.Groups, page.Groups...), page.Revision
		return len(page.Groups), page.NextPageToken, nil
	})
	if err != nil {
		return err
	}
	all.NextPageToken = more
	switch {
	case len(all.Groups) > 0:
	case q == client.ListGroupsQuery{}:
		c.note("There are no groups yet. Start a run of a source: rollcall sync run SOURCE (rollcall sync status lists the sources).")
	default:
		c.note("No group is like that.")
	}
	err = c.show(all, func(w io.Writer) {
		if len(all.Groups) == 0 {
			return
		}
		t := newTable("GROUP", "MEMBERS", "SOURCE", "STATUS")
		for _, g := range all.Groups {
			t.cells(cell{text: g.Name}, cell{text: fmt.Sprint(g.Members)}, cell{text: g.Source}, c.status(g.Status, g.Reason))
		}
		t.write(w)
	})
	if more != "" {
		c.note("The first %d are shown. --all shows every group; --text, --source and --status narrow it down.", len(all.Groups))
	}
	return err
}

// groupWithMembers is what is shown of one group.
type groupWithMembers struct {
	client.Group
	MemberList    []client.GroupMember `json:"memberList"`
	NextPageToken string               `json:"nextPageToken"`
}

func (c *cli) showGroup(ctx context.Context, api *client.Client, name, view string, l listLimit) error {
	g, err := api.GetGroup(ctx, name)
	if err != nil {
		return err
	}
	all := groupWithMembers{Group: *g, MemberList: []client.GroupMember{}}
	all.NextPageToken, err = l.pages(c, func(p page) (int, string, error) {
		page, err := api.ListMembers(ctx, g.ID, client.ListMembersQuery{View: view, PageSize: p.size, PageToken: p.token})
		if err != nil {
			return 0, "", err
		}
		all.MemberList = append(all.MemberList, page.Members...)
		return len(page.Members), page.NextPageToken, nil
	})
	if err != nil {
		return err
	}
	err = c.show(all, func(w io.Writer) { c.writeGroup(w, &all) })
	if all.NextPageToken != "" {
		c.note("The first %d members are shown; --all shows every one.", len(all.MemberList))
	}
	return err
}

func (c *cli) writeGroup(w io.Writer, g *groupWithMembers) {
	fmt.Fprintln(w, c.paint(bold, "Group "+printable(g.Name)))
	var b block
	b.add("id", "%s", g.ID)
	b.add("source", "%s", g.Source)
	status := reasonWords(g.Status, g.Reason)
	if !g.MissingTime.IsZero() {
		status += " since " + date(g.MissingTime)
	}
	b.add("status", "%s", status)
	b.add("since", "%s", c.when(g.CreateTime))
	b.write(w)
	c.writeExternal(w, &g.External, g.Source)
	fmt.Fprintln(w, "\nPut on top here")
	b = block{}
	b.local(g.Local.Attributes, g.Local.InactiveAttributes, g.Local.Groups, g.Local.InactiveGroups)
	b.orNothing(w)
	fmt.Fprintln(w, "\nWhat it passes on")
	b = block{}
	b.effective(g.ID, g.Effective.Attributes)
	b.belongings(g.Effective.Groups)
	b.orNothing(w)
	c.writeGrants(w, g.Effective.Grants)
	fmt.Fprintf(w, "\nMembers (%d direct)\n", g.Members)
	if len(g.MemberList) == 0 {
		fmt.Fprintln(w, "  none")
		return
	}
	t := newTable("MEMBER", "KIND", "SOURCE", "PUT HERE BY")
	for _, m := range g.MemberList {
		t.row(m.Name, m.Kind, m.Source, memberOrigins(&m, strings.Join(m.Origins, ", ")))
	}
	t.write(w)
}
