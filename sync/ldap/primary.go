package ldap

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// maxArrivals is of how many people the groups are asked one by one, before it is
// quicker to read everything.
const maxArrivals = 500

// settle finds out what becomes of the members of groups: by what the directory told
// of them, by who came into view or left it, and by primary groups. Groups that have to
// be read whole for it are.
func (l *links) settle(ctx context.Context, r *reading) error {
	l.patches = map[identity.Key]memberPatch{}
	primary, err := r.primaryGroups(ctx)
	if err != nil {
		return err
	}
	s := &settling{links: l, reading: r, primary: primary, whole: map[identity.Key]bool{}}
	for key, c := range l.changed {
		s.told(key, c)
	}
	s.found()
	for _, step := range []func(context.Context) error{s.left, s.came} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	for key := range s.whole {
		if r.groups.has(key) || r.groups.gone[key] {
			delete(s.whole, key)
		}
	}
	if err := r.askFor(ctx, &r.groups, s.whole); err != nil {
		return err
	}
	if err := l.stamps(ctx, r); err != nil {
		return err
	}
	return r.primaryMembers(ctx)
}

// settling is one settle.
type settling struct {
	*links
	*reading
	primary map[identity.Key]identity.Key // of people who were read: their primary groups
	whole   map[identity.Key]bool         // groups to read whole
	// asked counts whose groups were asked for; strangers those of whom nothing depends
	// on it.
	asked, strangers int
}

// told takes in what the directory said of the members of one group.
func (s *settling) told(group identity.Key, c *objectChange) {
	record := s.known.Stored(true, group)
	if len(c.members) == 0 || record == nil || s.groups.has(group) || s.groups.gone[group] {
		return
	}
	for key, comes := range c.members {
		m, is, dead := s.member(s.reading, key)
		switch {
		case is && !comes && !m.group && s.primary[key] == group: // he stays in it
		case is:
			s.to(group, m, comes)
		case dead: // nothing ends the membership of who is gone
		case comes || len(record.Unresolved) > 0:
			s.whole[group] = true // its list of who could not be found changes
		}
	}
}

// found reads the groups that listed somebody at a DN where nobody was: a group may be
// read when a unit was renamed already, and its people when it was not.
func (s *settling) found() {
	for i := range s.out.Users {
		e := s.out.Users[i].Record
		if e == nil && s.base.fromRoll {
			e = s.known.Stored(false, s.out.Users[i].Key)
		}
		if e != nil {
			s.foundOne(false, e)
		}
	}
	for i := range s.clans {
		s.foundOne(true, s.clans[i].record)
	}
}

func (s *settling) foundOne(group bool, e *identity.Record) {
	at := s.hasher.key([]byte(e.DN))
	if old := s.known.Stored(group, e.Key); old != nil && !s.base.fromRoll && s.hasher.key([]byte(old.DN)) == at {
		return
	}
	for _, k := range []dnKey{at, {}} {
		for _, g := range s.base.lost[k] {
			s.whole[g] = true
		}
	}
}

// left reads the groups of those who left the reach of the source and are there still:
// their groups list them as somebody unknown now.
func (s *settling) left(ctx context.Context) error {
	for key, c := range s.links.changed {
		switch {
		case s.users.has(key) || s.groups.has(key):
		case s.halfWith(key) == nil:
			if err := s.stranger(ctx, c); err != nil {
				return err
			}
		case !c.dead && (s.users.gone[key] || s.groups.gone[key]):
			groups, err := s.ask(ctx, c.dn)
			if err != nil {
				return err
			}
			maps.Copy(s.whole, groups)
		}
	}
	return nil
}

// stranger reads the groups that list somebody unknown by a name that he has no more,
// as far as that costs little: it is no more than what they show of him.
func (s *settling) stranger(ctx context.Context, c *objectChange) error {
	const few = 50
	switch {
	case len(s.base.lost) == 0 || c.fresh:
	case c.dead && c.was != "":
		for _, g := range s.base.lost[s.hasher.key([]byte(c.was))] {
			s.whole[g] = true
		}
	case !c.dead && c.named && s.strangers < few:
		s.strangers++
		groups, err := s.groupsOf(ctx, c.dn)
		if err != nil {
			return err
		}
		maps.Copy(s.whole, groups)
	}
	return nil
}

func (s *settling) ask(ctx context.Context, dn string) (map[identity.Key]bool, error) {
	if s.asked++; s.asked > maxArrivals {
		return nil, readAll("more than %d came into view or left it since the last read, so that reading everything is quicker", maxArrivals)
	}
	return s.groupsOf(ctx, dn)
}

// came finds out which groups those are in who were read.
func (s *settling) came(ctx context.Context) error {
	for i := range s.out.Users {
		e := &s.out.Users[i]
		if err := s.one(ctx, memberKey{key: e.Key}, e.Record); err != nil {
			return err
		}
	}
	for i := range s.clans {
		record := s.clans[i].record
		if err := s.one(ctx, memberKey{true, record.Key}, record); err != nil {
			return err
		}
	}
	return nil
}

// one finds out the groups of somebody who was read. Where he was known before, and his
// primary group is what it was, which is the only one that goes without saying, the
// directory told all about them; so it did where he
// was made since, but for his primary group.
func (s *settling) one(ctx context.Context, m memberKey, record *identity.Record) error {
	stored, primary, c := s.known.Stored(m.group, m.key), s.primary[m.key], s.links.changed[m.key]
	have := map[identity.Key]bool{}
	for g := range s.known.GroupsWith(m.group, m.key) {
		have[g] = true
	}
	unsure := c != nil && (c.revived || c.primary)
	fresh := c != nil && c.fresh && !c.revived && stored == nil && len(have) == 0
	now := map[identity.Key]bool{}
	if stored != nil && !unsure && (primary == "" || have[primary]) {
		return nil
	}
	if !fresh {
		var err error
		if now, err = s.ask(ctx, cmp.Or(record, stored).DN); err != nil {
			return err
		}
	}
	if primary != "" {
		now[primary] = true
	}
	s.compare(m, have, now, stored == nil && !fresh)
	return nil
}

// compare puts somebody into the groups he is in now and takes him out of the others.
func (s *settling) compare(m memberKey, have, now map[identity.Key]bool, arrived bool) {
	for g := range now {
		s.settleOne(g, m, true, arrived)
	}
	for g := range have {
		if !now[g] {
			s.settleOne(g, m, false, arrived)
		}
	}
}

// settleOne puts somebody into a group or takes him out of it. Where he was out of view,
// the group lists him as somebody unknown so far.
func (s *settling) settleOne(group identity.Key, m memberKey, comes, arrived bool) {
	if record := s.known.Stored(true, group); record == nil || arrived && len(record.Unresolved) > 0 {
		s.whole[group] = true
		return
	}
	s.to(group, m, comes)
}

// primaryGroups returns the primary groups of those who were read.
func (r *reading) primaryGroups(ctx context.Context) (map[identity.Key]identity.Key, error) {
	out := map[identity.Key]identity.Key{}
	groups := map[string]identity.Key{}
	for i := range r.clans {
		groups[r.clans[i].sid] = r.clans[i].record.Key
	}
	var missing []string
	for sid := range r.primary {
		if _, ok := groups[sid]; !ok {
			missing = append(missing, fmt.Sprintf("(objectSid=%s)", escapeBytes(sid)))
		}
	}
	h := &r.groups
	m := h.m.mapper()
	receive := &handler{
		entry: func(e *Entry) error {
			m.load(e)
			key, err := m.entryKey()
			if err == nil && m.sid >= 0 && len(m.values[m.sid]) == 1 {
				groups[string(m.values[m.sid][0])] = key
			}
			return nil
		},
		broken: func([]byte, string) error { return nil },
	}
	for some := range slices.Chunk(missing, batch) {
		for _, g := range h.where.regions([]string{h.where.Key, "objectSid"}) {
			g.filter = fmt.Sprintf("(&%s(|%s))", h.where.Filter, strings.Join(some, ""))
			if _, err := r.c.search(ctx, g.request(), receive); err != nil {
				return nil, fmt.Errorf("ask for primary groups: %w", err)
			}
		}
	}
	for sid, people := range r.primary {
		for _, i := range people {
			if g, ok := groups[sid]; ok {
				out[r.users.keys[i]] = g
			}
		}
	}
	return out, nil
}

// primaryMembers adds to the groups that were read whole those whose primary group they
// are: no member attribute lists them.
func (r *reading) primaryMembers(ctx context.Context) error {
	of := map[string]*clan{}
	var rids []string
	for i := range r.clans {
		g := &r.clans[i]
		if len(g.sid) < 12 {
			continue
		}
		of[g.sid] = g
		rid := binary.LittleEndian.Uint32([]byte(g.sid[len(g.sid)-4:]))
		rids = append(rids, fmt.Sprintf("(%s=%d)", r.s.cfg.Users.PrimaryGroup, rid))
	}
	h := &r.users
	m := h.m.mapper()
	var t tally
	receive := &handler{
		entry: func(e *Entry) error {
			t.received++
			t.fresh++
			m.load(e)
			sid, err := m.primaryGroupSID()
			if g := of[sid]; err == nil && g != nil {
				if i, ok := r.primaryMember(m, e); ok {
					g.primary = append(g.primary, i)
				}
			}
			return nil
		},
		broken: func([]byte, string) error { return nil },
	}
	for some := range slices.Chunk(rids, batch) {
		for _, g := range h.where.regions([]string{h.where.Key, "objectSid", r.s.cfg.Users.PrimaryGroup}) {
			g.filter = fmt.Sprintf("(&%s(|%s))", h.where.Filter, strings.Join(some, ""))
			end, err := r.s.sweep(ctx, r.c, g, receive, &t, func() { r.tell(r.stage) })
			switch {
			case err != nil:
				return err
			case end.partial != "":
				return readAll("whose primary group a group is could not be read whole: %s", end.partial)
			}
		}
	}
	return nil
}

// primaryMember returns the person of an entry that was loaded. One who is not known
// yet will be read as new, and his primary group with him.
func (r *reading) primaryMember(m *mapper, e *Entry) (ref, bool) {
	if i, ok := r.anyone(r.hasher.key(e.DN)); ok {
		return i, true
	}
	h := &r.users
	key, err := m.entryKey()
	if err != nil {
		return 0, false
	}
	_, stored := r.stored(h, key)
	return h.ref(h.know(key)), stored && !h.gone[key]
}

// escapeBytes writes any bytes as the value of a filter (RFC 4515 §3).
func escapeBytes(s string) string {
	var out strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&out, `\%02x`, s[i])
	}
	return out.String()
}
