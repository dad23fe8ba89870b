package app

import (
	"net/http"
	"strings"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim"
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

// ServeHTTP gives a request to the SCIM endpoint or to the admin API.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, scim.Prefix) {
		a.pushes.ServeHTTP(w, r)
		return
	}
	a.api.ServeHTTP(w, r)
}
