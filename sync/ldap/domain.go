package ldap

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"
)

// A domain controller counts its changes by itself, and stamps objects with that
// count. So a position names the controller, the life of its database, and the count;
// a database that was restored has another life, or a count that fell back.

// controller is which database a position was taken from.
type controller struct {
	server     string // dsServiceName
	invocation string // the life of the database, in hexadecimal
	usn        uint64 // highestCommittedUSN, from before anything was read
}

// domainPosition is a [position] in Active Directory, decoded.
type domainPosition struct {
	controller
	secured bool     // LDAP_DIRSYNC_OBJECT_SECURITY is what the account may use
	blind   bool     // the account does not see deleted objects
	cookies [][]byte // of each naming context
}

const (
	wordSecured = "secured"
	wordBlind   = "blind"
)

func (p *domainPosition) encode() position {
	var words []string
	if p.secured {
		words = append(words, wordSecured)
	}
	if p.blind {
		words = append(words, wordBlind)
	}
	out := position{p.server, p.invocation, strconv.FormatUint(p.usn, 10), strings.Join(words, " ")}
	for _, c := range p.cookies {
		out = append(out, hex.EncodeToString(c))
	}
	return out
}

// isBlind reports whether a position is of an account that does not see deleted objects.
func isBlind(at position) bool {
	p, err := decodeDomainPosition(at)
	return err == nil && p.blind
}

var errPosition = errors.New("the cursor is not of this way of reading changes")

func decodeDomainPosition(at position) (*domainPosition, error) {
	const fixed = 4
	if len(at) < fixed {
		return nil, errPosition
	}
	usn, err := strconv.ParseUint(at[2], 10, 64)
	if err != nil {
		return nil, errPosition
	}
	p := &domainPosition{controller: controller{at[0], at[1], usn}}
	words := strings.Fields(at[3])
	p.secured, p.blind = slices.Contains(words, wordSecured), slices.Contains(words, wordBlind)
	for _, text := range at[fixed:] {
		c, err := hex.DecodeString(text)
		if err != nil {
			return nil, errPosition
		}
		p.cookies = append(p.cookies, c)
	}
	return p, nil
}

// fitsDomain says why the changes of this configuration cannot be read from Active
// Directory, if they cannot: objects are named by objectGUID in its account of them.
func (r *reading) fitsDomain() error {
	for _, h := range []*half{&r.users, &r.groups} {
		if len(h.where.Bases) > 0 && !strings.EqualFold(h.where.Key, "objectGUID") {
			return fmt.Errorf("entries are told apart by %s, and the domain names them by objectGUID", h.where.Key)
		}
	}
	if r.names != nil {
		return errors.New("groups list members by name, and the domain tells of members that are objects")
	}
	if len(r.contexts()) == 0 {
		return errors.New("none of the bases lies in a naming context of this server")
	}
	return nil
}

// controller returns which database answers.
func (r *reading) controller(ctx context.Context) (controller, error) {
	at := controller{server: r.c.root.service, usn: r.c.root.usn}
	if at.server == "" || at.usn == 0 {
		return at, errors.New("the root entry does not name the controller and its count of changes (dsServiceName, highestCommittedUSN)")
	}
	g := region{base: at.server, scope: goldap.ScopeBaseObject, filter: "(objectClass=*)", attrs: []string{"invocationId"}}
	_, err := r.c.search(ctx, g.request(), &handler{
		entry: func(e *Entry) error {
			at.invocation = hex.EncodeToString(e.First("invocationId"))
			return nil
		},
		broken: func([]byte, string) error { return nil },
	})
	if _, answered := errors.AsType[*goldap.Error](err); err != nil && (!answered || r.c.conn.err() != nil) {
		return at, fmt.Errorf("read %s: %w", at.server, err)
	}
	if at.invocation == "" {
		return at, fmt.Errorf("the account may not read which life of its database the controller is in: let it read invocationId of %s", at.server)
	}
	return at, nil
}

// follows says why changes since a position cannot be told by the controller that
// answers now, if they cannot. With pinned, another controller cannot at all.
func (c *controller) follows(was *controller, pinned bool) string {
	switch {
	case c.server == was.server && c.invocation != was.invocation:
		return "the database of the domain controller was restored, or made anew"
	case c.invocation == was.invocation && c.usn < was.usn:
		return fmt.Sprintf("the domain controller counts %d changes, and counted %d before: its database was put back", c.usn, was.usn)
	case c.invocation != was.invocation && pinned:
		return "another domain controller answers, which counts its changes by itself"
	}
	return ""
}

// sameStamps makes of a proof a full read where the change stamps that are known are
// not those of the controller that answers now.
func (r *reading) sameStamps(now, was *controller) error {
	if now.invocation == was.invocation {
		return nil
	}
	r.base.stamped = false
	if r.out.Reach.Everything() {
		return readAll("another domain controller answers, whose change stamps are its own")
	}
	r.note("another domain controller answers than the one that was read before")
	return nil
}

// refusal is what a server answered, where it answered.
func (r *reading) refusal(err error) (*goldap.Error, bool) {
	le, ok := errors.AsType[*goldap.Error](err)
	return le, ok && r.c.conn.err() == nil
}

// seesNoDeleted reports whether CN=Deleted Objects is hidden from the account in one of
// the naming contexts.
func (r *reading) seesNoDeleted(ctx context.Context) (bool, error) {
	for _, base := range r.contexts() {
		found := false
		g := region{
			base: base, scope: goldap.ScopeSingleLevel, filter: "(&(isDeleted=TRUE)(cn=Deleted Objects))",
			attrs: []string{"isDeleted"}, with: []goldap.Control{goldap.NewControlString(oidShowDeleted, true, "")},
		}
		_, err := r.c.search(ctx, g.request(), &handler{
			entry:  func(*Entry) error { found = true; return nil },
			broken: func([]byte, string) error { return nil },
		})
		if _, answered := r.refusal(err); err != nil && !answered {
			return false, fmt.Errorf("look for deleted objects below %s: %w", base, err)
		}
		if !found {
			return true, nil
		}
	}
	return false, nil
}
