package sync

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// phase is operations that are applied together. All of one phase are acknowledged
// before the next begins: members are written when everybody whom they name exists;
// who returns does so only then, so that nobody has for a moment what he had before he
// left; and nobody is deactivated before those who stay are in place.
type phase struct {
	name string
	ops  []plan.Op
}

func phases() []phase {
	return []phase{
		{"apply_users", []plan.Op{plan.CreateUser, plan.LinkUser, plan.UpdateUser}},
		{"apply_groups", []plan.Op{plan.CreateGroup, plan.UpdateGroup}},
		{"apply_members", []plan.Op{plan.ChangeMembers}},
		{"apply_returns", []plan.Op{plan.ReturnUser, plan.ReturnGroup}},
		{"apply_deactivations", []plan.Op{plan.DeactivateUser, plan.DeactivateGroup}},
	}
}

// begin stores a record that the next leader finds, should this one not live to end it.
// A marked plan begins only while nobody has decided anything since it was weighed: else
// it is fault.Stale, and nothing is written.
func (x *execution) begin(ctx context.Context, weighed *state.Snapshot) error {
	x.note(func(run *state.Run, p *Progress) {
		run.State, p.Stage = state.RunApplying, string(state.RunApplying)
		describe(run, x.plan)
	})
	if err := x.r.db.KeepDone(ctx, x.fence, x.plan.Done(x.job.run.ID), x.lane.history.beyondUndo()); err != nil {
		return err
	}
	changes := []state.Change{state.Fenced{Term: x.fence}, state.PutRun{Run: x.run()}}
	if x.plan.Marked {
		changes = append(changes, state.Weighed{On: weighed})
	}
	if _, err := x.r.db.Commit(ctx, x.actor, changes...); err != nil {
		return fmt.Errorf("record that the run begins to write: %w", err)
	}
	return nil
}

// apply writes the plan. When it returns an error, what was acknowledged stays: the
// next run finds the rest by planning again.
func (x *execution) apply(ctx context.Context, snap *state.Snapshot) error {
	x.writing = true
	bulk := x.r.db.Bulk(x.actor, x.fence, func(n int) {
		x.note(func(_ *state.Run, p *Progress) { p.Applied += n })
	})
	rooms := x.rooms()
	for _, ph := range phases() {
		steps := x.between(ph)
		if len(steps) == 0 {
			continue
		}
		err := x.stage(ph.name, state.RunApplying, func() (err error) {
			var bad error
			snap, err = bulk.Apply(ctx, snap, x.changes(snap, steps, rooms, &bad))
			if bad != nil {
				return bad
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// between returns the steps of a phase, in the order of the plan.
func (x *execution) between(ph phase) []plan.Step {
	var steps []plan.Step
	for i := range x.plan.Steps {
		if slices.Contains(ph.ops, x.plan.Steps[i].Op) {
			steps = append(steps, x.plan.Steps[i])
		}
	}
	return steps
}

// rooms returns how many members each group that is created will get.
func (x *execution) rooms() map[identity.Key]int {
	rooms := map[identity.Key]int{}
	for i := range x.plan.Steps {
		if s := &x.plan.Steps[i]; s.Op == plan.ChangeMembers && s.Ref.IsZero() {
			rooms[s.Key] = len(s.Add)
		}
	}
	return rooms
}

// changes turns steps into what state writes. A step that cannot be turned ends the
// sequence and is reported in bad.
func (x *execution) changes(snap *state.Snapshot, steps []plan.Step, rooms map[identity.Key]int, bad *error) iter.Seq[state.Change] {
	roll := roll{snap.Of(x.spec.ID), x.spec.ID}
	return func(yield func(state.Change) bool) {
		for i := range steps {
			c, err := roll.change(&steps[i], rooms)
			if err != nil {
				*bad = err
				return
			}
			if !yield(c) {
				return
			}
		}
	}
}

// roll is where the keys of a source are looked up.
type roll struct {
	state.SourceView
	source identity.SourceID
}

func (r roll) change(s *plan.Step, rooms map[identity.Key]int) (state.Change, error) {
	switch s.Op {
	case plan.CreateUser:
		return state.Create{Member: identity.UserMember(identity.NewUserID()), Record: s.After}, nil
	case plan.CreateGroup:
		return state.Create{Member: identity.GroupMember(identity.NewGroupID()), Record: s.After, Members: rooms[s.Key]}, nil
	case plan.LinkUser:
		user, _ := identity.MemberOf(false, s.Ref).User()
		return state.LinkRecord{User: user, Record: s.After, Bars: s.Disable == plan.DisableAny, Rule: s.Rule}, nil
	}
	ofUser := s.Op == plan.UpdateUser || s.Op == plan.ReturnUser || s.Op == plan.DeactivateUser
	self, err := r.member(plan.MemberKey{Group: !ofUser, Key: s.Key})
	if err != nil {
		return nil, err
	}
	switch s.Op {
	case plan.UpdateUser, plan.ReturnUser, plan.UpdateGroup, plan.ReturnGroup:
		return state.Update{Member: self, Record: s.After, Changes: audited(s.Changes), Disable: s.Disable}, nil
	case plan.DeactivateUser, plan.DeactivateGroup:
		return state.Deactivate{Member: self, Source: r.source}, nil
	}
	return r.changeMembers(s, self)
}

func (r roll) changeMembers(s *plan.Step, self identity.Member) (state.Change, error) {
	group, _ := self.Group()
	c := state.ChangeMembers{Group: group, Origin: r.source}
	for _, x := range []struct {
		keys []plan.MemberKey
		to   *[]identity.Member
	}{{s.Add, &c.Add}, {s.Remove, &c.Remove}} {
		*x.to = make([]identity.Member, 0, len(x.keys))
		for _, k := range x.keys {
			m, err := r.member(k)
			if err != nil {
				return nil, fmt.Errorf("members of %q: %w", s.Name, err)
			}
			*x.to = append(*x.to, m)
		}
	}
	return c, nil
}

// member resolves a key. What a plan names exists by the time it is applied.
func (r roll) member(k plan.MemberKey) (identity.Member, error) {
	m, ok := r.Ref(k)
	if !ok {
		return m, fmt.Errorf("the plan names the entry %q, which the roll does not have", k.Key)
	}
	return m, nil
}

func audited(changes []plan.Change) []audit.Change {
	if len(changes) == 0 {
		return nil
	}
	out := make([]audit.Change, len(changes))
	for i, c := range changes {
		out[i] = audit.Change(c)
	}
	return out
}
