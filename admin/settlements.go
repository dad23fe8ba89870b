package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// Settlement is what was decided about an entry of a source that a run had left alone.
type Settlement struct {
	Entry    identity.Key  `json:"entry" doc:"The lasting key of the entry, as the run's conflicts name it"`
	UserName string        `json:"userName,omitzero" doc:"Of the entry, as it was then"`
	Decision plan.Decision `json:"decision" enum:"join,replace,ignore"`
	User     *Subject      `json:"user,omitzero" doc:"Whom the entry joins"`
	By       string        `json:"by"`
	Time     time.Time     `json:"time" doc:"When it was settled"`
	Reason   string        `json:"reason,omitzero"`
}

// SettleRequest decides about an entry.
type SettleRequest struct {
	Entry    identity.Key `json:"entry" minLength:"1" maxLength:"1000" doc:"The lasting key of the entry, as the run's conflicts name it"`
	Decision string       `json:"decision" enum:"merge,join,replace,ignore" doc:"merge: the entry is the user, whom the source knew under another key; he keeps his id and his grants. join: it is a linked record of the user. replace: it becomes a user of its own, without grants. ignore: it is left out"`
	User     string       `json:"user,omitzero" maxLength:"300" doc:"Of merge and join: which user it is"`
	UserName string       `json:"userName,omitzero" maxLength:"500" doc:"Of the entry, for people to read"`
	Reason   string       `json:"reason,omitzero" maxLength:"500"`
}

// decisionMerge gives a user whom a source has lost to an entry.
const decisionMerge = "merge"

// SettlementList is all that was settled of a source.
type SettlementList struct {
	Settlements []Settlement `json:"settlements" doc:"The newest first"`
}

type (
	settleInput struct {
		SourcePath
		Trial
		Body SettleRequest
	}
	unsettleInput struct {
		SourcePath
		Trial
		Entry string `query:"entry" maxLength:"1000" doc:"The lasting key of the entry"`
	}
	settlementsOutput struct{ Body SettlementList }
)

func (a *API) settlementRoutes() {
	errs := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "listSettlements", method: http.MethodGet, path: "/v1/sources/{source}/settlements", tag: "Sources", need: readers,
		summary: "List what was decided about single entries of a source", errors: []int{http.StatusNotFound},
	}, a.listSettlements)
	register(a, operation{
		id: "settleEntry", method: http.MethodPost, path: "/v1/sources/{source}/settlements", tag: "Sources", need: userWork, status: http.StatusOK,
		summary: "Decide about an entry that a run left alone; the next run carries it out, and waits for approval if that raises anybody", errors: errs,
	}, a.settleEntry)
	register(a, operation{
		id: "unsettleEntry", method: http.MethodDelete, path: "/v1/sources/{source}/settlements", tag: "Sources", need: userWork,
		summary: "Take back what was decided about an entry; what was done by it stays", errors: errs,
	}, a.unsettleEntry)
}

func settlementsOf(s *state.Snapshot, source identity.SourceID) SettlementList {
	out := SettlementList{Settlements: []Settlement{}}
	for _, st := range s.Settlements(source) {
		one := Settlement{Entry: st.Key, UserName: st.Name, Decision: st.Do, By: st.By, Time: st.At, Reason: st.Reason}
		if !st.User.IsZero() {
			u := subjectOf(s, identity.UserMember(st.User))
			one.User = &u
		}
		out.Settlements = append(out.Settlements, one)
	}
	return out
}

func (a *API) listSettlements(_ context.Context, in *SourcePath) (*settlementsOutput, error) {
	if _, err := a.source(in.Source); err != nil {
		return nil, err
	}
	return &settlementsOutput{settlementsOf(a.db.View().Now(), identity.SourceID(in.Source))}, nil
}

func (a *API) settleEntry(ctx context.Context, in *settleInput) (*settlementsOutput, error) {
	if err := plainText("reason", in.Body.Reason); err != nil {
		return nil, err
	}
	src, err := a.source(in.Source)
	if err != nil {
		return nil, err
	}
	source := src.ID
	s, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		var user identity.UserID
		if in.Body.Decision == decisionMerge || in.Body.Decision == string(plan.JoinUser) {
			var err error
			if in.Body.User == "" {
				return nil, fault.New(fault.Invalid, "user_missing", "say which user the entry is")
			}
			if user, err = s.OneUser(in.Body.User); err != nil {
				return nil, err
			}
		}
		if src.Kind == kindSCIM {
			return a.settlePushed(s, source, user, &in.Body)
		}
		if in.Body.Decision == decisionMerge {
			return []state.Change{state.Rekey{User: user, Source: source, Key: in.Body.Entry, Reason: in.Body.Reason}}, nil
		}
		if id, known := s.UserOf(source, in.Body.Entry); known {
			name, _ := s.Name(identity.UserMember(id))
			return nil, fault.New(fault.Conflict, "entry_taken", "the entry is the record of user %s: unlink it, if that is wrong", name)
		}
		return []state.Change{state.Settle{
			Source: source, Key: in.Body.Entry, Do: plan.Decision(in.Body.Decision), User: user, Name: in.Body.UserName, Reason: in.Body.Reason,
		}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &settlementsOutput{settlementsOf(s, source)}, nil
}

// settlePushed returns the changes that carry out at once what is decided about a record
// that was pushed and is nobody's: no run would.
func (a *API) settlePushed(s *state.Snapshot, source identity.SourceID, user identity.UserID, r *SettleRequest) ([]state.Change, error) {
	rec, ok := s.ApartRecord(source, r.Entry)
	switch {
	case r.Decision == decisionMerge:
		return []state.Change{state.TakePlace{User: user, Source: source, Key: r.Entry, Reason: r.Reason}}, nil
	case !ok || rec.Gone:
		return nil, fault.New(fault.NotFound, "entry_not_found", "source %s has no record %s that is nobody's", source, r.Entry)
	}
	settle := state.Settle{Source: source, Key: r.Entry, Do: plan.Decision(r.Decision), User: user, Name: rec.Name, Reason: r.Reason}
	switch settle.Do {
	case plan.JoinUser:
		return []state.Change{a.join(&rec, user), settle}, nil
	case plan.StandAlone:
		return []state.Change{state.OwnApart{Holder: rec.Holder, Source: source, Reason: r.Reason}, settle}, nil
	}
	return []state.Change{settle}, nil
}

func (a *API) unsettleEntry(ctx context.Context, in *unsettleInput) (*struct{}, error) {
	_, err := a.decide(ctx, func(*state.Snapshot) ([]state.Change, error) {
		return []state.Change{state.Settle{Source: identity.SourceID(in.Source), Key: identity.Key(in.Entry)}}, nil
	})
	return nil, err
}
