package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func bootstrapCommand(c *cli) *cobra.Command {
	var a client.Bootstrap
	printKey := false
	cmd := &cobra.Command{
		Use:   "bootstrap --token-file FILE --user NAME",
		Short: "Make the first administrator, with the token that the first start wrote",
		Long: `Make the first administrator: a local user with APPLICATION_ADMIN and USER_ADMIN. The
token was written by the first start of the daemon, whose log says where; it works once.

The API key is saved, in a file that only you can read, and used from now on.`,
		Example: `  rollcall bootstrap --token-file /var/lib/rollcall/bootstrap-token --user root`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.token == "" {
				return usage("say where the bootstrap token is: --token-file FILE, or --token-file - to read it from stdin")
			}
			if a.UserName == "" {
				return usage("say what the administrator is to be called: --user NAME")
			}
			address, _, err := c.address()
			if err != nil {
				return err
			}
			if a.Token, err = c.secretFrom(c.token); err != nil {
				return err
			}
			api, err := c.clientAt(address, "")
			if err != nil {
				return err
			}
			defer api.Close()
			b, err := api.Bootstrap(cmd.Context(), a)
			if err != nil {
				return err
			}
			return c.bootstrapped(api, b, printKey)
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.UserName, "user", "", "the login `NAME`")
	f.StringVar(&a.DisplayName, "display-name", "", "what people call the administrator, `TEXT`")
	f.StringVar(&a.Email, "email", "", "the e-mail `ADDRESS`")
	f.BoolVar(&printKey, "print-key", false, "write the API key to stdout instead of saving it")
	return cmd
}

// bootstrapped keeps the key, which cannot be had again: where it cannot be saved it
// is printed.
func (c *cli) bootstrapped(api *client.Client, b *client.Bootstrapped, printKey bool) error {
	if !printKey {
		err := c.loggedIn(api, b.User, b.APIKey)
		if err == nil {
			return nil
		}
		c.note("The administrator is made, but the API key could not be saved (%v). Here it is: keep it, it cannot be shown again.", err)
	}
	return c.show(b, func(w io.Writer) { fmt.Fprintln(w, b.APIKey) })
}
