package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// unhashed draws a roll without its hashes: an undo leaves none, so that the next read
// brings the entries whole.
func unhashed(r *roll) string {
	c := r.clone()
	for _, of := range []map[identity.Key]*object{c.users, c.groups} {
		for _, o := range of {
			x := *o.record
			x.Hash = 0
			x.Profile, x.Attributes = maps.Clone(x.Profile), maps.Clone(x.Attributes)
			if len(x.Profile) == 0 {
				x.Profile = nil
			}
			if len(x.Attributes) == 0 {
				x.Attributes = nil
			}
			o.record = &x
		}
	}
	return c.String()
}

// stored passes what was done through its stored form.
func stored(t fataler, d *plan.Done) *plan.Done {
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	var out plan.Done
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("unmarshal: %v", err)
	}
	return &out
}

// revert applies the steps of an undo. Unlike a run it may give a group back a member
// who is missing: his row was there, and counted for nothing.
func (r *roll) revert(steps []plan.Step) error {
	for _, s := range steps {
		if s.Op != plan.ChangeMembers {
			if err := r.apply([]plan.Step{s}); err != nil {
				return err
			}
			continue
		}
		g := r.groups[s.Key]
		for _, m := range s.Add {
			if g.missing || g.members[m] {
				return fmt.Errorf("add %v to %s, missing %t", m, s.Key, g.missing)
			}
			g.members[m] = true
		}
		for _, m := range s.Remove {
			if g.missing || !g.members[m] {
				return fmt.Errorf("remove %v from %s, missing %t", m, s.Key, g.missing)
			}
			delete(g.members, m)
		}
	}
	return nil
}

// without removes what the run created, and the members it put there: they stay, and
// count for nothing.
func without(r *roll, d *plan.Done) *roll {
	c := r.clone()
	for _, k := range d.CreatedUsers {
		delete(c.users, k)
	}
	for _, k := range d.CreatedGroups {
		delete(c.groups, k)
	}
	return c
}

// TestUndoAfterApplyRestoresTheRoll is the law of an undo of what nobody touched.
func TestUndoAfterApplyRestoresTheRoll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		before := r.clone()
		p := mustCompute(t, r, drawObservation(t, r))
		if err := r.apply(p.Steps); err != nil {
			t.Fatalf("apply: %v", err)
		}
		done := stored(t, p.Done("run-1"))
		undo := plan.Undo(r, nil, done)
		if len(undo.Withheld)+len(undo.Conflicts) > 0 {
			t.Fatalf("nothing was touched, and %q, %v are left", undo.Withheld, undo.Conflicts)
		}
		if again := plan.Undo(r, nil, done); again.Fingerprint() != undo.Fingerprint() {
			t.Fatalf("two undo plans of one roll differ")
		}
		if err := r.revert(undo.Steps); err != nil {
			t.Fatalf("apply the undo: %v\n%+v", err, undo.Steps)
		}
		for _, k := range done.CreatedUsers {
			if !r.users[k].missing {
				t.Fatalf("user %s was created and is still present", k)
			}
		}
		if diff := cmp.Diff(unhashed(before), unhashed(without(r, done))); diff != "" {
			t.Fatalf("the roll before and after the undo (-want +got):\n%s", diff)
		}
		if rest := plan.Undo(r, nil, done); !rest.IsEmpty() {
			t.Fatalf("after the undo there is more to undo: %+v", rest.Steps)
		}
	})
}

// TestUndoKilledAtAnyStepConverges stops an undo anywhere and makes it anew.
func TestUndoKilledAtAnyStepConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		p := mustCompute(t, r, drawObservation(t, r))
		if err := r.apply(p.Steps); err != nil {
			t.Fatalf("apply: %v", err)
		}
		done := p.Done("run-1")
		whole, killed := r.clone(), r.clone()
		undo := plan.Undo(r, nil, done)
		if err := whole.revert(undo.Steps); err != nil {
			t.Fatalf("apply: %v", err)
		}
		if err := killed.revert(undo.Steps[:rapid.IntRange(0, len(undo.Steps)).Draw(t, "steps done")]); err != nil {
			t.Fatalf("apply a part: %v", err)
		}
		if err := killed.revert(plan.Undo(killed, nil, done).Steps); err != nil {
			t.Fatalf("apply the rest: %v", err)
		}
		if diff := cmp.Diff(unhashed(whole), unhashed(killed)); diff != "" {
			t.Fatalf("a killed undo ends elsewhere (-unbroken +killed):\n%s", diff)
		}
	})
}

// TestUndoLeavesWhatWasTouchedSince lets something else happen between a run and its
// undo: each row then has what came since, or what it had before the run.
func TestUndoLeavesWhatWasTouchedSince(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		before := r.clone()
		p := mustCompute(t, r, drawObservation(t, r))
		if err := r.apply(p.Steps); err != nil {
			t.Fatalf("apply: %v", err)
		}
		after := r.clone()
		mustRun(t, r, drawObservation(t, r))
		since := r.clone()
		undo := plan.Undo(r, nil, p.Done("run-1"))
		if err := r.revert(undo.Steps); err != nil {
			t.Fatalf("apply the undo: %v\n%+v", err, undo.Steps)
		}
		for k, o := range r.users {
			was, ran, came := before.users[k], after.users[k], since.users[k]
			switch {
			case was == nil || ran == nil: // created
			case o.record.Name != came.record.Name && o.record.Name != was.record.Name:
				t.Fatalf("user %s is called %q: neither what came since nor what was before", k, o.record.Name)
			case came.record.Name != ran.record.Name && o.record.Name != came.record.Name:
				t.Fatalf("user %s lost the name that he was given since", k)
			}
		}
		for k, o := range r.groups {
			for m := range since.groups[k].members {
				if after.groups[k] != nil && !after.groups[k].members[m] && !o.members[m] && !before.groups[k].has(m) {
					t.Fatalf("group %s lost %v, who came since", k, m)
				}
			}
		}
		holders := map[string]identity.Key{}
		for k, o := range r.users {
			name := identity.FoldName(o.record.Name)
			if other, taken := holders[name]; taken && !o.missing {
				t.Fatalf("%s and %s are both called %q", k, other, name)
			}
			if !o.missing {
				holders[name] = k
			}
		}
	})
}

func (o *object) has(m plan.MemberKey) bool { return o != nil && o.members[m] }

// TestUndoText draws the undo of a run that did everything once, and of which some was
// touched since.
func TestUndoText(t *testing.T) {
	have := drawnRoll(t, `user u1 name=ann email=a@x attr.team=red
user u2 name=bob
user u3 name=cid missing
user u4 name=dora
group g1 name=staff members=u1|u2
group g2 name=old
`)
	seen := drawnObservation(t, "complete: of the test", `user u1 name=ann.lee email=b@x attr.team=blue|green
user u3 name=cid
user u4 name=dora
user u5 name=eve
group g1 name=staff members=u1|u3|u4
`)
	p := mustCompute(t, have, seen)
	if err := have.apply(p.Steps); err != nil {
		t.Fatal(err)
	}
	done := p.Done("run-1")
	have.users["u1"].record.Profile = map[string]string{identity.Email: "c@x"}
	delete(have.groups["g1"].members, plan.MemberKey{Key: "u4"})
	have.users["u9"] = &object{record: &identity.Record{Source: corp, Key: "u9", Name: "bob"}}
	var b strings.Builder
	if err := plan.Undo(have, nil, done).Text(&b, plan.View{Steps: true, Roll: true}); err != nil {
		t.Fatal(err)
	}
	golden(t, "undo", b.String())
	if !slices.Contains(done.CreatedUsers, "u5") {
		t.Errorf("created are %v", done.CreatedUsers)
	}
}
