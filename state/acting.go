package state

import (
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

// Within says that the one who decides acts with a key that is restricted to some
// permissions: he confers nothing by any other.
type Within struct{ Permissions []permissions.Permission }

func (c Within) build(t *txn) error {
	t.limit = c.Permissions
	return nil
}

// called is a snapshot as permissions.Names, for refusals that people can read.
type called struct{ s *Snapshot }

// UserName implements permissions.Names.
func (c called) UserName(id identity.UserID) string { return c.s.name(identity.UserMember(id)) }

// GroupName implements permissions.Names.
func (c called) GroupName(id identity.GroupID) (string, identity.SourceID) {
	return c.s.Name(identity.GroupMember(id))
}

// EndToken makes a token one that ends at an instant.
type EndToken struct {
	ID     string
	At     time.Time
	Reason string
}

func (c EndToken) build(t *txn) error {
	tok, ok := t.snap.Token(c.ID)
	if !ok {
		return fault.New(fault.NotFound, "token_not_found", "there is no such token")
	}
	t.base(keyToken+c.ID, tok.rev)
	e := audit.Event{Action: "ApiKeyUpdated", Target: "token/" + c.ID, Name: tok.Name, Reason: c.Reason}
	change := audit.Change{Field: "expires", After: []string{c.At.UTC().Format(time.RFC3339)}}
	if !tok.Expires.IsZero() {
		change.Before = []string{tok.Expires.UTC().Format(time.RFC3339)}
	}
	e.Changes = []audit.Change{change}
	t.event(e)
	tok.Expires = c.At.UTC().Truncate(time.Millisecond)
	return t.put(keyToken+c.ID, &tok)
}
