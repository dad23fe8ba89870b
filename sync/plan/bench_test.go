package plan_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// flat is a large roll in slices, as close to a snapshot's cost as a test gets.
type flat struct {
	users, groups         []plan.Known
	userIndex, groupIndex map[identity.Key]int
	records               []identity.Record // of users, then of groups
	members               [][]plan.MemberKey
}

func (f *flat) User(k identity.Key) (plan.Known, bool)  { return find(f.users, f.userIndex, k) }
func (f *flat) Group(k identity.Key) (plan.Known, bool) { return find(f.groups, f.groupIndex, k) }
func (f *flat) Users() iter.Seq[plan.Known]             { return slices.Values(f.users) }
func (f *flat) Groups() iter.Seq[plan.Known]            { return slices.Values(f.groups) }

func (f *flat) Named(string) iter.Seq[plan.Known] { return func(func(plan.Known) bool) {} }

func (f *flat) Total() plan.Total {
	return plan.Total{Users: len(f.users), Groups: len(f.groups)}
}

func find(in []plan.Known, index map[identity.Key]int, k identity.Key) (plan.Known, bool) {
	i, ok := index[k]
	if !ok {
		return plan.Known{}, false
	}
	return in[i], true
}

func (f *flat) Record(k plan.Known) *identity.Record {
	if k.Kind == plan.Group {
		return &f.records[len(f.users)+f.groupIndex[k.Key]]
	}
	return &f.records[f.userIndex[k.Key]]
}

func (f *flat) Members(k plan.Known) iter.Seq[plan.MemberKey] {
	return slices.Values(f.members[f.groupIndex[k.Key]])
}

// key looks like a GUID, and is made anew each time, as a read would.
func key(kind string, i int) identity.Key {
	return identity.Key(fmt.Sprintf("%08x-6e2f-4c1a-9d3b-%s%011x", uint32(i)*2654435761, kind, i))
}

func record(k identity.Key, i int) identity.Record {
	return identity.Record{
		Source: corp, Key: k, Name: fmt.Sprintf("user%d", i), DN: fmt.Sprintf("cn=user%d,ou=people,dc=corp,dc=example", i),
		Profile: map[string]string{
			identity.DisplayName: fmt.Sprintf("User %d", i), identity.Email: fmt.Sprintf("user%d@corp.example", i),
			identity.GivenName: "User", identity.FamilyName: fmt.Sprint(i),
		},
		Attributes: identity.Attributes{"department": {"R&D"}, "cost": {"1", "2"}},
	}
}

// large returns a roll and a read of a directory that is equal to it. The members
// come in different orders.
func large(users, groups, members int) (*flat, *identity.Observation) {
	r := rand.New(rand.NewPCG(1, 2))
	f := &flat{userIndex: make(map[identity.Key]int, users), groupIndex: make(map[identity.Key]int, groups)}
	o := &identity.Observation{Source: corp, Proof: identity.Proof{Users: true, Groups: true}}
	for i := range users {
		k := key("1", i)
		f.users = append(f.users, plan.Known{Kind: plan.User, Key: k, Name: fmt.Sprintf("user%d", i), Ref: refOf(plan.User, k)})
		f.userIndex[k] = i
		f.records = append(f.records, record(k, i))
		o.Users = append(o.Users, identity.Seen{Key: key("1", i)})
	}
	for i := range groups {
		k := key("2", i)
		f.groups = append(f.groups, plan.Known{Kind: plan.Group, Key: k, Name: fmt.Sprintf("group%d", i), Ref: refOf(plan.Group, k)})
		f.groupIndex[k] = i
		f.records = append(f.records, record(k, i))
		s := identity.Seen{Key: key("2", i)}
		var in []plan.MemberKey
		start, step := r.IntN(users), 1+r.IntN(97)
		for j := range members / groups {
			at := (start + j*step) % users
			in = append(in, plan.MemberKey{Key: f.users[at].Key})
			s.Users = append(s.Users, o.Users[at].Key)
		}
		r.Shuffle(len(s.Users), func(a, b int) { s.Users[a], s.Users[b] = s.Users[b], s.Users[a] })
		f.members = append(f.members, in)
		o.Groups = append(o.Groups, s)
	}
	r.Shuffle(len(o.Users), func(a, b int) { o.Users[a], o.Users[b] = o.Users[b], o.Users[a] })
	return f, o
}

func BenchmarkCompute(b *testing.B) {
	have, seen := large(100_000, 10_000, 500_000)
	run := func(name string, have plan.Directory, seen *identity.Observation, steps int) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p, err := plan.Compute(have, seen, plan.Policy{})
				if err != nil || len(p.Steps) != steps {
					b.Fatalf("%d steps, %v", len(p.Steps), err)
				}
			}
		})
	}
	run("unchanged", have, seen, 0)
	whole := *seen
	whole.Users, whole.Groups = slices.Clone(seen.Users), slices.Clone(seen.Groups)
	for i := range whole.Users {
		whole.Users[i].Record = have.Record(have.users[have.userIndex[whole.Users[i].Key]])
	}
	for i := range whole.Groups {
		whole.Groups[i].Record = have.Record(have.groups[have.groupIndex[whole.Groups[i].Key]])
	}
	run("unchanged but read whole", have, &whole, 0)
	few := *seen
	few.Users = slices.Clone(seen.Users)
	for i := range 100 {
		r := *have.Record(have.users[have.userIndex[few.Users[i].Key]])
		r.Name += "x"
		few.Users[i].Record = &r
	}
	run("100 renamed", have, &few, 100)
	run("first run", &flat{}, &whole, 120_000)
}
