package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func metricsCommand(c *cli) *cobra.Command {
	return family(c, "metrics", "See what is used most and least, never by whom",
		`What is counted stays here, unless you hand it on: by day, by what and by class of
persona, with no id, name, host or value. docs/usage.md says all of it.`,
		metricsUsageCommand(c))
}

// defaultDays are four weeks.
const defaultDays = 28

func metricsUsageCommand(c *cli) *cobra.Command {
	days := defaultDays
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Report what was used most and least, and how that changes",
		Long: `Report what was used most and least over some days, with how much of it was refused,
failed, or was previewed and not applied, and how the second half of the days compares
to the first. Fewer than five people never make a line of their own.

With -o json it is what may be handed on. Only APPLICATION_ADMIN may.`,
		Example: `  rollcall metrics usage --days 90
  rollcall metrics usage -o json > usage.json`,
		Args: noArgs,
		RunE: c.asks(func(ctx context.Context, api *client.Client, _ []string) error {
			r, err := api.GetUsage(ctx, client.GetUsageQuery{Days: days})
			if err != nil {
				return err
			}
			if !r.Collecting {
				c.note("Nothing is counted: usage.collect is off in the configuration.")
			}
			return c.show(r, func(w io.Writer) { c.writeUsage(w, r) })
		}),
	}
	cmd.Flags().IntVar(&days, "days", days, "how many days `N`, today included")
	return cmd
}

func (c *cli) writeUsage(w io.Writer, r *client.UsageReport) {
	fmt.Fprintln(w, c.paint(bold, "Usage from "+printable(r.From)+" to "+printable(r.To)))
	for _, f := range []struct {
		title string
		of    *client.UsageFamily
	}{{"What was completed", &r.Workflows}, {"What was used", &r.Touches}} {
		fmt.Fprintf(w, "\n%s: %s times, %s refused, %s failed, %s previewed only\n", f.title,
			thousands(f.of.Total.Total()), percent(f.of.Shares.Refused), percent(f.of.Shares.Failed), percent(f.of.Shares.Previewed))
		if len(f.of.Names) > 0 {
			usageTable(w, f.of.Names)
		}
		if len(f.of.LeastUsed) > 0 {
			fmt.Fprintf(w, "Least used: %s.\n", printable(strings.Join(f.of.LeastUsed, ", ")))
		}
		if n := len(f.of.Quiet); n > 0 {
			fmt.Fprintf(w, "%s not used, or by fewer than %d people; -o json names them.\n", thousands(n), r.LeastPeople)
		}
	}
}

func usageTable(w io.Writer, lines []client.UsageLine) {
	t := newTable("WHAT", "TIMES", "REFUSED", "FAILED", "PREVIEWED", "A DAY", "TREND")
	for _, l := range lines {
		t.row(l.Name, thousands(l.Counts.Total()), percent(l.Shares.Refused), percent(l.Shares.Failed), percent(l.Shares.Previewed),
			fmt.Sprintf("%.1f", l.Trend.Later), trend(l.Trend))
	}
	t.write(w)
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", share*100) }

// trend says how the later half of the days compares to the earlier one.
func trend(t client.UsageTrend) string {
	switch {
	case t.Earlier == 0 && t.Later == 0:
		return ""
	case t.Earlier == 0:
		return "new"
	}
	return fmt.Sprintf("%+.0f %%", (t.Later/t.Earlier-1)*100)
}
