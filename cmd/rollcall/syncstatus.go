package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func syncStatusCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "status [SOURCE]",
		Short: "Show where the sources stand",
		Example: `  rollcall sync status
  rollcall sync status corp`,
		Args: c.atMost("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if len(args) == 1 {
				s, err := api.GetSource(ctx, args[0])
				if err != nil {
					return err
				}
				return c.show(s, func(w io.Writer) { c.writeSource(w, s) })
			}
			all, err := api.ListSources(ctx)
			if err != nil {
				return err
			}
			if len(all.Sources) == 0 {
				c.note("There are no sources yet. Add one under sources in the configuration, and reload the daemon (SIGHUP); deploy/openldap.yaml is one to start from.")
			}
			return c.show(all, func(w io.Writer) { c.writeSources(w, all.Sources) })
		}),
	}
}

func (c *cli) writeSources(w io.Writer, sources []client.SourceSummary) {
	if len(sources) == 0 {
		return
	}
	t := newTable("SOURCE", "STATE", "USERS", "GROUPS", "LAST PROVEN", "LAST RUN", "NEXT RUN", "HELD")
	for i := range sources {
		s := &sources[i]
		held := ""
		if s.Held != nil {
			held = strings.Join(s.Held.Reasons, "; ")
		}
		proven := c.relative(s.LastProvenTime)
		if s.LastProvenTime.IsZero() {
			proven = "never"
		}
		last := s.LastRun
		if s.Kind == pushedKind {
			proven, last = "", c.lastPush(s.LastPushTime)
		}
		t.cells(cell{text: s.ID}, c.sourceState(s), cell{text: thousands(s.Counts.Users)}, cell{text: thousands(s.Counts.Groups)},
			cell{text: proven}, cell{text: last}, cell{text: c.relative(s.NextRunTime)}, cell{text: held})
	}
	t.write(w)
}

func (c *cli) sourceState(s *client.SourceSummary) cell {
	text := cell{text: strings.ReplaceAll(s.State, "_", " ")}
	if s.State == "held" || s.State == "paused" {
		text.paint = func(t string) string { return c.paint(red, t) }
	}
	if s.Running != nil && s.Running.Progress != nil {
		text.text += ": " + s.Running.Progress.Stage
	}
	return text
}

func (c *cli) writeSource(w io.Writer, s *client.SourceDetail) {
	fmt.Fprintln(w, c.paint(bold, "Source "+printable(s.ID)))
	var b block
	b.add("state", "%s", strings.ReplaceAll(s.State, "_", " "))
	b.add("kind", "%s", s.Kind)
	b.add("schedule", "%s", strings.TrimSpace(s.Schedule+" "+s.TimeZone))
	b.add("next run", "%s", c.when(s.NextRunTime))
	proven := c.when(s.LastProvenTime)
	switch {
	case s.Kind == pushedKind:
		b.add("last push", "%s", firstOf(c.when(s.LastPushTime), "never"))
		b.add("paused", "%s", c.when(s.PauseTime))
	case s.LastProvenTime.IsZero():
		proven = "never: no read was complete so far, so nothing was removed"
	}
	b.add("last proven", "%s", proven)
	b.add("compared", "%s", c.when(s.LastComparisonTime))
	b.add("last run", "%s", unchanged(s.LastRun, s.UnchangedRuns))
	b.add("users", "%s%s%s", thousands(s.Counts.Users), also(s.Counts.UsersInactive, "inactive"), also(s.Counts.UsersMissing, "missing from the source"))
	b.add("groups", "%s%s", thousands(s.Counts.Groups), also(s.Counts.GroupsMissing, "missing from the source"))
	b.add("memberships", "%s", thousands(s.Counts.Memberships))
	if n := s.Counts.Linked; n > 0 {
		b.add("linked", "%s", count(n, "record of a user of another source"))
	}
	if n := s.Counts.Unassigned; n > 0 {
		b.add("nobody's", "%d: rollcall source unassigned %s lists them", n, printable(s.ID))
	}
	if a := s.Approval; a != nil {
		b.add("approved", "%s by %s, until %s", c.when(a.Time), actor(a.By), c.when(a.ExpireTime))
	}
	b.write(w)
	if r := s.Running; r != nil {
		fmt.Fprintf(w, "Run %s is going on: %s\n", printable(r.ID), printable(progressText(r)))
	}
	if s.Held != nil {
		c.writeHeld(w, s.ID, s.Held)
	}
	switch {
	case s.PauseTime.IsZero():
	case s.Kind != pushedKind:
		fmt.Fprintf(w, "%s since %s: it is not read. Once its directory is in order: rollcall sync resume %s\n", c.paint(red, "Paused"), c.when(s.PauseTime), printable(s.ID))
	default:
		fmt.Fprintf(w, "%s: pushes are refused. Once its provider is in order: rollcall scim resume %s\n", c.paint(red, "Paused"), printable(s.ID))
	}
}

// pushedKind is the kind of a source that is pushed to.
const pushedKind = "scim"

// lastPush says when a source was last pushed to.
func (c *cli) lastPush(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return "pushed " + c.relative(t)
}

func unchanged(last string, n int) string {
	if n == 0 {
		return last
	}
	return fmt.Sprintf("%s, since then %s without a change", last, runs(n))
}

func runs(n int) string {
	if n == 1 {
		return "1 run"
	}
	return thousands(n) + " runs"
}

func also(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %s %s", thousands(n), what)
}

// thousands writes a number with commas between thousands.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func syncRunsCommand(c *cli) *cobra.Command {
	var limit listLimit
	run := ""
	cmd := &cobra.Command{
		Use:   "runs SOURCE",
		Short: "List the latest runs of a source, or show one",
		Example: `  rollcall sync runs corp
  rollcall sync runs corp --run 20261125-090000-000-1f2a`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if run != "" {
				r, err := api.GetRun(ctx, args[0], run)
				if err != nil {
					return err
				}
				return c.show(r, func(w io.Writer) { c.writeRun(w, r) })
			}
			all := client.RunPage{Runs: []client.Run{}}
			var err error
			all.NextPageToken, err = limit.pages(c, func(p page) (int, string, error) {
				page, err := api.ListRuns(ctx, args[0], client.ListRunsQuery{PageSize: p.size, PageToken: p.token})
				if err != nil {
					return 0, "", err
				}
				all.Runs = append(all.Runs, page.Runs...)
				return len(page.Runs), page.NextPageToken, nil
			})
			if err != nil {
				return err
			}
			if len(all.Runs) == 0 {
				c.note("No run of %s is on record yet. To start one: rollcall sync run %s", args[0], args[0])
			}
			return c.show(all, func(w io.Writer) { c.writeRuns(w, all.Runs) })
		}),
	}
	cmd.Flags().StringVar(&run, "run", "", "show this run, `ID`, in full")
	limit.flag(cmd.Flags())
	return cmd
}

func (c *cli) writeRuns(w io.Writer, all []client.Run) {
	if len(all) == 0 {
		return
	}
	t := newTable("RUN", "STATE", "STARTED", "TOOK", "BY", "WHAT")
	for i := range all {
		r := &all[i]
		t.cells(cell{text: r.ID}, c.runState(r), cell{text: c.relative(r.StartTime)}, cell{text: took(r)}, cell{text: startedBy(r)}, cell{text: outcome(r)})
	}
	t.write(w)
}

func (c *cli) runState(r *client.Run) cell {
	out := cell{text: r.State}
	switch r.State {
	case client.RunHeld, client.RunFailed, client.RunInterrupted:
		out.paint = func(t string) string { return c.paint(red, t) }
	}
	return out
}

func took(r *client.Run) string {
	if r.EndTime.IsZero() || r.StartTime.IsZero() {
		return ""
	}
	return r.EndTime.Sub(r.StartTime).Round(10 * time.Millisecond).String()
}

func startedBy(r *client.Run) string {
	if r.By != "" {
		return actor(r.By)
	}
	return r.Trigger
}

// outcome says in one line what a run came to.
func outcome(r *client.Run) string {
	switch {
	case r.Error != "":
		return r.Error
	case len(r.Held) > 0:
		return strings.Join(r.Held, "; ")
	}
	return r.Summary
}

func (c *cli) writeRun(w io.Writer, r *client.Run) {
	fmt.Fprintln(w, c.paint(bold, "Run "+printable(r.ID)+" of "+printable(r.Source)))
	var b block
	b.add("state", "%s", r.State)
	b.add("what", "%s", r.Summary)
	b.add("why", "%s", r.Error)
	b.add("started", "%s by %s", c.when(r.StartTime), startedBy(r))
	b.add("took", "%s", took(r))
	b.add("server", "%s", r.Server)
	b.add("family", "%s", r.Family)
	b.add("read", "%s", reach(r))
	b.add("proof", "%s", proof(&r.Proof))
	b.lines("held", r.Held, len(r.Held))
	b.add("digest", "%s", r.Digest)
	b.lines("withheld", r.Withheld, len(r.Withheld))
	conflicts := make([]string, len(r.Conflicts))
	for i, x := range r.Conflicts {
		conflicts[i] = fmt.Sprintf("%s (%s) %s: %s", x.Name, x.Key, x.Code, x.Detail)
	}
	b.lines("conflicts", conflicts, r.ConflictCount)
	skipped := make([]string, len(r.Skipped))
	for i, x := range r.Skipped {
		skipped[i] = fmt.Sprintf("%s: %s", firstOf(x.DN, x.Key, "an entry without a key"), x.Reason)
	}
	b.lines("skipped", skipped, r.SkippedCount)
	stages := make([]string, len(r.Stages))
	for i, s := range r.Stages {
		stages[i] = fmt.Sprintf("%s %s", s.Name, time.Duration(s.Ms*float64(time.Millisecond)).Round(time.Millisecond))
	}
	b.add("stages", "%s", strings.Join(stages, ", "))
	b.write(w)
}

// reach says what a run read.
func reach(r *client.Run) string {
	switch {
	case r.Reach == "changes":
		return "what changed since the run before"
	case r.Reach == "sweep" && r.Missed > 0:
		return fmt.Sprintf("what changed, and the key and change stamp of every entry: %s had been missed", thousands(r.Missed))
	case r.Reach == "sweep":
		return "what changed, and the key and change stamp of every entry"
	case r.Proof.Time.IsZero():
		return ""
	}
	return "everything"
}

// lines adds a fact of several lines; all counts those that are not among them, too.
func (b *block) lines(name string, lines []string, all int) {
	for i, l := range lines {
		if i > 0 {
			name = ""
		}
		b.add(name, "%s", l)
	}
	if more := all - len(lines); more > 0 {
		b.add("", "and %s more", thousands(more))
	}
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func proof(p *client.Proof) string {
	if p.Users && p.Groups {
		return "complete: " + firstOf(p.Why, fmt.Sprintf("every one of %s entries was seen", thousands(p.Entries)))
	}
	if p.Why == "" && p.Entries == 0 {
		return ""
	}
	return "not proven complete, so nothing was removed: " + firstOf(p.Why, "the read did not come to its end")
}
