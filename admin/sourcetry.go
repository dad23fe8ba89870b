package admin

import (
	"context"
	"net/http"

	"github.com/rollcall-id/rollcall/sync/plan"
)

// TryRequest says who is looked for in a source.
type TryRequest struct {
	User string `json:"user" minLength:"1" maxLength:"1024" doc:"A login name, a key of the source, or a DN"`
}

type (
	tryInput struct {
		SourcePath
		Trial
		Body TryRequest
	}
	tryOutput struct{ Body plan.Trial }
)

func (a *API) tryRoutes() {
	register(a, operation{
		id: "trySourceUser", method: http.MethodPost, path: "/v1/sources/{source}/try", tag: "Sources", need: sourceWork, timeout: long,
		summary: "Look for one person in a source, and show what a run would make of him; nothing is stored",
		errors:  []int{http.StatusNotFound, http.StatusConflict},
	}, a.trySourceUser)
}

// trySourceUser stores nothing, so that trying it is the same as doing it.
func (a *API) trySourceUser(ctx context.Context, in *tryInput) (*tryOutput, error) {
	s, err := a.pulled(in.Source)
	if err != nil {
		return nil, err
	}
	t, err := a.sync.Try(ctx, s.ID, in.Body.User)
	if err != nil {
		return nil, err
	}
	return &tryOutput{Body: *t}, nil
}
