package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
)

// What a shell offers for an argument comes from the server. Where it does not answer
// in time, or the key may not ask, nothing is offered: completion is no place for
// errors.

// completeWithin is how long somebody waits who has pressed the tab key.
const completeWithin = 2 * time.Second

// completed are as many names as a person may choose from.
const completed = 50

// offer asks for names that begin with what is typed.
type offer func(ctx context.Context, api *client.Client, typed string) ([]string, error)

// completes makes a command offer names for its arguments, in their order.
func (c *cli) completes(cmd *cobra.Command, offers ...offer) *cobra.Command {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(offers) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return c.offered(cmd.Context(), offers[len(args)], typed), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

func (c *cli) offered(ctx context.Context, ask offer, typed string) []string {
	ctx, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	api, err := c.client()
	if err != nil {
		return nil
	}
	defer api.Close()
	names, err := ask(ctx, api, typed)
	if err != nil {
		return nil
	}
	var out []string
	for _, n := range names {
		if strings.HasPrefix(n, typed) && printable(n) == n {
			out = append(out, n)
		}
	}
	return out
}

func userNames(ctx context.Context, api *client.Client, typed string) ([]string, error) {
	page, err := api.ListUsers(ctx, client.ListUsersQuery{Text: typed, PageSize: completed})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, u := range page.Users {
		names = append(names, u.UserName)
	}
	return names, nil
}

func groupNames(ctx context.Context, api *client.Client, typed string) ([]string, error) {
	page, err := api.ListGroups(ctx, client.ListGroupsQuery{Text: typed, PageSize: completed})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, g := range page.Groups {
		names = append(names, g.Name)
	}
	return names, nil
}

// targetNames offers users, and groups to those who have typed group:.
func targetNames(ctx context.Context, api *client.Client, typed string) ([]string, error) {
	text, isGroup := strings.CutPrefix(typed, groupPrefix)
	if !isGroup {
		return userNames(ctx, api, typed)
	}
	names, err := groupNames(ctx, api, text)
	for i := range names {
		names[i] = groupPrefix + names[i]
	}
	return names, err
}

func permissionNames(ctx context.Context, api *client.Client, _ string) ([]string, error) {
	all, err := api.ListPermissions(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range all.Permissions {
		names = append(names, p.Name)
	}
	return names, nil
}

func sourceNames(ctx context.Context, api *client.Client, _ string) ([]string, error) {
	all, err := api.ListSources(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range all.Sources {
		names = append(names, s.ID)
	}
	return names, nil
}
