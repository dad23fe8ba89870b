package admin

import (
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// What the API shows is spelled out in structs of its own: neither the model nor what
// is stored can change a name here by accident.

// Subject names a user or a group.
type Subject struct {
	Kind   string            `json:"kind" enum:"user,group"`
	ID     string            `json:"id"`
	Name   string            `json:"name"`
	Source identity.SourceID `json:"source" doc:"Who owns it: the id of a source, or local"`
}

func subjectOf(s *state.Snapshot, m identity.Member) Subject {
	sub := Subject{Kind: "user"}
	if g, ok := m.Group(); ok {
		sub.Kind, sub.ID = "group", g.String()
	} else {
		u, _ := m.User()
		sub.ID = u.String()
	}
	sub.Name, sub.Source = s.Name(m)
	return sub
}

// Status says whether somebody or something is active, and if not, why.
type Status struct {
	Status string          `json:"status" enum:"active,inactive"`
	Reason identity.Reason `json:"reason,omitzero" doc:"Why inactive: disabled_in_source, locked_in_source, expired, missing_from_source, disabled_locally"`
}

func statusOf(r identity.Reason) Status {
	if r == identity.Active {
		return Status{Status: "active"}
	}
	return Status{Status: "inactive", Reason: r}
}

// Grant is a permission given to a user or a group.
type Grant struct {
	ID         permissions.GrantID    `json:"id"`
	Permission permissions.Permission `json:"permission"`
	Subject    Subject                `json:"subject"`
	GrantedBy  string                 `json:"grantedBy" doc:"The actor, as in the audit log"`
	Time       time.Time              `json:"time"`
	Reason     string                 `json:"reason,omitzero"`
	ExpireTime time.Time              `json:"expireTime,omitzero" doc:"Nothing: never"`
	Origin     identity.Origin        `json:"origin"`
	State      string                 `json:"state" enum:"ACTIVE,EXPIRED"`
	// AcknowledgedDirectory is set for a grant to a group that a source owns.
	AcknowledgedDirectory bool `json:"acknowledgedDirectory,omitzero" doc:"Whoever gave it knew that the group's directory decides who has it"`
}

func (a *API) grantOf(s *state.Snapshot, g *permissions.Grant) Grant {
	out := Grant{
		ID: g.ID, Permission: g.Permission, Subject: subjectOf(s, g.Subject), GrantedBy: g.By, Time: g.At,
		Reason: g.Reason, ExpireTime: g.Expires, Origin: g.Origin, State: "ACTIVE", AcknowledgedDirectory: g.Acknowledged,
	}
	if !g.Effective(a.now()) {
		out.State = "EXPIRED"
	}
	return out
}

// Disabled is a local disable.
type Disabled struct {
	By     string    `json:"by"`
	Time   time.Time `json:"time"`
	Reason string    `json:"reason,omitzero"`
}

func disabledOf(d *identity.Disabled) *Disabled {
	if d == nil {
		return nil
	}
	return &Disabled{By: d.By, Time: d.At, Reason: d.Reason}
}

// Value is one effective value of an attribute, with everything that makes it hold.
type Value struct {
	Value string       `json:"value"`
	From  []Provenance `json:"from"`
}

// Provenance says where a value comes from.
type Provenance struct {
	Origin identity.Origin `json:"origin" doc:"Who put it there: the id of a source, or local"`
	// Group carries the value; nothing when it is the object's own.
	Group *Subject  `json:"group,omitzero"`
	Via   []Subject `json:"via,omitempty" doc:"The chain of groups from a direct membership to group, both included, when there is more than one"`
}

// Belonging is a group that a user or a group is in.
type Belonging struct {
	Subject
	Direct  bool                `json:"direct"`
	Origins []identity.SourceID `json:"origins,omitempty" doc:"Who put it into the group, when direct"`
	Via     []Subject           `json:"via,omitempty" doc:"A shortest chain of groups up to this one, which is left out, when nested"`
}

// attributesOf never returns null: a caller can range over it.
func attributesOf(a identity.Attributes) map[string][]string {
	if a == nil {
		return map[string][]string{}
	}
	return a
}

func profileOf(p map[string]string) map[string]string {
	if p == nil {
		return map[string]string{}
	}
	return p
}
