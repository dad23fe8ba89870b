package admin

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// GroupSummary is a group in a list.
type GroupSummary struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Source  identity.SourceID `json:"source"`
	Members int               `json:"members" doc:"Direct ones: users and groups"`
	Status
}

// GroupPage is a page of groups.
type GroupPage struct {
	Groups        []GroupSummary `json:"groups"`
	NextPageToken string         `json:"nextPageToken" doc:"Empty after the last page"`
	Revision      store.Revision `json:"revision"`
}

// Group is a group in full, in three views.
type Group struct {
	GroupSummary
	CreateTime  time.Time      `json:"createTime"`
	MissingTime time.Time      `json:"missingTime,omitzero" doc:"Since when the source no longer has the group; then it has no effective members and carries nothing"`
	Revision    store.Revision `json:"revision" doc:"Of the group's own rows: its record, its local layer and its members"`
	External    External       `json:"external"`
	Local       GroupLocal     `json:"local"`
	Effective   GroupEffective `json:"effective"`
}

// GroupLocal is what administrators put on top of a group.
type GroupLocal struct {
	Attributes map[string][]string `json:"attributes"`
	Groups     []Subject           `json:"groups" doc:"Groups that it was put into here, where that counts"`
	// InactiveAttributes and InactiveGroups are kept and count for nothing.
	InactiveAttributes string          `json:"inactiveAttributes,omitzero" enum:"local_not_allowed" doc:"Why none of the attributes counts; nothing where they do"`
	InactiveGroups     []InactiveGroup `json:"inactiveGroups,omitempty" doc:"Groups that it was put into here, where that does not count"`
}

// GroupEffective is what a group passes on to its members.
type GroupEffective struct {
	Attributes map[string][]Value `json:"attributes"`
	Groups     []Belonging        `json:"groups" doc:"The groups that it is in"`
	Grants     []Grant            `json:"grants" doc:"To the group and to the groups that it is in, the expired ones included"`
}

// GroupMember is a member of a group.
type GroupMember struct {
	Subject
	Origins []identity.SourceID `json:"origins,omitempty" doc:"Who put it there, when direct"`
	// Inactive is for what is kept and counts for nothing.
	Inactive string `json:"inactive,omitzero" enum:"local_not_allowed" doc:"Why the membership does not count; nothing where it does"`
}

// MemberPage is a page of members.
type MemberPage struct {
	Members       []GroupMember  `json:"members"`
	NextPageToken string         `json:"nextPageToken" doc:"Empty after the last page"`
	Revision      store.Revision `json:"revision"`
}

// GroupPath names a group in a path.
type GroupPath struct {
	Group string `path:"group" maxLength:"400" doc:"An id, a name, or <source>/<name> with the slash escaped as %2F; 409 when the name is not unique"`
}

type listGroupsInput struct {
	PageQuery
	Source string `query:"source" maxLength:"40" doc:"Only groups of this source"`
	Status string `query:"status" enum:"active,inactive,missing_from_source" doc:"Only those of this standing"`
	Text   string `query:"text" maxLength:"200" doc:"Only those whose name contains this"`
}

type listGroupsOutput struct{ Body GroupPage }

type getGroupInput struct {
	GroupPath
	Reading
}

type listMembersInput struct {
	GroupPath
	PageQuery
	View string `query:"view" enum:"direct,effective" doc:"direct (default): users and groups with who put them there; effective: users, those by nesting included"`
}

type listMembersOutput struct{ Body MemberPage }

func (a *API) groupRoutes() {
	register(a, operation{
		id: "listGroups", method: http.MethodGet, path: "/v1/groups", tag: "Groups", need: readers,
		summary: "List groups",
	}, a.listGroups)
	register(a, operation{
		id: "getGroup", method: http.MethodGet, path: "/v1/groups/{group}", tag: "Groups", need: readers,
		summary: "Show a group: what its source says, the local layer, and what it passes on",
		errors:  []int{http.StatusNotFound, http.StatusConflict, http.StatusNotModified},
	}, a.getGroup)
	register(a, operation{
		id: "listMembers", method: http.MethodGet, path: "/v1/groups/{group}/members", tag: "Groups", need: readers,
		summary: "List the members of a group", errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.listMembers)
}

func (a *API) listGroups(_ context.Context, in *listGroupsInput) (*listGroupsOutput, error) {
	snap := a.db.View().Now()
	query := strings.Join([]string{"groups", in.Source, in.Status, in.Text}, "\x00")
	after, err := in.afterGroup(query, snap)
	if err != nil {
		return nil, err
	}
	size := in.size()
	groups := take(in.matching(snap, after), size+1)
	out := &listGroupsOutput{Body: GroupPage{Revision: snap.Rev()}}
	out.Body.Groups, out.Body.NextPageToken = cut(groups, size, query, func(g GroupSummary) string { return g.ID })
	return out, nil
}

func (q *PageQuery) afterGroup(query string, snap *state.Snapshot) (identity.GroupID, error) {
	text, err := q.after(query)
	if err != nil || text == "" {
		return identity.GroupID{}, err
	}
	id, err := identity.ParseGroupID(text)
	if err != nil {
		return id, badToken()
	}
	if _, _, ok := snap.Group(id); !ok {
		return id, badToken()
	}
	return id, nil
}

func (in *listGroupsInput) matching(snap *state.Snapshot, after identity.GroupID) iter.Seq[GroupSummary] {
	text := identity.FoldName(in.Text)
	return func(yield func(GroupSummary) bool) {
		for row := range snap.Groups(after) {
			if in.Source != "" && string(row.Source) != in.Source || !statusMatches(in.Status, row.Status) ||
				!strings.Contains(identity.FoldName(row.Name), text) {
				continue
			}
			if !yield(groupSummary(snap, row)) {
				return
			}
		}
	}
}

func groupSummary(snap *state.Snapshot, row state.Row) GroupSummary {
	id, _ := row.Member.Group()
	return GroupSummary{
		ID: id.String(), Name: row.Name, Source: row.Source, Members: snap.MemberCount(id), Status: statusOf(row.Status),
	}
}

func (a *API) getGroup(_ context.Context, in *getGroupInput) (*tagged[Group], error) {
	snap := a.db.View().Now()
	id, err := snap.OneGroup(in.Group)
	if err != nil {
		return nil, err
	}
	body, rev, err := a.groupView(snap, id)
	if err != nil {
		return nil, err
	}
	return answerTagged(&in.Reading, rev, body)
}

func (a *API) groupView(s *state.Snapshot, id identity.GroupID) (*Group, store.Revision, error) {
	g, rev, ok := s.Group(id)
	if !ok {
		return nil, 0, fault.New(fault.NotFound, "group_not_found", "there is no group %s", id)
	}
	m := identity.GroupMember(id)
	above := groupsAbove(s, m)
	row := state.Row{Member: m, Name: g.Record.Name, Source: g.Record.Source}
	if !g.Missing.IsZero() {
		row.Status = identity.ReasonMissing
	}
	return &Group{
		GroupSummary: groupSummary(s, row),
		CreateTime:   g.Created, MissingTime: g.Missing, Revision: rev,
		External: externalOf(s, &g.Record, above),
		Local: GroupLocal{
			Attributes: attributesOf(g.Local.Attributes), Groups: put(s, above, isLocal),
			InactiveAttributes: inactiveAttributes(&g.Local), InactiveGroups: inactiveGroups(s, m),
		},
		Effective: GroupEffective{
			Attributes: effectiveValues(s, g.Layers(nil), above),
			Groups:     belongings(s, above), Grants: a.grantsOf(s, m, above),
		},
	}, rev, nil
}

func (a *API) listMembers(_ context.Context, in *listMembersInput) (*listMembersOutput, error) {
	snap := a.db.View().Now()
	id, err := snap.OneGroup(in.Group)
	if err != nil {
		return nil, err
	}
	query := strings.Join([]string{"members", id.String(), in.View}, "\x00")
	after, err := in.afterMember(query)
	if err != nil {
		return nil, err
	}
	all := statedMembers(snap, id)
	if in.View == "effective" {
		all = effectiveMembers(snap, id)
	}
	size := in.size()
	later := func(yield func(state.Membership) bool) {
		for m := range all {
			if (in.PageToken == "" || m.Member.Compare(after) > 0) && !yield(m) {
				return
			}
		}
	}
	found := smallest(later, size+1, func(x, y state.Membership) int { return x.Member.Compare(y.Member) })
	out := &listMembersOutput{Body: MemberPage{Revision: snap.Rev()}}
	found, out.Body.NextPageToken = cut(found, size, query, func(m state.Membership) string {
		b, _ := m.Member.MarshalText() // cannot fail
		return string(b)
	})
	out.Body.Members = make([]GroupMember, len(found))
	for i, m := range found {
		out.Body.Members[i] = groupMember(snap, id, m)
	}
	return out, nil
}

// afterMember returns the member that a page begins after.
func (q *PageQuery) afterMember(query string) (m identity.Member, err error) {
	text, err := q.after(query)
	if err == nil && text != "" && m.UnmarshalText([]byte(text)) != nil {
		err = badToken()
	}
	return m, err
}

func effectiveMembers(snap *state.Snapshot, id identity.GroupID) iter.Seq[state.Membership] {
	return func(yield func(state.Membership) bool) {
		if h, ok := snap.GroupHandle(id); ok {
			snap.MembersBelow(h, func(u identity.UserID) bool { return yield(state.Membership{Member: identity.UserMember(u)}) })
		}
	}
}
