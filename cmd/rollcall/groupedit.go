package main

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcall-id/rollcall/client"
)

func groupCreateCommand(c *cli) *cobra.Command {
	var n client.NewGroup
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a group of Rollcall's own, for people of any source",
		Long: `Make a group of Rollcall's own. Users and groups of any source can be put into it, and no
directory decides who is in it. Only USER_ADMIN may.`,
		Example: `  rollcall group create approvers --description "who approves invoices"`,
		Args:    c.args("NAME"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			n.Name = args[0]
			g, err := api.CreateGroup(ctx, n)
			if err != nil {
				return err
			}
			return c.show(g, func(w io.Writer) {
				fmt.Fprintf(w, "Group %s was made. To put somebody into it: rollcall group add %s USER...\n",
					printable(g.Source+"/"+g.Name), printable(g.Name))
			})
		}),
	}
	groupFlags(cmd.Flags(), &n)
	return c.changes(cmd)
}

func groupFlags(f *pflag.FlagSet, n *client.NewGroup) {
	f.StringVar(&n.DisplayName, "display-name", "", "what people call the group, `TEXT`")
	f.StringVar(&n.Description, "description", "", "what it is for, `TEXT`")
}

func groupUpdateCommand(c *cli) *cobra.Command {
	var n client.NewGroup
	cmd := &cobra.Command{
		Use:   "update GROUP",
		Short: "Change the name or what is shown of a group of Rollcall's own",
		Long: `Change the name, display name or description of a group of Rollcall's own; what is not
named stays, and an empty text takes it away. What a source says is changed there.`,
		Example: `  rollcall group update approvers --name invoice-approvers`,
		Args:    c.args("GROUP"),
	}
	f := cmd.Flags()
	f.StringVar(&n.Name, "name", "", "the new `NAME`")
	groupFlags(f, &n)
	cmd.RunE = c.asks(func(ctx context.Context, api *client.Client, args []string) error {
		if !named(f, "name", "display-name", "description") {
			return usage("say what to change: --name, --display-name or --description")
		}
		was, err := api.GetGroup(ctx, args[0])
		if err != nil {
			return err
		}
		n.Name = cmp.Or(n.Name, was.Name)
		keep(f, "display-name", &n.DisplayName, was.External.Profile["displayName"])
		keep(f, "description", &n.Description, was.External.Profile["description"])
		g, err := api.UpdateGroup(ctx, was.ID, n, was.Version)
		if err != nil {
			return err
		}
		return c.show(g, func(w io.Writer) { fmt.Fprintf(w, "Group %s is changed.\n", printable(g.Source+"/"+g.Name)) })
	})
	return c.changes(c.completes(cmd, groupNames))
}

func groupDeleteCommand(c *cli) *cobra.Command {
	confirm := ""
	cmd := &cobra.Command{
		Use:   "delete GROUP --confirm NAME",
		Short: "Delete a group for good, with its grants and memberships",
		Long: `Delete a group for good, with its grants, its memberships and everything that was put on
top here: a group of Rollcall's own, or one that the source no longer has. Its members
lose what it gave them. The audit log keeps what was.`,
		Example: `  rollcall group delete approvers --confirm approvers`,
		Args:    c.args("GROUP"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if confirm == "" {
				return usage("deleting is for good: say --confirm NAME, with the name of the group once more")
			}
			g, err := api.GetGroup(ctx, args[0])
			if err != nil {
				return err
			}
			if confirm != g.Name {
				return usage("--confirm %s is not the name of the group, which is %s: nothing was deleted", confirm, printable(g.Name))
			}
			if err := api.DeleteGroup(ctx, g.ID, ""); err != nil {
				return err
			}
			c.done("Group %s %s deleted.", g.Name)
			return nil
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the `NAME` once more, so that nothing is deleted by a slip")
	return c.changes(c.completes(cmd, groupNames))
}

func memberRefs(args []string) []client.MemberRef {
	refs := make([]client.MemberRef, len(args))
	for i, a := range args {
		refs[i] = parseTarget(a).ref()
	}
	return refs
}

func groupAddCommand(c *cli) *cobra.Command {
	acknowledge := false
	cmd := &cobra.Command{
		Use:   "add GROUP USER|group:GROUP...",
		Short: "Put users and groups into a group, here",
		Long: `Put users and groups into a group, all or none of them. That stays whatever the sources
do, beside the members that a source puts there. Only USER_ADMIN may.`,
		Example: `  rollcall group add approvers ann corp/bob group:corp/Finance`,
		Args:    c.someArgs("GROUP", "USER or group:GROUP"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			m, err := api.ChangeMembers(ctx, args[0], client.MemberChanges{Add: memberRefs(args[1:]), AcknowledgeDirectory: acknowledge})
			if err != nil {
				return err
			}
			return c.show(m, func(w io.Writer) {
				fmt.Fprintf(w, "%s put into group %s%s.\n", counted(m.Added, "member"), printable(args[0]), rest(len(args)-1-m.Added, "put there here before"))
			})
		}),
	}
	cmd.Flags().BoolVar(&acknowledge, "acknowledge-directory", false, "a directory decides who is in a group that is put into one with grants, and that is meant")
	return c.changes(c.completes(cmd, groupNames, targetNames))
}

func groupRemoveCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove GROUP USER|group:GROUP...",
		Short: "Take users and groups out of a group into which they were put here",
		Long: `Take users and groups out of a group into which they were put here. Whom a source puts
there stays: that is changed in the source.`,
		Example: `  rollcall group remove approvers ann`,
		Args:    c.someArgs("GROUP", "USER or group:GROUP"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			m, err := api.ChangeMembers(ctx, args[0], client.MemberChanges{Remove: memberRefs(args[1:])})
			if err != nil {
				return err
			}
			return c.show(m, func(w io.Writer) {
				fmt.Fprintf(w, "%s taken out of group %s%s.\n", counted(m.Removed, "member"), printable(args[0]), rest(len(args)-1-m.Removed, "not put there here"))
			})
		}),
	}
	return c.changes(c.completes(cmd, groupNames, targetNames))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return thousands(n) + " " + what + "s"
}

// rest says why not everything that was named is counted.
func rest(n int, why string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %s %s", thousands(n), why)
}
