package state

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
)

// Pushed is a user or group as an identity provider pushed it. Its texts share memory
// with the view.
type Pushed struct {
	Member identity.Member
	Key    identity.Key
	Name   string
	// Body is the resource as JSON, as it was accepted.
	Body string
	// Created and Modified are instants in the form of RFC 3339; "": not known.
	Created, Modified string
	// Gone says that its source has taken it away: only its provider can bring it back.
	Gone bool
	// Off says that the source keeps the user out.
	Off bool
	// Place says to whom a user's record belongs.
	Place Place
	Rev   store.Revision
	// Handle numbers it among the users, or the groups, of all snapshots of a view.
	Handle uint32

	raw string
}

// Place says to whom a record of a user belongs.
type Place uint8

// The places of a record.
const (
	Owning  Place = iota // it owns its user
	Joined               // it is a linked record of a user
	Barring              // as Joined, and whom its source keeps out is inactive
	Nobodys              // it belongs to nobody
)

// Decides reports whether the source of a record may keep its user out.
func (p Place) Decides() bool { return p == Owning || p == Barring }

// External returns the provider's own id of it, "" when there is none.
func (p *Pushed) External() string { return p.rest().External }

// Loose returns what a group names as members and what is nobody of its source.
func (p *Pushed) Loose() []string {
	if !strings.Contains(p.raw, `,"loose":[`) {
		return nil
	}
	return p.rest().Loose
}

func (p *Pushed) rest() (o storedObject) {
	if decode("", []byte(p.raw), &o) != nil {
		return storedObject{} // the follower has refused to take it in, so this cannot be
	}
	return o
}

// UsersNamed yields the users whom a source has, or had, under a login name.
func (s *Snapshot) UsersNamed(source identity.SourceID, name string) iter.Seq[Pushed] {
	return func(yield func(Pushed) bool) {
		folded := identity.FoldName(name)
		s.userNames.find(nameHash(source, folded), func(h uint32) bool {
			p, ok := s.users.Ref(int(h)).pushedBy(source, h)
			return !ok || identity.FoldName(p.Name) != folded || yield(p)
		})
	}
}

// GroupsNamed yields the groups that a source has, or had, under a name.
func (s *Snapshot) GroupsNamed(source identity.SourceID, name string) iter.Seq[Pushed] {
	return func(yield func(Pushed) bool) {
		folded := identity.FoldName(name)
		s.grpNames.find(nameHash(source, folded), func(h uint32) bool {
			g := s.groups.Ref(int(h))
			return !g.exists() || g.source != source || identity.FoldName(g.name) != folded || yield(g.pushed(h))
		})
	}
}

// PushedUser returns the user whom a source has under a key, gone or not.
func (s *Snapshot) PushedUser(source identity.SourceID, key identity.Key) (p Pushed, found bool) {
	s.userKeys.find(keyHash(source, key), func(h uint32) bool {
		u := s.users.Ref(int(h))
		if u.exists() && u.source == source && u.key == key {
			p, found = u.pushed(h), true
		} else if l := u.linked(source); l != nil && l.key == key {
			p, found = l.pushed(u, h), true
		}
		return !found
	})
	return p, found
}

// PushedGroup returns the group that a source has under a key, gone or not. Its revision
// covers the members that its source gave it.
func (s *Snapshot) PushedGroup(source identity.SourceID, key identity.Key) (p Pushed, found bool) {
	s.groupKeys.find(keyHash(source, key), func(h uint32) bool {
		if g := s.groups.Ref(int(h)); g.exists() && g.source == source && g.key == key {
			p, found = g.pushed(h), true
		}
		return !found
	})
	return p, found
}

// PushedUserAt returns the user of a handle, and whether there is one of that source.
func (s *Snapshot) PushedUserAt(source identity.SourceID, handle uint32) (Pushed, bool) {
	if int(handle) >= s.users.Len() {
		return Pushed{}, false
	}
	return s.users.Ref(int(handle)).pushedBy(source, handle)
}

// pushedBy returns what a source has pushed of the user of a handle.
func (u *userSlot) pushedBy(source identity.SourceID, handle uint32) (Pushed, bool) {
	if u.source == source && u.exists() {
		return u.pushed(handle), true
	}
	if l := u.linked(source); l != nil {
		return l.pushed(u, handle), true
	}
	return Pushed{}, false
}

// has reports whether a source has pushed the user of a slot, and has not taken him away.
func (u *userSlot) has(source identity.SourceID) bool {
	if u.source == source {
		return u.exists() && !u.missing
	}
	l := u.linked(source)
	return l != nil && !l.missing
}

// PushedIDAt returns the id of the record that a source has pushed of the user of a
// handle, in the form of a member. It stays when the record comes to another user.
func (s *Snapshot) PushedIDAt(source identity.SourceID, handle uint32) identity.Member {
	u := s.users.Ref(int(handle))
	if u.source == source && !u.moved {
		return identity.UserMember(u.id)
	}
	key := u.key
	if l := u.linked(source); l != nil {
		key = l.key
	}
	id, err := identity.ParseUserID(string(key))
	if err != nil {
		return identity.UserMember(u.id) // not pushed by this version: no two are alike
	}
	return identity.UserMember(id)
}

// Moved reports whether the record that a source has pushed of the user of a handle may
// have another id than the user.
func (s *Snapshot) Moved(source identity.SourceID, handle uint32) bool {
	u := s.users.Ref(int(handle))
	return u.links != nil || u.moved || u.source != source
}

// PushedGroupAt returns the group of a handle, as PushedUserAt does.
func (s *Snapshot) PushedGroupAt(source identity.SourceID, handle uint32) (Pushed, bool) {
	if int(handle) >= s.groups.Len() {
		return Pushed{}, false
	}
	g := s.groups.Ref(int(handle))
	if !g.exists() || g.source != source {
		return Pushed{}, false
	}
	return g.pushed(handle), true
}

// PushedUsers yields what a source has of users, those that are gone aside, in the
// order of the ids of its records.
func (s *Snapshot) PushedUsers(source identity.SourceID) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		id := func(h uint32) identity.UserID { return s.users.Ref(int(h)).id }
		handles := s.userOrder.from(s.users.Len(),
			func(h uint32) int { return id(h).Compare(identity.UserID{}) },
			func(a, b uint32) int { return id(a).Compare(id(b)) })
		var all []uint32
		moved := false
		for _, h := range handles {
			if u := s.users.Ref(int(h)); u.has(source) {
				all = append(all, h)
				moved = moved || u.moved || u.source != source
			}
		}
		if moved {
			slices.SortFunc(all, func(a, b uint32) int { return s.PushedIDAt(source, a).Compare(s.PushedIDAt(source, b)) })
		}
		slices.Values(all)(yield)
	}
}

// PushedGroups yields what a source has of groups, as PushedUsers does.
func (s *Snapshot) PushedGroups(source identity.SourceID) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		id := func(h uint32) identity.GroupID { return s.groups.Ref(int(h)).id }
		handles := s.grpOrder.from(s.groups.Len(),
			func(h uint32) int { return id(h).Compare(identity.GroupID{}) },
			func(a, b uint32) int { return id(a).Compare(id(b)) })
		for _, h := range handles {
			g := s.groups.Ref(int(h))
			if g.exists() && !g.missing && g.source == source && !yield(h) {
				return
			}
		}
	}
}

// UsersByTerm yields the users of a source that are found by a term, gone or not.
func (s *Snapshot) UsersByTerm(source identity.SourceID, term string) iter.Seq[Pushed] {
	return func(yield func(Pushed) bool) {
		s.userTerms.find(textHash(string(source), term), func(h uint32) bool {
			p, ok := s.users.Ref(int(h)).pushedBy(source, h)
			if !ok || !slices.Contains(termsOf(p.raw), term) {
				return true
			}
			return yield(p)
		})
	}
}

// GroupsByTerm yields the groups of a source that are found by a term, gone or not.
func (s *Snapshot) GroupsByTerm(source identity.SourceID, term string) iter.Seq[Pushed] {
	return func(yield func(Pushed) bool) {
		s.grpTerms.find(textHash(string(source), term), func(h uint32) bool {
			g := s.groups.Ref(int(h))
			if !g.exists() || g.source != source || !slices.Contains(termsOf(g.raw), term) {
				return true
			}
			return yield(g.pushed(h))
		})
	}
}

// OwnMembers yields the members that its source gave to the group of a handle, those
// that are gone aside.
func (s *Snapshot) OwnMembers(group uint32) iter.Seq2[identity.Member, identity.Key] {
	return func(yield func(identity.Member, identity.Key) bool) {
		g := s.groups.Ref(int(group))
		for r := range g.own.refs {
			if m, key, ok := s.present(r, g.source); ok && !yield(m, key) {
				return
			}
		}
	}
}

// OwnRows yields the members that its source gave to the group of a handle, those that are
// gone among them.
func (s *Snapshot) OwnRows(group uint32) iter.Seq[identity.Member] {
	return func(yield func(identity.Member) bool) {
		for r := range s.groups.Ref(int(group)).own.refs {
			if !yield(s.refMember(r)) {
				return
			}
		}
	}
}

func (s *Snapshot) present(r ref, source identity.SourceID) (identity.Member, identity.Key, bool) {
	if r.isGroup() {
		g := s.groups.Ref(int(r.handle()))
		return identity.GroupMember(g.id), g.key, g.present() && g.source == source
	}
	u := s.users.Ref(int(r.handle()))
	if u.source == source {
		return identity.UserMember(u.id), u.key, u.exists() && !u.missing
	}
	if l := u.linked(source); l != nil {
		return identity.UserMember(u.id), l.key, !l.missing
	}
	return identity.UserMember(u.id), "", false
}

// NameIn returns how a source calls a user or a group that it has a record of.
func (s *Snapshot) NameIn(source identity.SourceID, m identity.Member) string {
	r, ok := s.ref(m)
	if ok && !r.isGroup() {
		if l := s.users.Ref(int(r.handle())).linked(source); l != nil {
			return l.name
		}
	}
	return s.name(m)
}

// OwnMemberCount returns how many members its source gave to the group of a handle.
func (s *Snapshot) OwnMemberCount(group uint32) int { return s.groups.Ref(int(group)).own.len() }

// MemberAt returns the user, or the group, of a handle.
func (s *Snapshot) MemberAt(handle uint32, group bool) identity.Member {
	if group {
		return identity.GroupMember(s.groups.Ref(int(handle)).id)
	}
	return identity.UserMember(s.users.Ref(int(handle)).id)
}

// HandleOf returns the handle of a user or a group.
func (s *Snapshot) HandleOf(m identity.Member) (uint32, bool) {
	r, ok := s.ref(m)
	return r.handle(), ok
}

// OwnMember reports whether its source gave the group of a handle a member.
func (s *Snapshot) OwnMember(group uint32, m identity.Member) bool {
	r, ok := s.ref(m)
	return ok && s.groups.Ref(int(group)).own.holds(m, r)
}

// OwnGroups yields the handles of the groups of a source that a user or group is directly
// in by its word.
func (s *Snapshot) OwnGroups(source identity.SourceID, m identity.Member) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		r, ok := s.ref(m)
		if !ok {
			return
		}
		for _, h := range s.parents(r) {
			g := s.groups.Ref(int(h))
			if g.source == source && g.own.holds(m, r) && !yield(h) {
				return
			}
		}
	}
}

// EveryOwnGroup is OwnGroups with the groups that are gone: a membership there counts again
// when they return. It looks at every group.
func (s *Snapshot) EveryOwnGroup(source identity.SourceID, m identity.Member) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		r, ok := s.ref(m)
		if !ok {
			return
		}
		for h := range s.groups.Len() {
			if g := s.groups.Ref(h); g.exists() && g.source == source && g.own.holds(m, r) && !yield(uint32(h)) {
				return
			}
		}
	}
}

// OwnGroupsAt is OwnGroups for the user of a handle.
func (s *Snapshot) OwnGroupsAt(source identity.SourceID, user uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		m := identity.UserMember(s.users.Ref(int(user)).id)
		for _, h := range *s.within.Ref(int(user)) {
			if g := s.groups.Ref(int(h)); g.source == source && g.own.holds(m, userRef(user)) && !yield(h) {
				return
			}
		}
	}
}

// CarriedBy returns the permissions that the word of a source may give: those that are
// granted to one of its groups or users, or to a group that one is in, and those that
// its newcomers get. Who is away or kept out counts, since the source may bring him back.
func (s *Snapshot) CarriedBy(source identity.SourceID) []permissions.Permission {
	seen := map[permissions.Permission]bool{}
	note := func(m identity.Member) {
		for _, grant := range s.book.Of(m) {
			seen[grant.Permission] = true
		}
	}
	d, _ := s.Defaults(source)
	for _, p := range d.Permissions {
		seen[p] = true
	}
	within := map[uint32]bool{}
	for h := range s.groups.Len() {
		if g := s.groups.Ref(h); g.exists() && g.source == source {
			within[uint32(h)] = true
		}
	}
	for h := range s.users.Len() {
		u := s.users.Ref(h)
		l := u.linked(source)
		if u.exists() && (u.source == source || l != nil && u.barredBy(l)) {
			note(identity.UserMember(u.id))
			for _, g := range s.parents(userRef(uint32(h))) {
				within[g] = true
			}
		}
	}
	for h := range within {
		for _, above := range append(slices.Clone(s.Above(h)), h) {
			note(identity.GroupMember(s.GroupID(above)))
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (u *userSlot) pushed(h uint32) Pushed {
	p := Pushed{
		Member: identity.UserMember(u.id), Key: u.key, Name: u.name, Gone: u.missing,
		Off: u.off != identity.Active, Rev: u.rev, Handle: h,
	}
	p.read(u.raw, u.body)
	return p
}

// pushed is that of a linked record, or of one that is nobody's.
func (l *linkedSlot) pushed(u *userSlot, h uint32) Pushed {
	p := Pushed{
		Member: identity.UserMember(u.id), Key: l.key, Name: l.name, Gone: l.missing,
		Off: l.off != identity.Active, Rev: l.rev, Handle: h, Place: Joined,
	}
	switch {
	case !u.exists():
		p.Place = Nobodys
	case u.barredBy(l):
		p.Place = Barring
	}
	p.read(l.raw, l.body)
	return p
}

func (g *groupSlot) pushed(h uint32) Pushed {
	p := Pushed{Member: identity.GroupMember(g.id), Key: g.key, Name: g.name, Gone: g.missing, Rev: max(g.rev, g.own.rev), Handle: h}
	p.read(g.raw, g.body)
	p.Modified = later(p.Modified, g.own.when)
	return p
}

// later returns an instant, or that of so many milliseconds if it comes after it. What is
// not known stays so.
func later(text string, ms int64) string {
	if text == "" || ms == 0 {
		return text
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if other := time.UnixMilli(ms).UTC(); err == nil && other.After(at) {
		return other.Format(time.RFC3339Nano)
	}
	return text
}

// read finds what stands behind the head: by its place where this version wrote it.
func (p *Pushed) read(raw string, size uint32) {
	p.raw = raw
	at := strings.Index(raw, `,"size":`)
	if size == 0 || at < 0 {
		p.decode(raw)
		return
	}
	p.Body = raw[len(raw)-1-int(size) : len(raw)-1]
	s := scanner{raw: raw, at: at, ok: true}
	s.want(`,"size":`)
	s.number()
	if s.have(`,"made":`) {
		p.Created = s.text()
	}
	if s.have(`,"mod":`) {
		p.Modified = s.text()
	}
	if !s.ok {
		p.decode(raw)
	}
}

func (p *Pushed) decode(raw string) {
	var o struct {
		Created  string         `json:"made"`
		Modified string         `json:"mod"`
		Body     jsontext.Value `json:"raw"`
	}
	if json.Unmarshal([]byte(raw), &o) != nil {
		return // as in rest
	}
	p.Created, p.Modified, p.Body = o.Created, o.Modified, string(o.Body)
}

// isID reports whether a key is the text of an id.
func isID(key identity.Key, u identity.UserID) bool {
	var b [37]byte
	text, _ := identity.UserMember(u).AppendText(b[:0]) // cannot fail
	return string(key) == string(text[1:])
}
