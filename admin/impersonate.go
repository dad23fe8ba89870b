package admin

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

// A request with the header Rollcall-Impersonate is answered as the user it names would
// be: what he may decides, and a restriction of the key that is used holds on top of it.
// Nothing is changed that way, and whoever does it is audited as himself.
const (
	impersonateHeader = "Rollcall-Impersonate"
	maxImpersonate    = 512 // is more than any name of a user has
)

// impersonating is who may be answered as somebody else.
var impersonating = need{anyOf: []permissions.Permission{permissions.ImpersonateUser}}

// readsOnly reports whether an operation changes nothing, whatever its method is.
func (o *operation) readsOnly() bool { return o.method == http.MethodGet || o.decision }

// impersonated describes the header in the document.
func impersonated() *huma.Param {
	longest := maxImpersonate
	return &huma.Param{
		Name: impersonateHeader, In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &longest}, Example: "ann",
		Description: "Answers as this user would be answered: an id, a login name, or <source>/<login name>. It needs IMPERSONATE_USER, only reads, and is audited",
	}
}

// namesIn returns the values of the header. There being any asks for impersonation, so
// that an empty one is refused and not overlooked.
func namesIn(ctx huma.Context) []string {
	var values []string
	ctx.EachHeader(func(name, value string) {
		if strings.EqualFold(name, impersonateHeader) {
			values = append(values, value)
		}
	})
	return values
}

// answeredAs returns as whom a caller is answered: as himself unless he asks for somebody
// else. The caller's own request was counted before. With an error it returns the caller.
func (a *API) answeredAs(ctx huma.Context, o *operation, caller access.Caller) (access.Caller, error) {
	names := namesIn(ctx)
	if len(names) == 0 {
		return caller, nil
	}
	if len(names) > 1 || names[0] == "" || len(names[0]) > maxImpersonate {
		return caller, fault.New(fault.Invalid, "bad_impersonation", "%s names exactly one user, in at most %d bytes", impersonateHeader, maxImpersonate)
	}
	as, known := a.target(caller, names[0])
	err := a.mayImpersonate(o, caller, known)
	if err != nil {
		a.noteImpersonationRefused(ctx.Context(), o, as, err)
		return caller, err
	}
	a.noteImpersonation(ctx.Context(), as)
	return as, nil
}

// target returns a caller in the place of another, if exactly one active user has this
// name. Else it is the caller himself.
func (a *API) target(caller access.Caller, name string) (as access.Caller, known bool) {
	snap := a.db.View().Now()
	id, err := snap.OneUser(name)
	if err != nil {
		return caller, false
	}
	as, err = a.active(snap, access.Caller{User: id, Kind: caller.Kind, Token: caller.Token, Limit: caller.Limit, By: &caller}, a.now())
	if err != nil {
		return caller, false
	}
	return as, true
}

// mayImpersonate refuses whoever may not impersonate before it tells anything about whom
// he named, and says the same of who is unknown and of who is not active.
func (a *API) mayImpersonate(o *operation, caller access.Caller, known bool) error {
	switch {
	case !a.holds(a.db.View().Now(), caller, impersonating.anyOf...):
		return impersonating.denied()
	case !o.readsOnly():
		return readsOnlyAsAnother()
	case !known:
		return fault.New(fault.Denied, "impersonation_refused", "there is no active user of the name in %s, or there are several: use an id", impersonateHeader)
	}
	return nil
}

func readsOnlyAsAnother() error {
	return fault.New(fault.Denied, "impersonation_read_only", "as another user one only reads: leave out %s to change something", impersonateHeader)
}

// noteImpersonation audits that somebody was answered as another: one entry a minute for
// both, with how often it was.
func (a *API) noteImpersonation(ctx context.Context, as access.Caller) {
	e := audit.Event{Action: audit.Impersonated, Target: userTarget(as.User), Name: as.Name}
	a.note(ctx, occasion{as.By.User, e.Target, e.Action}, occurred{actor: as.Actor(questionOf(ctx).request), event: e, pause: refusalPause})
}

// noteImpersonationRefused audits that somebody known asked to be answered as another and
// was not. Whom he named is in it if there is exactly one: what was sent is not written.
func (a *API) noteImpersonationRefused(ctx context.Context, o *operation, as access.Caller, err error) {
	e := audit.Event{Action: audit.Denied, Target: "operation/" + o.id, Name: o.method + " " + o.path, Reason: a.problem(ctx, err).Code}
	e.Changes = asAnother(as, e.Changes)
	of := occasion{as.Real().User, o.id + " as " + as.User.String(), e.Action}
	a.note(ctx, of, occurred{actor: as.Actor(questionOf(ctx).request), event: e, pause: refusalPause})
}

// asAnother adds to an event as whom it happened, when it was not the caller himself.
func asAnother(c access.Caller, to []audit.Change) []audit.Change {
	if c.By == nil {
		return to
	}
	return append(to, audit.Change{Field: "as", After: []string{userTarget(c.User)}})
}

func userTarget(id identity.UserID) string { return "user/" + id.String() }
