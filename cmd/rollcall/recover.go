package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/internal/app"
)

func recoverCommand(c *cli) *cobra.Command {
	name := ""
	cmd := &cobra.Command{
		Use:   "recover-admin --user NAME",
		Short: "Make an administrator on the machine itself, when nobody gets in any more",
		Long: `Make a local user an administrator, with APPLICATION_ADMIN and USER_ADMIN, and print an
API key for that user, this once: for when nobody gets in any more. A user of Rollcall's
own who is there is enabled again and given what is missing.

The daemon that runs with this configuration does it, asked through its local socket;
when none runs, the store is opened here. A store that is a cluster is never opened
here: a daemon has to run. Only root and the daemon's own user may, and the audit log
says who did.`,
		Example: `  rollcall recover-admin --config /etc/rollcall/rollcall.yaml --user rescue > key`,
		Args:    noArgs,
	}
	file := c.configFlag(cmd)
	cmd.Flags().StringVar(&name, "user", "", "the login `NAME` of the administrator")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if name == "" {
			return usage("say who is to be the administrator: --user NAME")
		}
		cfg, err := c.loadConfig(*file)
		if err != nil {
			return err
		}
		cfg.Store.Log = slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
		made, err := app.RecoverAdmin(cmd.Context(), cfg, name)
		if err != nil {
			return err
		}
		next := "Start the daemon, then"
		if made.Running {
			next = "Now"
		}
		c.note("%s is an administrator. %s: rollcall login --token-file FILE. The key is shown this once.", name, next)
		recovered := struct {
			User   string `json:"user"`
			APIKey string `json:"apiKey"`
		}{"local/" + name, made.APIKey.Reveal()}
		return c.show(recovered, func(w io.Writer) { fmt.Fprintln(w, recovered.APIKey) })
	}
	return cmd
}
