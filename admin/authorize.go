package admin

import (
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// unknownKey is the one answer to a key that does not count, whatever the reason: it
// is unknown, revoked, expired, or its person is not active.
func unknownKey() error {
	return fault.New(fault.Unauthenticated, "unauthenticated", "the API key is unknown, revoked or expired, or its user is not active")
}

// authenticate returns who is asking. A key counts only while its person is active.
func (a *API) authenticate(ctx huma.Context) (access.Caller, error) {
	h := http.Header{}
	ctx.EachHeader(func(name, value string) {
		if strings.EqualFold(name, "Authorization") {
			h.Add(name, value)
		}
	})
	cred, err := access.FromHeader(h)
	if err != nil {
		return access.Caller{}, err
	}
	snap, now := a.db.View().Now(), a.now()
	token, known := snap.Token(cred.ID())
	if !cred.Matches(token.Hash) || !known || cred.Kind() != access.KindKey || expired(token.Expires, now) {
		return access.Caller{}, unknownKey()
	}
	who, ok := snap.Subject(token.User)
	if !ok || who.Inactive(now) != identity.Active {
		return access.Caller{}, unknownKey()
	}
	c := access.Caller{User: token.User, Kind: cred.Kind(), Token: cred.ID()}
	c.Name, c.Source = snap.Name(identity.UserMember(token.User))
	return c, nil
}

func expired(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// missing is the cause of a refusal: the caller holds none of these permissions.
type missing struct{ anyOf []permissions.Permission }

// Error names the permissions.
func (m *missing) Error() string {
	names := make([]string, len(m.anyOf))
	for i, p := range m.anyOf {
		names[i] = string(p)
	}
	if len(names) > 1 {
		return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
	}
	return strings.Join(names, "")
}

func (n *need) denied() error {
	return fault.New(fault.Denied, "permission_missing", "this needs %w; ask a user admin for it", &missing{n.anyOf})
}

// mayCall decides whether a caller may call an operation on the user that the path
// names. Who may only ask about himself is told the same about everybody else,
// whether they exist or not.
func (a *API) mayCall(n *need, c access.Caller, user string) error {
	snap := a.db.View().Now()
	if len(n.anyOf) == 0 || n.later || a.holds(snap, c, n.anyOf...) {
		return nil
	}
	if n.self && user != "" {
		if id, err := snap.OneUser(user); err == nil && id == c.User {
			return nil
		}
	}
	return n.denied()
}

// holds reports whether the caller effectively has one of the permissions.
func (a *API) holds(snap *state.Snapshot, c access.Caller, anyOf ...permissions.Permission) bool {
	now := a.now()
	for _, p := range anyOf {
		if snap.Book().Check(snap, permissions.Request{User: c.User, Permission: p, Now: now}).Allowed {
			return true
		}
	}
	return false
}
