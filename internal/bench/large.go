package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// largeScale is how many users the directory of -large has.
const largeScale = 1_000_000

// rest is how long a process is left alone before it is said what it keeps resident: the
// runtime collects garbage every two minutes of its own accord, and gives back what is free
// in the background.
const rest = 3 * time.Minute

// large measures one directory of a size at which whatever grows too fast shows: reading
// it, and a process that follows it by its changes, with an etcd of another process.
func (b *bench) large(ctx context.Context) error {
	return onServer(ctx, b.dir, func(srv *server) error {
		began := time.Now()
		d := openDirectory(srv, b.scale)
		b.table.note("the directory was filled in %.0f s", time.Since(began).Seconds())
		if err := b.read(ctx, &sized{d: d}); err != nil {
			return err
		}
		d.Follow = true
		return b.lasting(ctx, d)
	})
}

// lasting lets a process sync the directory and follow it, and looks at its memory.
func (b *bench) lasting(ctx context.Context, d *directory) (err error) {
	dir, err := b.newDir("cluster")
	if err != nil {
		return err
	}
	etcd, err := start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, etcd.stop(), os.RemoveAll(dir)) }()
	at, err := etcd.call(ctx, request{Do: "serve", Dir: dir})
	if err != nil {
		return err
	}
	err = b.onStore(ctx, request{Endpoint: at.Address, Directory: d}, func(c *child, _ reply) error {
		first, err := c.call(ctx, request{Do: "sync"})
		if err != nil {
			return err
		}
		n := thousands(d.Users)
		b.table.add(row{"first sync of " + n + " users, etcd external", "", secs([]float64{first.Took}), "", "none", true})
		b.table.note("first sync: %s; %d MB resident at most", first.Stages, first.Peak/1024)
		if err := b.followed(ctx, d, c); err != nil {
			return err
		}
		return b.keeps(ctx, d, c, "once everything has been read and written for the first time")
	})
	if err != nil {
		return err
	}
	return b.onStore(ctx, request{Endpoint: at.Address, Directory: d}, func(c *child, _ reply) error {
		for range roundsSmall { // the first reads everything
			if _, err := c.call(ctx, request{Do: "sync"}); err != nil {
				return err
			}
			d.slapd.Apply(d.change())
		}
		return b.keeps(ctx, d, c, "after a restart")
	})
}

// followed measures runs of changes and sweeps.
func (b *bench) followed(ctx context.Context, d *directory, c *child) error {
	var f followed
	stages := ""
	for range roundsSmall {
		if err := b.nothing(ctx, d, c, &f); err != nil {
			return err
		}
		var err error
		if stages, err = b.hundred(ctx, d, c, &f); err != nil {
			return err
		}
	}
	for range b.rounds {
		if err := b.swept(ctx, d, c, &f); err != nil {
			return err
		}
	}
	over := 1000 * (median(f.nothing.ours) - median(f.nothing.floor))
	b.table.add(row{
		"run of changes, nothing changed; `ldapsearch -E sync=ro/cookie`",
		secs(f.nothing.floor), secs(f.nothing.ours), fmt.Sprintf("%+.1f ms", over), "at most 5 ms over", over <= 5,
	})
	b.table.ratio(fmt.Sprintf("run of changes, %d changed; the same, and %d writes of the store", changed, changed), f.hundred, 3)
	b.table.ratio("sweep, as a whole run; `ldapsearch` of key and change stamp", f.sweep, 1)
	b.table.note("run of %d changes: %s", changed, stages)
	return nil
}

// keeps leaves the process alone and says what it keeps resident.
func (b *bench) keeps(ctx context.Context, d *directory, c *child, when string) error {
	select {
	case <-time.After(rest):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	a, err := c.call(ctx, request{Do: "settle"})
	if err != nil {
		return err
	}
	each := func(kb int) float64 { return float64(kb) / float64(d.Users) }
	kept := each(a.RSS)
	b.table.add(row{
		"resident memory a user of a process that follows it, etcd external, " + when + ", some runs and three minutes without", "",
		fmt.Sprintf("%.2f KB", kept), "", "at most 1.5 KB", kept <= 1.5,
	})
	b.table.note("memory "+when+": %.0f MB resident then, %.0f MB at most, %.0f MB before opening the store, %.0f MB when garbage is collected and given back; %.0f bytes a user live",
		float64(a.RSS)/1024, float64(a.Peak)/1024, float64(a.Idle)/1024, float64(a.Settled)/1024, float64(a.Heap)/float64(d.Users))
	return nil
}
