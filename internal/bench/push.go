package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	gosync "sync"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/app"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/etcd"
)

// The sources that are pushed to: one that holds a population, and one for each first
// cycle.
const (
	pushedID = "bench"
	entraID  = "entra"
	oktaID   = "okta"
)

// scim holds the SCIM endpoint against bare handlers and an appending server. All of it
// is one process: the daemon, what it is held against and the clients, which share the
// cores.
func (b *bench) scim(ctx context.Context, do string) error {
	dir, err := b.newDir("scim")
	if err != nil {
		return err
	}
	a, err := once(ctx, request{Do: do, Dir: dir, Count: b.scale})
	for _, l := range a.Lines {
		b.table.add(row{l.What, l.Floor, l.Ours, l.Ratio, l.Bar, l.Met})
	}
	if len(a.Lines) > 0 {
		b.table.note("SCIM: the daemon itself, embedded etcd with fsync, a kilobyte a user; clients, floors and daemon share one process and its cores; %s", a.Stages)
	}
	return err
}

// line is a row as a child tells it.
type line struct {
	What  string `json:"what"`
	Floor string `json:"floor"`
	Ours  string `json:"ours"`
	Ratio string `json:"ratio"`
	Bar   string `json:"bar"`
	Met   bool   `json:"met"`
}

// pushBench is a daemon that is pushed to, and what was found of it.
type pushBench struct {
	ctx    context.Context //nolint:containedctx // of one measurement from end to end
	dir    string
	token  map[identity.SourceID]string
	first  *identity.Record // what is kept of the user that all others are made of
	ids    []string         // of the population
	filled time.Duration    // what it took to make them
	host   string           // of the daemon that runs
	lines  []line
	p50    map[string][]float64 // of one client, by what is asked, in the order of populations
}

func (p *pushBench) add(what, floor, ours, ratio, bar string, met bool) {
	p.lines = append(p.lines, line{"SCIM: " + what, floor, ours, ratio, bar, met})
}

// push measures what is asked of a daemon that is pushed to.
func (w *worker) push(ctx context.Context, r request, measure func(p *pushBench, most int) error) (a reply, err error) {
	p := &pushBench{ctx: ctx, dir: r.Dir, token: map[identity.SourceID]string{}, p50: map[string][]float64{}}
	defer func() { a.Lines = p.lines }()
	began := time.Now()
	if err := p.onState(p.makeTokens); err != nil {
		return a, err
	}
	if p.first, err = p.template(); err != nil {
		return a, err
	}
	err = measure(p, r.Count)
	a.Stages = fmt.Sprintf("%.0f s in all, %.0f s of it to fill the store", time.Since(began).Seconds(), p.filled.Seconds())
	return a, err
}

// everything measures at growing populations, up to most.
func (p *pushBench) everything(most int) error {
	for i, users := range []int{most / 100, most / 10, most / 2, most} {
		if err := p.onUsers(users, func() error { return p.at(i, users) }); err != nil {
			return err
		}
	}
	p.flat(most)
	return nil
}

// onlyWrites measures what writes.
func (p *pushBench) onlyWrites(users int) error {
	return p.onUsers(users, func() error { return errors.Join(p.writes(users), p.growing(users/2)) })
}

// onUsers calls f while the daemon runs with so many users.
func (p *pushBench) onUsers(users int, f func() error) error {
	at := time.Now()
	if err := p.onState(func(db *state.DB) error { return p.fill(db, p.first, users) }); err != nil {
		return err
	}
	p.filled += time.Since(at)
	return p.onDaemon(f)
}

// at measures what is asked of a population of the size.
func (p *pushBench) at(i, users int) error {
	if i == 2 {
		return p.complex(users)
	}
	if err := p.reads(users); err != nil || i < 3 {
		return err
	}
	for _, f := range []func(users int) error{p.pages, p.walk, p.writes, p.groups, p.cycles} {
		if err := f(users); err != nil {
			return err
		}
	}
	return nil
}

// onState calls f with the state of the store.
func (p *pushBench) onState(f func(*state.DB) error) (err error) {
	s, err := etcd.Open(p.ctx, etcd.Options{Dir: p.dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	db, err := state.Open(p.ctx, state.Options{Store: s})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(p.ctx)
	var followed gosync.WaitGroup
	followed.Go(func() { _ = db.Run(ctx) })
	defer followed.Wait()
	defer stop()
	return f(db)
}

// onDaemon calls f while the daemon runs on the store.
func (p *pushBench) onDaemon(f func() error) (err error) {
	file := filepath.Join(p.dir, "..", filepath.Base(p.dir)+".yaml")
	var text strings.Builder
	fmt.Fprintf(&text, "listen: 127.0.0.1:0\nhealth: off\nstore: {dir: %q}\nbootstrap_token_file: %q\nlimits: {per_key: {rate: 0}}\nsources:\n", p.dir, file+".token")
	for id, preset := range map[string]string{pushedID: "default", entraID: "entra", oktaID: "okta"} {
		fmt.Fprintf(&text, "  - {name: %s, type: scim, preset: %s}\n", id, preset)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return err
	}
	c, err := app.LoadConfig(file, nil)
	if err != nil {
		return err
	}
	d, err := app.New(app.Options{Config: c, Version: "bench"})
	if err != nil {
		return err
	}
	if err := d.Start(p.ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Stop(context.WithoutCancel(p.ctx))) }()
	u, err := url.Parse(d.URL())
	if err != nil {
		return err
	}
	p.host = u.Host
	return f()
}

func (p *pushBench) makeTokens(db *state.DB) error {
	for _, id := range []identity.SourceID{pushedID, entraID, oktaID} {
		cred := access.New(access.KindPush)
		if _, err := db.Commit(p.ctx, audit.Actor{Kind: audit.ActorSystem, ID: "bench"}, state.PutToken{Token: state.Token{
			ID: cred.ID(), Hash: cred.Hash(), Source: id, Name: "bench", Created: time.Now(),
		}}); err != nil {
			return err
		}
		p.token[id] = cred.Reveal()
	}
	return nil
}

// number is how the n-th user's is written: always as long, so that one record can be
// made of another.
func number(n int) string { return fmt.Sprintf("%07d", n) }

// userBody is a kilobyte, as identity providers send it.
func userBody(n string) string {
	return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"externalId":"00u` + n +
		`","userName":"user` + n + `@example.org","name":{"formatted":"User Number` + n + `","familyName":"Number` + n + `","givenName":"User"},"displayName":"User ` + n +
		`","nickName":"u` + n + `","title":"Engineer","userType":"Employee","preferredLanguage":"en-US","locale":"en-US","timezone":"America/Los_Angeles","active":true,` +
		`"emails":[{"value":"user` + n + `@example.org","type":"work","primary":true},{"value":"user` + n + `@home.example","type":"home"}],` +
		`"phoneNumbers":[{"value":"555-` + n + `","type":"work"}],"addresses":[{"type":"work","streetAddress":"100 Main Street","locality":"Hollywood","region":"CA","postalCode":"91608","country":"USA"}],` +
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"` + n + `","costCenter":"4130","organization":"Example","division":"Products","department":"Engineering","manager":{"value":"26118915-6090-4610-87e4-49d8ca9f808d"}}}`
}

// template pushes the first user as a provider does, and returns what is kept of it.
func (p *pushBench) template() (template *identity.Record, err error) {
	err = p.onDaemon(func() error {
		id, err := p.posted(pushedID, "/Users", userBody(number(0)))
		p.ids = append(p.ids, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = p.onState(func(db *state.DB) error {
		snap := db.View().Now()
		id, ok := snap.UserNamed(pushedID, "user"+number(0)+"@example.org")
		u, _, found := snap.User(id)
		if !ok || !found {
			return errors.New("what was pushed is not there")
		}
		template = &u.Record
		return nil
	})
	return template, err
}

// How many users a push makes at once, and how many pushes at a time.
const (
	fillAtOnce = 20
	fillers    = 16
)

// fill makes users like the first, past the endpoint, until there are so many.
func (p *pushBench) fill(db *state.DB, template *identity.Record, users int) error {
	starts := make(chan int)
	var all gosync.WaitGroup
	errs := make([]error, fillers)
	from := len(p.ids)
	p.ids = append(p.ids, make([]string, users-from)...)
	for i := range fillers {
		all.Go(func() {
			for start := range starts {
				var cs []state.Change
				for n := start; n < min(start+fillAtOnce, users); n++ {
					id := identity.NewUserID()
					p.ids[n] = id.String()
					cs = append(cs, state.Create{Member: identity.UserMember(id), Record: another(template, identity.Key(id.String()), number(n))})
				}
				_, err := db.Push(p.ctx, audit.Actor{Kind: audit.ActorPush, ID: "bench"}, func(*state.Snapshot) ([]state.Change, error) { return cs, nil })
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	for start := from; start < users; start += fillAtOnce {
		starts <- start
	}
	close(starts)
	all.Wait()
	return errors.Join(errs...)
}

// another is the first user's record with another number.
func another(r *identity.Record, key identity.Key, n string) *identity.Record {
	renamed := func(s string) string { return strings.ReplaceAll(s, number(0), n) }
	c := *r
	c.Key, c.Name = key, renamed(r.Name)
	c.Profile, c.Attributes = map[string]string{}, identity.Attributes{}
	for name, v := range r.Profile {
		c.Profile[name] = renamed(v)
	}
	for name, values := range r.Attributes {
		for _, v := range values {
			c.Attributes[name] = append(c.Attributes[name], renamed(v))
		}
	}
	pushed := *r.Pushed
	pushed.Body, pushed.External, pushed.Terms = []byte(renamed(string(pushed.Body))), renamed(pushed.External), nil
	for _, t := range r.Pushed.Terms {
		pushed.Terms = append(pushed.Terms, renamed(t))
	}
	c.Pushed = &pushed
	return &c
}
