package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
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

// PurgeDone is what a purge did.
type PurgeDone struct {
	Source identity.SourceID `json:"source"`
	Gone   int               `json:"gone" doc:"How many users and groups are removed"`
}

type (
	purgePlanOutput struct{ Body PurgePlan }
	purgeInput      struct {
		SourcePath
		Trial
		Body PurgeRequest
	}
	purgeOutput struct{ Body PurgeDone }
)

func (a *API) purgeRoutes() {
	errs := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "planPurge", method: http.MethodGet, path: "/v1/sources/{source}/purge", tag: "Sources", need: sourceWork,
		summary: "Show whom a purge would remove for good: those whom the source has not had for long", errors: errs,
	}, a.planPurge)
	register(a, operation{
		id: "purgeSource", method: http.MethodPost, path: "/v1/sources/{source}/purge", tag: "Sources", need: userWork, timeout: long,
		summary: "Remove for good whom a source has not had for long, as it was shown", errors: errs,
	}, a.purge)
}

// purgeable returns what a purge would remove now, and how many others wait.
func (a *API) purgeable(s *Source) (all []state.Purgeable, before time.Time, more int, err error) {
	if s.PurgeAfter <= 0 {
		return nil, before, 0, fault.New(fault.Conflict, "no_purge", "whom source %s has no more stays: set purge_after in its configuration to change that", s.ID)
	}
	before = a.now().Add(-s.PurgeAfter).UTC().Truncate(time.Second)
	all = a.db.View().Now().Purgeable(s.ID, before)
	n := min(len(all), s.PurgeAtMost)
	return all[:n], before, len(all) - n, nil
}

func (a *API) planPurge(_ context.Context, in *SourcePath) (*purgePlanOutput, error) {
	s, err := a.pulled(in.Source)
	if err != nil {
		return nil, err
	}
	all, before, more, err := a.purgeable(&s)
	if err != nil {
		return nil, err
	}
	out := PurgePlan{Source: s.ID, Before: before, Digest: state.PurgeDigest(all), Gone: []PurgedOne{}, More: more}
	for _, p := range all {
		one := PurgedOne{Group: p.Member.IsGroup(), Key: p.Key, Name: p.Name, Missing: p.Missing, Grants: p.Grants}
		if g, ok := p.Member.Group(); ok {
			one.ID = g.String()
		} else {
			u, _ := p.Member.User()
			one.ID = u.String()
		}
		out.Gone, out.Grants = append(out.Gone, one), out.Grants+p.Grants
	}
	return &purgePlanOutput{Body: out}, nil
}

// purge removes one after the other, each in a transaction of its own with its audit
// entry: a stop in between leaves a smaller plan. Each rests on nothing having touched
// it, so one who is back is not removed.
func (a *API) purge(ctx context.Context, in *purgeInput) (*purgeOutput, error) {
	s, err := a.pulled(in.Source)
	if err != nil {
		return nil, err
	}
	all, _, _, err := a.purgeable(&s)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 || state.PurgeDigest(all) != in.Body.Digest {
		return nil, fault.New(fault.Conflict, "plan_changed", "what a purge would remove has changed since you saw it: look at the plan again")
	}
	for _, p := range all {
		if _, err := a.decide(ctx, func(*state.Snapshot) ([]state.Change, error) { return []state.Change{state.Purge{What: p}}, nil }); err != nil {
			return nil, err
		}
	}
	return &purgeOutput{Body: PurgeDone{Source: s.ID, Gone: len(all)}}, nil
}
