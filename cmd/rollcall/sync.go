package main

import (
	"context"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/sync/plan"
)

func syncCommand(c *cli) *cobra.Command {
	cmd := family(c, "sync", "See, plan, start and approve the reading of directories",
		`A source is a directory that is read on a schedule. A run reads it, plans what that
changes, and applies the plan, unless it would remove or change more than the limits of
the source allow: then it is held until a person approves it.`,
		syncStatusCommand(c), syncPlanCommand(c), syncRunCommand(c), syncHeldCommand(c), syncApproveCommand(c),
		syncRunsCommand(c), syncTestCommand(c), syncTryCommand(c),
		syncDiffCommand(c), syncUndoCommand(c), syncPurgeCommand(c), syncPauseCommand(c), syncResumeCommand(c))
	for _, below := range cmd.Commands() {
		c.completes(below, sourceNames)
	}
	return cmd
}

func syncPlanCommand(c *cli) *cobra.Command {
	steps := false
	cmd := &cobra.Command{
		Use:   "plan SOURCE",
		Short: "Read a source and show what a run would change; nothing is changed",
		Long: `Read a source and show what a run would change, and whether it would be held. Nothing is
changed and nothing is stored.

It ends with 0 when there is nothing to change and with 1 when there is.`,
		Example: `  rollcall sync plan corp
  rollcall sync plan corp --steps`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			shown, err := api.PlanSource(ctx, args[0])
			if err != nil {
				return err
			}
			p, err := readPlan(shown)
			if err != nil {
				return err
			}
			err = c.show(shown, func(w io.Writer) {
				c.writePlan(w, p, steps)
				if p.Held != nil {
					fmt.Fprintf(w, "A run would be held: to start it, rollcall sync run %s; then look at it and approve its digest.\n", args[0])
				}
			})
			return answer(p.IsEmpty(), err)
		}),
	}
	cmd.Flags().BoolVar(&steps, "steps", false, "show every change of every user and group")
	return cmd
}

// shownPlan is a plan as the API shows it.
type shownPlan struct {
	plan.Plan
	Held *plan.Held `json:"held"`
}

// readPlan makes of a plan as it is shown one that writes itself as text.
func readPlan(shown *client.Plan) (*shownPlan, error) {
	p := &shownPlan{}
	raw, err := json.Marshal(shown)
	if err == nil {
		err = json.Unmarshal(raw, p)
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "not_rollcall", "the plan is not one of a Rollcall of this version: %w", err)
	}
	return p, nil
}

func (c *cli) writePlan(w io.Writer, p *shownPlan, steps bool) {
	_ = p.Text(w, plan.View{Steps: steps}) // w is memory
	if p.Held == nil {
		return
	}
	for i, r := range p.Held.Reasons {
		title := ""
		if i == 0 {
			title = "guard"
		}
		fmt.Fprintf(w, "  %-12s %s: %s\n", title, printable(r.Text), c.paint(red, "HELD"))
	}
}

func syncHeldCommand(c *cli) *cobra.Command {
	steps := false
	cmd := &cobra.Command{
		Use:   "held SOURCE",
		Short: "Show the plan that waits for approval",
		Long: `Show the plan of a source that was held, as it was when it was held, and the digest to
approve. It ends with 1 when there is one and with 3 when there is none.`,
		Example: `  rollcall sync held corp --steps`,
		Args:    c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			k, err := api.GetHeldPlan(ctx, args[0])
			if err != nil {
				return err
			}
			p, err := readPlan(&k.Plan)
			if err != nil {
				return err
			}
			err = c.show(k, func(w io.Writer) {
				c.writePlan(w, p, steps)
				c.writeHeld(w, args[0], &client.HeldPlan{Digest: k.Digest, Run: k.Run, Time: k.Time, Reasons: k.Reasons})
			})
			return answer(false, err)
		}),
	}
	cmd.Flags().BoolVar(&steps, "steps", false, "show every change of every user and group")
	return cmd
}

// writeHeld says why a plan waits and how to let it go.
func (c *cli) writeHeld(w io.Writer, source string, h *client.HeldPlan) {
	by, check := ", records that answer to the rule are nobody's", "Look at the rule."
	if h.Run != "" {
		by, check = " by run "+printable(h.Run)+", nothing was changed", "Compare it with the directory."
	}
	fmt.Fprintf(w, "%s since %s%s:\n", c.paint(red, "Held"), c.when(h.Time), by)
	for _, r := range h.Reasons {
		fmt.Fprintf(w, "  %s\n", printable(r))
	}
	fmt.Fprintf(w, "%s If it is right:\n  rollcall sync approve %s --digest %s\n", check, printable(source), printable(h.Digest))
}

func syncApproveCommand(c *cli) *cobra.Command {
	digest := ""
	cmd := &cobra.Command{
		Use:   "approve SOURCE --digest DIGEST",
		Short: "Let a held plan be applied",
		Long: `Let the plan that is held be applied by the next run, which starts at once. The digest
names what you have looked at: rollcall sync held shows plan and digest. An approval
counts for 24 hours, and only while the plan says the same. Only USER_ADMIN may; and a
plan that raises people, since its source was changed, only one who may confer that.`,
		Example: `  rollcall sync held corp --steps
  rollcall sync approve corp --digest 9c1f2a...`,
		Args: c.args("SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if digest == "" {
				return usage("say which plan you have looked at: --digest DIGEST, as rollcall sync held %s shows it", args[0])
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			defer api.Close()
			a, err := api.ApprovePlan(cmd.Context(), args[0], client.ApprovalRequest{Digest: digest})
			if err != nil {
				return err
			}
			return c.show(a, func(w io.Writer) {
				if a.ExpireTime.IsZero() {
					fmt.Fprintf(w, "Approved. rollcall sync status %s shows what comes of it.\n", printable(args[0]))
					return
				}
				fmt.Fprintf(w, "Approved. A run begins at once and applies it; rollcall sync status %s shows how it goes.\n", printable(args[0]))
			})
		},
	}
	cmd.Flags().StringVar(&digest, "digest", "", "the `DIGEST` of the held plan")
	return cmd
}

func (c *cli) writeTest(w io.Writer, r *client.TestReport) {
	for _, s := range r.Steps {
		mark := c.paint(green, "ok    ")
		if !s.OK {
			mark = c.paint(red, "FAILED")
		}
		fmt.Fprintf(w, "%s  %-8s  %s\n", mark, printable(s.Name), printable(s.Detail))
		for _, l := range s.Lines {
			fmt.Fprintf(w, "                  %s\n", printable(l))
		}
		if s.Fix != "" {
			fmt.Fprintf(w, "                  to do: %s\n", printable(s.Fix))
		}
	}
	if r.OK {
		fmt.Fprintln(w, "All is well.")
	}
}
