package state

import (
	"strings"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// TakePlace gives a record that was pushed to a user whose own record of that source its
// provider has taken away: the same person under a new account, as a person has settled.
// He keeps his id, his grants and his local layer, and returns with them; the record keeps
// its id, and the one that is gone does not come back. Whoever was the user of the new
// record until now is no more: only one who has nothing of his own.
type TakePlace struct {
	User   identity.UserID
	Source identity.SourceID
	Key    identity.Key
	Reason string
}

func (c TakePlace) build(t *txn) error {
	m := identity.UserMember(c.User)
	key, old, err := t.recordOf(m, c.Source)
	if err != nil {
		return err
	}
	if old.Missing.IsZero() {
		return fault.New(fault.Conflict, "not_missing", "source %s still has %s under the key %s", c.Source, old.Name, old.Key)
	}
	p, ok := t.snap.PushedUser(c.Source, c.Key)
	if !ok || p.Gone {
		return fault.New(fault.NotFound, "entry_not_found", "source %s has no record %s", c.Source, c.Key)
	}
	if err := t.snap.mayGiveUp(&p); err != nil {
		return err
	}
	from, next, err := t.recordOf(p.Member, c.Source)
	if err != nil {
		return err
	}
	who, _ := p.Member.User()
	if p.Place == Owning {
		for _, g := range t.snap.book.Of(p.Member) {
			if err := (RemoveGrant{Subject: p.Member, Permission: g.Permission, Reason: "its holder is " + m.String()}).build(t); err != nil {
				return err
			}
		}
	}
	if err := t.ownRows(p.Member, m, c.Source); err != nil {
		return err
	}
	t.write(store.Delete(from))
	t.reclaim(m, next)
	made := old.made()
	next.Since, next.Link = old.Since, old.Link
	if old.Link == nil {
		next.userMade(made)
	}
	t.event(audit.Event{
		Action: "ConflictSettled", Target: m.String(), Name: next.Name, Reason: c.Reason,
		Changes: []audit.Change{
			{Field: "decision", After: []string{"merge"}},
			{Field: "entry", Before: []string{string(old.Key)}, After: []string{string(c.Key)}},
			{Field: "user", Before: []string{who.String()}, After: []string{c.User.String()}},
		},
	})
	if err := t.put(key, next); err != nil {
		return err
	}
	return t.notTooMuch(next.Name)
}

// recordOf reads the record that a source has of a user, and says where it lies.
func (t *txn) recordOf(m identity.Member, source identity.SourceID) (key string, o *storedObject, err error) {
	id, _ := m.User()
	if t.isLinked(m, source) {
		o, err = t.linkedObject(id, source)
		return linkedKey(id, source), o, err
	}
	key = userKey(id)
	if o, err = t.object(key, m); err == nil && o.Source != source {
		err = fault.New(fault.NotFound, "link_not_found", "source %s has no record of %s", source, o.Name)
	}
	return key, o, err
}

// mayGiveUp returns why a record cannot leave the user whom it has.
func (s *Snapshot) mayGiveUp(p *Pushed) error {
	id, _ := p.Member.User()
	switch p.Place {
	case Nobodys:
		return nil
	case Joined, Barring:
		return fault.New(fault.Conflict, "entry_taken", "the record is that of user %s: unlink it, if that is wrong", s.name(p.Member))
	}
	own := "which would be lost: take them from him, or give them to the other user, first"
	for _, g := range s.book.Of(p.Member) {
		if !strings.HasPrefix(string(g.Origin), "default:") {
			return fault.New(fault.Conflict, "has_grants", "%s has grants already, %s", p.Name, own)
		}
	}
	_, layered := s.locals.Get(p.Member)
	for _, by := range s.GroupsOf(p.Member) {
		for _, origin := range by {
			layered = layered || origin == identity.Local
		}
	}
	switch {
	case layered:
		return fault.New(fault.Conflict, "has_local_layer", "%s has local attributes or memberships, or was disabled here, %s", p.Name, own)
	case s.Shared(p.Member):
		return fault.New(fault.Conflict, "has_links", "%s has linked records himself: unlink them first", p.Name)
	case len(s.Tokens(id)) > 0:
		return fault.New(fault.Conflict, "has_keys", "%s has API keys, which cannot pass to another user: revoke them first", p.Name)
	}
	return nil
}
