package admin

import (
	"context"
	"net/http"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// PermissionPath names a permission in a path.
type PermissionPath struct {
	Permission string `path:"permission" maxLength:"64" doc:"The name of a permission: USER_ADMIN"`
}

// Catalogue lists all permissions.
type Catalogue struct {
	Permissions []permissions.Entry `json:"permissions"`
}

type listPermissionsOutput struct{ Body Catalogue }

type getPermissionOutput struct{ Body permissions.Entry }

// PersonaList lists all personas.
type PersonaList struct {
	Personas []permissions.Persona `json:"personas"`
}

type listPersonasOutput struct{ Body PersonaList }

func (a *API) catalogueRoutes() {
	register(a, operation{
		id: "listPermissions", method: http.MethodGet, path: "/v1/permissions", tag: "Permissions", need: anybody,
		summary: "List the catalogue of permissions",
	}, func(context.Context, *struct{}) (*listPermissionsOutput, error) {
		return &listPermissionsOutput{Body: Catalogue{a.db.View().Now().Book().Catalogue()}}, nil
	})
	register(a, operation{
		id: "getPermission", method: http.MethodGet, path: "/v1/permissions/{permission}", tag: "Permissions", need: anybody,
		summary: "Show a permission", errors: []int{http.StatusNotFound},
	}, func(_ context.Context, in *PermissionPath) (*getPermissionOutput, error) {
		snap := a.db.View().Now()
		p, err := knownPermission(snap, in.Permission)
		if err != nil {
			return nil, err
		}
		e, _ := snap.Book().Lookup(p)
		return &getPermissionOutput{Body: e}, nil
	})
	register(a, operation{
		id: "listPersonas", method: http.MethodGet, path: "/v1/personas", tag: "Permissions", need: anybody,
		summary: "List the personas: labels that follow from permissions",
	}, func(context.Context, *struct{}) (*listPersonasOutput, error) {
		return &listPersonasOutput{Body: PersonaList{permissions.Personas()}}, nil
	})
}

// knownPermission returns the permission of a name, or fault.NotFound.
func knownPermission(s *state.Snapshot, name string) (permissions.Permission, error) {
	p, err := permissions.ParseName(name)
	if err != nil {
		return "", err
	}
	if _, ok := s.Book().Lookup(p); !ok {
		return "", fault.New(fault.NotFound, "permission_not_found", "there is no permission of this name; GET /v1/permissions lists them")
	}
	return p, nil
}
