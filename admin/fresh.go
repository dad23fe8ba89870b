package admin

import (
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rollcall-id/rollcall/fault"
)

// Fresh says since when the store does not answer, so that everything is answered
// from memory as of then; the zero time while it does. tooOld says that this has
// lasted longer than a decision may rest on.
type Fresh func() (staleSince time.Time, tooOld bool)

// staleHeader is set on every answer that is given from memory alone.
const staleHeader = "Rollcall-Stale-Since"

// staleSince returns since when answers are from memory alone, or the zero time.
func (a *API) staleSince() time.Time {
	if a.age == nil {
		return time.Time{}
	}
	since, _ := a.age()
	return since.UTC()
}

// fresh marks an answer that is given from memory alone, and refuses to decide from
// one that is too old: somebody may have lost a permission since.
func (a *API) fresh(ctx huma.Context, o *operation) error {
	if a.age == nil {
		return nil
	}
	since, tooOld := a.age()
	if since.IsZero() {
		return nil
	}
	ctx.SetHeader(staleHeader, since.UTC().Format(time.RFC3339))
	if o.decision && tooOld {
		return fault.New(fault.Unavailable, "stale",
			"the store has not answered since %s, which is longer than decisions may rest on memory (max_staleness)", since.UTC().Format(time.RFC3339))
	}
	return nil
}
