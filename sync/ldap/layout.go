package ldap

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/rollcall-id/rollcall/identity"
)

// layout is the mapping of users or of groups, compiled: every attribute that is
// asked for has a slot.
type layout struct {
	group   bool
	request []string       // what to ask for
	slots   map[string]int // lower-case attribute to slot
	use     []slotUse
	form    keyForm
	key     int
	name    target
	profile []target
	attrs   []target

	disabled, locked []test
	expires          []expiryAt

	members []memberSlot
	stamp   int // -1: none
	primary int // -1: none
	sid     int // -1: none

	sees bool   // there are expressions
	read []int  // slots that they read
	salt uint64 // stands for how entries are mapped
}

// slotUse says what a slot means for the hash of an entry.
type slotUse struct {
	form   valueForm
	hashed bool // it is part of the record
	first  bool // its first value matters more than the others
	seed   uint64
}

// from is where a value comes from: one attribute, or an expression.
type from struct {
	slot int
	expr *expression // nil: the attribute
}

type target struct {
	to string
	from
}

type test struct {
	Rule
	from
}

type expiryAt struct {
	format string
	from
}

type memberSlot struct {
	slot int
	by   string
}

// mappingVersion changes when the same entry would be mapped differently than by an
// earlier version of this package: then every entry is mapped again.
const mappingVersion = "1"

func newLayout(w *Where, compiled expressions) layout {
	l := layout{slots: map[string]int{}, form: keyFormOf(w.Key), stamp: -1, primary: -1, sid: -1}
	l.salt = xxhash.Sum64String(mappingVersion)
	l.key = l.slot(w.Key)
	l.name = target{"name", l.from("name", w.Name, true, compiled)}
	for _, field := range identity.ProfileFields() {
		if m, ok := w.Profile[field]; ok {
			l.profile = append(l.profile, target{field, l.from("profile."+field, m, true, compiled)})
		}
	}
	for _, key := range sortedKeys(w.Attributes) {
		l.attrs = append(l.attrs, target{key, l.from("attributes."+key, w.Attributes[key], false, compiled)})
	}
	return l
}

func userLayout(c *Config, compiled expressions) layout {
	l := newLayout(&c.Users.Where, compiled)
	for i, r := range c.Users.Disabled {
		l.disabled = append(l.disabled, test{r, l.rule("disabled", i, r, compiled)})
	}
	for i, r := range c.Users.Locked {
		l.locked = append(l.locked, test{r, l.rule("locked", i, r, compiled)})
	}
	for i, x := range c.Users.Expires {
		l.expires = append(l.expires, expiryAt{x.Format, l.expiry(i, x, compiled)})
	}
	if c.Groups.ChangeStamp != "" {
		l.stamp = l.slot(c.Groups.ChangeStamp)
	}
	if c.Users.PrimaryGroup != "" && len(c.Groups.Bases) > 0 {
		l.primary, l.sid = l.slot(c.Users.PrimaryGroup), l.slot("objectSid")
	}
	return l
}

func groupLayout(c *Config, compiled expressions) layout {
	l := newLayout(&c.Groups.Where, compiled)
	l.group = true
	for _, m := range c.Groups.Members {
		l.members = append(l.members, memberSlot{l.slot(m.Attribute), m.By})
	}
	if c.Groups.ChangeStamp != "" {
		l.stamp = l.slot(c.Groups.ChangeStamp)
	}
	if c.Users.PrimaryGroup != "" {
		l.sid = l.slot("objectSid")
	}
	return l
}

// slot returns the slot of an attribute, which is asked for from now on.
func (l *layout) slot(attribute string) int {
	folded := strings.ToLower(attribute)
	if i, ok := l.slots[folded]; ok {
		return i
	}
	i := len(l.request)
	l.slots[folded] = i
	l.request = append(l.request, attribute)
	l.use = append(l.use, slotUse{form: valueFormOf(attribute), seed: xxhash.Sum64String(folded)})
	return i
}

// from says where a mapping takes its value from.
func (l *layout) from(as string, m Mapping, first bool, compiled expressions) from {
	if m.CEL == "" {
		return from{slot: l.used(as, m.Attribute, first)}
	}
	e := compiled[as]
	for _, a := range e.reads {
		if i := l.used(as, a, true); !slices.Contains(l.read, i) {
			l.read = append(l.read, i)
		}
	}
	l.sees = true
	l.salt = mix(l.salt ^ xxhash.Sum64String(as+"=cel:"+m.CEL))
	return from{expr: e}
}

func (l *layout) rule(list string, i int, r Rule, compiled expressions) from {
	if r.CEL != "" {
		return l.from(fmt.Sprintf("%s[%d]", list, i), Mapping{CEL: r.CEL}, false, compiled)
	}
	return from{slot: l.used(fmt.Sprintf("%s{%s %d %v %v}", list, r.Attribute, r.Bits, r.Is, r.IsNot), r.Attribute, false)}
}

func (l *layout) expiry(i int, x Expiry, compiled expressions) from {
	if x.CEL != "" {
		return l.from(fmt.Sprintf("expires[%d]", i), Mapping{CEL: x.CEL}, false, compiled)
	}
	return from{slot: l.used("expires."+x.Format, x.Attribute, true)}
}

// used returns the slot of an attribute that goes into the record.
func (l *layout) used(as, attribute string, first bool) int {
	i := l.slot(attribute)
	l.use[i].hashed = true
	l.use[i].first = l.use[i].first || first
	l.salt = mix(l.salt ^ xxhash.Sum64String(as+"="+strings.ToLower(attribute)))
	return i
}

// mix spreads the bits of x (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
