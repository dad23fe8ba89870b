package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func sourceDeleteCommand(c *cli) *cobra.Command {
	confirm := ""
	cmd := &cobra.Command{
		Use:   "delete SOURCE [--confirm DIGEST]",
		Short: "Delete a source for good, with its people and groups and all that hangs on them",
		Long: `Delete a source for good, with its people and groups, their grants, local attributes and
keys: one that was made here, or one that the daemon's file no longer declares.

Without --confirm it shows who and what goes, and a digest of just that; nothing is
changed, and it ends with 1. With it, the source goes: nothing of it counts from then on.
To keep a source from running for now: rollcall source disable.`,
		Example: `  rollcall source delete corp
  rollcall source delete corp --confirm sha256:9c1f2a...`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if confirm == "" {
				p, err := api.PlanSourceDeletion(ctx, args[0])
				if err != nil {
					return err
				}
				return answer(false, c.show(p, func(w io.Writer) { writeDeletion(w, p) }))
			}
			p, err := api.DeleteSource(ctx, args[0], client.DeleteSourceQuery{Digest: confirm})
			if err != nil {
				return err
			}
			return c.show(p, func(w io.Writer) {
				fmt.Fprintf(w, "Source %s %s deleted, with %s and %s.\n", printable(p.Source), c.canBe(), users(p.Users), groupsOf(p.Groups))
			})
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the `DIGEST` of what was shown: delete it")
	return c.changes(c.completes(cmd, sourceNames))
}

func groupsOf(n int) string {
	if n == 1 {
		return "1 group"
	}
	return thousands(n) + " groups"
}

func writeDeletion(w io.Writer, p *client.DeletionPlan) {
	fmt.Fprintf(w, "With source %s would go, for good:\n", printable(p.Source))
	var b block
	b.add("users", "%s", listed(p.Users, p.UserNames))
	b.add("groups", "%s", listed(p.Groups, p.GroupNames))
	b.add("memberships", "%s", thousands(p.Memberships))
	if p.Linked > 0 {
		b.add("linked records", "%s, whose users stay", thousands(p.Linked))
	}
	b.add("grants", "%s", listed(p.Grants, p.GrantList))
	b.add("local attributes", "%s", thousands(p.Attributes))
	b.add("keys and tokens", "%s", thousands(p.Keys))
	if len(p.Administrators) > 0 {
		b.add("administrators", "%s", printable(strings.Join(p.Administrators, ", ")))
	}
	if len(p.Others) > 0 {
		b.add("people of other sources who lose a membership", "%s", listed(len(p.Others), p.Others))
	}
	if p.Approval {
		b.add("held plan", "lost")
	}
	b.write(w)
	fmt.Fprintf(w, "Nothing was changed. To delete just that: rollcall source delete %s --confirm %s\n", printable(p.Source), p.Digest)
}

// shownDeleted is how many names of each are in a table.
const shownDeleted = 10

// listed is a number with the first names.
func listed(n int, names []string) string {
	if n == 0 {
		return "none"
	}
	shown := names[:min(len(names), shownDeleted)]
	text := thousands(n) + ": " + printable(strings.Join(shown, ", "))
	if n > len(shown) {
		text += ", ..."
	}
	return text
}
