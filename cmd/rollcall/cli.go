package main

import (
	"cmp"
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rollcall-id/rollcall/client"
)

// cli is what every command has: where to read and write, and what the flags before
// its own say.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	now            func() time.Time

	output  format
	url     string
	caFile  string
	token   string         // the file that holds one
	as      string         // whom to be answered as; "" for oneself
	dryRun  bool           // of a command that changes something
	verb    string         // what the command is called, below the root
	started bool           // the command line is understood
	command *cobra.Command // the one it names, as far as it is understood
}

func newCLI(stdin io.Reader, stdout, stderr io.Writer, environ []string) *cli {
	return &cli{stdin: stdin, stdout: stdout, stderr: stderr, environ: environ, now: time.Now}
}

// env returns a variable of the environment, "" when it is not set.
func (c *cli) env(name string) string {
	value := ""
	for _, kv := range c.environ {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			value = v // the last one counts, as for programs that are started with it
		}
	}
	return value
}

// defaultURL is where a daemon listens that was not told otherwise.
const defaultURL = "http://127.0.0.1:8080"

// client returns a client of the Rollcall that the flags, the environment or the last
// login name, with the token that belongs to it.
func (c *cli) client() (*client.Client, error) {
	address, saved, err := c.address()
	if err != nil {
		return nil, err
	}
	token, err := c.apiKey(saved)
	if err != nil {
		return nil, err
	}
	api, err := c.clientAt(address, token)
	if err == nil && c.dryRun {
		api = api.DryRun()
	}
	return api, err
}

// asks makes the body of a command of what is asked of the API.
func (c *cli) asks(ask func(ctx context.Context, api *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		api, err := c.client()
		if err != nil {
			return err
		}
		defer api.Close()
		return ask(cmd.Context(), api, args)
	}
}

// changes gives a command that changes something the flag to only try it.
func (c *cli) changes(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "check everything and say what would be, but change nothing")
	return cmd
}

func (c *cli) clientAt(address, token string) (*client.Client, error) {
	api, err := client.New(client.Options{
		URL: address, Token: token, CAFile: cmp.Or(c.caFile, c.env("ROLLCALL_CA_FILE")), Agent: "rollcall/" + version, Verb: c.verb,
	})
	if err == nil && c.as != "" {
		api = api.As(c.as)
	}
	return api, err
}

// address returns whom to call, and what was saved when somebody logged in there.
func (c *cli) address() (string, *login, error) {
	saved, err := c.logins()
	if err != nil {
		return "", nil, err
	}
	address := cmp.Or(c.url, c.env("ROLLCALL_URL"), saved.Current, defaultURL)
	return address, saved.at(address), nil
}

// apiKey returns the token to send: that of a flag, of the environment, or the one
// saved for this very address, in this order. None is not an error: the server says
// what it needs.
func (c *cli) apiKey(saved *login) (string, error) {
	if file := cmp.Or(c.token, c.env("ROLLCALL_TOKEN_FILE")); c.token != "" || c.env("ROLLCALL_TOKEN") == "" && file != "" {
		return c.secretFrom(file)
	}
	if token := c.env("ROLLCALL_TOKEN"); token != "" {
		return strings.TrimSpace(token), nil
	}
	if saved != nil {
		return saved.Token, nil
	}
	return "", nil
}

// maxSecret is far more than a token has.
const maxSecret = 4096

// secretFrom reads a token from a file, or from stdin when it is "-".
func (c *cli) secretFrom(file string) (string, error) {
	from := c.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", usage("read the token: %v", err)
		}
		defer func() { _ = f.Close() }()
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, maxSecret+1))
	text := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		return "", usage("read the token: %v", err)
	case len(b) > maxSecret || strings.ContainsAny(text, " \t\r\n"):
		return "", usage("%s holds something else than one token", file)
	case text == "":
		return "", usage("%s is empty: put the token there, in one line", file)
	}
	return text, nil
}

// isTerminal reports whether a person reads what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// columns returns how wide the terminal is that w is, or 0 when it is none: what goes
// to another program is not broken into lines.
func columns(w io.Writer) int {
	f, ok := w.(interface{ Fd() uintptr })
	if !ok {
		return 0
	}
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return n
}
