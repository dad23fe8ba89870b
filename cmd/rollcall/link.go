package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func linkCommand(c *cli) *cobra.Command {
	confirm, grants, reason := "", "keep", ""
	cmd := &cobra.Command{
		Use:   "link USER OTHER [--grants keep|end] [--confirm DIGEST]",
		Short: "Make two users of two sources one person",
		Long: `Make two users of two sources one person: the record of OTHER joins USER, with its
memberships, local attributes and, unless --grants end is said, grants; OTHER is no more.
OTHER may be a record that was pushed and is nobody's, as SOURCE/NAME or SOURCE/ENTRY.
Only USER_ADMIN may, and nobody raises USER by it to what he may not confer.

Without --confirm it shows what would be, and a digest of just that; nothing is changed,
and it ends with 1. rollcall unlink takes it back.`,
		Example: `  rollcall link corp/ann hr/a.lee
  rollcall link corp/ann hr/a.lee --confirm sha256:9c1f2a... --reason "same person"`,
		Args: c.args("USER", "OTHER"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			body := client.LinkRequest{User: args[1], Grants: grants, Reason: reason}
			if confirm == "" {
				p, err := api.DryRun().LinkUsers(ctx, args[0], client.LinkUsersQuery{}, body)
				if err != nil {
					return err
				}
				return answer(false, c.show(p, func(w io.Writer) {
					fmt.Fprintf(w, "One person: the record of %s would join %s.\n", printable(linkedName(p, args[1])), printable(fullName(&p.User)))
					writeLinkPlan(w, p)
					fmt.Fprintf(w, "Nothing was changed. To do just that: rollcall link %s %s%s --confirm %s\n", args[0], args[1], unlessKept(grants), p.Digest)
				}))
			}
			p, err := api.LinkUsers(ctx, args[0], client.LinkUsersQuery{Digest: confirm}, body)
			if err != nil {
				return err
			}
			return c.show(p, func(w io.Writer) {
				fmt.Fprintf(w, "%s and %s %s one person.\n", printable(fullName(&p.User)), printable(linkedName(p, args[1])), c.would("are", "can be"))
			})
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the `DIGEST` of what was shown: do it")
	cmd.Flags().StringVar(&grants, "grants", "keep", "what becomes of the grants of OTHER: `keep` or end")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	return c.changes(c.completes(cmd, userNames, userNames))
}

func unlessKept(grants string) string {
	if grants == "keep" {
		return ""
	}
	return " --grants " + grants
}

// would chooses the word for what was done, or what could be.
func (c *cli) would(done, could string) string {
	if c.dryRun {
		return could
	}
	return done
}

// fullName is a user with his source.
func fullName(u *client.UserSummary) string {
	if u == nil {
		return "nobody"
	}
	return u.Source + "/" + u.UserName
}

// linkedName is who is linked, or the name of a record that was nobody's.
func linkedName(p *client.LinkPlan, said string) string {
	if p.Other == nil {
		return said
	}
	return fullName(p.Other)
}

func writeLinkPlan(w io.Writer, p *client.LinkPlan) {
	var b block
	b.add("memberships", "%s", subjectNames(p.Groups))
	b.add("grants", "%s", strings.Join(p.Grants, ", "))
	b.add("local attributes", "%s", strings.Join(p.Attributes, ", "))
	b.add("gains", "%s", strings.Join(p.Gains, ", "))
	b.add("loses", "%s", strings.Join(p.Loses, ", "))
	b.write(w)
}

func unlinkCommand(c *cli) *cobra.Command {
	confirm, reason := "", ""
	cmd := &cobra.Command{
		Use:   "unlink USER SOURCE [--confirm DIGEST]",
		Short: "Take the record of a source from a user whom it was linked to",
		Long: `Take the record of SOURCE from USER. Whoever was linked by hand is back under his id,
with what he had; else the record becomes a user of its own without grants, or goes, where
SOURCE only adds attributes; one that was pushed stays, and is nobody's. Rules leave the entry alone from then on, until that is taken
back: rollcall source settle SOURCE ENTRY undo.

Without --confirm it shows what would be, and a digest of just that; nothing is changed,
and it ends with 1.`,
		Example: `  rollcall unlink ann hr
  rollcall unlink ann hr --confirm sha256:9c1f2a...`,
		Args: c.args("USER", "SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if confirm == "" {
				p, err := api.DryRun().UnlinkUser(ctx, args[0], args[1], client.UnlinkUserQuery{Reason: reason})
				if err != nil {
					return err
				}
				return answer(false, c.show(p, func(w io.Writer) {
					fmt.Fprintf(w, "The record of source %s would be taken from %s: %s.\n", printable(args[1]), printable(fullName(&p.User)), becomes(p))
					writeLinkPlan(w, p)
					fmt.Fprintf(w, "Nothing was changed. To do just that: rollcall unlink %s %s --confirm %s\n", args[0], args[1], p.Digest)
				}))
			}
			p, err := api.UnlinkUser(ctx, args[0], args[1], client.UnlinkUserQuery{Digest: confirm, Reason: reason})
			if err != nil {
				return err
			}
			return c.show(p, func(w io.Writer) {
				fmt.Fprintf(w, "The record of source %s %s taken from %s: %s.\n", printable(args[1]), c.would("is", "can be"), printable(fullName(&p.User)), becomes(p))
			})
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the `DIGEST` of what was shown: do it")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	return c.changes(c.completes(cmd, userNames, sourceNames))
}

// becomes says what becomes of a record that is unlinked.
func becomes(p *client.LinkPlan) string {
	if p.Other == nil {
		return "it belongs to nobody"
	}
	return "it is that of user " + printable(fullName(p.Other))
}
