package admin

import (
	"context"
	"net/http"
	"strings"
	"unicode"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// LocalAttribute is an attribute that was put on a user or a group here.
type LocalAttribute struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// AttributeValues are the values of a local attribute to be set.
type AttributeValues struct {
	Values []string `json:"values" minItems:"1" maxItems:"1000" doc:"They replace the local values of this attribute; what the source says stays"`
}

// AttributePath names an attribute in a path.
type AttributePath struct {
	Key string `path:"key" minLength:"1" maxLength:"128" doc:"Compared without regard to case; any character, escaped"`
}

type putUserAttributeInput struct {
	UserPath
	AttributePath
	Writing
	Trial
	Body AttributeValues
}

type putGroupAttributeInput struct {
	GroupPath
	AttributePath
	Writing
	Trial
	Body AttributeValues
}

type deleteUserAttributeInput struct {
	UserPath
	AttributePath
	Writing
	Trial
}

type deleteGroupAttributeInput struct {
	GroupPath
	AttributePath
	Writing
	Trial
}

type putAttributeOutput struct {
	ETag string `header:"ETag" doc:"Of the user or group"`
	Body LocalAttribute
}

// DisableRequest says why a user is kept out.
type DisableRequest struct {
	Reason string `json:"reason,omitzero" maxLength:"500"`
}

type putDisabledInput struct {
	UserPath
	Writing
	Trial
	Body DisableRequest
}

type putDisabledOutput struct {
	Status int
	ETag   string `header:"ETag" doc:"Of the user"`
	Body   *Disabled
}

type deleteDisabledInput struct {
	UserPath
	Writing
	Trial
}

// layerErrors are the further answers of a write to a local layer.
var layerErrors = []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}

func (a *API) attributeRoutes() {
	register(a, operation{
		id: "putUserAttribute", method: http.MethodPut, path: "/v1/users/{user}/attributes/{key}", tag: "Users", need: userWork,
		summary: "Set the local values of one attribute of a user", errors: layerErrors,
	}, func(ctx context.Context, in *putUserAttributeInput) (*putAttributeOutput, error) {
		return a.putAttribute(ctx, findUser(in.User), in.Key, in.Body.Values, &in.Writing)
	})
	register(a, operation{
		id: "deleteUserAttribute", method: http.MethodDelete, path: "/v1/users/{user}/attributes/{key}", tag: "Users", need: userWork,
		summary: "Remove the local values of one attribute of a user", errors: layerErrors,
	}, func(ctx context.Context, in *deleteUserAttributeInput) (*struct{}, error) {
		return nil, a.deleteAttribute(ctx, findUser(in.User), in.Key, &in.Writing)
	})
	register(a, operation{
		id: "putGroupAttribute", method: http.MethodPut, path: "/v1/groups/{group}/attributes/{key}", tag: "Groups", need: userWork,
		summary: "Set the local values of one attribute of a group, which its members inherit", errors: layerErrors,
	}, func(ctx context.Context, in *putGroupAttributeInput) (*putAttributeOutput, error) {
		return a.putAttribute(ctx, findGroup(in.Group), in.Key, in.Body.Values, &in.Writing)
	})
	register(a, operation{
		id: "deleteGroupAttribute", method: http.MethodDelete, path: "/v1/groups/{group}/attributes/{key}", tag: "Groups", need: userWork,
		summary: "Remove the local values of one attribute of a group", errors: layerErrors,
	}, func(ctx context.Context, in *deleteGroupAttributeInput) (*struct{}, error) {
		return nil, a.deleteAttribute(ctx, findGroup(in.Group), in.Key, &in.Writing)
	})
	register(a, operation{
		id: "disableUser", method: http.MethodPut, path: "/v1/users/{user}/disabled", tag: "Users", need: userWork,
		summary: "Keep a user out at once, whatever his source says", errors: layerErrors, noBody: true,
	}, a.disableUser)
	register(a, operation{
		id: "enableUser", method: http.MethodDelete, path: "/v1/users/{user}/disabled", tag: "Users", need: userWork,
		summary: "Lift a local disable", errors: layerErrors,
	}, a.enableUser)
}

// layering is a part of the local layer that a source may be kept free of.
type layering string

const (
	localAttributes  layering = "attributes"
	localMemberships layering = "memberships"
)

// layerAllowed refuses what the source of a user or group is to be kept free of. What
// is there already stays, and can be removed.
func (a *API) layerAllowed(s *state.Snapshot, m identity.Member, part layering) error {
	_, owner := s.Name(m)
	bar := s.Bar(owner)
	refused := part == localAttributes && bar.Attributes || part == localMemberships && bar.Memberships
	for _, src := range a.sync.Sources() {
		allowed := part == localAttributes && src.AllowLocalAttributes || part == localMemberships && src.AllowLocalMemberships
		refused = refused || src.ID == owner && !allowed
	}
	if refused {
		return fault.New(fault.Conflict, reasonNotAllowed,
			"source %s does not allow local %s: change it there, or allow them in the configuration of the source", owner, part)
	}
	return nil
}

// find says which user or group a path names, and at what revision it is.
type find func(*state.Snapshot) (identity.Member, store.Revision, error)

func findUser(text string) find {
	return func(s *state.Snapshot) (identity.Member, store.Revision, error) {
		id, err := s.OneUser(text)
		if err != nil {
			return identity.Member{}, 0, err
		}
		_, rev, _ := s.User(id)
		return identity.UserMember(id), rev, nil
	}
}

func findGroup(text string) find {
	return func(s *state.Snapshot) (identity.Member, store.Revision, error) {
		id, err := s.OneGroup(text)
		if err != nil {
			return identity.Member{}, 0, err
		}
		_, rev, _ := s.Group(id)
		return identity.GroupMember(id), rev, nil
	}
}

func (a *API) putAttribute(ctx context.Context, who find, key string, values []string, w *Writing) (*putAttributeOutput, error) {
	if err := validAttribute(key, values); err != nil {
		return nil, err
	}
	m, snap, err := a.setAttribute(ctx, who, key, values, w)
	if err != nil {
		return nil, err
	}
	layer, _ := snap.Local(m)
	tag, err := a.tagOf(snap, m)
	key = identity.FoldKey(key)
	return &putAttributeOutput{ETag: tag, Body: LocalAttribute{Key: key, Values: layer.Attributes[key]}}, err
}

func (a *API) setAttribute(ctx context.Context, who find, key string, values []string, w *Writing) (identity.Member, *state.Snapshot, error) {
	var m identity.Member
	snap, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		var rev store.Revision
		var err error
		if m, rev, err = who(s); err != nil {
			return nil, err
		}
		cs, err := w.onlyIf(m, rev)
		if err != nil {
			return nil, err
		}
		if err := a.layerAllowed(s, m, localAttributes); err != nil && len(values) > 0 {
			return nil, err
		}
		if layer, _ := s.Local(m); len(values) == 0 && len(layer.Attributes[identity.FoldKey(key)]) == 0 {
			return nil, fault.New(fault.NotFound, "attribute_not_found", "there is no local attribute of this name")
		}
		return append(cs, state.SetLocalAttribute{Member: m, Key: key, Values: values}), nil
	})
	return m, snap, err
}

func (a *API) deleteAttribute(ctx context.Context, who find, key string, w *Writing) error {
	_, _, err := a.setAttribute(ctx, who, key, nil, w)
	return err
}

// maxValue is the length of the longest value of an attribute, in bytes.
const maxValue = 4096

func validAttribute(key string, values []string) error {
	if identity.FoldKey(key) == "" || strings.ContainsFunc(key, unicode.IsControl) {
		return fault.New(fault.Invalid, "invalid_attribute", "the name of an attribute is not empty and holds no control characters")
	}
	for _, v := range values {
		if v == "" || len(v) > maxValue || strings.ContainsRune(v, 0) {
			return fault.New(fault.Invalid, "invalid_attribute", "a value of an attribute has 1 to %d bytes, none of them zero", maxValue)
		}
	}
	return nil
}

// tagOf returns the ETag that reading the user or group would give.
func (a *API) tagOf(snap *state.Snapshot, m identity.Member) (string, error) {
	if g, ok := m.Group(); ok {
		body, rev, err := a.groupView(snap, g)
		if err != nil {
			return "", err
		}
		return etag(rev, body)
	}
	u, _ := m.User()
	body, rev, err := a.userView(snap, u)
	if err != nil {
		return "", err
	}
	return etag(rev, body)
}

func (a *API) disableUser(ctx context.Context, in *putDisabledInput) (*putDisabledOutput, error) {
	if err := plainText("reason", in.Body.Reason); err != nil {
		return nil, err
	}
	var id identity.UserID
	out := &putDisabledOutput{}
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
		out.Status = http.StatusCreated
		if layer, _ := s.Local(m); layer.Disabled != nil {
			if out.Status = http.StatusOK; layer.Disabled.Reason == in.Body.Reason {
				return nil, nil
			}
		}
		return append(cs, state.Disable{User: id, Reason: in.Body.Reason}), nil
	})
	if err != nil {
		return nil, err
	}
	layer, _ := snap.Local(identity.UserMember(id))
	if out.Body = disabledOf(layer.Disabled); out.Body == nil { // somebody has lifted it since
		out.Body = &Disabled{By: actorOf(ctx).String(), Time: a.now(), Reason: in.Body.Reason}
	}
	out.ETag, err = a.tagOf(snap, identity.UserMember(id))
	return out, err
}

func (a *API) enableUser(ctx context.Context, in *deleteDisabledInput) (*struct{}, error) {
	_, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		m, rev, err := findUser(in.User)(s)
		if err != nil {
			return nil, err
		}
		cs, err := in.onlyIf(m, rev)
		if err != nil {
			return nil, err
		}
		if layer, _ := s.Local(m); layer.Disabled == nil {
			return nil, fault.New(fault.NotFound, "not_disabled", "this user is not disabled here; his source may keep him out")
		}
		id, _ := m.User()
		return append(cs, state.Enable{User: id}), nil
	})
	return nil, err
}
