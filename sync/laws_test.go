package sync_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// directory is a directory that changes: people and groups by key.
type directory struct {
	users  map[identity.Key]person
	groups map[identity.Key]map[string]bool // members as "u key" and "g key"
}

type person struct {
	name, dept string
	disabled   bool
}

func newDirectory() *directory {
	return &directory{users: map[identity.Key]person{}, groups: map[identity.Key]map[string]bool{}}
}

func (d *directory) copy() *directory {
	c := &directory{users: maps.Clone(d.users), groups: map[identity.Key]map[string]bool{}}
	for k, m := range d.groups {
		c.groups[k] = maps.Clone(m)
	}
	return c
}

// observe reads the directory. Entries whose hash the roll has are reduced to their
// keys, as a real source does.
func (d *directory) observe(proof identity.Proof, known sync.Known, hide func(identity.Key) bool) *identity.Observation {
	o := &identity.Observation{Source: corp, Proof: proof, Server: "ldap.example", Cursor: "next"}
	reduce := func(group bool, r *identity.Record) *identity.Record {
		if h, ok := known.Hash(group, r.Key); ok && h == r.Hash {
			return nil
		}
		return r
	}
	for k, p := range d.users {
		if hide(k) {
			continue
		}
		r := &identity.Record{Source: corp, Key: k, Name: p.name, Attributes: identity.Attributes{"dept": {p.dept}}}
		if p.disabled {
			r.Disabled = identity.ReasonDisabled
		}
		r.Hash = textHash(fmt.Sprint(p))
		o.Users = append(o.Users, identity.Seen{Key: k, Record: reduce(false, r)})
	}
	for k, members := range d.groups {
		if hide(k) {
			continue
		}
		seen := identity.Seen{Key: k, Record: reduce(true, &identity.Record{Source: corp, Key: k, Name: "name of " + string(k), Hash: 5})}
		for m := range members {
			if key, ok := strings.CutPrefix(m, "g "); ok {
				seen.Groups = append(seen.Groups, identity.Key(key))
			} else {
				seen.Users = append(seen.Users, identity.Key(m[2:]))
			}
		}
		o.Groups = append(o.Groups, seen)
	}
	return o
}

func textHash(s string) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(s) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// drift changes the directory at random.
func (d *directory) drift(t *rapid.T) {
	userKey := rapid.Custom(func(t *rapid.T) identity.Key {
		return identity.Key(fmt.Sprintf("u%d", rapid.IntRange(0, 11).Draw(t, "user")))
	})
	groupKey := rapid.Custom(func(t *rapid.T) identity.Key {
		return identity.Key(fmt.Sprintf("g%d", rapid.IntRange(0, 4).Draw(t, "group")))
	})
	for range rapid.IntRange(1, 8).Draw(t, "changes") {
		u, g := userKey.Draw(t, "u"), groupKey.Draw(t, "g")
		switch rapid.IntRange(0, 6).Draw(t, "change") {
		case 0, 1:
			d.users[u] = person{
				name: rapid.SampledFrom([]string{"ann", "bob", "cem", "dan", "eve", "fay", "gus"}).Draw(t, "name"),
				dept: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "dept"), disabled: rapid.Bool().Draw(t, "disabled"),
			}
		case 2:
			delete(d.users, u)
		case 3:
			if d.groups[g] == nil {
				d.groups[g] = map[string]bool{}
			}
		case 4:
			delete(d.groups, g)
		default:
			m := "u " + string(u)
			if rapid.Bool().Draw(t, "nested") {
				m = "g " + string(groupKey.Draw(t, "sub"))
			}
			if of := d.groups[g]; of[m] {
				delete(of, m)
			} else if of != nil {
				of[m] = true
			}
		}
	}
}

func nothing(identity.Key) bool { return false }

// patient lets everything through but an empty answer, which no limit can.
func patient(s *sync.SourceSpec) {
	all := plan.Limit{Share: 100_000}
	s.Limits = plan.Limits{
		Deactivations: all, GroupsRemoved: all, MembersRemoved: all, Creations: all, NamesChanged: all,
		OneGroup: plan.GroupLimit{Share: 100}, FirstRun: plan.FirstRunApply,
	}
}

func (h *house) reads(d *directory) {
	d = d.copy()
	h.source.set(func(_ context.Context, r sync.PullRequest) (*identity.Observation, error) {
		return d.observe(proven, r.Known, nothing), nil
	})
}

// sync runs to the end, approving what is held, and returns the last record.
func (h *house) sync() state.Run {
	h.t.Helper()
	run := h.run()
	if run.State != state.RunHeld {
		return run
	}
	if err := h.Approve(h.t.Context(), corp, run.Digest, audit.Actor{Kind: audit.ActorSystem, ID: "test"}); err != nil {
		h.t.Fatalf("Approve: %v", err)
	}
	for {
		changed := h.db.View().Changed()
		if h.held() == nil {
			run, err := h.Wait(h.t.Context(), corp, h.Status(corp).LastRun)
			if err != nil {
				h.t.Fatalf("Wait: %v", err)
			}
			return run
		}
		<-changed
	}
}

// local returns the stored bytes of all that is not a source's: grants, local layers,
// local members, permissions, tokens. The epoch is moved by whoever approves a plan.
func (h *house) local() map[string]string {
	h.t.Helper()
	records, _, err := h.store.List(context.Background(), "v/")
	if err != nil {
		h.t.Fatalf("list: %v", err)
	}
	rows := map[string]string{}
	for r, err := range records {
		if err != nil {
			h.t.Fatalf("list: %v", err)
		}
		ours := strings.HasPrefix(r.Key, "v/u/") || strings.HasPrefix(r.Key, "v/g/") || strings.HasPrefix(r.Key, "v/s/") ||
			r.Key == "v/term" || r.Key == "v/p/epoch" || strings.HasPrefix(r.Key, "v/m/") && strings.Contains(r.Key, "/corp/")
		if !ours {
			rows[r.Key] = fmt.Sprint(r.Rev, " ", string(r.Value))
		}
	}
	return rows
}

// subjects returns everyone in the roll.
func subjects(s *state.Snapshot) []identity.Member {
	var all []identity.Member
	for row := range s.Users(identity.UserID{}, time.Time{}) {
		all = append(all, row.Member)
	}
	for row := range s.Groups(identity.GroupID{}) {
		all = append(all, row.Member)
	}
	return all
}

// administrate returns a local write at random, to be done when it is called.
func (h *house) administrate(t *rapid.T) func() {
	all := subjects(h.db.View().Now())
	if len(all) == 0 {
		return func() {}
	}
	who := rapid.SampledFrom(all).Draw(t, "who")
	var c state.Change
	switch rapid.IntRange(0, 4).Draw(t, "write") {
	case 0, 1:
		p := rapid.SampledFrom([]permissions.Permission{permissions.Governance, permissions.UserAdmin}).Draw(t, "permission")
		c = state.PutGrant{Grant: permissions.Grant{ID: "g1", Permission: p, Subject: who, By: "root", Origin: "local"}}
	case 2:
		c = state.SetLocalAttribute{Member: who, Key: "desk", Values: []string{rapid.StringN(1, 4, 8).Draw(t, "desk")}}
	case 3:
		u, ok := who.User()
		if !ok {
			return func() {}
		}
		c = state.Disable{User: u, Reason: "left in anger"}
	default:
		g, ok := who.Group()
		if !ok {
			return func() {}
		}
		c = state.ChangeMembers{Group: g, Origin: identity.Local, Add: []identity.Member{rapid.SampledFrom(all).Draw(t, "member")}}
	}
	return func() {
		if _, err := h.db.Commit(context.Background(), admin, c); err != nil && !errors.Is(err, fault.Stale) {
			h.t.Errorf("an administrator's write: %v", err)
		}
	}
}

// during has f done just before the nth transaction from now on, and returns a
// function that gives what was local after it.
func (h *house) during(n int, f func()) (local func() map[string]string) {
	var count counter
	after := make(chan map[string]string, 1)
	h.store.Fail(func(store.Txn) error {
		if count.next() == n {
			f()
			after <- h.local()
		}
		return nil
	})
	return func() map[string]string {
		h.store.Fail(nil)
		select {
		case l := <-after:
			return l
		default: // there were fewer transactions
			return nil
		}
	}
}

// sameAsFresh compares the view with what opening the same store anew gives.
func (h *house) sameAsFresh() {
	h.t.Helper()
	fresh, err := state.Open(context.Background(), state.Options{Store: h.store})
	if err != nil {
		h.t.Fatalf("open the state anew: %v", err)
	}
	if diff := cmp.Diff(picture(fresh.View().Now()), h.roll()); diff != "" {
		h.t.Fatalf("the view differs from a fresh read (-fresh +view):\n%s", diff)
	}
}

func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := build(t, mem.New(), patient).open()
		defer func() { h.stop() }()
		dir := newDirectory()
		for range rapid.IntRange(1, 7).Draw(t, "steps") {
			dir.drift(t)
			if rapid.Bool().Draw(t, "an administrator writes before") {
				h.administrate(t)()
			}
			local, before := h.local(), h.roll()
			meanwhile := func() map[string]string { return nil }
			if rapid.Bool().Draw(t, "an administrator writes during the run") {
				meanwhile = h.during(rapid.IntRange(0, 6).Draw(t, "at"), h.administrate(t))
			}
			switch rapid.IntRange(0, 4).Draw(t, "run") {
			case 0:
				h.unproven(t, dir, before)
			case 1:
				h.source.fails("down")
				h.wantRun(state.RunFailed)
				if diff := cmp.Diff(sourced(before), sourced(h.roll())); diff != "" {
					t.Fatalf("a failed read changed the roll:\n%s", diff)
				}
			default:
				h.reads(dir)
				h.whole(t)
			}
			if l := meanwhile(); l != nil {
				local = l
			}
			if diff := cmp.Diff(local, h.local()); diff != "" {
				t.Fatalf("a run changed what is not its source's:\n%s", diff)
			}
			h.sameAsFresh()
		}
	})
}

// sourced leaves out of a picture what administrators put there.
func sourced(lines []string) []string {
	var out []string
	for _, l := range lines {
		l, _, _ = strings.Cut(l, " local:")
		if l = strings.TrimSuffix(l, "+local"); !strings.HasSuffix(l, " local") {
			out = append(out, l)
		}
	}
	return out
}

// whole syncs a whole directory, and then plans again.
func (h *house) whole(t *rapid.T) {
	if run := h.sync(); run.State != state.RunSucceeded {
		t.Fatalf("the run ended as %s: %s", run.State, run.Error)
	}
	p, _, err := h.Plan(context.Background(), corp, "root")
	if err != nil || !p.IsEmpty() {
		t.Fatalf("planned again after it was applied: %v, %+v", err, p)
	}
}

// unproven syncs a part of the directory without a proof.
func (h *house) unproven(t *rapid.T, dir *directory, before []string) {
	hidden := rapid.SampledFrom([]string{"u1", "u2", "u3", "g1", "u", "g", ""}).Draw(t, "hidden")
	d := dir.copy()
	h.source.set(func(_ context.Context, r sync.PullRequest) (*identity.Observation, error) {
		return d.observe(identity.Proof{Why: "a page was lost"}, r.Known, func(k identity.Key) bool {
			return strings.HasPrefix(string(k), hidden)
		}), nil
	})
	if run := h.sync(); run.State != state.RunSucceeded { // it may be held: the source is marked until a read is proven
		t.Fatalf("the run ended as %s: %s", run.State, run.Error)
	}
	after := h.roll()
	missing := func(lines []string) int {
		return len(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !strings.Contains(l, " missing") }))
	}
	if missing(after) > missing(before) {
		t.Fatalf("an unproven read deactivated somebody: before %v, after %v", before, after)
	}
	for _, line := range before {
		if strings.HasSuffix(line, " corp") && !slices.Contains(after, line) && !slices.Contains(after, line+"+local") {
			t.Fatalf("an unproven read ended a membership: %s", line)
		}
	}
}

// A blow is what befalls a run at its nth transaction.
type blow string

const (
	refused blow = "the store refuses it"
	lost    blow = "its answer is lost"
	killed  blow = "the process is killed"
	deposed blow = "the lease runs out"
)

var errBlow = fault.New(fault.Unavailable, "blow", "the store is away")

// strike lets the nth transaction that a run writes meet the blow.
func strike(s *mem.Store, n int, b blow, stop context.CancelFunc) {
	var count counter
	s.Fail(func(txn store.Txn) error {
		at := count.next()
		switch {
		case at < n || at > n && b != killed:
			return nil
		case b == lost:
			return mem.AnswerLost
		case b == deposed:
			s.Fail(nil)
			records, _, err := s.List(context.Background(), "leader/")
			if err != nil {
				return err
			}
			for r, err := range records {
				if err != nil {
					return err
				}
				if _, err := s.Apply(context.Background(), store.Txn{Then: []store.Op{store.Delete(r.Key)}}); err != nil {
					return err
				}
			}
			return nil
		case b == killed:
			stop()
		}
		return errBlow
	})
}

// crowded is a directory of enough people and members for several transactions in
// each phase, and for a group whose members take a new generation.
func crowded(people, inGroup int) *directory {
	d := newDirectory()
	for i := range people {
		d.users[identity.Key(fmt.Sprintf("u%d", i))] = person{name: fmt.Sprintf("p%d", i), dept: "a"}
	}
	for g := range 5 {
		members := map[string]bool{fmt.Sprintf("g g%d", (g+1)%5): true}
		for i := range inGroup {
			members[fmt.Sprintf("u u%d", (i*7+g)%people)] = true
		}
		d.groups[identity.Key(fmt.Sprintf("g%d", g))] = members
	}
	return d
}

// changed is the same directory some time later: people come, go and are changed,
// and the groups have other members, more of them.
func changed(people, inGroup int) *directory {
	d := crowded(people+people/2, inGroup)
	for i := range people / 3 {
		delete(d.users, identity.Key(fmt.Sprintf("u%d", i*2)))
		d.users[identity.Key(fmt.Sprintf("u%d", i*2+1))] = person{name: fmt.Sprintf("q%d", i), dept: "b"}
	}
	delete(d.groups, "g4")
	return d
}

// TestAKilledRunEndsWhereAnUnbrokenOneEnds strikes each transaction of a run in each
// way, runs again, and compares.
func TestAKilledRunEndsWhereAnUnbrokenOneEnds(t *testing.T) {
	from, to := crowded(700, 60), changed(700, 500)
	begin := func(t tester) *house {
		h := build(t, mem.New(), patient).open()
		h.reads(from)
		if run := h.sync(); run.State != state.RunSucceeded {
			t.Fatalf("the run before: %s %s", run.State, run.Error)
		}
		h.grantSomething()
		h.reads(to)
		return h
	}
	unbroken := begin(t)
	var count counter
	unbroken.store.Fail(func(store.Txn) error { count.next(); return nil })
	if run := unbroken.sync(); run.State != state.RunSucceeded {
		t.Fatalf("the unbroken run: %s %s", run.State, run.Error)
	}
	want, steps := unbroken.roll(), count.next()
	unbroken.stop()
	if steps < 10 {
		t.Fatalf("the run took %d transactions, too few to show anything", steps)
	}
	for n := range steps {
		for _, b := range []blow{refused, lost, killed, deposed} {
			t.Run(fmt.Sprintf("at %d %s", n, b), func(t *testing.T) {
				h := begin(t)
				local := h.local()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				strike(h.store, n, b, cancel)
				h.attempt(ctx)
				h.stop()
				h.store.Fail(nil)

				next := build(t, h.store, patient).open()
				defer next.stop()
				next.reads(to)
				if run := next.sync(); run.State != state.RunSucceeded {
					t.Fatalf("the run after: %s %s", run.State, run.Error)
				}
				if diff := cmp.Diff(want, next.roll()); diff != "" {
					t.Errorf("the roll (-unbroken +broken):\n%s", diff)
				}
				if diff := cmp.Diff(local, next.local()); diff != "" {
					t.Errorf("what is local:\n%s", diff)
				}
				next.sameAsFresh()
				runs, err := next.db.Runs(t.Context(), corp)
				if err != nil {
					t.Fatal(err)
				}
				for _, run := range runs {
					if run.State == state.RunApplying {
						t.Errorf("run %s is still said to be applying", run.ID)
					}
				}
			})
		}
	}
}

// attempt runs once and does not mind how that ends, or that it never does.
func (h *house) attempt(ctx context.Context) {
	r, err := h.Start(ctx, corp, "root")
	if err == nil {
		_, _ = h.Wait(ctx, corp, r.ID)
	}
}

func (h *house) grantSomething() {
	for i, m := range subjects(h.db.View().Now()) {
		if i%40 != 0 {
			continue
		}
		g := permissions.Grant{ID: "g1", Permission: permissions.Governance, Subject: m, By: "root", Origin: "local"}
		if _, err := h.db.Commit(context.Background(), admin, state.PutGrant{Grant: g}); err != nil {
			h.t.Fatalf("grant: %v", err)
		}
	}
}
