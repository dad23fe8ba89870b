package ldap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
)

// Pull implements [sync.Source]: it reads from one server, only what changed where
// the server can tell that, and everything else where it cannot or where a comparison
// of everything is asked for.
func (s *Source) Pull(ctx context.Context, p sync.PullRequest) (*identity.Observation, error) {
	r := newReading(s, p)
	r.tell("connect")
	if p.ByHand {
		s.pool.admit()
	}
	c, err := s.connectBy(ctx, routeOf(p))
	if err != nil {
		return nil, err
	}
	defer c.close()
	r.over(c)
	if why := r.since(ctx, p); why != nil {
		whole, ok := errors.AsType[*wholeRead](why)
		if !ok {
			return nil, fmt.Errorf("read from %s: %w", c.url, why)
		}
		behind := cmp.Or(whole.behind, r.behind)
		r = newReading(s, p)
		r.over(c)
		r.behind = behind
		if whole.because != "" {
			s.log.InfoContext(ctx, "the whole directory is read", "server", c.url, "because", whole.because)
			r.because = whole.because
		}
		suspect := whole.suspect
		if err := r.all(ctx); err != nil {
			return nil, fmt.Errorf("read from %s: %w", c.url, err)
		}
		if suspect && r.changed() {
			s.caught(c.url)
		}
	}
	r.out.Withhold = r.behind
	return r.out, nil
}

func (r *reading) over(c *session) {
	r.c, r.out.Server, r.out.Family = c, c.name(), c.familyWords(r.s.cfg.Template)
	r.notes = append(r.notes, c.passed...)
}

// routeOf returns which server a read is to go on with.
func routeOf(p sync.PullRequest) route {
	var from cursor
	if json.Unmarshal([]byte(p.Since), &from) != nil {
		return route{whole: true} // of another version, or none: everything will be read
	}
	return route{after: from.Server, whole: p.Prove}
}

// wholeRead says that changes cannot be read, and why everything has to be. It is no
// failure.
type wholeRead struct {
	because string
	suspect bool   // the server may have told no changes where there were some
	behind  string // why the server may know less than what was read before
}

// stillGone says what becomes of who is not there while a server may know less than the
// one before.
const stillGone = "; who is still not there in the next run is removed then"

func (w *wholeRead) Error() string { return "everything has to be read: " + w.because }

func readAll(format string, args ...any) error {
	return &wholeRead{because: fmt.Sprintf(format, args...)}
}

// changed reports whether anything was read that is not as the roll has it.
func (r *reading) changed() bool {
	for _, list := range [][]identity.Seen{r.out.Users, r.out.Groups} {
		if slices.ContainsFunc(list, func(e identity.Seen) bool { return e.Record != nil }) {
			return true
		}
	}
	return false
}

// all reads everything.
func (r *reading) all(ctx context.Context) error {
	// What changes during the read has to come again with the next one.
	begun, way := r.begin(ctx)
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return r.kind(ctx, &r.users) },
		func(ctx context.Context) error { return r.kind(ctx, &r.groups) },
		r.sentinels,
		r.ranges,
		r.strays,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	r.join()
	r.conclude()
	if begun != nil && r.out.Proof.Users && r.out.Proof.Groups {
		begun.At, r.out.Blind = way.ended(r, begun.At), !way.removals()
		var few bool
		if begun.Unsettled, few = r.unsettled(); few {
			begun.First = r.behind != ""
			r.out.Cursor = begun.encode()
			if r.behind == "" { // else what is not there must be missed again
				r.s.remember(r.remembered(r.out.Cursor))
			}
		}
	}
	return nil
}

// remembered makes a mirror from a full read.
func (r *reading) remembered(cursor identity.Cursor) *mirror {
	m := newMirror(r.hasher, cursor, r.names != nil, r.users.m.stamp >= 0)
	for dn, i := range r.dns {
		m.put(dn, nil, r.placeOf(i))
	}
	if r.names != nil {
		at := make(map[ref]int32, len(r.users.keys))
		for dn, i := range r.dns {
			at[i] = m.dns[dn]
		}
		for name, i := range r.names {
			if i == ambiguous {
				m.names[name], m.rivals = ambiguousPlace, true
			} else {
				m.names[name] = at[i]
			}
		}
	}
	for i := range r.out.Groups {
		r.noteLost(m.addLost, &r.out.Groups[i])
	}
	return m
}

func (m *mirror) addLost(group identity.Key, keys []dnKey) {
	for _, k := range keys {
		m.lost[k] = appendNew(m.lost[k], group)
	}
}

// noteLost tells the unresolved members of a group that was read.
func (r *reading) noteLost(to func(identity.Key, []dnKey), g *identity.Seen) {
	record := g.Record
	if record == nil && r.known != nil {
		record = r.known.Stored(true, g.Key)
	}
	if record != nil && len(record.Unresolved) > 0 {
		to(g.Key, r.hasher.unresolved(record.Unresolved))
	}
}

func (r *reading) placeOf(i ref) place {
	h, n := r.halfOf(i)
	return place{key: h.keys[n], group: h.group, left: h.left[h.keys[n]], stamp: h.stamps[n]}
}

func (r *reading) halfOf(i ref) (*half, int32) {
	if i < 0 {
		return &r.groups, -1 - int32(i)
	}
	return &r.users, int32(i)
}

// anyone returns the person or the group at a DN, once all are read.
func (r *reading) anyone(dn dnKey) (ref, bool) {
	if i, ok := r.dns[dn]; ok {
		return i, true
	}
	if r.base == nil {
		return 0, false
	}
	p, ok := r.base.at(dn)
	if !ok {
		return 0, false
	}
	return r.adopt(p)
}

// named returns the person with a login name, or ambiguous.
func (r *reading) named(name dnKey) (ref, bool) {
	if i, ok := r.names[name]; ok {
		return i, true
	}
	if r.base == nil {
		return 0, false
	}
	p, twice, ok := r.base.called(name)
	switch {
	case twice:
		return ambiguous, true
	case !ok:
		return 0, false
	}
	return r.adopt(p)
}

// adopt numbers one who was not read because nothing changed about him. Who is gone,
// or was read at another DN, is not there any more.
func (r *reading) adopt(p place) (ref, bool) {
	h := &r.users
	if p.group {
		h = &r.groups
	}
	if h.gone[p.key] {
		return 0, false
	}
	i := h.know(p.key)
	if h.placed[i] && r.links == nil {
		return 0, false
	}
	// In a domain groups follow their members: one that was read with an old DN was read
	// before its member moved.
	if p.left {
		h.left[p.key] = true
	}
	return h.ref(i), true
}

// lost names an entry as gone.
func (h *half) lose(key identity.Key) {
	if !h.has(key) {
		h.gone[key] = true
	}
}

// told lists who is gone and was known.
func (r *reading) told() {
	for _, h := range []*half{&r.users, &r.groups} {
		for key := range h.gone {
			if _, known := r.stored(h, key); known && !h.has(key) {
				r.out.Gone = append(r.out.Gone, identity.Gone{Key: key, Group: h.group})
			}
		}
	}
	slices.SortFunc(r.out.Gone, func(a, b identity.Gone) int { return strings.Compare(string(a.Key), string(b.Key)) })
}
