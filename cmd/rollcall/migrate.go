package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func migrateCommand(c *cli) *cobra.Command {
	confirm := ""
	var body client.MigrationRequest
	cmd := &cobra.Command{
		Use:   "migrate FROM TO --by ATTRIBUTE [--equals ATTRIBUTE] [--confirm DIGEST]",
		Short: "Let another source own users, who keep their ids and grants",
		Long: `Let source TO own the users of source FROM (local: those that were made here). Who is who
is decided by an attribute that both have; a user whose record of TO was linked before needs
none. Ids, grants, local attributes and memberships stay; the record of FROM stays as a
linked one. Whoever has no counterpart, or more than one, stays where he is, and is listed.

Without --confirm it shows who would move, and a digest of just that; nothing is changed,
and it ends with 1. A migration that was cut off is begun again; to take one back, migrate
the other way.`,
		Example: `  rollcall migrate corp okta --by employeeNumber
  rollcall migrate local corp --by name --confirm sha256:9c1f2a...`,
		Args: c.args("FROM", "TO"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if body.By == "" {
				return usage("say by what it is decided who is who: --by employeeNumber, or --by name for the login name")
			}
			body.From, body.To = args[0], args[1]
			if confirm == "" {
				m, err := api.DryRun().MigrateUsers(ctx, client.MigrateUsersQuery{}, body)
				if err != nil {
					return err
				}
				return answer(false, c.show(m, func(w io.Writer) {
					fmt.Fprintf(w, "From %s to %s would move, by %s:\n", printable(m.From), printable(m.To), printable(m.Rule))
					writeMigration(w, m)
					fmt.Fprintf(w, "Nothing was changed. To do just that: say --confirm %s as well\n", m.Digest)
				}))
			}
			m, err := api.MigrateUsers(ctx, client.MigrateUsersQuery{Digest: confirm}, body)
			if err != nil {
				return err
			}
			return answer(len(m.Refused) == 0, c.show(m, func(w io.Writer) {
				fmt.Fprintf(w, "%s of %s moved from %s to %s.\n", thousands(m.Done), users(m.Users), printable(m.From), printable(m.To))
				writeRefused(w, m)
			}))
		}),
	}
	f := cmd.Flags()
	f.StringVar(&body.By, "by", "", "the `ATTRIBUTE` of FROM that says who somebody is, or name")
	f.StringVar(&body.Equals, "equals", "", "the `ATTRIBUTE` of TO that it has to be equal to (default: the same)")
	f.StringVar(&body.Compare, "compare", "", "`exact`, or folded: without regard to case")
	f.StringVar(&body.Grants, "grants", "keep", "what becomes of the grants of users of TO who are merged: `keep` or end")
	f.StringVar(&body.Reason, "reason", "", "why, for the audit log")
	f.StringVar(&confirm, "confirm", "", "the `DIGEST` of what was shown: do it")
	return c.changes(c.completes(cmd, sourceNames, sourceNames))
}

func writeMigration(w io.Writer, m *client.Migration) {
	var b block
	b.add("users", "%s", listed(m.Users, m.UserNames))
	if m.Merged > 0 {
		b.add("of these merged", "%s", thousands(m.Merged))
	}
	if m.Alone > 0 {
		b.add("without counterpart", "%s", listed(m.Alone, m.AloneNames))
	}
	if m.Unclear > 0 {
		b.add("with several", "%s", listed(m.Unclear, m.UnclearNames))
	}
	b.write(w)
	writeRefused(w, m)
}

func writeRefused(w io.Writer, m *client.Migration) {
	if len(m.Refused) > 0 {
		fmt.Fprintf(w, "Cannot move:\n  %s\n", printable(strings.Join(m.Refused, "\n  ")))
	}
}
