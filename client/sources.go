package client

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Source is a source and where it stands.
type Source struct {
	Versioned
	ID             string         `json:"id"`
	Kind           string         `json:"kind"`
	Declared       string         `json:"declared"` // file or api
	File           string         `json:"file,omitzero"`
	Hides          bool           `json:"hidesStored,omitzero"` // one that was made over the API gives way to it
	Disabled       bool           `json:"disabled,omitzero"`
	Problem        string         `json:"problem,omitzero"` // why it is not run
	State          string         `json:"state"`            // never_run, idle, running, held
	Schedule       string         `json:"schedule,omitzero"`
	TimeZone       string         `json:"timeZone,omitzero"`
	NextRunTime    time.Time      `json:"nextRunTime,omitzero"`
	LastRun        string         `json:"lastRun,omitzero"` // id of the last run with a record
	LastProvenTime time.Time      `json:"lastProvenTime,omitzero"`
	UnchangedRuns  int            `json:"unchangedRuns"` // since LastRun
	Counts         SourceCounts   `json:"counts"`
	Held           *HeldPlan      `json:"held,omitzero"`
	Approval       *Approval      `json:"approval,omitzero"`
	Running        *Run           `json:"running,omitzero"`
	Config         jsontext.Value `json:"config,omitzero"`   // only where one source was asked for
	Written        map[string]any `json:"written,omitempty"` // as it was sent, of one that was made over the API
}

// SourceCounts is what a source has in the roll.
type SourceCounts struct {
	Users         int `json:"users"`
	UsersInactive int `json:"usersInactive"`
	UsersMissing  int `json:"usersMissing"`
	Groups        int `json:"groups"`
	GroupsMissing int `json:"groupsMissing"`
	Memberships   int `json:"memberships"`
}

// HeldPlan is the short form of a plan that waits for approval.
type HeldPlan struct {
	Digest  string    `json:"digest"`
	Run     string    `json:"run"`
	Time    time.Time `json:"time"`
	Reasons []string  `json:"reasons"`
	Raises  int       `json:"raises,omitzero"` // how many people it would raise
}

// KeptPlan is a plan that waits for approval, whole: Plan is as [Client.Plan] returns
// it.
type KeptPlan struct {
	HeldPlan
	Plan jsontext.Value `json:"plan"`
}

// Approval lets the next run apply what it covers.
type Approval struct {
	Digest     string    `json:"digest"`
	By         string    `json:"by"`
	Time       time.Time `json:"time"`
	ExpireTime time.Time `json:"expireTime"`
}

// SourceList is all sources.
type SourceList struct {
	Sources []Source `json:"sources"`
}

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

// Run is one run of a source.
type Run struct {
	ID            string         `json:"id"`
	Source        string         `json:"source"`
	State         string         `json:"state"`
	Trigger       string         `json:"trigger,omitzero"`
	By            string         `json:"by,omitzero"`
	SlotTime      time.Time      `json:"slotTime,omitzero"`
	StartTime     time.Time      `json:"startTime,omitzero"`
	EndTime       time.Time      `json:"endTime,omitzero"`
	Server        string         `json:"server,omitzero"`
	Family        string         `json:"family,omitzero"`
	Summary       string         `json:"summary,omitzero"`
	Error         string         `json:"error,omitzero"`
	Counts        jsontext.Value `json:"counts"`
	Proof         Proof          `json:"proof"`
	Held          []string       `json:"held,omitempty"`
	Digest        string         `json:"digest,omitzero"`
	Skipped       []Skipped      `json:"skipped,omitempty"`
	SkippedCount  int            `json:"skippedCount"`
	Conflicts     []Conflict     `json:"conflicts,omitempty"`
	ConflictCount int            `json:"conflictCount"`
	Withheld      []string       `json:"withheld,omitempty"`
	Marked        bool           `json:"marked,omitzero"`        // how the source is read was changed before it
	Consequences  []Consequence  `json:"consequences,omitempty"` // what its plan changes of what people may do
	Stages        []Stage        `json:"stages,omitempty"`
	Progress      *Progress      `json:"progress,omitzero"`
}

// Consequence is what a plan would change of who may do one thing.
type Consequence struct {
	Permission string   `json:"permission"`
	Gain       int      `json:"gain,omitzero"`
	Lose       int      `json:"lose,omitzero"`
	People     []Person `json:"people,omitempty"` // the first few of those who gain
}

// Person is somebody who gains something, and the group that leads to it.
type Person struct {
	Name    string `json:"name"`
	Through string `json:"through,omitzero"`
}

// Ended reports whether the run does not change any more.
func (r *Run) Ended() bool {
	switch r.State {
	case RunQueued, RunReading, RunPlanning, RunApplying:
		return false
	}
	return true
}

// Skipped is an entry that was read but not understood, or not to be used.
type Skipped struct {
	Key    string `json:"key,omitzero"`
	Group  bool   `json:"group,omitzero"`
	DN     string `json:"dn,omitzero"`
	Reason string `json:"reason"`
}

// Conflict is something a run leaves alone because a person has to decide it.
type Conflict struct {
	Code   string `json:"code"`
	Key    string `json:"key"`
	Name   string `json:"name"`
	DN     string `json:"dn,omitempty"`
	Holder string `json:"holder,omitempty"`
	Detail string `json:"detail"`
}

// Proof says whether a read can be trusted to have seen everything.
type Proof struct {
	Users    bool      `json:"users"`
	Groups   bool      `json:"groups"`
	Why      string    `json:"why,omitzero"`
	Pages    int       `json:"pages"`
	Entries  int       `json:"entries"`
	Verified int       `json:"verified"`
	Time     time.Time `json:"time,omitzero"`
}

// Stage is how long one part of a run took.
type Stage struct {
	Name string  `json:"name"`
	Ms   float64 `json:"ms"`
}

// Progress is how far a run has come.
type Progress struct {
	Stage   string `json:"stage"`
	Server  string `json:"server,omitzero"`
	Users   int    `json:"users"`
	Groups  int    `json:"groups"`
	Pages   int    `json:"pages"`
	Applied int    `json:"applied"`
	Steps   int    `json:"steps"`
}

// RunPage is a page of runs, the newest first.
type RunPage struct {
	Runs          []Run  `json:"runs"`
	NextPageToken string `json:"nextPageToken"`
}

// StartedRun names a run that was asked for.
type StartedRun struct {
	Run    string `json:"run"`
	Source string `json:"source"`
}

// TestReport is what trying a source's configuration found.
type TestReport struct {
	OK    bool       `json:"ok"`
	Steps []TestStep `json:"steps"`
}

// TestStep is the outcome of one step of a test.
type TestStep struct {
	Name   string   `json:"name"`
	OK     bool     `json:"ok"`
	Detail string   `json:"detail,omitzero"`
	Fix    string   `json:"fix,omitzero"`
	Lines  []string `json:"lines,omitempty"`
}

// Sources returns all sources.
func (c *Client) Sources(ctx context.Context) (*SourceList, error) {
	return get[SourceList](ctx, c, nil, "sources")
}

// Source returns a source with its configuration.
func (c *Client) Source(ctx context.Context, source string) (*Source, error) {
	return get[Source](ctx, c, nil, "sources", source)
}

// StartRun asks for a run of a source and does not wait for it.
func (c *Client) StartRun(ctx context.Context, source string) (*StartedRun, error) {
	return change[StartedRun](ctx, c, call{method: http.MethodPost, path: []string{"sources", source, "runs"}})
}

// Runs returns a page of the runs of a source.
func (c *Client) Runs(ctx context.Context, source string, p Page) (*RunPage, error) {
	return get[RunPage](ctx, c, p.values(), "sources", source, "runs")
}

// Run returns a run of a source.
func (c *Client) Run(ctx context.Context, source, run string) (*Run, error) {
	return get[Run](ctx, c, nil, "sources", source, "runs", run)
}

// Plan has a source read and returns what a run would change, as JSON: a plan of
// package sync/plan, with held beside it when the plan would wait for approval.
func (c *Client) Plan(ctx context.Context, source string) (jsontext.Value, error) {
	p, err := change[jsontext.Value](ctx, c, call{
		method: http.MethodPost, path: []string{"sources", source, "plan"}, time: Patience, limit: maxPlan,
	})
	if err != nil {
		return nil, err
	}
	return *p, nil
}

// Held returns the plan of a source that waits for approval.
func (c *Client) Held(ctx context.Context, source string) (*KeptPlan, error) {
	return change[KeptPlan](ctx, c, call{method: http.MethodGet, path: []string{"sources", source, "held"}, limit: maxPlan})
}

// Approve lets the next run apply the held plan with this digest.
func (c *Client) Approve(ctx context.Context, source, digest string) (*Approval, error) {
	body := struct {
		Digest string `json:"digest"`
	}{digest}
	return change[Approval](ctx, c, call{method: http.MethodPost, path: []string{"sources", source, "approval"}, body: body})
}

// TestSource tries the configuration of a source step by step.
func (c *Client) TestSource(ctx context.Context, source string) (*TestReport, error) {
	return change[TestReport](ctx, c, call{method: http.MethodPost, path: []string{"sources", source, "test"}, time: Patience})
}

// FirstAdministrator is who is to be made by [Client.Bootstrap].
type FirstAdministrator struct {
	Token       string `json:"token"` // what the first start wrote
	UserName    string `json:"userName"`
	DisplayName string `json:"displayName,omitzero"`
	Email       string `json:"email,omitzero"`
}

// Bootstrapped is the first administrator with his API key.
type Bootstrapped struct {
	User        UserSummary `json:"user"`
	APIKey      string      `json:"apiKey"` // shown this once
	APIKeyID    string      `json:"apiKeyId"`
	Permissions []string    `json:"permissions"`
}

// Bootstrap makes the first administrator.
func (c *Client) Bootstrap(ctx context.Context, a FirstAdministrator) (*Bootstrapped, error) {
	return change[Bootstrapped](ctx, c, call{method: http.MethodPost, path: []string{"bootstrap"}, body: a, secret: true})
}

// Backup writes a copy of everything that is stored to w: a tar file with a manifest
// and a snapshot. What was written before an error is no backup.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	return c.copy(ctx, call{method: http.MethodGet, path: []string{"v1", "backup"}}, w)
}

// copy writes an answer to w as it is, however long it takes.
func (c *Client) copy(ctx context.Context, r call, w io.Writer) error {
	resp, err := c.send(ctx, &r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	to := &target{w: w}
	if _, err := io.Copy(to, resp.Body); err != nil {
		if to.err != nil {
			return to.err
		}
		return c.unreachable(ctx, err)
	}
	return nil
}

// target remembers whether writing failed, to tell it from reading.
type target struct {
	w   io.Writer
	err error
}

func (t *target) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.err = err
	return n, err
}
