package admin

import (
	"context"
	"net/http"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/state"
)

// Trial lets a request that changes something only say what it would do.
type Trial struct {
	DryRun string `query:"dryRun" enum:"true,false" doc:"true: the same checks and the same answer, but nothing is stored"`
}

// decide makes what was decided and returns a snapshot that has it. Every write of an
// administrator goes through here, so that what it would let anybody do is judged, a
// restricted key confers no more than it may, and a dry run writes nothing: its
// snapshot is the one that would be.
func (a *API) decide(ctx context.Context, decide func(*state.Snapshot) ([]state.Change, error)) (*state.Snapshot, error) {
	q := questionOf(ctx)
	within := func(s *state.Snapshot) ([]state.Change, error) {
		cs, err := decide(s)
		if err != nil || len(cs) == 0 || len(q.caller.Limit) == 0 {
			return cs, err
		}
		return append(cs, state.Within{Permissions: q.caller.Limit}), nil
	}
	return a.decideBy(ctx, actorOf(ctx), within)
}

// decideBy is decide for who is no caller that is known.
func (a *API) decideBy(ctx context.Context, by audit.Actor, decide func(*state.Snapshot) ([]state.Change, error)) (*state.Snapshot, error) {
	if questionOf(ctx).dryRun {
		return a.db.Preview(by, decide)
	}
	if _, err := a.db.Decide(ctx, by, decide); err != nil {
		return nil, err
	}
	return a.db.View().Now(), nil
}

// problemWith returns an answer whose status stands for no kind of failure.
func problemWith(ctx context.Context, status int, code, detail string) *Problem {
	q := questionOf(ctx)
	return &Problem{
		Title: http.StatusText(status), Status: status, Code: code, Detail: detail, Instance: q.instance, RequestID: q.request,
	}
}

// preconditionRequired asks for If-Match, without which a whole would be replaced that
// somebody has not seen (RFC 6585 §3).
func preconditionRequired(ctx context.Context) *Problem {
	return problemWith(ctx, http.StatusPreconditionRequired, "precondition_required",
		"this replaces a whole: send the ETag of what you have read in the header If-Match")
}
