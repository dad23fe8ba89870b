package ldap

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/rollcall-id/rollcall/identity"
)

// A sweep looks at the key, the DN and the change stamp of every entry: a tenth of a
// full read, and as good a proof that nothing was missed. It runs before the changes
// are read, so that what changes meanwhile is among them and does not look missed.

// sweep is what one found.
type sweep struct{ users, groups sweptHalf }

type sweptHalf struct {
	seen    int
	differ  []identity.Key // new, at another DN, or with another stamp
	missing []identity.Key
}

// sweepAll sweeps users and groups.
func (r *reading) sweepAll(ctx context.Context) (*sweep, error) {
	r.tell("sweep")
	found := make([]bool, len(r.base.places))
	s := &sweep{}
	for _, x := range []struct {
		h  *half
		to *sweptHalf
	}{{&r.users, &s.users}, {&r.groups, &s.groups}} {
		if err := r.sweepHalf(ctx, x.h, x.to, found); err != nil {
			return nil, err
		}
	}
	for at, p := range r.base.places {
		switch {
		case p.key == "" || found[at]:
		case p.group:
			s.groups.missing = append(s.groups.missing, p.key)
		default:
			s.users.missing = append(s.users.missing, p.key)
		}
	}
	s.users.missing = append(s.users.missing, r.nowhere(false)...)
	s.groups.missing = append(s.groups.missing, r.nowhere(true)...)
	return s, nil
}

// nowhere lists those whom the roll has and who are at no DN that is remembered: where
// they were stands somebody whom the roll did not take, because of his name.
func (r *reading) nowhere(group bool) []identity.Key {
	var differs uint64
	for _, p := range r.base.places {
		if p.key != "" && p.group == group {
			differs += xxhash.Sum64String(string(p.key))
		}
	}
	for key := range r.known.Present(group) {
		differs -= xxhash.Sum64String(string(key))
	}
	if differs == 0 {
		return nil
	}
	placed := map[identity.Key]bool{}
	for _, p := range r.base.places {
		placed[p.key] = true
	}
	var out []identity.Key
	for key := range r.known.Present(group) {
		if !placed[key] {
			out = append(out, key)
		}
	}
	return out
}

func (r *reading) sweepHalf(ctx context.Context, h *half, to *sweptHalf, found []bool) error {
	m := h.m.mapper()
	var t tally
	var keyless error
	receive := &handler{
		entry: func(e *Entry) error {
			t.received++
			t.fresh++
			m.load(e)
			key, err := m.entryKey()
			if err != nil {
				keyless = fmt.Errorf("%q: %w", clip(string(e.DN), 200), err)
				return nil
			}
			to.seen++
			at, ok := r.base.dns[r.base.hasher.key(e.DN)]
			if !ok || r.base.places[at].key != key {
				to.differ = append(to.differ, key)
				return nil
			}
			found[at] = true
			if v := m.stampValue(); v == nil || r.base.places[at].stamp != stampOf(r.base.hasher.seeds[0], v) {
				to.differ = append(to.differ, key)
			}
			return nil
		},
		broken: func(dn []byte, reason string) error {
			keyless = fmt.Errorf("%q %s", clip(string(dn), 200), reason)
			return nil
		},
	}
	attrs := []string{h.m.request[h.m.key]}
	if h.m.stamp >= 0 {
		attrs = append(attrs, h.m.request[h.m.stamp])
	}
	for _, g := range h.where.regions(attrs) {
		end, err := r.s.sweep(ctx, r.c, g, receive, &t, func() { r.pages++; r.tell("sweep") })
		if err != nil {
			return err
		}
		r.pages++
		if end.partial != "" {
			return readAll("the sweep was not whole: %s", end.partial)
		}
	}
	switch {
	case keyless != nil:
		return readAll("an entry could not be told apart in the sweep: %v", keyless)
	case to.seen == 0:
		return readAll("the sweep saw no %s at all", h.stage)
	}
	return nil
}

// missed reads, and returns, what the sweep found and the changes did not bring.
func (r *reading) missed(ctx context.Context, s *sweep) (found []identity.Gone, err error) {
	for _, x := range []struct {
		h *half
		*sweptHalf
	}{{&r.users, &s.users}, {&r.groups, &s.groups}} {
		want := map[identity.Key]bool{}
		for _, list := range [][]identity.Key{x.differ, x.missing} {
			for _, k := range list {
				if !x.h.has(k) && !x.h.gone[k] {
					want[k] = true
				}
			}
		}
		x.h.verified += len(want)
		if err := r.askFor(ctx, x.h, want); err != nil {
			return nil, err
		}
		for _, k := range slices.Sorted(maps.Keys(want)) {
			found = append(found, identity.Gone{Key: k, Group: x.h.group})
		}
	}
	return found, nil
}
