package admin

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// UserSummary is a user in a list.
type UserSummary struct {
	ID          string            `json:"id"`
	UserName    string            `json:"userName"`
	Source      identity.SourceID `json:"source"`
	DisplayName string            `json:"displayName,omitzero"`
	Email       string            `json:"email,omitzero"`
	Status
}

// UserPage is a page of users.
type UserPage struct {
	Users         []UserSummary  `json:"users"`
	NextPageToken string         `json:"nextPageToken" doc:"Empty after the last page"`
	Revision      store.Revision `json:"revision"`
}

// UserPath names a user in a path.
type UserPath struct {
	User string `path:"user" maxLength:"400" doc:"An id, a login name, or <source>/<login name> with the slash escaped as %2F"`
}

type listUsersInput struct {
	PageQuery
	Source     string `query:"source" maxLength:"40" doc:"Only users of this source"`
	Status     string `query:"status" enum:"active,inactive,disabled_in_source,locked_in_source,expired,missing_from_source,disabled_locally" doc:"Only those of this standing"`
	Group      string `query:"group" maxLength:"400" doc:"Only members of this group, directly or by nesting"`
	Permission string `query:"permission" maxLength:"64" doc:"Only those who effectively have this permission"`
	Text       string `query:"text" maxLength:"200" doc:"Only those whose login name, display name or e-mail address contains this"`
}

type listUsersOutput struct{ Body UserPage }

func (a *API) userRoutes() {
	register(a, operation{
		id: "getMe", method: http.MethodGet, path: "/v1/me", tag: "Users", need: anybody,
		summary: "Show who is asking",
	}, a.getMe)
	register(a, operation{
		id: "listUsers", method: http.MethodGet, path: "/v1/users", tag: "Users", need: readers,
		summary: "List users", errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.listUsers)
	register(a, operation{
		id: "createUser", method: http.MethodPost, path: "/v1/users", tag: "Users", need: userWork, status: http.StatusCreated,
		summary: "Create a local user", errors: []int{http.StatusConflict},
	}, a.createUser)
	register(a, operation{
		id: "getUser", method: http.MethodGet, path: "/v1/users/{user}", tag: "Users", need: readSelf,
		summary: "Show a user: what his source says, the local layer, and what holds in the end",
		errors:  []int{http.StatusNotFound, http.StatusConflict, http.StatusNotModified},
	}, a.getUser)
}

func (a *API) listUsers(ctx context.Context, in *listUsersInput) (*listUsersOutput, error) {
	snap, now := a.db.View().Now(), a.now()
	query := strings.Join([]string{"users", in.Source, in.Status, in.Group, in.Permission, in.Text}, "\x00")
	after, err := in.afterUser(query, snap)
	if err != nil {
		return nil, err
	}
	rows, err := a.userRows(snap, in, after, now)
	if err != nil {
		return nil, err
	}
	size := in.size()
	users := take(in.matching(ctx, snap, rows), size+1)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := &listUsersOutput{Body: UserPage{Revision: snap.Rev()}}
	out.Body.Users, out.Body.NextPageToken = cut(users, size, query, func(u UserSummary) string { return u.ID })
	return out, nil
}

// afterUser returns the user that a page of users begins after.
func (q *PageQuery) afterUser(query string, snap *state.Snapshot) (identity.UserID, error) {
	text, err := q.after(query)
	if err != nil || text == "" {
		return identity.UserID{}, err
	}
	id, err := identity.ParseUserID(text)
	if err != nil {
		return id, badToken()
	}
	if _, ok := snap.Subject(id); !ok {
		return id, badToken()
	}
	return id, nil
}

// userRows yields the users that a group and a permission leave, after a position.
func (a *API) userRows(snap *state.Snapshot, in *listUsersInput, after identity.UserID, now time.Time) (iter.Seq[state.Row], error) {
	if in.Group == "" && in.Permission == "" {
		return snap.Users(after, now), nil
	}
	var set map[identity.UserID]bool
	if in.Group != "" {
		id, err := snap.OneGroup(in.Group)
		if err != nil {
			return nil, err
		}
		set = members(snap, id)
	}
	if in.Permission != "" {
		p, err := knownPermission(snap, in.Permission)
		if err != nil {
			return nil, err
		}
		holders := map[identity.UserID]bool{}
		for u := range snap.Book().WhoCan(snap, p, now) {
			holders[u] = set == nil || set[u]
		}
		set = holders
	}
	maps.DeleteFunc(set, func(u identity.UserID, in bool) bool { return !in || u.Compare(after) <= 0 })
	return func(yield func(state.Row) bool) {
		for _, id := range slices.SortedFunc(maps.Keys(set), identity.UserID.Compare) {
			if u, _, ok := snap.User(id); ok && !yield(rowOf(u, now)) {
				return
			}
		}
	}, nil
}

// members returns every user in a group, directly or by nesting.
func members(snap *state.Snapshot, id identity.GroupID) map[identity.UserID]bool {
	set := map[identity.UserID]bool{}
	if h, ok := snap.GroupHandle(id); ok {
		snap.MembersBelow(h, func(u identity.UserID) bool { set[u] = true; return true })
	}
	return set
}

func rowOf(u *identity.User, now time.Time) state.Row {
	return state.Row{
		Member: identity.UserMember(u.ID), Name: u.Record.Name, Source: u.Record.Source, Key: u.Record.Key, Status: u.Status(now),
	}
}

// matching yields the users that the other filters leave.
func (in *listUsersInput) matching(ctx context.Context, snap *state.Snapshot, rows iter.Seq[state.Row]) iter.Seq[UserSummary] {
	text := identity.FoldName(in.Text)
	return func(yield func(UserSummary) bool) {
		for row := range rows {
			if ctx.Err() != nil {
				return
			}
			if in.Source != "" && string(row.Source) != in.Source || !statusMatches(in.Status, row.Status) {
				continue
			}
			id, _ := row.Member.User()
			u, _, ok := snap.User(id)
			if ok && userContains(u, text) && !yield(summaryOf(u, row.Status)) {
				return
			}
		}
	}
}

func statusMatches(wanted string, is identity.Reason) bool {
	switch wanted {
	case "":
		return true
	case "active":
		return is == identity.Active
	case "inactive":
		return is != identity.Active
	}
	return string(is) == wanted
}

func userContains(u *identity.User, folded string) bool {
	if folded == "" {
		return true
	}
	profile := u.Profile()
	for _, s := range []string{u.Record.Name, profile[identity.DisplayName], profile[identity.Email]} {
		if strings.Contains(identity.FoldName(s), folded) {
			return true
		}
	}
	return false
}

func summaryOf(u *identity.User, status identity.Reason) UserSummary {
	profile := u.Profile()
	return UserSummary{
		ID: u.ID.String(), UserName: u.Record.Name, Source: u.Record.Source,
		DisplayName: profile[identity.DisplayName], Email: profile[identity.Email], Status: statusOf(status),
	}
}

// Me is who is asking.
type Me struct {
	User        UserSummary              `json:"user"`
	Permissions []permissions.Permission `json:"permissions"`
	Personas    []permissions.PersonaID  `json:"personas"`
	Key         string                   `json:"apiKeyId" doc:"Public id of the API key that was used"`
}

type getMeOutput struct{ Body Me }

func (a *API) getMe(ctx context.Context, _ *struct{}) (*getMeOutput, error) {
	snap, now := a.db.View().Now(), a.now()
	c := questionOf(ctx).caller
	u, _, ok := snap.User(c.User)
	if !ok {
		return nil, unknownKey()
	}
	e := snap.Book().Effective(snap, c.User, now)
	return &getMeOutput{Body: Me{
		User: summaryOf(u, u.Status(now)), Permissions: withinKey(e.Permissions(), c.Limit), Personas: e.Personas(), Key: c.Token,
	}}, nil
}

// NewUser is a local user to be made.
type NewUser struct {
	UserName    string `json:"userName" minLength:"1" maxLength:"128" doc:"Unique among local users, compared without regard to case"`
	DisplayName string `json:"displayName,omitzero" maxLength:"256"`
	Email       string `json:"email,omitzero" maxLength:"254" format:"email"`
}

func (n *NewUser) record(id identity.UserID) (*identity.Record, error) {
	if err := plainText("userName", n.UserName); err != nil {
		return nil, err
	}
	if strings.Contains(n.UserName, "/") {
		return nil, fault.New(fault.Invalid, "invalid_user_name", "a login name holds no slash: it parts a source from a name")
	}
	if err := plainText("displayName", n.DisplayName); err != nil {
		return nil, err
	}
	r := &identity.Record{Source: identity.Local, Key: identity.Key(id.String()), Name: n.UserName, Profile: map[string]string{}}
	for field, value := range map[string]string{identity.DisplayName: n.DisplayName, identity.Email: n.Email} {
		if value != "" {
			r.Profile[field] = value
		}
	}
	return r, nil
}

type createUserInput struct {
	Trial
	Body NewUser
}

type createUserOutput struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     *User
}

func (a *API) createUser(ctx context.Context, in *createUserInput) (*createUserOutput, error) {
	id := identity.NewUserID()
	r, err := in.Body.record(id)
	if err != nil {
		return nil, err
	}
	snap, err := a.decide(ctx, func(*state.Snapshot) ([]state.Change, error) {
		return []state.Change{state.Create{Member: identity.UserMember(id), Record: r}}, nil
	})
	if err != nil {
		return nil, err
	}
	body, rev, err := a.userView(snap, id)
	if err != nil {
		return nil, err
	}
	tag, err := etag(rev, body)
	return &createUserOutput{Location: "/v1/users/" + url.PathEscape(id.String()), ETag: tag, Body: body}, err
}
