package ldap

import (
	"context"
	"errors"
	"fmt"

	goldap "github.com/go-ldap/ldap/v3"
)

// attempts is how often a group that changes while it is read is read again.
const attempts = 3

// ranges reads the rest of the groups that the server gives in pieces.
func (r *reading) ranges(ctx context.Context) error {
	for i := range r.clans {
		g := &r.clans[i]
		if g.ranged.next == 0 {
			continue
		}
		if err := r.wholeRange(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) wholeRange(ctx context.Context, g *clan) error {
	switch {
	case g.unknown != "":
		return nil
	case g.ranged.next == noRange:
		g.unknown = "the server gives its members in pieces that cannot be told apart"
		return nil
	case g.stamp == "":
		g.unknown = "the server gives its members in pieces, and nothing shows whether it changed meanwhile: set groups.change_stamp"
		return nil
	}
	for try := range attempts {
		if try > 0 {
			g.back(g.before)
			g.ranged.next, g.stamp = 0, ""
		}
		same, err := r.pieces(ctx, g)
		if err != nil || same || g.unknown != "" {
			return err
		}
	}
	g.unknown = fmt.Sprintf("the group changed while its members were read in pieces, %d times in a row", attempts)
	return nil
}

// pieces reads range after range until the last. It reports false when the group
// changed meanwhile.
func (r *reading) pieces(ctx context.Context, g *clan) (same bool, err error) {
	h := &r.groups
	ms := h.m.memberSlot(g.ranged.slot)
	for from := g.ranged.next; ; {
		next, stamp, got := -1, "", false
		where := region{
			base: g.dn, scope: goldap.ScopeBaseObject, filter: "(objectClass=*)",
			attrs: []string{fmt.Sprintf("%s;range=%d-*", h.m.request[g.ranged.slot], from), h.m.request[h.m.stamp]},
		}
		_, err := r.c.search(ctx, where.request(), &handler{
			entry: func(e *Entry) error {
				h.m.load(e)
				got, stamp = true, string(h.m.stampValue())
				for _, s := range h.m.ranged {
					if s.slot == ms.slot {
						next = s.next
					}
				}
				if len(h.m.ranged) == 0 {
					next = 0 // all values at once, or no more
				}
				r.enroll(&g.roll, ms, h.m.values[ms.slot])
				return nil
			},
			broken: func(_ []byte, reason string) error {
				g.unknown = "a piece of its members " + reason
				return nil
			},
		})
		if le, ok := errors.AsType[*goldap.Error](err); ok && r.c.conn.err() == nil {
			g.unknown = fmt.Sprintf("the rest of its members could not be read: %v", le)
			return false, nil
		}
		switch {
		case err != nil:
			return false, err
		case g.unknown != "":
			return false, nil
		case !got:
			g.unknown = "the group went away while its members were read"
			return false, nil
		case g.stamp == "":
			g.stamp = stamp
		case stamp != g.stamp:
			return false, nil
		}
		if next == 0 {
			return true, nil
		}
		if next <= from { // or noRange
			g.unknown = fmt.Sprintf("the server gives no members after the first %d", from)
			return false, nil
		}
		from = next
	}
}
