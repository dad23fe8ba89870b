package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcall-id/rollcall/client"
)

// auditFlags say which entries of the audit log are wanted.
type auditFlags struct {
	auditFilter
	from, until string
}

func (a *auditFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&a.Actor, "actor", "", "only what `WHO` did: a login name, an id, or with its kind: user:ann, sync:corp")
	f.StringVar(&a.Action, "action", "", "only `ACTION`, as the table shows it: PermissionGranted")
	f.StringVar(&a.Target, "target", "", "only what was done to `WHAT`: user/ann, group/ID, source/corp")
	f.StringVar(&a.Text, "text", "", "only entries that contain `TEXT`")
	f.StringVar(&a.from, "from", "", "not before `WHEN`: 2h or 7d ago, a day (2026-11-25), an instant")
	f.StringVar(&a.until, "until", "", "before `WHEN`")
}

func (a *auditFlags) filter(c *cli) (auditFilter, error) {
	var err error
	f := a.auditFilter
	if f.From, err = parseAgo("--from", a.from, c.now()); err != nil {
		return f, err
	}
	f.Until, err = parseAgo("--until", a.until, c.now())
	return f, err
}

func auditCommand(c *cli) *cobra.Command {
	var a auditFlags
	var limit listLimit
	var follow, oldest bool
	after := ""
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read, follow, export and verify the audit log",
		Long: `Read the audit log: who did what to whom, the newest first. With --follow, go on with what
happens from now on until Ctrl-C. AUDIT may read all of it, everybody else what concerns
themselves.`,
		Example: `  rollcall audit --target user/ann --from 30d
  rollcall audit --action PermissionGranted -o json
  rollcall audit --follow`,
		Args: noArgs,
		RunE: c.asks(func(ctx context.Context, api *client.Client, _ []string) error {
			f, err := a.filter(c)
			switch {
			case err != nil:
				return err
			case follow:
				return c.followAudit(ctx, api, f, after, limit.n)
			case after != "":
				return usage("--after goes with --follow; rollcall audit export has one, too")
			}
			order := client.NewestFirst
			if oldest {
				order = client.OldestFirst
			}
			return c.listAudit(ctx, api, f, order, limit)
		}),
	}
	f := cmd.Flags()
	a.flags(f)
	f.BoolVar(&oldest, "oldest", false, "the oldest first")
	f.BoolVar(&follow, "follow", false, "show what happens, as it happens; --limit ends it after so many entries")
	f.StringVar(&after, "after", "", "with --follow: begin after `REVISION`, 0 for the beginning of the log")
	limit.flag(f)
	return alone(cmd, auditExportCommand(c), auditVerifyCommand(c), auditHeadCommand(c))
}

func (c *cli) listAudit(ctx context.Context, api *client.Client, f auditFilter, order string, l listLimit) error {
	all := client.AuditPage{Entries: []client.AuditEntry{}}
	more, err := l.pages(c, func(p page) (int, string, error) {
		page, err := api.ListAudit(ctx, f.query(order, p))
		if err != nil {
			return 0, "", err
		}
		all.Entries = append(all.Entries, page.Entries...)
		return len(page.Entries), page.NextPageToken, nil
	})
	if err != nil {
		return err
	}
	all.NextPageToken = more
	if len(all.Entries) == 0 {
		c.note("No entry of the audit log is like that.")
	}
	err = c.show(all, func(w io.Writer) {
		if len(all.Entries) == 0 {
			return
		}
		t := newTable("TIME", "WHO", "WHAT", "TO", "DETAIL")
		for i := range all.Entries {
			for _, row := range c.auditRows(&all.Entries[i]) {
				t.row(row[:]...)
			}
		}
		t.write(w)
	})
	if more != "" {
		c.note("The first %d entries are shown. --all shows every one; --actor, --action, --target, --text, --from and --until narrow it down.", len(all.Entries))
	}
	return err
}

// auditRows are a row for each thing that an entry says was done.
func (c *cli) auditRows(e *client.AuditEntry) [][5]string {
	var rows [][5]string
	at := e.Time.In(c.now().Location()).Format("2 Jan 2006 15:04:05")
	who := e.Actor.Name
	if who == "" {
		who = e.Actor.ID
	}
	for _, x := range e.Events {
		to := strings.ToLower(x.TargetType) + " " + x.Name
		if x.Name == "" {
			to = x.Target
		}
		rows = append(rows, [5]string{at, who, x.Action, to, auditDetail(&x)})
	}
	return rows
}

func auditDetail(x *client.AuditEvent) string {
	var parts []string
	for _, ch := range x.Changes {
		before, after := strings.Join(ch.Before, ", "), strings.Join(ch.After, ", ")
		switch {
		case before == "":
			parts = append(parts, ch.Field+" = "+after)
		case after == "":
			parts = append(parts, ch.Field+" was "+before)
		default:
			parts = append(parts, ch.Field+" "+before+" -> "+after)
		}
	}
	if x.Reason != "" {
		parts = append(parts, "("+x.Reason+")")
	}
	return strings.Join(parts, "; ")
}

func auditExportCommand(c *cli) *cobra.Command {
	var a auditFlags
	after := int64(0)
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the audit log to stdout as JSON Lines, the oldest entry first",
		Long: `Write the audit log to stdout as JSON Lines, the oldest entry first. To go on later, give
--after the revision of the last line. It ends with 4 when the log was cut off.`,
		Example: `  rollcall audit export --from 2026-01-01 --until 2026-02-01 > january.ndjson
  rollcall audit export --after "$(tail -n 1 audit.ndjson | jq .revision)" >> audit.ndjson`,
		Args: noArgs,
		RunE: c.asks(func(ctx context.Context, api *client.Client, _ []string) error {
			f, err := a.filter(c)
			if err != nil {
				return err
			}
			if after < 0 {
				return usage("--after takes the revision of an entry")
			}
			return api.ExportAudit(ctx, f.export(after), c.stdout)
		}),
	}
	a.flags(cmd.Flags())
	cmd.Flags().Int64Var(&after, "after", 0, "only entries after `REVISION`")
	return cmd
}

func auditVerifyCommand(c *cli) *cobra.Command {
	var kept client.AuditHead
	file := ""
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nothing in the audit log was changed, dropped or cut off",
		Long: `Check the whole audit log: its chain of hashes and every entry. With a head that was kept
elsewhere, the log also has to pass through it: --seq and --hash (rollcall audit head), or
--head with a file that holds heads as JSON, the last of which counts, or a backup.

It ends with 0 when all is as it was written and with 1 when it is not; then it names the
first entry that is wrong. Only AUDIT may.`,
		Example: `  rollcall audit verify
  rollcall audit verify --seq 4711 --hash 9f86d08...
  rollcall audit verify --head rollcall-2026-11-25.tar`,
		Args: noArgs,
		RunE: c.asks(func(ctx context.Context, api *client.Client, _ []string) error {
			switch {
			case (kept.Seq == 0) != (kept.Hash == ""):
				return usage("--seq and --hash go together: both are those of rollcall audit head")
			case file != "" && kept.Seq != 0:
				return usage("say --head, or --seq and --hash")
			case file != "":
				var err error
				if kept, err = keptHead(file); err != nil {
					return err
				}
			}
			v, err := api.VerifyAudit(ctx, client.VerifyAuditQuery{Seq: kept.Seq, Hash: kept.Hash})
			if err != nil {
				return err
			}
			return answer(v.OK, c.show(v, func(w io.Writer) { c.writeVerification(w, v) }))
		}),
	}
	cmd.Flags().Uint64Var(&kept.Seq, "seq", 0, "the number `N` of a head that was kept")
	cmd.Flags().StringVar(&kept.Hash, "hash", "", "the `HASH` of that head")
	cmd.Flags().StringVar(&file, "head", "", "a `FILE` with such a head: rollcall audit head -o json, a backup or its manifest")
	return cmd
}

func (c *cli) writeVerification(w io.Writer, v *client.AuditVerification) {
	if v.OK {
		fmt.Fprintln(w, c.paint(green, printable(v.Summary)))
		return
	}
	fmt.Fprintln(w, c.paint(red, printable(v.Summary)))
	if v.Bad == nil {
		return
	}
	var b block
	if v.Bad.Seq > 0 {
		b.add("entry", "%d", v.Bad.Seq)
	}
	b.add("id", "%s", v.Bad.ID)
	b.add("why", "%s", v.Bad.Why)
	b.add("in order up to", "%d", v.Head.Seq)
	b.write(w)
}

func auditHeadCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "head",
		Short: "Show where the audit log ends, to be kept elsewhere",
		Long: `Show where the audit log ends. Kept where nobody who could change the log can reach it, it
proves later that nothing up to there was changed: rollcall audit verify --seq --hash.`,
		Example: `  rollcall audit head -o json >> heads.json`,
		Args:    noArgs,
		RunE: c.asks(func(ctx context.Context, api *client.Client, _ []string) error {
			h, err := api.AuditHead(ctx)
			if err != nil {
				return err
			}
			return c.show(h, func(w io.Writer) { fmt.Fprintf(w, "--seq %d --hash %s\n", h.Seq, h.Hash) })
		}),
	}
}
