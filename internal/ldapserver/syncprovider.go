package ldapserver

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// SyncStyle is whose content synchronization a provider shows.
type SyncStyle int

const (
	// SyncOpenLDAP is that of OpenLDAP's syncprov: cookies of one CSN for each server
	// id, a session log, and a present phase where the log is too short.
	SyncOpenLDAP SyncStyle = iota
	// Sync389 is that of 389-ds: cookies that name the server, the account and the
	// search, identifiers from nsUniqueId (set [DirectoryOptions.NSUniqueID]), and
	// deltas whose end says, wrongly, that all that was not named is gone.
	Sync389
)

// SyncOptions says how a provider answers.
type SyncOptions struct {
	Style SyncStyle
	// SessionLog is how many changes the provider remembers, so that it can name what
	// is gone. 0 is none: every delta has a present phase.
	SessionLog int
	// ServerID is the provider's own, 1 if 0 and then not named in its cookies. A
	// consumer whose CSN for this one is newer than the provider's is refused.
	ServerID int
	// PresentSaysNothing ends a present phase without having named anything, as a
	// defect of a server once did: read by RFC 4533, all that did not change is gone.
	PresentSaysNothing bool
	// LosesChanges lets a 389-ds not know what its changes belong to, as one whose
	// changelog lacks targetUniqueId: every delta is empty, succeeds, and moves the
	// cookie on; while persisting, cookies end in #4294967295.
	LosesChanges bool
}

// SyncProvider gives a Directory content synchronization (RFC 4533): it follows the
// directory's changes and answers, by [Options.Sync], what came since a cookie.
type SyncProvider struct {
	o         SyncOptions
	directory *Directory

	mu       sync.Mutex     // guards the rest; taken inside the directory's lock
	context  map[int]string // the newest CSN of each server id
	log      []syncRecord   // the session log, or the changelog
	lost     map[int]string // the newest CSN of each server id that the log has no more
	changes  int            // how many there were: the number of the last, to 389-ds
	watchers map[*syncWatcher]struct{}
}

// syncRecord is one change in the log.
type syncRecord struct {
	csn    string
	uuid   string // octets
	number int
	before *stored
	after  *stored
}

// NewSyncProvider returns a provider of d, whose log begins now.
func NewSyncProvider(d *Directory, o SyncOptions) *SyncProvider {
	p := &SyncProvider{o: o, directory: d, context: map[int]string{}, watchers: map[*syncWatcher]struct{}{}}
	d.attach(p)
	p.Restart()
	return p
}

// Restart empties the session log, as a restart of OpenLDAP does. Consumers that
// are up to date lose nothing; others have a present phase next. 389-ds keeps its
// changelog.
func (p *SyncProvider) Restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restart()
}

func (p *SyncProvider) restart() {
	if p.o.Style == Sync389 && p.lost != nil {
		return
	}
	p.log, p.lost = nil, maps.Clone(p.context)
}

// ContextCSN returns the newest CSN of each server id, in the order of the ids.
func (p *SyncProvider) ContextCSN() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return inOrder(p.context)
}

// inOrder returns the CSNs in the order of their server ids.
func inOrder(context map[int]string) []string {
	var out []string
	for _, sid := range slices.Sorted(maps.Keys(context)) {
		out = append(out, context[sid])
	}
	return out
}

// contextOf returns the contextCSN of the entry that has one.
func (p *SyncProvider) contextOf(e *stored) []string {
	if len(p.directory.suffixes) == 0 || e.name.folded != p.directory.suffixes[0].folded || p.o.Style != SyncOpenLDAP {
		return nil
	}
	return p.ContextCSN()
}

// follow takes in a write of the directory.
func (p *SyncProvider) follow(c change) {
	if c.silent {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes++
	r := syncRecord{csn: c.csn, number: p.changes, before: c.before, after: c.after}
	if c.after != nil {
		r.csn, r.uuid = c.after.first("entrycsn"), p.uuidOf(c.after)
	} else {
		r.uuid = p.uuidOf(c.before)
	}
	if sid, ok := sidOf(r.csn); ok && r.csn > p.context[sid] {
		p.context[sid] = r.csn
	}
	p.log = append(p.log, r)
	if over := len(p.log) - p.o.SessionLog; over > 0 && p.o.Style == SyncOpenLDAP {
		for _, gone := range p.log[:over] {
			if sid, ok := sidOf(gone.csn); ok && p.lost != nil && gone.csn > p.lost[sid] {
				p.lost[sid] = gone.csn
			}
		}
		p.log = slices.Clone(p.log[over:])
	}
	for w := range p.watchers {
		w.add(r)
	}
}

// uuidOf returns the octets by which the provider names an entry.
func (p *SyncProvider) uuidOf(e *stored) string {
	if p.o.Style == Sync389 {
		return uuidOctets(e.first("nsuniqueid"))
	}
	return uuidOctets(e.first("entryuuid"))
}

// sidOf returns the server id of a CSN: its third part, in hexadecimal.
func sidOf(csn string) (int, bool) {
	parts := strings.Split(csn, "#")
	if len(parts) != 4 {
		return 0, false
	}
	sid, err := strconv.ParseInt(parts[2], 16, 32)
	return int(sid), err == nil
}

// providerBackup is what a provider holds at a backup.
type providerBackup struct {
	context map[int]string
	log     []syncRecord
	lost    map[int]string
	changes int
}

func (p *SyncProvider) save() any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return providerBackup{maps.Clone(p.context), slices.Clone(p.log), maps.Clone(p.lost), p.changes}
}

func (p *SyncProvider) restore(saved any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ok := saved.(providerBackup)
	if !ok {
		b.context = map[int]string{}
	}
	p.context, p.log, p.changes = maps.Clone(b.context), slices.Clone(b.log), b.changes
	p.lost = maps.Clone(b.lost)
	p.restart()
}

// rootAttributes are what the root entry of such a server says of it.
func (p *SyncProvider) rootAttributes() []Attribute {
	if p.o.Style == Sync389 {
		return []Attribute{
			Attr("objectClass", "top"),
			{Name: "structuralObjectClass"},
			Attr("changeLog", "cn=changelog"),
			Attr("vendorName", "389 Project"), Attr("vendorVersion", "389-Directory/2.3.1 B2023.01"),
		}
	}
	return []Attribute{Attr("configContext", "cn=config"), {Name: "vendorName"}, {Name: "vendorVersion"}}
}
