package client

import "time"

// Subject names a user or a group.
type Subject struct {
	Kind   string `json:"kind"` // "user" or "group"
	ID     string `json:"id"`
	Name   string `json:"name"`
	Source string `json:"source"` // who owns it: the name of a source, or "local"
}

// Status says whether somebody or something is active, and if not, why.
type Status struct {
	Status string `json:"status"` // "active" or "inactive"
	Reason string `json:"reason,omitzero"`
}

// UserSummary is a user in a list.
type UserSummary struct {
	ID          string `json:"id"`
	UserName    string `json:"userName"`
	Source      string `json:"source"`
	DisplayName string `json:"displayName,omitzero"`
	Email       string `json:"email,omitzero"`
	Status
}

// User is a user in full, in three views.
type User struct {
	Versioned
	UserSummary
	CreateTime  time.Time     `json:"createTime"`
	ExpireTime  time.Time     `json:"expireTime,omitzero"`
	MissingTime time.Time     `json:"missingTime,omitzero"`
	Revision    int64         `json:"revision"`
	External    External      `json:"external"`
	Local       UserLocal     `json:"local"`
	Effective   UserEffective `json:"effective"`
}

// External is what the source says of a user or a group.
type External struct {
	Key        string              `json:"key"`
	DN         string              `json:"dn,omitzero"`
	Disabled   string              `json:"disabled,omitzero"`
	Profile    map[string]string   `json:"profile"`
	Attributes map[string][]string `json:"attributes"`
	Groups     []Subject           `json:"groups"`
	Unresolved []string            `json:"unresolved,omitempty"`
}

// UserLocal is what administrators put on top of a user.
type UserLocal struct {
	Disabled   *Disabled           `json:"disabled,omitzero"`
	Attributes map[string][]string `json:"attributes"`
	Groups     []Subject           `json:"groups"`
}

// UserEffective is what holds in the end.
type UserEffective struct {
	Profile     map[string]string  `json:"profile"`
	Attributes  map[string][]Value `json:"attributes"`
	Groups      []Belonging        `json:"groups"`
	Permissions []string           `json:"permissions"`
	Personas    []string           `json:"personas"`
	Grants      []Grant            `json:"grants"`
}

// Disabled is a local disable.
type Disabled struct {
	By     string    `json:"by"`
	Time   time.Time `json:"time"`
	Reason string    `json:"reason,omitzero"`
}

// Value is an effective value of an attribute, with everything that makes it hold.
type Value struct {
	Value string       `json:"value"`
	From  []Provenance `json:"from"`
}

// Provenance says where a value comes from.
type Provenance struct {
	Origin string    `json:"origin"`
	Group  *Subject  `json:"group,omitzero"`
	Via    []Subject `json:"via,omitempty"`
}

// Belonging is a group that a user or a group is in.
type Belonging struct {
	Subject
	Direct  bool      `json:"direct"`
	Origins []string  `json:"origins,omitempty"`
	Via     []Subject `json:"via,omitempty"`
}

// GroupSummary is a group in a list.
type GroupSummary struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Source  string `json:"source"`
	Members int    `json:"members"` // direct ones
	Status
}

// Group is a group in full, in three views.
type Group struct {
	Versioned
	GroupSummary
	CreateTime  time.Time      `json:"createTime"`
	MissingTime time.Time      `json:"missingTime,omitzero"`
	Revision    int64          `json:"revision"`
	External    External       `json:"external"`
	Local       GroupLocal     `json:"local"`
	Effective   GroupEffective `json:"effective"`
}

// GroupLocal is what administrators put on top of a group.
type GroupLocal struct {
	Attributes map[string][]string `json:"attributes"`
	Groups     []Subject           `json:"groups"`
}

// GroupEffective is what a group passes on to its members.
type GroupEffective struct {
	Attributes map[string][]Value `json:"attributes"`
	Groups     []Belonging        `json:"groups"`
	Grants     []Grant            `json:"grants"`
}

// GroupMember is a member of a group.
type GroupMember struct {
	Subject
	Origins []string `json:"origins,omitempty"`
}

// Grant is a permission given to a user or a group.
type Grant struct {
	ID         string    `json:"id"`
	Permission string    `json:"permission"`
	Subject    Subject   `json:"subject"`
	GrantedBy  string    `json:"grantedBy"`
	Time       time.Time `json:"time"`
	Reason     string    `json:"reason,omitzero"`
	ExpireTime time.Time `json:"expireTime,omitzero"`
	Origin     string    `json:"origin"`
	State      string    `json:"state"` // "ACTIVE" or "EXPIRED"
	// AcknowledgedDirectory is set for a grant to a group that a source owns: whoever
	// gave it knew that the directory decides who has it.
	AcknowledgedDirectory bool `json:"acknowledgedDirectory,omitzero"`
}

// Permission is an entry of the catalogue.
type Permission struct {
	Name        string    `json:"name"`
	Description string    `json:"description"`
	EnforcedBy  string    `json:"enforcedBy"`
	BuiltIn     bool      `json:"builtIn"`
	CreatedBy   string    `json:"createdBy,omitzero"`
	CreateTime  time.Time `json:"createTime,omitzero"`
	Actions     []Action  `json:"actions,omitempty"`
}

// Action is one thing that a permission lets its holder do.
type Action struct {
	Does       string `json:"does"`
	EnforcedBy string `json:"enforcedBy"`
}

// Persona is a label that follows from permissions.
type Persona struct {
	ID          string   `json:"id"`
	Label       string   `json:"label"`
	Duties      string   `json:"duties"`
	Permissions []string `json:"permissions"`
}
