package state

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// storedLink is what a linked record has beside the record: who joined it to its user,
// and by which rule.
type storedLink struct {
	By   string    `json:"by"`
	Rule string    `json:"rule,omitzero"`
	At   time.Time `json:"at"`
	// Bars says that whom the source keeps out, or has lost, is inactive.
	Bars bool `json:"bars,omitzero"`
	// Apart, of a record that is nobody's, is why.
	Apart Apart `json:"apart,omitzero"`
}

// linkedSlot is what the view keeps of a linked record. A user's are a list that is
// replaced and never changed.
type linkedSlot struct {
	facet

	source  identity.SourceID
	off     identity.Reason
	expires int64
	body    uint32 // as that of a user
	apart   Apart  // why it is nobody's
	bars    bool
	left    bool // the source is being deleted: it counts for nothing
}

// facet is what the view keeps of the record that one source has of a user.
type facet struct {
	raw     string
	key     identity.Key
	name    string
	hash    uint64
	rev     store.Revision
	missing bool
}

// facet returns the record that a source has of a user, the owning or a linked one.
func (u *userSlot) facet(source identity.SourceID) (facet, bool) {
	if u.source == source {
		return facet{u.raw, u.key, u.name, u.hash, u.rev, u.missing}, u.exists()
	}
	if l := u.linked(source); l != nil && u.exists() {
		return l.facet, true
	}
	return facet{}, false
}

// keyFor returns the key that a source knows the user by, or "".
func (u *userSlot) keyFor(source identity.SourceID) identity.Key {
	if u.source == source {
		return u.key
	}
	if l := u.linked(source); l != nil && u.exists() {
		return l.key
	}
	return ""
}

// linked returns the linked record of a source, or nil.
func (u *userSlot) linked(source identity.SourceID) *linkedSlot {
	if u.links == nil {
		return nil
	}
	for i := range *u.links {
		if l := &(*u.links)[i]; l.source == source {
			return l
		}
	}
	return nil
}

// further yields the linked records that count.
func (u *userSlot) further(yield func(*linkedSlot) bool) {
	if u.links == nil {
		return
	}
	for i := range *u.links {
		if l := &(*u.links)[i]; !l.left && !yield(l) {
			return
		}
	}
}

// barredBy reports whether a linked record may keep the user out. Who was made here is
// kept out here alone: else a source could lock out the last administrator.
func (u *userSlot) barredBy(l *linkedSlot) bool { return l.bars && u.source != identity.Local }

// kept returns why a linked record keeps the user out, the clock left out, and until
// when all that may do so let him in; 0: for ever.
func (u *userSlot) kept() (why identity.Reason, until int64) {
	for l := range u.further {
		if !u.barredBy(l) {
			continue
		}
		if l.expires != 0 && (until == 0 || l.expires < until) {
			until = l.expires
		}
		if why == identity.Active {
			if why = l.off; l.missing {
				why = identity.ReasonMissing
			}
		}
	}
	return why, until
}

// withLinked returns a user with the linked record of a source put in, replaced, or,
// when it has no value, taken out. The list of u stays as it is.
func (u userSlot) withLinked(l linkedSlot) userSlot {
	var all []linkedSlot
	if u.links != nil {
		all = slices.DeleteFunc(slices.Clone(*u.links), func(o linkedSlot) bool { return o.source == l.source })
	}
	if l.raw != "" {
		all = append(all, l)
		slices.SortFunc(all, func(a, b linkedSlot) int { return cmp.Compare(a.source, b.source) })
	}
	u.links = nil
	if len(all) > 0 {
		u.links = &all
	}
	return u
}

func linkedKey(u identity.UserID, source identity.SourceID) string {
	return keyLinked + u.String() + "/" + string(source)
}

// recordKey is where the record lies that a source has of a user; of a group, and of one
// whom it does not have, it is where its owner's lies.
func (s *Snapshot) recordKey(m identity.Member, source identity.SourceID) string {
	if id, ok := m.User(); ok {
		if h, ok := s.userByID.Get(id); ok && s.users.Ref(int(h)).linked(source) != nil {
			return linkedKey(id, source)
		}
	}
	return objectKey(m)
}

func parseLinkedKey(key string) (identity.UserID, identity.SourceID, error) {
	user, source, ok := strings.Cut(strings.TrimPrefix(key, keyLinked), "/")
	id, err := identity.ParseUserID(user)
	if !ok || err != nil || source == "" {
		return id, "", badKey(key)
	}
	return id, identity.SourceID(source), nil
}

// linked takes a linked record in.
func (e *editor) linked(key string, v rawValue) error {
	id, source, err := parseLinkedKey(key)
	if err != nil {
		return err
	}
	var o storedObject
	if v.raw != "" {
		if err := decode(key, []byte(v.raw), &o); err != nil {
			return err
		}
		if o.V > format {
			return newerValue(key, o.V)
		}
	}
	source = intern(e.names, source)
	if !slices.Contains(e.owners, source) {
		e.owners = append(slices.Clip(e.owners), source)
	}
	h := e.userHandle(id)
	u := e.users.At(int(h))
	if old := u.linked(source); old != nil {
		e.userKeys.remove(keyHash(source, old.key), h)
		e.userNames.remove(nameHash(source, identity.FoldName(old.name)), h)
		for _, term := range termsOf(old.raw) {
			e.userTerms.remove(textHash(string(source), term), h)
		}
		if u.exists() && u.source == source {
			e.terms(h, source, u.raw)
		}
	}
	l := linkedSlot{source: source}
	if v.raw != "" {
		key, name := identity.Key(alias(v.raw, string(o.Key))), alias(v.raw, o.Name)
		l.facet = facet{v.raw, key, name, uint64(o.Hash), v.rev, !o.Missing.IsZero()}
		l.off, l.expires = intern(e.reasons, o.Disabled), seconds(o.Expires)
		l.bars, l.left = o.Link != nil && o.Link.Bars, e.leaving(source)
		if o.Link != nil {
			l.apart = Apart(intern(e.reasons, identity.Reason(o.Link.Apart)))
		}
		if _, ok := bodyAt(v.raw, o.Size); ok {
			l.body = uint32(o.Size)
		}
	}
	e.setUser(int(h), u.withLinked(l))
	e.findable(h)
	return nil
}

// findable lets a user be found by each of his records. When two of them change places in
// one transaction, taking one in makes room for what the other is found by already.
func (e *editor) findable(h uint32) {
	u := e.users.Ref(int(h))
	if u.exists() {
		e.userKeys.add(keyHash(u.source, u.key), h)
		e.userNames.add(nameHash(u.source, identity.FoldName(u.name)), h)
	}
	if u.links == nil {
		return
	}
	for _, l := range *u.links {
		e.userKeys.add(keyHash(l.source, l.key), h)
		e.userNames.add(nameHash(l.source, identity.FoldName(l.name)), h)
		e.terms(h, l.source, l.raw)
	}
}

// lost makes a user not be found by what his record said and the next does not. What both
// say stays where it is: most writes change neither key, name nor terms, and taking an
// entry out to put it back copies the way to it.
func (e *editor) lost(h uint32, u *userSlot, next *objectHead) {
	same := u.source == next.Source
	if !same || u.key != next.Key {
		e.userKeys.remove(keyHash(u.source, u.key), h)
	}
	if !same || u.name != next.Name {
		e.userNames.remove(nameHash(u.source, identity.FoldName(u.name)), h)
	}
	for _, term := range termsOf(u.raw) {
		if !same || !slices.Contains(next.Terms, term) {
			e.userTerms.remove(textHash(string(u.source), term), h)
		}
	}
}

// terms lets a user be found by the terms of a record of his.
func (e *editor) terms(h uint32, source identity.SourceID, raw string) {
	for _, term := range termsOf(raw) {
		e.userTerms.add(textHash(string(source), term), h)
	}
}

// leavesLinked makes the linked records of a source count for nothing.
func (e *editor) leavesLinked(source identity.SourceID) {
	for h := range e.users.Len() {
		u := e.users.At(h)
		if l := u.linked(source); l != nil {
			gone := *l
			gone.left = true
			e.setUser(h, u.withLinked(gone))
		}
	}
}

// linkedOf returns the linked records of a user that count.
func (s *Snapshot) linkedOf(u *userSlot) []identity.Linked {
	var all []identity.Linked
	for l := range u.further {
		var o storedObject
		if decode(linkedKey(u.id, l.source), []byte(l.raw), &o) != nil {
			continue // the follower has refused to take it in, so this cannot be
		}
		linked := o.linked()
		linked.Bars = u.barredBy(l)
		all = append(all, linked)
	}
	return all
}

func (o *storedObject) linked() identity.Linked {
	l := identity.Linked{Record: o.record(), Missing: o.Missing}
	if o.Link != nil {
		l.Bars, l.By, l.Rule, l.Since = o.Link.Bars, o.Link.By, o.Link.Rule, o.Link.At
	}
	return l
}

// linkedRev returns the revision at which a linked record of a user was last written.
func (u *userSlot) linkedRev() (rev store.Revision) {
	if u.links == nil {
		return 0
	}
	for i := range *u.links {
		rev = max(rev, (*u.links)[i].rev)
	}
	return rev
}

// Linked returns the linked record that a source has of a user, whether or not the
// source has lost it.
func (s *Snapshot) Linked(id identity.UserID, source identity.SourceID) (identity.Linked, bool) {
	h, ok := s.userByID.Get(id)
	if !ok {
		return identity.Linked{}, false
	}
	u := s.users.Ref(int(h))
	l := u.linked(source)
	var o storedObject
	if l == nil || !u.exists() || decode(linkedKey(id, source), []byte(l.raw), &o) != nil {
		return identity.Linked{}, false
	}
	return o.linked(), true
}

// LinkedBy yields the users of whom a source has a linked record, in no order.
func (s *Snapshot) LinkedBy(source identity.SourceID) iter.Seq[identity.UserID] {
	return func(yield func(identity.UserID) bool) {
		for h := range s.users.Len() {
			// Also who does not exist, of whom the source has a record that is nobody's.
			if u := s.users.Ref(h); u.linked(source) != nil && !yield(u.id) {
				return
			}
		}
	}
}

// LinkedUnlike yields the users of whom a source has a linked record that may keep them
// out, where it is not to, or may not, where it is.
func (s *Snapshot) LinkedUnlike(source identity.SourceID, bars bool) iter.Seq[identity.UserID] {
	return func(yield func(identity.UserID) bool) {
		for h := range s.users.Len() {
			u := s.users.Ref(h)
			if l := u.linked(source); l != nil && u.exists() && !l.missing && l.bars != bars && !yield(u.id) {
				return
			}
		}
	}
}

// UserOf returns the user of whom a source has the record with a key, as owner or linked.
func (s *Snapshot) UserOf(source identity.SourceID, key identity.Key) (identity.UserID, bool) {
	h, ok := s.userOf(source, key)
	if !ok {
		return identity.UserID{}, false
	}
	return s.users.Ref(int(h)).id, true
}
