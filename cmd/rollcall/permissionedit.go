package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func permissionsCreateCommand(c *cli) *cobra.Command {
	var n client.NewPermission
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Add a permission that applications may ask for",
		Long: `Add a permission that applications may ask for: upper-case letters, digits and
underscores. It lets nobody do anything in Rollcall itself. Only APPLICATION_ADMIN may,
and whom it is given to is up to a USER_ADMIN.`,
		Example: `  rollcall permissions create FINANCE_APPROVER --description "Approve invoices"`,
		Args:    c.args("NAME"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			n.Name = args[0]
			p, err := api.CreatePermission(ctx, n)
			if err != nil {
				return err
			}
			return c.show(p, func(w io.Writer) {
				fmt.Fprintf(w, "Permission %s is there. To give it: rollcall grant USER %s --reason ...\n", p.Name, p.Name)
			})
		}),
	}
	cmd.Flags().StringVar(&n.Description, "description", "", "what applications let its holder do, `TEXT`")
	return c.changes(cmd)
}

func permissionsDeleteCommand(c *cli) *cobra.Command {
	cascade := false
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Remove a permission that was added here",
		Long: `Remove a permission that was added here; the built-in ones stay. While somebody holds it,
it stays, unless --cascade takes it from them, for which one has to be USER_ADMIN, too.`,
		Example: `  rollcall permissions delete FINANCE_APPROVER --cascade`,
		Args:    c.args("NAME"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			query := client.DeletePermissionQuery{}
			if cascade {
				query.Cascade = "true"
			}
			if err := api.DeletePermission(ctx, args[0], query); err != nil {
				return err
			}
			c.done("Permission %s %s removed.", args[0])
			return nil
		}),
	}
	cmd.Flags().BoolVar(&cascade, "cascade", false, "take it from whoever holds it")
	return c.changes(c.completes(cmd, permissionNames))
}
