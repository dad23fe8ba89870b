package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func scimCommand(c *cli) *cobra.Command {
	return family(c, "scim", "Tokens, requests and rails of sources that are pushed to",
		`An identity provider pushes people and groups to a source of type scim, with a token of
that source. docs/scim.md tells how, docs/scim-okta.md and docs/scim-entra.md for those two.`,
		scimTokenCommand(c), scimRequestsCommand(c), scimUndoCommand(c), scimPauseCommand(c), scimResumeCommand(c), scimReplayCommand(c))
}

func scimTokenCommand(c *cli) *cobra.Command {
	return family(c, "token", "Make, list and revoke the tokens that providers push with",
		`A token lets an identity provider push to one source and do nothing else. Several may be
active, so that one is replaced without a gap: make the new one, give it to the provider,
see it used in the list, revoke the old one.`,
		scimTokenCreateCommand(c), scimTokenListCommand(c), scimTokenRevokeCommand(c))
}

func scimTokenCreateCommand(c *cli) *cobra.Command {
	expires := ""
	cmd := &cobra.Command{
		Use:   "create SOURCE NAME",
		Short: "Make a token for a source and print it, this once",
		Long: `Make a token that an identity provider pushes to a source with. The token goes to stdout,
everything else to stderr. It is shown this once, and Rollcall keeps no copy that it could
be read from.

Whoever has it decides who is in the groups of the source: where those carry grants, only
one who may confer them makes a token. Only APPLICATION_ADMIN may.`,
		Example: `  rollcall scim token create okta "Okta, production" > okta.token`,
		Args:    c.args("SOURCE", "NAME"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			end, err := parseEnd(expires, c.now())
			if err != nil {
				return err
			}
			k, err := api.CreateSourceToken(ctx, args[0], client.NewPushToken{Name: args[1], ExpireTime: end})
			if err != nil {
				return err
			}
			return c.showPushToken(args[0], api.URL(), k)
		}),
	}
	cmd.Flags().StringVar(&expires, "expires", "", "`WHEN` it ends: 365d, a last day (2027-06-30), an instant (default: never, as the provider stops when it does)")
	return c.changes(c.completes(cmd, sourceNames))
}

func (c *cli) showPushToken(source, at string, k *client.CreatedPushToken) error {
	end := "never ends"
	if !k.ExpireTime.IsZero() {
		end = "ends " + c.when(k.ExpireTime)
	}
	if c.dryRun {
		c.note("A token %q for %s can be made that %s.", k.Name, source, end)
	} else {
		c.note("Token %s (%s) %s. It is shown this once.", k.ID, k.Name, end)
		c.note("The provider needs it and this URL: %s/scim/v2/%s", strings.TrimRight(at, "/"), source)
	}
	return c.show(k, func(w io.Writer) {
		if k.Secret != "" {
			fmt.Fprintln(w, k.Secret)
		}
	})
}

func scimTokenListCommand(c *cli) *cobra.Command {
	return c.completes(&cobra.Command{
		Use:     "list SOURCE",
		Short:   "List the tokens of a source",
		Example: `  rollcall scim token list okta`,
		Args:    c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			all, err := api.ListSourceTokens(ctx, args[0])
			if err != nil {
				return err
			}
			if len(all.Tokens) == 0 {
				c.note("There is no token yet: nobody can push to %s. To make one: rollcall scim token create %s NAME", args[0], args[0])
			}
			return c.show(all, func(w io.Writer) { c.pushTokenTable(w, all.Tokens) })
		}),
	}, sourceNames)
}

func (c *cli) pushTokenTable(w io.Writer, tokens []client.PushToken) {
	if len(tokens) == 0 {
		return
	}
	t := newTable("TOKEN", "NAME", "MADE", "BY", "LAST USE", "ENDS")
	for _, k := range tokens {
		end := cell{text: "never"}
		switch {
		case k.ExpireTime.IsZero():
		case k.State == "EXPIRED":
			end = cell{text: "ended " + date(k.ExpireTime), paint: func(s string) string { return c.paint(yellow, s) }}
		default:
			end.text = date(k.ExpireTime)
		}
		used := "not yet"
		if !k.LastUseTime.IsZero() {
			used = c.relative(k.LastUseTime)
		}
		t.cells(cell{text: k.ID}, cell{text: k.Name}, cell{text: date(k.CreateTime)}, cell{text: actor(k.CreatedBy)}, cell{text: used}, end)
	}
	t.write(w)
}

func scimTokenRevokeCommand(c *cli) *cobra.Command {
	return c.changes(c.completes(&cobra.Command{
		Use:   "revoke SOURCE TOKEN",
		Short: "End a token of a source at once",
		Long: `End a token of a source at once. TOKEN is what rollcall scim token list shows in its first
column, never the secret. Only APPLICATION_ADMIN may.`,
		Example: `  rollcall scim token revoke okta 4fJ2kQ9xZa`,
		Args:    c.args("SOURCE", "TOKEN"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if err := api.DeleteSourceToken(ctx, args[0], args[1]); err != nil {
				return err
			}
			c.done("Token %s %s revoked.", args[1])
			return nil
		}),
	}, sourceNames))
}

func scimRequestsCommand(c *cli) *cobra.Command {
	var limit listLimit
	failed := false
	cmd := &cobra.Command{
		Use:   "requests SOURCE",
		Short: "List what a provider sent of late, what was made of it, and how it ended",
		Long: `List the last requests of an identity provider to a source, the newest first: what came,
what it was changed into before it was carried out, and how it ended. The replica that
answers keeps the last 1000 in memory, without tokens and without what they say of people.`,
		Example: `  rollcall scim requests okta
  rollcall scim requests okta --failed -o json`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			all, err := api.ListSourceRequests(ctx, args[0])
			if err != nil {
				return err
			}
			shown, more, err := limit.requests(c, all.Requests, failed)
			if err != nil {
				return err
			}
			switch {
			case len(shown) == 0 && failed && len(all.Requests) > 0:
				c.note("None of the last %s requests to %s failed.", thousands(len(all.Requests)), args[0])
			case len(shown) == 0:
				c.note("Nothing has come for %s since this replica began. Is the provider told the URL and a token? docs/scim.md", args[0])
			}
			if err := c.show(client.PushRequestList{Requests: shown}, func(w io.Writer) { c.requestTable(w, shown) }); err != nil {
				return err
			}
			if more > 0 {
				c.note("%s more: --all shows them.", thousands(more))
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&failed, "failed", false, "only those that were refused or went wrong")
	limit.flag(cmd.Flags())
	return c.completes(cmd, sourceNames)
}

// requests returns the requests that are to be shown, and how many are left out.
func (l *listLimit) requests(c *cli, all []client.PushRequest, failed bool) (shown []client.PushRequest, more int, err error) {
	shown = []client.PushRequest{}
	for i := range all {
		if !failed || all[i].Status >= firstFailure {
			shown = append(shown, all[i])
		}
	}
	// The whole list is one page.
	_, err = l.pages(c, func(p page) (int, string, error) {
		n := min(p.size, len(shown))
		more = len(shown) - n
		shown = shown[:n]
		return n, "", nil
	})
	return shown, more, err
}

// firstFailure is the lowest status of a request that did not do what was asked.
const firstFailure = 400

func (c *cli) requestTable(w io.Writer, all []client.PushRequest) {
	if len(all) == 0 {
		return
	}
	t := newTable("WHEN", "REQUEST", "STATUS", "TOOK", "RESOURCE", "WHAT CAME OF IT")
	t.columns = columns(w)
	for i := range all {
		r := &all[i]
		status := cell{text: strconv.Itoa(r.Status)}
		if r.Status >= firstFailure {
			status.paint = func(s string) string { return c.paint(red, s) }
		}
		resource := r.Resource
		if strings.Contains(r.Path, resource) {
			resource = ""
		}
		t.cells(cell{text: c.relative(r.Time)}, cell{text: r.Method + " " + r.Path}, status,
			cell{text: (time.Duration(r.Micros) * time.Microsecond).String()}, cell{text: resource}, cell{text: cameOf(r)})
	}
	t.write(w)
}

// cameOf says in one line what was made of a request.
func cameOf(r *client.PushRequest) string {
	notes := strings.Join(r.Notes, "; ")
	switch {
	case r.Error == "":
		return notes
	case notes == "":
		return r.Error
	}
	return r.Error + " (" + notes + ")"
}
