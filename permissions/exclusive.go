package permissions

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// ExclusiveRoles is the cause of a refusal, code exclusive_roles: who would be an
// administrator and a governor at once.
type ExclusiveRoles struct {
	Users []BothRoles // at most [MaxNamed]
	More  bool        // whether there are others
}

// MaxNamed is how many users a refusal names.
const MaxNamed = 20

// BothRoles is one of them, with a shortest path to each of the two roles.
type BothRoles struct {
	User       Ref        `json:"user"`
	UserName   string     `json:"userName,omitzero"` // "" when no names were at hand
	Admin      Permission `json:"admin"`             // APPLICATION_ADMIN or USER_ADMIN
	AdminPath  Path       `json:"adminPath"`
	Governance Path       `json:"governancePath"`

	sentence string
}

// add notes a user, unless he is noted or enough are.
func (e *ExclusiveRoles) add(after *ledger, user identity.UserID) {
	ref := Ref{identity.UserMember(user)}
	if slices.ContainsFunc(e.Users, func(b BothRoles) bool { return b.User == ref }) {
		return
	}
	if e.More = len(e.Users) == MaxNamed; e.More {
		return
	}
	v := &after.view
	explain := func(p Permission) Explanation {
		x := v.Book.Explain(v.Members, Request{User: user, Permission: p, Now: after.now})
		if v.Names != nil {
			x = x.Named(v.Names)
		}
		return x
	}
	admin, governance := explain(ApplicationAdmin), explain(Governance)
	if !admin.Allowed {
		admin = explain(UserAdmin)
	}
	b := BothRoles{User: ref, UserName: admin.UserName, Admin: admin.Permission, AdminPath: admin.Paths[0]}
	for i := range governance.Blocked { // suppressed, but not expired
		if !slices.Contains(governance.Blocked[i].BlockedBy, ExpiredGrant) {
			b.Governance = governance.Blocked[i]
			break
		}
	}
	name := nameOr(b.UserName, b.User)
	b.sentence = fmt.Sprintf("%s -> %s, and %s -> %s", admin.path(name, &b.AdminPath), b.Admin,
		governance.path(name, &b.Governance), Governance)
	e.Users = append(e.Users, b)
}

// Error returns a sentence for the writer, with the paths of the first user.
func (e *ExclusiveRoles) Error() string {
	names := make([]string, len(e.Users))
	for i := range e.Users {
		names[i] = nameOr(e.Users[i].UserName, e.Users[i].User)
	}
	more := ""
	if e.More {
		more = " and others"
	}
	return fmt.Sprintf("%s allows nobody to be an administrator and a governor at once, and so would be: %s%s. First take one of the two away: %s",
		SettingAdminGovernorExclusive, strings.Join(names, ", "), more, e.Users[0].sentence)
}
