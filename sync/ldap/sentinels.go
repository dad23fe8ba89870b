package ldap

import (
	"context"
	"errors"
	"fmt"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/config"
)

// maxSentinels bounds what is asked for one by one in every read.
const maxSentinels = 50

func (c *Config) validateSentinels(p *config.Problems) {
	if len(c.Sentinels) > maxSentinels {
		p.Add("sentinels", "must be at most %d", maxSentinels)
	}
	for i, dn := range c.Sentinels {
		if out, err := canonicalDN(nil, []byte(dn)); err != nil || len(out) == 0 {
			p.Add(fmt.Sprintf("sentinels[%d]", i), "%q is no distinguished name", clip(dn, 200))
		}
	}
}

// sentinels asks for the entries that every read has to find. One that the account does
// not see any more says that others may be hidden from it as well.
func (r *reading) sentinels(ctx context.Context) error {
	for _, dn := range r.s.cfg.Sentinels {
		found := false
		g := region{base: dn, scope: goldap.ScopeBaseObject, filter: "(objectClass=*)", attrs: []string{"1.1"}}
		_, err := r.c.search(ctx, g.request(), &handler{
			entry:  func(*Entry) error { found = true; return nil },
			broken: func([]byte, string) error { found = true; return nil },
		})
		if _, answered := errors.AsType[*goldap.Error](err); err != nil && (!answered || r.c.conn.err() != nil) {
			return fmt.Errorf("look for the sentinel %s: %w", dn, err)
		}
		if !found {
			r.users.why = append(r.users.why, fmt.Sprintf("the sentinel %s is not to be seen: look whether it was renamed, and at the rights of the account", clip(dn, 200)))
		}
	}
	return nil
}
