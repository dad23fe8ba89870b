package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// heldRule is the rule by which what is pushed joins users, while it waits for somebody to
// agree to it: it decides to whom the permissions come that the groups of the source carry.
func (a *API) heldRule(snap *state.Snapshot, s *Source) *HeldPlan {
	if s.LinkHash == "" || s.LinkHash == snap.Source(s.ID).Config {
		return nil
	}
	carried := snap.CarriedBy(s.ID)
	if len(carried) == 0 {
		return nil
	}
	h := &HeldPlan{
		Digest: digestOf([]string{"rule " + s.LinkHash, fmt.Sprintf("carries %v", carried)}), Time: a.now().UTC(),
		Reasons: []string{"the rule by which records join users is new, and the groups of the source give " + permissionList(carried)},
	}
	for r := range snap.ApartOf(s.ID) {
		if r.Why == state.ApartHeld {
			h.Raises++
			if r.At.Before(h.Time) {
				h.Time = r.At
			}
		}
	}
	return h
}

func permissionList(ps []permissions.Permission) string {
	words := make([]string, len(ps))
	for i, p := range ps {
		words[i] = string(p)
	}
	return strings.Join(words, ", ")
}

// approveRule agrees to the rule by which what is pushed joins users. Whoever does has to be
// one who may confer what comes to them by it.
func (a *API) approveRule(ctx context.Context, src *Source, digest string) (*approveOutput, error) {
	_, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		held := a.heldRule(s, src)
		switch {
		case held == nil:
			return nil, fault.New(fault.NotFound, "no_held_plan", "source %q has no rule that waits for approval", src.ID)
		case held.Digest != digest:
			return nil, fault.New(fault.Stale, "plan_changed", "what waits is another thing, %s: look at it before you approve it", held.Digest)
		}
		return []state.Change{state.AcceptRule{Source: src.ID, Hash: src.LinkHash, Event: audit.Event{
			Action: "SyncRunApproved", Target: "source/" + string(src.ID), Name: string(src.ID), Reason: held.Reasons[0],
			Changes: []audit.Change{{Field: "digest", After: []string{digest}}},
		}}}, a.mayLetPush(ctx, s, src.ID)
	})
	if err != nil {
		return nil, err
	}
	return &approveOutput{Body: Approval{Digest: digest, By: actorOf(ctx).String(), Time: a.now()}}, nil
}
