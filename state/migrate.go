package state

import (
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// Pair is a user who can get another owner, and the user of that source who is the same
// person; zero: it has a linked record of his already.
type Pair struct {
	User, With identity.UserID
	Name       string
}

// Pairs is who of a source is who of another one.
type Pairs struct {
	Pairs     []Pair
	Alone     []identity.UserID // nobody answers to the rule
	Ambiguous []identity.UserID // several do, or one who answers for another, too
}

// Pair finds for each user of a source the one user of another source who is the same
// person by a rule, or who was linked to him before. The rule's To is that other source.
func (s *Snapshot) Pair(from identity.SourceID, r plan.Rule) Pairs {
	var out Pairs
	by := identity.FoldKey(r.By)
	values := map[identity.UserID][]string{}
	wanted := map[string]bool{}
	var users []*userSlot
	for h := range s.users.Len() {
		u := s.users.Ref(h)
		if !u.exists() || u.source != from {
			continue
		}
		if l := u.linked(r.To); l != nil && !l.left {
			out.Pairs = append(out.Pairs, Pair{User: u.id, Name: u.name})
			continue
		}
		users = append(users, u)
		var o storedObject
		if decode(userKey(u.id), []byte(u.raw), &o) != nil {
			continue
		}
		rec := o.record()
		values[u.id] = r.Values(&rec, by)
		for _, v := range values[u.id] {
			wanted[v] = true
		}
	}
	found := s.Of(from).Matching(r, wanted)
	claims := map[plan.Ref]int{}
	of := make([][]plan.Ref, len(users))
	for i, u := range users {
		of[i] = targets(values[u.id], found)
		for _, ref := range of[i] {
			claims[ref]++
		}
	}
	for i, u := range users {
		switch {
		case len(of[i]) == 0:
			out.Alone = append(out.Alone, u.id)
		case len(of[i]) > 1 || claims[of[i][0]] > 1:
			out.Ambiguous = append(out.Ambiguous, u.id)
		default:
			with, _ := identity.MemberOf(false, of[i][0]).User()
			out.Pairs = append(out.Pairs, Pair{u.id, with, u.name})
		}
	}
	slices.SortFunc(out.Pairs, func(a, b Pair) int { return a.User.Compare(b.User) })
	return out
}

func targets(values []string, found map[string][]plan.Target) (refs []plan.Ref) {
	for _, v := range values {
		for _, t := range found[v] {
			refs = append(refs, t.Ref)
		}
	}
	slices.SortFunc(refs, func(a, b plan.Ref) int { return strings.Compare(string(a[:]), string(b[:])) })
	return slices.Compact(refs)
}
