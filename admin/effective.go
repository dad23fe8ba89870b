package admin

import (
	"context"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// EffectiveUser is what holds for a user in the end, whoever put it there.
type EffectiveUser struct {
	ID       string            `json:"id"`
	UserName string            `json:"userName"`
	Source   identity.SourceID `json:"source"`
	Status
	Permissions  []permissions.Permission `json:"permissions" doc:"None while the user is inactive"`
	Personas     []permissions.PersonaID  `json:"personas"`
	MaySubscribe bool                     `json:"maySubscribe"`
	Groups       []EffectiveGroup         `json:"groups" doc:"Directly and by nesting"`
	Attributes   map[string][]string      `json:"attributes" doc:"His own and those of his groups"`
	Revision     store.Revision           `json:"revision" doc:"Of the answer that shows the user so"`
}

// EffectiveGroup names a group that a user is in.
type EffectiveGroup struct {
	ID     string            `json:"id"`
	Name   string            `json:"name"`
	Source identity.SourceID `json:"source"`
}

// EffectivePage is a page of users as they are in the end.
type EffectivePage struct {
	Users         []EffectiveUser `json:"users"`
	NextPageToken string          `json:"nextPageToken" doc:"Empty after the last page"`
	// Revision is that of the first page: what changes while pages are read comes again.
	Revision store.Revision `json:"revision" doc:"To be given as since the next time; the same on all pages"`
	Full     bool           `json:"full" doc:"All users are listed, because since was not given or is too long ago"`
	// StaleSince is set while the store does not answer.
	StaleSince time.Time `json:"staleSince,omitzero" doc:"Set while the store does not answer: all of this is from memory as of then"`
}

type listEffectiveInput struct {
	PageQuery
	Since store.Revision `query:"since" minimum:"0" doc:"Only users for whom something may have changed after this revision"`
}

type listEffectiveOutput struct{ Body EffectivePage }

func (a *API) effectiveRoutes() {
	register(a, operation{
		id: "listEffective", method: http.MethodGet, path: "/v1/effective", tag: "Answers", need: feeding, decision: true,
		summary: "List what holds for every user in the end, or for those for whom it changed",
	}, a.listEffective)
}

func (a *API) listEffective(ctx context.Context, in *listEffectiveInput) (*listEffectiveOutput, error) {
	wait, cancel := context.WithTimeout(ctx, maxRevisionWait)
	defer cancel()
	snap, err := a.db.View().AtLeast(wait, in.Since)
	if err != nil {
		return nil, err
	}
	now := a.now()
	query := strings.Join([]string{"effective", strconv.FormatInt(int64(in.Since), 10)}, "\x00")
	first, after, err := in.position(query, snap.Rev())
	if err != nil {
		return nil, err
	}
	wanted := func(identity.UserID) bool { return true }
	out := &listEffectiveOutput{Body: EffectivePage{Revision: first, Full: true, StaleSince: a.staleSince()}}
	if in.Since > 0 {
		t := a.db.View().TouchedSince(in.Since, now)
		out.Body.Full = t.Everybody()
		wanted = func(id identity.UserID) bool { return t.Includes(snap, id) }
	}
	size := in.size()
	users := take(a.effectiveUsers(ctx, snap, after, now, wanted), size+1)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out.Body.Users, out.Body.NextPageToken = cut(users, size, query, func(u EffectiveUser) string {
		return strconv.FormatInt(int64(first), 10) + " " + u.ID
	})
	return out, nil
}

// position returns the revision of the first page, and the user after whom a page
// begins. Both are in the token: a user need not be there any more.
func (in *listEffectiveInput) position(query string, newest store.Revision) (store.Revision, identity.UserID, error) {
	text, err := in.after(query)
	if err != nil || text == "" {
		return newest, identity.UserID{}, err
	}
	rev, user, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(rev, 10, 64)
	id, bad := identity.ParseUserID(user)
	if err != nil || bad != nil || n < 0 || store.Revision(n) > newest {
		return 0, id, badToken()
	}
	return store.Revision(n), id, nil
}

func (a *API) effectiveUsers(ctx context.Context, s *state.Snapshot, after identity.UserID, now time.Time, wanted func(identity.UserID) bool) iter.Seq[EffectiveUser] {
	return func(yield func(EffectiveUser) bool) {
		for row := range s.Users(after, now) {
			id, _ := row.Member.User()
			if ctx.Err() != nil {
				return
			}
			if wanted(id) && !yield(effectiveUser(s, id, now)) {
				return
			}
		}
	}
}

// effectiveUser shows what holds for a user that exists.
func effectiveUser(s *state.Snapshot, id identity.UserID, now time.Time) EffectiveUser {
	u, _, ok := s.User(id)
	if !ok {
		return EffectiveUser{}
	}
	e := s.Book().Effective(s, id, now)
	groups := groupsAbove(s, identity.UserMember(id))
	out := EffectiveUser{
		ID: id.String(), UserName: u.Record.Name, Source: u.Record.Source, Status: statusOf(u.Status(now)),
		Permissions: e.Permissions(), Personas: orNone(e.Personas()), MaySubscribe: e.MaySubscribe,
		Groups: make([]EffectiveGroup, len(groups)), Attributes: plainAttributes(s, u, groups), Revision: s.Rev(),
	}
	for i, g := range groups {
		name, source := s.Name(identity.GroupMember(g.id))
		out.Groups[i] = EffectiveGroup{ID: g.id.String(), Name: name, Source: source}
	}
	return out
}

// orNone makes a list one that a reader can range over.
func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// plainAttributes returns the effective values without where they come from.
func plainAttributes(s *state.Snapshot, u *identity.User, groups []reached) map[string][]string {
	all := u.Attributes()
	for _, r := range groups {
		if g, _, ok := s.Group(r.id); ok && g.Missing.IsZero() {
			all = all.Merge(g.Record.Attributes).Merge(g.Local.Counting())
		}
	}
	return attributesOf(all)
}
