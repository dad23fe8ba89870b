package app

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rollcall-id/rollcall/config"
)

// Secrets says what a source that is made over the API may refer to. Whoever may make
// one chooses the server that the password is sent to, so he must not choose any file
// or variable of the daemon for it. Credentials of systemd are given to the daemon by
// name and may always be used. Sources of the file are not bound by it.
type Secrets struct {
	// Dirs hold files that may be referred to: secrets, certificates, schemas. None by
	// default.
	Dirs []string `yaml:"dirs"`
	// EnvPrefix begins the names of the variables that may be referred to; empty: none.
	EnvPrefix string `yaml:"env_prefix"`
}

func defaultSecrets() Secrets { return Secrets{EnvPrefix: "ROLLCALL_SECRET_"} }

// Validate reports everything that is wrong with the section.
func (s *Secrets) Validate(p *config.Problems) {
	for i, dir := range s.Dirs {
		if !filepath.IsAbs(dir) || filepath.Clean(dir) == "/" {
			p.Add(fmt.Sprintf("dirs[%d]", i), "give the absolute path of a directory that holds nothing else, such as /etc/rollcall/sources")
		}
	}
}

// confine reports what a source of the API refers to and may not. What may not be read
// is taken out, so that nothing that comes after reads it.
func (s *Source) confine(rules *Secrets, p *config.Problems) {
	for i := range s.SCIM.Schemas {
		rules.file(p, fmt.Sprintf("schemas[%d].file", i), &s.SCIM.Schemas[i].File)
	}
	if !s.Pulled() {
		return
	}
	t := &s.LDAP.TLS
	rules.file(p, "tls.ca", &t.CA)
	if !rules.file(p, "tls.cert", &t.Cert) || !rules.file(p, "tls.key", &t.Key) {
		t.Cert, t.Key = "", ""
	}
	if k := &s.LDAP.Bind.Kerberos; s.LDAP.Bind.Method == "gssapi" {
		// Its library connects to KDCs itself, past what outward refuses.
		p.Add("bind.method", "gssapi is for sources in the daemon's file: its keytab is the machine's")
		k.Keytab, k.Krb5Conf = "", ""
	}
	ref := s.LDAP.Bind.Password
	rules.file(p, "bind.password.file", &ref.File)
	if ref.Env != "" && (rules.EnvPrefix == "" || !strings.HasPrefix(ref.Env, rules.EnvPrefix)) {
		p.Add("bind.password.env", "%s", rules.variables())
	}
	for i, raw := range s.LDAP.URLs {
		if text := refusedURL(raw); text != "" {
			p.Add(fmt.Sprintf("urls[%d]", i), "%s", text)
		}
	}
}

func (s *Secrets) variables() string {
	if s.EnvPrefix == "" {
		return "secrets.env_prefix of the daemon allows no variable for sources that are made over the API: use {credential: name}"
	}
	return fmt.Sprintf("a source that is made over the API may only use variables whose names begin with %s (secrets.env_prefix of the daemon)", s.EnvPrefix)
}

// file reports a path that is outside of the directories, and takes it out. It says the
// same whether or not the file exists.
func (s *Secrets) file(p *config.Problems, at string, path *string) bool {
	if *path == "" || s.holds(*path) {
		return true
	}
	*path = ""
	if len(s.Dirs) == 0 {
		p.Add(at, "a source that is made over the API may not name files: use {credential: name} or {env: NAME} for a secret, or have the daemon's secrets.dirs name a directory")
		return false
	}
	p.Add(at, "there is no such file below the directories that secrets.dirs of the daemon allows: %s", strings.Join(s.Dirs, ", "))
	return false
}

func (s *Secrets) holds(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil || !filepath.IsAbs(path) {
		return false
	}
	for _, dir := range s.Dirs {
		root, err := filepath.EvalSymlinks(dir)
		if rest, below := strings.CutPrefix(real, root+"/"); err == nil && below && rest != "" {
			return true
		}
	}
	return false
}

// refusedURL says why the API may not send the daemon to an address, or "".
func refusedURL(raw string) string {
	u, err := url.Parse(raw)
	if strings.HasPrefix(strings.ToLower(raw), "ldapi:") {
		return "a socket of the daemon's machine can only be named in the daemon's file"
	}
	if err != nil {
		return "" // said elsewhere
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && refusedIP(ip) {
		return "is an address of the machine's surroundings, not of a directory"
	}
	return ""
}

// metadata are addresses, besides link-local ones, at which clouds tell secrets to
// machines.
var metadata = [...]string{"fd00:ec2::254", "100.100.100.200", "192.0.0.192"}

func refusedIP(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, m := range metadata {
		if ip.String() == m {
			return true
		}
	}
	return ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified()
}

// outward connects to servers of sources that were made over the API. It looks at the
// address that a name has led to.
func outward() *net.Dialer {
	return &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(address); err != nil || refusedIP(at.Addr()) {
			return fmt.Errorf("%s is no address that a source made over the API may have", address)
		}
		return nil
	}}
}
