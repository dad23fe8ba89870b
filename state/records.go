package state

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
)

// SourceState is where a pulled source stands. The run that writes it is its only
// writer, but for Approval and Request, which an administrator sets.
type SourceState struct {
	V int `json:"v"`
	// Cursor is where the next read may continue.
	Cursor identity.Cursor `json:"cursor,omitzero"`
	// Config is the hash of the configuration that the cursor was made under.
	Config string `json:"config,omitzero"`
	// LastRun is the last run that ended, LastProven the end of the last read that
	// was proven complete and applied.
	LastRun    string    `json:"run,omitzero"`
	LastProven time.Time `json:"proven,omitzero"`
	// LastFull is the end of the last of these reads that compared everything.
	LastFull time.Time `json:"full,omitzero"`
	// Blind says that reads of changes never name who is gone, so that everything is
	// compared more often.
	Blind bool `json:"blind,omitzero"`
	// Again lists entries that the next read has to bring also if they do not change:
	// the last run left them as they were because of others.
	Again []identity.Gone `json:"again,omitempty"`
	// LastSlot is the scheduled instant that was last served.
	LastSlot time.Time `json:"slot,omitzero"`
	// Unchanged counts the runs since LastRun that changed nothing.
	Unchanged int `json:"same,omitzero"`
	// Held is the plan that waits for approval.
	Held *HeldPlan `json:"held,omitzero"`
	// Approval lets the next run apply what it covers.
	Approval *Approval `json:"ok,omitzero"`
	// Request asks the leader for a run. Any replica may set it; the run that serves
	// it takes it away.
	Request *RunRequest `json:"ask,omitzero"`
	// Marked is when the configuration was last changed over the API, until a run that
	// began later was proven complete and applied. A hash of another configuration than
	// Config marks a source as well.
	Marked time.Time `json:"marked,omitzero"`
	// Undo tells the leader to undo a run. It pauses the source.
	Undo *UndoOrder `json:"undo,omitzero"`
	// Purge tells the leader to purge.
	Purge *PurgeOrder `json:"purge,omitzero"`
	// Paused is since when the source is neither read nor pushed to, until somebody
	// resumes it.
	Paused time.Time `json:"paused,omitzero"`
	// Leaving is when the source was deleted: what came from it counts for nothing, and
	// is being removed.
	Leaving time.Time      `json:"leave,omitzero"`
	Unknown jsontext.Value `json:",embed"`

	rev store.Revision
}

// Rev returns the revision at which the state was last written; 0: never.
func (s SourceState) Rev() store.Revision { return s.rev }

// HeldPlan is the short form of a plan that is held.
type HeldPlan struct {
	Digest  string    `json:"digest"`
	Run     string    `json:"run"`
	At      time.Time `json:"at"`
	Reasons []string  `json:"reasons"`
	Parts   int       `json:"parts"` // of the stored plan
	// Before is the plan that was held before this one, while it waited, and Old is of how
	// many parts it is.
	Before string `json:"before,omitzero"`
	Old    int    `json:"old,omitzero"`
	Raises int    `json:"raises,omitzero"` // how many people it would raise
}

// Approval is a person's word that a held plan may be applied.
type Approval struct {
	Digest  string    `json:"digest"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"until"`
}

// RunRequest is a run that was asked for on a replica that does not lead.
type RunRequest struct {
	Run string    `json:"run"` // the id that the run will have
	By  string    `json:"by"`
	At  time.Time `json:"at"`
	// Prove asks for a comparison of everything.
	Prove bool `json:"prove,omitzero"`
}

// Token is a credential as it is stored: by its hash.
type Token struct {
	V    int             `json:"v"`
	ID   string          `json:"-"` // public
	Hash string          `json:"hash"`
	User identity.UserID `json:"user,omitzero"` // whose it is; zero for the bootstrap token and for one of a source
	// Source, when set, is the one that may be pushed to with the token.
	Source  identity.SourceID `json:"src,omitzero"`
	Name    string            `json:"name,omitzero"`
	By      string            `json:"by"`
	Created time.Time         `json:"made"`
	Expires time.Time         `json:"exp,omitzero"`
	// Used is when it was last used, to the hour or so.
	Used time.Time `json:"used,omitzero"`
	// Permissions, when there are any, are all that the token may be used for, whatever
	// its user has.
	Permissions []permissions.Permission `json:"perm,omitempty"`
	Unknown     jsontext.Value           `json:",embed"`

	rev store.Revision
}

// Source returns where a source stands; the zero value for one that never ran.
func (s *Snapshot) Source(id identity.SourceID) SourceState { return s.sources[id] }

// Token returns a token by its public id.
func (s *Snapshot) Token(id string) (Token, bool) { return s.tokens.Get(id) }
