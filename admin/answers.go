package admin

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// Explanation is the answer to a check with all its reasons.
type Explanation struct {
	permissions.Explanation
	Sentence string         `json:"sentence" doc:"The same for people: one line for each path, beginning with yes or no"`
	Revision store.Revision `json:"revision"`
}

type explainInput struct {
	UserPath
	PermissionPath
}

type explainOutput struct{ Body Explanation }

// Holder is somebody who has a permission, and by what.
type Holder struct {
	UserSummary
	Grant   Grant    `json:"grant" doc:"One that gives it; there may be others"`
	Through *Subject `json:"through,omitzero" doc:"The group that the user is directly in and that leads to the grant"`
}

// HolderPage is a page of holders.
type HolderPage struct {
	Permission    permissions.Permission `json:"permission"`
	Holders       []Holder               `json:"holders"`
	NextPageToken string                 `json:"nextPageToken" doc:"Empty after the last page"`
	Revision      store.Revision         `json:"revision"`
}

type listHoldersInput struct {
	PermissionPath
	PageQuery
}

type listHoldersOutput struct{ Body HolderPage }

// HeldPermission is a permission that a user effectively has.
type HeldPermission struct {
	Permission permissions.Permission `json:"permission"`
	Grants     []Grant                `json:"grants,omitempty" doc:"Those that give it; left out for callers who may read decisions only"`
}

// UserPermissions is all that a user may do now.
type UserPermissions struct {
	User Subject `json:"user"`
	Status
	Permissions []HeldPermission        `json:"permissions"`
	Personas    []permissions.PersonaID `json:"personas"`
	Revision    store.Revision          `json:"revision"`
}

type userPermissionsOutput struct{ Body UserPermissions }

// CheckRequest asks whether a user may do something.
type CheckRequest struct {
	User        string         `json:"user" minLength:"1" maxLength:"400" doc:"An id, a login name, or <source>/<login name>"`
	Permission  string         `json:"permission" minLength:"1" maxLength:"64"`
	MinRevision store.Revision `json:"minRevision,omitzero" minimum:"0" doc:"Answer from this revision or a newer one, as a write returned it"`
}

// CheckAnswer is a decision.
type CheckAnswer struct {
	Allowed  bool               `json:"allowed"`
	Reason   permissions.Denial `json:"reason,omitzero" doc:"Why not: unknown_user, unknown_permission, inactive, expired, not_granted"`
	Status   identity.Reason    `json:"status,omitzero" doc:"Why the user is inactive"`
	Revision store.Revision     `json:"revision"`
	// StaleSince is set while the store does not answer.
	StaleSince time.Time `json:"staleSince,omitzero" doc:"Set while the store does not answer: the decision is from memory as of then"`
}

type checkInput struct{ Body CheckRequest }

type checkOutput struct{ Body CheckAnswer }

// maxRevisionWait bounds how long a check waits for a revision.
const maxRevisionWait = 5 * time.Second

func (a *API) answerRoutes() {
	register(a, operation{
		id: "explainPermission", method: http.MethodGet, path: "/v1/users/{user}/permissions/{permission}/explanation", tag: "Answers",
		need: readSelf, summary: "Tell why a user has a permission, or has not", errors: []int{http.StatusNotFound, http.StatusConflict}, decision: true,
	}, a.explain)
	a.explainValueRoutes()
	register(a, operation{
		id: "listUserPermissions", method: http.MethodGet, path: "/v1/users/{user}/permissions", tag: "Answers",
		need: effectiveSelf, summary: "List what a user may do now", errors: []int{http.StatusNotFound, http.StatusConflict}, decision: true,
	}, a.userPermissions)
	register(a, operation{
		id: "listHolders", method: http.MethodGet, path: "/v1/permissions/{permission}/holders", tag: "Answers",
		need: readers, summary: "List who has a permission now, directly or by groups", errors: []int{http.StatusNotFound}, decision: true,
	}, a.listHolders)
	register(a, operation{
		id: "check", method: http.MethodPost, path: "/v1/check", tag: "Answers",
		need: checking, summary: "Decide whether a user has a permission now", errors: []int{http.StatusConflict}, decision: true,
	}, a.check)
}

func (a *API) explain(_ context.Context, in *explainInput) (*explainOutput, error) {
	snap := a.db.View().Now()
	id, err := snap.OneUser(in.User)
	if err != nil {
		return nil, err
	}
	// An unknown permission is an answer here: nobody has it, and the sentence says so.
	p, err := permissions.ParseName(in.Permission)
	if err != nil {
		return nil, err
	}
	e := snap.Book().Explain(snap, permissions.Request{User: id, Permission: p, Now: a.now()}).Named(names{snap})
	return &explainOutput{Body: Explanation{Explanation: e, Sentence: e.Sentence(nil), Revision: snap.Rev()}}, nil
}

// names is a snapshot as permissions.Rows.
type names struct{ s *state.Snapshot }

// UserName implements permissions.Names.
func (n names) UserName(id identity.UserID) string {
	name, _ := n.s.Name(identity.UserMember(id))
	return name
}

// GroupName implements permissions.Names.
func (n names) GroupName(id identity.GroupID) (string, identity.SourceID) {
	return n.s.Name(identity.GroupMember(id))
}

func (n names) Origins(m identity.Member, in identity.GroupID) []identity.SourceID {
	for g, by := range n.s.GroupsOf(m) {
		if g == in {
			return by
		}
	}
	return nil
}

func (a *API) userPermissions(ctx context.Context, in *UserPath) (*userPermissionsOutput, error) {
	snap := a.db.View().Now()
	id, err := snap.OneUser(in.User)
	if err != nil {
		return nil, err
	}
	e := snap.Book().Effective(snap, id, a.now())
	out := &userPermissionsOutput{Body: UserPermissions{
		User: subjectOf(snap, identity.UserMember(id)), Status: statusOf(e.Status), Personas: e.Personas(), Revision: snap.Rev(),
		Permissions: make([]HeldPermission, len(e.Held)),
	}}
	c := questionOf(ctx).caller
	detailed := c.User == id || a.holds(snap, c, readers.anyOf...)
	for i, h := range e.Held {
		out.Body.Permissions[i].Permission = h.Permission
		if !detailed {
			continue
		}
		for _, g := range h.Grants {
			out.Body.Permissions[i].Grants = append(out.Body.Permissions[i].Grants, a.grantOf(snap, g))
		}
	}
	return out, nil
}

func (a *API) listHolders(_ context.Context, in *listHoldersInput) (*listHoldersOutput, error) {
	snap, now := a.db.View().Now(), a.now()
	p, err := knownPermission(snap, in.Permission)
	if err != nil {
		return nil, err
	}
	query := strings.Join([]string{"holders", string(p)}, "\x00")
	after, err := in.afterUser(query, snap)
	if err != nil {
		return nil, err
	}
	later := func(yield func(identity.UserID) bool) {
		for id := range snap.Book().WhoCan(snap, p, now) {
			if id.Compare(after) > 0 && !yield(id) {
				return
			}
		}
	}
	size := in.size()
	found := smallest(later, size+1, identity.UserID.Compare)
	out := &listHoldersOutput{Body: HolderPage{Permission: p, Holders: []Holder{}, Revision: snap.Rev()}}
	found, out.Body.NextPageToken = cut(found, size, query, identity.UserID.String)
	for _, id := range found {
		u, _, ok := snap.User(id)
		d := snap.Book().Check(snap, permissions.Request{User: id, Permission: p, Now: now})
		if !ok || !d.Allowed {
			continue // cannot be: both read the same snapshot at the same instant
		}
		h := Holder{UserSummary: summaryOf(u, u.Status(now)), Grant: a.grantOf(snap, d.Grant)}
		if !d.Through.IsZero() {
			through := subjectOf(snap, identity.GroupMember(d.Through))
			h.Through = &through
		}
		out.Body.Holders = append(out.Body.Holders, h)
	}
	return out, nil
}

// check answers for applications. Unknown users and permissions are a no, not an
// error: whoever asks must fail closed.
func (a *API) check(ctx context.Context, in *checkInput) (*checkOutput, error) {
	wait, cancel := context.WithTimeout(ctx, maxRevisionWait)
	defer cancel()
	snap, err := a.db.View().AtLeast(wait, in.Body.MinRevision)
	if err != nil {
		return nil, err
	}
	out := &checkOutput{Body: CheckAnswer{Revision: snap.Rev(), Reason: permissions.UnknownUser, StaleSince: a.staleSince()}}
	c := questionOf(ctx).caller
	found := snap.FindUsers(in.Body.User)
	asksAboutHimself := len(found) == 1 && found[0] == c.User
	if !asksAboutHimself && !a.holds(snap, c, checking.anyOf...) {
		return nil, checking.denied()
	}
	if len(found) == 0 {
		return out, nil
	}
	id, err := snap.OneUser(in.Body.User)
	if err != nil {
		return nil, err
	}
	d := snap.Book().Check(snap, permissions.Request{User: id, Permission: permissions.Permission(in.Body.Permission), Now: a.now()})
	out.Body.Allowed, out.Body.Reason, out.Body.Status = d.Allowed, d.Why, d.Status
	return out, nil
}
