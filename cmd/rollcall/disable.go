package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func disableCommand(c *cli) *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use:   "disable USER",
		Short: "Keep a user out at once, whatever the source says",
		Long: `Keep a user out at once. The source cannot undo it, only rollcall enable does. The user's
grants stay, and do not count until then.`,
		Example: `  rollcall disable ann --reason "phone stolen"`,
		Args:    c.args("USER"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			d, err := api.DisableUser(ctx, args[0], client.DisableRequest{Reason: reason}, "")
			if err != nil {
				return err
			}
			return c.show(d, func(w io.Writer) {
				fmt.Fprintf(w, "%s is kept out%s. To lift that: rollcall enable %s\n", printable(args[0]), printable(because(d.Reason)), printable(args[0]))
			})
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever asks later: `TEXT`")
	return cmd
}

func enableCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "enable USER",
		Short:   "Let in a user who was disabled here",
		Example: `  rollcall enable ann`,
		Args:    c.args("USER"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if err := api.EnableUser(ctx, args[0], ""); err != nil {
				return err
			}
			if c.dryRun {
				c.note("%s can be let in again.", args[0])
				return nil
			}
			u, err := api.GetUser(ctx, args[0])
			if err != nil {
				return err
			}
			if u.Reason != "" {
				c.note("The local disable of %s is lifted, but not what else keeps them out: %s.", args[0], reasonWords(u.Status, u.Reason))
				return nil
			}
			c.note("%s is let in again.", args[0])
			return nil
		}),
	}
}
