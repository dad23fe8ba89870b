package state

import (
	"maps"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
)

// Fenced makes a Commit happen only while a term of leadership lasts.
type Fenced struct{ Term store.Cond }

func (c Fenced) build(t *txn) error {
	t.conds = append(t.conds, c.Term)
	return nil
}

// Tell puts an event into the audit entry that no change of a Commit would.
type Tell struct{ Event audit.Event }

func (c Tell) build(t *txn) error {
	t.event(c.Event)
	return nil
}

// IfRev makes a Commit happen only while the user or group is as of a revision that
// [Snapshot.User] or [Snapshot.Group] returned; else it is fault.Stale.
type IfRev struct {
	Member identity.Member
	Rev    store.Revision
}

func (c IfRev) build(t *txn) error {
	now := t.snap.etag(c.Member)
	if now != c.Rev {
		return fault.New(fault.Stale, "stale", "%s was changed since it was read: read it again and decide anew", c.Member)
	}
	_, rev := t.snap.raw(c.Member)
	t.base(objectKey(c.Member), rev)
	_, lrev := t.snap.Local(c.Member)
	t.base(localKey(c.Member), lrev)
	t.baseLinked(c.Member)
	return nil
}

func (s *Snapshot) etag(m identity.Member) store.Revision {
	var rev store.Revision
	if g, ok := m.Group(); ok {
		_, rev, _ = s.Group(g)
	} else {
		u, _ := m.User()
		_, rev, _ = s.User(u)
	}
	return rev
}

func objectKey(m identity.Member) string {
	if g, ok := m.Group(); ok {
		return groupKey(g)
	}
	u, _ := m.User()
	return userKey(u)
}

// Create makes a user or a group of a record. A user of the source "local" and one
// that was pushed claims his name: fault.Exists when it is taken.
type Create struct {
	Member identity.Member
	Record *identity.Record
	// Members is how many members the group will get, so that there is room.
	Members int
}

func (c Create) build(t *txn) error {
	key := objectKey(c.Member)
	t.base(key, 0)
	o := storedObject{Created: t.now}
	o.put(c.Record)
	o.begin()
	if c.Member.IsGroup() && c.Members > 0 {
		o.Members = generation{Gen: 1, Buckets: bucketsFor(c.Members)}
	}
	if err := t.put(key, &o); err != nil {
		return err
	}
	if err := t.claim(c.Member, nil, &o); err != nil {
		return err
	}
	e := audit.Event{Action: noun(c.Member) + "Created", Target: c.Member.String()}
	if t.by.Kind != audit.ActorSync {
		e.Name = c.Record.Name
	}
	t.event(e)
	return t.giveDefaults(c)
}

func noun(m identity.Member) string {
	if m.IsGroup() {
		return "Group"
	}
	return "User"
}

// Update replaces the record of a user or group by what its source now says. One
// that was missing is back.
type Update struct {
	Member  identity.Member
	Record  *identity.Record
	Changes []audit.Change // for the audit entry
	// Apart, of a record that is nobody's, is why it still is; empty: as before.
	Apart Apart
	// Disable, of a linked record, is plan.DisableAny when whom the source keeps out is
	// inactive, and plan.DisableOwner when he is not; empty: as it was.
	Disable string
}

func (c Update) build(t *txn) error {
	if t.isLinked(c.Member, c.Record.Source) {
		return c.buildLinked(t)
	}
	key := objectKey(c.Member)
	o, err := t.replaced(key, c.Member)
	if err != nil {
		return err
	}
	if o.Source != c.Record.Source {
		return managedBy(c.Member, o.Source)
	}
	before, action := *o, "Updated"
	if !o.Missing.IsZero() {
		action = "Returned"
	}
	o.Missing = time.Time{}
	o.put(c.Record)
	o.locked(before.Disabled, t.now)
	if err := t.claim(c.Member, &before, o); err != nil {
		return err
	}
	t.event(audit.Event{Action: noun(c.Member) + action, Target: c.Member.String(), Changes: c.Changes})
	return t.put(key, o)
}

func managedBy(m identity.Member, s identity.SourceID) error {
	return fault.New(fault.Conflict, "managed_by_source", "%s is managed by source %q: change it there", m, s)
}

// Deactivate marks a user or group as gone from its source. Its grants, its local
// layer and its members stay, and count for nothing until it returns. What it claimed
// is free.
type Deactivate struct {
	Member identity.Member
	Source identity.SourceID
}

func (c Deactivate) build(t *txn) error {
	if t.isLinked(c.Member, c.Source) {
		return c.buildLinked(t)
	}
	key := objectKey(c.Member)
	o, err := t.object(key, c.Member)
	if err != nil {
		return err
	}
	if o.Source != c.Source {
		return managedBy(c.Member, o.Source)
	}
	before := *o
	o.Missing = t.now
	if err := t.claim(c.Member, &before, o); err != nil {
		return err
	}
	t.event(audit.Event{Action: noun(c.Member) + "Deactivated", Target: c.Member.String(), Reason: string(identity.ReasonMissing)})
	return t.put(key, o)
}

// Disable keeps a user out, whatever any source says, until Enable.
type Disable struct {
	User   identity.UserID
	Reason string
}

func (c Disable) build(t *txn) error {
	m := identity.UserMember(c.User)
	if _, err := t.object(userKey(c.User), m); err != nil {
		return err
	}
	l, err := t.layer(m)
	if err != nil {
		return err
	}
	l.Off = &storedDisabled{By: t.by.String(), At: t.now, Reason: c.Reason}
	t.event(audit.Event{Action: "UserDisabled", Target: m.String(), Name: t.snap.name(m), Reason: c.Reason})
	return t.put(localKey(m), l)
}

// Enable lifts a local disable.
type Enable struct{ User identity.UserID }

func (c Enable) build(t *txn) error {
	m := identity.UserMember(c.User)
	l, err := t.layer(m)
	if err != nil {
		return err
	}
	l.Off = nil
	t.event(audit.Event{Action: "UserEnabled", Target: m.String(), Name: t.snap.name(m)})
	return t.put(localKey(m), l)
}

func (s *Snapshot) name(m identity.Member) string {
	n, _ := s.Name(m)
	return n
}

// SetLocalAttribute gives a user or group the local values of one attribute; none
// removes it.
type SetLocalAttribute struct {
	Member identity.Member
	Key    string
	Values []string
}

func (c SetLocalAttribute) build(t *txn) error {
	if _, err := t.object(objectKey(c.Member), c.Member); err != nil {
		return err
	}
	l, err := t.layer(c.Member)
	if err != nil {
		return err
	}
	next := identity.Attributes{}
	maps.Copy(next, l.Attrs)
	field := identity.FoldKey(c.Key) // else the values would join those that are there
	next[field] = c.Values
	next = next.Normalize()
	e := audit.Event{Action: "AttributeApplied", Target: c.Member.String(), Name: t.snap.name(c.Member)}
	if len(c.Values) == 0 {
		e.Action = "AttributeRemoved"
	}
	e.Changes = []audit.Change{{Field: "attribute." + field, Before: l.Attrs[field], After: next[field]}}
	l.Attrs = next
	t.event(e)
	return t.put(localKey(c.Member), l)
}

// PutGrant gives a permission to a user or a group, or changes the reason and the
// expiry of a grant that is already there. Like RemoveGrant it rests on no grant having
// been written since the snapshot.
type PutGrant struct{ Grant permissions.Grant }

func (c PutGrant) build(t *txn) error {
	g := c.Grant
	if _, err := t.object(objectKey(g.Subject), g.Subject); err != nil {
		return err
	}
	key := grantKey(g.Subject, g.Permission)
	e := audit.Event{
		Action: "PermissionGranted", Target: g.Subject.String(), Name: t.snap.name(g.Subject), Reason: g.Reason,
		Changes: []audit.Change{{Field: "permission", After: []string{string(g.Permission)}}},
	}
	if !g.Expires.IsZero() {
		e.Changes = append(e.Changes, audit.Change{Field: "expires", After: []string{g.Expires.UTC().Format(time.RFC3339)}})
	}
	if g.Acknowledged {
		e.Changes = append(e.Changes, audit.Change{Field: "acknowledgedDirectory", After: []string{"true"}})
	}
	t.event(e)
	if err := (epoch{}).build(t); err != nil {
		return err
	}
	return t.put(key, &storedGrant{
		V: format, ID: string(g.ID), By: g.By, At: g.At.UTC(), Reason: g.Reason, Expires: g.Expires.UTC(), Origin: g.Origin, Known: g.Acknowledged,
	})
}

// RemoveGrant takes a permission from a user or a group.
type RemoveGrant struct {
	Subject    identity.Member
	Permission permissions.Permission
	Reason     string
}

func (c RemoveGrant) build(t *txn) error {
	t.write(store.Delete(grantKey(c.Subject, c.Permission)))
	t.event(audit.Event{
		Action: "PermissionRevoked", Target: c.Subject.String(), Name: t.snap.name(c.Subject), Reason: c.Reason,
		Changes: []audit.Change{{Field: "permission", Before: []string{string(c.Permission)}}},
	})
	return epoch{}.build(t)
}

// PutToken stores a token by its hash.
type PutToken struct{ Token Token }

func (c PutToken) build(t *txn) error {
	tok := c.Token
	tok.V = format
	key := keyToken + tok.ID
	t.base(key, 0)
	t.event(audit.Event{Action: "ApiKeyCreated", Target: "token/" + tok.ID, Name: tok.Name})
	return t.put(key, &tok)
}

// RemoveToken ends a token at once. It is fault.Stale when somebody else just did.
type RemoveToken struct{ ID string }

func (c RemoveToken) build(t *txn) error {
	tok, ok := t.snap.Token(c.ID)
	if !ok {
		return fault.New(fault.NotFound, "token_not_found", "there is no such token")
	}
	t.base(keyToken+c.ID, tok.rev)
	t.write(store.Delete(keyToken + c.ID))
	t.event(audit.Event{Action: "ApiKeyRevoked", Target: "token/" + c.ID, Name: tok.Name})
	return nil
}

// PutSource stores where a source stands.
type PutSource struct {
	Source identity.SourceID
	State  SourceState
	// Event, when it has an action, is what the audit entry says.
	Event audit.Event
}

func (c PutSource) build(t *txn) error {
	key := keySource + string(c.Source)
	t.base(key, c.State.rev)
	if c.Event.Action != "" {
		t.event(c.Event)
	}
	st := c.State
	st.V = format
	return t.put(key, &st)
}

// PutRun stores a run's record. Records are not audited: what they tell of is.
type PutRun struct{ Run Run }

func (c PutRun) build(t *txn) error {
	return t.put(runKey(c.Run.Source, c.Run.ID), &c.Run)
}

// RemoveRuns removes run records that are no longer kept.
type RemoveRuns struct {
	Source identity.SourceID
	Runs   []string
}

func (c RemoveRuns) build(t *txn) error { //nolint:unparam // a Change may fail
	for _, id := range c.Runs {
		t.write(store.Delete(runKey(c.Source, id)))
	}
	return nil
}

func runKey(s identity.SourceID, id string) string { return keyRun + string(s) + "/" + id }

func sortMembers(ms []identity.Member) []identity.Member {
	slices.SortFunc(ms, identity.Member.Compare)
	return slices.Compact(ms)
}
