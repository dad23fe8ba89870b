package app

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	rollsync "github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// syncer is the runner as the admin API wants it: neither knows the other.
type syncer struct{ app *App }

var _ admin.Syncer = (*syncer)(nil)

// Sources implements admin.Syncer.
func (s *syncer) Sources() []admin.Source {
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	list := make([]admin.Source, 0, len(s.app.made))
	for i := range s.app.config.Sources {
		c := &s.app.config.Sources[i]
		if c.Kind == kindSCIM {
			list = append(list, s.pushed(c))
			continue
		}
		st := s.app.runner.Status(c.ID())
		read := s.app.made[c.ID()].source.Config()
		shown, err := config.Plain(read)
		if err != nil {
			s.app.log.Error("a source's configuration cannot be shown", "source", c.Name, "err", err)
		}
		list = append(list, admin.Source{
			ID: c.ID(), Kind: kindLDAP, Schedule: st.Schedule, TimeZone: c.Sync.Timezone, Next: st.Next,
			Config: shown, Mapping: read.Mapped(), AllowLocalAttributes: allowed(c.AllowLocalAttributes), AllowLocalMemberships: allowed(c.AllowLocalMemberships),
		})
	}
	slices.SortFunc(list, func(a, b admin.Source) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return list
}

func (s *syncer) pushed(c *Source) admin.Source {
	shown, err := config.Plain(c.SCIM)
	if err != nil {
		s.app.log.Error("a source's configuration cannot be shown", "source", c.Name, "err", err)
	}
	return admin.Source{
		ID: c.ID(), Kind: kindSCIM, Config: shown,
		AllowLocalAttributes: allowed(c.AllowLocalAttributes), AllowLocalMemberships: allowed(c.AllowLocalMemberships),
	}
}

// allowed reads a switch that is on where the file says nothing.
func allowed(b *bool) bool { return b == nil || *b }

// Start implements admin.Syncer.
func (s *syncer) Start(ctx context.Context, source identity.SourceID, by audit.Actor) (string, error) {
	run, err := s.app.runner.Start(ctx, source, by.String())
	return run.ID, err
}

// Plan implements admin.Syncer.
func (s *syncer) Plan(ctx context.Context, source identity.SourceID, by audit.Actor) (*plan.Plan, *plan.Held, error) {
	p, _, err := s.app.runner.Plan(ctx, source, by.String())
	if err != nil {
		return nil, nil, err
	}
	return p, p.Guard(s.limits(source)), nil
}

// limits returns the limits that a run of the source is held against.
func (s *syncer) limits(source identity.SourceID) plan.Limits {
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	return s.app.made[source].spec.Limits
}

// MayStart implements admin.Syncer.
func (s *syncer) MayStart(source identity.SourceID) error { return s.app.runner.MayStart(source) }

// Live implements admin.Syncer.
func (s *syncer) Live(source identity.SourceID) (admin.Live, bool) {
	return live(s.app.runner.Live(source))
}

// Find implements admin.Syncer.
func (s *syncer) Find(source identity.SourceID, run string) (admin.Live, bool) {
	return live(s.app.runner.Find(source, run))
}

func live(run state.Run, p rollsync.Progress, ok bool) (admin.Live, bool) {
	return admin.Live{Run: run, Progress: admin.Progress{
		Stage: p.Stage, Server: p.Server, Users: p.Users, Groups: p.Groups, Pages: p.Pages, Applied: p.Applied, Steps: p.Steps,
	}}, ok
}

// Test implements admin.Syncer.
func (s *syncer) Test(ctx context.Context, source identity.SourceID) iter.Seq[admin.TestStep] {
	s.app.mu.Lock()
	tester := rollsync.Tester(s.app.made[source].source)
	s.app.mu.Unlock()
	return func(yield func(admin.TestStep) bool) {
		for t := range tester.Test(ctx) {
			if !yield(admin.TestStep(t)) {
				return
			}
		}
	}
}
