package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/sync/plan"
)

func syncUndoCommand(c *cli) *cobra.Command {
	confirm, steps := "", false
	cmd := &cobra.Command{
		Use:   "undo SOURCE [--confirm DIGEST]",
		Short: "Take back what the last run of a source changed",
		Long: `Take back what the last run of a source changed, row by row, as far as nothing has touched
a row since: whom it created is deactivated, whom it deactivated returns, values and
memberships go back. Grants are no part of it: they have waited, and count again. The
source is paused, so that its next run does not do it again: rollcall sync resume.

Without --confirm it shows what would change, and a digest of just that; nothing is
changed, and it ends with 1 when there is something. With it, it does that and follows it
to its end. Only USER_ADMIN may, and only one who may confer what those who return have.
The last three runs can be undone, one after the other.`,
		Example: `  rollcall sync undo corp --steps
  rollcall sync undo corp --confirm sha256:9c1f2a...`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			u, err := api.PlanRunUndo(ctx, args[0])
			if err != nil {
				return err
			}
			if confirm != "" {
				return c.undoRun(ctx, api, u, confirm)
			}
			p, err := readPlan(&u.Plan)
			if err != nil {
				return err
			}
			err = c.show(u, func(w io.Writer) { c.writeRunUndo(w, u, p, steps) })
			return answer(p.IsEmpty(), err)
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the `DIGEST` of what was shown: take it back")
	cmd.Flags().BoolVar(&steps, "steps", false, "show every change of every user and group")
	return c.changes(c.completes(cmd, sourceNames))
}

func (c *cli) writeRunUndo(w io.Writer, u *client.RunUndo, p *shownPlan, steps bool) {
	fmt.Fprintf(w, "Run %s ended %s: %s\nTo undo it:\n", printable(u.Run), c.when(u.EndTime), printable(u.Summary))
	_ = p.Text(w, plan.View{Steps: steps, Roll: true}) // w is memory
	if p.IsEmpty() {
		return
	}
	source := printable(u.Source)
	fmt.Fprintf(w, "%s would be paused. If that is right:\n  rollcall sync undo %s --confirm %s\n", source, source, printable(u.Digest))
}

func (c *cli) undoRun(ctx context.Context, api *client.Client, u *client.RunUndo, digest string) error {
	before, err := api.GetSource(ctx, u.Source)
	if err != nil {
		return err
	}
	s, err := api.UndoRun(ctx, u.Source, client.UndoRunRequest{Run: u.Run, Digest: digest})
	if err != nil {
		return err
	}
	if c.dryRun {
		return c.show(s, func(w io.Writer) { fmt.Fprintf(w, "Run %s can be undone.\n", printable(u.Run)) })
	}
	f := &follower{c: c, api: api, source: u.Source, run: s.Run, before: before}
	if err := f.follow(ctx); err != nil {
		return err
	}
	c.note("%s is paused: once its directory is in order, rollcall sync resume %s", u.Source, u.Source)
	return nil
}

func syncPauseCommand(c *cli) *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use:   "pause SOURCE --reason REASON",
		Short: "Keep a source from being read until it is resumed",
		Long: `Keep a source from being read, by schedule or by hand, until it is resumed. What came
before stays, and a run that is going on ends as it began. Plans may still be asked for.`,
		Example: `  rollcall sync pause corp --reason "a branch of the directory was deleted by mistake"`,
		Args:    c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			return c.pause(ctx, api, args[0], reason)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "the `REASON`, for the audit log")
	return c.changes(c.completes(cmd, sourceNames))
}

func (c *cli) pause(ctx context.Context, api *client.Client, source, reason string) error {
	if reason == "" {
		return usage("say why, for whoever resumes it: --reason REASON")
	}
	if err := api.PauseSource(ctx, source, client.PauseRequest{Reason: reason}); err != nil {
		return err
	}
	c.done("Source %s %s paused.", source)
	return nil
}

func syncResumeCommand(c *cli) *cobra.Command {
	return c.changes(c.completes(&cobra.Command{
		Use:     "resume SOURCE",
		Short:   "Let a paused source be read again",
		Long:    `Let a paused source be read again. A run that is due begins at once. Only USER_ADMIN may.`,
		Example: `  rollcall sync resume corp`,
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
