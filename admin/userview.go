package admin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// User is a user in full, in three views: what the source says, what was put on top
// here, and what holds in the end.
type User struct {
	UserSummary
	CreateTime  time.Time      `json:"createTime"`
	ExpireTime  time.Time      `json:"expireTime,omitzero" doc:"When the person is no longer let in, by the source or by a linked one that may say so"`
	MissingTime time.Time      `json:"missingTime,omitzero" doc:"Since when the source no longer has the person"`
	Revision    store.Revision `json:"revision" doc:"Of the user's own rows: his record and his local layer"`
	External    External       `json:"external"`
	Linked      []LinkedRecord `json:"linked,omitempty" doc:"What other sources say of the user, at most one record each"`
	Local       UserLocal      `json:"local"`
	Effective   UserEffective  `json:"effective"`
}

// External is what the source says. For a local user it is what was entered here.
type External struct {
	Key        identity.Key        `json:"key" doc:"The lasting key in the source"`
	DN         string              `json:"dn,omitzero"`
	Disabled   identity.Reason     `json:"disabled,omitzero" doc:"Why the source does not let the person in"`
	Profile    map[string]string   `json:"profile"`
	Attributes map[string][]string `json:"attributes"`
	Groups     []Subject           `json:"groups" doc:"Direct memberships that the source states"`
	Unresolved []string            `json:"unresolved,omitempty" doc:"Members that the source names and nobody answers to"`
}

// UserLocal is what administrators put on top.
type UserLocal struct {
	Disabled   *Disabled           `json:"disabled,omitzero"`
	Attributes map[string][]string `json:"attributes"`
	Groups     []Subject           `json:"groups" doc:"Direct memberships made here that count"`
	// InactiveAttributes and InactiveGroups are kept and count for nothing.
	InactiveAttributes string          `json:"inactiveAttributes,omitzero" enum:"local_not_allowed" doc:"Why none of the attributes counts; nothing where they do"`
	InactiveGroups     []InactiveGroup `json:"inactiveGroups,omitempty" doc:"Direct memberships made here that do not count"`
}

// UserEffective is what holds in the end.
type UserEffective struct {
	Profile     map[string]string        `json:"profile"`
	Attributes  map[string][]Value       `json:"attributes"`
	Groups      []Belonging              `json:"groups"`
	Permissions []permissions.Permission `json:"permissions" doc:"None while the user is inactive"`
	Personas    []permissions.PersonaID  `json:"personas"`
	Grants      []Grant                  `json:"grants" doc:"To the user and to the groups that he is in, the expired ones included"`
}

type getUserInput struct {
	UserPath
	Reading
}

func (a *API) getUser(_ context.Context, in *getUserInput) (*tagged[User], error) {
	snap := a.db.View().Now()
	id, err := snap.OneUser(in.User)
	if err != nil {
		return nil, err
	}
	body, rev, err := a.userView(snap, id)
	if err != nil {
		return nil, err
	}
	return answerTagged(&in.Reading, rev, body)
}

// userView shows a user as of a snapshot.
func (a *API) userView(s *state.Snapshot, id identity.UserID) (*User, store.Revision, error) {
	now := a.now()
	u, rev, ok := s.User(id)
	if !ok {
		return nil, 0, fault.New(fault.NotFound, "user_not_found", "there is no user %s", id)
	}
	m := identity.UserMember(id)
	groups := groupsAbove(s, m)
	e := s.Book().Effective(s, id, now)
	profile := u.Profile()
	out := &User{
		UserSummary: summaryOf(u, u.Status(now)),
		CreateTime:  u.Created, ExpireTime: u.Expires(), MissingTime: u.Missing, Revision: rev,
		External: externalOf(s, &u.Record, groups),
		Linked:   linkedOf(s, u, groups),
		Local: UserLocal{
			Disabled: disabledOf(u.Local.Disabled), Attributes: attributesOf(u.Local.Attributes), Groups: put(s, groups, isLocal),
			InactiveAttributes: inactiveAttributes(&u.Local), InactiveGroups: inactiveGroups(s, m),
		},
		Effective: UserEffective{
			Profile:     profileOf(profile),
			Attributes:  effectiveValues(s, u.Layers(), groups),
			Groups:      belongings(s, groups),
			Permissions: e.Permissions(), Personas: e.Personas(),
			Grants: a.grantsOf(s, m, groups),
		},
	}
	return out, rev, nil
}

func externalOf(s *state.Snapshot, r *identity.Record, groups []reached) External {
	return External{
		Key: r.Key, DN: r.DN, Disabled: r.Disabled, Profile: profileOf(r.Profile), Attributes: attributesOf(r.Attributes),
		Groups: put(s, groups, isOf(r.Source)), Unresolved: r.Unresolved,
	}
}

// grantsOf lists the grants to a user or group and to all groups above, by permission.
func (a *API) grantsOf(s *state.Snapshot, m identity.Member, groups []reached) []Grant {
	gs := slices.Clone(s.Book().Of(m))
	for _, r := range groups {
		gs = append(gs, s.Book().Of(identity.GroupMember(r.id))...)
	}
	slices.SortStableFunc(gs, func(x, y *permissions.Grant) int { return cmp.Compare(x.Permission, y.Permission) })
	out := make([]Grant, len(gs))
	for i, g := range gs {
		out[i] = a.grantOf(s, g)
	}
	return out
}
