package permissions

import (
	"cmp"
	"slices"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/persist"
)

// Edit makes the next version of a [Book]. It belongs to one goroutine and stays
// usable after [Edit.Book].
type Edit struct {
	custom    *persist.Edit[Permission, Entry]
	byID      *persist.Edit[GrantID, *Grant]
	bySubject *persist.Edit[identity.Member, []*Grant]
	holders   *persist.Edit[Permission, holders]
	open      map[Permission]*openHolders // those touched since the last Book
	settings  Settings
}

type openHolders struct {
	users, groups *persist.Edit[[16]byte, []*Grant]
	sieve         sieve
	added         [][16]byte // groups, to be put into the sieve
}

// Edit begins the next version of b, which itself stays as it is.
func (b *Book) Edit() *Edit {
	return &Edit{
		custom: b.custom.Edit(), byID: b.byID.Edit(), bySubject: b.bySubject.Edit(), holders: b.holders.Edit(),
		open: map[Permission]*openHolders{}, settings: b.settings,
	}
}

// Book publishes what the edit has made so far.
func (e *Edit) Book() *Book {
	for p, o := range e.open {
		groups := o.groups.Map()
		e.holders.Set(p, holders{users: o.users.Map(), groups: groups, sieve: o.sieve.with(o.added, groups)})
	}
	clear(e.open)
	return &Book{
		custom: e.custom.Map(), byID: e.byID.Map(), bySubject: e.bySubject.Map(), holders: e.holders.Map(),
		settings: e.settings,
	}
}

// Put adds a grant, in the place of one with the same id. A grant of a permission
// that the catalogue does not have is kept and shown, and never effective.
func (e *Edit) Put(g Grant) {
	if old, ok := e.byID.Get(g.ID); ok {
		e.unlink(old)
	}
	e.byID.Set(g.ID, &g)
	of, _ := e.bySubject.Get(g.Subject)
	e.bySubject.Set(g.Subject, with(of, &g))
	side := e.side(&g)
	of, _ = side.Get(g.Subject.Bytes())
	side.Set(g.Subject.Bytes(), with(of, &g))
	if o := e.open[g.Permission]; g.Subject.IsGroup() && len(of) == 0 {
		o.added = append(o.added, g.Subject.Bytes())
	}
}

// Remove takes a grant out and reports whether it was there.
func (e *Edit) Remove(id GrantID) bool {
	g, ok := e.byID.Get(id)
	if !ok {
		return false
	}
	e.byID.Delete(id)
	e.unlink(g)
	return true
}

// PutCustom adds a custom permission, or changes the description of one. Only its
// name, description, By and At count. A built-in name is ignored: the catalogue
// cannot be changed through what is stored.
func (e *Edit) PutCustom(c Entry) {
	if IsBuiltIn(c.Name) {
		return
	}
	c.BuiltIn, c.EnforcedBy, c.Actions = false, EnforcedByApplications, nil
	if c.Description == "" {
		c.Description = customDescription
	}
	e.custom.Set(c.Name, c)
}

// RemoveCustom takes a custom permission out of the catalogue and reports whether
// it was there. Grants of it stay and are no longer effective.
func (e *Edit) RemoveCustom(p Permission) bool { return e.custom.Delete(p) }

// SetSettings replaces all settings. It takes them as they are: what a newer version
// may have stored is no reason to stop, and a rule that is not known is read as the
// stricter one.
func (e *Edit) SetSettings(s Settings) { e.settings = s }

func (e *Edit) unlink(g *Grant) {
	drop(e.bySubject, g.Subject, g)
	drop(e.side(g), g.Subject.Bytes(), g)
}

// side returns the users or the groups that hold the permission of g, opened.
func (e *Edit) side(g *Grant) *persist.Edit[[16]byte, []*Grant] {
	o := e.open[g.Permission]
	if o == nil {
		h, ok := e.holders.Get(g.Permission)
		if !ok {
			h = newHolders()
		}
		o = &openHolders{users: h.users.Edit(), groups: h.groups.Edit(), sieve: h.sieve}
		e.open[g.Permission] = o
	}
	if g.Subject.IsGroup() {
		return o.groups
	}
	return o.users
}

// with returns a new slice: the old one belongs to versions that are out.
func with(of []*Grant, g *Grant) []*Grant {
	at, _ := slices.BinarySearchFunc(of, g, compareGrants)
	out := make([]*Grant, 0, len(of)+1)
	out = append(out, of[:at]...)
	out = append(out, g)
	return append(out, of[at:]...)
}

func drop[K comparable](m *persist.Edit[K, []*Grant], k K, g *Grant) {
	of, _ := m.Get(k)
	if len(of) == 1 && of[0] == g {
		m.Delete(k)
		return
	}
	m.Set(k, slices.DeleteFunc(slices.Clone(of), func(x *Grant) bool { return x == g }))
}

func compareGrants(x, y *Grant) int {
	return cmp.Or(cmp.Compare(x.Permission, y.Permission), cmp.Compare(x.ID, y.ID))
}
