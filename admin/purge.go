package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

// PurgePlan is whom a purge of a source would remove for good.
type PurgePlan struct {
	Source identity.SourceID `json:"source"`
	Before time.Time         `json:"before" doc:"Those whom the source has not had since before then are among them"`
	Digest string            `json:"digest" doc:"Of exactly these as they are: to be sent with the purge"`
	Gone   []PurgedOne       `json:"gone" doc:"Whom and what it would remove; those who are missing longest first"`
	More   int               `json:"more" doc:"How many others wait beyond what one purge may remove (purge_at_most)"`
	Grants int               `json:"grants" doc:"How many grants would go with them"`
}

// PurgedOne is a user or a group that would be removed for good.
type PurgedOne struct {
	Group   bool         `json:"group,omitzero"`
	ID      string       `json:"id"`
	Key     identity.Key `json:"key"`
	Name    string       `json:"name"`
	Missing time.Time    `json:"missingTime" doc:"Since when its source does not have it"`
	Grants  int          `json:"grants,omitzero"`
}

// PurgeRequest names the plan that is to be carried out.
type PurgeRequest struct {
	Digest string `json:"digest" minLength:"1" maxLength:"100" doc:"Of the plan, as it was shown"`
}

type (
	purgePlanOutput struct{ Body PurgePlan }
	purgeInput      struct {
		SourcePath
		Trial
		Body PurgeRequest
	}
)

func (a *API) purgeRoutes() {
	errs := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "planPurge", method: http.MethodGet, path: "/v1/sources/{source}/purge", tag: "Sources", need: sourceWork,
		summary: "Show whom a purge would remove for good: those whom the source has not had for long", errors: errs,
	}, a.planPurge)
	register(a, operation{
		id: "purgeSource", method: http.MethodPost, path: "/v1/sources/{source}/purge", tag: "Sources", need: userWork, status: http.StatusAccepted, timeout: long,
		summary: "Remove for good whom a source has not had for long, as it was shown", errors: errs,
	}, a.purge)
}

func (a *API) planPurge(_ context.Context, in *SourcePath) (*purgePlanOutput, error) {
	s, err := a.pulled(in.Source)
	if err != nil {
		return nil, err
	}
	p, err := a.sync.PlanPurge(s.ID)
	if err != nil {
		return nil, err
	}
	out := PurgePlan{Source: s.ID, Before: p.Before, Digest: p.Digest, Gone: []PurgedOne{}, More: p.More, Grants: p.Grants()}
	for _, p := range p.Gone {
		one := PurgedOne{Group: p.Member.IsGroup(), Key: p.Key, Name: p.Name, Missing: p.Missing, Grants: p.Grants}
		if g, ok := p.Member.Group(); ok {
			one.ID = g.String()
		} else {
			u, _ := p.Member.User()
			one.ID = u.String()
		}
		out.Gone = append(out.Gone, one)
	}
	return &purgePlanOutput{Body: out}, nil
}

// purge orders the purge, which the leader carries out as a run of its own.
func (a *API) purge(ctx context.Context, in *purgeInput) (*startRunOutput, error) {
	s, err := a.pulled(in.Source)
	if err != nil {
		return nil, err
	}
	order, err := a.sync.OrderPurge(s.ID, in.Body.Digest)
	if err != nil {
		return nil, err
	}
	return a.ordered(ctx, s.ID, order.Order.Run, order)
}
