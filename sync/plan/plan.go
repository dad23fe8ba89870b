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
	"cmp"
	"iter"
	"strings"

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
	// Record returns the stored record of what User, Group, Users or Groups gave, or
	// nil when it cannot be read: what the source says then takes its place.
	Record(Known) *identity.Record
	// Members yields the keys of the members that the source put into one of its
	// groups: users first, then groups. A missing user's membership is included.
	Members(Known) iter.Seq[MemberKey]
	// Named yields every user of the source, the missing ones included, whose login
	// name is the folded one.
	Named(folded string) iter.Seq[Known]
	// Total counts what the source has.
	Total() Total
}

// Total counts what the roll has of one source.
type Total struct {
	Users, Groups int // present
	UsersMissing  int
	Members       int // single memberships in its present groups
}

// Ref is the id of a user or a group, as its 16 bytes.
type Ref [16]byte

// Known is the short form of an object that the roll has.
type Known struct {
	Kind    Kind
	Ref     Ref
	Key     identity.Key
	Name    string // as stored, not folded
	Hash    uint64
	Missing bool
}

// MemberKey names a member by its key in the source.
type MemberKey struct {
	Group bool         `json:"group,omitzero"`
	Key   identity.Key `json:"key"`
}

// compare orders users before groups, and each by key.
func (m MemberKey) compare(n MemberKey) int {
	switch {
	case m.Group == n.Group:
		return strings.Compare(string(m.Key), string(n.Key))
	case n.Group:
		return -1
	}
	return 1
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
	LinkUser   // a new entry joins a user of another source
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
	Op   Op           `json:"op"`
	Key  identity.Key `json:"key"`
	Ref  Ref          `json:"id,omitzero"` // zero for a creation, and for the members of a group that this plan creates
	Name string       `json:"name"`        // for people to read; the new one where it changes
	// Changes lists what differs, by field, in a fixed order: name, dn, profile
	// fields, disabled, expires, then attributes by key as "attribute.<key>", then
	// unresolved. A creation lists every field that has a value. A return may list
	// none: then only the absence ends.
	Changes []Change `json:"changes,omitempty"`
	// After is the record to store; nil for ChangeMembers and deactivations. It is
	// left out of the JSON form: a plan that was put away is shown and approved, but
	// what is applied is always computed from a fresh read.
	After *identity.Record `json:"-"`
	// Add and Remove are the members to put into and take out of a group, sorted.
	Add    []MemberKey `json:"add,omitempty"`
	Remove []MemberKey `json:"remove,omitempty"`
	// Disable says whether a linked record may keep its user out, as a [Rule] does; empty:
	// as it was.
	Disable string `json:"-"`
	// Rule is the one by which an entry joins a user.
	Rule string `json:"rule,omitempty"`
	// MembersKnown is how many members the source had in the group before; zero for
	// a group that was missing, whose members had nothing from it.
	MembersKnown int `json:"membersKnown,omitzero"`
}

// compare orders steps as they are applied.
func (s *Step) compare(t *Step) int {
	if c := cmp.Compare(s.Op, t.Op); c != 0 {
		return c
	}
	return strings.Compare(string(s.Key), string(t.Key))
}

// Change is one field of one object, before and after. Nil means that the field is
// not set.
type Change struct {
	Field  string   `json:"field"`
	Before []string `json:"before,omitempty"`
	After  []string `json:"after,omitempty"`
}

// Plan is what one run would change.
type Plan struct {
	Source    identity.SourceID  `json:"source"`
	Server    string             `json:"server,omitempty"` // which server was read
	Config    string             `json:"config,omitempty"` // hash of the configuration it was computed under
	Reach     identity.Reach     `json:"reach,omitzero"`   // what the read looked at
	Steps     []Step             `json:"steps"`            // sorted: by operation, then by key
	Counts    Counts             `json:"counts"`
	Skipped   []identity.Skipped `json:"skipped,omitempty"`   // of the observation and of the comparison
	Conflicts []Conflict         `json:"conflicts,omitempty"` // what a person has to settle
	Withheld  []string           `json:"withheld,omitempty"`  // why removals were left out: one line for each reason
	Proof     identity.Proof     `json:"proof"`
	// Missed counts the entries with a step that reads of changes should have brought
	// before, and that only a sweep found.
	Missed int `json:"missed,omitzero"`
	// Consequences say what the plan changes of what people may do, by permission. They
	// are what package state finds, and not a part of what is applied.
	Consequences []Consequence `json:"consequences,omitempty"`
	// Marked says that how the source is read was changed since a run was last applied:
	// then the plan is held if it raises anyone, and Raised lists whom and what, by
	// permission and name.
	Marked bool     `json:"marked,omitzero"`
	Raised []Raised `json:"raised,omitempty"`
}

// Counts sums a plan up. Members counts single memberships.
type Counts struct {
	Users        Tally `json:"users"`
	Groups       Tally `json:"groups"`
	Members      Tally `json:"members"`
	UsersKnown   int   `json:"usersKnown"` // present before the run, not missing
	GroupsKnown  int   `json:"groupsKnown"`
	MembersKnown int   `json:"membersKnown"` // memberships of the source before the run, in groups that are not missing after it
	UsersMissing int   `json:"usersMissing"` // missing before the run
	UsersSeen    int   `json:"usersSeen"`    // entries of the observation, skipped ones included
	GroupsSeen   int   `json:"groupsSeen"`
	Disabled     int   `json:"disabled"`          // active users whom the source no longer lets in
	Renamed      int   `json:"renamed"`           // login names that change
	Unchanged    int   `json:"unchanged"`         // entries seen and left as they are
	Linked       int   `json:"linked,omitzero"`   // entries that join a user of another source
	Unlinked     int   `json:"unlinked,omitzero"` // entries of an attribute-only source that join nobody
	Unresolved   int   `json:"unresolved"`        // member keys that no entry answers to; see also Record.Unresolved
}

// Tally counts changes of one kind of thing.
type Tally struct {
	Created  int `json:"created,omitzero"`
	Updated  int `json:"updated,omitzero"`
	Returned int `json:"returned,omitzero"`
	Removed  int `json:"removed,omitzero"`
}

// The codes of conflicts.
const (
	// Recreated: the login name belonged to a user whom the source no longer has,
	// under another key. Whether both are one person, only a person can say.
	Recreated = "recreated"
	// DuplicateName: another user of the source holds the login name.
	DuplicateName = "duplicate_name"
)

// Conflict is something a run leaves alone because a person has to decide it.
type Conflict struct {
	Code   string       `json:"code"`
	Key    identity.Key `json:"key"`
	Name   string       `json:"name"`
	DN     string       `json:"dn,omitempty"`     // where the directory shows the entry
	Holder identity.Key `json:"holder,omitempty"` // who has the name
	Detail string       `json:"detail"`
}

// Policy is what the administrator decided beforehand.
type Policy struct {
	// Config is a hash of the source's configuration. It becomes part of the digest,
	// so that an approval dies when the configuration moves.
	Config string
	// Admit names entries that may take the login name of a user whom the source no
	// longer has: an administrator has settled that they are different people.
	Admit map[identity.Key]bool
}

// IsEmpty reports whether the plan changes nothing.
func (p *Plan) IsEmpty() bool { return len(p.Steps) == 0 }
