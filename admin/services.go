package admin

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// A service is a local user that is no person: an application that asks here. The field
// "kind" of its profile says so. It acts with keys that an APPLICATION_ADMIN issues; what
// it may do is granted to it like to anybody, by who may grant it.
const (
	profileKind = "kind"
	kindService = "service"
)

func isService(u *identity.User) bool {
	return u.Record.Source == identity.Local && u.Record.Profile[profileKind] == kindService
}

// serviceMayHold keeps services off the floor of administrators: a program must not be
// all that is left to administer Rollcall.
func serviceMayHold(s *state.Snapshot, m identity.Member, p permissions.Permission) error {
	other := map[permissions.Permission]permissions.Permission{
		permissions.ApplicationAdmin: permissions.UserAdmin, permissions.UserAdmin: permissions.ApplicationAdmin,
	}[p]
	id, isUser := m.User()
	if !isUser || other == "" {
		return nil
	}
	if u, _, ok := s.User(id); ok && isService(u) && grantTo(s, m, other) != nil {
		return fault.New(fault.Conflict, "service_no_administrator",
			"a service does not get both %s and %s: it would count as one who can administer Rollcall, and it is no person", permissions.ApplicationAdmin, permissions.UserAdmin)
	}
	return nil
}

// Service is an application that asks here.
type Service struct {
	ID          string                   `json:"id" doc:"Also the id of its local user, to whom permissions are granted"`
	Name        string                   `json:"name"`
	Description string                   `json:"description,omitzero"`
	CreateTime  time.Time                `json:"createTime"`
	Permissions []permissions.Permission `json:"permissions" doc:"What it effectively holds"`
	Keys        []Key                    `json:"keys"`
	Status
}

// ServiceList lists services.
type ServiceList struct {
	Services []Service `json:"services"`
}

// NewService is a service to be made.
type NewService struct {
	Name        string `json:"name" minLength:"1" maxLength:"128" doc:"Unique among local users and services"`
	Description string `json:"description,omitzero" maxLength:"500"`
}

// ServicePath names a service in a path.
type ServicePath struct {
	Service string `path:"service" maxLength:"400" doc:"An id or a name"`
}

type createServiceInput struct {
	Trial
	Body NewService
}

type createServiceOutput struct {
	Location string `header:"Location"`
	Body     *Service
}

type getServiceOutput struct{ Body *Service }

type listServicesOutput struct{ Body ServiceList }

type deleteServiceInput struct {
	ServicePath
	Trial
}

func (a *API) serviceRoutes() {
	errs := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "createService", method: http.MethodPost, path: "/v1/services", tag: "Services", need: setup, status: http.StatusCreated,
		summary: "Create a service: a local user that is an application", errors: []int{http.StatusConflict},
	}, a.createService)
	register(a, operation{
		id: "listServices", method: http.MethodGet, path: "/v1/services", tag: "Services", need: settingReaders,
		summary: "List the services and their keys",
	}, a.listServices)
	register(a, operation{
		id: "getService", method: http.MethodGet, path: "/v1/services/{service}", tag: "Services", need: settingReaders,
		summary: "Show a service and its keys", errors: errs,
	}, func(_ context.Context, in *ServicePath) (*getServiceOutput, error) {
		snap := a.db.View().Now()
		u, err := findService(snap, in.Service)
		if err != nil {
			return nil, err
		}
		return &getServiceOutput{Body: a.serviceOf(snap, u)}, nil
	})
	register(a, operation{
		id: "deleteService", method: http.MethodDelete, path: "/v1/services/{service}", tag: "Services", need: setup,
		summary: "Delete a service with its keys and grants", errors: errs,
	}, a.deleteService)
	a.serviceKeyRoutes(errs)
}

func (a *API) createService(ctx context.Context, in *createServiceInput) (*createServiceOutput, error) {
	id := identity.NewUserID()
	n := NewUser{UserName: in.Body.Name}
	r, err := n.record(id)
	if err != nil {
		return nil, err
	}
	if err := plainText("description", in.Body.Description); err != nil {
		return nil, err
	}
	r.Profile[profileKind] = kindService
	if in.Body.Description != "" {
		r.Profile[identity.Description] = in.Body.Description
	}
	snap, err := a.decide(ctx, func(*state.Snapshot) ([]state.Change, error) {
		return []state.Change{state.Create{Member: identity.UserMember(id), Record: r}}, nil
	})
	if err != nil {
		return nil, err
	}
	u, _, _ := snap.User(id)
	return &createServiceOutput{Location: "/v1/services/" + url.PathEscape(id.String()), Body: a.serviceOf(snap, u)}, nil
}

func findService(s *state.Snapshot, text string) (*identity.User, error) {
	for _, id := range s.FindUsers(text) {
		if u, _, ok := s.User(id); ok && isService(u) {
			return u, nil
		}
	}
	return nil, fault.New(fault.NotFound, "service_not_found", "there is no such service; GET /v1/services lists them")
}

func (a *API) serviceOf(s *state.Snapshot, u *identity.User) *Service {
	now := a.now()
	e := s.Book().Effective(s, u.ID, now)
	return &Service{
		ID: u.ID.String(), Name: u.Record.Name, Description: u.Record.Profile[identity.Description], CreateTime: u.Created,
		Permissions: e.Permissions(), Keys: a.keysOf(s, u.ID), Status: statusOf(u.Status(now)),
	}
}

func (a *API) listServices(context.Context, *struct{}) (*listServicesOutput, error) {
	snap, now := a.db.View().Now(), a.now()
	out := &listServicesOutput{Body: ServiceList{Services: []Service{}}}
	for row := range snap.Users(identity.UserID{}, now) {
		if row.Source != identity.Local {
			continue
		}
		id, _ := row.Member.User()
		if u, _, ok := snap.User(id); ok && isService(u) {
			out.Body.Services = append(out.Body.Services, *a.serviceOf(snap, u))
		}
	}
	slices.SortFunc(out.Body.Services, func(x, y Service) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}

func (a *API) deleteService(ctx context.Context, in *deleteServiceInput) (*struct{}, error) {
	_, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		u, err := findService(s, in.Service)
		if err != nil {
			return nil, err
		}
		return []state.Change{state.Delete{Member: identity.UserMember(u.ID)}}, nil
	})
	return nil, err
}
