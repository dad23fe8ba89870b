package admin

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// SourceSummary is a source and where it stands.
type SourceSummary struct {
	ID         identity.SourceID `json:"id"`
	Kind       string            `json:"kind"`
	Declared   string            `json:"declared" enum:"file,api,none" doc:"Where it is configured: what the daemon's file declares is read-only here; none: nowhere any more"`
	File       string            `json:"file,omitzero" doc:"The file that declares it"`
	Hides      bool              `json:"hidesStored,omitzero" doc:"One of this name was made over the API, too: the file's is used"`
	Disabled   bool              `json:"disabled,omitzero" doc:"It is not run; what came from it stays"`
	Problem    string            `json:"problem,omitzero" doc:"Why this process does not run it"`
	State      string            `json:"state" enum:"never_run,never_pushed,idle,running,held,paused,removed,deleting" doc:"held: a plan waits for approval; paused: it is neither read nor pushed to until it is resumed; removed: it is configured nowhere, but has users or groups here"`
	Schedule   string            `json:"schedule,omitzero"`
	TimeZone   string            `json:"timeZone,omitzero"`
	NextRun    time.Time         `json:"nextRunTime,omitzero"`
	LastRun    string            `json:"lastRun,omitzero" doc:"Id of the last run with a record"`
	LastProven time.Time         `json:"lastProvenTime,omitzero" doc:"When a read that was proven complete was last applied"`
	LastFull   time.Time         `json:"lastComparisonTime,omitzero" doc:"When a read that compared everything was last applied"`
	Unchanged  int               `json:"unchangedRuns" doc:"Runs since lastRun that changed nothing"`
	Paused     time.Time         `json:"pauseTime,omitzero" doc:"Since when it is neither read nor pushed to"`
	LastPush   time.Time         `json:"lastPushTime,omitzero" doc:"When something was last pushed; to the hour, where another replica took it"`
	Counts     SourceCounts      `json:"counts"`
	Held       *HeldPlan         `json:"held,omitzero"`
	Approval   *Approval         `json:"approval,omitzero"`
	Running    *Run              `json:"running,omitzero"`
}

// SourceCounts is what a source has in the roll.
type SourceCounts struct {
	Users         int `json:"users"`
	UsersInactive int `json:"usersInactive" doc:"Of users: those whom the source or an administrator keeps out"`
	UsersMissing  int `json:"usersMissing" doc:"Beside users: those whom the source no longer has"`
	Groups        int `json:"groups"`
	GroupsMissing int `json:"groupsMissing"`
	Memberships   int `json:"memberships"`
	Linked        int `json:"linked,omitzero" doc:"Beside users: records that are linked to users of other sources"`
	Unassigned    int `json:"unassigned,omitzero" doc:"Beside users: records that were pushed and are nobody's"`
}

// HeldPlan is the short form of a plan that waits for approval.
type HeldPlan struct {
	Digest  string    `json:"digest"`
	Run     string    `json:"run"`
	Time    time.Time `json:"time"`
	Reasons []string  `json:"reasons"`
	Raises  int       `json:"raises,omitzero" doc:"How many people it would raise"`
}

// Approval lets the next run apply what it covers.
type Approval struct {
	Digest     string    `json:"digest"`
	By         string    `json:"by"`
	Time       time.Time `json:"time"`
	ExpireTime time.Time `json:"expireTime"`
}

// SourceDetail is a source with its configuration.
type SourceDetail struct {
	SourceSummary
	Config  any            `json:"config,omitzero" doc:"With everything filled in that was left out, and without secrets"`
	Written map[string]any `json:"written,omitempty" doc:"As it was sent, of a source that was made over the API"`
}

// SourceList lists all sources.
type SourceList struct {
	Sources []SourceSummary `json:"sources"`
}

// Plan is what a run would change.
type Plan struct {
	Source    identity.SourceID `json:"source"`
	Server    string            `json:"server,omitzero"`
	Config    string            `json:"config,omitzero" doc:"Hash of the configuration"`
	Held      *plan.Held        `json:"held,omitzero" doc:"Why a run would wait for approval, and the digest to approve"`
	Counts    plan.Counts       `json:"counts"`
	Steps     []plan.Step       `json:"steps"`
	Skipped   []Skipped         `json:"skipped,omitempty"`
	Conflicts []plan.Conflict   `json:"conflicts,omitempty"`
	Withheld  []string          `json:"withheld,omitempty" doc:"Why removals were left out"`
	Proof     Proof             `json:"proof"`
	// Consequences and Raised are as package sync/plan has them.
	Consequences []plan.Consequence `json:"consequences,omitempty" doc:"What it changes of what people may do, by permission"`
	Marked       bool               `json:"marked,omitzero" doc:"How the source is read was changed since a run was applied: it is held if it raises anyone"`
	Raised       []plan.Raised      `json:"raised,omitempty" doc:"Whom a marked plan raises, and to what: who approves it must be one who may confer that"`
}

// Skipped is an entry that was read but not understood, or not to be used.
type Skipped struct {
	Key    identity.Key `json:"key,omitzero"`
	Group  bool         `json:"group,omitzero"`
	DN     string       `json:"dn,omitzero"`
	Reason string       `json:"reason"`
}

// Proof says whether a read can be trusted to have seen everything.
type Proof struct {
	Users    bool      `json:"users"`
	Groups   bool      `json:"groups"`
	Why      string    `json:"why,omitzero"`
	Pages    int       `json:"pages"`
	Entries  int       `json:"entries"`
	Verified int       `json:"verified" doc:"Absent entries that were asked for one by one"`
	Time     time.Time `json:"time,omitzero"`
}

// KeptPlan is a plan that waits for approval.
type KeptPlan struct {
	HeldPlan
	Plan Plan `json:"plan"`
}

// ApprovalRequest names the plan that may be applied.
type ApprovalRequest struct {
	Digest string `json:"digest" minLength:"1" maxLength:"100" doc:"Of the held plan, as it was shown"`
}

// TestReport is what trying a source's configuration found.
type TestReport struct {
	OK    bool       `json:"ok"`
	Steps []TestStep `json:"steps"`
}

// SourcePath names a source in a path.
type SourcePath struct {
	Source string `path:"source" maxLength:"40"`
}

type (
	listSourcesOutput struct{ Body SourceList }
	getSourceOutput   struct {
		ETag string `header:"ETag"`
		Body SourceDetail
	}
	planOutput     struct{ Body Plan }
	keptPlanOutput struct{ Body KeptPlan }
	approveOutput  struct{ Body Approval }
	testOutput     struct{ Body TestReport }
	sourceTrial    struct {
		SourcePath
		Trial
	}
	approveInput struct {
		SourcePath
		Trial
		Body ApprovalRequest
	}
)

func (a *API) sourceRoutes() {
	notFound := []int{http.StatusNotFound}
	register(a, operation{
		id: "listSources", method: http.MethodGet, path: "/v1/sources", tag: "Sources", need: sourceWork,
		summary: "List the sources and where they stand",
	}, a.listSources)
	register(a, operation{
		id: "getSource", method: http.MethodGet, path: "/v1/sources/{source}", tag: "Sources", need: sourceWork,
		summary: "Show a source with its configuration", errors: notFound,
	}, a.getSource)
	register(a, operation{
		id: "planSource", method: http.MethodPost, path: "/v1/sources/{source}/plan", tag: "Sources", need: sourceWork, timeout: long,
		summary: "Read a source and show what a run would change; nothing is stored", errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.planSource)
	register(a, operation{
		id: "getHeldPlan", method: http.MethodGet, path: "/v1/sources/{source}/held", tag: "Sources", need: sourceWork,
		summary: "Show the plan that waits for approval, whole", errors: notFound,
	}, a.heldPlan)
	register(a, operation{
		id: "approvePlan", method: http.MethodPost, path: "/v1/sources/{source}/approval", tag: "Sources", need: userWork,
		summary: "Let the next run apply the held plan with this digest", errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.approve)
	register(a, operation{
		id: "testSource", method: http.MethodPost, path: "/v1/sources/{source}/test", tag: "Sources", need: setup, timeout: long,
		summary: "Try a source's configuration step by step", errors: notFound,
	}, a.testSource)
	a.tryRoutes()
	a.runUndoRoutes()
	a.planDiffRoutes()
	a.purgeRoutes()
	a.sourceEditRoutes()
	a.sourceDeleteRoutes()
}

// source returns a configured source, or fault.NotFound.
func (a *API) source(id string) (Source, error) {
	all := a.sync.Sources()
	i := slices.IndexFunc(all, func(s Source) bool { return string(s.ID) == id })
	if i < 0 {
		return Source{}, fault.New(fault.NotFound, "source_not_found", "there is no such source; GET /v1/sources lists them")
	}
	return all[i], nil
}

func (a *API) listSources(context.Context, *struct{}) (*listSourcesOutput, error) {
	snap := a.db.View().Now()
	counts := snap.Counts()
	out := &listSourcesOutput{Body: SourceList{Sources: []SourceSummary{}}}
	for _, s := range a.sync.Sources() {
		out.Body.Sources = append(out.Body.Sources, a.sourceSummary(snap, &s, counts[s.ID]))
		delete(counts, s.ID)
	}
	out.Body.Sources = append(out.Body.Sources, a.removedSources(snap, counts)...)
	return out, nil
}

// removedSources are those of which users or groups are left that no configuration has.
func (a *API) removedSources(snap *state.Snapshot, counts map[identity.SourceID]state.Counts) []SourceSummary {
	var list []SourceSummary
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		if id == identity.Local {
			continue
		}
		s := a.sourceSummary(snap, &Source{ID: id}, counts[id])
		s.Declared, s.State = "none", "removed"
		if !snap.Source(id).Leaving.IsZero() {
			s.State = "deleting"
		}
		list = append(list, s)
	}
	return list
}

func (a *API) getSource(_ context.Context, in *SourcePath) (*getSourceOutput, error) {
	s, err := a.source(in.Source)
	if err != nil {
		return nil, err
	}
	body, tag, err := a.sourceDetail(a.db.View().Now(), &s)
	return &getSourceOutput{ETag: tag, Body: body}, err
}

func (a *API) sourceSummary(snap *state.Snapshot, s *Source, n state.Counts) SourceSummary {
	st := snap.Source(s.ID)
	out := SourceSummary{
		ID: s.ID, Kind: s.Kind, Declared: "api", File: s.File, Hides: s.Hides, Disabled: s.Disabled, Problem: s.Problem,
		State: "idle", Schedule: s.Schedule, TimeZone: s.TimeZone, NextRun: s.Next,
		LastRun: st.LastRun, LastProven: st.LastProven, LastFull: st.LastFull, Unchanged: st.Unchanged,
		Counts: SourceCounts{
			Users: n.Users, UsersInactive: n.UsersInactive, UsersMissing: n.UsersMissing,
			Groups: n.Groups, GroupsMissing: n.GroupsMissing, Memberships: n.Members, Linked: n.Linked, Unassigned: n.Apart,
		},
		Held: heldOf(st.Held), Approval: approvalOf(st.Approval),
	}
	if s.File != "" {
		out.Declared = "file"
	}
	if s.Kind == kindSCIM {
		a.pushSummary(snap, s, st.Paused, &out)
		return out
	}
	out.Paused = st.Paused
	live, running := a.sync.Live(s.ID)
	switch {
	case running:
		out.State = "running"
		r := liveOf(&live)
		out.Running = &r
	case !st.Paused.IsZero():
		out.State = "paused"
	case st.Held != nil:
		out.State = "held"
	case st.Rev() == 0:
		out.State = "never_run"
	}
	return out
}

func heldOf(h *state.HeldPlan) *HeldPlan {
	if h == nil {
		return nil
	}
	return &HeldPlan{Digest: h.Digest, Run: h.Run, Time: h.At, Reasons: h.Reasons, Raises: h.Raises}
}

func approvalOf(ok *state.Approval) *Approval {
	if ok == nil {
		return nil
	}
	return &Approval{Digest: ok.Digest, By: ok.By, Time: ok.At, ExpireTime: ok.Expires}
}

// planSource stores nothing, so that trying it is the same as doing it.
func (a *API) planSource(ctx context.Context, in *sourceTrial) (*planOutput, error) {
	s, err := a.pulled(in.Source)
	if err != nil {
		return nil, err
	}
	p, held, err := a.sync.Plan(ctx, s.ID, actorOf(ctx))
	if err != nil {
		return nil, err
	}
	return &planOutput{Body: planOf(p, held)}, nil
}

func planOf(p *plan.Plan, held *plan.Held) Plan {
	return Plan{
		Source: p.Source, Server: p.Server, Config: p.Config, Held: held, Counts: p.Counts, Steps: p.Steps,
		Skipped: skippedOf(p.Skipped), Conflicts: p.Conflicts, Withheld: p.Withheld, Proof: proofOf(p.Proof),
		Consequences: p.Consequences, Marked: p.Marked, Raised: p.Raised,
	}
}

func skippedOf(all []identity.Skipped) []Skipped {
	out := make([]Skipped, len(all))
	for i, s := range all {
		out[i] = Skipped{Key: s.Key, Group: s.Group, DN: s.DN, Reason: s.Reason}
	}
	return out
}

func proofOf(p identity.Proof) Proof {
	return Proof{Users: p.Users, Groups: p.Groups, Why: p.Why, Pages: p.Pages, Entries: p.Entries, Verified: p.Verified, Time: p.At}
}

func (a *API) heldPlan(ctx context.Context, in *SourcePath) (*keptPlanOutput, error) {
	s, err := a.pulled(in.Source)
	if err != nil {
		return nil, err
	}
	p, held, err := a.db.KeptPlan(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	return &keptPlanOutput{Body: KeptPlan{HeldPlan: *heldOf(&held), Plan: planOf(p, nil)}}, nil
}

// approve is a decision: whoever lets a plan raise somebody must be one who may confer
// that.
func (a *API) approve(ctx context.Context, in *approveInput) (*approveOutput, error) {
	s, err := a.source(in.Source)
	if err != nil {
		return nil, err
	}
	if s.Kind == kindSCIM {
		return a.approveRule(ctx, &s, in.Body.Digest)
	}
	approve, err := a.db.Approve(ctx, s.ID, in.Body.Digest)
	if err != nil {
		return nil, err
	}
	snap, err := a.decide(ctx, func(*state.Snapshot) ([]state.Change, error) { return []state.Change{approve}, nil })
	if err != nil {
		return nil, err
	}
	ok := snap.Source(s.ID).Approval
	if ok == nil || ok.Digest != in.Body.Digest {
		// A run has used it up already.
		return &approveOutput{Body: Approval{Digest: in.Body.Digest, By: actorOf(ctx).String(), Time: a.now()}}, nil
	}
	return &approveOutput{Body: *approvalOf(ok)}, nil
}

// testSource stores nothing, as planSource.
func (a *API) testSource(ctx context.Context, in *sourceTrial) (*testOutput, error) {
	s, err := a.pulled(in.Source)
	if err != nil {
		return nil, err
	}
	return report(ctx, a.sync.Test(ctx, s.ID))
}
