package ldap

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
)

// Validate reports everything that is wrong with the section.
func (c *Config) Validate(p *config.Problems) {
	e := c.Expanded()
	if e.Type != "ldap" {
		p.Add("type", "%q is neither ldap nor scim", e.Type)
	}
	templates := []string{TemplateOpenLDAP, TemplateAD, Template389, TemplateCustom}
	if !slices.Contains(templates, c.Template) {
		p.Add("template", "say which kind of directory this is: one of %s", strings.Join(templates, ", "))
	}
	e.validateURLs(p)
	e.validateDiscovery(p.In("discovery"))
	e.validateFailover(p.In("failover"))
	e.validateTLS(p.In("tls"))
	e.validateBind(p.In("bind"))
	if e.PageSize < 1 || e.PageSize > 100_000 {
		p.Add("page_size", "must be between 1 and 100000; most servers allow 1000")
	}
	oneOf(p, "referrals", e.Referrals, referralsHold, referralsIgnore)
	oneOf(p, "changes", e.Changes, changesAuto, "syncrepl", "dirsync", "usn", "timestamps", changesNone)
	e.validateSentinels(p)
	e.validateUsers(p.In("users"))
	e.validateGroups(p.In("groups"))
	e.compile(p)
	if e.Timeouts.Connect < 0 {
		p.Add("timeouts.connect", "must be positive, such as 10s")
	}
	if e.Timeouts.Idle < 0 {
		p.Add("timeouts.idle", "must be positive, such as 60s")
	}
	if e.Timeouts.Read < 0 {
		p.Add("timeouts.read", "must be positive, such as 2h")
	}
	e.validateLimits(p)
	e.validatePace(p)
	if e.VerifySingly < 0 {
		p.Add("verify_singly", "must not be negative")
	}
}

func oneOf(p *config.Problems, at, got string, want ...string) {
	if !slices.Contains(want, got) {
		p.Add(at, "must be one of %s, not %q", strings.Join(want, ", "), got)
	}
}

func (c *Config) validateURLs(p *config.Problems) {
	if len(c.URLs) == 0 {
		p.Add("urls", "name at least one server, such as ldaps://ldap.example.org")
	}
	encrypted := true
	for i, raw := range c.URLs {
		at := fmt.Sprintf("urls[%d]", i)
		a, err := parseURL(raw)
		if err != nil {
			p.Add(at, "%v", err)
			continue
		}
		if slices.Contains(c.URLs[:i], raw) {
			p.Add(at, "is the same as one before it")
		}
		if a.scheme == "ldap" {
			encrypted = false
			if !c.StartTLS && !c.AllowPlaintext {
				p.Add(at, "ldap:// sends everything in the clear: use ldaps://, or set starttls: true (or, in a trusted network, allow_plaintext: true)")
			}
		}
		if c.Template == TemplateAD && (a.port == "3268" || a.port == "3269") {
			p.Add(at, "port %s is the global catalog, which lacks most attributes and memberships: use a domain controller's LDAPS port 636", a.port)
		}
	}
	if c.StartTLS && encrypted && len(c.URLs) > 0 {
		p.Add("starttls", "is for ldap:// urls; ldaps:// is encrypted already")
	}
}

// address is where a URL of the configuration leads.
type address struct {
	scheme, host, port string
	network, dial      string
	srv                bool // host is a domain, whose servers DNS knows
}

// parseURL reads ldap://host[:port], ldaps://host[:port], ldapi://path, and the first
// two with +srv and a domain.
func parseURL(raw string) (address, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if scheme = strings.ToLower(scheme); ok && scheme == "ldapi" {
		file, err := url.PathUnescape(strings.TrimSuffix(rest, "/"))
		if err != nil || !path.IsAbs(file) {
			return address{}, fmt.Errorf("%q is no ldapi URL: write the socket's path as in ldapi://%%2Frun%%2Fslapd%%2Fldapi", raw)
		}
		return address{scheme: "ldapi", network: "unix", dial: filepath.Clean(file)}, nil
	}
	scheme, srv := strings.CutSuffix(scheme, "+srv")
	u, err := url.Parse(raw)
	if err != nil || !ok || scheme != "ldap" && scheme != "ldaps" || u.Hostname() == "" {
		return address{}, fmt.Errorf("%q is no URL of a directory: write ldaps://host, ldap://host, ldapi://socket, or ldaps+srv://domain", raw)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return address{}, fmt.Errorf("%s://%s must name the server only: bases, filters and accounts have settings of their own", scheme, u.Host)
	}
	if srv {
		return parseDomain(raw, scheme, u)
	}
	a := address{scheme: scheme, host: u.Hostname(), port: u.Port(), network: "tcp"}
	if a.port == "" {
		a.port = map[string]string{"ldap": "389", "ldaps": "636"}[scheme]
	}
	a.dial = net.JoinHostPort(a.host, a.port)
	return a, nil
}

func (c *Config) validateTLS(p *config.Problems) {
	oneOf(p, "min_version", c.TLS.MinVersion, "1.2", "1.3")
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		p.Add("cert", "cert and key go together: give both or none")
		return
	}
	if _, err := c.TLS.pool(); err != nil {
		p.Add("ca", "%v", err)
	}
	if _, err := c.TLS.certificates(); err != nil {
		p.Add("cert", "%v", err)
	}
}

func (c *Config) validateBind(p *config.Problems) {
	oneOf(p, "method", c.Bind.Method, methodSimple, methodExternal, methodGSSAPI, methodAnonymous)
	switch c.Bind.Method {
	case methodSimple:
		if c.Bind.DN == "" {
			p.Add("dn", "name the account that reads the directory, or set method: anonymous or external")
		}
		if c.Bind.Password.IsZero() {
			p.Add("password", "say where the password is: {file: /path}, {env: NAME} or {credential: name}")
		}
	case methodExternal:
		local := !slices.ContainsFunc(c.URLs, func(u string) bool { return !strings.HasPrefix(strings.ToLower(u), "ldapi:") })
		if c.TLS.Cert == "" && !local {
			p.Add("method", "external needs a client certificate: set tls.cert and tls.key")
		}
		fallthrough
	case methodAnonymous, methodGSSAPI:
		if c.Bind.DN != "" || !c.Bind.Password.IsZero() {
			p.Add("method", "%s uses no dn and no password: remove them, or set method: simple", c.Bind.Method)
		}
	}
	k := &c.Bind.Kerberos
	switch {
	case c.Bind.Method == methodGSSAPI:
		k.validate(p.In("kerberos"), c)
	case k.Principal != "" || k.Keytab != "":
		p.Add("kerberos", "is for method: gssapi")
	}
}

func (c *Config) validateUsers(p *config.Problems) {
	if len(c.Users.Bases) == 0 {
		p.Add("bases", "say where the people are, such as ou=people,dc=example,dc=org")
	}
	c.Users.validate(p)
	rules(p, "disabled", c.Users.Disabled)
	rules(p, "locked", c.Users.Locked)
	for i, x := range c.Users.Expires {
		at := fmt.Sprintf("expires[%d]", i)
		if x.CEL != "" {
			alone(p, at, x.Attribute+x.Format)
			continue
		}
		readable(p, at+".attribute", x.Attribute)
		oneOf(p, at+".format", x.Format, formatFiletime, formatGeneralized, formatDays)
	}
	if c.Users.PrimaryGroup != "" {
		readable(p, "primary_group", c.Users.PrimaryGroup)
	}
}

func (c *Config) validateGroups(p *config.Problems) {
	if len(c.Groups.Bases) == 0 {
		return
	}
	c.Groups.validate(p)
	for i, m := range c.Groups.Members {
		at := fmt.Sprintf("members[%d]", i)
		readable(p, at+".attribute", m.Attribute)
		oneOf(p, at+".by", m.By, byDN, byName)
	}
	if c.Groups.ChangeStamp != "" {
		readable(p, "change_stamp", c.Groups.ChangeStamp)
	}
}

func (w *Where) validate(p *config.Problems) {
	for i, base := range w.Bases {
		out, err := canonicalDN(nil, []byte(base))
		if err != nil || len(out) == 0 {
			p.Add(fmt.Sprintf("bases[%d]", i), "%q is no distinguished name such as ou=people,dc=example,dc=org", base)
		}
	}
	oneOf(p, "scope", w.Scope, "subtree", "one", "base")
	if _, err := goldap.CompileFilter(w.Filter); err != nil || !strings.HasPrefix(w.Filter, "(") {
		p.Add("filter", "%q is no LDAP filter such as (objectClass=person)", w.Filter)
	}
	readable(p, "key", w.Key)
	w.Name.validate(p, "name")
	for _, field := range sortedKeys(w.Profile) {
		if !slices.Contains(identity.ProfileFields(), field) {
			p.Add("profile."+field, "is no profile field: use one of %s, or attributes for anything else", strings.Join(identity.ProfileFields(), ", "))
		}
		w.Profile[field].validate(p, "profile."+field)
	}
	for _, key := range sortedKeys(w.Attributes) {
		at := "attributes." + key
		if key == "" || strings.ContainsFunc(key, unicode.IsControl) || len(key) > 128 {
			p.Add(at, "name our attribute with 1 to 128 characters")
		}
		w.Attributes[key].validate(p, at)
	}
}

func rules(p *config.Problems, list string, rs []Rule) {
	for i, r := range rs {
		at := fmt.Sprintf("%s[%d]", list, i)
		if r.CEL != "" {
			alone(p, at, r.Attribute)
		} else {
			readable(p, at+".attribute", r.Attribute)
		}
		tests := 0
		for _, set := range []bool{r.Bits != 0, len(r.Is) > 0, len(r.IsNot) > 0, r.CEL != ""} {
			if set {
				tests++
			}
		}
		if tests != 1 {
			p.Add(at, "give exactly one of bits, is, is_not and cel")
		}
	}
}

// alone reports what is said beside an expression.
func alone(p *config.Problems, at, beside string) {
	if beside != "" {
		p.Add(at, "an expression says itself what it reads: give cel alone")
	}
}

// validate looks at an attribute; expressions are compiled later.
func (m Mapping) validate(p *config.Problems, at string) {
	if m.CEL == "" {
		readable(p, at, m.Attribute)
	}
}

var attributeName = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+)$`)

// readable reports an attribute that is no attribute, or that must not be read.
func readable(p *config.Problems, at, name string) {
	if wrong := unreadable(name); wrong != "" {
		p.Add(at, "%s", wrong)
	}
}

// unreadable says why a name is not that of an attribute to read; "" if it is.
func unreadable(name string) string {
	switch {
	case name == "":
		return "name an attribute of the directory"
	case !attributeName.MatchString(name):
		return fmt.Sprintf("%q is no attribute name", name)
	case secretAttribute(name):
		return name + " holds passwords or keys, which are never read: map another attribute"
	}
	return ""
}

// secretAttribute reports whether an attribute holds what opens accounts: hashes,
// keys, recovery passwords. They are never asked for, whatever the mapping says.
func secretAttribute(name string) bool {
	name = strings.ToLower(name)
	exact := []string{
		"2.5.4.35", // userPassword
		"unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory", "supplementalcredentials", "currentvalue", "priorvalue",
		"pwdhistory", "passwordhistory", "sambapasswordhistory", "userpkcs12", "ipanthash", "ipatokenotpkey", "olcrootpw",
		"msds-managedpassword", "msds-keycredentiallink", "nsds5replicacredentials", "nthash", "lmhash", "sambantpassword",
		"1.2.840.113556.1.4.90", // unicodePwd
	}
	prefixes := []string{"krb", "ms-mcs-admpwd", "mslaps-", "msfve-", "trustauth", "initialauth", "msds-managedpassword"}
	return slices.Contains(exact, name) || strings.HasSuffix(name, "password") || strings.HasSuffix(name, "passwd") ||
		slices.ContainsFunc(prefixes, func(s string) bool { return strings.HasPrefix(name, s) })
}
