package history

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
)

// branch is how many people of a crowd are in a unit of their own.
const branch = 100

// people are a number of them, the last ones in a unit of their own.
func people(n int) func(*world) {
	return func(w *world) {
		w.unit("staff", "people")
		w.unit("branch", "people")
		for _, id := range ids(0, n-branch) {
			w.person(id, "staff")
		}
		for _, id := range ids(n-branch, n) {
			w.person(id, "branch")
		}
	}
}

func ids(from, to int) []string {
	out := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("p%05d", i))
	}
	return out
}

// allRenamed is the step that Samba needs minutes for: it looks through the group for
// each member that is at another DN.
const allRenamed = "their unit is renamed"

// crowds is the table of large groups, of which the larger has n members.
func crowds(n int) []step {
	id := func(i int) string { return ids(i, i+1)[0] }
	return []step{
		{name: "everything is new", tell: func(*world) {}},
		{name: "a group of 1,800", tell: func(w *world) { w.group("large", "groups", ids(0, 1_800)...) }},
		{name: "a group of all", tell: func(w *world) { w.group("huge", "groups", ids(1, n)...) }},
		{name: "one more in both", tell: func(w *world) {
			w.person("new", "staff")
			w.join("large", "new")
			w.join("huge", "new", id(0))
		}},
		{name: "one fewer in both", tell: func(w *world) { w.leave("large", id(7)); w.leave("huge", id(7)) }},
		{name: "a hundred go", tell: func(w *world) { w.leave("huge", ids(100, 200)...); w.leave("large", ids(300, 400)...) }},
		{name: "some return and others go", tell: func(w *world) { w.join("huge", ids(150, 180)...); w.leave("huge", ids(500, 520)...) }},
		{name: "in and out again", tell: func(w *world) { w.leave("huge", id(9)); w.join("huge", id(9), id(7)); w.leave("huge", id(7)) }},
		{name: "one within the other", tell: func(w *world) { w.join("huge", "large") }},
		{name: "the larger one is renamed", tell: func(w *world) { w.rename("huge", "vast") }},
		{name: "and renamed while somebody comes", tell: func(w *world) { w.rename("huge", "huge"); w.join("huge", id(100)) }},
		{name: "it is the first group of some", tell: func(w *world) {
			for _, p := range ids(20, 25) {
				w.primary(p, "huge")
			}
		}},
		{name: "of somebody else, and of one no more", tell: func(w *world) { w.primary(id(20), "large"); w.primary(id(25), "huge") }},
		{name: "and of nobody", tell: func(w *world) {
			for _, p := range ids(21, 26) {
				w.primary(p, "large")
			}
		}},
		{name: "a member is renamed", tell: func(w *world) { w.rename("new", "newer") }},
		{name: "a member is deleted", tell: func(w *world) { w.remove(id(3)) }},
		{name: "some are deleted as others come", tell: func(w *world) {
			for _, p := range ids(40, 45) {
				w.remove(p)
			}
			w.join("huge", ids(110, 115)...)
		}},
		{name: "the unit of a hundred is renamed", tell: func(w *world) { w.rename("branch", "bough") }},
		{name: allRenamed, tell: func(w *world) { w.rename("staff", "crew") }},
		{name: "the larger group is deleted", tell: func(w *world) { w.remove("huge") }},
		{name: "and a small one has its name", tell: func(w *world) { w.group("huge", "groups", ids(50, 60)...) }},
	}
}

// readers are those who follow one directory, each in a way of his own.
type readers []*player

// newReaders starts the directory of a family, which is read as the others say, too.
func newReaders(tb testing.TB, hello func(*world), first family, others ...family) readers {
	tb.Helper()
	all := readers{newPlayer(tb, first, hello)}
	for _, f := range others {
		p, g := *all[0], *all[0].ground
		p.ground, p.family, p.roll, p.admit, p.reaches = &g, f, newRoll(), map[identity.Key]bool{}, map[identity.Reach]int{}
		p.config.Changes = f.changes
		p.open()
		all = append(all, &p)
	}
	return all
}

// play tells a story to the end, or to the first step that goes wrong.
func (all readers) play(story []step) {
	teller := all[0]
	teller.Helper()
	for _, s := range story {
		s.tell(teller.world)
		teller.tell()
		want := teller.directory()
		for _, p := range all {
			if p.hear(s, want); p.Failed() {
				p.Fatalf("%s: while %s", p.family.name, s.name)
			}
		}
	}
	for _, p := range all {
		p.Logf("%s: reads %v", p.family.name, p.reaches)
		allowed := 1
		if p.family.blind { // each step is read twice
			allowed = 2
		}
		if whole := p.reaches[identity.ReachFull]; p.config.Changes != "none" && whole > allowed {
			p.Errorf("%s: everything was read %d times", p.family.name, whole)
		}
	}
}

// TestCrowds plays what happens to large groups, on one directory of each kind that is
// read in each way.
func TestCrowds(t *testing.T) {
	t.Parallel()
	const size = 20_000
	for _, ways := range [][]string{
		{"OpenLDAP", "OpenLDAP by time", "OpenLDAP whole"},
		{"389-ds that repairs nothing", "389-ds by time"},
		{"Active Directory", "Active Directory by numbers"},
	} {
		t.Run(ways[0], func(t *testing.T) {
			t.Parallel()
			all, story := []family{}, crowds(size)
			for _, name := range ways {
				all = append(all, familyOf(t, name))
			}
			if all[0].patches {
				story = slices.DeleteFunc(story, func(s step) bool { return s.name == allRenamed })
			}
			newReaders(t, people(size), all[0], all[1:]...).play(story)
		})
	}
}

func familyOf(tb testing.TB, name string) family {
	tb.Helper()
	all := families()
	at := slices.IndexFunc(all, func(f family) bool { return f.name == name })
	if at < 0 {
		tb.Fatalf("there is no family %q", name)
	}
	return all[at]
}
