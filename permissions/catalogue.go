package permissions

import (
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/fault"
)

// Enforcer says who acts on a permission.
type Enforcer string

// The enforcers.
const (
	EnforcedByRollcall     Enforcer = "rollcall"
	EnforcedByApplications Enforcer = "applications"
	EnforcedByBoth         Enforcer = "both"
)

// Entry is a permission as the catalogue shows it.
type Entry struct {
	Name        Permission `json:"name"`
	Description string     `json:"description"`
	EnforcedBy  Enforcer   `json:"enforcedBy"`
	BuiltIn     bool       `json:"builtIn"`
	// By and At say who made a custom permission and when.
	By string    `json:"createdBy,omitzero"`
	At time.Time `json:"createTime,omitzero"`
	// Actions are what it lets its holder do, one by one; none for a custom one. They
	// are read only.
	Actions []Action `json:"actions,omitempty"`
}

// Action is one thing that a permission lets its holder do.
type Action struct {
	Does string `json:"does"`
	// EnforcedBy says who refuses it to others: here or in the applications.
	EnforcedBy Enforcer `json:"enforcedBy"`
}

// customDescription stands in for one that nobody wrote.
const customDescription = "Nothing by itself: a name that applications may ask for."

// BuiltIns yields the eleven permissions that every installation has, by name.
func BuiltIns() iter.Seq[Entry] { return slices.Values(builtIn[:]) }

// IsBuiltIn reports whether p is one of the eleven.
func IsBuiltIn(p Permission) bool { return builtInIndex(p) >= 0 }

func builtInIndex(p Permission) int {
	return slices.IndexFunc(builtIn[:], func(e Entry) bool { return e.Name == p })
}

var permissionName = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,63}$`)

// ParseName reads the name of a permission, built in or custom, without asking
// whether there is one of that name. It returns fault.Invalid for what can be none.
func ParseName(s string) (Permission, error) {
	if !permissionName.MatchString(s) {
		return "", fault.New(fault.Invalid, "bad_permission",
			"a permission is named by 2 to 64 upper-case letters, digits and underscores, beginning with a letter")
	}
	return Permission(s), nil
}

// ParseCustomName reads the name of a custom permission that is about to be made.
// It returns fault.Exists for the name of a built-in one, in whatever case, and
// fault.Invalid for what can be no name.
func ParseCustomName(s string) (Permission, error) {
	for i := range builtIn {
		if strings.EqualFold(s, string(builtIn[i].Name)) {
			return "", fault.New(fault.Exists, "builtin_permission",
				"%s is built in and cannot be made again; choose another name", builtIn[i].Name)
		}
	}
	return ParseName(s)
}
