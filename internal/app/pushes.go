package app

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// pushes is the SCIM endpoint as the admin API wants it: neither knows the other.
type pushes struct{ app *App }

var _ admin.Pushes = pushes{}

// Requests implements admin.Pushes.
func (p pushes) Requests(source identity.SourceID) []admin.PushRequest {
	all, _ := p.app.pushes.Requests(source)
	list := make([]admin.PushRequest, len(all))
	for i, r := range all {
		list[i] = admin.PushRequest{
			Time: r.Time, RequestID: r.Request, Token: r.Token, Method: r.Method, Path: r.Path, Status: r.Status, Error: r.Error,
			Resource: r.Resource, Micros: r.Took.Microseconds(), Notes: r.Notes, UserAgent: r.Agent,
		}
	}
	return list
}

// PlanUndo implements admin.Pushes.
func (p pushes) PlanUndo(source identity.SourceID, since time.Time) ([]admin.UndoUser, string, error) {
	plan, err := p.app.pushes.PlanUndo(source, since)
	if err != nil {
		return nil, "", err
	}
	users := make([]admin.UndoUser, len(plan.Users))
	for i, u := range plan.Users {
		id, _ := u.Member.User()
		users[i] = admin.UndoUser{ID: id, UserName: u.Name, Time: u.At, Gone: u.Gone}
	}
	return users, plan.Digest, nil
}

// Undo implements admin.Pushes.
func (p pushes) Undo(source identity.SourceID, since time.Time, digest string) ([]func(*state.Snapshot) ([]state.Change, error), error) {
	return p.app.pushes.StepsUndo(source, since, digest)
}

// followRules tries the rules by which pushed records join users again. The runner begins
// when there is an endpoint.
func (a *App) followRules(ctx context.Context, term store.Cond) error {
	return a.pushes.FollowRules(ctx, term)
}

// ServeHTTP gives a request to the SCIM endpoint or to the admin API.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, scim.Prefix) {
		a.storms.asked.Add(1)
		a.pushes.ServeHTTP(w, r)
		return
	}
	a.api.ServeHTTP(w, r)
}
