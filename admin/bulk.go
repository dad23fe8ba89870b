package admin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// The operations of a batch.
const (
	opGrant  = "grant"
	opRevoke = "revoke"
)

// GrantItem is one permission to be given or taken away.
type GrantItem struct {
	Op string `json:"op,omitzero" enum:"grant,revoke" default:"grant" doc:"revoke takes the permission away; then of the terms only the reason counts, for the audit log"`
	MemberRef
	Permission string `json:"permission" maxLength:"64"`
	GrantRequest
}

// GrantBatch is up to a hundred permissions to be given or taken away.
type GrantBatch struct {
	Atomic *bool       `json:"atomic,omitzero" doc:"true (default): all or none; false: each by itself"`
	Grants []GrantItem `json:"grants" minItems:"1" maxItems:"100"`
}

// GrantOutcome is what became of one of them.
type GrantOutcome struct {
	Status  int      `json:"status" doc:"As if it had been asked for by itself: 201, 200, 204 when it was taken away, or that of the problem"`
	Grant   *Grant   `json:"grant,omitzero"`
	Problem *Problem `json:"problem,omitzero"`
}

// GrantOutcomes are what became of a batch, in its order.
type GrantOutcomes struct {
	Results []GrantOutcome `json:"results"`
}

type batchGrantsInput struct {
	Trial
	Body GrantBatch
}

type batchGrantsOutput struct{ Body GrantOutcomes }

// UserGrant is one grant of the whole set of a user.
type UserGrant struct {
	Permission string    `json:"permission" maxLength:"64"`
	Reason     string    `json:"reason,omitzero" maxLength:"500"`
	ExpireTime time.Time `json:"expireTime,omitzero" doc:"Nothing: never"`
}

// UserGrantSet is everything that a user himself is granted.
type UserGrantSet struct {
	Grants []UserGrant `json:"grants" maxItems:"50"`
}

// UserGrants are the grants to a user himself.
type UserGrants struct {
	Grants   []Grant        `json:"grants" doc:"To the user himself; what his groups give him is in his effective view"`
	Revision store.Revision `json:"revision"`
}

// GroupGrant is one grant of the whole set of a group.
type GroupGrant struct {
	UserGrant
	AcknowledgeDirectory bool `json:"acknowledgeDirectory,omitzero" doc:"Accepts that the group's directory decides who gets the permission: needed unless the group was made here, or has the grant already"`
}

// GroupGrantSet is everything that a group itself is granted.
type GroupGrantSet struct {
	Grants []GroupGrant `json:"grants" maxItems:"50"`
}

// GroupGrants are the grants to a group itself.
type GroupGrants struct {
	Grants   []Grant        `json:"grants" doc:"To the group itself, and so to whoever is in it; what the groups that it is in are granted is not among them"`
	Revision store.Revision `json:"revision"`
}

type getGroupGrantsInput struct {
	GroupPath
	Reading
}

type putGroupGrantsInput struct {
	GroupPath
	Trial
	IfMatch string `header:"If-Match" doc:"ETag of the group's grants; required: 428 without it, 412 if they were changed since"`
	Body    GroupGrantSet
}

type getUserGrantsInput struct {
	UserPath
	Reading
}

type putUserGrantsInput struct {
	UserPath
	Trial
	IfMatch string `header:"If-Match" doc:"ETag of the user's grants; required: 428 without it, 412 if they were changed since"`
	Body    UserGrantSet
}

func (a *API) bulkRoutes() {
	errs := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "batchGrants", method: http.MethodPost, path: "/v1/grants/batch", tag: "Grants", need: userWork,
		summary: "Give and take up to 100 permissions, all or none unless asked otherwise", errors: errs,
	}, a.batchGrants)
	register(a, operation{
		id: "getUserGrants", method: http.MethodGet, path: "/v1/users/{user}/grants", tag: "Grants", need: readSelf,
		summary: "Show what a user himself is granted", errors: append([]int{http.StatusNotModified}, errs...),
	}, a.getUserGrants)
	register(a, operation{
		id: "putUserGrants", method: http.MethodPut, path: "/v1/users/{user}/grants", tag: "Grants", need: userWork,
		summary: "Replace all that a user himself is granted",
		errors:  append([]int{http.StatusPreconditionFailed, http.StatusPreconditionRequired}, errs...),
	}, a.putUserGrants)
	register(a, operation{
		id: "getGroupGrants", method: http.MethodGet, path: "/v1/groups/{group}/grants", tag: "Grants", need: readers,
		summary: "Show what a group itself is granted", errors: append([]int{http.StatusNotModified}, errs...),
	}, a.getGroupGrants)
	register(a, operation{
		id: "putGroupGrants", method: http.MethodPut, path: "/v1/groups/{group}/grants", tag: "Grants", need: userWork,
		summary: "Replace all that a group itself is granted",
		errors:  append([]int{http.StatusPreconditionFailed, http.StatusPreconditionRequired}, errs...),
	}, a.putGroupGrants)
}

func (a *API) batchGrants(ctx context.Context, in *batchGrantsInput) (*batchGrantsOutput, error) {
	out := &batchGrantsOutput{Body: GrantOutcomes{Results: make([]GrantOutcome, len(in.Body.Grants))}}
	if in.Body.Atomic == nil || *in.Body.Atomic {
		return out, a.grantAll(ctx, in.Body.Grants, out.Body.Results)
	}
	for i := range in.Body.Grants {
		r, item := &out.Body.Results[i], in.Body.Grants[i:i+1]
		if err := a.grantAll(ctx, item, out.Body.Results[i:i+1]); err != nil {
			p := a.problem(ctx, err)
			*r = GrantOutcome{Status: p.Status, Problem: p}
		}
	}
	return out, ctx.Err()
}

// grantAll gives and takes some permissions in one transaction and says what became of
// each.
func (a *API) grantAll(ctx context.Context, items []GrantItem, results []GrantOutcome) error {
	given := make([]permissions.Grant, len(items))
	snap, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		var all []state.Change
		for i := range items {
			do := a.giveOne
			if items[i].Op == opRevoke {
				do = a.takeOne
			}
			cs, err := do(ctx, s, &items[i], given[:i], &given[i], &results[i].Status)
			if err != nil {
				return nil, itemProblem(a.problem(ctx, err), fmt.Sprintf("body.grants[%d]", i))
			}
			all = append(all, cs...)
		}
		return all, nil
	})
	if err != nil {
		return err
	}
	for i := range given {
		if items[i].Op != opRevoke {
			g := a.grantOf(snap, &given[i])
			results[i].Grant = &g
		}
	}
	return nil
}

// once refuses to say two things about one grant in a batch.
func once(before []permissions.Grant, g *permissions.Grant) error {
	if slices.ContainsFunc(before, func(b permissions.Grant) bool { return b.Subject == g.Subject && b.Permission == g.Permission }) {
		return fault.New(fault.Invalid, "given_twice", "the batch names the same permission of the same subject twice")
	}
	return nil
}

func (a *API) giveOne(ctx context.Context, s *state.Snapshot, item *GrantItem, before []permissions.Grant, given *permissions.Grant, status *int) ([]state.Change, error) {
	if err := a.validGrant(&item.GrantRequest); err != nil {
		return nil, err
	}
	who := func(s *state.Snapshot) (identity.Member, store.Revision, error) {
		m, err := item.find(s)
		return m, 0, err
	}
	g, st, cs, err := a.giving(ctx, s, who, item.Permission, &item.GrantRequest)
	if err == nil {
		err = once(before, &g)
	}
	if err != nil {
		return nil, err
	}
	*given, *status = g, st
	return cs, nil
}

func (a *API) takeOne(_ context.Context, s *state.Snapshot, item *GrantItem, before []permissions.Grant, taken *permissions.Grant, status *int) ([]state.Change, error) {
	if err := plainText("reason", item.Reason); err != nil {
		return nil, err
	}
	if !item.ExpireTime.IsZero() || item.AcknowledgeDirectory {
		return nil, fault.New(fault.Invalid, "terms_of_nothing", "what is taken away has no expireTime and no acknowledgeDirectory: leave them out")
	}
	m, err := item.find(s)
	if err != nil {
		return nil, err
	}
	g, err := granted(s, m, item.Permission)
	if err == nil {
		err = once(before, g)
	}
	if err != nil {
		return nil, err
	}
	*taken, *status = *g, http.StatusNoContent
	return []state.Change{state.RemoveGrant{Subject: m, Permission: g.Permission, Reason: item.Reason}}, nil
}

// grantsTag is the ETag of what a user himself is granted: it changes with the grants,
// their terms included, and with nothing else.
func grantsTag(s *state.Snapshot, m identity.Member) string {
	h := sha256.New()
	for _, g := range s.Book().Of(m) {
		fmt.Fprintf(h, "%s %s %d %q\n", g.Permission, g.ID, g.Expires.UnixNano(), g.Reason)
	}
	return fmt.Sprintf(`"%x"`, h.Sum(nil)[:12])
}

// ownGrants returns what somebody himself is granted.
func (a *API) ownGrants(s *state.Snapshot, m identity.Member) []Grant {
	out := []Grant{}
	for _, g := range s.Book().Of(m) {
		out = append(out, a.grantOf(s, g))
	}
	return out
}

func (a *API) getUserGrants(_ context.Context, in *getUserGrantsInput) (*tagged[UserGrants], error) {
	snap := a.db.View().Now()
	m, _, err := findUser(in.User)(snap)
	if err != nil {
		return nil, err
	}
	body := &UserGrants{Grants: a.ownGrants(snap, m), Revision: snap.Rev()}
	return unlessKnown(in.IfNoneMatch, grantsTag(snap, m), body), nil
}

func (a *API) getGroupGrants(_ context.Context, in *getGroupGrantsInput) (*tagged[GroupGrants], error) {
	snap := a.db.View().Now()
	m, _, err := findGroup(in.Group)(snap)
	if err != nil {
		return nil, err
	}
	body := &GroupGrants{Grants: a.ownGrants(snap, m), Revision: snap.Rev()}
	return unlessKnown(in.IfNoneMatch, grantsTag(snap, m), body), nil
}

// unlessKnown answers with a body, or with 304 when whoever asks has it already.
func unlessKnown[T any](ifNoneMatch, tag string, body *T) *tagged[T] {
	out := &tagged[T]{Status: http.StatusOK, ETag: tag, CacheControl: "private, no-cache", Body: body}
	if ts := tags(ifNoneMatch); slices.Contains(ts, tag) || slices.Contains(ts, "*") {
		out.Status = http.StatusNotModified
	}
	return out
}

func (a *API) putUserGrants(ctx context.Context, in *putUserGrantsInput) (*tagged[UserGrants], error) {
	set := make([]GroupGrant, len(in.Body.Grants))
	for i, g := range in.Body.Grants {
		set[i].UserGrant = g
	}
	snap, m, err := a.replaceGrants(ctx, findUser(in.User), in.IfMatch, set)
	if err != nil {
		return nil, err
	}
	body := &UserGrants{Grants: a.ownGrants(snap, m), Revision: snap.Rev()}
	return &tagged[UserGrants]{Status: http.StatusOK, ETag: grantsTag(snap, m), CacheControl: "no-store", Body: body}, nil
}

func (a *API) putGroupGrants(ctx context.Context, in *putGroupGrantsInput) (*tagged[GroupGrants], error) {
	snap, m, err := a.replaceGrants(ctx, findGroup(in.Group), in.IfMatch, in.Body.Grants)
	if err != nil {
		return nil, err
	}
	body := &GroupGrants{Grants: a.ownGrants(snap, m), Revision: snap.Rev()}
	return &tagged[GroupGrants]{Status: http.StatusOK, ETag: grantsTag(snap, m), CacheControl: "no-store", Body: body}, nil
}

// replaceGrants replaces a whole set. What stays keeps its id; what is not in the set
// goes.
func (a *API) replaceGrants(ctx context.Context, who find, ifMatch string, set []GroupGrant) (snap *state.Snapshot, m identity.Member, err error) {
	if ifMatch == "" {
		return nil, m, preconditionRequired(ctx)
	}
	snap, err = a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		var err error
		if m, _, err = who(s); err != nil {
			return nil, err
		}
		if ts := tags(ifMatch); !slices.Contains(ts, grantsTag(s, m)) && !slices.Contains(ts, "*") {
			return nil, fault.New(fault.Stale, "stale", "the grants were changed since they were read: read them again and decide anew")
		}
		return a.replacing(ctx, s, m, set)
	})
	return snap, m, err
}

func (a *API) replacing(ctx context.Context, s *state.Snapshot, m identity.Member, set []GroupGrant) ([]state.Change, error) {
	var cs []state.Change
	given := make([]permissions.Grant, len(set))
	for i, g := range set {
		item := GrantItem{
			MemberRef: refTo(m), Permission: g.Permission,
			GrantRequest: GrantRequest{Reason: g.Reason, ExpireTime: g.ExpireTime, AcknowledgeDirectory: g.AcknowledgeDirectory},
		}
		if old := asAsked(s, m, &g.UserGrant); old != nil { // an expired one may stay as it is
			given[i] = *old
			continue
		}
		var status int
		add, err := a.giveOne(ctx, s, &item, given[:i], &given[i], &status)
		if err != nil {
			return nil, itemProblem(a.problem(ctx, err), fmt.Sprintf("body.grants[%d]", i))
		}
		cs = append(cs, add...)
	}
	for _, old := range s.Book().Of(m) {
		if !slices.ContainsFunc(given, func(g permissions.Grant) bool { return g.Permission == old.Permission }) {
			cs = append(cs, state.RemoveGrant{Subject: m, Permission: old.Permission, Reason: "not in the set that replaced it"})
		}
	}
	return cs, nil
}

func refTo(m identity.Member) MemberRef {
	if g, ok := m.Group(); ok {
		return MemberRef{Group: g.String()}
	}
	u, _ := m.User()
	return MemberRef{User: u.String()}
}

// asAsked returns the grant that is there already as it is asked for.
func asAsked(s *state.Snapshot, m identity.Member, g *UserGrant) *permissions.Grant {
	old := grantTo(s, m, permissions.Permission(g.Permission))
	if old == nil || old.Reason != g.Reason || !old.Expires.Equal(g.ExpireTime) {
		return nil
	}
	return old
}
