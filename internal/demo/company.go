// Package demo is Halyard & Finch, makers of weather instruments: a company that
// exists so that Rollcall can be tried without a directory of one's own.
//
// It owns the company's people, groups and daily life, all invented, and keeps
// them in an LDAP server of package ldapserver that listens on the loopback
// interface. It promises that equal seeds make equal companies with equal
// histories, that the directory holds what directories in the field hold (nested
// groups with a cycle, a group of most of the staff, disabled people, a comma and
// umlauts in names, a member who does not exist, a group without members), and
// that a life event leaves every membership pointing at somebody. It knows nothing
// of Rollcall: who reads the directory is told the address and an account.
package demo

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-id/rollcall/internal/ldapserver"
)

// The tree of the company.
const (
	Suffix     = "dc=halyard,dc=example"
	PeopleBase = "ou=people," + Suffix
	GroupsBase = "ou=groups," + Suffix
	systemBase = "ou=system," + Suffix

	readerDN = "cn=rollcall," + systemBase
	adminDN  = "cn=admin," + Suffix
	// nobody stands in for the members of a group that has none, as groupOfNames
	// demands one (RFC 4519 §3.5).
	nobody = "cn=nobody," + systemBase
)

// Options is how large the company is and how its story goes. No field is
// required.
type Options struct {
	Log *slog.Logger
	// Now dates the entries. The zero value is time.Now.
	Now func() time.Time
	// Seed decides everybody's name and fate.
	Seed uint64
	// People is the head count. The zero value is 2,000, the least is 40.
	People int
	// Addr is where the directory listens. The zero value is a free port of 127.0.0.1.
	Addr string
	// OnEvent is called after each event of the company's life, from one goroutine
	// at a time.
	OnEvent func(Event)
}

// Company is the company with its directory open.
type Company struct {
	log     *slog.Logger
	now     func() time.Time
	onEvent func(Event)
	dir     *ldapserver.Directory
	server  *ldapserver.Server

	mu     sync.Mutex // guards the rest
	rand   *rand.Rand
	number int             // the last employee number given
	logins map[string]bool // every login name ever given; none is given twice
}

// Config is what a source needs to read the company.
type Config struct {
	Template   string // "openldap"
	URL        string
	BindDN     string
	Password   string
	UserBase   string
	GroupBase  string
	UserFilter string
}

// Start founds the company and opens its directory. The context bounds the start
// only; the directory stays open until Close.
func Start(ctx context.Context, o Options) (*Company, error) {
	c, err := found(o)
	if err != nil {
		return nil, fmt.Errorf("found the demo's company: %w", err)
	}
	c.server, err = ldapserver.Start(ctx, ldapserver.Options{
		Directory: c.dir, Addr: o.Addr, Log: c.log,
		Accounts: map[string]string{readerDN: readerPassword, adminDN: adminPassword},
		Writers:  []string{adminDN},
	})
	if err != nil {
		return nil, fmt.Errorf("open the demo's directory: %w", err)
	}
	return c, nil
}

// The passwords of a directory that only this machine reaches and that holds
// nothing but inventions.
const (
	readerPassword = "barometer"
	adminPassword  = "anemometer"
)

// found makes the company without opening its directory.
func found(o Options) (*Company, error) {
	c := &Company{log: o.Log, now: o.Now, onEvent: o.OnEvent, logins: map[string]bool{}}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	people := o.People
	if people == 0 {
		people = 2000
	}
	people = max(people, 40)
	c.rand = rand.New(rand.NewPCG(o.Seed, 0xb4a0)) //nolint:gosec // G404: a story, no secret
	var err error
	c.dir, err = ldapserver.NewDirectory(ldapserver.DirectoryOptions{Suffixes: []string{Suffix}, Seed: o.Seed, Now: c.now})
	if err != nil {
		return nil, err
	}
	return c, c.fill(people)
}

// Config returns what a source needs to read the company.
func (c *Company) Config() Config {
	return Config{
		Template: "openldap", URL: c.server.URL(), BindDN: readerDN, Password: readerPassword,
		UserBase: PeopleBase, GroupBase: GroupsBase, UserFilter: "(objectClass=inetOrgPerson)",
	}
}

// Admin returns the account that may change the directory, for those who want to
// play fate themselves with ldapmodify.
func (c *Company) Admin() (name, password string) { return adminDN, adminPassword }

// URL returns the address of the directory.
func (c *Company) URL() string { return c.server.URL() }

// Directory returns the company's entries.
func (c *Company) Directory() *ldapserver.Directory { return c.dir }

// Close closes the directory.
func (c *Company) Close() error { return c.server.Close() }

// Person is somebody of the company.
type Person struct {
	DN, Login  string
	Name       string
	Given, Sur string
	Department Department
	Site       string
	Title      string
	Number     int
	Disabled   bool
}

// People returns everybody, in the order of their joining.
func (c *Company) People() []Person {
	var out []Person
	for e := range c.dir.All() {
		if strings.HasSuffix(e.DN, PeopleBase) && len(e.Values("uid")) > 0 {
			out = append(out, personOf(e))
		}
	}
	return out
}

// personOf reads a person back from the directory.
func personOf(e ldapserver.Entry) Person {
	p := Person{
		DN: e.DN, Login: e.First("uid"), Name: e.First("displayName"), Given: e.First("givenName"), Sur: e.First("sn"),
		Site: e.First("l"), Title: e.First("title"), Disabled: len(e.Values("pwdAccountLockedTime")) > 0,
	}
	// What somebody else wrote over the wire may be no number; nobody then.
	_, _ = fmt.Sscan(e.First("employeeNumber"), &p.Number)
	at := slices.IndexFunc(departments, func(d Department) bool { return d.Code == e.First("departmentNumber") })
	if at >= 0 {
		p.Department = departments[at]
	}
	return p
}
