package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcall-id/rollcall/client"
)

func keyCommand(c *cli) *cobra.Command {
	return family(c, "key", "Make, list and revoke API keys of people",
		`API keys let programs act as you. A key may be restricted to some permissions, ends by
itself, and never does more than its user may. Keys for applications: rollcall service.`,
		keyCreateCommand(c), keyListCommand(c), keyRevokeCommand(c))
}

// newKey is a key as the flags describe it.
type newKey struct {
	expires     string
	permissions []string
}

func (n *newKey) flags(f *pflag.FlagSet) {
	f.StringVar(&n.expires, "expires", "", "`WHEN` it ends: 30d, 12h, a last day (2027-06-30), an instant (default: in 90 days)")
	f.StringArrayVar(&n.permissions, "permission", nil, "restrict it to `PERMISSION`; may be repeated (default: whatever its user may do)")
}

func (n *newKey) named(c *cli, name string) (client.NewKey, error) {
	end, err := parseEnd(n.expires, c.now())
	return client.NewKey{Name: name, ExpireTime: end, Permissions: n.permissions}, err
}

func keyCreateCommand(c *cli) *cobra.Command {
	var n newKey
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an API key for yourself and print it, this once",
		Long: `Make an API key for yourself. The key goes to stdout, everything else to stderr. It is
shown this once, and Rollcall keeps no copy that it could be read from.`,
		Example: `  rollcall key create ci --permission AUDIT --expires 30d > ci.key`,
		Args:    c.args("NAME"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			body, err := n.named(c, args[0])
			if err != nil {
				return err
			}
			k, err := api.CreateKey(ctx, body)
			if err != nil {
				return err
			}
			return c.showCreated(k)
		}),
	}
	n.flags(cmd.Flags())
	return c.changes(cmd)
}

func (c *cli) showCreated(k *client.CreatedKey) error {
	only := ""
	if len(k.Permissions) > 0 {
		only = ", for " + strings.Join(k.Permissions, ", ") + " only"
	}
	if c.dryRun {
		c.note("A key %q can be made that ends %s%s.", k.Name, c.when(k.ExpireTime), only)
	} else {
		c.note("Key %s (%s) ends %s%s. It is shown this once.", k.ID, k.Name, c.when(k.ExpireTime), only)
	}
	return c.show(k, func(w io.Writer) {
		if k.Secret != "" {
			fmt.Fprintln(w, k.Secret)
		}
	})
}

func keyListCommand(c *cli) *cobra.Command {
	return c.completes(&cobra.Command{
		Use:   "list [USER]",
		Short: "List your API keys, or those of a user",
		Example: `  rollcall key list
  rollcall key list ann`,
		Args: c.atMost("USER"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			who, err := orMe(ctx, api, strings.Join(args, ""))
			if err != nil {
				return err
			}
			all, err := api.ListKeys(ctx, who)
			if err != nil {
				return err
			}
			if len(all.Keys) == 0 {
				c.note("There is no API key. To make one for yourself: rollcall key create NAME")
			}
			return c.show(all, func(w io.Writer) { c.keyTable(w, all.Keys) })
		}),
	}, userNames)
}

// orMe returns the user that is named, else the one who asks.
func orMe(ctx context.Context, api *client.Client, user string) (string, error) {
	if user != "" {
		return user, nil
	}
	me, err := api.GetMe(ctx)
	if err != nil {
		return "", err
	}
	return me.User.ID, nil
}

func (c *cli) keyTable(w io.Writer, keys []client.Key) {
	if len(keys) == 0 {
		return
	}
	t := newTable("KEY", "NAME", "FOR", "MADE", "LAST USE", "ENDS")
	for _, k := range keys {
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
		t.cells(cell{text: k.ID}, cell{text: k.Name}, cell{text: cmp.Or(strings.Join(k.Permissions, ", "), "all")},
			cell{text: date(k.CreateTime)}, cell{text: used}, end)
	}
	t.write(w)
}

func keyRevokeCommand(c *cli) *cobra.Command {
	user := ""
	cmd := &cobra.Command{
		Use:   "revoke KEY",
		Short: "End an API key at once",
		Long: `End an API key at once. KEY is what rollcall key list shows in its first column, never the
secret. The keys of others are revoked by USER_ADMIN.`,
		Example: `  rollcall key revoke 4fJ2kQ9xZa
  rollcall key revoke 4fJ2kQ9xZa --user ann`,
		Args: c.args("KEY"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			who, err := orMe(ctx, api, user)
			if err != nil {
				return err
			}
			if err := api.DeleteKey(ctx, who, args[0]); err != nil {
				return err
			}
			c.done("Key %s %s revoked.", args[0])
			return nil
		}),
	}
	cmd.Flags().StringVar(&user, "user", "", "the `USER` whose key it is (default: you)")
	return c.changes(cmd)
}
