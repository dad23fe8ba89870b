package state

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
)

// ChangeKind says what changed.
type ChangeKind string

// The kinds of change that the feed tells of.
const (
	UserChange       ChangeKind = "user"       // his record or his local layer
	GroupChange      ChangeKind = "group"      // its record, its local layer or its members
	MembershipChange ChangeKind = "membership" // a user or a group came into a group or left it
	GrantChange      ChangeKind = "grant"
	PermissionChange ChangeKind = "permission" // a custom one
	SettingsChange   ChangeKind = "settings"
	SourceChange     ChangeKind = "source" // where it stands
)

// Changed is one change that the view has seen. It says what changed, not how: who
// needs to know reads it.
type Changed struct {
	Rev  store.Revision
	Kind ChangeKind
	// Member is the user or the group; of a grant, to whom it is.
	Member identity.Member
	// Name is the permission, or the source; of settings, the source that they are of.
	Name    string
	Removed bool

	members bool  // of a group, and nothing else of it
	at      int64 // when the view saw it, in Unix seconds
}

// feedLength is how many changes are kept: a few megabytes, and more than a day of a
// busy installation, but less than a first sync.
const feedLength = 1 << 16

// feed is the changes of late, in memory. The follower of the store adds to it; what
// is newer than the snapshot that readers have is not shown to them.
type feed struct {
	now func() time.Time

	mu    sync.Mutex // guards the rest
	ring  []Changed  // by revision, beginning at start once it is full
	start int
	floor store.Revision // every change after it is there
	since int64          // when the view was at the floor, or before
	rev   store.Revision // of the change that is being taken in
	at    int64          // when that is, in Unix seconds
}

// begin forgets everything: the view has read all there is, as of a revision.
func (f *feed) begin(rev store.Revision) *feed {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring, f.start, f.floor, f.since = f.ring[:0], 0, rev, f.now().Unix()
	return f
}

// note takes in a change of the store. Without a feed it does nothing, as moved does.
func (f *feed) note(ev store.Event) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rev, f.at = ev.Record.Rev, f.now().Unix()
	if c, ok := changed(ev.Record.Key); ok {
		c.Removed = ev.Deleted && !strings.HasPrefix(ev.Record.Key, keyLinked) // its user stays
		f.add(c)
	}
}

// moved takes in that a user or a group came into a group or left it.
func (f *feed) moved(m identity.Member) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(Changed{Kind: MembershipChange, Member: m})
}

func (f *feed) add(c Changed) {
	c.Rev, c.at = f.rev, f.at
	if len(f.ring) < feedLength {
		f.ring = append(f.ring, c)
		return
	}
	f.floor, f.since = f.ring[f.start].Rev, f.ring[f.start].at
	f.ring[f.start] = c
	f.start = (f.start + 1) % feedLength
}

// changed reads from a key what it is about. Claims, tokens and marks are nobody
// else's business.
func changed(key string) (c Changed, ok bool) {
	switch {
	case strings.HasPrefix(key, keyUser):
		id, err := identity.ParseUserID(key[len(keyUser):])
		return Changed{Kind: UserChange, Member: identity.UserMember(id)}, err == nil
	case strings.HasPrefix(key, keyLinked):
		id, _, err := parseLinkedKey(key)
		return Changed{Kind: UserChange, Member: identity.UserMember(id)}, err == nil
	case strings.HasPrefix(key, keyGroup):
		id, err := identity.ParseGroupID(key[len(keyGroup):])
		return Changed{Kind: GroupChange, Member: identity.GroupMember(id)}, err == nil
	case strings.HasPrefix(key, keyMembers):
		name, err := parseChunkKey(key)
		return Changed{Kind: GroupChange, Member: identity.GroupMember(name.group), members: true}, err == nil
	case strings.HasPrefix(key, keyLocal):
		c.Kind = UserChange
		ok = c.Member.UnmarshalText([]byte(key[len(keyLocal):])) == nil
		if c.Member.IsGroup() {
			c.Kind = GroupChange
		}
		return c, ok
	case strings.HasPrefix(key, keyGrant):
		member, permission, _ := strings.Cut(key[len(keyGrant):], "/")
		c.Kind, c.Name = GrantChange, permission
		return c, c.Member.UnmarshalText([]byte(member)) == nil
	case strings.HasPrefix(key, keyCustom):
		return Changed{Kind: PermissionChange, Name: key[len(keyCustom):]}, true
	case strings.HasPrefix(key, keySource):
		return Changed{Kind: SourceChange, Name: key[len(keySource):]}, true
	case strings.HasPrefix(key, keyBar):
		return Changed{Kind: SettingsChange, Name: key[len(keyBar):]}, true
	case key == keySettings, key == keyFirst:
		return Changed{Kind: SettingsChange}, true
	}
	return c, false
}

// after returns the changes after one revision and up to another, at most about that
// many, but always all of a revision; and when the view was at the first of the two,
// or before. It reports false when some of them are forgotten.
func (f *feed) after(rev, upTo store.Revision, most int) (changes []Changed, since time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rev < f.floor {
		return nil, time.Time{}, false
	}
	older, newer := f.ring[f.start:], f.ring[:f.start] // newer is empty until the ring is full
	at := f.since
	for _, part := range [][]Changed{older, newer} {
		from, _ := slices.BinarySearchFunc(part, rev, func(c Changed, rev store.Revision) int {
			if c.Rev <= rev {
				return -1
			}
			return 1
		})
		if from > 0 {
			at = part[from-1].at
		}
		for _, c := range part[from:] {
			if c.Rev > upTo || len(changes) >= most && c.Rev != changes[len(changes)-1].Rev {
				return changes, time.Unix(at, 0), true
			}
			changes = append(changes, c)
		}
	}
	return changes, time.Unix(at, 0), true
}

// Changes returns what changed after a revision, in order and at most about as many as
// asked for, but always all of a revision, and the revision up to which that is
// everything. It reports false when the view has forgotten some of it.
func (v *View) Changes(after store.Revision, most int) ([]Changed, store.Revision, bool) {
	upTo := v.Now().rev
	changes, _, ok := v.feed.after(after, upTo, most)
	if n := len(changes); n >= most && n > 0 {
		upTo = changes[n-1].Rev
	}
	return changes, upTo, ok
}

// Touched says who may have another standing than at an earlier revision: other
// permissions, groups, attributes, or another record. It errs on the side of yes.
type Touched struct {
	all      bool // too much was forgotten, or something changed for everybody
	users    map[identity.UserID]struct{}
	groups   map[identity.GroupID]struct{}
	from, to time.Time // what the clock ended in between counts, too
}

// TouchedSince returns who may have another standing now than at a revision.
func (v *View) TouchedSince(rev store.Revision, now time.Time) *Touched {
	changes, since, ok := v.feed.after(rev, v.Now().rev, feedLength)
	t := &Touched{all: !ok, users: map[identity.UserID]struct{}{}, groups: map[identity.GroupID]struct{}{}, from: since, to: now}
	for _, c := range changes {
		switch c.Kind {
		case PermissionChange, SettingsChange:
			t.all = true
		case UserChange, GroupChange, MembershipChange, GrantChange:
			if g, ok := c.Member.Group(); ok && !c.members { // who came or left is a change of his own
				t.groups[g] = struct{}{}
			} else if u, ok := c.Member.User(); ok {
				t.users[u] = struct{}{}
			}
		case SourceChange: // is nobody's standing
		}
	}
	return t
}

// Everybody reports whether all users count as touched.
func (t *Touched) Everybody() bool { return t.all }

// Includes reports whether a user may have another standing.
func (t *Touched) Includes(s *Snapshot, id identity.UserID) bool {
	if _, ok := t.users[id]; ok || t.all {
		return true
	}
	who, ok := s.Subject(id)
	if !ok {
		return false
	}
	if t.ended(who.Expires) || t.grantEnded(s.book, identity.UserMember(id)) {
		return true
	}
	for _, direct := range s.DirectGroups(who.Handle) {
		if t.group(s, direct) || slices.ContainsFunc(s.Above(direct), func(h uint32) bool { return t.group(s, h) }) {
			return true
		}
	}
	return false
}

func (t *Touched) group(s *Snapshot, handle uint32) bool {
	id := s.GroupID(handle)
	_, ok := t.groups[id]
	return ok || t.grantEnded(s.book, identity.GroupMember(id))
}

func (t *Touched) grantEnded(b *permissions.Book, m identity.Member) bool {
	return slices.ContainsFunc(b.Of(m), func(g *permissions.Grant) bool { return t.ended(g.Expires) })
}

// ended reports whether an end lies between then and now.
func (t *Touched) ended(at time.Time) bool {
	return !at.IsZero() && !at.Before(t.from) && !at.After(t.to)
}
