package dialect

import (
	"strings"

	"github.com/rollcall-id/rollcall/scim/schema"
)

// Parsed is what the body of a POST or a PUT means.
type Parsed struct {
	Object schema.Object
	// Members are the ids of a group's members, each once, in their order. They are not
	// in Object.
	Members []string
	// Password says that one was sent. It is not kept anywhere.
	Password bool

	has map[string]bool // the members
}

// Resource reads the body of a POST or a PUT. Its error is an [*Error].
func Resource(body []byte, t *schema.ResourceType, k Knobs) (*Parsed, []Note, error) {
	in, err := parse(body)
	if err != nil {
		return nil, nil, err
	}
	c := &canon{t: t, k: k}
	if err := c.schemas(in); err != nil {
		return nil, nil, err
	}
	p := &Parsed{Object: schema.Object{}, has: map[string]bool{}}
	if err := c.members(p, in); err != nil {
		return nil, c.notes, err
	}
	if err := required(p.Object, t); err != nil {
		return nil, c.notes, err
	}
	return p, c.notes, nil
}

// schemas checks which schemas a body says it has: RFC 7643, section 3.
func (c *canon) schemas(in object) error {
	if c.k.Strict {
		if err := c.declared(in); err != nil {
			return err
		}
	}
	var list []any
	found := false
	for _, m := range in {
		if fold(m.name) == "schemas" {
			list, found = m.value.([]any)
		}
	}
	for _, s := range list {
		if text, ok := s.(string); ok && strings.EqualFold(text, c.t.Core.ID) {
			return nil
		}
	}
	if c.k.Strict {
		return invalid("invalidSyntax", "schemas has to name %s", c.t.Core.ID)
	}
	if !found {
		c.note("schemas", "they were left out: taken for those of a "+c.t.Name)
	} else {
		c.note("schemas", "they do not name "+c.t.Core.ID)
	}
	return nil
}

// declared holds a body to the schemas that it names: RFC 7643, section 3, allows those
// of the type, each once, and wants every one whose attributes are there.
func (c *canon) declared(in object) error {
	named := map[string]bool{}
	for _, m := range in {
		list, _ := m.value.([]any)
		if fold(m.name) != "schemas" {
			continue
		}
		for _, v := range list {
			urn, _ := v.(string)
			ref, ok := c.t.Resolve(urn, "", "")
			switch {
			case !ok:
				return invalid("invalidSyntax", "schemas names %q, which a %s does not have", clip(urn), c.t.Name)
			case named[ref.Schema.ID]:
				return invalid("invalidSyntax", "schemas names %s twice", ref.Schema.ID)
			}
			named[ref.Schema.ID] = true
		}
	}
	for _, m := range in {
		urn, _ := c.t.SplitURN(m.name)
		if ref, ok := c.t.Resolve(urn, "", ""); ok && urn != "" && ref.Extension && m.value != nil && !named[ref.Schema.ID] {
			return invalid("invalidSyntax", "schemas has to name %s, whose attributes are there", ref.Schema.ID)
		}
	}
	return nil
}

// members reads the members of a body, or of a container of the core schema within it.
func (c *canon) members(p *Parsed, in object) error {
	for _, m := range in {
		if err := c.member(p, m); err != nil {
			return err
		}
	}
	return nil
}

func (c *canon) member(p *Parsed, m member) error {
	switch fold(m.name) {
	case "schemas", "id", "meta":
		return nil // the server's to say
	}
	if strings.Contains(m.name, ":") {
		return c.container(p, m)
	}
	if r, ok := c.t.Resolve("", m.name, ""); ok {
		return c.attribute(p, r.Attr, m.value)
	}
	if name, sub, dotted := strings.Cut(m.name, "."); dotted && sub != "" && !c.k.Strict {
		if r, ok := c.t.Resolve("", name, sub); ok && !r.Attr.MultiValued {
			c.note(m.name, "a name with a dot was taken for a sub-attribute")
			return c.sub(p, r, m.value)
		}
	}
	if x, ok := c.bare(m.name); ok {
		c.note(m.name, "taken for the attribute of "+x.Schema.ID)
		return c.extended(p, x, m.value)
	}
	return c.unknown(clip(m.name))
}

// bare finds an attribute of an extension that was sent as if it were one of the core:
// if only one extension has it.
func (c *canon) bare(name string) (found schema.Ref, ok bool) {
	if c.k.Strict || name == "" {
		return found, false
	}
	for _, x := range c.t.Extensions {
		if r, has := c.t.Resolve(x.Schema.ID, name, ""); has {
			if ok {
				return found, false
			}
			found, ok = r, true
		}
	}
	return found, ok
}

// container reads what stands under a URN: the attributes of an extension, those of the
// core schema, one attribute, or whatever a schema that is not known here has.
func (c *canon) container(p *Parsed, m member) error {
	urn, name := c.t.SplitURN(m.name)
	if r, ok := c.t.Resolve(urn, name, ""); ok {
		switch in, isObject := m.value.(object); {
		case name != "" && r.Extension:
			return c.extended(p, r, m.value)
		case name != "":
			return c.attribute(p, r.Attr, m.value)
		case m.value == nil:
			return nil
		case !isObject:
			return invalid("invalidValue", "%s is an object", urn)
		case !r.Extension:
			c.note(urn, "attributes within the URN of the core schema were taken as they are")
			return c.members(p, in)
		default:
			return c.extension(p, r.Schema, in)
		}
	}
	if c.k.RefuseUnknown {
		return invalid("invalidSyntax", "no schema %s is known here", clip(m.name))
	}
	if _, known := c.t.Resolve(urn, "", ""); known {
		return c.unknown(m.name)
	}
	v := anything(m.value)
	if v == nil {
		return nil
	}
	op := Op{Kind: Add, urn: m.name, Value: v}
	if _, isObject := v.(schema.Object); !isObject {
		if op.urn, op.Path.Attr = urn, name; !schema.IsName(name) || !strings.Contains(urn, ":") {
			return c.unknown(m.name)
		}
	}
	if c.work += op.work(p.Object); c.work > maxWork {
		return tooMuch("too much stands under schemas that are not known here")
	}
	applyUnknown(p.Object, &op)
	c.note(op.urn, "no schema of this name is known: kept as it is")
	return nil
}

func (c *canon) extension(p *Parsed, s *schema.Schema, in object) error {
	for _, m := range in {
		a := s.Find(m.name)
		if a == nil && fold(m.name) == "schemas" {
			continue // some libraries write it into extensions, too
		}
		if a == nil {
			if err := c.unknown(s.ID + ":" + clip(m.name)); err != nil {
				return err
			}
			continue
		}
		if err := c.extended(p, schema.Ref{Schema: s, Attr: a, Extension: true}, m.value); err != nil {
			return err
		}
	}
	return nil
}

// extended sets an attribute of an extension.
func (c *canon) extended(p *Parsed, r schema.Ref, v any) error {
	if r.Attr.Mutability == schema.ReadOnly {
		return nil
	}
	one, err := c.value(r.Attr, v, r.Schema.ID+":"+r.Attr.Name)
	if err != nil || one == nil {
		return err
	}
	in, ok := p.Object[r.Schema.ID].(schema.Object)
	if !ok {
		in = schema.Object{}
		p.Object[r.Schema.ID] = in
	}
	if r.Attr.Returned != schema.Never {
		in[r.Attr.Name] = one
	}
	return nil
}

// attribute sets an attribute of the core schema.
func (c *canon) attribute(p *Parsed, a *schema.Attribute, v any) error {
	if a.Mutability == schema.ReadOnly {
		return nil // RFC 7644, section 3.3
	}
	one, err := c.value(a, v, a.Name)
	if err != nil || one == nil {
		return err
	}
	switch {
	case c.isMembers(a):
		for _, id := range memberIDs(one) {
			if !p.has[id] {
				p.has[id] = true
				p.Members = append(p.Members, id)
			}
		}
	case a.Returned == schema.Never:
		p.Password = true
		c.note(a.Name, "it is not kept: nobody signs in here")
	default:
		p.Object[a.Name] = one
	}
	return nil
}

// sub sets a sub-attribute of a single complex attribute.
func (c *canon) sub(p *Parsed, r schema.Ref, v any) error {
	if r.Attr.Mutability == schema.ReadOnly || r.Sub.Mutability == schema.ReadOnly {
		return nil
	}
	one, err := c.value(r.Sub, v, r.Attr.Name+"."+r.Sub.Name)
	if err != nil || one == nil {
		return err
	}
	in, ok := p.Object[r.Attr.Name].(schema.Object)
	if !ok {
		in = schema.Object{}
		p.Object[r.Attr.Name] = in
	}
	in[r.Sub.Name] = one
	return nil
}

// isMembers reports whether an attribute is that of a group's members.
func (c *canon) isMembers(a *schema.Attribute) bool {
	return a.Name == "members" && c.t.Core.ID == schema.GroupURN
}

// memberIDs returns the values of a canonical list of members.
func memberIDs(v any) (ids []string) {
	list, _ := v.([]any)
	for _, e := range list {
		if o, ok := e.(schema.Object); ok {
			if id, ok := o["value"].(string); ok {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// required refuses a resource without what it has to have.
func required(o schema.Object, t *schema.ResourceType) error {
	if name := lacks(o, t.Core.Attributes); name != "" {
		return invalid("invalidValue", "%s is required", name)
	}
	for _, x := range t.Extensions {
		in, ok := o[x.Schema.ID].(schema.Object)
		if !ok && x.Required {
			return invalid("invalidValue", "a %s has to have %s", t.Name, x.Schema.ID)
		}
		if name := lacks(in, x.Schema.Attributes); ok && name != "" {
			return invalid("invalidValue", "%s:%s is required", x.Schema.ID, name)
		}
	}
	return nil
}

// lacks returns the first required attribute that has no value, or "".
func lacks(o schema.Object, list []*schema.Attribute) string {
	for _, a := range list {
		v, ok := o[a.Name]
		if text, is := v.(string); is && strings.TrimSpace(text) == "" {
			ok = false // RFC 7643, section 4.1.1, wants a name that is not empty
		}
		if !ok {
			if a.Required && a.Mutability != schema.ReadOnly && a.Returned != schema.Never {
				return a.Name
			}
			continue
		}
		entries, several := v.([]any)
		if !several {
			entries = []any{v}
		}
		for _, e := range entries {
			if in, ok := e.(schema.Object); ok {
				if sub := lacks(in, a.Sub); sub != "" {
					return a.Name + "." + sub
				}
			}
		}
	}
	return ""
}

// Body returns the resource as JSON that holds only what the schemas of its type know.
func (p *Parsed) Body(t *schema.ResourceType) []byte {
	known := make(schema.Object, len(p.Object))
	for name, v := range p.Object {
		if !strings.Contains(name, ":") || t.Extension(name) != nil {
			known[name] = v
		}
	}
	return schema.Encode(make([]byte, 0, 1024), t, known)
}
