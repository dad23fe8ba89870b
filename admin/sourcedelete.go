package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// DeletionPlan is what goes with a source. Each user and group has one source, so nobody
// of it stays; whoever was made here, or comes from another source, does.
type DeletionPlan struct {
	Source      identity.SourceID `json:"source"`
	Digest      string            `json:"digest" doc:"Of all that goes, as it is: to be sent with the deletion"`
	Users       int               `json:"users"`
	Groups      int               `json:"groups"`
	Memberships int               `json:"memberships" doc:"Of groups of the source, and of its users and groups in others"`
	Linked      int               `json:"linked,omitzero" doc:"Records that are linked to users of other sources, who stay, or are nobody's"`
	Attributes  int               `json:"attributes" doc:"Local attributes on users and groups of the source"`
	Grants      int               `json:"grants" doc:"Grants that lose their holder"`
	Keys        int               `json:"keys" doc:"API keys of its users, and tokens that push to it"`
	Approval    bool              `json:"approval" doc:"A plan that waits for approval, or an approval, is lost"`
	// The lists hold the first few, by name.
	UserNames      []string `json:"userNames" doc:"The first 100 users, by name"`
	GroupNames     []string `json:"groupNames" doc:"The first 100 groups, by name"`
	GrantList      []string `json:"grantList" doc:"The first 100 grants, each as permission and holder"`
	Administrators []string `json:"administrators" doc:"Administrators who go, or are so by a group that goes"`
	Others         []string `json:"others" doc:"The first 100 users of other sources who lose a membership"`
}

// fewOf is how many of each a plan names.
const fewOf = 100

type (
	deletionOutput    struct{ Body DeletionPlan }
	deleteSourceInput struct {
		SourcePath
		Trial
		Digest string `query:"digest" maxLength:"100" doc:"Of the plan of the deletion, as it was shown"`
	}
)

func (a *API) sourceDeleteRoutes() {
	errs := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "planSourceDeletion", method: http.MethodGet, path: "/v1/sources/{source}/deletion", tag: "Sources", need: setup,
		summary: "Show who and what would go with a source", errors: errs,
	}, a.planDeletion)
	register(a, operation{
		id: "deleteSource", method: http.MethodDelete, path: "/v1/sources/{source}", tag: "Sources", need: setup, status: http.StatusOK,
		summary: "Delete a source for good, with its users and groups and all that hangs on them; also one that the daemon's file no longer declares",
		errors:  append(slices.Clip(errs), http.StatusPreconditionRequired),
	}, a.deleteSource)
}

func (a *API) planDeletion(_ context.Context, in *SourcePath) (*deletionOutput, error) {
	s := a.db.View().Now()
	if err := a.deletable(s, in.Source); err != nil {
		return nil, err
	}
	return &deletionOutput{Body: deletionOf(s, identity.SourceID(in.Source), a.now())}, nil
}

// deletable refuses a source of the file, and one that nothing is known of.
func (a *API) deletable(s *state.Snapshot, id string) error {
	source := identity.SourceID(id)
	_, err := a.stored(s, id)
	switch {
	case source == identity.Local:
		return fault.New(fault.Conflict, "source_local", "what was made here comes from no source, and stays")
	case fault.Code(err) == "source_in_file":
		return err
	case !s.Source(source).Leaving.IsZero():
		return fault.New(fault.Conflict, "source_leaving", "source %s is being deleted already", id)
	case err != nil && len(s.OwnedBy(source)) == 0 && s.Source(source).Rev() == 0:
		return err
	}
	if _, running := a.sync.Live(source); running {
		return fault.New(fault.Conflict, "run_in_progress", "a run of source %s is going on: wait until it has ended, or disable the source first", id)
	}
	return nil
}

func (a *API) deleteSource(ctx context.Context, in *deleteSourceInput) (*deletionOutput, error) {
	out := &deletionOutput{}
	_, err := a.decide(ctx, func(s *state.Snapshot) ([]state.Change, error) {
		if err := a.deletable(s, in.Source); err != nil {
			return nil, err
		}
		id := identity.SourceID(in.Source)
		out.Body = deletionOf(s, id, a.now())
		if in.Digest == "" && !questionOf(ctx).dryRun {
			return nil, problemWith(ctx, http.StatusPreconditionRequired, "digest_missing",
				"deleting is for good: look at the plan of the deletion, and send the digest of what it shows")
		}
		if in.Digest != "" && in.Digest != out.Body.Digest {
			return nil, fault.New(fault.Conflict, "plan_changed", "what would go with source %s has changed since you saw it: look at the plan again", in.Source)
		}
		return []state.Change{state.LeaveSource{Source: id, Counts: out.Body.counts()}}, nil
	})
	if err != nil {
		return nil, err
	}
	if questionOf(ctx).dryRun {
		return out, nil
	}
	return out, a.editor.TakeOver(ctx)
}

// counts is the plan for the audit log.
func (p *DeletionPlan) counts() []audit.Change {
	var out []audit.Change
	for _, n := range []struct {
		field string
		n     int
	}{{"users", p.Users}, {"groups", p.Groups}, {"memberships", p.Memberships}, {"linked", p.Linked}, {"attributes", p.Attributes}, {"grants", p.Grants}, {"keys", p.Keys}} {
		out = append(out, audit.Change{Field: n.field, Before: []string{strconv.Itoa(n.n)}})
	}
	return append(out, audit.Change{Field: "digest", Before: []string{p.Digest}})
}

// deletion is a plan being made.
type deletion struct {
	DeletionPlan

	snap  *state.Snapshot
	goes  map[identity.Member]bool
	lines []string // all that goes, one a line, for the digest
}

// deletionOf returns what goes with a source.
func deletionOf(s *state.Snapshot, source identity.SourceID, now time.Time) DeletionPlan {
	d := &deletion{snap: s, goes: map[identity.Member]bool{}}
	d.Source = source
	d.UserNames, d.GroupNames, d.GrantList, d.Administrators, d.Others = []string{}, []string{}, []string{}, []string{}, []string{}
	all := s.OwnedBy(source)
	for _, m := range all {
		d.goes[m] = true
	}
	for _, m := range all {
		d.member(m)
	}
	for u := range s.LinkedBy(source) { // they stay, without the record
		d.Linked++
		d.lines = append(d.lines, "linked "+u.String())
	}
	d.Keys += len(s.PushTokens(source))
	for _, t := range s.PushTokens(source) {
		d.lines = append(d.lines, "token "+t.ID)
	}
	st := s.Source(source)
	d.Approval = st.Held != nil || st.Approval != nil
	d.administrators(now)
	if c, ok := s.SourceConfig(source); ok {
		d.lines = append(d.lines, fmt.Sprintf("config %d", c.Rev()))
	}
	return d.plan()
}

// member adds a user or a group with what hangs on it.
func (d *deletion) member(m identity.Member) {
	name, _ := d.snap.Name(m)
	d.lines = append(d.lines, "goes "+m.String())
	if g, ok := m.Group(); ok {
		d.Groups++
		d.GroupNames = append(d.GroupNames, name)
		d.members(g)
	} else {
		u, _ := m.User()
		d.Users++
		d.UserNames = append(d.UserNames, name)
		for _, t := range d.snap.Tokens(u) {
			d.Keys++
			d.lines = append(d.lines, "key "+t.ID)
		}
	}
	for _, g := range d.snap.Book().Of(m) {
		d.Grants++
		d.GrantList = append(d.GrantList, string(g.Permission)+" "+name)
		d.lines = append(d.lines, "grant "+string(g.ID))
	}
	layer, rev := d.snap.Local(m)
	d.Attributes += len(layer.Attributes)
	if rev != 0 {
		d.lines = append(d.lines, fmt.Sprintf("layer %s %d", m, rev))
	}
	for g := range d.snap.GroupsOf(m) {
		if !d.goes[identity.GroupMember(g)] {
			d.Memberships++
			d.lines = append(d.lines, "in "+g.String()+" "+m.String())
		}
	}
}

// members adds the memberships of a group that goes, and who loses one and stays.
func (d *deletion) members(g identity.GroupID) {
	for in := range d.snap.Members(g) {
		d.Memberships++
		d.lines = append(d.lines, "member "+g.String()+" "+in.Member.String())
		if name, _ := d.snap.Name(in.Member); !d.goes[in.Member] {
			d.Others = append(d.Others, name)
		}
	}
}

// administrators names who administers now and goes, or is in a group that goes.
func (d *deletion) administrators(now time.Time) {
	for _, p := range []permissions.Permission{permissions.ApplicationAdmin, permissions.UserAdmin} {
		for id := range d.snap.Book().WhoCan(d.snap, p, now) {
			m := identity.UserMember(id)
			lost := d.goes[m]
			for g := range d.snap.GroupsOf(m) {
				lost = lost || d.goes[identity.GroupMember(g)]
			}
			if name, _ := d.snap.Name(m); lost {
				d.Administrators = append(d.Administrators, name)
				d.lines = append(d.lines, "administrator "+m.String())
			}
		}
	}
}

func (d *deletion) plan() DeletionPlan {
	slices.Sort(d.lines)
	sum := sha256.New()
	for _, line := range d.lines {
		fmt.Fprintln(sum, line)
	}
	d.Digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	for _, list := range []*[]string{&d.UserNames, &d.GroupNames, &d.GrantList, &d.Administrators, &d.Others} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
		*list = (*list)[:min(len(*list), fewOf)]
	}
	return d.DeletionPlan
}
