package ldap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-id/rollcall/config"
)

// Resolver looks names up. [net.Resolver] is one; it puts records of one priority into
// an order that follows their weights (RFC 2782), anew with each answer.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// server is one that a read can use.
type server struct {
	url string // as runs and cursors name it
	// rank says how much it is preferred: those of one rank are as good as each other.
	rank int
	// found says which record led to it; empty: it is named in urls.
	found string
}

// mostFound bounds how many servers one URL may lead to.
const mostFound = 64

// discovery is what one URL that names a domain led to.
type discovery struct {
	servers []server
	lines   []string // what was asked and what came of it
}

// discover looks up the servers of a domain.
func (s *Source) discover(ctx context.Context, a address) (discovery, error) {
	var d discovery
	var failed []error
	for tier, names := range s.cfg.questions(a) {
		found := false
		for _, name := range names {
			// The dot at the end keeps the search list of this machine out.
			_, records, err := s.resolver.LookupSRV(ctx, "", "", name+".")
			switch {
			case len(records) > 0:
				found = true
				err = d.take(a, name, records, &s.cfg.Discovery)
			case missing(err):
				d.lines = append(d.lines, name+": no record")
				continue
			case err == nil:
				err = errors.New("an empty answer")
			}
			if err != nil {
				d.lines = append(d.lines, fmt.Sprintf("%s: %v", name, err))
				failed = append(failed, fmt.Errorf("%s: %w", name, err))
			}
		}
		// The last questions are for domains that do not have what the others ask for.
		if found && tier == 0 {
			break
		}
	}
	switch {
	case len(d.servers) > 0:
		return d, nil
	case len(failed) > 0:
		return d, fmt.Errorf("look up the servers of %s: %w", a.host, errors.Join(failed...))
	}
	return d, fmt.Errorf("look up the servers of %s: DNS has no SRV record for LDAP there: check the domain, or name the servers in urls", a.host)
}

func missing(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// questions returns the names to ask for, those that are asked first, and those that
// are asked when the first have no answer.
func (c *Config) questions(a address) [2][]string {
	plain := "_ldap._tcp." + a.host
	if c.Template == TemplateAD {
		// MS-ADTS §6.3.2.3: those below _msdcs are domain controllers and nothing else.
		first := []string{"_ldap._tcp.dc._msdcs." + a.host}
		if c.Discovery.Site != "" {
			first = slices.Insert(first, 0, fmt.Sprintf("_ldap._tcp.%s._sites.dc._msdcs.%s", c.Discovery.Site, a.host))
		}
		return [2][]string{first, {plain}}
	}
	if a.scheme == "ldaps" {
		return [2][]string{{"_ldaps._tcp." + a.host}, {plain}}
	}
	return [2][]string{{plain}}
}

// take adds what the records of one name say. Those that a former name led to keep
// their place.
func (d *discovery) take(a address, name string, records []*net.SRV, rules *Discovery) error {
	rank := 0
	if n := len(d.servers); n > 0 {
		rank = d.servers[n-1].rank + 1
	}
	var last uint16
	for i, r := range records {
		if i > 0 && r.Priority != last {
			rank++
		}
		last = r.Priority
		host := strings.ToLower(strings.TrimSuffix(r.Target, "."))
		switch {
		case host == "":
			// RFC 2782: a target of "." is a decided no.
			return errors.New("the domain says that it offers no LDAP")
		case !rules.allows(a.host, host):
			d.lines = append(d.lines, fmt.Sprintf("%s: %s is not below %s, so it is not trusted: name its domain in discovery.within if it is right", name, host, a.host))
			continue
		}
		found := server{url: a.scheme + "://" + net.JoinHostPort(host, a.portOf(name, r.Port)), rank: rank}
		found.found = fmt.Sprintf("%s, priority %d, weight %d", name, r.Priority, r.Weight)
		if slices.ContainsFunc(d.servers, func(o server) bool { return o.url == found.url }) {
			continue
		}
		if len(d.servers) == mostFound {
			d.lines = append(d.lines, fmt.Sprintf("%s: more than %d servers; the others are not used", name, mostFound))
			return nil
		}
		d.servers = append(d.servers, found)
		d.lines = append(d.lines, fmt.Sprintf("%s (%s)", found.url, found.found))
	}
	if len(d.servers) == 0 {
		return fmt.Errorf("no server that it names lies below %s: name their domain in discovery.within if they are right", a.host)
	}
	return nil
}

// portOf returns the port of a server. Records of LDAP give the one without TLS.
func (a address) portOf(name string, record uint16) string {
	switch {
	case a.port != "":
		return a.port
	case a.scheme == "ldaps" && !strings.HasPrefix(name, "_ldaps."):
		return "636"
	}
	return strconv.Itoa(int(record))
}

// allows reports whether a server of a domain may be called so. DNS can be forged. A
// certificate then shows only that the server has the name which the forged answer
// gave it; so that name has to be one that strangers get no certificate for.
func (d *Discovery) allows(domain, host string) bool {
	for _, in := range append([]string{domain}, d.Within...) {
		in = strings.ToLower(strings.TrimSuffix(in, "."))
		if host == in || strings.HasSuffix(host, "."+in) {
			return true
		}
	}
	return false
}

// parseDomain reads ldap+srv://domain[:port] and ldaps+srv://domain[:port].
func parseDomain(raw, scheme string, u *url.URL) (address, error) {
	domain := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if !domainName.MatchString(domain) || net.ParseIP(domain) != nil {
		return address{}, fmt.Errorf("%q names no domain: write %s+srv://example.org", raw, scheme)
	}
	return address{scheme: scheme, host: domain, port: u.Port(), srv: true}, nil
}

var (
	domainName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	// A site's name is one label, and may hold what host names do not.
	siteName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$`)
)

func (c *Config) validateDiscovery(p *config.Problems) {
	used := slices.ContainsFunc(c.URLs, func(raw string) bool { a, err := parseURL(raw); return err == nil && a.srv })
	if site := c.Discovery.Site; site != "" {
		switch {
		case !siteName.MatchString(site):
			p.Add("site", "%q is no name of a site, such as Default-First-Site-Name", site)
		case c.Template != TemplateAD:
			p.Add("site", "only Active Directory has sites: remove it, or set template: active_directory")
		case !used:
			p.Add("site", "is for ldap+srv:// and ldaps+srv:// urls; there is none")
		}
	}
	for i, in := range c.Discovery.Within {
		if !domainName.MatchString(strings.ToLower(strings.TrimSuffix(in, "."))) {
			p.Add(fmt.Sprintf("within[%d]", i), "%q is no domain, such as example.org", in)
		}
	}
}
