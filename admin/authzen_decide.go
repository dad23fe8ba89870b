package admin

import (
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// What subjects, resources and actions are to AuthZEN.
const (
	kindUser        = "user"        // id: an id, a login name, or <source>/<login name>
	kindGroup       = "group"       // known, and never allowed anything: a permission is somebody's
	kindApplication = "application" // id: any; permissions hold in all of them
	actionSubscribe = "subscribe"   // what every active user may do, unless a setting says otherwise
)

// The denials that there are beside those of package permissions.
const (
	reasonSubjectType  permissions.Denial = "unknown_subject_type"
	reasonResourceType permissions.Denial = "unknown_resource_type"
	reasonAmbiguous    permissions.Denial = "ambiguous_user"
)

// decider answers the questions of one request, all from one snapshot and as of one
// instant.
type decider struct {
	snap     *state.Snapshot
	book     *permissions.Book
	now      time.Time
	caller   access.Caller
	policy   bool      // the caller may ask about others
	detailed bool      // he may also see which grants decide
	stale    time.Time // since when the store does not answer

	// The subject that was found last: several questions are often about one.
	text   []byte
	found  identity.UserID
	reason permissions.Denial
}

// answer is a decision, or what is wrong with the question.
type verdict struct {
	permissions.Decision
	wrong string
}

// decide answers one question. What is not known is a no.
func (d *decider) decide(q *authzenQuery) verdict {
	if wrong := q.lacks(wholeQuestion); wrong != "" {
		return verdict{wrong: wrong}
	}
	switch string(q.subject.kind) {
	case kindUser:
	case kindGroup:
		return refusal(permissions.NotGranted)
	default:
		return refusal(reasonSubjectType)
	}
	if string(q.resource.kind) != kindApplication {
		return refusal(reasonResourceType)
	}
	id, reason := d.user(q.subject.id)
	if reason != "" {
		return refusal(reason)
	}
	return verdict{Decision: d.check(id, permissions.Permission(q.action))}
}

func refusal(why permissions.Denial) verdict {
	return verdict{Decision: permissions.Decision{Why: why}}
}

// check decides about a user that was found.
func (d *decider) check(id identity.UserID, action permissions.Permission) permissions.Decision {
	if action == actionSubscribe {
		return d.subscribes(id)
	}
	return d.book.Check(d.snap, permissions.Request{User: id, Permission: action, Now: d.now})
}

// subscribes decides about the one action that no permission stands for.
func (d *decider) subscribes(id identity.UserID) permissions.Decision {
	who, ok := d.snap.Subject(id)
	if !ok {
		return permissions.Decision{Why: permissions.UnknownUser}
	}
	if status := who.Inactive(d.now); status != identity.Active {
		return permissions.Decision{Why: permissions.InactiveUser, Status: status}
	}
	return permissions.Decision{Allowed: true}
}

// user returns the user that a text means, or why there is not exactly one.
func (d *decider) user(text []byte) (identity.UserID, permissions.Denial) {
	if len(text) > 0 && len(text) == len(d.text) && &text[0] == &d.text[0] {
		return d.found, d.reason
	}
	d.text = text
	d.found, d.reason = d.find(text)
	return d.found, d.reason
}

// idLength is how long an id is as text.
const idLength = 36

func (d *decider) find(text []byte) (identity.UserID, permissions.Denial) {
	if len(text) == idLength {
		var id identity.UserID
		if id.UnmarshalText(text) == nil {
			if _, ok := d.snap.Subject(id); ok {
				return id, ""
			}
		}
	}
	switch found := d.snap.FindUsers(string(text)); len(found) {
	case 0:
		return identity.UserID{}, permissions.UnknownUser
	case 1:
		return found[0], ""
	}
	return identity.UserID{}, reasonAmbiguous
}

// mayAsk reports whether the caller may ask a question: any, if he holds the
// permission for it, else those about himself. Whoever else is asked about, and
// whether he exists, makes no difference to the answer.
func (d *decider) mayAsk(q *authzenQuery) bool {
	if d.policy {
		return true
	}
	if string(q.subject.kind) != kindUser || q.subject.id == nil {
		return false
	}
	id, reason := d.user(q.subject.id)
	return reason == "" && id == d.caller.User
}
