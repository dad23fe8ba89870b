// Package plan decides what one sync run would change. It compares what the roll
// has of one source with what a read of that source saw, and returns steps in a
// fixed order. It opens nothing, logs nothing and asks no clock, so a plan can be
// printed, tested, approved and computed again.
//
// It owns the comparison, the guard that holds a plan which removes or changes too
// much, and the plan's text and digest. It promises that no step touches what
// another source or an administrator owns, that nothing is removed without a proof
// of completeness, and that no step can express a permission. Package sync runs
// plans; package state stores what they produce.
package plan

import (
	"iter"

	"github.com/rollcall-id/rollcall/identity"
)

// Directory is what the roll has, as one source may see it: a snapshot that does
// not change. Only objects and rows that the source owns are in it.
type Directory interface {
	// User returns what is known of the user with the given key.
	User(identity.Key) (Known, bool)
	// Group returns what is known of the group with the given key.
	Group(identity.Key) (Known, bool)
	// Users yields every user that the source owns, the missing ones included.
	Users() iter.Seq[Known]
	// Groups yields every group that the source owns, the missing ones included.
	Groups() iter.Seq[Known]
	// Record returns the stored record of what User, Group, Users or Groups gave.
	Record(Known) *identity.Record
	// Members yields the keys of the members that the source put into one of its
	// groups: users first, then groups. A missing user's membership is included.
	Members(Known) iter.Seq[MemberKey]
}

// Known is the short form of an object that the roll has.
type Known struct {
	Kind    Kind
	Ref     [16]byte // the user's or group's id
	Key     identity.Key
	Name    string // as stored, not folded
	Hash    uint64
	Missing bool
}

// MemberKey names a member by its key in the source.
type MemberKey struct {
	Group bool
	Key   identity.Key
}

// Kind tells users from groups.
type Kind uint8

// The kinds.
const (
	User Kind = iota
	Group
)

// Op is what a step does.
type Op uint8

// The operations, in the order in which they are applied.
const (
	CreateUser Op = iota
	UpdateUser
	ReturnUser // a missing one is back under the same key
	CreateGroup
	UpdateGroup
	ReturnGroup
	ChangeMembers // of a group
	DeactivateUser
	DeactivateGroup
)

// Step is one change of one object. It is a value and holds everything that
// applying it needs.
type Step struct {
	Op   Op
	Key  identity.Key
	Ref  [16]byte // zero for a creation
	Name string   // for people to read; the new one where it changes
	// Changes lists what differs, by field, in a fixed order: name, dn, profile
	// fields, disabled, expires, then attributes by key as "attribute.<key>".
	Changes []Change
	// After is the record to store; nil for ChangeMembers and deactivations.
	After *identity.Record
	// Add and Remove are the members to put into and take out of a group, sorted.
	Add, Remove []MemberKey
}

// Change is one field of one object, before and after. Nil means that the field is
// not set.
type Change struct {
	Field         string
	Before, After []string
}

// Plan is what one run would change.
type Plan struct {
	Source    identity.SourceID
	Steps     []Step // sorted: by operation, then by key
	Counts    Counts
	Skipped   []identity.Skipped // of the observation and of the comparison
	Conflicts []Conflict         // what a person has to settle
	Withheld  []string           // why removals were left out: one line for each reason
	Proof     identity.Proof
}

// Counts sums a plan up. Members counts single memberships.
type Counts struct {
	Users, Groups, Members  Tally
	UsersKnown, GroupsKnown int // present before the run, not missing
	MembersKnown            int
	Renamed                 int // login names that change
	Unchanged               int // entries seen and left as they are
	Unresolved              int // members that no entry answers to
}

// Tally counts changes of one kind of thing.
type Tally struct {
	Created, Updated, Returned, Removed int
}

// Conflict is something a run leaves alone because a person has to decide it.
type Conflict struct {
	Code   string // "recreated", "duplicate_name"
	Key    identity.Key
	Name   string
	Detail string
}
