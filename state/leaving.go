package state

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// leaving reports whether a source is being deleted. There is no way back from it.
func (e *editor) leaving(source identity.SourceID) bool { return !e.sources[source].Leaving.IsZero() }

// leaves makes whom and what a source owns count for nothing.
func (e *editor) leaves(source identity.SourceID) {
	for h := range e.users.Len() {
		if u := e.users.At(h); u.source == source && u.exists() {
			u.missing = true
			e.setUser(h, u)
		}
	}
	e.leavesLinked(source)
	for h := range e.groups.Len() {
		old := e.groups.At(h)
		if n := old; n.source == source && n.exists() {
			n.missing = true
			e.replaceGroup(uint32(h), &old, n)
		}
	}
}

// Leaving returns the sources that are being deleted.
func (s *Snapshot) Leaving() (ids []identity.SourceID) {
	for id, st := range s.sources {
		if !st.Leaving.IsZero() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// OwnedBy returns the users and groups that a source owns, gone or not.
func (s *Snapshot) OwnedBy(source identity.SourceID) (all []identity.Member) {
	for h := range s.users.Len() {
		if u := s.users.Ref(h); u.exists() && u.source == source {
			all = append(all, identity.UserMember(u.id))
		}
	}
	for h := range s.groups.Len() {
		if g := s.groups.Ref(h); g.exists() && g.source == source {
			all = append(all, identity.GroupMember(g.id))
		}
	}
	return all
}

// othersOf returns the changes that remove what a provider pushed beside users and groups.
func (s *Snapshot) othersOf(source identity.SourceID) (changes []Change) {
	for h := range s.others.slots.Len() {
		if o := s.others.slots.Ref(h); o.raw != "" && o.kind.Source == source {
			changes = append(changes, RemoveOther{Kind: o.kind, ID: identity.Key(o.id.String())})
		}
	}
	return changes
}

// leavingEvery is how often a leader looks for a source that is being deleted.
const leavingEvery = 5 * time.Second

// leavingAtOnce is how many users and groups one transaction removes, where they have
// little that hangs on them.
const leavingAtOnce = 10

// FollowLeaving removes, as leader, what deleted sources have left: users and groups with
// their grants, keys and local layers, and in the end what is known of the source. It
// goes on where another leader stopped, and ends with ctx.
func (d *DB) FollowLeaving(ctx context.Context, term store.Cond) error {
	for {
		for _, id := range d.view.Now().Leaving() {
			if err := d.removeLeaving(ctx, term, id); err != nil && !errors.Is(err, fault.Stale) {
				return err
			}
		}
		if err := pause(ctx, leavingEvery); err != nil {
			return err
		}
	}
}

func (d *DB) removeLeaving(ctx context.Context, term store.Cond, source identity.SourceID) error {
	snap := d.view.Now()
	var changes []Change
	for _, m := range snap.OwnedBy(source) {
		changes = append(changes, Delete{Member: m, Source: source})
	}
	for u := range snap.LinkedBy(source) {
		changes = append(changes, removeLinked{u, source})
	}
	changes = append(changes, snap.othersOf(source)...)
	for len(changes) > 0 {
		n := min(leavingAtOnce, len(changes))
		err := d.removeSome(ctx, term, changes[:n])
		if fault.Code(err) == "too_much_to_delete" || fault.Code(err) == "too_many_members" || errors.Is(err, fault.Invalid) {
			if n == 1 {
				err = d.removeMuch(ctx, term, changes[0])
			} else {
				for _, c := range changes[:n] {
					if err = d.removeSome(ctx, term, []Change{c}); fault.Code(err) == "too_much_to_delete" {
						err = d.removeMuch(ctx, term, c)
					}
					if err != nil {
						break
					}
				}
			}
		}
		if err != nil {
			return err
		}
		changes = changes[n:]
	}
	st := d.view.Now().Source(source)
	if st.Leaving.IsZero() {
		return nil
	}
	for _, prefix := range []string{keyRun + string(source) + "/", keyPlan + string(source) + "/", keyDone + string(source) + "/", keySettled + string(source) + "/"} {
		if _, err := d.store.Apply(ctx, store.Txn{If: []store.Cond{term}, Then: []store.Op{store.DeletePrefix(prefix)}}); err != nil {
			return err
		}
	}
	_, err := d.store.Apply(ctx, store.Txn{
		If: []store.Cond{term, store.At(keySource+string(source), st.rev)}, Then: []store.Op{store.Delete(keySource + string(source)), store.Delete(keyBar + string(source))},
	})
	return err
}

func (d *DB) removeSome(ctx context.Context, term store.Cond, changes []Change) error {
	_, err := d.Push(ctx, cleaner, func(s *Snapshot) ([]Change, error) {
		cs := []Change{Fenced{term}}
		for _, c := range changes {
			if s.has(c) {
				cs = append(cs, c)
			}
		}
		if len(cs) == 1 {
			return nil, nil
		}
		return cs, nil
	})
	return err
}

// has reports whether what a change removes is still there.
func (s *Snapshot) has(c Change) bool {
	switch c := c.(type) {
	case Delete:
		raw, _ := s.raw(c.Member)
		return raw != ""
	case removeLinked:
		h, ok := s.userByID.Get(c.user)
		return ok && s.users.Ref(int(h)).linked(c.source) != nil
	case RemoveOther:
		_, ok := s.Other(c.Kind, c.ID)
		return ok
	}
	return true
}

// removeMuch removes a user or group on which more hangs than fits in a transaction: a
// part of it first.
func (d *DB) removeMuch(ctx context.Context, term store.Cond, c Change) error {
	del, ok := c.(Delete)
	if !ok {
		return d.removeSome(ctx, term, []Change{c})
	}
	for more := true; more; {
		_, err := d.Push(ctx, cleaner, func(s *Snapshot) ([]Change, error) {
			var cs []Change
			cs, more = s.partOf(del.Member)
			if len(cs) == 0 {
				return nil, nil
			}
			return append([]Change{Fenced{term}}, cs...), nil
		})
		if err != nil {
			return err
		}
	}
	return d.removeSome(ctx, term, []Change{c})
}

// partAtOnce is how much of what hangs on somebody one transaction removes.
const partAtOnce = 40

// partOf returns changes that remove a part of what hangs on a user or a group, and
// whether that leaves more.
func (s *Snapshot) partOf(m identity.Member) (cs []Change, more bool) {
	add := func(c Change) bool {
		more = len(cs) == partAtOnce
		if !more {
			cs = append(cs, c)
		}
		return !more
	}
	for _, g := range s.book.Of(m) {
		if !add(RemoveGrant{Subject: m, Permission: g.Permission, Reason: "its holder was deleted"}) {
			return cs, true
		}
	}
	for g, by := range s.GroupsOf(m) {
		for _, origin := range by {
			if !add(ChangeMembers{Group: g, Origin: origin, Remove: []identity.Member{m}}) {
				return cs, true
			}
		}
	}
	for g := range s.BarredGroupsOf(m) {
		if !add(ChangeMembers{Group: g, Origin: identity.Local, Remove: []identity.Member{m}}) {
			return cs, true
		}
	}
	if u, ok := m.User(); ok {
		for _, t := range s.Tokens(u) {
			if !add(RemoveToken{ID: t.ID}) {
				return cs, true
			}
		}
	}
	return cs, false
}
