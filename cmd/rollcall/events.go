package main

import (
	"context"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func eventsCommand(c *cli) *cobra.Command {
	after, most := "", 0
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Follow what changes: who keeps a copy learns what to read again",
		Long: `Follow what changes, as it changes, until Ctrl-C: which user, group, membership, grant,
permission, setting or source, not how. Whoever keeps a copy learns from it what to read
again. Needs FETCH_POLICY_INFO; who changed what, and why, is what rollcall audit tells.`,
		Example: `  rollcall events
  rollcall events --after 1044 -o json`,
		Args: noArgs,
		RunE: c.asks(func(ctx context.Context, api *client.Client, _ []string) error {
			return follow(ctx, c, after, most, func(after string) iter.Seq2[client.Followed[client.ChangeEvent], error] {
				return api.FollowEvents(ctx, client.FollowEventsQuery{}, after)
			}, eventLines)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&after, "after", "", "begin after `REVISION`, as an answer gave it; default: from now on")
	f.IntVar(&most, "limit", 0, "end after `N` of them; default: go on")
	return cmd
}

// eventLines shows an event; a bookmark only tells how far the stream is.
func eventLines(e *client.ChangeEvent) []string {
	if e.Kind == "bookmark" {
		return nil
	}
	how := "changed"
	if e.Removed {
		how = "removed"
	}
	var words []string
	for _, w := range []string{e.Kind, how, e.Permission, e.Subject, e.ID} {
		if w != "" {
			words = append(words, w)
		}
	}
	return []string{strings.Join(words, "  ")}
}
