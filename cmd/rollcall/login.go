package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/fault"
)

// logins is the file of saved API keys. A key is sent to the address it was saved
// for, and to no other.
type logins struct {
	Current string  `json:"current"` // the address that is called when none is named
	Logins  []login `json:"logins"`
}

type login struct {
	URL   string `json:"url"`
	User  string `json:"user"`
	Token string `json:"token"`
}

func (l *logins) at(address string) *login {
	for i := range l.Logins {
		if sameAddress(l.Logins[i].URL, address) {
			return &l.Logins[i]
		}
	}
	return nil
}

func sameAddress(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, "/"), strings.TrimRight(b, "/"))
}

// loginFile returns where API keys are saved.
func (c *cli) loginFile() (string, error) {
	dir := c.env("XDG_CONFIG_HOME")
	if runtime.GOOS == "windows" {
		dir = c.env("AppData")
	}
	if dir == "" && c.env("HOME") != "" {
		dir = filepath.Join(c.env("HOME"), ".config")
	}
	if dir == "" {
		return "", errors.New("there is no home directory to keep API keys in: set HOME, or give the token with --token-file")
	}
	return filepath.Join(dir, "rollcall", "logins.json"), nil
}

// logins returns what was saved, which may be nothing.
func (c *cli) logins() (*logins, error) {
	saved := &logins{}
	file, err := c.loginFile()
	if err != nil {
		return saved, nil //nolint:nilerr // without a home nothing is saved
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return saved, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the saved API keys: %w", err)
	}
	if err := json.Unmarshal(b, saved); err != nil {
		return nil, usage("%s is damaged: remove it and log in again", file)
	}
	return saved, nil
}

// save keeps an API key for an address, which from now on is called when none is
// named, in a file that only its owner reads.
func (c *cli) save(l login) (file string, err error) {
	saved, err := c.logins()
	if err != nil {
		return "", err
	}
	if file, err = c.loginFile(); err != nil {
		return "", err
	}
	if old := saved.at(l.URL); old != nil {
		*old = l
	} else {
		saved.Logins = append(saved.Logins, l)
	}
	saved.Current = l.URL
	b, err := json.Marshal(saved, jsontext.WithIndent("  "))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", fmt.Errorf("save the API key: %w", err)
	}
	if err := writeWhole(file, append(b, '\n')); err != nil {
		return "", fmt.Errorf("save the API key: %w", err)
	}
	return file, nil
}

// writeWhole puts a file that only its owner reads in the place of another, whole or
// not at all.
func writeWhole(file string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func loginCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "login --url URL --token-file FILE",
		Short: "Save an API key for an address",
		Long: `Save an API key, in a file that only you can read, and call its address from now on.

The key is tried first. It is sent to no other address than the one it is saved for.`,
		Example: `  rollcall login --url https://rollcall.example.com:8443 --token-file key.txt
  pass rollcall | rollcall login --token-file -`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.token == "" {
				return usage("say where the API key is: --token-file FILE, or --token-file - to read it from stdin")
			}
			if c.as != "" {
				return usage("log in as yourself: --as goes with what is asked then")
			}
			address, _, err := c.address()
			if err != nil {
				return err
			}
			token, err := c.apiKey(nil)
			if err != nil {
				return err
			}
			api, err := c.clientAt(address, token)
			if err != nil {
				return err
			}
			me, err := api.GetMe(cmd.Context())
			if err != nil {
				return err
			}
			return c.loggedIn(api, me.User, token)
		},
	}
}

// loggedIn saves a key that works and says so.
func (c *cli) loggedIn(api *client.Client, who client.UserSummary, token string) error {
	file, err := c.save(login{URL: api.URL(), User: who.UserName, Token: token})
	if err != nil {
		return err
	}
	c.note("Logged in to %s as %s. The API key is in %s.", api.URL(), who.UserName, file)
	return nil
}

func logoutCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Forget the API key saved for an address",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			address, saved, err := c.address()
			if err != nil {
				return err
			}
			if saved == nil {
				return fault.New(fault.NotFound, "not_logged_in", "no API key is saved for %s", address)
			}
			return c.forget(address)
		},
	}
}

func (c *cli) forget(address string) error {
	all, err := c.logins()
	if err != nil {
		return err
	}
	kept := &logins{Current: all.Current}
	for _, l := range all.Logins {
		if !sameAddress(l.URL, address) {
			kept.Logins = append(kept.Logins, l)
		}
	}
	if sameAddress(kept.Current, address) {
		kept.Current = ""
	}
	file, err := c.loginFile()
	if err != nil {
		return err
	}
	b, err := json.Marshal(kept, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	if err := writeWhole(file, append(b, '\n')); err != nil {
		return fmt.Errorf("forget the API key: %w", err)
	}
	c.note("The API key for %s is forgotten here. It stays valid until somebody revokes it.", address)
	return nil
}
