package state

import (
	"context"
	"iter"
	"strconv"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// approvalLasts is how long an approval waits for a run that it covers.
const approvalLasts = 24 * time.Hour

// ApprovePlan agrees to the plan that a source holds. [DB.Approve] returns it. It is
// decided with [DB.Decide]: whoever approves a plan that raises somebody has to be one
// who may confer that.
type ApprovePlan struct {
	source identity.SourceID
	digest string
	raised []plan.Raised
}

// Approve returns the change that agrees to the held plan with a digest. It is
// fault.NotFound when none is held, and fault.Stale when another one is.
func (d *DB) Approve(ctx context.Context, source identity.SourceID, digest string) (ApprovePlan, error) {
	c := ApprovePlan{source: source, digest: digest}
	if _, err := c.held(d.view.Now()); err != nil {
		return c, err
	}
	kept, held, err := d.KeptPlan(ctx, source)
	if err != nil {
		return c, err
	}
	if held.Digest == digest && kept.Marked {
		c.raised = kept.Raised
	}
	return c, nil
}

// held returns where the source stands while the plan in question is what it holds.
func (c ApprovePlan) held(s *Snapshot) (SourceState, error) {
	st := s.Source(c.source)
	switch {
	case st.Held == nil:
		return st, fault.New(fault.NotFound, "no_held_plan", "source %q has no plan that waits for approval", c.source)
	case st.Held.Digest != c.digest:
		return st, fault.New(fault.Stale, "plan_changed",
			"the plan that waits is another one, %s, since %s: look at it before you approve it",
			st.Held.Digest, st.Held.At.Format(time.RFC3339))
	}
	return st, nil
}

func (c ApprovePlan) build(t *txn) error {
	st, err := c.held(t.snap)
	if err != nil {
		return err
	}
	event := audit.Event{
		Action: "SyncRunApproved", Target: "source/" + string(c.source), Name: string(c.source),
		Changes: []audit.Change{{Field: "digest", After: []string{c.digest}}},
	}
	if n := st.Held.Raises; n > 0 {
		event.Changes = append(event.Changes, audit.Change{Field: "raises", After: []string{strconv.Itoa(n)}})
	}
	now := t.now.UTC()
	st.Approval = &Approval{Digest: c.digest, By: t.by.String(), At: now, Expires: now.Add(approvalLasts)}
	t.lets = append(t.lets, c.raised...)
	return PutSource{Source: c.source, State: st, Event: event}.build(t)
}

// raisedUsers gives the judge what approving something confers, and on whom.
func raisedUsers(all []plan.Raised) iter.Seq2[identity.UserID, permissions.Permission] {
	return func(yield func(identity.UserID, permissions.Permission) bool) {
		for i := range all {
			var id identity.UserID
			if r := all[i].ID; !r.IsZero() {
				_ = id.UnmarshalText([]byte(r.String())) // it is the id of a user
			}
			if !yield(id, permissions.Permission(all[i].Permission)) {
				return
			}
		}
	}
}

// MarkSource notes that the configuration of a source was changed: its next run is held
// if it raises anyone. It joins the transaction that stores the change.
type MarkSource struct{ Source identity.SourceID }

func (c MarkSource) build(t *txn) error {
	st := t.snap.Source(c.Source)
	st.Marked = t.now.UTC()
	return PutSource{Source: c.Source, State: st}.build(t)
}
