package app

import (
	"context"
	"errors"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// barsEvery is how often a leader compares the switches of its sources with what is
// stored of them: a reload takes effect within that.
const barsEvery = time.Second

// configurer stands behind what the file of the leader asks for.
var configurer = audit.Actor{Kind: audit.ActorSystem, ID: "configuration", Name: "configuration"}

// bars returns what the sources bar, by the configurations that this process has taken
// over. What is stored of a source in the meantime it leaves alone.
func (a *App) bars(snap *state.Snapshot) map[identity.SourceID]state.Bar {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[identity.SourceID]state.Bar{}
	for i := range a.fleet.sources {
		s := &a.fleet.sources[i]
		stored, _ := snap.SourceConfig(s.ID())
		if a.fleet.broken[s.ID()] == "" && snap.Source(s.ID()).Leaving.IsZero() && (!s.Stored || a.fleet.seen[s.ID()] == stored.Rev()) {
			all[s.ID()] = state.Bar{Attributes: !allowed(s.AllowLocalAttributes), Memberships: !allowed(s.AllowLocalMemberships)}
		}
	}
	return all
}

// followBars stores, as leader, what the sources bar, so that it holds on all replicas at
// once and whatever their files say. It ends with ctx.
func (a *App) followBars(ctx context.Context, term store.Cond) error {
	told := map[identity.SourceID]string{}
	for {
		snap := a.db.View().Now()
		for source, bar := range a.bars(snap) {
			if bar == snap.Bar(source) {
				delete(told, source)
				continue
			}
			err := a.storeBar(ctx, term, source)
			if !errors.Is(err, fault.Conflict) {
				if err != nil {
					return err
				}
				continue
			}
			if told[source] != err.Error() {
				told[source] = err.Error()
				a.log.ErrorContext(ctx, "what a source allows locally stays as it was, against the configuration", "source", source, "err", err)
			}
		}
		select {
		case <-time.After(barsEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// storeBar stores what one source bars, unless it is so already.
func (a *App) storeBar(ctx context.Context, term store.Cond, source identity.SourceID) error {
	_, err := a.db.Decide(ctx, configurer, func(s *state.Snapshot) ([]state.Change, error) {
		bar, known := a.bars(s)[source]
		if !known || s.Bar(source) == bar {
			return nil, nil
		}
		return []state.Change{state.Fenced{Term: term}, state.PutBar{Source: source, Bar: bar}}, nil
	})
	return err
}
