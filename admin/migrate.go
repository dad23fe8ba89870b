package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// MigrationRequest says which users get which source as their owner.
type MigrationRequest struct {
	From    identity.SourceID `json:"from" minLength:"2" maxLength:"40" doc:"Whose users move; local: those that were made here"`
	To      identity.SourceID `json:"to" minLength:"2" maxLength:"40" doc:"The source that owns them afterwards"`
	By      string            `json:"by" minLength:"1" maxLength:"128" doc:"The attribute of a user's record that says who he is, or name for the login name"`
	Equals  string            `json:"equals,omitzero" maxLength:"128" doc:"The attribute of the other source that it has to be equal to; nothing: the same"`
	Compare string            `json:"compare,omitzero" enum:"exact,folded" doc:"folded: case and surrounding space are ignored"`
	Grants  string            `json:"grants,omitzero" enum:"keep,end" doc:"Of users of the other source who are merged: keep, the default, or end"`
	Reason  string            `json:"reason,omitzero" maxLength:"500"`
}

// Migration is what a migration does, or did.
type Migration struct {
	From      identity.SourceID `json:"from"`
	To        identity.SourceID `json:"to"`
	Rule      string            `json:"rule" doc:"Who of one source is who of the other"`
	Users     int               `json:"users" doc:"Who moves"`
	Merged    int               `json:"merged" doc:"Of these, those who are users of the other source until then"`
	UserNames []string          `json:"userNames" doc:"The first 100 who move, each with the user who is merged into him"`
	Alone     int               `json:"alone" doc:"Users to whom nobody answers: they stay"`
	AloneList []string          `json:"aloneNames" doc:"The first 100 of them, by name"`
	Unclear   int               `json:"unclear" doc:"Users to whom several answer, or who share one: they stay"`
	UnclearBy []string          `json:"unclearNames" doc:"The first 100 of them, by name"`
	Refused   []string          `json:"refused" doc:"The first 100 who cannot move, and why: they stay"`
	Done      int               `json:"done" doc:"How many have moved"`
	Digest    string            `json:"digest" doc:"Of the plan, to be sent to have it done"`
}

type (
	migrateInput struct {
		Confirming
		Trial
		Body MigrationRequest
	}
	migrateOutput struct{ Body Migration }
)

func (a *API) migrationRoutes() {
	register(a, operation{
		id: "migrateUsers", method: http.MethodPost, path: "/v1/migrations", tag: "Users", need: userWork, status: http.StatusOK,
		summary: "Let another source own users: their ids, grants and memberships stay; one user after the other, and again from where it was cut off",
		errors:  []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionRequired},
	}, a.migrateUsers)
}

// rule is the request's, the other way round than a source declares it: the values of the
// users are looked for in the other source.
func (r *MigrationRequest) rule() (plan.Rule, error) {
	rule := plan.Rule{To: r.To, By: r.By, Equals: r.Equals, Compare: r.Compare}
	var problem string
	plan.ValidateRule(rule, "", func(field, format string, args ...any) {
		problem = strings.TrimPrefix(field, "link.") + ": " + fmt.Sprintf(format, args...)
	})
	switch {
	case problem != "":
		return rule, fault.New(fault.Invalid, "invalid_rule", "%s", problem)
	case r.From == r.To:
		return rule, fault.New(fault.Invalid, "same_source", "they come from there already")
	case r.To == identity.Local:
		return rule, fault.New(fault.Conflict, "local_source", "nobody can move to what is made here: a source has to own them")
	}
	return rule, plainText("reason", r.Reason)
}

func (a *API) migrateUsers(ctx context.Context, in *migrateInput) (*migrateOutput, error) {
	rule, err := in.Body.rule()
	if err != nil {
		return nil, err
	}
	for _, source := range []identity.SourceID{in.Body.From, in.Body.To} {
		if _, err := a.source(string(source)); err != nil && source != identity.Local {
			return nil, err
		}
	}
	s := a.db.View().Now()
	pairs := s.Pair(in.Body.From, rule)
	out := &migrateOutput{Body: migrationOf(s, &in.Body, rule, &pairs)}
	if err := in.confirmed(ctx, out.Body.Digest); err != nil {
		return nil, err
	}
	return out, a.migrateEach(ctx, in, rule, pairs.Pairs, &out.Body)
}

func migrationOf(s *state.Snapshot, r *MigrationRequest, rule plan.Rule, p *state.Pairs) Migration {
	m := Migration{
		From: r.From, To: r.To, Rule: rule.String(), Users: len(p.Pairs), Alone: len(p.Alone), Unclear: len(p.Ambiguous),
		UserNames: []string{}, Refused: []string{}, AloneList: firstNames(s, p.Alone), UnclearBy: firstNames(s, p.Ambiguous),
	}
	lines := []string{fmt.Sprintf("%s %+v %s", r.From, rule, r.Grants)}
	for _, pair := range p.Pairs {
		line := pair.Name
		if !pair.With.IsZero() {
			m.Merged++
			name, _ := s.Name(identity.UserMember(pair.With))
			line += " = " + name
		}
		if len(m.UserNames) < fewOf {
			m.UserNames = append(m.UserNames, line)
		}
		lines = append(lines, fmt.Sprintf("%s %s", pair.User, pair.With))
	}
	m.Digest = digestOf(lines)
	return m
}

func firstNames(s *state.Snapshot, ids []identity.UserID) []string {
	out := []string{}
	for _, id := range ids {
		name, _ := s.Name(identity.UserMember(id))
		out = append(out, name)
	}
	slices.Sort(out)
	return out[:min(len(out), fewOf)]
}

// migrateEach moves one user after the other, each in a decision of its own: whoever
// cannot move is listed and stays, and a stop in between leaves nobody half moved.
func (a *API) migrateEach(ctx context.Context, in *migrateInput, rule plan.Rule, pairs []state.Pair, m *Migration) error {
	for _, pair := range pairs {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
			var cs []state.Change
			if !pair.With.IsZero() {
				if err := s.MayMerge(pair.User, pair.With); err != nil {
					return nil, err
				}
				cs = append(cs, state.Merge{Into: pair.User, From: pair.With, KeepGrants: in.Body.Grants != "end", Bars: a.linkBars(in.Body.To), Rule: rule.String(), Reason: in.Body.Reason})
			}
			return append(cs, state.ChangeOwner{User: pair.User, To: in.Body.To, Bars: a.linkBars(in.Body.From), Rule: rule.String()}), nil
		})
		switch {
		case err == nil:
			m.Done++
		case errors.Is(err, fault.Denied) || errors.Is(err, fault.Conflict) || errors.Is(err, fault.NotFound):
			if len(m.Refused) < fewOf {
				m.Refused = append(m.Refused, pair.Name+": "+err.Error())
			}
		default:
			return err
		}
	}
	if questionOf(ctx).dryRun {
		m.Done = 0
	}
	return nil
}
