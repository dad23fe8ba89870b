package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/internal/app"
	"github.com/rollcall-id/rollcall/store/etcd"
)

// defaultConfig is the file that is read where none is named.
const defaultConfig = "rollcall.yaml"

func configCommand(c *cli) *cobra.Command {
	return family(c, "config", "Check the configuration of the daemon, or show it in full",
		`The configuration of the daemon is one file and what the environment overrides in it:
ROLLCALL_STORE__DIR is store.dir, ROLLCALL_SOURCES__0__SCHEDULE is sources[0].schedule.`,
		configValidateCommand(c), configPrintCommand(c))
}

// configFlag adds the flag that names the file.
func (c *cli) configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("config", "c", cmp.Or(c.env("ROLLCALL_CONFIG"), defaultConfig), "the configuration `FILE` (ROLLCALL_CONFIG)")
}

// loadConfig reads a configuration. A file that cannot be read is a mistake of the
// command line.
func (c *cli) loadConfig(file string) (*app.Config, error) {
	cfg, err := app.LoadConfig(file, c.environ)
	if _, ok := errors.AsType[*config.Error](err); err != nil && !ok {
		return nil, usage("%v", err)
	}
	return cfg, err
}

func configValidateCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Name every mistake in a configuration, with its line",
		Long: `Name every mistake in a configuration, with its line. Nothing is connected to: rollcall
sync test tries what a source says.

It ends with 0 when there is none and with 2 when there is one.`,
		Example: `  rollcall config validate --config /etc/rollcall/rollcall.yaml`,
		Args:    noArgs,
	}
	file := c.configFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := c.loadConfig(*file)
		if err != nil {
			return err
		}
		c.note("%s is valid: %s.", *file, numberOf(len(cfg.Sources), "source"))
		return nil
	}
	return cmd
}

func numberOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func configPrintCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Show a configuration with everything filled in that was left out",
		Long: `Show a configuration with all overrides, defaults and templates filled in, as a file
that says the same. It names where secrets are and holds none.`,
		Example: `  rollcall config print --config rollcall.yaml`,
		Args:    noArgs,
	}
	file := c.configFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := c.loadConfig(*file)
		if err != nil {
			return err
		}
		doc, err := printedConfig(cfg)
		if err != nil {
			return fmt.Errorf("write the configuration: %w", err)
		}
		if c.output == asJSON {
			var plain any
			if err := doc.Decode(&plain); err != nil {
				return fmt.Errorf("write the configuration: %w", err)
			}
			return c.show(plain, nil)
		}
		return encodeYAML(c.stdout, doc)
	}
	return cmd
}

// filledIn is a configuration as its file spells it.
type filledIn struct {
	Listen         string        `yaml:"listen"`
	TLS            app.ServerTLS `yaml:"tls"`
	AllowPlaintext bool          `yaml:"allow_plaintext"`
	Health         string        `yaml:"health"`
	Store          etcd.Options  `yaml:"store"`
	Log            app.Log       `yaml:"log"`
	MaxStaleness   time.Duration `yaml:"max_staleness"`
	BootstrapToken string        `yaml:"bootstrap_token_file"`
	Sources        []app.Source  `yaml:"sources"`
}

func printedConfig(cfg *app.Config) (*yaml.Node, error) {
	out := filledIn{
		Listen: cfg.Listen, TLS: cfg.TLS, AllowPlaintext: cfg.AllowPlaintext, Health: cfg.Health, Store: cfg.Store, Log: cfg.Log,
		MaxStaleness: cfg.MaxStaleness, BootstrapToken: cfg.BootstrapToken,
	}
	out.Store.Prefix = cmp.Or(out.Store.Prefix, etcd.DefaultPrefix)
	if len(out.Store.Endpoints) == 0 {
		out.Store.Quota = cmp.Or(out.Store.Quota, etcd.DefaultQuota)
		out.Store.Compaction = cmp.Or(out.Store.Compaction, etcd.DefaultCompaction)
	}
	for _, s := range cfg.Sources {
		if s.Pulled() {
			s.LDAP = *s.LDAP.Expanded()
		}
		out.Sources = append(out.Sources, s)
	}
	var node yaml.Node
	if err := node.Encode(out); err != nil {
		return nil, err
	}
	prune(&node)
	return &node, nil
}

// prune takes out what has no value: it says nothing.
func prune(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		kept := n.Content[:0]
		for i := 0; i+1 < len(n.Content); i += 2 {
			value := n.Content[i+1]
			prune(value)
			if !isEmpty(value) {
				kept = append(kept, n.Content[i], value)
			}
		}
		n.Content = kept
		return
	}
	for _, child := range n.Content {
		prune(child)
	}
}

func isEmpty(n *yaml.Node) bool {
	switch n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		return len(n.Content) == 0
	case yaml.ScalarNode:
		return n.Tag == "!!null" || n.Tag == "!!str" && n.Value == ""
	}
	return false
}
