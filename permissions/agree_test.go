package permissions

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/identity"
)

// world is a random state: who is where, what was granted, what the catalogue has,
// and how the switches are.
type world struct {
	roll     *roll
	grants   map[GrantID]Grant
	custom   map[Permission]bool
	settings Settings
	now      time.Time
}

// asked are the permissions that occur: the built-in ones that settings look at, one
// that they do not, and two custom ones of which either may be missing from the
// catalogue.
var (
	asked  = slices.Concat([]Permission{ApplicationAdmin, UserAdmin, Governance, CreateDataSource, CreateDataSourceInProject, Audit}, custom)
	custom = []Permission{"APPROVER", "REVIEWER"}
)

// holders are a user and all groups that he is in, found by walking from group to group.
func (w *world) holders(user identity.UserID) []identity.Member {
	out := []identity.Member{identity.UserMember(user)}
	todo := w.roll.in[w.roll.userAt[user]]
	for i := 0; i < len(todo); i++ {
		if m := identity.GroupMember(w.roll.groups[todo[i]]); !w.roll.missing[todo[i]] && !slices.Contains(out, m) {
			out, todo = append(out, m), slices.Concat(todo, w.roll.nested[todo[i]])
		}
	}
	return out
}

// granted tells what would be, were everybody active and every switch at rest.
func (w *world) granted(of []identity.Member, p Permission) bool {
	for _, g := range w.grants {
		if g.Permission == p && slices.Contains(of, g.Subject) && (g.Expires.IsZero() || w.now.Before(g.Expires)) {
			return IsBuiltIn(p) || w.custom[p]
		}
	}
	return false
}

// allowed is the naive checker that all others are measured by.
func (w *world) allowed(user identity.UserID, p Permission) bool {
	who, ok := w.roll.Subject(user)
	if !ok || who.Inactive(w.now) != identity.Active {
		return false
	}
	has := w.holders(user)
	admin := w.granted(has, ApplicationAdmin) || w.granted(has, UserAdmin)
	governs := w.granted(has, Governance) && (!admin || !w.settings.AdminGovernorExclusive)
	subscribes := (w.settings.AdminsMaySubscribe || !admin) && (w.settings.GovernorsMaySubscribe || !governs)
	switch p {
	case Subscribe:
		return subscribes
	case Governance:
		return governs
	case CreateDataSource, CreateDataSourceInProject:
		return w.granted(has, p) && subscribes
	}
	return w.granted(has, p)
}

// why is the naive reason of a no.
func (w *world) why(user identity.UserID, p Permission) Denial {
	who, ok := w.roll.Subject(user)
	switch {
	case !ok:
		return UnknownUser
	case !IsBuiltIn(p) && !w.custom[p]:
		return UnknownPermission
	case who.Inactive(w.now) != identity.Active:
		return InactiveUser
	case w.granted(w.holders(user), p) && p == Governance:
		return Suppressed
	case w.granted(w.holders(user), p):
		return Masked
	}
	for _, g := range w.grants {
		if g.Permission == p && slices.Contains(w.holders(user), g.Subject) {
			return ExpiredGrant
		}
	}
	return NotGranted
}

func drawWorld(t *rapid.T) *world {
	w := &world{roll: &roll{}, grants: map[GrantID]Grant{}, custom: map[Permission]bool{}, now: at(10)}
	groups := rapid.IntRange(1, 8).Draw(t, "groups")
	some := rapid.SliceOfNDistinct(rapid.Uint32Range(0, uint32(groups-1)), 0, min(3, groups), rapid.ID[uint32])
	for g := range groups {
		w.roll.addGroup(some.Draw(t, "nested in")...)
		w.roll.missing[g] = rapid.IntRange(0, 5).Draw(t, "missing") == 0
	}
	day := rapid.SampledFrom([]int{0, 0, 0, 5, 10, 15})
	when := func(label string) (when time.Time) {
		if d := day.Draw(t, label); d > 0 {
			when = at(d)
		}
		return when
	}
	for range rapid.IntRange(1, 6).Draw(t, "users") {
		status := rapid.SampledFrom([]identity.Reason{"", "", "", identity.ReasonLocal, identity.ReasonMissing}).Draw(t, "status")
		local := rapid.Bool().Draw(t, "local")
		w.roll.addUser(Subject{Status: status, Expires: when("user expires"), Local: local}, some.Draw(t, "in")...)
	}
	for _, p := range custom {
		w.custom[p] = rapid.Bool().Draw(t, "in the catalogue")
	}
	w.settings = drawSettings(t)
	w.roll.close()
	return w
}

func drawSettings(t *rapid.T) Settings {
	return Settings{
		AdminGovernorExclusive: rapid.Bool().Draw(t, "exclusive"),
		AdminsMaySubscribe:     rapid.Bool().Draw(t, "admins may subscribe"),
		GovernorsMaySubscribe:  rapid.Bool().Draw(t, "governors may subscribe"),
		ForbidSelfGrant:        rapid.Bool().Draw(t, "forbid self-grant"),
		GrantRule:              rapid.SampledFrom([]GrantRule{GrantRuleUserAdmin, GrantRuleHeld}).Draw(t, "grant rule"),
	}
}

func drawGrant(t *rapid.T, w *world) Grant {
	subject := user(rapid.IntRange(0, len(w.roll.users)).Draw(t, "user")) // one of them is unknown
	if rapid.Bool().Draw(t, "to a group") {
		subject = group(rapid.IntRange(0, len(w.roll.groups)).Draw(t, "group"))
	}
	g := grant(GrantID(rapid.StringMatching(`[a-z]`).Draw(t, "id")),
		rapid.SampledFrom(asked).Draw(t, "permission"), subject)
	if d := rapid.SampledFrom([]int{0, 0, 5, 10, 15}).Draw(t, "grant expires"); d > 0 {
		g.Expires = at(d)
	}
	return g
}

// drawBook reaches the state by a history of puts and removals over several versions.
func drawBook(t *rapid.T, w *world) *Book {
	e := NewBook().Edit()
	for p, in := range w.custom {
		e.PutCustom(Entry{Name: p})
		if !in {
			e.RemoveCustom(p)
		}
	}
	e.SetSettings(w.settings)
	for range rapid.SampledFrom([]int{0, 8, 16, 32, 48}).Draw(t, "changes") {
		g := drawGrant(t, w)
		if rapid.SampledFrom([]int{0, 1, 2, 3, 4, 5}).Draw(t, "remove") == 0 {
			if _, had := w.grants[g.ID]; e.Remove(g.ID) != had {
				t.Fatalf("Remove(%s) = %v, want %v", g.ID, !had, had)
			}
			delete(w.grants, g.ID)
		} else {
			e.Put(g)
			w.grants[g.ID] = g
		}
		if rapid.Bool().Draw(t, "publish") {
			e = e.Book().Edit()
		}
	}
	return e.Book()
}

func TestAllWaysOfAskingAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		b := drawBook(t, w)
		for _, p := range asked {
			who := map[identity.UserID]int{}
			for u := range b.WhoCan(w.roll, p, w.now) {
				who[u]++
			}
			for n := range len(w.roll.users) + 1 {
				u := userID(n)
				checkPair(t, w, b, u, p)
				checkSubscribe(t, w, b, u)
				if want := w.allowed(u, p); who[u] != map[bool]int{true: 1}[want] {
					t.Fatalf("WhoCan(%s) yields user %d %d times, allowed: %v", p, n, who[u], want)
				}
			}
		}
	})
}

func checkPair(t *rapid.T, w *world, b *Book, u identity.UserID, p Permission) {
	want := w.allowed(u, p)
	r := Request{User: u, Permission: p, Now: w.now}
	d := b.Check(w.roll, r)
	if d.Allowed != want || (want && (d.Why != "" || !d.Grant.Effective(w.now))) {
		t.Fatalf("Check(%v, %s) = %+v, want allowed %v", u, p, d, want)
	}
	if why := w.why(u, p); !want && d.Why != why {
		t.Fatalf("Check(%v, %s) = %+v, want the denial %s", u, p, d, why)
	}
	e := b.Effective(w.roll, u, w.now)
	if got := e.Has(p); got != want {
		t.Fatalf("Effective(%v) has %s: %v, want %v", u, p, got, want)
	}
	checkWithheld(t, &e, p, d)
	x := b.Explain(w.roll, r)
	if x.Allowed != want || x.Why != d.Why || x.Status != d.Status && d.Why == InactiveUser {
		t.Fatalf("Explain(%v, %s) = %+v, want as Check: %+v", u, p, x, d)
	}
	checkPaths(t, w, b, r, &x)
	if !want {
		return
	}
	without := b.Edit()
	for _, path := range x.Paths {
		without.Remove(GrantID(path.grant().Grant))
	}
	if again := without.Book().Check(w.roll, r); again.Allowed {
		t.Fatalf("after removing the grants of all paths Check(%v, %s) still says yes, by %s", u, p, again.Grant.ID)
	}
}

// checkWithheld holds the lists of what settings withhold against the decision.
func checkWithheld(t *rapid.T, e *Effective, p Permission, d Decision) {
	for why, list := range map[Denial][]Withheld{Suppressed: e.Suppressed, Masked: e.Masked} {
		at := slices.IndexFunc(list, func(x Withheld) bool { return x.Permission == p })
		if (at >= 0) != (d.Why == why) {
			t.Fatalf("%s lists %s: %v, but Check = %+v", why, p, at >= 0, d)
		}
		if at >= 0 && (list[at].By[0].Setting != d.Setting || len(list[at].Grants) == 0 || !d.Grant.Effective(d.Grant.At)) {
			t.Fatalf("%s lists %+v, but Check = %+v", why, list[at], d)
		}
	}
	if (d.Setting != "") != (d.Why == Suppressed || d.Why == Masked) {
		t.Fatalf("Check = %+v: a setting is named exactly when it decides", d)
	}
}

func checkSubscribe(t *rapid.T, w *world, b *Book, u identity.UserID) {
	want := w.allowed(u, Subscribe)
	d, e := b.CheckSubscribe(w.roll, u, w.now), b.Effective(w.roll, u, w.now)
	if d.Allowed != want || e.MaySubscribe != want || (d.Why == "") != want {
		t.Fatalf("CheckSubscribe(%v) = %+v, Effective.MaySubscribe = %v, want %v", u, d, e.MaySubscribe, want)
	}
	if d.Why == Masked && d.Setting != e.Unsubscribed[0].Setting {
		t.Fatalf("CheckSubscribe(%v) = %+v, but Unsubscribed = %v", u, d, e.Unsubscribed)
	}
}

// checkPaths holds every step of every path against the raw edges.
func checkPaths(t *rapid.T, w *world, b *Book, r Request, x *Explanation) {
	for _, path := range slices.Concat(x.Paths, x.Blocked) {
		member := identity.UserMember(r.User)
		for _, s := range path.Steps[:len(path.Steps)-1] {
			within, ok := s.Group.Group()
			if s.Member.Member != member || !ok || !w.edge(member, w.roll.groupAt[within]) {
				t.Fatalf("step %+v of %+v is no membership", s, path)
			}
			member = s.Group.Member
		}
		g, ok := b.Grant(GrantID(path.grant().Grant))
		if !ok || g.Subject != member || g.Permission != r.Permission {
			t.Fatalf("path %+v ends with a grant to somebody else or of something else", path)
		}
		if expired := slices.Contains(path.BlockedBy, ExpiredGrant); expired == g.Effective(w.now) {
			t.Fatalf("path %+v: expired: %v", path, expired)
		}
		if withheld := slices.Contains(path.BlockedBy, Suppressed) || slices.Contains(path.BlockedBy, Masked); withheld != (len(x.Withheld) > 0) {
			t.Fatalf("path %+v: withheld: %v, but by %v", path, withheld, x.Withheld)
		}
	}
}

func (w *world) edge(m identity.Member, within uint32) bool {
	if g, ok := m.Group(); ok {
		return slices.Contains(w.roll.nested[w.roll.groupAt[g]], within)
	}
	u, _ := m.User()
	return slices.Contains(w.roll.in[w.roll.userAt[u]], within)
}

func TestTheBookFindsWhatWasPutAndOldVersionsStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		b := drawBook(t, w)
		want := maps.Clone(w.grants)
		e := b.Edit()
		for range 5 {
			e.Put(drawGrant(t, w))
			e.Remove(drawGrant(t, w).ID)
		}
		e.Book()
		checkIndexes(t, b, want)
	})
}

func checkIndexes(t *rapid.T, b *Book, want map[GrantID]Grant) {
	got := map[GrantID]Grant{}
	for g := range b.Grants() {
		got[g.ID] = *g
	}
	if !maps.Equal(got, want) || b.Len() != len(want) {
		t.Fatalf("Grants() = %v, Len() = %d, want %v", got, b.Len(), want)
	}
	clear(got)
	for _, p := range asked {
		held := false
		for g := range b.With(p) {
			if _, twice := got[g.ID]; twice || g.Permission != p {
				t.Fatalf("With(%s) yields %+v", p, g)
			}
			got[g.ID], held = *g, true
		}
		if b.Held(p) != held {
			t.Fatalf("Held(%s) = %v, want %v", p, !held, held)
		}
	}
	if !maps.Equal(got, want) {
		t.Fatalf("With() of all permissions = %v, want %v", got, want)
	}
	for id, g := range want {
		of := b.Of(g.Subject)
		if !slices.IsSortedFunc(of, compareGrants) ||
			!slices.ContainsFunc(of, func(x *Grant) bool { return x.ID == id }) {
			t.Fatalf("Of(%v) = %v, want sorted and with %s", g.Subject, of, id)
		}
	}
}
