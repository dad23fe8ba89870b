package plan

import (
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// opNames is in the order of the operations.
var opNames = []string{
	"create_user", "update_user", "return_user", "link_user", "create_group", "update_group", "return_group",
	"change_members", "deactivate_user", "deactivate_group",
}

// String returns the operation as it is stored and shown: "create_user".
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return fmt.Sprintf("op %d", o)
}

// OfGroup reports whether the operation changes a group, and not a user.
func (o Op) OfGroup() bool {
	switch o {
	case CreateGroup, UpdateGroup, ReturnGroup, ChangeMembers, DeactivateGroup:
		return true
	}
	return false
}

// MarshalText implements encoding.TextMarshaler.
func (o Op) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Op) UnmarshalText(b []byte) error {
	i := slices.Index(opNames, string(b))
	if i < 0 {
		return fmt.Errorf("no operation of a plan is called %q", b)
	}
	*o = Op(i)
	return nil
}

// String returns "user" or "group".
func (k Kind) String() string {
	if k == Group {
		return "group"
	}
	return "user"
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Kind) UnmarshalText(b []byte) error {
	switch string(b) {
	case "user":
		*k = User
	case "group":
		*k = Group
	default:
		return fmt.Errorf("neither user nor group: %q", b)
	}
	return nil
}

// IsZero reports whether no id was set.
func (r Ref) IsZero() bool { return r == Ref{} }

// String returns the id in its text form.
func (r Ref) String() string { return uuid.UUID(r).String() }

// MarshalText implements encoding.TextMarshaler.
func (r Ref) MarshalText() ([]byte, error) { return uuid.UUID(r).MarshalText() }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Ref) UnmarshalText(b []byte) error { return (*uuid.UUID)(r).UnmarshalText(b) }
