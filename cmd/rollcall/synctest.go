package main

import (
	"context"
	"io"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/internal/app"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

func syncTestCommand(c *cli) *cobra.Command {
	file := ""
	cmd := &cobra.Command{
		Use:   "test SOURCE",
		Short: "Try the configuration of a source, step by step",
		Long: `Try the configuration of a source, step by step: find the server, connect, TLS, bind,
bases, count, one mapped entry. It stops at the first step that fails and says what to
do. Nothing is stored. It ends with 1 when a step fails.

The daemon does it; with --config this process does, and no daemon has to be running.`,
		Example: `  rollcall sync test corp
  rollcall sync test corp --config rollcall.yaml`,
		Args: c.args("SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			test := c.testThere
			if file != "" {
				test = func(ctx context.Context, source string) (*client.TestReport, error) {
					return c.testHere(ctx, file, source)
				}
			}
			r, err := test(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return answer(r.OK, c.show(r, func(w io.Writer) { c.writeTest(w, r) }))
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "try the source as it is in the configuration `FILE`, without a daemon")
	return cmd
}

func (c *cli) testThere(ctx context.Context, source string) (*client.TestReport, error) {
	api, err := c.client()
	if err != nil {
		return nil, err
	}
	defer api.Close()
	return api.TestSource(ctx, source)
}

// testHere tries a source of a file.
func (c *cli) testHere(ctx context.Context, file, name string) (*client.TestReport, error) {
	cfg, err := c.loadConfig(file)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(cfg.Sources, func(s app.Source) bool { return s.Name == name })
	if i < 0 {
		return nil, usage("%s has no source %q", file, name)
	}
	s := &cfg.Sources[i]
	if !s.Pulled() {
		return nil, usage("source %s is pushed to by its identity provider: there is nothing to read; let the provider test its connection", name)
	}
	source, err := ldap.New(ldap.Options{Source: s.ID(), Config: s.LDAP, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, usage("%v", err)
	}
	r := &client.TestReport{OK: true, Steps: []client.TestStep{}}
	for step := range source.Test(ctx) {
		r.Steps = append(r.Steps, client.TestStep(step))
		r.OK = r.OK && step.OK
	}
	return r, ctx.Err()
}
