package admin

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// RunUndo is what undoing the last run of a source would change.
type RunUndo struct {
	Source  identity.SourceID `json:"source"`
	Run     string            `json:"run" doc:"The run that would be undone: the last one that changed anything"`
	EndTime time.Time         `json:"endTime,omitzero" doc:"When it ended"`
	Summary string            `json:"summary,omitzero" doc:"What it did, in one line"`
	Digest  string            `json:"digest" doc:"Of exactly these steps: to be sent with the undo"`
	Plan    Plan              `json:"plan" doc:"The steps that take it back; withheld says what is left as it is, since it was touched since"`
}

// UndoRunRequest names the undo that is to be carried out.
type UndoRunRequest struct {
	Run    string `json:"run" minLength:"1" maxLength:"64" doc:"The run to be undone, as it was shown"`
	Digest string `json:"digest" minLength:"1" maxLength:"100" doc:"Of the steps, as they were shown"`
}

type (
	runUndoOutput struct{ Body RunUndo }
	undoRunInput  struct {
		SourcePath
		Trial
		Body UndoRunRequest
	}
)

func (a *API) runUndoRoutes() {
	errs := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "planRunUndo", method: http.MethodGet, path: "/v1/sources/{source}/last-run/undo", tag: "Sources", need: sourceWork, timeout: long,
		summary: "Show what undoing the last run of a source would change", errors: errs,
	}, a.planRunUndo)
	register(a, operation{
		id: "undoRun", method: http.MethodPost, path: "/v1/sources/{source}/last-run/undo", tag: "Sources", need: userWork, status: http.StatusAccepted, timeout: long,
		summary: "Undo the last run of a source, and pause the source", errors: errs,
	}, a.undoRun)
}

func (a *API) planRunUndo(ctx context.Context, in *SourcePath) (*runUndoOutput, error) {
	s, err := a.pulled(in.Source)
	if err != nil {
		return nil, err
	}
	p, run, err := a.sync.PlanUndo(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	return &runUndoOutput{Body: RunUndo{
		Source: s.ID, Run: run.ID, EndTime: run.Ended, Summary: run.Summary, Digest: p.Fingerprint(), Plan: planOf(p, nil),
	}}, nil
}

// undoRun orders the undo, which the leader carries out as a run of its own.
func (a *API) undoRun(ctx context.Context, in *undoRunInput) (*startRunOutput, error) {
	s, err := a.pulled(in.Source)
	if err != nil {
		return nil, err
	}
	order, err := a.sync.OrderUndo(ctx, s.ID, in.Body.Run, in.Body.Digest)
	if err != nil {
		return nil, err
	}
	return a.ordered(ctx, s.ID, order.Order.Run, order)
}

// ordered decides on an order for the leader, and says which run will carry it out.
func (a *API) ordered(ctx context.Context, source identity.SourceID, run string, order state.Change) (*startRunOutput, error) {
	if _, err := a.decide(ctx, func(*state.Snapshot) ([]state.Change, error) { return []state.Change{order}, nil }); err != nil {
		return nil, err
	}
	if questionOf(ctx).dryRun {
		return &startRunOutput{Body: StartedRun{Source: source}}, nil
	}
	return &startRunOutput{
		Location: "/v1/sources/" + url.PathEscape(string(source)) + "/runs/" + url.PathEscape(run),
		Body:     StartedRun{Run: run, Source: source},
	}, nil
}
