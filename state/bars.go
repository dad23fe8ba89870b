package state

import (
	"iter"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// Bar is what of the local layer does not count for the users and groups of a source.
// What is barred stays stored, so that it counts again once the bar is lifted. The zero
// Bar bars nothing.
type Bar struct {
	Attributes  bool // local attributes on users and groups of the source
	Memberships bool // memberships that were made here, in groups of the source
}

// storedBar is the value of a bar. A source without one has none.
type storedBar struct {
	V           int            `json:"v"`
	Attributes  bool           `json:"attr,omitzero"`
	Memberships bool           `json:"mem,omitzero"`
	Unknown     jsontext.Value `json:",embed"`

	rev store.Revision
}

func (b storedBar) bar() Bar { return Bar{Attributes: b.Attributes, Memberships: b.Memberships} }

// Bar returns what of the local layer does not count for what a source owns. It is
// stored, and not read from a configuration, so that all replicas answer alike.
func (s *Snapshot) Bar(source identity.SourceID) Bar { return s.bars[source].bar() }

// bar takes a stored bar in. Where it bars memberships, or does not any more, all groups
// of the source are linked anew.
func (e *editor) bar(key string, v rawValue) error {
	id := intern(e.names, identity.SourceID(key[len(keyBar):]))
	b := storedBar{rev: v.rev}
	if v.raw != "" {
		if err := decode(key, []byte(v.raw), &b); err != nil {
			return err
		}
	}
	was := e.bars[id].Memberships
	next := maps.Clone(e.bars)
	if next == nil {
		next = map[identity.SourceID]storedBar{}
	}
	if next[id] = b; v.raw == "" {
		delete(next, id)
	}
	if e.bars = next; was != b.Memberships {
		e.shut(id, b.Memberships)
	}
	return nil
}

// shut makes the local members of all groups of a source count for nothing, or count
// again.
func (e *editor) shut(source identity.SourceID, is bool) {
	for h := range e.groups.Len() {
		old := e.groups.At(h)
		if n := old; n.source == source && n.exists() {
			n.shut = is
			e.replaceGroup(uint32(h), &old, n)
		}
	}
}

// PutBar sets what of the local layer does not count for what a source owns. Lifting it
// may raise people: it is judged as any other local write.
type PutBar struct {
	Source identity.SourceID
	Bar    Bar
}

func (c PutBar) build(t *txn) error {
	if c.Source == identity.Local {
		return fault.New(fault.Invalid, "local_source", "what is made here is all local: nothing of it can be barred")
	}
	if !t.snap.Source(c.Source).Leaving.IsZero() {
		return fault.New(fault.Conflict, "source_leaving", "source %s is still being deleted: wait until it is gone", c.Source)
	}
	key, b := keyBar+string(c.Source), t.snap.bars[c.Source]
	t.base(key, b.rev)
	t.event(audit.Event{Action: "ConfigurationUpdated", Target: "source/" + string(c.Source), Changes: barChanges(b.bar(), c.Bar)})
	if c.Bar == (Bar{}) {
		t.write(store.Delete(key))
		return nil
	}
	b.V, b.Attributes, b.Memberships = format, c.Bar.Attributes, c.Bar.Memberships
	return t.put(key, &b)
}

func barChanges(was, is Bar) []audit.Change {
	word := func(barred bool) []string {
		if barred {
			return []string{"false"}
		}
		return []string{"true"}
	}
	var out []audit.Change
	if was.Attributes != is.Attributes {
		out = append(out, audit.Change{Field: "allow_local_attributes", Before: word(was.Attributes), After: word(is.Attributes)})
	}
	if was.Memberships != is.Memberships {
		out = append(out, audit.Change{Field: "allow_local_memberships", Before: word(was.Memberships), After: word(is.Memberships)})
	}
	return out
}

// BarredGroupsOf yields the groups, missing ones among them, that a user or a group was
// put into here and whose source bars that: the membership is stored and counts for
// nothing, unless the source says it, too. Where anything is barred it looks at every
// group.
func (s *Snapshot) BarredGroupsOf(m identity.Member) iter.Seq[identity.GroupID] {
	return func(yield func(identity.GroupID) bool) {
		r, ok := s.ref(m)
		if !ok || len(s.bars) == 0 {
			return
		}
		for h := range s.groups.Len() {
			g := s.groups.Ref(h)
			if g.shut && g.exists() && g.local.holds(m, r) && !yield(g.id) {
				return
			}
		}
	}
}

// Barred reports whether a member was put into a group here and the source of the group
// bars that, as BarredGroupsOf does.
func (s *Snapshot) Barred(m identity.Member, group identity.GroupID) bool {
	r, ok := s.ref(m)
	g := s.groupSlot(group)
	return ok && g.shut && g.exists() && g.local.holds(m, r)
}

// BarredMembers yields the members of a group that nobody but administrators put there,
// where its source bars that. They are not among Members. Those that exist no more are
// left out.
func (s *Snapshot) BarredMembers(id identity.GroupID) iter.Seq[identity.Member] {
	return func(yield func(identity.Member) bool) {
		g := s.groupSlot(id)
		if !g.shut || !g.exists() {
			return
		}
		for r := range g.local.refs {
			if m, ok := s.member(r); ok && !g.own.holds(m, r) && !yield(m) {
				return
			}
		}
	}
}

// bar adds everybody who is in a group of the source by what was barred, or is not any
// more.
func (t *touched) bar(source identity.SourceID) {
	if t.before.Bar(source).Memberships == t.after.Bar(source).Memberships {
		return
	}
	for h := range t.after.groups.Len() {
		if g := t.after.groups.Ref(h); g.source == source && g.exists() {
			t.group(g.id)
		}
	}
}

// Bars returns what is barred, by source, the sources sorted.
func (s *Snapshot) Bars() iter.Seq2[identity.SourceID, Bar] {
	return func(yield func(identity.SourceID, Bar) bool) {
		for _, id := range slices.Sorted(maps.Keys(s.bars)) {
			if !yield(id, s.bars[id].bar()) {
				return
			}
		}
	}
}
