package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Me is who is asking.
type Me struct {
	User        UserSummary `json:"user"`
	Permissions []string    `json:"permissions"`
	Personas    []string    `json:"personas"`
	APIKeyID    string      `json:"apiKeyId"`
}

// UserQuery narrows a list of users. The zero value lists all of them.
type UserQuery struct {
	Source, Status, Group, Permission, Text string
}

// UserPage is a page of users.
type UserPage struct {
	Users         []UserSummary `json:"users"`
	NextPageToken string        `json:"nextPageToken"`
	Revision      int64         `json:"revision"`
}

// GroupQuery narrows a list of groups.
type GroupQuery struct {
	Source, Status, Text string
}

// GroupPage is a page of groups.
type GroupPage struct {
	Groups        []GroupSummary `json:"groups"`
	NextPageToken string         `json:"nextPageToken"`
	Revision      int64          `json:"revision"`
}

// MemberPage is a page of members of a group.
type MemberPage struct {
	Members       []GroupMember `json:"members"`
	NextPageToken string        `json:"nextPageToken"`
	Revision      int64         `json:"revision"`
}

// Page says which part of a list is wanted: at most Size items, 0 for as many as the
// server likes, after the page that gave Token.
type Page struct {
	Size  int
	Token string
}

// values returns a query of the pairs that have a value.
func (p Page) values(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if p.Size > 0 {
		q.Set("pageSize", strconv.Itoa(p.Size))
	}
	if p.Token != "" {
		q.Set("pageToken", p.Token)
	}
	return q
}

// get asks for something that can be read.
func get[T any](ctx context.Context, c *Client, query url.Values, path ...string) (*T, error) {
	out := new(T)
	if err := c.do(ctx, call{method: http.MethodGet, path: append([]string{"v1"}, path...), query: query}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// change sends a body and returns the answer.
func change[T any](ctx context.Context, c *Client, r call) (*T, error) {
	out := new(T)
	r.path = append([]string{"v1"}, r.path...)
	if err := c.do(ctx, r, out); err != nil {
		return nil, err
	}
	return out, nil
}

// remove deletes something.
func (c *Client) remove(ctx context.Context, query url.Values, path ...string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: append([]string{"v1"}, path...), query: query}, nil)
}

// Me returns who is asking.
func (c *Client) Me(ctx context.Context) (*Me, error) { return get[Me](ctx, c, nil, "me") }

// Users returns a page of users.
func (c *Client) Users(ctx context.Context, q UserQuery, p Page) (*UserPage, error) {
	return get[UserPage](ctx, c, p.values("source", q.Source, "status", q.Status, "group", q.Group,
		"permission", q.Permission, "text", q.Text), "users")
}

// User returns a user by id, login name, or source/login name.
func (c *Client) User(ctx context.Context, user string) (*User, error) {
	return get[User](ctx, c, nil, "users", user)
}

// DisableUser keeps a user out at once.
func (c *Client) DisableUser(ctx context.Context, user, reason string) (*Disabled, error) {
	return change[Disabled](ctx, c, call{method: http.MethodPut, path: []string{"users", user, "disabled"}, body: reasonBody(reason)})
}

// EnableUser lifts a local disable.
func (c *Client) EnableUser(ctx context.Context, user string) error {
	return c.remove(ctx, nil, "users", user, "disabled")
}

func reasonBody(reason string) any {
	return struct {
		Reason string `json:"reason,omitzero"`
	}{reason}
}

// LocalAttribute is an attribute that was put on a user or a group here.
type LocalAttribute struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// SetAttribute sets the local values of an attribute of a user or a group.
func (c *Client) SetAttribute(ctx context.Context, to Target, key string, values []string) (*LocalAttribute, error) {
	body := struct {
		Values []string `json:"values"`
	}{values}
	return change[LocalAttribute](ctx, c, call{method: http.MethodPut, path: []string{to.collection(), to.Name, "attributes", key}, body: body})
}

// RemoveAttribute removes the local values of an attribute of a user or a group.
func (c *Client) RemoveAttribute(ctx context.Context, from Target, key string) error {
	return c.remove(ctx, nil, from.collection(), from.Name, "attributes", key)
}

// Groups returns a page of groups.
func (c *Client) Groups(ctx context.Context, q GroupQuery, p Page) (*GroupPage, error) {
	return get[GroupPage](ctx, c, p.values("source", q.Source, "status", q.Status, "text", q.Text), "groups")
}

// Group returns a group by id, name, or source/name.
func (c *Client) Group(ctx context.Context, group string) (*Group, error) {
	return get[Group](ctx, c, nil, "groups", group)
}

// The views of a group's members.
const (
	DirectMembers    = "direct"    // users and groups, with who put them there
	EffectiveMembers = "effective" // users, those by nesting included
)

// Members returns a page of the members of a group, in one of the views.
func (c *Client) Members(ctx context.Context, group, view string, p Page) (*MemberPage, error) {
	return get[MemberPage](ctx, c, p.values("view", view), "groups", group, "members")
}
