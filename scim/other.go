package scim

import (
	"errors"

	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/state"
)

var errOther = errors.New("not yet")

func (c *call) createOther(*dialect.Parsed) (*reply, error)  { return nil, errOther }
func (c *call) replaceOther(*dialect.Parsed) (*reply, error) { return nil, errOther }
func (c *call) patchOther(*dialect.Patch) (*reply, error)    { return nil, errOther }
func (c *call) removeOther() (*reply, error)                 { return nil, errOther }
func (c *call) getOther(*state.Snapshot) (*reply, error)     { return nil, errOther }
