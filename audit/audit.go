// Package audit says what an entry of the audit log is. Every change of the roll,
// of permissions, settings, sources and tokens carries one, in the same transaction
// as the change itself, so that neither can be observed without the other.
//
// It owns the shape of an entry and of the actor behind it, the envelope in which
// entries leave the process, what a filter selects, and the chain of hashes that makes
// a change of the past visible. It promises that an entry holds no secret. Package
// state writes and keeps entries; what a caller may read of them is decided where they
// are asked for.
package audit

import (
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/store"
)

// ActorKind says what sort of actor made a change.
type ActorKind string

// The kinds of actor.
const (
	ActorUser   ActorKind = "user"
	ActorKey    ActorKind = "api_key"
	ActorSync   ActorKind = "sync"
	ActorPush   ActorKind = "push"
	ActorSystem ActorKind = "system"
)

// Actor is who made a change.
type Actor struct {
	Kind ActorKind
	ID   string // a user's id, a key's public id, "<source>/<run>" of a sync, "<source>/<token>" of a push
	Name string // as it was at the time, for people
	// Key is the public id of the API key that was used, if any.
	Key string
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
	ID string // a UUID, given when it was written
	// Seq counts the entries from 1, in the order of Rev. It never changes.
	Seq uint64
	// Rev is the revision of the transaction that did it.
	Rev    store.Revision
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

// The actions that are not changes of the roll.
const (
	// Denied is a refusal: somebody known asked for what he may not do.
	Denied = "AuthorizationDenied"
	// Read says that the log itself was read.
	Read = "AuditRead"
	// Impersonated says that somebody was answered as the user whom it is about.
	Impersonated = "UserImpersonated"
	// Trimmed marks that the oldest entries were removed, as retention says.
	Trimmed = "AuditTrimmed"
	// Unreadable stands in the place of an entry that cannot be decoded.
	Unreadable = "AuditRecordUnreadable"
)

// Named returns events under the names that readers know. What is stored says in one
// event that members were added and removed, and tells whether a source or an
// administrator keeps somebody out; readers see additions and removals apart, and
// whether somebody is in or out, with the reason.
func Named(events []Event) []Event {
	out := make([]Event, 0, len(events))
	for _, e := range events {
		noun, deactivated := strings.CutSuffix(e.Action, "Deactivated")
		back, returned := strings.CutSuffix(e.Action, "Returned")
		switch {
		case e.Action == "GroupMembersChanged":
			out = append(out, members(e)...)
			continue
		case deactivated:
			e.Action = noun + "Disabled"
		case returned:
			e.Action = back + "Enabled"
			if e.Reason == "" {
				e.Reason = "returned_to_source"
			}
		}
		out = append(out, e)
	}
	return out
}

func members(e Event) []Event {
	added, removed := e, e
	added.Action, added.Changes = "GroupMemberAdded", nil
	removed.Action, removed.Changes = "GroupMemberRemoved", nil
	for _, c := range e.Changes {
		if len(c.After) > 0 {
			added.Changes = append(added.Changes, Change{Field: c.Field, After: c.After})
		}
		if len(c.Before) > 0 {
			removed.Changes = append(removed.Changes, Change{Field: c.Field, Before: c.Before})
		}
	}
	var out []Event
	if len(removed.Changes) > 0 {
		out = append(out, removed)
	}
	if len(added.Changes) > 0 || len(out) == 0 {
		out = append(out, added)
	}
	return out
}
