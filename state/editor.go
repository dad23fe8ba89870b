package state

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/persist"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// editor turns events of the store into the next snapshot. One goroutine owns it.
// Events may come in any order: what is mentioned before it exists gets an empty
// slot, and chunks of a generation that is not the group's are kept aside until the
// group turns to it.
type editor struct {
	users     *persist.VectorEdit[userSlot]
	plain     *persist.VectorEdit[uint64]
	within    *persist.VectorEdit[[]uint32]
	groups    *persist.VectorEdit[groupSlot]
	groupIDs  *persist.VectorEdit[identity.GroupID]
	userByID  *persist.Edit[identity.UserID, uint32]
	groupByID *persist.Edit[identity.GroupID, uint32]
	userKeys  indexEdit
	groupKeys indexEdit
	userNames indexEdit
	grpNames  indexEdit
	userTerms indexEdit
	grpTerms  indexEdit
	others    othersEdit
	configs   sourceConfigs
	bars      map[identity.SourceID]storedBar // replaced, never changed
	locals    *persist.Edit[identity.Member, rawValue]
	tokens    *persist.Edit[string, Token]
	book      *permissions.Edit
	sources   map[identity.SourceID]SourceState
	copied    bool // sources is not shared with a snapshot
	totals    map[identity.SourceID]plan.Total
	counted   bool // totals is not shared with a snapshot
	epoch     store.Revision
	config    rawSettings
	first     precedence
	settles   settlements
	nesting   *nesting
	renest    bool
	aside     bool // makes a snapshot that is not of the store
	feed      *feed
	userOrder *ordering
	grpOrder  *ordering
	owners    []identity.SourceID // of records; extended, never changed

	strays  map[chunkName]rawValue
	left    map[string]struct{} // keys whose values this version cannot read
	names   map[identity.SourceID]identity.SourceID
	reasons map[identity.Reason]identity.Reason
	unread  error // of chunks that this version cannot read, since apply began
}

func newEditor() *editor {
	e := &editor{
		strays:  map[chunkName]rawValue{},
		left:    map[string]struct{}{},
		names:   map[identity.SourceID]identity.SourceID{},
		reasons: map[identity.Reason]identity.Reason{},
	}
	e.begin(&Snapshot{
		userByID:  persist.NewMap[identity.UserID, uint32](func(u identity.UserID) uint64 { return hashMember(identity.UserMember(u)) }),
		groupByID: persist.NewMap[identity.GroupID, uint32](func(g identity.GroupID) uint64 { return hashMember(identity.GroupMember(g)) }),
		locals:    persist.NewMap[identity.Member, rawValue](hashMember),
		book:      permissions.NewBook(),
		sources:   map[identity.SourceID]SourceState{},
		totals:    map[identity.SourceID]plan.Total{},
		nesting:   &nesting{},
		others:    noOthers(),
		userOrder: &ordering{},
		grpOrder:  &ordering{},
	})
	return e
}

// begin continues from a snapshot.
func (e *editor) begin(s *Snapshot) {
	e.users, e.plain, e.within = s.users.Edit(), s.plain.Edit(), s.within.Edit()
	e.groups, e.groupIDs = s.groups.Edit(), s.groupIDs.Edit()
	e.userByID, e.groupByID = s.userByID.Edit(), s.groupByID.Edit()
	e.userKeys, e.groupKeys = s.userKeys.edit(), s.groupKeys.edit()
	e.userNames, e.grpNames = s.userNames.edit(), s.grpNames.edit()
	e.userTerms, e.grpTerms = s.userTerms.edit(), s.grpTerms.edit()
	e.locals, e.tokens = s.locals.Edit(), s.tokens.Edit()
	e.others, e.configs, e.bars = s.others.edit(), s.configs, s.bars
	e.book = s.book.Edit()
	e.sources, e.copied = s.sources, false
	e.totals, e.counted = s.totals, false
	e.epoch, e.config, e.nesting, e.renest = s.epoch, s.config, s.nesting, false
	e.first, e.settles = s.first, s.settles
	e.userOrder, e.grpOrder, e.owners = s.userOrder, s.grpOrder, s.owners
}

// publish returns the snapshot of everything so far and continues from it.
func (e *editor) publish(rev store.Revision) *Snapshot {
	if e.renest {
		e.nesting = &nesting{}
	}
	s := &Snapshot{
		rev: rev, unread: len(e.left), users: e.users.Vector(), plain: e.plain.Vector(), within: e.within.Vector(),
		groups: e.groups.Vector(), groupIDs: e.groupIDs.Vector(),
		userByID: e.userByID.Map(), groupByID: e.groupByID.Map(),
		userKeys: e.userKeys.index(), groupKeys: e.groupKeys.index(),
		userNames: e.userNames.index(), grpNames: e.grpNames.index(),
		userTerms: e.userTerms.index(), grpTerms: e.grpTerms.index(), others: e.others.others(), configs: e.configs, bars: e.bars,
		locals: e.locals.Map(), tokens: e.tokens.Map(), book: e.book.Book(),
		sources: e.sources, totals: e.totals, epoch: e.epoch, config: e.config, first: e.first, settles: e.settles, nesting: e.nesting,
		userOrder: e.userOrder, grpOrder: e.grpOrder, owners: e.owners,
	}
	e.begin(s)
	return s
}

// apply takes one event in. An error names the key; the value stays as it was.
func (e *editor) apply(ev store.Event) error {
	e.feed.note(ev)
	err := e.take(ev)
	err, e.unread = errors.Join(err, e.unread), nil
	return err
}

func (e *editor) take(ev store.Event) error {
	key, v := ev.Record.Key, rawValue{string(ev.Record.Value), ev.Record.Rev}
	if ev.Deleted {
		v.raw = ""
	}
	switch {
	case strings.HasPrefix(key, keyUser):
		return e.user(key, v)
	case strings.HasPrefix(key, keyLinked):
		return e.linked(key, v)
	case strings.HasPrefix(key, keyMembers):
		return e.members(key, v)
	case strings.HasPrefix(key, keyGroup):
		return e.group(key, v)
	case strings.HasPrefix(key, keyOther):
		return e.other(key, v)
	case strings.HasPrefix(key, keyLocal):
		return e.local(key, v)
	case strings.HasPrefix(key, keyGrant):
		return e.grant(key, v)
	case strings.HasPrefix(key, keyToken):
		return e.token(key, v)
	case key == keyEpoch:
		e.epoch = v.rev
		return nil
	}
	return e.takeSetup(key, v)
}

// takeSetup takes in what is neither a user nor a group, nor hangs on one.
func (e *editor) takeSetup(key string, v rawValue) error {
	switch {
	case strings.HasPrefix(key, keyConfig):
		return e.sourceConfig(key, v)
	case strings.HasPrefix(key, keyBar):
		return e.bar(key, v)
	case strings.HasPrefix(key, keyCustom):
		return e.custom(key, v)
	case strings.HasPrefix(key, keySource):
		return e.source(key, v)
	case key == keySettings:
		return e.settings(key, v)
	case strings.HasPrefix(key, keySettled):
		return e.settled(key, v)
	case key == keyFirst:
		return e.precedence(key, v)
	}
	return nil // claims are for the writers, and newer keys for newer versions
}

func (e *editor) userHandle(id identity.UserID) uint32 {
	h, ok := e.userByID.Get(id)
	if !ok {
		h = uint32(e.users.Len())
		e.users.Append(userSlot{id: id})
		e.within.Append(nil)
		if h%64 == 0 {
			e.plain.Append(0)
		}
		e.userOrder = &ordering{}
		e.userByID.Set(id, h)
	}
	return h
}

func (e *editor) groupHandle(id identity.GroupID) uint32 {
	h, ok := e.groupByID.Get(id)
	if !ok {
		h = uint32(e.groups.Len())
		e.groups.Append(groupSlot{id: id})
		e.groupIDs.Append(id)
		e.grpOrder = &ordering{}
		e.groupByID.Set(id, h)
		e.renest = true
	}
	return h
}

func (e *editor) user(key string, v rawValue) error {
	id, err := identity.ParseUserID(key[len(keyUser):])
	if err != nil {
		return badKey(key)
	}
	head, err := e.head(key, v.raw)
	if err != nil {
		return err
	}
	h := e.userHandle(id)
	u := e.users.At(int(h))
	if u.exists() {
		e.lost(h, &u, &head)
	}
	n := userSlot{id: id, disabled: u.disabled, rev: v.rev, links: u.links}
	if v.raw != "" {
		n.raw, n.source, n.off = v.raw, head.Source, head.Disabled
		n.key, n.name, n.hash = head.Key, head.Name, uint64(head.Hash)
		n.missing, n.body = !head.Missing.IsZero() || e.leaving(n.source), head.body(v.raw)
		if !head.Expires.IsZero() {
			n.expires = head.Expires.Unix()
		}
		for _, term := range head.Terms {
			e.userTerms.add(textHash(string(n.source), term), h)
		}
		n.moved = n.body > 0 && !isID(n.key, id)
	}
	e.setUser(int(h), n)
	e.findable(h)
	return nil
}

func (e *editor) group(key string, v rawValue) error {
	id, err := identity.ParseGroupID(key[len(keyGroup):])
	if err != nil {
		return badKey(key)
	}
	head, err := e.head(key, v.raw)
	if err != nil {
		return err
	}
	h := e.groupHandle(id)
	old := e.groups.At(int(h))
	if old.exists() {
		e.groupKeys.remove(keyHash(old.source, old.key), h)
		e.grpNames.remove(nameHash(old.source, identity.FoldName(old.name)), h)
		for _, term := range termsOf(old.raw) {
			e.grpTerms.remove(textHash(string(old.source), term), h)
		}
	}
	n := groupSlot{id: id, parents: old.parents, own: old.own, local: old.local, rev: v.rev}
	if v.raw != "" {
		n.raw, n.source, n.key, n.name = v.raw, head.Source, head.Key, head.Name
		n.hash, n.missing, n.body = uint64(head.Hash), !head.Missing.IsZero() || e.leaving(n.source), head.body(v.raw)
		n.shut = e.bars[n.source].Memberships
		e.groupKeys.add(keyHash(n.source, n.key), h)
		e.grpNames.add(nameHash(n.source, identity.FoldName(n.name)), h)
		for _, term := range head.Terms {
			e.grpTerms.add(textHash(string(n.source), term), h)
		}
	}
	n.own = e.turn(h, n.source, n.own, head.Members)
	if n.exists() && n.source != identity.Local {
		n.local = e.turn(h, identity.Local, n.local, n.local.generation)
	}
	e.replaceGroup(h, &old, n)
	return nil
}

// turn gives a set of members the generation that its group now names, and what was
// kept aside for it.
func (e *editor) turn(h uint32, origin identity.SourceID, set memberSet, to generation) memberSet {
	if set.generation == to && len(e.strays) == 0 {
		return set
	}
	chunks := make([]chunk, to.Buckets)
	if set.generation == to {
		copy(chunks, slices.Collect(set.chunks))
	}
	found := set.generation != to
	id := e.groups.At(int(h)).id
	for b := range to.Buckets {
		name := chunkName{id, origin, to.Gen, b}
		if v, ok := e.strays[name]; ok {
			delete(e.strays, name)
			chunks[b] = e.chunk(name, v, nil)
			found = true
		}
	}
	if !found {
		return set
	}
	return newMemberSet(to, chunks)
}

// chunk decodes what is stored of a chunk. Most of its members were in it before: they are
// found there, which takes a fraction of looking them up among all users.
func (e *editor) chunk(name chunkName, v rawValue, before []ref) chunk {
	members, when, err := decodeChunk(chunkKey(name.group, name.origin, name.gen, name.bucket), []byte(v.raw))
	if err != nil {
		e.unread = errors.Join(e.unread, err)
		return chunk{rev: v.rev, unread: true}
	}
	refs := make([]ref, len(members))
	for i, m := range members {
		if refs[i] = e.refAmong(m, &before); refs[i] != noRef {
			continue
		}
		if g, ok := m.Group(); ok {
			refs[i] = groupRef(e.groupHandle(g))
		} else {
			u, _ := m.User()
			refs[i] = userRef(e.userHandle(u))
		}
	}
	slices.Sort(refs)
	return chunk{refs: refs, rev: v.rev, when: when}
}

// refAmong returns the reference of a member if it is the first of some that it does not
// come after, and leaves out those before it; else noRef. Members of a chunk are in the
// order of their ids, and references nearly so.
func (e *editor) refAmong(m identity.Member, among *[]ref) ref {
	for len(*among) > 0 {
		r := (*among)[0]
		switch c := e.memberOf(r).Compare(m); {
		case c > 0:
			return noRef
		case c == 0:
			*among = (*among)[1:]
			return r
		}
		*among = (*among)[1:]
	}
	return noRef
}

// replaceGroup stores a group and brings the lists of its members up to date.
func (e *editor) replaceGroup(h uint32, old *groupSlot, n groupSlot) {
	e.setGroup(int(h), n)
	same := old.present() == n.present()
	if !same {
		e.renest = true
	}
	if same && old.shut == n.shut && old.own.equal(&n.own) && old.local.equal(&n.local) {
		return
	}
	var before, after []ref
	if old.present() {
		before = old.sortedRefs()
	}
	if n.present() {
		after = n.sortedRefs()
	}
	diffRefs(before, after, func(r ref) { e.unlink(h, r) }, func(r ref) { e.link(h, r) })
}

func (e *editor) link(group uint32, r ref) {
	if r.isGroup() {
		e.renest = true
		g := e.groups.Ref(int(r.handle()))
		g.parents = insertHandle(e.own(g.parents), group)
		e.feed.moved(identity.GroupMember(g.id))
		return
	}
	e.feed.moved(identity.UserMember(e.users.At(int(r.handle())).id))
	in := e.within.Ref(int(r.handle()))
	*in = insertHandle(e.own(*in), group)
}

// own keeps an editor that makes a snapshot aside from extending lists in place: the
// space behind them belongs to the follower's line of snapshots.
func (e *editor) own(list []uint32) []uint32 {
	if e.aside {
		return slices.Clip(list)
	}
	return list
}

func (e *editor) unlink(group uint32, r ref) {
	if r.isGroup() {
		e.renest = true
		g := e.groups.Ref(int(r.handle()))
		g.parents = removeHandle(g.parents, group)
		e.feed.moved(identity.GroupMember(g.id))
		return
	}
	e.feed.moved(identity.UserMember(e.users.At(int(r.handle())).id))
	in := e.within.Ref(int(r.handle()))
	*in = removeHandle(*in, group)
}

func (e *editor) members(key string, v rawValue) error {
	name, err := parseChunkKey(key)
	if err != nil {
		return err
	}
	name.origin = intern(e.names, name.origin)
	h := e.groupHandle(name.group)
	old := e.groups.At(int(h))
	set := &old.own
	if name.origin == identity.Local && old.source != identity.Local {
		set = &old.local
	}
	known := old.exists() && (set == &old.local || name.origin == old.source)
	if !known || set.Gen != name.gen || name.bucket >= set.Buckets {
		if v.raw == "" {
			delete(e.strays, name)
		} else {
			e.strays[name] = v
		}
		return nil
	}
	c := chunk{rev: v.rev}
	if v.raw != "" {
		c = e.chunk(name, v, set.at(name.bucket).refs)
	}
	n := *e.groups.Ref(int(h)) // decoding may have made this group a member of itself
	if set == &old.local {
		n.local = n.local.with(name.bucket, c)
	} else {
		n.own = n.own.with(name.bucket, c)
	}
	before, after := set.at(name.bucket).refs, c.refs
	if set == &old.local && n.shut {
		before, after = nil, nil
	}
	e.replaceChunk(h, n, before, after)
	return nil
}

// memberOf returns the member that a reference stands for.
func (e *editor) memberOf(r ref) identity.Member {
	if r.isGroup() {
		return identity.GroupMember(e.groups.Peek(int(r.handle())).id)
	}
	return identity.UserMember(e.users.Peek(int(r.handle())).id)
}

// replaceChunk is replaceGroup where only one chunk differs: its cost is that of
// the chunk, not of the group.
func (e *editor) replaceChunk(h uint32, n groupSlot, before, after []ref) {
	e.setGroup(int(h), n)
	if !n.present() {
		return
	}
	diffRefs(before, after, func(r ref) {
		if !n.holds(e.memberOf(r), r) { // by the word of another origin
			e.unlink(h, r)
		}
	}, func(r ref) { e.link(h, r) })
}

func (e *editor) local(key string, v rawValue) error {
	var m identity.Member
	if m.UnmarshalText([]byte(key[len(keyLocal):])) != nil {
		return badKey(key)
	}
	var l storedLocal
	if v.raw == "" {
		e.locals.Delete(m)
	} else {
		if err := decode(key, []byte(v.raw), &l); err != nil {
			return err
		}
		e.locals.Set(m, v)
	}
	if id, ok := m.User(); ok {
		h := e.userHandle(id)
		u := e.users.Ref(int(h))
		u.disabled = l.Off != nil
		e.notePlain(int(h), u)
		return nil
	}
	id, _ := m.Group()
	h := e.groupHandle(id)
	old := e.groups.At(int(h))
	n := old
	n.local = e.turn(h, identity.Local, old.local, l.Members)
	e.replaceGroup(h, &old, n)
	return nil
}

func (e *editor) grant(key string, v rawValue) error {
	member, permission, ok := strings.Cut(key[len(keyGrant):], "/")
	var m identity.Member
	if !ok || m.UnmarshalText([]byte(member)) != nil {
		return badKey(key)
	}
	if v.raw == "" {
		e.book.Withdraw(m, permissions.Permission(permission))
		return nil
	}
	var g storedGrant
	if err := decode(key, []byte(v.raw), &g); err != nil {
		return err
	}
	e.book.Withdraw(m, permissions.Permission(permission))
	e.book.Put(g.grant(m, permissions.Permission(permission)))
	return nil
}

func (e *editor) custom(key string, v rawValue) error {
	name := permissions.Permission(key[len(keyCustom):])
	if v.raw == "" {
		e.book.RemoveCustom(name)
		return nil
	}
	var c storedCustom
	if err := decode(key, []byte(v.raw), &c); err != nil {
		return err
	}
	e.book.PutCustom(permissions.Entry{Name: name, Description: c.Description, By: c.By, At: c.At})
	return nil
}

func (e *editor) source(key string, v rawValue) error {
	id := intern(e.names, identity.SourceID(key[len(keySource):]))
	if !e.copied {
		e.sources, e.copied = maps.Clone(e.sources), true
	}
	if v.raw == "" {
		delete(e.sources, id)
		return nil
	}
	var st SourceState
	if err := decode(key, []byte(v.raw), &st); err != nil {
		return err
	}
	st.rev = v.rev
	was := e.leaving(id)
	if e.sources[id] = st; !was && e.leaving(id) {
		e.leaves(id)
	}
	return nil
}

func (e *editor) token(key string, v rawValue) error {
	id := key[len(keyToken):]
	if v.raw == "" {
		e.tokens.Delete(id)
		return nil
	}
	var t Token
	if err := decode(key, []byte(v.raw), &t); err != nil {
		return err
	}
	t.ID, t.rev = id, v.rev
	e.tokens.Set(id, t)
	return nil
}
