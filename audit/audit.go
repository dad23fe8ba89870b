// Package audit says what an entry of the audit log is. Every change of the roll,
// of permissions, settings, sources and tokens carries one, in the same transaction
// as the change itself, so that neither can be observed without the other.
//
// It owns the shape of an entry and of the actor behind it, and how both print. It
// promises that an entry holds no secret. Package state writes entries; what a
// caller may read of them is decided where they are asked for.
package audit

import "time"

// ActorKind says what sort of actor made a change.
type ActorKind string

// The kinds of actor.
const (
	ActorUser   ActorKind = "user"
	ActorKey    ActorKind = "api_key"
	ActorSync   ActorKind = "sync"
	ActorSystem ActorKind = "system"
)

// Actor is who made a change.
type Actor struct {
	Kind ActorKind
	ID   string // a user's id, a key's public id, "<source>/<run>" of a sync
	Name string // as it was at the time, for people
	// Request ties entries to one request or run.
	Request string
}

// String returns the kind and the name, or the id when there is no name.
func (a Actor) String() string {
	if a.Name != "" {
		return string(a.Kind) + ":" + a.Name
	}
	return string(a.Kind) + ":" + a.ID
}

// Entry is one thing that was done, or refused.
type Entry struct {
	At     time.Time
	Actor  Actor
	Events []Event
}

// Event is one change within an entry.
type Event struct {
	// Action is a noun and a past verb: "PermissionGranted", "UserCreated".
	Action string
	// Target names what was changed: "user/<id>", "group/<id>", "source/<id>".
	Target string
	Name   string
	Reason string
	// Changes lists fields before and after. A creation by a sync run lists none:
	// the run's record has the counts and the object itself has the values.
	Changes []Change
}

// Change is one field, before and after.
type Change struct {
	Field         string
	Before, After []string
}
