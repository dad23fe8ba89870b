package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

// answer ends a command that asked a question.
func answer(yes bool, err error) error {
	if err == nil && !yes {
		return errNo
	}
	return err
}

// writeSentence writes lines that begin with yes or no.
func (c *cli) writeSentence(w io.Writer, text string) {
	for line := range strings.Lines(text) {
		line = printable(strings.TrimSuffix(line, "\n"))
		switch {
		case strings.HasPrefix(line, "yes"):
			line = c.paint(green, "yes") + line[len("yes"):]
		case strings.HasPrefix(line, "no"):
			line = c.paint(red, "no") + line[len("no"):]
		}
		fmt.Fprintln(w, line)
	}
}

func canCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "can USER PERMISSION",
		Short: "Say whether a user has a permission: yes or no",
		Long: `Say whether a user has a permission, as an application is told.

It ends with 0 for yes and with 1 for no. Who does not exist has no permission.`,
		Example: `  rollcall can ann GOVERNANCE
  if rollcall can "$USER" CREATE_PROJECT >/dev/null; then ...; fi`,
		Args: c.args("USER", "PERMISSION"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			d, err := api.Check(ctx, client.CheckRequest{User: args[0], Permission: args[1]})
			if err != nil {
				return err
			}
			if !d.StaleSince.IsZero() {
				c.note("The store of Rollcall does not answer: this is from memory, as of %s.", c.when(d.StaleSince))
			}
			return answer(d.Allowed, c.show(d, func(w io.Writer) { c.writeSentence(w, decision(d)) }))
		}),
	}
}

func decision(d *client.CheckAnswer) string {
	if d.Allowed {
		return "yes"
	}
	reason := strings.ReplaceAll(d.Reason, "_", " ")
	if d.Status != "" {
		reason += ", " + strings.ReplaceAll(d.Status, "_", " ")
	}
	return "no (" + reason + ")"
}

func whoCanCommand(c *cli) *cobra.Command {
	var limit listLimit
	cmd := &cobra.Command{
		Use:   "who-can PERMISSION",
		Short: "List who has a permission now, and by what",
		Long: `List who effectively has a permission now, directly or through groups, and one grant
that gives it. It ends with 1 when nobody has it.`,
		Example: `  rollcall who-can USER_ADMIN`,
		Args:    c.args("PERMISSION"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			all := client.HolderPage{Permission: args[0], Holders: []client.Holder{}}
			var err error
			all.NextPageToken, err = limit.pages(c, func(p page) (int, string, error) {
				page, err := api.ListHolders(ctx, args[0], client.ListHoldersQuery{PageSize: p.size, PageToken: p.token})
				if err != nil {
					return 0, "", err
				}
				all.Holders, all.Revision = append(all.Holders, page.Holders...), page.Revision
				return len(page.Holders), page.NextPageToken, nil
			})
			if err != nil {
				return err
			}
			return c.showHolders(&all)
		}),
	}
	limit.flag(cmd.Flags())
	return cmd
}

func (c *cli) showHolders(all *client.HolderPage) error {
	if len(all.Holders) == 0 {
		c.note("Nobody has %s. To give it: rollcall grant USER %s --reason ...", all.Permission, all.Permission)
	}
	err := c.show(all, func(w io.Writer) {
		if len(all.Holders) == 0 {
			return
		}
		t := newTable("USER", "NAME", "SOURCE", "BY", "GRANTED BY", "UNTIL", "REASON")
		for _, h := range all.Holders {
			by, end := "direct grant", ""
			if h.Grant.Subject.Kind == "group" {
				by = groupPrefix + h.Grant.Subject.Name
				if h.Through != nil && h.Through.ID != h.Grant.Subject.ID {
					by += " by way of " + h.Through.Name
				}
			}
			if !h.Grant.ExpireTime.IsZero() {
				end = date(h.Grant.ExpireTime)
			}
			t.row(h.UserName, h.DisplayName, h.Source, by, actor(h.Grant.GrantedBy), end, h.Grant.Reason)
		}
		t.write(w)
	})
	if all.NextPageToken != "" {
		c.note("The first %d are shown; --all shows everybody.", len(all.Holders))
	}
	return answer(len(all.Holders) > 0, err)
}

func permissionsCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "permissions [USER]",
		Short: "List the permissions there are, or those that a user has",
		Long: `List the permissions there are, or those that a user has.

The built-in ones are always there. An APPLICATION_ADMIN can add names that only mean
something to the applications that ask for them.`,
		Example: `  rollcall permissions
  rollcall permissions ann`,
		Args: c.atMost("USER"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if len(args) == 1 {
				all, err := api.ListUserPermissions(ctx, args[0])
				if err != nil {
					return err
				}
				return c.showUserPermissions(all)
			}
			all, err := api.ListPermissions(ctx)
			if err != nil {
				return err
			}
			return c.show(all, func(w io.Writer) {
				t := newTable("PERMISSION", "ENFORCED BY", "WHAT IT LETS ONE DO")
				t.columns = columns(c.stdout)
				for _, p := range all.Permissions {
					t.row(p.Name, p.EnforcedBy, p.Description)
				}
				t.write(w)
			})
		}),
	}
	return alone(cmd, permissionsShowCommand(c), permissionsCreateCommand(c), permissionsDeleteCommand(c))
}

func (c *cli) showUserPermissions(u *client.UserPermissions) error {
	if len(u.Permissions) == 0 {
		c.note("%s has no permission now (%s).", qualified(u.User), reasonWords(u.Status, u.Reason))
	}
	return c.show(u, func(w io.Writer) {
		if len(u.Permissions) == 0 {
			return
		}
		t := newTable("PERMISSION", "BY")
		for _, p := range u.Permissions {
			var by []string
			for _, g := range p.Grants {
				if g.Subject.Kind == "group" {
					by = append(by, groupPrefix+g.Subject.Name)
				} else {
					by = append(by, "direct grant")
				}
			}
			t.row(p.Permission, strings.Join(by, ", "))
		}
		t.write(w)
	})
}

func personasCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "personas",
		Short: "List the personas: what people are called for what they may do",
		Args:  noArgs,
		RunE: c.asks(func(ctx context.Context, api *client.Client, _ []string) error {
			all, err := api.ListPersonas(ctx)
			if err != nil {
				return err
			}
			return c.show(all, func(w io.Writer) {
				t := newTable("PERSONA", "FOLLOWS FROM", "DUTIES")
				t.columns = columns(c.stdout)
				for _, p := range all.Personas {
					from := strings.Join(p.Permissions, " or ")
					if from == "" {
						from = "being active"
					}
					t.row(p.Label, from, p.Duties)
				}
				t.write(w)
			})
		}),
	}
}

func whoamiCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Say whom your API key belongs to, and what that user may do",
		Args:  noArgs,
		RunE: c.asks(func(ctx context.Context, api *client.Client, _ []string) error {
			me, err := api.GetMe(ctx)
			if err != nil {
				return err
			}
			return c.show(me, func(w io.Writer) {
				fmt.Fprintf(w, "%s at %s\n", printable(me.User.Source+"/"+me.User.UserName), api.URL())
				var b block
				b.add("name", "%s", me.User.DisplayName)
				b.add("permissions", "%s", strings.Join(me.Permissions, ", "))
				b.add("personas", "%s", strings.Join(me.Personas, ", "))
				b.add("api key", "%s", me.APIKeyID)
				b.write(w)
			})
		}),
	}
}
