package main

import (
	"context"

	"github.com/rollcall-id/rollcall/client"
)

// target is a user or a group that something is given to.
type target struct {
	group bool
	name  string // an id, a name, or source/name
}

// ref names the target as a member.
func (t target) ref() client.MemberRef {
	if t.group {
		return client.MemberRef{Group: t.name}
	}
	return client.MemberRef{User: t.name}
}

// give gives a permission to a target, or changes the terms.
func give(ctx context.Context, api *client.Client, to target, permission string, terms client.GrantRequest) (*client.Grant, error) {
	if to.group {
		return api.PutGroupGrant(ctx, to.name, permission, terms)
	}
	return api.PutUserGrant(ctx, to.name, permission, terms)
}

// take takes a permission from a target.
func take(ctx context.Context, api *client.Client, from target, permission, reason string) error {
	if from.group {
		return api.DeleteGroupGrant(ctx, from.name, permission, client.DeleteGroupGrantQuery{Reason: reason})
	}
	return api.DeleteUserGrant(ctx, from.name, permission, client.DeleteUserGrantQuery{Reason: reason})
}

// setAttribute sets the local values of an attribute.
func setAttribute(ctx context.Context, api *client.Client, of target, key string, values []string) (*client.LocalAttribute, error) {
	body := client.AttributeValues{Values: values}
	if of.group {
		return api.PutGroupAttribute(ctx, of.name, key, body, "")
	}
	return api.PutUserAttribute(ctx, of.name, key, body, "")
}

// unsetAttribute removes the local values of an attribute.
func unsetAttribute(ctx context.Context, api *client.Client, of target, key string) error {
	if of.group {
		return api.DeleteGroupAttribute(ctx, of.name, key, "")
	}
	return api.DeleteUserAttribute(ctx, of.name, key, "")
}
