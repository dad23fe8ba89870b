package admin

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// Precedence says whose values hold where several sources have some.
type Precedence struct {
	Order map[string][]identity.SourceID `json:"order" doc:"By attribute or field of the profile, or * for all others, the sources in the order in which they are asked. A source that is not named comes after those: first the one that owns the user, then the others by name. Local values add to what holds, unless local is named: then they win or lose like a source's"`
}

type putPrecedenceInput struct {
	Trial
	Replacing
	Body Precedence
}

func (a *API) precedenceRoutes() {
	register(a, operation{
		id: "getPrecedence", method: http.MethodGet, path: "/v1/precedence", tag: "Settings", need: settingReaders,
		summary: "Show whose values hold where several sources have some", errors: []int{http.StatusNotModified},
	}, a.getPrecedence)
	register(a, operation{
		id: "putPrecedence", method: http.MethodPut, path: "/v1/precedence", tag: "Settings", need: setup,
		summary: "Set whose values hold where several sources have some", errors: []int{http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired},
	}, a.putPrecedence)
}

func precedenceOf(s *state.Snapshot) *Precedence {
	order, _ := s.Precedence()
	out := &Precedence{Order: map[string][]identity.SourceID{}}
	maps.Copy(out.Order, order)
	return out
}

func (a *API) getPrecedence(_ context.Context, in *Reading) (*tagged[Precedence], error) {
	s := a.db.View().Now()
	_, rev := s.Precedence()
	return answerTagged(in, rev, precedenceOf(s))
}

func (a *API) putPrecedence(ctx context.Context, in *putPrecedenceInput) (*tagged[Precedence], error) {
	order, err := in.Body.folded()
	if err != nil {
		return nil, err
	}
	s, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		_, rev := s.Precedence()
		return []state.Change{state.PutPrecedence{Order: order, Rev: rev}}, in.matches(ctx, rev)
	})
	if err != nil {
		return nil, err
	}
	_, rev := s.Precedence()
	return answerTagged(&Reading{}, rev, precedenceOf(s))
}

// folded returns the order with its keys as they are stored.
func (p *Precedence) folded() (identity.Precedence, error) {
	out := identity.Precedence{}
	for key, sources := range p.Order {
		folded := identity.FoldKey(key)
		if _, twice := out[folded]; twice || folded == "" || len(sources) == 0 {
			return nil, fault.New(fault.Invalid, "invalid_precedence", "%q: name each attribute once, with the sources that go before others", key)
		}
		for i, source := range sources {
			if _, err := identity.ParseSourceID(string(source)); err != nil || slices.Contains(sources[:i], source) {
				return nil, fault.New(fault.Invalid, "invalid_precedence", "%q: %q is no source, or it is named twice", key, source)
			}
		}
		out[folded] = sources
	}
	return out, nil
}
