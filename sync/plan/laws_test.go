package plan_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// drawRecord draws from few names and few values, so that clashes are common.
func drawRecord(t *rapid.T, key identity.Key) *identity.Record {
	r := &identity.Record{
		Source: corp, Key: key,
		Name: rapid.SampledFrom([]string{"ann", "Ann", "bob", "cid", "dora", "eve", "Zoë", "ZOE\u0308"}).Draw(t, "name"),
		Hash: rapid.Uint64().Draw(t, "hash"),
	}
	if rapid.Bool().Draw(t, "disabled") {
		r.Disabled = identity.ReasonDisabled
	}
	if rapid.Bool().Draw(t, "has mail") {
		r.Profile = map[string]string{identity.Email: rapid.SampledFrom([]string{"a@x", "b@x"}).Draw(t, "mail")}
	}
	if rapid.Bool().Draw(t, "has team") {
		r.Attributes = identity.Attributes{"team": {rapid.SampledFrom([]string{"red", "blue"}).Draw(t, "team")}}
	}
	return r
}

var (
	userKeys  = []identity.Key{"u1", "u2", "u3", "u4", "u5", "u6"}
	groupKeys = []identity.Key{"g1", "g2", "g3"}
)

func subset(t *rapid.T, of []identity.Key, label string) []identity.Key {
	var s []identity.Key
	for _, k := range of {
		if rapid.Bool().Draw(t, label) {
			s = append(s, k)
		}
	}
	return s
}

// drawRoll draws a roll by running a first plan over a random observation and then
// losing some of it, so that only rolls that can exist are drawn.
func drawRoll(t *rapid.T) *roll {
	r := newRoll()
	for range rapid.IntRange(0, 2).Draw(t, "earlier runs") {
		mustRun(t, r, drawObservation(t, r))
	}
	return r
}

func drawObservation(t *rapid.T, r *roll) *identity.Observation {
	o := &identity.Observation{Source: corp, Server: "ldap://dc1"}
	o.Proof = identity.Proof{
		Users: rapid.Bool().Draw(t, "users proven"), Groups: rapid.Bool().Draw(t, "groups proven"), Why: "page 3 was lost",
	}
	for _, k := range subset(t, userKeys, "user seen") {
		o.Users = append(o.Users, drawSeen(t, r.users, k))
	}
	for _, k := range subset(t, groupKeys, "group seen") {
		s := drawSeen(t, r.groups, k)
		s.Users = subset(t, append(userKeys, "stranger"), "member")
		s.Groups = subset(t, groupKeys, "nested")
		if rapid.IntRange(0, 5).Draw(t, "members unknown") == 0 {
			s.MembersUnknown = "it changed while it was read"
		}
		o.Groups = append(o.Groups, s)
	}
	for _, k := range subset(t, append(userKeys, ""), "skipped") {
		if rapid.IntRange(0, 5).Draw(t, "really") == 0 {
			o.Skipped = append(o.Skipped, identity.Skipped{Key: k, Group: rapid.Bool().Draw(t, "group"), DN: "cn=x", Reason: "bad"})
		}
	}
	return o
}

// drawSeen draws an entry, now and then one whose hash the roll knows already.
func drawSeen(t *rapid.T, of map[identity.Key]*object, k identity.Key) identity.Seen {
	if o, ok := of[k]; ok && !o.missing && rapid.Bool().Draw(t, "unchanged") {
		return identity.Seen{Key: k}
	}
	return identity.Seen{Key: k, Record: drawRecord(t, k)}
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func mustCompute(t fataler, r *roll, o *identity.Observation) *plan.Plan {
	p, err := plan.Compute(r, o, plan.Policy{})
	if err != nil {
		t.Fatalf("Compute: %v", err)
	}
	return p
}

func mustRun(t fataler, r *roll, o *identity.Observation) {
	p := mustCompute(t, r, o)
	if err := r.apply(p.Steps); err != nil {
		t.Fatalf("apply: %v\nroll %v", err, r)
	}
}

func TestAPlanAppliedAndComputedAgainIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		o := drawObservation(t, r)
		mustRun(t, r, o)
		if p := mustCompute(t, r, o); !p.IsEmpty() {
			t.Fatalf("the second plan has steps: %+v\nroll %v", p.Steps, r)
		}
	})
}

func TestARunKilledAtAnyStepConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		o := drawObservation(t, r)
		p := mustCompute(t, r, o)
		killed, whole := r.clone(), r.clone()
		if err := killed.apply(p.Steps[:rapid.IntRange(0, len(p.Steps)).Draw(t, "steps done")]); err != nil {
			t.Fatalf("apply a part: %v", err)
		}
		mustRun(t, killed, o)
		mustRun(t, whole, o)
		if diff := cmp.Diff(whole.String(), killed.String()); diff != "" {
			t.Fatalf("a killed run ends elsewhere (-unbroken +killed):\n%s", diff)
		}
	})
}

func TestTheOrderOfAnObservationMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		o := drawObservation(t, r)
		first := mustCompute(t, r, o)
		shuffled := *o
		shuffled.Users = rapid.Permutation(o.Users).Draw(t, "users")
		shuffled.Groups = rapid.Permutation(o.Groups).Draw(t, "groups")
		shuffled.Skipped = rapid.Permutation(o.Skipped).Draw(t, "skipped")
		for i := range shuffled.Groups {
			g := &shuffled.Groups[i]
			g.Users = rapid.Permutation(g.Users).Draw(t, "members")
			g.Groups = rapid.Permutation(g.Groups).Draw(t, "nested")
		}
		if second := mustCompute(t, r, &shuffled); !reflect.DeepEqual(first, second) {
			t.Fatalf("another order gives another plan:\n%+v\n%+v", first, second)
		}
	})
}

func TestAnUnprovenReadRemovesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		o := drawObservation(t, r)
		for _, s := range mustCompute(t, r, o).Steps {
			userGone := s.Op == plan.DeactivateUser && !o.Proof.Users
			groupGone := s.Op == plan.DeactivateGroup && !o.Proof.Groups
			edgeGone := len(s.Remove) > 0 && !o.Proof.Groups
			if userGone || groupGone || edgeGone {
				t.Fatalf("without a proof: %+v", s)
			}
		}
	})
}

// Whatever was read, a login name has one present holder, and names in a plan are
// those of entries that were seen.
func TestLoginNamesStayUnique(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		mustRun(t, r, drawObservation(t, r))
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
		for k, o := range r.users {
			if other, taken := holders[identity.FoldName(o.record.Name)]; taken && o.missing {
				t.Fatalf("%s took the name of %s, who is missing", other, k)
			}
		}
	})
}

func TestNoStepLeavesTheSource(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoll(t)
		o := drawObservation(t, r)
		known := append(slices.Clone(userKeys), groupKeys...)
		for _, s := range mustCompute(t, r, o).Steps {
			if !slices.Contains(known, s.Key) || s.After != nil && s.After.Source != corp {
				t.Fatalf("a step outside the source: %+v", s)
			}
		}
	})
	foreign := &identity.Observation{Source: corp, Users: []identity.Seen{
		{Key: "u1", Record: &identity.Record{Source: "okta", Key: "u1", Name: "ann"}},
	}}
	if p, err := plan.Compute(newRoll(), foreign, plan.Policy{}); err == nil {
		t.Errorf("Compute with another source's record = %v, want an error", fmt.Sprint(p.Steps))
	}
}
