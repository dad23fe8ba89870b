package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// Run is one run of a source.
type Run struct {
	ID            string             `json:"id"`
	Source        identity.SourceID  `json:"source"`
	State         state.RunState     `json:"state" doc:"queued, reading, planning, applying, held, succeeded, planned, failed, interrupted"`
	Trigger       string             `json:"trigger,omitzero" doc:"schedule, manual, approval, start"`
	By            string             `json:"by,omitzero"`
	SlotTime      time.Time          `json:"slotTime,omitzero" doc:"The scheduled instant that it serves"`
	StartTime     time.Time          `json:"startTime,omitzero"`
	EndTime       time.Time          `json:"endTime,omitzero"`
	Server        string             `json:"server,omitzero"`
	Family        string             `json:"family,omitzero"`
	Summary       string             `json:"summary,omitzero" doc:"One line for people"`
	Error         string             `json:"error,omitzero"`
	Counts        plan.Counts        `json:"counts"`
	Reach         identity.Reach     `json:"reach,omitzero" doc:"What was read: everything (left out); changes: what changed since the run before; sweep: that, with the key and change stamp of every entry"`
	Missed        int                `json:"missed,omitzero" doc:"Entries that only a sweep found and that reads of changes had missed"`
	Proof         Proof              `json:"proof"`
	Held          []string           `json:"held,omitempty" doc:"Why the plan waits for approval"`
	Digest        string             `json:"digest,omitzero"`
	Skipped       []Skipped          `json:"skipped,omitempty" doc:"The first hundred"`
	SkippedCount  int                `json:"skippedCount"`
	Conflicts     []plan.Conflict    `json:"conflicts,omitempty" doc:"The first hundred"`
	ConflictCount int                `json:"conflictCount"`
	Withheld      []string           `json:"withheld,omitempty"`
	Marked        bool               `json:"marked,omitzero" doc:"How the source is read was changed before it"`
	Consequences  []plan.Consequence `json:"consequences,omitempty" doc:"What its plan changes of what people may do; the first hundred permissions"`
	Stages        []Stage            `json:"stages,omitempty"`
	Progress      *Progress          `json:"progress,omitzero" doc:"While it is going on"`
}

// Stage is how long one part of a run took.
type Stage struct {
	Name string  `json:"name"`
	Ms   float64 `json:"ms"`
}

// RunPage is a page of runs.
type RunPage struct {
	Runs          []Run  `json:"runs" doc:"The newest first"`
	NextPageToken string `json:"nextPageToken" doc:"Empty after the last page"`
}

// StartedRun names a run that was asked for.
type StartedRun struct {
	Run    string            `json:"run" doc:"Empty in a dry run, which starts none"`
	Source identity.SourceID `json:"source"`
}

type startRunInput struct {
	SourcePath
	Trial
	Prove string `query:"prove" enum:"true,false" doc:"true: compare everything that the source has, and not only what changed"`
}

type startRunOutput struct {
	Location string `header:"Location"`
	Body     StartedRun
}

type listRunsInput struct {
	SourcePath
	PageQuery
}

type listRunsOutput struct{ Body RunPage }

type getRunInput struct {
	SourcePath
	Run string `path:"run" maxLength:"64"`
}

type getRunOutput struct{ Body Run }

func (a *API) runRoutes() {
	register(a, operation{
		id: "startRun", method: http.MethodPost, path: "/v1/sources/{source}/runs", tag: "Sources", need: sourceWork, status: http.StatusAccepted,
		summary: "Start a run of a source now", errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.startRun)
	register(a, operation{
		id: "listRuns", method: http.MethodGet, path: "/v1/sources/{source}/runs", tag: "Sources", need: sourceWork,
		summary: "List the runs of a source that are kept, and the one that is going on", errors: []int{http.StatusNotFound},
	}, a.listRuns)
	register(a, operation{
		id: "getRun", method: http.MethodGet, path: "/v1/sources/{source}/runs/{run}", tag: "Sources", need: sourceWork,
		summary: "Show a run, with its progress while it is going on", errors: []int{http.StatusNotFound},
	}, a.getRun)
}

// startRun in a dry run only says whether a run could be started now: what it would
// change, its plan says.
func (a *API) startRun(ctx context.Context, in *startRunInput) (*startRunOutput, error) {
	s, err := a.pulled(in.Source)
	if err != nil {
		return nil, err
	}
	if questionOf(ctx).dryRun {
		if err := a.sync.MayStart(s.ID); err != nil {
			return nil, err
		}
		return &startRunOutput{Body: StartedRun{Source: s.ID}}, nil
	}
	start := a.sync.Start
	if in.Prove == "true" {
		start = a.sync.StartProof
	}
	run, err := start(ctx, s.ID, actorOf(ctx))
	if err != nil {
		return nil, err
	}
	return &startRunOutput{
		Location: "/v1/sources/" + url.PathEscape(string(s.ID)) + "/runs/" + url.PathEscape(run),
		Body:     StartedRun{Run: run, Source: s.ID},
	}, nil
}

func (a *API) listRuns(ctx context.Context, in *listRunsInput) (*listRunsOutput, error) {
	s, err := a.source(in.Source)
	if err != nil {
		return nil, err
	}
	query := strings.Join([]string{"runs", string(s.ID)}, "\x00")
	after, err := in.after(query)
	if err != nil {
		return nil, err
	}
	stored, err := a.db.Runs(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	runs := make([]Run, 0, len(stored)+1)
	live, running := a.sync.Live(s.ID)
	if running {
		runs = append(runs, liveOf(&live))
	}
	for i := range stored {
		if !running || stored[i].ID != live.Run.ID {
			runs = append(runs, runOf(&stored[i]))
		}
	}
	slices.SortFunc(runs, func(x, y Run) int { return strings.Compare(y.ID, x.ID) })
	runs = slices.DeleteFunc(runs, func(r Run) bool { return after != "" && r.ID >= after })
	out := &listRunsOutput{}
	out.Body.Runs, out.Body.NextPageToken = cut(runs, in.size(), query, func(r Run) string { return r.ID })
	return out, nil
}

func (a *API) getRun(ctx context.Context, in *getRunInput) (*getRunOutput, error) {
	s, err := a.source(in.Source)
	if err != nil {
		return nil, err
	}
	if live, ok := a.sync.Find(s.ID, in.Run); ok {
		return &getRunOutput{Body: liveOf(&live)}, nil
	}
	r, err := a.db.StoredRun(ctx, s.ID, in.Run)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "run_not_found", "there is no record of such a run: records of runs that changed nothing are not kept, others for the last %d", state.KeptRuns)
	}
	if err != nil {
		return nil, err
	}
	return &getRunOutput{Body: runOf(&r)}, nil
}

func liveOf(l *Live) Run {
	r := runOf(&l.Run)
	if r.EndTime.IsZero() {
		p := l.Progress
		r.Progress = &p
	}
	return r
}

func runOf(r *state.Run) Run {
	out := Run{
		ID: r.ID, Source: r.Source, State: r.State, Trigger: r.Trigger, By: r.By, SlotTime: r.Slot, StartTime: r.Started, EndTime: r.Ended,
		Server: r.Server, Family: r.Family, Summary: r.Summary, Error: r.Error, Counts: r.Counts, Reach: r.Reach, Missed: r.Missed, Proof: proofOf(r.Proof),
		Held: r.Held, Digest: r.Digest, Skipped: skippedOf(r.Skipped), SkippedCount: r.SkippedAll,
		Conflicts: r.Conflicts, ConflictCount: r.ConflictsAll, Withheld: r.Withheld,
		Marked: r.Marked, Consequences: r.Consequences,
	}
	for _, s := range r.Stages {
		out.Stages = append(out.Stages, Stage(s))
	}
	return out
}
