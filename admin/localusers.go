package admin

import (
	"context"
	"maps"
	"net/http"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

type updateUserInput struct {
	UserPath
	Trial
	Writing
	Body NewUser
}

type updateUserOutput struct {
	ETag string `header:"ETag"`
	Body *User
}

type deleteUserInput struct {
	UserPath
	Trial
	Writing
	Confirm string `query:"confirm" maxLength:"128" doc:"The login name of the user: nobody is deleted by a slip"`
}

// localRoutes registers what administrators write on top of the sources.
func (a *API) localRoutes() {
	a.settingRoutes()
	a.customRoutes()
	a.localUserRoutes()
	a.localGroupRoutes()
	a.membershipRoutes()
	a.bulkRoutes()
	a.keyRoutes()
	a.serviceRoutes()
}

func (a *API) localUserRoutes() {
	register(a, operation{
		id: "updateUser", method: http.MethodPut, path: "/v1/users/{user}", tag: "Users", need: userWork,
		summary: "Change a local user; what a source owns is changed there", errors: layerErrors,
	}, a.updateUser)
	register(a, operation{
		id: "deleteUser", method: http.MethodDelete, path: "/v1/users/{user}", tag: "Users", need: userWork,
		summary: "Delete a local user, or one whom his source no longer has, for good: with grants, keys, memberships and the local layer",
		errors:  layerErrors,
	}, a.deleteUser)
}

func (a *API) updateUser(ctx context.Context, in *updateUserInput) (*updateUserOutput, error) {
	var id identity.UserID
	snap, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		m, rev, err := findUser(in.User)(s)
		if err != nil {
			return nil, err
		}
		id, _ = m.User()
		cs, err := in.onlyIf(m, rev)
		if err != nil {
			return nil, err
		}
		u, _, _ := s.User(id)
		next, err := in.Body.record(id)
		if err != nil {
			return nil, err
		}
		return changeRecord(cs, m, &u.Record, next)
	})
	if err != nil {
		return nil, err
	}
	body, rev, err := a.userView(snap, id)
	if err != nil {
		return nil, err
	}
	tag, err := etag(rev, body)
	return &updateUserOutput{ETag: tag, Body: body}, err
}

// changeRecord replaces the name and the shown fields of what was made here. The rest
// of the record stays.
func changeRecord(cs []state.Change, m identity.Member, was, next *identity.Record) ([]state.Change, error) {
	if was.Source != identity.Local {
		return nil, managedBy(was.Source)
	}
	r := *was
	r.Name, r.Profile = next.Name, maps.Clone(next.Profile)
	if r.Profile == nil {
		r.Profile = map[string]string{}
	}
	for field, value := range was.Profile {
		if field != identity.DisplayName && field != identity.Email && field != identity.Description {
			r.Profile[field] = value
		}
	}
	changes := recordChanges(was, &r)
	if len(changes) == 0 {
		return nil, nil
	}
	return append(cs, state.UpdateLocal{Member: m, Record: &r, Changes: changes}), nil
}

func recordChanges(was, is *identity.Record) []audit.Change {
	var out []audit.Change
	note := func(field, before, after string) {
		if before != after {
			out = append(out, audit.Change{Field: field, Before: some(before), After: some(after)})
		}
	}
	note("name", was.Name, is.Name)
	for _, field := range []string{identity.DisplayName, identity.Email, identity.Description} {
		note(field, was.Profile[field], is.Profile[field])
	}
	return out
}

func some(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func managedBy(owner identity.SourceID) error {
	return fault.New(fault.Conflict, "managed_by_source", "this is managed by source %s: change it there", owner)
}

func (a *API) deleteUser(ctx context.Context, in *deleteUserInput) (*struct{}, error) {
	_, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		m, rev, err := findUser(in.User)(s)
		if err != nil {
			return nil, err
		}
		cs, err := in.onlyIf(m, rev)
		if err != nil {
			return nil, err
		}
		u, _ := m.User()
		if user, _, _ := s.User(u); user.Record.Source != identity.Local && user.Missing.IsZero() {
			return nil, managedBy(user.Record.Source)
		}
		if name, _ := s.Name(m); in.Confirm != name {
			return nil, fault.New(fault.Invalid, "not_confirmed", "deleting is for good: send confirm=<login name of the user>, as it is written there")
		}
		return append(cs, state.Delete{Member: m}), nil
	})
	return nil, err
}
