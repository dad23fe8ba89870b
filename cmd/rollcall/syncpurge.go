package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func syncPurgeCommand(c *cli) *cobra.Command {
	confirm := ""
	cmd := &cobra.Command{
		Use:   "purge SOURCE [--confirm DIGEST]",
		Short: "Remove for good whom a source has not had for long",
		Long: `Remove for good the users and groups that a source has not had for longer than its
purge_after (by default: never), with their grants, keys and local layers. Whoever returns
after that is somebody new: ids are never used again.

Without --confirm it shows whom, and a digest of just that; nothing is changed, and it ends
with 1 when there is somebody. With it, a run of the source removes them. Only USER_ADMIN
may. One purge removes at most purge_at_most; those who are missing longest go first. Where
the configuration says when (purge), the same is done by schedule.`,
		Example: `  rollcall sync purge corp
  rollcall sync purge corp --confirm sha256:9c1f2a...`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if confirm != "" {
				return c.purge(ctx, api, args[0], confirm)
			}
			p, err := api.PlanPurge(ctx, args[0])
			if err != nil {
				return err
			}
			err = c.show(p, func(w io.Writer) { c.writePurge(w, p) })
			return answer(len(p.Gone) == 0, err)
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the `DIGEST` of what was shown: remove them")
	return c.changes(c.completes(cmd, sourceNames))
}

func (c *cli) purge(ctx context.Context, api *client.Client, source, digest string) error {
	before, err := api.GetSource(ctx, source)
	if err != nil {
		return err
	}
	s, err := api.PurgeSource(ctx, source, client.PurgeRequest{Digest: digest})
	if err != nil {
		return err
	}
	if c.dryRun {
		return c.show(s, func(w io.Writer) { fmt.Fprintf(w, "%s can be purged.\n", printable(source)) })
	}
	f := &follower{c: c, api: api, source: source, run: s.Run, before: before}
	return f.follow(ctx)
}

func (c *cli) writePurge(w io.Writer, p *client.PurgePlan) {
	if len(p.Gone) == 0 {
		fmt.Fprintf(w, "Nobody is missing from %s since before %s.\n", printable(p.Source), c.when(p.Before))
		return
	}
	t := newTable("WHAT", "NAME", "MISSING", "GRANTS", "ID")
	for i, g := range p.Gone {
		if i == shownUndone {
			break
		}
		what := "user"
		if g.Group {
			what = "group"
		}
		t.row(what, g.Name, c.relative(g.MissingTime), thousands(g.Grants), g.ID)
	}
	t.write(w)
	if more := len(p.Gone) - shownUndone; more > 0 {
		fmt.Fprintf(w, "and %s more: -o json names all\n", thousands(more))
	}
	if p.More > 0 {
		fmt.Fprintf(w, "%s others wait for the next purge.\n", thousands(p.More))
	}
	fmt.Fprintf(w, "%s would be removed for good, with %s grants. If that is right:\n  rollcall sync purge %s --confirm %s\n",
		thousands(len(p.Gone)), thousands(p.Grants), printable(p.Source), printable(p.Digest))
}
