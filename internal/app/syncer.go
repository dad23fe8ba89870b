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
	f := s.app.fleet
	list := make([]admin.Source, 0, len(f.sources))
	for i := range f.sources {
		list = append(list, s.shown(f, &f.sources[i]))
	}
	slices.SortFunc(list, func(a, b admin.Source) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return list
}

// shown is a source as the admin API shows it.
func (s *syncer) shown(f *fleet, c *Source) admin.Source {
	out := admin.Source{
		ID: c.ID(), Kind: c.Kind, File: s.app.config.File, Problem: f.broken[c.ID()], Hides: f.hidden[c.ID()],
		AddsOnly: c.Sync.Use == plan.UseAttributes || c.SCIM.Use == plan.UseAttributes,
		LinkBars: c.Sync.Link.Bars() || c.SCIM.Link.Bars(), LinkHash: c.SCIM.LinkHash(),
		AllowLocalAttributes: allowed(c.AllowLocalAttributes), AllowLocalMemberships: allowed(c.AllowLocalMemberships),
	}
	if c.Stored {
		out.File = ""
	}
	var read any = c.SCIM
	if c.Pulled() {
		out.TimeZone, out.Disabled = c.Sync.Timezone, !c.Sync.Enabled
		made, ok := f.made[c.ID()]
		if !ok {
			return out
		}
		st := s.app.runner.Status(c.ID())
		out.Schedule, out.Next, out.Mapping = st.Schedule, st.Next, made.source.Config().Mapped()
		read = made.source.Config()
	} else {
		out.Disabled = !c.SCIM.Enabled
	}
	if out.Problem != "" {
		return out
	}
	var err error
	if out.Config, err = config.Plain(read); err != nil {
		s.app.log.Error("a source's configuration cannot be shown", "source", c.Name, "err", err)
	}
	return out
}

// allowed reads a switch that is on where the file says nothing.
func allowed(b *bool) bool { return b == nil || *b }

// Start implements admin.Syncer.
func (s *syncer) Start(ctx context.Context, source identity.SourceID, by audit.Actor) (string, error) {
	run, err := s.app.runner.Start(ctx, source, by.String())
	return run.ID, err
}

// StartProof implements admin.Syncer.
func (s *syncer) StartProof(ctx context.Context, source identity.SourceID, by audit.Actor) (string, error) {
	run, err := s.app.runner.StartProof(ctx, source, by.String())
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

// Try implements admin.Syncer.
func (s *syncer) Try(ctx context.Context, source identity.SourceID, user string) (*plan.Trial, error) {
	return s.app.runner.Try(ctx, source, user)
}

// PlanUndo implements admin.Syncer.
func (s *syncer) PlanUndo(ctx context.Context, source identity.SourceID) (*plan.Plan, state.Run, error) {
	return s.app.runner.PlanUndo(ctx, source)
}

// PlanPurge implements admin.Syncer.
func (s *syncer) PlanPurge(source identity.SourceID) (state.PurgePlan, error) {
	return s.app.runner.PlanPurge(source)
}

// OrderPurge implements admin.Syncer.
func (s *syncer) OrderPurge(source identity.SourceID, digest string) (state.OrderPurge, error) {
	return s.app.runner.OrderPurge(source, digest)
}

// OrderUndo implements admin.Syncer.
func (s *syncer) OrderUndo(ctx context.Context, source identity.SourceID, run, digest string) (state.OrderUndo, error) {
	return s.app.runner.OrderUndo(ctx, source, run, digest)
}

// limits returns the limits that a run of the source is held against.
func (s *syncer) limits(source identity.SourceID) plan.Limits {
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	return s.app.fleet.made[source].spec.Limits
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
	made, ok := s.app.fleet.made[source]
	s.app.mu.Unlock()
	if !ok {
		return func(yield func(admin.TestStep) bool) {
			yield(admin.TestStep{Name: "configuration", Detail: "the source cannot be used as it is", Fix: "look at its problem, and change it"})
		}
	}
	return testSteps(ctx, made.source)
}

func testSteps(ctx context.Context, tester rollsync.Tester) iter.Seq[admin.TestStep] {
	return func(yield func(admin.TestStep) bool) {
		for t := range tester.Test(ctx) {
			if !yield(admin.TestStep(t)) {
				return
			}
		}
	}
}
