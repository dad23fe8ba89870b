package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/internal/app"
	"github.com/rollcall-id/rollcall/internal/demo"
	"github.com/rollcall-id/rollcall/scim"
	rollsync "github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// demoSource is what the demo's source is called, demoPushed the one that is pushed to.
const (
	demoSource = "halyard"
	demoPushed = "okta"
)

// demoOptions are the demo's flags.
type demoOptions struct {
	people int
	seed   uint64
	every  time.Duration
	listen string
}

// demoCommand runs the daemon on a company of its own.
func demoCommand() *cobra.Command {
	o := demoOptions{people: 2000, seed: 1, every: time.Minute, listen: "127.0.0.1:0"}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try it on a company of two thousand people",
		Long: `Try Rollcall without a directory of your own: the real daemon, on a temporary
directory, reads a company's LDAP server that runs beside it, both in this process and
reached from this machine only.

The company lives: every minute somebody joins, moves, marries or leaves, and the
scheduled run takes it over. Ctrl-C ends it all and leaves nothing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &demonstration{o: o, out: &steady{w: cmd.OutOrStdout()}, err: cmd.ErrOrStderr()}
			return d.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.people, "people", o.people, "how many `PEOPLE` the company has")
	f.Uint64Var(&o.seed, "seed", o.seed, "equal seeds make equal companies with equal histories")
	f.DurationVar(&o.every, "every", o.every, "how often something happens to somebody")
	f.StringVar(&o.listen, "listen", o.listen, "the `ADDRESS` of the admin API; port 0 is any free one")
	return cmd
}

// demonstration is a demo under way.
type demonstration struct {
	o       demoOptions
	out     *steady
	err     io.Writer
	dir     string
	company *demo.Company
	app     *app.App
	client  *client.Client
	key     string
}

// steady writes whole lines, from whichever goroutine.
type steady struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (s *steady) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

func (d *demonstration) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// run shows the company until ctx ends, and then leaves nothing.
func (d *demonstration) run(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "rollcall-demo-"); err != nil {
		return fmt.Errorf("make a place for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	if err := d.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.company.Close()) }()
	if err := d.serve(ctx); err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		err = errors.Join(err, d.app.Stop(stop))
	}()
	for _, step := range []func(context.Context) error{d.bootstrap, d.firstSync, d.grants, d.holders, d.commands, d.pushes, d.live} {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				return nil // Ctrl-C is how a demo ends
			}
			return err
		}
	}
	return nil
}

// open founds the company.
func (d *demonstration) open(ctx context.Context) error {
	var err error
	d.company, err = demo.Start(ctx, demo.Options{People: d.o.people, Seed: d.o.seed, OnEvent: func(e demo.Event) {
		d.say("%s  company   %s", e.At.Format(time.TimeOnly), e.Sentence)
	}})
	if err != nil {
		return err
	}
	d.say("Halyard & Finch, makers of weather instruments: %d people in an LDAP directory at %s", len(d.company.People()), d.company.URL())
	return nil
}

// serve starts the daemon. Its log goes to a file, what it worries about to stderr,
// too.
func (d *demonstration) serve(ctx context.Context) error {
	c, err := d.config()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(d.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if d.app, err = app.New(app.Options{Config: c, Log: log, Version: version}); err != nil {
		return err
	}
	if err := d.app.Start(ctx); err != nil {
		return err
	}
	d.say("Rollcall at %s, its store in %s", d.app.URL(), d.dir)
	return nil
}

// config is what a configuration file would say of the company.
func (d *demonstration) config() (*app.Config, error) {
	company := d.company.Config()
	password := filepath.Join(d.dir, "ldap-password")
	if err := os.WriteFile(password, []byte(company.Password), 0o600); err != nil {
		return nil, fmt.Errorf("write the demo's password: %w", err)
	}
	c := app.Default()
	c.Listen, c.Health = d.o.listen, "off"
	c.Store.Dir = filepath.Join(d.dir, "store")
	s := app.Source{Name: demoSource, Kind: "ldap", Sync: rollsync.DefaultConfig()}
	s.Sync.Schedule, s.Sync.Jitter = "* * * * *", false
	s.LDAP = ldap.Config{
		Type: "ldap", Template: company.Template, URLs: []string{company.URL}, AllowPlaintext: true,
		Bind: ldap.Bind{DN: company.BindDN, Password: config.SecretRef{File: password}},
	}
	s.LDAP.Users.Bases, s.LDAP.Users.Filter = []string{company.UserBase}, company.UserFilter
	s.LDAP.Users.Attributes = map[string]ldap.Mapping{"department": {Attribute: "departmentNumber"}, "site": {Attribute: "l"}, "staff_number": {Attribute: "employeeNumber"}}
	s.LDAP.Groups.Bases = []string{company.GroupBase}
	pushed := app.Source{Name: demoPushed, Kind: pushedKind, SCIM: scim.DefaultConfig()}
	pushed.SCIM.Preset = "okta"
	c.Sources = []app.Source{s, pushed}
	return c, nil
}

// bootstrap makes the administrator, with the token that the first start wrote.
func (d *demonstration) bootstrap(ctx context.Context) error {
	token, err := os.ReadFile(filepath.Join(d.dir, "store", "bootstrap-token"))
	if err != nil {
		return fmt.Errorf("read the bootstrap token: %w", err)
	}
	anyone, err := client.New(client.Options{URL: d.app.URL()})
	if err != nil {
		return err
	}
	defer anyone.Close()
	made, err := anyone.Bootstrap(ctx, client.Bootstrap{
		Token: strings.TrimSpace(string(token)), UserName: "admin", DisplayName: "The administrator of the demo",
	})
	if err != nil {
		return err
	}
	d.key = made.APIKey
	d.client, err = client.New(client.Options{URL: d.app.URL(), Token: d.key})
	return err
}

// firstSync reads the company for the first time, and shows how far it is.
func (d *demonstration) firstSync(ctx context.Context) error {
	d.say("\nFirst run of source %s", demoSource)
	id, err := d.firstRun(ctx)
	if err != nil {
		return err
	}
	run, err := d.follow(ctx, id)
	if err != nil {
		return err
	}
	if run.State != client.RunSucceeded {
		return fmt.Errorf("the first run %s: %s", run.State, run.Error)
	}
	source, err := d.client.GetSource(ctx, demoSource)
	if err != nil {
		return err
	}
	n := source.Counts
	d.say("  %d users (%d of them disabled), %d groups, %d memberships in %d ms",
		n.Users, n.UsersInactive, n.Groups, n.Memberships, run.EndTime.Sub(run.StartTime).Milliseconds())
	d.say("  read from %s, %s", run.Server, run.Family)
	d.say("  proof: %s", run.Proof.Why)
	for _, s := range run.Skipped {
		d.say("  skipped: %s: %s", s.DN, s.Reason)
	}
	return nil
}

// firstRun returns the id of the run that the daemon begins by itself for a source that
// was never read.
func (d *demonstration) firstRun(ctx context.Context) (string, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		source, err := d.client.GetSource(ctx, demoSource)
		switch {
		case err != nil:
			return "", err
		case source.Running != nil:
			return source.Running.ID, nil
		case source.LastRun != "":
			return source.LastRun, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// follow prints how far a run is until it has ended.
func (d *demonstration) follow(ctx context.Context, id string) (*client.Run, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for {
		run, err := d.client.GetRun(ctx, demoSource, id)
		if err != nil {
			return nil, err
		}
		if line := progressLine(run); line != last && line != "" {
			last = line
			d.say("  %s", line)
		}
		if run.Ended() {
			return run, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// progressLine says how far a run is; it changes only where there is something to see.
func progressLine(run *client.Run) string {
	p := run.Progress
	switch {
	case p == nil || run.Ended():
		return ""
	case run.State == client.RunApplying:
		return fmt.Sprintf("applying  %d of %d changes", p.Applied, p.Steps)
	case p.Users+p.Groups > 0:
		return fmt.Sprintf("%-8s  %d users, %d groups", run.State, p.Users, p.Groups)
	}
	return ""
}

// demoGrants is what the administrator of the demo decides.
var demoGrants = []struct {
	group      bool
	name       string
	permission string
	reason     string
	lasts      time.Duration
}{
	{true, demo.GroupITAdmins, "AUDIT", "they answer for the log", 0},
	{true, demo.GroupMakers, "CREATE_PROJECT", "whoever makes things may start something", 0},
	{true, demo.GroupGlass, "CREATE_FILTER", "the guild asked for it in 2004", 0},
	{false, "henrietta.finch", "GOVERNANCE", "managing director", 0},
	{false, "anna.smith", "GOVERNANCE", "stands in until the audit is over", 30 * 24 * time.Hour},
	{false, "clemence.girard", "USER_ADMIN", "people and culture", 0},
}

// grants gives permissions to people and groups of the company, on top of what the
// directory says.
func (d *demonstration) grants(ctx context.Context) error {
	d.say("\nGrants, made here and out of the directory's reach")
	for _, g := range demoGrants {
		terms := client.GrantRequest{Reason: g.reason, AcknowledgeDirectory: g.group}
		until := ""
		if g.lasts > 0 {
			terms.ExpireTime = time.Now().Add(g.lasts).UTC().Truncate(time.Second)
			until = ", until " + terms.ExpireTime.Format(time.DateOnly)
		}
		if _, err := give(ctx, d.client, target{group: g.group, name: g.name}, g.permission, terms); err != nil {
			return fmt.Errorf("grant %s to %s: %w", g.permission, g.name, err)
		}
		kind := "user"
		if g.group {
			kind = "group"
		}
		d.say("  %-15s to %-5s %-16s %q%s", g.permission, kind, g.name, g.reason, until)
	}
	return nil
}

// holders prints who now has what.
func (d *demonstration) holders(ctx context.Context) error {
	d.say("\nWho now holds what")
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	var done []string
	for _, g := range demoGrants {
		if slices.Contains(done, g.permission) {
			continue
		}
		done = append(done, g.permission)
		line, err := d.heldBy(ctx, g.permission)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s\t%s\n", g.permission, line)
	}
	return w.Flush()
}

// shownHolders is how many holders of a permission are named.
const shownHolders = 4

func (d *demonstration) heldBy(ctx context.Context, permission string) (string, error) {
	n := 0
	var names []string
	for h, err := range d.client.ListHoldersAll(ctx, permission, client.ListHoldersQuery{PageSize: largestPage}) {
		if err != nil {
			return "", err
		}
		if n++; len(names) < shownHolders {
			names = append(names, h.UserName)
		}
	}
	text := strings.Join(names, ", ")
	if n > len(names) {
		text += fmt.Sprintf(" and %d more", n-len(names))
	}
	return text, nil
}

// commands prints what to paste next.
func (d *demonstration) commands(context.Context) error {
	name := programName()
	d.say(`
The admin API is at %s (its description at /openapi.json, readable at /docs).
In another terminal:

  export ROLLCALL_URL=%s ROLLCALL_TOKEN=%s

  %[4]s users --text mueller
  %[4]s grant oluwaseun.adeyemi PROJECT_MANAGEMENT --reason "year-end"
  %[4]s why juergen.mueller AUDIT
  %[4]s who-can GOVERNANCE
  %[4]s sync plan %[5]s

Something happens to somebody every %[6]v, and the schedule takes it over within a
minute. Ctrl-C ends the demo and leaves nothing.`, d.app.URL(), d.app.URL(), d.key, name, demoSource, d.o.every)
	return nil
}

// pushes prints what an identity provider would send to the second source.
func (d *demonstration) pushes(ctx context.Context) error {
	made, err := d.client.CreateSourceToken(ctx, demoPushed, client.NewPushToken{Name: "the demo's provider"})
	if err != nil {
		return fmt.Errorf("make a token for source %s: %w", demoPushed, err)
	}
	d.say(`
A second source, %[1]s, is one that an identity provider pushes to over SCIM. To push
somebody, and to see what came of it:

  curl -H 'Authorization: Bearer %[2]s' -H 'Content-Type: application/scim+json' \
    -d '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"zoe.marsh","displayName":"Zoe Marsh"}' \
    %[3]s%[4]s%[1]s/Users
  %[5]s scim requests %[1]s
`, demoPushed, made.Secret, strings.TrimRight(d.app.URL(), "/"), scim.Prefix, programName())
	return nil
}

// programName is what to type to run this program again.
func programName() string {
	exe, err := os.Executable()
	if err != nil || strings.Contains(exe, "go-build") {
		return "go run ./cmd/rollcall"
	}
	return os.Args[0]
}

// live lets the company live, and prints what the scheduled runs make of it.
func (d *demonstration) live(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- d.company.Live(ctx, d.o.every) }()
	watching := d.watchRuns(ctx)
	return errors.Join(watching, <-done)
}

// watchRuns prints each run that changed something, until ctx ends.
func (d *demonstration) watchRuns(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	source, err := d.client.GetSource(ctx, demoSource)
	if err != nil {
		return err
	}
	last := source.LastRun
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		source, err := d.client.GetSource(ctx, demoSource)
		if err != nil || source.LastRun == last || source.LastRun == "" {
			continue
		}
		run, err := d.client.GetRun(ctx, demoSource, source.LastRun)
		if err != nil || !run.Ended() {
			continue
		}
		last = source.LastRun
		d.say("%s  rollcall  run by %s %s: %s", run.EndTime.Local().Format(time.TimeOnly), run.Trigger, run.State, run.Summary)
	}
}
