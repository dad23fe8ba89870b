package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// UndoPlan is what it takes to bring back whom pushes have locked out.
type UndoPlan struct {
	Source identity.SourceID `json:"source"`
	Since  time.Time         `json:"since" doc:"From when on lockouts are looked at"`
	Digest string            `json:"digest" doc:"Of exactly these users as they are: to be sent with the undo"`
	Users  []UndoUser        `json:"users" doc:"Whom pushes took away or began to keep out, and nothing has touched since"`
}

// UndoUser is a user who would come back.
type UndoUser struct {
	ID       identity.UserID `json:"id"`
	UserName string          `json:"userName"`
	Time     time.Time       `json:"time" doc:"When he was locked out"`
	Gone     bool            `json:"gone" doc:"He was taken away, and not only kept out"`
}

// UndoRequest names the plan that is to be carried out.
type UndoRequest struct {
	Since  time.Time `json:"since" doc:"As in the plan"`
	Digest string    `json:"digest" minLength:"1" maxLength:"100" doc:"Of the plan, as it was shown"`
}

// UndoDone is what an undo did.
type UndoDone struct {
	Source identity.SourceID `json:"source"`
	Users  int               `json:"users" doc:"How many are back"`
	Paused bool              `json:"paused" doc:"The source refuses pushes until it is resumed"`
}

// PauseRequest says why a source is paused.
type PauseRequest struct {
	Reason string `json:"reason" minLength:"1" maxLength:"500" doc:"For the audit log and whoever resumes the source"`
}

type (
	undoPlanInput struct {
		SourcePath
		Since time.Time `query:"since" doc:"From when on; default: the last hour"`
	}
	undoInput struct {
		SourcePath
		Trial
		Body UndoRequest
	}
	pauseInput struct {
		SourcePath
		Trial
		Body PauseRequest
	}
	resumeInput struct {
		SourcePath
		Trial
	}
	undoPlanOutput struct{ Body UndoPlan }
	undoOutput     struct{ Body UndoDone }
)

func (a *API) undoRoutes() {
	errs := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "planSourceUndo", method: http.MethodGet, path: "/v1/sources/{source}/undo", tag: "Sources", need: sourceWork,
		summary: "Show whom pushes have locked out of late, and an undo would bring back", errors: errs,
	}, a.planUndo)
	register(a, operation{
		id: "undoSource", method: http.MethodPost, path: "/v1/sources/{source}/undo", tag: "Sources", need: userWork, timeout: long,
		summary: "Bring back whom pushes have locked out, and pause the source", errors: errs,
	}, a.undo)
	register(a, operation{
		id: "pauseSource", method: http.MethodPost, path: "/v1/sources/{source}/pause", tag: "Sources", need: sourceWork,
		summary: "Keep a source from being read or pushed to until it is resumed", errors: errs,
	}, func(ctx context.Context, in *pauseInput) (*struct{}, error) {
		return nil, a.setPaused(ctx, in.Source, state.Pause{On: true, Reason: in.Body.Reason})
	})
	register(a, operation{
		id: "resumeSource", method: http.MethodPost, path: "/v1/sources/{source}/resume", tag: "Sources", need: userWork, noBody: true,
		summary: "Let a paused source be read or pushed to again", errors: errs,
	}, func(ctx context.Context, in *resumeInput) (*struct{}, error) {
		return nil, a.setPaused(ctx, in.Source, state.Pause{})
	})
}

func (a *API) setPaused(ctx context.Context, source string, p state.Pause) error {
	src, err := a.source(source)
	if err != nil {
		return err
	}
	p.Source = src.ID
	_, err = a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		if s.Source(src.ID).Paused.IsZero() != p.On {
			return nil, nil
		}
		return []state.Change{p}, nil
	})
	return err
}

func (a *API) planUndo(_ context.Context, in *undoPlanInput) (*undoPlanOutput, error) {
	src, err := a.pushed(in.Source)
	if err != nil {
		return nil, err
	}
	since := in.Since
	if since.IsZero() {
		since = a.now().Add(-time.Hour).UTC().Truncate(time.Second)
	}
	users, digest, err := a.pushes.PlanUndo(src.ID, since)
	if err != nil {
		return nil, err
	}
	return &undoPlanOutput{Body: UndoPlan{Source: src.ID, Since: since, Digest: digest, Users: append([]UndoUser{}, users...)}}, nil
}

// undo carries a plan out in steps: a stop between two of them leaves the source paused
// and a smaller plan.
func (a *API) undo(ctx context.Context, in *undoInput) (*undoOutput, error) {
	src, err := a.pushed(in.Source)
	if err != nil {
		return nil, err
	}
	users, digest, err := a.pushes.PlanUndo(src.ID, in.Body.Since)
	if err != nil {
		return nil, err
	}
	if digest != in.Body.Digest {
		return nil, fault.New(fault.Conflict, "plan_changed", "what an undo would do has changed since you saw it: look at the plan again")
	}
	steps, err := a.pushes.Undo(src.ID, in.Body.Since, digest)
	if err != nil {
		return nil, err
	}
	for _, step := range steps {
		if _, err := a.decide(ctx, step); err != nil {
			return nil, err
		}
	}
	left, _, err := a.pushes.PlanUndo(src.ID, in.Body.Since)
	done := UndoDone{Source: src.ID, Users: len(users) - len(left), Paused: true}
	if questionOf(ctx).dryRun {
		done.Users = len(users)
	}
	return &undoOutput{Body: done}, err
}
