package ldapserver

import (
	"maps"
	"slices"
	"time"
)

// change is one write. Its entries never change.
type change struct {
	slot   *slot
	before *stored // nil: the entry is new
	after  *stored // nil: the entry is gone
	// silent marks what a directory does by the way and does not stamp: the names
	// below an entry that moved, references that were mended, memberOf.
	silent bool
	// csn is the change sequence number of a deletion. Other changes have theirs in
	// the entry.
	csn string
}

// follower is told of every write, in order, while the directory is locked. It is
// what gives a directory a second face, with change numbers of its own.
type follower interface {
	follow(c change)
	// save returns what the follower holds now, and restore takes it back. A nil
	// is restored when the follower came after the backup.
	save() any
	restore(saved any)
}

// attach tells f of everything that is there, and of every write from now on.
func (d *Directory) attach(f follower) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tellAll(f)
	d.followers = append(d.followers, f)
}

func (d *Directory) tellAll(f follower) {
	for _, s := range *d.order.Load() {
		if e := s.entry.Load(); e != nil {
			f.follow(change{slot: s, after: e})
		}
	}
}

// wrote passes a write on and does what it entails. The caller holds the lock.
func (d *Directory) wrote(c change) {
	for _, f := range d.followers {
		f.follow(c)
	}
	if d.references != ReferencesStay {
		d.mend(c)
	}
}

// WriteAs sets the server id that the CSNs of later writes carry, 1 at first:
// what came in from another provider carries that one's.
func (d *Directory) WriteAs(serverID int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.serverID = serverID
}

// Backup is a copy of a directory, with what the servers over it knew.
type Backup struct {
	slots     []*slot
	nextID    uint64
	lastCSN   time.Time
	csnCount  int
	followers []any
}

// Backup returns a copy of the directory as it is now.
func (d *Directory) Backup() *Backup {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := &Backup{nextID: d.nextID, lastCSN: d.lastCSN, csnCount: d.csnCount, slots: copySlots(*d.order.Load())}
	for _, f := range d.followers {
		b.followers = append(b.followers, f.save())
	}
	return b
}

// copySlots returns the slots that hold an entry, each in a slot of its own.
func copySlots(slots []*slot) []*slot {
	out := make([]*slot, 0, len(slots))
	for _, s := range slots {
		if e := s.entry.Load(); e != nil {
			kept := &slot{id: s.id}
			kept.entry.Store(e)
			out = append(out, kept)
		}
	}
	return out
}

// Restore puts the directory back to where b was made, and with it the change
// numbers that its servers give: who read further meanwhile knows more than they.
// Searches that run go on over what was.
func (d *Directory) Restore(b *Backup) {
	d.mu.Lock()
	defer d.mu.Unlock()
	order := copySlots(b.slots)
	d.nextID, d.lastCSN, d.csnCount, d.dead = b.nextID, b.lastCSN, b.csnCount, 0
	clear(d.byName)
	clear(d.children)
	clear(d.named)
	for _, s := range order {
		e := s.entry.Load()
		d.byName[e.name.folded] = s
		d.children[e.parent]++
		d.relink(s, nil, e)
	}
	d.order.Store(&order)
	for i, f := range d.followers {
		if i < len(b.followers) {
			f.restore(b.followers[i])
		} else {
			f.restore(nil)
			d.tellAll(f)
		}
	}
}

// reference is one entry that names another in one attribute.
type reference struct {
	by  *slot
	key string
}

// sortedReferences returns references in the order in which their entries came.
func sortedReferences(set map[reference]struct{}) []reference {
	return slices.SortedFunc(maps.Keys(set), func(a, b reference) int {
		if a.by.id != b.by.id {
			return int(a.by.id) - int(b.by.id)
		}
		if a.key < b.key {
			return -1
		}
		return 1
	})
}
