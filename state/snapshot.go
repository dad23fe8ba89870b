package state

import (
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/persist"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// Snapshot is everything under v/ as of one revision. It does not change and is
// never waited for. It implements permissions.Members.
type Snapshot struct {
	rev       store.Revision
	users     persist.Vector[userSlot]
	plain     persist.Vector[uint64]   // 64 users a word, see isPlain
	within    persist.Vector[[]uint32] // by user: present groups that he is directly in, sorted
	groups    persist.Vector[groupSlot]
	groupIDs  persist.Vector[identity.GroupID] // again, close together: a check asks for many
	userByID  persist.Map[identity.UserID, uint32]
	groupByID persist.Map[identity.GroupID, uint32]
	userKeys  index
	groupKeys index
	userNames index
	grpNames  index
	userTerms index
	grpTerms  index
	others    others
	configs   sourceConfigs
	bars      map[identity.SourceID]storedBar // replaced when one changes
	locals    persist.Map[identity.Member, rawValue]
	book      *permissions.Book
	tokens    persist.Map[string, Token]
	sources   map[identity.SourceID]SourceState // copied when it changes
	totals    map[identity.SourceID]plan.Total  // as well
	epoch     store.Revision                    // of v/p/epoch
	config    rawSettings
	first     precedence
	settles   settlements
	unread    int
	nesting   *nesting
	userOrder *ordering
	grpOrder  *ordering
	owners    []identity.SourceID // sources that have a record of a user or a group
}

// ordering is the handles in the order of ids, computed when first asked for and
// shared by all snapshots between which nobody was added. Handles are nearly in that
// order already: a load gives them so, and later ids are larger, but for those that
// several transactions in flight bring in.
type ordering struct {
	once    sync.Once
	handles []uint32
}

// from returns the handles whose ids come after one, in the order of ids.
func (o *ordering) from(n int, compare func(handle uint32) int, less func(a, b uint32) int) []uint32 {
	o.once.Do(func() {
		o.handles = make([]uint32, n)
		for h := range o.handles {
			o.handles[h] = uint32(h)
		}
		if !slices.IsSortedFunc(o.handles, less) {
			slices.SortFunc(o.handles, less)
		}
	})
	at, found := slices.BinarySearchFunc(o.handles, 0, func(h uint32, _ int) int { return compare(h) })
	if found {
		at++
	}
	return o.handles[at:]
}

// rawValue is a stored value and its revision.
type rawValue struct {
	raw string
	rev store.Revision
}

// nesting is the closure of the groups, computed when first asked for and shared by
// all snapshots between which no nesting changed.
type nesting struct {
	once    sync.Once
	closure *identity.Closure
}

// Rev returns the revision that the snapshot is of.
func (s *Snapshot) Rev() store.Revision { return s.rev }

// Unread returns how many users, groups and chunks of members are stored that this
// version cannot read, and therefore left out. Whoever compares the roll with something else must not take them for absent: a
// newer version wrote them, most likely.
func (s *Snapshot) Unread() int { return s.unread }

// Book returns the grants and custom permissions.
func (s *Snapshot) Book() *permissions.Book { return s.book }

// User returns a user and the revisions that his record and his layer were last
// written at, the larger of both: what an ETag is made of.
func (s *Snapshot) User(id identity.UserID) (*identity.User, store.Revision, bool) {
	h, ok := s.userByID.Get(id)
	if !ok {
		return nil, 0, false
	}
	slot := s.users.At(int(h))
	if !slot.exists() {
		return nil, 0, false
	}
	var o storedObject
	if decode(userKey(id), []byte(slot.raw), &o) != nil {
		return nil, 0, false // the follower has refused to take it in, so this cannot be
	}
	u := &identity.User{ID: id, Record: o.record(), Missing: s.goneAt(&o), Created: o.made()}
	layer, rev := s.Local(identity.UserMember(id))
	u.Local = layer
	u.Local.Barred = s.bars[o.Source].Attributes
	u.Linked, u.First = s.linkedOf(&slot), s.first.of
	return u, max(rev, slot.rev, slot.linkedRev()), true
}

// Group returns a group and its revision, as User does. The revision covers the
// members, too.
func (s *Snapshot) Group(id identity.GroupID) (*identity.Group, store.Revision, bool) {
	h, ok := s.groupByID.Get(id)
	if !ok {
		return nil, 0, false
	}
	slot := s.groups.At(int(h))
	if !slot.exists() {
		return nil, 0, false
	}
	var o storedObject
	if decode(groupKey(id), []byte(slot.raw), &o) != nil {
		return nil, 0, false // as above
	}
	g := &identity.Group{ID: id, Record: o.record(), Missing: s.goneAt(&o), Created: o.Created}
	layer, rev := s.Local(identity.GroupMember(id))
	g.Local = layer
	g.Local.Barred = s.bars[o.Source].Attributes
	return g, max(rev, slot.rev, slot.own.rev, slot.local.rev), true
}

// goneAt is since when an object counts for nothing: since its source lost it, or was
// itself deleted.
func (s *Snapshot) goneAt(o *storedObject) time.Time {
	if o.Missing.IsZero() {
		return s.sources[o.Source].Leaving
	}
	return o.Missing
}

// Local returns the local layer of a user or group; without one, a zero layer.
func (s *Snapshot) Local(m identity.Member) (identity.LocalLayer, store.Revision) {
	v, ok := s.locals.Get(m)
	if !ok {
		return identity.LocalLayer{}, 0
	}
	var l storedLocal
	if decode(localKey(m), []byte(v.raw), &l) != nil {
		return identity.LocalLayer{}, v.rev
	}
	return l.layer(), v.rev
}

// Row is the short form of a user or a group, for lists.
type Row struct {
	Member identity.Member
	Name   string
	Source identity.SourceID
	Key    identity.Key
	Status identity.Reason // of a user, by the clock given; of a group whether it is missing
	Rev    store.Revision
}

// Users yields every user in the order of ids, beginning after the given one.
func (s *Snapshot) Users(after identity.UserID, now time.Time) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		id := func(h uint32) identity.UserID { return s.users.Ref(int(h)).id }
		handles := s.userOrder.from(s.users.Len(),
			func(h uint32) int { return id(h).Compare(after) },
			func(a, b uint32) int { return id(a).Compare(id(b)) })
		for _, h := range handles {
			u := s.users.Ref(int(h))
			if !u.exists() {
				continue
			}
			sub := subject(h, u)
			row := Row{identity.UserMember(u.id), u.name, u.source, u.key, sub.Inactive(now), u.rev}
			if !yield(row) {
				return
			}
		}
	}
}

// Groups yields every group, as Users does.
func (s *Snapshot) Groups(after identity.GroupID) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		id := func(h uint32) identity.GroupID { return s.groups.Ref(int(h)).id }
		handles := s.grpOrder.from(s.groups.Len(),
			func(h uint32) int { return id(h).Compare(after) },
			func(a, b uint32) int { return id(a).Compare(id(b)) })
		for _, h := range handles {
			g := s.groups.Ref(int(h))
			if g.exists() && !yield(groupRow(g)) {
				return
			}
		}
	}
}

func groupRow(g *groupSlot) Row {
	row := Row{identity.GroupMember(g.id), g.name, g.source, g.key, identity.Active, g.rev}
	if g.missing {
		row.Status = identity.ReasonMissing
	}
	return row
}

// FindUsers returns the users that a person may mean by text: an id, a login name,
// or "<source>/<login name>". Several answers mean that the name is ambiguous.
func (s *Snapshot) FindUsers(text string) []identity.UserID {
	if id, err := identity.ParseUserID(text); err == nil {
		if h, ok := s.userByID.Get(id); ok {
			if u := s.users.At(int(h)); u.exists() {
				return []identity.UserID{id}
			}
		}
	}
	var found []identity.UserID
	s.byName(text, func(source identity.SourceID, folded string) {
		s.userNames.find(nameHash(source, folded), func(h uint32) bool {
			u := s.users.Ref(int(h))
			f, ok := u.facet(source)
			// A bare name is that of the record that owns; the name of a linked one goes
			// with its source.
			if ok && identity.FoldName(f.name) == folded && (u.source == source || folded != identity.FoldName(text)) {
				found = append(found, u.id)
			}
			return true
		})
	})
	return found
}

// FindGroups returns the groups that a person may mean by text, as FindUsers does.
// Group names need not be unique even within a source.
func (s *Snapshot) FindGroups(text string) []identity.GroupID {
	if id, err := identity.ParseGroupID(text); err == nil {
		if h, ok := s.groupByID.Get(id); ok {
			if g := s.groups.At(int(h)); g.exists() {
				return []identity.GroupID{id}
			}
		}
	}
	var found []identity.GroupID
	s.byName(text, func(source identity.SourceID, folded string) {
		s.grpNames.find(nameHash(source, folded), func(h uint32) bool {
			if g := s.groups.At(int(h)); g.exists() && g.source == source && identity.FoldName(g.name) == folded {
				found = append(found, g.id)
			}
			return true
		})
	})
	return found
}

// byName tries text as a bare name in every source, and as a name with its source.
func (s *Snapshot) byName(text string, try func(identity.SourceID, string)) {
	folded := identity.FoldName(text)
	for _, id := range s.SourceIDs() {
		try(id, folded)
		if name, ok := strings.CutPrefix(text, string(id)+"/"); ok {
			try(id, identity.FoldName(name))
		}
	}
}

// SourceIDs returns the sources that ever ran or that own anything, "local" first.
func (s *Snapshot) SourceIDs() []identity.SourceID {
	ids := slices.Clone(s.owners)
	for id := range s.sources {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id identity.SourceID) bool { return id == identity.Local })
	return slices.Insert(ids, 0, identity.Local)
}

// Membership is a member of a group, with everyone who put it there.
type Membership struct {
	Member  identity.Member
	Origins []identity.SourceID
}

// Members yields the members of a group with their origins, its source's first.
// Members that exist no more are left out, and so is what is barred.
func (s *Snapshot) Members(id identity.GroupID) iter.Seq[Membership] {
	return func(yield func(Membership) bool) {
		h, ok := s.groupByID.Get(id)
		if !ok {
			return
		}
		g := s.groups.Ref(int(h))
		own := []identity.SourceID{g.source}
		both, local := []identity.SourceID{g.source, identity.Local}, []identity.SourceID{identity.Local}
		layered := !g.shut && g.local.len() > 0
		g.refs(func(r ref) bool {
			m, ok := s.member(r)
			if !ok {
				return true
			}
			from := own
			if layered && g.local.has(r) {
				from = local
				if g.own.has(r) {
					from = both
				}
			}
			return yield(Membership{m, from})
		})
	}
}

func origins(g *groupSlot, m identity.Member, r ref) []identity.SourceID {
	var o []identity.SourceID
	if g.own.holds(m, r) {
		o = append(o, g.source)
	}
	if !g.shut && g.local.holds(m, r) {
		o = append(o, identity.Local)
	}
	return o
}

// MemberCount returns the number of members of a group, each once.
func (s *Snapshot) MemberCount(id identity.GroupID) int {
	h, ok := s.groupByID.Get(id)
	if !ok {
		return 0
	}
	g := s.groups.At(int(h))
	if g.local.len() == 0 {
		return g.own.len()
	}
	n := 0
	g.refs(func(ref) bool { n++; return true })
	return n
}

// member returns what a reference stands for, if it exists.
func (s *Snapshot) member(r ref) (identity.Member, bool) {
	if r.isGroup() {
		g := s.groups.At(int(r.handle()))
		return identity.GroupMember(g.id), g.exists()
	}
	u := s.users.At(int(r.handle()))
	return identity.UserMember(u.id), u.exists()
}

// GroupsOf yields the present groups that a user or group is directly in, with who
// put it there.
func (s *Snapshot) GroupsOf(m identity.Member) iter.Seq2[identity.GroupID, []identity.SourceID] {
	return func(yield func(identity.GroupID, []identity.SourceID) bool) {
		r, ok := s.ref(m)
		if !ok {
			return
		}
		for _, h := range s.parents(r) {
			g := s.groups.At(int(h))
			if !yield(g.id, origins(&g, m, r)) {
				return
			}
		}
	}
}

func (s *Snapshot) ref(m identity.Member) (ref, bool) {
	if g, ok := m.Group(); ok {
		h, ok := s.groupByID.Get(g)
		return groupRef(h), ok
	}
	u, _ := m.User()
	h, ok := s.userByID.Get(u)
	return userRef(h), ok
}

func (s *Snapshot) parents(r ref) []uint32 {
	if r.isGroup() {
		g := s.groups.At(int(r.handle()))
		return g.parents
	}
	return s.within.At(int(r.handle()))
}

// Name returns how a user or group is called, and by which source.
func (s *Snapshot) Name(m identity.Member) (string, identity.SourceID) {
	r, ok := s.ref(m)
	switch {
	case !ok:
		return m.String(), ""
	case r.isGroup():
		g := s.groups.At(int(r.handle()))
		return g.name, g.source
	}
	u := s.users.At(int(r.handle()))
	return u.name, u.source
}

// OneUser returns the only user that text can mean, or a fault that says what to do.
func (s *Snapshot) OneUser(text string) (identity.UserID, error) {
	found := s.FindUsers(text)
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if r, ok := s.ApartNamed(text); ok {
			return identity.UserID{}, fault.New(fault.NotFound, "user_not_found",
				"there is no user %q: a record of that name was pushed and is nobody's; settle its entry %s, or link it", text, r.Key)
		}
		return identity.UserID{}, fault.New(fault.NotFound, "user_not_found", "there is no user %q", text)
	}
	names := make([]string, len(found))
	for i, id := range found {
		name, source := s.Name(identity.UserMember(id))
		names[i] = string(source) + "/" + name
	}
	return identity.UserID{}, fault.New(fault.Conflict, "ambiguous_name", "%q may be any of %s: name one of them", text, strings.Join(names, ", "))
}

// OneGroup returns the only group that text can mean, as OneUser does.
func (s *Snapshot) OneGroup(text string) (identity.GroupID, error) {
	found := s.FindGroups(text)
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return identity.GroupID{}, fault.New(fault.NotFound, "group_not_found", "there is no group %q", text)
	}
	names := make([]string, len(found))
	for i, id := range found {
		_, source := s.Name(identity.GroupMember(id))
		names[i] = string(source) + ": " + id.String()
	}
	return identity.GroupID{}, fault.New(fault.Conflict, "ambiguous_name", "%q may be any of %s: name it by its id", text, strings.Join(names, ", "))
}
