package ldap

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/identity"
)

// Mapping says what a value of ours is made of: an attribute of the directory, or an
// expression over several. In the file it is the name of the attribute, or
// {cel: expression}. One of the two is set; none says that there is no value.
type Mapping struct {
	Attribute string `yaml:"-"`
	CEL       string `yaml:"cel"`
}

// UnmarshalText reads the name of an attribute.
func (m *Mapping) UnmarshalText(text []byte) error {
	*m = Mapping{Attribute: string(text)}
	return nil
}

// MarshalYAML returns what the file has for it.
func (m Mapping) MarshalYAML() (any, error) {
	if m.CEL != "" {
		return map[string]string{"cel": m.CEL}, nil
	}
	return m.Attribute, nil
}

// MarshalJSON returns what a configuration in JSON has for it.
func (m Mapping) MarshalJSON() ([]byte, error) {
	if m.CEL != "" {
		return json.Marshal(map[string]string{"cel": m.CEL})
	}
	return json.Marshal(m.Attribute)
}

// words says what is read: the attribute, or the expression on one line.
func (m Mapping) words() string {
	if m.CEL != "" {
		return strings.Join(strings.Fields(m.CEL), " ")
	}
	return m.Attribute
}

// Mapped tells what is read for what: the attributes of the directory, with the test
// where there is one, or the expression, by the entry of the configuration. Keys of our
// attributes are folded, as the roll has them.
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
		all["users.expires"] = append(all["users.expires"], Mapping{x.Attribute, x.CEL}.words())
	}
	if len(c.Groups.Bases) > 0 {
		c.Groups.mapped("groups.", all)
	}
	return all
}

func (w *Where) mapped(at string, all map[string][]string) {
	if w.Name != (Mapping{}) {
		all[at+"name"] = []string{w.Name.words()}
	}
	for field, m := range w.Profile {
		if m != (Mapping{}) {
			all[at+"profile."+field] = []string{m.words()}
		}
	}
	for _, key := range sortedKeys(w.Attributes) {
		entry := at + "attributes." + identity.FoldKey(key)
		all[entry] = append(all[entry], w.Attributes[key].words())
	}
}

// words says what a rule looks for.
func (r *Rule) words() string {
	switch {
	case r.CEL != "":
		return Mapping{CEL: r.CEL}.words()
	case r.Bits != 0:
		return fmt.Sprintf("%s with a bit of %#x", r.Attribute, r.Bits)
	case len(r.Is) > 0:
		return r.Attribute + " = " + strings.Join(r.Is, " or ")
	}
	return r.Attribute + " other than " + strings.Join(r.IsNot, " or ")
}
