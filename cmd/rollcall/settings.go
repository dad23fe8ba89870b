package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

// setting is one of the settings, under the name that people use.
type setting struct {
	name, says string
	get        func(*client.Settings) string
	set        func(s *client.Settings, value string) bool // false: no such value
	values     string
}

// settingList is every setting, in the order in which they are shown.
func settingList() []setting {
	onOff := func(name, says string, of func(*client.Settings) *bool) setting {
		return setting{
			name: name, says: says, values: "on or off",
			get: func(s *client.Settings) string {
				if *of(s) {
					return "on"
				}
				return "off"
			},
			set: func(s *client.Settings, value string) bool {
				on := value == "on" || value == "true"
				*of(s) = on
				return on || value == "off" || value == "false"
			},
		}
	}
	return []setting{
		onOff("admin_governor_exclusive", "nobody is an administrator and a governor at once", func(s *client.Settings) *bool { return &s.AdminGovernorExclusive }),
		onOff("admins_may_subscribe", "administrators may create data sources and subscribe", func(s *client.Settings) *bool { return &s.AdminsMaySubscribe }),
		onOff("governors_may_subscribe", "governors may create data sources and subscribe", func(s *client.Settings) *bool { return &s.GovernorsMaySubscribe }),
		onOff("forbid_self_grant", "nobody gives a permission to themselves", func(s *client.Settings) *bool { return &s.ForbidSelfGrant }),
		{
			name: "grant_rule", says: "what a USER_ADMIN may give: user_admin anything, held only what they hold",
			values: "user_admin or held",
			get:    func(s *client.Settings) string { return s.GrantRule },
			set: func(s *client.Settings, value string) bool {
				s.GrantRule = value
				return value == "user_admin" || value == "held"
			},
		},
	}
}

func settingsCommand(c *cli) *cobra.Command {
	return alone(&cobra.Command{
		Use:   "settings",
		Short: "Show or change the settings that decide what grants amount to",
		Long:  `Show the settings that decide what grants amount to; settings set changes one.`,
		Example: `  rollcall settings
  rollcall settings set forbid_self_grant on`,
		Args: noArgs,
		RunE: c.asks(func(ctx context.Context, api *client.Client, _ []string) error {
			s, err := api.GetSettings(ctx)
			if err != nil {
				return err
			}
			return c.showSettings(s)
		}),
	}, settingsSetCommand(c), settingsDefaultsCommand(c), settingsPrecedenceCommand(c))
}

func (c *cli) showSettings(s *client.Settings) error {
	return c.show(s, func(w io.Writer) {
		t := newTable("SETTING", "VALUE", "WHAT IT SAYS")
		t.columns = columns(c.stdout)
		for _, x := range settingList() {
			t.row(x.name, x.get(s), x.says)
		}
		t.write(w)
	})
}

func settingsSetCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set SETTING VALUE",
		Short: "Change a setting",
		Long: `Change a setting. Only APPLICATION_ADMIN may. What would make somebody an administrator
and a governor at once, where that is forbidden, is refused and names them.`,
		Example: `  rollcall settings set admin_governor_exclusive on --dry-run
  rollcall settings set grant_rule held`,
		Args: c.args("SETTING", "VALUE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			x, err := findSetting(args[0])
			if err != nil {
				return err
			}
			s, err := api.GetSettings(ctx)
			if err != nil {
				return err
			}
			if !x.set(s, args[1]) {
				return usage("%s is %s, not %q", x.name, x.values, args[1])
			}
			if s, err = api.PutSettings(ctx, *s, s.Version); err != nil {
				return err
			}
			return c.showSettings(s)
		}),
	}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return settingNames(), cobra.ShellCompDirectiveNoFileComp
	}
	return c.changes(cmd)
}

func settingNames() []string {
	var names []string
	for _, x := range settingList() {
		names = append(names, x.name)
	}
	return names
}

func findSetting(name string) (setting, error) {
	for _, x := range settingList() {
		if x.name == name {
			return x, nil
		}
	}
	return setting{}, usage("there is no setting %s: choose %s", name, strings.Join(settingNames(), ", "))
}

func settingsDefaultsCommand(c *cli) *cobra.Command {
	none := false
	cmd := &cobra.Command{
		Use:   "defaults SOURCE [PERMISSION...]",
		Short: "Show or set what the users of a source are granted when they first come",
		Long: `Show what the users of a source are granted when they are first created, or set it to
the permissions that are named. Who is there already gets nothing by it. Only USER_ADMIN
may set it, because whoever does so gives these permissions.`,
		Example: `  rollcall settings defaults corp
  rollcall settings defaults corp CREATE_PROJECT
  rollcall settings defaults corp --none`,
		Args: c.someArgs("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if none && len(args) > 1 {
				return usage("--none does not go with permissions")
			}
			d, err := api.GetDefaultPermissions(ctx, args[0])
			if err == nil && (none || len(args) > 1) {
				d, err = api.PutDefaultPermissions(ctx, args[0], client.DefaultPermissionList{Permissions: append([]string{}, args[1:]...)}, d.Version)
			}
			if err != nil {
				return err
			}
			if len(d.Permissions) == 0 {
				c.note("New users of %s are granted nothing.", args[0])
			}
			return c.show(d, func(w io.Writer) {
				if len(d.Permissions) > 0 {
					fmt.Fprintf(w, "New users of %s are granted %s, on the word of %s.\n", printable(args[0]), strings.Join(d.Permissions, ", "), printable(actor(d.SetBy)))
				}
			})
		}),
	}
	cmd.Flags().BoolVar(&none, "none", false, "grant nothing any more")
	return c.changes(c.completes(cmd, sourceNames))
}
