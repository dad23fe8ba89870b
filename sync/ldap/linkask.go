package ldap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// groupsOf asks which groups list a DN.
func (r *reading) groupsOf(ctx context.Context, dn string) (map[identity.Key]bool, error) {
	var any strings.Builder
	for _, m := range r.s.cfg.Groups.Members {
		fmt.Fprintf(&any, "(%s=%s)", m.Attribute, escapeFilter(dn))
	}
	out := map[identity.Key]bool{}
	h := &r.groups
	m := h.m.mapper()
	var t tally
	receive := &handler{
		entry: func(e *Entry) error {
			t.received++
			t.fresh++
			m.load(e)
			if key, err := m.entryKey(); err == nil {
				out[key] = true
			}
			return nil
		},
		broken: func([]byte, string) error { return nil },
	}
	for _, g := range h.where.regions([]string{h.where.Key}) {
		g.filter = fmt.Sprintf("(&%s(|%s))", h.where.Filter, any.String())
		end, err := r.s.sweep(ctx, r.c, g, receive, &t, func() {})
		if err != nil {
			return nil, err
		}
		if end.partial != "" {
			return nil, readAll("whose groups somebody is in could not be read whole: %s", end.partial)
		}
	}
	return out, nil
}

// stamps reads the change stamps of the groups whose members the directory told, so that
// the next sweep does not take them for groups whose changes nobody told. What changes
// about them meanwhile will be told by the next read.
func (l *links) stamps(ctx context.Context, r *reading) error {
	h := &r.groups
	if h.m.stamp < 0 {
		return nil
	}
	var any []string
	for key := range l.patches {
		if c := l.changed[key]; c != nil && c.members != nil && !h.has(key) && !h.gone[key] {
			any = append(any, fmt.Sprintf("(%s=%s)", h.where.Key, h.m.form.filterValue(key)))
		}
	}
	slices.Sort(any)
	receive := &handler{
		entry: func(e *Entry) error {
			h.m.load(e)
			if key, err := h.m.entryKey(); err == nil {
				r.index(h, h.know(key), e.DN)
			}
			return nil
		},
		broken: func([]byte, string) error { return nil },
	}
	for some := range slices.Chunk(any, batch) {
		for _, g := range h.where.regions([]string{h.where.Key, h.m.request[h.m.stamp]}) {
			g.filter = fmt.Sprintf("(&%s(|%s))", h.where.Filter, strings.Join(some, ""))
			if _, err := r.c.search(ctx, g.request(), receive); err != nil {
				return fmt.Errorf("ask for the change stamps of groups: %w", err)
			}
		}
	}
	return nil
}
