package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

func settingsPrecedenceCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "precedence [ATTRIBUTE [SOURCE...]]",
		Short: "Show or set whose values hold where several sources know a person",
		Long: `Show whose values hold where several sources know a person, or set it for one attribute
or field of the profile: the first SOURCE that has a value wins, the others are shadowed.
An ATTRIBUTE without a SOURCE goes back to the default: the source that owns the person,
then the others by name. "*" is for every attribute that is not named. What is set here
adds to what wins, unless local is one of the sources.`,
		Example: `  rollcall settings precedence
  rollcall settings precedence department hr corp
  rollcall settings precedence department`,
		Args: func(*cobra.Command, []string) error { return nil },
		RunE: c.asks(func(ctx context.Context, api *client.Client, args []string) error {
			p, err := api.GetPrecedence(ctx)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				p.Order = ordered(p.Order, args[0], args[1:])
				if p, err = api.PutPrecedence(ctx, *p, p.Version); err != nil {
					return err
				}
			}
			return c.show(p, func(w io.Writer) { writePrecedence(w, p) })
		}),
	}
	return c.changes(cmd)
}

// ordered returns the order with that of one attribute changed, in whatever case it is.
func ordered(order map[string][]string, key string, sources []string) map[string][]string {
	next := maps.Clone(order)
	if next == nil {
		next = map[string][]string{}
	}
	maps.DeleteFunc(next, func(k string, _ []string) bool { return strings.EqualFold(k, strings.TrimSpace(key)) })
	if len(sources) > 0 {
		next[key] = sources
	}
	return next
}

func writePrecedence(w io.Writer, p *client.Precedence) {
	if len(p.Order) == 0 {
		fmt.Fprintln(w, "No order is set: the source that owns a person goes first, then the others by name.")
		return
	}
	t := newTable("ATTRIBUTE", "FIRST")
	for _, key := range slices.Sorted(maps.Keys(p.Order)) {
		t.row(key, strings.Join(p.Order[key], ", "))
	}
	t.write(w)
}
