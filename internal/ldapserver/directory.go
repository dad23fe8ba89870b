package ldapserver

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// DirectoryOptions says how a Directory begins.
type DirectoryOptions struct {
	// Suffixes are the naming contexts: the names whose entries need no parent.
	Suffixes []string
	// Seed decides the entryUUIDs: equal seeds and equal histories give equal ones.
	Seed uint64
	// Now is asked at every write. The zero value is time.Now.
	Now func() time.Time
	// References says what becomes of the values that name an entry when that entry
	// is renamed or deleted. The zero value leaves them as they are.
	References References
	// NSUniqueID gives every entry an nsUniqueId besides, as 389-ds does.
	NSUniqueID bool
}

// Directory is a tree of entries in memory. Writers exclude each other; a search
// works on immutable entries and is not held up. Every write keeps the
// operational attributes as OpenLDAP does: entryUUID for life, entryCSN and
// modifyTimestamp with each change.
type Directory struct {
	suffixes []dn
	now      func() time.Time
	// order holds the entries in the order of their creation, which is the order
	// of every answer. Writers only append to it or replace it.
	order atomic.Pointer[[]*slot]

	mu       sync.RWMutex // guards the rest
	byName   map[string]*slot
	children map[string]int // by folded name of the parent
	nextID   uint64
	dead     int // slots in order whose entry is gone
	rand     *rand.Rand
	lastCSN  time.Time
	csnCount int
	serverID int // in the CSNs of writes

	references References
	unmended   []unmended // by ReferencesMendLate
	nsUniqueID bool
	named      map[string]map[reference]struct{} // by folded name: who names it
	followers  []follower
}

// slot is an entry's place in the order. Its content is nil once it is deleted.
type slot struct {
	id    uint64
	entry atomic.Pointer[stored]
}

// NewDirectory returns an empty directory.
func NewDirectory(o DirectoryOptions) (*Directory, error) {
	d := &Directory{
		now: o.Now, byName: map[string]*slot{}, children: map[string]int{}, nextID: 1, serverID: 1,
		references: o.References, nsUniqueID: o.NSUniqueID, named: map[string]map[reference]struct{}{},
		rand: rand.New(rand.NewPCG(o.Seed, 0x1da9)), //nolint:gosec // G404: entryUUIDs are to be reproducible, not secret
	}
	if d.now == nil {
		d.now = time.Now
	}
	for _, s := range o.Suffixes {
		name, err := parseDN(s)
		if err != nil {
			return nil, failf(InvalidDNSyntax, "suffix: %v", err)
		}
		d.suffixes = append(d.suffixes, name)
	}
	d.order.Store(new([]*slot))
	return d, nil
}

// Put adds an entry, or replaces the attributes of the one that has its name.
// Operational attributes given with a new entry are kept as given.
func (d *Directory) Put(e Entry) error {
	name, err := parseDN(e.DN)
	if err != nil {
		return failf(InvalidDNSyntax, "%v", err)
	}
	attrs, err := storeAttributes(e.Attributes)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, ok := d.byName[name.folded]; ok {
		old := s.entry.Load()
		next := &stored{name: name, parent: old.parent, attrs: keepOperational(attrs, old.attrs)}
		d.stamp(next)
		s.entry.Store(next)
		d.wrote(change{slot: s, before: old, after: next})
		return nil
	}
	return d.insert(name, attrs)
}

// Add adds an entry and fails with EntryAlreadyExists when the name is taken.
func (d *Directory) Add(e Entry) error {
	name, err := parseDN(e.DN)
	if err != nil {
		return failf(InvalidDNSyntax, "%v", err)
	}
	attrs, err := storeAttributes(e.Attributes)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.byName[name.folded]; ok {
		return failf(EntryAlreadyExists, "%s exists", name.text)
	}
	return d.insert(name, attrs)
}

// insert adds an entry under a name that is free.
func (d *Directory) insert(name dn, attrs []storedAttr) error {
	parent, ok := name.parent()
	if !ok {
		return failf(NamingViolation, "the root cannot be written")
	}
	isSuffix := slices.ContainsFunc(d.suffixes, func(s dn) bool { return s.folded == name.folded })
	if _, ok := d.byName[parent]; !ok && !isSuffix {
		return d.noSuchObject("the parent of "+name.text+" does not exist", parent)
	}
	e := &stored{name: name, parent: parent, attrs: addRDN(attrs, name)}
	d.create(e)
	s := &slot{id: d.nextID}
	d.nextID++
	s.entry.Store(e)
	d.byName[name.folded] = s
	d.children[parent]++
	// A reader holds the slice it loaded, whose length does not grow.
	order := append(*d.order.Load(), s)
	d.order.Store(&order)
	d.wrote(change{slot: s, after: e})
	return nil
}

// Delete removes an entry that has no children.
func (d *Directory) Delete(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.find(name)
	if err != nil {
		return err
	}
	e := s.entry.Load()
	if d.children[e.name.folded] > 0 {
		return failf(NotAllowedOnNonLeaf, "%s has entries below it", name)
	}
	delete(d.byName, e.name.folded)
	d.dropChild(e.parent)
	s.entry.Store(nil)
	d.dead++
	d.compact()
	d.wrote(change{slot: s, before: e, csn: d.csn(d.now().UTC())})
	return nil
}

// compact rebuilds the order once half of it is gone.
func (d *Directory) compact() {
	order := *d.order.Load()
	if d.dead < 1024 || d.dead < len(order)/2 {
		return
	}
	alive := make([]*slot, 0, len(order)-d.dead)
	for _, s := range order {
		if s.entry.Load() != nil {
			alive = append(alive, s)
		}
	}
	d.order.Store(&alive)
	d.dead = 0
}

func (d *Directory) dropChild(parent string) {
	if d.children[parent]--; d.children[parent] == 0 {
		delete(d.children, parent)
	}
}

// Rename gives an entry another relative name, and another parent unless
// superior is empty. The old naming values are dropped unless the entry's other
// name needs them; entries below move along. What becomes of values elsewhere that
// name the entry is for [DirectoryOptions.References] to say.
func (d *Directory) Rename(name, newRDN, superior string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.find(name)
	if err != nil {
		return err
	}
	old := s.entry.Load()
	target, err := d.renamed(old, newRDN, superior)
	if err != nil {
		return err
	}
	if target.folded != old.name.folded {
		if _, taken := d.byName[target.folded]; taken {
			return failf(EntryAlreadyExists, "%s exists", target.text)
		}
	}
	d.moveBelow(old.name, target)
	next := &stored{name: target, attrs: addRDN(dropRDN(old.attrs, old.name), target)}
	next.parent, _ = target.parent()
	d.stamp(next)
	d.rehang(s, old, next)
	d.wrote(change{slot: s, before: old, after: next})
	return nil
}

// renamed returns the name that an entry will have.
func (d *Directory) renamed(old *stored, newRDN, superior string) (dn, error) {
	if rdns, err := splitDN(newRDN); err != nil || len(rdns) != 1 {
		return dn{}, failf(InvalidDNSyntax, "%q is not a relative name", newRDN)
	}
	_, above := splitRDN(old.name.text)
	if superior != "" {
		p, err := d.find(superior)
		if err != nil {
			return dn{}, err
		}
		above = p.entry.Load().name.text
	}
	target, err := parseDN(newRDN + "," + above)
	if err != nil {
		return dn{}, failf(InvalidDNSyntax, "%v", err)
	}
	if target.folded != old.name.folded && target.below(old.name.folded) {
		return dn{}, failf(UnwillingToPerform, "%s cannot be moved below itself", old.name.text)
	}
	return target, nil
}

// moveBelow renames what lies below an entry that moves. As in OpenLDAP that is
// no change of the entries below: they keep their stamps.
func (d *Directory) moveBelow(from, to dn) {
	if d.children[from.folded] == 0 {
		return
	}
	for _, s := range *d.order.Load() {
		e := s.entry.Load()
		if e == nil || e.name.folded == from.folded || !e.name.below(from.folded) {
			continue
		}
		next := &stored{attrs: e.attrs, name: rebase(e.name, from, to)}
		next.parent, _ = next.name.parent()
		d.rehang(s, e, next)
		d.wrote(change{slot: s, before: e, after: next, silent: true})
	}
}

// rebase replaces the upper part of a name.
func rebase(name, from, to dn) dn {
	head, rest := "", name.text
	for range strings.Count(name.folded, ",") - strings.Count(from.folded, ",") {
		var rdn string
		rdn, rest = splitRDN(rest)
		head += rdn + ","
	}
	return dn{text: head + to.text, folded: name.folded[:len(name.folded)-len(from.folded)] + to.folded}
}

// rehang publishes an entry under its new name.
func (d *Directory) rehang(s *slot, old, next *stored) {
	delete(d.byName, old.name.folded)
	d.dropChild(old.parent)
	d.byName[next.name.folded] = s
	d.children[next.parent]++
	s.entry.Store(next)
}

// find returns the entry of that name. The caller holds the lock.
func (d *Directory) find(name string) (*slot, error) {
	parsed, err := parseDN(name)
	if err != nil {
		return nil, failf(InvalidDNSyntax, "%v", err)
	}
	if s, ok := d.byName[parsed.folded]; ok {
		return s, nil
	}
	above, _ := parsed.parent()
	return nil, d.noSuchObject(fmt.Sprintf("%s does not exist", name), above)
}

// noSuchObject names the closest entry that exists. The caller holds the lock.
func (d *Directory) noSuchObject(message, above string) *Error {
	e := &Error{Code: NoSuchObject, Message: message}
	for above != "" {
		if s, ok := d.byName[above]; ok {
			e.Matched = s.entry.Load().name.text
			break
		}
		_, above, _ = strings.Cut(above, ",")
	}
	return e
}

// Lookup returns the entry of that name.
func (d *Directory) Lookup(name string) (Entry, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	s, err := d.find(name)
	if err != nil {
		return Entry{}, false
	}
	return s.entry.Load().entry(), true
}

// All yields the entries in the order of their creation. A write during the walk
// may or may not be seen.
func (d *Directory) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for _, s := range *d.order.Load() {
			if e := s.entry.Load(); e != nil && !yield(e.entry()) {
				return
			}
		}
	}
}

// Len returns the number of entries.
func (d *Directory) Len() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.byName)
}
