package ldap

import "context"

// below reads what lies below entries that are neither users nor groups and that
// changed: when one is renamed or moved, all below it are at other DNs, and no
// directory says so of them. That there were some below its DN already says nothing:
// units exchange their names, and a run may have moved some before it broke off.
func (r *reading) below(ctx context.Context, dns []string) error {
	bases := r.bases()
	for _, dn := range dns {
		canonical, err := canonicalDN(nil, []byte(dn))
		if err != nil {
			continue
		}
		// What a base lies in or is cannot have been renamed: the base would be gone.
		above := false
		for _, base := range bases {
			above = above || withinDN(base, canonical)
		}
		if above {
			continue
		}
		for _, h := range []*half{&r.users, &r.groups} {
			if err := r.movedBelow(ctx, h, dn); err != nil {
				return err
			}
		}
	}
	return nil
}

// movedBelow asks for those below a DN whom the roll has elsewhere, or not at all.
func (r *reading) movedBelow(ctx context.Context, h *half, dn string) error {
	if len(h.where.Bases) == 0 {
		return nil
	}
	m := h.m.mapper()
	var t tally
	receive := &handler{
		entry: func(e *Entry) error {
			t.received++
			t.fresh++
			m.load(e)
			key, err := m.entryKey()
			if err == nil && !h.has(key) && (r.base.fromRoll || !r.base.isAt(e.DN, key)) {
				h.want(key)
			}
			return nil // one without a key was met before, or will be by a sweep
		},
		broken: func([]byte, string) error { return nil },
	}
	g := h.where.regions([]string{h.m.request[h.m.key]})[0]
	g.base = dn
	end, err := r.s.sweep(ctx, r.c, g, receive, &t, func() { r.tell("changes") })
	switch {
	case err != nil:
		return readAll("what lies below %s cannot be read: %s", dn, orServer(err))
	case end.partial != "":
		return readAll("what lies below %s cannot be read whole: %s", dn, end.partial)
	}
	return nil
}
