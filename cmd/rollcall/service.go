package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func serviceCommand(c *cli) *cobra.Command {
	return family(c, "service", "Make, list and delete services, and their API keys",
		`A service is an application that asks Rollcall. An APPLICATION_ADMIN makes it and its
keys; what it may do is granted to it like to anybody: rollcall grant SERVICE PERMISSION.`,
		serviceCreateCommand(c), serviceListCommand(c), serviceKeyCommand(c), serviceRotateCommand(c), serviceRevokeCommand(c),
		serviceDeleteCommand(c))
}

func serviceNames(ctx context.Context, api *client.Client, _ string) ([]string, error) {
	all, err := api.ListServices(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range all.Services {
		names = append(names, s.Name)
	}
	return names, nil
}

func serviceCreateCommand(c *cli) *cobra.Command {
	var n client.NewService
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make a service",
		Example: `  rollcall service create billing --description "asks who approves invoices"`,
		Args:    c.args("NAME"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			n.Name = args[0]
			s, err := api.CreateService(ctx, n)
			if err != nil {
				return err
			}
			return c.show(s, func(w io.Writer) {
				name := printable(s.Name)
				fmt.Fprintf(w, "Service %s was made. Next: rollcall grant %s FETCH_POLICY_INFO --reason ..., then rollcall service key %s NAME\n", name, name, name)
			})
		}),
	}
	cmd.Flags().StringVar(&n.Description, "description", "", "what it is for, `TEXT`")
	return c.changes(cmd)
}

func serviceListCommand(c *cli) *cobra.Command {
	return c.completes(&cobra.Command{
		Use:   "list [SERVICE]",
		Short: "List the services, or the keys of one",
		Example: `  rollcall service list
  rollcall service list billing`,
		Args: c.atMost("SERVICE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if len(args) == 1 {
				s, err := api.GetService(ctx, args[0])
				if err != nil {
					return err
				}
				return c.showService(s)
			}
			all, err := api.ListServices(ctx)
			if err != nil {
				return err
			}
			if len(all.Services) == 0 {
				c.note("There are no services yet. To make one: rollcall service create NAME")
			}
			return c.show(all, func(w io.Writer) {
				if len(all.Services) == 0 {
					return
				}
				t := newTable("SERVICE", "KEYS", "STATUS", "MAY", "WHAT IT IS FOR")
				for _, s := range all.Services {
					t.cells(cell{text: s.Name}, cell{text: strconv.Itoa(len(s.Keys))}, c.status(s.Status, s.Reason),
						cell{text: strings.Join(s.Permissions, ", ")}, cell{text: s.Description})
				}
				t.write(w)
			})
		}),
	}, serviceNames)
}

func (c *cli) showService(s *client.Service) error {
	return c.show(s, func(w io.Writer) {
		fmt.Fprintln(w, c.paint(bold, "Service "+printable(s.Name)))
		var b block
		b.add("id", "%s", s.ID)
		b.add("for", "%s", s.Description)
		b.add("status", "%s", reasonWords(s.Status, s.Reason))
		b.add("since", "%s", c.when(s.CreateTime))
		b.add("may", "%s", strings.Join(s.Permissions, ", "))
		b.write(w)
		fmt.Fprintln(w, "\nKeys")
		if len(s.Keys) == 0 {
			fmt.Fprintln(w, "  none")
		}
		c.keyTable(w, s.Keys)
	})
}

func serviceKeyCommand(c *cli) *cobra.Command {
	var n newKey
	cmd := &cobra.Command{
		Use:   "key SERVICE NAME",
		Short: "Make an API key for a service and print it, this once",
		Long: `Make an API key for a service. The key goes to stdout, everything else to stderr. It is
shown this once, and Rollcall keeps no copy that it could be read from.`,
		Example: `  rollcall service key billing production > billing.key`,
		Args:    c.args("SERVICE", "NAME"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			body, err := n.named(c, args[1])
			if err != nil {
				return err
			}
			k, err := api.CreateServiceKey(ctx, args[0], body)
			if err != nil {
				return err
			}
			return c.showCreated(k)
		}),
	}
	n.flags(cmd.Flags())
	return c.changes(c.completes(cmd, serviceNames))
}

// maxGrace is what the server allows, in hours.
const maxGrace = 168

func serviceRotateCommand(c *cli) *cobra.Command {
	grace := 24
	cmd := &cobra.Command{
		Use:   "rotate SERVICE KEY",
		Short: "Make a key like an old one, which works on for a while",
		Long: `Make a key like an old one and print it, this once. The old key works on for the hours of
grace, so that the application can be given the new one meanwhile.`,
		Example: `  rollcall service rotate billing 4fJ2kQ9xZa --grace 48 > billing.key`,
		Args:    c.args("SERVICE", "KEY"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if grace < 0 || grace > maxGrace {
				return usage("--grace takes a number of hours from 0 to %d", maxGrace)
			}
			k, err := api.RotateServiceKey(ctx, args[0], args[1], client.Rotation{GraceHours: &grace})
			if err != nil {
				return err
			}
			return c.showCreated(k)
		}),
	}
	cmd.Flags().IntVar(&grace, "grace", grace, "how many `HOURS` the old key works on; 0 ends it at once")
	return c.changes(c.completes(cmd, serviceNames))
}

func serviceRevokeCommand(c *cli) *cobra.Command {
	return c.changes(c.completes(&cobra.Command{
		Use:     "revoke SERVICE KEY",
		Short:   "End a key of a service at once",
		Example: `  rollcall service revoke billing 4fJ2kQ9xZa`,
		Args:    c.args("SERVICE", "KEY"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if err := api.DeleteServiceKey(ctx, args[0], args[1]); err != nil {
				return err
			}
			c.done("Key %s %s revoked.", args[1])
			return nil
		}),
	}, serviceNames))
}

func serviceDeleteCommand(c *cli) *cobra.Command {
	return c.changes(c.completes(&cobra.Command{
		Use:     "delete SERVICE",
		Short:   "Delete a service for good, with its keys and grants",
		Example: `  rollcall service delete billing`,
		Args:    c.args("SERVICE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if err := api.DeleteService(ctx, args[0]); err != nil {
				return err
			}
			c.done("Service %s %s deleted.", args[0])
			return nil
		}),
	}, serviceNames))
}
