package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// How often each pair is measured. What takes a tenth of a second is measured more
// often, as it is disturbed more easily.
const (
	rounds      = 3
	roundsSmall = 7
)

// bench measures row after row.
type bench struct {
	options
	table  *table
	dir    string
	rounds int
}

// sized is what was measured on one directory, and what later rows build on.
type sized struct {
	d                   *directory
	store               string // the files of a store that holds it all
	read, first, second pairs
}

func (b *bench) wants(names ...string) bool {
	return slices.ContainsFunc(names, b.only.MatchString)
}

func (b *bench) all(ctx context.Context) error {
	pulled := b.wants("read", "first", "second", "growth", "check", "authzen", "boot", "memory", "changes")
	if !pulled && !b.wants("scim", "scimwrite") {
		return errors.New("-only matches no row")
	}
	if pulled {
		if err := b.pulled(ctx); err != nil {
			return err
		}
	}
	switch {
	case b.wants("scim"):
		return b.scim(ctx, "push")
	case b.wants("scimwrite"):
		return b.scim(ctx, "pushwrites")
	}
	return nil
}

// pulled measures what works on a directory that is synced.
func (b *bench) pulled(ctx context.Context) error {
	var small sized
	if b.wants("growth", "changes") {
		quiet := &bench{options: b.options, table: newTable(b.scale / 10), dir: b.dir, rounds: roundsSmall}
		if err := quiet.sized(ctx, b.scale/10, &small); err != nil {
			return err
		}
	}
	var full sized
	if err := b.sized(ctx, b.scale, &full); err != nil {
		return err
	}
	if b.wants("growth") {
		b.growth(&small, &full)
	}
	if b.wants("changes") {
		if err := b.changes(ctx, &small, &full); err != nil {
			return err
		}
	}
	for _, r := range []struct {
		name string
		row  func(context.Context, *sized) error
	}{{"check", b.check}, {"authzen", b.authzen}, {"boot", b.boot}, {"memory", b.memory}} {
		if b.wants(r.name) {
			if err := r.row(ctx, &full); err != nil {
				return err
			}
		}
	}
	return nil
}

// sized measures what needs the directory, and leaves a store behind.
func (b *bench) sized(ctx context.Context, users int, s *sized) error {
	fmt.Fprintf(os.Stderr, "a directory of %s users\n", thousands(users))
	return onServer(ctx, b.dir, func(srv *server) error {
		s.d = openDirectory(srv, users)
		if b.wants("read", "growth") {
			if err := b.read(ctx, s); err != nil {
				return err
			}
		}
		if !b.wants("first", "second", "growth", "check", "authzen", "boot", "memory") {
			return nil
		}
		return b.syncs(ctx, s)
	})
}

func (b *bench) newDir(name string) (string, error) {
	return os.MkdirTemp(b.dir, name)
}

// read holds the reader against ldapsearch.
func (b *bench) read(ctx context.Context, s *sized) error {
	var peak, allocs float64
	if _, err := s.d.dump(ctx, s.d.people()); err != nil { // once, so that slapd has all in memory
		return err
	}
	for range b.rounds {
		floor, err := s.d.dump(ctx, s.d.people())
		if err != nil {
			return err
		}
		a, err := once(ctx, request{Do: "scan", Directory: s.d})
		if err != nil {
			return err
		}
		if a.Count != s.d.Users {
			return fmt.Errorf("read %d entries of %d", a.Count, s.d.Users)
		}
		s.read.add(floor, a.Took)
		peak, allocs = max(peak, float64(a.Peak-a.Idle)/1024), max(allocs, a.Allocs)
	}
	n := thousands(s.d.Users)
	b.table.ratio("read and decode "+n+" entries of 11 attributes; `ldapsearch -E pr=1000/noprompt` to /dev/null", s.read, 1.3)
	b.table.add(row{"- memory above the idle process, at most", "", fmt.Sprintf("%.1f MB", peak), "", "at most 64 MB", peak <= 64})
	b.table.add(row{"- allocations an entry", "", fmt.Sprintf("%.2f", allocs), "", "at most 3", allocs <= 3})
	return nil
}

// syncs measures first runs, each into a new store, and then second runs in the last.
func (b *bench) syncs(ctx context.Context, s *sized) error {
	recording := filepath.Join(b.dir, fmt.Sprintf("recording-%d", s.d.Users))
	c, written, err := b.firstRun(ctx, s, recording)
	if err != nil {
		return errors.Join(err, c.stop())
	}
	stages := ""
	var cpu pairs
	for range b.rounds {
		if err := c.stop(); err != nil {
			return err
		}
		dir, err := b.newDir("floor")
		if err != nil {
			return err
		}
		floor, err := once(ctx, request{Do: "replay", File: recording, Dir: dir})
		if err != nil {
			return err
		}
		_ = os.RemoveAll(dir)
		var ours reply
		if c, ours, err = b.firstRun(ctx, s, ""); err != nil {
			return errors.Join(err, c.stop())
		}
		s.first.add(floor.Took, ours.Took)
		cpu.add(floor.CPU, ours.CPU)
		stages = ours.Stages
	}
	what := fmt.Sprintf("first sync, %s users, %s groups, %s memberships; the same bytes in the same batches put into etcd",
		thousands(s.d.Users), thousands(s.d.Groups), thousands(s.d.Groups*membersOf))
	b.table.ratio(what, s.first, 2)
	b.table.note("first sync: %d transactions, %d keys, %.0f MB; %s; processor time %.1f s, of the floor %.1f s", written.Written.Txns,
		written.Written.Ops, float64(written.Written.Bytes)/(1<<20), stages, median(cpu.ours), median(cpu.floor))
	err = b.second(ctx, s, c)
	return errors.Join(err, c.stop())
}

// firstRun opens a new store in a new child and syncs the directory into it. It
// returns the child, which may be stopped also when it is nil.
func (b *bench) firstRun(ctx context.Context, s *sized, recording string) (*child, reply, error) {
	if s.store != "" {
		_ = os.RemoveAll(s.store)
	}
	var err error
	if s.store, err = b.newDir("store"); err != nil {
		return nil, reply{}, err
	}
	c, err := start()
	if err != nil {
		return nil, reply{}, err
	}
	if _, err := c.call(ctx, request{Do: "open", Dir: s.store, Directory: s.d}); err != nil {
		return c, reply{}, err
	}
	a, err := c.call(ctx, request{Do: "sync", File: recording})
	if err == nil && a.Count != s.d.Users {
		err = fmt.Errorf("the roll has %d users of %d", a.Count, s.d.Users)
	}
	return c, a, err
}

// second measures runs that find nothing changed.
func (b *bench) second(ctx context.Context, s *sized, c *child) error {
	var last reply
	for range b.rounds {
		floor, err := s.d.dump(ctx, s.d.config())
		if err != nil {
			return err
		}
		if last, err = c.call(ctx, request{Do: "sync"}); err != nil {
			return err
		}
		s.second.add(floor, last.Took)
	}
	b.table.ratio("second sync, nothing changed; `ldapsearch` of the same users, then groups with members", s.second, 1.5)
	w := last.Written
	b.table.add(row{
		"- what it writes", "", fmt.Sprintf("%d transaction, %d keys, %d bytes: %v", w.Txns, w.Ops, w.Bytes, w.Keys), "",
		"its run record only", w.Txns == 1 && w.Ops <= 4,
	})
	b.table.note("second sync: %s", last.Stages)
	b.table.note("the first sync cannot write before it has read: against the dump (%.2f s) and the writes one after the other it takes %.2f x",
		median(s.second.floor), median(s.first.ours)/(median(s.second.floor)+median(s.first.floor)))
	return nil
}

// growth holds ten times the entries against ten times the time.
func (b *bench) growth(small, full *sized) {
	for _, g := range []struct {
		what        string
		small, full []float64
	}{
		{"read", small.read.ours, full.read.ours},
		{"first sync", small.first.ours, full.first.ours},
		{"second sync", small.second.ours, full.second.ours},
	} {
		f, o := median(g.small), median(g.full)
		b.table.add(row{
			fmt.Sprintf("ten times the entries: %s, %s users after %s", g.what, thousands(full.d.Users), thousands(small.d.Users)),
			secs(g.small), secs(g.full), fmt.Sprintf("%.1f", o/f), "at most 11 x", o/f <= 11,
		})
	}
}

// onStore calls f with a child that has opened the store.
func (b *bench) onStore(ctx context.Context, r request, f func(*child, reply) error, env ...string) (err error) {
	c, err := start(env...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	r.Do = "open"
	a, err := c.call(ctx, r)
	if err != nil {
		return err
	}
	return f(c, a)
}

func (b *bench) check(ctx context.Context, s *sized) error {
	return b.onStore(ctx, request{Dir: s.store}, func(c *child, _ reply) error {
		var rates []float64
		var a reply
		for range b.rounds {
			var err error
			if a, err = c.call(ctx, request{Do: "check"}); err != nil {
				return err
			}
			rates = append(rates, float64(a.Count)/a.Took)
		}
		rate := median(rates)
		b.table.add(row{
			fmt.Sprintf("permission check, %s users, nested groups, one core", thousands(s.d.Users)), "",
			thousands(int(rate)) + " a second of processor time", "", "at least 500,000", rate >= 500_000,
		})
		b.table.add(row{"- allocations a check", "", fmt.Sprintf("%.2f", a.Allocs), "", "0", a.Allocs < 0.005})
		b.table.note("permission check: each of 11 permissions given to %d groups and %d users; %.0f %% of the answers are yes",
			grantsToGroups, grantsToUsers, 100*a.Yes)
		return nil
	})
}

// boot times the view from the moment that etcd is ready.
func (b *bench) boot(ctx context.Context, s *sized) error {
	var p pairs
	var ready []float64
	for range b.rounds {
		err := b.onStore(ctx, request{Dir: s.store}, func(c *child, a reply) error {
			if a.Count < s.d.Users { // who asked AuthZEN is in it, too
				return fmt.Errorf("the view has %d users of %d", a.Count, s.d.Users)
			}
			l, err := c.call(ctx, request{Do: "list"})
			p.add(l.Took, a.Took)
			ready = append(ready, a.Ready)
			return err
		})
		if err != nil {
			return err
		}
	}
	o := median(p.ours)
	b.table.add(row{
		fmt.Sprintf("boot with %s users, from etcd being ready; the same keys listed and dropped", thousands(s.d.Users)),
		secs(p.floor), secs(p.ours), fmt.Sprintf("%.1f", o/median(p.floor)), "at most 1 s", o <= 1,
	})
	b.table.note("boot: before that, embedded etcd itself takes %s", secs(ready))
	return nil
}

// memory looks at a process that follows an etcd of another process.
func (b *bench) memory(ctx context.Context, s *sized) error {
	etcd, err := start()
	if err != nil {
		return err
	}
	at, err := etcd.call(ctx, request{Do: "serve", Dir: s.store})
	for i, gogc := range []string{"100", "50", "30"} {
		if err != nil {
			break
		}
		err = b.onStore(ctx, request{Endpoint: at.Address}, func(c *child, opened reply) error {
			if opened.Count < s.d.Users {
				return fmt.Errorf("the view has %d users of %d", opened.Count, s.d.Users)
			}
			a, err := c.call(ctx, request{Do: "settle"})
			if err != nil {
				return err
			}
			b.resident(s, a, gogc, i == 0)
			return nil
		}, "GOGC="+gogc)
	}
	return errors.Join(err, etcd.stop())
}

func (b *bench) resident(s *sized, a reply, gogc string, first bool) {
	each := func(bytes int) float64 { return float64(bytes) / float64(s.d.Users) }
	if first {
		kb := each(a.RSS<<10) / 1024
		b.table.add(row{
			fmt.Sprintf("resident memory a user, etcd external, %s users, %s groups, %s memberships",
				thousands(s.d.Users), thousands(s.d.Groups), thousands(s.d.Groups*membersOf)),
			"", fmt.Sprintf("%.2f KB", kb), "", "at most 1.5 KB", kb <= 1.5,
		})
	}
	b.table.note("memory with GOGC=%s: %.0f MB resident after boot (%.0f MB at most, %.0f MB before opening the store), %.0f MB when garbage is collected and given back; %.0f bytes a user live",
		gogc, float64(a.RSS)/1024, float64(a.Peak)/1024, float64(a.Idle)/1024, float64(a.Settled)/1024, each(a.Heap))
}
