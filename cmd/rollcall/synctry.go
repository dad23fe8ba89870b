package main

import (
	"context"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/sync/plan"
)

func syncTryCommand(c *cli) *cobra.Command {
	user := ""
	cmd := &cobra.Command{
		Use:   "try SOURCE --user USER",
		Short: "Look for one person in a source, and show what a run would make of him",
		Long: `Look for one person in a source, by login name, key or DN, also where the source does not
read, and show stage by stage what becomes of him: what the directory has, whether bases
and filter let him through, what is made of which attribute, his groups, and what a run
would change about him. Nothing is stored.

It ends with 0 when a run would change nothing about him, and with 1 when it would or when
he is nobody, or not one person alone.`,
		Example: `  rollcall sync try corp --user ann
  rollcall sync try corp --user "uid=ann,ou=people,dc=example,dc=org"`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if user == "" {
				return usage("say who: --user, with a login name, a key or a DN")
			}
			t, err := api.TrySourceUser(ctx, args[0], client.TryRequest{User: user})
			if err != nil {
				return err
			}
			shown, err := readTrial(t)
			if err != nil {
				return err
			}
			err = c.show(t, func(w io.Writer) { _ = shown.Text(w) }) // w is memory
			return answer(len(t.Steps)+len(t.Conflicts) == 0 && len(t.Entries) == 1, err)
		}),
	}
	cmd.Flags().StringVar(&user, "user", "", "who, as login name, key or DN: `USER`")
	return cmd
}

// readTrial makes of a trial as it is shown one that writes itself as text.
func readTrial(shown *client.PlanTrial) (*plan.Trial, error) {
	t := &plan.Trial{}
	raw, err := json.Marshal(shown)
	if err == nil {
		err = json.Unmarshal(raw, t)
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "not_rollcall", "the answer is not one of a Rollcall of this version: %w", err)
	}
	return t, nil
}
