package client

import (
	"context"
	"net/http"
	"time"
)

// NewUser is a local user to be made, or what one is to become.
type NewUser struct {
	UserName    string `json:"userName"`
	DisplayName string `json:"displayName,omitzero"`
	Email       string `json:"email,omitzero"`
}

// NewGroup is a local group to be made, or what one is to become.
type NewGroup struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitzero"`
	Description string `json:"description,omitzero"`
}

// CreateUser makes a local user.
func (c *Client) CreateUser(ctx context.Context, n NewUser) (*User, error) {
	return change[User](ctx, c, call{method: http.MethodPost, path: []string{"users"}, body: n})
}

// UpdateUser replaces what is shown of a local user who was read with that version.
func (c *Client) UpdateUser(ctx context.Context, user string, n NewUser, version string) (*User, error) {
	return change[User](ctx, c, call{method: http.MethodPut, path: []string{"users", user}, header: ifMatch(version), body: n})
}

// ifMatch makes a change rest on the version that was read, if one is given.
func ifMatch(version string) map[string]string {
	if version == "" {
		return nil
	}
	return map[string]string{"If-Match": version}
}

// DeleteUser deletes a user for good. confirm is his login name once more.
func (c *Client) DeleteUser(ctx context.Context, user, confirm string) error {
	return c.remove(ctx, Page{}.values("confirm", confirm), "users", user)
}

// CreateGroup makes a local group.
func (c *Client) CreateGroup(ctx context.Context, n NewGroup) (*Group, error) {
	return change[Group](ctx, c, call{method: http.MethodPost, path: []string{"groups"}, body: n})
}

// UpdateGroup replaces what is shown of a local group that was read with that version.
func (c *Client) UpdateGroup(ctx context.Context, group string, n NewGroup, version string) (*Group, error) {
	return change[Group](ctx, c, call{method: http.MethodPut, path: []string{"groups", group}, header: ifMatch(version), body: n})
}

// DeleteGroup deletes a group for good.
func (c *Client) DeleteGroup(ctx context.Context, group string) error {
	return c.remove(ctx, nil, "groups", group)
}

// MemberRef names a user or a group: one of the two.
type MemberRef struct {
	User  string `json:"user,omitzero"`
	Group string `json:"group,omitzero"`
}

// Ref names the target as a member.
func (t Target) Ref() MemberRef {
	if t.Group {
		return MemberRef{Group: t.Name}
	}
	return MemberRef{User: t.Name}
}

// MemberChanges are members to be put into a group and taken out of it.
type MemberChanges struct {
	Add    []MemberRef `json:"add,omitzero"`
	Remove []MemberRef `json:"remove,omitzero"`
	// AcknowledgeDirectory is needed to nest a group of a source in one that carries a
	// grant: its directory then decides who has that.
	AcknowledgeDirectory bool `json:"acknowledgeDirectory,omitzero"`
}

// MembersChanged says what a change of members came to.
type MembersChanged struct {
	Added    int   `json:"added"`
	Removed  int   `json:"removed"`
	Revision int64 `json:"revision"`
}

// ChangeMembers puts members into a group and takes members out of it that were put
// there here, all or nothing.
func (c *Client) ChangeMembers(ctx context.Context, group string, m MemberChanges) (*MembersChanged, error) {
	return change[MembersChanged](ctx, c, call{method: http.MethodPost, path: []string{"groups", group, "members"}, body: m})
}

// NewPermission is a custom permission to be made.
type NewPermission struct {
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
}

// CreatePermission adds a custom permission.
func (c *Client) CreatePermission(ctx context.Context, n NewPermission) (*Permission, error) {
	return change[Permission](ctx, c, call{method: http.MethodPost, path: []string{"permissions"}, body: n})
}

// DeletePermission removes a custom permission that nobody holds.
func (c *Client) DeletePermission(ctx context.Context, name string) error {
	return c.remove(ctx, nil, "permissions", name)
}

// WithdrawPermission removes a custom permission, and takes it from whoever holds it.
func (c *Client) WithdrawPermission(ctx context.Context, name string) error {
	return c.remove(ctx, Page{}.values("cascade", "true"), "permissions", name)
}

// Settings are the switches of the installation.
type Settings struct {
	Versioned
	AdminGovernorExclusive bool   `json:"adminGovernorExclusive"`
	AdminsMaySubscribe     bool   `json:"adminsMaySubscribe"`
	GovernorsMaySubscribe  bool   `json:"governorsMaySubscribe"`
	ForbidSelfGrant        bool   `json:"forbidSelfGrant"`
	GrantRule              string `json:"grantRule"` // "user_admin" or "held"
}

// Settings returns the settings.
func (c *Client) Settings(ctx context.Context) (*Settings, error) {
	return get[Settings](ctx, c, nil, "settings")
}

// PutSettings changes the settings as they were read.
func (c *Client) PutSettings(ctx context.Context, s *Settings) (*Settings, error) {
	return change[Settings](ctx, c, call{method: http.MethodPut, path: []string{"settings"}, header: ifMatch(s.Version), body: s})
}

// DefaultPermissions are what the users of a source are granted when they are first
// created.
type DefaultPermissions struct {
	Versioned
	Permissions []string  `json:"permissions"`
	SetBy       string    `json:"setBy,omitzero"`
	Time        time.Time `json:"time,omitzero"`
}

// DefaultPermissions returns what the users of a source are granted when they are
// first created.
func (c *Client) DefaultPermissions(ctx context.Context, source string) (*DefaultPermissions, error) {
	return get[DefaultPermissions](ctx, c, nil, "sources", source, "defaultPermissions")
}

// PutDefaultPermissions replaces the defaults of a source that were read with that
// version.
func (c *Client) PutDefaultPermissions(ctx context.Context, source string, names []string, version string) (*DefaultPermissions, error) {
	body := struct {
		Permissions []string `json:"permissions"`
	}{names}
	return change[DefaultPermissions](ctx, c, call{
		method: http.MethodPut, path: []string{"sources", source, "defaultPermissions"}, header: ifMatch(version), body: body,
	})
}
