package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/rollcall-id/rollcall/client"
)

// maxFile is the size of the largest file that is read whole.
const maxFile = 1 << 20

// file reads a file of the command line whole. "-" is what is piped in. what says what it
// should hold.
func (c *cli) file(name, what string) ([]byte, error) {
	if name == "" {
		return nil, usage("say where %s: --file FILE, or - for what is piped in", what)
	}
	if name == "-" {
		return io.ReadAll(io.LimitReader(c.stdin, maxFile))
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, usage("read the file: %v", err)
	}
	return text, nil
}

func fileFlag(f *pflag.FlagSet, name *string, what string) {
	f.StringVarP(name, "file", "f", "", "the `FILE` with "+what+", as YAML or JSON; - is what is piped in")
}

// grantLine is one entry of a file of grants.
type grantLine struct {
	Op          string `yaml:"op"`
	User        string `yaml:"user"`
	Group       string `yaml:"group"`
	Permission  string `yaml:"permission"`
	Reason      string `yaml:"reason"`
	Expires     string `yaml:"expires"`
	Acknowledge bool   `yaml:"acknowledge_directory"`
}

// grantLines reads a list of grants. An empty one has to be written as [], so that an
// empty file is no order to take everything away.
func (c *cli) grantLines(name string) ([]grantLine, error) {
	text, err := c.file(name, "the grants are")
	if err != nil {
		return nil, err
	}
	var lines []grantLine
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&lines); err != nil && !errors.Is(err, io.EOF) {
		return nil, usage("%s is no list of grants: %v", name, err)
	}
	if lines == nil {
		return nil, usage("%s holds no list of grants: each is begun with a dash, or write [] for none", name)
	}
	return lines, nil
}

func (c *cli) grantItems(name string) ([]client.GrantItem, error) {
	lines, err := c.grantLines(name)
	if err != nil {
		return nil, err
	}
	items := make([]client.GrantItem, len(lines))
	for i, l := range lines {
		end, err := parseEnd(l.Expires, c.now())
		if err != nil {
			return nil, usage("entry %d of %s: %v", i+1, name, err)
		}
		items[i] = client.GrantItem{
			Op: l.Op, User: l.User, Group: l.Group, Permission: l.Permission,
			Reason: l.Reason, ExpireTime: end, AcknowledgeDirectory: l.Acknowledge,
		}
	}
	if len(items) == 0 {
		return nil, usage("%s holds no grant: there is nothing to do", name)
	}
	return items, nil
}

// batch is how many entries the API takes at once.
const batch = 100

func grantsApplyCommand(c *cli) *cobra.Command {
	name, each := "", false
	cmd := &cobra.Command{
		Use:   "apply --file FILE",
		Short: "Give and take many permissions, as a file says",
		Long: `Give and take permissions as a file says: a list of entries with user or group, permission,
and as it fits op (grant or revoke), reason, expires and acknowledge_directory. What is not
named in the file stays.

All is done or nothing, up to 100 entries; with --each every entry is done by itself, any
number of them, and what could not be done is told.`,
		Example: `  rollcall grants apply --file grants.yaml --dry-run
  rollcall grants apply --each --file - <<< '[{user: ann, permission: AUDIT, expires: 30d}]'`,
		Args: noArgs,
		RunE: c.asks(func(ctx context.Context, api *client.Client, _ []string) error {
			items, err := c.grantItems(name)
			if err != nil {
				return err
			}
			atOnce := len(items)
			if each {
				atOnce = batch
			}
			all, whole := client.GrantOutcomes{Results: []client.GrantOutcome{}}, !each
			for some := range slices.Chunk(items, atOnce) {
				var done *client.GrantOutcomes
				if done, err = api.BatchGrants(ctx, client.GrantBatch{Atomic: &whole, Grants: some}); err != nil {
					break // what was done before is told all the same
				}
				all.Results = append(all.Results, done.Results...)
			}
			if err != nil && len(all.Results) == 0 {
				return err
			}
			return errors.Join(c.showOutcomes(items, &all), err)
		}),
	}
	f := cmd.Flags()
	fileFlag(f, &name, "the grants")
	f.BoolVar(&each, "each", false, "do each by itself, not all or nothing")
	return c.changes(cmd)
}

// showOutcomes tells what became of each entry, and fails when one could not be done.
func (c *cli) showOutcomes(items []client.GrantItem, all *client.GrantOutcomes) error {
	refused := 0
	for _, r := range all.Results {
		if r.Problem != nil {
			refused++
		}
	}
	err := c.show(all, func(w io.Writer) {
		t := newTable("PERMISSION", "TO", "WHAT BECAME OF IT")
		for i, r := range all.Results {
			to := items[i].User
			if items[i].Group != "" {
				to = groupPrefix + items[i].Group
			}
			t.row(items[i].Permission, to, c.outcome(&r))
		}
		t.write(w)
	})
	switch {
	case err != nil:
		return err
	case refused > 0:
		c.note("%s of %s could not be done.", thousands(refused), counted(len(all.Results), "grant"))
		return &failed{"entries_refused"}
	case c.dryRun:
		c.note("All of that can be done.")
	}
	return nil
}

func (c *cli) outcome(r *client.GrantOutcome) string {
	how := ""
	if c.dryRun {
		how = "would be "
	}
	switch {
	case r.Problem != nil:
		return "refused: " + cmp.Or(r.Problem.Detail, r.Problem.Code)
	case r.Status == http.StatusNoContent:
		return how + "taken away"
	case r.Grant == nil:
		return how + "done"
	case r.Status == http.StatusCreated:
		return how + "given" + c.until(r.Grant)
	}
	return "was given before, " + how + "kept" + c.until(r.Grant)
}

func grantsSetCommand(c *cli) *cobra.Command {
	name := ""
	cmd := &cobra.Command{
		Use:   "set USER|group:GROUP --file FILE",
		Short: "Make what a user or a group is granted exactly what a file says",
		Long: `Make what a user or a group itself is granted exactly what a file says: a list of entries
with permission and as it fits reason, expires and, for a group of a source,
acknowledge_directory. Whatever else was granted is taken away; what groups give besides
stays. When somebody changes the grants meanwhile, nothing is done.`,
		Example: `  rollcall grants set ann --file ann.yaml --dry-run
  rollcall grants set group:finance --file finance.yaml`,
		Args: c.args("USER"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			items, err := c.wholeSet(name)
			if err != nil {
				return err
			}
			to := parseTarget(args[0])
			was, version, err := grantsOf(ctx, api, to)
			if err != nil {
				return err
			}
			now, grants, err := setGrants(ctx, api, to, items, version)
			if err != nil {
				return err
			}
			for _, g := range was {
				if !slices.ContainsFunc(items, func(i client.GroupGrant) bool { return i.Permission == g.Permission }) {
					c.done("%s %s taken away.", g.Permission)
				}
			}
			if len(grants) == 0 {
				c.note("%s itself is granted nothing.", printable(args[0]))
			}
			return c.show(now, func(w io.Writer) { c.grantTable(w, grants) })
		}),
	}
	fileFlag(cmd.Flags(), &name, "the grants")
	return c.changes(c.completes(cmd, targetNames))
}

// grantsOf returns what a target itself is granted, and the version of that.
func grantsOf(ctx context.Context, api *client.Client, of target) ([]client.Grant, string, error) {
	if of.group {
		was, err := api.GetGroupGrants(ctx, of.name)
		if err != nil {
			return nil, "", err
		}
		return was.Grants, was.Version, nil
	}
	was, err := api.GetUserGrants(ctx, of.name)
	if err != nil {
		return nil, "", err
	}
	return was.Grants, was.Version, nil
}

// setGrants replaces what a target itself is granted. It returns the answer, and the
// grants in it.
func setGrants(ctx context.Context, api *client.Client, of target, items []client.GroupGrant, version string) (any, []client.Grant, error) {
	if of.group {
		now, err := api.PutGroupGrants(ctx, of.name, client.GroupGrantSet{Grants: items}, version)
		if err != nil {
			return nil, nil, err
		}
		return now, now.Grants, nil
	}
	set := client.UserGrantSet{Grants: []client.UserGrant{}}
	for _, i := range items {
		set.Grants = append(set.Grants, client.UserGrant{Permission: i.Permission, Reason: i.Reason, ExpireTime: i.ExpireTime})
	}
	now, err := api.PutUserGrants(ctx, of.name, set, version)
	if err != nil {
		return nil, nil, err
	}
	return now, now.Grants, nil
}

// wholeSet reads what one user or group is to be granted.
func (c *cli) wholeSet(name string) ([]client.GroupGrant, error) {
	lines, err := c.grantLines(name)
	if err != nil {
		return nil, err
	}
	items := make([]client.GroupGrant, len(lines))
	for i, l := range lines {
		if l.Op != "" || l.User != "" || l.Group != "" {
			return nil, usage("entry %d of %s: the whole set of one has only permission, reason, expires and acknowledge_directory", i+1, name)
		}
		end, err := parseEnd(l.Expires, c.now())
		if err != nil {
			return nil, usage("entry %d of %s: %v", i+1, name, err)
		}
		items[i] = client.GroupGrant{Permission: l.Permission, Reason: l.Reason, ExpireTime: end, AcknowledgeDirectory: l.Acknowledge}
	}
	return items, nil
}

func grantsShowCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "show GRANT",
		Short:   "Show a grant, by its id",
		Long:    `Show a grant by its id, which -o json tells, and the audit log.`,
		Example: `  rollcall grants show 0199e5b2-7a10-7c3d-9d5e-0f2b6c1a4e88`,
		Args:    c.args("GRANT"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			g, err := api.GetGrant(ctx, args[0])
			if err != nil {
				return err
			}
			return c.show(g, func(w io.Writer) { c.grantTable(w, []client.Grant{*g}) })
		}),
	}
}

func permissionsShowCommand(c *cli) *cobra.Command {
	return c.completes(&cobra.Command{
		Use:     "show NAME",
		Short:   "Show a permission and what it lets one do",
		Example: `  rollcall permissions show USER_ADMIN`,
		Args:    c.args("NAME"),
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			p, err := api.GetPermission(ctx, args[0])
			if err != nil {
				return err
			}
			return c.show(p, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s\nEnforced by %s.\n", p.Name, printable(p.Description), p.EnforcedBy)
				if !p.BuiltIn {
					fmt.Fprintf(w, "Made by %s on %s.\n", printable(actor(p.CreatedBy)), date(p.CreateTime))
				}
				if len(p.Actions) == 0 {
					return
				}
				fmt.Fprintln(w)
				t := newTable("WHAT IT LETS ONE DO", "ENFORCED BY")
				t.columns = columns(c.stdout)
				for _, a := range p.Actions {
					t.row(a.Does, a.EnforcedBy)
				}
				t.write(w)
			})
		}),
	}, permissionNames)
}
