package dialect

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/filter"
	"github.com/rollcall-id/rollcall/scim/schema"
)

// Derived is what the roll takes from a resource.
type Derived struct {
	Name       string
	Profile    map[string]string
	Attributes identity.Attributes
	Disabled   bool
}

// Mapping says which attributes of the roll come from where. Attributes describe: none
// of them gives anybody a permission.
type Mapping struct{ from []mapped }

type mapped struct {
	key string
	ref schema.Ref
}

// standard are the attributes that come by themselves.
func standard() map[string]string {
	enterprise := schema.EnterpriseURN + ":"
	return map[string]string{
		"department": enterprise + "department", "costcenter": enterprise + "costCenter", "division": enterprise + "division",
		"employeenumber": enterprise + "employeeNumber", "organization": enterprise + "organization",
		"manager": enterprise + "manager.value", "title": "title", "usertype": "userType",
		"preferredlanguage": "preferredLanguage", "locale": "locale", "timezone": "timezone",
		"roles": "roles.value", "entitlements": "entitlements.value",
	}
}

// NewMapping returns the mapping of a configuration on top of what comes by itself: a
// name with an empty path leaves an attribute out.
func NewMapping(more map[string]string, t *schema.ResourceType) (Mapping, error) {
	paths := standard()
	for key, path := range more {
		key = identity.FoldKey(key)
		if path == "" {
			delete(paths, key)
			continue
		}
		paths[key] = path
	}
	var m Mapping
	for _, key := range slices.Sorted(maps.Keys(paths)) {
		p, err := filter.ParsePath(paths[key], filter.Options{Type: t})
		if err != nil {
			return m, fmt.Errorf("%s: %w", key, err)
		}
		ref, ok := t.Resolve(p.URN, p.Attr, p.Sub)
		if !ok || ref.Attr == nil || p.Filter != nil {
			return m, fmt.Errorf("%s: no schema of users has %s", key, paths[key])
		}
		if ref.Last().Type == schema.Complex {
			return m, fmt.Errorf("%s: %s has parts: name one of them, such as %s.value", key, paths[key], paths[key])
		}
		m.from = append(m.from, mapped{key, ref})
	}
	return m, nil
}

// Has reports whether an attribute of the roll comes from somewhere.
func (m Mapping) Has(key string) bool {
	return slices.ContainsFunc(m.from, func(a mapped) bool { return a.key == identity.FoldKey(key) })
}

// Derive returns what the roll takes from a canonical resource.
func Derive(o schema.Object, t *schema.ResourceType, m Mapping) Derived {
	if t.Core.ID != schema.UserURN {
		name, _ := o["displayName"].(string)
		return Derived{Name: name}
	}
	d := Derived{Profile: map[string]string{}, Attributes: identity.Attributes{}}
	d.Name, _ = o["userName"].(string)
	if active, said := o["active"].(bool); said {
		d.Disabled = !active
	}
	name, _ := o["name"].(schema.Object)
	work, _ := o[schema.EnterpriseURN].(schema.Object)
	d.set(identity.GivenName, name["givenName"])
	d.set(identity.FamilyName, name["familyName"])
	d.set(identity.Email, best(o["emails"]))
	d.set(identity.Phone, best(o["phoneNumbers"]))
	d.set(identity.Position, o["title"])
	d.set(identity.Organization, work["organization"])
	d.set(identity.DisplayName, display(o, name))
	for _, a := range m.from {
		if values := texts(o, a.ref); len(values) > 0 {
			d.Attributes[a.key] = values
		}
	}
	d.Attributes = d.Attributes.Normalize()
	return d
}

func (d *Derived) set(field string, v any) {
	if text, ok := v.(string); ok && text != "" {
		d.Profile[field] = text
	}
}

func display(o, name schema.Object) any {
	if s, ok := o["displayName"].(string); ok && s != "" {
		return s
	}
	if s, ok := name["formatted"].(string); ok && s != "" {
		return s
	}
	given, _ := name["givenName"].(string)
	family, _ := name["familyName"].(string)
	return strings.TrimSpace(given + " " + family)
}

// best returns the value that stands for several: the primary one, else the one of type
// work, else the first.
func best(v any) any {
	list, _ := v.([]any)
	var first, work any
	for _, e := range list {
		o, ok := e.(schema.Object)
		if !ok || o["value"] == nil {
			continue
		}
		if o["primary"] == true {
			return o["value"]
		}
		if kind, _ := o["type"].(string); work == nil && fold(kind) == "work" {
			work = o["value"]
		}
		if first == nil {
			first = o["value"]
		}
	}
	if work != nil {
		return work
	}
	return first
}

// texts returns the values of an attribute as texts.
func texts(o schema.Object, r schema.Ref) (out []string) {
	in := o
	if r.Extension {
		in, _ = o[r.Schema.ID].(schema.Object)
	}
	v, ok := in[r.Attr.Name]
	if !ok {
		return nil
	}
	list, several := v.([]any)
	if !several {
		list = []any{v}
	}
	for _, e := range list {
		if r.Sub != nil {
			part, _ := e.(schema.Object)
			e = part[r.Sub.Name]
		}
		switch e := e.(type) {
		case string:
			out = append(out, e)
		case bool:
			out = append(out, strconv.FormatBool(e))
		case int64:
			out = append(out, strconv.FormatInt(e, 10))
		case float64:
			out = append(out, strconv.FormatFloat(e, 'g', -1, 64))
		}
	}
	return out
}
