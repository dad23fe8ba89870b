package schema

// URNs of what discovery shows: RFC 7643, sections 6 and 7.
const (
	ProviderConfigURN = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	SchemaURN         = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	ResourceTypeURN   = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
)

// JSON returns the schema in the form of RFC 7643, section 7, without meta.
func (s *Schema) JSON() []byte { return s.JSONAt("") }

// JSONAt returns the schema in the form of RFC 7643, section 7, with a meta that says
// it is at that location, unless the location is empty.
func (s *Schema) JSONAt(location string) []byte {
	b := append([]byte(`{"schemas":["`), SchemaURN...)
	b = appendMember(append(b, `"]`...), "id", s.ID)
	b = appendMember(b, "name", s.Name)
	b = appendText(b, "description", s.Description)
	b = append(b, `,"attributes":`...)
	b = appendAttributes(b, s.Attributes)
	return append(appendMeta(b, "Schema", location), '}')
}

// JSON returns the resource type in the form of RFC 7643, section 6, without meta.
func (t *ResourceType) JSON() []byte { return t.JSONAt("") }

// JSONAt returns the resource type in the form of RFC 7643, section 6, with a meta
// that says it is at that location, unless the location is empty.
func (t *ResourceType) JSONAt(location string) []byte {
	b := append([]byte(`{"schemas":["`), ResourceTypeURN...)
	b = appendMember(append(b, `"]`...), "id", t.Name)
	b = appendMember(b, "name", t.Name)
	b = appendText(b, "description", t.Description)
	b = appendMember(b, "endpoint", t.Endpoint)
	b = appendMember(b, "schema", t.Core.ID)
	for i, e := range t.Extensions {
		if i == 0 {
			b = append(b, `,"schemaExtensions":[`...)
		} else {
			b = append(b, ',')
		}
		b = AppendString(append(b, `{"schema":`...), e.Schema.ID)
		b = append(appendBool(append(b, `,"required":`...), e.Required), '}')
	}
	if len(t.Extensions) > 0 {
		b = append(b, ']')
	}
	return append(appendMeta(b, "ResourceType", location), '}')
}

func appendMeta(b []byte, kind, location string) []byte {
	if location == "" {
		return b
	}
	b = AppendString(append(b, `,"meta":{"resourceType":`...), kind)
	return append(appendMember(b, "location", location), '}')
}

func appendAttributes(b []byte, list []*Attribute) []byte {
	b = append(b, '[')
	for i, a := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendAttribute(b, a)
	}
	return append(b, ']')
}

// appendAttribute leaves out what has no meaning for the type, and empty lists, as the
// RFC's own definitions do.
func appendAttribute(b []byte, a *Attribute) []byte {
	b = AppendString(append(b, `{"name":`...), a.Name)
	b = appendMember(b, "type", a.Type.String())
	b = appendBool(append(b, `,"multiValued":`...), a.MultiValued)
	b = appendText(b, "description", a.Description)
	b = appendBool(append(b, `,"required":`...), a.Required)
	switch a.Type {
	case String, DateTime, Binary, Reference:
		b = appendBool(append(b, `,"caseExact":`...), a.CaseExact)
	case Boolean, Decimal, Integer, Complex:
	}
	b = appendStrings(b, "canonicalValues", a.Canonical)
	b = appendStrings(b, "referenceTypes", a.ReferenceTypes)
	b = appendMember(b, "mutability", a.Mutability.String())
	b = appendMember(b, "returned", a.Returned.String())
	b = appendMember(b, "uniqueness", a.Uniqueness.String())
	if len(a.Sub) > 0 {
		b = appendAttributes(append(b, `,"subAttributes":`...), a.Sub)
	}
	return append(b, '}')
}

func appendMember(b []byte, name, value string) []byte {
	b = append(AppendString(append(b, ','), name), ':')
	return AppendString(b, value)
}

func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendMember(b, name, value)
}

func appendStrings(b []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(AppendString(append(b, ','), name), ':', '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, s)
	}
	return append(b, ']')
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}
