package state

import (
	"strings"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

var _ plan.People = SourceView{}

// Matching implements plan.People. It reads the record of every user of the rule's
// source, but of few values only those that hold one of them at all.
func (v SourceView) Matching(r plan.Rule, wanted map[string]bool) map[string][]plan.Target {
	found := map[string][]plan.Target{}
	theirs := r.Theirs()
	for h := range v.snap.users.Len() {
		u := v.snap.users.Ref(h)
		if !u.exists() || u.missing || u.source != r.To || !mayHold(u, r, theirs, wanted) {
			continue
		}
		var o storedObject
		if decode(userKey(u.id), []byte(u.raw), &o) != nil {
			continue
		}
		rec := o.record()
		for _, value := range r.Values(&rec, theirs) {
			if wanted[value] {
				found[value] = append(found[value], v.target(u))
			}
		}
	}
	return found
}

// fewWanted is up to how many values looking for them in what is stored costs less than
// decoding it.
const fewWanted = 8

// mayHold reports whether the stored record of a user may hold one of a few wanted
// values. What it refuses does not; a value that is stored in another form than it is
// written, or compared in another form than it is stored, is not looked for.
func mayHold(u *userSlot, r plan.Rule, theirs string, wanted map[string]bool) bool {
	if theirs == plan.ByName {
		return wanted[identity.FoldName(u.name)]
	}
	if len(wanted) > fewWanted || r.Compare == plan.CompareFolded {
		return true
	}
	for value := range wanted {
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c >= 0x7f || strings.ContainsRune(`"\<>&`, c) }) || strings.Contains(u.raw, `"`+value+`"`) {
			return true
		}
	}
	return false
}

func (v SourceView) target(u *userSlot) plan.Target {
	_, taken := u.facet(v.source)
	return plan.Target{Ref: identity.UserMember(u.id).Bytes(), Name: string(u.source) + "/" + u.name, Taken: taken}
}

// Target implements plan.People.
func (v SourceView) Target(ref plan.Ref) (plan.Target, bool) {
	id, _ := identity.MemberOf(false, ref).User()
	h, ok := v.snap.userByID.Get(id)
	if !ok || !v.snap.users.Ref(int(h)).exists() {
		return plan.Target{}, false
	}
	return v.target(v.snap.users.Ref(int(h))), true
}

// Linked implements plan.People.
func (v SourceView) Linked(key identity.Key) bool {
	h, ok := v.snap.userOf(v.source, key)
	return ok && v.snap.users.Ref(int(h)).source != v.source
}

// JoinedGroups implements plan.People.
func (v SourceView) JoinedGroups(key identity.Key) (groups []plan.Known) {
	h, ok := v.snap.userOf(v.source, key)
	if !ok {
		return nil
	}
	m := identity.UserMember(v.snap.users.Ref(int(h)).id)
	for g := range v.snap.groups.Len() {
		if slot := v.snap.groups.Ref(g); slot.source == v.source && slot.exists() && slot.own.holds(m, userRef(h)) {
			groups = append(groups, knownGroup(slot))
		}
	}
	return groups
}

// Joined implements plan.People.
func (v SourceView) Joined(yield func(plan.Known, plan.Link) bool) {
	for h := range v.snap.users.Len() {
		u := v.snap.users.Ref(h)
		if l := u.linked(v.source); l != nil && u.exists() && !yield(v.known(u), plan.Link{Bars: l.bars}) {
			return
		}
	}
}

// OwnerAt returns the user of a handle and what his owning record says, if a source owns
// him and has him.
func (s *Snapshot) OwnerAt(source identity.SourceID, handle uint32) (identity.UserID, identity.Record, bool) {
	u := s.users.Ref(int(handle))
	if !u.exists() || u.missing || u.source != source {
		return u.id, identity.Record{}, false
	}
	var o storedObject
	if decode(userKey(u.id), []byte(u.raw), &o) != nil {
		return u.id, identity.Record{}, false
	}
	return u.id, o.record(), true
}

// Owns reports whether a source owns the user of a handle, also one whom it has lost.
func (s *Snapshot) Owns(source identity.SourceID, handle uint32) bool {
	u := s.users.Ref(int(handle))
	return u.exists() && u.source == source
}

// UserHandles is how many handles of users there are: they count from 0.
func (s *Snapshot) UserHandles() uint32 { return uint32(s.users.Len()) }

// Shared reports whether other sources have a record of a user whom one owns.
func (s *Snapshot) Shared(m identity.Member) bool {
	id, ok := m.User()
	if !ok {
		return false
	}
	h, ok := s.userByID.Get(id)
	return ok && s.users.Ref(int(h)).links != nil
}

// Pushes reports whether a source has a record of a user, also one that it has taken away.
func (s *Snapshot) Pushes(source identity.SourceID, id identity.UserID) bool {
	h, ok := s.userByID.Get(id)
	if !ok {
		return false
	}
	_, has := s.users.Ref(int(h)).pushedBy(source, h)
	return has
}
