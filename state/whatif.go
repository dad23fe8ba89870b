package state

import (
	"strings"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
)

// with returns the snapshot that would be, had the operations been written. It shares
// all but the touched parts with s, and nobody else sees it.
func (s *Snapshot) with(ops []store.Op) (*Snapshot, error) {
	e := newEditor()
	e.begin(s)
	e.aside = true
	for _, op := range ops {
		if op.Kind == store.OpDeletePrefix || !strings.HasPrefix(op.Key, viewPrefix) {
			continue // a generation that goes is one that nobody looks at any more
		}
		ev := store.Event{Deleted: op.Kind == store.OpDelete, Record: store.Record{Key: op.Key, Value: op.Value, Rev: s.rev + 1}}
		if err := e.apply(ev); err != nil {
			return nil, fault.New(fault.Invalid, "unreadable_change", "the change cannot be read back: %w", err)
		}
	}
	return e.publish(s.rev + 1), nil
}

// touched collects the users whose effective permissions may differ between two
// snapshots that some operations lie between. It may hold more than those.
type touched struct {
	before, after *Snapshot
	users         map[identity.UserID]struct{}
	groups        map[identity.GroupID]struct{} // that were given something, or nested
}

// affected returns whom operations may have raised or lowered: users, and groups, whose
// members are yet to come.
func affected(before, after *Snapshot, ops []store.Op) *touched {
	t := &touched{before, after, map[identity.UserID]struct{}{}, map[identity.GroupID]struct{}{}}
	for _, op := range ops {
		t.key(op.Key)
	}
	return t
}

func (t *touched) key(key string) {
	switch {
	case strings.HasPrefix(key, keyUser):
		if id, err := identity.ParseUserID(key[len(keyUser):]); err == nil {
			t.users[id] = struct{}{}
		}
	case strings.HasPrefix(key, keyLinked):
		if id, _, err := parseLinkedKey(key); err == nil {
			t.users[id] = struct{}{}
		}
	case strings.HasPrefix(key, keyGroup):
		if id, err := identity.ParseGroupID(key[len(keyGroup):]); err == nil {
			t.group(id)
		}
	case strings.HasPrefix(key, keyMembers):
		if name, err := parseChunkKey(key); err == nil {
			t.chunk(name)
		}
	case strings.HasPrefix(key, keyLocal):
		t.member(key[len(keyLocal):])
	case strings.HasPrefix(key, keyGrant):
		text, _, _ := strings.Cut(key[len(keyGrant):], "/")
		var m identity.Member
		if m.UnmarshalText([]byte(text)) == nil {
			t.holder(m)
		}
	case strings.HasPrefix(key, keyCustom):
		t.holders(permissions.Permission(key[len(keyCustom):]))
	case strings.HasPrefix(key, keySource):
		t.source(identity.SourceID(key[len(keySource):]))
	case strings.HasPrefix(key, keyBar):
		t.bar(identity.SourceID(key[len(keyBar):]))
	case key == keySettings:
		for p := range permissions.BuiltIns() {
			t.holders(p.Name)
		}
	}
}

// source adds everybody of a source that leaves, or does not any more.
func (t *touched) source(id identity.SourceID) {
	if t.before.Source(id).Leaving.IsZero() == t.after.Source(id).Leaving.IsZero() {
		return
	}
	for _, m := range t.before.OwnedBy(id) {
		t.holder(m)
	}
	for u := range t.before.LinkedBy(id) {
		t.users[u] = struct{}{}
	}
}

// member is for a local layer: of a user it can disable him, of a group it names the
// generation of its local members.
func (t *touched) member(text string) {
	var m identity.Member
	if m.UnmarshalText([]byte(text)) != nil {
		return
	}
	if g, ok := m.Group(); ok {
		t.group(g)
		return
	}
	u, _ := m.User()
	t.users[u] = struct{}{}
}

// group compares the members of a group where it came, went, or turned to another
// generation; single chunks are compared by their own keys.
func (t *touched) group(id identity.GroupID) {
	before, after := t.before.groupSlot(id), t.after.groupSlot(id)
	if before.present() == after.present() && before.shut == after.shut && before.own.generation == after.own.generation && before.local.generation == after.local.generation {
		return
	}
	var was, is []ref
	if before.present() {
		was = before.sortedRefs()
	}
	if after.present() {
		is = after.sortedRefs()
	}
	diffRefs(was, is, t.ref, t.ref)
}

func (t *touched) chunk(name chunkName) {
	was := t.before.groupSlot(name.group).refsIn(name)
	is := t.after.groupSlot(name.group).refsIn(name)
	diffRefs(was, is, t.ref, t.ref)
}

func (s *Snapshot) groupSlot(id identity.GroupID) *groupSlot {
	if h, ok := s.groupByID.Get(id); ok {
		return s.groups.Ref(int(h))
	}
	return &groupSlot{id: id}
}

// refsIn returns the members in one chunk, nil when the group does not name it.
func (g *groupSlot) refsIn(name chunkName) []ref {
	set := &g.own
	if name.origin == identity.Local && g.source != identity.Local {
		set = &g.local
	}
	if set.Gen != name.gen {
		return nil
	}
	return set.at(name.bucket).refs
}

// ref adds a member that came or went: a user, or everybody below a nested group.
// Handles of both snapshots are the same, the newer one has more of them.
func (t *touched) ref(r ref) {
	m := t.after.refMember(r)
	t.holder(m)
}

// holder adds whoever has what a user or a group is granted.
func (t *touched) holder(m identity.Member) {
	if u, ok := m.User(); ok {
		t.users[u] = struct{}{}
		return
	}
	g, _ := m.Group()
	t.groups[g] = struct{}{}
	t.below(t.before, m)
	t.below(t.after, m)
}

func (t *touched) holders(p permissions.Permission) {
	for _, s := range []*Snapshot{t.before, t.after} {
		for g := range s.book.With(p) {
			t.holder(g.Subject)
		}
	}
}

func (t *touched) below(s *Snapshot, m identity.Member) {
	id, _ := m.Group()
	if h, ok := s.groupByID.Get(id); ok {
		s.MembersBelow(h, func(u identity.UserID) bool {
			t.users[u] = struct{}{}
			return true
		})
	}
}
