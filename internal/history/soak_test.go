package history

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/sync"
)

var (
	rounds = flag.Int("rounds", 25, "how many rounds a soak has")
	seed   = flag.Uint64("seed", 1, "what its accidents follow from")
)

// soak makes up histories.
type soak struct {
	*player
	*rand.Rand
	made   int
	graves []string // login names of who is gone
	saved  []save
	// told counts changes, and events what else happened, by name.
	changes int
	events  map[string]int
	diary   []string // of the round
}

// save is a backup, and the story as of then.
type save struct {
	where  string
	things map[string]*thing
	graves []string
}

// TestSoak changes directories at random, while changes are read: between reads and
// during them, with runs that break off, daemons and directories that restart, and
// backups that are put back. After each round the roll is what the directory is, and at
// no time has anybody been removed whom the directory had.
func TestSoak(t *testing.T) {
	t.Parallel()
	t.Logf("make soak ROUNDS=%d SEED=%d", *rounds, *seed)
	for i, name := range []string{"OpenLDAP", "OpenLDAP without a session log", "OpenLDAP by name", "389-ds that repairs nothing", "Active Directory", "OpenLDAP by time", "Active Directory by numbers"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := slices.IndexFunc(families(), func(f family) bool { return f.name == name })
			s := &soak{
				player: newPlayer(t, families()[at], func(w *world) { w.unit("outside", ""); beginning(w) }),
				Rand:   rand.New(rand.NewPCG(*seed, uint64(i))),
				events: map[string]int{},
			}
			s.follow(sync.PullRequest{})
			for round := range *rounds {
				s.diary = nil
				s.play(round)
				if t.Failed() {
					return
				}
			}
			t.Logf("%d changes, reads %v, %v", s.changes, s.reaches, s.events)
		})
	}
}

// in reports true in one of n cases.
func (s *soak) in(n int) bool { return s.IntN(n) == 0 }

func (s *soak) happens(event string) {
	s.events[event]++
	s.diary = append(s.diary, "# "+event)
}

// tell lets the directory know, and the diary.
func (s *soak) tell() {
	s.Helper()
	s.diary = append(s.diary, s.ldif.String())
	s.player.tell()
}

func (s *soak) play(round int) {
	s.Helper()
	defer func() {
		if s.Failed() {
			s.Logf("that was round %d:\n%s", round, strings.Join(s.diary, "\n"))
		}
	}()
	s.round()
}

// round is some changes and what comes with them, and then a read in peace.
func (s *soak) round() {
	s.Helper()
	if s.in(3) {
		s.meanwhile()
	}
	s.some(1 + s.IntN(12))
	s.tell()
	if s.in(4) {
		s.breakOff()
		s.some(s.IntN(4))
		s.tell()
	}
	prove := false
	if s.in(6) {
		m := s.mishaps[s.IntN(len(s.mishaps))]
		s.happens(m.name)
		m.do()
		prove = m.forgets
	}
	if s.in(5) {
		s.happens("the daemon restarts")
		s.open()
	}
	if s.in(8) || s.restored() {
		prove = true
	}
	if prove {
		s.happens("everything is compared")
	}
	s.settled(prove)
}

// restored makes a backup or puts one back. What came after it is not undone by any
// change that the directory tells: only a comparison finds it.
func (s *soak) restored() bool {
	s.Helper()
	switch {
	case s.backup == nil:
		return false
	case s.in(10):
		s.saved = append(s.saved, save{s.backup(), s.snapshot(), slices.Clone(s.graves)})
	case len(s.saved) > 0 && s.in(8):
		s.happens("a backup is put back")
		old := s.saved[s.IntN(len(s.saved))]
		s.restore(old.where)
		s.things, s.graves = old.things, old.graves
		s.saved = nil // the next may not share what this one changes
		return true
	}
	return false
}

// settled reads in peace and compares.
func (s *soak) settled(prove bool) {
	s.Helper()
	want := s.directory()
	done := s.follow(sync.PullRequest{Prove: prove})
	s.nothingLost(want.without(disputedBy(done)))
	if s.family.blind && !prove {
		done = s.follow(sync.PullRequest{Prove: true})
	}
	disputed := disputedBy(done)
	s.compare(want, disputed)
	if len(disputed) > 0 && s.in(2) {
		s.happens("disputes are settled")
		for k := range disputed {
			s.admit[k] = true
		}
	}
}

// meanwhile changes the directory while it is read. What the read saw of it is not
// known; nobody is gone who was there before and after.
func (s *soak) meanwhile() {
	s.Helper()
	s.happens("changes during a read")
	before := s.directory()
	s.some(3)
	ldif := s.told()
	s.diary = append(s.diary, ldif)
	done := make(chan read)
	go func() { done <- s.pull(sync.PullRequest{Prove: s.events["changes during a read"]%4 == 0}) }()
	s.apply(ldif)
	r := <-done
	p := s.plan(r)
	s.take(r, p)
	after := s.directory().without(disputedBy(p))
	for k := range after.Users {
		if _, there := before.Users[k]; !there {
			delete(after.Users, k)
		}
	}
	for k := range after.Groups {
		if _, there := before.Groups[k]; !there {
			delete(after.Groups, k)
		}
	}
	s.nothingLost(after)
}

// breakOff applies a part of a plan, as a run does that is killed.
func (s *soak) breakOff() {
	s.Helper()
	s.happens("a run breaks off")
	r := s.pull(sync.PullRequest{})
	done := s.plan(r)
	if len(done.Steps) > 0 {
		if err := s.roll.apply(done.Steps[:s.IntN(len(done.Steps))]); err != nil {
			s.Fatalf("the plan does not fit the roll: %v", err)
		}
	}
	if s.in(2) {
		s.open()
	}
}

// some tells n changes.
func (s *soak) some(n int) {
	for range n {
		s.one()
		s.changes++
	}
}

// of lists the ids of one kind, below which a story may go on.
func (s *soak) of(k kind, fits func(*thing) bool) []string {
	var out []string
	for _, id := range s.ids() {
		x := s.things[id]
		if x.kind == k && id != "people" && id != "groups" && id != "outside" && fits(x) {
			out = append(out, id)
		}
	}
	return out
}

func anyone(*thing) bool { return true }

func (s *soak) pick(ids []string) string { return ids[s.IntN(len(ids))] }

// id makes up one that was never there.
func (s *soak) id() string {
	s.made++
	return fmt.Sprintf("x%d", s.made)
}

// loginName is new, or one of somebody who is gone.
func (s *soak) loginName(id string) string {
	if len(s.graves) == 0 || !s.in(4) {
		return id
	}
	i := s.IntN(len(s.graves))
	name := s.graves[i]
	s.graves = slices.Delete(s.graves, i, i+1)
	return name
}

func (s *soak) one() {
	people, units, groups := s.of(person, anyone), s.of(unit, anyone), s.of(group, anyone)
	somebody, place, some := s.pick(people), s.pick(units), s.pick(groups)
	switch n := s.IntN(100); {
	case n < 14 || len(people) < 20:
		id := s.id()
		s.personNamed(id, s.loginName(id), place)
		if s.in(2) {
			s.joins(some, id)
		}
	case n < 26:
		s.set(somebody, s.pick([]string{"title", "description", "telephoneNumber", "displayName"}), s.id())
	case n < 30:
		s.set(somebody, s.pick([]string{"title", "description", "telephoneNumber"}))
	case n < 36:
		s.set(somebody, "tags", []string{s.id(), s.id(), s.id()}[:s.IntN(4)]...)
	case n < 43:
		s.rename(somebody, s.id())
	case n < 50:
		s.move(somebody, place)
	case n < 53:
		s.move(somebody, "outside")
	case n < 56:
		s.rename(place, s.id())
	case n < 58:
		s.moveUnit(place, s.pick(append(units, "people")))
	case n < 62:
		s.disable(somebody, s.pickYesNo())
	case n < 65:
		s.expire(somebody, time.Date(2030+s.IntN(9), 1, 1, 0, 0, 0, 0, time.UTC))
	case n < 68:
		s.group(s.id(), "groups", somebody)
	case n < 80:
		s.joins(some, somebody)
	case n < 83:
		s.joins(some, s.pick(groups))
	case n < 90:
		s.leaves(some)
	case n < 96:
		s.removes(somebody)
	case n < 98 && len(groups) > 4:
		s.removes(some)
	default:
		s.firsts(some, somebody)
	}
}

func (s *soak) pickYesNo() yesno {
	if s.in(2) {
		return yes
	}
	return no
}

// moveUnit moves a unit unless the place is within it.
func (s *soak) moveUnit(id, to string) {
	for x := s.get(to); x != nil; x = x.above {
		if x == s.get(id) {
			return
		}
	}
	s.move(id, to)
}

// joins adds a member whom the group does not list already: it may list one who was at
// the same place.
func (s *soak) joins(id, member string) {
	g, m := s.get(id), s.get(member)
	_, value := s.member(m, s.dn(m))
	for _, listed := range g.members {
		if strings.EqualFold(listed, value) {
			return
		}
	}
	if _, in := g.members[m]; !in && m != g && m.first != g {
		s.join(id, member)
	}
}

func (s *soak) leaves(id string) {
	g := s.get(id)
	for _, m := range s.ids() {
		if _, in := g.members[s.get(m)]; in && s.in(2) {
			s.leave(id, m)
			return
		}
	}
}

// removes deletes a person or a group, unless it is the first group of somebody.
func (s *soak) removes(id string) {
	x := s.get(id)
	for _, other := range s.things {
		if other.first == x {
			return
		}
	}
	if x.kind == person {
		s.graves = append(s.graves, x.name)
	}
	s.remove(id)
}

// firsts gives somebody another first group, which he has to be in.
func (s *soak) firsts(id, member string) {
	g, m := s.get(id), s.get(member)
	if _, in := g.members[m]; in && s.saysFirst() {
		s.primary(member, id)
	}
}

// saysFirst flushes what was told: the number of a group is asked of the directory.
func (s *soak) saysFirst() bool {
	s.tell()
	return true
}
