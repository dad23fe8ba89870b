package admin

import (
	"context"
	"iter"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// Syncer runs sources. What has ended is read from the store; a Syncer is asked for
// what is configured, for what is going on, and to do something. Each method is given
// only sources that Sources names. All may be called concurrently.
type Syncer interface {
	// Sources returns the sources that are configured, by id.
	Sources() []Source
	// Start asks for a run and returns its id without waiting for it. It is
	// fault.Conflict while a run of the source is going on.
	Start(ctx context.Context, source identity.SourceID, by audit.Actor) (run string, err error)
	// StartProof is Start for a run that compares everything that the source has, and not
	// only what changed.
	StartProof(ctx context.Context, source identity.SourceID, by audit.Actor) (run string, err error)
	// MayStart returns the error that Start would return now.
	MayStart(source identity.SourceID) error
	// Plan reads the source and returns what a run would change, and why it would be
	// held or nil. It stores nothing.
	Plan(ctx context.Context, source identity.SourceID, by audit.Actor) (*plan.Plan, *plan.Held, error)
	// Try looks for one person in the source, by login name, key or DN, and returns what a
	// run would make of him. It stores nothing.
	Try(ctx context.Context, source identity.SourceID, user string) (*plan.Trial, error)
	// PlanUndo returns what undoing the last run of the source would change, and that run.
	// It is fault.NotFound when there is none, and fault.Conflict while one is going on.
	PlanUndo(ctx context.Context, source identity.SourceID) (*plan.Plan, state.Run, error)
	// OrderUndo returns the change that orders it, to be decided; it is fault.Stale when
	// run and digest are not what PlanUndo would return now.
	OrderUndo(ctx context.Context, source identity.SourceID, run, digest string) (state.OrderUndo, error)
	// PlanPurge returns whom a purge of the source would remove now. It is fault.Conflict when
	// the source keeps everybody.
	PlanPurge(source identity.SourceID) (state.PurgePlan, error)
	// OrderPurge returns the change that orders just that, to be decided; it is
	// fault.Conflict when the digest is not of what PlanPurge would return now.
	OrderPurge(source identity.SourceID, digest string) (state.OrderPurge, error)
	// Live returns the run of a source that is going on, if this process knows of one.
	Live(source identity.SourceID) (Live, bool)
	// Find returns a run of a source by its id: one that is going on, or one of the last
	// few that ended in this process, whether or not a record of it is kept.
	Find(source identity.SourceID, run string) (Live, bool)
	// Test tries a source's configuration step by step. It stops after the first step
	// that fails, and writes nothing.
	Test(ctx context.Context, source identity.SourceID) iter.Seq[TestStep]
}

// Source is a source as it is configured.
type Source struct {
	ID       identity.SourceID
	Kind     string    // "ldap"
	Schedule string    // the cron expression
	TimeZone string    // of the schedule
	Next     time.Time // the next scheduled run; zero: none
	// AllowLocalAttributes and AllowLocalMemberships say whether administrators may put
	// attributes on users and groups of the source here, and members into its groups.
	AllowLocalAttributes, AllowLocalMemberships bool
	// LinkBars says that whom the source keeps out is inactive where its record is linked.
	LinkBars bool
	// LinkHash, of a source that is pushed to, is of the rule by which its records join
	// users; empty: there is none.
	LinkHash string
	// AddsOnly says that its records never make a user, but add to those that they join.
	AddsOnly bool
	// Config is the configuration with everything filled in that was left out, as
	// something that encodes to JSON. It holds no secret.
	Config any
	// File is the file that declares the source; empty: it was made over the API.
	File string
	// Hides says that one of this name was made over the API and gives way to the file.
	Hides bool
	// Disabled keeps the source from being read or pushed to. What came from it stays.
	Disabled bool
	// Problem is why the source is not run, if something is wrong with it here.
	Problem string
	// Mapping is what the source is read for, by the entry of its configuration, such as
	// users.attributes.department; nil where that is not known.
	Mapping map[string][]string
}

// Live is a run that is going on.
type Live struct {
	Run      state.Run // what its record would be if it ended now
	Progress Progress
}

// Progress is how far a run has come.
type Progress struct {
	Stage   string `json:"stage" doc:"connect, users, groups, verify, plan, apply"`
	Server  string `json:"server,omitzero"`
	Users   int    `json:"users" doc:"Read so far"`
	Groups  int    `json:"groups" doc:"Read so far"`
	Pages   int    `json:"pages"`
	Applied int    `json:"applied" doc:"Changes written so far"`
	Steps   int    `json:"steps" doc:"Changes of the plan; 0 until it is there"`
}

// TestStep is the outcome of one step of a test.
type TestStep struct {
	Name   string   `json:"name" doc:"resolve, connect, tls, bind, base, count, entry"`
	OK     bool     `json:"ok"`
	Detail string   `json:"detail,omitzero" doc:"What was found"`
	Fix    string   `json:"fix,omitzero" doc:"What to do when it failed"`
	Lines  []string `json:"lines,omitempty" doc:"Further facts: certificate, mapped entry"`
}
