package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// kindSCIM is the kind of a source that is pushed to.
const kindSCIM = "scim"

// Pushes knows what identity providers pushed of late.
type Pushes interface {
	// Requests returns the last requests to a source, the newest first.
	Requests(source identity.SourceID) []PushRequest
	// PlanUndo returns whom pushes have locked out since an instant, and the digest of
	// just that.
	PlanUndo(source identity.SourceID, since time.Time) (users []UndoUser, digest string, err error)
	// Undo returns the decisions that bring these users back, in their order.
	Undo(source identity.SourceID, since time.Time, digest string) ([]func(*state.Snapshot) ([]state.Change, error), error)
}

// noPushes is what is known of pushes where nobody pushes.
type noPushes struct{}

// Requests implements Pushes.
func (noPushes) Requests(identity.SourceID) []PushRequest { return nil }

// PlanUndo implements Pushes.
func (noPushes) PlanUndo(identity.SourceID, time.Time) ([]UndoUser, string, error) {
	return nil, "", errNoPushes()
}

// Undo implements Pushes.
func (noPushes) Undo(identity.SourceID, time.Time, string) ([]func(*state.Snapshot) ([]state.Change, error), error) {
	return nil, errNoPushes()
}

func errNoPushes() error {
	return fault.New(fault.NotFound, "source_not_found", "nobody pushes here")
}

// PushRequest is what an identity provider sent, what was made of it, and how it ended.
type PushRequest struct {
	Time      time.Time `json:"time"`
	RequestID string    `json:"requestId"`
	Token     string    `json:"token" doc:"Public id of the token"`
	Method    string    `json:"method"`
	Path      string    `json:"path" doc:"Below the source, without what the query says"`
	Status    int       `json:"status"`
	Error     string    `json:"error,omitzero"`
	Resource  string    `json:"resource,omitzero" doc:"Id of what was written or read"`
	Micros    int64     `json:"micros" doc:"How long it took, in microseconds"`
	Notes     []string  `json:"notes,omitempty" doc:"What was changed before it was carried out"`
	UserAgent string    `json:"userAgent,omitzero"`
}

// PushRequestList lists requests, the newest first.
type PushRequestList struct {
	Requests []PushRequest `json:"requests" doc:"At most the last 1000 to the replica that answers"`
}

// PushToken is a token that an identity provider pushes with, without its secret.
type PushToken struct {
	ID          string    `json:"id" doc:"The public part, after rcl_scim_"`
	Name        string    `json:"name"`
	CreatedBy   string    `json:"createdBy"`
	CreateTime  time.Time `json:"createTime"`
	ExpireTime  time.Time `json:"expireTime,omitzero" doc:"Nothing: never"`
	LastUseTime time.Time `json:"lastUseTime,omitzero" doc:"To the hour or so"`
	State       string    `json:"state" enum:"ACTIVE,EXPIRED"`
}

// PushTokenList lists tokens.
type PushTokenList struct {
	Tokens []PushToken `json:"tokens"`
}

// NewPushToken is a token to be made.
type NewPushToken struct {
	Name       string    `json:"name" minLength:"1" maxLength:"100" doc:"What it is for"`
	ExpireTime time.Time `json:"expireTime,omitzero" doc:"When it ends; default: never, since a provider stops when its token does"`
}

// CreatedPushToken is a token that was just made.
type CreatedPushToken struct {
	PushToken
	Secret string `json:"secret,omitzero" doc:"Shown this once: the whole token. Nothing on a dry run"`
}

// PushTokenPath names a token in a path.
type PushTokenPath struct {
	Token string `path:"token" maxLength:"64" doc:"The public id of a token"`
}

type (
	createPushTokenInput struct {
		SourcePath
		Trial
		Body NewPushToken
	}
	deletePushTokenInput struct {
		SourcePath
		PushTokenPath
		Trial
	}
	createPushTokenOutput struct{ Body CreatedPushToken }
	listPushTokensOutput  struct{ Body PushTokenList }
	listRequestsOutput    struct{ Body PushRequestList }
)

func (a *API) pushRoutes() {
	errs := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "createSourceToken", method: http.MethodPost, path: "/v1/sources/{source}/tokens", tag: "Sources", need: setup, status: http.StatusCreated, shownOnce: true,
		summary: "Make a token that an identity provider pushes with; the secret is shown once", errors: errs,
	}, a.createPushToken)
	register(a, operation{
		id: "listSourceTokens", method: http.MethodGet, path: "/v1/sources/{source}/tokens", tag: "Sources", need: sourceWork,
		summary: "List the tokens of a source, never with the secret", errors: errs,
	}, a.listPushTokens)
	register(a, operation{
		id: "deleteSourceToken", method: http.MethodDelete, path: "/v1/sources/{source}/tokens/{token}", tag: "Sources", need: setup,
		summary: "Revoke a token of a source at once", errors: errs,
	}, a.deletePushToken)
	a.unassignedRoutes()
	register(a, operation{
		id: "listSourceRequests", method: http.MethodGet, path: "/v1/sources/{source}/requests", tag: "Sources", need: sourceWork,
		summary: "List what an identity provider sent of late, what was made of it, and how it ended", errors: errs,
	}, func(_ context.Context, in *SourcePath) (*listRequestsOutput, error) {
		s, err := a.pushed(in.Source)
		if err != nil {
			return nil, err
		}
		return &listRequestsOutput{Body: PushRequestList{Requests: append([]PushRequest{}, a.pushes.Requests(s.ID)...)}}, nil
	})
}

// pushed returns a source that is pushed to.
func (a *API) pushed(id string) (Source, error) {
	s, err := a.source(id)
	if err == nil && s.Kind != kindSCIM {
		err = fault.New(fault.Conflict, "source_is_pulled", "source %s is read on a schedule: nobody pushes to it", s.ID)
	}
	return s, err
}

// pulled returns a source that is read.
func (a *API) pulled(id string) (Source, error) {
	s, err := a.source(id)
	if err == nil && s.Kind == kindSCIM {
		err = fault.New(fault.Conflict, "source_is_pushed", "source %s is pushed to by its identity provider: it has no runs; its requests are at /v1/sources/%s/requests", s.ID, s.ID)
	}
	return s, err
}

func (a *API) createPushToken(ctx context.Context, in *createPushTokenInput) (*createPushTokenOutput, error) {
	src, err := a.pushed(in.Source)
	if err != nil {
		return nil, err
	}
	n := in.Body
	if !n.ExpireTime.IsZero() && !n.ExpireTime.After(a.now()) {
		return nil, fault.New(fault.Invalid, "expired_already", "expireTime is in the past: such a token would never work")
	}
	if err := plainText("name", n.Name); err != nil {
		return nil, err
	}
	cred := access.New(access.KindPush)
	t := state.Token{
		ID: cred.ID(), Hash: cred.Hash(), Source: src.ID, Name: n.Name, By: actorOf(ctx).String(),
		Created: a.now().UTC().Truncate(time.Millisecond), Expires: n.ExpireTime.UTC(),
	}
	_, err = a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		if len(s.PushTokens(src.ID)) >= maxKeys {
			return nil, fault.New(fault.Conflict, "too_many_keys", "there are %d tokens already: revoke one that is no longer used", maxKeys)
		}
		return []state.Change{state.PutToken{Token: t}}, a.mayLetPush(ctx, s, src.ID)
	})
	if err != nil {
		return nil, err
	}
	out := &createPushTokenOutput{Body: CreatedPushToken{PushToken: a.pushTokenOf(&t)}}
	if !questionOf(ctx).dryRun {
		out.Body.Secret = cred.Reveal()
	}
	return out, nil
}

// mayLetPush refuses a token from one who may not confer what it could give: whoever
// has it decides who is in the groups of the source, and those carry grants.
func (a *API) mayLetPush(ctx context.Context, s *state.Snapshot, source identity.SourceID) error {
	caller := questionOf(ctx).caller
	w := permissions.Writer{User: caller.User, Limit: caller.Limit}
	return permissions.MayConfer(permissions.View{Members: s, Book: s.Book()}, w, a.now(), s.CarriedBy(source)...)
}

func (a *API) pushTokenOf(t *state.Token) PushToken {
	k := PushToken{ID: t.ID, Name: t.Name, CreatedBy: t.By, CreateTime: t.Created, ExpireTime: t.Expires, LastUseTime: t.Used, State: "ACTIVE"}
	if expired(t.Expires, a.now()) {
		k.State = "EXPIRED"
	}
	return k
}

func (a *API) listPushTokens(_ context.Context, in *SourcePath) (*listPushTokensOutput, error) {
	src, err := a.pushed(in.Source)
	if err != nil {
		return nil, err
	}
	out := &listPushTokensOutput{Body: PushTokenList{Tokens: []PushToken{}}}
	for _, t := range a.db.View().Now().PushTokens(src.ID) {
		out.Body.Tokens = append(out.Body.Tokens, a.pushTokenOf(&t))
	}
	return out, nil
}

func (a *API) deletePushToken(ctx context.Context, in *deletePushTokenInput) (*struct{}, error) {
	src, err := a.pushed(in.Source)
	if err != nil {
		return nil, err
	}
	_, err = a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		if t, ok := s.Token(in.Token); !ok || t.Source != src.ID {
			return nil, fault.New(fault.NotFound, "key_not_found", "there is no such token of this source")
		}
		return []state.Change{state.RemoveToken{ID: in.Token}}, nil
	})
	return nil, err
}

// pushSummary says where a source that is pushed to stands. It has no runs.
func (a *API) pushSummary(snap *state.Snapshot, s *Source, paused time.Time, out *SourceSummary) {
	out.Paused, out.Held = paused, a.heldRule(snap, s)
	for _, t := range snap.PushTokens(out.ID) {
		if t.Used.After(out.LastPush) {
			out.LastPush = t.Used
		}
	}
	if log := a.pushes.Requests(out.ID); len(log) > 0 && log[0].Time.After(out.LastPush) {
		out.LastPush = log[0].Time
	}
	switch {
	case !paused.IsZero():
		out.State = "paused"
	case out.Held != nil:
		out.State = "held"
	case out.LastPush.IsZero():
		out.State = "never_pushed"
	}
}
