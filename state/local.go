package state

import (
	"cmp"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
)

// UpdateLocal replaces the record of a user or group that was made here. A user's new
// name is claimed, and his old one set free.
type UpdateLocal struct {
	Member  identity.Member
	Record  *identity.Record
	Changes []audit.Change
}

func (c UpdateLocal) build(t *txn) error {
	key := objectKey(c.Member)
	o, err := t.object(key, c.Member)
	if err != nil {
		return err
	}
	if o.Source != identity.Local {
		return managedBy(c.Member, o.Source)
	}
	before := *o
	o.put(c.Record)
	if err := t.claim(c.Member, &before, o); err != nil {
		return err
	}
	t.event(audit.Event{Action: noun(c.Member) + "Updated", Target: c.Member.String(), Name: c.Record.Name, Changes: c.Changes})
	return t.put(key, o)
}

// Delete removes a user or group for good, with its local layer, its grants, its local
// memberships and, of a user, his keys. What a source still has is managed there:
// fault.Conflict. The id is never used again, and the audit log keeps what was.
type Delete struct {
	Member identity.Member
	// Source, when set, is the one on whose word it goes: then it may still be there. Of a
	// user of whom it only has a linked record that one goes, and he stays.
	Source identity.SourceID
}

func (c Delete) build(t *txn) error {
	if c.Source != "" && t.isLinked(c.Member, c.Source) {
		u, _ := c.Member.User()
		return removeLinked{u, c.Source}.build(t)
	}
	return c.buildOwned(t)
}

func (c Delete) buildOwned(t *txn) error {
	key := objectKey(c.Member)
	o, err := t.object(key, c.Member)
	if err != nil {
		return err
	}
	if o.Source != identity.Local && o.Source != c.Source && o.Missing.IsZero() {
		return managedBy(c.Member, o.Source)
	}
	name := o.Name
	for g, by := range t.snap.GroupsOf(c.Member) {
		for _, origin := range by {
			if origin != identity.Local {
				continue
			}
			if err := (ChangeMembers{Group: g, Origin: identity.Local, Remove: []identity.Member{c.Member}}).build(t); err != nil {
				return err
			}
		}
	}
	for g := range t.snap.BarredGroupsOf(c.Member) {
		if err := (ChangeMembers{Group: g, Origin: identity.Local, Remove: []identity.Member{c.Member}}).build(t); err != nil {
			return err
		}
	}
	for _, g := range t.snap.book.Of(c.Member) {
		if err := (RemoveGrant{Subject: c.Member, Permission: g.Permission, Reason: "its holder was deleted"}).build(t); err != nil {
			return err
		}
	}
	if err := t.deleteRest(c.Member); err != nil {
		return err
	}
	if err := t.claim(c.Member, o, nil); err != nil {
		return err
	}
	t.write(store.Delete(key))
	t.event(audit.Event{Action: noun(c.Member) + "Deleted", Target: c.Member.String(), Name: name})
	if len(t.ops) > store.MaxOps-2 {
		return fault.New(fault.Conflict, "too_much_to_delete", "%s has too many grants, memberships and keys to go at once: remove some of them first", name)
	}
	return nil
}

// deleteRest removes what hangs on a user or group besides memberships and grants.
func (t *txn) deleteRest(m identity.Member) error {
	if _, ok := t.snap.locals.Get(m); ok {
		t.write(store.Delete(localKey(m)))
	}
	if id, ok := m.Group(); ok {
		g := t.snap.groupSlot(id)
		for origin, set := range map[identity.SourceID]*memberSet{g.source: &g.own, identity.Local: &g.local} {
			if set.Buckets > 0 {
				t.write(store.DeletePrefix(generationPrefix(id, origin, set.Gen)))
			}
		}
		return nil
	}
	u, _ := m.User()
	if err := t.deleteLinked(u); err != nil {
		return err
	}
	for id, tok := range t.snap.tokens.All() {
		if tok.User == u {
			t.write(store.Delete(keyToken + id))
			t.event(audit.Event{Action: "ApiKeyRevoked", Target: "token/" + id, Name: tok.Name, Reason: "its holder was deleted"})
		}
	}
	return nil
}

// Tokens returns the tokens of a user, or all of them for the zero id.
func (s *Snapshot) Tokens(of identity.UserID) []Token {
	var out []Token
	for _, t := range s.tokens.All() {
		if of.IsZero() || t.User == of {
			out = append(out, t)
		}
	}
	return out
}

// PushTokens returns the tokens that a source may be pushed to with, in the order of
// their making.
func (s *Snapshot) PushTokens(of identity.SourceID) []Token {
	var out []Token
	for _, t := range s.tokens.All() {
		if t.Source == of && of != "" {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b Token) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return out
}

// TouchToken notes that a token was used. It is not audited, and not worth a try again.
type TouchToken struct {
	ID string
	At time.Time
}

func (c TouchToken) build(t *txn) error {
	tok, ok := t.snap.Token(c.ID)
	if !ok {
		return fault.New(fault.NotFound, "token_not_found", "there is no such token")
	}
	t.base(keyToken+c.ID, tok.rev)
	tok.Used = c.At.UTC().Truncate(time.Second)
	return t.put(keyToken+c.ID, &tok)
}

// MarkExpired notes that a grant has ended by the clock, so that the audit log and
// those who follow it learn of it once. It has not been effective since its end.
type MarkExpired struct{ Grant permissions.Grant }

func (c MarkExpired) build(t *txn) error {
	g := c.Grant
	t.event(audit.Event{
		Action: "PermissionExpired", Target: g.Subject.String(), Name: t.snap.name(g.Subject), Reason: g.Reason,
		Changes: []audit.Change{
			{Field: "permission", Before: []string{string(g.Permission)}},
			{Field: "expires", Before: []string{g.Expires.UTC().Format(time.RFC3339)}},
		},
	})
	return t.put(grantKey(g.Subject, g.Permission), &storedGrant{
		V: format, ID: string(g.ID), By: g.By, At: g.At.UTC(), Reason: g.Reason, Expires: g.Expires.UTC(), Origin: g.Origin, Known: g.Acknowledged, Told: true,
	})
}
