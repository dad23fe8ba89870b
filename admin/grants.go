package admin

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// GrantRequest is how a permission is given.
type GrantRequest struct {
	Reason     string    `json:"reason,omitzero" maxLength:"500" doc:"Why, for whoever asks later: a ticket, a decision"`
	ExpireTime time.Time `json:"expireTime,omitzero" doc:"When it ends by itself; nothing: never"`
	// AcknowledgeDirectory is for a group that a source owns.
	AcknowledgeDirectory bool `json:"acknowledgeDirectory,omitzero" doc:"Needed for a group of a source: you know that its directory decides who is in it, and so who gets the permission"`
}

type putUserGrantInput struct {
	Trial
	UserPath
	PermissionPath
	Body GrantRequest
}

type putGroupGrantInput struct {
	Trial
	GroupPath
	PermissionPath
	Body GrantRequest
}

type putGrantOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     Grant
}

type deleteUserGrantInput struct {
	Trial
	UserPath
	PermissionPath
	Revocation
}

type deleteGroupGrantInput struct {
	Trial
	GroupPath
	PermissionPath
	Revocation
}

// Revocation is why a grant is taken away.
type Revocation struct {
	Reason string `query:"reason" maxLength:"500" doc:"Why, for the audit log"`
}

// GrantPage is a page of grants.
type GrantPage struct {
	Grants        []Grant        `json:"grants"`
	NextPageToken string         `json:"nextPageToken" doc:"Empty after the last page"`
	Revision      store.Revision `json:"revision"`
}

type listGrantsInput struct {
	PageQuery
	User       string `query:"user" maxLength:"400" doc:"Only grants to this user himself"`
	Group      string `query:"group" maxLength:"400" doc:"Only grants to this group itself"`
	Permission string `query:"permission" maxLength:"64"`
}

type listGrantsOutput struct{ Body GrantPage }

type getGrantInput struct {
	Grant string `path:"grant" maxLength:"36"`
}

type getGrantOutput struct{ Body Grant }

func (a *API) grantRoutes() {
	put := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "putUserGrant", method: http.MethodPut, path: "/v1/users/{user}/grants/{permission}", tag: "Grants", need: userWork,
		summary: "Give a user a permission: 201 when it is new, 200 when he has the grant", errors: put, noBody: true,
	}, func(ctx context.Context, in *putUserGrantInput) (*putGrantOutput, error) {
		return a.putGrant(ctx, findUser(in.User), in.Permission, &in.Body)
	})
	register(a, operation{
		id: "deleteUserGrant", method: http.MethodDelete, path: "/v1/users/{user}/grants/{permission}", tag: "Grants", need: userWork,
		summary: "Take a permission from a user; what his groups give him stays", errors: put,
	}, func(ctx context.Context, in *deleteUserGrantInput) (*struct{}, error) {
		return nil, a.deleteGrant(ctx, findUser(in.User), in.Permission, in.Reason)
	})
	register(a, operation{
		id: "putGroupGrant", method: http.MethodPut, path: "/v1/groups/{group}/grants/{permission}", tag: "Grants", need: userWork,
		summary: "Give a permission to everybody in a group", errors: put, noBody: true,
	}, func(ctx context.Context, in *putGroupGrantInput) (*putGrantOutput, error) {
		return a.putGrant(ctx, findGroup(in.Group), in.Permission, &in.Body)
	})
	register(a, operation{
		id: "deleteGroupGrant", method: http.MethodDelete, path: "/v1/groups/{group}/grants/{permission}", tag: "Grants", need: userWork,
		summary: "Take a permission from a group", errors: put,
	}, func(ctx context.Context, in *deleteGroupGrantInput) (*struct{}, error) {
		return nil, a.deleteGrant(ctx, findGroup(in.Group), in.Permission, in.Reason)
	})
	register(a, operation{
		id: "listGrants", method: http.MethodGet, path: "/v1/grants", tag: "Grants", need: readers,
		summary: "List grants", errors: put,
	}, a.listGrants)
	register(a, operation{
		id: "getGrant", method: http.MethodGet, path: "/v1/grants/{grant}", tag: "Grants", need: readers,
		summary: "Show a grant", errors: []int{http.StatusNotFound},
	}, a.getGrant)
}

func (a *API) validGrant(in *GrantRequest) error {
	if !in.ExpireTime.IsZero() && !in.ExpireTime.After(a.now()) {
		return fault.New(fault.Invalid, "expired_already", "expireTime is in the past: such a grant would never count")
	}
	return plainText("reason", in.Reason)
}

// putGrant gives a permission. Asking for what is already so changes nothing; asking
// for other terms changes them, under the same id.
func (a *API) putGrant(ctx context.Context, who find, permission string, in *GrantRequest) (*putGrantOutput, error) {
	if err := a.validGrant(in); err != nil {
		return nil, err
	}
	out := &putGrantOutput{}
	var g permissions.Grant
	snap, err := a.decide(ctx, func(s *state.Snapshot) (cs []state.Change, err error) {
		g, out.Status, cs, err = a.giving(ctx, s, who, permission, in)
		return cs, err
	})
	if err != nil {
		return nil, err
	}
	out.Location, out.Body = "/v1/grants/"+string(g.ID), a.grantOf(snap, &g)
	return out, nil
}

// giving decides how a permission is given: as a new grant, by changing the terms of
// one that is there, or not at all because it is as asked.
func (a *API) giving(ctx context.Context, s *state.Snapshot, who find, permission string, in *GrantRequest) (permissions.Grant, int, []state.Change, error) {
	none := permissions.Grant{}
	m, _, err := who(s)
	if err != nil {
		return none, 0, nil, err
	}
	p, err := knownPermission(s, permission)
	if err != nil {
		return none, 0, nil, err
	}
	if err := serviceMayHold(s, m, p); err != nil {
		return none, 0, nil, err
	}
	old := grantTo(s, m, p)
	g := permissions.Grant{
		ID: newGrantID(), Permission: p, Subject: m, By: actorOf(ctx).String(), At: a.now().UTC().Truncate(time.Millisecond),
		Reason: in.Reason, Expires: in.ExpireTime.UTC(), Origin: identity.Origin(identity.Local),
	}
	if id, ok := m.Group(); ok {
		owner, decides := directoryOf(s, id)
		if g.Acknowledged = decides && (in.AcknowledgeDirectory || old != nil && old.Acknowledged); decides && !g.Acknowledged {
			return none, 0, nil, unacknowledged(owner)
		}
	}
	if old == nil {
		return g, http.StatusCreated, []state.Change{state.PutGrant{Grant: g}}, nil
	}
	if g.ID = old.ID; old.Reason == g.Reason && old.Expires.Equal(g.Expires) && old.Acknowledged == g.Acknowledged {
		return *old, http.StatusOK, nil, nil
	}
	return g, http.StatusOK, []state.Change{state.PutGrant{Grant: g}}, nil
}

// grantTo returns the grant of a permission to a user or group itself, or nil.
func grantTo(s *state.Snapshot, m identity.Member, p permissions.Permission) *permissions.Grant {
	of := s.Book().Of(m)
	if i := slices.IndexFunc(of, func(g *permissions.Grant) bool { return g.Permission == p }); i >= 0 {
		return of[i]
	}
	return nil
}

// granted returns a grant that is to be taken away, also one of a name that the catalogue
// no longer has.
func granted(s *state.Snapshot, m identity.Member, permission string) (*permissions.Grant, error) {
	p, err := permissions.ParseName(permission)
	if err != nil {
		return nil, err
	}
	if g := grantTo(s, m, p); g != nil {
		return g, nil
	}
	return nil, fault.New(fault.NotFound, "grant_not_found", "there is no such grant; the permission may still come from a group")
}

func (a *API) deleteGrant(ctx context.Context, who find, permission, reason string) error {
	if err := plainText("reason", reason); err != nil {
		return err
	}
	_, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		m, _, err := who(s)
		if err != nil {
			return nil, err
		}
		g, err := granted(s, m, permission)
		if err != nil {
			return nil, err
		}
		return []state.Change{state.RemoveGrant{Subject: m, Permission: g.Permission, Reason: reason}}, nil
	})
	return err
}

func (a *API) listGrants(_ context.Context, in *listGrantsInput) (*listGrantsOutput, error) {
	snap := a.db.View().Now()
	query := strings.Join([]string{"grants", in.User, in.Group, in.Permission}, "\x00")
	after, err := in.after(query)
	if err != nil {
		return nil, err
	}
	all, err := in.from(snap)
	if err != nil {
		return nil, err
	}
	later := func(yield func(*permissions.Grant) bool) {
		for g := range all {
			if string(g.ID) > after && (in.Permission == "" || string(g.Permission) == in.Permission) && !yield(g) {
				return
			}
		}
	}
	size := in.size()
	found := smallest(later, size+1, func(x, y *permissions.Grant) int { return strings.Compare(string(x.ID), string(y.ID)) })
	out := &listGrantsOutput{Body: GrantPage{Revision: snap.Rev()}}
	found, out.Body.NextPageToken = cut(found, size, query, func(g *permissions.Grant) string { return string(g.ID) })
	out.Body.Grants = make([]Grant, len(found))
	for i, g := range found {
		out.Body.Grants[i] = a.grantOf(snap, g)
	}
	return out, nil
}

// from returns the grants among which to look.
func (in *listGrantsInput) from(s *state.Snapshot) (iter.Seq[*permissions.Grant], error) {
	var who find
	switch {
	case in.User != "" && in.Group != "":
		return nil, fault.New(fault.Invalid, "user_and_group", "ask for the grants of a user or of a group, not of both at once")
	case in.User != "":
		who = findUser(in.User)
	case in.Group != "":
		who = findGroup(in.Group)
	case in.Permission != "":
		return s.Book().With(permissions.Permission(in.Permission)), nil
	default:
		return s.Book().Grants(), nil
	}
	m, _, err := who(s)
	if err != nil {
		return nil, err
	}
	return slices.Values(s.Book().Of(m)), nil
}

func (a *API) getGrant(_ context.Context, in *getGrantInput) (*getGrantOutput, error) {
	snap := a.db.View().Now()
	g, ok := snap.Book().Grant(permissions.GrantID(in.Grant))
	if !ok {
		return nil, fault.New(fault.NotFound, "grant_not_found", "there is no such grant")
	}
	return &getGrantOutput{Body: a.grantOf(snap, g)}, nil
}
