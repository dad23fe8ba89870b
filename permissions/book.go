package permissions

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/persist"
)

// Book holds every grant, every custom permission and the settings of one revision.
// It never changes: [Book.Edit] makes the next one, which shares nearly all of its memory.
// The grants it returns are its own and are read only.
type Book struct {
	custom    persist.Map[Permission, Entry]
	byID      persist.Map[GrantID, *Grant]
	bySubject persist.Map[identity.Member, []*Grant] // each sorted by permission and id
	holders   persist.Map[Permission, holders]
	settings  Settings
}

// holders are those who were given one permission. Users and groups are apart so
// that a check may leave out the groups of a permission that no group carries, and
// finds what a group carries of this permission in a map as small as can be.
type holders struct {
	users, groups idMap
	sieve         sieve // of groups
}

// idMap holds grants, sorted by id, by the id of a user or group.
type idMap = persist.Map[[16]byte, []*Grant]

// NewBook returns a book without grants and without custom permissions, with the
// settings of a fresh store.
func NewBook() *Book {
	return &Book{bySubject: persist.NewMap[identity.Member, []*Grant](hashMember), settings: DefaultSettings()}
}

// Settings returns the settings that the book's answers follow.
func (b *Book) Settings() Settings { return b.settings }

func newHolders() holders {
	m := persist.NewMap[[16]byte, []*Grant](hashID)
	return holders{users: m, groups: m}
}

// hashID mixes the bytes of an id. Ids are made here, mostly of random bits, and
// chosen by no one else, so a few multiplications do (splitmix64's).
func hashID(id [16]byte) uint64 {
	h := binary.BigEndian.Uint64(id[8:]) ^ binary.BigEndian.Uint64(id[:8])*0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func hashMember(m identity.Member) uint64 { return hashID(m.Bytes()) }

// Lookup returns an entry of the catalogue, built in or custom. A name without an
// entry is never effective, whatever grants bear it.
func (b *Book) Lookup(p Permission) (Entry, bool) {
	if i := builtInIndex(p); i >= 0 {
		return builtIn[i], true
	}
	return b.custom.Get(p)
}

// known reports whether the catalogue has the name.
func (b *Book) known(p Permission) bool {
	if builtInIndex(p) >= 0 {
		return true
	}
	_, ok := b.custom.Get(p)
	return ok
}

// Catalogue returns all entries: the built-in ones, then the custom ones, each by name.
func (b *Book) Catalogue() []Entry {
	out := slices.Collect(BuiltIns())
	for _, e := range b.custom.All() {
		out = append(out, e)
	}
	slices.SortFunc(out[len(builtIn):], func(x, y Entry) int { return cmp.Compare(x.Name, y.Name) })
	return out
}

// Len returns the number of grants, effective or not.
func (b *Book) Len() int { return b.byID.Len() }

// Grant returns the grant with an id.
func (b *Book) Grant(id GrantID) (*Grant, bool) { return b.byID.Get(id) }

// Grants yields every grant once, in no particular order.
func (b *Book) Grants() iter.Seq[*Grant] {
	return func(yield func(*Grant) bool) {
		for _, g := range b.byID.All() {
			if !yield(g) {
				return
			}
		}
	}
}

// Of returns the grants that were given to one user or group itself, sorted by
// permission and id. The slice is the book's own.
func (b *Book) Of(subject identity.Member) []*Grant {
	gs, _ := b.bySubject.Get(subject)
	return gs
}

// With yields the grants of one permission, each once, in no particular order.
func (b *Book) With(p Permission) iter.Seq[*Grant] {
	return func(yield func(*Grant) bool) {
		h, _ := b.holders.Get(p)
		for _, m := range []idMap{h.users, h.groups} {
			for _, gs := range m.All() {
				for _, g := range gs {
					if !yield(g) {
						return
					}
				}
			}
		}
	}
}

// Held reports whether anyone was given the permission: such a custom permission
// is not removed lightly.
func (b *Book) Held(p Permission) bool {
	for range b.With(p) {
		return true
	}
	return false
}
