package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func sourceSettleCommand(c *cli) *cobra.Command {
	var body client.SettleRequest
	cmd := &cobra.Command{
		Use:   "settle SOURCE ENTRY merge|join|replace|ignore|undo [--user USER]",
		Short: "Decide about an entry that a run left alone",
		Long: `Decide about an entry of a source that a run left alone: a conflict that it lists, named
by its lasting key.

  merge    it is USER, whom the source knew under another key: he keeps his id and his
           grants, so whoever decides it has to be one who may confer them
  join     it is a linked record of USER
  replace  it becomes a user of its own, without grants
  ignore   it is left out, and not listed any more
  undo     what was decided is taken back; what was done by it stays

The next run carries it out, and waits for approval if that raises anybody. Of a source
that is pushed to, ENTRY is the SCIM id of a record, and it is done at once: join, replace
and ignore for one that is nobody's, as rollcall source unassigned lists it, merge also for
a new user who has nothing yet.`,
		Example: `  rollcall sync status corp                                   which conflicts there are
  rollcall source settle corp 5f2c...91 merge --user ann
  rollcall source settle hr 8810 ignore`,
		Args: c.args("SOURCE", "ENTRY", "DECISION"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			source, entry := args[0], args[1]
			if args[2] == "undo" {
				if err := api.UnsettleEntry(ctx, source, client.UnsettleEntryQuery{Entry: entry}); err != nil {
					return err
				}
				fmt.Fprintf(c.stderr, "What was decided about %s %s taken back.\n", printable(entry), c.would("is", "can be"))
				return nil
			}
			body.Entry, body.Decision = entry, args[2]
			list, err := api.SettleEntry(ctx, source, body)
			if err != nil {
				return err
			}
			return c.show(list, func(w io.Writer) {
				fmt.Fprintf(w, "Settled: %s %s. Where %s is read, its next run carries it out.\n", printable(args[2]), printable(entry), printable(source))
			})
		}),
	}
	cmd.Flags().StringVar(&body.User, "user", "", "of merge and join: which `USER` it is")
	cmd.Flags().StringVar(&body.Reason, "reason", "", "why, for the audit log")
	return c.changes(c.completes(cmd, sourceNames))
}

func sourceSettlementsCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "settlements SOURCE",
		Short: "List what was decided about single entries of a source",
		Long:  `List what was decided about single entries of a source, the newest first.`,
		Args:  c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			list, err := api.ListSettlements(ctx, args[0])
			if err != nil {
				return err
			}
			return c.show(list, func(w io.Writer) {
				t := newTable("ENTRY", "DECISION", "USER", "BY", "WHEN", "REASON")
				t.columns = columns(c.stdout)
				for _, s := range list.Settlements {
					user := s.UserName
					if s.User != nil {
						user = s.User.Source + "/" + s.User.Name
					}
					t.row(s.Entry, s.Decision, user, actor(s.By), date(s.Time), s.Reason)
				}
				t.write(w)
			})
		}),
	}
	return c.completes(cmd, sourceNames)
}

func sourceUnassignedCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unassigned SOURCE",
		Short: "List the records that were pushed and are nobody's",
		Long: `List the records of a source that were pushed and are nobody's, and why: its provider sees
them as any other, and they make no user. They are tried again by themselves; rollcall
source settle decides about one.`,
		Example: `  rollcall source unassigned okta
  rollcall source settle okta 01934f0e-... join --user corp/ann`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			list, err := api.ListUnassignedRecords(ctx, args[0])
			if err != nil {
				return err
			}
			return c.show(list, func(w io.Writer) {
				t := newTable("ENTRY", "USER NAME", "REASON", "WHAT TO DO", "SINCE", "GROUPS")
				t.columns = columns(c.stdout)
				for _, r := range list.Records {
					t.row(r.Entry, r.UserName, r.Reason, r.Detail, date(r.Time), subjectNames(r.Groups))
				}
				t.write(w)
			})
		}),
	}
	return c.completes(cmd, sourceNames)
}
