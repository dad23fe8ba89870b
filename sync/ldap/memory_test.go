package ldap_test

import (
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// memory is a roll of one source that applies plans as the store would.
type memory struct {
	sides [2]map[identity.Key]*remembered // users, groups
	at    identity.Cursor
	again []identity.Gone
	named map[string][]identity.Key // users by folded name, as of the last plan; nil: not known
}

type remembered struct {
	kind    plan.Kind
	record  *identity.Record
	missing bool
	members map[plan.MemberKey]bool
}

func newMemory() *memory {
	return &memory{sides: [2]map[identity.Key]*remembered{{}, {}}}
}

func kindOf(group bool) plan.Kind {
	if group {
		return plan.Group
	}
	return plan.User
}

func (x *remembered) known() plan.Known {
	k := plan.Known{Kind: x.kind, Key: x.record.Key, Name: x.record.Name, Hash: x.record.Hash, Missing: x.missing}
	h := fnv.New128a()
	fmt.Fprintf(h, "%v/%s", x.kind, x.record.Key)
	h.Sum(k.Ref[:0])
	return k
}

func (m *memory) one(kind plan.Kind, k identity.Key) (plan.Known, bool) {
	if x, ok := m.sides[kind][k]; ok {
		return x.known(), true
	}
	return plan.Known{}, false
}

func (m *memory) all(kind plan.Kind) iter.Seq[plan.Known] {
	return func(yield func(plan.Known) bool) {
		for _, x := range m.sides[kind] {
			if !yield(x.known()) {
				return
			}
		}
	}
}

func (m *memory) User(k identity.Key) (plan.Known, bool)  { return m.one(plan.User, k) }
func (m *memory) Group(k identity.Key) (plan.Known, bool) { return m.one(plan.Group, k) }
func (m *memory) Users() iter.Seq[plan.Known]             { return m.all(plan.User) }
func (m *memory) Groups() iter.Seq[plan.Known]            { return m.all(plan.Group) }
func (m *memory) Record(k plan.Known) *identity.Record    { return m.sides[k.Kind][k.Key].record }
func (m *memory) Members(k plan.Known) iter.Seq[plan.MemberKey] {
	return maps.Keys(m.sides[plan.Group][k.Key].members)
}

func (m *memory) Named(folded string) iter.Seq[plan.Known] {
	return func(yield func(plan.Known) bool) {
		if m.named == nil {
			m.named = map[string][]identity.Key{}
			for k := range m.Users() {
				name := identity.FoldName(k.Name)
				m.named[name] = append(m.named[name], k.Key)
			}
		}
		for _, key := range m.named[folded] {
			if k, _ := m.one(plan.User, key); !yield(k) {
				return
			}
		}
	}
}

func (m *memory) Total() (n plan.Total) {
	for k := range m.Users() {
		if k.Missing {
			n.UsersMissing++
		} else {
			n.Users++
		}
	}
	for k := range m.Groups() {
		if !k.Missing {
			n.Groups++
			n.Members += len(m.sides[plan.Group][k.Key].members)
		}
	}
	return n
}

func (m *memory) Hash(group bool, key identity.Key) (uint64, bool) {
	k, ok := m.one(kindOf(group), key)
	return k.Hash, ok && !k.Missing
}

func (m *memory) Present(group bool) iter.Seq[identity.Key] {
	return func(yield func(identity.Key) bool) {
		for k := range m.all(kindOf(group)) {
			if !k.Missing && !yield(k.Key) {
				return
			}
		}
	}
}

func (m *memory) Stored(group bool, key identity.Key) *identity.Record {
	if x, ok := m.sides[kindOf(group)][key]; ok && !x.missing {
		return x.record
	}
	return nil
}

func (m *memory) GroupsWith(group bool, key identity.Key) iter.Seq[identity.Key] {
	return func(yield func(identity.Key) bool) {
		for k, g := range m.sides[plan.Group] {
			if !g.missing && g.members[plan.MemberKey{Group: group, Key: key}] && !yield(k) {
				return
			}
		}
	}
}

// run reads from s, applies the plan, and returns both.
func (m *memory) run(tb testing.TB, s *ldap.Source, prove bool) (*identity.Observation, *plan.Plan) {
	tb.Helper()
	o, err := s.Pull(tb.Context(), sync.PullRequest{Since: m.at, Again: m.again, Prove: prove, Known: m})
	if err != nil {
		tb.Fatal(err)
	}
	p := m.apply(tb, o)
	if o.Proof.Users && o.Proof.Groups {
		m.at, m.again = o.Cursor, nil
		for _, c := range p.Conflicts {
			m.again = append(m.again, identity.Gone{Key: c.Key})
		}
	}
	return o, p
}

func (m *memory) apply(tb testing.TB, o *identity.Observation) *plan.Plan {
	tb.Helper()
	p, err := plan.Compute(m, o, plan.Policy{})
	if err != nil {
		tb.Fatal(err)
	}
	m.named = nil
	for _, s := range p.Steps {
		kind := kindOf(s.Op.OfGroup())
		switch x := m.sides[kind][s.Key]; s.Op {
		case plan.CreateUser, plan.CreateGroup:
			m.sides[kind][s.Key] = &remembered{kind: kind, record: s.After, members: map[plan.MemberKey]bool{}}
		case plan.DeactivateUser, plan.DeactivateGroup:
			x.missing = true
		case plan.ChangeMembers:
			for _, k := range s.Add {
				x.members[k] = true
			}
			for _, k := range s.Remove {
				delete(x.members, k)
			}
		default:
			x.record, x.missing = s.After, false
		}
	}
	return p
}

// picture draws what is present, sorted.
func (m *memory) picture() string {
	var lines []string
	for kind, of := range m.sides {
		for _, x := range of {
			if x.missing {
				continue
			}
			var members []string
			for k := range x.members {
				if y, ok := m.sides[kindOf(k.Group)][k.Key]; ok && !y.missing {
					members = append(members, fmt.Sprintf("%q", y.record.DN))
				}
			}
			slices.Sort(members)
			r := *x.record
			lines = append(lines, fmt.Sprintf("%v %+v\n\tmembers %v\n", plan.Kind(kind), r, members))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// clone returns a copy that reads everything.
func (m *memory) clone() *memory {
	c := newMemory()
	for i, of := range m.sides {
		for k, x := range of {
			y := *x
			y.members = maps.Clone(x.members)
			c.sides[i][k] = &y
		}
	}
	return c
}

// same compares a roll that followed changes with what it would be had everything been
// read instead.
func (m *memory) same(tb testing.TB, c ldap.Config, before *memory, when string) {
	tb.Helper()
	o, _ := before.run(tb, source(tb, c), false)
	proven(tb, o)
	if o.Reach != identity.ReachFull {
		tb.Fatalf("the comparison read %s", o.Reach)
	}
	if full, changes := before.picture(), m.picture(); full != changes {
		tb.Fatalf("%s: changes lead elsewhere (-full read +changes):\n%s", when, cmp.Diff(strings.Split(full, "\n"), strings.Split(changes, "\n")))
	}
}
