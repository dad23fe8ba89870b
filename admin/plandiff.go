package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/rollcall-id/rollcall/sync/plan"
)

// PlanDifference is what came and what went between two plans of a source.
type PlanDifference struct {
	// Difference is as package sync/plan has it.
	plan.Difference
	Digest string     `json:"digest" doc:"Of the plan that is held"`
	Time   time.Time  `json:"time" doc:"Since when it is held"`
	With   string     `json:"with" enum:"fresh,before" doc:"fresh: it is compared with what a run would change now; before: with the plan that was held before it"`
	Held   *plan.Held `json:"held,omitzero" doc:"Why a run would be held now; only of a fresh plan"`
}

type (
	diffInput struct {
		SourcePath
		Trial
		With string `query:"with" enum:"fresh,before" default:"fresh" doc:"What the held plan is compared with"`
	}
	diffOutput struct{ Body PlanDifference }
)

func (a *API) planDiffRoutes() {
	register(a, operation{
		id: "comparePlans", method: http.MethodPost, path: "/v1/sources/{source}/held/comparison", tag: "Sources", need: sourceWork, timeout: long,
		summary: "Compare the plan that waits for approval with a fresh one, or with the one held before it", errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.comparePlans)
}

// comparePlans stores nothing, so that trying it is the same as doing it.
func (a *API) comparePlans(ctx context.Context, in *diffInput) (*diffOutput, error) {
	s, err := a.pulled(in.Source)
	if err != nil {
		return nil, err
	}
	kept, held, err := a.db.KeptPlan(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	out := &diffOutput{Body: PlanDifference{Digest: held.Digest, Time: held.At, With: in.With}}
	if in.With == "before" {
		before, err := a.db.PlanBefore(ctx, s.ID)
		if err != nil {
			return nil, err
		}
		out.Body.Difference = *plan.Compare(before, kept)
		return out, nil
	}
	fresh, why, err := a.sync.Plan(ctx, s.ID, actorOf(ctx))
	if err != nil {
		return nil, err
	}
	out.Body.Difference, out.Body.Held = *plan.Compare(kept, fresh), why
	return out, nil
}
