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

func syncDiffCommand(c *cli) *cobra.Command {
	before := false
	cmd := &cobra.Command{
		Use:   "diff SOURCE",
		Short: "Compare the plan that waits for approval with what a run would change now",
		Long: `Read a source, and compare the plan that waits for approval with what a run would change
now: what came since has a plus, what went a minus. With --before, nothing is read, and the
plan is compared with the one that was held before it. Nothing is stored.

It ends with 0 when both are the same, with 1 when they differ, and with 3 when no plan is
held.`,
		Example: `  rollcall sync diff corp
  rollcall sync diff corp --before`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			with := "fresh"
			if before {
				with = "before"
			}
			d, err := api.ComparePlans(ctx, args[0], client.ComparePlansQuery{With: with})
			if err != nil {
				return err
			}
			shown, err := readDifference(d)
			if err != nil {
				return err
			}
			err = c.show(d, func(w io.Writer) {
				_ = shown.Text(w) // w is memory
				if d.With == "fresh" && d.Held == nil {
					fmt.Fprintf(w, "A run would not be held now: rollcall sync run %s\n", args[0])
				}
			})
			return answer(shown.IsEmpty(), err)
		}),
	}
	cmd.Flags().BoolVar(&before, "before", false, "compare it with the plan that was held before it")
	return cmd
}

// readDifference makes of a difference as it is shown one that writes itself as text.
func readDifference(shown *client.PlanDifference) (*plan.Difference, error) {
	d := &plan.Difference{}
	raw, err := json.Marshal(shown)
	if err == nil {
		err = json.Unmarshal(raw, d)
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "not_rollcall", "the answer is not one of a Rollcall of this version: %w", err)
	}
	return d, nil
}
