// Package sync decides when and whether a source is read, and carries out what the
// read calls for: schedule, leadership, plan, guard, approval, apply, history.
//
// It owns the contract of a source that is pulled, the schedule, the run and its
// record. It promises that at most one run of a source is going on anywhere, that
// nothing is written which the plan did not show, that a plan over its limits waits
// for a person, and that the cursor moves only with the data it stands for. How a
// directory is read is the business of package sync/ldap; what a read means, of
// package sync/plan; how it is stored, of package state.
package sync

import (
	"context"
	"iter"

	"github.com/rollcall-id/rollcall/identity"
)

// Source is a directory that can be read.
type Source interface {
	// Pull reads the source once, from one server. An error means that nothing was
	// learnt: no observation, no removal, the cursor stays. What went partly wrong
	// is in the observation: entries skipped, a proof that is missing.
	Pull(ctx context.Context, r PullRequest) (*identity.Observation, error)
}

// PullRequest is what a read may build on.
type PullRequest struct {
	// Since is where the last read that was applied ended. A source that can tell what
	// changed since then reads only that. Empty: read everything.
	Since identity.Cursor
	// Again names entries that have to be read also if they did not change: the last
	// run left them as they were for a reason that may be gone.
	Again []identity.Gone
	// Prove asks for a comparison with everything that the source has, by a sweep or a
	// full read, whatever Since would allow.
	Prove bool
	// ByHand says that somebody waits who may have mended what went wrong before: no
	// server is spared, and no password held back.
	ByHand bool
	Known  Known
	// Progress, when set, is called now and then from one goroutine at a time.
	Progress func(Progress)
}

// Known is what the roll already has of the source. It is a snapshot.
type Known interface {
	// Hash returns the content hash stored for a user or group that is present.
	Hash(group bool, key identity.Key) (hash uint64, ok bool)
	// Present yields the keys of all users, or of all groups, that are present: a
	// read that does not see one of them asks for it before it calls it gone.
	Present(group bool) iter.Seq[identity.Key]
	// Stored returns the record of a user or group that is present, or nil.
	Stored(group bool, key identity.Key) *identity.Record
	// GroupsWith yields the present groups that have a user or group as a member by the
	// source's word. The member need not be present.
	GroupsWith(group bool, key identity.Key) iter.Seq[identity.Key]
}

// Progress is how far a read, and then the run around it, has come.
type Progress struct {
	Stage         string // "connect", "users", "groups", "verify", [StageWaiting]; then "planning", "applying"
	Server        string
	Users, Groups int
	Pages         int
	// Applied of Steps are written. A run sets them, not a read.
	Applied, Steps int
}

// Fleet is a source that may be read from several servers.
type Fleet interface {
	// Servers returns those that the last read could choose from, the preferred one
	// first. It reaches none.
	Servers() []ServerState
}

// ServerState is how one server of a source fared.
type ServerState struct {
	Server   string
	Used     bool // the last read was from it
	LeftOut  bool // it failed, and is not tried for a while
	Failures int  // in a row
}

// Tester is a source that can try its configuration step by step.
type Tester interface {
	// Test yields the outcome of each step as it ends. It stops after the first
	// step that fails. It writes nothing anywhere.
	Test(ctx context.Context) iter.Seq[TestStep]
}

// TestStep is the outcome of one step of a test.
type TestStep struct {
	Name   string // "discover", "servers", "resolve", "connect", "tls", "bind", "base", "count", "changes", "entry"
	OK     bool
	Detail string   // what was found
	Fix    string   // what to do when it failed
	Lines  []string // further facts: certificate, mapped entry
}
