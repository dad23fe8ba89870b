// Package permissions says what each user may do, and why. It owns the catalogue
// (eleven permissions, closed, and custom ones that carry no built-in power),
// grants, settings, personas, the check with its explanation, and the judge of
// local writes ([Judge]), who keeps everybody from raising anybody above what the
// rules let him confer.
//
// It promises to be pure: who belongs to which group and what the time is are
// arguments, so a decision can be repeated, tested and explained. It has no notion
// of directories: nothing that a source says can become a grant. Grants are stored
// by package state, which computes what a write would make of them and asks the
// judge before it writes.
package permissions

import (
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

// Permission is the name of an entry of the catalogue.
type Permission string

// The permissions that are built in.
const (
	ApplicationAdmin          Permission = "APPLICATION_ADMIN"
	Audit                     Permission = "AUDIT"
	CreateDataSource          Permission = "CREATE_DATA_SOURCE"
	CreateDataSourceInProject Permission = "CREATE_DATA_SOURCE_IN_PROJECT"
	CreateFilter              Permission = "CREATE_FILTER"
	CreateProject             Permission = "CREATE_PROJECT"
	FetchPolicyInfo           Permission = "FETCH_POLICY_INFO"
	Governance                Permission = "GOVERNANCE"
	ImpersonateUser           Permission = "IMPERSONATE_USER"
	ProjectManagement         Permission = "PROJECT_MANAGEMENT"
	UserAdmin                 Permission = "USER_ADMIN"
)

// GrantID is the lasting name of a grant: a UUID in text form.
type GrantID string

// Grant is a permission that somebody gave to one user or to one group.
type Grant struct {
	ID         GrantID
	Permission Permission
	Subject    identity.Member // a user or a group
	By         string          // the actor who gave it, as in the audit log
	At         time.Time
	Reason     string
	Expires    time.Time // zero: never
	Origin     identity.Origin
	// Acknowledged says that the one who gave it to a synced group knew that somebody
	// else's directory decides who is in it.
	Acknowledged bool
	// Told is set once the end of an expired grant stands in the audit log.
	Told bool
}

// Effective reports whether the grant itself still counts at the given instant.
func (g *Grant) Effective(now time.Time) bool { return g.Expires.IsZero() || now.Before(g.Expires) }

// Members answers who belongs where, at one revision. Handles are small numbers
// that mean something only to the Members that gave them. The slices returned alias
// its memory: they are read and not kept.
type Members interface {
	// Subject returns the handle and the standing of a user.
	Subject(identity.UserID) (Subject, bool)
	// DirectGroups returns the groups that the user with this handle is a direct
	// member of. Groups that are missing are left out.
	DirectGroups(user uint32) []uint32
	// Above returns the groups that contain this group through any number of
	// nestings, the group itself left out, each once. Cycles are resolved.
	Above(group uint32) []uint32
	// GroupID returns the id behind a group's handle.
	GroupID(group uint32) identity.GroupID
	// Via returns a shortest chain of nested groups from the first group to the
	// second, both included, or nil when there is none. For explanations only.
	Via(from, to uint32) []uint32
	// GroupHandle returns the handle of a group that is not missing.
	GroupHandle(identity.GroupID) (uint32, bool)
	// MembersBelow yields every user who is a member of the group directly or
	// through nesting, each once.
	MembersBelow(group uint32, yield func(user identity.UserID) bool)
}

// Subject is a user as the check sees him. Status is why he is inactive, leaving
// the clock out; Expires is when the clock makes him so. Local says that his own
// record is of source local, where no directory can reach it.
type Subject struct {
	Handle  uint32
	Status  identity.Reason
	Expires time.Time
	Local   bool
}

// Inactive returns why the subject is not active at the given instant, or
// [identity.Active].
func (s *Subject) Inactive(now time.Time) identity.Reason {
	if s.Status == identity.Active && !s.Expires.IsZero() && !now.Before(s.Expires) {
		return identity.ReasonExpired
	}
	return s.Status
}
