package state

import (
	"iter"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// A provider that was told an id keeps it, so a record that was pushed stays whoever it
// belongs to. One that is nobody's is stored as a linked record of a user who does not
// exist, under an id that nobody else gets: so it is no user, and nothing that is granted
// reaches it, while the source that pushed it sees it as any other.

// Apart is why a record that was pushed is nobody's.
type Apart string

// The reasons.
const (
	ApartNoUser    Apart = "no_user"        // nobody answers to the rule
	ApartAmbiguous Apart = "ambiguous_link" // several do
	ApartTaken     Apart = "link_taken"     // the source has another record of the only one who does
	ApartHeld      Apart = "link_held"      // nobody has agreed to the rule yet
	ApartUnlinked  Apart = "unlinked"       // an administrator unlinked it
	ApartUserGone  Apart = "user_gone"      // its user was deleted
	ApartIgnored   Apart = "ignored"        // an administrator said so
)

// KeepApart keeps a record that was pushed and is nobody's. Holder is an id that nobody
// has; the record's user gets it, should it ever have one of its own.
type KeepApart struct {
	Holder identity.UserID
	Record *identity.Record
	Why    Apart
}

func (c KeepApart) build(t *txn) error {
	key := linkedKey(c.Holder, c.Record.Source)
	t.base(key, 0)
	o := storedObject{Created: t.now, Link: &storedLink{By: t.by.String(), At: t.now, Apart: c.Why}}
	o.put(c.Record)
	o.begin()
	o.locked(identity.Active, t.now)
	if err := t.claim(identity.UserMember(c.Holder), nil, &o); err != nil {
		return err
	}
	t.event(apartEvent(c.Holder, c.Record, c.Why))
	return t.put(key, &o)
}

func apartEvent(holder identity.UserID, r *identity.Record, why Apart) audit.Event {
	e := linkEvent("RecordUnassigned", holder, r, "")
	e.Reason = string(why)
	return e
}

// apart makes a linked record of a user, or one that owned him, nobody's. The memberships
// that its source states go with it.
func (t *txn) apart(from, holder identity.UserID, o *storedObject, why Apart) error {
	if err := t.ownRows(identity.UserMember(from), identity.UserMember(holder), o.Source); err != nil {
		return err
	}
	t.write(store.Delete(linkedKey(from, o.Source)))
	next := *o
	next.Since = time.Time{}
	next.Link = &storedLink{By: t.by.String(), At: t.now, Apart: why}
	key := linkedKey(holder, o.Source)
	t.base(key, 0)
	t.reclaim(identity.UserMember(holder), &next)
	r := next.record()
	t.event(apartEvent(holder, &r, why))
	return t.put(key, &next)
}

// JoinApart makes a record that was nobody's a linked record of a user. The memberships
// that its source states come to him.
type JoinApart struct {
	Holder identity.UserID
	Source identity.SourceID
	User   identity.UserID
	Record *identity.Record // what it says from now on; nil: as before
	Bars   bool             // whom the source keeps out, or loses, is inactive
	Rule   string
}

func (c JoinApart) build(t *txn) error {
	o, err := t.apartObject(c.Holder, c.Source)
	if err != nil {
		return err
	}
	h, ok := t.snap.userByID.Get(c.User)
	if !ok || !t.snap.users.Ref(int(h)).exists() {
		return fault.New(fault.NotFound, "user_not_found", "there is no user %s", c.User)
	}
	u := t.snap.users.Ref(int(h))
	if _, taken := u.facet(c.Source); taken {
		return fault.New(fault.Conflict, "link_taken", "source %s has a record of %s already: unlink that one first", c.Source, u.name)
	}
	t.base(userKey(c.User), u.rev)
	key := linkedKey(c.User, c.Source)
	t.base(key, 0)
	if err := t.ownRows(identity.UserMember(c.Holder), identity.UserMember(c.User), c.Source); err != nil {
		return err
	}
	t.write(store.Delete(linkedKey(c.Holder, c.Source)))
	if err := t.saysNow(identity.UserMember(c.Holder), o, c.Record); err != nil {
		return err
	}
	t.reclaim(identity.UserMember(c.User), o)
	o.Link = &storedLink{By: t.by.String(), Rule: c.Rule, At: t.now, Bars: c.Bars}
	r := o.record()
	t.event(linkEvent("UserLinked", c.User, &r, c.Rule))
	if err := t.put(key, o); err != nil {
		return err
	}
	return t.notTooMuch(o.Name)
}

// OwnApart makes a user of a record that was nobody's. He has no grants.
type OwnApart struct {
	Holder identity.UserID // the id that he gets
	Source identity.SourceID
	Record *identity.Record // what it says from now on; nil: as before
	Reason string
}

func (c OwnApart) build(t *txn) error {
	o, err := t.apartObject(c.Holder, c.Source)
	if err != nil {
		return err
	}
	m := identity.UserMember(c.Holder)
	if err := t.saysNow(m, o, c.Record); err != nil {
		return err
	}
	t.write(store.Delete(linkedKey(c.Holder, c.Source)))
	t.event(audit.Event{Action: "UserCreated", Target: m.String(), Name: o.Name, Reason: c.Reason})
	if err := t.owns(c.Holder, o, t.now); err != nil {
		return err
	}
	r := o.record()
	return t.giveDefaults(Create{Member: m, Record: &r})
}

// saysNow makes a record say something else, and brings it back; nil: as it is.
func (t *txn) saysNow(m identity.Member, o *storedObject, r *identity.Record) error {
	if r == nil {
		return nil
	}
	before := *o
	o.put(r)
	o.Missing = time.Time{}
	o.locked(before.Disabled, t.now)
	return t.claim(m, &before, o)
}

// apartObject is linkedObject of a record that is nobody's.
func (t *txn) apartObject(holder identity.UserID, source identity.SourceID) (*storedObject, error) {
	o, err := t.linkedObject(holder, source)
	if err != nil {
		return nil, err
	}
	if raw, _ := t.snap.raw(identity.UserMember(holder)); raw != "" {
		return nil, fault.New(fault.Conflict, "link_taken", "the record is that of user %s", o.Name)
	}
	t.base(userKey(holder), 0)
	return o, nil
}

// owns makes a record own a user who was made at an instant.
func (t *txn) owns(u identity.UserID, o *storedObject, made time.Time) error {
	o.Link = nil
	o.userMade(made)
	t.base(userKey(u), 0)
	t.reclaim(identity.UserMember(u), o)
	return t.put(userKey(u), o)
}

// made is when the user was made whom the object owns.
func (o *storedObject) made() time.Time {
	if o.Since.IsZero() {
		return o.Created
	}
	return o.Since
}

// userMade sets that. When a record was pushed is for its provider to read, and stays.
func (o *storedObject) userMade(at time.Time) {
	o.Since = time.Time{}
	if o.Size == 0 {
		o.Created = at
	} else if !o.Created.Equal(at) {
		o.Since = at
	}
}

// ApartRecord is a record that is nobody's.
type ApartRecord struct {
	Pushed
	Why Apart
	By  string    // who left it so, as in the audit log
	At  time.Time // since when it is nobody's
	// Holder is the id of the user who is not there.
	Holder identity.UserID
}

// ApartOf yields what a source has pushed that is nobody's and not gone, in no order.
func (s *Snapshot) ApartOf(source identity.SourceID) iter.Seq[ApartRecord] {
	return func(yield func(ApartRecord) bool) {
		for h := range s.users.Len() {
			u := s.users.Ref(h)
			if l := u.linked(source); l != nil && !u.exists() && !l.missing && !yield(s.apartAt(u, l, uint32(h))) {
				return
			}
		}
	}
}

// ApartKeys yields the keys of what ApartOf yields, and why each is nobody's: for many, it
// costs a part of that.
func (s *Snapshot) ApartKeys(source identity.SourceID) iter.Seq2[identity.Key, Apart] {
	return func(yield func(identity.Key, Apart) bool) {
		for h := range s.users.Len() {
			u := s.users.Ref(h)
			if l := u.linked(source); l != nil && !u.exists() && !l.missing && !yield(l.key, l.apart) {
				return
			}
		}
	}
}

// ApartRecord returns what a source has pushed under a key and is nobody's.
func (s *Snapshot) ApartRecord(source identity.SourceID, key identity.Key) (ApartRecord, bool) {
	p, ok := s.PushedUser(source, key)
	if !ok || p.Place != Nobodys {
		return ApartRecord{}, false
	}
	u := s.users.Ref(int(p.Handle))
	return s.apartAt(u, u.linked(source), p.Handle), true
}

// ApartNamed returns the record that is nobody's and that a person may mean by
// "<source>/<login name>" or "<source>/<key>".
func (s *Snapshot) ApartNamed(text string) (r ApartRecord, found bool) {
	name, rest, ok := strings.Cut(text, "/")
	if !ok {
		return r, false
	}
	source := identity.SourceID(name)
	if r, ok := s.ApartRecord(source, identity.Key(rest)); ok && !r.Gone {
		return r, true
	}
	for p := range s.UsersNamed(source, rest) {
		if p.Place == Nobodys && !p.Gone {
			return s.ApartRecord(source, p.Key)
		}
	}
	return r, false
}

func (s *Snapshot) apartAt(u *userSlot, l *linkedSlot, h uint32) ApartRecord {
	r := ApartRecord{Pushed: l.pushed(u, h), Holder: u.id}
	if link := r.rest().Link; link != nil {
		r.Why, r.By, r.At = link.Apart, link.By, link.At
	}
	return r
}

// Record returns what the record says.
func (r *ApartRecord) Record() *identity.Record {
	o := r.rest()
	rec := o.record()
	return &rec
}

// AcceptRule makes the rule by which a source's records join users the one that holds: its
// hash. Whoever calls it for somebody else has to ask whether that one may confer what the
// source carries.
type AcceptRule struct {
	Source identity.SourceID
	Hash   string
	Event  audit.Event // what the audit entry says, when it has an action
}

func (c AcceptRule) build(t *txn) error {
	st := t.snap.Source(c.Source)
	st.Config = c.Hash
	return PutSource{Source: c.Source, State: st, Event: c.Event}.build(t)
}
