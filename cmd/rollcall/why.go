package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

// whyAsked is what is to be explained instead of a permission.
type whyAsked struct{ attribute, field string }

func whyCommand(c *cli) *cobra.Command {
	var asked whyAsked
	cmd := &cobra.Command{
		Use:   "why USER PERMISSION",
		Short: "Tell why a user has a permission, or has not",
		Long: `Tell why a user has a permission, or has not: one line for each way to it, along which
groups and by whose grant, and one for each that does not count.

With --attribute or --field it tells why a user or a group (group:GROUP) has a value:
which source says it, in which attribute of the directory, what was set here, and along
which groups it is inherited. Fields are userName (name of a group), status, and those
of the profile such as displayName and email.

It ends with 0 for yes and with 1 for no.`,
		Example: `  rollcall why ann GOVERNANCE
  rollcall why ann --attribute department
  rollcall why ann --field status`,
		Args: func(cmd *cobra.Command, args []string) error {
			if asked.attribute != "" && asked.field != "" {
				c.command = cmd
				return usage("ask for one: --attribute or --field")
			}
			if asked == (whyAsked{}) {
				return c.args("USER", "PERMISSION")(cmd, args)
			}
			return c.args("USER or group:GROUP")(cmd, args)
		},
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			if asked != (whyAsked{}) {
				return c.whyValue(ctx, api, args[0], asked)
			}
			e, err := api.ExplainPermission(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			return answer(e.Allowed, c.show(e, func(w io.Writer) { c.writeSentence(w, e.Sentence) }))
		}),
	}
	cmd.Flags().StringVar(&asked.attribute, "attribute", "", "explain the values of the attribute `KEY`")
	cmd.Flags().StringVar(&asked.field, "field", "", "explain the `FIELD` of the profile, userName or status")
	return cmd
}

// whyValue explains a value. To have none is a no.
func (c *cli) whyValue(ctx context.Context, api *client.Client, of string, asked whyAsked) error {
	e, err := explainValue(ctx, api, parseTarget(of), asked)
	if err != nil {
		return err
	}
	has := len(e.Values) > 0 && e.Values[0].Counts // those that count come first
	return answer(has, c.show(e, func(w io.Writer) { c.writeSentence(w, e.Sentence) }))
}

func explainValue(ctx context.Context, api *client.Client, of target, asked whyAsked) (*client.ValueExplanation, error) {
	switch {
	case of.group && asked.attribute != "":
		return api.ExplainGroupAttribute(ctx, of.name, asked.attribute)
	case of.group:
		return api.ExplainGroupProfile(ctx, of.name, asked.field)
	case asked.attribute != "":
		return api.ExplainUserAttribute(ctx, of.name, asked.attribute)
	}
	return api.ExplainUserProfile(ctx, of.name, asked.field)
}
