package sync

import (
	"maps"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// compute plans what was seen: the comparison with what the roll has of the source, and
// over it which of the new entries join users of another one.
func (s *SourceSpec) compute(snap *state.Snapshot, seen *identity.Observation) (*plan.Plan, error) {
	policy := s.policy()
	policy.Admit = s.admitted(snap)
	p, err := plan.Compute(snap.Of(s.ID), seen, policy)
	if err != nil {
		return nil, err
	}
	p.Join(plan.Links{
		Rule: s.Link, Use: s.Use, People: snap.Of(s.ID), Others: disputed(p, seen),
		Settled: func(key identity.Key) (plan.Decision, plan.Ref, bool) {
			st, ok := snap.Settled(s.ID, key)
			return st.Do, plan.Ref(identity.UserMember(st.User).Bytes()), ok
		},
	})
	p.Protect(s.Protected)
	p.CountMissed(seen)
	return p, nil
}

// disputed returns the entries that the plan leaves out as conflicts.
func disputed(p *plan.Plan, seen *identity.Observation) (out []*identity.Record) {
	if len(p.Conflicts) == 0 {
		return nil
	}
	keys := make(map[identity.Key]bool, len(p.Conflicts))
	for _, c := range p.Conflicts {
		keys[c.Key] = true
	}
	for i := range seen.Users {
		if r := seen.Users[i].Record; r != nil && keys[r.Key] {
			out = append(out, r)
		}
	}
	return out
}

// admitted returns the entries that may take a name that a vanished user had: those of
// the configuration, and those that a person settled.
func (s *SourceSpec) admitted(snap *state.Snapshot) map[identity.Key]bool {
	admit := maps.Clone(s.Admit)
	for _, st := range snap.Settlements(s.ID) {
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
