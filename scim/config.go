package scim

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/scim/schema"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// Config is the part of a source's configuration that says how it is pushed to.
type Config struct {
	// Enabled, when false, refuses every push. What was pushed before stays. The default
	// is true.
	Enabled bool `yaml:"enabled"`
	// Preset names the identity provider: it sets every knob.
	Preset string `yaml:"preset"`
	// Knobs set single ones apart from the preset.
	Knobs dialect.Overrides `yaml:"knobs"`
	// Attributes say which attributes of the roll come from where: a name to a path such
	// as urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department. They are
	// added to those that come by themselves; an empty path leaves one of those out.
	Attributes map[string]string `yaml:"attributes"`
	// Schemas are files with a schema each, in the form of RFC 7643, section 7.
	Schemas []SchemaFile `yaml:"schemas"`
	// Types are further kinds of resources.
	Types []TypeConfig `yaml:"resource_types"`
	// Rails say when pushes that lock many people out are told, or held up.
	Rails RailsConfig `yaml:"rails"`
	// Use is "users", the default, or "attributes": what is pushed never makes a user, it
	// only adds to those that it joins.
	Use string `yaml:"use"`
	// Link says which users of another source the records join.
	Link plan.Rule `yaml:"link"`
}

// SchemaFile is a schema of the installation.
type SchemaFile struct {
	File string `yaml:"file"`
	// Extends names the resource type that the schema extends: User, Group, or one of
	// resource_types. Without it, it is for a type of its own.
	Extends  string `yaml:"extends"`
	Required bool   `yaml:"required"`
}

// TypeConfig is a kind of resource beside users and groups. It is kept and shown, and
// means nothing to the roll.
type TypeConfig struct {
	Name        string `yaml:"name"`
	Endpoint    string `yaml:"endpoint"`
	Description string `yaml:"description"`
	Schema      string `yaml:"schema"` // the URN of one of schemas
}

// RailsConfig bounds how many people pushes lock out within an hour.
type RailsConfig struct {
	// Share and Count are both exceeded before anything happens: the part of the
	// source's active users, and how many.
	Share float64 `yaml:"share"`
	Count int     `yaml:"count"`
	// Block refuses what goes beyond, instead of only telling of it.
	Block bool `yaml:"block"`
}

// DefaultConfig returns what holds where nothing is configured.
func DefaultConfig() Config {
	return Config{Enabled: true, Preset: "default", Rails: RailsConfig{Share: 0.2, Count: 50}}
}

// Validate reports everything that is wrong with the configuration.
func (c *Config) Validate(p *config.Problems) {
	if _, ok := dialect.Preset(c.Preset); !ok {
		p.Add("preset", "%q is none of %s", c.Preset, strings.Join(dialect.Presets(), ", "))
	}
	if c.Rails.Share < 0 || c.Rails.Share > 1 {
		p.Add("rails.share", "%v is not a part between 0 and 1", c.Rails.Share)
	}
	if c.Rails.Count < 0 {
		p.Add("rails.count", "%d is negative", c.Rails.Count)
	}
	plan.ValidateRule(c.Link, c.Use, p.Add)
	types, err := c.types()
	if err != nil {
		p.Add("schemas", "%v", err)
		return
	}
	m, err := c.mapping(types[0])
	switch {
	case err != nil:
		p.Add("attributes", "%v", err)
	case !c.Link.IsZero() && c.Link.By != "" && identity.FoldKey(c.Link.By) != plan.ByName && !m.Has(c.Link.By):
		p.Add("link.by", "nothing that is pushed becomes the attribute %q: name one that does, such as employeeNumber, or add it to attributes", c.Link.By)
	}
}

func (c *Config) knobs() (dialect.Knobs, error) {
	k, ok := dialect.Preset(c.Preset)
	if !ok {
		return k, fmt.Errorf("preset %q is none of %s", c.Preset, strings.Join(dialect.Presets(), ", "))
	}
	return k.With(c.Knobs), nil
}

func (c *Config) mapping(user *schema.ResourceType) (dialect.Mapping, error) {
	return dialect.NewMapping(c.Attributes, user)
}

// types returns the resource types: users, groups, and those of the configuration.
func (c *Config) types() ([]*schema.ResourceType, error) {
	extensions := map[string][]schema.Extension{}
	own := map[string]*schema.Schema{}
	for _, f := range c.Schemas {
		text, err := os.ReadFile(f.File)
		if err != nil {
			return nil, fmt.Errorf("schema file: %w", err)
		}
		s, err := schema.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("schema file %s: %w", f.File, err)
		}
		if f.Extends == "" {
			own[strings.ToLower(s.ID)] = s
			continue
		}
		extensions[f.Extends] = append(extensions[f.Extends], schema.Extension{Schema: s, Required: f.Required})
	}
	types := []*schema.ResourceType{schema.User(), schema.Group()}
	for _, t := range c.Types {
		s := own[strings.ToLower(t.Schema)]
		if s == nil {
			return nil, fmt.Errorf("resource type %s: no file of schemas has %q", t.Name, t.Schema)
		}
		made, err := schema.New(schema.ResourceType{Name: t.Name, Endpoint: t.Endpoint, Description: t.Description, Core: s})
		if err != nil {
			return nil, err
		}
		types = append(types, made)
	}
	for i, t := range types {
		if slices.ContainsFunc(types[:i], func(u *schema.ResourceType) bool {
			return strings.EqualFold(t.Name, u.Name) || strings.EqualFold(t.Endpoint, u.Endpoint)
		}) || reserved(t.Endpoint) {
			return nil, fmt.Errorf("resource type %s: its name or its endpoint %s is taken", t.Name, t.Endpoint)
		}
		if more := extensions[t.Name]; len(more) > 0 {
			with, err := t.With(more...)
			if err != nil {
				return nil, err
			}
			types[i] = with
			delete(extensions, t.Name)
		}
	}
	for name := range extensions {
		return nil, fmt.Errorf("there is no resource type %q to extend", name)
	}
	return types, nil
}

// reserved reports whether an endpoint is one that every source has.
func reserved(endpoint string) bool {
	return slices.ContainsFunc([]string{"/Me", "/Bulk", "/Schemas", "/ResourceTypes", "/ServiceProviderConfig"},
		func(s string) bool { return strings.EqualFold(s, endpoint) })
}
