package sync

import (
	"maps"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// compute plans what was seen: the comparison with what the roll has of the source, and
// over it which of the new entries join users of another one.
func (x *execution) compute(snap *state.Snapshot) (*plan.Plan, error) {
	policy := x.spec.policy()
	policy.Admit = x.admitted(snap)
	p, err := plan.Compute(snap.Of(x.spec.ID), x.seen, policy)
	if err != nil {
		return nil, err
	}
	p.Join(plan.Links{
		Rule: x.spec.Link, Use: x.spec.Use, People: snap.Of(x.spec.ID),
		Settled: func(key identity.Key) (plan.Decision, plan.Ref, bool) {
			st, ok := snap.Settled(x.spec.ID, key)
			return st.Do, plan.Ref(identity.UserMember(st.User).Bytes()), ok
		},
	})
	return p, nil
}

// admitted returns the entries that may take a name that a vanished user had: those of
// the configuration, and those that a person settled.
func (x *execution) admitted(snap *state.Snapshot) map[identity.Key]bool {
	admit := maps.Clone(x.spec.Admit)
	for _, st := range snap.Settlements(x.spec.ID) {
		if st.Do == plan.Ignore {
			continue
		}
		if admit == nil {
			admit = map[identity.Key]bool{}
		}
		admit[st.Key] = true
	}
	return admit
}
