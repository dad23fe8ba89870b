package state

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
)

var pusher = audit.Actor{Kind: audit.ActorPush, ID: "okta/k1", Name: "okta"}

// shoved is a record as a provider pushes it.
func shoved(key, name, external string) *identity.Record {
	return &identity.Record{
		Source: "okta", Key: identity.Key(key), Name: name,
		Profile: map[string]string{identity.DisplayName: "Mr " + name},
		Pushed: &identity.Pushed{
			Body: fmt.Appendf(nil, `{"userName":%q,"name":{"familyName":"x"},"size":1}`, name), External: external,
			Terms: []string{"externalId:" + external, "mail:" + name + "@example.org"},
		},
	}
}

func (o opened) push(t fataler, cs ...Change) store.Revision {
	t.Helper()
	rev, err := o.Push(context.Background(), pusher, func(*Snapshot) ([]Change, error) { return cs, nil })
	if err != nil {
		t.Fatalf("Push(%+v): %v", cs, err)
	}
	return rev
}

func TestPushedIsFoundByKeyAndTerm(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	u := identity.NewUserID()
	d.push(t, Create{Member: identity.UserMember(u), Record: shoved("k1", "ann", "00u1")})
	check := func(sn *Snapshot) {
		t.Helper()
		p, ok := sn.PushedUser("okta", "k1")
		if !ok || p.Body != `{"userName":"ann","name":{"familyName":"x"},"size":1}` || p.Created == "" || p.Gone || p.Member != identity.UserMember(u) {
			t.Errorf("PushedUser = %+v, %v", p, ok)
		}
		for _, term := range []string{"externalId:00u1", "mail:ann@example.org"} {
			n := 0
			for q := range sn.UsersByTerm("okta", term) {
				n++
				if q != p {
					t.Errorf("by term %q: %+v", term, q)
				}
			}
			if n != 1 {
				t.Errorf("by term %q: %d", term, n)
			}
		}
		for range sn.UsersByTerm("entra", "externalId:00u1") {
			t.Error("found in another source")
		}
	}
	check(d.View().Now())
	fresh := open(t, s)
	check(fresh.View().Now())
	fresh.stop()
	got, _, _ := d.View().Now().User(u)
	if want := shoved("k1", "ann", "00u1"); !got.Record.Equal(want) {
		t.Errorf("record %+v, want %+v", got.Record, want)
	}
	d.push(t, Update{Member: identity.UserMember(u), Record: shoved("k1", "anna", "00u2")})
	for range d.View().Now().UsersByTerm("okta", "externalId:00u1") {
		t.Error("found by what it no longer has")
	}
}

// What is pushed is unique within its source while it is there, and only then.
func TestPushedClaims(t *testing.T) {
	s := mem.New()
	d := open(t, s)
	defer d.stop()
	a, b := identity.UserMember(identity.NewUserID()), identity.UserMember(identity.NewUserID())
	d.push(t, Create{Member: a, Record: shoved("k1", "ann", "00u1")})
	push := func(c Change) error {
		_, err := d.Push(t.Context(), pusher, func(*Snapshot) ([]Change, error) { return []Change{c}, nil })
		return err
	}
	if err := push(Create{Member: b, Record: shoved("k2", "ANN", "00u2")}); !errors.Is(err, fault.Exists) {
		t.Errorf("same name: %v", err)
	}
	if err := push(Create{Member: b, Record: shoved("k2", "ben", "00u1")}); !errors.Is(err, fault.Stale) {
		t.Errorf("same external id: %v", err)
	}
	d.push(t, Deactivate{Member: a, Source: "okta"})
	d.push(t, Create{Member: b, Record: shoved("k2", "ann", "00u1")})
	if err := push(Update{Member: a, Record: shoved("k1", "ann", "00u3")}); !errors.Is(err, fault.Exists) {
		t.Errorf("return under a name that is taken: %v", err)
	}
	d.push(t, Update{Member: b, Record: shoved("k2", "bea", "")})
	d.push(t, Update{Member: a, Record: shoved("k1", "ann", "00u1")})
	d.push(t, Delete{Member: b, Source: "okta"})
	keys := []string{}
	for r := range all(t, s, keyName, keyExternal) {
		keys = append(keys, r.Key)
	}
	if want := []string{"v/n/okta/ann", "v/x/okta/u/00u1"}; !slices.Equal(keys, want) {
		t.Errorf("claims %q, want %q", keys, want)
	}
}

func all(t *testing.T, s store.Store, prefixes ...string) func(func(store.Record) bool) {
	return func(yield func(store.Record) bool) {
		for _, p := range prefixes {
			seq, _, err := s.List(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			for r, err := range seq {
				if err != nil {
					t.Fatal(err)
				}
				if !yield(r) {
					return
				}
			}
		}
	}
}

// Many push at once: no member is lost, of each name there is one user, and every push
// that was acknowledged has its audit entry.
func TestPushesAtOnce(t *testing.T) {
	s, _ := embedded(t)
	d := open(t, s)
	defer d.stop()
	g := identity.NewGroupID()
	group := &identity.Record{Source: "okta", Key: "g1", Name: "all", Pushed: &identity.Pushed{Body: []byte(`{}`)}}
	d.push(t, Create{Member: identity.GroupMember(g), Record: group})
	const clients, each = 16, 60
	var created, refused atomic.Int32
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				m := identity.UserMember(identity.NewUserID())
				name := fmt.Sprintf("user%d-%d", i, c/2) // two clients want each
				_, err := d.Push(context.Background(), pusher, func(*Snapshot) ([]Change, error) {
					return []Change{Create{Member: m, Record: shoved(m.String(), name, m.String())}}, nil
				})
				switch {
				case errors.Is(err, fault.Exists):
					refused.Add(1)
				case err != nil:
					t.Errorf("create: %v", err)
				default:
					created.Add(1)
				}
				if _, err := d.Push(context.Background(), pusher, func(*Snapshot) ([]Change, error) {
					return []Change{ChangeMembers{Group: g, Origin: "okta", Add: []identity.Member{m}}}, nil
				}); err != nil {
					t.Errorf("add a member: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if created.Load() != clients*each/2 || refused.Load() != clients*each/2 {
		t.Errorf("%d created, %d refused", created.Load(), refused.Load())
	}
	fresh := open(t, s)
	defer fresh.stop()
	sn := fresh.View().Now()
	if n := sn.groupSlot(g).own.len(); n != clients*each {
		t.Errorf("%d members, want %d", n, clients*each)
	}
	entries := 0
	for range all(t, s, keyAudit) {
		entries++
	}
	if want := 1 + clients*each/2 + clients*each; entries != want {
		t.Errorf("%d audit entries, want %d", entries, want)
	}
}

// A decision that panics hurts the one who made it.
func TestPushPanic(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	func() {
		defer func() {
			if v := recover(); v != "bad" {
				t.Errorf("recovered %v", v)
			}
		}()
		_, _ = d.Push(t.Context(), pusher, func(*Snapshot) ([]Change, error) { panic("bad") })
		t.Error("no panic")
	}()
	d.push(t, Create{Member: identity.UserMember(identity.NewUserID()), Record: shoved("k", "ann", "")})
}

// A group of any size can be given in one push, and grown by single members.
func TestPushManyMembers(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	g := identity.NewGroupID()
	group := &identity.Record{Source: "okta", Key: "g1", Name: "all", Pushed: &identity.Pushed{Body: []byte(`{}`)}}
	members := make([]identity.Member, 30_000)
	for i := range members {
		members[i] = identity.UserMember(identity.NewUserID())
	}
	d.push(t, Create{Member: identity.GroupMember(g), Record: group, Members: 10})
	d.push(t, ChangeMembers{Group: g, Origin: "okta", Add: members})
	d.push(t, ChangeMembers{Group: g, Origin: "okta", Add: []identity.Member{identity.UserMember(identity.NewUserID())}, Remove: members[:1]})
	set := d.View().Now().groupSlot(g).own
	if set.len() != len(members) || set.crowded(set.len()) {
		t.Errorf("%d members in %d chunks", set.len(), set.Buckets)
	}
}

// gate is a store whose next write waits until somebody opens it.
type gate struct {
	store.Store
	shut chan struct{} // of the write that waits; nil: none does
	came chan struct{}
	once sync.Once
}

func newGate(s store.Store) *gate {
	return &gate{Store: s, shut: make(chan struct{}), came: make(chan struct{})}
}

func (g *gate) Apply(ctx context.Context, t store.Txn) (store.Revision, error) {
	first := false
	g.once.Do(func() { first = true })
	if first {
		close(g.came)
		<-g.shut
	}
	return g.Store.Apply(ctx, t)
}

// queued sends pushes that wait, in their order, behind another one, does what is to be
// done meanwhile, and returns what came of them.
func queued(t *testing.T, o opened, held *gate, meanwhile func(), decide ...func(*Snapshot) ([]Change, error)) []error {
	t.Helper()
	errs := make([]error, len(decide))
	var all sync.WaitGroup
	all.Go(func() { o.push(t, Tell{Event: audit.Event{Action: "Told", Target: "x"}}) })
	<-held.came
	for i, f := range decide {
		all.Go(func() { _, errs[i] = o.Push(context.Background(), pusher, f) })
		for waiting := 0; waiting <= i; runtime.Gosched() {
			o.pushes.mu.Lock()
			waiting = len(o.pushes.queue)
			o.pushes.mu.Unlock()
		}
	}
	meanwhile()
	close(held.shut)
	all.Wait()
	return errs
}

// renamer returns a decision that adds to the name of a user, and counts how often it is
// made.
func renamer(m identity.Member, made *int, add string) func(*Snapshot) ([]Change, error) {
	return func(s *Snapshot) ([]Change, error) {
		*made++
		u, _ := m.User()
		now, _, _ := s.User(u)
		r := now.Record
		r.Name += add
		return []Change{Update{Member: m, Record: &r}}, nil
	}
}

// What is decided before its turn is written as it was decided, unless its ground has
// shifted since: by one who came before it, or by somebody else altogether.
func TestPushesAreDecidedAhead(t *testing.T) {
	s := mem.New()
	users := make([]identity.Member, 3)
	func() {
		d := open(t, s)
		defer d.stop()
		for i := range users {
			users[i] = identity.UserMember(identity.NewUserID())
			d.push(t, Create{Member: users[i], Record: shoved(users[i].String(), fmt.Sprintf("user%d", i), "")})
		}
	}()
	held := newGate(s)
	d := open(t, held)
	defer d.stop()
	var made [4]int
	errs := queued(t, d, held,
		func() {
			if _, err := d.Push(t.Context(), pusher, func(*Snapshot) ([]Change, error) { return nil, fault.Invalid }); !errors.Is(err, fault.Invalid) {
				t.Errorf("one that is refused, while the others wait: %v", err)
			}
			d.commit(t, pusher, Update{Member: users[2], Record: shoved(users[2].String(), "other", "")})
		},
		renamer(users[0], &made[0], "+a"), renamer(users[1], &made[1], "+a"), renamer(users[0], &made[2], "+b"), renamer(users[2], &made[3], "+a"))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"user0+a+b", "user1+a", "other+a"} {
		u, _ := users[i].User()
		if got, _, _ := d.View().Now().User(u); got.Record.Name != want {
			t.Errorf("the name is %q, want %q", got.Record.Name, want)
		}
	}
	if made[2] < 2 || made[3] < 2 {
		t.Errorf("decided %v times: what had shifted was not decided anew", made)
	}
}

// Who leaves his source while somebody puts him into a group is in no group then.
func TestWhoLeavesLeavesHisGroups(t *testing.T) {
	m, g := identity.UserMember(identity.NewUserID()), identity.NewGroupID()
	add := func(s *Snapshot) ([]Change, error) {
		if p, ok := s.PushedUser("okta", "ann"); !ok || p.Gone {
			return nil, nil
		}
		return []Change{ChangeMembers{Group: g, Origin: "okta", Add: []identity.Member{m}}}, nil
	}
	leave := func(s *Snapshot) ([]Change, error) {
		var cs []Change
		for h := range s.OwnGroups("okta", m) {
			cs = append(cs, ChangeMembers{Group: s.GroupID(h), Origin: "okta", Remove: []identity.Member{m}})
		}
		return append(cs, Deactivate{Member: m, Source: "okta"}), nil
	}
	for name, decide := range map[string][]func(*Snapshot) ([]Change, error){
		"and is put there first": {add, leave}, "and leaves first": {leave, add},
	} {
		t.Run(name, func(t *testing.T) {
			s := mem.New()
			func() {
				d := open(t, s)
				defer d.stop()
				d.push(t, Create{Member: m, Record: shoved("ann", "ann", "")})
				group := &identity.Record{Source: "okta", Key: "g1", Name: "all", Pushed: &identity.Pushed{Body: []byte(`{}`)}}
				d.push(t, Create{Member: identity.GroupMember(g), Record: group, Members: 10})
			}()
			held := newGate(s)
			d := open(t, held)
			defer d.stop()
			if err := errors.Join(queued(t, d, held, func() {}, decide...)...); err != nil {
				t.Fatal(err)
			}
			if set := d.View().Now().groupSlot(g).own; set.len() != 0 {
				t.Errorf("%d members are left", set.len())
			}
		})
	}
}

// Somebody else's write may be older than the transaction that it makes stale.
func TestPushIsDecidedAnewAfterAnothersWrite(t *testing.T) {
	s := mem.New()
	m := identity.UserMember(identity.NewUserID())
	func() {
		d := open(t, s)
		defer d.stop()
		d.push(t, Create{Member: m, Record: shoved("a", "ann", "")})
	}()
	held := newGate(s)
	d := open(t, held)
	defer d.stop()
	made := 0
	errs := queued(t, d, held,
		func() { d.commit(t, pusher, Update{Member: m, Record: shoved("a", "other", "")}) },
		renamer(m, &made, "+"))
	u, _ := m.User()
	if got, _, _ := d.View().Now().User(u); errs[0] != nil || got.Record.Name != "other+" || made != 2 {
		t.Errorf("the name is %q after %d decisions, %v", got.Record.Name, made, errs[0])
	}
}

// A decision that nothing has happened to since is not made twice.
func TestPushesAreDecidedOnce(t *testing.T) {
	s := mem.New()
	a, b := identity.UserMember(identity.NewUserID()), identity.UserMember(identity.NewUserID())
	func() {
		d := open(t, s)
		defer d.stop()
		d.push(t, Create{Member: a, Record: shoved("a", "ann", "")})
		d.push(t, Create{Member: b, Record: shoved("b", "ben", "")})
	}()
	held := newGate(s)
	d := open(t, held)
	defer d.stop()
	var made [2]int
	errs := queued(t, d, held, func() {}, renamer(a, &made[0], "+"), renamer(b, &made[1], "+"))
	if err := errors.Join(errs...); err != nil || made != [2]int{1, 1} {
		t.Errorf("decided %v times, %v", made, err)
	}
}

// A push that cannot be hurts none of those that come with it.
func TestPushesDoNotFallTogether(t *testing.T) {
	for name, foul := range map[string][]Change{
		"a term that is over": {Fenced{store.At("lead/over", 7)}, Tell{Event: audit.Event{Action: "Removed", Target: "x"}}},
		"a text that is none": {Tell{Event: audit.Event{Action: "Told", Target: "x", Name: "\xff"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := mem.New()
			open(t, s).stop()
			held := newGate(s)
			d := open(t, held)
			defer d.stop()
			u := identity.NewUserID()
			errs := queued(t, d, held, func() {},
				func(*Snapshot) ([]Change, error) { return foul, nil },
				func(*Snapshot) ([]Change, error) {
					return []Change{Create{Member: identity.UserMember(u), Record: shoved(u.String(), u.String(), "")}}, nil
				})
			if errs[0] == nil || errs[1] != nil {
				t.Errorf("the one that cannot be: %v; the other: %v", errs[0], errs[1])
			}
		})
	}
}
