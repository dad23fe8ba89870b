package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// MemberRef names a user or a group: exactly one of the two.
type MemberRef struct {
	User  string `json:"user,omitzero" maxLength:"400" doc:"An id, a login name, or <source>/<login name>"`
	Group string `json:"group,omitzero" maxLength:"400" doc:"An id, a name, or <source>/<name>"`
}

func (r *MemberRef) find(s *state.Snapshot) (identity.Member, error) {
	var who find
	switch {
	case r.User != "" && r.Group == "":
		who = findUser(r.User)
	case r.Group != "" && r.User == "":
		who = findGroup(r.Group)
	default:
		return identity.Member{}, fault.New(fault.Invalid, "user_or_group", "name a user or a group, and not both")
	}
	m, _, err := who(s)
	return m, err
}

// MemberChanges are members to be put into a group and taken out of it.
type MemberChanges struct {
	Add    []MemberRef `json:"add,omitzero" maxItems:"1000"`
	Remove []MemberRef `json:"remove,omitzero" maxItems:"1000" doc:"Only what was put there here goes: a source's own memberships stay"`
	// AcknowledgeDirectory is for nesting groups of a source.
	AcknowledgeDirectory bool `json:"acknowledgeDirectory,omitzero" doc:"Needed to nest a group of a source in one that carries a grant: you know that its directory decides who gets that"`
}

// MembersChanged says what a change of members came to.
type MembersChanged struct {
	Added    int            `json:"added"`
	Removed  int            `json:"removed"`
	Revision store.Revision `json:"revision"`
}

type putUserMemberInput struct {
	GroupPath
	Trial
	Member string `path:"member" maxLength:"400" doc:"A user: an id, a login name, or <source>/<login name> with the slash escaped"`
}

type putGroupMemberInput struct {
	GroupPath
	Trial
	Member               string `path:"member" maxLength:"400" doc:"A group: an id, a name, or <source>/<name> with the slash escaped"`
	AcknowledgeDirectory string `query:"acknowledgeDirectory" enum:"true,false" doc:"Needed to nest a group of a source in one that carries a grant: you know that its directory decides who gets that"`
}

type deleteGroupMemberInput struct {
	GroupPath
	Trial
	Member string `path:"member" maxLength:"400" doc:"A group: an id, a name, or <source>/<name> with the slash escaped"`
}

type putMemberOutput struct {
	Status int
	Body   GroupMember
}

type changeMembersInput struct {
	GroupPath
	Trial
	Body MemberChanges
}

type changeMembersOutput struct{ Body MembersChanged }

func (a *API) membershipRoutes() {
	errs := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "putUserMember", method: http.MethodPut, path: "/v1/groups/{group}/members/users/{member}", tag: "Groups", need: userWork,
		summary: "Put a user into a group, here: 201 when that is new, 200 when he was put there before", errors: errs,
	}, func(ctx context.Context, in *putUserMemberInput) (*putMemberOutput, error) {
		return a.putMember(ctx, in.Group, MemberRef{User: in.Member}, unsaid)
	})
	register(a, operation{
		id: "putGroupMember", method: http.MethodPut, path: "/v1/groups/{group}/members/groups/{member}", tag: "Groups", need: userWork,
		summary: "Nest a group in a group, here", errors: errs,
	}, func(ctx context.Context, in *putGroupMemberInput) (*putMemberOutput, error) {
		return a.putMember(ctx, in.Group, MemberRef{Group: in.Member}, consentOf(in.AcknowledgeDirectory == "true"))
	})
	register(a, operation{
		id: "deleteUserMember", method: http.MethodDelete, path: "/v1/groups/{group}/members/users/{member}", tag: "Groups", need: userWork,
		summary: "Take a user out of a group into which he was put here", errors: errs,
	}, func(ctx context.Context, in *putUserMemberInput) (*struct{}, error) {
		return nil, a.deleteMember(ctx, in.Group, MemberRef{User: in.Member})
	})
	register(a, operation{
		id: "deleteGroupMember", method: http.MethodDelete, path: "/v1/groups/{group}/members/groups/{member}", tag: "Groups", need: userWork,
		summary: "Take a group out of a group into which it was put here", errors: errs,
	}, func(ctx context.Context, in *deleteGroupMemberInput) (*struct{}, error) {
		return nil, a.deleteMember(ctx, in.Group, MemberRef{Group: in.Member})
	})
	register(a, operation{
		id: "changeMembers", method: http.MethodPost, path: "/v1/groups/{group}/members", tag: "Groups", need: userWork,
		summary: "Put up to 1,000 members into a group and take up to 1,000 out of it, all or nothing", errors: errs,
	}, a.changeMembers)
}

// membershipsOf returns who put a member into a group.
func membershipsOf(s *state.Snapshot, m identity.Member, group identity.GroupID) []identity.SourceID {
	for g, by := range s.GroupsOf(m) {
		if g == group {
			return by
		}
	}
	return nil
}

// putHere reports whether an administrator put a member into a group, be it that it
// counts or not.
func putHere(s *state.Snapshot, m identity.Member, group identity.GroupID) bool {
	return s.Barred(m, group) || slices.Contains(membershipsOf(s, m, group), identity.Local)
}

// joining adds to a change a member that may be put into its group and is not yet.
func (a *API) joining(s *state.Snapshot, c *state.ChangeMembers, ref MemberRef, says consent) (m identity.Member, err error) {
	if m, err = ref.find(s); err != nil {
		return m, err
	}
	if m == identity.GroupMember(c.Group) {
		return m, fault.New(fault.Invalid, "member_of_itself", "a group is not a member of itself")
	}
	if err := a.layerAllowed(s, identity.GroupMember(c.Group), localMemberships); err != nil {
		return m, err
	}
	if putHere(s, m, c.Group) || slices.Contains(c.Add, m) {
		return m, nil
	}
	owner, err := says.relies(s, c.Group, m)
	if err != nil {
		return m, err
	}
	c.Add, c.Acknowledged = append(c.Add, m), cmp.Or(c.Acknowledged, owner)
	return m, nil
}

func (a *API) putMember(ctx context.Context, group string, ref MemberRef, says consent) (*putMemberOutput, error) {
	out := &putMemberOutput{}
	var id identity.GroupID
	var m identity.Member
	snap, err := a.decide(ctx, func(s *state.Snapshot) (cs []state.Change, err error) {
		if id, err = s.OneGroup(group); err != nil {
			return nil, err
		}
		c := state.ChangeMembers{Group: id, Origin: identity.Local}
		if m, err = a.joining(s, &c, ref, says); err != nil {
			return nil, err
		}
		if out.Status = http.StatusOK; len(c.Add) == 0 {
			return nil, nil
		}
		out.Status = http.StatusCreated
		return []state.Change{c}, nil
	})
	if err != nil {
		return nil, err
	}
	out.Body = GroupMember{Subject: subjectOf(snap, m), Origins: membershipsOf(snap, m, id)}
	return out, nil
}

func (a *API) deleteMember(ctx context.Context, group string, ref MemberRef) error {
	_, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		id, err := s.OneGroup(group)
		if err != nil {
			return nil, err
		}
		m, err := ref.find(s)
		if err != nil {
			return nil, err
		}
		switch by := membershipsOf(s, m, id); {
		case putHere(s, m, id):
			return []state.Change{state.ChangeMembers{Group: id, Origin: identity.Local, Remove: []identity.Member{m}}}, nil
		case len(by) > 0:
			return nil, managedBy(by[0])
		}
		return nil, fault.New(fault.NotFound, "membership_not_found", "there is no such direct membership; it may come by nesting")
	})
	return err
}

func (a *API) changeMembers(ctx context.Context, in *changeMembersInput) (*changeMembersOutput, error) {
	out := &changeMembersOutput{}
	snap, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		id, err := s.OneGroup(in.Group)
		if err != nil {
			return nil, err
		}
		c := state.ChangeMembers{Group: id, Origin: identity.Local}
		for i, ref := range in.Body.Add {
			if _, err := a.joining(s, &c, ref, consentOf(in.Body.AcknowledgeDirectory)); err != nil {
				return nil, itemProblem(a.problem(ctx, err), fmt.Sprintf("body.add[%d]", i))
			}
		}
		for i, ref := range in.Body.Remove {
			m, err := ref.find(s)
			if err == nil && slices.Contains(c.Add, m) {
				err = fault.New(fault.Invalid, "added_and_removed", "a member is added and removed at once")
			}
			if err != nil {
				return nil, itemProblem(a.problem(ctx, err), fmt.Sprintf("body.remove[%d]", i))
			}
			if putHere(s, m, id) && !slices.Contains(c.Remove, m) {
				c.Remove = append(c.Remove, m)
			}
		}
		out.Body.Added, out.Body.Removed = len(c.Add), len(c.Remove)
		if len(c.Add)+len(c.Remove) == 0 {
			return nil, nil
		}
		return []state.Change{c}, nil
	})
	if err != nil {
		return nil, err
	}
	out.Body.Revision = snap.Rev()
	return out, nil
}

// itemProblem says which part of a request a refusal is about.
func itemProblem(p *Problem, location string) *Problem {
	p.Errors = append(p.Errors, InvalidMember{Location: location, Message: p.Detail})
	return p
}
