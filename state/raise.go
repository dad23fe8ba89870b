package state

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// Weigh writes into a plan what applying it would change of what people may do at an
// instant, and, when the plan is marked, whom it raises. What default permissions give
// to those whom a first run creates is a consequence and raises nobody: who set the list
// conferred it on whomever the source shows. Once the source was read, or was changed
// over the API, he who changed how it is read chose the newcomers, and they count.
//
// It looks only at people of whom it can differ: those whose standing changes, and those
// who come into, or leave, or are below, a group that gives its members something. A
// roll without grants is not looked at at all.
func (s *Snapshot) Weigh(p *plan.Plan, now time.Time) {
	p.Consequences, p.Raised = nil, nil
	if d, _ := s.Defaults(p.Source); p.IsEmpty() || s.book.Len() == 0 && len(d.Permissions) == 0 {
		return
	}
	w := s.would(p)
	book := w.giveDefaults(s.book)
	x := &weighing{
		wouldBe: w, now: now, book: book, tallies: map[permissions.Permission]*tally{},
		diff: permissions.Compare(s.roll(), permissions.View{Members: w, Book: book}, now),
	}
	x.collect()
	for h := range x.whom.all {
		x.user(h)
	}
	x.tell()
}

// Weighed makes a Commit happen only while nobody has decided anything since the snapshot
// on which a plan was weighed; else it is fault.Stale. It writes nothing.
type Weighed struct{ On *Snapshot }

func (c Weighed) build(t *txn) error { //nolint:unparam // a Change may fail
	t.base(keyEpoch, c.On.epoch)
	return nil
}

// giveDefaults returns a book in which one group of all newcomers has the default
// permissions, so that they cost the same for one and for a hundred thousand.
func (w *wouldBe) giveDefaults(b *permissions.Book) *permissions.Book {
	if len(w.defaults) == 0 {
		return b
	}
	e := b.Edit()
	for _, p := range w.defaults {
		e.Put(permissions.Grant{ID: permissions.GrantID("default/" + p), Permission: p, Subject: identity.GroupMember(w.GroupID(w.everybody))})
	}
	return e.Book()
}

// weighing is one weighing under way.
type weighing struct {
	*wouldBe

	now     time.Time
	book    *permissions.Book
	diff    *permissions.Comparison
	whom    handles
	tallies map[permissions.Permission]*tally
}

// tally is what a plan changes of one permission.
type tally struct {
	gain, lose int
	few        []gainer // by name
}

type gainer struct {
	name string
	h    uint32
}

// collect finds the memberships that matter, and everybody of whom the answer can
// differ.
func (x *weighing) collect() {
	x.edges(func(m plan.MemberKey) bool { return !m.Group }, x.matters)
	for h := range x.standing {
		x.whom.add(h)
	}
	if len(x.defaults) > 0 {
		for i := range x.newUsers {
			x.whom.add(x.users + uint32(i))
		}
	}
	for _, edges := range [][]edge{x.come, x.left} {
		for _, e := range edges {
			x.whom.add(e.of.handle())
		}
	}
	if x.closure == nil {
		return
	}
	for g := range x.groups {
		if x.differs(g) {
			x.slot(g).refs(func(r ref) bool {
				if !r.isGroup() {
					x.whom.add(r.handle())
				}
				return true
			})
		}
	}
}

// matters reports whether a group gives its members anything, before or after.
func (x *weighing) matters(group uint32) bool {
	return x.slot(group).present() && x.diff.CarriesBefore(group) || x.presentAfter(group) && x.diff.CarriesAfter(group)
}

// differs reports whether a group that the roll has gives its members something else
// after the plan.
func (x *weighing) differs(group uint32) bool {
	was, is := x.slot(group).present(), x.presentAfter(group)
	if was && is {
		return !x.diff.CarriesSame(group)
	}
	return was && x.diff.CarriesBefore(group) || is && x.diff.CarriesAfter(group)
}

// redirected reports whether a marked plan is of a source that stood for something else
// when its default permissions were conferred.
func (x *weighing) redirected() bool {
	st := x.Snapshot.Source(x.plan.Source)
	return st.Config != "" || !st.Marked.IsZero()
}

// user compares one user and notes what differs.
func (x *weighing) user(h uint32) {
	d := x.diff.User(x.wouldBe.user(h))
	for _, p := range d.Gained {
		t := x.tally(p)
		t.gain++
		t.few = keepFew(t.few, gainer{x.name(h), h})
	}
	for _, p := range d.Lost {
		x.tally(p).lose++
	}
	if !x.plan.Marked {
		return
	}
	for _, p := range d.Raised {
		if h >= x.users && !x.redirected() && slices.Contains(x.defaults, p) {
			continue
		}
		r := plan.Raised{Permission: string(p), Person: x.person(h, p)}
		switch {
		case h >= x.users:
			r.Key = x.newUsers[h-x.users].Key
		default:
			u := x.Snapshot.users.Ref(int(h))
			r.ID = identity.UserMember(u.id).Bytes()
			if u.source == x.plan.Source {
				r.Key = u.key
			}
		}
		x.plan.Raised = append(x.plan.Raised, r)
	}
}

func (x *weighing) tally(p permissions.Permission) *tally {
	t := x.tallies[p]
	if t == nil {
		t = &tally{}
		x.tallies[p] = t
	}
	return t
}

// keepFew keeps those whose names come first.
func keepFew(few []gainer, g gainer) []gainer {
	at, _ := slices.BinarySearchFunc(few, g, func(a, b gainer) int { return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.h, b.h)) })
	if at == plan.FewPeople {
		return few
	}
	few = slices.Insert(few, at, g)
	return few[:min(len(few), plan.FewPeople)]
}

// tell writes what was found into the plan, in a fixed order.
func (x *weighing) tell() {
	for p, t := range x.tallies {
		c := plan.Consequence{Permission: string(p), Gain: t.gain, Lose: t.lose}
		for _, g := range t.few {
			c.People = append(c.People, x.person(g.h, p))
		}
		x.plan.Consequences = append(x.plan.Consequences, c)
	}
	slices.SortFunc(x.plan.Consequences, func(a, b plan.Consequence) int { return strings.Compare(a.Permission, b.Permission) })
	plan.SortRaised(x.plan.Raised)
}

func (x *weighing) name(h uint32) string {
	if h >= x.users {
		return x.newUsers[h-x.users].Name
	}
	return x.Snapshot.users.Ref(int(h)).name
}

// person says who gains a permission, and by what.
func (x *weighing) person(h uint32, p permissions.Permission) plan.Person {
	who := plan.Person{Name: x.name(h)}
	if x.grants(identity.UserMember(x.wouldBe.user(h)), p) {
		return who
	}
	for _, direct := range x.DirectGroups(h) {
		for _, g := range append([]uint32{direct}, x.Above(direct)...) {
			if !x.grants(identity.GroupMember(x.GroupID(g)), p) {
				continue
			}
			if name := x.groupName(g); who.Through == "" || name < who.Through {
				who.Through = name
			}
		}
	}
	return who
}

func (x *weighing) grants(subject identity.Member, p permissions.Permission) bool {
	return slices.ContainsFunc(x.book.Of(subject), func(g *permissions.Grant) bool { return g.Permission == p && g.Effective(x.now) })
}

func (x *weighing) groupName(g uint32) string {
	switch {
	case g == x.everybody:
		return "default:" + string(x.plan.Source)
	case g >= x.groups:
		return x.newGroups[g-x.groups].Name
	}
	return x.slot(g).name
}

// handles is a set of handles, which are small numbers.
type handles []uint64

func (s *handles) add(h uint32) {
	if n := int(h/64) + 1 - len(*s); n > 0 {
		*s = append(*s, make(handles, n)...)
	}
	(*s)[h/64] |= 1 << (h % 64)
}

// all yields the handles in order.
func (s handles) all(yield func(uint32) bool) {
	for i, word := range s {
		for h := uint32(i * 64); word != 0; h, word = h+1, word>>1 {
			if word&1 == 1 && !yield(h) {
				return
			}
		}
	}
}
