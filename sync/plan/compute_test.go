package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

func TestCounts(t *testing.T) {
	r := drawnRoll(t, `user u1 name=ann
user u2 name=bob
user u3 name=cid missing
user u4 name=dora missing
user u5 name=eve
user u6 name=fay
group g1 name=Staff members=u1|u2|u3
group g2 name=Ops members=u1 missing
group g3 name=Old members=u1|u2
group g4 name=Odd members=u6
`)
	o := drawnObservation(t, "complete", `user u1 name=ann disabled=disabled_in_source
user u2 name=bobby
user u3 name=cid
user u5 unchanged
user u7 name=gus
user u8 unchanged
skipped user u6 odd
skipped group g4 odd
group g1 unchanged members=u1|u5|nobody
group g2 name=Ops members=u2
group g5 name=New
`)
	want := plan.Counts{
		Users:      plan.Tally{Created: 1, Updated: 2, Returned: 1},
		Groups:     plan.Tally{Created: 1, Returned: 1, Removed: 1},
		Members:    plan.Tally{Created: 2, Removed: 3},
		UsersKnown: 4, GroupsKnown: 3, MembersKnown: 7, UsersMissing: 2,
		UsersSeen: 7, GroupsSeen: 4, Disabled: 1, Renamed: 1, Unchanged: 2, Unresolved: 1,
	}
	if diff := cmp.Diff(want, mustCompute(t, r, o).Counts); diff != "" {
		t.Errorf("Counts (-want +got):\n%s", diff)
	}
}

// A user and a group may have one key: kinds are apart.
func TestKindsAreApart(t *testing.T) {
	r := drawnRoll(t, "user x name=ann\ngroup x name=Staff members=x|g:x\n")
	o := drawnObservation(t, "complete", "user x unchanged\ngroup x unchanged members=g:x\n")
	p := mustCompute(t, r, o)
	if len(p.Steps) != 1 || len(p.Steps[0].Remove) != 1 || p.Steps[0].Remove[0] != (plan.MemberKey{Key: identity.Key("x")}) {
		t.Errorf("steps %+v, want the user taken out of the group", p.Steps)
	}
}

// unreadable is a roll whose stored records are damaged.
type unreadable struct{ *roll }

func (unreadable) Record(plan.Known) *identity.Record { return nil }

// What the source says replaces a record that cannot be read; until it says it
// again, nothing is made of the damage.
func TestADamagedRecordIsReplaced(t *testing.T) {
	r := unreadable{drawnRoll(t, "user u1 name=ann\nuser u2 name=bob\nuser u3 name=cid missing\n")}
	o := drawnObservation(t, "complete", "user u1 unchanged\nuser u2 name=bob email=b@x\nuser u3 name=cid\n")
	p, err := plan.Compute(r, o, plan.Policy{})
	if err != nil || p.Summary() != "users ~1  back 1" || p.Steps[0].After.Profile[identity.Email] != "b@x" {
		t.Errorf("Compute = %s, %v, want an update and a return", p.Summary(), err)
	}
}
