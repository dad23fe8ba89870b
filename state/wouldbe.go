package state

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// wouldBe is a snapshot as it would be had a plan been applied, as far as
// permissions.Comparison can tell: Subject, DirectGroups, Above and GroupID answer for
// then, and the rest of permissions.Members, which explanations and lists ask for, for
// now. It costs what the plan touches, not what the roll holds: handles of the snapshot
// stay what they are, and those whom the plan creates come after them. Records are not
// made.
type wouldBe struct {
	*Snapshot

	plan          *plan.Plan
	users, groups uint32       // how many handles the snapshot has
	newUsers      []*plan.Step // by handle, beginning with users; sorted by key
	newGroups     []*plan.Step
	standing      map[uint32]*userSlot    // of users where it differs, as they will be
	joined        map[identity.Key]uint32 // users whom new entries join
	turned        map[uint32]bool         // groups that come or go: whether they are present after
	come, left    []edge                  // sorted; of users only where the group gives them something
	closure       *identity.Closure       // nil: nesting is as it was
	everybody     uint32                  // the group that stands for the default permissions
	defaults      []permissions.Permission
	directlyIn    []uint32 // scratch
}

// edge is a membership.
type edge struct {
	of    ref
	group uint32
}

func compareEdges(a, b edge) int {
	return cmp.Or(cmp.Compare(a.of, b.of), cmp.Compare(a.group, b.group))
}

// would returns the snapshot that a plan would make, without the memberships of users.
func (s *Snapshot) would(p *plan.Plan) *wouldBe {
	w := &wouldBe{
		Snapshot: s, plan: p, users: uint32(s.users.Len()), groups: uint32(s.groups.Len()),
		standing: map[uint32]*userSlot{}, joined: map[identity.Key]uint32{}, turned: map[uint32]bool{},
	}
	for i := range p.Steps {
		w.object(&p.Steps[i])
	}
	w.everybody = w.groups + uint32(len(w.newGroups))
	if d, ok := s.Defaults(p.Source); ok && len(w.newUsers) > 0 {
		w.defaults = d.Permissions
	}
	w.nest()
	return w
}

// object takes in what a step does to a user or a group itself.
func (w *wouldBe) object(step *plan.Step) {
	switch step.Op {
	case plan.CreateUser:
		w.newUsers = append(w.newUsers, step)
	case plan.CreateGroup:
		w.newGroups = append(w.newGroups, step)
	case plan.UpdateUser, plan.ReturnUser, plan.DeactivateUser:
		if h, ok := w.userOf(w.plan.Source, step.Key); ok {
			w.stand(h, step)
		}
	case plan.LinkUser:
		id, _ := identity.MemberOf(false, step.Ref).User()
		if h, ok := w.userByID.Get(id); ok {
			w.joined[step.Key] = h
			w.stand(h, step)
		}
	case plan.ReturnGroup, plan.DeactivateGroup:
		if h, ok := w.groupOf(w.plan.Source, step.Key); ok {
			w.turned[h] = step.Op == plan.ReturnGroup
		}
	}
}

// stand notes what a step makes of whether a user is active, by his owning record or by
// the linked one that the source has or gets.
func (w *wouldBe) stand(h uint32, step *plan.Step) {
	was := w.Snapshot.users.Ref(int(h))
	if before := w.standing[h]; before != nil {
		was = before
	}
	is := *was
	if was.source == w.plan.Source {
		is.missing = step.Op == plan.DeactivateUser
		if r := step.After; r != nil {
			is.off, is.expires = r.Disabled, seconds(r.Expires)
		}
	} else {
		l := linkedSlot{source: w.plan.Source, facet: facet{raw: " "}}
		if have := was.linked(w.plan.Source); have != nil {
			l = *have
		}
		l.missing = step.Op == plan.DeactivateUser
		if r := step.After; r != nil {
			l.off, l.expires = r.Disabled, seconds(r.Expires)
		}
		if step.Disable != "" {
			l.bars = step.Disable == plan.DisableAny
		}
		is = was.withLinked(l)
	}
	if is.status() != was.status() || is.ends() != was.ends() {
		w.standing[h] = &is
	}
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// find returns the handle of one whom the source has or the plan creates.
func (w *wouldBe) find(m plan.MemberKey) (ref, bool) {
	if m.Group {
		h, ok := w.groupOf(w.plan.Source, m.Key)
		if !ok {
			h, ok = fresh(w.newGroups, w.groups, m.Key)
		}
		return groupRef(h), ok
	}
	h, ok := w.userOf(w.plan.Source, m.Key)
	if !ok {
		h, ok = w.joined[m.Key]
	}
	if !ok {
		h, ok = fresh(w.newUsers, w.users, m.Key)
	}
	return userRef(h), ok
}

func fresh(steps []*plan.Step, first uint32, key identity.Key) (uint32, bool) {
	i, ok := slices.BinarySearchFunc(steps, key, func(s *plan.Step, k identity.Key) int { return cmp.Compare(s.Key, k) })
	return first + uint32(i), ok
}

// slot returns a group of the snapshot; one that the plan creates is nobody's yet.
func (w *wouldBe) slot(group uint32) *groupSlot {
	if group >= w.groups {
		return &groupSlot{}
	}
	return w.Snapshot.groups.Ref(int(group))
}

func (w *wouldBe) presentAfter(group uint32) bool {
	if is, ok := w.turned[group]; ok {
		return is
	}
	return group >= w.groups || w.slot(group).present()
}

// nest works out which group is in which after the plan, if that differs at all.
func (w *wouldBe) nest() {
	w.edges(func(m plan.MemberKey) bool { return m.Group }, func(uint32) bool { return true })
	if len(w.newGroups)+len(w.turned)+len(w.come)+len(w.left) == 0 {
		return
	}
	in := map[uint32][]uint32{}
	for _, e := range w.come {
		in[e.of.handle()] = append(in[e.of.handle()], e.group)
	}
	out := map[edge]bool{}
	for _, e := range w.left {
		out[e] = true
	}
	w.closure = identity.Close(int(w.everybody), func(g uint32) []uint32 {
		if !w.presentAfter(g) {
			return nil
		}
		var above []uint32
		for _, p := range w.slot(g).parents {
			if w.presentAfter(p) && !out[edge{groupRef(g), p}] {
				above = append(above, p)
			}
		}
		return append(above, in[g]...)
	})
	w.come, w.left = nil, nil
}

// edges collects the memberships of a kind that come and go, in the groups that are
// asked for. The rows of a group that returns come with it.
func (w *wouldBe) edges(kind func(plan.MemberKey) bool, asked func(group uint32) bool) {
	for i := range w.plan.Steps {
		step := &w.plan.Steps[i]
		if step.Op != plan.ChangeMembers {
			continue
		}
		r, ok := w.find(plan.MemberKey{Group: true, Key: step.Key})
		if group := r.handle(); ok && w.presentAfter(group) && asked(group) {
			w.step(step, group, kind)
		}
	}
	slices.SortFunc(w.left, compareEdges)
	for group, present := range w.turned {
		if present && asked(group) {
			w.rows(group, kind)
		}
	}
	slices.SortFunc(w.come, compareEdges)
}

// step collects what a step does to the members of a group. One whom administrators put
// there, too, does not leave.
func (w *wouldBe) step(step *plan.Step, group uint32, kind func(plan.MemberKey) bool) {
	for _, m := range step.Add {
		if !kind(m) {
			continue
		}
		if of, ok := w.find(m); ok {
			w.come = append(w.come, edge{of, group})
		}
	}
	for _, m := range step.Remove {
		if !kind(m) {
			continue
		}
		if of, ok := w.find(m); ok && !w.slot(group).here(of) {
			w.left = append(w.left, edge{of, group})
		}
	}
}

// rows collects the members that a group brings back which returns.
func (w *wouldBe) rows(group uint32, kind func(plan.MemberKey) bool) {
	w.slot(group).refs(func(of ref) bool {
		e := edge{of, group}
		if _, gone := slices.BinarySearchFunc(w.left, e, compareEdges); !gone && kind(plan.MemberKey{Group: of.isGroup()}) {
			w.come = append(w.come, e)
		}
		return true
	})
}

// Subject implements permissions.Members.
func (w *wouldBe) Subject(id identity.UserID) (permissions.Subject, bool) {
	if n, ok := newcomer(id); ok {
		r := w.newUsers[n].After
		sub := permissions.Subject{Handle: w.users + n, Status: r.Disabled}
		if !r.Expires.IsZero() {
			sub.Expires = time.Unix(r.Expires.Unix(), 0)
		}
		return sub, true
	}
	sub, ok := w.Snapshot.Subject(id)
	if is, differs := w.standing[sub.Handle]; ok && differs {
		sub = subject(sub.Handle, is)
	}
	return sub, ok
}

// DirectGroups implements permissions.Members. The list holds until the next call.
func (w *wouldBe) DirectGroups(user uint32) []uint32 {
	w.directlyIn = w.directlyIn[:0]
	of := userRef(user)
	if user < w.users {
		for _, g := range w.within.At(int(user)) {
			_, gone := slices.BinarySearchFunc(w.left, edge{of, g}, compareEdges)
			if !gone && w.presentAfter(g) {
				w.directlyIn = append(w.directlyIn, g)
			}
		}
	} else if len(w.defaults) > 0 {
		w.directlyIn = append(w.directlyIn, w.everybody)
	}
	at, _ := slices.BinarySearchFunc(w.come, edge{of, 0}, compareEdges)
	for ; at < len(w.come) && w.come[at].of == of; at++ {
		w.directlyIn = append(w.directlyIn, w.come[at].group)
	}
	return w.directlyIn
}

// Above implements permissions.Members.
func (w *wouldBe) Above(group uint32) []uint32 {
	if group == w.everybody {
		return nil
	}
	if w.closure == nil {
		return w.Snapshot.Above(group)
	}
	return w.closure.Above(group)
}

// GroupID implements permissions.Members.
func (w *wouldBe) GroupID(group uint32) identity.GroupID {
	if group < w.groups {
		return w.Snapshot.GroupID(group)
	}
	return newGroup(group - w.groups)
}

// user returns the id behind a handle.
func (w *wouldBe) user(h uint32) identity.UserID {
	if h < w.users {
		return w.Snapshot.users.Ref(int(h)).id
	}
	return newUser(h - w.users)
}

// Those whom a plan creates have ids that are never given out, since a UUID of version
// 7 cannot begin so: nobody has been granted anything under one.
var notYet = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func newUser(n uint32) (u identity.UserID) {
	_ = u.UnmarshalText(numbered(n)) // it has the form of an id
	return u
}

func newGroup(n uint32) (g identity.GroupID) {
	_ = g.UnmarshalText(numbered(n)) // as above
	return g
}

func numbered(n uint32) []byte {
	text := []byte("ffffffff-ffff-ffff-ffff-ffff00000000")
	hex.Encode(text[28:], binary.BigEndian.AppendUint32(nil, n))
	return text
}

// newcomer returns which of those whom the plan creates has an id.
func newcomer(id identity.UserID) (uint32, bool) {
	b := identity.UserMember(id).Bytes()
	return binary.BigEndian.Uint32(b[12:]), slices.Equal(b[:12], notYet)
}
