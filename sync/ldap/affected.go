package ldap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// This file has what a change makes necessary to read besides: entries of which only
// the key was named, and groups that are no longer what the roll has of them.

// want asks for an entry to be read whole.
func (h *half) want(key identity.Key) {
	if h.wants == nil {
		h.wants = map[identity.Key]bool{}
	}
	h.wants[key] = true
}

// wanted reads whole what was asked for, people first. What does not answer is not
// among what the source has.
func (r *reading) wanted(ctx context.Context) error {
	for _, a := range r.again {
		if h := r.side(a.Group); !h.has(a.Key) {
			h.want(a.Key)
		}
	}
	for _, h := range []*half{&r.users, &r.groups} {
		if err := r.askFor(ctx, h, h.wants); err != nil {
			return err
		}
		h.wants = nil
	}
	return r.inDispute()
}

// inDispute reports as a *wholeRead that one whom the roll does not have, because he
// claims another's name, is not where he was any more: the groups that listed him
// there are known to nobody.
func (r *reading) inDispute() error {
	for _, a := range r.again {
		if r.known.Stored(a.Group, a.Key) != nil {
			if r.base.fromRoll {
				return readAll("the last run may have broken off when it had taken somebody who had been left out because of his name")
			}
			continue
		}
		h := r.side(a.Group)
		i, ok := h.byKey[a.Key]
		if !ok || !h.placed[i] {
			return readAll("somebody is gone whom the roll did not take because of his name")
		}
		for dn, at := range r.dns {
			if at != h.ref(i) {
				continue
			}
			if p, ok := r.base.at(dn); !ok || p.key != a.Key {
				return readAll("somebody whom the roll did not take because of his name has moved, or it is not known where he was")
			}
		}
	}
	return nil
}

func (r *reading) side(group bool) *half {
	if group {
		return &r.groups
	}
	return &r.users
}

func (r *reading) askFor(ctx context.Context, h *half, wants map[identity.Key]bool) error {
	keys := slices.Sorted(maps.Keys(wants))
	for some := range slices.Chunk(keys, batch) {
		if err := r.ask(ctx, h, some); err != nil {
			return err
		}
	}
	if err := r.identify(ctx, h); err != nil {
		return err
	}
	for _, k := range keys {
		h.lose(k)
	}
	return nil
}

// carry reads the groups that are no longer what the roll has of them although they
// themselves did not change: those of people and groups that are new, gone, or at
// another DN.
func (r *reading) carry(ctx context.Context) error {
	if len(r.groups.where.Bases) == 0 {
		return nil
	}
	if r.links != nil {
		return r.links.settle(ctx, r)
	}
	want := map[identity.Key]bool{}
	for _, h := range []*half{&r.users, &r.groups} {
		for key := range h.gone {
			r.groupsWith(want, h.group, key)
		}
	}
	for i := range r.out.Users {
		e := r.out.Users[i].Record
		if e == nil && r.base.fromRoll { // the last run came as far as him, and not to his groups
			e = r.known.Stored(false, r.out.Users[i].Key)
		}
		if e != nil {
			r.carryOne(want, false, e)
		}
	}
	for i := range r.clans {
		r.carryOne(want, true, r.clans[i].record)
	}
	for key := range want {
		if r.groups.has(key) || r.groups.gone[key] {
			delete(want, key)
		}
	}
	if err := r.askFor(ctx, &r.groups, want); err != nil {
		return err
	}
	return r.disputed(ctx)
}

func (r *reading) groupsWith(want map[identity.Key]bool, group bool, key identity.Key) {
	for g := range r.known.GroupsWith(group, key) {
		want[g] = true
	}
}

// carryOne finds the groups that list an entry which was read, if it is not where the
// roll has it.
func (r *reading) carryOne(want map[identity.Key]bool, group bool, e *identity.Record) {
	at := r.hasher.key([]byte(e.DN))
	old := r.known.Stored(group, e.Key)
	moved := old == nil || r.hasher.key([]byte(old.DN)) != at
	if moved || r.base.fromRoll {
		r.groupsWith(want, group, e.Key)
	}
	if old != nil && !moved && old.Name == e.Name && !r.base.fromRoll {
		return
	}
	for _, k := range []dnKey{at, r.hasher.name(e.Name), r.hasher.name(string(e.Key)), {}} {
		for _, g := range r.base.lost[k] {
			want[g] = true
		}
	}
}

// disputed reads the groups of those who were read again because the last run did not
// take them: no group shows in the roll that it lists them.
func (r *reading) disputed(ctx context.Context) error {
	asked := map[identity.Key]bool{}
	for _, a := range r.again {
		if !a.Group {
			asked[a.Key] = true
		}
	}
	var any []string
	for i := range r.out.Users {
		seen := &r.out.Users[i]
		if !asked[seen.Key] {
			continue
		}
		e := seen.Record
		if e == nil { // a run that broke off took him, and not into his groups
			e = r.known.Stored(false, seen.Key)
		}
		if e == nil {
			continue
		}
		for _, m := range r.s.cfg.Groups.Members {
			value := e.DN
			if m.By == byName {
				value = e.Name
			}
			any = append(any, fmt.Sprintf("(%s=%s)", m.Attribute, escapeFilter(value)))
		}
	}
	h := &r.groups
	for some := range slices.Chunk(any, batch) {
		h.sweep++
		for _, g := range h.where.regions(h.m.request) {
			g.filter = fmt.Sprintf("(&%s(|%s))", h.where.Filter, strings.Join(some, ""))
			if _, err := r.c.search(ctx, g.request(), h.handler()); err != nil {
				end, err := r.s.brokenOff(g, ending{}, err)
				if err != nil {
					return fmt.Errorf("ask for the groups of who was left out: %w", err)
				}
				h.why = append(h.why, end.partial)
			}
		}
	}
	return r.identify(ctx, h)
}
