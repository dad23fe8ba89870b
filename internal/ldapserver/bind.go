package ldapserver

import (
	"crypto/subtle"
	"crypto/tls"
)

// bind authenticates the connection. It is anonymous after a failure.
func (c *conn) bind(body []byte) error {
	c.bound = ""
	r, err := parseBind(body)
	switch {
	case err != nil:
		return failf(ProtocolError, "%v", err)
	case r.version != 3:
		return failf(ProtocolError, "only version 3 of LDAP is spoken")
	case c.server.o.RequireTLS && !c.overTLS:
		return failf(ConfidentialityNeeded, "TLS confidentiality required")
	case r.mechanism == "EXTERNAL":
		return c.bindExternal()
	case !r.simple:
		return failf(AuthMethodNotSupported, "mechanism %q is not supported; EXTERNAL is", r.mechanism)
	case r.name == "" && r.password == "":
		if !c.server.o.Anonymous {
			return failf(InappropriateAuth, "anonymous bind disallowed")
		}
		return nil
	case r.password == "":
		// RFC 4513 §5.1.2: a name without a password proves nothing.
		return failf(UnwillingToPerform, "unauthenticated bind (DN with no password) disallowed")
	}
	if c.server.o.AD != nil {
		return c.bindDomain(r)
	}
	name, err := parseDN(r.name)
	if err != nil {
		return failf(InvalidDNSyntax, "invalid DN")
	}
	if !c.server.knows(name, r.password) {
		return failf(InvalidCredentials, "")
	}
	c.bound = r.name
	return nil
}

// bindDomain binds by any name that Active Directory takes (MS-ADTS §5.1.1.1.1):
// a distinguished name, a userPrincipalName, DOMAIN\name. Why it fails stands in
// the text only.
func (c *conn) bindDomain(r bindRequest) error {
	refused := func(data string) error {
		return failf(InvalidCredentials, "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data %s, v4563", data)
	}
	name, err := parseDN(r.name)
	e, known := c.server.o.AD.principal(r.name)
	if known {
		name, err = e.name, nil
	}
	switch {
	case err != nil || !c.server.knows(name, r.password):
		return refused("52e")
	case known && e.disabled():
		return refused("533")
	}
	c.bound = name.text
	return nil
}

// bindExternal takes the identity of the client's certificate (RFC 4422 A).
func (c *conn) bindExternal() error {
	layer, ok := c.raw.(*tls.Conn)
	if !ok || c.server.o.External == nil {
		return failf(InappropriateAuth, "EXTERNAL needs TLS with a client certificate")
	}
	certs := layer.ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return failf(InappropriateAuth, "no client certificate was presented")
	}
	name, ok := c.server.o.External(certs[0])
	if !ok {
		return failf(InvalidCredentials, "")
	}
	c.bound = name
	return nil
}

// knows checks a name and password.
func (s *Server) knows(name dn, password string) bool {
	want, ok := s.accounts[name.folded]
	if !ok {
		e, found := s.o.Directory.Lookup(name.text)
		if !found {
			return false
		}
		want = e.First("userPassword")
	}
	return want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(password)) == 1
}
