package state

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// maxChunks is the number of chunks that a change of members may rewrite in one
// transaction. A larger one goes through a new generation.
const maxChunks = 100

// errTurn says that a change of members needs a new generation.
var errTurn = errors.New("needs a new generation")

// ChangeMembers puts members into a group and takes members out of it. Only rows of
// the given origin are touched: what another origin put there stays. Adding one that
// is there and removing one that is not are no changes.
type ChangeMembers struct {
	Group       identity.GroupID
	Origin      identity.SourceID
	Add, Remove []identity.Member
	// Acknowledged is the source whose directory decides about a group that is added to
	// one that carries a grant, when the one who adds it has said that he knows it.
	Acknowledged identity.SourceID
}

func (c ChangeMembers) build(t *txn) error {
	g, set, err := t.members(c.Group, c.Origin)
	if err != nil {
		return err
	}
	if set.Buckets == 0 {
		set.generation = generation{Gen: set.Gen + 1, Buckets: bucketsFor(len(c.Add))}
		if err := t.setGeneration(g, c.Origin, set.generation); err != nil {
			return err
		}
	}
	if set.crowded(set.len() + len(c.Add) - len(c.Remove)) {
		if !t.spread {
			return errTurn
		}
		if err := t.turn(c); !errors.Is(err, errTurn) {
			return err
		}
	}
	touched := map[uint32][2][]identity.Member{}
	for i, list := range [][]identity.Member{c.Add, c.Remove} {
		for _, m := range list {
			b := set.bucket(m)
			pair := touched[b]
			pair[i] = append(pair[i], m)
			touched[b] = pair
		}
	}
	if len(touched) > maxChunks {
		return errTurn
	}
	for b := range set.Buckets {
		if pair, ok := touched[b]; ok {
			if err := t.changeChunk(chunkName{c.Group, c.Origin, set.Gen, b}, &set, pair[0], pair[1]); err != nil {
				return err
			}
		}
	}
	t.baseRecords(c)
	if t.bytes() > bulkBytes { // full chunks are large: a hundred of them do not fit
		return errTurn
	}
	t.event(c.event(t.snap))
	return nil
}

// turn makes a new generation within this one transaction, or returns errTurn when
// it does not fit in.
func (t *txn) turn(c ChangeMembers) error {
	p, err := t.planTurn(c, uint32(t.snap.rev))
	if err != nil {
		return err
	}
	for key := range t.at {
		if strings.HasPrefix(key, p.old) {
			return errTurn // what this transaction has written there is not in the plan
		}
	}
	if t.under != nil && t.under.touches(p.old) {
		return errTurn
	}
	ops := p.chunkOps()
	if len(ops) > maxChunks || t.bytes()+(store.Txn{Then: ops}).Bytes() > bulkBytes {
		return errTurn
	}
	for _, op := range ops {
		t.write(op)
	}
	return p.build(t)
}

func (c ChangeMembers) event(s *Snapshot) audit.Event {
	e := audit.Event{Action: "GroupMembersChanged", Target: identity.GroupMember(c.Group).String(), Name: s.name(identity.GroupMember(c.Group))}
	e.Changes = []audit.Change{{Field: "members." + string(c.Origin), Before: memberTexts(c.Remove), After: memberTexts(c.Add)}}
	if c.Acknowledged != "" {
		e.Changes = append(e.Changes, audit.Change{Field: "acknowledgedDirectory", After: []string{string(c.Acknowledged)}})
	}
	return e
}

// maxAudited is how many members one audit event names; beyond it only counts.
const maxAudited = 200

func memberTexts(ms []identity.Member) []string {
	if len(ms) > maxAudited {
		return []string{strconv.Itoa(len(ms)) + " members"}
	}
	texts := make([]string, len(ms))
	for i, m := range ms {
		texts[i] = memberText(m)
	}
	return texts
}

// members returns a group and the members that origin put into it.
func (t *txn) members(id identity.GroupID, origin identity.SourceID) (identity.Member, memberSet, error) {
	m := identity.GroupMember(id)
	h, ok := t.snap.groupByID.Get(id)
	var g groupSlot
	if ok {
		g = t.snap.groups.At(int(h))
	}
	var set memberSet
	if _, ok := t.pending(groupKey(id)); ok || !g.exists() {
		o, err := t.object(groupKey(id), m) // written, or made, by this very transaction
		if err != nil {
			return m, set, err
		}
		g.source = o.Source
		if g.own.generation != o.Members {
			g.own = memberSet{generation: o.Members}
		}
	}
	switch origin {
	case g.source:
		set = g.own
	case identity.Local:
		set = g.local
	default:
		return m, set, managedBy(m, g.source)
	}
	if _, ok := t.pending(localKey(m)); ok && origin != g.source {
		l, err := t.layer(m)
		if err != nil {
			return m, set, err
		}
		if set.generation != l.Members {
			set = memberSet{generation: l.Members}
		}
	}
	return m, set, nil
}

// holdGeneration makes the transaction rest on what names the generation of an
// origin's members. A chunk that is there does that by itself: it goes with its
// generation. One that never was looks the same in every generation.
func (t *txn) holdGeneration(id identity.GroupID, origin identity.SourceID) {
	m := identity.GroupMember(id)
	if h, ok := t.snap.groupByID.Get(id); ok && t.snap.groups.Ref(int(h)).source != origin {
		v, _ := t.snap.locals.Get(m)
		t.base(localKey(m), v.rev)
		return
	}
	_, rev := t.snap.raw(m)
	t.base(groupKey(id), rev)
}

// setGeneration rewrites whatever names the generation of an origin's members: the
// group's record for its own source, else its local layer.
func (t *txn) setGeneration(g identity.Member, origin identity.SourceID, gen generation) error {
	id, _ := g.Group()
	o, err := t.object(groupKey(id), g)
	if err != nil {
		return err
	}
	if o.Source == origin {
		o.Members = gen
		return t.put(groupKey(id), o)
	}
	l, err := t.layer(g)
	if err != nil {
		return err
	}
	l.Members = gen
	return t.put(localKey(g), l)
}

func (t *txn) changeChunk(name chunkName, set *memberSet, add, remove []identity.Member) error {
	key := chunkKey(name.group, name.origin, name.gen, name.bucket)
	var members []identity.Member
	var rev store.Revision
	c := set.at(name.bucket)
	if c.unread {
		return unreadable(key)
	}
	rev = c.rev
	for _, r := range c.refs {
		members = append(members, t.snap.refMember(r))
	}
	if b, ok := t.pending(key); ok {
		var err error
		if members, _, err = decodeChunk(key, b); err != nil {
			return err
		}
	}
	t.base(key, rev)
	if rev == 0 {
		t.holdGeneration(name.group, name.origin)
	}
	gone := sortMembers(slices.Clone(remove))
	members = slices.DeleteFunc(append(members, add...), func(m identity.Member) bool {
		_, found := slices.BinarySearchFunc(gone, m, identity.Member.Compare)
		return found
	})
	b := encodeChunk(sortMembers(members), t.now.UnixMilli())
	t.write(store.Put(key, b)) // an emptied chunk is kept: its revision guards a turn
	return nil
}

// unreadable keeps a chunk from being replaced by what this version can say.
func unreadable(key string) error {
	return fault.New(fault.Invalid, "bad_stored_value", "the store holds under %s what this version does not understand", key)
}

// refMember returns the member that a reference stands for, existing or not.
func (s *Snapshot) refMember(r ref) identity.Member {
	if r.isGroup() {
		return identity.GroupMember(s.groups.Ref(int(r.handle())).id)
	}
	return identity.UserMember(s.users.Ref(int(r.handle())).id)
}

// turnPlan replaces all members that an origin has in a group: chunks of a new
// generation are written where nobody looks, then one transaction turns to them.
type turnPlan struct {
	change  ChangeMembers
	gen     generation
	members []identity.Member
	when    int64  // in milliseconds
	old     string // prefix of the generation that goes
	oldAny  bool
}

func (t *txn) planTurn(c ChangeMembers, gen uint32) (*turnPlan, error) {
	_, set, err := t.members(c.Group, c.Origin)
	if err != nil {
		return nil, err
	}
	if gen <= set.Gen {
		gen = set.Gen + 1
	}
	var members []identity.Member
	for b := range set.Buckets {
		ch := set.at(b)
		if ch.unread {
			return nil, unreadable(chunkKey(c.Group, c.Origin, set.Gen, b))
		}
		for _, r := range ch.refs {
			members = append(members, t.snap.refMember(r))
		}
	}
	gone := sortMembers(slices.Clone(c.Remove))
	members = slices.DeleteFunc(append(members, c.Add...), func(m identity.Member) bool {
		_, found := slices.BinarySearchFunc(gone, m, identity.Member.Compare)
		return found
	})
	members = sortMembers(members)
	return &turnPlan{
		change: c, members: members, when: t.now.UnixMilli(), gen: generation{Gen: gen, Buckets: bucketsFor(len(members))},
		old: generationPrefix(c.Group, c.Origin, set.Gen), oldAny: set.Buckets > 0,
	}, nil
}

// chunkOps returns the writes of the new generation.
func (p *turnPlan) chunkOps() []store.Op {
	byBucket := make([][]identity.Member, p.gen.Buckets)
	for _, m := range p.members {
		b := p.gen.bucket(m)
		byBucket[b] = append(byBucket[b], m)
	}
	ops := make([]store.Op, 0, len(byBucket))
	for b, ms := range byBucket {
		ops = append(ops, store.Put(chunkKey(p.change.Group, p.change.Origin, p.gen.Gen, uint32(b)), encodeChunk(ms, p.when)))
	}
	return ops
}

// build makes the turn itself: the transaction that everyone sees.
func (p *turnPlan) build(t *txn) error {
	if err := t.setGeneration(identity.GroupMember(p.change.Group), p.change.Origin, p.gen); err != nil {
		return err
	}
	if p.oldAny {
		t.conds = append(t.conds, store.UnchangedSince(p.old, t.snap.rev))
		t.write(store.DeletePrefix(p.old))
	}
	t.event(p.change.event(t.snap))
	return nil
}

func tooManyMembers(err error) error {
	if errors.Is(err, errTurn) {
		return fault.New(fault.Invalid, "too_many_members", "the change rewrites more than %d chunks of members: split it", maxChunks)
	}
	return err
}
