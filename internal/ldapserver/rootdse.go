package ldapserver

import "strings"

// rootDSE answers a search of the root (RFC 4512 §5.1). Everybody may read it.
func (a *answer) rootDSE() {
	root := a.c.server.root()
	// The root of a domain has no class, and is found by (objectClass=*) nonetheless.
	if (a.domain != nil || a.query.filter.eval(root) == yes) && !a.action.Hide {
		var attrs []Attribute
		for _, attr := range root.attrs {
			// As in OpenLDAP, all but the class is operational here. A domain has no such.
			if a.pick.wants(attr, attr.key != "objectclass" && a.domain == nil) {
				attrs = append(attrs, Attribute{attr.name, attr.values})
			}
		}
		a.encode("", attrs)
		a.sent++
	}
	a.finish(nil)
}

// root builds the root entry.
func (s *Server) root() *stored {
	e := &stored{}
	add := func(name string, values ...string) {
		if len(values) > 0 {
			e.attrs = append(e.attrs, storedAttr{name: name, key: typeKey(name), values: values})
		}
	}
	add("objectClass", "top", "OpenLDAProotDSE")
	add("structuralObjectClass", "OpenLDAProotDSE")
	var contexts []string
	for _, suffix := range s.o.Directory.suffixes {
		contexts = append(contexts, suffix.text)
	}
	add("namingContexts", contexts...)
	controls := []string{oidPaging, oidManageDSAIT, oidDomainScope}
	if s.o.Sync != nil {
		controls = append(controls, oidSyncRequest)
	}
	add("supportedControl", controls...)
	extensions := []string{oidWhoAmI}
	if s.o.TLS != nil {
		extensions = append(extensions, oidStartTLS)
	}
	add("supportedExtension", extensions...)
	// All operational attributes (RFC 3673), true and false filters (RFC 4526).
	add("supportedFeatures", "1.3.6.1.4.1.4203.1.5.1", "1.3.6.1.4.1.4203.1.5.3")
	add("supportedLDAPVersion", "3")
	if s.o.External != nil {
		add("supportedSASLMechanisms", "EXTERNAL")
	}
	add("subschemaSubentry", "cn=Subschema")
	add("vendorName", "Rollcall")
	add("vendorVersion", "in-memory directory")
	if s.o.Sync != nil {
		for _, known := range s.o.Sync.rootAttributes() {
			e.replace(known)
		}
	}
	if s.o.AD != nil {
		for _, known := range s.o.AD.rootAttributes() {
			e.replace(known)
		}
	}
	for _, given := range s.o.RootDSE {
		e.replace(given)
	}
	return e
}

// replace sets or, without values, removes an attribute of an entry that was
// not published yet.
func (s *stored) replace(a Attribute) {
	kept := s.attrs[:0]
	for _, have := range s.attrs {
		if !strings.EqualFold(have.name, a.Name) {
			kept = append(kept, have)
		}
	}
	s.attrs = kept
	if len(a.Values) > 0 {
		s.attrs = append(s.attrs, storedAttr{name: a.Name, key: typeKey(a.Name), values: a.Values})
	}
}
