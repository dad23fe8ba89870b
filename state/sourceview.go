package state

import (
	"iter"
	"slices"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// SourceView is a snapshot as one source may see it: what the source owns, by its
// own keys. It implements plan.Directory, and what a read asks of the roll.
type SourceView struct {
	snap   *Snapshot
	source identity.SourceID
}

var _ plan.Directory = SourceView{}

// Of returns the snapshot as a source may see it.
func (s *Snapshot) Of(id identity.SourceID) SourceView { return SourceView{s, id} }

// User implements plan.Directory.
func (v SourceView) User(key identity.Key) (plan.Known, bool) {
	h, ok := v.snap.userOf(v.source, key)
	if !ok {
		return plan.Known{}, false
	}
	return v.known(v.snap.users.Ref(int(h))), true
}

// Group implements plan.Directory.
func (v SourceView) Group(key identity.Key) (plan.Known, bool) {
	h, ok := v.snap.groupOf(v.source, key)
	if !ok {
		return plan.Known{}, false
	}
	return knownGroup(v.snap.groups.Ref(int(h))), true
}

// userOf returns the handle of the user that a source knows by a key.
func (s *Snapshot) userOf(source identity.SourceID, key identity.Key) (handle uint32, found bool) {
	s.userKeys.find(keyHash(source, key), func(h uint32) bool {
		u := s.users.Ref(int(h))
		f, ok := u.facet(source)
		handle, found = h, ok && f.key == key
		return !found
	})
	return handle, found
}

func (s *Snapshot) groupOf(source identity.SourceID, key identity.Key) (handle uint32, found bool) {
	s.groupKeys.find(keyHash(source, key), func(h uint32) bool {
		g := s.groups.Ref(int(h))
		handle, found = h, g.exists() && g.key == key && g.source == source
		return !found
	})
	return handle, found
}

// known is the short form of a user of whom the source has a record, linked or not.
func (v SourceView) known(u *userSlot) plan.Known {
	f, _ := u.facet(v.source)
	return plan.Known{
		Kind: plan.User, Ref: identity.UserMember(u.id).Bytes(), Key: f.key, Name: f.name, Hash: f.hash, Missing: f.missing,
	}
}

func knownGroup(g *groupSlot) plan.Known {
	return plan.Known{
		Kind: plan.Group, Ref: identity.GroupMember(g.id).Bytes(), Key: g.key, Name: g.name, Hash: g.hash, Missing: g.missing,
	}
}

// Users implements plan.Directory.
func (v SourceView) Users() iter.Seq[plan.Known] {
	return func(yield func(plan.Known) bool) {
		for h := range v.snap.users.Len() {
			u := v.snap.users.Ref(h)
			if _, ok := u.facet(v.source); ok && !yield(v.known(u)) {
				return
			}
		}
	}
}

// Groups implements plan.Directory.
func (v SourceView) Groups() iter.Seq[plan.Known] {
	return func(yield func(plan.Known) bool) {
		for h := range v.snap.groups.Len() {
			g := v.snap.groups.Ref(h)
			if g.exists() && g.source == v.source && !yield(knownGroup(g)) {
				return
			}
		}
	}
}

// Named implements plan.Directory.
func (v SourceView) Named(folded string) iter.Seq[plan.Known] {
	return func(yield func(plan.Known) bool) {
		v.snap.userNames.find(nameHash(v.source, folded), func(h uint32) bool {
			u := v.snap.users.Ref(int(h))
			f, ok := u.facet(v.source)
			return !ok || identity.FoldName(f.name) != folded || yield(v.known(u))
		})
	}
}

// Record implements plan.Directory.
func (v SourceView) Record(k plan.Known) *identity.Record {
	raw := ""
	if k.Kind == plan.Group {
		if h, ok := v.snap.groupOf(v.source, k.Key); ok {
			raw = v.snap.groups.Ref(int(h)).raw
		}
	} else if h, ok := v.snap.userOf(v.source, k.Key); ok {
		f, _ := v.snap.users.Ref(int(h)).facet(v.source)
		raw = f.raw
	}
	var o storedObject
	if raw == "" || decode(string(k.Key), []byte(raw), &o) != nil {
		return nil
	}
	r := o.record()
	return &r
}

// Members implements plan.Directory.
func (v SourceView) Members(k plan.Known) iter.Seq[plan.MemberKey] {
	return func(yield func(plan.MemberKey) bool) {
		h, ok := v.snap.groupOf(v.source, k.Key)
		if !ok {
			return
		}
		own := &v.snap.groups.Ref(int(h)).own
		for _, groups := range []bool{false, true} {
			for c := range own.chunks {
				if !v.yieldChunk(c, groups, yield) {
					return
				}
			}
		}
	}
}

func (v SourceView) yieldChunk(c chunk, groups bool, yield func(plan.MemberKey) bool) bool {
	for _, r := range c.refs {
		if r.isGroup() != groups {
			continue
		}
		m := plan.MemberKey{Group: groups}
		if groups {
			m.Key = v.snap.groups.Ref(int(r.handle())).key
		} else {
			m.Key = v.snap.users.Ref(int(r.handle())).keyFor(v.source)
		}
		if m.Key != "" && !yield(m) {
			return false
		}
	}
	return true
}

// Hash returns the content hash stored for a user or group that is present.
func (v SourceView) Hash(group bool, key identity.Key) (hash uint64, ok bool) {
	var k plan.Known
	if group {
		k, ok = v.Group(key)
	} else {
		k, ok = v.User(key)
	}
	return k.Hash, ok && !k.Missing
}

// Present yields the keys of all users, or all groups, that are present.
func (v SourceView) Present(group bool) iter.Seq[identity.Key] {
	all := v.Users()
	if group {
		all = v.Groups()
	}
	return func(yield func(identity.Key) bool) {
		for k := range all {
			if !k.Missing && !yield(k.Key) {
				return
			}
		}
	}
}

// Stored returns the record of a user or group that is present, or nil.
func (v SourceView) Stored(group bool, key identity.Key) *identity.Record {
	k, ok := v.User(key)
	if group {
		k, ok = v.Group(key)
	}
	if !ok || k.Missing {
		return nil
	}
	return v.Record(k)
}

// GroupsWith yields the present groups that have a user or group as a member by the
// source's word.
func (v SourceView) GroupsWith(group bool, key identity.Key) iter.Seq[identity.Key] {
	return func(yield func(identity.Key) bool) {
		m, ok := v.Ref(plan.MemberKey{Group: group, Key: key})
		if !ok {
			return
		}
		for id, origins := range v.snap.GroupsOf(m) {
			h, _ := v.snap.groupByID.Get(id)
			if g := v.snap.groups.Ref(int(h)); slices.Contains(origins, v.source) && g.source == v.source && !yield(g.key) {
				return
			}
		}
	}
}

// Ref returns the user or group that the source knows by a key.
func (v SourceView) Ref(m plan.MemberKey) (identity.Member, bool) {
	if m.Group {
		h, ok := v.snap.groupOf(v.source, m.Key)
		if !ok {
			return identity.Member{}, false
		}
		return identity.GroupMember(v.snap.groups.Ref(int(h)).id), true
	}
	h, ok := v.snap.userOf(v.source, m.Key)
	if !ok {
		return identity.Member{}, false
	}
	return identity.UserMember(v.snap.users.Ref(int(h)).id), true
}

// Counts is how many users and groups a source has, and how many it has lost.
type Counts struct {
	Users, UsersInactive, UsersMissing, Groups, GroupsMissing, Members int
	// Linked are present records that are linked to users of other sources, Barring those of
	// them that may keep their users out, and do not; Apart are those that are nobody's.
	Linked, Barring, Apart int
}

func (u *userSlot) countLinks(counts map[identity.SourceID]Counts) {
	for _, l := range *u.links {
		c := counts[l.source]
		switch {
		case l.missing || l.left:
			continue
		case !u.exists():
			c.Apart++
		default:
			c.Linked++
			if u.barredBy(&l) && l.off == identity.Active {
				c.Barring++
			}
		}
		counts[l.source] = c
	}
}

// Counts counts what each source has. It looks at every object: for metrics and
// status pages, not for each request.
func (s *Snapshot) Counts() map[identity.SourceID]Counts {
	counts := map[identity.SourceID]Counts{}
	for h := range s.users.Len() {
		u := s.users.Ref(h)
		if u.links != nil {
			u.countLinks(counts)
		}
		if !u.exists() {
			continue
		}
		c := counts[u.source]
		switch {
		case u.missing:
			c.UsersMissing++
		case u.status() != identity.Active:
			c.UsersInactive++
			c.Users++
		default:
			c.Users++
		}
		counts[u.source] = c
	}
	for h := range s.groups.Len() {
		g := s.groups.Ref(h)
		if !g.exists() {
			continue
		}
		c := counts[g.source]
		if g.missing {
			c.GroupsMissing++
		} else {
			c.Groups++
			c.Members += g.own.len()
		}
		counts[g.source] = c
	}
	return counts
}
