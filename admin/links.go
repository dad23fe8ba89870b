package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// LinkRequest says which other user is the same person.
type LinkRequest struct {
	User   string `json:"user" minLength:"1" maxLength:"300" doc:"The user who is the same person: his record becomes a linked one, and he himself is no more. Or a record that is nobody's, by its source and its name or key"`
	Grants string `json:"grants,omitzero" enum:"keep,end" doc:"keep, the default: his grants go over; end: they end"`
	Reason string `json:"reason,omitzero" maxLength:"500"`
}

// LinkPlan is what a link by hand, or taking one back, does.
type LinkPlan struct {
	User       UserSummary              `json:"user" doc:"Who stays"`
	Other      *UserSummary             `json:"other,omitzero" doc:"Who goes, or who is back, or new; nothing: nobody"`
	Source     identity.SourceID        `json:"source" doc:"Of the record that is linked, or unlinked"`
	Groups     []Subject                `json:"groups" doc:"Memberships that go with the record, and those that were made here"`
	Grants     []permissions.Permission `json:"grants" doc:"Grants that change hands or end"`
	Attributes []string                 `json:"attributes" doc:"Local attributes that change hands"`
	Gains      []permissions.Permission `json:"gains" doc:"What the user who stays may do afterwards, and may not now"`
	Loses      []permissions.Permission `json:"loses" doc:"What he may do now, and not afterwards"`
	Digest     string                   `json:"digest" doc:"Of all that, as it is: to be sent to have it done"`
}

// Confirming carries the digest of a plan that was looked at.
type Confirming struct {
	Digest string `query:"digest" maxLength:"100" doc:"Of the plan, as a dry run has shown it"`
}

type (
	linkUsersInput struct {
		UserPath
		Confirming
		Trial
		Body LinkRequest
	}
	unlinkUserInput struct {
		UserPath
		Confirming
		Trial
		Source string `path:"source" minLength:"2" maxLength:"40" doc:"Whose record is to be unlinked"`
		Reason string `query:"reason" maxLength:"500" doc:"Why, for the audit log"`
	}
	linkOutput struct{ Body LinkPlan }
)

func (a *API) linkRoutes() {
	errs := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionRequired}
	register(a, operation{
		id: "linkUsers", method: http.MethodPost, path: "/v1/users/{user}/links", tag: "Users", need: userWork, status: http.StatusOK,
		summary: "Make two users of two sources one person: the other's record joins this user, with its memberships", errors: errs,
	}, a.linkUsers)
	register(a, operation{
		id: "unlinkUser", method: http.MethodDelete, path: "/v1/users/{user}/links/{source}", tag: "Users", need: userWork, status: http.StatusOK,
		summary: "Take a linked record from a user; whoever was linked by hand is back with what he had", errors: errs,
	}, a.unlinkUser)
	a.settlementRoutes()
	a.precedenceRoutes()
	a.migrationRoutes()
}

// confirmed refuses what was not looked at, or has changed since.
func (c *Confirming) confirmed(ctx context.Context, digest string) error {
	switch {
	case questionOf(ctx).dryRun && c.Digest == "":
		return nil
	case c.Digest == "":
		return problemWith(ctx, http.StatusPreconditionRequired, "digest_missing",
			"look at what it would do first, with dryRun=true, and send the digest of that")
	case c.Digest != digest:
		return fault.New(fault.Conflict, "plan_changed", "what it would do has changed since you saw it: look at it again")
	}
	return nil
}

func (a *API) linkUsers(ctx context.Context, in *linkUsersInput) (*linkOutput, error) {
	if err := plainText("reason", in.Body.Reason); err != nil {
		return nil, err
	}
	out := &linkOutput{}
	var into identity.UserID
	var before *state.Snapshot
	after, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		before = s
		var err error
		if into, err = s.OneUser(in.User); err != nil {
			return nil, err
		}
		d, c, err := a.linking(s, into, &in.Body)
		if err != nil {
			return nil, err
		}
		out.Body = d.done()
		if err := in.confirmed(ctx, out.Body.Digest); err != nil {
			return nil, err
		}
		return []state.Change{c}, nil
	})
	if err != nil {
		return nil, err
	}
	a.weigh(&out.Body, before, after, into)
	return out, nil
}

// linking returns what it takes to make two users one person, or to give a user a record
// that is nobody's.
func (a *API) linking(s *state.Snapshot, into identity.UserID, r *LinkRequest) (*linking, state.Change, error) {
	if rec, ok := s.ApartNamed(r.User); ok {
		return a.joinPlan(s, into, &rec), a.join(&rec, into), nil
	}
	from, err := s.OneUser(r.User)
	if err != nil {
		return nil, nil, err
	}
	if err := s.MayMerge(into, from); err != nil {
		return nil, nil, err
	}
	d := a.linkPlan(s, into, from)
	d.lines = append(d.lines, "grants "+r.Grants)
	return d, state.Merge{Into: into, From: from, KeepGrants: r.Grants != "end", Bars: a.linkBars(d.Source), Reason: r.Reason}, nil
}

// joinPlan shows what giving a user a record that is nobody's moves.
func (a *API) joinPlan(s *state.Snapshot, into identity.UserID, r *state.ApartRecord) *linking {
	d := a.planOf(s, into)
	d.Source = r.Record().Source
	d.lines = append(d.lines, fmt.Sprintf("record %s %d", r.Key, r.Rev))
	for g := range s.OwnGroups(d.Source, r.Member) {
		d.group(s, s.GroupID(g))
	}
	return d
}

func (a *API) join(r *state.ApartRecord, into identity.UserID) state.Change {
	source := r.Record().Source
	return state.JoinApart{Holder: r.Holder, Source: source, User: into, Bars: a.linkBars(source)}
}

// linkBars reports whether whom a source keeps out is inactive where its record is linked.
func (a *API) linkBars(source identity.SourceID) bool {
	return slices.ContainsFunc(a.sync.Sources(), func(s Source) bool { return s.ID == source && s.LinkBars })
}

// weigh says what a user may do in one snapshot and not in another.
func (a *API) weigh(p *LinkPlan, before, after *state.Snapshot, u identity.UserID) {
	was, is := before.Book().Effective(before, u, a.now()), after.Book().Effective(after, u, a.now())
	p.Gains, p.Loses = beyond(is.Permissions(), was.Permissions()), beyond(was.Permissions(), is.Permissions())
}

func beyond(these, those []permissions.Permission) []permissions.Permission {
	return orNone(slices.DeleteFunc(slices.Clone(these), func(p permissions.Permission) bool { return slices.Contains(those, p) }))
}

// linking is a plan being made.
type linking struct {
	LinkPlan

	lines []string // all that it rests on, one a line, for the digest
}

// linkPlan shows what making one user of two moves.
func (a *API) linkPlan(s *state.Snapshot, into, from identity.UserID) *linking {
	d := a.planOf(s, into)
	other, rev, _ := s.User(from)
	summary := summaryOf(other, other.Status(a.now()))
	d.Other, d.Source = &summary, other.Record.Source
	d.lines = append(d.lines, fmt.Sprintf("other %s %d", from, rev))
	m := identity.UserMember(from)
	for g := range s.GroupsOf(m) {
		d.group(s, g)
	}
	for _, g := range s.Book().Of(m) {
		d.Grants = append(d.Grants, g.Permission)
		d.lines = append(d.lines, "grant "+string(g.ID))
	}
	d.Attributes = append(d.Attributes, other.Local.Attributes.Keys()...)
	return d
}

func (a *API) planOf(s *state.Snapshot, id identity.UserID) *linking {
	u, rev, _ := s.User(id)
	d := &linking{LinkPlan: LinkPlan{User: summaryOf(u, u.Status(a.now())), Groups: []Subject{}, Grants: []permissions.Permission{}, Attributes: []string{}}}
	d.lines = append(d.lines, fmt.Sprintf("user %s %d", id, rev))
	return d
}

func (d *linking) group(s *state.Snapshot, g identity.GroupID) {
	d.Groups = append(d.Groups, subjectOf(s, identity.GroupMember(g)))
	d.lines = append(d.lines, "in "+g.String())
}

func (d *linking) done() LinkPlan {
	slices.SortFunc(d.Groups, func(a, b Subject) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	slices.Sort(d.Grants)
	d.Digest = digestOf(d.lines)
	return d.LinkPlan
}

func digestOf(lines []string) string {
	slices.Sort(lines)
	sum := sha256.New()
	for _, line := range lines {
		fmt.Fprintln(sum, line)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

func (a *API) unlinkUser(ctx context.Context, in *unlinkUserInput) (*linkOutput, error) {
	if err := plainText("reason", in.Reason); err != nil {
		return nil, err
	}
	source := identity.SourceID(in.Source)
	id, err := a.db.View().Now().OneUser(in.User)
	if err != nil {
		return nil, err
	}
	note, merged, err := a.db.Merged(ctx, id, source)
	if err != nil {
		return nil, err
	}
	c := state.Unlink{User: id, Source: source, Reason: in.Reason}
	switch {
	case merged:
		c.Merged = &note
	case !a.addsOnly(source):
		c.New = identity.NewUserID()
	}
	out := &linkOutput{}
	var before *state.Snapshot
	after, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		before = s
		d, err := a.unlinkPlan(s, c)
		if err != nil {
			return nil, err
		}
		out.Body = d.done()
		return []state.Change{c}, in.confirmed(ctx, out.Body.Digest)
	})
	if err != nil {
		return nil, err
	}
	a.weigh(&out.Body, before, after, id)
	next := c.New
	if merged {
		next = note.From
	}
	if u, _, ok := after.User(next); ok {
		summary := summaryOf(u, u.Status(a.now()))
		out.Body.Other = &summary
	}
	return out, nil
}

// unlinkPlan shows what goes with a linked record that is taken from a user.
func (a *API) unlinkPlan(s *state.Snapshot, c state.Unlink) (*linking, error) {
	if _, ok := s.Linked(c.User, c.Source); !ok {
		return nil, fault.New(fault.NotFound, "link_not_found", "source %s has no linked record of this user", c.Source)
	}
	d := a.planOf(s, c.User)
	d.Source = c.Source
	for g, by := range s.GroupsOf(identity.UserMember(c.User)) {
		if slices.Contains(by, c.Source) {
			d.group(s, g)
		}
	}
	if c.Merged != nil {
		d.Grants = append(d.Grants, c.Merged.Grants...)
		d.lines = append(d.lines, "merged "+c.Merged.From.String()+" "+c.Merged.At.Format(time.RFC3339Nano))
	}
	return d, nil
}

// addsOnly reports whether the records of a source never make a user.
func (a *API) addsOnly(source identity.SourceID) bool {
	return slices.ContainsFunc(a.sync.Sources(), func(s Source) bool { return s.ID == source && s.AddsOnly })
}
