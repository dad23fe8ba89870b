package ldap

import (
	"context"
	"fmt"
	"strconv"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/identity"
)

// usn reads what has a higher uSNChanged than the controller had counted when the last
// read began. The count is the controller's own: changes can be read only from the one
// that was read before, while its database lives. Groups of which one member changed
// come whole.
//
// One who was deleted and brought back between two reads looks as if something about
// him had changed, and lost his groups. So the groups of everybody known who changed are
// asked for, as long as those are few.
type usn struct {
	blind  bool
	silent []string
}

func (*usn) name() string                              { return "usn" }
func (u *usn) removals() bool                          { return !u.blind }
func (u *usn) resume(at position)                      { u.blind = isBlind(at) }
func (*usn) ended(_ *reading, begun position) position { return begun }

func (u *usn) caveats() []string {
	out := []string{"from this domain controller only"}
	if u.blind {
		out = append(out, seesNoDeleted)
	}
	return append(out, silently(u.silent)...)
}

func (u *usn) begin(ctx context.Context, r *reading) (position, error) {
	if err := r.fitsDomain(); err != nil {
		return nil, err
	}
	at, err := r.controller(ctx)
	if err != nil {
		return nil, err
	}
	if u.silent, err = r.silentAttributes(ctx); err != nil {
		return nil, err
	}
	if u.blind, err = r.seesNoDeleted(ctx); err != nil {
		return nil, err
	}
	p := &domainPosition{controller: at, blind: u.blind}
	return p.encode(), nil
}

// changes implements follower.
func (u *usn) changes(ctx context.Context, r *reading, since position) (position, error) {
	p, err := decodeDomainPosition(since)
	if err != nil {
		return nil, readAll("%v", err)
	}
	u.blind = p.blind
	now, err := r.controller(ctx)
	if err != nil {
		return nil, readAll("%v", err)
	}
	if why := now.follows(&p.controller, true); why != "" {
		return nil, &wholeRead{because: why, behind: why + stillGone}
	}
	later := p.usn + 1
	p.controller = now
	r.links = &links{changed: map[identity.Key]*objectChange{}}
	for _, h := range []*half{&r.users, &r.groups} {
		if err := u.half(ctx, r, h, later); err != nil {
			return nil, err
		}
	}
	moved, err := u.others(ctx, r, later)
	if err != nil {
		return nil, err
	}
	if u.blind {
		r.note(seesNoDeleted)
	}
	return p.encode(), r.below(ctx, moved)
}

// half reads those of one kind that changed.
func (u *usn) half(ctx context.Context, r *reading, h *half, later uint64) error {
	for _, g := range h.where.regions(h.m.request) {
		h.sweep++
		g.filter = fmt.Sprintf("(&%s(uSNChanged>=%d))", h.where.Filter, later)
		end, err := r.s.sweep(ctx, r.c, g, h.handler(), &h.t, func() { r.pages++; r.tell("changes") })
		switch {
		case err != nil:
			return err
		case end.partial != "":
			return readAll("the answer was not whole: %s", end.partial)
		}
	}
	return r.identify(ctx, h)
}

// others looks at everything that changed, deleted objects too where the account sees
// them: known entries that are in reach no more, and the DNs of what may have entries
// below it.
func (u *usn) others(ctx context.Context, r *reading, later uint64) (moved []string, err error) {
	var t tally
	receive := &handler{
		entry: func(e *Entry) error {
			t.received++
			t.fresh++
			if key, err := keyGUID.key(e.Get("objectGUID")); err == nil {
				c := r.links.object(key)
				c.dn = string(e.DN)
				c.dead = equalFoldASCII(e.First("isDeleted"), "TRUE")
				made, err := strconv.ParseUint(string(e.First("uSNCreated")), 10, 64)
				c.fresh = err == nil && made >= later
				c.named, c.above = true, !isLeaf(e.Get("objectClass"))
				c.was = formerDN(c.dn, string(e.First("lastKnownParent")))
			}
			return nil // one without a key is not in reach either, or was met
		},
		broken: func([]byte, string) error { t.received++; t.fresh++; return nil },
	}
	for _, base := range r.contexts() {
		g := region{
			base: base, scope: goldap.ScopeWholeSubtree, filter: fmt.Sprintf("(uSNChanged>=%d)", later),
			attrs: []string{"objectGUID", "objectClass", "uSNCreated", "isDeleted", "lastKnownParent"},
		}
		if !u.blind {
			g.with = []goldap.Control{goldap.NewControlString(oidShowDeleted, true, "")}
		}
		end, err := r.s.sweep(ctx, r.c, g, receive, &t, func() { r.pages++; r.tell("changes") })
		switch {
		case err != nil:
			return nil, err
		case end.partial != "":
			return nil, readAll("the answer was not whole: %s", end.partial)
		}
	}
	known := 0
	for key, c := range r.links.changed {
		if r.halfWith(key) != nil {
			known++
			c.revived = known <= fewChanged
		}
		switch h := r.halfWith(key); {
		case c.dead:
			r.users.lose(key)
			r.groups.lose(key)
		case h != nil && !h.has(key):
			h.want(key)
		case h == nil && c.above && !c.fresh:
			moved = append(moved, c.dn)
		}
	}
	return moved, nil
}

// fewChanged is of how many known entries that changed the groups are asked for.
const fewChanged = 100

// isLeaf reports whether an object is of a class that nothing of interest lies below.
func isLeaf(classes [][]byte) bool {
	for _, c := range classes {
		for _, leaf := range []string{"user", "group", "contact", "foreignSecurityPrincipal"} {
			if equalFoldASCII(c, leaf) {
				return true
			}
		}
	}
	return false
}
