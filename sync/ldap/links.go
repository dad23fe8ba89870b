package ldap

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// Active Directory keeps members right by itself: they are references to objects, and a
// member that is renamed, moved or deleted changes nothing about the group. So a read
// of changes there need not read the groups of everybody who moved. What it has to find
// out instead is who came into view, whose groups never said so, and whose primary
// group changed, which no member attribute shows.

// links is what one read of changes learns of objects and of memberships.
type links struct {
	changed map[identity.Key]*objectChange
	broken  [][]byte // DNs of what could not be decoded
	patches map[identity.Key]memberPatch
}

// objectChange is what the directory told of one object.
type objectChange struct {
	dn      string
	was     string // where it was, of one that is dead; or ""
	fresh   bool   // made since the last read, and all its memberships with it
	named   bool   // it may have been renamed or moved
	above   bool   // and then what lies below it
	dead    bool
	revived bool                  // it was deleted and is there again
	primary bool                  // his primary group may be another
	other   bool                  // more changed than members
	members map[identity.Key]bool // true came, false went
	unclear bool                  // there are members that could not be told apart
}

// memberKey is a user or a group.
type memberKey struct {
	group bool
	key   identity.Key
}

// memberPatch is what changes about the members of a group: true comes, false goes.
type memberPatch map[memberKey]bool

func (l *links) object(key identity.Key) *objectChange {
	c := l.changed[key]
	if c == nil {
		c = &objectChange{}
		l.changed[key] = c
	}
	return c
}

func (l *links) unreadable(dn []byte, _ string) error {
	if dn == nil {
		return readAll("an object that changed could not be decoded, not even its name")
	}
	if len(l.broken) >= maxBroken {
		return readAll("more than %d objects that changed could not be decoded", maxBroken)
	}
	l.broken = append(l.broken, bytes.Clone(dn))
	return nil
}

// take takes in one entry of DirSync. Of one object there may be several, the later
// ones newer.
func (l *links) take(r *reading, e *Entry) error {
	key, err := keyGUID.key(e.Get("objectGUID"))
	if err != nil {
		return l.unreadable(memberDN(e.DN), "")
	}
	c := l.object(key)
	c.dn = string(memberDN(e.DN))
	for i := range e.Attributes {
		a := &e.Attributes[i]
		base, options := baseType(a.Type)
		switch name := strings.ToLower(string(base)); name {
		case "objectguid", "instancetype":
		case "isdeleted":
			c.dead = len(a.Values) > 0 && equalFoldASCII(a.Values[0], "TRUE")
			c.revived = c.revived || len(a.Values) == 0
			c.other = true
		case "objectclass":
			c.fresh, c.other = true, true
		case "name", "parentguid":
			c.named, c.above, c.other = true, true, true
		case "lastknownparent":
			c.was = formerDN(c.dn, string(e.First("lastKnownParent")))
		default:
			if came, ok := incremental(options); ok && r.isMember(name) {
				c.takeMembers(a.Values, came)
			} else {
				c.other = true
				c.primary = c.primary || strings.EqualFold(name, r.s.cfg.Users.PrimaryGroup)
			}
		}
	}
	return nil
}

// formerDN returns where a deleted object was: its name has "\nDEL:" and its GUID behind
// it now (MS-ADTS §3.1.1.5.5).
func formerDN(dn, parent string) string {
	rdn, _, ok := strings.Cut(dn, `\0ADEL:`)
	if !ok || parent == "" {
		return ""
	}
	return rdn + "," + string(memberDN([]byte(parent)))
}

// isMember reports whether an attribute is the one that groups list their members in.
func (r *reading) isMember(name string) bool {
	m := r.s.cfg.Groups.Members
	return len(m) == 1 && strings.EqualFold(m[0].Attribute, name)
}

// incremental reads the option of an attribute under LDAP_DIRSYNC_INCREMENTAL_VALUES.
func incremental(option []byte) (came, ok bool) {
	switch {
	case equalFoldASCII(option, "range=1-1"):
		return true, true
	case equalFoldASCII(option, "range=0-0"):
		return false, true
	}
	return false, false
}

func (c *objectChange) takeMembers(values [][]byte, came bool) {
	if c.members == nil {
		c.members = map[identity.Key]bool{}
	}
	for _, v := range values {
		if key, ok := extendedKey(v); ok {
			c.members[key] = came
		} else {
			c.unclear = true
		}
	}
}

// extendedKey reads the GUID of an extended DN: "<GUID=9d1c...>;<SID=...>;cn=...".
func extendedKey(v []byte) (identity.Key, bool) {
	rest, ok := bytes.CutPrefix(v, []byte("<GUID="))
	if !ok {
		return "", false
	}
	text, _, ok := bytes.Cut(rest, []byte(">"))
	if !ok {
		return "", false
	}
	// Written with dashes, as the control asks for, the text has the order of the key.
	id, err := hex.DecodeString(strings.ReplaceAll(string(text), "-", ""))
	if err != nil || len(id) != 16 {
		return "", false
	}
	return identity.Key(dashed([16]byte(id))), true
}

// follow asks for what is to be read whole because of what changed.
func (l *links) follow(ctx context.Context, r *reading) error {
	if err := l.identify(ctx, r); err != nil {
		return err
	}
	var moved []string
	counts := map[*half]int{}
	for key, c := range l.changed {
		h := r.halfWith(key)
		switch {
		case c.dead:
			r.users.lose(key)
			r.groups.lose(key)
		case h == nil && c.other:
			r.users.want(key)
			r.groups.want(key)
			if c.above && !c.fresh {
				moved = append(moved, c.dn)
			}
		case h == nil: // a group that is out of reach
		case h == &r.groups && !c.other && !c.unclear && r.mayPatch(c):
			l.wantLeavers(r, c)
		default:
			h.want(key)
			counts[h]++
		}
	}
	for h, n := range counts {
		if r.mostOf(h, n) {
			return readAll("most %s changed since the last read, so that reading everything is quicker", h.stage)
		}
	}
	slices.Sort(moved)
	return r.below(ctx, moved)
}

// halfWith returns the half in which the roll has a key, or nil.
func (r *reading) halfWith(key identity.Key) *half {
	for _, h := range []*half{&r.users, &r.groups} {
		if _, ok := r.stored(h, key); ok {
			return h
		}
	}
	return nil
}

// mayPatch reports whether the members of a group may be changed without reading the
// group. One that was skipped is to be skipped again; and where everything is compared,
// the change stamp of the group has to become known.
func (r *reading) mayPatch(c *objectChange) bool {
	p, ok := r.base.at(r.hasher.key([]byte(c.dn)))
	return ok && p.group && !p.left && !r.out.Reach.Everything()
}

// wantLeavers asks for the users who left the members of a group: it may have become
// their primary group, which takes them out of its members and leaves them in it.
func (l *links) wantLeavers(r *reading, c *objectChange) {
	if r.users.m.primary < 0 {
		return
	}
	for key, came := range c.members {
		if _, user := r.stored(&r.users, key); user && !came {
			r.users.want(key)
		}
	}
}

// identify finds out the keys of objects that could not be decoded.
func (l *links) identify(ctx context.Context, r *reading) error {
	for _, dn := range l.broken {
		dn := string(memberDN(dn))
		key, err := r.keyAt(ctx, &r.users, dn)
		if err != nil {
			return err
		}
		if key == "" {
			return readAll("%q changed, and could not be decoded or found", clip(dn, 200))
		}
		c := l.object(key)
		c.dn, c.other, c.unclear = dn, true, true
	}
	return nil
}

// patch puts out the groups of which only members changed.
func (l *links) patch(r *reading) {
	if l == nil {
		return
	}
	for key, p := range l.patches {
		if len(p) == 0 || r.groups.has(key) || r.groups.gone[key] || r.known.Stored(true, key) == nil {
			continue
		}
		seen := identity.Seen{Key: key, Edges: identity.EdgesPatch}
		for m, comes := range p {
			to := &seen.Users
			switch {
			case m.group && comes:
				to = &seen.Groups
			case m.group:
				to = &seen.LostGroups
			case !comes:
				to = &seen.LostUsers
			}
			*to = append(*to, m.key)
		}
		for _, list := range [][]identity.Key{seen.Users, seen.Groups, seen.LostUsers, seen.LostGroups} {
			slices.Sort(list)
		}
		r.out.Groups = append(r.out.Groups, seen)
	}
}

// to changes the patch of a group.
func (l *links) to(group identity.Key, m memberKey, comes bool) {
	p := l.patches[group]
	if p == nil {
		p = memberPatch{}
		l.patches[group] = p
	}
	p[m] = comes
}

// member says what a key is to the members of a group: a user or a group that the roll
// has or is going to have; or not there any more; or nobody that is known.
func (l *links) member(r *reading, key identity.Key) (m memberKey, is, dead bool) {
	for _, h := range []*half{&r.users, &r.groups} {
		_, stored := r.stored(h, key)
		here := h.has(key) && (stored || !h.left[key]) || stored && !h.gone[key]
		if here {
			return memberKey{h.group, key}, true, false
		}
	}
	c := l.changed[key]
	return memberKey{key: key}, false, c != nil && c.dead
}
