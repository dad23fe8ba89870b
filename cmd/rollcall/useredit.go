package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcall-id/rollcall/client"
)

func userCreateCommand(c *cli) *cobra.Command {
	var n client.NewUser
	cmd := &cobra.Command{
		Use:   "create LOGIN",
		Short: "Make a user of Rollcall's own, whom no source has",
		Long: `Make a user of Rollcall's own, whom no source has: somebody from outside, or an
administrator who is to get in when no directory answers. Only USER_ADMIN may.`,
		Example: `  rollcall user create ann --display-name "Ann Lee" --email ann@example.com`,
		Args:    c.args("LOGIN"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			n.UserName = args[0]
			u, err := api.CreateUser(ctx, n)
			if err != nil {
				return err
			}
			return c.show(u, func(w io.Writer) {
				fmt.Fprintf(w, "User %s was made. To give a permission: rollcall grant %s PERMISSION --reason ...\n",
					printable(u.Source+"/"+u.UserName), printable(u.UserName))
			})
		}),
	}
	userFlags(cmd.Flags(), &n)
	return c.changes(cmd)
}

func userFlags(f *pflag.FlagSet, n *client.NewUser) {
	f.StringVar(&n.DisplayName, "display-name", "", "what people call the user, `TEXT`")
	f.StringVar(&n.Email, "email", "", "the e-mail `ADDRESS`")
}

func userUpdateCommand(c *cli) *cobra.Command {
	var n client.NewUser
	cmd := &cobra.Command{
		Use:   "update USER",
		Short: "Change the login or what is shown of a user of Rollcall's own",
		Long: `Change the login, display name or e-mail address of a user of Rollcall's own; what is not
named stays, and an empty text takes it away. What a source says is changed there.`,
		Example: `  rollcall user update ann --login ann.lee --email ann.lee@example.com`,
		Args:    c.args("USER"),
	}
	f := cmd.Flags()
	f.StringVar(&n.UserName, "login", "", "the new login `NAME`")
	userFlags(f, &n)
	cmd.RunE = c.asks(func(ctx context.Context, api *client.Client, args []string) error {
		if !named(f, "login", "display-name", "email") {
			return usage("say what to change: --login, --display-name or --email")
		}
		was, err := api.GetUser(ctx, args[0])
		if err != nil {
			return err
		}
		n.UserName = cmp.Or(n.UserName, was.UserName)
		keep(f, "display-name", &n.DisplayName, was.External.Profile["displayName"])
		keep(f, "email", &n.Email, was.External.Profile["email"])
		u, err := api.UpdateUser(ctx, was.ID, n, was.Version)
		if err != nil {
			return err
		}
		return c.show(u, func(w io.Writer) { fmt.Fprintf(w, "User %s is changed.\n", printable(u.Source+"/"+u.UserName)) })
	})
	return c.changes(c.completes(cmd, userNames))
}

// named reports whether one of the flags was given.
func named(f *pflag.FlagSet, names ...string) bool {
	return slices.ContainsFunc(names, f.Changed)
}

// keep fills in what was for a flag that was not given.
func keep(f *pflag.FlagSet, name string, value *string, was string) {
	if !f.Changed(name) {
		*value = was
	}
}

func userDeleteCommand(c *cli) *cobra.Command {
	confirm := ""
	cmd := &cobra.Command{
		Use:   "delete USER --confirm LOGIN",
		Short: "Delete a user for good, with grants, keys and memberships",
		Long: `Delete a user for good, with grants, API keys, memberships and everything that was put on
top here: a user of Rollcall's own, or one whom the source no longer has. The audit log
keeps what was. To keep somebody out for now: rollcall disable.`,
		Example: `  rollcall user delete ann --confirm ann`,
		Args:    c.args("USER"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if confirm == "" {
				return usage("deleting is for good: say --confirm LOGIN, with the login name of the user once more")
			}
			if err := api.DeleteUser(ctx, args[0], client.DeleteUserQuery{Confirm: confirm}, ""); err != nil {
				return err
			}
			c.done("User %s %s deleted.", args[0])
			return nil
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the `LOGIN` name once more, so that nobody is deleted by a slip")
	return c.changes(c.completes(cmd, userNames))
}

// done says of a thing what was done with it, or on a dry run that it could be.
func (c *cli) done(format, thing string) {
	how := "is"
	if c.dryRun {
		how = "can be"
	}
	c.note(format, thing, how)
}
