package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// changed is how many changes a round makes.
const changed = 100

// followed is what following one directory by its changes took.
type followed struct{ nothing, hundred, sweep pairs }

// changes measures runs that read only what changed, and the sweep that proves them.
func (b *bench) changes(ctx context.Context, small, full *sized) error {
	var f [2]followed
	for i, s := range []*sized{small, full} {
		err := onServer(ctx, b.dir, func(srv *server) error {
			d := openDirectory(srv, s.d.Users)
			d.Follow = true
			return b.follow(ctx, d, &f[i])
		})
		if err != nil {
			return err
		}
	}
	n := thousands(full.d.Users)
	last := &f[1]
	over := 1000 * (median(last.nothing.ours) - median(last.nothing.floor))
	b.table.add(row{
		fmt.Sprintf("run of changes, %s users, nothing changed; `ldapsearch -E sync=ro/cookie`", n),
		secs(last.nothing.floor), secs(last.nothing.ours), fmt.Sprintf("%+.1f ms", over), "at most 5 ms over", over <= 5,
	})
	b.table.ratio(fmt.Sprintf("run of changes, %s users, %d changed; the same, and %d writes of the store", n, changed, changed), last.hundred, 3)
	grown := median(last.hundred.ours) / median(f[0].hundred.ours)
	b.table.add(row{
		fmt.Sprintf("- the same with %s users after %s", n, thousands(small.d.Users)),
		secs(f[0].hundred.ours), secs(last.hundred.ours), fmt.Sprintf("%.2f", grown), "at most 1.2 x", grown <= 1.2,
	})
	b.table.ratio(fmt.Sprintf("sweep of %s users and %s groups, as a whole run; `ldapsearch` of key and change stamp", n, thousands(full.d.Groups)), last.sweep, 1)
	return nil
}

func (b *bench) follow(ctx context.Context, d *directory, f *followed) (err error) {
	c, err := start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	dir, err := b.newDir("follow")
	if err != nil {
		return err
	}
	for _, r := range []request{{Do: "open", Dir: dir, Directory: d}, {Do: "sync"}} {
		if _, err := c.call(ctx, r); err != nil {
			return err
		}
	}
	stages := ""
	for range roundsSmall {
		if err := b.nothing(ctx, d, c, f); err != nil {
			return err
		}
		if stages, err = b.hundred(ctx, d, c, f); err != nil {
			return err
		}
	}
	for range b.rounds {
		if err := b.swept(ctx, d, c, f); err != nil {
			return err
		}
	}
	b.table.note("run of %d changes, %s users: %s", changed, thousands(d.Users), stages)
	return nil
}

func (b *bench) nothing(ctx context.Context, d *directory, c *child, f *followed) error {
	cookie := d.cookie(ctx)
	floor, err := d.told(ctx, cookie)
	if err != nil {
		return err
	}
	a, err := c.call(ctx, request{Do: "sync"})
	f.nothing.add(floor, a.Took)
	return err
}

func (b *bench) hundred(ctx context.Context, d *directory, c *child, f *followed) (string, error) {
	cookie := d.cookie(ctx)
	d.slapd.Apply(d.change())
	floor, err := d.told(ctx, cookie)
	if err != nil {
		return "", err
	}
	dir, err := b.newDir("puts")
	if err != nil {
		return "", err
	}
	puts, err := once(ctx, request{Do: "puts", Dir: dir, Count: changed})
	if err != nil {
		return "", err
	}
	a, err := c.call(ctx, request{Do: "sync"})
	f.hundred.add(floor+puts.Took, a.Took)
	return fmt.Sprintf("%s; %d transactions; of the floor the directory %.0f ms", a.Stages, a.Written.Txns, 1000*floor), err
}

func (b *bench) swept(ctx context.Context, d *directory, c *child, f *followed) error {
	e := d.config()
	w := e.Expanded()
	began := time.Now()
	for _, where := range []*ldap.Where{&w.Users.Where, &w.Groups.Where} {
		if err := d.search(ctx, where, []string{where.Key, w.Groups.ChangeStamp}); err != nil {
			return err
		}
	}
	floor := time.Since(began).Seconds()
	a, err := c.call(ctx, request{Do: "sync", Prove: true})
	f.sweep.add(floor, a.Took)
	return err
}

// cookie is where the directory stands, as a consumer would be told.
func (d *directory) cookie(context.Context) string {
	for _, e := range d.slapd.Dump(d.Suffix, "(objectClass=dcObject)", "contextCSN") {
		return "rid=000,csn=" + strings.Join(e.Get("contextCSN"), ";")
	}
	return ""
}

// told lets ldapsearch ask what changed since, and drop it.
func (d *directory) told(ctx context.Context, cookie string) (float64, error) {
	e := d.config()
	w := e.Expanded()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = null.Close() }()
	args := []string{
		"-x", "-LLL", "-E", "sync=ro/" + cookie, "-H", d.URL, "-D", d.DN, "-w", d.Password, "-b", d.Suffix,
		"(|" + w.Users.Filter + w.Groups.Filter + ")",
	}
	more := []string{w.Groups.ChangeStamp}
	for _, m := range w.Groups.Members {
		more = append(more, m.Attribute)
	}
	cmd := exec.CommandContext(ctx, "ldapsearch", append(args, attributes(&w.Users.Where, more...)...)...) //nolint:gosec // G204: our own words
	cmd.Stdout, cmd.Stderr = null, os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("ldapsearch: %w", err)
	}
	return time.Since(began).Seconds(), nil
}

// change makes a hundred changes as LDIF: half are of one attribute, the others create,
// delete, rename, and put people into groups. No user is touched twice.
func (d *directory) change() string {
	var b strings.Builder
	first := 100 + d.round*changed
	d.round++
	for k := range changed {
		dn := d.org.UserDN(first + k)
		switch {
		case k < 50:
			fmt.Fprintf(&b, "dn: %s\nchangetype: modify\nreplace: title\ntitle: round %d\n\n", dn, d.round)
		case k < 65:
			fmt.Fprintf(&b, "dn: uid=new%d-%d,ou=people,%s\nchangetype: add\nobjectClass: inetOrgPerson\ncn: New\nsn: New\nmail: new@example.org\n\n", d.round, k, d.Suffix)
		case k < 75:
			fmt.Fprintf(&b, "dn: %s\nchangetype: delete\n\n", dn)
		case k < 85:
			fmt.Fprintf(&b, "dn: %s\nchangetype: modrdn\nnewrdn: uid=renamed%d-%d\ndeleteoldrdn: 1\n\n", dn, d.round, k)
		default:
			// Groups 10, 30, ... are of the usual kind, and half the organization away from
			// their members are none.
			j := 10 + 20*((k+d.round)%(d.Groups/20-1))
			stranger := (31*j + d.Users/2 + 20*d.round + k) % d.Users
			fmt.Fprintf(&b, "dn: %s\nchangetype: modify\nadd: member\nmember: %s\n\n", d.org.GroupDN(j), d.org.UserDN(stranger))
		}
	}
	return b.String()
}

// puts writes small values, one transaction after the other.
func (w *worker) puts(ctx context.Context, r request) (reply, error) {
	if _, err := w.open(ctx, request{Dir: r.Dir}); err != nil {
		return reply{}, err
	}
	value := []byte(strings.Repeat("x", 500))
	began := time.Now()
	for i := range r.Count {
		if _, err := w.store.Apply(ctx, store.Txn{Then: []store.Op{store.Put(fmt.Sprintf("bench/%d", i), value)}}); err != nil {
			return reply{}, err
		}
	}
	return reply{Took: time.Since(began).Seconds(), Count: r.Count}, nil
}
