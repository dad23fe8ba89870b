package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// fleet is every source that this process knows: those of its file, and those that were
// made over the API and are stored.
type fleet struct {
	sources []Source
	made    map[identity.SourceID]pulled // of those, what is read on a schedule and can be
	broken  map[identity.SourceID]string // of those, why one is not run
	hidden  map[identity.SourceID]bool   // stored, but the file has the name
	seen    map[identity.SourceID]store.Revision
}

// gather makes the sources of a valid file and of a snapshot. One of the file that cannot
// be made is an error; one that is stored is left out and said to be broken: it must not
// keep the others from running.
func gather(c *Config, snap *state.Snapshot, log *slog.Logger, now func() time.Time) (*fleet, error) {
	f := &fleet{made: map[identity.SourceID]pulled{}, broken: map[identity.SourceID]string{}, hidden: map[identity.SourceID]bool{}, seen: storedSources(snap)}
	inFile := map[identity.SourceID]bool{}
	for i := range c.Sources {
		inFile[c.Sources[i].ID()] = true
		if err := f.add(c.Sources[i], snap, log, now); err != nil {
			return nil, err
		}
	}
	ids, _ := snap.SourceConfigs()
	for _, id := range ids {
		if inFile[id] {
			f.hidden[id] = true
			log.Warn("a stored source has the name of one in the file, and is not used", "source", id, "file", c.File)
			continue
		}
		stored, _ := snap.SourceConfig(id)
		s, err := readStored(id, stored.Kind, stored.Config, &c.Secrets)
		if err == nil {
			err = f.add(s, snap, log, now)
		}
		if err != nil {
			f.sources = append(f.sources, Source{Name: string(id), Kind: stored.Kind, Stored: true})
			f.broken[id] = err.Error()
			log.Error("a stored source cannot be used here", "source", id, "err", err)
		}
	}
	return f, nil
}

func (f *fleet) add(s Source, snap *state.Snapshot, log *slog.Logger, now func() time.Time) error {
	leaves := !snap.Source(s.ID()).Leaving.IsZero()
	if s.Pulled() && !leaves {
		made, err := makeSource(&s, log, now)
		if err != nil {
			return err
		}
		f.made[s.ID()] = made
	}
	if leaves {
		f.broken[s.ID()] = "a source of this name is still being deleted"
	}
	f.sources = append(f.sources, s)
	return nil
}

// pushed returns the sources that are pushed to.
func (f *fleet) pushed() []scim.Source {
	var list []scim.Source
	for i := range f.sources {
		if s := &f.sources[i]; !s.Pulled() && f.broken[s.ID()] == "" {
			list = append(list, scim.Source{ID: s.ID(), Config: s.SCIM})
		}
	}
	return list
}

// storedSources is what a snapshot says of sources, to see whether that has changed.
func storedSources(snap *state.Snapshot) map[identity.SourceID]store.Revision {
	seen := map[identity.SourceID]store.Revision{}
	ids, _ := snap.SourceConfigs()
	for _, id := range ids {
		c, _ := snap.SourceConfig(id)
		seen[id] = c.Rev()
	}
	for _, id := range snap.Leaving() {
		seen[id] = -1
	}
	return seen
}

// configRoot is where a configuration stands in the requests of the API, and in what is
// said to be wrong with it.
const configRoot = "config"

// readStored reads the configuration of a source as the file's is read, and holds it
// against what the API may refer to. The error is a *[config.Error]; it names everything
// that is wrong, and repeats no secret.
func readStored(id identity.SourceID, kind string, text []byte, rules *Secrets) (Source, error) {
	doc, err := config.Parse("configuration", fmt.Appendf(nil, `{%q: %s}`, configRoot, text), nil)
	if err != nil {
		return Source{}, err
	}
	p := doc.Problems()
	for _, key := range []string{"name", "type"} {
		if doc.Has(configRoot + "." + key) {
			p.Add(configRoot+"."+key, "stands beside the configuration, not in it")
		}
	}
	s := decodeKind(doc, configRoot, kind, p)
	s.Name, s.Stored = string(id), true
	s.confine(rules, p.In(configRoot))
	s.validate(p.In(configRoot))
	return s, p.Err()
}

// takeOver makes the sources of a configuration, and those that are stored, what is run.
// When it returns an error nothing has changed. The caller holds mu.
func (a *App) takeOver(_ context.Context, c *Config) error {
	next, err := gather(c, a.db.View().Now(), a.log, a.now)
	if err != nil {
		return err
	}
	if err := a.pushes.Reload(next.pushed()); err != nil {
		return err
	}
	if err := a.runner.Reload(specs(next.made)); err != nil {
		return errors.Join(err, a.pushes.Reload(a.fleet.pushed()))
	}
	a.fleet = next
	return nil
}

// followSources takes over what is stored, whoever stored it on whichever replica, until
// ctx ends.
func (a *App) followSources(ctx context.Context) error {
	for ctx.Err() == nil {
		changed := a.db.View().Changed()
		if err := a.TakeOver(ctx); err != nil {
			a.log.ErrorContext(ctx, "stored sources not taken over", "err", err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil
}

// TakeOver makes what is stored of sources what is run, unless it is already.
func (a *App) TakeOver(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if maps.Equal(a.fleet.seen, storedSources(a.db.View().Now())) {
		return nil
	}
	return a.takeOver(ctx, a.config)
}

// sourceEditor is what the admin API asks of sources that it makes.
type sourceEditor struct{ app *App }

var _ admin.SourceEditor = sourceEditor{}

// Check implements admin.SourceEditor.
func (e sourceEditor) Check(id identity.SourceID, kind string, cfg []byte) []admin.InvalidMember {
	_, err := readStored(id, kind, cfg, &e.app.config.Secrets)
	if err == nil {
		return nil
	}
	wrong, ok := errors.AsType[*config.Error](err)
	if !ok {
		return []admin.InvalidMember{{Location: "body." + configRoot, Message: "cannot be read"}}
	}
	list := make([]admin.InvalidMember, len(wrong.Problems))
	for i, p := range wrong.Problems {
		list[i] = admin.InvalidMember{Location: strings.TrimSuffix("body."+p.Path, "."), Message: p.Text}
	}
	return list
}

// Try implements admin.SourceEditor.
func (e sourceEditor) Try(ctx context.Context, id identity.SourceID, kind string, cfg []byte) (iter.Seq[admin.TestStep], error) {
	s, err := readStored(id, kind, cfg, &e.app.config.Secrets)
	if err != nil {
		return nil, err
	}
	if !s.Pulled() {
		return func(yield func(admin.TestStep) bool) {
			yield(admin.TestStep{Name: "configuration", OK: true, Detail: "valid; its provider pushes, so there is nothing to connect to"})
		}, nil
	}
	made, err := makeSource(&s, e.app.log, e.app.now)
	if err != nil {
		return nil, err
	}
	return testSteps(ctx, made.source), nil
}

// TakeOver implements admin.SourceEditor.
func (e sourceEditor) TakeOver(ctx context.Context) error { return e.app.TakeOver(ctx) }
