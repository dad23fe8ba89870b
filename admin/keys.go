package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// The lives of keys, and how many of them one user or service may have.
const (
	keyLife    = 90 * 24 * time.Hour
	maxKeyLife = 365 * 24 * time.Hour
	maxKeys    = 20
)

// Key is an API key, without its secret.
type Key struct {
	ID          string                   `json:"id" doc:"The public part, after rcl_pat_ or rcl_app_"`
	Name        string                   `json:"name"`
	Permissions []permissions.Permission `json:"permissions,omitempty" doc:"All that it may be used for, as long as its owner holds it; it never grows. Nothing: see follows"`
	Follows     bool                     `json:"follows" doc:"It may be used for whatever its owner holds at the time, what he is granted later too; false: only for permissions"`
	CreatedBy   string                   `json:"createdBy"`
	CreateTime  time.Time                `json:"createTime"`
	ExpireTime  time.Time                `json:"expireTime,omitzero" doc:"Nothing: never"`
	LastUseTime time.Time                `json:"lastUseTime,omitzero" doc:"To the hour or so"`
	State       string                   `json:"state" enum:"ACTIVE,EXPIRED"`
}

// KeyList lists keys.
type KeyList struct {
	Keys []Key `json:"keys"`
}

// NewKey is a key to be made.
type NewKey struct {
	Name        string                   `json:"name" minLength:"1" maxLength:"100" doc:"What it is for"`
	ExpireTime  time.Time                `json:"expireTime,omitzero" doc:"When it ends; default: in 90 days, at most in a year"`
	Permissions []permissions.Permission `json:"permissions,omitempty" minItems:"1" maxItems:"50" doc:"All that it may be used for, for as long as it lives; default: whatever its owner holds at the time, what he is granted later too"`
}

// CreatedKey is a key that was just made.
type CreatedKey struct {
	Key
	Secret string `json:"secret,omitzero" doc:"Shown this once: the whole key. Nothing on a dry run"`
}

type createKeyInput struct {
	Trial
	Body NewKey
}

type createKeyOutput struct{ Body CreatedKey }

type listKeysOutput struct{ Body KeyList }

// KeyPath names an API key in a path.
type KeyPath struct {
	APIKey string `path:"apiKey" maxLength:"64" doc:"The public id of a key"`
}

type deleteUserKeyInput struct {
	UserPath
	KeyPath
	Trial
}

type createServiceKeyInput struct {
	ServicePath
	Trial
	Body NewKey
}

type deleteServiceKeyInput struct {
	ServicePath
	KeyPath
	Trial
}

// Rotation says how long the old key lives on.
type Rotation struct {
	GraceHours *int `json:"graceHours,omitzero" minimum:"0" maximum:"168" doc:"Default: 24. 0 ends the old key at once"`
}

type rotateKeyInput struct {
	ServicePath
	KeyPath
	Trial
	Body Rotation
}

func (a *API) keyRoutes() {
	errs := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "createKey", method: http.MethodPost, path: "/v1/me/keys", tag: "Keys", need: anybody, status: http.StatusCreated, shownOnce: true,
		summary: "Make an API key for oneself; the secret is shown once", errors: []int{http.StatusForbidden, http.StatusNotFound, http.StatusConflict},
	}, a.createKey)
	register(a, operation{
		id: "listKeys", method: http.MethodGet, path: "/v1/users/{user}/keys", tag: "Keys", need: readSelf,
		summary: "List the API keys of a user, never with the secret", errors: errs,
	}, func(_ context.Context, in *UserPath) (*listKeysOutput, error) {
		snap := a.db.View().Now()
		id, err := snap.OneUser(in.User)
		if err != nil {
			return nil, err
		}
		return &listKeysOutput{Body: KeyList{Keys: a.keysOf(snap, id)}}, nil
	})
	register(a, operation{
		id: "deleteKey", method: http.MethodDelete, path: "/v1/users/{user}/keys/{apiKey}", tag: "Keys",
		need:    need{anyOf: userWork.anyOf, self: true},
		summary: "Revoke an API key at once", errors: errs,
	}, func(ctx context.Context, in *deleteUserKeyInput) (*struct{}, error) {
		return nil, a.revokeKey(ctx, in.APIKey, func(s *state.Snapshot) (identity.UserID, error) { return s.OneUser(in.User) })
	})
}

func (a *API) serviceKeyRoutes(errs []int) {
	register(a, operation{
		id: "createServiceKey", method: http.MethodPost, path: "/v1/services/{service}/keys", tag: "Services", need: setup, status: http.StatusCreated, shownOnce: true,
		summary: "Make a key for a service; the secret is shown once", errors: errs,
	}, a.createServiceKey)
	register(a, operation{
		id: "deleteServiceKey", method: http.MethodDelete, path: "/v1/services/{service}/keys/{apiKey}", tag: "Services", need: setup,
		summary: "Revoke a key of a service at once", errors: errs,
	}, func(ctx context.Context, in *deleteServiceKeyInput) (*struct{}, error) {
		return nil, a.revokeKey(ctx, in.APIKey, func(s *state.Snapshot) (identity.UserID, error) {
			u, err := findService(s, in.Service)
			if err != nil {
				return identity.UserID{}, err
			}
			return u.ID, nil
		})
	})
	register(a, operation{
		id: "rotateServiceKey", method: http.MethodPost, path: "/v1/services/{service}/keys/{apiKey}/rotation", tag: "Services", need: setup,
		status: http.StatusCreated, noBody: true, shownOnce: true,
		summary: "Make a key like an old one, which lives on for a while", errors: errs,
	}, a.rotateKey)
}

func (a *API) keysOf(s *state.Snapshot, id identity.UserID) []Key {
	out := []Key{}
	for _, t := range s.Tokens(id) {
		out = append(out, a.keyOf(&t))
	}
	slices.SortFunc(out, func(x, y Key) int { return cmp.Or(x.CreateTime.Compare(y.CreateTime), cmp.Compare(x.ID, y.ID)) })
	return out
}

func (a *API) keyOf(t *state.Token) Key {
	k := Key{
		ID: t.ID, Name: t.Name, Permissions: t.Permissions, Follows: len(t.Permissions) == 0, CreatedBy: t.By, CreateTime: t.Created, ExpireTime: t.Expires,
		LastUseTime: t.Used, State: "ACTIVE",
	}
	if expired(t.Expires, a.now()) {
		k.State = "EXPIRED"
	}
	return k
}

// validKey fills in what was left out and refuses what no key may be.
func (a *API) validKey(n *NewKey) error {
	now := a.now().UTC().Truncate(time.Second)
	switch {
	case n.ExpireTime.IsZero():
		n.ExpireTime = now.Add(keyLife)
	case !n.ExpireTime.After(now):
		return fault.New(fault.Invalid, "expired_already", "expireTime is in the past: such a key would never work")
	case n.ExpireTime.After(now.Add(maxKeyLife)):
		return fault.New(fault.Invalid, "expires_too_late", "a key lives for at most 365 days: choose an earlier expireTime and replace it then")
	}
	return plainText("name", n.Name)
}

// issue makes a token for a user of whom there are not too many already.
func (a *API) issue(s *state.Snapshot, of identity.UserID, n *NewKey, cred *access.Credential, by string) (state.Token, error) {
	for _, p := range n.Permissions {
		if _, err := knownPermission(s, string(p)); err != nil {
			return state.Token{}, err
		}
	}
	live := 0
	for _, t := range s.Tokens(of) {
		if !expired(t.Expires, a.now()) {
			live++
		}
	}
	if live >= maxKeys {
		return state.Token{}, fault.New(fault.Conflict, "too_many_keys", "there are %d keys already: revoke one that is no longer used", live)
	}
	perms := slices.Clone(n.Permissions)
	slices.Sort(perms)
	return state.Token{
		ID: cred.ID(), Hash: cred.Hash(), User: of, Name: n.Name, By: by, Created: a.now().UTC().Truncate(time.Millisecond),
		Expires: n.ExpireTime.UTC(), Permissions: slices.Compact(perms),
	}, nil
}

// created shows a key, with its secret when it really is there.
func (a *API) created(ctx context.Context, t *state.Token, cred *access.Credential) *createKeyOutput {
	out := &createKeyOutput{Body: CreatedKey{Key: a.keyOf(t)}}
	if !questionOf(ctx).dryRun {
		out.Body.Secret = cred.Reveal()
	}
	return out
}

// createKey makes a key for the caller. A restricted key makes only keys that are
// restricted at least as much, or its restriction would be worth nothing.
func (a *API) createKey(ctx context.Context, in *createKeyInput) (*createKeyOutput, error) {
	if err := a.validKey(&in.Body); err != nil {
		return nil, err
	}
	caller := questionOf(ctx).caller
	if caller.Kind == access.KindService {
		return nil, fault.New(fault.Denied, "service_keys", "the keys of a service are made by an application administrator")
	}
	if limit := caller.Limit; len(limit) > 0 {
		if len(in.Body.Permissions) == 0 {
			in.Body.Permissions = slices.Clone(limit)
		}
		for _, p := range in.Body.Permissions {
			if !slices.Contains(limit, p) {
				return nil, fault.New(fault.Denied, "beyond_key", "the key that you use may not be used for %s, so it makes no key that may", p)
			}
		}
	}
	cred := access.New(access.KindKey)
	var t state.Token
	_, err := a.decide(ctx, func(s *state.Snapshot) (cs []state.Change, err error) {
		if t, err = a.issue(s, caller.User, &in.Body, &cred, actorOf(ctx).String()); err != nil {
			return nil, err
		}
		return []state.Change{state.PutToken{Token: t}}, nil
	})
	if err != nil {
		return nil, err
	}
	return a.created(ctx, &t, &cred), nil
}

// mayActAs refuses a key for a service that may do here what the caller may not: whoever
// has the key acts as the service.
func (a *API) mayActAs(ctx context.Context, s *state.Snapshot, service identity.UserID, limit []permissions.Permission) error {
	caller := questionOf(ctx).caller
	e := s.Book().Effective(s, service, a.now())
	for _, p := range e.Permissions() {
		entry, _ := s.Book().Lookup(p)
		if len(limit) > 0 && !slices.Contains(limit, p) || entry.EnforcedBy != permissions.EnforcedByRollcall {
			continue
		}
		if !a.holds(s, caller, p) {
			return fault.New(fault.Denied, "grant_not_allowed",
				"the service holds %s, which you do not: whoever has a key of it acts with that, so ask one who holds %s, or restrict the key to other permissions", p, p)
		}
	}
	return nil
}

func (a *API) createServiceKey(ctx context.Context, in *createServiceKeyInput) (*createKeyOutput, error) {
	if err := a.validKey(&in.Body); err != nil {
		return nil, err
	}
	cred := access.New(access.KindService)
	var t state.Token
	_, err := a.decide(ctx, func(s *state.Snapshot) (cs []state.Change, err error) {
		u, err := findService(s, in.Service)
		if err != nil {
			return nil, err
		}
		if err := a.mayActAs(ctx, s, u.ID, in.Body.Permissions); err != nil {
			return nil, err
		}
		if t, err = a.issue(s, u.ID, &in.Body, &cred, actorOf(ctx).String()); err != nil {
			return nil, err
		}
		return []state.Change{state.PutToken{Token: t}}, nil
	})
	if err != nil {
		return nil, err
	}
	return a.created(ctx, &t, &cred), nil
}

func keyOfUser(s *state.Snapshot, of identity.UserID, id string) (state.Token, error) {
	t, ok := s.Token(id)
	if !ok || t.User != of || of.IsZero() {
		return t, fault.New(fault.NotFound, "key_not_found", "there is no such key of this user or service")
	}
	return t, nil
}

func (a *API) revokeKey(ctx context.Context, key string, of func(*state.Snapshot) (identity.UserID, error)) error {
	_, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		id, err := of(s)
		if err != nil {
			return nil, err
		}
		if _, err := keyOfUser(s, id, key); err != nil {
			return nil, err
		}
		return []state.Change{state.RemoveToken{ID: key}}, nil
	})
	return err
}

// defaultGrace is how long an old key lives on beside the one that replaces it.
const defaultGrace = 24

func (a *API) rotateKey(ctx context.Context, in *rotateKeyInput) (*createKeyOutput, error) {
	grace := defaultGrace
	if in.Body.GraceHours != nil {
		grace = *in.Body.GraceHours
	}
	cred := access.New(access.KindService)
	var t state.Token
	_, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		u, err := findService(s, in.Service)
		if err != nil {
			return nil, err
		}
		old, err := keyOfUser(s, u.ID, in.APIKey)
		if err != nil {
			return nil, err
		}
		if err := a.mayActAs(ctx, s, u.ID, old.Permissions); err != nil {
			return nil, err
		}
		now := a.now().UTC().Truncate(time.Second)
		if expired(old.Expires, now) {
			return nil, fault.New(fault.Conflict, "key_expired", "this key has ended: make a new one")
		}
		n := NewKey{Name: old.Name, Permissions: old.Permissions, ExpireTime: now.Add(keyLife)}
		if t, err = a.issue(s, u.ID, &n, &cred, actorOf(ctx).String()); err != nil {
			return nil, err
		}
		return append(ending(&old, now, grace), state.PutToken{Token: t}), nil
	})
	if err != nil {
		return nil, err
	}
	return a.created(ctx, &t, &cred), nil
}

// ending ends the old key after the grace, unless it ends earlier anyway.
func ending(old *state.Token, now time.Time, hours int) []state.Change {
	end := now.Add(time.Duration(hours) * time.Hour)
	switch {
	case hours == 0:
		return []state.Change{state.RemoveToken{ID: old.ID}}
	case !old.Expires.IsZero() && !old.Expires.After(end):
		return nil
	}
	return []state.Change{state.EndToken{ID: old.ID, At: end, Reason: fmt.Sprintf("replaced; it works for %d more hours", hours)}}
}
