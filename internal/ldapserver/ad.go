package ldapserver

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ADOptions says how a domain controller answers. The zero value does as Samba
// where Samba and Microsoft's differ and nothing else is said.
type ADOptions struct {
	// Host is the controller's name, "dc1" if empty. Two controllers over one
	// Directory have two names, two invocation ids and two counts of changes.
	Host string
	// FirstUSN is what the count of changes starts at, 1000 if 0.
	FirstUSN uint64
	// Seed decides the invocation ids, together with the host's name.
	Seed uint64

	// Replicators are the accounts with the right "Replicating Directory Changes".
	// Others may use DirSync with LDAP_DIRSYNC_OBJECT_SECURITY only.
	Replicators []string
	// DeletedReaders are the accounts that may read CN=Deleted Objects. What others
	// get has no tombstones in it, without an error.
	DeletedReaders []string
	// DeletedByRight lets Replicators see tombstones through DirSync without
	// LDAP_DIRSYNC_OBJECT_SECURITY, as Microsoft's controllers do and Samba does not.
	DeletedByRight bool
	// RecycleBin lets deleted objects keep their attributes, as where that feature of
	// Active Directory is enabled. Their memberships are gone all the same.
	RecycleBin bool

	// RoundObjects is how many changed objects one DirSync round looks at, whether
	// or not the filter lets them through; 0 is all.
	RoundObjects int
	// RoundBytes is the least that counts as a client's limit on the octets of a
	// round, 1 MiB if 0, as MS-ADTS §3.1.1.3.4.1.3 has it.
	RoundBytes int
	// RoundValues is how many values of a link attribute one DirSync entry holds at
	// most with LDAP_DIRSYNC_INCREMENTAL_VALUES; the rest follows in entries of their
	// own. 0 is all.
	RoundValues int
	// CookieRefusal is the result for a cookie that cannot be read; the zero value is
	// UnavailableCritical, as Samba has it. Others answer UnwillingToPerform.
	CookieRefusal ResultCode
}

// AD gives a Directory the face of an Active Directory domain controller: every
// object has an objectGUID (from its entryUUID), changes are counted, deleted
// objects stay as tombstones, and each attribute and each member knows the change
// that it was written with, which is what DirSync answers from.
//
// Give it to one server by Options.AD. The Directory's References should be
// ReferencesMend, as a domain has it.
type AD struct {
	o         ADOptions
	directory *Directory
	suffix    dn

	// slots is what searches walk, tombstones included, in the order of creation.
	slots atomic.Pointer[[]*slot]

	mu         sync.RWMutex // guards the rest; taken inside the directory's lock
	invocation string       // 16 octets
	restarts   uint64
	usn        uint64
	nextID     uint64
	byID       map[uint64]*adObject // by the number of the directory's slot
	byGUID     map[string]*adObject
	byName     map[string]*adObject // by folded name
	journal    []usnRecord          // ascending; stale where the object changed again
	gone       int                  // slots that hold nothing any more
	changed    chan struct{}        // closed at the next change
	bin        *adObject            // CN=Deleted Objects
	held       bool
	pending    []change // what the directory did since it is held
	settings   *slot    // the object that dsServiceName names
}

// usnRecord says that an object was written with a change number.
type usnRecord struct {
	usn    uint64
	object *adObject
}

// NewAD returns the face of d, whose first suffix is the domain.
func NewAD(d *Directory, o ADOptions) (*AD, error) {
	if len(d.suffixes) == 0 {
		return nil, fmt.Errorf("ldapserver: a domain needs a suffix")
	}
	o.Host = cmp.Or(o.Host, "dc1")
	o.FirstUSN = cmp.Or(o.FirstUSN, 1000)
	o.RoundBytes = cmp.Or(o.RoundBytes, 1<<20)
	o.CookieRefusal = cmp.Or(o.CookieRefusal, UnavailableCritical)
	ad := &AD{o: o, directory: d, suffix: d.suffixes[0], changed: make(chan struct{})}
	ad.reset()
	d.attach(ad)
	return ad, nil
}

// reset begins anew. The caller holds the lock, or nobody else knows ad.
func (ad *AD) reset() {
	ad.usn, ad.nextID, ad.gone, ad.journal, ad.pending = ad.o.FirstUSN, 1, 0, nil, nil
	ad.byID, ad.byGUID, ad.byName = map[uint64]*adObject{}, map[string]*adObject{}, map[string]*adObject{}
	ad.slots.Store(new([]*slot))
	ad.newInvocation()
	ad.addBin()
}

// HighestUSN returns the number of the last change.
func (ad *AD) HighestUSN() uint64 {
	ad.mu.RLock()
	defer ad.mu.RUnlock()
	return ad.usn
}

// InvocationID returns the 16 octets that name this life of the controller's
// database.
func (ad *AD) InvocationID() string {
	ad.mu.RLock()
	defer ad.mu.RUnlock()
	return ad.invocation
}

// NewInvocation gives the database another invocation id, as a controller does
// that notices that it was restored. After [Directory.Restore] without it, the
// change count has fallen back unnoticed: a USN rollback.
func (ad *AD) NewInvocation() {
	ad.mu.Lock()
	defer ad.mu.Unlock()
	ad.newInvocation()
}

func (ad *AD) newInvocation() {
	ad.restarts++
	ad.invocation = GUID(nameUUID(fmt.Sprintf("%s/%d/%d", ad.o.Host, ad.o.Seed, ad.restarts)))
	ad.settings = ad.settingsObject()
}

// Hold lets the controller take in no changes until [AD.CatchUp], as one that does
// not hear from the others.
func (ad *AD) Hold() {
	ad.mu.Lock()
	defer ad.mu.Unlock()
	ad.held = true
}

// CatchUp takes in what was done since [AD.Hold].
func (ad *AD) CatchUp() {
	ad.mu.Lock()
	defer ad.mu.Unlock()
	for _, c := range ad.pending {
		ad.take(c)
	}
	ad.held, ad.pending = false, nil
}

// DropTombstones forgets all deleted objects, as happens when their life ends, or
// sooner than it should. Who has not seen a deletion yet is never told of it.
func (ad *AD) DropTombstones() {
	ad.mu.Lock()
	defer ad.mu.Unlock()
	for guid, o := range ad.byGUID {
		if !o.dead || o == ad.bin {
			continue
		}
		delete(ad.byGUID, guid)
		delete(ad.byName, o.view.entry.Load().name.folded)
		o.usn = 0 // its records in the journal are stale
		o.view.entry.Store(nil)
		ad.gone++
	}
	ad.compact()
}

// compact drops what is stale once it outweighs the rest. The caller holds the
// lock.
func (ad *AD) compact() {
	if slots := *ad.slots.Load(); ad.gone > 1024 && ad.gone > len(slots)/2 {
		kept := make([]*slot, 0, len(slots)-ad.gone)
		for _, s := range slots {
			if s.entry.Load() != nil {
				kept = append(kept, s)
			}
		}
		ad.slots.Store(&kept)
		ad.gone = 0
	}
	if len(ad.journal) > 2*len(ad.byGUID)+1024 {
		ad.journal = slices.DeleteFunc(slices.Clone(ad.journal), func(r usnRecord) bool { return r.object.usn != r.usn })
	}
}

// SetPrimaryGroup gives a user another primary group, with what a domain does
// along with it: the user leaves the member attribute of the new one and joins
// that of the old one. The user has to be a member of the new one before.
func (ad *AD) SetPrimaryGroup(user, group string) error {
	e, ok := ad.lookup(user)
	next, found := ad.lookup(group)
	if !ok || !found {
		return failf(NoSuchObject, "%s or %s does not exist", user, group)
	}
	d := ad.directory
	if err := d.Modify(user, Change{ReplaceValues, "primaryGroupID", []string{next.first("primarygrouptoken")}}); err != nil {
		return err
	}
	if err := d.Modify(group, Change{DeleteValues, "member", []string{user}}); err != nil {
		return err
	}
	for _, s := range *ad.slots.Load() {
		old := s.entry.Load()
		if old != nil && old.first("primarygrouptoken") != "" && old.first("primarygrouptoken") == e.first("primarygroupid") {
			return d.Modify(old.name.text, Change{AddValues, "member", []string{user}})
		}
	}
	return nil
}

// lookup returns the object of that name as a search sees it.
func (ad *AD) lookup(name string) (*stored, bool) {
	parsed, err := parseDN(name)
	if err != nil {
		return nil, false
	}
	ad.mu.RLock()
	defer ad.mu.RUnlock()
	o, ok := ad.byName[parsed.folded]
	if !ok {
		return nil, false
	}
	return o.view.entry.Load(), true
}

// wake tells those who wait. The caller holds the lock.
func (ad *AD) wake() {
	close(ad.changed)
	ad.changed = make(chan struct{})
}

// adBackup is what a controller holds at a backup.
type adBackup struct {
	usn, nextID uint64
	objects     []*adObject
	deletedBin  string // the GUID of CN=Deleted Objects
}

func (ad *AD) save() any {
	ad.mu.RLock()
	defer ad.mu.RUnlock()
	b := &adBackup{usn: ad.usn, nextID: ad.nextID, deletedBin: ad.bin.guid}
	for _, o := range ad.byGUID {
		b.objects = append(b.objects, o.copy())
	}
	slices.SortFunc(b.objects, func(x, y *adObject) int { return cmp.Compare(x.view.id, y.view.id) })
	return b
}

func (ad *AD) restore(saved any) {
	ad.mu.Lock()
	defer ad.mu.Unlock()
	b, ok := saved.(*adBackup)
	if !ok {
		ad.reset()
		return
	}
	ad.usn, ad.nextID, ad.gone, ad.journal, ad.pending = b.usn, b.nextID, 0, nil, nil
	clear(ad.byID)
	clear(ad.byGUID)
	clear(ad.byName)
	slots := make([]*slot, 0, len(b.objects))
	for _, kept := range b.objects {
		o := kept.copy()
		slots = append(slots, o.view)
		ad.byGUID[o.guid] = o
		ad.byName[o.view.entry.Load().name.folded] = o
		ad.journal = append(ad.journal, usnRecord{o.usn, o})
		if !o.dead {
			ad.byID[o.id] = o
		}
		if o.guid == b.deletedBin {
			ad.bin = o
		}
	}
	slices.SortFunc(ad.journal, func(x, y usnRecord) int { return cmp.Compare(x.usn, y.usn) })
	ad.slots.Store(&slots)
	ad.wake()
}

// now returns the directory's time.
func (ad *AD) now() time.Time { return ad.directory.now().UTC() }
