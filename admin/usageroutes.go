package admin

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/usage"
)

// Touches are what a client reports to have been used.
type Touches struct {
	Names []usage.Name `json:"names" minItems:"1" maxItems:"100" doc:"Of the list that is compiled in: cli:<verb> or console:<control>"`
}

type touchesInput struct{ Body Touches }

// UsageQuery says how far a report of use goes back.
type UsageQuery struct {
	Days int `query:"days" minimum:"1" maximum:"400" default:"28" doc:"How many days, today included"`
}

// UsageReport is what is counted. It holds no id, no name of anybody, no host, no
// value and no hash of one; it may be handed on as it is.
type UsageReport struct {
	Collecting bool `json:"collecting" doc:"Whether anything is counted (usage.collect)"`
	usage.Report
}

type usageOutput struct{ Body UsageReport }

func (a *API) usageRoutes() {
	register(a, operation{
		id: reportTouches, method: http.MethodPost, path: "/v1/metrics/touches", tag: "Metrics", need: anybody, status: http.StatusNoContent,
		summary: "Report which verbs of the command line or controls of the console were used; who did is not kept",
		errors:  []int{http.StatusUnprocessableEntity},
	}, a.takeTouches)
	register(a, operation{
		id: "getUsage", method: http.MethodGet, path: "/v1/metrics/usage", tag: "Metrics", need: setup,
		summary: "Show what is used most and least, never by whom; counts of fewer than five people are merged, and today's are some minutes old",
		errors:  []int{http.StatusUnprocessableEntity},
	}, a.getUsage)
}

func (a *API) takeTouches(ctx context.Context, in *touchesInput) (*struct{}, error) {
	known := usage.Presented()
	for _, n := range in.Body.Names {
		if !slices.Contains(known, n) {
			return nil, fault.New(fault.Invalid, "unknown_usage_name", "only verbs and controls that are compiled in are counted, under their own names; nothing of this report was")
		}
	}
	if a.counter == nil {
		return nil, nil //nolint:nilnil // no body
	}
	for _, n := range in.Body.Names {
		a.counter.add(questionOf(ctx).caller, usage.Done, n)
	}
	return nil, nil //nolint:nilnil // no body
}

func (a *API) getUsage(ctx context.Context, in *UsageQuery) (*usageOutput, error) {
	today := usage.DateOf(a.now())
	days, err := a.db.Usage(ctx, today.Add(1-in.Days))
	if err != nil {
		return nil, err
	}
	r := usage.NewReport(days, today, in.Days, a.usageNames())
	return &usageOutput{Body: UsageReport{Collecting: a.counter != nil, Report: *r}}, nil
}

// pathOperations returns the operations of a path; those that there are not are nil.
func pathOperations(p *huma.PathItem) []*huma.Operation {
	return []*huma.Operation{p.Get, p.Post, p.Put, p.Patch, p.Delete}
}
