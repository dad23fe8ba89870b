package sink

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// A webhook's address comes from whoever writes the configuration, and the name in it
// from whoever answers for the domain, at every connection anew. So what is judged is
// the address that is about to be connected to, after everything was resolved: neither
// another spelling of an address nor an answer that changes between two questions gets
// past it.

// notPublic are the networks that nothing out there is in, or that lead back inside:
// RFC 6890 and what was registered since. Multicast, loopback, private and link-local
// addresses, cloud metadata among them, are known to package netip.
var notPublic = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // between a provider and its customers (RFC 6598)
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"),        // IPv4 addresses in the form of old
	netip.MustParsePrefix("64:ff9b::/96"), // NAT64: an IPv4 address is in it
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), // Teredo and others
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4: an IPv4 address is in it
	netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("5f00::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// public reports whether an address is one of the world outside.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// guard lets connections go out to public addresses, and to those of some networks.
type guard struct {
	allowed []netip.Prefix
}

func (g *guard) may(a netip.Addr) bool {
	if public(a) {
		return true
	}
	a = a.Unmap().WithZone("")
	for _, p := range g.allowed {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// control is called with the address that a socket is about to be connected to.
func (g *guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !g.may(to.Addr()) {
		return errNotPublic
	}
	return nil
}

// named judges a receiver that a proxy connects to. Its name is resolved behind the
// proxy, which judges what it lets through; here only what no proxy should be asked for
// is refused: an address that is not public, in any spelling, and this machine's names.
func (g *guard) named(u *url.URL) error {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if a, err := netip.ParseAddr(host); err == nil {
		if !g.may(a) {
			return errNotPublic
		}
		return nil
	}
	labels := strings.Split(host, ".")
	last := labels[len(labels)-1]
	number := last != "" && (strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x")) // inet_aton: 2130706433, 0x7f.1
	if number || last == "localhost" || last == "" {
		return errNotPublic
	}
	return nil
}

// errNotPublic does not repeat the address: who may write the configuration is not
// told what is inside.
var errNotPublic = fmt.Errorf("the address is not a public one: list its network under allow_networks if entries are to go there")

func (g *guard) dialer() *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, ControlContext: g.control}
}
