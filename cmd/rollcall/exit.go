package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
)

// The exit codes.
const (
	exitOK          = 0
	exitNo          = 1 // the answer is no, or changes wait to be made
	exitUsage       = 2 // the command line or a file it names is wrong
	exitRefused     = 3 // the server says that this cannot be done
	exitUnavailable = 4 // nobody answers, or what was begun did not end well
	exitInterrupted = 130
)

// errNo ends a command whose answer is no, once the answer is written.
var errNo = errors.New("no")

// usageError is a mistake in the command line itself.
type usageError struct{ text string }

// Error returns what is wrong.
func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// failed is the end of something that was begun and did not go well, which has been
// written already.
type failed struct{ code string }

// Error returns the code.
func (e *failed) Error() string { return e.code }

// conclude writes what a command ended with to stderr and returns the exit code.
func (c *cli) conclude(ctx context.Context, root *cobra.Command, err error) int {
	code := c.exitCode(ctx, err)
	switch {
	case err == nil, errors.Is(err, errNo):
		return code
	case code == exitInterrupted:
		fmt.Fprintln(c.stderr, "rollcall: interrupted")
		return code
	}
	if _, said := errors.AsType[*failed](err); said {
		return code
	}
	if e, ok := errors.AsType[*config.Error](err); ok {
		fmt.Fprintln(c.stderr, strings.TrimSpace(e.Error()))
		return code
	}
	fmt.Fprintf(c.stderr, "%s %s\n", c.paint(red, "rollcall:"), c.sentence(root, err))
	return code
}

// exitCode is the only place that chooses an exit code.
func (c *cli) exitCode(ctx context.Context, err error) int {
	_, isUsage := errors.AsType[*usageError](err)
	_, isFailed := errors.AsType[*failed](err)
	_, isConfig := errors.AsType[*config.Error](err)
	_, answered := errors.AsType[*client.Problem](err)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errNo):
		return exitNo
	case isFailed:
		return exitUnavailable
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	case isUsage, isConfig, !c.started:
		return exitUsage
	}
	switch kind := fault.Kind(err); {
	case kind == nil, errors.Is(kind, fault.Unavailable):
		return exitUnavailable
	case errors.Is(kind, fault.Invalid) && !answered: // it was found here
		return exitUsage
	}
	return exitRefused
}

// sentence is one line: what happened and what to do, and the code that a search or a
// bug report can quote.
func (c *cli) sentence(root *cobra.Command, err error) string {
	text := printable(strings.Join(strings.Fields(err.Error()), " "))
	if hint, ok := c.hint(err); ok {
		text = hint
	}
	if !c.started {
		at := root
		if c.command != nil {
			at = c.command
		}
		return fmt.Sprintf("%s (%s --help)", text, at.CommandPath())
	}
	var facts []string
	if code := fault.Code(err); code != "" {
		facts = append(facts, code)
	}
	if p, ok := errors.AsType[*client.Problem](err); ok && p.Status >= 500 && p.RequestID != "" {
		facts = append(facts, "request "+printable(p.RequestID))
	}
	if len(facts) > 0 {
		text += " (" + strings.Join(facts, ", ") + ")"
	}
	return text
}

// hint says in terms of this command line what the server says in terms of its API.
func (c *cli) hint(err error) (string, bool) {
	switch fault.Code(err) {
	case "no_credential":
		return "you are not logged in there: rollcall login --url URL --token-file FILE saves an API key, ROLLCALL_TOKEN holds one", true
	case "source_not_found":
		return "there is no such source: rollcall sync status lists them", true
	case "service_not_found":
		return "there is no such service: rollcall service list shows them", true
	case "permission_held":
		return "somebody holds it: rollcall grants --permission NAME lists who; take it from them, or say --cascade", true
	case "permission_not_found":
		return "there is no such permission: rollcall permissions lists them", true
	}
	return "", false
}
