package admin

import (
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

// newGrantID returns an id for a grant: a UUID of version 7, as users and groups have.
func newGrantID() permissions.GrantID { return permissions.GrantID(identity.NewUserID().String()) }
