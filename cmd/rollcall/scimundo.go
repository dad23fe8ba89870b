package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func scimUndoCommand(c *cli) *cobra.Command {
	since, confirm := "", ""
	cmd := &cobra.Command{
		Use:   "undo SOURCE [--confirm DIGEST]",
		Short: "Bring back whom pushes have locked out of late",
		Long: `Bring back the people whom pushes to a source took away or keep out since a while, as far
as nothing has touched them since. Their grants have waited and count again. The source is
paused, so that its provider does not do it again at once: rollcall scim resume.

Without --confirm it shows whom, and a digest of just that; nothing is changed, and it ends
with 1 when there is somebody. With it, it brings them back. Only USER_ADMIN may.`,
		Example: `  rollcall scim undo okta --since 2h
  rollcall scim undo okta --since 2h --confirm sha256:9c1f2a...`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			from, err := parseAgo("--since", since, c.now())
			if err != nil {
				return err
			}
			if from.IsZero() {
				return usage("--since says since when: 2h, a day (2026-11-25) or an instant")
			}
			if confirm != "" {
				return c.undo(ctx, api, args[0], from, confirm)
			}
			p, err := api.PlanSourceUndo(ctx, args[0], client.PlanSourceUndoQuery{Since: from})
			if err != nil {
				return err
			}
			err = c.show(p, func(w io.Writer) { c.writeUndo(w, p, since) })
			return answer(len(p.Users) == 0, err)
		}),
	}
	cmd.Flags().StringVar(&since, "since", "1h", "`WHEN` to look back to: 2h, 7d, a day, an instant")
	cmd.Flags().StringVar(&confirm, "confirm", "", "the `DIGEST` of what was shown: bring them back")
	return c.changes(c.completes(cmd, sourceNames))
}

func (c *cli) undo(ctx context.Context, api *client.Client, source string, since time.Time, digest string) error {
	done, err := api.UndoSource(ctx, source, client.UndoRequest{Since: since, Digest: digest})
	if err != nil {
		return err
	}
	return c.show(done, func(w io.Writer) {
		if c.dryRun {
			fmt.Fprintf(w, "%s can be brought back.\n", users(done.Users))
			return
		}
		fmt.Fprintf(w, "%s brought back. %s is paused: once its provider is in order, rollcall scim resume %s\n",
			users(done.Users), printable(source), printable(source))
	})
}

func users(n int) string {
	if n == 1 {
		return "1 user"
	}
	return thousands(n) + " users"
}

// shownUndone is how many users of an undo are named in a table.
const shownUndone = 50

func (c *cli) writeUndo(w io.Writer, p *client.UndoPlan, since string) {
	source := printable(p.Source)
	if len(p.Users) == 0 {
		fmt.Fprintf(w, "Since %s pushes to %s have locked out nobody who is still out and was not touched since.\n", c.when(p.Since), source)
		return
	}
	t := newTable("USER", "LOCKED OUT", "HOW", "ID")
	for i, u := range p.Users {
		if i == shownUndone {
			break
		}
		how := "made inactive"
		if u.Gone {
			how = "deleted"
		}
		t.row(u.UserName, c.relative(u.Time), how, u.ID)
	}
	t.write(w)
	if more := len(p.Users) - shownUndone; more > 0 {
		fmt.Fprintf(w, "and %s more: -o json names all\n", thousands(more))
	}
	fmt.Fprintf(w, "%s would come back, and %s would be paused. If that is right:\n  rollcall scim undo %s --since %s --confirm %s\n",
		users(len(p.Users)), source, source, printable(since), printable(p.Digest))
}

func scimPauseCommand(c *cli) *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use:   "pause SOURCE --reason REASON",
		Short: "Refuse pushes to a source until it is resumed",
		Long: `Refuse what an identity provider would change in a source, until it is resumed. What it
reads is answered, and what came before stays. Providers try again by themselves.`,
		Example: `  rollcall scim pause okta --reason "an assignment was deleted by mistake"`,
		Args:    c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			return c.pause(ctx, api, args[0], reason)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "the `REASON`, for the audit log")
	return c.changes(c.completes(cmd, sourceNames))
}

func scimResumeCommand(c *cli) *cobra.Command {
	return c.changes(c.completes(&cobra.Command{
		Use:     "resume SOURCE",
		Short:   "Take pushes to a paused source again",
		Long:    `Take pushes to a paused source again. Only USER_ADMIN may.`,
		Example: `  rollcall scim resume okta`,
		Args:    c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if err := api.ResumeSource(ctx, args[0]); err != nil {
				return err
			}
			c.done("Source %s %s resumed.", args[0])
			return nil
		}),
	}, sourceNames))
}
