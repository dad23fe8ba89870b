package client

import (
	"context"
	"net/http"
	"time"
)

// Key is an API key, without its secret.
type Key struct {
	ID          string    `json:"id"` // the public part
	Name        string    `json:"name"`
	Permissions []string  `json:"permissions,omitempty"` // all that it may be used for; none: whatever its user may do
	Follows     bool      `json:"follows"`               // it gains what its owner is granted later
	CreatedBy   string    `json:"createdBy"`
	CreateTime  time.Time `json:"createTime"`
	ExpireTime  time.Time `json:"expireTime,omitzero"`
	LastUseTime time.Time `json:"lastUseTime,omitzero"`
	State       string    `json:"state"` // "ACTIVE" or "EXPIRED"
}

// KeyList is all keys of a user or a service.
type KeyList struct {
	Keys []Key `json:"keys"`
}

// NewKey is a key to be made.
type NewKey struct {
	Name        string    `json:"name"`
	ExpireTime  time.Time `json:"expireTime,omitzero"`
	Permissions []string  `json:"permissions,omitempty"`
}

// CreatedKey is a key that was just made.
type CreatedKey struct {
	Key
	Secret string `json:"secret,omitzero"` // shown this once; empty on a dry run
}

// CreateKey makes an API key for whoever asks.
func (c *Client) CreateKey(ctx context.Context, n NewKey) (*CreatedKey, error) {
	return change[CreatedKey](ctx, c, call{method: http.MethodPost, path: []string{"me", "keys"}, body: n})
}

// Keys returns the API keys of a user.
func (c *Client) Keys(ctx context.Context, user string) (*KeyList, error) {
	return get[KeyList](ctx, c, nil, "users", user, "keys")
}

// RevokeKey ends an API key of a user at once.
func (c *Client) RevokeKey(ctx context.Context, user, key string) error {
	return c.remove(ctx, nil, "users", user, "keys", key)
}

// Service is an application that asks here.
type Service struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitzero"`
	CreateTime  time.Time `json:"createTime"`
	Permissions []string  `json:"permissions"`
	Keys        []Key     `json:"keys"`
	Status
}

// ServiceList is all services.
type ServiceList struct {
	Services []Service `json:"services"`
}

// NewService is a service to be made.
type NewService struct {
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
}

// Services returns all services with their keys.
func (c *Client) Services(ctx context.Context) (*ServiceList, error) {
	return get[ServiceList](ctx, c, nil, "services")
}

// Service returns a service by its id or name.
func (c *Client) Service(ctx context.Context, service string) (*Service, error) {
	return get[Service](ctx, c, nil, "services", service)
}

// CreateService makes a service.
func (c *Client) CreateService(ctx context.Context, n NewService) (*Service, error) {
	return change[Service](ctx, c, call{method: http.MethodPost, path: []string{"services"}, body: n})
}

// DeleteService deletes a service with its keys and grants.
func (c *Client) DeleteService(ctx context.Context, service string) error {
	return c.remove(ctx, nil, "services", service)
}

// CreateServiceKey makes a key for a service.
func (c *Client) CreateServiceKey(ctx context.Context, service string, n NewKey) (*CreatedKey, error) {
	return change[CreatedKey](ctx, c, call{method: http.MethodPost, path: []string{"services", service, "keys"}, body: n})
}

// RevokeServiceKey ends a key of a service at once.
func (c *Client) RevokeServiceKey(ctx context.Context, service, key string) error {
	return c.remove(ctx, nil, "services", service, "keys", key)
}

// RotateServiceKey makes a key like an old one, which lives on for so many hours.
func (c *Client) RotateServiceKey(ctx context.Context, service, key string, graceHours int) (*CreatedKey, error) {
	body := struct {
		GraceHours int `json:"graceHours"`
	}{graceHours}
	return change[CreatedKey](ctx, c, call{method: http.MethodPost, path: []string{"services", service, "keys", key, "rotation"}, body: body})
}
