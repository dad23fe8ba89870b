package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// The groups of the root's help, in the order in which they are shown.
const (
	groupAsk    = "ask"
	groupChange = "change"
	groupSync   = "sync"
	groupRun    = "run"
)

// rootCommand returns the whole tree.
func rootCommand(c *cli) *cobra.Command {
	root := family(c, "rollcall", "One true roll of people and groups, and what they may do",
		`Rollcall keeps one true roll of people and groups. It reads directories on a schedule,
keeps the permissions that you grant on top, and answers: may this user do that, and why?`)
	root.Example = `  rollcall demo                                          try it: a company in one command
  rollcall users --text ann                              who is on the roll
  rollcall grant ann GOVERNANCE --reason "steward" --expires 90d
  rollcall why ann GOVERNANCE                            yes or no, and along which groups
  rollcall who-can GOVERNANCE
  rollcall --as ann permissions ann                      what ann is answered, if you may
  rollcall sync plan corp                                what the next run would change`
	root.SilenceErrors, root.SilenceUsage = true, true // conclude says what is wrong
	// A command line is understood once cobra has accepted flags and arguments.
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if root.PersistentFlags().Changed("as") && c.as == "" {
			return usage("--as names nobody: to ask as yourself, leave it out") // a variable that is not set, it may be
		}
		if err := c.chooseFormat(); err != nil {
			return err
		}
		c.started, c.verb = true, verbOf(cmd)
		return nil
	}
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpTemplate(helpTemplate)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		c.command = cmd
		return &usageError{err.Error()}
	})
	flags := root.PersistentFlags()
	flags.StringVar(&c.url, "url", "", "the Rollcall to call, as `URL` (ROLLCALL_URL; default: the one logged in to, else "+defaultURL+")")
	flags.StringVar(&c.token, "token-file", "", "the `FILE` with the API key, - for stdin (ROLLCALL_TOKEN_FILE, ROLLCALL_TOKEN)")
	flags.StringVar(&c.caFile, "ca", "", "the `FILE` with the certificate authorities to trust (ROLLCALL_CA_FILE)")
	flags.StringVar(&c.as, "as", "", "ask as another `USER`, only reading: needs IMPERSONATE_USER, and is audited")
	flags.StringVarP((*string)(&c.output), "output", "o", "", "write as `FORMAT`: table, json or yaml (ROLLCALL_OUTPUT)")
	root.AddGroup(
		&cobra.Group{ID: groupAsk, Title: "Ask"},
		&cobra.Group{ID: groupChange, Title: "Change"},
		&cobra.Group{ID: groupSync, Title: "Take over directories and identity providers"},
		&cobra.Group{ID: groupRun, Title: "Run it"},
	)
	addCommands(c, root)
	root.SetHelpCommandGroupID(groupRun)
	root.SetCompletionCommandGroupID(groupRun)
	return root
}

// verbOf returns what is typed for a command, without its arguments.
func verbOf(cmd *cobra.Command) string {
	_, verb, _ := strings.Cut(cmd.CommandPath(), " ")
	return verb
}

// addCommands adds every command to the root.
func addCommands(c *cli, root *cobra.Command) {
	add(root, groupAsk, c.completes(usersCommand(c), userNames), c.completes(groupsCommand(c), groupNames),
		c.completes(whyCommand(c), userNames, permissionNames), c.completes(whoCanCommand(c), permissionNames),
		c.completes(canCommand(c), userNames, permissionNames), c.completes(permissionsCommand(c), userNames),
		grantsCommand(c), personasCommand(c), whoamiCommand(c), auditCommand(c), eventsCommand(c), metricsCommand(c))
	add(root, groupChange, c.changes(c.completes(grantCommand(c), targetNames, permissionNames)),
		c.changes(c.completes(revokeCommand(c), targetNames, permissionNames)), c.changes(c.completes(disableCommand(c), userNames)),
		c.changes(c.completes(enableCommand(c), userNames)), c.changes(c.completes(setCommand(c), targetNames)),
		c.changes(c.completes(unsetCommand(c), targetNames)), linkCommand(c), unlinkCommand(c), migrateCommand(c), settingsCommand(c), keyCommand(c), serviceCommand(c))
	add(root, groupSync, syncCommand(c), sourceCommand(c), scimCommand(c))
	add(root, groupRun, serveCommand(), demoCommand(), bootstrapCommand(c), loginCommand(c), logoutCommand(c), configCommand(c),
		backupCommand(c), restoreCommand(c), recoverCommand(c), healthcheckCommand(c), versionCommand(c))
}

func add(parent *cobra.Command, group string, cmds ...*cobra.Command) {
	for _, cmd := range cmds {
		cmd.GroupID = group
		parent.AddCommand(cmd)
	}
}

// family returns a command that only has commands below it.
func family(c *cli, use, short, long string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			c.command = cmd
			text := fmt.Sprintf("there is no %s %s", cmd.CommandPath(), args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += "; did you mean " + strings.Join(near, " or ") + "?"
			}
			return &usageError{text}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(below...)
	return cmd
}

// alone gives a command that does something by itself commands below it.
func alone(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{"alone": "yes"}
	cmd.AddCommand(below...)
	return cmd
}

// args checks the number of arguments and names what is missing.
func (c *cli) args(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		c.command = cmd
		switch {
		case len(args) < len(names):
			return usage("say which: %s needs %s", cmd.CommandPath(), strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return usage("%q is too much: %s takes %s", args[len(names)], cmd.CommandPath(), strings.Join(names, " and "))
		}
		return nil
	}
}

// atMost checks arguments that may be left out.
func (c *cli) atMost(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return nil
		}
		return c.args(names...)(cmd, args)
	}
}

// someArgs checks that there is one argument at least for each name, and more of the
// last one.
func (c *cli) someArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return nil
		}
		return c.args(names...)(cmd, args)
	}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("%s takes no argument, %q is too much", cmd.CommandPath(), args[0])
	}
	return nil
}

const helpTemplate = `{{with or .Long .Short}}{{. | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}`

const usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{if .Annotations.alone}}{{.UseLine}}
  {{end}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}
{{- if .HasExample}}

Examples:
{{.Example}}
{{- end}}
{{- if .HasAvailableSubCommands}}{{$cmds := .Commands}}
{{- if eq (len .Groups) 0}}

Commands:
{{- range $cmds}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{- else}}{{range $group := .Groups}}

{{.Title}}:
{{- range $cmds}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{end}}{{end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{- end}}
{{- if .HasAvailableInheritedFlags}}

Flags of every command:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{- end}}
{{- if .HasAvailableSubCommands}}

{{.CommandPath}} COMMAND --help tells more.
{{- end}}
{{- if not .HasParent}}

Exit codes: 0 yes or done, 1 no or changes pending, 2 wrong command line or file,
3 refused by the server, 4 nobody answers or what was begun did not end well.
{{- end}}
`
