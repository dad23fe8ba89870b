package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/rollcall-id/rollcall/client"
)

func sourceCommand(c *cli) *cobra.Command {
	return family(c, "source", "Make, try, change and delete sources",
		`A source is where people and groups come from: a directory that is read on a schedule
(rollcall sync), or an identity provider that pushes (rollcall scim). Those that the
daemon's file declares are changed there; the others are made and changed here, by an
APPLICATION_ADMIN. Secrets are referred to and never sent: {credential: name}, or what the
daemon's section secrets allows.`,
		sourceListCommand(c), sourceShowCommand(c), sourceCreateCommand(c), sourceChangeCommand(c), sourceTestCommand(c),
		sourceSwitchCommand(c, "disable", "Keep a source from running; what came from it stays as it is", (*client.Client).DisableSource),
		sourceSwitchCommand(c, "enable", "Let a disabled source run again", (*client.Client).EnableSource),
		sourceDeleteCommand(c), sourceSettleCommand(c), sourceSettlementsCommand(c), sourceUnassignedCommand(c))
}

func sourceListCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the sources: where each is declared, and where it stands",
		Example: `  rollcall source list`,
		Args:    c.args(),
		RunE: c.asks(func(ctx context.Context, api *client.Client, _ []string) error {
			all, err := api.ListSources(ctx)
			if err != nil {
				return err
			}
			if len(all.Sources) == 0 {
				c.note("There are no sources yet. To make one: rollcall source create NAME --file FILE")
			}
			return c.show(all, func(w io.Writer) { c.writeSourceList(w, all.Sources) })
		}),
	}
}

func (c *cli) writeSourceList(w io.Writer, sources []client.SourceSummary) {
	if len(sources) == 0 {
		return
	}
	t := newTable("SOURCE", "KIND", "DECLARED", "STATE", "USERS", "GROUPS", "PROBLEM")
	for i := range sources {
		s := &sources[i]
		state := c.sourceState(s)
		if s.Disabled {
			state = cell{text: "disabled"}
		}
		t.cells(cell{text: s.ID}, cell{text: s.Kind}, cell{text: s.Declared}, state,
			cell{text: thousands(s.Counts.Users)}, cell{text: thousands(s.Counts.Groups)}, cell{text: s.Problem})
	}
	t.write(w)
}

func sourceShowCommand(c *cli) *cobra.Command {
	return c.completes(&cobra.Command{
		Use:   "show SOURCE",
		Short: "Show a source with its configuration, everything filled in",
		Example: `  rollcall source show corp
  rollcall source show corp -o json`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			s, err := api.GetSource(ctx, args[0])
			if err != nil {
				return err
			}
			return c.show(s, func(w io.Writer) {
				c.writeSource(w, s)
				where := "over the API: rollcall source change"
				if s.File != "" {
					where = "in " + printable(s.File)
				}
				fmt.Fprintf(w, "\nDeclared %s\n", where)
				if len(s.Config) > 0 {
					fmt.Fprintln(w)
					_ = writeYAML(w, s.Config) // to memory
				}
			})
		}),
	}, sourceNames)
}

// sourceFile reads the configuration of a source: the keys that it has in the daemon's
// file, as YAML or JSON. "-" is what is piped in.
func (c *cli) sourceFile(name string) (map[string]any, error) {
	text, err := c.file(name, "the configuration is")
	if err != nil {
		return nil, err
	}
	var config map[string]any
	if err := yaml.Unmarshal(text, &config); err != nil {
		return nil, usage("%s is not YAML: %v", name, err)
	}
	if len(config) == 0 {
		return nil, usage("%s holds no configuration: the keys of a source, such as template and urls", name)
	}
	return config, nil
}

// newSource takes name and type out of a configuration: a whole entry of the daemon's file
// may be used as it is.
func newSource(id string, config map[string]any, kind string) (client.NewSource, error) {
	if name, ok := config["name"]; ok && name != id {
		return client.NewSource{}, usage("the file is of a source called %v, and not %s", name, id)
	}
	if typ, ok := config["type"].(string); ok && kind == "" {
		kind = typ
	}
	delete(config, "name")
	delete(config, "type")
	return client.NewSource{ID: id, Kind: kind, Config: config}, nil
}

func sourceCreateCommand(c *cli) *cobra.Command {
	file, kind := "", ""
	cmd := &cobra.Command{
		Use:   "create SOURCE --file FILE",
		Short: "Make a source",
		Long: `Make a source of a configuration: the keys that it would have in the daemon's file, as YAML
or JSON. It runs from then on, by its schedule. To try it first: rollcall source test.`,
		Example: `  rollcall source create corp --file corp.yaml
  rollcall source create okta --kind scim --file - <<< 'preset: okta'`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			config, err := c.sourceFile(file)
			if err != nil {
				return err
			}
			n, err := newSource(args[0], config, kind)
			if err != nil {
				return err
			}
			s, err := api.CreateSource(ctx, n)
			if err != nil {
				return err
			}
			next := "rollcall sync run " + s.ID
			if s.Kind == "scim" {
				next = "rollcall scim token create " + s.ID + " NAME"
			}
			return c.show(s, func(w io.Writer) {
				if c.dryRun {
					fmt.Fprintf(w, "Source %s can be made.\n", printable(s.ID))
					return
				}
				fmt.Fprintf(w, "Source %s was made. Next: %s\n", printable(s.ID), printable(next))
			})
		}),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the `FILE` with the configuration; - is what is piped in")
	cmd.Flags().StringVar(&kind, "kind", "", "`KIND` of source: ldap or scim; default: what the file says as type, or ldap")
	return c.changes(cmd)
}

func sourceChangeCommand(c *cli) *cobra.Command {
	file := ""
	cmd := &cobra.Command{
		Use:   "change SOURCE --file FILE",
		Short: "Replace the configuration of a source",
		Long: `Replace the configuration of a source that was made here, the whole. rollcall source show
SOURCE -o yaml has what was written. A change marks the source: its next run waits for
approval if it raises anybody.`,
		Example: `  rollcall source change corp --file corp.yaml`,
		Args:    c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			config, err := c.sourceFile(file)
			if err != nil {
				return err
			}
			was, err := api.GetSource(ctx, args[0])
			if err != nil {
				return err
			}
			n, err := newSource(was.ID, config, was.Kind)
			if err != nil {
				return err
			}
			s, err := api.ChangeSource(ctx, was.ID, client.SourceConfig{Config: n.Config}, was.Version)
			if err != nil {
				return err
			}
			return c.show(s, func(w io.Writer) { fmt.Fprintf(w, "Source %s %s changed.\n", printable(s.ID), c.canBe()) })
		}),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the `FILE` with the configuration; - is what is piped in")
	return c.changes(c.completes(cmd, sourceNames))
}

// canBe says of something that it is, or on a dry run that it can be.
func (c *cli) canBe() string {
	if c.dryRun {
		return "can be"
	}
	return "is"
}

func sourceTestCommand(c *cli) *cobra.Command {
	file, kind := "", ""
	cmd := &cobra.Command{
		Use:   "test SOURCE [--file FILE]",
		Short: "Try a source, or a configuration before it is stored, step by step",
		Long: `Try a source step by step: find the server, connect, TLS, bind, bases, count, one mapped
entry. With --file it is the configuration of the file that is tried, by the daemon, and
nothing is stored. It ends with 1 when a step fails.`,
		Example: `  rollcall source test corp
  rollcall source test corp --file corp.yaml`,
		Args: c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			try := func() (*client.TestReport, error) { return api.TestSource(ctx, args[0]) }
			if file != "" {
				config, err := c.sourceFile(file)
				if err != nil {
					return err
				}
				n, err := newSource(args[0], config, kind)
				if err != nil {
					return err
				}
				try = func() (*client.TestReport, error) { return api.TryConfiguration(ctx, n) }
			}
			r, err := try()
			if err != nil {
				return err
			}
			return answer(r.OK, c.show(r, func(w io.Writer) { c.writeTest(w, r) }))
		}),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the `FILE` with the configuration to be tried")
	cmd.Flags().StringVar(&kind, "kind", "", "`KIND` of source, as for create")
	return c.completes(cmd, sourceNames)
}

func sourceSwitchCommand(c *cli, verb, short string, do func(*client.Client, context.Context, string) (*client.DisabledSource, error)) *cobra.Command {
	return c.changes(c.completes(&cobra.Command{
		Use:     verb + " SOURCE",
		Short:   short,
		Example: `  rollcall source ` + verb + ` corp`,
		Args:    c.args("SOURCE"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			s, err := do(api, ctx, args[0])
			if err != nil {
				return err
			}
			return c.show(s, func(w io.Writer) {
				fmt.Fprintf(w, "Source %s %s %s.\n", printable(s.ID), c.canBe(), strings.TrimSuffix(verb, "e")+"ed")
			})
		}),
	}, sourceNames))
}
