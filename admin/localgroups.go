package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// NewGroup is a local group to be made, or what one is to become.
type NewGroup struct {
	Name        string `json:"name" minLength:"1" maxLength:"256" doc:"Unique among local groups, compared without regard to case"`
	DisplayName string `json:"displayName,omitzero" maxLength:"256"`
	Description string `json:"description,omitzero" maxLength:"500"`
}

func (n *NewGroup) record(id identity.GroupID) (*identity.Record, error) {
	r := &identity.Record{Source: identity.Local, Key: identity.Key(id.String()), Name: n.Name, Profile: map[string]string{}}
	if strings.Contains(n.Name, "/") {
		return nil, fault.New(fault.Invalid, "invalid_group_name", "the name of a group holds no slash: it parts a source from a name")
	}
	for _, f := range []struct{ field, name, value string }{
		{"", "name", n.Name}, {identity.DisplayName, "displayName", n.DisplayName}, {identity.Description, "description", n.Description},
	} {
		if err := plainText(f.name, f.value); err != nil {
			return nil, err
		}
		if f.field != "" && f.value != "" {
			r.Profile[f.field] = f.value
		}
	}
	return r, nil
}

type createGroupInput struct {
	Trial
	Body NewGroup
}

type createGroupOutput struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     *Group
}

type updateGroupInput struct {
	GroupPath
	Trial
	Writing
	Body NewGroup
}

type updateGroupOutput struct {
	ETag string `header:"ETag"`
	Body *Group
}

type deleteGroupInput struct {
	GroupPath
	Trial
	Writing
}

func (a *API) localGroupRoutes() {
	register(a, operation{
		id: "createGroup", method: http.MethodPost, path: "/v1/groups", tag: "Groups", need: userWork, status: http.StatusCreated,
		summary: "Create a local group", errors: []int{http.StatusConflict},
	}, a.createGroup)
	register(a, operation{
		id: "updateGroup", method: http.MethodPut, path: "/v1/groups/{group}", tag: "Groups", need: userWork,
		summary: "Change a local group; what a source owns is changed there", errors: layerErrors,
	}, a.updateGroup)
	register(a, operation{
		id: "deleteGroup", method: http.MethodDelete, path: "/v1/groups/{group}", tag: "Groups", need: userWork,
		summary: "Delete a local group, or one that its source no longer has, for good: with grants, memberships and the local layer",
		errors:  layerErrors,
	}, a.deleteGroup)
}

func (a *API) createGroup(ctx context.Context, in *createGroupInput) (*createGroupOutput, error) {
	id := identity.NewGroupID()
	r, err := in.Body.record(id)
	if err != nil {
		return nil, err
	}
	snap, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		if err := groupNameFree(s, r.Name, id); err != nil {
			return nil, err
		}
		return []state.Change{state.Create{Member: identity.GroupMember(id), Record: r}}, nil
	})
	if err != nil {
		return nil, err
	}
	body, rev, err := a.groupView(snap, id)
	if err != nil {
		return nil, err
	}
	tag, err := etag(rev, body)
	return &createGroupOutput{Location: "/v1/groups/" + url.PathEscape(id.String()), ETag: tag, Body: body}, err
}

// groupNameFree refuses a name that another local group has. Of two writers at once one
// decides again, so no claim on the name is needed.
func groupNameFree(s *state.Snapshot, name string, but identity.GroupID) error {
	for _, id := range s.FindGroups(string(identity.Local) + "/" + name) {
		has, source := s.Name(identity.GroupMember(id))
		if id != but && source == identity.Local && identity.FoldName(has) == identity.FoldName(name) {
			return fault.New(fault.Exists, "name_taken", "there is already a local group of this name")
		}
	}
	return nil
}

func (a *API) updateGroup(ctx context.Context, in *updateGroupInput) (*updateGroupOutput, error) {
	var id identity.GroupID
	snap, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		m, rev, err := findGroup(in.Group)(s)
		if err != nil {
			return nil, err
		}
		id, _ = m.Group()
		cs, err := in.onlyIf(m, rev)
		if err != nil {
			return nil, err
		}
		next, err := in.Body.record(id)
		if err != nil {
			return nil, err
		}
		g, _, _ := s.Group(id)
		if g.Record.Source == identity.Local {
			if err := groupNameFree(s, next.Name, id); err != nil {
				return nil, err
			}
		}
		return changeRecord(cs, m, &g.Record, next)
	})
	if err != nil {
		return nil, err
	}
	body, rev, err := a.groupView(snap, id)
	if err != nil {
		return nil, err
	}
	tag, err := etag(rev, body)
	return &updateGroupOutput{ETag: tag, Body: body}, err
}

func (a *API) deleteGroup(ctx context.Context, in *deleteGroupInput) (*struct{}, error) {
	_, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		m, rev, err := findGroup(in.Group)(s)
		if err != nil {
			return nil, err
		}
		cs, err := in.onlyIf(m, rev)
		if err != nil {
			return nil, err
		}
		id, _ := m.Group()
		if g, _, _ := s.Group(id); g.Record.Source != identity.Local && g.Missing.IsZero() {
			return nil, managedBy(g.Record.Source)
		}
		return append(cs, state.Delete{Member: m}), nil
	})
	return nil, err
}
