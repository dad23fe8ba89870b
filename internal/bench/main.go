// Command bench measures what the project promises, against floors of the same machine.
//
// It owns the tables docs/benchmarks.md, which `make bench` writes, and
// docs/benchmarks-large.md of `make bench-large`. It promises that a
// floor and what is held against it are measured one after the other in the same
// minutes, that every timed thing runs in a process of its own, so that nothing is
// fast because of what ran before it, and that the table says "no" where a bar is not
// met. The directory is a real slapd, the store a real etcd with fsync.
//
// What it measures with are the packages themselves; it leaves their small benchmarks
// to `go test -bench`.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

// options are the command line.
type options struct {
	scale int
	large bool
	only  *regexp.Regexp
	out   string
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == childArg {
		os.Exit(serve(os.Stdin, os.Stdout))
	}
	o, err := parse(os.Args[1:])
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = run(ctx, o)
		stop()
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.scale, "scale", 100_000, "how many users the directory has")
	flags.BoolVar(&o.large, "large", false, "1,000,000 users, and only what matters there; takes a quarter of an hour and 8 GB of disk")
	quick := flags.Bool("quick", false, "10,000 users")
	only := flags.String("only", "", "measure the rows whose name matches: read, first, second, growth, changes, check, authzen, boot, memory, scim, scimwrite (of scim, only what writes)")
	profiles := flags.String("profiles", "", "write processor profiles of what is timed into this directory")
	flags.StringVar(&o.out, "out", "", "write the table to this file, too")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch set := false; {
	case *quick:
		o.scale = 10_000
	case o.large:
		flags.Visit(func(f *flag.Flag) { set = set || f.Name == "scale" })
		if !set {
			o.scale = largeScale
		}
	}
	if o.scale < 1000 {
		return o, fmt.Errorf("-scale %d is too small to measure anything", o.scale)
	}
	if *profiles != "" {
		if err := os.Setenv(profileDir, *profiles); err != nil {
			return o, err
		}
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-only: %w", err)
	}
	return o, nil
}

// run measures everything that was asked for and writes the table.
func run(ctx context.Context, o options) (err error) {
	t := newTable(o.scale)
	t.large = o.large
	b := &bench{options: o, table: t, rounds: rounds}
	if b.dir, err = os.MkdirTemp("", "rollcall-bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	measure := b.all
	if o.large {
		measure = b.large
	}
	if err := measure(ctx); err != nil {
		return err
	}
	var text bytes.Buffer
	t.write(&text)
	fmt.Print(text.String())
	if o.out == "" {
		return nil
	}
	return os.WriteFile(o.out, text.Bytes(), 0o644) //nolint:gosec // G306: it is documentation
}
