package scim

import (
	"iter"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/state"
)

// The terms that pushed resources are found by.
func externalTerm(id string) string   { return "x:" + id }
func emailTerm(value string) string   { return "m:" + strings.ToLower(value) }
func shownTerm(display string) string { return "d:" + strings.ToLower(display) }

// create is what POST does: it makes a resource, or brings back one that its source had
// taken away.
func (c *call) create() (*reply, error) {
	in, ok := c.input.(*dialect.Parsed)
	switch {
	case !ok:
		return nil, refuse(http.StatusBadRequest, "invalidSyntax", "the body is missing")
	case c.kind.own:
		return c.createOther(in)
	case c.kind.group:
		return c.createGroup(in)
	}
	return c.createUser(in)
}

// createUser makes a user, or lets one return. Who is not said to be inactive is active,
// and is shown and found as one: RFC 7643, section 4.1.1, leaves that to the server.
func (c *call) createUser(in *dialect.Parsed) (*reply, error) {
	user := maps.Clone(in.Object)
	if _, said := user["active"]; !said {
		user["active"] = true
	}
	fresh := identity.NewUserID()
	var key identity.Key
	_, err := c.push(func(s *state.Snapshot) ([]state.Change, error) {
		draft, err := c.draft(user, identity.Key(fresh.String()))
		if err != nil {
			return nil, err
		}
		if err := c.unique(s, draft, identity.Member{}); err != nil {
			return nil, err
		}
		key = draft.Key
		gone, recreated := c.gone(s, draft)
		if gone == nil {
			cs := c.newUser(s, fresh, draft)
			if recreated != nil {
				cs = append(cs, state.Tell{Event: audit.Event{
					Action: "UserRecreated", Target: identity.UserMember(fresh).String(), Name: draft.Name,
					Reason: "the name was that of " + recreated.Member.String() + ", who had another externalId: he is another, and has none of his grants",
				}})
			}
			return cs, nil
		}
		key, draft.Key = gone.Key, gone.Key
		return c.changed(s, *gone, draft, nil), nil
	})
	if err != nil {
		return nil, err
	}
	return c.written(key, http.StatusCreated)
}

// newUser returns the changes that make a user of a record, or join it to one.
func (c *call) newUser(s *state.Snapshot, fresh identity.UserID, draft *identity.Record) []state.Change {
	create := state.Create{Member: identity.UserMember(fresh), Record: draft}
	j := c.endpoint.joins
	if j == nil {
		return []state.Change{create}
	}
	p := j.place(s, c.server.db.View(), draft)
	cs := j.takeOver(p)
	switch {
	case p.apart != "":
		c.notePlace(p)
		return append(cs, state.KeepApart{Holder: fresh, Record: draft, Why: p.apart})
	case !p.user.IsZero():
		return append(cs, state.LinkRecord{User: p.user, Record: draft, Bars: j.rule.Bars(), Rule: j.rule.String()})
	}
	return append(cs, create)
}

// changed returns the changes that make of a record what its provider says now. One that
// is nobody's may have become somebody's by it.
func (c *call) changed(s *state.Snapshot, p state.Pushed, draft *identity.Record, changes []audit.Change) []state.Change {
	upd := state.Update{Member: p.Member, Record: draft, Changes: changes, Disable: c.endpoint.joins.disable(s)}
	j := c.endpoint.joins
	if j == nil || p.Place != state.Nobodys {
		return []state.Change{upd}
	}
	at := j.place(s, c.server.db.View(), draft)
	cs := j.takeOver(at)
	if manyGroups(s, c.endpoint.id, p) {
		return []state.Change{upd} // who links it by hand is told
	}
	holder, _ := p.Member.User()
	switch {
	case at.apart != "" && !p.Gone && string(draft.Pushed.Body) == p.Body:
		return nil
	case at.apart != "":
		c.notePlace(at)
		upd.Apart = at.apart
		return append(cs, upd)
	case !at.user.IsZero():
		return append(cs, state.JoinApart{Holder: holder, Source: c.endpoint.id, User: at.user, Record: draft, Bars: j.rule.Bars(), Rule: j.rule.String()})
	}
	return append(cs, state.OwnApart{Holder: holder, Source: c.endpoint.id, Record: draft})
}

// gone finds the user whom a source had taken away and now shows again: under the same
// externalId or, where neither has one, the same userName. One of the same name who is
// somebody else is returned apart.
func (c *call) gone(s *state.Snapshot, draft *identity.Record) (back, other *state.Pushed) {
	if draft.Pushed.External != "" {
		for p := range s.UsersByTerm(c.endpoint.id, externalTerm(draft.Pushed.External)) {
			if p.Gone {
				return &p, nil
			}
		}
	}
	for p := range s.UsersNamed(c.endpoint.id, draft.Name) {
		if !p.Gone {
			continue
		}
		if draft.Pushed.External == "" && p.External() == "" {
			return &p, nil
		}
		other = &p
	}
	return nil, other
}

// unique refuses what another resource of the source has already.
func (c *call) unique(s *state.Snapshot, draft *identity.Record, self identity.Member) error {
	if !c.kind.group {
		if id, ok := s.UserNamed(c.endpoint.id, draft.Name); ok && identity.UserMember(id) != self {
			return refuse(http.StatusConflict, "uniqueness", "there is already a User with this userName")
		}
	}
	find := s.UsersByTerm
	if c.kind.group {
		find = s.GroupsByTerm
	}
	err := c.kind.taken(draft.Pushed.Terms,
		func(term string) iter.Seq[state.Pushed] { return find(c.endpoint.id, term) },
		func(p state.Pushed) bool { return p.Member == self })
	if err != nil || draft.Pushed.External == "" {
		return err
	}
	for p := range find(c.endpoint.id, externalTerm(draft.Pushed.External)) {
		if !p.Gone && p.Member != self {
			return refuse(http.StatusConflict, "uniqueness", "there is already a "+c.kind.typ.Name+" with this externalId")
		}
	}
	return nil
}

// maxResource is the size of the largest resource that is kept.
const maxResource = 250 << 10

// draft makes of a resource the record that is stored.
func (c *call) draft(o schema.Object, key identity.Key) (*identity.Record, error) {
	body := schema.Encode(make([]byte, 0, 1024), c.kind.typ, o)
	if len(body) > maxResource {
		return nil, tooLarge(maxResource)
	}
	d := dialect.Derive(o, c.kind.typ, c.endpoint.mapping)
	r := &identity.Record{
		Source: c.endpoint.id, Key: key, Name: d.Name, Profile: d.Profile, Attributes: d.Attributes,
		Pushed: &identity.Pushed{Body: body, At: c.server.now().UTC().Truncate(time.Millisecond)},
	}
	if d.Disabled {
		r.Disabled = identity.ReasonDisabled
	}
	p := r.Pushed
	p.Terms = c.kind.uniqueTerms(o)
	if p.External, _ = o["externalId"].(string); p.External != "" {
		p.Terms = append(p.Terms, externalTerm(p.External))
	}
	if display, ok := o["displayName"].(string); ok && !c.kind.group {
		p.Terms = append(p.Terms, shownTerm(display))
	}
	if list, ok := o["emails"].([]any); ok {
		for _, e := range list {
			if m, ok := e.(schema.Object); ok {
				if v, ok := m["value"].(string); ok && v != "" {
					p.Terms = append(p.Terms, emailTerm(v))
				}
			}
		}
	}
	return r, nil
}

// find returns the resource that a call is about.
func (c *call) find(s *state.Snapshot) (state.Pushed, error) {
	p, ok := c.endpoint.lookup(s, c.kind, identity.Key(c.id))
	if !ok || p.Gone {
		return p, notFound(c.kind.typ.Name + " " + clip(c.id))
	}
	return p, c.match(s, p)
}

// match holds a write to the version that it names: RFC 7644, section 3.14.
func (c *call) match(s *state.Snapshot, p state.Pushed) error {
	if c.method == http.MethodGet || c.method == http.MethodHead {
		return nil
	}
	if want := c.header.Get("If-Match"); want != "" && !etagIn(want, c.etag(s, c.kind, p)) {
		return refuse(http.StatusPreconditionFailed, "", "the resource has changed since this version: read it again")
	}
	if none := c.header.Get("If-None-Match"); none != "" && etagIn(none, c.etag(s, c.kind, p)) {
		return refuse(http.StatusPreconditionFailed, "", "the resource has this version")
	}
	return nil
}

// replace is what PUT does. What is left out is taken away, but for whether a user is
// active: RFC 7644, section 3.5.1, leaves that to the server, and to lock somebody out
// or to let him in takes a word.
func (c *call) replace() (*reply, error) {
	in, ok := c.input.(*dialect.Parsed)
	switch {
	case !ok:
		return nil, refuse(http.StatusBadRequest, "invalidSyntax", "the body is missing")
	case c.kind.own:
		return c.replaceOther(in)
	case c.kind.group:
		return c.replaceGroup(in)
	}
	err := c.rewrite(c.update, func(before schema.Object) (schema.Object, error) {
		next := maps.Clone(in.Object)
		if _, said := next["active"]; !said && before["active"] != nil {
			next["active"] = before["active"]
		}
		return next, dialect.Immutable(before, next, c.kind.typ)
	})
	if err != nil {
		return nil, err
	}
	return c.written(identity.Key(c.id), http.StatusOK)
}

// rewrite makes of a resource what next makes of what it was, by the changes that write
// returns for it.
func (c *call) rewrite(write func(*state.Snapshot, state.Pushed, schema.Object) ([]state.Change, error), next func(before schema.Object) (schema.Object, error)) error {
	_, err := c.push(func(s *state.Snapshot) ([]state.Change, error) {
		p, err := c.find(s)
		if err != nil {
			return nil, err
		}
		if err := c.spend(p); err != nil {
			return nil, err
		}
		o, err := next(schema.Raw{Type: c.kind.typ, JSON: []byte(p.Body)}.Object())
		if err != nil {
			return nil, err
		}
		return write(s, p, o)
	})
	return err
}

// update returns the changes that make of a resource what it shall be; none when it is
// that already.
func (c *call) update(s *state.Snapshot, p state.Pushed, o schema.Object) ([]state.Change, error) {
	draft, err := c.draft(o, p.Key)
	if err != nil {
		return nil, err
	}
	if string(draft.Pushed.Body) == p.Body && (p.Place != state.Nobodys || c.endpoint.joins == nil) {
		return nil, nil
	}
	if err := c.unique(s, draft, p.Member); err != nil {
		return nil, err
	}
	if c.locks = p.Place.Decides() && !p.Off && draft.Disabled != identity.Active; c.locks {
		if err := c.endpoint.rails.allow(c.server.now()); err != nil {
			return nil, err
		}
	}
	return c.changed(s, p, draft, changesBetween([]byte(p.Body), draft.Pushed.Body, c.kind.typ)), nil
}

// patch is what PATCH does: all operations, or none.
func (c *call) patch() (*reply, error) {
	in, ok := c.input.(*dialect.Patch)
	switch {
	case !ok:
		return nil, refuse(http.StatusBadRequest, "invalidSyntax", "the body is missing")
	case c.kind.own:
		return c.patchOther(in)
	case c.kind.group:
		return c.patchGroup(in)
	}
	err := c.rewrite(c.update, func(before schema.Object) (schema.Object, error) {
		return dialect.Apply(before, in.Ops, c.kind.typ, c.endpoint.knobs)
	})
	if err != nil {
		return nil, err
	}
	return c.patched()
}

// shownPatched is how many members a group has at most that a PATCH answers with whole:
// beyond, who changes one member would be sent all of them.
const shownPatched = 1000

// patched returns the answer to a PATCH: the resource, or nothing, as RFC 7644, section
// 3.5.2, leaves it to the server where no attributes are asked for.
func (c *call) patched() (*reply, error) {
	if len(c.query["attributes"])+len(c.query["excludedAttributes"]) == 0 {
		s := c.server.db.View().Now()
		p, ok := c.endpoint.lookup(s, c.kind, identity.Key(c.id))
		if ok && !p.Gone && (c.endpoint.knobs.PatchNoContent || c.kind.group && s.OwnMemberCount(p.Handle) > shownPatched) {
			return &reply{status: http.StatusNoContent, etag: c.etag(s, c.kind, p), id: c.id}, nil
		}
	}
	return c.written(identity.Key(c.id), http.StatusOK)
}

// remove is what DELETE does: the resource is gone, and its name is free. Its grants
// and its local layer wait for its return, unless the source is told to keep nothing.
func (c *call) remove() (*reply, error) {
	if c.kind.own {
		return c.removeOther()
	}
	for {
		more := false
		_, err := c.push(func(s *state.Snapshot) ([]state.Change, error) {
			p, err := c.find(s)
			if err != nil {
				return nil, err
			}
			out := !c.kind.group && !p.Off && p.Place.Decides()
			if out {
				if err := c.endpoint.rails.allow(c.server.now()); err != nil {
					return nil, err
				}
			}
			var cs []state.Change
			cs, more = c.leaveGroups(s, p)
			if more {
				return cs, nil
			}
			c.locks = out
			if c.endpoint.knobs.HardDelete && (p.Place != state.Owning || !s.Shared(p.Member)) {
				return append(cs, state.Delete{Member: p.Member, Source: c.endpoint.id}), nil
			}
			return append(cs, state.Deactivate{Member: p.Member, Source: c.endpoint.id}), nil
		})
		if err != nil {
			return nil, err
		}
		if !more {
			return &reply{status: http.StatusNoContent, id: c.id}, nil
		}
		c.header = c.header.Clone() // the version that was asked for is gone by this step
		c.header.Del("If-Match")
		c.header.Del("If-None-Match")
	}
}

// groupsAtOnce is how many groups one transaction takes a member out of.
const groupsAtOnce = 40

// groupsOf yields the groups that a record is in by the word of its source. Who may go on
// without it must not be left in one that is gone and may return.
func groupsOf(s *state.Snapshot, source identity.SourceID, p state.Pushed) iter.Seq[uint32] {
	if p.Place == state.Owning {
		return s.OwnGroups(source, p.Member)
	}
	return s.EveryOwnGroup(source, p.Member)
}

// manyGroups reports whether a record is in more groups than one transaction moves.
func manyGroups(s *state.Snapshot, source identity.SourceID, p state.Pushed) bool {
	n := 0
	for range groupsOf(s, source, p) {
		n++
	}
	return n > groupsAtOnce
}

// leaveGroups returns the changes that take a member out of the groups that his source
// put him into, and whether there are more than fit.
func (c *call) leaveGroups(s *state.Snapshot, p state.Pushed) (cs []state.Change, more bool) {
	for h := range groupsOf(s, c.endpoint.id, p) {
		if len(cs) == groupsAtOnce {
			return cs, true
		}
		cs = append(cs, state.ChangeMembers{Group: s.GroupID(h), Origin: c.endpoint.id, Remove: []identity.Member{p.Member}})
	}
	return cs, false
}
