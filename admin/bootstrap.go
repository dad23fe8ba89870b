package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// bootstrapID is where the hash of the bootstrap token is kept. No public id of a
// credential has this length.
const bootstrapID = "bootstrap"

// bootstrapLife is how long a bootstrap token works.
const bootstrapLife = 24 * time.Hour

// Bootstrap makes the first administrator.
type Bootstrap struct {
	Token string `json:"token" minLength:"1" maxLength:"200" doc:"What the first start printed: rcl_boot_..."`
	NewUser
}

// Bootstrapped is the first administrator and his API key.
type Bootstrapped struct {
	User        UserSummary              `json:"user"`
	APIKey      string                   `json:"apiKey,omitzero" doc:"Shown this once: the whole key. Nothing on a dry run"`
	APIKeyID    string                   `json:"apiKeyId"`
	Permissions []permissions.Permission `json:"permissions"`
}

type bootstrapInput struct {
	Trial
	Body Bootstrap
}

type bootstrapOutput struct{ Body Bootstrapped }

func (a *API) bootstrapRoutes() {
	register(a, operation{
		id: "bootstrap", method: http.MethodPost, path: "/v1/bootstrap", tag: "Bootstrap", need: nobody, status: http.StatusCreated,
		summary: "Make the first administrator with the token that the first start printed; it works once",
		errors:  []int{http.StatusForbidden, http.StatusConflict},
	}, a.bootstrap)
}

// EnsureBootstrap makes a bootstrap token when there is neither one that still works
// nor a local administrator, and returns it: the only time that it can be seen.
func (a *API) EnsureBootstrap(ctx context.Context) (token config.Secret, created bool, err error) {
	cred := access.New(access.KindBootstrap)
	_, err = a.db.Decide(ctx, systemActor, func(s *state.Snapshot) ([]state.Change, error) {
		created = false
		now := a.now()
		old, ok := s.Token(bootstrapID)
		if ok && !expired(old.Expires, now) || hasAdministrator(s, identity.UserID{}, now) {
			return nil, nil
		}
		created = true
		var cs []state.Change
		if ok {
			cs = append(cs, state.RemoveToken{ID: bootstrapID})
		}
		return append(cs, state.PutToken{Token: state.Token{
			ID: bootstrapID, Hash: cred.Hash(), Name: "bootstrap", By: systemActor.String(), Created: now, Expires: now.Add(bootstrapLife),
		}}), nil
	})
	if err != nil || !created {
		return config.Secret{}, false, err
	}
	return cred.Secret(), true, nil
}

// systemActor acts where no person does.
var systemActor = audit.Actor{Kind: audit.ActorSystem, ID: "bootstrap", Name: "bootstrap"}

// wrongToken is the one answer to a token that does not count.
func wrongToken() error {
	return fault.New(fault.Unauthenticated, "bad_bootstrap_token",
		"the bootstrap token is wrong, older than 24 hours, or was used: it works once; start Rollcall again to get another one, if it has no administrator yet")
}

// bootstrap makes the administrator, his grants and his key, and ends the token, all
// in one transaction: of two at once, one is decided again and finds no token.
func (a *API) bootstrap(ctx context.Context, in *bootstrapInput) (*bootstrapOutput, error) {
	cred, err := access.Parse(in.Body.Token)
	if err != nil || cred.Kind() != access.KindBootstrap {
		return nil, wrongToken()
	}
	id := identity.NewUserID()
	record, err := in.Body.record(id)
	if err != nil {
		return nil, err
	}
	key := access.New(access.KindKey)
	by := systemActor
	by.Request = questionOf(ctx).request
	snap, err := a.decideBy(ctx, by, func(s *state.Snapshot) ([]state.Change, error) {
		token, ok := s.Token(bootstrapID)
		if !cred.Matches(token.Hash) || !ok || expired(token.Expires, a.now()) {
			return nil, wrongToken()
		}
		return a.firstAdministrator(id, record, &key, by), nil
	})
	if err != nil {
		return nil, err
	}
	now := a.now()
	u, _, ok := snap.User(id)
	if !ok {
		return nil, fault.New(fault.Unavailable, "not_visible_yet", "the administrator was made and cannot be shown yet")
	}
	e := snap.Book().Effective(snap, id, now)
	out := &bootstrapOutput{Body: Bootstrapped{User: summaryOf(u, u.Status(now)), APIKeyID: key.ID(), Permissions: e.Permissions()}}
	if !questionOf(ctx).dryRun {
		out.Body.APIKey = key.Reveal()
	}
	return out, nil
}

func (a *API) firstAdministrator(id identity.UserID, r *identity.Record, key *access.Credential, by audit.Actor) []state.Change {
	now := a.now().UTC().Truncate(time.Millisecond)
	m := identity.UserMember(id)
	cs := []state.Change{state.RemoveToken{ID: bootstrapID}, state.Create{Member: m, Record: r}}
	for _, p := range []permissions.Permission{permissions.ApplicationAdmin, permissions.UserAdmin} {
		cs = append(cs, state.PutGrant{Grant: permissions.Grant{
			ID: newGrantID(), Permission: p, Subject: m, By: by.String(), At: now,
			Reason: "first administrator", Origin: identity.OriginBootstrap,
		}})
	}
	return append(cs, state.PutToken{Token: state.Token{
		ID: key.ID(), Hash: key.Hash(), User: id, Name: "first key of " + r.Name, By: by.String(), Created: now,
	}})
}
