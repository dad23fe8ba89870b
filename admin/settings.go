package admin

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// Settings are the switches of the installation that change what grants amount to.
type Settings struct {
	AdminGovernorExclusive bool                  `json:"adminGovernorExclusive" doc:"Nobody is an administrator (APPLICATION_ADMIN or USER_ADMIN) and a governor (GOVERNANCE) at once"`
	AdminsMaySubscribe     bool                  `json:"adminsMaySubscribe" doc:"Off: administrators lack CREATE_DATA_SOURCE, CREATE_DATA_SOURCE_IN_PROJECT and the right to subscribe"`
	GovernorsMaySubscribe  bool                  `json:"governorsMaySubscribe" doc:"Off: governors lack the same"`
	ForbidSelfGrant        bool                  `json:"forbidSelfGrant" doc:"Nobody gives himself anything"`
	GrantRule              permissions.GrantRule `json:"grantRule" enum:"user_admin,held" doc:"What a USER_ADMIN may give: any permission, or only what he effectively holds himself"`
}

func settingsOf(s permissions.Settings) *Settings {
	return &Settings{
		AdminGovernorExclusive: s.AdminGovernorExclusive, AdminsMaySubscribe: s.AdminsMaySubscribe,
		GovernorsMaySubscribe: s.GovernorsMaySubscribe, ForbidSelfGrant: s.ForbidSelfGrant, GrantRule: s.GrantRule,
	}
}

func (s *Settings) settings() permissions.Settings {
	return permissions.Settings{
		AdminGovernorExclusive: s.AdminGovernorExclusive, AdminsMaySubscribe: s.AdminsMaySubscribe,
		GovernorsMaySubscribe: s.GovernorsMaySubscribe, ForbidSelfGrant: s.ForbidSelfGrant, GrantRule: s.GrantRule,
	}
}

// Replacing is If-Match of a request that replaces a whole, where it must be there.
type Replacing struct {
	IfMatch string `header:"If-Match" doc:"ETag of what was read; required: 428 without it, 412 if it was changed since"`
}

// matches refuses a replacement that is not based on the revision.
func (r *Replacing) matches(ctx context.Context, current store.Revision) error {
	if r.IfMatch == "" {
		return preconditionRequired(ctx)
	}
	for _, t := range tags(r.IfMatch) {
		rev, _, _ := strings.Cut(strings.Trim(t, `"`), "-")
		if n, err := strconv.ParseInt(rev, 10, 64); t == "*" || err == nil && store.Revision(n) == current {
			return nil
		}
	}
	return fault.New(fault.Stale, "stale", "it was changed since it was read: read it again and decide anew")
}

type putSettingsInput struct {
	Trial
	Replacing
	Body Settings
}

// DefaultPermissions are what the users of a source are granted when they are first
// created.
type DefaultPermissions struct {
	Permissions []permissions.Permission `json:"permissions"`
	SetBy       string                   `json:"setBy,omitzero" doc:"The user administrator who confers them, as in the audit log"`
	Time        time.Time                `json:"time,omitzero"`
}

// DefaultPermissionList is a list of default permissions to be set.
type DefaultPermissionList struct {
	Permissions []permissions.Permission `json:"permissions" maxItems:"100" doc:"None: nothing is given by default"`
}

type putDefaultsInput struct {
	SourcePath
	Trial
	Replacing
	Body DefaultPermissionList
}

type getDefaultsInput struct {
	SourcePath
	Reading
}

func (a *API) settingRoutes() {
	replace := []int{http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired}
	register(a, operation{
		id: "getSettings", method: http.MethodGet, path: "/v1/settings", tag: "Settings", need: settingReaders,
		summary: "Show the settings", errors: []int{http.StatusNotModified},
	}, a.getSettings)
	register(a, operation{
		id: "putSettings", method: http.MethodPut, path: "/v1/settings", tag: "Settings", need: setup,
		summary: "Change the settings", errors: replace,
	}, a.putSettings)
	register(a, operation{
		id: "getDefaultPermissions", method: http.MethodGet, path: "/v1/sources/{source}/defaultPermissions", tag: "Sources", need: settingReaders,
		summary: "Show what the users of a source are granted when they are first created", errors: []int{http.StatusNotFound, http.StatusNotModified},
	}, a.getDefaults)
	register(a, operation{
		id: "putDefaultPermissions", method: http.MethodPut, path: "/v1/sources/{source}/defaultPermissions", tag: "Sources", need: userWork,
		summary: "Set what the users of a source are granted when they are first created; who is there already gets nothing",
		errors:  append([]int{http.StatusNotFound}, replace...),
	}, a.putDefaults)
}

// settingReaders may read what decides about permissions.
var settingReaders = need{anyOf: []permissions.Permission{permissions.ApplicationAdmin, permissions.UserAdmin, permissions.Audit}}

func (a *API) getSettings(_ context.Context, in *Reading) (*tagged[Settings], error) {
	snap := a.db.View().Now()
	return answerTagged(in, snap.SettingsRev(), settingsOf(snap.Book().Settings()))
}

func (a *API) putSettings(ctx context.Context, in *putSettingsInput) (*tagged[Settings], error) {
	next := in.Body.settings()
	if err := next.Validate(); err != nil {
		return nil, err
	}
	snap, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		if err := in.matches(ctx, s.SettingsRev()); err != nil {
			return nil, err
		}
		if s.Book().Settings() == next {
			return nil, nil
		}
		return []state.Change{state.PutSettings{Settings: next}}, nil
	})
	if err != nil {
		return nil, err
	}
	return answerTagged(&Reading{}, snap.SettingsRev(), settingsOf(snap.Book().Settings()))
}

func defaultsOf(s *state.Snapshot, source identity.SourceID) *DefaultPermissions {
	d, ok := s.Defaults(source)
	if !ok {
		return &DefaultPermissions{Permissions: []permissions.Permission{}}
	}
	return &DefaultPermissions{Permissions: d.Permissions, SetBy: d.By, Time: d.At}
}

func (a *API) getDefaults(_ context.Context, in *getDefaultsInput) (*tagged[DefaultPermissions], error) {
	src, err := a.source(in.Source)
	if err != nil {
		return nil, err
	}
	snap := a.db.View().Now()
	return answerTagged(&in.Reading, snap.SettingsRev(), defaultsOf(snap, src.ID))
}

// putDefaults confers later, and without asking again: so who sets the list must be one
// who may confer all of it now.
func (a *API) putDefaults(ctx context.Context, in *putDefaultsInput) (*tagged[DefaultPermissions], error) {
	src, err := a.source(in.Source)
	if err != nil {
		return nil, err
	}
	for _, p := range in.Body.Permissions {
		if _, err := permissions.ParseName(string(p)); err != nil {
			return nil, err
		}
	}
	caller := questionOf(ctx).caller
	writer := permissions.Writer{User: caller.User, Limit: caller.Limit}
	snap, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		if err := in.matches(ctx, s.SettingsRev()); err != nil {
			return nil, err
		}
		view := permissions.View{Members: s, Book: s.Book(), Names: names{s}}
		if err := permissions.MayConfer(view, writer, a.now(), in.Body.Permissions...); err != nil {
			return nil, err
		}
		return []state.Change{state.PutDefaults{Source: src.ID, Permissions: in.Body.Permissions}}, nil
	})
	if err != nil {
		return nil, err
	}
	return answerTagged(&Reading{}, snap.SettingsRev(), defaultsOf(snap, src.ID))
}
