package permissions

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
)

// scene is a world with its book. A write makes the next one and leaves this one be.
type scene struct {
	world
	book *Book
}

func (s *scene) view() View { return View{Members: s.roll, Book: s.book} }

// draft is a scene that a write is about to make, with whom the write reaches and
// which groups it gives something, as state finds them out.
type draft struct {
	scene
	edit   *Edit
	direct bool // it only puts grants to users: what a check of grants alone would see
	users  []func(View) iter.Seq[identity.UserID]
	groups []identity.GroupID
}

func (s *scene) draft() *draft {
	r := *s.roll
	r.users, r.who, r.in = slices.Clone(r.users), slices.Clone(r.who), slices.Clone(r.in)
	r.groups, r.missing, r.nested = slices.Clone(r.groups), slices.Clone(r.missing), slices.Clone(r.nested)
	return &draft{
		scene: scene{world: world{
			roll: &r, grants: maps.Clone(s.grants), custom: maps.Clone(s.custom), settings: s.settings, now: s.now,
		}},
		edit: s.book.Edit(), direct: true,
	}
}

func (d *draft) done() *scene {
	d.roll.close()
	d.edit.SetSettings(d.settings)
	d.book = d.edit.Book()
	return &d.scene
}

func (d *draft) reaches(m identity.Member) {
	d.users = append(d.users, func(v View) iter.Seq[identity.UserID] { return v.Reached(slices.Values([]identity.Member{m})) })
	if g, ok := m.Group(); ok {
		d.groups = append(d.groups, g)
	}
}

func (d *draft) affected(before View) iter.Seq[identity.UserID] {
	return func(yield func(identity.UserID) bool) {
		for _, v := range []View{before, d.view()} {
			for _, of := range d.users {
				for u := range of(v) {
					if !yield(u) {
						return
					}
				}
			}
		}
	}
}

// The writes that there are. Each changes the draft and says whom it reaches.

func (d *draft) put(t *rapid.T) {
	g := drawGrant(t, &d.world)
	if old, ok := d.grants[g.ID]; ok {
		d.reaches(old.Subject)
	}
	d.edit.Put(g)
	d.grants[g.ID] = g
	d.reaches(g.Subject)
	d.direct = d.direct && !g.Subject.IsGroup()
}

func (d *draft) revoke(t *rapid.T) {
	if len(d.grants) == 0 {
		return
	}
	g := d.grants[rapid.SampledFrom(slices.Sorted(maps.Keys(d.grants))).Draw(t, "revoked")]
	d.edit.Remove(g.ID)
	delete(d.grants, g.ID)
	d.reaches(g.Subject)
	d.direct = false
}

// turn puts something into a list, or takes it out when it is there.
func turn(list []uint32, x uint32) []uint32 {
	if at := slices.Index(list, x); at >= 0 {
		return slices.Delete(slices.Clone(list), at, at+1)
	}
	return append(slices.Clone(list), x)
}

func (d *draft) aUser(t *rapid.T) uint32 {
	return rapid.Uint32Range(0, uint32(len(d.roll.users)-1)).Draw(t, "user")
}

func (d *draft) aGroup(t *rapid.T) uint32 {
	return rapid.Uint32Range(0, uint32(len(d.roll.groups)-1)).Draw(t, "group")
}

func (d *draft) membership(t *rapid.T) {
	u := d.aUser(t)
	d.roll.in[u] = turn(d.roll.in[u], d.aGroup(t))
	d.reaches(identity.UserMember(d.roll.users[u]))
	d.direct = false
}

func (d *draft) nesting(t *rapid.T) {
	g := d.aGroup(t)
	d.roll.nested[g] = turn(d.roll.nested[g], d.aGroup(t))
	d.reaches(identity.GroupMember(d.roll.groups[g]))
	d.direct = false
}

func (d *draft) groupGoesOrReturns(t *rapid.T) {
	g := d.aGroup(t)
	d.roll.missing[g] = !d.roll.missing[g]
	d.reaches(identity.GroupMember(d.roll.groups[g]))
	d.direct = false
}

func (d *draft) standing(t *rapid.T) {
	u := d.aUser(t)
	d.roll.who[u].Status = rapid.SampledFrom([]identity.Reason{"", identity.ReasonLocal}).Draw(t, "status")
	d.roll.who[u].Expires = time.Time{}
	d.reaches(identity.UserMember(d.roll.users[u]))
	d.direct = false
}

func (d *draft) newUser(t *rapid.T) {
	if len(d.roll.users) < 8 {
		id := d.roll.addUser(Subject{Local: true}, d.aGroup(t))
		d.reaches(identity.UserMember(id))
		d.direct = false
	}
}

func (d *draft) catalogue(t *rapid.T) {
	p := rapid.SampledFrom(custom).Draw(t, "custom")
	if d.custom[p] = !d.custom[p]; d.custom[p] {
		d.edit.PutCustom(Entry{Name: p})
	} else {
		d.edit.RemoveCustom(p)
	}
	for g := range d.book0().With(p) {
		d.reaches(g.Subject)
	}
	d.direct = false
}

// book0 is the book as the draft has made it so far.
func (d *draft) book0() *Book { return d.edit.Book() }

func (d *draft) switches(t *rapid.T) {
	d.settings = drawSettings(t)
	d.users = append(d.users, View.SettingsReach)
	d.direct = false
}

// drawWrite is one write, or several in one transaction.
func drawWrite(t *rapid.T, d *draft) {
	kinds := []func(*rapid.T){
		d.put, d.put, d.revoke, d.membership, d.nesting, d.groupGoesOrReturns, d.standing, d.newUser, d.catalogue, d.switches,
	}
	for range rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, "writes at once") {
		rapid.SampledFrom(kinds).Draw(t, "write")(t)
	}
}

// beyond is what happens without a judge: a sync moves, loses and finds people of a
// directory, and time passes.
func beyond(t *rapid.T, d *draft) {
	u := d.aUser(t)
	switch rapid.SampledFrom([]string{"moves", "leaves", "returns", "time"}).Draw(t, "beyond") {
	case "moves":
		d.roll.in[u] = turn(d.roll.in[u], d.aGroup(t))
	case "time":
		d.now = d.now.AddDate(0, 0, 1)
	default:
		comesAndGoes(t, d, u)
	}
}

func comesAndGoes(t *rapid.T, d *draft, u uint32) {
	if !d.roll.who[u].Local {
		d.roll.who[u].Status = rapid.SampledFrom([]identity.Reason{"", identity.ReasonMissing}).Draw(t, "status")
	}
}

// The naive judge.

// could is what a user would have were he active and no switch thrown.
func (s *scene) could(u identity.UserID, p Permission) bool {
	_, ok := s.roll.Subject(u)
	return ok && s.granted(s.holders(u), p)
}

func (s *scene) both(u identity.UserID) bool {
	who, ok := s.roll.Subject(u)
	return ok && who.Inactive(s.now) == identity.Active && s.could(u, Governance) &&
		(s.could(u, ApplicationAdmin) || s.could(u, UserAdmin))
}

// carries is what somebody would get who is in one group only.
func (s *scene) carries(g uint32, p Permission) bool {
	probe := *s.roll
	probe.in, probe.userAt = [][]uint32{{g}}, map[identity.UserID]uint32{userID(999): 0}
	w := s.world
	w.roll = &probe
	return w.granted(w.holders(userID(999)), p)
}

func (s *scene) floor() bool {
	return slices.ContainsFunc(s.roll.who, func(who Subject) bool {
		held := map[Permission]bool{}
		for _, g := range s.grants {
			if g.Subject == identity.UserMember(s.roll.users[who.Handle]) && g.Expires.IsZero() {
				held[g.Permission] = true
			}
		}
		return who.Local && who.Status == identity.Active && who.Expires.IsZero() && held[ApplicationAdmin] && held[UserAdmin]
	})
}

func mayConfer(s *scene, w Writer, p Permission) bool {
	holds := func(p Permission) bool {
		return s.allowed(w.User, p) && (w.Limit == nil || slices.Contains(w.Limit, p))
	}
	return w.System || holds(UserAdmin) && (s.settings.GrantRule == GrantRuleUserAdmin || holds(p))
}

// verdict is the code of the refusal that a write deserves, "" for none.
func verdict(before, after *scene, w Writer) string {
	excludes := false
	for _, u := range after.roll.users {
		for _, p := range asked {
			raised := after.allowed(u, p) && !before.allowed(u, p) || after.could(u, p) && !before.could(u, p)
			self := u == w.User && before.settings.ForbidSelfGrant && !w.System
			if raised && (self || !mayConfer(before, w, p)) {
				return "grant_not_allowed"
			}
		}
		excludes = excludes || after.both(u) && (!before.settings.AdminGovernorExclusive || !before.both(u))
	}
	for g := range after.roll.groups {
		for _, p := range asked {
			if after.carries(uint32(g), p) && !before.carries(uint32(g), p) && !mayConfer(before, w, p) {
				return "grant_not_allowed"
			}
		}
	}
	switch {
	case excludes && after.settings.AdminGovernorExclusive:
		return "exclusive_roles"
	case before.floor() && !after.floor():
		return "last_administrator"
	}
	return ""
}

// court is what stands between a write and the store.
type court func(before View, d *draft, w Writer) error

func judges(before View, d *draft, w Writer) error {
	if err := JudgeGroups(before, d.view(), slices.Values(d.groups), w, d.now); err != nil {
		return err
	}
	return Judge(before, d.view(), d.affected(before), w, d.now)
}

// climb lets random actors write for a while, and a directory between them. It
// returns what was let through that must not be, or refused that need not be: "".
func climb(t *rapid.T, c court) string {
	w := drawWorld(t)
	now := &scene{world: *w, book: drawBook(t, w)}
	for i := range rapid.SampledFrom([]int{4, 8, 16}).Draw(t, "length") {
		d := now.draft()
		if rapid.SampledFrom([]int{0, 1, 2, 3}).Draw(t, "without a judge") == 0 {
			beyond(t, d)
			next := d.done()
			if now.floor() && !next.floor() {
				return fmt.Sprintf("step %d took the last administrator away, and nobody was asked", i)
			}
			now = next
			continue
		}
		by := Writer{User: userID(rapid.IntRange(0, len(now.roll.users)).Draw(t, "writer"))}
		switch rapid.SampledFrom([]int{0, 1, 2, 3, 4, 5, 6, 7}).Draw(t, "acts") {
		case 0:
			by = Writer{System: true}
		case 1:
			by.Limit = rapid.SliceOfDistinct(rapid.SampledFrom(asked), rapid.ID[Permission]).Draw(t, "key")
		}
		drawWrite(t, d)
		next := d.done()
		err := c(now.view(), d, by)
		want := verdict(now, next, by)
		if fault.Code(err) != want {
			return fmt.Sprintf("write %d by %+v: %v (%s), the naive judge says %q", i, by, err, fault.Code(err), want)
		}
		if err == nil {
			now = next
		}
	}
	return ""
}

func TestNobodyClimbs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if wrong := climb(t, judges); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

// TestWithoutAUserAdministratorNobodyRises leaves out everything that the naive judge
// knows: as long as nobody who is a user administrator writes, nobody ever gets what
// he did not have, whatever the others do, and whoever a directory brings back.
func TestWithoutAUserAdministratorNobodyRises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		first := &scene{world: *w, book: drawBook(t, w)}
		var others []identity.UserID
		for _, u := range first.roll.users {
			if !first.could(u, UserAdmin) {
				others = append(others, u)
			}
		}
		now := first
		for range rapid.SampledFrom([]int{4, 8, 16}).Draw(t, "length") {
			d := now.draft()
			if len(others) == 0 || rapid.Bool().Draw(t, "by a directory") {
				comesAndGoes(t, d, d.aUser(t))
				now = d.done()
				continue
			}
			drawWrite(t, d)
			next := d.done()
			if judges(now.view(), d, Writer{User: rapid.SampledFrom(others).Draw(t, "writer")}) == nil {
				now = next
			}
		}
		for _, u := range now.roll.users {
			for _, p := range asked {
				if now.could(u, p) && !first.could(u, p) {
					t.Fatalf("%v got %s", u, p)
				}
			}
		}
	})
}

// TestAWeakerJudgeIsFound breaks the choke point in every way that comes to mind. If
// the law above did not notice, it would be worth nothing.
func TestAWeakerJudgeIsFound(t *testing.T) {
	believing := func(change func(*Settings)) func(View) View { // other settings than there are
		return func(v View) View {
			e := v.Book.Edit()
			change(&e.settings)
			v.Book = e.Book()
			return v
		}
	}
	anyRule := believing(func(s *Settings) { s.GrantRule = GrantRuleUserAdmin })
	anySelf := believing(func(s *Settings) { s.ForbidSelfGrant = false })
	notExclusive := believing(func(s *Settings) { s.AdminGovernorExclusive = false })
	judge := func(before, after View, d *draft, w Writer) error {
		return Judge(before, after, d.affected(before), w, d.now)
	}
	groups := func(before, after View, d *draft, w Writer) error {
		return JudgeGroups(before, after, slices.Values(d.groups), w, d.now)
	}
	for name, broken := range map[string]court{
		"there is none": func(View, *draft, Writer) error { return nil },
		"it looks at grants to users only": func(before View, d *draft, w Writer) error {
			if !d.direct {
				return nil
			}
			return judges(before, d, w)
		},
		"it takes the writer as the write leaves him": func(before View, d *draft, w Writer) error {
			return cmp.Or(groups(d.view(), d.view(), d, w), judge(d.view(), d.view(), d, w))
		},
		"it forgets groups that nobody is in": func(before View, d *draft, w Writer) error {
			return judge(before, d.view(), d, w)
		},
		"it forgets that a key is limited": func(before View, d *draft, w Writer) error {
			return judges(before, d, Writer{User: w.User, System: w.System})
		},
		"it takes everybody for the system": func(before View, d *draft, _ Writer) error {
			return judges(before, d, Writer{System: true})
		},
		"it knows one rule only": func(before View, d *draft, w Writer) error {
			return cmp.Or(groups(anyRule(before), d.view(), d, w), judge(anyRule(before), d.view(), d, w))
		},
		"it forgets about oneself": func(before View, d *draft, w Writer) error {
			return cmp.Or(groups(before, d.view(), d, w), judge(anySelf(before), d.view(), d, w))
		},
		"it forgets that roles exclude each other": func(before View, d *draft, w Writer) error {
			return cmp.Or(groups(before, d.view(), d, w), judge(before, notExclusive(d.view()), d, w))
		},
		"it lets the last administrator go": func(before View, d *draft, w Writer) error {
			if err := judges(before, d, w); fault.Code(err) != "last_administrator" {
				return err
			}
			return nil
		},
		"it is shown nobody": func(before View, d *draft, w Writer) error {
			d.users = nil
			return judges(before, d, w)
		},
	} {
		t.Run(name, func(t *testing.T) {
			found := rapid.Custom(func(t *rapid.T) string { return climb(t, broken) })
			for seed := range 3000 {
				if found.Example(seed) != "" {
					return
				}
			}
			t.Error("three thousand sequences of writes, and nobody noticed")
		})
	}
}
