package state

import (
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// LinkRecord joins a record of a source to a user of another one. It touches neither his
// owning record nor a grant.
type LinkRecord struct {
	User   identity.UserID
	Record *identity.Record
	Bars   bool // whom the source keeps out, or loses, is inactive
	Rule   string
}

func (c LinkRecord) build(t *txn) error {
	h, ok := t.snap.userByID.Get(c.User)
	if !ok || !t.snap.users.Ref(int(h)).exists() {
		return fault.New(fault.NotFound, "not_found", "there is no user %s", c.User)
	}
	if _, taken := t.snap.users.Ref(int(h)).facet(c.Record.Source); taken {
		return fault.New(fault.Conflict, "link_taken", "source %s has a record of user %s already", c.Record.Source, c.User)
	}
	key := linkedKey(c.User, c.Record.Source)
	t.base(key, 0)
	o := storedObject{Created: t.now, Link: &storedLink{By: t.by.String(), Rule: c.Rule, At: t.now, Bars: c.Bars}}
	o.put(c.Record)
	o.begin()
	if o.Size > 0 {
		t.base(userKey(c.User), t.snap.users.Ref(int(h)).rev) // he may leave, or become another, meanwhile
	}
	if err := t.claim(identity.UserMember(c.User), nil, &o); err != nil {
		return err
	}
	t.event(linkEvent("UserLinked", c.User, c.Record, c.Rule))
	return t.put(key, &o)
}

func linkEvent(action string, u identity.UserID, r *identity.Record, rule string) audit.Event {
	e := audit.Event{Action: action, Target: identity.UserMember(u).String(), Name: r.Name, Changes: []audit.Change{
		{Field: "source", After: []string{string(r.Source)}}, {Field: "entry", After: []string{string(r.Key)}},
	}}
	if rule != "" {
		e.Changes = append(e.Changes, audit.Change{Field: "rule", After: []string{rule}})
	}
	return e
}

// isLinked reports whether what a source says of a member is a linked record of his.
func (t *txn) isLinked(m identity.Member, source identity.SourceID) bool {
	id, ok := m.User()
	h, known := t.snap.userByID.Get(id)
	return ok && known && t.snap.users.Ref(int(h)).linked(source) != nil
}

// linkedObject reads a linked record to be rewritten, and makes the transaction rest on
// what was read.
func (t *txn) linkedObject(u identity.UserID, source identity.SourceID) (*storedObject, error) {
	key := linkedKey(u, source)
	raw, rev := "", store.Revision(0)
	if h, ok := t.snap.userByID.Get(u); ok {
		if l := t.snap.users.Ref(int(h)).linked(source); l != nil {
			raw, rev = l.raw, l.rev
		}
	}
	if b, ok := t.pending(key); ok {
		raw = string(b)
	}
	if raw == "" {
		return nil, fault.New(fault.NotFound, "link_not_found", "source %s has no linked record of user %s", source, u)
	}
	var o storedObject
	if err := decode(key, []byte(raw), &o); err != nil {
		return nil, err
	}
	t.base(key, rev)
	return &o, nil
}

// buildLinked is Update of a linked record.
func (c Update) buildLinked(t *txn) error {
	u, _ := c.Member.User()
	o, err := t.linkedObject(u, c.Record.Source)
	if err != nil {
		return err
	}
	before, action := *o, "UserUpdated"
	if !o.Missing.IsZero() {
		action = "UserReturned"
	}
	o.Missing = time.Time{}
	o.put(c.Record)
	o.locked(before.Disabled, t.now)
	link := storedLink{}
	if o.Link != nil {
		link = *o.Link
	}
	if c.Disable != "" {
		link.Bars = c.Disable == plan.DisableAny
	}
	if link.Apart != "" && c.Apart != "" {
		link.Apart = c.Apart
	}
	o.Link = &link
	if err := t.claim(c.Member, &before, o); err != nil {
		return err
	}
	t.event(audit.Event{Action: action, Target: c.Member.String(), Reason: "record of source " + string(c.Record.Source), Changes: c.Changes})
	return t.put(linkedKey(u, c.Record.Source), o)
}

// buildLinked is Deactivate of a linked record: its user goes on by his owning record.
func (c Deactivate) buildLinked(t *txn) error {
	u, _ := c.Member.User()
	o, err := t.linkedObject(u, c.Source)
	if err != nil {
		return err
	}
	before := *o
	o.Missing = t.now
	if err := t.claim(c.Member, &before, o); err != nil {
		return err
	}
	t.event(audit.Event{
		Action: "LinkedRecordMissing", Target: c.Member.String(), Name: o.Name, Reason: string(identity.ReasonMissing),
		Changes: []audit.Change{{Field: "source", After: []string{string(c.Source)}}},
	})
	return t.put(linkedKey(u, c.Source), o)
}

// baseLinked makes the transaction rest on the linked records that a user has.
func (t *txn) baseLinked(m identity.Member) {
	u, _ := m.User()
	h, ok := t.snap.userByID.Get(u)
	if !ok || m.IsGroup() || t.snap.users.Ref(int(h)).links == nil {
		return
	}
	for _, l := range *t.snap.users.Ref(int(h)).links {
		t.base(linkedKey(u, l.source), l.rev)
	}
}

// mostRecords is on how many linked records a change of members rests: each is a condition.
const mostRecords = 16

// baseRecords makes the transaction rest on the linked records of those who are put into a
// group of their source. A user whose record another replica removes at the same time goes
// on, and must not be left there. Where they are many, one transaction cannot rest on all.
func (t *txn) baseRecords(c ChangeMembers) {
	if t.by.Kind != audit.ActorPush {
		return // of what is read there is one writer, and a person looks at what he does
	}
	n := 0
	for _, m := range c.Add {
		u, _ := m.User()
		h, ok := t.snap.userByID.Get(u)
		if !ok || m.IsGroup() {
			continue
		}
		if l := t.snap.users.Ref(int(h)).linked(c.Origin); l != nil {
			if n++; n > mostRecords {
				return
			}
			t.base(linkedKey(u, c.Origin), l.rev)
		}
	}
}

// deleteLinked removes the linked records of a user who goes. Those that were pushed are
// nobody's from then on: their providers hold on to them.
func (t *txn) deleteLinked(u identity.UserID) error {
	h, ok := t.snap.userByID.Get(u)
	if !ok || t.snap.users.Ref(int(h)).links == nil {
		return nil
	}
	for _, l := range *t.snap.users.Ref(int(h)).links {
		o, err := t.linkedObject(u, l.source)
		if err != nil {
			return err
		}
		if o.Size > 0 && !l.missing && !l.left {
			if err := t.apart(u, identity.NewUserID(), o, ApartUserGone); err != nil {
				return err
			}
			continue
		}
		if err := t.claim(identity.UserMember(u), o, nil); err != nil {
			return err
		}
		t.write(store.Delete(linkedKey(u, l.source)))
	}
	return nil
}

// removeLinked takes away what a deleted source had of a user.
type removeLinked struct {
	user   identity.UserID
	source identity.SourceID
}

func (c removeLinked) build(t *txn) error {
	o, err := t.linkedObject(c.user, c.source)
	if err != nil {
		return err
	}
	t.write(store.Delete(linkedKey(c.user, c.source)))
	r := o.record()
	t.event(linkEvent("UserUnlinked", c.user, &r, ""))
	return t.claim(identity.UserMember(c.user), o, nil)
}

// Rekey gives a user whom a source has lost to the entry that has taken his place there:
// the same person under a new key, as a person has settled. Nothing else changes until
// the source is read; then he returns, with all he was granted. So whoever decides it
// has to be one who may confer that.
type Rekey struct {
	User   identity.UserID
	Source identity.SourceID
	Key    identity.Key
	Reason string
}

func (c Rekey) build(t *txn) error {
	m := identity.UserMember(c.User)
	key, read := userKey(c.User), func() (*storedObject, error) { return t.object(userKey(c.User), m) }
	if t.isLinked(m, c.Source) {
		key, read = linkedKey(c.User, c.Source), func() (*storedObject, error) { return t.linkedObject(c.User, c.Source) }
	}
	o, err := read()
	if err != nil {
		return err
	}
	switch other, taken := t.snap.UserOf(c.Source, c.Key); {
	case o.Source != c.Source:
		return managedBy(m, o.Source)
	case o.Size > 0:
		return pushedRecord(c.Source)
	case taken:
		return fault.New(fault.Conflict, "entry_taken", "entry %s is the record of user %s", c.Key, t.snap.name(identity.UserMember(other)))
	case o.Missing.IsZero():
		return fault.New(fault.Conflict, "not_missing", "source %s still has %s under the key %s", c.Source, o.Name, o.Key)
	}
	before := o.Key
	o.Key, o.Hash = c.Key, 0
	if err := t.confersReturn(c.User, key, *o); err != nil {
		return err
	}
	t.event(audit.Event{
		Action: "ConflictSettled", Target: m.String(), Name: o.Name, Reason: c.Reason,
		Changes: []audit.Change{
			{Field: "decision", After: []string{"merge"}},
			{Field: "entry", Before: []string{string(before)}, After: []string{string(c.Key)}},
		},
	})
	if err := t.mark(c.Source); err != nil {
		return err
	}
	return t.put(key, o)
}

func pushedRecord(source identity.SourceID) error {
	return fault.New(fault.Conflict, "pushed_source",
		"source %s is pushed to: name a record that its provider has pushed", source)
}

// confersReturn notes that who writes this lets a user have all that he would have, were
// he back.
func (t *txn) confersReturn(u identity.UserID, key string, o storedObject) error {
	o.Missing, o.Disabled, o.Expires = time.Time{}, identity.Active, time.Time{}
	b, err := encode(&o)
	if err != nil {
		return err
	}
	after, err := t.snap.with([]store.Op{store.Put(key, b)})
	if err != nil {
		return err
	}
	id := plan.Ref(identity.UserMember(u).Bytes())
	effective := after.book.Effective(after, u, t.now)
	for _, p := range effective.Permissions() {
		t.lets = append(t.lets, plan.Raised{Permission: string(p), ID: id, Person: plan.Person{Name: o.Name}})
	}
	return nil
}

// ChangeOwner lets another source own a user: his owning record and the linked one of
// that source change places. His id, grants, local layer and memberships stay. The record
// of a user who was made here does not become a linked one: it goes.
type ChangeOwner struct {
	User identity.UserID
	To   identity.SourceID
	Bars bool // whom the source that was the owner keeps out is inactive as before
	Rule string
}

func (c ChangeOwner) build(t *txn) error {
	m := identity.UserMember(c.User)
	own, err := t.object(userKey(c.User), m)
	if err != nil {
		return err
	}
	next, err := t.linkedObject(c.User, c.To)
	if err != nil {
		return err
	}
	was, is := *own, *next
	is.Link, is.Since, was.Since = nil, time.Time{}, time.Time{}
	is.userMade(own.made())
	if was.Source == identity.Local {
		if err := t.claim(m, &was, nil); err != nil {
			return err
		}
	}
	t.write(store.Delete(linkedKey(c.User, c.To)))
	if was.Source != identity.Local {
		was.Link = &storedLink{By: t.by.String(), Rule: c.Rule, At: t.now, Bars: c.Bars}
		if err := t.put(linkedKey(c.User, was.Source), &was); err != nil {
			return err
		}
	}
	t.event(audit.Event{
		Action: "UserMigrated", Target: m.String(), Name: is.Name,
		Changes: []audit.Change{
			{Field: "source", Before: []string{string(was.Source)}, After: []string{string(is.Source)}},
			{Field: "entry", Before: []string{string(was.Key)}, After: []string{string(is.Key)}},
		},
	})
	return t.put(userKey(c.User), &is)
}
