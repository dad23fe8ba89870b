package ldap

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"
)

// root is what a server says of itself in its root entry (RFC 4512 §5.1).
type root struct {
	vendor, version string
	dnsHostName     string
	controls        []string
	capabilities    []string
	contexts        []string
	classes         []string
	// Of a domain controller:
	service string // dsServiceName
	schema  string // schemaNamingContext
	usn     uint64 // highestCommittedUSN
}

const (
	oidPaging      = goldap.ControlTypePaging
	oidDomainScope = "1.2.840.113556.1.4.1339"
	oidAD          = "1.2.840.113556.1.4.800" // LDAP_CAP_ACTIVE_DIRECTORY_OID
)

func (c *session) readRoot(ctx context.Context) error {
	request := goldap.NewSearchRequest("", goldap.ScopeBaseObject, goldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{
		"objectClass", "vendorName", "vendorVersion", "supportedControl", "supportedCapabilities", "namingContexts",
		"dnsHostName", "dsServiceName", "schemaNamingContext", "highestCommittedUSN",
	}, nil)
	found := false
	_, err := c.search(ctx, request, &handler{
		entry: func(e *Entry) error {
			found = true
			c.root = root{
				vendor:       string(e.First("vendorName")),
				version:      string(e.First("vendorVersion")),
				dnsHostName:  string(e.First("dnsHostName")),
				controls:     texts(e.Get("supportedControl")),
				capabilities: texts(e.Get("supportedCapabilities")),
				contexts:     texts(e.Get("namingContexts")),
				classes:      texts(e.Get("objectClass")),
				service:      string(e.First("dsServiceName")),
				schema:       string(e.First("schemaNamingContext")),
			}
			c.root.usn, _ = strconv.ParseUint(string(e.First("highestCommittedUSN")), 10, 64)
			return nil
		},
		broken: func([]byte, string) error { return nil },
	})
	if err != nil {
		return fmt.Errorf("read the root entry of %s: %w", c.url, err)
	}
	if !found {
		return fmt.Errorf("read the root entry of %s: the server shows none to this account, so it cannot be told what it supports", c.url)
	}
	return nil
}

func texts(values [][]byte) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// family says which kind of directory the server is, and how that is known.
func (r *root) family() (template, words string) {
	switch {
	case slices.Contains(r.capabilities, oidAD) && strings.Contains(r.vendor, "Samba"):
		return TemplateAD, "Active Directory (Samba: vendorName is " + r.vendor + ")"
	case slices.Contains(r.capabilities, oidAD):
		return TemplateAD, "Active Directory (supportedCapabilities lists " + oidAD + ")"
	case slices.Contains(r.classes, "OpenLDAProotDSE"):
		return TemplateOpenLDAP, "OpenLDAP (the root entry is an OpenLDAProotDSE)"
	case strings.Contains(r.vendor, "389 Project") || strings.Contains(r.version, "389-Directory"):
		return Template389, "389 Directory Server (vendorVersion is " + r.version + ")"
	case r.vendor != "":
		return TemplateCustom, r.vendor + " " + r.version + " (by its vendorName)"
	}
	return TemplateCustom, "unknown (the root entry names no vendor)"
}

// familyWords joins what the server is with the template that is used for it.
func (c *session) familyWords(template string) string {
	found, words := c.root.family()
	if found != template && template != TemplateCustom {
		words += fmt.Sprintf(", read with the template %s", template)
	}
	return words
}
