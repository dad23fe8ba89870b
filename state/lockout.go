package state

import (
	"iter"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
)

// LockedOut is a user whom pushes of his source took away or began to keep out, and
// whom nothing has touched since.
type LockedOut struct {
	Pushed
	At time.Time
}

// LockedOut yields whom pushes of a source locked out since an instant.
func (s *Snapshot) LockedOut(source identity.SourceID, since time.Time) iter.Seq[LockedOut] {
	return func(yield func(LockedOut) bool) {
		for h := range s.users.Len() {
			p, ok := s.users.Ref(h).pushedBy(source, uint32(h))
			if !ok || !p.Place.Decides() || !p.Gone && !p.Off {
				continue
			}
			o := p.rest()
			at := o.Locked
			if p.Gone {
				at = o.Missing
			}
			if o.Size == 0 || at.Before(since) || o.Pushed.After(at) {
				continue
			}
			if !yield(LockedOut{p, at}) {
				return
			}
		}
	}
}

// Reinstate brings a user back whom pushes locked out, as of a revision: with the record
// that his source would have, were he let in.
type Reinstate struct {
	User   LockedOut
	Record *identity.Record
}

func (c Reinstate) build(t *txn) error {
	id, _ := c.User.Member.User()
	h, _ := t.snap.userByID.Get(id)
	p, ok := t.snap.PushedUserAt(c.Record.Source, h)
	if !ok || p.Member != c.User.Member || p.Rev != c.User.Rev {
		return fault.New(fault.Stale, "stale", "%s was changed since the plan was made: make it anew", c.User.Member)
	}
	key := t.snap.recordKey(p.Member, c.Record.Source)
	read := func() (*storedObject, error) { return t.object(key, p.Member) }
	if p.Place != Owning {
		read = func() (*storedObject, error) { return t.linkedObject(id, c.Record.Source) }
	}
	o, err := read()
	if err != nil {
		return err
	}
	before := *o
	o.Missing = time.Time{}
	o.put(c.Record)
	o.locked(before.Disabled, t.now)
	if err := t.claim(c.User.Member, &before, o); err != nil {
		return err
	}
	t.event(audit.Event{Action: "UserReturned", Target: c.User.Member.String(), Name: o.Name, Reason: "what pushes did was undone"})
	return t.put(key, o)
}

// Pause keeps a source from being pushed to, or lets it be pushed to again.
type Pause struct {
	Source identity.SourceID
	On     bool
	Reason string
}

func (c Pause) build(t *txn) error {
	key := keySource + string(c.Source)
	st := t.snap.Source(c.Source)
	t.base(key, st.rev)
	e := audit.Event{Action: "SourceResumed", Target: "source/" + string(c.Source), Reason: c.Reason}
	st.Paused = time.Time{}
	if c.On {
		st.Paused, e.Action = t.now, "SourcePaused"
	}
	t.event(e)
	st.V = format
	return t.put(key, &st)
}
