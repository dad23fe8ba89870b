package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func setCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "set USER|group:GROUP KEY VALUE...",
		Short: "Put an attribute on a user or a group, beside what the source says",
		Long: `Put an attribute on a user or a group, beside what the source says. The values replace
those that were put here before; what a group has, its members inherit. Only USER_ADMIN
may.`,
		Example: `  rollcall set ann cost_center 4711
  rollcall set group:contractors clearance internal public`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) >= 3 {
				return nil
			}
			return c.args("USER or group:GROUP", "KEY", "VALUE")(cmd, args)
		},
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			a, err := setAttribute(ctx, api, parseTarget(args[0]), args[1], args[2:])
			if err != nil {
				return err
			}
			return c.show(a, func(w io.Writer) {
				fmt.Fprintf(w, "%s now has %s = %s.\n", printable(args[0]), printable(a.Key), printable(strings.Join(a.Values, ", ")))
			})
		}),
	}
}

func unsetCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "unset USER|group:GROUP KEY",
		Short:   "Take away an attribute that was put here",
		Long:    `Take away an attribute that was put on a user or a group here. What the source says stays.`,
		Example: `  rollcall unset ann cost_center`,
		Args:    c.args("USER or group:GROUP", "KEY"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if err := unsetAttribute(ctx, api, parseTarget(args[0]), args[1]); err != nil {
				return err
			}
			c.note("%s was taken from %s.", args[1], args[0])
			return nil
		}),
	}
}
