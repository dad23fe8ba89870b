package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// directory is a slapd that can be read.
type directory struct {
	URL          string `json:"url"`
	Suffix       string `json:"suffix"`
	DN           string `json:"dn"`
	Password     string `json:"password"`
	PasswordFile string `json:"passwordFile"`
	Users        int    `json:"users"`
	Groups       int    `json:"groups"`
	// Follow reads only what changed, where that is known.
	Follow bool `json:"follow,omitempty"`

	slapd *dirtest.Slapd
	org   dirtest.Org
	round int // of changes
}

// membersOf is how many members a group has.
const membersOf = 50

// openDirectory starts a slapd with that many users, a tenth as many groups of fifty
// members, and chains and a cycle of nested groups.
func openDirectory(s *server, users int) *directory {
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: users, Groups: users / 10, Members: membersOf, Huge: membersOf}
	slapd := dirtest.StartSlapd(s, dirtest.SlapdOptions{LDIF: org.WriteLDIF, Provider: true, SessionLog: 10_000})
	return &directory{
		slapd: slapd, org: org,
		URL: slapd.URL, Suffix: slapd.Suffix, DN: slapd.Reader.DN,
		Password: slapd.Reader.Password, PasswordFile: slapd.Reader.PasswordFile,
		Users: org.Users, Groups: org.Groups,
	}
}

// config reads eleven attributes of each user.
func (d *directory) config() ldap.Config {
	var c ldap.Config
	c.Template = ldap.TemplateOpenLDAP
	if !d.Follow {
		c.Changes = "none"
	}
	c.URLs, c.AllowPlaintext = []string{d.URL}, true
	c.Bind = ldap.Bind{DN: d.DN, Password: config.SecretRef{File: d.PasswordFile}}
	c.Users.Bases, c.Groups.Bases = []string{"ou=people," + d.Suffix}, []string{"ou=groups," + d.Suffix}
	c.Users.Disabled, c.Users.Locked, c.Users.Expires = []ldap.Rule{}, []ldap.Rule{}, []ldap.Expiry{}
	c.Users.Profile = map[string]ldap.Mapping{"organization": {}, "location": {}, "description": {}}
	c.Users.Attributes = map[string]ldap.Mapping{"employee": {Attribute: "employeeNumber"}, "department": {Attribute: "departmentNumber"}, "changed": {Attribute: "modifyTimestamp"}}
	return c
}

// people is config without groups.
func (d *directory) people() ldap.Config {
	c := d.config()
	c.Groups.Bases = nil
	return c
}

func source(c ldap.Config) (*ldap.Source, error) {
	return ldap.New(ldap.Options{Source: sourceID, Config: c})
}

// attributes are what is asked for of an entry.
func attributes(w *ldap.Where, more ...string) []string {
	out := append([]string{w.Key, w.Name.Attribute}, more...)
	for _, of := range []map[string]ldap.Mapping{w.Profile, w.Attributes} {
		for _, m := range of {
			out = append(out, m.Attribute)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// dump lets ldapsearch read what a source with that configuration reads, and drop it.
func (d *directory) dump(ctx context.Context, c ldap.Config) (float64, error) {
	e := c.Expanded()
	began := time.Now()
	if err := d.search(ctx, &e.Users.Where, attributes(&e.Users.Where)); err != nil {
		return 0, err
	}
	if len(e.Groups.Bases) > 0 {
		more := []string{e.Groups.ChangeStamp}
		for _, m := range e.Groups.Members {
			more = append(more, m.Attribute)
		}
		if err := d.search(ctx, &e.Groups.Where, attributes(&e.Groups.Where, more...)); err != nil {
			return 0, err
		}
	}
	return time.Since(began).Seconds(), nil
}

func (d *directory) search(ctx context.Context, w *ldap.Where, attributes []string) error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	args := []string{
		"-x", "-LLL", "-E", "pr=1000/noprompt", "-H", d.URL, "-D", d.DN, "-w", d.Password, "-b", w.Bases[0], w.Filter,
	}
	cmd := exec.CommandContext(ctx, "ldapsearch", append(args, attributes...)...) //nolint:gosec // G204: our own words
	cmd.Stdout, cmd.Stderr = null, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ldapsearch: %w", err)
	}
	return nil
}
