package state

import (
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/persist"
	"github.com/rollcall-id/rollcall/store"
)

// What a provider pushes that is neither a user nor a group is kept and shown, and means
// nothing to the roll: no membership, no grant and no attribute comes of it.

// OtherKind is a kind of such resources of a source.
type OtherKind struct {
	Source identity.SourceID
	Type   string // as in Device
}

// otherSlot is what the view keeps of one. One that is gone has no value.
type otherSlot struct {
	kind OtherKind
	id   uuid.UUID
	raw  string
	body uint32
	rev  store.Revision
}

// others is all of them.
type others struct {
	slots persist.Vector[otherSlot]
	byKey persist.Map[string, uint32]
	terms index
	order *ordering
	rev   store.Revision // at which one was last written
}

func noOthers() others {
	return others{
		byKey: persist.NewMap[string, uint32](func(s string) uint64 { return textHash(s, "") }),
		order: &ordering{},
	}
}

type othersEdit struct {
	slots *persist.VectorEdit[otherSlot]
	byKey *persist.Edit[string, uint32]
	terms indexEdit
	order *ordering
	rev   store.Revision
}

func (o *others) edit() othersEdit {
	return othersEdit{o.slots.Edit(), o.byKey.Edit(), o.terms.edit(), o.order, o.rev}
}

func (e *othersEdit) others() others {
	return others{e.slots.Vector(), e.byKey.Map(), e.terms.index(), e.order, e.rev}
}

func (k OtherKind) key(id uuid.UUID) string {
	return keyOther + string(k.Source) + "/" + k.Type + "/" + id.String()
}

func (k OtherKind) term(term string) uint64 {
	return textHash(string(k.Source)+"/"+k.Type, term)
}

func parseOtherKey(key string) (k OtherKind, id uuid.UUID, err error) {
	parts := strings.Split(key[len(keyOther):], "/")
	if len(parts) != 3 {
		return k, id, badKey(key)
	}
	if id, err = uuid.Parse(parts[2]); err != nil {
		return k, id, badKey(key)
	}
	return OtherKind{identity.SourceID(parts[0]), parts[1]}, id, nil
}

// other takes in a resource that is neither a user nor a group.
func (e *editor) other(key string, v rawValue) error {
	kind, id, err := parseOtherKey(key)
	if err != nil {
		return err
	}
	head, err := e.head(key, v.raw)
	if err != nil {
		return err
	}
	o := &e.others
	h, ok := o.byKey.Get(key)
	if !ok {
		h = uint32(o.slots.Len())
		o.slots.Append(otherSlot{})
		o.byKey.Set(key, h)
		o.order = &ordering{}
	}
	old := o.slots.At(int(h))
	for _, term := range termsOf(old.raw) {
		o.terms.remove(kind.term(term), h)
	}
	for _, term := range head.Terms {
		o.terms.add(kind.term(term), h)
	}
	o.slots.Set(int(h), otherSlot{kind, id, v.raw, head.body(v.raw), v.rev})
	o.rev = v.rev
	return nil
}

func (s *otherSlot) pushed(h uint32) Pushed {
	p := Pushed{Member: identity.MemberOf(false, s.id), Key: identity.Key(s.id.String()), Rev: s.rev, Handle: h}
	p.read(s.raw, s.body)
	return p
}

// OthersRev returns the revision at which a resource that is neither a user nor a group
// was last written.
func (s *Snapshot) OthersRev() store.Revision { return s.others.rev }

// Others yields the handles of all resources of a kind, in the order of their ids.
func (s *Snapshot) Others(k OtherKind) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		id := func(h uint32) identity.Member { return s.OtherIDAt(h) }
		handles := s.others.order.from(s.others.slots.Len(),
			func(h uint32) int { return id(h).Compare(identity.Member{}) },
			func(a, b uint32) int { return id(a).Compare(id(b)) })
		for _, h := range handles {
			if o := s.others.slots.Ref(int(h)); o.raw != "" && o.kind == k && !yield(h) {
				return
			}
		}
	}
}

// OtherIDAt returns the id of the resource of a handle, in the form of a member.
func (s *Snapshot) OtherIDAt(handle uint32) identity.Member {
	return identity.MemberOf(false, s.others.slots.Ref(int(handle)).id)
}

// OtherAt returns the resource of a handle, and whether there is one of that kind.
func (s *Snapshot) OtherAt(k OtherKind, handle uint32) (Pushed, bool) {
	if int(handle) >= s.others.slots.Len() {
		return Pushed{}, false
	}
	o := s.others.slots.Ref(int(handle))
	if o.raw == "" || o.kind != k {
		return Pushed{}, false
	}
	return o.pushed(handle), true
}

// Other returns the resource of a kind that has a key.
func (s *Snapshot) Other(k OtherKind, key identity.Key) (Pushed, bool) {
	id, err := uuid.Parse(string(key))
	if err != nil {
		return Pushed{}, false
	}
	h, ok := s.others.byKey.Get(k.key(id))
	if !ok {
		return Pushed{}, false
	}
	return s.OtherAt(k, h)
}

// OthersByTerm yields the resources of a kind that are found by a term.
func (s *Snapshot) OthersByTerm(k OtherKind, term string) iter.Seq[Pushed] {
	return func(yield func(Pushed) bool) {
		s.others.terms.find(k.term(term), func(h uint32) bool {
			o := s.others.slots.Ref(int(h))
			if o.raw == "" || o.kind != k || !slices.Contains(termsOf(o.raw), term) {
				return true
			}
			return yield(o.pushed(h))
		})
	}
}

// PutOther writes a resource that is neither a user nor a group.
type PutOther struct {
	Kind    OtherKind
	ID      identity.Key // a UUID
	Pushed  *identity.Pushed
	Changes []audit.Change
}

func (c PutOther) build(t *txn) error {
	id, err := uuid.Parse(string(c.ID))
	if err != nil {
		return fault.New(fault.Invalid, "bad_id", "%q is not a UUID", c.ID)
	}
	key := c.Kind.key(id)
	action, before, err := t.otherBefore(c.Kind, c.ID, key)
	if err != nil {
		return err
	}
	o := storedObject{Created: t.now}
	o.put(&identity.Record{Source: c.Kind.Source, Key: c.ID, Pushed: c.Pushed})
	if o.begin(); before != nil {
		o.Created, o.Pushed = before.Created, c.Pushed.At.UTC()
	}
	if err := t.claimOther(c.Kind, c.ID, before, &o); err != nil {
		return err
	}
	t.event(audit.Event{Action: action, Target: c.Kind.Type + "/" + string(c.ID), Changes: c.Changes})
	return t.put(key, &o)
}

// otherBefore reads what a write replaces, and makes the transaction rest on it.
func (t *txn) otherBefore(k OtherKind, id identity.Key, key string) (action string, before *storedObject, err error) {
	p, ok := t.snap.Other(k, id)
	if !ok {
		t.base(key, 0)
		return "ResourceCreated", nil, nil
	}
	before = &storedObject{}
	t.base(key, p.Rev)
	return "ResourceUpdated", before, decode(key, []byte(p.raw), before)
}

// claimOther is claim for the provider's id of a resource.
func (t *txn) claimOther(k OtherKind, id identity.Key, before, after *storedObject) error {
	var had, has string
	if before != nil {
		had = before.External
	}
	if after != nil {
		has = after.External
	}
	if had == has {
		return nil
	}
	claim := func(external string) string {
		return keyExternal + string(k.Source) + "/o:" + k.Type + "/" + external
	}
	if has != "" {
		t.base(claim(has), 0)
		if err := t.put(claim(has), string(id)); err != nil {
			return err
		}
	}
	if had != "" {
		t.write(store.Delete(claim(had)))
	}
	return nil
}

// RemoveOther removes a resource that is neither a user nor a group.
type RemoveOther struct {
	Kind OtherKind
	ID   identity.Key
}

func (c RemoveOther) build(t *txn) error {
	p, ok := t.snap.Other(c.Kind, c.ID)
	if !ok {
		return fault.New(fault.NotFound, "not_found", "there is no such %s", c.Kind.Type)
	}
	id, err := uuid.Parse(string(c.ID))
	if err != nil {
		return err
	}
	key := c.Kind.key(id)
	t.base(key, p.Rev)
	before := &storedObject{}
	if err := decode(key, []byte(p.raw), before); err != nil {
		return err
	}
	if err := t.claimOther(c.Kind, c.ID, before, nil); err != nil {
		return err
	}
	t.write(store.Delete(key))
	t.event(audit.Event{Action: "ResourceDeleted", Target: c.Kind.Type + "/" + string(c.ID)})
	return nil
}
