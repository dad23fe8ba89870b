package history

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
)

// picture is a directory, or a roll, as it is compared: by key, without what is gone.
type picture struct {
	Users, Groups map[identity.Key]entry
}

type entry struct {
	Name, DN   string
	Profile    map[string]string
	Attributes identity.Attributes
	Disabled   identity.Reason
	Expires    string
	Members    []identity.Key // people
	Nested     []identity.Key // groups
	Unresolved []string
}

func entryOf(r *identity.Record) entry {
	e := entry{Name: r.Name, DN: r.DN, Profile: map[string]string{}, Attributes: identity.Attributes{}, Disabled: r.Disabled}
	maps.Copy(e.Profile, r.Profile)
	for k, v := range r.Attributes {
		e.Attributes[k] = slices.Sorted(slices.Values(v))
	}
	if !r.Expires.IsZero() {
		e.Expires = r.Expires.UTC().Format(time.RFC3339)
	}
	if len(r.Unresolved) > 0 {
		e.Unresolved = slices.Sorted(slices.Values(r.Unresolved))
	}
	return e
}

// without takes out some users: those whom a plan left alone because of their names.
func (p picture) without(keys map[identity.Key]bool) picture {
	if len(keys) == 0 {
		return p
	}
	left := picture{Users: map[identity.Key]entry{}, Groups: map[identity.Key]entry{}}
	for k, e := range p.Users {
		if !keys[k] {
			left.Users[k] = e
		}
	}
	for k, e := range p.Groups {
		e.Members = slices.DeleteFunc(slices.Clone(e.Members), func(m identity.Key) bool { return keys[m] })
		if len(e.Members) == 0 {
			e.Members = nil
		}
		left.Groups[k] = e
	}
	return left
}

// known takes out whom groups list that nobody knows.
func (p picture) known() picture {
	for k, e := range p.Groups {
		e.Unresolved = nil
		p.Groups[k] = e
	}
	return p
}

// lines writes each entry on one line, so that a difference is easy to read.
func (p picture) lines() map[string]string {
	out := make(map[string]string, len(p.Users)+len(p.Groups))
	for k, e := range p.Users {
		out["user "+string(k)] = fmt.Sprintf("%s at %s, %v, %v, %q, until %q", e.Name, e.DN, e.Profile, e.Attributes, e.Disabled, e.Expires)
	}
	for k, e := range p.Groups {
		out["group "+string(k)] = fmt.Sprintf("%s at %s, %v, members %v, groups %v, not known %s", e.Name, e.DN, e.Profile, e.Members, e.Nested, strangers(e.Unresolved))
	}
	return out
}

// strangers lists who is not known, or counts them where a roll keeps no more than some.
func strangers(list []string) string {
	n := len(list)
	for _, s := range list {
		var more int
		if _, err := fmt.Sscanf(s, "and %d more", &more); err == nil {
			n += more - 1
		}
	}
	if n > 100 {
		return fmt.Sprintf("%d of them", n)
	}
	return fmt.Sprintf("%q", list)
}

// view says how a family's entries are to be understood. It knows nothing of how
// package sync/ldap does.
type view struct {
	key, name, groupName, displayName, organization, tags string

	people, groups     string // filters
	peopleIn, groupsIn string // bases
	rawKey             bool   // the key is sixteen bytes
	members            []string
	disabled           func(*dirtest.Entry) bool
	expires            func(*dirtest.Entry) (time.Time, bool)
	primary            bool // people name their first group by its number
	ask                []string
}

// dumper reads a directory with its own tools.
type dumper func(base, filter string, attributes ...string) []dirtest.Entry

// draw makes a picture from dumps.
func (v *view) draw(dump dumper) picture {
	p := picture{Users: map[identity.Key]entry{}, Groups: map[identity.Key]entry{}}
	people, groups := map[string]identity.Key{}, map[string]identity.Key{} // by DN and by login name
	first := map[string][]identity.Key{}                                   // by the SID of the group
	for _, e := range dump(v.peopleIn, v.people, v.ask...) {
		key := v.keyOf(&e)
		people[plainDN(e.DN)], people["uid "+strings.ToLower(e.First(v.name))] = key, key
		x := entry{Name: e.First(v.name), DN: e.DN, Attributes: identity.Attributes{}}
		x.Profile = fields(&e, map[string]string{
			identity.DisplayName: v.displayName, identity.GivenName: "givenName", identity.FamilyName: "sn", identity.Email: "mail",
			identity.Phone: "telephoneNumber", identity.Organization: v.organization, identity.Position: "title",
			identity.Location: "l", identity.Description: "description",
		})
		if t := e.Get(v.tags); len(t) > 0 {
			x.Attributes["tags"] = slices.Sorted(slices.Values(t))
		}
		if v.disabled(&e) {
			x.Disabled = identity.ReasonDisabled
		}
		if at, ok := v.expires(&e); ok {
			x.Expires = at.UTC().Format(time.RFC3339)
		}
		p.Users[key] = x
		if v.primary {
			own := sid(e.First("objectSid"))
			group := own[:strings.LastIndexByte(own, '-')+1] + e.First("primaryGroupID")
			first[group] = append(first[group], key)
		}
	}
	dumped := dump(v.groupsIn, v.groups, v.ask...)
	for i := range dumped {
		groups[plainDN(dumped[i].DN)] = v.keyOf(&dumped[i])
	}
	for _, e := range dumped {
		x := entry{Name: e.First(v.groupName), DN: e.DN, Attributes: identity.Attributes{}}
		names := map[string]string{identity.Description: "description"}
		if v.primary {
			names[identity.DisplayName], names[identity.Email] = "displayName", "mail"
			x.Members = slices.Clone(first[sid(e.First("objectSid"))])
		}
		x.Profile = fields(&e, names)
		for _, name := range e.Get("memberUid") {
			if k, ok := people["uid "+strings.ToLower(name)]; ok {
				x.Members = append(x.Members, k)
			} else {
				x.Unresolved = append(x.Unresolved, name)
			}
		}
		for _, a := range v.members {
			for _, dn := range e.Get(a) {
				if k, ok := people[plainDN(dn)]; ok {
					x.Members = append(x.Members, k)
				} else if k, ok := groups[plainDN(dn)]; ok {
					x.Nested = append(x.Nested, k)
				} else if dn != "" {
					x.Unresolved = append(x.Unresolved, dn)
				}
			}
		}
		slices.Sort(x.Members)
		slices.Sort(x.Nested)
		slices.Sort(x.Unresolved)
		p.Groups[v.keyOf(&e)] = x
	}
	return p
}

func (v *view) keyOf(e *dirtest.Entry) identity.Key {
	raw := e.First(v.key)
	if !v.rawKey || len(raw) != 16 {
		return identity.Key(raw)
	}
	h := hex.EncodeToString([]byte(raw))
	at := func(i int) string { return h[2*i : 2*i+2] }
	return identity.Key(at(3) + at(2) + at(1) + at(0) + "-" + at(5) + at(4) + "-" + at(7) + at(6) + "-" + h[16:20] + "-" + h[20:])
}

func fields(e *dirtest.Entry, names map[string]string) map[string]string {
	out := map[string]string{}
	for field, a := range names {
		if v := e.First(a); v != "" {
			out[field] = v
		}
	}
	return out
}

// sid writes a security identifier, by Microsoft's description of it.
func sid(raw string) string {
	if len(raw) < 8 {
		return "S-none-"
	}
	out := fmt.Sprintf("S-%d-%d", raw[0], raw[7])
	for i := 8; i+3 < len(raw); i += 4 {
		out += "-" + strconv.FormatUint(uint64(raw[i])|uint64(raw[i+1])<<8|uint64(raw[i+2])<<16|uint64(raw[i+3])<<24, 10)
	}
	return out
}

// plainDN spells a DN one way, by a way of its own: it decodes hexadecimal pairs and
// single escapes, and lowers the case.
func plainDN(dn string) string {
	var b strings.Builder
	for i := 0; i < len(dn); i++ {
		switch c := dn[i]; {
		case c == '\\' && i+2 < len(dn) && isHex(dn[i+1]) && isHex(dn[i+2]):
			n, _ := strconv.ParseUint(dn[i+1:i+3], 16, 8)
			b.WriteByte(byte(n))
			i += 2
		case c == '\\' && i+1 < len(dn):
			i++
			b.WriteByte(dn[i])
		case c == ',' || c == '+':
			b.WriteString(" " + string(c) + " ")
		default:
			b.WriteByte(c)
		}
	}
	return strings.ToLower(b.String())
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }
