package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	names "github.com/rollcall-id/rollcall/usage"
)

// quiet are the commands that ask no daemon, or none that would know who asks.
var quiet = []string{
	"bootstrap", "config print", "config validate", "demo", "healthcheck", "login", "logout", "recover-admin", "restore", "scim replay", "serve", "version",
}

// The verbs that are counted are those there are.
func TestVerbsAreCounted(t *testing.T) {
	var there, counted []string
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.HasParent() && (!cmd.HasSubCommands() || cmd.Annotations["alone"] != "") && !slices.Contains(quiet, verbOf(cmd)) {
			there = append(there, verbOf(cmd))
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(rootCommand(newCLI(nil, nil, nil, nil)))
	for _, n := range names.Presented() {
		if n.Kind() == names.KindCLI {
			counted = append(counted, n.What())
		}
	}
	slices.Sort(there)
	if d := cmp.Diff(there, counted); d != "" {
		t.Errorf("verbs in usage/names.go (-there are +counted):\n%s", d)
	}
}
