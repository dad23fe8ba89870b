package client

import (
	"context"
	"net/http"
	"time"
)

// Target is a user or a group that something is given to.
type Target struct {
	Group bool
	Name  string // an id, a name, or source/name
}

func (t Target) collection() string {
	if t.Group {
		return "groups"
	}
	return "users"
}

// Terms are the terms of a grant.
type Terms struct {
	Reason     string    `json:"reason,omitzero"`
	ExpireTime time.Time `json:"expireTime,omitzero"`
	// AcknowledgeDirectory is needed for a group of a source: its directory decides who
	// has the permission.
	AcknowledgeDirectory bool `json:"acknowledgeDirectory,omitzero"`
}

// GrantQuery narrows a list of grants.
type GrantQuery struct {
	User, Group, Permission string
}

// GrantPage is a page of grants.
type GrantPage struct {
	Grants        []Grant `json:"grants"`
	NextPageToken string  `json:"nextPageToken"`
	Revision      int64   `json:"revision"`
}

// Grant gives a permission to a user or a group, or changes the terms.
func (c *Client) Grant(ctx context.Context, to Target, permission string, t Terms) (*Grant, error) {
	return change[Grant](ctx, c, call{method: http.MethodPut, path: []string{to.collection(), to.Name, "grants", permission}, body: t})
}

// Revoke takes a permission from a user or a group.
func (c *Client) Revoke(ctx context.Context, from Target, permission, reason string) error {
	return c.remove(ctx, Page{}.values("reason", reason), from.collection(), from.Name, "grants", permission)
}

// Grants returns a page of grants.
func (c *Client) Grants(ctx context.Context, q GrantQuery, p Page) (*GrantPage, error) {
	return get[GrantPage](ctx, c, p.values("user", q.User, "group", q.Group, "permission", q.Permission), "grants")
}

// Catalogue is all permissions.
type Catalogue struct {
	Permissions []Permission `json:"permissions"`
}

// PersonaList is all personas.
type PersonaList struct {
	Personas []Persona `json:"personas"`
}

// Permissions returns the catalogue.
func (c *Client) Permissions(ctx context.Context) (*Catalogue, error) {
	return get[Catalogue](ctx, c, nil, "permissions")
}

// Personas returns the personas.
func (c *Client) Personas(ctx context.Context) (*PersonaList, error) {
	return get[PersonaList](ctx, c, nil, "personas")
}

// Holder is somebody who has a permission, and by what.
type Holder struct {
	UserSummary
	Grant   Grant    `json:"grant"`
	Through *Subject `json:"through,omitzero"`
}

// HolderPage is a page of holders.
type HolderPage struct {
	Permission    string   `json:"permission"`
	Holders       []Holder `json:"holders"`
	NextPageToken string   `json:"nextPageToken"`
	Revision      int64    `json:"revision"`
}

// Holders returns a page of those who have a permission now.
func (c *Client) Holders(ctx context.Context, permission string, p Page) (*HolderPage, error) {
	return get[HolderPage](ctx, c, p.values(), "permissions", permission, "holders")
}

// Explanation says why a user has a permission, or has not.
type Explanation struct {
	User       string    `json:"user"`
	UserName   string    `json:"userName,omitzero"`
	Permission string    `json:"permission"`
	Time       time.Time `json:"time"`
	Allowed    bool      `json:"allowed"`
	Why        string    `json:"why,omitzero"`
	Status     string    `json:"status,omitzero"`
	// Withheld are the settings that keep the permission from a user who was granted it.
	Withheld []Withholding `json:"withheld,omitempty"`
	Paths    []Path        `json:"paths"`
	Blocked  []Path        `json:"blockedPaths"`
	Sentence string        `json:"sentence"` // one line for each path, beginning with yes or no
	Revision int64         `json:"revision"`
}

// Withholding is a setting that withholds a permission, because of another one.
type Withholding struct {
	Setting string `json:"setting"`
	Because string `json:"because"`
}

// Path is one way from a user to a grant.
type Path struct {
	Effective bool     `json:"effective"`
	BlockedBy []string `json:"blockedBy,omitempty"`
	Steps     []Step   `json:"steps"`
}

// Step is one hop of a path: a membership, or the grant at its end.
type Step struct {
	Kind string `json:"kind"` // "MEMBERSHIP" or "GRANT"

	Member    string `json:"member,omitzero"`
	Group     string `json:"group,omitzero"`
	GroupName string `json:"groupName,omitzero"`
	Source    string `json:"source,omitzero"`
	// Origins are the sources that put the membership there.
	Origins []string `json:"origins,omitempty"`

	Grant      string    `json:"grant,omitzero"`
	Subject    string    `json:"subject,omitzero"`
	GrantedBy  string    `json:"grantedBy,omitzero"`
	Time       time.Time `json:"time,omitzero"`
	Reason     string    `json:"reason,omitzero"`
	ExpireTime time.Time `json:"expireTime,omitzero"`
	Origin     string    `json:"origin,omitzero"`
	State      string    `json:"state,omitzero"`
}

// Explain tells why a user has a permission, or has not.
func (c *Client) Explain(ctx context.Context, user, permission string) (*Explanation, error) {
	return get[Explanation](ctx, c, nil, "users", user, "permissions", permission, "explanation")
}

// UserPermissions is all that a user may do now.
type UserPermissions struct {
	User Subject `json:"user"`
	Status
	Permissions []HeldPermission `json:"permissions"`
	Personas    []string         `json:"personas"`
	Revision    int64            `json:"revision"`
}

// HeldPermission is a permission that a user has, with the grants that give it.
type HeldPermission struct {
	Permission string  `json:"permission"`
	Grants     []Grant `json:"grants,omitempty"`
}

// UserPermissions returns all that a user may do now.
func (c *Client) UserPermissions(ctx context.Context, user string) (*UserPermissions, error) {
	return get[UserPermissions](ctx, c, nil, "users", user, "permissions")
}

// Decision is the answer to a check.
type Decision struct {
	Allowed  bool   `json:"allowed"`
	Reason   string `json:"reason,omitzero"`
	Status   string `json:"status,omitzero"`
	Revision int64  `json:"revision"`
	// StaleSince is set while the store does not answer: the decision is from memory.
	StaleSince time.Time `json:"staleSince,omitzero"`
}

// Check decides whether a user has a permission now. A user or a permission that does
// not exist is a no.
func (c *Client) Check(ctx context.Context, user, permission string) (*Decision, error) {
	body := struct {
		User       string `json:"user"`
		Permission string `json:"permission"`
	}{user, permission}
	return change[Decision](ctx, c, call{method: http.MethodPost, path: []string{"check"}, body: body})
}
