package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/fault"
)

func syncRunCommand(c *cli) *cobra.Command {
	detach, prove := false, false
	cmd := &cobra.Command{
		Use:   "run SOURCE",
		Short: "Start a run of a source now and follow it",
		Long: `Start a run of a source now and follow it to its end.

It ends with 0 when all is applied or there was nothing to change, with 1 when the plan
is held and waits for approval, and with 4 when the run failed or was interrupted: the
next run begins with what is there. Ctrl-C ends the following, not the run.

A run reads what changed since the one before, where the directory tells that. With
--prove it compares everything that the directory has.`,
		Example: `  rollcall sync run corp
  rollcall sync run corp --prove
  rollcall sync run corp --detach`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			before, err := api.GetSource(ctx, args[0])
			if err != nil {
				return err
			}
			query := client.StartRunQuery{}
			if prove {
				query.Prove = "true"
			}
			s, err := api.StartRun(ctx, args[0], query)
			if err != nil {
				return err
			}
			if detach {
				return c.show(s, func(w io.Writer) { fmt.Fprintln(w, printable(s.Run)) })
			}
			f := &follower{c: c, api: api, source: args[0], run: s.Run, before: before}
			return f.follow(ctx)
		}),
	}
	cmd.Flags().BoolVar(&prove, "prove", false, "compare everything that the source has, and not only what changed")
	cmd.Flags().BoolVar(&detach, "detach", false, "start it, print its id, and do not wait")
	return cmd
}

// follower watches a run to its end.
type follower struct {
	c           *cli
	api         *client.Client
	source, run string
	before      *client.SourceDetail // as it was when the run was asked for
	seen        bool                 // the run was seen going on
	last        string               // the line of progress that was written last
}

// How often a run is looked at: a short one should not seem long.
const (
	firstLook = 50 * time.Millisecond
	mostLook  = time.Second
)

// follow looks at the run until it has ended, and says how.
func (f *follower) follow(ctx context.Context) error {
	pause := firstLook
	for {
		r, err := f.look(ctx)
		if err != nil {
			f.clear()
			return err
		}
		switch {
		case r == nil:
			f.progress("waiting for the replica that runs the sources")
		case r.Ended():
			// What comes next, as another run or a plan, is not to find it in its way.
			free, err := f.released(ctx)
			if err != nil || free {
				f.clear()
				return errors.Join(err, f.ended(r))
			}
		default:
			f.seen = true
			f.progress(progressText(r))
		}
		if err := wait(ctx, pause); err != nil {
			f.clear()
			f.c.note("The run goes on; rollcall sync status %s shows how.", f.source)
			return err
		}
		pause = min(2*pause, mostLook)
	}
}

// released reports whether the source is done with the run.
func (f *follower) released(ctx context.Context) (bool, error) {
	s, err := f.api.GetSource(ctx, f.source)
	return err == nil && (s.Running == nil || s.Running.ID != f.run), err
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// look returns the run, or nil while nobody has begun it. Of a run that changed
// nothing no record is kept: the source counts it.
func (f *follower) look(ctx context.Context) (*client.Run, error) {
	r, err := f.api.GetRun(ctx, f.source, f.run)
	if err == nil || !errors.Is(err, fault.NotFound) {
		return r, err
	}
	s, err := f.api.GetSource(ctx, f.source)
	if err != nil {
		return nil, err
	}
	if s.Running != nil {
		if s.Running.ID == f.run {
			return s.Running, nil
		}
		return nil, nil
	}
	if f.seen || s.LastRun != f.before.LastRun || s.UnchangedRuns != f.before.UnchangedRuns {
		// It may have ended between the two questions, with a record.
		r, err := f.api.GetRun(ctx, f.source, f.run)
		if errors.Is(err, fault.NotFound) {
			return &client.Run{ID: f.run, Source: f.source, State: client.RunSucceeded, Summary: "nothing changed"}, nil
		}
		return r, err
	}
	return nil, nil
}

// progressText is how far a run is, in a line.
func progressText(r *client.Run) string {
	p := r.Progress
	if p == nil || p.Stage == "" {
		return r.State
	}
	parts := []string{p.Stage}
	if p.Server != "" {
		parts = append(parts, p.Server)
	}
	if p.Users+p.Groups > 0 {
		parts = append(parts, fmt.Sprintf("%s users, %s groups read", thousands(p.Users), thousands(p.Groups)))
	}
	if p.Steps > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s changes applied", thousands(p.Applied), thousands(p.Steps)))
	}
	return strings.Join(parts, "  ")
}

// progress writes a line to stderr: over the one before on a terminal, below it
// elsewhere, and not twice.
func (f *follower) progress(text string) {
	text = printable(text)
	if text == f.last {
		return
	}
	f.last = text
	if isTerminal(f.c.stderr) {
		fmt.Fprintf(f.c.stderr, "\r\x1b[K%s  %s", f.source, text)
		return
	}
	fmt.Fprintf(f.c.stderr, "%s  %s\n", f.source, text)
}

// clear takes the updating line away.
func (f *follower) clear() {
	if f.last != "" && isTerminal(f.c.stderr) {
		fmt.Fprint(f.c.stderr, "\r\x1b[K")
	}
}

// ended writes what the run came to.
func (f *follower) ended(r *client.Run) error {
	err := f.c.show(r, func(w io.Writer) { f.write(w, r) })
	switch {
	case err != nil:
		return err
	case r.State == client.RunHeld:
		return errNo
	case r.State == client.RunFailed, r.State == client.RunInterrupted:
		return &failed{"run_" + r.State}
	}
	return nil
}

func (f *follower) write(w io.Writer, r *client.Run) {
	c := f.c
	state := c.runState(r)
	text := state.text
	if state.paint != nil {
		text = state.paint(text)
	}
	in := ""
	if t := took(r); t != "" {
		in = " in " + t
	}
	fmt.Fprintf(w, "Run %s of %s %s%s\n", printable(r.ID), printable(r.Source), text, in)
	var b block
	b.add("changes", "%s", r.Summary)
	b.add("why", "%s", r.Error)
	b.add("proof", "%s", proof(&r.Proof))
	b.lines("withheld", r.Withheld, len(r.Withheld))
	b.add("conflicts", "%s", count(r.ConflictCount, "for a person to settle"))
	b.add("skipped", "%s", count(r.SkippedCount, "left as before, because of what they say"))
	b.write(w)
	switch {
	case r.State == client.RunHeld:
		c.writeHeld(w, r.Source, &client.HeldPlan{Digest: r.Digest, Run: r.ID, Time: r.EndTime, Reasons: r.Held})
	case r.ConflictCount+r.SkippedCount > 0:
		fmt.Fprintf(w, "rollcall sync runs %s --run %s lists them.\n", printable(r.Source), printable(r.ID))
	}
}

func count(n int, what string) string {
	if n == 0 {
		return ""
	}
	return thousands(n) + " " + what
}
