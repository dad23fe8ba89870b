package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

// groupPrefix makes the name of a group out of an argument that may name a user.
const groupPrefix = "group:"

func parseTarget(arg string) target {
	if name, ok := strings.CutPrefix(arg, groupPrefix); ok {
		return target{group: true, name: name}
	}
	return target{name: strings.TrimPrefix(arg, "user:")}
}

func grantCommand(c *cli) *cobra.Command {
	var reason, expires string
	var acknowledge bool
	cmd := &cobra.Command{
		Use:   "grant USER|group:GROUP PERMISSION",
		Short: "Give a user, or everybody in a group, a permission",
		Long: `Give a user, or everybody in a group, a permission. Only USER_ADMIN may.

What was granted stays through renames, moves and absences of the person: no directory
can take it. Granting again changes the reason and the end.

Who is in a group of a source is decided by its directory, and so is who gets what the
group is granted: say --acknowledge-directory if that is meant.`,
		Example: `  rollcall grant ann GOVERNANCE --reason "steward since May"
  rollcall grant group:corp/contractors CREATE_FILTER --expires 90d --reason CHG-1423 --acknowledge-directory`,
		Args: c.args("USER or group:GROUP", "PERMISSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			end, err := parseEnd(expires, c.now())
			if err != nil {
				return err
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			defer api.Close()
			terms := client.GrantRequest{Reason: reason, ExpireTime: end, AcknowledgeDirectory: acknowledge}
			g, err := give(cmd.Context(), api, parseTarget(args[0]), args[1], terms)
			if err != nil {
				return err
			}
			return c.show(g, func(w io.Writer) {
				fmt.Fprintf(w, "%s %s now has %s%s.\n", g.Subject.Kind, printable(qualified(g.Subject)), g.Permission, c.until(g))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&reason, "reason", "", "why, for whoever asks later: `TEXT`, a ticket, a decision")
	f.StringVar(&expires, "expires", "", "`WHEN` it ends by itself: 30d, 12h, a last day (2027-06-30), an instant")
	f.BoolVar(&acknowledge, "acknowledge-directory", false, "a directory decides who is in the group, and that is meant")
	return cmd
}

func (c *cli) until(g *client.Grant) string {
	if g.ExpireTime.IsZero() {
		return ""
	}
	return " until " + c.when(g.ExpireTime)
}

func qualified(s client.Subject) string { return s.Source + "/" + s.Name }

func revokeCommand(c *cli) *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use:   "revoke USER|group:GROUP PERMISSION",
		Short: "Take a permission away again",
		Long: `Take away a permission that was given to this very user or group. What a user has
through groups stays: rollcall why tells what that is.`,
		Example: `  rollcall revoke ann GOVERNANCE --reason "left the team"
  rollcall revoke group:contractors CREATE_FILTER`,
		Args: c.args("USER or group:GROUP", "PERMISSION"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			to := parseTarget(args[0])
			if err := take(ctx, api, to, args[1], reason); err != nil {
				return err
			}
			switch {
			case to.group:
				c.note("%s was taken from group %s.", args[1], to.name)
				return nil
			case c.dryRun:
				c.note("%s can be taken from %s.", args[1], to.name)
				return nil
			}
			d, err := api.Check(ctx, client.CheckRequest{User: to.name, Permission: args[1]})
			if err == nil && d.Allowed {
				c.note("The grant is gone, but %s still has %s through a group: rollcall why %s %s", to.name, args[1], to.name, args[1])
				return nil
			}
			c.note("%s was taken from %s.", args[1], to.name)
			return nil
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log: `TEXT`")
	return cmd
}

func grantsCommand(c *cli) *cobra.Command {
	var q client.ListGrantsQuery
	var limit listLimit
	cmd := &cobra.Command{
		Use:   "grants",
		Short: "List what was granted, by whom and why",
		Long: `List what was granted, by whom, why and until when, to users and to groups. Who has a
permission in the end, through whatever group, is what rollcall who-can tells.`,
		Example: `  rollcall grants --permission USER_ADMIN
  rollcall grants --group "Data Stewards"`,
		Args: noArgs,
		RunE: c.asks(func(ctx context.Context, api *client.Client, _ []string) error {
			all := client.GrantPage{Grants: []client.Grant{}}
			var err error
			all.NextPageToken, err = limit.pages(c, func(p page) (int, string, error) {
				asked := q
				asked.PageSize, asked.PageToken = p.size, p.token
				page, err := api.ListGrants(ctx, asked)
				if err != nil {
					return 0, "", err
				}
				all.Grants, all.Revision = append(all.Grants, page.Grants...), page.Revision
				return len(page.Grants), page.NextPageToken, nil
			})
			if err != nil {
				return err
			}
			if len(all.Grants) == 0 {
				c.note("Nothing like that was granted. To do so: rollcall grant USER PERMISSION --reason ...")
			}
			err = c.show(all, func(w io.Writer) { c.grantTable(w, all.Grants) })
			if all.NextPageToken != "" {
				c.note("The first %d are shown. --all shows every one; --user, --group and --permission narrow it down.", len(all.Grants))
			}
			return err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&q.User, "user", "", "only grants to `USER`, not to groups")
	f.StringVar(&q.Group, "group", "", "only grants to `GROUP` itself")
	f.StringVar(&q.Permission, "permission", "", "only grants of `PERMISSION`")
	limit.flag(f)
	return alone(cmd, grantsShowCommand(c), grantsApplyCommand(c), grantsSetCommand(c))
}

// writeGrants writes the grants of a user or a group, under a heading.
func (c *cli) writeGrants(w io.Writer, grants []client.Grant) {
	if len(grants) > 0 {
		fmt.Fprintln(w, "\nGrants")
		c.grantTable(w, grants)
	}
}

func (c *cli) grantTable(w io.Writer, grants []client.Grant) {
	if len(grants) == 0 {
		return
	}
	t := newTable("PERMISSION", "TO", "BY", "ON", "UNTIL", "REASON")
	for _, g := range grants {
		end := cell{text: date(g.ExpireTime)}
		switch {
		case g.ExpireTime.IsZero():
			end.text = ""
		case g.State == "EXPIRED":
			end = cell{text: "expired " + end.text, paint: func(s string) string { return c.paint(yellow, s) }}
		}
		to := g.Subject.Name
		if g.Subject.Kind == "group" {
			to = groupPrefix + to
		}
		t.cells(cell{text: g.Permission}, cell{text: to}, cell{text: actor(g.GrantedBy)}, cell{text: date(g.Time)}, end, cell{text: g.Reason})
	}
	t.write(w)
}
