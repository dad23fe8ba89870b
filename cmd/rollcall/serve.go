package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/internal/app"
)

// stopWithin bounds a stop: what has not ended by then is left behind.
const stopWithin = 30 * time.Second

// serveCommand runs the daemon.
func serveCommand() *cobra.Command {
	file := "rollcall.yaml"
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `Run the daemon: read the sources on their schedules, keep the roll, answer.

It ends on SIGTERM or Ctrl-C, after requests under way are answered and a run under
way has stopped at a point that the next run continues from. On SIGHUP it reads its
configuration again: sources, schedules, limits and the log level change at once, and
it says what needs a restart. Certificates are picked up when their files change.`,
		Example: `  rollcall serve --config /etc/rollcall/rollcall.yaml
  ROLLCALL_LISTEN=127.0.0.1:9000 rollcall serve --config rollcall.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := app.LoadConfig(file, os.Environ())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cmd, file, c)
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", file, "the configuration `FILE`")
	return cmd
}

// serve runs a daemon until ctx ends or a part of it fails.
func serve(ctx context.Context, cmd *cobra.Command, file string, c *app.Config) error {
	var level slog.LevelVar
	log := app.NewLogger(cmd.ErrOrStderr(), c.Log, &level)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	a, err := app.New(app.Options{Config: c, Log: log, Level: &level, Version: version})
	if err != nil {
		return err
	}
	if err := a.Start(ctx); err != nil {
		return err
	}
	failure := attend(ctx, a, file, log, hangup)
	log.InfoContext(ctx, "stopping", "within", stopWithin)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return errors.Join(failure, a.Stop(stop))
}

// attend reloads on each hangup until ctx ends or the daemon fails.
func attend(ctx context.Context, a *app.App, file string, log *slog.Logger, hangup <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-a.Failed():
			return fmt.Errorf("a part of the daemon ended: %w", err)
		case <-hangup:
			next, err := app.LoadConfig(file, os.Environ())
			if err == nil {
				_, err = a.Reload(ctx, next)
			}
			if err != nil {
				log.ErrorContext(ctx, "configuration not reloaded, going on with the old one", "err", err)
			}
		}
	}
}
