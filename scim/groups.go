package scim

import (
	"net/http"
	"slices"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/scim/filter"
	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/state"
)

// resolved are ids of members: those that stand for somebody of the source, and those
// that stand for nobody yet.
type resolved struct {
	members []identity.Member
	loose   []string
}

// resolve finds the users and groups of the source that ids stand for. What stands for
// nobody is kept and shown, and waits.
func (c *call) resolve(s *state.Snapshot, ids []string) resolved {
	var r resolved
	for _, id := range ids {
		if u, ok := s.PushedUser(c.endpoint.id, identity.Key(id)); ok && !u.Gone {
			r.members = append(r.members, u.Member)
			continue
		}
		if g, ok := s.PushedGroup(c.endpoint.id, identity.Key(id)); ok && !g.Gone {
			r.members = append(r.members, g.Member)
			continue
		}
		r.loose = append(r.loose, id)
	}
	slices.Sort(r.loose)
	r.loose = slices.Compact(r.loose)
	return r
}

func (c *call) createGroup(in *dialect.Parsed) (*reply, error) {
	fresh := identity.NewGroupID()
	var key identity.Key
	_, err := c.push(func(s *state.Snapshot) ([]state.Change, error) {
		draft, err := c.draft(in.Object, identity.Key(fresh.String()))
		if err != nil {
			return nil, err
		}
		if err := c.unique(s, draft, identity.Member{}); err != nil {
			return nil, err
		}
		r := c.resolve(s, in.Members)
		draft.Unresolved = r.loose
		if gone := c.goneGroup(s, draft); gone != nil {
			key, draft.Key = gone.Key, gone.Key
			g, _ := gone.Member.Group()
			return append([]state.Change{state.Update{Member: gone.Member, Record: draft}}, c.change(g, r.members, rowsBut(s, gone.Handle, r.members))...), nil
		}
		key = draft.Key
		cs := []state.Change{state.Create{Member: identity.GroupMember(fresh), Record: draft, Members: len(r.members)}}
		return append(cs, c.change(fresh, r.members, nil)...), nil
	})
	if err != nil {
		return nil, err
	}
	return c.written(key, http.StatusCreated)
}

// goneGroup finds the group that a source had taken away and now shows again, as gone
// does for users. Names of groups are not unique: a name that several have had is
// nobody's.
func (c *call) goneGroup(s *state.Snapshot, draft *identity.Record) (back *state.Pushed) {
	if draft.Pushed.External != "" {
		for p := range s.GroupsByTerm(c.endpoint.id, externalTerm(draft.Pushed.External)) {
			if p.Gone {
				return &p
			}
		}
		return nil
	}
	for p := range s.GroupsNamed(c.endpoint.id, draft.Name) {
		if !p.Gone || p.External() != "" {
			continue
		}
		if back != nil {
			return nil
		}
		back = &p
	}
	return back
}

// rowsBut returns the members of a group of a handle, those that are gone among them, but
// for some.
func rowsBut(s *state.Snapshot, handle uint32, but []identity.Member) (rows []identity.Member) {
	keep := make(map[identity.Member]bool, len(but))
	for _, m := range but {
		keep[m] = true
	}
	for m := range s.OwnRows(handle) {
		if !keep[m] {
			rows = append(rows, m)
		}
	}
	return rows
}

// change returns the change that adds and takes away members, or none.
func (c *call) change(g identity.GroupID, add, remove []identity.Member) []state.Change {
	if len(add)+len(remove) == 0 {
		return nil
	}
	return []state.Change{state.ChangeMembers{Group: g, Origin: c.endpoint.id, Add: add, Remove: remove}}
}

func (c *call) replaceGroup(in *dialect.Parsed) (*reply, error) {
	_, err := c.push(func(s *state.Snapshot) ([]state.Change, error) {
		p, err := c.find(s)
		if err != nil {
			return nil, err
		}
		// RFC 7644, section 3.5.1: what is left out is taken away, members too.
		return c.updateGroup(s, p, in.Object, dialect.Members{Replace: true, Add: in.Members})
	})
	if err != nil {
		return nil, err
	}
	return c.written(identity.Key(c.id), http.StatusOK)
}

func (c *call) patchGroup(in *dialect.Patch) (*reply, error) {
	_, err := c.push(func(s *state.Snapshot) ([]state.Change, error) {
		p, err := c.find(s)
		if err != nil {
			return nil, err
		}
		if err := c.spend(p); err != nil {
			return nil, err
		}
		var next schema.Object
		if len(in.Ops) > 0 {
			before := schema.Raw{Type: c.kind.typ, JSON: []byte(p.Body)}.Object()
			if next, err = dialect.Apply(before, in.Ops, c.kind.typ, c.endpoint.knobs); err != nil {
				return nil, err
			}
		}
		return c.updateGroup(s, p, next, in.Members)
	})
	if err != nil {
		return nil, err
	}
	return c.patched()
}

// updateGroup returns the changes that give a group other attributes, where o is not
// nil, and other members. What the group keeps is not touched, whatever its size.
func (c *call) updateGroup(s *state.Snapshot, p state.Pushed, o schema.Object, m dialect.Members) ([]state.Change, error) {
	g, _ := p.Member.Group()
	add, drop := c.resolve(s, m.Add), c.resolve(s, m.Remove)
	kept := slices.Clone(add.members)
	add.members = slices.DeleteFunc(add.members, func(x identity.Member) bool { return s.OwnMember(p.Handle, x) })
	var gone []identity.Member
	if m.Replace {
		keep := c.resolve(s, m.Add).members
		slices.SortFunc(keep, identity.Member.Compare)
		for x := range s.OwnMembers(p.Handle) {
			if _, kept := slices.BinarySearchFunc(keep, x, identity.Member.Compare); !kept {
				gone = append(gone, x)
			}
		}
	} else {
		gone = slices.DeleteFunc(drop.members, func(x identity.Member) bool { return !s.OwnMember(p.Handle, x) })
		gone = append(gone, c.matching(s, p, m.Matching, append(kept, gone...))...)
	}
	var cs []state.Change
	loose := p.Loose()
	next := looseAfter(loose, add.loose, drop.loose, m.Replace)
	if o != nil || !slices.Equal(loose, next) {
		upd, err := c.updateRecord(s, p, o, next)
		if err != nil {
			return nil, err
		}
		cs = append(cs, upd...)
	}
	return append(cs, c.change(g, add.members, gone)...), nil
}

// matching returns the members that any of the filters names, but for some.
func (c *call) matching(s *state.Snapshot, p state.Pushed, filters []*filter.Filter, but []identity.Member) (all []identity.Member) {
	if len(filters) == 0 {
		return nil
	}
	for m, key := range s.OwnMembers(p.Handle) {
		one := schema.Object{"value": string(key), "type": memberType(m)}
		one["display"] = s.NameIn(c.endpoint.id, m)
		group := schema.Object{"members": []any{one}}
		if slices.ContainsFunc(filters, func(f *filter.Filter) bool { return f.Match(group) }) && !slices.Contains(but, m) {
			all = append(all, m)
		}
	}
	return all
}

func memberType(m identity.Member) string {
	if m.IsGroup() {
		return "Group"
	}
	return "User"
}

// looseAfter returns who waits to be a member. All lists are sorted.
func looseAfter(have, add, drop []string, replace bool) []string {
	if replace {
		return add
	}
	next := slices.DeleteFunc(append(slices.Clone(have), add...), func(id string) bool { _, gone := slices.BinarySearch(drop, id); return gone })
	slices.Sort(next)
	return slices.Compact(next)
}

// updateRecord returns the change of a group's record: its attributes, where o is not
// nil, and who waits to be a member.
func (c *call) updateRecord(s *state.Snapshot, p state.Pushed, o schema.Object, loose []string) ([]state.Change, error) {
	if o == nil {
		var err error
		if o, err = schema.Decode([]byte(p.Body), c.kind.typ); err != nil {
			return nil, err
		}
	}
	draft, err := c.draft(o, p.Key)
	if err != nil {
		return nil, err
	}
	if string(draft.Pushed.Body) == p.Body && slices.Equal(loose, p.Loose()) {
		return nil, nil
	}
	draft.Unresolved = loose
	if err := c.unique(s, draft, p.Member); err != nil {
		return nil, err
	}
	return []state.Change{state.Update{Member: p.Member, Record: draft, Changes: changesBetween([]byte(p.Body), draft.Pushed.Body, c.kind.typ)}}, nil
}
