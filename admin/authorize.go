package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
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

// authenticate returns who is asking, and counts the request against the limits. What
// is presented counts only while the person it stands for is active.
func (a *API) authenticate(ctx huma.Context) (access.Caller, error) {
	h := http.Header{}
	ctx.EachHeader(func(name, value string) {
		if strings.EqualFold(name, "Authorization") {
			h.Add(name, value)
		}
	})
	c, err := a.identify(ctx.Context(), h)
	switch {
	case err == nil:
		err = a.limits.Request(c)
	case errors.Is(err, fault.Unauthenticated) && len(h) > 0:
		if often := a.limits.Failure(ctx.RemoteAddr()); often != nil {
			err = often
		}
	}
	if err != nil {
		return access.Caller{}, err
	}
	return c, nil
}

// identify returns whose credential or signed token a request presents.
func (a *API) identify(ctx context.Context, h http.Header) (access.Caller, error) {
	text, err := access.Bearer(h)
	if err != nil {
		return access.Caller{}, err
	}
	if a.tokens != nil && access.Signed(text) {
		return a.identifySigned(ctx, text)
	}
	cred, err := access.Parse(text)
	if err != nil {
		return access.Caller{}, err
	}
	snap, now := a.db.View().Now(), a.now()
	token, known := snap.Token(cred.ID())
	if !cred.Matches(token.Hash) || !known || !forCalls(cred.Kind()) || expired(token.Expires, now) {
		return access.Caller{}, unknownKey()
	}
	c, err := a.active(snap, access.Caller{User: token.User, Kind: cred.Kind(), Token: cred.ID(), Limit: token.Permissions}, now)
	if err == nil {
		a.used.note(ctx, a, &token, now)
	}
	return c, err
}

// identifySigned returns whom a token of an identity provider names. It says the same
// of who is unknown and of who is not active: a token shows who somebody is elsewhere.
func (a *API) identifySigned(ctx context.Context, raw string) (access.Caller, error) {
	claims, err := a.tokens.Verify(ctx, raw)
	if err != nil {
		return access.Caller{}, err
	}
	snap := a.db.View().Now()
	// The text may be a name in another source as well, or an id. A service is no person
	// that could sign in: somebody with its name elsewhere is not it.
	for _, id := range snap.FindUsers(string(claims.Source) + "/" + claims.Name) {
		u, _, ok := snap.User(id)
		if ok && !isService(u) && u.Record.Source == claims.Source && identity.FoldName(u.Record.Name) == identity.FoldName(claims.Name) {
			return a.active(snap, access.Caller{User: id, Kind: access.KindSigned}, a.now())
		}
	}
	return access.Caller{}, unknownKey()
}

// active completes a caller who is active.
func (a *API) active(snap *state.Snapshot, c access.Caller, now time.Time) (access.Caller, error) {
	who, ok := snap.Subject(c.User)
	if !ok || who.Inactive(now) != identity.Active {
		return access.Caller{}, unknownKey()
	}
	c.Name, c.Source = snap.Name(identity.UserMember(c.User))
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

// holds reports whether the caller effectively has one of the permissions, and may use
// it with the key that he presents.
func (a *API) holds(snap *state.Snapshot, c access.Caller, anyOf ...permissions.Permission) bool {
	now := a.now()
	for _, p := range anyOf {
		if len(c.Limit) > 0 && !slices.Contains(c.Limit, p) {
			continue
		}
		if snap.Book().Check(snap, permissions.Request{User: c.User, Permission: p, Now: now}).Allowed {
			return true
		}
	}
	return false
}
