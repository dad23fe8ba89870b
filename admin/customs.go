package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// NewPermission is a custom permission to be made.
type NewPermission struct {
	Name        string `json:"name" minLength:"2" maxLength:"64" doc:"Upper-case letters, digits and underscores, beginning with a letter" example:"FINANCE_APPROVER"`
	Description string `json:"description,omitzero" maxLength:"500" doc:"What applications let its holder do"`
}

type createPermissionInput struct {
	Trial
	Body NewPermission
}

type createPermissionOutput struct {
	Location string `header:"Location"`
	Body     permissions.Entry
}

type deletePermissionInput struct {
	PermissionPath
	Trial
	Cascade string `query:"cascade" enum:"true,false" doc:"true: take it from whoever holds it, which needs USER_ADMIN as well"`
}

func (a *API) customRoutes() {
	register(a, operation{
		id: "createPermission", method: http.MethodPost, path: "/v1/permissions", tag: "Permissions", need: setup, status: http.StatusCreated,
		summary: "Add a custom permission: a name without built-in power that applications may ask for", errors: []int{http.StatusConflict},
	}, a.createPermission)
	register(a, operation{
		id: "deletePermission", method: http.MethodDelete, path: "/v1/permissions/{permission}", tag: "Permissions", need: setup,
		summary: "Remove a custom permission; the built-in ones stay",
		errors:  []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusConflict},
	}, a.deletePermission)
}

func (a *API) createPermission(ctx context.Context, in *createPermissionInput) (*createPermissionOutput, error) {
	p, err := permissions.ParseCustomName(in.Body.Name)
	if err != nil {
		return nil, err
	}
	if err := plainText("description", in.Body.Description); err != nil {
		return nil, err
	}
	snap, err := a.decide(ctx, func(*state.Snapshot) ([]state.Change, error) {
		return []state.Change{state.PutCustom{Name: p, Description: in.Body.Description}}, nil
	})
	if err != nil {
		return nil, err
	}
	e, _ := snap.Book().Lookup(p)
	return &createPermissionOutput{Location: "/v1/permissions/" + string(p), Body: e}, nil
}

func (a *API) deletePermission(ctx context.Context, in *deletePermissionInput) (*struct{}, error) {
	p, err := permissions.ParseName(in.Permission)
	if err != nil {
		return nil, err
	}
	if permissions.IsBuiltIn(p) {
		refusal := problemWith(ctx, http.StatusMethodNotAllowed, "builtin_permission", string(p)+" is built in and stays")
		refusal.header = http.Header{"Allow": {http.MethodGet}}
		return nil, refusal
	}
	snap, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) { return a.withdrawing(ctx, s, p, in.Cascade == "true") })
	if err != nil || questionOf(ctx).dryRun {
		return nil, err
	}
	if len(holding(snap, p)) == 0 {
		return nil, nil
	}
	// From here on nobody has the permission. If what is left of its grants is not all
	// removed before this process ends, the leader goes on.
	return nil, a.db.RemoveLeftGrants(ctx, actorOf(ctx), p)
}

// withdrawing decides what goes with a custom permission in the same transaction.
func (a *API) withdrawing(ctx context.Context, s *state.Snapshot, p permissions.Permission, cascade bool) ([]state.Change, error) {
	held := holding(s, p)
	_, known := s.Book().Lookup(p)
	if !known && len(held) == 0 {
		return nil, fault.New(fault.NotFound, "permission_not_found", "there is no permission of this name; GET /v1/permissions lists them")
	}
	if len(held) > 0 && !cascade {
		return nil, heldPermission(ctx, s, p, held)
	}
	if len(held) > 0 && !a.holds(s, questionOf(ctx).caller, permissions.UserAdmin) {
		return nil, userWork.denied()
	}
	if !known {
		return s.Withdrawal(p), nil
	}
	if len(held) > state.MaxWithdrawn {
		return []state.Change{state.RemoveCustom{Name: p, Leaves: len(held)}}, nil
	}
	return append([]state.Change{state.RemoveCustom{Name: p}}, s.Withdrawal(p)...), nil
}

// holding returns the grants of a permission, in order.
func holding(s *state.Snapshot, p permissions.Permission) []*permissions.Grant {
	return slices.SortedFunc(s.Book().With(p), func(x, y *permissions.Grant) int { return x.Subject.Compare(y.Subject) })
}

// heldPermission refuses to remove a permission that somebody holds, and says who.
func heldPermission(ctx context.Context, s *state.Snapshot, p permissions.Permission, held []*permissions.Grant) *Problem {
	refusal := problemWith(ctx, http.StatusConflict, "permission_held", fmt.Sprintf(
		"%s is held by %d users and groups, of whom holders lists the first: take it from them, or remove it with cascade=true", p, len(held)))
	for _, g := range held[:min(len(held), permissions.MaxNamed)] {
		refusal.Holders = append(refusal.Holders, subjectOf(s, g.Subject))
	}
	return refusal
}
