package state

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// storedMerge is what a user had who was merged into another, and what that one got by
// it: enough to take it back.
type storedMerge struct {
	V      int                                     `json:"v"`
	From   identity.UserID                         `json:"from"`
	Made   time.Time                               `json:"made"` // when he was
	By     string                                  `json:"by"`
	At     time.Time                               `json:"at"`
	Attrs  identity.Attributes                     `json:"attr,omitempty"`
	Grants map[permissions.Permission]*storedGrant `json:"grants,omitempty"`
	Groups []identity.GroupID                      `json:"groups,omitempty"` // that he was put into here
	// Of these the other one got by it:
	Given   identity.Attributes      `json:"given,omitempty"`
	Gained  []permissions.Permission `json:"gained,omitempty"`
	Joined  []identity.GroupID       `json:"joined,omitempty"`
	Unknown jsontext.Value           `json:",embed"`
}

// Merged is what is kept of a user who was merged into another.
type Merged struct {
	From   identity.UserID
	By     string
	At     time.Time
	Grants []permissions.Permission // that he had

	stored storedMerge
	rev    store.Revision
}

func mergedKey(u identity.UserID, source identity.SourceID) string {
	return keyMerged + u.String() + "/" + string(source)
}

// Merged returns what is kept of the user whose record of a source was merged into
// another user; false: nobody was.
func (d *DB) Merged(ctx context.Context, u identity.UserID, source identity.SourceID) (Merged, bool, error) {
	r, err := d.store.Get(ctx, mergedKey(u, source))
	if errors.Is(err, fault.NotFound) {
		return Merged{}, false, nil
	}
	if err != nil {
		return Merged{}, false, err
	}
	m := Merged{rev: r.Rev}
	if err := decode(r.Key, r.Value, &m.stored); err != nil {
		return m, false, err
	}
	m.From, m.By, m.At = m.stored.From, m.stored.By, m.stored.At
	for p := range m.stored.Grants {
		m.Grants = append(m.Grants, p)
	}
	slices.Sort(m.Grants)
	return m, true, nil
}

// Merge makes the record of a user a linked one of another user: they are one person. His
// memberships and local attributes go to the other one, and his grants, where Grants says
// so; he himself is no more. What he had is kept until [Unlink] takes it back.
type Merge struct {
	Into, From identity.UserID
	// KeepGrants gives the grants to the other user; else they end.
	KeepGrants bool
	Bars       bool // whom the source of the record keeps out, or loses, is inactive
	Rule       string
	Reason     string
}

// merging is a Merge under way.
type merging struct {
	Merge
	*txn

	into, from identity.Member
	note       storedMerge
}

func (c Merge) build(t *txn) error {
	m := &merging{Merge: c, txn: t, into: identity.UserMember(c.Into), from: identity.UserMember(c.From)}
	o, err := t.object(userKey(c.From), m.from)
	if err != nil {
		return err
	}
	if _, err := t.object(userKey(c.Into), m.into); err != nil {
		return err
	}
	if err := t.snap.MayMerge(c.Into, c.From); err != nil {
		return err
	}
	m.note = storedMerge{V: format, From: c.From, Made: o.made(), By: t.by.String(), At: t.now}
	name, source := o.Name, o.Source
	if err := m.rows(source); err != nil {
		return err
	}
	if err := m.layers(); err != nil {
		return err
	}
	if err := m.grants(); err != nil {
		return err
	}
	o.Link, o.Since = &storedLink{By: t.by.String(), Rule: c.Rule, At: t.now, Bars: c.Bars}, time.Time{}
	if o.Size == 0 {
		o.Created = t.now
	}
	t.reclaim(m.into, o)
	key := linkedKey(c.Into, source)
	t.base(key, 0)
	if err := t.put(key, o); err != nil {
		return err
	}
	t.write(store.Delete(userKey(c.From)))
	t.event(audit.Event{
		Action: "UsersMerged", Target: m.into.String(), Name: t.snap.name(m.into), Reason: c.Reason,
		Changes: []audit.Change{{Field: "merged", Before: []string{m.from.String()}}, {Field: "userName", Before: []string{name}}, {Field: "source", Before: []string{string(source)}}},
	})
	if err := t.put(mergedKey(c.Into, source), &m.note); err != nil {
		return err
	}
	return t.notTooMuch(name)
}

// notTooMuch refuses what does not fit in one transaction.
func (t *txn) notTooMuch(name string) error {
	if len(t.ops) > store.MaxOps-3 || len(t.conds) > store.MaxOps-3 {
		return fault.New(fault.Conflict, "too_much_to_link", "%s has too many grants and memberships to be moved at once: remove some of them first", name)
	}
	return nil
}

// MayMerge returns why the record of one user cannot become a linked one of another.
func (s *Snapshot) MayMerge(into, from identity.UserID) error {
	a, okA := s.userByID.Get(into)
	b, okB := s.userByID.Get(from)
	if !okA || !okB || !s.users.Ref(int(a)).exists() || !s.users.Ref(int(b)).exists() {
		return fault.New(fault.NotFound, "user_not_found", "there is no such user")
	}
	to, u := s.users.Ref(int(a)), s.users.Ref(int(b))
	_, taken := to.facet(u.source)
	switch {
	case into == from:
		return fault.New(fault.Invalid, "same_user", "this is one user already")
	case u.source == identity.Local:
		return fault.New(fault.Conflict, "local_user", "%s was made here, so no source keeps a record of him: migrate him to the source of %s instead", u.name, to.name)
	case u.missing:
		return fault.New(fault.Conflict, "missing_user", "source %s no longer has %s", u.source, u.name)
	case taken:
		return fault.New(fault.Conflict, "link_taken", "source %s has a record of %s already: unlink that one first", u.source, to.name)
	case u.links != nil:
		return fault.New(fault.Conflict, "has_links", "%s has linked records himself: unlink them first", u.name)
	case u.disabled:
		return fault.New(fault.Conflict, "disabled_locally", "%s was disabled here, which would be lost: disable %s as well and enable him, or leave them apart", u.name, to.name)
	case len(s.Tokens(from)) > 0:
		return fault.New(fault.Conflict, "has_keys", "%s has API keys, which cannot pass to another user: revoke them first", u.name)
	}
	return nil
}

// everyGroupOf yields the groups that have a member by anybody's word, those that count
// for nothing among them, with who says so. It looks at every group.
func (s *Snapshot) everyGroupOf(m identity.Member) iter.Seq2[identity.GroupID, []identity.SourceID] {
	return func(yield func(identity.GroupID, []identity.SourceID) bool) {
		r, ok := s.ref(m)
		if !ok {
			return
		}
		for h := range s.groups.Len() {
			g := s.groups.Ref(h)
			var by []identity.SourceID
			if g.own.holds(m, r) {
				by = append(by, g.source)
			}
			if g.local.holds(m, r) {
				by = append(by, identity.Local)
			}
			if len(by) > 0 && g.exists() && !yield(g.id, by) {
				return
			}
		}
	}
}

// rows moves the memberships: those that the source states are the record's.
func (m *merging) rows(source identity.SourceID) error {
	for g, by := range m.snap.everyGroupOf(m.from) {
		for _, origin := range by {
			c := ChangeMembers{Group: g, Origin: origin, Remove: []identity.Member{m.from}, Add: []identity.Member{m.into}}
			if origin == identity.Local {
				m.note.Groups = append(m.note.Groups, g)
				if m.snap.putInto(m.into, g) {
					c.Add = nil
				} else {
					m.note.Joined = append(m.note.Joined, g)
				}
			} else if origin != source {
				continue
			}
			if err := m.moved(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// putInto reports whether administrators put a member into a group.
func (s *Snapshot) putInto(m identity.Member, g identity.GroupID) bool {
	r, ok := s.ref(m)
	slot := s.groupSlot(g)
	return ok && (slot.local.holds(m, r) || slot.source == identity.Local && slot.own.holds(m, r))
}

// moved builds a change of members within this transaction, whatever room there is.
func (t *txn) moved(c ChangeMembers) error {
	was := t.spread
	t.spread = true
	err := c.build(t)
	t.spread = was
	return tooManyMembers(err)
}

// layers adds the local attributes of the one who goes to those of the other.
func (m *merging) layers() error {
	gone, err := m.layer(m.from)
	if err != nil || len(gone.Attrs) == 0 {
		return err
	}
	to, err := m.layer(m.into)
	if err != nil {
		return err
	}
	m.note.Attrs, m.note.Given = gone.Attrs, identity.Attributes{}
	for key, values := range gone.Attrs {
		for _, v := range values {
			if !to.Attrs.Has(key, v) {
				m.note.Given[key] = append(m.note.Given[key], v)
			}
		}
	}
	to.Attrs = to.Attrs.Merge(gone.Attrs)
	m.write(store.Delete(localKey(m.from)))
	return m.put(localKey(m.into), to)
}

// grants moves or ends what the one who goes was granted.
func (m *merging) grants() error {
	had := map[permissions.Permission]bool{}
	for _, g := range m.snap.book.Of(m.into) {
		had[g.Permission] = true
	}
	for _, g := range m.snap.book.Of(m.from) {
		if m.note.Grants == nil {
			m.note.Grants = map[permissions.Permission]*storedGrant{}
		}
		m.note.Grants[g.Permission] = storedGrantOf(g)
		if err := (RemoveGrant{Subject: m.from, Permission: g.Permission, Reason: "its holder was merged into another user"}).build(m.txn); err != nil {
			return err
		}
		if !m.KeepGrants || had[g.Permission] {
			continue
		}
		given := *g
		given.ID, given.Subject, given.By, given.At = permissions.GrantID(identity.NewUserID().String()), m.into, m.by.String(), m.now
		if err := (PutGrant{given}).build(m.txn); err != nil {
			return err
		}
		m.note.Gained = append(m.note.Gained, g.Permission)
	}
	return nil
}

func storedGrantOf(g *permissions.Grant) *storedGrant {
	return &storedGrant{
		V: format, ID: string(g.ID), By: g.By, At: g.At.UTC(), Reason: g.Reason, Expires: g.Expires.UTC(), Origin: g.Origin, Known: g.Acknowledged, Told: g.Told,
	}
}

// Unlink takes a linked record from its user. Whoever was merged into him is back under
// his id, with what he had, and the user loses what he got by it; else New becomes the
// user of the record, without grants, or, when it is zero, the record goes; one that was
// pushed is nobody's then, unless its provider has taken it away. Rules do not join it
// again. Of the memberships, those that the source states go with the record.
type Unlink struct {
	User   identity.UserID
	Source identity.SourceID
	Merged *Merged
	New    identity.UserID
	Reason string
}

func (c Unlink) build(t *txn) error {
	o, err := t.linkedObject(c.User, c.Source)
	if err != nil {
		return err
	}
	record := o.record()
	gone := o.Size > 0 && !o.Missing.IsZero() && c.Merged == nil // it does not come back under its key
	next, err := c.owner(t, o, gone)
	if err != nil {
		return err
	}
	e := linkEvent("UserUnlinked", c.User, &record, "")
	e.Reason = c.Reason
	if !next.IsZero() {
		e.Changes = append(e.Changes, audit.Change{Field: "user", After: []string{next.String()}})
	}
	t.event(e)
	if c.Merged != nil {
		return c.restore(t)
	}
	if !gone {
		do := plan.Ignore
		if !next.IsZero() {
			do = plan.StandAlone
		}
		before, _ := t.snap.Settled(c.Source, record.Key)
		key := settledKey(c.Source, record.Key)
		t.base(key, before.rev)
		if err := t.put(key, &Settlement{V: format, Do: do, Name: record.Name, By: t.by.String(), At: t.now, Reason: c.Reason}); err != nil {
			return err
		}
	}
	return t.notTooMuch(record.Name)
}

// owner moves the record to the user whose it becomes; zero: it is nobody's, or goes.
func (c Unlink) owner(t *txn, o *storedObject, gone bool) (next identity.UserID, err error) {
	made := t.now
	switch {
	case c.Merged != nil:
		next, made = c.Merged.From, c.Merged.stored.Made
	case gone:
	case c.New.IsZero() && o.Size > 0:
		return next, t.apart(c.User, identity.NewUserID(), o, ApartUnlinked)
	default:
		next = c.New
	}
	t.write(store.Delete(linkedKey(c.User, c.Source)))
	if err := t.ownRows(identity.UserMember(c.User), identity.UserMember(next), c.Source); err != nil || next.IsZero() {
		return next, err
	}
	return next, t.owns(next, o, made)
}

// ownRows moves the memberships that a source states from one user to another; to nobody:
// they end.
func (t *txn) ownRows(from, to identity.Member, source identity.SourceID) error {
	id, _ := to.User()
	for g, by := range t.snap.everyGroupOf(from) {
		if !slices.Contains(by, source) {
			continue
		}
		c := ChangeMembers{Group: g, Origin: source, Remove: []identity.Member{from}}
		if !id.IsZero() {
			c.Add = []identity.Member{to}
		}
		if err := t.moved(c); err != nil {
			return err
		}
	}
	return nil
}

// restore gives the one who was merged what he had, and takes what the other got by it.
func (c Unlink) restore(t *txn) error {
	note, was, back := &c.Merged.stored, identity.UserMember(c.User), identity.UserMember(c.Merged.From)
	key := mergedKey(c.User, c.Source)
	t.conds = append(t.conds, store.At(key, c.Merged.rev))
	t.write(store.Delete(key))
	for _, g := range note.Groups {
		if slot := t.snap.groupSlot(g); !slot.exists() {
			continue
		}
		m := ChangeMembers{Group: g, Origin: identity.Local, Add: []identity.Member{back}}
		if slices.Contains(note.Joined, g) {
			m.Remove = []identity.Member{was}
		}
		if err := t.moved(m); err != nil {
			return err
		}
	}
	if err := c.restoreLayer(t, was, back); err != nil {
		return err
	}
	for _, p := range slices.Sorted(maps.Keys(note.Grants)) {
		g := note.Grants[p].grant(back, p)
		if err := (PutGrant{g}).build(t); err != nil {
			return err
		}
	}
	for _, g := range t.snap.book.Of(was) {
		// What somebody has granted since is his.
		if slices.Contains(note.Gained, g.Permission) && g.By == note.By && g.At.Equal(note.At) {
			if err := (RemoveGrant{Subject: was, Permission: g.Permission, Reason: "the merge that gave it was taken back"}).build(t); err != nil {
				return err
			}
		}
	}
	return t.notTooMuch(t.snap.name(was))
}

func (c Unlink) restoreLayer(t *txn, was, back identity.Member) error {
	note := &c.Merged.stored
	if len(note.Attrs) == 0 {
		return nil
	}
	l, err := t.layer(was)
	if err != nil {
		return err
	}
	for k, values := range note.Given {
		for _, v := range values {
			l.Attrs = l.Attrs.Without(k, v)
		}
	}
	if err := t.put(localKey(was), l); err != nil {
		return err
	}
	mine, err := t.layer(back)
	if err != nil {
		return err
	}
	mine.Attrs = note.Attrs
	return t.put(localKey(back), mine)
}
