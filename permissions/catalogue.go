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
	Description string     `json:"description"` // what it lets its holder do, action by action
	EnforcedBy  Enforcer   `json:"enforcedBy"`
	BuiltIn     bool       `json:"builtIn"`
	// By and At say who made a custom permission and when.
	By string    `json:"createdBy,omitzero"`
	At time.Time `json:"createTime,omitzero"`
}

// builtIn is closed: nothing is added to it, nothing is taken away.
var builtIn = [...]Entry{
	{
		Name: ApplicationAdmin, EnforcedBy: EnforcedByRollcall, BuiltIn: true,
		Description: "Configure the installation: add, change, test and remove sources, change settings, " +
			"make and remove custom permissions, issue and revoke the API keys of services, start a sync run.",
	},
	{
		Name: Audit, EnforcedBy: EnforcedByRollcall, BuiltIn: true,
		Description: "Read the whole audit log, search it and export it, and see why anybody has or lacks a permission. " +
			"Without it a user sees only the entries that concern himself.",
	},
	{
		Name: CreateDataSource, EnforcedBy: EnforcedByApplications, BuiltIn: true,
		Description: "Register data sources in the applications, inside and outside of projects, and own them.",
	},
	{
		Name: CreateDataSourceInProject, EnforcedBy: EnforcedByApplications, BuiltIn: true,
		Description: "Register data sources in the applications within a project that one belongs to, and nowhere else.",
	},
	{
		Name: CreateFilter, EnforcedBy: EnforcedByApplications, BuiltIn: true,
		Description: "Build search filters in the applications and save them under a name.",
	},
	{
		Name: CreateProject, EnforcedBy: EnforcedByApplications, BuiltIn: true,
		Description: "Open new projects in the applications and own them.",
	},
	{
		Name: FetchPolicyInfo, EnforcedBy: EnforcedByBoth, BuiltIn: true,
		Description: "Read, as a machine, what decides the access of others: the effective groups, attributes and permissions " +
			"of users, decisions and the feed of changes here; visibilities, masking and filters of a data source in the applications.",
	},
	{
		Name: Governance, EnforcedBy: EnforcedByApplications, BuiltIn: true,
		Description: "Write policies that hold everywhere in the applications, restrict projects to purposes, " +
			"and create, apply and remove tags.",
	},
	{
		Name: ImpersonateUser, EnforcedBy: EnforcedByBoth, BuiltIn: true,
		Description: "Act as another user: query as him in the applications, and look at Rollcall as he sees it here, " +
			"reading only and never with more than he may do himself.",
	},
	{
		Name: ProjectManagement, EnforcedBy: EnforcedByApplications, BuiltIn: true,
		Description: "Create purposes, approve and deny requests to use a purpose, and add and remove the data sources of a project.",
	},
	{
		Name: UserAdmin, EnforcedBy: EnforcedByRollcall, BuiltIn: true,
		Description: "Create, change, disable and delete local users and groups, set local attributes and memberships, " +
			"give and take every permission, disable anybody at once, approve a held sync plan.",
	},
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
