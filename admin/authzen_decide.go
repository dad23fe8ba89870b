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
	kindUser        = "user"        // id: an id, a login name, or <source>/<login name>; kindService, too
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
	// names holds the actions that were asked about, so that each takes memory once.
	names map[string]permissions.Permission
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
	case kindUser, kindService:
	case kindGroup:
		return refusal(permissions.NotGranted)
	default:
		return refusal(reasonSubjectType)
	}
	if string(q.resource.kind) != kindApplication {
		return refusal(reasonResourceType)
	}
	action := d.name(q.action)
	if id, ok := idOf(q.subject.id); ok { // nearly always somebody's, so he is not looked up twice
		if v := d.check(id, action); v.Why != permissions.UnknownUser {
			return d.ofKind(id, q.subject.kind, v)
		}
	}
	id, reason := d.user(q.subject.id)
	if reason != "" {
		return refusal(reason)
	}
	return d.ofKind(id, q.subject.kind, d.check(id, action))
}

// ofKind refuses a yes that a person would get as a service, or a service as a person.
func (d *decider) ofKind(id identity.UserID, kind []byte, v permissions.Decision) verdict {
	if v.Allowed && !d.is(id, kind) {
		return refusal(permissions.UnknownUser)
	}
	return verdict{Decision: v}
}

// is reports whether a user is of a kind: a person, or a service. Services are local,
// so of nearly nobody more than that is read.
func (d *decider) is(id identity.UserID, kind []byte) bool {
	service := false
	if _, source := d.snap.Name(identity.UserMember(id)); source == identity.Local {
		u, _, ok := d.snap.User(id)
		service = ok && isService(u)
	}
	return string(kind) == kindService == service
}

// The limits of what is remembered from one request to the next: how many actions,
// and how long the name of one may be. No permission has a longer one.
const (
	mostNames   = 256
	longestName = 64
)

// name returns the text as the name of an action.
func (d *decider) name(text []byte) permissions.Permission {
	if p, ok := d.names[string(text)]; ok {
		return p
	}
	if len(text) > longestName {
		return permissions.Permission(text)
	}
	if d.names == nil || len(d.names) == mostNames {
		d.names = map[string]permissions.Permission{}
	}
	p := permissions.Permission(text)
	d.names[string(p)] = p
	return p
}

func refusal(why permissions.Denial) verdict {
	return verdict{Decision: permissions.Decision{Why: why}}
}

// check decides about a user that was found.
func (d *decider) check(id identity.UserID, action permissions.Permission) permissions.Decision {
	if action == actionSubscribe {
		return d.book.CheckSubscribe(d.snap, id, d.now)
	}
	return d.book.Check(d.snap, permissions.Request{User: id, Permission: action, Now: d.now})
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

// idOf reads the text form of an id.
func idOf(text []byte) (id identity.UserID, ok bool) {
	const length = 36 // nothing else is even tried: an error costs more than an answer
	ok = len(text) == length && id.UnmarshalText(text) == nil
	return id, ok
}

func (d *decider) find(text []byte) (identity.UserID, permissions.Denial) {
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
	if kind := string(q.subject.kind); kind != kindUser && kind != kindService || q.subject.id == nil {
		return false
	}
	id, reason := d.user(q.subject.id)
	return reason == "" && id == d.caller.User
}
