package client

// The states of a run.
const (
	RunQueued      = "queued"
	RunReading     = "reading"
	RunPlanning    = "planning"
	RunApplying    = "applying"
	RunHeld        = "held"
	RunSucceeded   = "succeeded"
	RunPlanned     = "planned"
	RunFailed      = "failed"
	RunInterrupted = "interrupted"
)

// Ended reports whether the run does not change any more.
func (r *Run) Ended() bool {
	switch r.State {
	case RunQueued, RunReading, RunPlanning, RunApplying:
		return false
	}
	return true
}

// Total returns the sum.
func (c UsageCounts) Total() int { return c.Done + c.Refused + c.Failed + c.Previewed }

// The views of a group's members.
const (
	DirectMembers    = "direct"    // users and groups, with who put them there
	EffectiveMembers = "effective" // users, those by nesting included
)

// The orders of the audit log.
const (
	NewestFirst = "newest"
	OldestFirst = "oldest"
)
