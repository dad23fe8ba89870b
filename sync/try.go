package sync

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// Finder is a source that can be asked about one person.
type Finder interface {
	// Find looks for a person, in the scope of the source and outside of it. It writes
	// nothing anywhere.
	Find(ctx context.Context, q FindRequest) (*Finding, error)
}

// FindRequest says who is looked for.
type FindRequest struct {
	User string         // a login name, a key or a DN; empty: only by Keys
	Keys []identity.Key // looked for when User finds nobody
}

// Finding is what a directory has of a person.
type Finding struct {
	Server, Family string
	Entries        []plan.TrialEntry
}

// Try looks for one person in a source, and returns what a run would make of him, stage
// by stage. It writes nothing, and any replica can do it at any time.
func (r *Runner) Try(ctx context.Context, source identity.SourceID, user string) (*plan.Trial, error) {
	r.mu.Lock()
	l, err := r.lane(source)
	if err != nil {
		r.mu.Unlock()
		return nil, err
	}
	spec := l.spec
	r.mu.Unlock()
	find, ok := spec.Source.(Finder)
	if !ok {
		return nil, fault.New(fault.Conflict, "not_findable", "source %q cannot be asked about one person", source)
	}
	t := &trial{r: r, spec: spec, find: find, snap: r.db.View().Now(), out: &plan.Trial{
		Source: source, User: user, Entries: []plan.TrialEntry{}, Steps: []plan.Step{},
	}}
	return t.out, t.run(ctx)
}

// trial is one Try.
type trial struct {
	r    *Runner
	spec SourceSpec
	find Finder
	snap *state.Snapshot
	out  *plan.Trial
}

func (t *trial) run(ctx context.Context) error {
	view := t.snap.Of(t.spec.ID)
	known := t.inRoll(view)
	q := FindRequest{User: t.out.User}
	for _, k := range known {
		q.Keys = append(q.Keys, k.Key)
	}
	found, err := t.find.Find(ctx, q)
	if err != nil {
		return err
	}
	t.out.Server, t.out.Family = found.Server, found.Family
	t.out.Entries = append(t.out.Entries, found.Entries...)
	switch n := len(found.Entries); {
	case n > 1:
		t.note("%d entries answer to this: name one by its key or its DN", n)
		return nil
	case n == 1:
		known = known[:0]
		if k, ok := view.User(found.Entries[0].Key); ok {
			known = append(known, k)
		}
	case len(known) > 1:
		t.note("the roll has %d users of this name, of whom the directory has none", len(known))
		return nil
	}
	if len(known) == 1 {
		k := known[0]
		t.out.Known = &plan.TrialKnown{ID: k.Ref, Key: k.Key, Name: k.Name, Missing: k.Missing}
	}
	return t.plan(ctx, view)
}

// inRoll returns whom the roll has of the source under what was typed, the present ones
// first.
func (t *trial) inRoll(view state.SourceView) []plan.Known {
	if k, ok := view.User(identity.Key(strings.ToLower(t.out.User))); ok {
		return []plan.Known{k}
	}
	all := slices.Collect(view.Named(identity.FoldName(t.out.User)))
	present := slices.DeleteFunc(slices.Clone(all), func(k plan.Known) bool { return k.Missing })
	if len(present) > 0 {
		return present
	}
	return all
}

func (t *trial) note(format string, args ...any) {
	t.out.Notes = append(t.out.Notes, fmt.Sprintf(format, args...))
}

// lookups is how many holders of a disputed name are looked up, one after the other.
const lookups = 3

// plan computes what a run would do about the person alone. Where somebody holds the
// name that he has, that one is looked up, too: a run would see both.
func (t *trial) plan(ctx context.Context, view state.SourceView) error {
	seen := t.observation(view)
	for try := 0; ; try++ {
		p, err := t.spec.compute(t.snap, seen)
		if err != nil {
			return err
		}
		holder := holderOf(p, seen)
		if holder == "" || try == lookups {
			t.show(p, view)
			return nil
		}
		found, err := t.find.Find(ctx, FindRequest{Keys: []identity.Key{holder}})
		if err != nil {
			return err
		}
		t.add(seen, holder, found)
	}
}

// holderOf returns the key of somebody who is in the person's way and was not looked at.
func holderOf(p *plan.Plan, seen *identity.Observation) identity.Key {
	for _, c := range p.Conflicts {
		known := slices.ContainsFunc(seen.Users, func(s identity.Seen) bool { return s.Key == c.Holder }) ||
			slices.ContainsFunc(seen.Gone, func(g identity.Gone) bool { return g.Key == c.Holder })
		if c.Holder != "" && !known {
			return c.Holder
		}
	}
	return ""
}

// add puts what was found of somebody into the observation.
func (t *trial) add(seen *identity.Observation, key identity.Key, found *Finding) {
	for i := range found.Entries {
		e := &found.Entries[i]
		switch {
		case e.Key != key:
		case e.Scope.In && e.Record != nil:
			seen.Users = append(seen.Users, identity.Seen{Key: key, Record: e.Record})
			return
		case e.Scope.In:
			seen.Skipped = append(seen.Skipped, identity.Skipped{Key: key, DN: e.DN, Reason: e.Problem})
			return
		}
	}
	seen.Gone = append(seen.Gone, identity.Gone{Key: key})
}

// observation is what a read of changes would bring if nothing but this person had
// changed.
func (t *trial) observation(view state.SourceView) *identity.Observation {
	const why = "one person was looked for"
	seen := &identity.Observation{
		Source: t.spec.ID, Reach: identity.ReachChanges, Server: t.out.Server, Family: t.out.Family,
		Proof: identity.Proof{Users: true, Groups: true, Why: why},
	}
	switch {
	case len(t.out.Entries) == 1 && t.out.Entries[0].Key != "":
		key := t.out.Entries[0].Key
		t.add(seen, key, &Finding{Entries: t.out.Entries})
		if len(seen.Users) == 1 {
			t.memberships(seen, view, &t.out.Entries[0])
		}
	case t.out.Known != nil:
		seen.Gone = append(seen.Gone, identity.Gone{Key: t.out.Known.Key})
	}
	return storable(seen)
}

// memberships adds what differs in the groups that list the person.
func (t *trial) memberships(seen *identity.Observation, view state.SourceView, e *plan.TrialEntry) {
	if e.GroupsUnknown != "" {
		return
	}
	listed, had := map[identity.Key]bool{}, map[identity.Key]bool{}
	for key := range view.GroupsWith(false, e.Key) {
		had[key] = true
	}
	for _, g := range e.Groups {
		if g.Through != "" {
			continue
		}
		listed[g.Key] = true
		k, ok := view.Group(g.Key)
		if !ok || k.Missing {
			t.note("the group %q is not in the roll: a run brings it with its members", g.Name)
			continue
		}
		seen.Groups = append(seen.Groups, identity.Seen{Key: g.Key, Edges: identity.EdgesPatch, Users: []identity.Key{e.Key}})
	}
	for key := range had {
		if !listed[key] {
			seen.Groups = append(seen.Groups, identity.Seen{Key: key, Edges: identity.EdgesPatch, LostUsers: []identity.Key{e.Key}})
		}
	}
}

// show keeps of the plan what is about the person.
func (t *trial) show(p *plan.Plan, view state.SourceView) {
	t.snap.Weigh(p, t.r.now())
	var key identity.Key
	switch {
	case len(t.out.Entries) == 1:
		key = t.out.Entries[0].Key
	case t.out.Known != nil:
		key = t.out.Known.Key
	}
	for _, s := range p.Steps {
		if s.Op == plan.ChangeMembers || s.Key == key {
			t.out.Steps = append(t.out.Steps, s)
		} else {
			t.note("a run would also: %s %q (%s), who is in the way of this one", s.Op, s.Name, s.Key)
		}
	}
	t.out.Conflicts, t.out.Consequences = p.Conflicts, p.Consequences
	for _, s := range p.Skipped {
		t.note("left as it was: %s", s.Reason)
	}
	t.out.Notes = append(t.out.Notes, p.Withheld...)
	if st := view.Total(); st.Users+st.UsersMissing == 0 {
		t.note("the roll has nobody of this source yet")
	}
	if t.spec.Disabled {
		t.note("the source is disabled in the configuration: no run takes place")
	}
}
