package ldap_test

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// slapdConfig reads all of s over LDAPS as its reader.
func slapdConfig(s *dirtest.Slapd) ldap.Config {
	var c ldap.Config
	c.Template = ldap.TemplateOpenLDAP
	c.URLs = []string{s.LDAPS}
	c.TLS.CA = s.CA
	c.Bind = ldap.Bind{DN: s.Reader.DN, Password: config.SecretRef{File: s.Reader.PasswordFile}}
	c.Users.Bases = []string{"ou=people," + s.Suffix}
	c.Groups.Bases = []string{"ou=groups," + s.Suffix}
	c.Users.Attributes = map[string]ldap.Mapping{"department": {Attribute: "departmentNumber"}, "employee": {Attribute: "employeeNumber"}}
	return c
}

func source(tb testing.TB, c ldap.Config) *ldap.Source {
	tb.Helper()
	s, err := ldap.New(ldap.Options{Source: "corp", Config: c, Now: func() time.Time { return time.Unix(1700000000, 0) }})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func pull(tb testing.TB, s *ldap.Source, known sync.Known) *identity.Observation {
	tb.Helper()
	o, err := s.Pull(context.Background(), sync.PullRequest{Known: known})
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

func proven(tb testing.TB, o *identity.Observation) {
	tb.Helper()
	if !o.Proof.Users || !o.Proof.Groups {
		tb.Fatalf("the proof is %v", o.Proof)
	}
}

// roll is what a store would know after an observation: of hashes, and of nothing else.
type roll struct {
	nothingStored
	hashes [2]map[identity.Key]uint64
}

// nothingStored is the part of a roll that only reads of changes ask for.
type nothingStored struct{}

func (nothingStored) Stored(bool, identity.Key) *identity.Record { return nil }

func (nothingStored) GroupsWith(bool, identity.Key) iter.Seq[identity.Key] {
	return func(func(identity.Key) bool) {}
}

func (r *roll) side(group bool) map[identity.Key]uint64 {
	if group {
		return r.hashes[1]
	}
	return r.hashes[0]
}

func (r *roll) Hash(group bool, key identity.Key) (uint64, bool) {
	h, ok := r.side(group)[key]
	return h, ok
}

func (r *roll) Present(group bool) iter.Seq[identity.Key] { return maps.Keys(r.side(group)) }

// learn returns what is known once o was applied.
func learn(o *identity.Observation) *roll {
	r := &roll{hashes: [2]map[identity.Key]uint64{{}, {}}}
	for i, list := range [][]identity.Seen{o.Users, o.Groups} {
		for _, s := range list {
			if s.Record != nil {
				r.hashes[i][s.Key] = s.Record.Hash
			}
		}
	}
	return r
}

// byKey indexes what was seen.
func byKey(list []identity.Seen) map[identity.Key]identity.Seen {
	out := make(map[identity.Key]identity.Seen, len(list))
	for _, s := range list {
		out[s.Key] = s
	}
	return out
}

func byName(list []identity.Seen, name string) identity.Seen {
	for _, s := range list {
		if s.Record != nil && s.Record.Name == name {
			return s
		}
	}
	return identity.Seen{}
}

// canonicalText spells a DN one way, by a way of its own: it decodes hexadecimal
// pairs and single escapes, and lowers the case.
func canonicalText(dn string) string {
	var parts []string
	var part strings.Builder
	flush := func(end string) {
		parts = append(parts, strings.ToLower(part.String()), end)
		part.Reset()
	}
	for i := 0; i < len(dn); i++ {
		switch c := dn[i]; {
		case c == '\\' && i+2 < len(dn) && isHex(dn[i+1]) && isHex(dn[i+2]):
			var b byte
			_, _ = fmt.Sscanf(dn[i+1:i+3], "%02x", &b)
			part.WriteByte(b)
			i += 2
		case c == '\\' && i+1 < len(dn):
			part.WriteByte(dn[i+1])
			i++
		case c == ',':
			flush(" , ")
		case c == '+':
			flush(" + ")
		default:
			part.WriteByte(c)
		}
	}
	flush("")
	return strings.Join(parts, "")
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func sorted[T cmp.Ordered](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return slices.Sorted(slices.Values(s))
}

// want fails unless every one of the words is in text.
func wantWords(tb testing.TB, text string, words ...string) {
	tb.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			tb.Errorf("%q does not say %q", text, w)
		}
	}
}

// cutter is a dialer whose connections end after so many bytes were read.
func cutter(after int) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &cutConn{Conn: c, left: after}, err
	}
}

type cutConn struct {
	net.Conn
	left int
}

func (c *cutConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
