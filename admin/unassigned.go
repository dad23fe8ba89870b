package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// UnassignedRecord is a record that was pushed and is nobody's. Its provider sees it as any
// other.
type UnassignedRecord struct {
	Entry    identity.Key `json:"entry" doc:"The id that its provider knows it by"`
	UserName string       `json:"userName"`
	Reason   state.Apart  `json:"reason" enum:"no_user,ambiguous_link,link_taken,link_held,unlinked,user_gone,ignored" doc:"Why it is nobody's"`
	Detail   string       `json:"detail" doc:"What that means, and what to do"`
	Groups   []Subject    `json:"groups" doc:"What its source put it into: the memberships come to the user whom it joins"`
	By       string       `json:"by" doc:"Who left it so, as in the audit log"`
	Time     time.Time    `json:"time" doc:"Since when"`
}

// UnassignedList lists them.
type UnassignedList struct {
	Records []UnassignedRecord `json:"records" doc:"By user name"`
}

type unassignedOutput struct{ Body UnassignedList }

func (a *API) unassignedRoutes() {
	register(a, operation{
		id: "listUnassignedRecords", method: http.MethodGet, path: "/v1/sources/{source}/unassigned", tag: "Sources", need: readers,
		summary: "List the records that were pushed and are nobody's, and why", errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.listUnassigned)
}

func (a *API) listUnassigned(_ context.Context, in *SourcePath) (*unassignedOutput, error) {
	src, err := a.pushed(in.Source)
	if err != nil {
		return nil, err
	}
	s := a.db.View().Now()
	out := &unassignedOutput{Body: UnassignedList{Records: []UnassignedRecord{}}}
	for r := range s.ApartOf(src.ID) {
		u := UnassignedRecord{Entry: r.Key, UserName: r.Name, Reason: r.Why, Groups: []Subject{}, By: r.By, Time: r.At}
		if st, ok := s.Settled(src.ID, r.Key); ok && st.Do == plan.Ignore && r.Why != state.ApartUnlinked {
			u.Reason, u.By, u.Time = state.ApartIgnored, st.By, st.At
		}
		u.Detail = whyApart(u.Reason)
		for g := range s.OwnGroups(src.ID, r.Member) {
			u.Groups = append(u.Groups, subjectOf(s, identity.GroupMember(s.GroupID(g))))
		}
		out.Body.Records = append(out.Body.Records, u)
	}
	slices.SortFunc(out.Body.Records, func(a, b UnassignedRecord) int {
		return cmp.Or(strings.Compare(a.UserName, b.UserName), strings.Compare(string(a.Entry), string(b.Entry)))
	})
	return out, nil
}

func whyApart(why state.Apart) string {
	switch why {
	case state.ApartNoUser:
		return "nobody answers to the rule: it joins who comes to, or settle it"
	case state.ApartAmbiguous:
		return "several users answer to the rule: settle which of them it is"
	case state.ApartTaken:
		return "the source has another record of the user who answers to the rule: unlink that one, or settle this one"
	case state.ApartHeld:
		return "the rule is new, and nobody has agreed yet to what it may give: approve it"
	case state.ApartUnlinked:
		return "it was unlinked: settle it, or leave it"
	case state.ApartUserGone:
		return "its user was deleted: settle it, or leave it"
	}
	return "somebody said that it is nobody's"
}
