package ldap

import (
	"context"
	"errors"
	"slices"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/identity"
)

// People are read before groups. Somebody who is renamed in between is known by his
// old DN and listed by his new one, and would lose all his memberships until the next
// read. So members that nobody answers to, and that should be among what was read,
// are asked for by their DN before they count as unresolved.

// strays looks for such members. Only groups are looked at that differ from what the
// roll has, so that a directory full of dead references costs nothing each time, and
// no more members than are verified singly.
func (r *reading) strays(ctx context.Context) error {
	if len(r.users.why) > 0 || len(r.groups.why) > 0 {
		return nil // no membership will count as gone
	}
	bases := r.bases()
	asked := map[dnKey]struct{}{}
	for i := range r.clans {
		g := &r.clans[i]
		lost := r.lost(g)
		if len(lost) == 0 || r.sameLost(g, lost) {
			continue
		}
		for _, l := range lost {
			if _, done := asked[l.key]; done || !within(memberDN([]byte(l.text)), bases) {
				continue
			}
			if len(asked) >= r.s.cfg.VerifySingly {
				return nil
			}
			asked[l.key] = struct{}{}
			if err := r.stray(ctx, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// bases returns the canonical DNs below which entries were read.
func (r *reading) bases() [][]byte {
	var out [][]byte
	for _, b := range slices.Concat(r.users.where.Bases, r.groups.where.Bases) {
		if dn, err := canonicalDN(nil, []byte(b)); err == nil {
			out = append(out, dn)
		}
	}
	return out
}

func within(dn []byte, bases [][]byte) bool {
	out, err := canonicalDN(nil, dn)
	return err == nil && slices.ContainsFunc(bases, func(base []byte) bool { return withinDN(out, base) })
}

// lost lists the members of a group that no entry answers to.
func (r *reading) lost(g *clan) []laterMember {
	var out []laterMember
	for _, l := range g.later {
		if _, ok := r.anyone(l.key); !ok {
			out = append(out, l)
		}
	}
	return out
}

// sameLost reports whether the roll has the group with these members unresolved.
func (r *reading) sameLost(g *clan, lost []laterMember) bool {
	o := roll{lost: slices.Clone(g.roll.lost)}
	for _, name := range g.names {
		r.enrollNamed(&o, name)
	}
	texts := o.lost
	for _, l := range lost {
		texts = append(texts, l.text)
	}
	slices.Sort(texts)
	old, ok := r.stored(&r.groups, r.groups.keys[g.i])
	return ok && old == g.hash+unresolvedHash(slices.Compact(texts))
}

// stray asks for one DN, and remembers it when it is that of an entry that was read.
func (r *reading) stray(ctx context.Context, l laterMember) error {
	var i ref
	found := false
	m, n := r.users.m.mapper(), r.groups.m.mapper()
	g := region{
		base: string(memberDN([]byte(l.text))), scope: goldap.ScopeBaseObject, filter: "(objectClass=*)",
		attrs: []string{r.users.where.Key, r.groups.where.Key},
	}
	_, err := r.c.search(ctx, g.request(), &handler{
		entry: func(e *Entry) error {
			m.load(e)
			n.load(e)
			if i, found = r.users.number(m.entryKey()); !found {
				i, found = r.groups.number(n.entryKey())
			}
			return nil
		},
		broken: func([]byte, string) error { return nil },
	})
	if found {
		r.dns[l.key] = i
	}
	if _, ok := errors.AsType[*goldap.Error](err); ok && r.c.conn.err() == nil {
		return nil // the server answered: there is no such entry
	}
	return err
}

// number returns the ref of a key that was met.
func (h *half) number(key identity.Key, err error) (ref, bool) {
	i, ok := h.byKey[key]
	return h.ref(i), ok && err == nil && h.sweepOf[i] != 0
}
