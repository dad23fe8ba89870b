package ldap

import (
	"fmt"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// Mapping says what a value of ours is made of. In the file it is the name of an
// attribute of the directory.
type Mapping struct {
	Attribute string
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Mapping) UnmarshalText(text []byte) error {
	*m = Mapping{Attribute: string(text)}
	return nil
}

// MarshalText implements [encoding.TextMarshaler].
func (m Mapping) MarshalText() ([]byte, error) { return []byte(m.Attribute), nil }

// Mapped tells what is read for what: the attributes of the directory, with the test
// where there is one, by the entry of the configuration. Keys of our attributes are
// folded, as the roll has them.
func (c *Config) Mapped() map[string][]string {
	all := map[string][]string{}
	c.Users.mapped("users.", all)
	for _, r := range c.Users.Disabled {
		all["users.disabled"] = append(all["users.disabled"], r.words())
	}
	for _, r := range c.Users.Locked {
		all["users.locked"] = append(all["users.locked"], r.words())
	}
	for _, x := range c.Users.Expires {
		all["users.expires"] = append(all["users.expires"], x.Attribute)
	}
	if len(c.Groups.Bases) > 0 {
		c.Groups.mapped("groups.", all)
	}
	return all
}

func (w *Where) mapped(at string, all map[string][]string) {
	if w.Name != (Mapping{}) {
		all[at+"name"] = []string{w.Name.Attribute}
	}
	for field, m := range w.Profile {
		if m != (Mapping{}) {
			all[at+"profile."+field] = []string{m.Attribute}
		}
	}
	for _, key := range sortedKeys(w.Attributes) {
		entry := at + "attributes." + identity.FoldKey(key)
		all[entry] = append(all[entry], w.Attributes[key].Attribute)
	}
}

// words says what a rule looks for.
func (r *Rule) words() string {
	switch {
	case r.Bits != 0:
		return fmt.Sprintf("%s with a bit of %#x", r.Attribute, r.Bits)
	case len(r.Is) > 0:
		return r.Attribute + " = " + strings.Join(r.Is, " or ")
	}
	return r.Attribute + " other than " + strings.Join(r.IsNot, " or ")
}
