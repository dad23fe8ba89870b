// Command rollcall is the one binary of Rollcall: the daemon, and what people use to
// talk to it.
//
// It owns flags, signals, output and exit codes, one file for each command. It
// promises that data goes to stdout and everything else to stderr, that an error is
// one line which says what to do, that a token is sent to nobody but the address it
// was given for, and that the exit code tells a script what happened (see exit.go).
// It decides nothing: the daemon is package internal/app, and what the other commands
// say comes from the admin API by package client.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())
	stop()
	os.Exit(code)
}

// run runs one command line and returns the exit code. It is what main does, without
// the process.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, environ []string) int {
	return newCLI(stdin, stdout, stderr, environ).run(ctx, args)
}

func (c *cli) run(ctx context.Context, args []string) int {
	root := rootCommand(c)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil && c.dryRun {
		c.note("This was a dry run: nothing was changed.")
	}
	return c.conclude(ctx, root, err)
}
