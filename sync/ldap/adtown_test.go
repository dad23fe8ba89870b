package ldap_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// adTown is a small domain that changes at random. It knows people and groups by
// number; group 0 is Domain Users.
type adTown struct {
	rnd    *rand.Rand
	suffix string
	people map[int]*adPerson
	clans  map[int]*adClan
	units  []string
	next   int
	// What happened since it was last looked at:
	deleted  bool // somebody
	stranger bool // was somebody out of reach
}

type adPerson struct {
	rdn, unit string
	primary   int
}

type adClan struct {
	dn      string
	rid     int
	members map[string]bool // "p1", "g2", "c3"
}

func newADTown(seed uint64, suffix string) *adTown {
	return &adTown{
		rnd: rand.New(rand.NewPCG(seed, 2)), suffix: suffix, people: map[int]*adPerson{},
		clans: map[int]*adClan{0: {dn: "CN=Domain Users,CN=Users," + suffix, rid: 513, members: map[string]bool{}}},
	}
}

func (w *adTown) unit(name string) string {
	if name == "OU=Elsewhere" {
		return name + "," + w.suffix
	}
	return name + ",OU=Staff," + w.suffix
}

func (w *adTown) dn(i int) string      { return w.people[i].rdn + "," + w.unit(w.people[i].unit) }
func (w *adTown) contact(i int) string { return fmt.Sprintf("CN=c%d,OU=Elsewhere,%s", i, w.suffix) }

// found makes the town, whose groups have their numbers once numbered was called.
func (w *adTown) found() string {
	var b strings.Builder
	for _, ou := range []string{"OU=Staff", "OU=Groups", "OU=Elsewhere"} {
		fmt.Fprintf(&b, "dn: %s,%s\nobjectClass: organizationalUnit\n\n", ou, w.suffix)
	}
	for i := range 3 {
		w.units = append(w.units, fmt.Sprintf("OU=u%d", i))
		fmt.Fprintf(&b, "dn: %s\nobjectClass: organizationalUnit\n\n", w.unit(w.units[i]))
	}
	for i := range 2 {
		fmt.Fprintf(&b, "dn: %s\nobjectClass: contact\n\n", w.contact(i))
	}
	for range 25 {
		b.WriteString(w.settle())
	}
	for range 6 {
		b.WriteString(w.gather())
	}
	return b.String()
}

// numbered learns the relative identifiers of groups.
func (w *adTown) numbered(t testing.TB, s *dirtest.Samba) {
	for _, e := range s.Dump(t, "OU=Groups,"+w.suffix, "(objectClass=group)", "objectSid") {
		for _, g := range w.clans {
			if strings.EqualFold(g.dn, e.DN) {
				g.rid = ridOf(e.First("objectSid"))
			}
		}
	}
}

func ridOf(sid string) int { return int(binary.LittleEndian.Uint32([]byte(sid[len(sid)-4:]))) }

func (w *adTown) settle() string {
	i := w.next
	w.next++
	w.people[i] = &adPerson{rdn: fmt.Sprintf("CN=p%d", i), unit: w.units[w.rnd.IntN(len(w.units))]}
	return w.add(i, fmt.Sprintf("p%d", i))
}

func (w *adTown) add(i int, login string) string {
	return fmt.Sprintf("dn: %s\nchangetype: add\nobjectClass: user\nsAMAccountName: %s\nuserAccountControl: 544\nmail: p%d@example.org\n\n", w.dn(i), login, i)
}

func (w *adTown) gather() string {
	i := w.next
	w.next++
	w.clans[i] = &adClan{dn: fmt.Sprintf("CN=g%d,OU=Groups,%s", i, w.suffix), members: map[string]bool{}}
	first := w.someone()
	w.clans[i].members[w.name(first)] = true
	return fmt.Sprintf("dn: %s\nchangetype: add\nobjectClass: group\nsAMAccountName: g%d\nmember: %s\n\n", w.clans[i].dn, i, w.dn(first))
}

func (w *adTown) name(i int) string { return fmt.Sprintf("p%d", i) }

func pick[V any](w *adTown, from map[int]V) int {
	keys := slices.Sorted(maps.Keys(from))
	return keys[w.rnd.IntN(len(keys))]
}

func (w *adTown) someone() int { return pick(w, w.people) }

// group picks any but Domain Users.
func (w *adTown) group() int {
	for {
		if g := pick(w, w.clans); g != 0 {
			return g
		}
	}
}

func (w *adTown) leave(i int) {
	w.stranger = w.stranger || w.people[i].unit == "OU=Elsewhere"
	delete(w.people, i)
	for _, g := range w.clans {
		delete(g.members, w.name(i))
	}
	w.deleted = true
}

func modify(dn, change string, args ...any) string {
	return fmt.Sprintf("dn: %s\nchangetype: modify\n", dn) + fmt.Sprintf(change, args...) + "\n\n"
}

// happen makes one change, as LDIF.
func (w *adTown) happen() string {
	i := w.someone()
	p, dn := w.people[i], w.dn(i)
	switch w.rnd.IntN(18) {
	case 0:
		return w.settle()
	case 1:
		return modify(dn, "replace: title\ntitle: t%d", w.rnd.IntN(1000))
	case 2:
		return modify(dn, "replace: mail")
	case 3:
		w.leave(i)
		return fmt.Sprintf("dn: %s\nchangetype: delete\n\n", dn)
	case 4:
		p.rdn = fmt.Sprintf("CN=p%d-%d", i, w.rnd.IntN(10000))
		return fmt.Sprintf("dn: %s\nchangetype: modrdn\nnewrdn: %s\ndeleteoldrdn: 1\n\n", dn, p.rdn)
	case 5, 6:
		p.unit = w.units[w.rnd.IntN(len(w.units))]
		if w.rnd.IntN(3) == 0 {
			p.unit = "OU=Elsewhere" // out of reach
			w.deleted = true
		}
		return fmt.Sprintf("dn: %s\nchangetype: modrdn\nnewrdn: %s\ndeleteoldrdn: 1\nnewsuperior: %s\n\n", dn, p.rdn, w.unit(p.unit))
	case 7:
		return w.renameUnit()
	case 8:
		again, unit, rdn := w.next, p.unit, p.rdn
		w.next++
		w.leave(i)
		w.people[again] = &adPerson{rdn: rdn, unit: unit}
		return fmt.Sprintf("dn: %s\nchangetype: delete\n\n", dn) + w.add(again, fmt.Sprintf("p%d", i))
	case 9:
		return modify(dn, "replace: userAccountControl\nuserAccountControl: %d", 544+2*w.rnd.IntN(2))
	case 10, 11:
		return w.movePrimary(i)
	case 12:
		return w.gather()
	case 13:
		return w.disband()
	case 14:
		return modify(w.clans[w.group()].dn, "replace: description\ndescription: d%d", w.rnd.IntN(1000))
	}
	return w.toggle()
}

func (w *adTown) renameUnit() string {
	u := w.rnd.IntN(len(w.units))
	old := w.units[u]
	w.units[u] = fmt.Sprintf("OU=u%d-%d", u, w.rnd.IntN(10000))
	for _, p := range w.people {
		if p.unit == old {
			p.unit = w.units[u]
		}
	}
	return fmt.Sprintf("dn: %s\nchangetype: modrdn\nnewrdn: %s\ndeleteoldrdn: 1\n\n", w.unit(old), w.units[u])
}

// movePrimary makes another group somebody's primary one, of which he has to be a
// member. The domain takes him out of its members then, and puts him into those of the
// old one.
func (w *adTown) movePrimary(i int) string {
	p := w.people[i]
	next := p.primary
	for _, g := range slices.Sorted(maps.Keys(w.clans)) {
		if w.clans[g].members[w.name(i)] && w.clans[g].rid != 0 {
			next = g
		}
	}
	if next == p.primary {
		return ""
	}
	w.clans[p.primary].members[w.name(i)] = true
	delete(w.clans[next].members, w.name(i))
	p.primary = next
	return modify(w.dn(i), "replace: primaryGroupID\nprimaryGroupID: %d", w.clans[next].rid)
}

// disband deletes a group that is nobody's primary one.
func (w *adTown) disband() string {
	g := w.group()
	for _, p := range w.people {
		if p.primary == g || len(w.clans) < 5 {
			return ""
		}
	}
	dn := w.clans[g].dn
	delete(w.clans, g)
	for _, c := range w.clans {
		delete(c.members, fmt.Sprintf("g%d", g))
	}
	w.deleted = true
	return fmt.Sprintf("dn: %s\nchangetype: delete\n\n", dn)
}

// toggle puts somebody into a group or takes him out of it.
func (w *adTown) toggle() string {
	g := w.group()
	i := w.someone()
	name, dn := w.name(i), w.dn(i)
	switch w.rnd.IntN(6) {
	case 0:
		nested := w.group()
		if nested == g {
			return ""
		}
		name, dn = fmt.Sprintf("g%d", nested), w.clans[nested].dn
	case 1:
		c := w.rnd.IntN(2)
		name, dn = fmt.Sprintf("c%d", c), w.contact(c)
	default:
		if w.people[i].primary == g {
			return ""
		}
	}
	change := "add"
	if w.clans[g].members[name] {
		change = "delete"
		delete(w.clans[g].members, name)
	} else {
		w.clans[g].members[name] = true
	}
	return modify(w.clans[g].dn, "%s: member\nmember: %s", change, dn)
}

// adConfig reads the town as an account.
func adConfig(s *dirtest.Samba, who dirtest.Account) ldap.Config {
	c := sambaConfig(s)
	c.Bind = ldap.Bind{DN: who.DN, Password: config.SecretRef{File: who.PasswordFile}}
	c.Users.Bases = []string{"OU=Staff," + s.Suffix}
	c.Groups.Bases = []string{"OU=Groups," + s.Suffix, "CN=Users," + s.Suffix}
	return c
}

// adFollower follows a town by one account and way.
type adFollower struct {
	name, way string
	c         ldap.Config
	src       *ldap.Source
	m         *memory
	blind     bool // who is gone is only found by comparing everything
	whole     int
}

func begin(t *testing.T, all []*adFollower) {
	for _, f := range all {
		f.src, f.m = source(t, f.c), newMemory()
		o, _ := f.m.run(t, f.src, false)
		proven(t, o)
		wantWords(t, o.Proof.Why, "changes are read by "+f.way)
		if o.Blind != f.blind {
			t.Fatalf("%s: blind %t: %s", f.name, o.Blind, o.Proof.Why)
		}
	}
}

// live lets some things happen.
func (w *adTown) live(apply func(string)) string {
	var ldif strings.Builder
	w.deleted, w.stranger = false, false
	for range w.rnd.IntN(6) {
		ldif.WriteString(w.happen())
	}
	if ldif.Len() > 0 {
		apply(ldif.String())
	}
	return ldif.String()
}

// round reads what changed, and compares the roll with what a full read makes of it.
func (f *adFollower) round(t *testing.T, w *adTown, when string) {
	if w.rnd.IntN(8) == 0 {
		f.src = source(t, f.c) // as after a restart of the daemon
	}
	prove := w.rnd.IntN(5) == 0 || f.blind && w.deleted
	if f.blind && w.stranger {
		f.m.at = "" // which groups list him by his old name nobody can know
		prove = true
	}
	before := f.m.clone()
	o, p := f.m.run(t, f.src, prove)
	proven(t, o)
	prove = prove || f.blind && f.c.Changes == ""
	if !o.Reach.Everything() && prove {
		t.Errorf("%s: reach %q, although everything was to be compared", f.name, o.Reach)
	}
	if o.Reach.Everything() && !prove {
		f.whole++
		wantWords(t, o.Proof.Why, "because of his name")
	}
	when = fmt.Sprintf("%s, %q, %d conflicts, %s", f.name, o.Reach, len(p.Conflicts), when)
	f.m.same(t, f.c, before, when)
	if p.Missed > 0 && !f.blind {
		t.Errorf("%s: the sweep says that %d were missed: %v", when, p.Missed, o.Found)
	}
}

func (f *adFollower) ended(t *testing.T, rounds int) {
	if f.whole > rounds/2 {
		t.Errorf("%s: %d of %d rounds read everything", f.name, f.whole, rounds)
	}
}

// TestChangesOfActiveDirectory follows a domain that changes at random by each account
// and way.
func TestChangesOfActiveDirectory(t *testing.T) {
	t.Parallel()
	s := dirtest.StartSamba(t, dirtest.SambaOptions{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := newADTown(seed, s.Suffix)
	s.Apply(t, w.found())
	w.numbered(t, s)
	all := []*adFollower{
		{name: "sync", way: "dirsync", c: adConfig(s, s.Sync)},
		{name: "blind", way: "dirsync", c: adConfig(s, s.Blind), blind: true},
		{name: "reader", way: "usn", c: adConfig(s, s.Reader), blind: true},
		{name: "admin", way: "usn", c: adConfig(s, s.Admin)},
		{name: "blind by choice", way: "dirsync", c: adConfig(s, s.Blind), blind: true},
	}
	all[3].c.Changes, all[4].c.Changes = "usn", "dirsync"
	begin(t, all)
	for round := range 30 {
		ldif := w.live(func(ldif string) { s.Apply(t, ldif) })
		w.numbered(t, s)
		if w.rnd.IntN(10) == 0 {
			s.Close()
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range all {
			f.round(t, w, fmt.Sprintf("seed %d, round %d, after\n%s", seed, round, ldif))
		}
	}
	for _, f := range all {
		f.ended(t, 30)
	}
	t.Run("attributes that change without a word", func(t *testing.T) {
		c := adConfig(s, s.Sync)
		c.Users.Attributes = map[string]ldap.Mapping{"groups": {Attribute: "memberOf"}, "seen": {Attribute: "lastLogon"}, "title": {Attribute: "title"}}
		o, _ := newMemory().run(t, source(t, c), false)
		proven(t, o)
		wantWords(t, o.Proof.Why, "changes are read by dirsync", "lastLogon, memberOf change without a word")
		c.Users.Filter = "(&(objectClass=user)(!(memberOf=" + w.clans[w.group()].dn + ")))"
		o, _ = newMemory().run(t, source(t, c), false)
		proven(t, o)
		wantWords(t, o.Proof.Why, "every read is of everything", "a filter names memberOf")
		if o.Cursor != "" {
			t.Errorf("cursor %q", o.Cursor)
		}
	})
}
